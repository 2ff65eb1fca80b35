//! When a message that failed is tried again, and when it is given up. Pure: the same failure of the same message always
//! gives the same pause.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Pause after the first failure; it doubles with every further one.
const FIRST: Duration = Duration::from_secs(5);
/// Longest pause of our own: a receiver that works again gets what waits within minutes.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest pause that a receiver may ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// How long a message is tried: what was news a day ago is none.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// A message is tried this often at least, however old it seems: a clock that jumped is no reason to give up.
const LEAST_ATTEMPTS: u32 = 5;
/// A message is tried this often at most: more than fits into [`OLDEST`] with pauses of [`LONGEST`].
const MOST_ATTEMPTS: u32 = 400;

/// The pause after failure number `attempts` (from 1) of a message. A quarter more or less, by chance from `seed`, so that what
/// failed together does not come back together; never shorter than what the receiver asked for.
pub(super) fn pause(attempts: u32, asked_s: Option<u64>, seed: i64) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16))).min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (seed, attempts).hash(&mut hasher);
    let part = f64::from(u16::try_from(hasher.finish() % 1000).unwrap_or_default()) / 1000.0;
    let own = doubled.mul_f64(0.75 + part / 2.0);
    let asked = Duration::from_secs(asked_s.unwrap_or(0)).min(LONGEST_ASKED);
    own.max(asked)
}

/// Whether a message that failed `attempts` times since it was handed over `age` ago is given up.
pub(super) fn is_over(attempts: u32, age: Duration) -> bool {
    attempts >= MOST_ATTEMPTS || (attempts >= LEAST_ATTEMPTS && age >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_heed_the_receiver() {
        for seed in 0..50 {
            let mut before = Duration::ZERO;
            for attempts in 1..100 {
                let own = pause(attempts, None, seed);
                let bound = FIRST.saturating_mul(1 << (attempts - 1).min(7)).min(LONGEST);
                assert!(own >= bound.mul_f64(0.75) && own <= bound.mul_f64(1.25), "{attempts}: {own:?}");
                assert!(own > before.mul_f64(0.59), "{attempts}: {own:?} after {before:?}");
                before = own;
            }
        }
        assert_eq!(pause(1, Some(30), 1), Duration::from_secs(30));
        assert_eq!(pause(1, Some(u64::MAX), 1), LONGEST_ASKED);
        assert!((1..40).any(|seed| pause(3, None, seed) != pause(3, None, seed + 1)), "not all alike");
    }

    #[test]
    fn given_up_by_age_and_by_count() {
        assert!(!is_over(1, OLDEST * 3), "the clock may have jumped");
        assert!(!is_over(50, OLDEST - Duration::from_secs(1)));
        assert!(is_over(5, OLDEST) && is_over(MOST_ATTEMPTS, Duration::ZERO));
    }
}
