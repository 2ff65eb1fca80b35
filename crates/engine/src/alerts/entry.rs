//! One alert: a rule and what it is about. Owns its life (pending, active, clearing, flapping) and what is remembered of it.
//! Knows nothing of other alerts, and tells nobody anything.

use std::collections::VecDeque;
use std::time::Duration;

use model::alert::{About, Ack, AlertPhase, Flapping, Held, Rule, Severity, Truth};
use model::status::Status;
use model::time::UtcMs;

/// A time of the machine: milliseconds that never jump. What is remembered from before the start may be negative.
pub(crate) type Tick = i64;

/// A duration as ticks.
pub(crate) fn ticks(duration: Duration) -> Tick {
    Tick::try_from(duration.as_millis()).unwrap_or(Tick::MAX / 4)
}

/// What people are told of what an alert is about. Not remembered over a restart: the next look tells it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) name: String,
    pub(crate) group: Option<String>,
    pub(crate) status: Status,
    pub(crate) since: UtcMs,
}

/// Looks that what was explained has before people are told of it after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    pub(crate) looks_left: u32,
    /// When the newest look that was counted began.
    pub(crate) seen_at: UtcMs,
    /// Not longer than this.
    pub(crate) until: Tick,
}

/// One alert.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Names it: hash of the rule and what it is about.
    pub(crate) key: String,
    /// The part of the key that is the rule.
    pub(crate) hash: String,
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    pub(crate) recovery: bool,
    pub(crate) about: About,
    pub(crate) face: Face,
    pub(crate) phase: AlertPhase,
    /// When it became bad.
    pub(crate) bad_since: Tick,
    pub(crate) began_at: UtcMs,
    /// When it became good, while it clears.
    pub(crate) good_since: Tick,
    /// What the condition said last, when it said something.
    pub(crate) bad: bool,
    /// What it says now.
    pub(crate) truth: Truth,
    /// Why, in words.
    pub(crate) cause: String,
    /// When it began and ended of late, oldest first.
    pub(crate) changes: VecDeque<Tick>,
    /// When it last turned, while it is flapping.
    pub(crate) flapping: Option<Tick>,
    pub(crate) ack: Option<Ack>,
    /// The thread in which people were told.
    pub(crate) thread: Option<String>,
    pub(crate) told_at: Option<UtcMs>,
    /// Since when it is to be told and nothing holds it.
    pub(crate) ready: Option<Tick>,
    /// Since when it waits for the verdict on others, and its looks that are older than their trouble count for nothing.
    pub(crate) asking: Option<Tick>,
    pub(crate) grace: Option<Grace>,
    pub(crate) held: Option<Held>,
    /// Stands in the history.
    pub(crate) noted: bool,
    /// Something that is remembered has changed.
    pub(crate) dirty: bool,
}

/// What became of an alert in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing that others must know.
    None,
    /// It is an alert from now on.
    Began,
    /// It is over.
    Ended,
    /// It was never an alert, and is forgotten.
    Dropped,
    /// It changes again and again.
    Flaps,
    /// It no longer does, and is bad.
    Steady,
}

impl Entry {
    /// An alert whose condition just became bad.
    pub(crate) fn new(key: String, hash: &str, rule: &Rule, about: About, face: Face, now: (Tick, UtcMs)) -> Self {
        Self {
            key,
            hash: hash.to_owned(),
            rule: rule.name.clone(),
            severity: rule.severity,
            recovery: rule.recovery,
            about,
            face,
            phase: AlertPhase::Pending,
            bad_since: now.0,
            began_at: now.1,
            good_since: 0,
            bad: true,
            truth: Some(true),
            cause: String::new(),
            changes: VecDeque::new(),
            flapping: None,
            ack: None,
            thread: None,
            told_at: None,
            ready: None,
            asking: None,
            grace: None,
            held: None,
            noted: false,
            dirty: !rule.lasts.is_zero(),
        }
    }

    /// Whether it is an alert now.
    pub(crate) fn is_alert(&self) -> bool {
        matches!(self.phase, AlertPhase::Active | AlertPhase::Clearing)
    }

    /// Whether people may be told that it is so: it is bad by the newest word, or known to change again and again.
    pub(crate) fn is_certain(&self) -> bool {
        self.phase == AlertPhase::Active && (self.truth == Some(true) || self.flapping.is_some())
    }

