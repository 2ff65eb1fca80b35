//! A history file of StreamPulse 2.x under the name that ours wants: recognised and set aside, never read and never lost.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;
use crate::lock::beside;
use crate::store::Store;

/// What the set-aside file is called: the name, this, and a number when that is taken.
const ASIDE: &str = ".2x";
/// How many names are tried.
const MOST_NAMES: u32 = 1000;

impl Store {
    /// When `path` is a history of StreamPulse 2.x, renames it (with its log) and answers the new name. Anything else is left
    /// alone, also a file that is missing or no database.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be renamed; then nothing was changed.
    pub fn set_aside_2x(path: &Path) -> Result<Option<PathBuf>, StoreError> {
        if !path.is_file() || !is_2x(path).unwrap_or(false) {
            return Ok(None);
        }
        let io = |source| StoreError::Io { doing: "set aside", path: path.to_owned(), source };
        let name = |n: u32| beside(path, &if n == 0 { ASIDE.to_owned() } else { format!("{ASIDE}.{n}") });
        let Some(aside) = (0..MOST_NAMES).map(name).find(|free| !free.exists()) else {
            return Err(io(std::io::ErrorKind::AlreadyExists.into()));
        };
        std::fs::rename(path, &aside).map_err(io)?;
        for part in ["-wal", "-shm"] {
            let (from, to) = (beside(path, part), beside(&aside, part));
            if from.exists() {
                std::fs::rename(&from, &to).map_err(io)?;
            }
        }
        Ok(Some(aside))
    }
}

/// Its marks: no version, a table of streams by name and URL, and one of users with passwords in clear.
fn is_2x(path: &Path) -> rusqlite::Result<bool> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let columns = |table: &str| -> rusqlite::Result<Vec<String>> {
        let mut names = db.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
        names.query_map([table], |row| row.get(0))?.collect()
    };
    Ok(version == 0 && columns("streams")? == ["name", "url"] && columns("users")? == ["user", "pass"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2x_file_is_set_aside_and_it_stays_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("streams.db");
        assert_eq!(Store::set_aside_2x(&path).expect("a missing file is fine"), None);
        std::fs::write(&path, "no database").expect("written");
        assert_eq!(Store::set_aside_2x(&path).expect("left alone"), None);
        std::fs::remove_file(&path).expect("removed");
        let old = Connection::open(&path).expect("made");
        let made = "CREATE TABLE streams(name TEXT PRIMARY KEY, url TEXT NOT NULL); CREATE TABLE users(user TEXT PRIMARY KEY, pass TEXT NOT NULL);
             CREATE TABLE log_Gate(id INTEGER PRIMARY KEY AUTOINCREMENT, ts TEXT, status TEXT, latency_ms INTEGER, message TEXT);
             INSERT INTO log_Gate(ts, status) VALUES ('2025-01-01T00:00:00+00:00', 'ok')";
        old.execute_batch(made).expect("filled");
        drop(old);
        std::fs::write(folder.path().join("streams.db.2x"), "taken").expect("written");
        let aside = Store::set_aside_2x(&path).expect("renamed").expect("recognised");
        assert!(!path.exists() && aside.ends_with("streams.db.2x.1"), "{}", aside.display());
        let rows: i64 = Connection::open(&aside)
            .and_then(|db| db.query_row("SELECT count(*) FROM log_Gate", [], |row| row.get(0)))
            .expect("still readable");
        assert_eq!(rows, 1);
    }
}
