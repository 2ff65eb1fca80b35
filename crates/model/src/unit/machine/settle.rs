//! Brings what runs towards what is wanted, whatever happened before. A part of [`super::Machine`].

use super::{AGAIN_AFTER, After, Around, Effect, KILL_AFTER, Machine, Run, Told, Up, Why, backoff, ends};
use crate::time::Mono;
use crate::unit::{Cause, State, UnitId};

impl Machine {
    /// Brings what runs towards what is wanted.
    pub(super) fn settle(&mut self, around: &Around<'_>) {
        let passed = |due: Option<Mono>| due.is_none_or(|at| at <= around.now.mono);
        match self.run.clone() {
            Run::Unsure { asking: false, launch } if passed(self.due) => {
                self.due = None;
                self.run = Run::Unsure { asking: true, launch };
                self.out.push(Effect::Adopt);
            }
            Run::Unsure { .. } => {}
            Run::None => self.settle_resting(around),
            Run::Launching => {
                if self.state == State::Starting && !self.is_due_to_run(around) {
                    let why = Why {
                        words: format!("{}; ended as soon as it is launched", self.next.words),
                        ..self.next.clone()
                    };
                    self.go(around, State::Stopping, why, None);
                }
            }
            Run::Up(up) => self.settle_running(around, &up),
        }
    }

    fn settle_resting(&mut self, around: &Around<'_>) {
        let now = around.now.mono;
        if !self.is_due_to_run(around) {
            if self.state != State::Stopped {
                let why = self.unwanted(around);
                self.due = None;
                self.go(around, State::Stopped, why, None);
            }
            return;
        }
        match self.state {
            State::Stopped => self.begin(around, self.next.clone()),
            State::BackingOff if self.due.is_none_or(|at| at <= now) => {
                let words = format!("the pause is over; {}", ends::attempt(self.failures));
                self.begin(around, Why::new(Cause::Timer, words));
            }
            State::Starting => {}
            State::BackingOff | State::Failed | State::Finished | State::Running | State::Stopping => return,
        }
        if around.waits_for.is_empty() {
            self.launch(around);
        } else {
            self.why.words = waits(&around.waits_for);
        }
    }

    fn settle_running(&mut self, around: &Around<'_>, up: &Up) {
        let now = around.now.mono;
        if matches!(self.state, State::Starting | State::Running) {
            if !self.is_due_to_run(around) {
                let why = self.unwanted(around);
                self.end_run(around, why, None);
            } else if let Some(id) = &around.leaving {
                let after = Why::new(Cause::Needs, format!("{id}, which it needs, was ended"));
                let why = Why::new(Cause::Needs, format!("{id}, which it needs, is being ended"));
                self.end_run(around, why, Some(After::Start(after)));
            } else if self.state == State::Starting && self.due.is_some_and(|at| at <= now) {
                let within = ends::seconds(around.spec.ready_within);
                let why = Why::new(Cause::Ready, format!("its start checks did not pass within {within}"));
                self.end_run(around, why.clone(), Some(After::Fail(why)));
            }
        }
        if self.state == State::Stopping {
            self.settle_stopping(around, up);
        }
    }

    /// Tells it to end, as soon as nobody needs it; kills it when it does not.
    fn settle_stopping(&mut self, around: &Around<'_>, up: &Up) {
        let now = around.now.mono;
        let waited = now.0.saturating_sub(self.stop_began.0);
        let told = match self.run {
            Run::Up(ref up) => up.told,
            _ => up.told,
        };
        let grace = around.spec.stop.grace;
        let tell = match told {
            Told::Nothing if self.due.is_some_and(|at| at > now) => return,
            Told::Nothing => {
                let held = around.needed_by.is_some() && self.is_leaving() && waited < around.hold;
                if held {
                    self.hold = Some(Mono(self.stop_began.0 + around.hold));
                    return;
                }
                let late = self.due.is_some() && waited >= grace + KILL_AFTER;
                if late { Told::Kill } else { Told::Stop }
            }
            Told::Stop | Told::Kill if self.due.is_some_and(|at| at <= now) => {
                let words = format!("it has not ended {} after it was told to; killed", ends::seconds(waited));
                self.note(around, Why { cause: Cause::Timer, words, by: None });
                Told::Kill
            }
            Told::Stop | Told::Kill => return,
        };
        self.hold = None;
        if let Run::Up(up) = &mut self.run {
            up.told = tell;
        }
        let (effect, wait) = if tell == Told::Stop {
            (Effect::Stop(self.runs), grace + KILL_AFTER)
        } else {
            (Effect::Kill(self.runs), AGAIN_AFTER)
        };
        self.due = Some(Mono(now.0 + wait));
        self.out.push(effect);
    }

    /// Goes to starting; what launches it comes next.
    pub(super) fn begin(&mut self, around: &Around<'_>, why: Why) {
        self.due = None;
        self.after = None;
        let words = if around.waits_for.is_empty() {
            why.words.clone()
        } else {
            format!("{}; {}", why.words, waits(&around.waits_for))
        };
        self.next = why.clone();
        self.go(around, State::Starting, Why { words, ..why }, None);
    }

    fn launch(&mut self, around: &Around<'_>) {
        let cause = self.next.cause;
        if !matches!(cause, Cause::Command | Cause::Boot | Cause::Reload | Cause::Form | Cause::Adopted) {
            self.restarts += 1;
        }
        // Healing has bounds of its own, which count there.
        if !cause.heals() {
            self.starts.push_back(around.now.mono);
            while self.starts.len() > backoff::MOST_STARTS {
                self.starts.pop_front();
            }
        }
        self.runs += 1;
        self.run = Run::Launching;
        self.out.push(Effect::Launch(self.runs));
    }
}

fn waits(ids: &[UnitId]) -> String {
    let names: Vec<&str> = ids.iter().map(UnitId::as_str).collect();
    format!("waits for {}", names.join(", "))
}