    /// The condition says something, or time has passed.
    pub(crate) fn step(&mut self, truth: Truth, rule: &Rule, flapping: Flapping, (t, utc): (Tick, UtcMs)) -> Turn {
        self.truth = truth;
        let turned = truth.is_some_and(|bad| bad != self.bad);
        if let Some(bad) = truth {
            self.bad = bad;
        }
        if let Some(last) = &mut self.flapping {
            if turned {
                *last = t;
                self.dirty = true;
            }
            return self.flaps(flapping, t);
        }
        match self.phase {
            AlertPhase::Over if truth == Some(true) => {
                self.phase = AlertPhase::Pending;
                (self.bad_since, self.began_at) = (t, utc);
                (self.ack, self.told_at, self.noted) = (None, None, false);
                self.dirty = true;
                self.pending(rule, flapping, t)
            }
            AlertPhase::Over => {
                self.forget_changes(flapping, t);
                if self.changes.is_empty() { Turn::Dropped } else { Turn::None }
            }
            AlertPhase::Pending if truth == Some(false) => {
                if self.changes.is_empty() {
                    return Turn::Dropped;
                }
                self.phase = AlertPhase::Over;
                self.dirty = true;
                Turn::None
            }
            AlertPhase::Pending => self.pending(rule, flapping, t),
            AlertPhase::Active if truth == Some(false) => {
                self.phase = AlertPhase::Clearing;
                self.good_since = t;
                self.dirty = true;
                self.clearing(rule, flapping, t)
            }
            AlertPhase::Active => Turn::None,
            AlertPhase::Clearing if truth == Some(true) => {
                self.phase = AlertPhase::Active;
                self.dirty = true;
                Turn::None
            }
            AlertPhase::Clearing => self.clearing(rule, flapping, t),
        }
    }

    fn pending(&mut self, rule: &Rule, flapping: Flapping, t: Tick) -> Turn {
        if self.truth != Some(true) || t < self.bad_since.saturating_add(ticks(rule.lasts)) {
            return Turn::None;
        }
        self.phase = AlertPhase::Active;
        self.dirty = true;
        self.change(flapping, t);
        Turn::Began
    }

    fn clearing(&mut self, rule: &Rule, flapping: Flapping, t: Tick) -> Turn {
        if self.truth != Some(false) || t < self.good_since.saturating_add(ticks(rule.clear_for)) {
            return Turn::None;
        }
        self.change(flapping, t);
        self.dirty = true;
        if self.flapping.is_some() {
            self.phase = AlertPhase::Active;
            return Turn::Flaps;
        }
        self.phase = AlertPhase::Over;
        Turn::Ended
    }

    /// Counts a beginning or an end.
    fn change(&mut self, flapping: Flapping, t: Tick) {
        if flapping.changes == 0 {
            return;
        }
        self.forget_changes(flapping, t);
        self.changes.push_back(t);
        if self.changes.len() >= flapping.changes as usize {
            self.flapping = Some(t);
        }
    }

    fn forget_changes(&mut self, flapping: Flapping, t: Tick) {
        let oldest = t.saturating_sub(ticks(flapping.within));
        while self.changes.front().is_some_and(|at| *at <= oldest) {
            self.changes.pop_front();
            self.dirty = true;
        }
    }

    fn flaps(&mut self, flapping: Flapping, t: Tick) -> Turn {
        let Some(last) = self.flapping else { return Turn::None };
        let quiet = t >= last.saturating_add(ticks(flapping.quiet)) && self.truth.is_some();
        if flapping.changes > 0 && !quiet {
            return Turn::None;
        }
        self.flapping = None;
        self.changes.clear();
        self.dirty = true;
        if self.bad {
            return Turn::Steady;
        }
        self.phase = AlertPhase::Over;
        Turn::Ended
    }

