//! Questions to an SQLite file that belongs to another program. Owns that such a file is only read, that a question is one SELECT,
//! and that it ends: bounded in time, rows and memory. Knows nothing of what is asked, and never touches the history.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::time::Clock;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use crate::error::in_words;

/// How long a lock of the file's owner is waited for: its writes take milliseconds, and the next question comes soon.
const BUSY: Duration = Duration::from_millis(250);
/// Instructions of SQLite's machine from one look at the clock to the next: a fraction of a millisecond.
const STEPS: i32 = 1_000;
/// Largest text or blob that is made or read, in bytes: names of states, numbers.
const MAX_VALUE_BYTES: i32 = 64 * 1024;
/// Longest question, in bytes.
const MAX_SQL_BYTES: i32 = 16 * 1024;
/// Page cache in KiB: answers are small, and a file of gigabytes passes through it.
const CACHE_KIB: i64 = 1024;
/// Columns of an answer that are read.
const MAX_COLUMNS: usize = 8;

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Another number; never infinite.
    Real(f64),
    /// A text; of bytes that are none, what can be read.
    Text(String),
}

/// Why there is no answer. Texts are for people; none shows a value of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// It is not there, is no file, or may not be read.
    #[error("{0}")]
    NoFile(String),
    /// Another program holds it locked. Passes by itself.
    #[error("another program holds the file locked")]
    Locked,
    /// It took longer than it may.
    #[error("the question takes longer than {} ms", .0.as_millis())]
    TooLong(Duration),
    /// The answer has more rows than are wanted.
    #[error("the answer has more than {0} rows")]
    TooMany(usize),
    /// The text is no question, or more than one.
    #[error("{0}")]
    NoQuestion(String),
    /// The file does not have what is asked for, is damaged, or no database.
    #[error("{0}")]
    Refused(String),
}

/// An open file.
pub struct Foreign {
    db: Connection,
    limit: Duration,
    late: Arc<AtomicBool>,
}

impl Foreign {
    /// Opens a file for questions that take `limit` together. Blocks while its owner holds it locked, for a quarter of a second.
    ///
    /// # Errors
    /// No such file.
    pub fn open(path: &Path, limit: Duration, clock: Arc<dyn Clock>) -> Result<Self, ForeignError> {
        let shown = path.display();
        // A pipe would be waited for, and a missing file should be called so.
        match path.metadata() {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => return Err(ForeignError::NoFile(format!("{shown} is no file"))),
            Err(error) => return Err(ForeignError::NoFile(format!("{shown} cannot be read: {error}"))),
        }
        let late = Arc::new(AtomicBool::new(false));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags).map_err(|error| meaning(&error))?;
        confine(&mut db).map_err(|error| meaning(&error))?;
        let (end, flag) = (clock.mono().0 + limit, Arc::clone(&late));
        let watch = move || {
            let over = clock.mono().0 >= end;
            flag.fetch_or(over, Ordering::Relaxed);
            over
        };
        db.progress_handler(STEPS, Some(watch)).map_err(|error| meaning(&error))?;
        Ok(Self { db, limit, late })
    }

    /// Asks one SELECT and answers its rows, `most` at most.
    ///
    /// # Errors
    /// See [`ForeignError`].
    pub fn rows(&self, sql: &str, most: usize) -> Result<Vec<Vec<Cell>>, ForeignError> {
        let words = |error: Error| self.words(&error);
        let mut statement = self.db.prepare(sql).map_err(words)?;
        let columns = statement.column_count().min(MAX_COLUMNS);
        if columns == 0 || !statement.readonly() {
            return Err(ForeignError::NoQuestion("only a SELECT may be asked".to_owned()));
        }
        let mut rows = statement.query([]).map_err(words)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(words)? {
            if all.len() == most {
                return Err(ForeignError::TooMany(most));
            }
            let cells = (0..columns).map(|column| row.get_ref(column).map(cell)).collect::<Result<Vec<_>, _>>();
            all.push(cells.map_err(words)?);
        }
        Ok(all)
    }

    fn words(&self, error: &Error) -> ForeignError {
        if self.late.load(Ordering::Relaxed) { ForeignError::TooLong(self.limit) } else { meaning(error) }
    }
}

fn meaning(error: &Error) -> ForeignError {
    match (error, error.sqlite_error_code()) {
        (Error::MultipleStatement, _) => ForeignError::NoQuestion("only one statement may be asked".to_owned()),
        (_, Some(ErrorCode::AuthorizationForStatementDenied)) => {
            ForeignError::NoQuestion("only a SELECT may be asked".to_owned())
        }
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => ForeignError::Locked,
        (_, Some(ErrorCode::NotADatabase)) => ForeignError::Refused("the file is no SQLite database".to_owned()),
        // In write-ahead mode even a reader needs the small files beside it.
        (_, Some(ErrorCode::CannotOpen)) => ForeignError::NoFile(
            "the file cannot be opened: it may not be read, or it is in WAL mode and its -shm file cannot be made"
                .to_owned(),
        ),
        (_, Some(ErrorCode::TooBig)) => {
            ForeignError::Refused(format!("a value is larger than {} KiB", MAX_VALUE_BYTES / 1024))
        }
        // `no such table: x` is SQLite's own, and says all.
        (Error::SqliteFailure(_, Some(words)), Some(ErrorCode::Unknown)) => ForeignError::Refused(words.clone()),
        (Error::SqlInputError { msg, .. }, _) => ForeignError::Refused(msg.clone()),
        _ => ForeignError::Refused(in_words(error)),
    }
}

/// What a question may do: read, by functions, in loops.
fn confine(db: &mut Connection) -> Result<(), Error> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Views of the file call no function that does more than compute.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    db.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }))
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) if number.is_finite() => Cell::Real(number),
        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
        ValueRef::Text(text) | ValueRef::Blob(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
