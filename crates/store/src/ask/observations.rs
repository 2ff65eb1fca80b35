//! Single observations: pages of one target, and everything as a stream.

use std::time::Duration;

use model::target::TargetId;
use model::time::UtcMs;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::codes;
use crate::error::StoreError;
use crate::types::ObservationRow;

const COLUMNS: &str = "at, took_us, attempts, grade, status, fault, phase,
    CASE typeof(reason) WHEN 'integer' THEN (SELECT text FROM texts WHERE id = reason) ELSE reason END, phases";

/// The SQL of a page: target, from, to, cursor, limit.
pub(crate) fn page_sql(newest_first: bool) -> String {
    // The cursor is the time of the row where the page before ended.
    let (past, order) = if newest_first { ("at < ?4", "DESC") } else { ("at > ?4", "ASC") };
    format!(
        "SELECT {COLUMNS} FROM observations WHERE target = ?1 AND at >= ?2 AND at < ?3 AND {past}
         ORDER BY at {order} LIMIT ?5"
    )
}

/// What is asked of one target.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: UtcMs,
    pub(crate) to: UtcMs,
    pub(crate) after: Option<i64>,
    pub(crate) limit: usize,
    pub(crate) newest_first: bool,
}

/// One page.
pub(crate) fn page(
    db: &Connection,
    target: i64,
    id: &TargetId,
    range: Range,
) -> Result<Vec<ObservationRow>, StoreError> {
    let cursor = range.after.unwrap_or(if range.newest_first { i64::MAX } else { i64::MIN });
    let limit = super::capped(range.limit);
    let mut ask = db.prepare_cached(&page_sql(range.newest_first))?;
    let rows = ask.query_map([target, range.from.0, range.to.0, cursor, limit], |row| read(row, id))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Targets to export: number and identity, in order of identity.
pub(crate) fn targets(db: &Connection, only: Option<&TargetId>) -> Result<Vec<(i64, TargetId)>, StoreError> {
    if let Some(id) = only {
        return Ok(vec![(super::uid(db, id)?, id.clone())]);
    }
    let mut ask = db.prepare_cached("SELECT uid, id FROM targets ORDER BY id")?;
    let rows = ask.query_map([], |row| Ok((row.get(0)?, super::target_id(row, 1)?)))?;
    let all: Vec<(i64, Option<TargetId>)> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(all.into_iter().filter_map(|(uid, id)| Some((uid, id?))).collect())
}

fn read(row: &Row<'_>, target: &TargetId) -> rusqlite::Result<ObservationRow> {
    let at: i64 = row.get(0)?;
    let fault = codes::read_opt(row, 5, codes::fault_of)?;
    let phase = codes::read_opt(row, 6, codes::phase_of)?;
    let reason = match row.get_ref(7)? {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    Ok(ObservationRow {
        row: at,
        target: target.clone(),
        at: UtcMs(at),
        took: Duration::from_micros(row.get(1)?),
        attempts: row.get(2)?,
        grade: codes::read(row, 3, codes::grade_of)?,
        status: codes::read(row, 4, codes::status_of)?,
        fault: fault.zip(phase),
        reason,
        phases: row.get_ref(8)?.as_blob_or_null()?.map(codes::unpack_phases).unwrap_or_default(),
    })
}
