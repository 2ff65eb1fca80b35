//! A world for the machine: targets whose status is said, a clock under control, a store that takes a whole batch or nothing,
//! and the letters that came of it. Tests only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::alert::{AlertBoard, AlertSettings, Condition, Notification, Rule, Scope, Severity};
use model::board::{Beat, Board, Health, TargetNow};
use model::event::Part;
use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation};
use model::phase::Phase;
use model::score::Scoring;
use model::status::{Status, StatusState};
use model::target::{Target, TargetId};
use model::time::{Mono, UtcMs};
use model::unit::board::UnitBoard;
use model::verdict::{Grade, Reason, Verdict};
use sink::registry::SinkNow;
use store::{AlertChange, AlertRecord};

use crate::alerts::machine::{Batch, Machine, View};
use crate::input::Now;
use crate::testing::{EPOCH, id, target_at};

/// The world.
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    pub(crate) settings: Arc<AlertSettings>,
    pub(crate) targets: Vec<Arc<TargetNow>>,
    pub(crate) sinks: BTreeMap<String, SinkNow>,
    pub(crate) health: Health,
    pub(crate) units: UnitBoard,
    index: Arc<BTreeMap<TargetId, usize>>,
    /// What the store holds.
    pub(crate) docs: BTreeMap<String, String>,
    pub(crate) history: BTreeMap<(String, i64), AlertRecord>,
    /// Messages by channel and key: a second one of a key is none.
    pub(crate) letters: BTreeMap<(String, String), Notification>,
    /// The same in the order of their coming, with the time in milliseconds.
    pub(crate) log: Vec<(u64, String, Notification)>,
    pub(crate) looks: Vec<TargetId>,
    pub(crate) in_maintenance: BTreeSet<TargetId>,
    /// Milliseconds since the world began, by the clock that never jumps.
    pub(crate) ms: u64,
    /// How far the wall clock was moved.
    pub(crate) wall_off: i64,
    /// Milliseconds at which the process started.
    born: u64,
    revision: u64,
}

/// A rule about the status down, told to `ops`.
pub(crate) fn rule(name: &str, change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule {
        name: name.to_owned(),
        when: Condition::Status(vec![Status::Down]),
        scope: Scope::default(),
        lasts: Duration::ZERO,
        clear_for: Duration::ZERO,
        severity: Severity::Warning,
        remind: None,
        recovery: true,
        channels: vec!["ops".to_owned()],
    };
    change(&mut rule);
    rule
}

pub(crate) fn settings(rules: Vec<Rule>, change: impl FnOnce(&mut AlertSettings)) -> AlertSettings {
    let mut settings = AlertSettings { rules, channels: vec!["ops".to_owned()], ..AlertSettings::default() };
    change(&mut settings);
    settings
}

impl Rig {
    /// Targets by name; `a<b,c` has the parents b and c, `a@host` is at a host. All are up.
    pub(crate) fn new(settings: AlertSettings, targets: &[&str]) -> Self {
        let settings = Arc::new(settings);
        let now = Now { utc: EPOCH, mono: Mono(Duration::ZERO) };
        let mut rig = Self {
            machine: Machine::new(Arc::clone(&settings), Scoring::default(), now),
            settings,
            targets: Vec::new(),
            sinks: BTreeMap::new(),
            health: Health::default(),
            units: UnitBoard::default(),
            index: Arc::default(),
            docs: BTreeMap::new(),
            history: BTreeMap::new(),
            letters: BTreeMap::new(),
            log: Vec::new(),
            looks: Vec::new(),
            in_maintenance: BTreeSet::new(),
            ms: 0,
            wall_off: 0,
            born: 0,
            revision: 0,
        };
        rig.configure_targets(targets);
        rig
    }

    /// Other targets are configured; those that stay keep their status.
    pub(crate) fn configure_targets(&mut self, targets: &[&str]) {
        let made: Vec<Arc<TargetNow>> = targets
            .iter()
            .map(|text| {
                let (text, parents) = text.split_once('<').unwrap_or((text, ""));
                let (name, host) = text.split_once('@').unwrap_or((text, "far.test"));
                let parents = parents.split(',').filter(|p| !p.is_empty()).map(id).collect();
                let spec = target_at(name, host, |t: &mut Target| t.parents = parents);
                let known = self.targets.iter().find(|t| t.spec.id == spec.id).cloned();
                known.filter(|t| *t.spec == *spec).unwrap_or_else(|| {
                    self.revision += 1;
                    Arc::new(fresh(spec, self.utc(), self.revision))
                })
            })
            .collect();
        self.index = Arc::new(made.iter().enumerate().map(|(i, t)| (t.spec.id.clone(), i)).collect());
        self.targets = made;
    }

    pub(crate) fn utc(&self) -> UtcMs {
        UtcMs(EPOCH.plus(Duration::from_millis(self.ms)).0 + self.wall_off)
    }

    pub(crate) fn now(&self) -> Now {
        Now { utc: self.utc(), mono: Mono(Duration::from_millis(self.ms - self.born)) }
    }

    /// A look at a target was taken, with a fault or without, and its status is this.
    pub(crate) fn say(&mut self, name: &str, status: Status) {
        self.look(name, status, status == Status::Down);
    }

