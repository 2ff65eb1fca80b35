//! Rounds and attempts: when a target is due, whether it may look, and what becomes of the end of a look. Never judges.

use std::sync::Arc;

use model::fault::FaultKind;
use model::observation::Observation;
use model::target::{TargetId, Watch};
use model::time::Mono;

use super::hold::forget;
use super::{MAX_ASKERS, RETRY_PAUSE};
use crate::cadence;
use crate::input::{Answer, CommandError, Effect, LookId, Now, Ticket};
use crate::permits::{Asked, Lane};
use crate::state::{Run, State, Timer, UnderWay, hangs_after};

impl State {
    /// Does everything that is due.
    pub(super) fn tick(&mut self, now: Now) {
        while let Some((at, timer)) = self.timers.first().copied() {
            if at > now.mono {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Slot(slot) => self.slot_due(now, slot, at),
                Timer::Hangs(look) => self.look_hangs(now, look),
                Timer::Well(part) => {
                    self.well_at.remove(&part);
                    self.well(now, part);
                }
            }
        }
    }

    fn slot_due(&mut self, now: Now, slot: usize, at: Mono) {
        let Some(entry) = self.entry(slot) else { return };
        entry.timer = None;
        match entry.run {
            Run::Idle => self.begin_round(now, slot, Some(at)),
            Run::Resting => {
                entry.attempt += 1;
                self.want_look(now, slot);
            }
            Run::Holding(_) => {
                entry.held.due = true; // the next second of it is judged
                self.judge_later(now, slot);
            }
            Run::Waiting(_) | Run::Blocked | Run::Looking(_) => {}
        }
    }

    /// Begins a round: by the cadence when `due` says when it should have begun, else because somebody asked.
    pub(super) fn begin_round(&mut self, now: Now, slot: usize, due: Option<Mono>) {
        self.set_timer(slot, None);
        let Some(entry) = self.entry(slot) else { return };
        (entry.due, entry.attempt) = (due, 1);
        self.want_look(now, slot);
    }

    /// Starts an attempt, or waits for a permit, or for a cancelled look to come back.
    fn want_look(&mut self, now: Now, slot: usize) {
        if self.stopping {
            return;
        }
        if let Some(entry) = self.entry(slot).filter(|entry| entry.holds()) {
            entry.held.since = now.utc;
            self.touch(slot);
        }
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        if self.busy.contains_key(&entry.spec.id) {
            entry.run = Run::Blocked;
            return;
        }
        match self.permits.ask(&entry.host, slot, entry.hangs) {
            Asked::Granted(lane) => self.start_look(now, slot, lane),
            Asked::Queued(place) => entry.run = Run::Waiting(place),
        }
    }

    fn start_look(&mut self, now: Now, slot: usize, lane: Lane) {
        self.last_look += 1;
        let look = LookId(self.last_look);
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        entry.run = Run::Looking(look);
        if let Some(due) = entry.due.filter(|_| entry.attempt == 1) {
            self.punctuality.began(now.mono.0.saturating_sub(due.0));
        }
        let hangs_at = (lane == Lane::Quick).then(|| Mono(now.mono.0.saturating_add(hangs_after(&entry.spec))));
        if let Some(at) = hangs_at {
            self.timers.insert((at, Timer::Hangs(look)));
        }
        let (target, host) = (entry.spec.id.clone(), entry.host.clone());
        self.busy.insert(target.clone(), look);
        let session = entry.holds();
        self.looks.insert(look, UnderWay { target, host, lane: Some(lane), session, wanted: true, hangs_at });
        let target = Arc::clone(&entry.spec);
        if session {
            entry.held.began = now.mono;
            self.out.push(Effect::StartSession { look, target });
        } else {
            self.out.push(Effect::StartLook { look, target, attempt: entry.attempt });
        }
    }

    /// Lets those go ahead for whom there is a permit now.
    pub(super) fn call_waiting(&mut self, now: Now) {
        while let Some((slot, lane)) = self.permits.next() {
            self.start_look(now, slot, lane);
        }
    }

    fn look_hangs(&mut self, now: Now, look: LookId) {
        let Some(under_way) = self.looks.get_mut(&look) else { return };
        under_way.hangs_at = None;
        if self.permits.hangs(&under_way.host) {
            under_way.lane = Some(Lane::Slow);
        }
        let id = under_way.target.clone();
        if let Some(entry) = self.by_id.get(&id).copied().and_then(|slot| self.entry(slot))
            && entry.run == Run::Looking(look)
        {
            entry.hangs = true; // until a look says otherwise
        }
        self.call_waiting(now);
    }

