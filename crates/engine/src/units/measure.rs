//! What units use: measured of all of them in one pass, kept for an hour as it was measured, and summed up by the minute for
//! the history. Owns the sums; who measures is in `supervise`.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use model::time::UtcMs;
use model::unit::UnitId;
use model::unit::board::{QueueNow, Usage};
use store::UnitSample;
use supervise::backend::Instance;

use super::output;

/// From one pass to the next.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// Longest measurement of one unit; a pass ends before the next one is due.
const WITHIN: Duration = Duration::from_secs(4);
/// Units that are measured at once.
const AT_ONCE: usize = 64;
/// Measurements that are kept of each unit: an hour.
const KEPT: usize = 720;
/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// One unit to be measured.
pub(super) struct Measuring {
    pub(super) id: UnitId,
    pub(super) run: u64,
    pub(super) instance: Arc<dyn Instance>,
}

/// What came of it.
pub(super) struct Measured {
    pub(super) id: UnitId,
    pub(super) run: u64,
    /// `None` where it could not be measured: it has just ended, or who runs it does not answer.
    pub(super) usage: Option<Usage>,
    pub(super) last_output: Option<UtcMs>,
}

/// Measures these units.
pub(super) async fn pass(units: Vec<Measuring>, folder: PathBuf) -> Vec<Measured> {
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id.clone()).collect();
    let read = tokio::task::spawn_blocking(move || {
        let at = |id: &UnitId| output::last_output(&folder.join(id.as_str()));
        ids.iter().map(at).collect::<Vec<_>>()
    });
    let measured = futures_util::stream::iter(units).map(|unit| async move {
        let asked = tokio::time::timeout(WITHIN, unit.instance.usage()).await;
        let usage = asked.ok().and_then(Result::ok);
        Measured { id: unit.id, run: unit.run, usage, last_output: None }
    });
    let mut all: Vec<Measured> = measured.buffered(AT_ONCE).collect().await;
    if let Ok(Ok(outputs)) = tokio::time::timeout(WITHIN, read).await {
        for (one, at) in all.iter_mut().zip(outputs) {
            one.last_output = at;
        }
    }
    all
}

/// What was measured within the last hour. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Recent {
    kept: Arc<Mutex<BTreeMap<UnitId, VecDeque<Usage>>>>,
}

impl Recent {
    pub(super) fn keep(&self, id: &UnitId, usage: Usage) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of = kept.entry(id.clone()).or_default();
        if of.len() >= KEPT {
            of.pop_front();
        }
        of.push_back(usage);
    }

    pub(super) fn forget(&self, id: &UnitId) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Of one unit, oldest first.
    pub(super) fn of(&self, id: &UnitId) -> Vec<Usage> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(id).map(|of| of.iter().cloned().collect()).unwrap_or_default()
    }
}

/// The sums of one minute of one unit.
#[derive(Debug, Default)]
pub(super) struct Minute {
    at: i64,
    count: u64,
    cpu: (f64, u32),
    memory: f64,
    sum: UnitSample,
    /// The newest count of bytes, from which the next one is counted.
    io: (Option<u64>, Option<u64>),
}

impl Minute {
    /// A run begins: bytes are counted anew.
    pub(super) fn begin(&mut self) {
        self.io = (None, None);
    }

