//! One look at one target, with its time; and what one second of a held session brought.

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

/// What one second of a held session brought, all tracks together. What the protocol cannot tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Bits of media.
    pub bits: u64,
    /// Media packets, or what the protocol has in their place.
    pub packets: u32,
    /// Pictures that began.
    pub frames: u32,
    /// Packets that should have come and did not; late ones are taken off the second in which they come.
    pub lost: Option<u32>,
    /// Interarrival jitter (RFC 3550 section 6.4.1) at the end of it, in milliseconds; of the worst track.
    pub jitter_ms: Option<f64>,
    /// Largest step from one timestamp of a track to its next, in milliseconds.
    pub timestamp_gap_ms: Option<f64>,
    /// Longest silence of a track that ended in it, in milliseconds.
    pub arrival_gap_ms: f64,
}