    /// When time alone may change something.
    pub(crate) fn wakes_at(&self, rule: &Rule, flapping: Flapping) -> Option<Tick> {
        if let Some(last) = self.flapping {
            return Some(last.saturating_add(ticks(flapping.quiet)));
        }
        match self.phase {
            AlertPhase::Pending => Some(self.bad_since.saturating_add(ticks(rule.lasts))),
            AlertPhase::Clearing => Some(self.good_since.saturating_add(ticks(rule.clear_for))),
            AlertPhase::Over => self.changes.back().map(|at| at.saturating_add(ticks(flapping.within))),
            AlertPhase::Active => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::alert::{Condition, Scope};

    use super::*;

    fn rule(lasts: u64, clear_for: u64) -> Rule {
        Rule {
            name: "r".to_owned(),
            when: Condition::Status(vec![Status::Down]),
            scope: Scope::default(),
            lasts: Duration::from_secs(lasts),
            clear_for: Duration::from_secs(clear_for),
            severity: Severity::Warning,
            remind: None,
            recovery: true,
            channels: Vec::new(),
        }
    }

    /// One letter a second: `b`ad, `g`ood, `?` cannot tell. Answers a letter a second: `p`ending, `A` began, `a`ctive,
    /// `c`learing, `E`nded, `F` flaps, `S`teady, `-` nothing is remembered, `o`ver and remembered.
    fn run(rule: &Rule, flapping: Flapping, script: &str) -> String {
        let face = Face { name: "t".to_owned(), group: None, status: Status::Down, since: UtcMs(0) };
        let mut entry: Option<Entry> = None;
        let mut out = String::new();
        for (i, c) in script.chars().enumerate() {
            let t = Tick::try_from(i).expect("small") * 1000;
            let truth = match c {
                'b' => Some(true),
                'g' => Some(false),
                _ => None,
            };
            if entry.is_none() && truth == Some(true) {
                let about = About::Own("x".to_owned());
                entry = Some(Entry::new("k".to_owned(), "h", rule, about, face.clone(), (t, UtcMs(t))));
            }
            let Some(known) = &mut entry else {
                out.push('-');
                continue;
            };
            let turn = known.step(truth, rule, flapping, (t, UtcMs(t)));
            out.push(match (turn, known.phase) {
                (Turn::Began, _) => 'A',
                (Turn::Ended, _) => 'E',
                (Turn::Flaps, _) => 'F',
                (Turn::Steady, _) => 'S',
                (Turn::Dropped, _) => '-',
                (_, AlertPhase::Pending) => 'p',
                (_, AlertPhase::Active) => 'a',
                (_, AlertPhase::Clearing) => 'c',
                (_, AlertPhase::Over) => 'o',
            });
            if turn == Turn::Dropped || (turn == Turn::Ended && known.changes.is_empty()) {
                entry = None;
            }
        }
        out
    }

    const NEVER: Flapping = Flapping { changes: 0, within: Duration::from_secs(60), quiet: Duration::from_secs(60) };

    #[test]
    fn an_alert_begins_and_ends_at_its_times() {
        for (lasts, clear_for, script, wanted) in [
            (0, 0, "gbbgg", "-AaE-"),
            (3, 0, "bbbbg", "pppAE"),
            (3, 0, "bbgbbbb", "pp-pppA"),
            (0, 2, "bgggb", "AccEA"),
            (0, 2, "bggbggg", "AccaccE"),
            // Not knowing changes nothing, and a time that was counted goes on being counted.
            (3, 0, "bb??b", "ppppA"),
            (3, 0, "b???", "pppp"),
            (0, 0, "b?g", "AaE"),
            (0, 2, "bg??g", "AcccE"),
            (0, 2, "bg??b", "Accca"),
            (3, 0, "b?g", "pp-"),
        ] {
            assert_eq!(run(&rule(lasts, clear_for), NEVER, script), wanted, "{lasts} {clear_for} {script}");
        }
    }

    #[test]
    fn flapping_is_one_alert_until_it_is_quiet() {
        let often = Flapping { changes: 4, within: Duration::from_secs(10), quiet: Duration::from_secs(5) };
        for (script, wanted) in [
            // Begin, end, begin, end: the fourth change is flapping, and it is no end.
            ("bgbggggggg", "AEAFaaaaE-"),
            ("bgbgbbbbbbb", "AEAFaaaaaSa"),
            // Turns while it flaps put the end off.
            ("bgbggggbgggggg", "AEAFaaaaaaaaaE"),
            // Four changes, but not within ten seconds.
            ("bgggggggggbg", "AEooooooooAE"),
        ] {
            let got = run(&rule(0, 0), often, script);
            let cut = got.len().min(wanted.len());
            assert_eq!(&got[..cut], &wanted[..cut], "{script}: {got}");
        }
        // What is quiet for long is forgotten.
        assert_eq!(run(&rule(0, 0), often, "bggggggggggggg"), "AEooooooooo---");
    }
}
