//! What can go wrong with the history file, as a closed list. Owns the wording; never shows a stored value.

use std::path::PathBuf;

/// An error of the store. Texts are lower case, name the thing and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("the history is in use by another process{}: {} is locked; stop that process first", pid_words(*.pid), .lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// Process id found in the lock file.
        pid: Option<u32>,
    },
    /// The file was written by a newer version.
    #[error("{} has schema version {found}, this program knows up to {known}; use a newer streampulse", .path.display())]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// The file is no SQLite database, or a database of something else.
    #[error("{} is not a history of streampulse: {why}", .path.display())]
    NotAStore {
        /// The database file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// SQLite found the file damaged.
    #[error("the history is damaged: {0}; run `streampulse verify`, then restore a backup")]
    Damaged(String),
    /// A file or folder could not be used.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The history cannot be read or written now (full disk, read-only folder, locked file); it is retried.
    #[error("the history is unavailable: {0}")]
    Unavailable(String),
    /// No reader became free, or the writer did not answer, in time.
    #[error("the history is busy: {0}")]
    Busy(&'static str),
    /// The store was closed.
    #[error("the history is closed")]
    Closed,
    /// No target of this id was ever seen.
    #[error("the history knows no target {0}")]
    NoSuchTarget(String),
    /// A document is larger than allowed.
    #[error("a document of {bytes} bytes is larger than the {most} that are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest allowed size.
        most: usize,
    },
    /// Anything else that SQLite reports: a mistake of ours.
    #[error("the history refused a question")]
    Sqlite(#[source] rusqlite::Error),
}

fn pid_words(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
}

/// Whether a failure comes from the environment and may pass by itself: then rows are kept and tried again.
pub(crate) fn may_pass(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as C;
    matches!(
        error.sqlite_error_code(),
        Some(
            C::DiskFull
                | C::ReadOnly
                | C::SystemIoFailure
                | C::DatabaseBusy
                | C::DatabaseLocked
                | C::CannotOpen
                | C::PermissionDenied
                | C::OutOfMemory
                | C::FileLockingProtocolFailed
                | C::OperationAborted
                | C::OperationInterrupted
                | C::DatabaseCorrupt
                | C::NotADatabase
        )
    )
}

/// What a failure of the environment is in words that an operator understands.
pub(crate) fn in_words(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode as C;
    let words = match error.sqlite_error_code() {
        Some(C::DiskFull) => "the disk is full",
        Some(C::ReadOnly) => "the file or its folder is read-only",
        Some(C::SystemIoFailure) => "the disk reports an input/output error",
        Some(C::DatabaseBusy | C::DatabaseLocked) => "another program holds the file locked",
        Some(C::CannotOpen) => "the file cannot be opened",
        Some(C::PermissionDenied) => "access to the file is denied",
        Some(C::OutOfMemory) => "there is no memory",
        Some(C::DatabaseCorrupt | C::NotADatabase) => "the file is damaged",
        _ => return error.to_string(),
    };
    words.to_owned()
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as C;
        match error.sqlite_error_code() {
            Some(C::DatabaseCorrupt | C::NotADatabase) => Self::Damaged(error.to_string()),
            _ if may_pass(&error) => Self::Unavailable(in_words(&error)),
            _ => Self::Sqlite(error),
        }
    }
}
