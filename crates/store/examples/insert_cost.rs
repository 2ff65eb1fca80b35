//! What writing and asking cost: time per row, bytes per row by table, and the questions that the dashboard asks.
//! Run it with `cargo run --release -p store --example insert_cost`. It measures; it asserts nothing.

use std::io::stdout;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::observation::{Look, Observation};
use model::phase::Phase;
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::{Clock, Mono, UtcMs};
use model::verdict::{Grade, Verdict};
use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};
use store::{Resolution, Settings, Store, Write};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TARGETS: u64 = 200;
const INTERVAL_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
const WAIT: Duration = Duration::from_secs(120);

struct RealClock;

impl Clock for RealClock {
    fn utc(&self) -> UtcMs {
        let t = clock_gettime(ClockId::Realtime);
        UtcMs(t.tv_sec * 1000 + t.tv_nsec / 1_000_000)
    }

    fn mono(&self) -> Mono {
        let t = clock_gettime(ClockId::Monotonic);
        Mono(Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0)))
    }
}

fn now() -> Duration {
    RealClock.mono().0
}

/// Processor time of this process, all threads.
fn spent() -> Duration {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

fn name(n: u64) -> TargetId {
    TargetId::from_name(&format!("camera-{n}"))
}

/// A look as an RTSP camera on a local network gives it: six phases, some milliseconds each.
fn look(target: u64, at: i64, seed: u64) -> Write {
    let mut look = Look::default();
    let mut took = Duration::ZERO;
    for (i, phase) in
        [Phase::Connect, Phase::Options, Phase::Describe, Phase::Setup, Phase::Play, Phase::Media].iter().enumerate()
    {
        let part = Duration::from_micros(300 + (seed.wrapping_mul(2_654_435_761) >> (i * 5)) % 9_000);
        took += part;
        look.phases.add(*phase, part);
    }
    let seen = Observation { target: name(target), at: UtcMs(at), took, attempts: 1, look };
    Write::Observation(Arc::new(seen), Arc::new(Verdict { grade: Grade::Pass, reasons: vec![] }), Status::Up)
}

/// Rows as they come: every target once per interval, spread over it.
fn feed(store: &Store, rows: u64, end: i64) -> Duration {
    let span = (rows / TARGETS) * INTERVAL_MS;
    let begin = now();
    for n in 0..rows {
        let at = (n / TARGETS) * INTERVAL_MS + (n % TARGETS) * INTERVAL_MS / TARGETS;
        store.record(look(n % TARGETS, end - span as i64 + at as i64, n));
        if n % 10_000 == 9_999 {
            store.flush(WAIT);
        }
    }
    store.flush(WAIT);
    now() - begin
}

fn inserts(out: &mut impl std::io::Write) -> Result<()> {
    for rows in [10_000, 100_000] {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("h.db");
        let (store, _) = Store::open(Settings::new(&path), Arc::new(RealClock))?;
        let cpu = spent();
        let took = feed(&store, rows, RealClock.utc().0);
        let cpu = (spent() - cpu).as_nanos() / u128::from(rows);
        writeln!(out, "{rows} rows with roll-ups: {} ms, {cpu} ns of processor time per row", took.as_millis())?;
        store.close(WAIT);
        if rows == 100_000 {
            sizes(out, &path)?;
        }
    }
    Ok(())
}

fn sizes(out: &mut impl std::io::Write, path: &Path) -> Result<()> {
    let db = Connection::open(path)?;
    let mut per_row = Vec::new();
    for table in ["observations", "minutes", "hours", "days"] {
        let bytes: f64 = db.query_row("SELECT sum(pgsize) FROM dbstat WHERE name = ?1", [table], |r| r.get(0))?;
        let rows: f64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))?;
        writeln!(out, "  {table}: {:.1} bytes per row ({rows} rows)", bytes / rows)?;
        per_row.push(bytes / rows);
    }
    let per_day = (TARGETS * DAY_MS / INTERVAL_MS) as f64;
    let hours = (TARGETS * 24) as f64;
    let bytes = 7.0 * per_day * per_row[0]
        + 30.0 * per_day * per_row[1]
        + 90.0 * hours * per_row[2]
        + 90.0 * TARGETS as f64 * per_row[3];
    writeln!(out, "  {TARGETS} targets at 60 s, default times, after 90 days: {:.0} MB", bytes / 1e6)?;
    Ok(())
}

