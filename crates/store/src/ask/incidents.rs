//! Incidents and status changes of a range, newest first.

use model::incident::Incident;
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::UtcMs;
use rusqlite::{Connection, Row, params};

use crate::codes;
use crate::error::StoreError;
use crate::types::{IncidentRow, StatusChangeRow};

/// The SQL of a page of incidents: from, to, cursor, limit, and the target where one is asked for.
pub(crate) fn page_sql(of_one: bool) -> String {
    let one = if of_one { "i.target = ?5 AND" } else { "" };
    format!(
        "SELECT i.row, t.id, i.opened_at, i.closed_at, i.worst, i.cause, t.name
         FROM incidents i JOIN targets t ON t.uid = i.target
         WHERE {one} i.opened_at < ?2 AND (i.closed_at IS NULL OR i.closed_at > ?1 OR i.opened_at >= ?1)
         AND (i.opened_at, i.row) < (coalesce((SELECT opened_at FROM incidents WHERE row = ?3), ?2), ?3)
         ORDER BY i.opened_at DESC, i.row DESC LIMIT ?4"
    )
}

/// Incidents that touch `from..to`. The cursor is the row where the page before ended.
pub(crate) fn page(
    db: &Connection,
    target: Option<i64>,
    from: UtcMs,
    to: UtcMs,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<IncidentRow>, StoreError> {
    let mut ask = db.prepare_cached(&page_sql(target.is_some()))?;
    let (cursor, limit) = (before.unwrap_or(i64::MAX), super::capped(limit));
    let rows: Vec<_> = match target {
        Some(uid) => ask.query_map(params![from.0, to.0, cursor, limit, uid], row)?.collect::<rusqlite::Result<_>>()?,
        None => ask.query_map(params![from.0, to.0, cursor, limit], row)?.collect::<rusqlite::Result<_>>()?,
    };
    Ok(rows.into_iter().flatten().collect())
}

fn row(row: &Row<'_>) -> rusqlite::Result<Option<IncidentRow>> {
    let Some(target) = super::target_id(row, 1)? else { return Ok(None) };
    let incident = read(row, 2, target)?;
    Ok(Some(IncidentRow { row: row.get(0)?, name: row.get(6)?, incident }))
}

/// Reads opened_at, closed_at, worst, cause.
pub(crate) fn read(row: &Row<'_>, first: usize, target: TargetId) -> rusqlite::Result<Incident> {
    Ok(Incident {
        target,
        opened_at: UtcMs(row.get(first)?),
        closed_at: row.get::<_, Option<i64>>(first + 1)?.map(UtcMs),
        worst: codes::read(row, first + 2, codes::status_of)?,
        cause: row.get(first + 3)?,
    })
}

/// The SQL of the changes: target, from, to, limit. One more than asked for: the change before tells the status before.
pub(crate) const CHANGES: &str = "SELECT at, status, reason FROM changes WHERE target = ?1 AND at < ?3
    ORDER BY at DESC, n DESC LIMIT ?4 + 1";

/// Status changes of one target in `from..to`, newest first.
pub(crate) fn changes(
    db: &Connection,
    target: i64,
    id: &TargetId,
    from: UtcMs,
    to: UtcMs,
    limit: usize,
) -> Result<Vec<StatusChangeRow>, StoreError> {
    let mut ask = db.prepare_cached(CHANGES)?;
    let mut rows = ask.query([target, from.0, to.0, super::capped(limit)])?;
    let mut found: Vec<StatusChangeRow> = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, to): (i64, Status) = (row.get(0)?, codes::read(row, 1, codes::status_of)?);
        if let Some(newer) = found.last_mut() {
            newer.change.from = to;
        }
        if at < from.0 || found.len() >= limit.min(super::MOST_ROWS) {
            break;
        }
        let change = StatusChange { from: Status::Unknown, to, at: UtcMs(at), reason: row.get(2)? };
        found.push(StatusChangeRow { target: id.clone(), change });
    }
    Ok(found)
}
