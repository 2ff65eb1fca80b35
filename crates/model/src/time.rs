//! Points in time and the handle that tells it. Owns no clock: the run shell brings one.

use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z. All stored and transmitted times are this; zones are presentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMs(pub i64);

impl UtcMs {
    /// This time moved later by `by` (saturating).
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time moved earlier by `by` (saturating).
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after (wall clocks jump).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A reading of the monotonic clock, as time since the process started. Never jumps; not comparable across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub Duration);

/// Tells the time. The process has one real clock (`net::clock::SystemClock`); tests bring their own.
pub trait Clock: Send + Sync {
    /// Wall clock time, which may jump.
    fn utc(&self) -> UtcMs;
    /// Monotonic time since the process started.
    fn mono(&self) -> Mono;
}
