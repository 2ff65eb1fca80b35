//! Units in the file: what is wanted of them, their timelines, and what they used by the minute. Owns their rows; what they
//! mean is said by `model` and decided by `engine`.

use model::limits::MAX_REASON_BYTES;
use model::time::UtcMs;
use model::unit::board::{RunEnd, UnitChange};
use model::unit::{UnitId, Wanted};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::ask;
use crate::codes;
use crate::error::StoreError;

/// Longest text of the last lines of a run, as JSON, in bytes: twenty lines of what people can read.
const MAX_LINES_BYTES: usize = 32 * 1024;
/// Entries of one millisecond (a clock set back and running again) before one is put after the newest.
const SAME_MS: i64 = 10_000;
/// Length of a sample, in milliseconds.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// What a unit used within a minute, or over a longer step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitSample {
    /// Beginning of the minute or step.
    pub at: UtcMs,
    /// Mean percent of one core.
    pub cpu_avg: Option<f64>,
    /// Most percent of one core between two measurements.
    pub cpu_max: Option<f64>,
    /// Mean memory in bytes.
    pub memory_avg: u64,
    /// Most memory in bytes.
    pub memory_max: u64,
    /// Bytes read from storage within it.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage within it.
    pub written_bytes: Option<u64>,
    /// Most threads.
    pub threads: u32,
    /// Most open descriptors.
    pub descriptors: Option<u32>,
    /// Most processes.
    pub processes: u32,
    /// The newest counts of its queue by state; empty where it was not counted.
    pub queue: Vec<(String, u64)>,
    /// Completed within an hour, by the newest count.
    pub rate_per_hour: Option<f64>,
}

/// What is known of a unit from before.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitKnown {
    /// Identity.
    pub id: UnitId,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Starts that nobody commanded.
    pub restarts: u64,
    /// When it was taken out of the file; `None` while it is in it.
    pub retired_at: Option<UtcMs>,
    /// The newest entry of its timeline.
    pub last: Option<UnitChange>,
    /// How the newest run that is over ended.
    pub last_end: Option<RunEnd>,
    /// When health, targets, staleness or budgets restarted it since the time that was asked for.
    pub healed: Vec<UtcMs>,
}

type Done = rusqlite::Result<()>;

/// The number of a unit; one that was never seen is made.
pub(crate) fn uid(tx: &Transaction<'_>, id: &UnitId, now: UtcMs) -> rusqlite::Result<i64> {
    let known = tx
        .prepare_cached("SELECT uid FROM units WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(uid) = known {
        return Ok(uid);
    }
    tx.prepare_cached("INSERT INTO units (id, wanted, restarts, first_seen) VALUES (?1, 0, 0, ?2)")?
        .execute(params![id.as_str(), now.0])?;
    Ok(tx.last_insert_rowid())
}

/// The file has this unit. What is wanted counts only for one that was never seen.
pub(crate) fn seen(tx: &Transaction<'_>, id: &UnitId, wanted: Wanted, now: UtcMs) -> Done {
    tx.prepare_cached(
        "INSERT INTO units (id, wanted, restarts, first_seen) VALUES (?1, ?2, 0, ?3)
         ON CONFLICT (id) DO UPDATE SET retired_at = NULL",
    )?
    .execute(params![id.as_str(), wanted == Wanted::Running, now.0])?;
    Ok(())
}

pub(crate) fn retire(tx: &Transaction<'_>, id: &UnitId, at: UtcMs) -> Done {
    tx.prepare_cached("UPDATE units SET retired_at = coalesce(retired_at, ?2) WHERE id = ?1")?
        .execute(params![id.as_str(), at.0])?;
    Ok(())
}

pub(crate) fn want(tx: &Transaction<'_>, id: &UnitId, wanted: Wanted, now: UtcMs) -> Done {
    let unit = uid(tx, id, now)?;
    tx.prepare_cached("UPDATE units SET wanted = ?2 WHERE uid = ?1")?
        .execute(params![unit, wanted == Wanted::Running])?;
    Ok(())
}

pub(crate) fn restarts(tx: &Transaction<'_>, id: &UnitId, restarts: u64) -> Done {
    tx.prepare_cached("UPDATE units SET restarts = ?2 WHERE id = ?1")?.execute(params![id.as_str(), restarts])?;
    Ok(())
}

