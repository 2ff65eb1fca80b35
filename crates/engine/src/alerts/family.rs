//! Who explains whom: parents, and the references that tell whether StreamPulse has a network. Owns the question whether
//! somebody is to be blamed, and whom to look at before. Tells nobody anything.

use std::collections::HashMap;

use model::alert::{About, AlertPhase, Held};
use model::board::{Board, TargetNow};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use model::verdict::Grade;

use super::entry::{Entry, Grace, Tick};
use super::machine::{Asked, Machine};

/// How long a target waits for the verdict on those that may explain it: time for a look that is refused or answered.
const ASK_WAIT_MS: Tick = 5_000;
/// How long it waits while their newest look failed, and more looks are needed until they count as down: a few deadlines.
const DOUBT_WAIT_MS: Tick = 20_000;
/// A look that was asked for and did not show up after this long is asked for again.
const ASK_AGAIN_MS: Tick = 15_000;
/// The longest grace: a target that is looked at rarely is looked at then, and does not keep people waiting.
pub(super) const GRACE_MS: Tick = 5 * 60_000;
/// Most ancestors of one target.
const MAX_ANCESTORS: usize = 64;

/// Everybody above each target that has parents, nearest first.
pub(super) fn ancestors(board: &Board) -> HashMap<TargetId, Vec<TargetId>> {
    let mut all = HashMap::new();
    for target in board.targets.iter().filter(|t| !t.spec.parents.is_empty()) {
        let mut above: Vec<TargetId> = target.spec.parents.clone();
        let mut next = 0;
        while next < above.len() && above.len() < MAX_ANCESTORS {
            for parent in board.get(&above[next]).map_or(&[][..], |t| &t.spec.parents) {
                if !above.contains(parent) && *parent != target.spec.id {
                    above.push(parent.clone());
                }
            }
            next += 1;
        }
        all.insert(target.spec.id.clone(), above);
    }
    all
}

/// What is known of a target that may explain others.
enum Verdict {
    /// It is down, and people are told of it.
    Down,
    /// It was seen well since.
    Well,
    /// It was not looked at since, or its looks fail and it does not count as down yet.
    Open { fails: bool },
    /// Nobody looks at it, so it explains nothing.
    Unwatched,
}

impl Machine {
    /// Why nobody else is to blame, or who is; `None` when this one itself is to be told of. May ask for looks.
    pub(super) fn blame(&mut self, entry: &mut Entry) -> Option<Held> {
        let About::Target(id) = &entry.about else { return None };
        let board = self.board.clone()?;
        let target = board.get(id)?;
        let local = is_local(target);
        if self.no_network_since.is_some() && !local {
            return Some(Held::NoNetwork);
        }
        let bad_from = bad_from(target);
        // Who answers has everything that it needs: nobody else has to be looked at.
        let answers = target.last.as_ref().is_some_and(|seen| seen.look.fault.is_none());
        let mut open: Vec<TargetId> = Vec::new();
        let mut doubt = false;
        for parent in self.ancestors.get(id).cloned().unwrap_or_default() {
            match self.verdict(&board, &parent, bad_from) {
                Verdict::Down => return Some(Held::Explained(self.root(&board, parent))),
                Verdict::Open { fails } => {
                    doubt |= fails;
                    open.push(parent);
                }
                Verdict::Well | Verdict::Unwatched => {}
            }
        }
        if !local && !answers && !self.settings.references.contains(id) {
            let references = self.settings.references.clone();
            let mut unseen = Vec::new();
            let mut well = references.is_empty();
            for reference in references {
                match self.verdict(&board, &reference, bad_from) {
                    Verdict::Well => well = true,
                    Verdict::Open { fails } => {
                        doubt |= fails;
                        unseen.push(reference);
                    }
                    Verdict::Down | Verdict::Unwatched => {}
                }
            }
            if !well {
                open.append(&mut unseen);
            }
        }
        if open.is_empty() || answers {
            return None;
        }
        let since = *entry.asking.get_or_insert(self.t);
        let until = since + if doubt { DOUBT_WAIT_MS } else { ASK_WAIT_MS };
        if self.due(until) {
            return None;
        }
        for other in &open {
            self.ask(&board, other);
        }
        Some(Held::Asking(open))
    }

    /// Asks for a look, unless one that was asked for is still to come.
    fn ask(&mut self, board: &Board, id: &TargetId) {
        let seen_at = board.get(id).and_then(|t| t.last.as_ref()).map(|seen| seen.at);
        let again = self.asked.get(id).is_none_or(|a| a.seen_at != seen_at || self.t >= a.at + ASK_AGAIN_MS);
        if again {
            self.asked.insert(id.clone(), Asked { at: self.t, seen_at });
            self.out.looks.push(id.clone());
        }
    }

