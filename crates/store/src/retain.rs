//! Forgets what is older than the settings say. Owns the order and the size of the steps: each is one small transaction
//! between two batches, so that forgetting never keeps rows waiting. Never removes the status that the kept time begins with.

use std::time::Duration;

use model::status::Status;
use model::time::{Clock, Mono, UtcMs};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::apply::{DAY_MS, Memory};
use crate::ask::availability;
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
/// How long messages that were sent are kept: long enough to see on the page what people were told lately.
const KEEP_SENT: Duration = Duration::from_secs(7 * 86_400);
/// How long messages that were given up are kept for somebody to look at.
const KEEP_DEAD: Duration = Duration::from_secs(30 * 86_400);
/// Entries of a unit's timeline that are kept at most: one that fails again and again does not fill the disk.
const MOST_UNIT_CHANGES: i64 = 5_000;
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
    UnitChanges(i64),
    UnitSamples(i64),
    Units,
    Rollups(&'static str),
    Incidents,
    Alerts,
    Letters,
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
    sent: i64,
    dead: i64,
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
            sent: now.minus(KEEP_SENT).0,
            dead: now.minus(KEEP_DEAD).0,
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
    let mut work = vec![
        Task::Pages,
        Task::Units,
        Task::Targets,
        Task::Texts,
        Task::Audit,
        Task::Letters,
        Task::Alerts,
        Task::Incidents,
    ];
    let units: Vec<i64> = db
        .prepare_cached("SELECT uid FROM units ORDER BY uid")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    work.extend(units.iter().map(|u| Task::UnitChanges(*u)));
    work.extend(units.iter().map(|u| Task::UnitSamples(*u)));
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
        Task::UnitChanges(unit) => unit_changes(db, unit, cuts.changes),
        Task::UnitSamples(unit) => some(
            db.prepare_cached(
                "DELETE FROM unit_samples WHERE unit = ?1 AND at < ?2 AND at <=
                 (SELECT max(at) FROM (SELECT at FROM unit_samples WHERE unit = ?1 ORDER BY at LIMIT ?3))",
            )?
            .execute([unit, cuts.minutes, STEP_ROWS])?,
        ),
        Task::Units => some(
            db.prepare_cached(
                "DELETE FROM units WHERE uid IN (SELECT uid FROM units WHERE retired_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM unit_changes WHERE unit = uid)
                 AND NOT EXISTS (SELECT 1 FROM unit_samples WHERE unit = uid) LIMIT ?2)",
            )?
            .execute([cuts.changes, STEP_ROWS])?,
        ),
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
        Task::Alerts => some(
            db.prepare_cached(
                "DELETE FROM alerts WHERE row IN (SELECT row FROM alerts INDEXED BY alerts_by_time
                 WHERE began_at < ?1 AND ended_at < ?1 ORDER BY began_at LIMIT ?2)",
            )?
            .execute([cuts.changes, STEP_ROWS])?,
        ),
        Task::Letters => some(
            db.prepare_cached(
                "DELETE FROM outbox WHERE row IN (SELECT row FROM outbox INDEXED BY outbox_done
                 WHERE state > 0 AND ((state = 1 AND done_at < ?1) OR (state = 2 AND done_at < ?2)) LIMIT ?3)",
            )?
            .execute([cuts.sent, cuts.dead, STEP_ROWS])?,
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

