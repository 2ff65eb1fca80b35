//! What was of a service: its timeline, its samples and its output.

use model::unit::board::{QueueNow, UnitChange, Usage};
use model::unit::spec::Unit;
use serde::Serialize;
use store::UnitSample;
use utoipa::ToSchema;

use super::{CountDto, RunEndDto, hide, tenths};

/// One entry of a timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnitChangeDto {
    /// When.
    pub at: i64,
    /// State after it.
    pub state: &'static str,
    /// What caused it.
    pub cause: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// Who asked for it, where somebody did.
    pub actor: Option<String>,
    /// How a run ended with it, where one did.
    pub end: Option<RunEndDto>,
}

impl UnitChangeDto {
    /// A change of this unit.
    #[must_use]
    pub fn new(spec: &Unit, change: &UnitChange) -> Self {
        Self {
            at: change.at.0,
            state: change.state.as_str(),
            cause: change.cause.as_str(),
            reason: hide(spec, &change.reason),
            actor: change.actor.clone(),
            end: change.end.as_ref().map(|end| RunEndDto::new(spec, end)),
        }
    }
}

/// A timeline.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TimelineDto {
    /// Changes, newest first.
    pub rows: Vec<UnitChangeDto>,
}

/// What a service used within a step, or at a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SampleDto {
    /// Beginning of the step, or time of the measurement.
    pub at: i64,
    /// Mean percent of one core.
    pub cpu_avg: Option<f64>,
    /// Most percent of one core.
    pub cpu_max: Option<f64>,
    /// Mean memory in bytes.
    pub memory_avg: u64,
    /// Most memory in bytes.
    pub memory_max: u64,
    /// Bytes read from storage within the step; null for a measurement.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage within the step; null for a measurement.
    pub written_bytes: Option<u64>,
    /// Most threads.
    pub threads: u32,
    /// Most open descriptors.
    pub descriptors: Option<u32>,
    /// Most processes.
    pub processes: u32,
    /// The newest counts of its queue; null where it was not counted.
    pub queue: Option<Vec<CountDto>>,
    /// Completed within an hour, by that count.
    pub rate_per_hour: Option<f64>,
}

fn counts(counts: &[(String, u64)]) -> Option<Vec<CountDto>> {
    let one = |(state, count): &(String, u64)| CountDto { state: state.clone(), count: *count };
    (!counts.is_empty()).then(|| counts.iter().map(one).collect())
}

impl From<&UnitSample> for SampleDto {
    fn from(s: &UnitSample) -> Self {
        Self {
            at: s.at.0,
            cpu_avg: s.cpu_avg.map(tenths),
            cpu_max: s.cpu_max.map(tenths),
            memory_avg: s.memory_avg,
            memory_max: s.memory_max,
            read_bytes: s.read_bytes,
            written_bytes: s.written_bytes,
            threads: s.threads,
            descriptors: s.descriptors,
            processes: s.processes,
            queue: counts(&s.queue),
            rate_per_hour: s.rate_per_hour,
        }
    }
}

impl SampleDto {
    /// A measurement, with the count of its minute, or the newest one.
    #[must_use]
    pub fn measured(usage: &Usage, minute: Option<&UnitSample>, queue: Option<&QueueNow>) -> Self {
        let of_minute = minute.map(|m| (counts(&m.queue), m.rate_per_hour));
        let newest = || queue.map(|q| (counts(&q.counts), q.rate_per_hour));
        let (queue, rate_per_hour) = of_minute.or_else(newest).unwrap_or_default();
        let cpu = usage.cpu_percent.map(tenths);
        Self {
            at: usage.at.0,
            cpu_avg: cpu,
            cpu_max: cpu,
            memory_avg: usage.memory_bytes,
            memory_max: usage.memory_bytes,
            read_bytes: None,
            written_bytes: None,
            threads: usage.threads,
            descriptors: usage.descriptors,
            processes: usage.processes,
            queue,
            rate_per_hour,
        }
    }
}

/// What a service used.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SamplesDto {
    /// Length of a step in milliseconds; null for measurements as they were made.
    pub step_ms: Option<i64>,
    /// Oldest first.
    pub rows: Vec<SampleDto>,
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogLineDto {
    /// When it was written.
    pub at: i64,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The text. Bytes that are no UTF-8 are shown as U+FFFD.
    pub text: String,
    /// Whether its end is left out because it is too long to be shown; the download has all of it.
    pub partial: bool,
    /// Its place: following from here begins with the line after it.
    pub cursor: String,
}

/// Lines of output.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LogDto {
    /// The lines, oldest first.
    pub lines: Vec<LogLineDto>,
    /// Whether older lines are left out that would have been in the answer.
    pub more: bool,
    /// Where following begins with what came after these lines.
    pub cursor: String,
}
