//! One look at one target, with its time.

use std::time::Duration;

use crate::fault::Fault;
use crate::phase::Phases;
use crate::reading::Reading;
use crate::target::TargetId;
use crate::time::UtcMs;

/// What a probe hands back: facts (perhaps partial), timings, and the fault that ended it early.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Durations by phase.
    pub phases: Phases,
    /// What was learned, also when it ended in a fault.
    pub reading: Reading,
    /// Why it ended early.
    pub fault: Option<Fault>,
}

/// A look with its target and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which target.
    pub target: TargetId,
    /// When the (last) attempt began.
    pub at: UtcMs,
    /// How long the (last) attempt took in all.
    pub took: Duration,
    /// Attempts made in this round, the last included; 1 when nothing was retried.
    pub attempts: u32,
    /// The look itself.
    pub look: Look,
}