/// Appends an entry. Time never falls within a unit.
pub(crate) fn change(tx: &Transaction<'_>, id: &UnitId, change: &UnitChange) -> Done {
    let unit = uid(tx, id, change.at)?;
    let last: Option<(i64, i64)> = tx
        .prepare_cached("SELECT at, n FROM unit_changes WHERE unit = ?1 ORDER BY at DESC, n DESC LIMIT 1")?
        .query_row([unit], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (at, n) = match last {
        Some((at, n)) if at >= change.at.0 && n >= SAME_MS => (at + 1, 0),
        Some((at, n)) if at >= change.at.0 => (at, n + 1),
        _ => (change.at.0, 0),
    };
    let (ended, number) = change.end.as_ref().map(|end| codes::exit_code(end.exit)).unzip();
    tx.prepare_cached(
        "INSERT INTO unit_changes
         (unit, at, n, state, cause, reason, actor, ended, ended_number, ended_at, ran_ms, last_lines)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        unit,
        at,
        n,
        codes::unit_state_code(change.state),
        codes::cause_code(change.cause),
        &change.reason[..change.reason.floor_char_boundary(MAX_REASON_BYTES)],
        change.actor,
        ended,
        number,
        change.end.as_ref().map(|end| end.at.0),
        change.end.as_ref().map(|end| end.ran_ms),
        change.end.as_ref().filter(|end| !end.last_lines.is_empty()).map(|end| lines(&end.last_lines)),
    ])?;
    Ok(())
}

/// The last lines as JSON: the newest that have room.
fn lines(all: &[String]) -> String {
    let (mut room, mut first) = (MAX_LINES_BYTES, all.len());
    while first > 0 && all[first - 1].len() + 4 <= room {
        first -= 1;
        room -= all[first].len() + 4;
    }
    serde_json::Value::from(all[first..].to_vec()).to_string()
}

pub(crate) fn sample(tx: &Transaction<'_>, id: &UnitId, sample: &UnitSample) -> Done {
    let unit = uid(tx, id, sample.at)?;
    let queue = (!sample.queue.is_empty()).then(|| {
        let pairs = sample.queue.iter().map(|(state, count)| serde_json::json!([state, count]));
        serde_json::Value::Array(pairs.collect()).to_string()
    });
    tx.prepare_cached(
        "INSERT INTO unit_samples (unit, at, cpu_avg, cpu_max, memory_avg, memory_max, read_bytes, written_bytes, threads,
         descriptors, processes, queue, rate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (unit, at) DO NOTHING",
    )?
    .execute(params![
        unit,
        sample.at.0 - sample.at.0.rem_euclid(MINUTE_MS),
        sample.cpu_avg,
        sample.cpu_max,
        sample.memory_avg,
        sample.memory_max,
        sample.read_bytes,
        sample.written_bytes,
        sample.threads,
        sample.descriptors,
        sample.processes,
        queue,
        sample.rate_per_hour,
    ])?;
    Ok(())
}

const KNOWN: &str = "SELECT uid, id, wanted, restarts, retired_at FROM units ORDER BY uid LIMIT ?1";

/// Columns of an entry, in the order in which [`entry`] reads them.
const ENTRY: &str = "at, state, cause, reason, actor, ended, ended_number, ended_at, ran_ms, last_lines";

/// The SQL of a page of the timeline: unit, from, to, limit.
pub(crate) fn changes_sql() -> String {
    format!(
        "SELECT {ENTRY} FROM unit_changes WHERE unit = ?1 AND at >= ?2 AND at < ?3 ORDER BY at DESC, n DESC LIMIT ?4"
    )
}

/// The SQL of the newest end of a unit.
pub(crate) fn last_end_sql() -> String {
    format!("SELECT {ENTRY} FROM unit_changes WHERE unit = ?1 AND ended IS NOT NULL ORDER BY at DESC, n DESC LIMIT 1")
}

/// The SQL of samples: unit, from, to.
pub(crate) const SAMPLES: &str =
    "SELECT at, cpu_avg, cpu_max, memory_avg, memory_max, read_bytes, written_bytes, threads,
    descriptors, processes, queue, rate FROM unit_samples WHERE unit = ?1 AND at >= ?2 AND at < ?3 ORDER BY at";

/// Every unit that was ever seen, with what healed it since `healed_since`.
pub(crate) fn known(db: &Connection, healed_since: UtcMs) -> Result<Vec<UnitKnown>, StoreError> {
    let mut ask = db.prepare_cached(KNOWN)?;
    let rows = ask.query_map([ask::MOST_ROWS as i64], |row| {
        let known = UnitKnown {
            // An identity that does not parse is none that a file can hold.
            id: match UnitId::parse(row.get_ref(1)?.as_str()?) {
                Ok(id) => id,
                Err(_) => return Ok(None),
            },
            wanted: if row.get(2)? { Wanted::Running } else { Wanted::Stopped },
            restarts: row.get(3)?,
            retired_at: row.get::<_, Option<i64>>(4)?.map(UtcMs),
            last: None,
            last_end: None,
            healed: Vec::new(),
        };
        Ok(Some((row.get::<_, i64>(0)?, known)))
    })?;
    let mut all = Vec::new();
    for found in rows {
        let Some((uid, mut unit)) = found? else { continue };
        unit.last = page(db, uid, (UtcMs(i64::MIN), UtcMs(i64::MAX)), 1)?.pop();
        let last = db.prepare_cached(&last_end_sql())?.query_row([uid], entry).optional()?;
        unit.last_end = last.and_then(|change| change.end);
        let lately = page(db, uid, (healed_since, UtcMs(i64::MAX)), ask::MOST_ROWS)?;
        let healed = lately.into_iter().filter(|c| c.state == model::unit::State::Stopping && c.cause.heals());
        unit.healed = healed.map(|change| change.at).collect();
        all.push(unit);
    }
    Ok(all)
}

