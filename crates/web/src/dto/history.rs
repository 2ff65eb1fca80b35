//! What was: roll-ups, status changes, availability.

use std::collections::BTreeMap;

use model::availability::Availability;
use serde::Serialize;
use store::{Rollup, StatusChangeRow};
use utoipa::ToSchema;

use super::{millis, observation::phases};

/// One minute, hour or day of one target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RollupDto {
    /// Its beginning.
    pub at: i64,
    /// Looks in all.
    pub count: u64,
    /// Looks that passed.
    pub pass: u64,
    /// Looks with a warning.
    pub warn: u64,
    /// Looks that failed.
    pub fail: u64,
    /// Shortest duration of a look that did not fail, in milliseconds.
    pub took_min_ms: Option<f64>,
    /// Mean duration.
    pub took_avg_ms: Option<f64>,
    /// Longest duration.
    pub took_max_ms: Option<f64>,
    /// Mean milliseconds by phase.
    pub phases_avg_ms: BTreeMap<&'static str, f64>,
    /// Milliseconds up or degraded.
    pub up_ms: i64,
    /// Milliseconds down.
    pub down_ms: i64,
    /// Milliseconds that do not count.
    pub unknown_ms: i64,
}

impl From<&Rollup> for RollupDto {
    fn from(r: &Rollup) -> Self {
        Self {
            at: r.at.0,
            count: r.count,
            pass: r.ok,
            warn: r.warn,
            fail: r.fail,
            took_min_ms: r.took_min.map(millis),
            took_avg_ms: r.took_avg.map(millis),
            took_max_ms: r.took_max.map(millis),
            phases_avg_ms: phases(&r.phases),
            up_ms: r.up_ms,
            down_ms: r.down_ms,
            unknown_ms: r.unknown_ms,
        }
    }
}

/// Roll-ups of one target, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RollupsDto {
    /// `minute`, `hour` or `day`.
    pub resolution: &'static str,
    /// The roll-ups.
    pub rows: Vec<RollupDto>,
}

/// How a window was spent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AvailabilityDto {
    /// Beginning of the window.
    pub from: i64,
    /// Its end.
    pub to: i64,
    /// Share of the counted time that was available, 0 to 1; null when no time counted.
    pub ratio: Option<f64>,
    /// Milliseconds up or degraded.
    pub available_ms: u64,
    /// Milliseconds down.
    pub unavailable_ms: u64,
    /// Milliseconds that do not count.
    pub uncounted_ms: u64,
}

impl AvailabilityDto {
    /// The answer for one window.
    #[must_use]
    pub fn new(from: i64, to: i64, a: &Availability) -> Self {
        let ms = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            from,
            to,
            ratio: a.ratio(),
            available_ms: ms(a.available),
            unavailable_ms: ms(a.unavailable),
            uncounted_ms: ms(a.uncounted),
        }
    }
}

/// One status change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeDto {
    /// When.
    pub at: i64,
    /// Status before.
    pub from: &'static str,
    /// Status after.
    pub to: &'static str,
    /// Why, in words.
    pub reason: String,
}

impl From<&StatusChangeRow> for ChangeDto {
    fn from(r: &StatusChangeRow) -> Self {
        let c = &r.change;
        Self { at: c.at.0, from: c.from.as_str(), to: c.to.as_str(), reason: c.reason.clone() }
    }
}

/// Status changes of one target, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangesDto {
    /// The changes.
    pub rows: Vec<ChangeDto>,
}
