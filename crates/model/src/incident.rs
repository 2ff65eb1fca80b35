//! An incident: from the change to down or degraded until recovery.

use crate::status::Status;
use crate::target::TargetId;
use crate::time::UtcMs;

/// Key of an incident: its target and its beginning. Unique because a target has one status at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Which target.
    pub target: TargetId,
    /// When the trouble began.
    pub opened_at: UtcMs,
    /// When it ended; `None` while open.
    pub closed_at: Option<UtcMs>,
    /// The worst status reached.
    pub worst: Status,
    /// Why it began, in words.
    pub cause: String,
}
