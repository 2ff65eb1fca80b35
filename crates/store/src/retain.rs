//! Forgets what is older than the settings say. Owns the order and the size of the steps: each is one small transaction
//! between two batches, so that forgetting never keeps rows waiting. Never removes the status that the kept time begins with.

use std::time::Duration;

use model::status::Status;
use model::time::{Clock, Mono, UtcMs};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::apply::{DAY_MS, Memory};
use crate::ask::availability;
use crate::codes;
use crate::types::Settings;

/// Time that one round between two batches may take; it is left after the step that passes it.
const BUDGET: Duration = Duration::from_millis(50);
/// Rows removed by one step.
const STEP_ROWS: i64 = 500;
/// From the end of one pass over everything to the beginning of the next.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// Pages given back to the disk by one step.
const STEP_PAGES: i64 = 200;
/// Free pages that are worth giving back: below it they are used again soon.
const FREE_PAGES: i64 = 1_000;
/// A wall clock that runs this much ahead of the monotonic one has jumped: nothing is forgotten on its word.
const JUMP: Duration = Duration::from_secs(86_400);

/// Where the pass stands.
#[derive(Debug)]
pub(crate) struct Retention {
    keep: Settings,
    began: (UtcMs, Mono),
    work: Vec<Task>,
    ended: Option<Mono>,
}

/// One kind of forgetting; it is repeated until nothing is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Observations(i64),
    Changes(i64),
    Rollups(&'static str),
    Incidents,
    Audit,
    Texts,
    Targets,
    Pages,
}

/// Until when each thing is forgotten, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Cuts {
    observations: i64,
    minutes: i64,
    hours: i64,
    days: i64,
    changes: i64,
}

impl Retention {
    pub(crate) fn new(settings: &Settings, clock: &dyn Clock) -> Self {
        Self { keep: settings.clone(), began: (clock.utc(), clock.mono()), work: Vec::new(), ended: None }
    }

    /// Goes on with the pass for at most [`BUDGET`]. A failure ends the pass; the next one tries again.
    pub(crate) fn tick(&mut self, db: &mut Connection, memory: &mut Memory, clock: &dyn Clock) {
        let start = clock.mono();
        let elapsed = |since: Mono| clock.mono().0.saturating_sub(since.0);
        if self.work.is_empty() && self.ended.is_some_and(|at| elapsed(at) < PASS_EVERY) {
            return;
        }
        let trusted = self.began.0.plus(elapsed(self.began.1)).plus(JUMP);
        let cuts = self.cuts(clock.utc().min(trusted));
        let result = self.go_on(db, memory, cuts, &mut || elapsed(start) < BUDGET);
        if let Err(error) = result {
            tracing::warn!(%error, "retention is put off");
            self.work.clear();
        }
        if self.work.is_empty() {
            self.ended = Some(clock.mono());
        }
    }

    fn cuts(&self, now: UtcMs) -> Cuts {
        Cuts {
            observations: now.minus(self.keep.keep_observations).0,
            minutes: now.minus(self.keep.keep_minutes).0,
            hours: now.minus(self.keep.keep_hours).0,
            days: now.minus(self.keep.keep_days).0,
            changes: now.minus(self.keep.keep_changes).0,
        }
    }

    fn go_on(
        &mut self,
        db: &mut Connection,
        memory: &mut Memory,
        cuts: Cuts,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> rusqlite::Result<()> {
        if self.work.is_empty() {
            self.work = plan(db)?;
        }
        while let Some(task) = self.work.last().copied() {
            if !step(db, memory, task, cuts)? {
                self.work.pop();
            }
            if !may_go_on() {
                break;
            }
        }
        Ok(())
    }
}

/// Everything there is to do, last first.
fn plan(db: &Connection) -> rusqlite::Result<Vec<Task>> {
    let targets: Vec<i64> = db
        .prepare_cached("SELECT uid FROM targets ORDER BY uid")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut work = vec![Task::Pages, Task::Targets, Task::Texts, Task::Audit, Task::Incidents];
    work.extend(["days", "hours", "minutes"].map(Task::Rollups));
    work.extend(targets.iter().map(|t| Task::Changes(*t)));
    work.extend(targets.iter().map(|t| Task::Observations(*t)));
    Ok(work)
}

/// One small transaction. Whether there may be more of the same.
fn step(db: &mut Connection, memory: &mut Memory, task: Task, cuts: Cuts) -> rusqlite::Result<bool> {
    match task {
        Task::Observations(target) => observations(db, target, cuts.observations),
        Task::Changes(target) => {
            if !has_old_changes(db, target, day_begin(cuts.changes))? {
                return Ok(false);
            }
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let more = changes(&tx, target, day_begin(cuts.changes))?;
            tx.commit()?;
            Ok(more)
        }
        Task::Rollups(table @ "minutes") => rollups(db, table, cuts.minutes),
        Task::Rollups(table @ "hours") => rollups(db, table, cuts.hours),
        Task::Rollups(table) => rollups(db, table, cuts.days),
        Task::Incidents => some(
            db.prepare_cached(
                "DELETE FROM incidents WHERE row IN (SELECT row FROM incidents INDEXED BY incidents_by_time
                 WHERE opened_at < ?1 AND closed_at < ?1 ORDER BY opened_at LIMIT ?2)",
            )?
            .execute([cuts.changes, STEP_ROWS])?,
        ),
        Task::Audit => some(
            // Only the oldest rows are looked at: they were appended in order.
            db.prepare_cached(
                "DELETE FROM audit WHERE at < ?1 AND row IN (SELECT row FROM audit ORDER BY row LIMIT ?2)",
            )?
            .execute([cuts.changes, STEP_ROWS])?,
        ),
        Task::Texts => {
            // One day more than the rows: used_on is the day of the newest row that uses it.
            let day = cuts.observations.div_euclid(DAY_MS) - 1;
            let gone = db.prepare_cached("DELETE FROM texts WHERE used_on < ?1")?.execute([day])?;
            if gone > 0 {
                memory.forget_texts();
            }
            Ok(false)
        }
        Task::Targets => targets(db, memory, cuts),
        Task::Pages => pages(db),
    }
}

