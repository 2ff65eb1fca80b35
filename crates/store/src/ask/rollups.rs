//! Roll-ups with the time spent up and down, which follows from the status changes unless retention has frozen it.

use std::time::Duration;

use model::phase::Phases;
use model::time::UtcMs;
use rusqlite::{Connection, Statement};

use super::availability::{WITHIN, Walk, before, change};
use crate::error::StoreError;
use crate::rollup::{COLUMNS, Sum, begin, table};
use crate::types::{Resolution, Rollup};

/// The SQL for one roll-up by its key: the table is clustered by time, and the reader knows the times.
pub(crate) fn row_sql(resolution: Resolution) -> String {
    let frozen = if resolution == Resolution::Day { "up_ms, down_ms" } else { "NULL, NULL" };
    format!("SELECT {COLUMNS}, {frozen} FROM {} WHERE at = ?1 AND target = ?2", table(resolution))
}

/// The SQL for the times at which a table has rows at all, in a range.
pub(crate) fn edges_sql(resolution: Resolution) -> String {
    let table = table(resolution);
    format!(
        "SELECT (SELECT min(at) FROM {table} WHERE at >= ?1 AND at < ?2),
                (SELECT max(at) FROM {table} WHERE at >= ?1 AND at < ?2)"
    )
}

/// The SQL for all looks of all targets since the beginning of a day.
pub(crate) const LOOKS_SINCE: &str =
    "SELECT coalesce(sum(ok + warn), 0), coalesce(sum(fail), 0) FROM days WHERE at >= ?1";

/// Looks of all targets since the beginning of the day of `from`: those that did not fail, and those that did.
pub(crate) fn looks_since(db: &Connection, from: UtcMs) -> Result<(u64, u64), StoreError> {
    let first = begin(Resolution::Day, from.0);
    Ok(db.prepare_cached(LOOKS_SINCE)?.query_row([first], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Roll-ups that begin in `from..to`, oldest first: where there are too many, the newest.
pub(crate) fn of(
    db: &Connection,
    target: i64,
    resolution: Resolution,
    from: UtcMs,
    to: UtcMs,
    now: UtcMs,
) -> Result<Vec<Rollup>, StoreError> {
    let edges: (Option<i64>, Option<i64>) =
        db.prepare_cached(&edges_sql(resolution))?.query_row([from.0, to.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = edges else { return Ok(Vec::new()) };
    let length = resolution.millis();
    let most = super::MOST_ROWS as i64;
    let first = first.max(begin(resolution, last).saturating_sub((most - 1).saturating_mul(length)));
    let mut ask_changes = db.prepare_cached(WITHIN)?;
    let changes = ask_changes.query_map([target, first, last.saturating_add(length)], change)?;
    let mut walk = Walk::new(before(db, target, first)?, changes);
    let mut ask = db.prepare_cached(&row_sql(resolution))?;
    let mut rollups = Vec::new();
    let mut at = first;
    while at <= last {
        if let Some((sum, frozen)) = read(&mut ask, at, target)? {
            let end = at.saturating_add(length).min(now.0.max(at));
            let spent = walk.until(at, end)?;
            let (up, down) = frozen.unwrap_or((millis(spent.available), millis(spent.unavailable)));
            rollups.push(rollup(at, &sum, (up, down, end - at - up - down)));
        }
        at += length;
    }
    Ok(rollups)
}

type Found = Option<(Sum, Option<(i64, i64)>)>;

fn read(ask: &mut Statement<'_>, at: i64, target: i64) -> Result<Found, StoreError> {
    let mut rows = ask.query([at, target])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (up, down): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
    Ok(Some((Sum::read(row, 0)?, up.zip(down))))
}

fn rollup(at: i64, sum: &Sum, (up_ms, down_ms, unknown_ms): (i64, i64, i64)) -> Rollup {
    let mut phases = Phases::default();
    for phase in &sum.phases {
        phases.add(phase.phase, phase.mean());
    }
    let worked = sum.worked().max(1);
    Rollup {
        at: UtcMs(at),
        count: sum.worked() + sum.fail,
        ok: sum.ok,
        warn: sum.warn,
        fail: sum.fail,
        took_min: sum.took.map(|t| Duration::from_micros(t.min)),
        took_avg: sum.took.map(|t| Duration::from_micros(t.sum / worked)),
        took_max: sum.took.map(|t| Duration::from_micros(t.max)),
        phases,
        up_ms,
        down_ms,
        unknown_ms,
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
