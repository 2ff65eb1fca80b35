//! Which targets are in planned work now: windows of the configuration and those that somebody began by hand. Computes only
//! when a window begins or ends, or when targets or settings changed.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{Scope, WindowNow};
use model::board::Board;
use model::target::TargetId;
use model::time::UtcMs;

use super::calendar::{self, Phase};
use super::machine::Machine;

/// Planned work that somebody began by hand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdHoc {
    /// Its name; unique among those begun by hand.
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) from: UtcMs,
    pub(crate) until: UtcMs,
    pub(crate) by: String,
}

/// Planned work now.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    members: BTreeMap<TargetId, String>,
    shown: Vec<WindowNow>,
    /// When this must be computed again; `None` is at once.
    valid_until: Option<UtcMs>,
    told: bool,
}

impl Windows {
    /// What was computed holds no longer.
    pub(super) fn forget(&mut self) {
        self.valid_until = None;
    }

    /// The window that a target is in.
    pub(super) fn of(&self, id: &TargetId) -> Option<&str> {
        self.members.get(id).map(String::as_str)
    }

    /// Every target in one, with its name.
    pub(super) fn members(&self) -> &BTreeMap<TargetId, String> {
        &self.members
    }

    /// All windows, for people.
    pub(super) fn shown(&self) -> &[WindowNow] {
        &self.shown
    }
}

impl Machine {
    /// Finds out which targets are in planned work; tells when that changed.
    pub(super) fn see_windows(&mut self) {
        if let Some(until) = self.windows.valid_until.filter(|until| *until > self.utc) {
            self.due(self.t.saturating_add(until.0.saturating_sub(self.utc.0)));
            return;
        }
        let Some(board) = self.board.clone() else { return };
        let (settings, utc) = (self.settings.clone(), self.utc);
        let phases: Vec<Phase> = settings.maintenance.iter().map(|w| calendar::phase(w, utc)).collect();
        let mut members = BTreeMap::new();
        let mut shown = Vec::new();
        for (window, phase) in settings.maintenance.iter().zip(&phases) {
            let targets = covered(&board, &window.scope);
            let at = phase.now.or(phase.next);
            shown.push(WindowNow {
                name: window.name.clone(),
                ad_hoc: false,
                active: phase.now.is_some(),
                from: at.map(|o| o.from),
                until: at.map(|o| o.until),
                targets: targets.len(),
            });
            if phase.now.is_some() {
                members.extend(targets.into_iter().map(|id| (id, window.name.clone())));
            }
        }
        for window in &self.ad_hoc {
            let targets = covered(&board, &window.scope);
            let (from, until) = (Some(window.from), Some(window.until));
            let (name, active) = (window.name.clone(), window.from <= utc);
            shown.push(WindowNow { name: name.clone(), ad_hoc: true, active, from, until, targets: targets.len() });
            if active {
                members.extend(targets.into_iter().map(|id| (id, name.clone())));
            }
        }
        let edges = self.ad_hoc.iter().flat_map(|w| [w.from, w.until]).filter(|at| *at > utc);
        let next = phases.iter().filter_map(Phase::changes_at).chain(edges).min();
        // A window that never is again still is looked at once a day: the wall clock may have been wrong.
        let next = next.unwrap_or(UtcMs(i64::MAX)).min(UtcMs(utc.0.saturating_add(86_400_000)));
        let differs = members.keys().ne(self.windows.members.keys());
        if differs || !self.windows.told {
            self.out.maintenance = Some(members.keys().cloned().collect::<BTreeSet<_>>());
        }
        self.changed |= members != self.windows.members || shown != self.windows.shown;
        self.windows = Windows { members, shown, valid_until: Some(next), told: true };
        self.due(self.t.saturating_add(next.0.saturating_sub(utc.0)));
    }
}

fn covered(board: &Board, scope: &Scope) -> Vec<TargetId> {
    board.targets.iter().filter(|t| scope.covers(&t.spec)).map(|t| t.spec.id.clone()).collect()
}
