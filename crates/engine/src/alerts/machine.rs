//! The machine: from what the Board shows and the time to alerts, messages and what must be remembered. The only mutation of
//! alerts. No I/O, no clock: the same views at the same times give the same batches.
//!
//! One batch is written in one transaction: what is remembered and the messages that follow from it. A process that ends
//! between two batches has told all of the one and nothing of the other, so nothing is told twice and nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use model::alert::{About, AlertPast, AlertSettings, Condition, Mute, Notification, Rule, Severity};
use model::board::{Board, TargetNow};
use model::score::Scoring;
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use model::unit::board::UnitBoard;
use sha2::{Digest as _, Sha256};
use sink::registry::SinkNow;
use store::AlertChange;

use super::entry::{Entry, Tick, Turn, ticks};
use super::pace::Pace;
use super::services::Restarts;
use super::thread::{Backlog, Gone, Thread};
use super::windows::{AdHoc, Windows};
use super::words;
use crate::input::Now;

/// Name of the rule that is in effect where `connectivity` names references.
pub(crate) const NO_NETWORK: &str = "StreamPulse has no network";
/// A difference between the clocks that is a jump.
const CLOCK_JUMP_MS: i64 = 2_000;

/// What the machine looks at.
pub(crate) struct View<'a> {
    pub(crate) board: &'a Arc<Board>,
    pub(crate) sinks: &'a BTreeMap<String, SinkNow>,
    pub(crate) units: &'a UnitBoard,
}

/// A message and who gets it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) notification: Notification,
    pub(crate) channels: Vec<String>,
}

/// What is to be done, in this order: write changes and messages in one transaction, then ask for the looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<AlertChange>,
    pub(crate) send: Vec<Outgoing>,
    pub(crate) looks: Vec<TargetId>,
    /// Targets in maintenance, where that changed.
    pub(crate) maintenance: Option<BTreeSet<TargetId>>,
}

/// A rule with the hash of what makes it the rule that it is.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) hash: String,
}

/// A look that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Tick,
    /// The newest look at that time.
    pub(super) seen_at: Option<UtcMs>,
}

/// All alerts.
pub(crate) struct Machine {
    pub(super) settings: Arc<AlertSettings>,
    pub(super) scoring: Scoring,
    pub(super) rules: Vec<Compiled>,
    pub(super) network: Option<Compiled>,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) threads: BTreeMap<String, Thread>,
    pub(super) backlog: BTreeMap<String, Vec<Backlog>>,
    /// When which channel got messages that the limit counts.
    pub(super) pace: BTreeMap<String, Pace>,
    pub(super) mutes: Vec<Mute>,
    pub(super) ad_hoc: Vec<AdHoc>,
    pub(super) windows: Windows,
    pub(super) past: VecDeque<Arc<AlertPast>>,
    pub(super) board: Option<Arc<Board>>,
    /// Rules for each target, in the order of the board.
    pub(super) in_scope: Vec<Vec<usize>>,
    /// Everybody above a target, of targets that have parents.
    pub(super) ancestors: HashMap<TargetId, Vec<TargetId>>,
    pub(super) asked: HashMap<TargetId, Asked>,
    pub(super) no_network_since: Option<UtcMs>,
    pub(super) serial: u64,
    /// State documents in the store.
    pub(super) kept: BTreeSet<String>,
    /// Documents other than alerts and threads that must be written.
    pub(super) stale: BTreeSet<String>,
    pub(super) t: Tick,
    pub(super) utc: UtcMs,
    /// When time alone may change something.
    pub(super) wake: Option<Tick>,
    pub(super) version: u64,
    /// Something that the AlertBoard shows may differ.
    pub(super) changed: bool,
    reconfigured: bool,
    /// Sinks that were seen in this life of the process.
    pub(super) seen_sinks: BTreeSet<String>,
    /// When services were started again within the last hour.
    pub(super) restarts: BTreeMap<TargetId, Restarts>,
    pub(super) started: Tick,
    pub(super) out: Batch,
}

