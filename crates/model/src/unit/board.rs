//! How all units are, as one immutable snapshot. Made by the engine; pages, routes, metrics and sinks read it.

use std::sync::Arc;

use super::spec::Unit;
use super::{Cause, Exit, Health, Identity, State, UnitId, Wanted};
use crate::time::UtcMs;

/// All units now, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct UnitBoard {
    /// Grows with every change.
    pub version: u64,
    /// The units.
    pub units: Vec<Arc<UnitNow>>,
}

impl UnitBoard {
    /// The unit with this identity.
    #[must_use]
    pub fn get(&self, id: &UnitId) -> Option<&Arc<UnitNow>> {
        self.units.iter().find(|unit| unit.spec.id == *id)
    }
}

/// One unit now.
#[derive(Clone, Debug)]
pub struct UnitNow {
    /// What its file says.
    pub spec: Arc<Unit>,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: UtcMs,
    /// Why, in one sentence with the actual value.
    pub reason: String,
    /// What caused that.
    pub cause: Cause,
    /// The run that is under way.
    pub run: Option<RunNow>,
    /// How the newest run that is over ended.
    pub last_end: Option<RunEnd>,
    /// What its checks say.
    pub health: Health,
    /// Why health is so, where it is bad.
    pub health_reason: Option<String>,
    /// Starts since StreamPulse knows it that nobody commanded.
    pub restarts: u64,
    /// When it is started again, while it backs off.
    pub next_start: Option<UtcMs>,
    /// What it waits for, where a start waits for other units.
    pub waits_for: Vec<UnitId>,
    /// The newest measurement.
    pub usage: Option<Usage>,
    /// The newest count of its queue.
    pub queue: Option<QueueNow>,
    /// When its output last brought a line.
    pub last_output: Option<UtcMs>,
    /// When its heartbeat file was last written.
    pub last_heartbeat: Option<UtcMs>,
    /// Whether it runs as its fallback because no container engine can be reached.
    pub on_fallback: bool,
    /// What of its specification takes effect at its next start.
    pub pending: bool,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNow {
    /// Which one.
    pub identity: Identity,
    /// When it was launched.
    pub started_at: UtcMs,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// How.
    pub exit: Exit,
    /// When.
    pub at: UtcMs,
    /// How long it ran, in milliseconds.
    pub ran_ms: u64,
    /// The last lines of its output, oldest first, secrets masked.
    pub last_lines: Vec<String>,
}

/// What a unit uses, over all its processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// When it was measured.
    pub at: UtcMs,
    /// Percent of one core since the measurement before; `None` at the first.
    pub cpu_percent: Option<f64>,
    /// Bytes (proportional share where readable, else resident; of a container as the engine counts, without page cache).
    pub memory_bytes: u64,
    /// Bytes it may use, where a limit is set.
    pub memory_limit: Option<u64>,
    /// Bytes read from storage since it started; `None` where that may not be read.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage since it started.
    pub written_bytes: Option<u64>,
    /// Threads.
    pub threads: u32,
    /// Open descriptors; `None` where they may not be read.
    pub descriptors: Option<u32>,
    /// Processes.
    pub processes: u32,
}

/// A count of a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueNow {
    /// When it was counted.
    pub at: UtcMs,
    /// Counts by state, in the order of the source.
    pub counts: Vec<(String, u64)>,
    /// Completed within the last hour.
    pub rate_per_hour: Option<f64>,
    /// When the oldest waiting one came.
    pub oldest_waiting: Option<UtcMs>,
    /// In progress for too long.
    pub stuck: Option<u64>,
    /// Why it could not be counted; the counts are the newest ones that could.
    pub error: Option<String>,
}

/// One entry of a unit's timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitChange {
    /// When.
    pub at: UtcMs,
    /// State after it.
    pub state: State,
    /// What caused it.
    pub cause: Cause,
    /// Why, in one sentence with the actual value.
    pub reason: String,
    /// Who asked for it, where somebody did.
    pub actor: Option<String>,
    /// How a run ended with it, where one did.
    pub end: Option<RunEnd>,
}
