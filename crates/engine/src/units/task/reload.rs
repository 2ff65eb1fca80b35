//! A file of services takes effect: what is new begins, what changed is begun anew, what is gone ends. A part of
//! [`super::Task`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::unit::machine::{Input, Known, Machine, Why};
use model::unit::spec::Unit;
use model::unit::{Cause, UnitId, Wanted};
use store::Write;

use super::{Task, record};
use crate::units::entry::Entry;
use crate::units::form_desk::FormDesk;
use crate::units::run::is_same_program;
use crate::units::{MAX_UNITS, memory};

impl Task {
    /// Brings the units to what the file says. `first` is the beginning of this process.
    pub(super) fn reload(&mut self, units: &[Arc<Unit>], first: bool) {
        let units = &units[..units.len().min(MAX_UNITS)];
        let ids: BTreeSet<&UnitId> = units.iter().map(|unit| &unit.id).collect();
        let gone: Vec<UnitId> = self.order.iter().filter(|id| !ids.contains(id)).cloned().collect();
        self.order = units.iter().map(|unit| unit.id.clone()).chain(gone.iter().cloned()).collect();
        let mut needed_by = BTreeMap::<UnitId, Vec<UnitId>>::new();
        for unit in units {
            for need in &unit.needs {
                needed_by.entry(need.clone()).or_default().push(unit.id.clone());
            }
        }
        self.needed_by = needed_by;
        if first {
            self.retire_missing(&ids);
        }
        for id in gone {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.is_removed = true;
            }
            self.input(id, Input::Removed(Why::new(Cause::Reload, "it is in the file of services no longer")));
        }
        let mut steps = Vec::new();
        for unit in units {
            match self.entries.get(&unit.id).map(|entry| Arc::clone(&entry.spec)) {
                None => steps.extend(self.add(unit, first)),
                Some(before) => steps.extend(self.replace(&before, unit)),
            }
        }
        for (id, input) in steps {
            self.input(id, input);
        }
        self.drop_gone();
        self.is_urgent = true;
    }

    /// Units that the history knows and that were taken out of the file while StreamPulse did not run.
    fn retire_missing(&mut self, ids: &BTreeSet<&UnitId>) {
        let at = self.around.clock.utc();
        for known in self.known.values().filter(|known| known.retired_at.is_none() && !ids.contains(&known.id)) {
            record(&self.around.store, Write::UnitRetired { id: known.id.clone(), at });
        }
    }

    fn add(&mut self, unit: &Arc<Unit>, first: bool) -> Option<(UnitId, Input)> {
        let now = self.now();
        let known = self.known.remove(&unit.id);
        let wanted = match &known {
            Some(known) => known.wanted,
            None if unit.autostart => Wanted::Running,
            None => Wanted::Stopped,
        };
        record(&self.around.store, Write::UnitSeen { id: unit.id.clone(), wanted });
        let goes_on = known.as_ref().map_or_else(Known::default, |k| memory::known_of(k, self.machine_began, now.utc));
        let mut entry = Entry::new(Arc::clone(unit), Machine::new(wanted, goes_on, now));
        if let Some(known) = known {
            entry.before = known.last.map(|last| (last.state, last.at));
            entry.last_end = known.last_end;
        }
        self.entries.insert(unit.id.clone(), entry);
        self.count_queue(&unit.id);
        self.look_for_trial(&unit.id);
        let why = Why::new(Cause::Reload, "it is new in the file of services");
        Some((unit.id.clone(), if first { Input::Look } else { Input::Changed(why) }))
    }

    fn replace(&mut self, before: &Arc<Unit>, unit: &Arc<Unit>) -> Option<(UnitId, Input)> {
        let entry = self.entries.get_mut(&unit.id)?;
        let was_removed = entry.is_removed;
        entry.is_removed = false;
        if before == unit && !was_removed {
            return None;
        }
        entry.spec = Arc::clone(unit);
        entry.is_dirty = true;
        if before.form != unit.form || !is_same_program(before, unit) {
            entry.form = FormDesk::of(unit);
            entry.trial = None;
            self.look_for_trial(&unit.id);
        }
        if before.health != unit.health {
            self.attend_checks(&unit.id);
        }
        if before.queue != unit.queue {
            self.count_queue(&unit.id);
        }
        if was_removed {
            let why = Why::new(Cause::Reload, "it is in the file of services again");
            return Some((unit.id.clone(), Input::Changed(why)));
        }
        if is_same_program(before, unit) {
            return Some((unit.id.clone(), Input::Look));
        }
        let why = Why::new(Cause::Reload, "the file of services says that something else is run");
        Some((unit.id.clone(), Input::Changed(why)))
    }

    /// Forgets units that are in no file any more and of which nothing runs.
    pub(super) fn drop_gone(&mut self) {
        let gone: Vec<UnitId> =
            self.entries.iter().filter(|(_, entry)| entry.machine.is_gone()).map(|(id, _)| id.clone()).collect();
        for id in gone {
            if let Some(mut entry) = self.entries.remove(&id) {
                entry.finish();
                entry.counting.cancel();
                let at = self.around.clock.utc();
                record(&self.around.store, Write::UnitRetired { id: id.clone(), at });
                // When it comes back, what was wanted of it still counts.
                let known = store::UnitKnown {
                    id: id.clone(),
                    wanted: entry.machine.wanted(),
                    restarts: entry.machine.restarts(),
                    retired_at: Some(at),
                    last: None,
                    last_end: entry.last_end,
                    healed: Vec::new(),
                };
                self.known.insert(id.clone(), known);
            }
            self.recent.forget(&id);
            self.order.retain(|other| *other != id);
            self.is_urgent = true;
        }
    }
}
