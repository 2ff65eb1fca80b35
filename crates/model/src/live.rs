//! The session of a target that is watched continuously, as it is now: what it is doing, and its newest values second by
//! second. Plain data of the Board; nothing of it is stored.

use std::sync::Arc;

use crate::observation::{Observation, Second};
use crate::time::UtcMs;

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is being opened, or waits for its turn at a server that is asked for several.
    Connecting,
    /// Media flows.
    Live,
    /// The last one ended, or did not come about; the next one is opened then.
    Waiting {
        /// When.
        until: UtcMs,
    },
}

/// A session now.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionNow {
    /// What it is doing.
    pub doing: Doing,
    /// Since when.
    pub since: UtcMs,
    /// When it counts as good, of one whose forerunners opened and did not last: until then an opening proves nothing.
    pub believed_at: Option<UtcMs>,
    /// Sessions that were opened again after one had ended, since the target is held.
    pub reconnects: u64,
    /// What is measured now; `None` unless media flows.
    pub live: Option<Arc<Observation>>,
    /// The newest seconds, oldest first, at most [`crate::limits::LIVE_SECONDS`]; older sessions included.
    pub seconds: Arc<[LiveSecond]>,
}

/// One second of a session, with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveSecond {
    /// When it ended.
    pub at: UtcMs,
    /// What it brought.
    pub second: Second,
}
