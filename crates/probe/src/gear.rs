//! What some probes need beside their target: the commands that may be run, a place to run them in, and what was pushed.
//! Made once by whoever starts looking, handed to every probe. Owns nothing that a target could change.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::commands::Commands;
use crate::push::Inbox;

/// Commands that run at once. Each is a process or several: more of them only wait for each other.
pub const COMMANDS_AT_ONCE: usize = 32;

/// Handed to every probe that is made.
#[derive(Clone, Debug)]
pub struct Gear {
    /// What the kind `exec` may run.
    pub commands: Arc<Commands>,
    /// What was pushed to targets of the kind `push`.
    pub inbox: Arc<Inbox>,
    /// Places for running commands.
    pub(crate) places: Arc<Semaphore>,
}

impl Gear {
    /// Gear with these commands.
    #[must_use]
    pub fn new(commands: Arc<Commands>) -> Self {
        Self { commands, inbox: Arc::default(), places: Arc::new(Semaphore::new(COMMANDS_AT_ONCE)) }
    }
}

impl Default for Gear {
    /// Gear with which nothing can be run.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}
