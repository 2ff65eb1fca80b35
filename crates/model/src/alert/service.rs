//! What rules watch for of services: trouble by name, and figures with bounds. Owns the reading of one condition against one
//! service.

use std::fmt;

use super::rule::{Side, Truth, number};
use crate::phase::words;
use crate::time::UtcMs;
use crate::unit::board::UnitNow;
use crate::unit::{Health, State};

words! {
    /// Trouble of a service.
    ServiceTrouble {
        /// It was given up, or cannot be started, and will not be started again by itself.
        Failed = "failed",
        /// It runs, and its health checks are bad.
        Unhealthy = "unhealthy",
        /// It ended by itself, or could not be started, and waits for its next start.
        BackingOff = "backing_off",
    }
}

/// Whether one of these troubles is there. While it starts or ends nobody can tell.
#[must_use]
pub fn trouble(words: &[ServiceTrouble], unit: &UnitNow) -> Truth {
    let is = |word: &ServiceTrouble| match word {
        ServiceTrouble::Failed => unit.state == State::Failed,
        ServiceTrouble::Unhealthy => unit.health == Health::Unhealthy && unit.run.is_some(),
        ServiceTrouble::BackingOff => unit.state == State::BackingOff,
    };
    if words.iter().any(is) {
        return Some(true);
    }
    match unit.state {
        State::Stopped | State::Finished => Some(false),
        State::Running => (unit.health != Health::Starting).then_some(false),
        State::Starting | State::Stopping | State::BackingOff | State::Failed => None,
    }
}

/// A figure of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Starts within the last hour that nobody commanded.
    RestartsPerHour,
    /// Processor, in percent of one core.
    CpuPercent,
    /// Memory in MiB.
    MemoryMib,
    /// Items of its queue that were completed within the last hour.
    QueuePerHour,
    /// For how long the oldest item waits, in seconds.
    QueueWaitSeconds,
    /// Items that are in progress for too long.
    QueueStuck,
    /// Items in this state.
    Queue(String),
}

/// Names of figures. What begins with `queue_` and is none of these is the count of a state.
pub const FIGURES: [&str; 6] =
    ["restarts_per_hour", "cpu_percent", "memory_mib", "queue_per_hour", "queue_wait_s", "queue_stuck"];

impl Figure {
    /// The figure of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "restarts_per_hour" => Self::RestartsPerHour,
            "cpu_percent" => Self::CpuPercent,
            "memory_mib" => Self::MemoryMib,
            "queue_per_hour" => Self::QueuePerHour,
            "queue_wait_s" => Self::QueueWaitSeconds,
            "queue_stuck" => Self::QueueStuck,
            name => Self::Queue(name.strip_prefix("queue_").filter(|state| !state.is_empty())?.to_owned()),
        })
    }

    /// Its value; `None` where it is not known now, so that nothing changes.
    #[must_use]
    pub fn read(&self, unit: &UnitNow, restarts_per_hour: u64, now: UtcMs) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "compared with bounds that people write")]
        let count = |count: u64| count as f64;
        let usage = unit.usage.as_ref().filter(|_| unit.run.is_some());
        let queue = unit.queue.as_ref().filter(|queue| queue.error.is_none());
        match self {
            Self::RestartsPerHour => Some(count(restarts_per_hour)),
            Self::CpuPercent => usage?.cpu_percent,
            Self::MemoryMib => Some(count(usage?.memory_bytes) / f64::from(1 << 20)),
            Self::QueuePerHour => queue?.rate_per_hour,
            // An empty queue keeps nobody waiting.
            Self::QueueWaitSeconds => Some(queue?.oldest_waiting.map_or(0.0, |came| now.since(came).as_secs_f64())),
            Self::QueueStuck => queue?.stuck.map(count),
            Self::Queue(state) => {
                let found = queue?.counts.iter().find(|(name, _)| name == state);
                Some(found.map_or(0.0, |(_, of)| count(*of)))
            }
        }
    }

    /// What it is, for people.
    fn words(&self, value: &str) -> String {
        match self {
            Self::RestartsPerHour => format!("it was started again {value} times within an hour"),
            Self::CpuPercent => format!("it uses {value} % of a core"),
            Self::MemoryMib => format!("it uses {value} MiB of memory"),
            Self::QueuePerHour => format!("{value} items of its queue were completed within an hour"),
            Self::QueueWaitSeconds => format!("the oldest item of its queue waits for {value} s"),
            Self::QueueStuck => format!("{value} items of its queue are in progress for too long"),
            Self::Queue(state) => format!("{value} items of its queue are {state}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestartsPerHour => "restarts_per_hour",
            Self::CpuPercent => "cpu_percent",
            Self::MemoryMib => "memory_mib",
            Self::QueuePerHour => "queue_per_hour",
            Self::QueueWaitSeconds => "queue_wait_s",
            Self::QueueStuck => "queue_stuck",
            Self::Queue(state) => return write!(f, "queue_{state}"),
        })
    }
}

/// A bound on a figure with a value of its own for the way back.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceLevel {
    /// What is compared.
    pub figure: Figure,
    /// Which side is bad.
    pub side: Side,
    /// Beyond this it is bad.
    pub raise: f64,
    /// At this, or on its good side, it is good again; between the two nothing changes.
    pub clear: f64,
}

impl ServiceLevel {
    /// Bad, good, or between the two bounds.
    #[must_use]
    pub fn judge(&self, value: f64) -> Truth {
        self.side.judge(value, self.raise, self.clear)
    }

    /// The value beside its bound.
    #[must_use]
    pub fn words(&self, value: f64) -> String {
        format!("{}, {} {}", self.figure.words(&number(value)), self.side, number(self.raise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_names() {
        for name in FIGURES.into_iter().chain(["queue_pending", "queue_in_progress"]) {
            assert_eq!(Figure::by_name(name).expect(name).to_string(), name);
        }
        assert_eq!((Figure::by_name("queue_"), Figure::by_name("memory")), (None, None));
        let figure = Figure::Queue("pending".to_owned());
        let level = ServiceLevel { figure, side: Side::Above, raise: 30.0, clear: 20.0 };
        assert_eq!(level.words(31.0), "31 items of its queue are pending, above 30");
        assert_eq!((level.judge(31.0), level.judge(25.0), level.judge(20.0)), (Some(true), None, Some(false)));
    }
}