/// The number of a unit that was seen; `None` for one that never was.
pub(crate) fn find(db: &Connection, id: &UnitId) -> Result<Option<i64>, StoreError> {
    let mut ask = db.prepare_cached("SELECT uid FROM units WHERE id = ?1")?;
    Ok(ask.query_row([id.as_str()], |row| row.get(0)).optional()?)
}

/// Entries of the timeline in a range, newest first.
pub(crate) fn page(
    db: &Connection,
    unit: i64,
    (from, to): (UtcMs, UtcMs),
    limit: usize,
) -> Result<Vec<UnitChange>, StoreError> {
    let mut ask = db.prepare_cached(&changes_sql())?;
    let rows = ask.query_map(params![unit, from.0, to.0, ask::capped(limit)], entry)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<UnitChange> {
    let end = match codes::read_exit(row, 5)? {
        None => None,
        Some(exit) => Some(RunEnd {
            exit,
            at: UtcMs(row.get(7)?),
            ran_ms: row.get(8)?,
            last_lines: row
                .get::<_, Option<String>>(9)?
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        }),
    };
    Ok(UnitChange {
        at: UtcMs(row.get(0)?),
        state: codes::read(row, 1, codes::unit_state_of)?,
        cause: codes::read(row, 2, codes::cause_of)?,
        reason: row.get(3)?,
        actor: row.get(4)?,
        end,
    })
}

/// Samples in a range, oldest first, put together to steps of at least a minute.
pub(crate) fn samples(
    db: &Connection,
    unit: i64,
    (from, to): (UtcMs, UtcMs),
    step_ms: i64,
) -> Result<Vec<UnitSample>, StoreError> {
    let step = step_ms.max(MINUTE_MS);
    let mut ask = db.prepare_cached(SAMPLES)?;
    let mut rows = ask.query(params![unit, from.0, to.0])?;
    let mut steps: Vec<(u64, UnitSample)> = Vec::new();
    while let Some(row) = rows.next()? {
        let minute = read_sample(row)?;
        let begin = UtcMs(minute.at.0 - minute.at.0.rem_euclid(step));
        if let Some((count, sum)) = steps.last_mut().filter(|(_, sum)| sum.at == begin) {
            *count += 1;
            add(sum, *count, minute);
        } else if steps.len() < ask::MOST_ROWS {
            steps.push((1, UnitSample { at: begin, ..minute }));
        } else {
            break;
        }
    }
    Ok(steps.into_iter().map(|(_, sample)| sample).collect())
}

fn read_sample(row: &Row<'_>) -> rusqlite::Result<UnitSample> {
    let queue: Option<String> = row.get(10)?;
    Ok(UnitSample {
        at: UtcMs(row.get(0)?),
        cpu_avg: row.get(1)?,
        cpu_max: row.get(2)?,
        memory_avg: row.get(3)?,
        memory_max: row.get(4)?,
        read_bytes: row.get(5)?,
        written_bytes: row.get(6)?,
        threads: row.get(7)?,
        descriptors: row.get(8)?,
        processes: row.get(9)?,
        queue: queue.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        rate_per_hour: row.get(11)?,
    })
}

/// Puts the `count`-th minute into a step: means of means, most of most, sums of bytes, the newest queue.
#[expect(clippy::cast_precision_loss, reason = "a step has few minutes, and a mean of bytes is rounded anyway")]
fn add(sum: &mut UnitSample, count: u64, minute: UnitSample) {
    let n = count as f64;
    sum.cpu_avg = match (sum.cpu_avg, minute.cpu_avg) {
        (Some(mean), Some(new)) => Some(mean + (new - mean) / n),
        (one, other) => one.or(other),
    };
    sum.cpu_max = sum.cpu_max.into_iter().chain(minute.cpu_max).reduce(f64::max);
    let mean = sum.memory_avg as f64 + (minute.memory_avg as f64 - sum.memory_avg as f64) / n;
    sum.memory_avg = mean.round() as u64;
    sum.memory_max = sum.memory_max.max(minute.memory_max);
    let total = |a: Option<u64>, b: Option<u64>| a.map_or(b, |a| Some(a.saturating_add(b.unwrap_or(0))));
    sum.read_bytes = total(sum.read_bytes, minute.read_bytes);
    sum.written_bytes = total(sum.written_bytes, minute.written_bytes);
    sum.threads = sum.threads.max(minute.threads);
    sum.descriptors = sum.descriptors.max(minute.descriptors);
    sum.processes = sum.processes.max(minute.processes);
    if !minute.queue.is_empty() {
        (sum.queue, sum.rate_per_hour) = (minute.queue, minute.rate_per_hour);
    }
}
