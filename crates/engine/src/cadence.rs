//! When a target is due: a grid of its own, spread by a stable hash of its id. Owns the arithmetic and the figures on
//! lateness; keeps no queue and reads no clock.

use std::time::Duration;

use model::target::TargetId;
use model::time::Mono;

/// First looks after a start or reload come within this time: a newcomer wants to see something, and a burst of
/// thousands in one moment would make all of them late.
pub const FIRST_LOOKS_WITHIN: Duration = Duration::from_secs(5);
/// Room that each first look gets at least: 30 targets begin within the 300 ms in which the first look is promised.
pub const FIRST_LOOK_ROOM: Duration = Duration::from_millis(10);

/// First pause before a session is opened again, after an attempt that failed; doubled by each further one.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest such pause.
pub const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// A session that lasted this long was good: its end is news, and the next one is opened at once.
pub const GOOD_FOR: Duration = Duration::from_secs(10);
/// Part of a pause that is given up at most, so that those who lost the same server do not all come back in one moment.
const JITTER_PART: u32 = 4;

/// How long to wait before a session is opened again, after so many attempts in a row that failed. None after none: the
/// first attempt comes at once. The same for the same target, and different between targets.
#[must_use]
pub fn backoff(id: &TargetId, failures: u32) -> Duration {
    let Some(doubled) = failures.checked_sub(1) else { return Duration::ZERO };
    let pause = BACKOFF_FIRST.saturating_mul(1_u32.checked_shl(doubled).unwrap_or(u32::MAX)).min(BACKOFF_CAP);
    pause.saturating_sub(share(id, pause / JITTER_PART))
}

/// A stable number of an id, evenly spread over all 64 bits.
fn spread(id: &TargetId) -> u64 {
    // FNV-1a, then the finaliser of SplitMix64: ids that differ in their last digit alone must land far apart.
    let fnv =
        id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut x = fnv;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The part of `span` that belongs to `id`: the same at every start, evenly spread over ids.
#[must_use]
pub fn share(id: &TargetId, span: Duration) -> Duration {
    let nanos = (span.as_nanos() * u128::from(spread(id))) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The first point of the grid `phase + k * interval` that lies after `after`, and how many points lie after `since` and
/// not after `after`.
#[must_use]
pub fn next_after(phase: Duration, interval: Duration, since: Mono, after: Mono) -> (Mono, u64) {
    let interval = interval.as_nanos().max(1);
    let points_until = |t: Mono| match t.0.as_nanos().checked_sub(phase.as_nanos()) {
        Some(past) => past / interval + 1,
        None => 0,
    };
    let k = points_until(after);
    let at = phase.as_nanos() + k * interval;
    let passed = k.saturating_sub(points_until(since));
    (Mono(Duration::from_nanos(u64::try_from(at).unwrap_or(u64::MAX))), u64::try_from(passed).unwrap_or(u64::MAX))
}

/// How punctual the looks are, counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Punctuality {
    /// Rounds that began by the cadence.
    pub rounds: u64,
    /// Points of a grid at which nothing began because the round before was not over.
    pub missed: u64,
    /// The latest beginning after its due time.
    pub worst: Duration,
    /// All lateness together.
    pub sum: Duration,
    /// Rounds by lateness: bucket `i` counts those that were less than `2^i` milliseconds late.
    buckets: [u64; 20],
}

impl Punctuality {
    /// Counts a round that began `late` after it was due.
    pub(crate) fn began(&mut self, late: Duration) {
        self.rounds += 1;
        self.worst = self.worst.max(late);
        self.sum = self.sum.saturating_add(late);
        let ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        let bucket = usize::try_from(u64::BITS - ms.leading_zeros()).unwrap_or(usize::MAX);
        self.buckets[bucket.min(self.buckets.len() - 1)] += 1;
    }

    /// Rounds by lateness: an upper bound and how many were later than the bound before and not later than this one, but for
    /// the last, which holds everything that was later than the bound before.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(i, count)| (Duration::from_millis(1 << i), *count))
    }

    /// A lateness that `share` (0 to 1) of all rounds stayed under; exact to a factor of two.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts stay far below 2^53
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = self.rounds as f64 * share;
        let mut sum = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            sum += count;
            if sum as f64 >= wanted {
                return Duration::from_millis(1 << i).min(self.worst);
            }
        }
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TargetId {
        TargetId::parse(text).expect("valid")
    }

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_grid_never_drifts_and_counts_what_it_passes() {
        for (phase, interval, since, after, at, passed) in [
            (3.0, 10.0, 0.0, 0.0, 3.0, 0),
            (3.0, 10.0, 3.0, 3.0, 13.0, 0),
            (3.0, 10.0, 3.0, 12.9, 13.0, 0),
            (3.0, 10.0, 3.0, 13.0, 23.0, 1),
            (3.0, 10.0, 3.0, 100.0, 103.0, 9),
            (0.0, 5.0, 0.0, 0.0, 5.0, 0),
        ] {
            let got = next_after(s(phase), s(interval), Mono(s(since)), Mono(s(after)));
            assert_eq!(got, (Mono(s(at)), passed), "{phase} {interval} {since} {after}");
        }
    }

    #[test]
    fn neighbouring_ids_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for i in 0..1000 {
            let at = share(&id(&format!("cam-{i}")), s(10.0));
            assert_eq!(at, share(&id(&format!("cam-{i}")), s(10.0)));
            tenths[usize::try_from(at.as_secs()).expect("under ten")] += 1;
        }
        assert!(tenths.iter().all(|n| (60..150).contains(n)), "{tenths:?}");
    }

    #[test]
    fn pauses_double_to_a_cap_and_differ_between_targets() {
        let of = |name: &str| (0..50).map(|n| backoff(&id(name), n)).collect::<Vec<_>>();
        let a = of("cam-1");
        assert_eq!((a[0], of("cam-1")), (Duration::ZERO, a.clone()));
        for (n, pause) in a.iter().enumerate().skip(1) {
            let full = if n < 7 { s(f64::from(1 << (n - 1))) } else { BACKOFF_CAP };
            assert!(*pause <= full && *pause > full.mul_f64(0.74), "{n}: {pause:?}");
        }
        let capped = (0..50).map(|i| backoff(&id(&format!("cam-{i}")), 20));
        assert!(capped.clone().max() > capped.min().map(|least| least + s(10.0)), "they come back in one moment");
    }

    #[test]
    fn quantiles_are_upper_bounds() {
        let mut p = Punctuality::default();
        (0..99).for_each(|_| p.began(Duration::from_micros(300)));
        p.began(Duration::from_millis(700));
        assert_eq!(p.quantile(0.5), Duration::from_millis(1));
        assert_eq!(p.quantile(1.0), Duration::from_millis(700));
        assert_eq!((p.rounds, p.worst), (100, Duration::from_millis(700)));
    }
}