impl Machine {
    /// A machine that knows nothing, at a time.
    pub(crate) fn new(settings: Arc<AlertSettings>, scoring: Scoring, now: Now) -> Self {
        let mut machine = Self {
            settings: Arc::new(AlertSettings::default()),
            scoring,
            rules: Vec::new(),
            network: None,
            entries: BTreeMap::new(),
            threads: BTreeMap::new(),
            backlog: BTreeMap::new(),
            pace: BTreeMap::new(),
            mutes: Vec::new(),
            ad_hoc: Vec::new(),
            windows: Windows::default(),
            past: VecDeque::new(),
            board: None,
            in_scope: Vec::new(),
            ancestors: HashMap::new(),
            asked: HashMap::new(),
            no_network_since: None,
            serial: 0,
            kept: BTreeSet::new(),
            stale: BTreeSet::new(),
            t: tick_of(now),
            utc: now.utc,
            wake: None,
            version: 0,
            changed: true,
            reconfigured: false,
            seen_sinks: BTreeSet::new(),
            restarts: BTreeMap::new(),
            started: tick_of(now),
            out: Batch::default(),
        };
        machine.configure(settings, scoring);
        machine
    }

    /// Other settings take effect with the next evaluation.
    pub(crate) fn configure(&mut self, settings: Arc<AlertSettings>, scoring: Scoring) {
        self.rules = settings.rules.iter().map(|rule| compile(rule.clone())).collect();
        self.network = (!settings.references.is_empty()).then(|| {
            compile(Rule {
                name: NO_NETWORK.to_owned(),
                when: Condition::Own(Vec::new()),
                scope: model::alert::Scope::default(),
                lasts: std::time::Duration::ZERO,
                clear_for: std::time::Duration::ZERO,
                severity: Severity::Critical,
                remind: None,
                recovery: true,
                channels: settings.channels.clone(),
            })
        });
        self.settings = settings;
        self.scoring = scoring;
        self.reconfigured = true;
        self.changed = true;
    }

    /// Looks at the world. Cheap when nothing changed: a pointer per target.
    pub(crate) fn evaluate(&mut self, view: &View<'_>, now: Now) -> Batch {
        self.begin(now);
        self.see_targets(view.board);
        self.see_windows();
        self.see_sinks(view.sinks);
        self.see_own(view.board);
        self.see_services(view.units);
        self.see_network();
        self.step_entries();
        self.hold_entries();
        self.tell_digests();
        self.tell_raised();
        self.tell_gone();
        self.remind();
        self.remember();
        std::mem::take(&mut self.out)
    }

    /// When time alone may change something; `None` when nothing waits.
    pub(crate) fn next_wake(&self) -> Option<Tick> {
        self.wake
    }

    /// Whether the AlertBoard may differ from the one that was made last.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Time has passed. Where the wall clock jumped, everything that is remembered by it is written anew.
    pub(super) fn begin(&mut self, now: Now) {
        let t = tick_of(now);
        let off = now.utc.0.saturating_sub(self.utc.0).saturating_sub(t.saturating_sub(self.t));
        if off.saturating_abs() > CLOCK_JUMP_MS {
            self.entries.values_mut().for_each(|e| e.dirty = true);
            self.threads.values_mut().for_each(|t| t.dirty = true);
            self.windows.forget();
        }
        (self.t, self.utc, self.wake) = (t, now.utc, None);
        let utc = self.utc;
        let before = (self.mutes.len(), self.ad_hoc.len());
        self.mutes.retain(|m| m.until.is_none_or(|until| until > utc));
        self.ad_hoc.retain(|w| w.until > utc);
        if before.0 != self.mutes.len() {
            self.stale.insert("mutes".to_owned());
            self.changed = true;
        }
        if before.1 != self.ad_hoc.len() {
            self.stale.insert("windows".to_owned());
            self.windows.forget();
        }
    }

    /// Something is due at a time.
    pub(super) fn due(&mut self, at: Tick) -> bool {
        if at <= self.t {
            return true;
        }
        self.wake = Some(self.wake.map_or(at, |known| known.min(at)));
        false
    }

    fn see_targets(&mut self, board: &Arc<Board>) {
        let anew = std::mem::take(&mut self.reconfigured);
        if anew {
            self.close_by_rule();
        }
        let same_order = self.board.as_ref().is_some_and(|old| Arc::ptr_eq(&old.index, &board.index)) && !anew;
        let old = self.board.replace(Arc::clone(board));
        if !same_order {
            self.windows.forget();
            self.in_scope = board.targets.iter().map(|t| self.rules_of(t)).collect();
            self.ancestors = super::family::ancestors(board);
            self.close_by_target(board);
        }
        let known = old.filter(|_| same_order);
        for (i, target) in board.targets.iter().enumerate() {
            let before = known.as_ref().and_then(|old| old.targets.get(i));
            if before.is_some_and(|b| Arc::ptr_eq(b, target) || b.revision == target.revision) {
                continue;
            }
            if before.is_some_and(|b| !Arc::ptr_eq(&b.spec, &target.spec)) {
                self.in_scope[i] = self.rules_of(target);
                self.ancestors = super::family::ancestors(board);
                self.windows.forget();
                self.close_by_target(board);
            }
            self.see_target(i, target);
        }
    }

