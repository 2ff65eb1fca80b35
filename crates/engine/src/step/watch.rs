//! Whether a target is watched: pause, resume, enabled or not. Never judges.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::status::{Status, StatusInput};
use model::target::TargetId;
use model::time::Mono;
use store::Write;

use crate::input::Now;
use crate::state::{Run, State};

impl State {
    /// An operator pauses or resumes a target. Saying it twice is harmless.
    pub(super) fn set_paused(&mut self, now: Now, slot: usize, paused: bool) {
        let Some(entry) = self.entry(slot) else { return };
        if entry.paused != paused {
            entry.paused = paused;
            let id = entry.spec.id.clone();
            self.touch(slot);
            self.write(Write::Paused { id, paused });
        }
        self.settle_watch(now, slot, Mono(now.mono.0));
    }

    /// Planned work begins for some targets and ends for others. They are looked at all the while; what is seen is stored and
    /// shown, and changes no status.
    pub(super) fn plan(&mut self, now: Now, targets: Arc<BTreeSet<TargetId>>) {
        self.planned = targets;
        for slot in self.order.clone() {
            self.settle_plan(now, slot);
        }
    }

    /// Makes the status fit whether there is planned work. A target that somebody paused stays paused.
    pub(super) fn settle_plan(&mut self, now: Now, slot: usize) {
        let planned = Arc::clone(&self.planned);
        let Some(entry) = self.entry(slot) else { return };
        match (planned.contains(&entry.spec.id), entry.state.status) {
            (_, Status::Paused) | (true, Status::Maintenance) => {}
            (true, _) => self.move_status(now, slot, &StatusInput::MaintenanceBegins),
            (false, _) => self.move_status(now, slot, &StatusInput::MaintenanceEnds),
        }
    }

    /// Makes status and timer fit whether the target is watched. `first` is when to look after a beginning.
    pub(super) fn settle_watch(&mut self, now: Now, slot: usize, first: Mono) {
        let Some(entry) = self.entry(slot) else { return };
        let (watched, paused_now) = (entry.watched(), entry.state.status == Status::Paused);
        if watched {
            if paused_now {
                self.move_status(now, slot, &StatusInput::Resume);
            }
            self.settle_plan(now, slot);
            let stopping = self.stopping;
            let Some(entry) = self.entry(slot) else { return };
            if entry.run == Run::Idle && entry.timer.is_none() && !stopping {
                entry.held.since = now.utc;
                entry.first = first;
                self.set_timer(slot, Some(first));
                self.touch(slot);
            }
        } else {
            self.halt(now, slot);
            if !paused_now {
                self.move_status(now, slot, &StatusInput::Pause);
            }
            self.touch(slot);
        }
    }
}
