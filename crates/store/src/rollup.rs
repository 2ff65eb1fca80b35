//! Roll-ups while they are written: sums by minute, hour and day, merged into the file in the transaction of their rows,
//! so that they agree with the rows whenever the process is killed.

use std::collections::HashMap;
use std::time::Duration;

use model::phase::Phases;
use model::verdict::Grade;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::codes::{self, PhaseSum};
use crate::types::Resolution;

/// Sums over the looks of one target within one minute, hour or day.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) ok: u64,
    pub(crate) warn: u64,
    pub(crate) fail: u64,
    /// Durations in microseconds of the looks that did not fail.
    pub(crate) took: Option<Took>,
    pub(crate) phases: Vec<PhaseSum>,
}

/// Sum, least and most, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) sum: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// The columns that [`Sum::read`] reads, in its order.
pub(crate) const COLUMNS: &str = "ok, warn, fail, took_sum_us, took_min_us, took_max_us, phases";

/// The table of a resolution.
pub(crate) const fn table(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Minute => "minutes",
        Resolution::Hour => "hours",
        Resolution::Day => "days",
    }
}

/// The beginning of the minute, hour or day that `at_ms` lies in.
pub(crate) const fn begin(resolution: Resolution, at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(resolution.millis())
}

impl Sum {
    /// Looks whose duration counts.
    pub(crate) fn worked(&self) -> u64 {
        self.ok + self.warn
    }

    /// Adds one look.
    pub(crate) fn add(&mut self, grade: Grade, took: Duration, phases: &Phases) {
        match grade {
            Grade::Pass => self.ok += 1,
            Grade::Warn => self.warn += 1,
            Grade::Fail => {
                self.fail += 1;
                return;
            }
        }
        let us = micros(took);
        self.merge_took(Took { sum: us, min: us, max: us });
        codes::add_phases(&mut self.phases, phases);
    }

    fn merge(&mut self, other: Self) {
        self.ok += other.ok;
        self.warn += other.warn;
        self.fail += other.fail;
        if let Some(took) = other.took {
            self.merge_took(took);
        }
        for sum in other.phases {
            codes::add_sum(&mut self.phases, sum);
        }
    }

    fn merge_took(&mut self, other: Took) {
        let took = self.took.get_or_insert(Took { sum: 0, min: u64::MAX, max: 0 });
        took.sum = took.sum.saturating_add(other.sum);
        took.min = took.min.min(other.min);
        took.max = took.max.max(other.max);
    }

    /// Reads [`COLUMNS`], the first of which is column `first`.
    pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let mut sum =
            Self { ok: row.get(first)?, warn: row.get(first + 1)?, fail: row.get(first + 2)?, ..Self::default() };
        if let Some(total) = row.get::<_, Option<u64>>(first + 3)? {
            let or_total = |value: Option<u64>| value.unwrap_or(total);
            sum.took =
                Some(Took { sum: total, min: or_total(row.get(first + 4)?), max: or_total(row.get(first + 5)?) });
        }
        if let Some(blob) = row.get_ref(first + 6)?.as_blob_or_null()? {
            sum.phases = codes::unpack_sums(blob, sum.worked());
        }
        Ok(sum)
    }
}

/// Whole microseconds, as stored.
pub(crate) fn micros(took: Duration) -> u64 {
    // i64::MAX: SQLite's integers are signed. 292,000 years are no duration of a look.
    u64::try_from(took.as_micros()).map_or(i64::MAX as u64, |us| us.min(i64::MAX as u64))
}

/// The sums of one batch, not yet in the file.
#[derive(Debug, Default)]
pub(crate) struct Pending(HashMap<(Resolution, i64, i64), Sum>);

impl Pending {
    /// Adds one look to its minute, hour and day.
    pub(crate) fn add(&mut self, target: i64, at_ms: i64, grade: Grade, took: Duration, phases: &Phases) {
        for &resolution in Resolution::ALL {
            let key = (resolution, begin(resolution, at_ms), target);
            self.0.entry(key).or_default().add(grade, took, phases);
        }
    }

    /// Merges everything into the file.
    pub(crate) fn write(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((resolution, at, target), new) in self.0.drain() {
            merge_row(tx, resolution, at, target, new)?;
        }
        Ok(())
    }
}

fn merge_row(tx: &Transaction<'_>, resolution: Resolution, at: i64, target: i64, new: Sum) -> rusqlite::Result<()> {
    let table = table(resolution);
    let mut read = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM {table} WHERE at = ?1 AND target = ?2"))?;
    let mut sum = read.query_row([at, target], |row| Sum::read(row, 0)).optional()?.unwrap_or_default();
    sum.merge(new);
    let took = sum.took;
    let unless_total = |value: fn(Took) -> u64| took.map(value).filter(|v| took.is_none_or(|t| t.sum != *v));
    let mut write = tx.prepare_cached(&format!(
        "INSERT INTO {table} (at, target, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (at, target) DO UPDATE SET ok = excluded.ok, warn = excluded.warn, fail = excluded.fail,
         took_sum_us = excluded.took_sum_us, took_min_us = excluded.took_min_us, took_max_us = excluded.took_max_us,
         phases = excluded.phases"
    ))?;
    write.execute(params![
        at,
        target,
        sum.ok,
        sum.warn,
        sum.fail,
        took.map(|t| t.sum),
        unless_total(|t| t.min),
        unless_total(|t| t.max),
        codes::pack_sums(&sum.phases, sum.worked()),
    ])?;
    Ok(())
}
