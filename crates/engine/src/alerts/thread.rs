//! A thread: what people were told of together, from the first message to the last. Owns who was told what in which order;
//! decides nothing about alerts.

use model::alert::{About, Severity, Subject};
use model::time::UtcMs;

use super::entry::Tick;

/// Most targets that one message lists; how many more there are is said.
pub(crate) const MAX_SUBJECTS: usize = 20;

/// Most names of one message that a digest lists.
pub(crate) const MAX_NAMES: usize = 5;

/// What people were told of together.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    /// Names it in all its messages.
    pub(crate) id: String,
    /// The part of an alert's key that is the rule.
    pub(crate) hash: String,
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    pub(crate) recovery: bool,
    pub(crate) began_at: UtcMs,
    /// Channels that were told.
    pub(crate) channels: Vec<String>,
    /// Channels whose digest will tell.
    pub(crate) digest: Vec<String>,
    /// Messages so far.
    pub(crate) seq: u32,
    /// When people were told last.
    pub(crate) told: Tick,
    /// Alerts that were told.
    pub(crate) total: usize,
    /// Alerts that are not over. Counted anew after a restart.
    pub(crate) open: usize,
    /// Alerts that are over, which is not told yet.
    pub(crate) gone: Vec<Gone>,
    /// How many of those are not listed.
    pub(crate) gone_more: usize,
    /// Since when.
    pub(crate) gone_since: Option<Tick>,
    /// What it is about, where it is one thing.
    pub(crate) one: Option<(About, String)>,
    /// The note of who acknowledged it.
    pub(crate) note: Option<String>,
    pub(crate) dirty: bool,
}

/// An alert that is over, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) subject: Option<Subject>,
    pub(crate) name: String,
    pub(crate) how: String,
    /// From the beginning to the end, in milliseconds.
    pub(crate) lasted_ms: i64,
}

impl Thread {
    /// The key of the next message.
    pub(crate) fn next_key(&mut self) -> String {
        self.seq += 1;
        self.dirty = true;
        format!("{}-{}", self.id, self.seq)
    }

    /// An alert of it is over.
    pub(crate) fn gone(&mut self, gone: Gone, t: Tick) {
        self.open = self.open.saturating_sub(1);
        if self.gone.len() < MAX_SUBJECTS {
            self.gone.push(gone);
        } else {
            self.gone_more += 1;
        }
        self.gone_since.get_or_insert(t);
        self.dirty = true;
    }
}

/// What a limit holds back of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) thread: String,
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    /// Names of what it is about.
    pub(crate) names: Vec<String>,
    /// How many more.
    pub(crate) more: usize,
    /// It is over meanwhile.
    pub(crate) over: bool,
}
