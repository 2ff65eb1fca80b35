//! How long to wait before a unit is started again, and when that is given up. Arithmetic only.

use std::time::Duration;

use crate::unit::spec::Restart;

/// Starts that are remembered: more than any start limit needs.
pub(super) const MOST_STARTS: usize = 1_000;
/// Powers of the factor that make a difference: beyond, every pause is the longest.
const MOST_POWERS: u32 = 64;

/// The pause after this many failures in a row (0 for the first). Never longer than `longest`, and at least the part of it
/// that is not left to `chance` (0 to 1).
#[must_use]
pub fn pause(rules: &Restart, failures: u32, chance: f64) -> Duration {
    let power = i32::try_from(failures.min(MOST_POWERS)).unwrap_or(i32::MAX);
    let grown = rules.first.as_secs_f64() * rules.factor.max(1.0).powi(power);
    let whole = grown.min(rules.longest.as_secs_f64()).max(0.0);
    let jitter = rules.jitter.clamp(0.0, 1.0);
    let pause = whole * (1.0 - jitter + jitter * chance.clamp(0.0, 1.0));
    Duration::try_from_secs_f64(pause).unwrap_or(rules.longest).min(rules.longest)
}
