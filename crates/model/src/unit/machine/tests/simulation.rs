//! Random lives of a unit from a seed, with a world that answers late, refuses, dies and contradicts. What must hold at every
//! step is asserted; what the table allows must happen, and nothing else may.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rig::{end, unit};
use super::*;
use crate::unit::Exit;
use crate::unit::spec::{Budget, HealthCheck, HealthSource, Measure, Policy, ReadyCheck};

const SEEDS: u64 = 1_500;
const STEPS: usize = 300;

/// Numbers that look random and follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn part(&mut self) -> f64 {
        self.below(1_000_001) as f64 / 1e6
    }
}

/// What really runs, beside what the machine believes.
struct World {
    dice: Dice,
    unit: Unit,
    machine: Machine,
    now: Moment,
    real: bool,
    began: Mono,
    /// Answers under way.
    asked: bool,
    launching: Option<u64>,
    seen: BTreeSet<(State, State)>,
    heals: Vec<Mono>,
    waits: bool,
    leaving: bool,
    removed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut unit = unit();
        unit.restart.policy = Policy::ALL[dice.below(3) as usize];
        unit.restart.limit = dice.below(4) as u32;
        unit.restart.jitter = dice.part();
        if dice.one_in(2) {
            unit.ready = vec![ReadyCheck::Stays(Duration::from_secs(3))];
        }
        let what = HealthSource::Tcp("h:1".to_owned());
        let second = Duration::from_secs(1);
        unit.health = vec![HealthCheck { what, every: second, timeout: second, fails: 2, start_period: second }];
        unit.heal.per_hour = 1 + dice.below(3) as u32;
        unit.heal.cool_down = Duration::from_secs(dice.below(60));
        unit.budgets = vec![Budget { measure: Measure::Cpu, most: 50.0, during: 3 * second, restart: dice.one_in(2) }];
        let now = Moment { utc: UtcMs(1_000_000), mono: Mono(Duration::from_secs(10_000)) };
        let wanted = Wanted::ALL[dice.below(2) as usize];
        let last = [State::Running, State::Failed, State::Finished][dice.below(3) as usize];
        let known = Known { last: Some((last, Why::new(Cause::Exit, "as before"))), ..Known::default() };
        let real = dice.one_in(2);
        Self {
            machine: Machine::new(wanted, known, now),
            dice,
            unit,
            now,
            real,
            began: now.mono,
            asked: false,
            launching: None,
            seen: BTreeSet::new(),
            heals: vec![],
            waits: false,
            leaving: false,
            removed: false,
        }
    }

    fn step(&mut self, input: Input) {
        let needed = UnitId::parse("db").unwrap();
        let around = Around {
            spec: &self.unit,
            waits_for: if self.waits || self.leaving { vec![needed.clone()] } else { vec![] },
            leaving: self.leaving.then_some(needed),
            needed_by: None,
            hold: Duration::from_secs(60),
            now: self.now,
            chance: self.dice.part(),
        };
        let mut before = self.machine.state();
        let commanded = matches!(input, Input::Wish { .. } | Input::Changed(_));
        let effects = self.machine.step(&around, input);
        for effect in effects {
            match effect {
                Effect::Adopt => {
                    assert!(!self.asked, "asked twice at once");
                    self.asked = true;
                }
                Effect::Launch(run) => {
                    assert!(!self.real && self.launching.is_none() && !self.asked, "two runs");
                    assert_eq!(self.machine.wanted(), Wanted::Running, "nobody wants it");
                    assert!(self.unit.enabled && !self.removed && !self.waits && !self.leaving);
                    self.launching = Some(run);
                }
                Effect::Stop(run) | Effect::Kill(run) => {
                    assert!(self.launching.is_none() && run == self.machine.run());
                    assert_eq!(self.machine.state(), State::Stopping);
                }
                Effect::Changed(change) => {
                    assert!(!change.reason.is_empty());
                    if change.state != before {
                        assert!(is_allowed(before, change.state), "{before} to {}", change.state);
                        self.seen.insert((before, change.state));
                        if change.state == State::Stopping && change.cause.heals() {
                            self.heals.push(self.now.mono);
                        }
                    }
                    before = change.state;
                }
            }
        }
        assert_eq!(before, self.machine.state(), "every change is told");
        self.bounds(commanded);
    }

    fn bounds(&mut self, commanded: bool) {
        if let Some(next) = self.machine.next_start() {
            let pause = next.0.saturating_sub(self.now.mono.0);
            assert!(pause <= self.unit.restart.longest, "{pause:?}");
        }
        if self.machine.state() == State::Failed {
            let words = &self.machine.why().words;
            assert!(commanded || words.len() > 5, "{words:?}");
        }
        let hour = Duration::from_secs(3_600);
        let within = self.heals.iter().filter(|at| self.now.mono.0.saturating_sub(at.0) < hour).count();
        assert!(within <= self.unit.heal.per_hour as usize, "{within} within the hour");
        if let [.., a, b] = self.heals.as_slice() {
            assert!(b.0.saturating_sub(a.0) >= self.unit.heal.cool_down);
        }
    }

    fn ends(&mut self) -> RunEnd {
        self.real = false;
        let ran = u64::try_from(self.now.mono.0.saturating_sub(self.began.0).as_millis()).unwrap();
        let exit = [Exit::Code(0), Exit::Code(1), Exit::Unseen, Exit::Signal { number: 9, out_of_memory: true }];
        end(exit[self.dice.below(4) as usize], ran)
    }

    /// Something happens.
    fn turn(&mut self) {
        let run = self.machine.run();
        let input = match self.dice.below(20) {
            0 => self.wish(),
            1 | 2 if self.asked => {
                self.asked = false;
                self.found()
            }
            3..=5 if self.launching.is_some() => self.launched(),
            6 | 7 if self.real && self.launching.is_none() && !self.asked => {
                let end = self.ends();
                Input::Ended { run, end }
            }
            8 => Input::Ready { run, result: if self.dice.one_in(4) { Err("no".to_owned()) } else { Ok(()) } },
            9..=11 => {
                let result = if self.dice.one_in(2) { Err("refused".to_owned()) } else { Ok(()) };
                Input::Checked { run, check: 0, result }
            }
            12 | 13 => {
                let cpu_percent = Some(if self.dice.one_in(3) { 10.0 } else { 90.0 });
                Input::Measured { run, usage: Usage { cpu_percent, ..Usage::default() } }
            }
            14 if self.dice.one_in(3) => {
                self.waits = !self.waits;
                self.leaving = self.waits && self.dice.one_in(2);
                Input::Look
            }
            15 if self.dice.one_in(6) => {
                self.unit.enabled = !self.unit.enabled;
                Input::Look
            }
            16 if self.dice.one_in(6) => {
                self.removed = !self.removed;
                let why = Why::new(Cause::Reload, "the file changed");
                if self.removed { Input::Removed(why) } else { Input::Changed(why) }
            }
            17 if self.real => Input::StopRefused { run, words: "busy".to_owned() },
            // Of a run that is long over.
            18 => Input::Ended { run: run.saturating_sub(1), end: end(Exit::Code(0), 1) },
            _ => {
                let ms = [1, 50, 1_000, 6_000, 40_000][self.dice.below(5) as usize];
                let passed = Duration::from_millis(self.dice.below(ms) + 1);
                self.now = Moment { utc: self.now.utc.plus(passed), mono: Mono(self.now.mono.0 + passed) };
                Input::Look
            }
        };
        self.step(input);
    }

    fn wish(&mut self) -> Input {
        let wanted = Wanted::ALL[self.dice.below(2) as usize];
        let anew = wanted == Wanted::Running && self.dice.one_in(2);
        Input::Wish { wanted, anew, why: Why::new(Cause::Command, "asked").by("eva") }
    }

    fn found(&mut self) -> Input {
        let finding = match (self.dice.below(4), self.real) {
            (0, _) => Finding::Unclear("nobody answers".to_owned()),
            (1, true) => Finding::Ended(self.ends()),
            (_, true) => {
                let ran = self.now.mono.0.saturating_sub(self.began.0);
                Finding::Running { what: "process 1".to_owned(), ran, was_ready: self.dice.one_in(2) }
            }
            (_, false) => Finding::Nothing,
        };
        Input::Found(finding)
    }

    fn launched(&mut self) -> Input {
        let run = self.launching.take().unwrap();
        let words = "no such file".to_owned();
        match self.dice.below(8) {
            0 => Input::Refused { run, passing: self.dice.one_in(2), words },
            1 => {
                // It may have begun or not.
                self.real = self.dice.one_in(2);
                self.began = self.now.mono;
                Input::Unsure { run, words }
            }
            _ => {
                (self.real, self.began) = (true, self.now.mono);
                Input::Launched { run, what: "process 1".to_owned() }
            }
        }
    }
}

#[test]
fn whatever_happens_there_is_at_most_one_run_and_every_change_is_in_the_table() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.step(Input::Look);
        for _ in 0..STEPS {
            world.turn();
        }
        seen.append(&mut world.seen);
    }
    let never: Vec<_> = TRANSITIONS.iter().filter(|t| !seen.contains(t)).collect();
    assert!(never.is_empty(), "in the table and never seen: {never:?}");
}

#[test]
fn what_the_table_does_not_name_is_refused() {
    let mut allowed = 0;
    for from in State::ALL {
        for to in State::ALL {
            let named = TRANSITIONS.iter().filter(|t| **t == (*from, *to)).count();
            assert!(named <= 1, "{from} to {to} stands twice");
            assert_eq!(is_allowed(*from, *to), named == 1);
            allowed += named;
        }
        assert!(!is_allowed(*from, *from), "the same state is no change");
    }
    assert_eq!(allowed, TRANSITIONS.len());
}
