//! From the configuration that is in effect to another one, by equality per target: what is the same keeps everything, what
//! differs keeps its history, what is gone is put away. One path for start-up and reload.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use model::event::What;
use model::limits::BEATS_ON_BOARD;
use model::status::{Status, StatusChange, StatusInput, StatusRules, StatusState, advance};
use model::tally::Counts;
use model::target::{Target, TargetId};
use model::time::{Mono, UtcMs};
use model::verdict::Grade;
use store::Write;

use super::hold::same_session;
use super::judged::closed;
use super::media::Shape;
use crate::cadence::{self, FIRST_LOOK_ROOM, FIRST_LOOKS_WITHIN};
use crate::held::Held;
use crate::input::{Kept, NewConfig, Now};
use crate::state::{Entry, Run, State, fingerprint, host_key};

/// Why a status ends when its target leaves the configuration.
const REMOVED: &str = "removed from the configuration";

/// Targets whose beats are remembered after they left: enough for a file that was cut short by mistake, 2 KiB each.
const MAX_DEPARTED: usize = 2000;

/// What a reload did.
#[derive(Default)]
struct Difference {
    added: Vec<TargetId>,
    changed: Vec<TargetId>,
    removed: Vec<TargetId>,
}

impl State {
    /// Lets a configuration take effect.
    pub(super) fn configure(&mut self, now: Now, new: NewConfig) {
        if self.stopping {
            return;
        }
        let mut diff = Difference::default();
        let wanted: HashSet<&TargetId> = new.targets.iter().map(|t| &t.id).collect();
        debug_assert!(wanted.len() == new.targets.len(), "the loader lets no id stand twice");
        self.follow_renames(&new.targets, &wanted, &mut diff);
        self.put_away(now, &wanted, &mut diff);
        self.permits.set_bounds(new.probes_at_once, new.probes_per_host);

        let mut order = Vec::with_capacity(new.targets.len());
        let mut begin = Vec::new();
        for spec in &new.targets {
            let slot = match self.by_id.get(&spec.id).copied() {
                Some(slot) => {
                    if self.take_over(now, slot, spec) {
                        begin.push(slot);
                        if !diff.added.contains(&spec.id) {
                            diff.changed.push(spec.id.clone());
                        }
                    }
                    slot
                }
                None => {
                    let slot = self.add(now, spec);
                    begin.push(slot);
                    diff.added.push(spec.id.clone());
                    slot
                }
            };
            order.push(slot);
        }
        self.reorder(order);
        self.spread_first_looks(now, &begin);
        let hosts: HashSet<_> = self.entries.iter().flatten().map(|e| Arc::clone(&e.host)).collect();
        self.permits.prune(|key| hosts.contains(key));
        self.call_waiting(now);

        self.timezone = new.timezone;
        self.touch_all();
        self.config_accepted(now);
        if self.hash != new.hash {
            self.hash.clone_from(&new.hash);
            let Difference { added, changed, removed } = diff;
            self.emit(now.utc, What::ConfigApplied { hash: new.hash, added, changed, removed });
        }
    }

    /// A target whose id is new, and whose kind and address are those of exactly one that is gone, is that target: its
    /// history goes with it. Where two could be meant, none is.
    fn follow_renames(&mut self, targets: &[Arc<Target>], wanted: &HashSet<&TargetId>, diff: &mut Difference) {
        let live = self.entries.iter().flatten().map(|e| (&e.spec.id, fingerprint(&e.spec)));
        let kept = self.kept.iter().filter(|(_, k)| !k.retired).map(|(id, k)| (id, k.fingerprint.clone()));
        let mut gone: BTreeMap<String, Vec<TargetId>> = BTreeMap::new();
        for (id, print) in live.chain(kept).filter(|(id, _)| !wanted.contains(id)) {
            gone.entry(print).or_default().push(id.clone());
        }
        if gone.is_empty() {
            return;
        }
        let mut new: BTreeMap<String, Vec<&TargetId>> = BTreeMap::new();
        for spec in targets.iter().filter(|t| !self.by_id.contains_key(&t.id) && !self.kept.contains_key(&t.id)) {
            new.entry(fingerprint(spec)).or_default().push(&spec.id);
        }
        for (print, ids) in new {
            if let (&[to], Some([from])) = (ids.as_slice(), gone.get(&print).map(Vec::as_slice)) {
                self.rename(from, to);
                diff.removed.push(from.clone());
                diff.added.push(to.clone());
            }
        }
        diff.removed.sort();
        diff.added.sort();
    }

