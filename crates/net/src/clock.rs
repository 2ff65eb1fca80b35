//! The one real clock of the process. Owns the reading of system time; everything else takes a [`Clock`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::time::{Clock, Mono, UtcMs};
use tokio::time::Instant;

/// System time, and monotonic time since this value was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now. Make one per process.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn utc(&self) -> UtcMs {
        UtcMs(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Mono {
        Mono(self.started.elapsed())
    }
}

/// System time since 1970; a clock before that reads as 1970: nothing here is older.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's time")]
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn monotonic_time_follows_the_runtime_and_utc_is_after_2020() {
        let clock = SystemClock::new();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.mono(), Mono(Duration::from_secs(3)));
        assert!(clock.utc() > UtcMs(1_577_836_800_000));
    }
}
