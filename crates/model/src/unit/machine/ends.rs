//! What follows from commands, launches, ends and what was found at the beginning. A part of [`super::Machine`].

use std::time::Duration;

use super::{ADOPT_AGAIN, AGAIN_AFTER, After, Around, Finding, KILL_AFTER, Machine, Run, Told, Up, Why};
use crate::time::Mono;
use crate::unit::board::RunEnd;
use crate::unit::spec::Policy;
use crate::unit::{Cause, State, Wanted};

/// A duration for people.
pub(super) fn seconds(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..100_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => format!("{} s", ms / 1_000),
    }
}

/// Which attempt comes after so many failures.
pub(super) fn attempt(failures: u32) -> String {
    format!("attempt {} in a row", failures.saturating_add(1))
}

/// How a run ended, for people.
fn words_of(end: &RunEnd) -> String {
    format!("{} after {}", end.exit, seconds(Duration::from_millis(end.ran_ms)))
}

impl Machine {
    pub(super) fn wish(&mut self, around: &Around<'_>, wanted: Wanted, anew: bool, why: Why) {
        let changed = self.wanted != wanted;
        self.wanted = wanted;
        self.next = why.clone();
        if wanted == Wanted::Stopped {
            self.after = None;
            if self.state == State::Stopping && changed {
                self.note(around, why);
            }
            return;
        }
        // Somebody who asks again wants it now, and has seen what went wrong before.
        self.forgive();
        match self.state {
            State::Running | State::Starting if anew && self.has_run() => {
                self.end_run(around, why.clone(), Some(After::Start(why)));
            }
            State::Stopping => {
                self.after = Some(After::Start(why.clone()));
                if changed || anew {
                    self.note(around, Why { words: format!("{}; started when it has ended", why.words), ..why });
                }
            }
            State::BackingOff | State::Failed | State::Finished if !self.has_run() => self.begin(around, why),
            _ => {}
        }
    }

    fn forgive(&mut self) {
        self.failures = 0;
        self.starts.clear();
    }

    pub(super) fn changed(&mut self, around: &Around<'_>, why: Why) {
        self.removed = false;
        self.next = why.clone();
        if !self.is_due_to_run(around) {
            return;
        }
        self.forgive();
        match (&self.run, self.state) {
            (Run::Up(_) | Run::Launching, State::Starting | State::Running) => {
                self.end_run(around, why.clone(), Some(After::Start(why)));
            }
            (Run::None | Run::Unsure { .. }, State::BackingOff | State::Failed | State::Finished) => {
                self.begin(around, why);
            }
            _ => {}
        }
    }

    pub(super) fn found(&mut self, around: &Around<'_>, finding: Finding) {
        let Run::Unsure { asking: true, launch } = self.run.clone() else { return };
        match finding {
            Finding::Unclear(words) => {
                self.run = Run::Unsure { asking: false, launch };
                self.due = Some(Mono(around.now.mono.0 + ADOPT_AGAIN));
                let words = format!("it cannot be told whether it runs, so it is not started: {words}");
                if self.why.words != words {
                    let why = Why::new(Cause::Adopted, words);
                    // It is on its way as soon as that can be told.
                    let to = if self.is_due_to_run(around) && self.state == State::Stopped {
                        State::Starting
                    } else {
                        self.state
                    };
                    self.go(around, to, why, None);
                }
            }
            Finding::Nothing => {
                self.run = Run::None;
                if let Some(words) = launch
                    && self.is_due_to_run(around)
                {
                    self.refused(around, true, &words);
                }
            }
            Finding::Ended(end) => {
                self.runs += 1;
                self.run = Run::None;
                self.over(around, end, false);
            }
            Finding::Running { what, ran, was_ready } => self.adopt(around, what, ran, was_ready),
        }
    }

    fn adopt(&mut self, around: &Around<'_>, what: String, ran: Duration, was_ready: bool) {
        let now = around.now.mono;
        self.runs += 1;
        self.run = Run::Up(Up { began: Mono(now.0.saturating_sub(ran)), what: what.clone(), told: Told::Nothing });
        self.health.begin(around.spec);
        self.due = None;
        if self.state == State::Stopping {
            return; // It is told to end by what comes next.
        }
        let why = Why::new(Cause::Adopted, format!("runs already as {what}, for {}", seconds(ran)));
        if !self.is_due_to_run(around) {
            let why = Why { words: format!("{}, and is not wanted", why.words), ..why };
            return self.end_run(around, why, None);
        }
        let ready = was_ready || around.spec.ready.is_empty();
        self.due = (!ready).then_some(Mono(now.0 + around.spec.ready_within));
        self.go(around, if ready { State::Running } else { State::Starting }, why, None);
    }

    pub(super) fn launched(&mut self, around: &Around<'_>, what: String) {
        let now = around.now.mono;
        self.run = Run::Up(Up { began: now, what: what.clone(), told: Told::Nothing });
        self.health.begin(around.spec);
        if self.state != State::Starting {
            return;
        }
        if around.spec.ready.is_empty() {
            self.due = None;
            let why = Why { words: format!("started as {what}"), cause: Cause::Launch, by: None };
            self.go(around, State::Running, why, None);
        } else {
            self.due = Some(Mono(now.0 + around.spec.ready_within));
            self.why.words = format!("launched as {what}; its start checks have not passed");
        }
    }

    pub(super) fn ready(&mut self, around: &Around<'_>, result: Result<(), String>) {
        let Run::Up(up) = &self.run else { return };
        if self.state != State::Starting {
            return;
        }
        let after = seconds(around.now.mono.0.saturating_sub(up.began.0));
        match result {
            Ok(()) => {
                let words = format!("started as {}; its start checks passed after {after}", up.what);
                self.due = None;
                self.go(around, State::Running, Why::new(Cause::Ready, words), None);
            }
            Err(words) => {
                let why = Why::new(Cause::Ready, format!("its start checks cannot pass: {words}"));
                self.end_run(around, why.clone(), Some(After::Fail(why)));
            }
        }
    }

