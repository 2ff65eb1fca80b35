//! Questions to the history by name. Each is a function of a connection; each answer is bounded.

pub(crate) mod availability;
pub(crate) mod documents;
pub(crate) mod incidents;
pub(crate) mod observations;
pub(crate) mod restore;
pub(crate) mod rollups;

use model::target::TargetId;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::StoreError;

/// Most rows of one answer, whatever the caller asks for.
pub(crate) const MOST_ROWS: usize = 10_000;

/// What is asked for, within what is allowed, as SQLite wants it.
pub(crate) fn capped(limit: usize) -> i64 {
    limit.min(MOST_ROWS) as i64
}

/// The number of a target.
pub(crate) fn uid(db: &Connection, target: &TargetId) -> Result<i64, StoreError> {
    db.prepare_cached("SELECT uid FROM targets WHERE id = ?1")?
        .query_row([target.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::NoSuchTarget(target.to_string()))
}

/// The identity in a column; `None` for history whose identity was taken over by another target.
pub(crate) fn target_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TargetId>> {
    Ok(TargetId::parse(row.get_ref(column)?.as_str()?).ok())
}