    /// Adds a measurement; answers the minute before, when this is the first of another one.
    #[expect(clippy::cast_precision_loss, reason = "a mean of bytes is rounded anyway")]
    pub(super) fn add(&mut self, usage: &Usage, queue: Option<&QueueNow>) -> Option<UnitSample> {
        let at = usage.at.0 - usage.at.0.rem_euclid(MINUTE_MS);
        let over = if at == self.at { None } else { self.take() };
        self.at = at;
        self.count += 1;
        if let Some(percent) = usage.cpu_percent {
            self.cpu = (self.cpu.0 + percent, self.cpu.1 + 1);
            self.sum.cpu_max = Some(self.sum.cpu_max.map_or(percent, |most| most.max(percent)));
        }
        self.memory += usage.memory_bytes as f64;
        self.sum.memory_max = self.sum.memory_max.max(usage.memory_bytes);
        grow(&mut self.sum.read_bytes, &mut self.io.0, usage.read_bytes);
        grow(&mut self.sum.written_bytes, &mut self.io.1, usage.written_bytes);
        self.sum.threads = self.sum.threads.max(usage.threads);
        self.sum.descriptors = self.sum.descriptors.max(usage.descriptors);
        self.sum.processes = self.sum.processes.max(usage.processes);
        if let Some(queue) = queue.filter(|queue| queue.error.is_none()) {
            self.sum.queue.clone_from(&queue.counts);
            self.sum.rate_per_hour = queue.rate_per_hour;
        }
        over
    }

    /// What was summed up; begins anew.
    #[expect(clippy::cast_precision_loss, reason = "a minute has few measurements")]
    pub(super) fn take(&mut self) -> Option<UnitSample> {
        let sum = std::mem::take(&mut self.sum);
        let (count, cpu, memory) = (self.count, self.cpu, self.memory);
        (self.count, self.cpu, self.memory) = (0, (0.0, 0), 0.0);
        (count > 0).then(|| UnitSample {
            at: UtcMs(self.at),
            cpu_avg: (cpu.1 > 0).then(|| cpu.0 / f64::from(cpu.1)),
            memory_avg: (memory / count as f64).round() as u64,
            ..sum
        })
    }
}

/// Adds what a counter grew by. A counter that fell is of another run, or a process of the tree ended: it counts from there.
fn grow(sum: &mut Option<u64>, before: &mut Option<u64>, now: Option<u64>) {
    let Some(now) = now else { return };
    let grown = before.map_or(0, |before| now.saturating_sub(before));
    *sum = Some(sum.unwrap_or(0).saturating_add(grown));
    *before = Some(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_summed_up_when_the_next_one_begins() {
        let mut minute = Minute::default();
        let usage = |s: i64, cpu: Option<f64>, memory: u64, read: u64| Usage {
            at: UtcMs(120_000 + s * 1_000),
            cpu_percent: cpu,
            memory_bytes: memory,
            read_bytes: Some(read),
            threads: 3,
            processes: 1,
            ..Usage::default()
        };
        assert_eq!(minute.add(&usage(0, None, 100, 1_000), None), None);
        assert_eq!(minute.add(&usage(5, Some(10.0), 300, 1_500), None), None);
        assert_eq!(minute.add(&usage(10, Some(30.0), 200, 200), None), None);
        let queue = QueueNow { counts: vec![("done".into(), 3)], rate_per_hour: Some(9.0), ..QueueNow::default() };
        assert_eq!(minute.add(&usage(59, Some(20.0), 200, 700), Some(&queue)), None);
        let sample = minute.add(&usage(60, Some(1.0), 5, 800), None).unwrap();
        assert_eq!((sample.at, sample.cpu_avg, sample.cpu_max), (UtcMs(120_000), Some(20.0), Some(30.0)));
        assert_eq!((sample.memory_avg, sample.memory_max, sample.read_bytes), (200, 300, Some(1_000)));
        assert_eq!((sample.written_bytes, sample.threads, sample.rate_per_hour), (None, 3, Some(9.0)));
        assert_eq!(minute.take().unwrap().read_bytes, Some(100));
        assert_eq!(minute.take(), None);
    }

    #[test]
    fn an_hour_is_kept() {
        let recent = Recent::default();
        let id = UnitId::parse("u").unwrap();
        for n in 0..KEPT as i64 + 3 {
            recent.keep(&id, Usage { at: UtcMs(n), ..Usage::default() });
        }
        assert_eq!((recent.of(&id).len(), recent.of(&id)[0].at), (KEPT, UtcMs(3)));
        recent.forget(&id);
        assert!(recent.of(&id).is_empty());
    }
}
