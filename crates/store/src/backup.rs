//! A consistent copy while running: SQLite's online copy of one moment into a temporary file, synced, then renamed, so
//! that a file under the wanted name is always whole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::lock::beside;

/// Copies the moment that `from` sees to `to`. Replaces an earlier copy.
pub(crate) fn make(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let part = beside(to, &format!(".part-{}", std::process::id()));
    let result = fill(from, &part).and_then(|()| publish(&part, to));
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn fill(from: &Connection, part: &Path) -> Result<(), StoreError> {
    let io = |doing, source| StoreError::Io { doing, path: part.to_owned(), source };
    // A part of a copy that was interrupted under the same process id is worth nothing.
    let _ = std::fs::remove_file(part);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part).map_err(|e| io("create", e))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(part, flags)?;
    {
        // All pages in one step: the read transaction of `from` holds the moment, and in WAL mode it blocks no writer.
        let backup = Backup::new(from, &mut copy)?;
        match backup.step(-1)? {
            StepResult::Done => {}
            _ => return Err(StoreError::Busy("the file is locked by another program")),
        }
    }
    // One file that needs no log beside it.
    let mode: String = copy.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    drop(copy);
    if mode != "delete" {
        return Err(StoreError::Busy("the copy is in use"));
    }
    File::open(part).and_then(|file| file.sync_all()).map_err(|e| io("sync", e))
}

fn publish(part: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(part, to).map_err(|source| StoreError::Io {
        doing: "rename a finished copy to",
        path: to.to_owned(),
        source,
    })?;
    let folder = to.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|source| StoreError::Io {
        doing: "sync the folder",
        path: folder.to_owned(),
        source,
    })
}
