//! Availability by time from status changes. Time that has not come yet counts as not counted.

use std::collections::BTreeMap;
use std::iter::Peekable;

use model::availability::{Availability, over};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::codes;
use crate::error::StoreError;

pub(crate) const BEFORE: &str =
    "SELECT status FROM changes WHERE target = ?1 AND at <= ?2 ORDER BY at DESC, n DESC LIMIT 1";
pub(crate) const WITHIN: &str =
    "SELECT at, status FROM changes WHERE target = ?1 AND at > ?2 AND at < ?3 ORDER BY at, n";

/// The status at `from`; unknown before the first change.
pub(crate) fn before(db: &Connection, target: i64, from: i64) -> rusqlite::Result<Status> {
    let status = db.prepare_cached(BEFORE)?.query_row([target, from], |row| codes::read(row, 0, codes::status_of));
    Ok(status.optional()?.unwrap_or(Status::Unknown))
}

/// One row of [`WITHIN`].
pub(crate) fn change(row: &Row<'_>) -> rusqlite::Result<(i64, Status)> {
    Ok((row.get(0)?, codes::read(row, 1, codes::status_of)?))
}

/// How one target spent the window; what lies after `now` is not counted.
pub(crate) fn of(db: &Connection, target: i64, from: UtcMs, to: UtcMs, now: UtcMs) -> Result<Availability, StoreError> {
    let seen_to = to.min(now).max(from.min(to));
    let mut ask = db.prepare_cached(WITHIN)?;
    let changes = ask.query_map([target, from.0, seen_to.0], change)?;
    let mut spent = Walk::new(before(db, target, from.0)?, changes).until(from.0, seen_to.0)?;
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

/// Walks along the changes of a target window by window: each is read once, and none is kept.
pub(crate) struct Walk<I: Iterator<Item = rusqlite::Result<(i64, Status)>>> {
    status: Status,
    changes: Peekable<I>,
}

impl<I: Iterator<Item = rusqlite::Result<(i64, Status)>>> Walk<I> {
    /// Begins with the status before the first change; `changes` are in order of time.
    pub(crate) fn new(before: Status, changes: I) -> Self {
        Self { status: before, changes: changes.peekable() }
    }

    /// How `from..to` was spent. The windows must come in order.
    pub(crate) fn until(&mut self, from: i64, to: i64) -> rusqlite::Result<Availability> {
        let mut spent = Availability::default();
        let mut at = from;
        while let Some(change) = self.changes.next_if(|next| next.as_ref().map_or(true, |(when, _)| *when < to)) {
            let (when, status) = change?;
            self.spend(&mut spent, at, when.max(at));
            (at, self.status) = (when.max(at), status);
        }
        self.spend(&mut spent, at, to);
        Ok(spent)
    }

    fn spend(&self, sum: &mut Availability, from: i64, to: i64) {
        let part = over(UtcMs(from), UtcMs(to), self.status, &[]);
        sum.available += part.available;
        sum.unavailable += part.unavailable;
        sum.uncounted += part.uncounted;
    }
}
