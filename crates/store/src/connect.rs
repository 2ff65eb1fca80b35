//! Opens connections: the writer's with its durability settings, and readers'. Owns every PRAGMA that is not a question.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use model::time::UtcMs;
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::lock::beside;
use crate::upgrade::{self, Found};

/// How long SQLite waits for a lock of another program (a shell, a backup tool) before it says busy.
const BUSY: Duration = Duration::from_secs(2);
/// Page cache of the writer in KiB: the newest page of 2,000 targets is 8 MiB.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
/// Page cache of each reader in KiB: answers are read once.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Pages in the write-ahead log after which the writer moves them into the file (4 MiB: a second's work).
const CHECKPOINT_PAGES: i64 = 1_000;
/// Size to which the log shrinks after it was moved, in bytes; a long backup lets it grow above.
const LOG_BYTES: i64 = 16 * 1024 * 1024;
/// Prepared statements kept by a connection: more than there are questions.
const STATEMENTS: usize = 64;

/// Opens the file for writing, creates or upgrades it. Durability: WAL with `synchronous=NORMAL` keeps every commit when
/// the process is killed; when the power fails the newest commits may be missing, and the file is whole. Commits that a
/// caller waits for are made with `synchronous=FULL` (see `writer`) and survive that, too.
/// Whether the file is fresh is said with it.
pub(crate) fn writer(path: &Path, now: UtcMs) -> Result<(Connection, bool), StoreError> {
    create(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    let found = upgrade::inspect(&db, path)?;
    if found == Found::Empty {
        // Only an empty file can take this on: retention gives pages back bit by bit.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    upgrade::bring_up(&mut db, &found, now.0)?;
    Ok((db, found == Found::Empty))
}

/// Makes sure that the file is there and that only its owner can read it: it holds password hashes.
fn create(path: &Path) -> Result<(), StoreError> {
    let io = |doing, source| StoreError::Io { doing, path: path.to_owned(), source };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // The file may be there on a disk that cannot be written.
        Err(_) if path.exists() => Ok(()),
        Err(error) => Err(io("create", error)),
    }
}

/// Which file a path leads to now: device and number. It differs when the file was removed or replaced.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Opens the file for reading only.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    settle(&db)?;
    Ok(db)
}

/// Opens a file for reading in a folder that cannot be written: only when no log waits beside it, because then the file
/// alone is the whole truth.
pub(crate) fn reader_of_still_file(path: &Path) -> Result<Connection, StoreError> {
    let log = beside(path, "-wal");
    if log.metadata().is_ok_and(|meta| meta.len() > 0) {
        return Err(StoreError::Unavailable("its log cannot be read without writing to the folder".to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags(still_uri(path), flags)?;
    settle(&db)?;
    Ok(db)
}

/// `file:` URI with everything escaped that has a meaning in one.
fn still_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}

fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Opening touches nothing yet: this reads the header, so that what is wrong with the file is said here.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}