    fn rules_of(&self, target: &TargetNow) -> Vec<usize> {
        let covers = |c: &Compiled| c.rule.when.of_targets() && c.rule.scope.covers(&target.spec);
        self.rules.iter().enumerate().filter(|(_, c)| covers(c)).map(|(i, _)| i).collect()
    }

    fn see_target(&mut self, index: usize, target: &Arc<TargetNow>) {
        if target.state.status == Status::Paused {
            let of_target = |e: &&Entry| e.target() == Some(&target.spec.id);
            let keys: Vec<String> = self.entries.values().filter(of_target).map(|e| e.key.clone()).collect();
            keys.iter().for_each(|key| self.close(key, "the target is paused", true));
            return;
        }
        let seen = target.newest();
        let score = model::score::score(&self.scoring, target.state.status, seen).map(|s| s.value);
        let rules = std::mem::take(&mut self.in_scope[index]);
        for &i in &rules {
            let Compiled { rule, hash } = &self.rules[i];
            let about = About::Target(target.spec.id.clone());
            let key = key_of(hash, &about);
            let truth = rule.when.holds(target, score, self.utc);
            let cause = || rule.when.cause(target, score, self.utc);
            let face = words::face(target);
            match self.entries.get_mut(&key) {
                Some(entry) => {
                    entry.truth = truth;
                    self.changed |= entry.face != face;
                    entry.face = face;
                    if truth == Some(true) {
                        entry.cause = cause();
                    }
                }
                None if truth == Some(true) => {
                    let mut entry = Entry::new(key.clone(), hash, rule, about, face, (self.t, self.utc));
                    entry.cause = cause();
                    self.entries.insert(key, entry);
                    self.changed = true;
                }
                None => {}
            }
        }
        self.in_scope[index] = rules;
    }

    /// Something other than a target is good or bad.
    pub(super) fn see_other(&mut self, i: Option<usize>, about: About, truth: model::alert::Truth, cause: &str) {
        let Some(Compiled { rule, hash }) = i.map_or(self.network.as_ref(), |i| self.rules.get(i)) else { return };
        let key = key_of(hash, &about);
        match self.entries.get_mut(&key) {
            Some(entry) => {
                entry.truth = truth;
                if truth == Some(true) && entry.cause != cause {
                    cause.clone_into(&mut entry.cause);
                    self.changed = true;
                }
            }
            None if truth == Some(true) => {
                let face = words::face_of(&about, self.utc);
                let mut entry = Entry::new(key.clone(), hash, rule, about, face, (self.t, self.utc));
                cause.clone_into(&mut entry.cause);
                self.entries.insert(key, entry);
                self.changed = true;
            }
            None => {}
        }
    }

    /// The rule of an alert.
    pub(super) fn rule_of(&self, hash: &str) -> Option<&Compiled> {
        self.rules.iter().chain(&self.network).find(|c| c.hash == hash)
    }

    fn step_entries(&mut self) {
        let flapping = self.settings.flapping;
        let rules: HashMap<String, Rule> =
            self.rules.iter().chain(&self.network).map(|c| (c.hash.clone(), c.rule.clone())).collect();
        let mut turns = Vec::new();
        let mut wakes = Vec::new();
        for (key, entry) in &mut self.entries {
            let Some(rule) = rules.get(&entry.hash) else { continue };
            let phase = entry.phase;
            let turn = entry.step(entry.truth, rule, flapping, (self.t, self.utc));
            self.changed |= turn != Turn::None || phase != entry.phase;
            if turn != Turn::None {
                turns.push((key.clone(), turn));
            }
            wakes.extend(entry.wakes_at(rule, flapping).filter(|at| *at > self.t));
        }
        for at in wakes {
            self.due(at);
        }
        for (key, turn) in turns {
            match turn {
                Turn::Began => self.note(&key, None),
                Turn::Ended => self.close(&key, words::RECOVERED, false),
                Turn::Dropped => self.forget(&key),
                Turn::Flaps | Turn::Steady => self.tell_flapping(&key, turn == Turn::Flaps),
                Turn::None => {}
            }
        }
    }

