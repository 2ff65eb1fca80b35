//! Availability by time from status changes. Time that has not come yet counts as not counted.

use std::collections::BTreeMap;

use model::availability::{Availability, over};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use rusqlite::{Connection, OptionalExtension};

use crate::codes;
use crate::error::StoreError;

pub(crate) const BEFORE: &str =
    "SELECT status FROM changes WHERE target = ?1 AND at <= ?2 ORDER BY at DESC, n DESC LIMIT 1";
pub(crate) const WITHIN: &str =
    "SELECT at, status FROM changes WHERE target = ?1 AND at > ?2 AND at < ?3 ORDER BY at, n";

/// The status at `from` (unknown before the first change) and the changes after it and before `to`.
pub(crate) fn course(
    db: &Connection,
    target: i64,
    from: i64,
    to: i64,
) -> Result<(Status, Vec<(i64, Status)>), StoreError> {
    let before = db
        .prepare_cached(BEFORE)?
        .query_row([target, from], |row| codes::read(row, 0, codes::status_of))
        .optional()?
        .unwrap_or(Status::Unknown);
    let changes = db
        .prepare_cached(WITHIN)?
        .query_map([target, from, to], |row| Ok((row.get(0)?, codes::read(row, 1, codes::status_of)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok((before, changes))
}

/// How one target spent the window; what lies after `now` is not counted.
pub(crate) fn of(db: &Connection, target: i64, from: UtcMs, to: UtcMs, now: UtcMs) -> Result<Availability, StoreError> {
    let seen_to = to.min(now).max(from.min(to));
    let (before, changes) = course(db, target, from.0, seen_to.0)?;
    let changes: Vec<_> = changes.into_iter().map(|(at, status)| (UtcMs(at), status)).collect();
    let mut spent = over(from, seen_to, before, &changes);
    spent.uncounted += to.since(seen_to.max(from));
    Ok(spent)
}

/// How every known target spent the window.
pub(crate) fn of_all(
    db: &Connection,
    from: UtcMs,
    to: UtcMs,
    now: UtcMs,
) -> Result<BTreeMap<TargetId, Availability>, StoreError> {
    let targets: Vec<(i64, Option<TargetId>)> = db
        .prepare_cached("SELECT uid, id FROM targets")?
        .query_map([], |row| Ok((row.get(0)?, super::target_id(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    targets
        .into_iter()
        .filter_map(|(uid, id)| Some((uid, id?)))
        .map(|(uid, id)| Ok((id, of(db, uid, from, to, now)?)))
        .collect()
}

/// Walks along the changes of a target window by window, each change being looked at once.
pub(crate) struct Walk<'a> {
    status: Status,
    rest: &'a [(i64, Status)],
}

impl<'a> Walk<'a> {
    /// Begins with the status before the first change; `changes` are in order of time.
    pub(crate) fn new(before: Status, changes: &'a [(i64, Status)]) -> Self {
        Self { status: before, rest: changes }
    }

    /// How `from..to` was spent. The windows must come in order.
    pub(crate) fn until(&mut self, from: i64, to: i64) -> Availability {
        let split = |list: &[(i64, Status)], at: i64| list.partition_point(|(when, _)| *when <= at);
        let (past, rest) = self.rest.split_at(split(self.rest, from));
        self.status = past.last().map_or(self.status, |(_, status)| *status);
        let (within, rest) = rest.split_at(split(rest, to.saturating_sub(1)));
        let changes: Vec<_> = within.iter().map(|(at, status)| (UtcMs(*at), *status)).collect();
        let spent = over(UtcMs(from), UtcMs(to), self.status, &changes);
        self.status = within.last().map_or(self.status, |(_, status)| *status);
        self.rest = rest;
        spent
    }
}
