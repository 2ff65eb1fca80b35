//! Documents and the audit log.

use model::time::UtcMs;
use rusqlite::{Connection, OptionalExtension};

use crate::error::StoreError;
use crate::types::AuditRow;

/// One document.
pub(crate) fn get(db: &Connection, ns: &str, key: &str) -> Result<Option<String>, StoreError> {
    let mut ask = db.prepare_cached("SELECT value FROM documents WHERE ns = ?1 AND key = ?2")?;
    Ok(ask.query_row([ns, key], |row| row.get(0)).optional()?)
}

/// All documents of a name space, by key.
pub(crate) fn list(db: &Connection, ns: &str) -> Result<Vec<(String, String)>, StoreError> {
    let mut ask = db.prepare_cached("SELECT key, value FROM documents WHERE ns = ?1 ORDER BY key LIMIT ?2")?;
    let rows = ask.query_map((ns, super::MOST_ROWS as i64), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The audit log, newest first.
pub(crate) fn audit(db: &Connection, before: Option<i64>, limit: usize) -> Result<Vec<(i64, AuditRow)>, StoreError> {
    let mut ask = db.prepare_cached(
        "SELECT row, at, actor, action, subject, detail FROM audit WHERE row < ?1 ORDER BY row DESC LIMIT ?2",
    )?;
    let rows = ask.query_map([before.unwrap_or(i64::MAX), super::capped(limit)], |row| {
        let audit = AuditRow {
            at: UtcMs(row.get(1)?),
            actor: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            detail: row.get(5)?,
        };
        Ok((row.get(0)?, audit))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
