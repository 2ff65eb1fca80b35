//! What tasks of single units tell becomes input of their machines. A part of [`super::Task`].

use model::time::UtcMs;
use model::unit::UnitId;
use model::unit::machine::{Finding, Input, Why};
use model::unit::{Cause, board::RunEnd};
use store::Write;

use super::{Begun, Launched, Measured, Task, Told, record};
use crate::units::run::was_ready;

impl Task {
    pub(super) fn hear(&mut self, told: Told) {
        match told {
            Told::Adopted { id, finding, begun } => self.adopted(id, finding, begun),
            Told::Launched { id, run, outcome } => self.launched(id, run, outcome),
            Told::Ended { id, run, end } => self.ended(id, run, end),
            Told::StopRefused { id, run, words } => self.input(id, Input::StopRefused { run, words }),
            Told::Ready { id, run, result } => self.input(id, Input::Ready { run, result }),
            Told::Checked { id, run, check, result } => self.input(id, Input::Checked { run, check, result }),
            Told::Form(told) => self.hear_form(told),
            Told::Heartbeat { id, at } => self.heartbeat(&id, at),
            Told::Measured(measured) => self.measured(measured),
            Told::Counted { id, queue } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.queue = Some(queue);
                    entry.is_dirty = true;
                }
            }
        }
    }

    fn adopted(&mut self, id: UnitId, mut finding: Finding, begun: Option<Begun>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (mut is_other, known_before) = (false, entry.before.take());
        match (&mut finding, begun) {
            (Finding::Running { was_ready: ready, .. }, Some(begun)) => {
                *ready = was_ready(known_before, begun.now.started_at);
                is_other = begun.is_other;
                let launched = entry.launched.take();
                entry.begin(begun, launched);
            }
            // An end that the history has is no news: who ran it may tell it until the next start.
            (Finding::Ended(end), _) if entry.last_end.as_ref().is_some_and(|known| known.at >= end.at) => {
                finding = Finding::Nothing;
                self.runner.settle(id.clone());
            }
            // Asked again later, it still is what was before this process began.
            (Finding::Unclear(_), _) => entry.before = known_before,
            _ => {}
        }
        let runs = matches!(finding, Finding::Running { .. });
        self.input(id.clone(), Input::Found(finding));
        if runs {
            self.attend(&id);
        }
        if is_other {
            let why = Why::new(Cause::Reload, "what runs is not what the file of services says");
            self.input(id, Input::Changed(why));
        }
        self.drop_gone();
    }

    fn launched(&mut self, id: UnitId, run: u64, outcome: Launched) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        match outcome {
            Launched::Begun(begun) => {
                let what = begun.words();
                let launched = entry.launched.take();
                entry.begin(begun, launched);
                self.input(id.clone(), Input::Launched { run, what });
                self.attend(&id);
            }
            Launched::Refused(refusal) => {
                entry.launched = None;
                self.input(id, Input::Refused { run, passing: refusal.passing, words: refusal.words });
            }
            Launched::Unsure(words) => self.input(id, Input::Unsure { run, words }),
        }
        self.drop_gone();
    }

    fn ended(&mut self, id: UnitId, run: u64, end: RunEnd) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.machine.run() == run
        {
            entry.finish();
        }
        self.input(id, Input::Ended { run, end });
        self.drop_gone();
    }

    fn heartbeat(&mut self, id: &UnitId, at: UtcMs) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.last_heartbeat = Some(at);
            entry.is_dirty = true;
        }
    }

    fn measured(&mut self, measured: Vec<Measured>) {
        self.measuring = false;
        for Measured { id, run, usage, last_output } in measured {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.machine.run() == run) else { continue };
            entry.last_output = last_output.or(entry.last_output);
            let Some(usage) = usage.filter(|_| entry.begun.is_some()) else { continue };
            if let Some(sample) = entry.minute.add(&usage, entry.queue.as_ref()) {
                record(&self.around.store, Write::UnitSample(id.clone(), sample));
            }
            self.recent.keep(&id, usage.clone());
            entry.usage = Some(usage.clone());
            entry.is_dirty = true;
            if !entry.spec.budgets.is_empty() {
                self.input(id, Input::Measured { run, usage });
            }
        }
    }
}