    fn rename(&mut self, from: &TargetId, to: &TargetId) {
        if let Some(mut kept) = self.kept.remove(from) {
            if let Some(open) = &mut kept.incident {
                open.target = to.clone();
            }
            self.kept.insert(to.clone(), kept);
        }
        if let Some(slot) = self.by_id.remove(from) {
            self.by_id.insert(to.clone(), slot);
            if let Some(open) = self.entry(slot).and_then(|e| e.incident.as_mut()) {
                open.target = to.clone();
            }
        }
        if let Some(look) = self.busy.remove(from) {
            self.busy.insert(to.clone(), look);
            if let Some(under_way) = self.looks.get_mut(&look) {
                under_way.target = to.clone();
            }
        }
        self.write(Write::TargetRenamed { from: from.clone(), to: to.clone() });
    }

    /// Puts away what the configuration no longer has. Its history stays in the store until retention ends.
    fn put_away(&mut self, now: Now, wanted: &HashSet<&TargetId>, diff: &mut Difference) {
        let mut live: Vec<(TargetId, usize)> =
            self.by_id.iter().filter(|(id, _)| !wanted.contains(id)).map(|(id, slot)| (id.clone(), *slot)).collect();
        live.sort();
        for (id, slot) in live {
            self.halt(now, slot);
            self.by_id.remove(&id);
            let Some(entry) = self.entries.get_mut(slot).and_then(Option::take) else { continue };
            self.free.push(slot);
            let leaving = Kept {
                name: entry.spec.name.clone(),
                fingerprint: fingerprint(&entry.spec),
                retired: false,
                state: entry.state,
                blind: false,
                paused: entry.paused,
                beats: entry.beats.to_vec(),
                incident: entry.incident,
                last: entry.last,
            };
            self.farewell(now, &id, leaving);
            diff.removed.push(id);
        }
        let kept = self.kept.iter().filter(|(id, kept)| !kept.retired && !wanted.contains(id));
        for id in kept.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let Some(kept) = self.kept.remove(&id) else { continue };
            self.farewell(now, &id, kept);
            diff.removed.push(id);
        }
        diff.removed.sort();
    }

    /// The last words of a target: from here on nothing is known of it, nothing is open, nothing is paused. Its beats are
    /// remembered for the case that it comes back.
    fn farewell(&mut self, now: Now, id: &TargetId, mut leaving: Kept) {
        let end = match leaving.state.status {
            Status::Paused => StatusInput::Resume,
            Status::Maintenance => StatusInput::MaintenanceEnds,
            _ => StatusInput::Blind,
        };
        if let Some(change) = advance(&mut leaving.state, StatusRules::default(), &end, now.utc) {
            let change = StatusChange { reason: REMOVED.to_owned(), ..change };
            self.write(Write::Change(id.clone(), change.clone()));
            self.emit(now.utc, What::StatusChanged(id.clone(), change));
        }
        if let Some(open) = leaving.incident.take() {
            self.incident_closed(now.utc, closed(open, now.utc, Some(REMOVED)));
        }
        if leaving.paused {
            self.write(Write::Paused { id: id.clone(), paused: false });
        }
        self.write(Write::TargetRetired { id: id.clone(), at: now.utc });
        if self.kept.len() < MAX_DEPARTED {
            (leaving.retired, leaving.paused, leaving.state) = (true, false, StatusState::unknown(now.utc));
            self.kept.insert(id.clone(), leaving);
        }
    }

    /// Another specification for a target that is watched. Answers whether anything differs. Status, beats and incident
    /// stay; a look under way was made for what no longer holds, so it is thrown away. A session stays when it would be
    /// opened in the same way.
    fn take_over(&mut self, now: Now, slot: usize, spec: &Arc<Target>) -> bool {
        let Some(entry) = self.entry(slot).filter(|entry| *entry.spec != **spec) else { return false };
        let old = Arc::clone(&entry.spec);
        if !same_session(&old, spec) {
            self.halt(now, slot);
        }
        let Some(entry) = self.entry(slot) else { return false };
        entry.spec = Arc::clone(spec);
        entry.host = host_key(spec);
        if old.kind != spec.kind || old.address != spec.address {
            entry.shape = None;
            entry.hangs = false;
        }
        self.touch(slot);
        if old.name != spec.name || fingerprint(&old) != fingerprint(spec) {
            self.seen(spec);
        }
        true
    }

    /// A target that is not watched yet, with what is known of it from before.
    fn add(&mut self, now: Now, spec: &Arc<Target>) -> usize {
        let kept = self.kept.remove(&spec.id);
        let known =
            kept.as_ref().is_some_and(|k| !k.retired && k.name == spec.name && k.fingerprint == fingerprint(spec));
        let blind = kept.as_ref().is_some_and(|k| k.blind);
        let entry = fresh(spec, kept, now.utc);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        self.entries[slot] = Some(entry);
        self.by_id.insert(spec.id.clone(), slot);
        if !known {
            self.seen(spec);
        }
        if blind {
            self.move_status(now, slot, &StatusInput::Blind);
            self.move_status(now, slot, &StatusInput::MaintenanceEnds);
        }
        slot
    }

    fn seen(&mut self, spec: &Target) {
        self.write(Write::TargetSeen {
            id: spec.id.clone(),
            name: spec.name.clone(),
            kind: spec.kind.to_owned(),
            fingerprint: fingerprint(spec),
        });
    }

    /// Gives every new or changed target its first look soon, and not all at once.
    fn spread_first_looks(&mut self, now: Now, begin: &[usize]) {
        let room = FIRST_LOOK_ROOM.saturating_mul(u32::try_from(begin.len()).unwrap_or(u32::MAX));
        for &slot in begin {
            let Some(entry) = self.entry(slot) else { continue };
            let within = FIRST_LOOKS_WITHIN.min(entry.spec.interval).min(room);
            let first = Mono(now.mono.0.saturating_add(cadence::share(&entry.spec.id, within)));
            self.settle_watch(now, slot, first);
        }
    }
}

