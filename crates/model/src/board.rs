//! The Board: an immutable snapshot of now. The engine makes it; pages, API, metrics and sinks read the same one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conf::Problem;
use crate::event::Part;
use crate::incident::Incident;
use crate::live::SessionNow;
use crate::observation::Observation;
use crate::status::{Status, StatusState};
use crate::tally::{Counts, Tally};
use crate::target::{Target, TargetId};
use crate::time::UtcMs;
use crate::verdict::{Grade, Verdict};

/// One beat of the heartbeat bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When the look began.
    pub at: UtcMs,
    /// How it was judged.
    pub grade: Grade,
    /// Status after it.
    pub status: Status,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// One target now.
#[derive(Clone, Debug)]
pub struct TargetNow {
    /// The specification.
    pub spec: Arc<Target>,
    /// The status machine's state.
    pub state: StatusState,
    /// Paused by an operator (outlives restarts; not the same as `enabled: false`).
    pub paused: bool,
    /// The newest observation.
    pub last: Option<Arc<Observation>>,
    /// Its verdict.
    pub verdict: Option<Arc<Verdict>>,
    /// Newest beats, oldest first, at most [`crate::limits::BEATS_ON_BOARD`].
    pub beats: Arc<[Beat]>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// When the next look is due; of a held session, when it is judged next.
    pub next_due: Option<UtcMs>,
    /// The session, of a target that is watched continuously and now.
    pub session: Option<SessionNow>,
    /// What was counted since it is watched by this process.
    pub counts: Counts,
    /// Counts up with every change of this target except its live values, which change every second.
    pub revision: u64,
}

impl TargetNow {
    /// What was seen last: by the session where media flows in one, else by the newest look.
    #[must_use]
    pub fn newest(&self) -> Option<&Observation> {
        let live = self.session.as_ref().and_then(|session| session.live.as_deref());
        live.or(self.last.as_deref())
    }
}

/// How StreamPulse itself is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Parts that are unwell, with the reason and since when.
    pub unwell: BTreeMap<Part, (String, UtcMs)>,
    /// Problems of the newest configuration file when it was refused; empty when it is in effect.
    pub config_problems: Arc<Vec<Problem>>,
}

/// Everything now.
#[derive(Clone, Debug)]
pub struct Board {
    /// When this snapshot was made.
    pub at: UtcMs,
    /// When the process started.
    pub started_at: UtcMs,
    /// Counts up with every snapshot.
    pub version: u64,
    /// All targets, in the order of the configuration.
    pub targets: Arc<[Arc<TargetNow>]>,
    /// Position in `targets` by id.
    pub index: Arc<BTreeMap<TargetId, usize>>,
    /// How StreamPulse is.
    pub health: Health,
    /// What was counted since the start.
    pub tally: Arc<Tally>,
    /// SHA-256 (hex) of the configuration in effect.
    pub config_hash: String,
    /// IANA name of the time zone for presentation.
    pub timezone: String,
}

impl Board {
    /// The target of an id.
    #[must_use]
    pub fn get(&self, id: &TargetId) -> Option<&Arc<TargetNow>> {
        self.index.get(id).and_then(|i| self.targets.get(*i))
    }
}