    fn verdict(&self, board: &Board, id: &TargetId, bad_from: UtcMs) -> Verdict {
        let Some(target) = board.get(id) else { return Verdict::Unwatched };
        match target.state.status {
            Status::Paused | Status::Maintenance => return Verdict::Unwatched,
            Status::Down if self.is_told_of(id) => return Verdict::Down,
            Status::Down => return Verdict::Unwatched, // no rule tells of it
            Status::Up | Status::Degraded | Status::Unknown => {}
        }
        let fails = target.verdict.as_ref().is_some_and(|v| v.grade == Grade::Fail);
        match &target.last {
            Some(seen) if seen.at >= bad_from && !fails => Verdict::Well,
            Some(seen) => Verdict::Open { fails: fails && seen.at >= bad_from },
            None => Verdict::Open { fails: false },
        }
    }

    /// Whether a rule tells, or will tell, that a target is down.
    fn is_told_of(&self, id: &TargetId) -> bool {
        let about = About::Target(id.clone());
        let watched = self.rules.iter().filter(|c| c.rule.when.of_targets());
        watched
            .filter_map(|c| self.entries.get(&super::machine::key_of(&c.hash, &about)))
            .any(|e| e.bad && e.phase != AlertPhase::Over)
    }

    /// The topmost of those that explain each other.
    fn root(&self, board: &Board, mut at: TargetId) -> TargetId {
        for _ in 0..MAX_ANCESTORS {
            let above = self.ancestors.get(&at).into_iter().flatten();
            let mut down = above.filter(|p| matches!(self.verdict(board, p, UtcMs(0)), Verdict::Down));
            let Some(next) = down.next() else { return at };
            at = next.clone();
        }
        at
    }

    /// What explained a target is over: how long it has to recover by itself.
    pub(super) fn grace(&mut self, entry: &Entry) -> Option<Grace> {
        let About::Target(id) = &entry.about else { return None };
        let board = self.board.clone()?;
        let target = board.get(id)?;
        let looks_left = target.spec.rules.fail_after.max(target.spec.rules.recover_after).saturating_add(1);
        let seen_at = target.last.as_ref().map_or(UtcMs(0), |seen| seen.at);
        if target.spec.interval > std::time::Duration::from_secs(60) {
            self.ask(&board, id);
        }
        Some(Grace { looks_left, seen_at, until: self.t + GRACE_MS })
    }

    /// Counts a look of a target in its grace; answers what is left of it.
    pub(super) fn in_grace(&mut self, about: &About, mut grace: Grace) -> Option<Grace> {
        let About::Target(id) = about else { return None };
        let seen_at = self.board.as_ref()?.get(id)?.last.as_ref().map_or(UtcMs(0), |seen| seen.at);
        if seen_at != grace.seen_at {
            grace.looks_left = grace.looks_left.saturating_sub(1);
            grace.seen_at = seen_at;
        }
        (grace.looks_left > 0 && !self.due(grace.until)).then_some(grace)
    }

    /// Whether StreamPulse itself has a network.
    pub(super) fn see_network(&mut self) {
        if self.network.is_none() {
            self.no_network_since = None;
            return;
        }
        let Some(board) = self.board.clone() else { return };
        let known = self.settings.references.iter().filter_map(|id| board.get(id));
        let watched: Vec<Status> =
            known.map(|t| t.state.status).filter(|s| !matches!(s, Status::Paused | Status::Maintenance)).collect();
        let truth = if watched.iter().any(|s| matches!(s, Status::Up | Status::Degraded)) || watched.is_empty() {
            Some(false)
        } else {
            watched.iter().all(|s| *s == Status::Down).then_some(true)
        };
        match truth {
            Some(true) => {
                self.no_network_since.get_or_insert(self.utc);
            }
            Some(false) => self.no_network_since = None,
            None => {}
        }
        let cause = format!("all {} references of the network are down", watched.len());
        self.see_other(None, About::Own("network".to_owned()), truth, &cause);
    }
}

/// When the first of the newest looks that all failed began: what was seen well since then is no cause.
fn bad_from(target: &TargetNow) -> UtcMs {
    let failing = target.beats.iter().rev().take_while(|beat| beat.grade != Grade::Pass);
    let oldest = failing.last().map(|beat| beat.at);
    oldest.or_else(|| target.last.as_ref().map(|seen| seen.at)).unwrap_or(target.state.since)
}

/// Whether a target is on this machine, so that no network explains it.
fn is_local(target: &TargetNow) -> bool {
    if ["host", "exec"].contains(&target.spec.kind) {
        return true;
    }
    let host = target.spec.address.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