    pub(super) fn refused(&mut self, around: &Around<'_>, passing: bool, words: &str) {
        self.run = Run::None;
        let why = Why::new(Cause::Launch, format!("could not be started: {words}"));
        if let (State::Stopping, Some(After::Start(next))) = (self.state, self.after.clone())
            && self.is_due_to_run(around)
        {
            return self.begin(around, next);
        }
        if !self.is_due_to_run(around) {
            return;
        }
        if passing {
            self.fail(around, why, None);
        } else {
            self.due = None;
            self.go(around, State::Failed, why, None);
        }
    }

    pub(super) fn ended(&mut self, around: &Around<'_>, end: RunEnd) {
        if let Run::Up(_) = self.run {
            self.run = Run::None;
            let early = self.state == State::Starting && !around.spec.ready.is_empty();
            self.over(around, end, early);
        }
    }

    /// A run is over: what follows is a matter of what was wanted, of how it ended, and of its policy. An end before the start
    /// checks passed is a failure whatever the exit code.
    fn over(&mut self, around: &Around<'_>, end: RunEnd, early: bool) {
        self.health.over();
        self.hold = None;
        let words = words_of(&end);
        if Duration::from_millis(end.ran_ms) >= around.spec.restart.steady {
            self.failures = 0;
        }
        if self.state == State::Stopping {
            return self.over_as_wanted(around, &words, end);
        }
        if !self.is_due_to_run(around) {
            let why = Why::new(Cause::Exit, format!("ended: {words}"));
            return self.go(around, State::Stopped, why, Some(end));
        }
        let why = if early {
            Why::new(Cause::Exit, format!("{words}, before its start checks passed"))
        } else {
            Why::new(Cause::Exit, words)
        };
        let success = end.exit.is_success() || is_success(&around.spec.restart.success, &end);
        if success && !early && around.spec.restart.policy != Policy::Always {
            self.due = None;
            let why = Why { words: format!("finished: {}", why.words), ..why };
            return self.go(around, State::Finished, why, Some(end));
        }
        if around.spec.restart.policy == Policy::Never {
            self.due = None;
            let why = Why { words: format!("{}; it is never started again by itself", why.words), ..why };
            return self.go(around, State::Failed, why, Some(end));
        }
        self.fail(around, why, Some(end));
    }

    fn over_as_wanted(&mut self, around: &Around<'_>, words: &str, end: RunEnd) {
        self.due = None;
        if !self.is_due_to_run(around) {
            let why = self.unwanted(around);
            let why = Why { words: format!("{}: {words}", why.words), ..why };
            return self.go(around, State::Stopped, why, Some(end));
        }
        match self.after.take() {
            Some(After::Fail(why)) if around.spec.restart.policy == Policy::Never => {
                let words = format!("{}; ended: {words}; it is never started again by itself", why.words);
                self.go(around, State::Failed, Why { words, ..why }, Some(end));
            }
            Some(After::Fail(why)) => {
                self.fail(around, Why { words: format!("{}; ended: {words}", why.words), ..why }, Some(end));
            }
            Some(After::Start(why)) => self.begin_again(around, why, words, end),
            None => self.begin_again(around, self.next.clone(), words, end),
        }
    }

    fn begin_again(&mut self, around: &Around<'_>, why: Why, words: &str, end: RunEnd) {
        self.next = why.clone();
        let words = format!("{}; the run before: {words}", why.words);
        self.go(around, State::Starting, Why { words, ..why }, Some(end));
    }

    /// It is started again after a pause, or given up.
    fn fail(&mut self, around: &Around<'_>, why: Why, end: Option<RunEnd>) {
        let rules = &around.spec.restart;
        let pause = super::pause(rules, self.failures, around.chance);
        let next = Mono(around.now.mono.0 + pause);
        let window = rules.limit_within;
        self.starts.retain(|at| next.0.saturating_sub(at.0) < window);
        let starts = self.starts.len();
        if rules.limit > 0 && starts >= usize::try_from(rules.limit).unwrap_or(usize::MAX) {
            self.due = None;
            let words = format!("gave up after {starts} starts within {}; the last: {}", seconds(window), why.words);
            return self.go(around, State::Failed, Why { words, ..why }, end);
        }
        self.failures = self.failures.saturating_add(1);
        self.due = Some(next);
        let words = format!("{}; started again in {} ({})", why.words, seconds(pause), attempt(self.failures));
        self.go(around, State::BackingOff, Why { words, ..why }, end);
    }

    pub(super) fn stop_refused(&mut self, around: &Around<'_>, words: &str) {
        let (Run::Up(up), State::Stopping) = (&mut self.run, self.state) else { return };
        let waited = around.now.mono.0.saturating_sub(self.stop_began.0);
        let what = if up.told == Told::Kill { "killed" } else { "told to end" };
        // When the grace is over anyway, asking again is of no use.
        up.told = if waited >= around.spec.stop.grace + KILL_AFTER { Told::Kill } else { Told::Nothing };
        self.due = Some(Mono(around.now.mono.0 + AGAIN_AFTER));
        let words = format!("it could not be {what}: {words}");
        if self.why.words != words {
            self.why = Why::new(Cause::Timer, words);
            self.note(around, self.why.clone());
        }
    }
}

fn is_success(codes: &[i32], end: &RunEnd) -> bool {
    matches!(end.exit, crate::unit::Exit::Code(code) if codes.contains(&code))
}