fn some(rows: usize) -> rusqlite::Result<bool> {
    Ok(rows as i64 >= STEP_ROWS)
}

fn observations(db: &Connection, target: i64, cut: i64) -> rusqlite::Result<bool> {
    let edge: Option<i64> = db
        .prepare_cached("SELECT at FROM observations WHERE target = ?1 AND at < ?2 ORDER BY at LIMIT 1 OFFSET ?3")?
        .query_row([target, cut, STEP_ROWS], |row| row.get(0))
        .optional()?;
    let end = edge.unwrap_or(cut);
    let nothing = edge.is_none()
        && db
            .prepare_cached("SELECT 1 FROM observations WHERE target = ?1 AND at < ?2 LIMIT 1")?
            .query_row([target, cut], |_| Ok(()))
            .optional()?
            .is_none();
    if nothing {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM observations WHERE target = ?1 AND at < ?2")?.execute([target, end])?;
    Ok(edge.is_some())
}

fn rollups(db: &Connection, table: &str, cut: i64) -> rusqlite::Result<bool> {
    let edge: Option<(i64, i64)> = db
        .prepare_cached(&format!("SELECT at, target FROM {table} WHERE at < ?1 ORDER BY at, target LIMIT 1 OFFSET ?2"))?
        .query_row([cut, STEP_ROWS], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match edge {
        Some((at, target)) => {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE (at, target) < (?1, ?2)"))?.execute([at, target])?;
            Ok(true)
        }
        None => {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE at < ?1"))?.execute([cut])?;
            Ok(false)
        }
    }
}

fn day_begin(at: i64) -> i64 {
    at - at.rem_euclid(DAY_MS)
}

/// Whether more than the one change that must stay is older than `cut`.
fn has_old_changes(db: &Connection, target: i64, cut: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM changes WHERE target = ?1 AND at < ?2 ORDER BY at DESC, n DESC LIMIT 1 OFFSET 1";
    Ok(db.prepare_cached(sql)?.query_row([target, cut], |_| Ok(())).optional()?.is_some())
}

/// Freezes the days up to the one in which the second change lies, then removes the changes before their end, all but
/// the newest. To be called while there are two changes before `cut`, which is the beginning of a day.
fn changes(tx: &Transaction<'_>, target: i64, cut: i64) -> rusqlite::Result<bool> {
    let nth = |n: i64| -> rusqlite::Result<i64> {
        tx.prepare_cached("SELECT at FROM changes WHERE target = ?1 ORDER BY at, n LIMIT 1 OFFSET ?2")?
            .query_row([target, n], |row| row.get(0))
    };
    let begin = day_begin(nth(0)?);
    let end = cut.min(day_begin(nth(1)?).saturating_add(DAY_MS));
    let found: Vec<(i64, Status)> = tx
        .prepare_cached("SELECT at, status FROM changes WHERE target = ?1 AND at < ?2 ORDER BY at, n")?
        .query_map([target, end], |row| Ok((row.get(0)?, codes::read(row, 1, codes::status_of)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut walk = availability::Walk::new(Status::Unknown, &found);
    let mut day = begin;
    while day < end {
        let spent = walk.until(day, day + DAY_MS);
        tx.prepare_cached("UPDATE days SET up_ms = ?3, down_ms = ?4 WHERE at = ?1 AND target = ?2 AND up_ms IS NULL")?
            .execute([day, target, millis(spent.available), millis(spent.unavailable)])?;
        day += DAY_MS;
    }
    tx.prepare_cached(
        "DELETE FROM changes WHERE target = ?1 AND (at, n) <
         (SELECT at, n FROM changes WHERE target = ?1 AND at < ?2 ORDER BY at DESC, n DESC LIMIT 1)",
    )?
    .execute([target, end])?;
    has_old_changes(tx, target, cut)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Targets that were retired before everything that is kept began: of them only a last status may be left.
fn targets(db: &mut Connection, memory: &mut Memory, cuts: Cuts) -> rusqlite::Result<bool> {
    let cut = cuts.observations.min(cuts.minutes).min(cuts.hours).min(cuts.days).min(cuts.changes);
    let gone: Option<i64> = db
        .prepare_cached(
            "SELECT uid FROM targets WHERE retired_at < ?1
             AND NOT EXISTS (SELECT 1 FROM observations WHERE target = uid)
             AND NOT EXISTS (SELECT 1 FROM incidents WHERE target = uid)
             AND NOT EXISTS (SELECT 1 FROM changes WHERE target = uid AND at >= ?1) LIMIT 1",
        )?
        .query_row([cut], |row| row.get(0))
        .optional()?;
    let Some(target) = gone else { return Ok(false) };
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for sql in [
        "DELETE FROM readings WHERE target = ?1",
        "DELETE FROM changes WHERE target = ?1",
        "DELETE FROM targets WHERE uid = ?1",
    ] {
        tx.execute(sql, params![target])?;
    }
    tx.commit()?;
    memory.forget_targets();
    Ok(true)
}

fn pages(db: &Connection) -> rusqlite::Result<bool> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (free, all) = (number("PRAGMA freelist_count")?, number("PRAGMA page_count")?);
    if free < FREE_PAGES || free < all / 10 {
        return Ok(false);
    }
    // Each row that this statement yields is a page given back.
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}