/// What is too old, and what is more than is kept of one unit.
fn unit_changes(db: &Connection, unit: i64, cut: i64) -> rusqlite::Result<bool> {
    let beyond: Option<i64> = db
        .prepare_cached("SELECT at FROM unit_changes WHERE unit = ?1 ORDER BY at DESC, n DESC LIMIT 1 OFFSET ?2")?
        .query_row([unit, MOST_UNIT_CHANGES], |row| row.get(0))
        .optional()?;
    let cut = beyond.map_or(cut, |at| cut.max(at + 1));
    some(
        db.prepare_cached(
            "DELETE FROM unit_changes WHERE unit = ?1 AND at < ?2 AND at <=
             (SELECT max(at) FROM (SELECT at FROM unit_changes WHERE unit = ?1 ORDER BY at, n LIMIT ?3))",
        )?
        .execute([unit, cut, STEP_ROWS])?,
    )
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
    let mut ask = tx.prepare_cached("SELECT at, status FROM changes WHERE target = ?1 AND at < ?2 ORDER BY at, n")?;
    let mut walk = availability::Walk::new(Status::Unknown, ask.query_map([target, end], availability::change)?);
    let mut day = begin;
    while day < end {
        let spent = walk.until(day, day + DAY_MS)?;
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
             AND NOT EXISTS (SELECT 1 FROM alerts WHERE target = uid)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::observation::{Look, Observation};
    use model::status::StatusChange;
    use model::target::TargetId;
    use model::unit::board::UnitChange;
    use model::unit::{Cause, State};
    use model::verdict::{Grade, Verdict};

    use super::*;
    use crate::ask::rollups;
    use crate::connect;
    use crate::types::{Resolution, Write};
    use crate::units::UnitSample;

    /// Day 20,000 since 1970, at midnight: everything in these tests is counted in days from it.
    const DAY_ZERO: i64 = 20_000 * DAY_MS;

    struct Fixture {
        db: Connection,
        memory: Memory,
        _folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let (db, _) = connect::writer(&folder.path().join("h.db"), UtcMs(0)).unwrap();
        Fixture { db, memory: Memory::default(), _folder: folder }
    }

    impl Fixture {
        fn write(&mut self, writes: impl IntoIterator<Item = Write>) {
            let tx = self.db.transaction().unwrap();
            for write in writes {
                self.memory.apply(&tx, &write, UtcMs(DAY_ZERO)).unwrap();
            }
            self.memory.finish(&tx).unwrap();
            tx.commit().unwrap();
        }

        fn count(&self, sql: &str) -> i64 {
            self.db.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
        }

        /// Runs a whole pass as of `day`, step by step; how many steps it took.
        fn pass(&mut self, day: i64, keep_days: [u64; 5]) -> usize {
            let days = |n: usize| Duration::from_secs(keep_days[n] * 86_400);
            let keep = Settings {
                keep_observations: days(0),
                keep_minutes: days(1),
                keep_hours: days(2),
                keep_days: days(3),
                keep_changes: days(4),
                ..Settings::new("unused")
            };
            let mut retention = Retention { keep, began: (UtcMs(0), Mono::default()), work: Vec::new(), ended: None };
            let cuts = retention.cuts(UtcMs(DAY_ZERO + day * DAY_MS));
            let mut steps = 0;
            loop {
                retention.go_on(&mut self.db, &mut self.memory, cuts, &mut || false).unwrap();
                steps += 1;
                if retention.work.is_empty() {
                    return steps;
                }
                assert!(steps < 10_000, "it comes to an end: {:?}", retention.work.last());
            }
        }
    }

    fn id(text: &str) -> TargetId {
        TargetId::parse(text).unwrap()
    }

    fn look(target: &str, at: i64) -> Write {
        let seen = Observation {
            target: id(target),
            at: UtcMs(DAY_ZERO + at),
            took: Duration::from_millis(5),
            attempts: 1,
            look: Look::default(),
        };
        Write::Observation(Arc::new(seen), Arc::new(Verdict { grade: Grade::Pass, reasons: vec![] }), Status::Up)
    }

    fn change(target: &str, at: i64, to: Status) -> Write {
        let at = UtcMs(DAY_ZERO + at);
        Write::Change(id(target), StatusChange { from: Status::Unknown, to, at, reason: String::new() })
    }

    const HOUR_MS: i64 = 3_600_000;
    const LONG: u64 = 100_000;

    #[test]
    fn each_thing_goes_after_its_own_time_in_small_steps() {
        let mut f = fixture();
        // One look an hour for 100 days, of two targets.
        f.write((0..100 * 24).flat_map(|n| ["a", "b"].map(|t| look(t, n * HOUR_MS))));
        assert_eq!((f.count("observations"), f.count("minutes"), f.count("days")), (4800, 4800, 200));
        let steps = f.pass(100, [10, 20, 30, 40, LONG]);
        assert_eq!(f.count("observations"), 2 * 10 * 24);
        assert_eq!(f.count("minutes"), 2 * 20 * 24);
        assert_eq!(f.count("hours"), 2 * 30 * 24);
        assert_eq!(f.count("days"), 2 * 40);
        let rows = 2 * (90 + 80 + 70) * 24;
        assert!(steps as i64 >= rows / STEP_ROWS, "{steps} steps for {rows} rows are steps of bounded size");
        assert!(f.db.query_row("SELECT min(at) FROM observations", [], |r| r.get::<_, i64>(0)).unwrap() >= DAY_ZERO);
        let again = f.pass(100, [10, 20, 30, 40, LONG]);
        assert!(again < 20, "{again} steps when there is nothing to do");
    }

    #[test]
    fn changes_go_and_leave_the_status_and_the_days_behind() {
        let mut f = fixture();
        // Down for the first six hours of every second day; a look every hour; fifty quiet days at the end.
        let mut writes = vec![change("a", 0, Status::Up)];
        for day in 0..60 {
            if day % 2 == 0 && day < 10 {
                writes.push(change("a", day * DAY_MS, Status::Down));
                writes.push(change("a", day * DAY_MS + 6 * HOUR_MS, Status::Up));
            }
            writes.extend((0..24).map(|h| look("a", day * DAY_MS + h * HOUR_MS)));
        }
        f.write(writes);
        let now = UtcMs(DAY_ZERO + 60 * DAY_MS);
        let target = f.db.query_row("SELECT uid FROM targets", [], |row| row.get(0)).unwrap();
        let days = |f: &Fixture| {
            let (from, to) = (UtcMs(DAY_ZERO), now);
            rollups::of(&f.db, target, Resolution::Day, from, to, now).unwrap()
        };
        let before = days(&f);
        assert_eq!(before.len(), 60);
        assert_eq!((before[2].up_ms, before[2].down_ms), (18 * HOUR_MS, 6 * HOUR_MS));
        for keep in [57, 55, 30, 3] {
            f.pass(60, [LONG, LONG, LONG, LONG, keep]);
            assert_eq!(days(&f), before, "{keep} days of changes are kept");
        }
        assert_eq!(f.count("changes"), 1, "only the status that the kept time begins with");
        let spent = availability::of(&f.db, target, now.minus(Duration::from_secs(3 * 86_400)), now, now).unwrap();
        assert_eq!(spent.ratio(), Some(1.0));
    }

    #[test]
    fn a_retired_target_goes_when_its_last_trace_is_old() {
        let mut f = fixture();
        f.write([look("gone", 0), change("gone", 0, Status::Up), look("here", 0)]);
        f.write([Write::TargetRetired { id: id("gone"), at: UtcMs(DAY_ZERO + DAY_MS) }]);
        f.pass(5, [3, 3, 3, 10, 3]);
        assert_eq!(f.count("targets"), 2, "its days are still kept");
        f.pass(20, [3, 3, 3, 10, 3]);
        assert_eq!((f.count("targets"), f.count("changes"), f.count("readings")), (1, 0, 1));
        f.write([look("gone", 20 * DAY_MS)]);
        let uids: i64 = f.db.query_row("SELECT max(uid) FROM targets", [], |row| row.get(0)).unwrap();
        assert_eq!(uids, 3, "a number is never used again");
    }

    #[test]
    fn audit_incidents_and_texts() {
        let mut f = fixture();
        let incident = |opened: i64, closed: Option<i64>| model::incident::Incident {
            target: id("a"),
            opened_at: UtcMs(DAY_ZERO + opened * DAY_MS),
            closed_at: closed.map(|day| UtcMs(DAY_ZERO + day * DAY_MS)),
            worst: Status::Down,
            cause: String::new(),
        };
        f.write([(0, Some(1)), (2, Some(9)), (3, None)].map(|(o, c)| Write::IncidentOpened(incident(o, c))));
        for day in 0..10 {
            f.db.execute("INSERT INTO audit VALUES (NULL, ?1, '', '', '', '')", [DAY_ZERO + day * DAY_MS]).unwrap();
            f.db.execute("INSERT INTO texts VALUES (NULL, ?1, 20000 + ?1)", [day]).unwrap();
        }
        for (began, ended) in [(0, Some(1)), (2, Some(9)), (3, None)] {
            let at = |day: i64| DAY_ZERO + day * DAY_MS;
            let sql = "INSERT INTO alerts VALUES (NULL, 'a', 'down', NULL, 1, ?1, ?2, '', NULL, NULL, '')";
            f.db.execute(sql, params![at(began), ended.map(at)]).unwrap();
        }
        // Sent ones are kept for a week, dead ones for a month, waiting ones until they are something else.
        for (state, day) in [(0, None), (1, Some(2)), (1, Some(9)), (2, Some(2)), (2, Some(-21))] {
            let sql = "INSERT INTO outbox VALUES (NULL, 'mail', ?1, '', ?2, 0, 0, NULL, 0, ?3)";
            let done = day.map(|day: i64| DAY_ZERO + day * DAY_MS);
            f.db.execute(sql, params![format!("{state} {day:?}"), state, done]).unwrap();
        }
        f.pass(10, [5, LONG, LONG, LONG, 5]);
        assert_eq!((f.count("alerts"), f.count("outbox")), (2, 3));
        assert_eq!(f.count("outbox WHERE state = 1 AND done_at < 1728000000000 + 3 * 86400000"), 0);
        assert_eq!(f.count("incidents"), 2, "what is open or ended lately stays");
        assert_eq!((f.count("audit"), f.count("texts")), (5, 6));
    }

    #[test]
    fn units_go_when_nothing_of_them_is_kept_and_one_that_fails_for_ever_does_not_fill_the_disk() {
        let mut f = fixture();
        let change = |n: i64, reason: String| UnitChange {
            at: UtcMs(DAY_ZERO + n),
            state: State::BackingOff,
            cause: Cause::Exit,
            reason,
            actor: None,
            end: None,
        };
        let entry = |unit: &str, n: i64| Write::UnitChanged(id(unit), Arc::new(change(n, n.to_string())));
        let sample = |day: i64| UnitSample { at: UtcMs(DAY_ZERO + day * DAY_MS), ..UnitSample::default() };
        f.write((0..MOST_UNIT_CHANGES + 1_200).map(|n| entry("loops", n)));
        f.write((0..20).map(|day| entry("gone", day * DAY_MS)));
        f.write((0..20).map(|day| Write::UnitSample(id("gone"), sample(day))));
        f.write([Write::UnitRetired { id: id("gone"), at: UtcMs(DAY_ZERO + 19 * DAY_MS) }]);
        f.pass(20, [LONG, 5, LONG, LONG, 30]);
        assert_eq!(f.count("unit_changes WHERE unit = 1"), MOST_UNIT_CHANGES);
        assert_eq!(f.count("unit_changes WHERE reason = '6199'"), 1, "the newest stay");
        assert_eq!((f.count("unit_changes WHERE unit = 2"), f.count("unit_samples")), (20, 5));
        f.pass(60, [LONG, 5, LONG, LONG, 30]);
        assert_eq!((f.count("unit_changes"), f.count("unit_samples"), f.count("units WHERE id = 'loops'")), (0, 0, 1));
        assert_eq!(f.count("units"), 1, "what is in the file stays known");
    }
}
