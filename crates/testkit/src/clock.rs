//! A clock that a test moves by hand.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::time::{Clock, Mono, UtcMs};

/// A clock that stands still until told otherwise. Begins at 2026-01-01T00:00:00Z with monotonic time zero.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(UtcMs, Mono)>,
}

/// Where a [`ManualClock`] begins: 2026-01-01T00:00:00Z.
pub const START: UtcMs = UtcMs(1_767_225_600_000);

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock at [`START`].
    #[must_use]
    pub fn new() -> Self {
        Self { now: Mutex::new((START, Mono::default())) }
    }

    /// Lets time pass: both readings grow.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0.plus(by), Mono(now.1.0 + by));
    }

    /// Sets the wall clock, as an administrator or a time server would: monotonic time does not change.
    pub fn set_utc(&self, utc: UtcMs) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0 = utc;
    }
}

impl Clock for ManualClock {
    fn utc(&self) -> UtcMs {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn mono(&self) -> Mono {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_by_hand_and_the_wall_clock_may_jump() {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(5));
        clock.set_utc(UtcMs(7));
        clock.advance(Duration::from_secs(1));
        assert_eq!((clock.utc(), clock.mono()), (UtcMs(1007), Mono(Duration::from_secs(6))));
    }
}
