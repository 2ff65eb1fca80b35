//! Alerts that are about services: trouble, and figures with bounds. Reads how they are; how long it lasts, and who is told, is
//! as for everything else.

use std::collections::VecDeque;

use model::alert::{About, Condition, trouble};
use model::unit::UnitId;
use model::unit::board::{UnitBoard, UnitNow};

use super::entry::Tick;
use super::machine::Machine;

/// The time within which starts are counted.
const HOUR_MS: Tick = 3_600_000;
/// After this long since the start there are no services where nobody told of any.
const SETTLED_MS: Tick = 60_000;
/// Most starts that are remembered of one service: more than any rule asks about.
const MAX_STARTS: usize = 10_000;

/// Starts of one service that nobody commanded.
#[derive(Default)]
pub(super) struct Restarts {
    /// How many there were in all; `None` before it was seen first.
    counted: Option<u64>,
    /// When those of the last hour were.
    at: VecDeque<Tick>,
}

impl Restarts {
    /// Counts those within the last hour. What was before it was seen first is not counted: nobody knows when it was.
    fn see(&mut self, counted: u64, t: Tick) -> u64 {
        let new = counted.saturating_sub(self.counted.unwrap_or(counted));
        self.counted = Some(counted);
        let new = usize::try_from(new).unwrap_or(MAX_STARTS).min(MAX_STARTS);
        self.at.extend(std::iter::repeat_n(t, new));
        while self.at.len() > MAX_STARTS || self.at.front().is_some_and(|at| at.saturating_add(HOUR_MS) <= t) {
            self.at.pop_front();
        }
        self.at.len() as u64
    }
}

impl Machine {
    pub(super) fn see_services(&mut self, units: &UnitBoard) {
        // Whoever runs services says nothing for a moment after the start, and never where there are none.
        if units.version == 0 && self.t <= self.started + SETTLED_MS {
            return;
        }
        self.restarts.retain(|id, _| units.get(id).is_some());
        for unit in &units.units {
            let t = self.t;
            let restarts = self.restarts.entry(unit.spec.id.clone()).or_default().see(unit.restarts, t);
            for i in 0..self.rules.len() {
                self.see_service(i, unit, restarts);
            }
        }
        let is_covered = |id: &UnitId, hash: &str| {
            let rule = self.rules.iter().find(|c| c.hash == hash);
            units.get(id).is_some() && rule.is_some_and(|c| covers(&c.rule.when, id))
        };
        let gone = self.entries.values().filter(|e| matches!(&e.about, About::Service(id) if !is_covered(id, &e.hash)));
        for key in gone.map(|e| e.key.clone()).collect::<Vec<_>>() {
            self.close(&key, "the service was removed, or the rule no longer covers it", true);
        }
    }

    fn see_service(&mut self, i: usize, unit: &UnitNow, restarts: u64) {
        let when = &self.rules[i].rule.when;
        if !covers(when, &unit.spec.id) {
            return;
        }
        let (truth, cause) = match when {
            Condition::Service(words, _) => (trouble(words, unit), reason(unit)),
            Condition::ServiceReading(level, _) => match level.figure.read(unit, restarts, self.utc) {
                Some(value) => (level.judge(value), level.words(value)),
                None => (None, String::new()),
            },
            _ => return,
        };
        self.see_other(Some(i), About::Service(unit.spec.id.clone()), truth, &cause);
    }
}

fn covers(when: &Condition, id: &UnitId) -> bool {
    match when {
        Condition::Service(_, ids) | Condition::ServiceReading(_, ids) => ids.is_empty() || ids.contains(id),
        _ => false,
    }
}

/// Why it is in trouble.
fn reason(unit: &UnitNow) -> String {
    match &unit.health_reason {
        Some(why) if unit.health == model::unit::Health::Unhealthy => why.clone(),
        _ => unit.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted_for_an_hour() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.see(40, 0), 0, "what was before is not counted");
        assert_eq!(restarts.see(42, 1_000), 2);
        assert_eq!(restarts.see(43, HOUR_MS), 3);
        assert_eq!(restarts.see(43, HOUR_MS + 1_000), 1);
        assert_eq!(restarts.see(0, HOUR_MS + 1_000), 1, "a counter that begins anew");
    }
}