/// Why observations are clustered by target and time: the other shape, a plain table with an index, side by side.
fn shapes(out: &mut impl std::io::Write) -> Result<()> {
    const COLUMNS: &str = "target INTEGER NOT NULL, at INTEGER NOT NULL, took_us INTEGER NOT NULL, attempts INTEGER,
        grade INTEGER, status INTEGER, fault INTEGER, phase INTEGER, reason ANY, phases BLOB";
    for (what, shape) in [
        (
            "clustered by (target, at)",
            format!("CREATE TABLE o ({COLUMNS}, PRIMARY KEY (target, at)) STRICT, WITHOUT ROWID"),
        ),
        ("plain with an index", format!("CREATE TABLE o ({COLUMNS}) STRICT; CREATE UNIQUE INDEX i ON o (target, at)")),
    ] {
        let folder = tempfile::tempdir()?;
        let mut db = Connection::open(folder.path().join("h.db"))?;
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")?;
        db.execute_batch(&shape)?;
        let begin = now();
        let rows = 400_000_u64;
        for batch in 0..rows / 200 {
            let tx = db.transaction()?;
            for n in batch * 200..(batch + 1) * 200 {
                let at = 1_763_380_800_000 + (n / TARGETS) * INTERVAL_MS + n % TARGETS;
                tx.prepare_cached("INSERT INTO o VALUES (?1, ?2, ?3, 1, 0, 0, NULL, NULL, NULL, ?4)")?.execute((
                    n % TARGETS,
                    at,
                    20_000 + n % 9_000,
                    [7_u8; 18],
                ))?;
            }
            tx.commit()?;
        }
        let took = now() - begin;
        let begin = now();
        for target in 0..TARGETS {
            let sql = "SELECT count(took_us), sum(length(phases)) FROM (SELECT * FROM o WHERE target = ?1 ORDER BY at DESC LIMIT 1000)";
            db.prepare_cached(sql)?.query_row([target], |_| Ok(()))?;
        }
        let asked = (now() - begin) / u32::try_from(TARGETS)?;
        let bytes: f64 = db.query_row("SELECT sum(pgsize) FROM dbstat", [], |r| r.get(0))?;
        writeln!(
            out,
            "{what}: {} ns per row, {:.1} bytes per row, {} us for the newest 1000 of a target",
            took.as_nanos() / u128::from(rows),
            bytes / rows as f64,
            asked.as_micros()
        )?;
    }
    Ok(())
}

fn questions(out: &mut impl std::io::Write) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("h.db");
    let (store, _) = Store::open(Settings::new(&path), Arc::new(RealClock))?;
    let end = RealClock.utc().0;
    let month = 30 * DAY_MS as i64;
    for target in 0..2_000 {
        for n in 0..10 {
            let to = if n % 2 == 0 { Status::Up } else { Status::Down };
            let at = UtcMs(end - month + n * month / 10 + target as i64);
            let change = StatusChange { from: Status::Unknown, to, at, reason: "refused (connect)".into() };
            store.record(Write::Change(name(target), change));
        }
        for n in 0..60 {
            store.record(look(target, end - 3_600_000 + n * 10_000, target));
        }
        store.flush(WAIT);
    }
    let mut timed = |what: &str, ask: &dyn Fn() -> Result<usize>| -> Result<()> {
        ask()?;
        let (begin, cpu) = (now(), spent());
        let rows = ask()?;
        let (took, cpu) = ((now() - begin).as_secs_f64() * 1e3, (spent() - cpu).as_secs_f64() * 1e3);
        writeln!(out, "{what}: {took:.1} ms, {cpu:.1} ms of processor time ({rows} rows)")?;
        Ok(())
    };
    let (from, to) = (UtcMs(end - month), UtcMs(end));
    timed("availability of 2,000 targets over 30 days", &|| Ok(store.availability_all(from, to)?.len()))?;
    timed("restore of 2,000 targets with 60 beats each", &|| Ok(store.restore()?.len()))?;
    drop(store);

    let (store, _) = Store::open(Settings::new(folder.path().join("r.db")), Arc::new(RealClock))?;
    feed(&store, 300 * 24 * 60, end);
    for (what, resolution, days) in
        [("minutes of a day", Resolution::Minute, 1), ("hours of a year", Resolution::Hour, 365)]
    {
        let from = UtcMs(end - days * DAY_MS as i64);
        timed(what, &|| Ok(store.rollups(&name(7), resolution, from, to)?.len()))?;
    }
    timed("newest 500 observations", &|| Ok(store.observations(&name(7), UtcMs(0), to, None, 500, true)?.len()))?;
    Ok(())
}

fn main() -> Result<()> {
    let mut out = stdout().lock();
    inserts(&mut out)?;
    shapes(&mut out)?;
    questions(&mut out)
}
