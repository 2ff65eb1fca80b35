//! What happened: a closed list. The engine makes events; the store, the sinks and the pages are told of them.

use std::sync::Arc;

use crate::conf::Problem;
use crate::incident::Incident;
use crate::observation::Observation;
use crate::status::StatusChange;
use crate::target::TargetId;
use crate::time::UtcMs;
use crate::unit::UnitId;
use crate::unit::board::UnitChange;
use crate::verdict::Verdict;

/// A part of StreamPulse that can be unwell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The history file.
    Store,
    /// The loop, or a probe task that panicked.
    Engine,
    /// The wall clock.
    Clock,
    /// The configuration file.
    Config,
    /// The file of services.
    Services,
}

impl Part {
    /// Every part, in order.
    pub const ALL: [Self; 5] = [Self::Store, Self::Engine, Self::Clock, Self::Config, Self::Services];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Engine => "engine",
            Self::Clock => "clock",
            Self::Config => "config",
            Self::Services => "services",
        }
    }
}

/// What happened, when.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: UtcMs,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A look was taken and judged.
    Observed(Arc<Observation>, Arc<Verdict>),
    /// A status changed.
    StatusChanged(TargetId, StatusChange),
    /// Trouble began.
    IncidentOpened(Incident),
    /// Trouble got worse (degraded became down) or its cause changed.
    IncidentChanged(Incident),
    /// Trouble ended.
    IncidentClosed(Incident),
    /// Codec, resolution or the set of tracks changed.
    MediaChanged(TargetId, String),
    /// Media flows in the session of a target that is watched continuously.
    SessionOpened(TargetId),
    /// Such a session ended by itself: why.
    SessionEnded(TargetId, String),
    /// A configuration took effect: hash, and ids added, changed and removed.
    ConfigApplied {
        /// SHA-256 of the file in hex.
        hash: String,
        /// New targets.
        added: Vec<TargetId>,
        /// Targets that differ.
        changed: Vec<TargetId>,
        /// Targets that are gone.
        removed: Vec<TargetId>,
    },
    /// A configuration was refused; what ran goes on.
    ConfigRejected(Arc<Vec<Problem>>),
    /// A unit's state, wish or health changed.
    UnitChanged(UnitId, Arc<UnitChange>),
    /// A part became unwell, with the reason.
    Unwell(Part, String),
    /// A part is well again.
    Well(Part),
}
