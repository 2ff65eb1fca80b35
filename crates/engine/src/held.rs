//! What is remembered of the session of a target that is watched continuously. Owns the data and what follows from it alone;
//! the transitions are in [`crate::step`].

use std::collections::VecDeque;
use std::sync::Arc;

use model::limits::LIVE_SECONDS;
use model::live::LiveSecond;
use model::observation::{Observation, Second};
use model::time::{Mono, UtcMs};

use crate::cadence::GOOD_FOR;

/// Sessions in a row that opened and ended before [`GOOD_FOR`], after which an opening alone is believed no more: a server
/// that lets everybody in and throws everybody out again must not look well each time that it does the first.
pub(crate) const SHORT_LIVED: u32 = 2;

/// The memory of a session.
#[derive(Default)]
pub(crate) struct Held {
    /// Since when it does what it does.
    pub(crate) since: UtcMs,
    /// When the newest attempt to open it began.
    pub(crate) began: Mono,
    /// When media began to flow; `None` unless it flows.
    pub(crate) live_since: Option<Mono>,
    /// Attempts and sessions in a row that were not good.
    pub(crate) failures: u32,
    /// Sessions in a row that opened and did not last.
    pub(crate) short: u32,
    /// Sessions in which media flowed.
    pub(crate) opened: u64,
    /// The next live observation is to be judged.
    pub(crate) due: bool,
    /// The newest live observation; `None` unless media flows.
    pub(crate) live: Option<Arc<Observation>>,
    /// The newest seconds, oldest first.
    pub(crate) seconds: VecDeque<LiveSecond>,
}

impl Held {
    /// Sessions that were opened again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.opened.saturating_sub(1)
    }

    /// Whether an opening alone proves nothing any more.
    pub(crate) fn must_last(&self) -> bool {
        self.short >= SHORT_LIVED
    }

    /// When a session counts as good whose opening alone proves nothing; `None` for any other.
    pub(crate) fn believed_at(&self) -> Option<UtcMs> {
        (self.must_last() && self.live_since.is_some()).then(|| self.since.plus(GOOD_FOR))
    }

    /// Takes a live observation in; `second` where a whole one has passed.
    pub(crate) fn see(&mut self, at: UtcMs, seen: Arc<Observation>, second: Option<Second>) {
        self.live = Some(seen);
        let Some(second) = second else { return };
        if self.seconds.len() >= LIVE_SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(LiveSecond { at, second });
    }

    /// The session lasted until now long enough: what was before is forgiven.
    pub(crate) fn is_good(&mut self) {
        (self.failures, self.short) = (0, 0);
    }

    /// The session is over, or could not be opened.
    pub(crate) fn ended(&mut self, now: Mono) {
        let lived = self.live_since.take().map(|since| now.0.saturating_sub(since.0));
        self.live = None;
        match lived {
            Some(lived) if lived >= GOOD_FOR => self.is_good(),
            Some(_) => (self.failures, self.short) = (self.failures.saturating_add(1), self.short.saturating_add(1)),
            None => self.failures = self.failures.saturating_add(1),
        }
    }
}
