//! Sessions that are held: opened, alive, judged on the interval, over, and when the next one is opened. Judges by the same
//! rules as looks, and knows no protocol.

use std::sync::Arc;

use model::event::What;
use model::fault::FaultKind;
use model::observation::{Observation, Second};
use model::reading::fact;
use model::status::StatusInput;
use model::target::{Target, Watch};
use model::time::Mono;
use model::verdict::Verdict;

use super::media::Shape;
use crate::cadence::{self, GOOD_FOR};
use crate::held::Held;
use crate::input::{Answer, Effect, LookId, Now};
use crate::state::{Run, State, Timer};

impl State {
    /// A second of a session: the first one says that media flows.
    pub(super) fn held(&mut self, now: Now, look: LookId, mut seen: Observation, second: Second) {
        let Some(under_way) = self.looks.get_mut(&look) else { return };
        if !under_way.wanted {
            return; // it was told to end
        }
        let (id, host, permit) = (under_way.target.clone(), Arc::clone(&under_way.host), under_way.lane.take());
        let Some(slot) = self.by_id.get(&id).copied() else { return };
        if let Some(lane) = permit {
            // Whoever waits for this server need not wait until the session ends.
            self.not_hanging(look);
            self.permits.give_back(&host, lane, true);
        }
        let Some(entry) = self.entry(slot) else { return };
        if permit.is_some() {
            entry.run = Run::Holding(look);
            entry.hangs = false;
            let held = &mut entry.held;
            (held.since, held.live_since) = (now.utc, Some(now.mono));
            held.opened += 1;
            held.due = !held.must_last();
        }
        let kind = entry.spec.kind;
        seen.target = id.clone(); // it may have another name by now
        if permit.is_some() {
            Arc::make_mut(&mut self.tally).opened(kind, &seen);
        }
        let Some(entry) = self.entry(slot) else { return };
        let reconnects = i64::try_from(entry.held.reconnects()).unwrap_or(i64::MAX);
        seen.look.reading.int(fact::RECONNECTS, reconnects);
        let media = Shape::of(&seen.look.reading).and_then(|new| match &mut entry.shape {
            Some(known) => known.update(new),
            none => {
                *none = Some(new);
                None
            }
        });
        // With the opening no second has passed yet.
        entry.held.see(now.utc, Arc::new(seen), permit.is_none().then_some(second));
        let lived = entry.held.live_since.is_some_and(|since| now.mono.0.saturating_sub(since.0) >= GOOD_FOR);
        if lived && entry.held.failures > 0 {
            entry.held.due |= entry.held.must_last();
            entry.held.is_good();
        }
        let judge = (entry.held.due && !entry.held.must_last()) || !entry.askers.is_empty();
        self.lives(slot);
        if permit.is_some() {
            self.touch(slot);
            self.emit(now.utc, What::SessionOpened(id.clone()));
            self.judge_later(now, slot);
        }
        if let Some(text) = media {
            self.emit(now.utc, What::MediaChanged(id, text));
        }
        if judge {
            self.judge_live(now, slot);
        }
        self.call_waiting(now);
    }

    /// Judges what the session shows now and answers whoever waits for it.
    pub(super) fn judge_live(&mut self, now: Now, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        let Some(live) = entry.held.live.as_deref() else { return };
        // It may have got another name since that second.
        let seen = Observation { target: entry.spec.id.clone(), ..live.clone() };
        entry.held.due = false;
        let askers = std::mem::take(&mut entry.askers);
        let Some(seen) = self.judged(now, slot, seen) else { return };
        for ticket in askers {
            self.out.push(Effect::Reply(ticket, Answer::Observed(Arc::clone(&seen))));
        }
    }

    /// Sets the timer of a live session to the next point of the target's grid, but leaves half an interval to it.
    pub(super) fn judge_later(&mut self, now: Now, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        let interval = entry.spec.interval;
        let phase = cadence::share(&entry.spec.id, interval);
        let after = Mono(now.mono.0.saturating_add(interval / 2));
        let (at, _) = cadence::next_after(phase, interval, after, after);
        self.set_timer(slot, Some(at));
    }

    /// A session ended by itself, or did not come about: judged at once, and the next one is on its way. One that fell silent
    /// was found so over a time, so that no second failure is needed; one that the peer ended may be opened again at once.
    pub(super) fn session_ended(&mut self, now: Now, slot: usize, mut seen: Observation, timed_out: bool) {
        let Some(entry) = self.entry(slot) else { return };
        let was_live = entry.held.live_since.is_some();
        let since = if was_live { now.mono } else { entry.held.began };
        let reconnects = i64::try_from(entry.held.reconnects()).unwrap_or(i64::MAX);
        entry.hangs = timed_out && !was_live;
        entry.held.ended(now.mono);
        entry.held.since = now.utc;
        entry.run = Run::Idle;
        let id = entry.spec.id.clone();
        seen.target = id.clone();
        seen.look.reading.int(fact::RECONNECTS, reconnects);
        let why = seen.look.fault.as_ref().map_or_else(String::new, ToString::to_string);
        let askers = std::mem::take(&mut entry.askers);
        if was_live {
            self.emit(now.utc, What::SessionEnded(id, why));
        }
        let silent = was_live && seen.look.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Stale);
        let input: fn(&Verdict) -> StatusInput<'_> =
            if silent { |verdict| StatusInput::Lasting(verdict) } else { |verdict| StatusInput::Judged(verdict) };
        if let Some(seen) = self.judged_as(now, slot, seen, input) {
            for ticket in askers {
                self.out.push(Effect::Reply(ticket, Answer::Observed(Arc::clone(&seen))));
            }
        }
        self.reconnect(now, slot, since);
    }

    /// Sets the timer of a target without a session to the next attempt. `since` is what its interval counts from.
    fn reconnect(&mut self, now: Now, slot: usize, since: Mono) {
        let stopping = self.stopping;
        let Some(entry) = self.entry(slot) else { return };
        if !entry.watched() || stopping {
            self.set_timer(slot, None);
            return;
        }
        let pause = cadence::backoff(&entry.spec.id, entry.held.failures);
        // A target that is down is looked at as often as its interval says, whatever the pauses have grown to.
        let latest = Mono(since.0.saturating_add(entry.spec.interval)).max(now.mono);
        let at = Mono(now.mono.0.saturating_add(pause)).min(latest);
        self.set_timer(slot, Some(at));
        self.touch(slot);
    }

    /// A look that may no longer be found to hang.
    pub(super) fn not_hanging(&mut self, look: LookId) {
        if let Some(at) = self.looks.get_mut(&look).and_then(|under_way| under_way.hangs_at.take()) {
            self.timers.remove(&(at, Timer::Hangs(look)));
        }
    }
}

/// Whether two specifications are held by the same session: they differ at most in names and in what is expected. The
/// interval is part of it: that is how long measures are taken over.
pub(super) fn same_session(a: &Target, b: &Target) -> bool {
    a.watch == Watch::Continuous
        && b.watch == Watch::Continuous
        && (a.kind, &a.address, &a.options) == (b.kind, &b.address, &b.options)
        && (a.timeout, a.interval, a.depth, a.enabled) == (b.timeout, b.interval, b.depth, b.enabled)
}

/// Nothing is known of a session any more.
pub(super) fn forget(held: &mut Held, now: Now) {
    *held = Held { since: now.utc, ..Held::default() };
}
