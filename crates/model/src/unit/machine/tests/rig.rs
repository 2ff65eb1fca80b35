//! A machine with a world around it that does what it is told at once. Tests only.

use std::sync::Arc;
use std::time::Duration;

use crate::secret::Secret;
use crate::time::{Mono, UtcMs};
use crate::unit::board::{RunEnd, UnitChange};
use crate::unit::machine::{Around, Effect, Finding, Input, Known, Machine, Moment, Why};
use crate::unit::spec::{Heal, LogRules, Policy, Process, Program, Restart, Stop, Unit};
use crate::unit::{Cause, Exit, State, UnitId, Wanted};

/// A process with a pause of 1 s that doubles up to 30 s, without chance.
pub(super) fn unit() -> Unit {
    Unit {
        id: UnitId::parse("u").unwrap(),
        name: "U".to_owned(),
        description: String::new(),
        group: None,
        tags: vec![],
        autostart: true,
        enabled: true,
        program: Program::Process(Process {
            argv: vec!["/bin/true".to_owned()],
            cwd: "/".into(),
            env: vec![],
            secret_env: vec![("T".to_owned(), Secret::new("t"))],
            user: None,
            umask: None,
            limits: vec![],
            pid_file: None,
        }),
        fallback: None,
        needs: vec![],
        targets: vec![],
        restart: Restart {
            policy: Policy::Always,
            success: vec![],
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.0,
            steady: Duration::from_secs(60),
            limit: 5,
            limit_within: Duration::from_secs(60),
        },
        ready: vec![],
        ready_within: Duration::from_secs(30),
        stop: Stop { signal: "TERM", grace: Duration::from_secs(10) },
        health: vec![],
        heal: Heal { restart: true, cool_down: Duration::from_secs(30), per_hour: 4 },
        budgets: vec![],
        logs: LogRules { file_bytes: 1 << 20, files: 3 },
        queue: None,
        form: None,
    }
}

pub(super) fn end(exit: Exit, ran_ms: u64) -> RunEnd {
    RunEnd { exit, at: UtcMs(0), ran_ms, last_lines: vec!["the last line".to_owned()] }
}

pub(super) struct Rig {
    pub(super) unit: Unit,
    pub(super) machine: Machine,
    pub(super) now: Moment,
    pub(super) entries: Vec<Arc<UnitChange>>,
    /// Whether it ends only when the test says so.
    pub(super) deaf: bool,
    /// Launches are refused: whether that passes.
    pub(super) refuse: Option<bool>,
    pub(super) told: String,
    pub(super) launches: u64,
    pub(super) adoptions: u64,
    pub(super) waits_for: Vec<UnitId>,
    pub(super) leaving: Option<UnitId>,
    pub(super) needed_by: Option<UnitId>,
    began: Mono,
}

impl Rig {
    pub(super) fn known(wanted: Wanted, known: Known, change: impl FnOnce(&mut Unit)) -> Self {
        let mut unit = unit();
        change(&mut unit);
        let now = Moment { utc: UtcMs(1_000_000), mono: Mono(Duration::from_secs(5_000)) };
        let mut rig = Self {
            unit,
            machine: Machine::new(wanted, known, now),
            now,
            entries: vec![],
            deaf: false,
            refuse: None,
            told: String::new(),
            launches: 0,
            adoptions: 0,
            waits_for: vec![],
            leaving: None,
            needed_by: None,
            began: now.mono,
        };
        rig.look();
        rig
    }

    pub(super) fn new(wanted: Wanted, change: impl FnOnce(&mut Unit)) -> Self {
        Self::known(wanted, Known::default(), change)
    }

    pub(super) fn running(change: impl FnOnce(&mut Unit)) -> Self {
        let mut rig = Self::new(Wanted::Running, change);
        rig.found(Finding::Nothing);
        assert_eq!(rig.state(), State::Running);
        rig
    }

    pub(super) fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let around = Around {
                spec: &self.unit,
                waits_for: self.waits_for.clone(),
                leaving: self.leaving.clone(),
                needed_by: self.needed_by.clone(),
                hold: Duration::from_secs(60),
                now: self.now,
                chance: 0.5,
            };
            for effect in self.machine.step(&around, input) {
                inputs.extend(self.act(effect));
            }
        }
    }

    fn act(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Adopt => {
                self.adoptions += 1;
                None
            }
            Effect::Launch(run) => {
                if let Some(passing) = self.refuse {
                    return Some(Input::Refused { run, passing, words: "no such file".to_owned() });
                }
                self.launches += 1;
                self.began = self.now.mono;
                Some(Input::Launched { run, what: "process 1".to_owned() })
            }
            Effect::Stop(run) => {
                self.told.push_str("stop ");
                (!self.deaf).then(|| Input::Ended { run, end: end(Exit::Code(0), self.ran_ms()) })
            }
            Effect::Kill(_) => {
                self.told.push_str("kill ");
                None
            }
            Effect::Changed(change) => {
                assert!(!change.reason.is_empty());
                self.entries.push(change);
                None
            }
        }
    }

    fn ran_ms(&self) -> u64 {
        u64::try_from((self.now.mono.0 - self.began.0).as_millis()).unwrap()
    }

    pub(super) fn look(&mut self) {
        self.input(Input::Look);
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.input(Input::Found(finding));
    }

    pub(super) fn ends(&mut self, exit: Exit) {
        let (run, ran) = (self.machine.run(), self.ran_ms());
        self.input(Input::Ended { run, end: end(exit, ran) });
    }

    pub(super) fn command(&mut self, wanted: Wanted, anew: bool) {
        let why = Why::new(Cause::Command, "somebody asked for it").by("eva");
        self.input(Input::Wish { wanted, anew, why });
    }

    /// Lets time pass, deadline by deadline.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now.mono.0 + time;
        while let Some(wake) = self.machine.next_wake().filter(|wake| wake.0 <= until && wake.0 > self.now.mono.0) {
            self.to(wake.0);
        }
        self.to(until);
    }

    fn to(&mut self, mono: Duration) {
        let passed = mono - self.now.mono.0;
        self.now = Moment { utc: self.now.utc.plus(passed), mono: Mono(mono) };
        self.look();
    }

    /// The run is taken to have begun now.
    pub(super) fn settle_age(&mut self) {
        self.began = self.now.mono;
    }

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    pub(super) fn reason(&self) -> &str {
        &self.machine.why().words
    }
}