    /// A look at a target was taken; its status is this.
    pub(crate) fn look(&mut self, name: &str, status: Status, fails: bool) {
        self.change(name, |target, at| {
            let grade = if fails { Grade::Fail } else { Grade::Pass };
            let fault = fails.then(|| Fault::new(FaultKind::Refused, Phase::Connect, "connection refused"));
            let look = Look { fault: fault.clone(), ..Look::default() };
            let took = Duration::from_millis(20);
            let target_id = target.spec.id.clone();
            target.last = Some(Arc::new(Observation { target: target_id, at, took, attempts: 1, look }));
            let text = fault.map_or(String::new(), |f| f.to_string());
            let reasons = if fails { vec![Reason { grade, check: "fault", text: text.clone() }] } else { vec![] };
            target.verdict = Some(Arc::new(Verdict { grade, reasons }));
            let beat = Beat { at, grade, status, took_ms: 20 };
            target.beats = target.beats.iter().copied().chain([beat]).collect();
            target.state.reason = text;
            if target.state.status != status {
                (target.state.status, target.state.since) = (status, at);
            }
        });
    }

    /// The status changes without a look.
    pub(crate) fn status(&mut self, name: &str, status: Status) {
        self.change(name, |target, at| (target.state.status, target.state.since) = (status, at));
    }

    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut TargetNow, UtcMs)) {
        self.revision += 1;
        let (at, revision) = (self.utc(), self.revision);
        let i = self.index[&id(name)];
        let mut target = (*self.targets[i]).clone();
        change(&mut target, at);
        target.revision = revision;
        self.targets[i] = Arc::new(target);
    }

    pub(crate) fn unwell(&mut self, part: Part, reason: Option<&str>) {
        let now = self.utc();
        match reason {
            Some(reason) => drop(self.health.unwell.insert(part, (reason.to_owned(), now))),
            None => drop(self.health.unwell.remove(&part)),
        }
    }

    fn board(&self) -> Arc<Board> {
        Arc::new(Board {
            at: self.utc(),
            started_at: EPOCH,
            version: self.revision,
            targets: self.targets.clone().into(),
            index: Arc::clone(&self.index),
            health: self.health.clone(),
            tally: Arc::default(),
            config_hash: String::new(),
            timezone: "UTC".to_owned(),
        })
    }

    /// One evaluation; what comes of it is not written yet.
    pub(crate) fn evaluate(&mut self) -> Batch {
        let board = self.board();
        let now = self.now();
        self.machine.evaluate(&View { board: &board, sinks: &self.sinks, units: &self.units }, now)
    }

    /// Writes a batch: one transaction.
    pub(crate) fn commit(&mut self, batch: Batch) {
        for change in batch.changes {
            match change {
                AlertChange::Keep { key, json } => drop(self.docs.insert(key, json)),
                AlertChange::Forget { key } => drop(self.docs.remove(&key)),
                AlertChange::History(row) => drop(self.history.insert((row.alert.clone(), row.began_at.0), row)),
            }
        }
        for out in batch.send {
            assert!(!out.channels.is_empty(), "{out:?}");
            for channel in out.channels {
                let key = (channel.clone(), out.notification.key.clone());
                assert!(!self.letters.contains_key(&key), "a key is used twice: {key:?}");
                self.letters.insert(key, out.notification.clone());
                self.log.push((self.ms, channel, out.notification.clone()));
            }
        }
        self.looks.extend(batch.looks);
        if let Some(targets) = batch.maintenance {
            self.in_maintenance = targets;
        }
    }

    /// Time passes in steps, and each is evaluated.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.ms + ms;
        self.turn();
        while self.ms < until {
            self.ms = (self.ms + 250).min(until);
            self.turn();
        }
    }

    /// Time passes; the machine is only asked when it said that it wants to be, and at the end.
    pub(crate) fn sleep(&mut self, ms: u64) {
        let until = self.ms + ms;
        loop {
            self.turn();
            if self.ms >= until {
                return;
            }
            let wake = self.machine.next_wake().and_then(|at| u64::try_from(at).ok());
            let wake = wake.map_or(until, |at| at + self.born).max(self.ms + 1);
            self.ms = wake.min(until);
        }
    }

    /// Evaluates and writes.
    pub(crate) fn turn(&mut self) {
        let batch = self.evaluate();
        self.commit(batch);
    }

    /// The process ends without a word and starts again after a while; statuses are unknown until the next look.
    pub(crate) fn restart(&mut self, after_ms: u64) {
        self.ms += after_ms;
        self.born = self.ms;
        let names: Vec<String> = self.targets.iter().map(|t| t.spec.name.clone()).collect();
        for name in names {
            self.status(&name, Status::Unknown);
        }
        self.machine = Machine::new(Arc::clone(&self.settings), Scoring::default(), self.now());
        let unread = self.machine.restore(self.docs.clone().into_iter().collect());
        assert_eq!(unread, Vec::<String>::new());
        self.in_maintenance.clear();
    }

    /// Other settings take effect.
    pub(crate) fn configure(&mut self, settings: AlertSettings) {
        self.settings = Arc::new(settings);
        self.machine.configure(Arc::clone(&self.settings), Scoring::default());
    }

    pub(crate) fn alerts(&mut self) -> AlertBoard {
        self.machine.board()
    }

    /// The messages since the last call, a line each: seconds, stage, title.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let line = |(ms, channel, n): (u64, String, Notification)| {
            let to = if channel == "ops" { String::new() } else { format!(" to {channel}") };
            format!("{:.1}{to} {}: {}", ms as f64 / 1000.0, n.stage, n.title)
        };
        std::mem::take(&mut self.log).into_iter().map(line).collect()
    }

    #[track_caller]
    pub(crate) fn check(&mut self, wanted: &[&str]) {
        assert_eq!(self.told(), wanted);
    }
}

fn fresh(spec: Arc<Target>, at: UtcMs, revision: u64) -> TargetNow {
    let mut state = StatusState::unknown(at);
    state.status = Status::Up;
    TargetNow {
        spec,
        state,
        paused: false,
        last: None,
        verdict: None,
        beats: Arc::from([]),
        incident: None,
        next_due: None,
        session: None,
        counts: model::tally::Counts::default(),
        revision,
    }
}
