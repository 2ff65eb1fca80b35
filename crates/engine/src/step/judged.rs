//! From the last attempt of a round to status, beats, incident and the words of all this for the history and for listeners.
//! The rules are in `model`; here they are applied, in one place.

use std::sync::Arc;

use model::board::Beat;
use model::event::What;
use model::incident::Incident;
use model::limits::BEATS_ON_BOARD;
use model::observation::Observation;
use model::status::{Status, StatusChange, StatusInput, advance};
use model::time::UtcMs;
use model::verdict::{Grade, Verdict, judge};
use store::Write;

use super::media::Shape;
use crate::input::Now;
use crate::state::State;

impl State {
    /// Judges the end of a round and everything that follows from it. Answers what was seen, as it was stored.
    pub(super) fn judged(&mut self, now: Now, slot: usize, seen: Observation) -> Option<Arc<Observation>> {
        self.judged_as(now, slot, seen, |verdict| StatusInput::Judged(verdict))
    }

    /// Judges, and lets `input` say what the judgement means for the status.
    pub(super) fn judged_as(
        &mut self,
        now: Now,
        slot: usize,
        seen: Observation,
        input: fn(&Verdict) -> StatusInput<'_>,
    ) -> Option<Arc<Observation>> {
        // The entry and the tally are two fields of the state: both are changed here.
        let entry = self.entries.get_mut(slot).and_then(Option::as_mut)?;
        let verdict = Arc::new(judge(&entry.spec.expect, &seen));
        Arc::make_mut(&mut self.tally).judged(entry.spec.kind, &mut entry.counts, &seen, &verdict);
        let seen = Arc::new(seen);
        let change = advance(&mut entry.state, entry.spec.rules, &input(&verdict), now.utc);
        let status = entry.state.status;
        let beat = Beat {
            at: seen.at,
            grade: verdict.grade,
            status,
            took_ms: u32::try_from(seen.took.as_millis()).unwrap_or(u32::MAX),
        };
        let keep = entry.beats.len().min(BEATS_ON_BOARD - 1);
        let older = &entry.beats[entry.beats.len() - keep..];
        entry.beats = older.iter().copied().chain([beat]).collect();
        entry.last = Some((Arc::clone(&seen), Arc::clone(&verdict)));
        let media = (verdict.grade != Grade::Fail).then(|| Shape::of(&seen.look.reading)).flatten();
        let media = media.and_then(|new| match &mut entry.shape {
            Some(known) => known.update(new),
            none => {
                *none = Some(new);
                None
            }
        });
        let id = entry.spec.id.clone();
        self.touch(slot);
        self.write(Write::Observation(Arc::clone(&seen), Arc::clone(&verdict), status));
        self.emit(now.utc, What::Observed(Arc::clone(&seen), verdict));
        if let Some(text) = media {
            self.emit(now.utc, What::MediaChanged(id, text));
        }
        if let Some(change) = change {
            self.changed(now.utc, slot, change);
        }
        Some(seen)
    }

    /// Moves the status of a target by something else than a look.
    pub(super) fn move_status(&mut self, now: Now, slot: usize, input: &StatusInput<'_>) {
        let Some(entry) = self.entry(slot) else { return };
        if let Some(change) = advance(&mut entry.state, entry.spec.rules, input, now.utc) {
            self.changed(now.utc, slot, change);
        }
    }

    /// A status changed: stores and tells it, and opens, changes or closes the incident.
    pub(super) fn changed(&mut self, at: UtcMs, slot: usize, change: StatusChange) {
        self.touch(slot);
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let id = entry.spec.id.clone();
        let step = match (&mut entry.incident, change.to) {
            (None, to) if to.is_trouble() => {
                // Target and beginning are the key: after the wall clock was set back, later still has to be later.
                let opened_at = change.at.max(UtcMs(entry.last_opened.0.saturating_add(1)));
                entry.last_opened = opened_at;
                let cause = change.reason.clone();
                let incident = Incident { target: id.clone(), opened_at, closed_at: None, worst: to, cause };
                Arc::make_mut(&mut self.tally).incident(&mut entry.counts);
                Some(What::IncidentOpened(entry.incident.insert(incident).clone()))
            }
            (Some(open), Status::Down) if open.worst != Status::Down => {
                open.worst = Status::Down;
                Some(What::IncidentChanged(open.clone()))
            }
            // Trouble goes on, or nobody knows: after a restart the next look decides.
            (Some(_), to) if to.is_trouble() || to == Status::Unknown => None,
            (Some(_), to) => {
                let note = (to != Status::Up).then_some(change.reason.as_str());
                entry.incident.take().map(|open| What::IncidentClosed(closed(open, change.at, note)))
            }
            (None, _) => None,
        };
        self.write(Write::Change(id.clone(), change.clone()));
        self.emit(at, What::StatusChanged(id, change));
        match step {
            Some(What::IncidentOpened(i)) => {
                self.write(Write::IncidentOpened(i.clone()));
                self.emit(at, What::IncidentOpened(i));
            }
            Some(What::IncidentChanged(i)) => {
                self.write(Write::IncidentChanged(i.clone()));
                self.emit(at, What::IncidentChanged(i));
            }
            Some(What::IncidentClosed(i)) => self.incident_closed(at, i),
            _ => {}
        }
    }

    /// Stores and tells that an incident ended.
    pub(super) fn incident_closed(&mut self, at: UtcMs, incident: Incident) {
        self.write(Write::IncidentClosed(incident.clone()));
        self.emit(at, What::IncidentClosed(incident));
    }
}

/// The incident, ended at `at`; `note` says why when it did not end by recovery.
pub(super) fn closed(mut open: Incident, at: UtcMs, note: Option<&str>) -> Incident {
    open.closed_at = Some(at.max(open.opened_at));
    if let Some(note) = note {
        open.cause = format!("{} (closed: {note})", open.cause);
    }
    open
}
