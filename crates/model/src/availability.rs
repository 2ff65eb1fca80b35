//! Availability weighted by time, from status changes. Pure; the store fetches the changes.

use std::time::Duration;

use crate::status::Status;
use crate::time::UtcMs;

/// How a window was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    /// Time up or degraded.
    pub available: Duration,
    /// Time down.
    pub unavailable: Duration,
    /// Time of which nothing is known or that does not count (unknown, paused, maintenance).
    pub uncounted: Duration,
}

impl Availability {
    /// Share of the counted time that was available, 0 to 1; `None` when no time counted.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let counted = self.available + self.unavailable;
        (!counted.is_zero()).then(|| self.available.as_secs_f64() / counted.as_secs_f64())
    }
}

/// Spreads the window `from..to` over the statuses. `before` is the status at `from`; `changes` are the later changes in
/// order of time (those outside of the window are harmless).
#[must_use]
pub fn over(from: UtcMs, to: UtcMs, before: Status, changes: &[(UtcMs, Status)]) -> Availability {
    let mut sum = Availability::default();
    let (mut at, mut status) = (from, before);
    for &(when, next) in changes {
        let when = when.clamp(at, to.max(at));
        add(&mut sum, status, when.since(at));
        (at, status) = (when, next);
    }
    add(&mut sum, status, to.since(at));
    sum
}

fn add(sum: &mut Availability, status: Status, time: Duration) {
    match status.counts_as() {
        Some(true) => sum.available += time,
        Some(false) => sum.unavailable += time,
        None => sum.uncounted += time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_what_counts() {
        let s = |n: i64| UtcMs(n * 1000);
        for (changes, wanted) in [
            (vec![], (10, 0, 0)),
            (vec![(s(4), Status::Down)], (4, 6, 0)),
            (vec![(s(4), Status::Down), (s(5), Status::Degraded)], (9, 1, 0)),
            (vec![(s(2), Status::Unknown), (s(8), Status::Down)], (2, 2, 6)),
            (vec![(s(-5), Status::Down)], (0, 10, 0)),
            (vec![(s(50), Status::Down)], (10, 0, 0)),
            (vec![(s(6), Status::Down), (s(3), Status::Up)], (10, 0, 0)),
        ] {
            let a = over(s(0), s(10), Status::Up, &changes);
            let got = (a.available.as_secs(), a.unavailable.as_secs(), a.uncounted.as_secs());
            assert_eq!(got, wanted, "{changes:?}");
        }
        assert_eq!(over(s(0), s(10), Status::Paused, &[]).ratio(), None);
        assert_eq!(over(s(0), s(10), Status::Up, &[(s(9), Status::Down)]).ratio(), Some(0.9));
    }
}