    /// Ends the alerts of rules that are no longer what they were.
    fn close_by_rule(&mut self) {
        let names: BTreeSet<&str> = self.rules.iter().map(|c| c.rule.name.as_str()).collect();
        let hashes: BTreeSet<&str> = self.rules.iter().chain(&self.network).map(|c| c.hash.as_str()).collect();
        let gone = self.entries.values().filter(|e| !hashes.contains(e.hash.as_str()));
        let gone: Vec<(String, &str)> = gone
            .map(|e| {
                let how = if names.contains(e.rule.as_str()) { "the rule was changed" } else { "the rule was removed" };
                (e.key.clone(), how)
            })
            .collect();
        for (key, how) in gone {
            self.close(&key, how, true);
        }
    }

    /// Ends the alerts of targets that are gone or that their rule no longer covers.
    fn close_by_target(&mut self, board: &Board) {
        let mut gone = Vec::new();
        for entry in self.entries.values() {
            let About::Target(id) = &entry.about else { continue };
            let Some(compiled) = self.rule_of(&entry.hash) else { continue };
            match board.get(id) {
                None => gone.push((entry.key.clone(), "the target was removed")),
                Some(target) if !compiled.rule.scope.covers(&target.spec) => {
                    gone.push((entry.key.clone(), "the rule no longer covers it"));
                }
                Some(_) => {}
            }
        }
        for (key, how) in gone {
            self.close(&key, how, true);
        }
    }

    /// Ends an alert. `for_good` forgets also how often it changed.
    pub(super) fn close(&mut self, key: &str, how: &str, for_good: bool) {
        let Some(entry) = self.entries.get(key) else { return };
        self.changed = true;
        if entry.noted {
            self.note(key, Some(how));
        }
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.noted || entry.thread.is_some() {
            let alert = Arc::new(super::snapshot::alert(entry, Vec::new(), Vec::new()));
            self.past.push_front(Arc::new(AlertPast { alert, ended_at: self.utc, how: how.to_owned() }));
            self.past.truncate(model::alert::MAX_PAST);
        }
        let gone = Gone {
            subject: words::subject(entry),
            name: entry.face.name.clone(),
            how: how.to_owned(),
            lasted_ms: self.t.saturating_sub(entry.bad_since),
        };
        (entry.ready, entry.asking, entry.grace, entry.held) = (None, None, None, None);
        entry.phase = model::alert::AlertPhase::Over;
        entry.dirty = true;
        if let Some(thread) = entry.thread.take().and_then(|id| self.threads.get_mut(&id)) {
            thread.note = entry.ack.as_ref().map(|ack| ack.note.clone()).or(thread.note.take());
            thread.gone(gone, self.t);
        }
        if for_good || entry.changes.is_empty() {
            self.forget(key);
        }
    }

    /// Nothing is known of an alert any more.
    fn forget(&mut self, key: &str) {
        self.entries.remove(key);
        self.changed = true;
    }

    /// A name that no other message has or had.
    pub(super) fn new_id(&mut self, seed: &str) -> String {
        self.serial += 1;
        self.stale.insert("serial".to_owned());
        hash_of(&format!("{seed}|{}|{}", self.utc.0, self.serial))
    }

    /// Whether a channel may get one more message that the limit counts; counts it.
    pub(super) fn within_limit(&mut self, channel: &str) -> bool {
        let limit = match self.settings.limits.get(channel) {
            Some(Some(limit)) => *limit,
            Some(None) => return true,
            None => model::alert::LIMIT,
        };
        let t = self.t;
        match self.pace.entry(channel.to_owned()).or_default().take(limit, t) {
            Ok(()) => true,
            Err(at) => {
                self.due(at);
                false
            }
        }
    }
}

pub(super) fn tick_of(now: Now) -> Tick {
    ticks(now.mono.0)
}

fn compile(rule: Rule) -> Compiled {
    Compiled { hash: hash_of(&rule.identity()), rule }
}

/// Sixteen hex digits that name a text.
pub(super) fn hash_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The name of an alert.
pub(super) fn key_of(hash: &str, about: &About) -> String {
    match about {
        About::Target(id) => format!("{hash}:t:{id}"),
        About::Sink(name) => format!("{hash}:s:{name}"),
        About::Own(name) => format!("{hash}:o:{name}"),
        About::Service(id) => format!("{hash}:u:{id}"),
    }
}