    /// An attempt ended.
    pub(super) fn look_done(&mut self, now: Now, look: LookId, observation: Observation) {
        // A number that is not known belongs to a state that was replaced after a panic.
        self.not_hanging(look);
        let Some(done) = self.looks.remove(&look) else { return };
        self.busy.remove(&done.target);
        let fault = observation.look.fault.as_ref();
        let timed_out = fault.is_some_and(|f| f.kind == FaultKind::TimedOut);
        let transient = fault.is_some_and(model::fault::Fault::is_transient);
        if let Some(lane) = done.lane {
            self.permits.give_back(&done.host, lane, done.wanted && !timed_out);
        }
        if let Some(&slot) = self.by_id.get(&done.target) {
            if done.wanted && done.session {
                self.session_ended(now, slot, observation, timed_out);
            } else if done.wanted {
                self.round_goes_on(now, slot, observation, timed_out, transient);
            } else if let Some(entry) = self.entry(slot)
                && entry.run == Run::Blocked
            {
                self.want_look(now, slot);
            }
        }
        self.call_waiting(now);
    }

    fn round_goes_on(&mut self, now: Now, slot: usize, mut seen: Observation, timed_out: bool, transient: bool) {
        let stopping = self.stopping;
        let Some(entry) = self.entry(slot) else { return };
        entry.hangs = timed_out;
        if transient && entry.attempt <= entry.spec.retries && !stopping {
            entry.run = Run::Resting;
            self.set_timer(slot, Some(Mono(now.mono.0.saturating_add(RETRY_PAUSE))));
            return;
        }
        seen.attempts = entry.attempt;
        entry.run = Run::Idle;
        let askers = std::mem::take(&mut entry.askers);
        let Some(seen) = self.judged(now, slot, seen) else { return };
        for ticket in askers {
            self.out.push(Effect::Reply(ticket, Answer::Observed(seen.clone())));
        }
        if self.entry(slot).is_some_and(|entry| entry.holds()) {
            // It was looked at while it was paused, and is not any more: the session begins at once.
            self.set_timer(slot, Some(now.mono).filter(|_| !stopping));
            return;
        }
        self.schedule(now, slot);
    }

    /// Sets the timer of an idle target to its next point of the grid, or clears it when it is not watched.
    pub(super) fn schedule(&mut self, now: Now, slot: usize) {
        let stopping = self.stopping;
        let Some(entry) = self.entry(slot) else { return };
        debug_assert!(entry.run == Run::Idle);
        if !entry.watched() || stopping {
            self.set_timer(slot, None);
            return;
        }
        let (id, interval): (&TargetId, _) = (&entry.spec.id, entry.spec.interval);
        let phase = cadence::share(id, interval);
        let since = entry.due.filter(|due| *due != entry.first).unwrap_or(now.mono);
        let (at, passed) = cadence::next_after(phase, interval, since, now.mono);
        self.set_timer(slot, Some(at));
        self.punctuality.missed += passed;
        self.touch(slot);
    }

    /// Takes a target out of whatever it does: no timer, no place in a queue, its look cancelled, its askers refused.
    pub(super) fn halt(&mut self, now: Now, slot: usize) {
        self.set_timer(slot, None);
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        match std::mem::replace(&mut entry.run, Run::Idle) {
            Run::Waiting(place) => self.permits.forget(&entry.host, place),
            Run::Looking(look) | Run::Holding(look) => {
                if let Some(under_way) = self.looks.get_mut(&look) {
                    under_way.wanted = false;
                    self.out.push(Effect::CancelLook(look));
                }
            }
            Run::Idle | Run::Blocked | Run::Resting => {}
        }
        forget(&mut entry.held, now);
        let askers = std::mem::take(&mut entry.askers);
        if matches!(entry.spec.watch, Watch::Continuous) {
            self.touch(slot);
        }
        let error = if self.stopping { CommandError::Stopping } else { CommandError::Busy };
        for ticket in askers {
            self.out.push(Effect::Reply(ticket, Answer::Refused(error)));
        }
    }

    /// Somebody wants a look at once. Joins the round under way, if there is one: never two looks of one target.
    pub(super) fn test_now(&mut self, now: Now, slot: usize, ticket: Ticket) -> Result<(), CommandError> {
        let Some(entry) = self.entry(slot) else { return Err(CommandError::NoSuchTarget) };
        if entry.askers.len() >= MAX_ASKERS {
            return Err(CommandError::Busy);
        }
        entry.askers.push(ticket);
        match entry.run {
            Run::Idle => self.begin_round(now, slot, None),
            Run::Holding(_) => self.judge_live(now, slot),
            Run::Waiting(_) | Run::Blocked | Run::Looking(_) | Run::Resting => {}
        }
        Ok(())
    }

    /// No new work from now on.
    pub(super) fn stop(&mut self, now: Now) {
        self.stopping = true;
        for slot in self.order.clone() {
            self.halt(now, slot);
        }
        self.timers.clear();
        self.well_at.clear();
    }
}
