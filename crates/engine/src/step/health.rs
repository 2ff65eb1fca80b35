//! How StreamPulse itself is: store, engine, clock, configuration. Never touches a target.

use std::sync::Arc;
use std::time::Duration;

use model::conf::Problem;
use model::event::{Part, What};
use model::time::Mono;

use crate::input::{Now, StoreNow};
use crate::state::{State, Timer};

/// A difference between the clocks that is a jump and not the slewing of a time service (which moves at most 0.5 ms per
/// second, and the clocks are compared at every step).
pub(crate) const CLOCK_JUMP: Duration = Duration::from_secs(2);
/// How long a part stays unwell after something that was over at once: long enough to be seen by a check every 30 s.
pub(crate) const UNWELL_FOR: Duration = Duration::from_secs(60);

impl State {
    /// Compares how far the two clocks moved since the step before.
    pub(super) fn check_clock(&mut self, now: Now) {
        let before = std::mem::replace(&mut self.clocks, now);
        let moved = now.utc.0.saturating_sub(before.utc.0);
        let passed = i64::try_from(now.mono.0.saturating_sub(before.mono.0).as_millis()).unwrap_or(i64::MAX);
        let off = moved.saturating_sub(passed);
        if off.unsigned_abs() > u64::try_from(CLOCK_JUMP.as_millis()).unwrap_or(u64::MAX) {
            let way = if off > 0 { "forward" } else { "back" };
            let far = Duration::from_millis(off.unsigned_abs()).as_secs_f64();
            self.unwell(now, Part::Clock, format!("the wall clock jumped {way} by {far:.1} s"));
            self.well_after(now, Part::Clock);
        }
    }

    /// A part is unwell until [`State::well`].
    pub(super) fn unwell(&mut self, now: Now, part: Part, reason: String) {
        if let Some(at) = self.well_at.remove(&part) {
            self.timers.remove(&(at, Timer::Well(part)));
        }
        if self.health.unwell.get(&part).is_some_and(|(known, _)| *known == reason) {
            return;
        }
        let since = self.health.unwell.get(&part).map_or(now.utc, |(_, since)| *since);
        self.health.unwell.insert(part, (reason.clone(), since));
        self.touch_all();
        self.emit(now.utc, What::Unwell(part, reason));
    }

    /// Believes a part well again after [`UNWELL_FOR`], unless something happens before.
    fn well_after(&mut self, now: Now, part: Part) {
        if self.stopping {
            return;
        }
        let at = Mono(now.mono.0.saturating_add(UNWELL_FOR));
        if let Some(old) = self.well_at.insert(part, at) {
            self.timers.remove(&(old, Timer::Well(part)));
        }
        self.timers.insert((at, Timer::Well(part)));
    }

    /// A part is well.
    pub(super) fn well(&mut self, now: Now, part: Part) {
        if let Some(at) = self.well_at.remove(&part) {
            self.timers.remove(&(at, Timer::Well(part)));
        }
        if self.health.unwell.remove(&part).is_some() {
            self.touch_all();
            self.emit(now.utc, What::Well(part));
        }
    }

    pub(super) fn store_says(&mut self, now: Now, store: StoreNow) {
        let lost = store.lost_rows.saturating_sub(self.lost_rows);
        self.lost_rows = store.lost_rows;
        if !store.ok {
            let reason = store.reason.unwrap_or_else(|| "the history cannot be written".to_owned());
            self.unwell(now, Part::Store, reason);
        } else if lost > 0 {
            self.unwell(now, Part::Store, format!("{} rows of history were lost so far", store.lost_rows));
            self.well_after(now, Part::Store);
        } else if !self.well_at.contains_key(&Part::Store) {
            self.well(now, Part::Store);
        }
    }

    pub(super) fn panicked(&mut self, now: Now, what: &str) {
        self.unwell(now, Part::Engine, format!("a panic was contained: {what}"));
        self.well_after(now, Part::Engine);
    }

    pub(super) fn config_rejected(&mut self, now: Now, problems: Arc<Vec<Problem>>) {
        if self.health.config_problems == problems && self.health.unwell.contains_key(&Part::Config) {
            return;
        }
        let reason = match problems.as_slice() {
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
            [] => "the configuration was refused".to_owned(),
        };
        self.health.config_problems = Arc::clone(&problems);
        self.touch_all();
        self.unwell(now, Part::Config, reason);
        self.emit(now.utc, What::ConfigRejected(problems));
    }

    pub(super) fn services_file(&mut self, now: Now, refused: Option<String>) {
        match refused {
            Some(reason) => self.unwell(now, Part::Services, reason),
            None => self.well(now, Part::Services),
        }
    }

    pub(super) fn config_accepted(&mut self, now: Now) {
        if !self.health.config_problems.is_empty() {
            self.health.config_problems = Arc::default();
            self.touch_all();
        }
        self.well(now, Part::Config);
    }
}
