//! Whether a target is watched: pause, resume, enabled or not. Never judges.

use model::status::{Status, StatusInput};
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

    /// Makes status and timer fit whether the target is watched. `first` is when to look after a beginning.
    pub(super) fn settle_watch(&mut self, now: Now, slot: usize, first: Mono) {
        let Some(entry) = self.entry(slot) else { return };
        let (watched, paused_now) = (entry.watched(), entry.state.status == Status::Paused);
        if watched {
            if paused_now {
                self.move_status(now, slot, &StatusInput::Resume);
            }
            let stopping = self.stopping;
            let Some(entry) = self.entry(slot) else { return };
            if entry.run == Run::Idle && entry.timer.is_none() && !stopping {
                entry.held.since = now.utc;
                entry.grid_from = Mono(first.0.saturating_add(entry.spec.interval / 2));
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