fn fresh(spec: &Arc<Target>, kept: Option<Kept>, now: UtcMs) -> Entry {
    let mut kept = kept.unwrap_or_else(|| Kept {
        name: String::new(),
        fingerprint: String::new(),
        retired: false,
        state: StatusState::unknown(now),
        blind: false,
        paused: false,
        beats: Vec::new(),
        incident: None,
        last: None,
    });
    if kept.retired && kept.state.status == Status::Unknown {
        kept.state = StatusState::unknown(now);
    }
    let newest = &kept.beats[kept.beats.len().saturating_sub(BEATS_ON_BOARD)..];
    let passed = kept.last.as_ref().filter(|(_, verdict)| verdict.grade != Grade::Fail);
    Entry {
        spec: Arc::clone(spec),
        host: host_key(spec),
        state: kept.state,
        paused: kept.paused,
        shape: passed.and_then(|(seen, _)| Shape::of(&seen.look.reading)),
        last: kept.last,
        beats: newest.into(),
        counts: Counts::default(),
        last_opened: kept.incident.as_ref().map_or(UtcMs(0), |i| i.opened_at),
        incident: kept.incident,
        run: Run::Idle,
        timer: None,
        due: None,
        first: Mono::default(),
        attempt: 0,
        hangs: false,
        askers: Vec::new(),
        held: Held { since: now, ..Held::default() },
        revision: 0,
        shown: None,
    }
}
