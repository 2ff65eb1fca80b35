//! Days of everything at once, from a seed: targets that flap, limits, reminders, a network that goes away, parents, kills between
//! any two steps, wall clocks that jump. Nothing says here what must be told when; what must be true of every message does:
//! each alert begins once, ends once and after its beginning, is reminded of no sooner than asked for, no channel gets more
//! than its limit, and when all is calm nothing is left open. `SEEDS=5000` runs more worlds.

use std::collections::BTreeMap;
use std::time::Duration;

use model::alert::Stage;
use model::status::Status::{Down, Up};

use super::rig::{Rig, rule, settings};
use crate::testing::{Dice, id};

/// Worlds of an ordinary run.
const WORLDS: u64 = 60;
const STEPS: u64 = 150;
const REMIND_MS: u64 = 600_000;
const HOUR_MS: u64 = 3_600_000;
const ALL: [&str; 7] = ["a", "b", "gate", "d<gate", "e<gate", "net1", "net2"];
const NAMES: [&str; 7] = ["a", "b", "gate", "d", "e", "net1", "net2"];

/// What people know of one alert.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    ended: bool,
    reminded: Option<u64>,
}

struct World {
    rig: Rig,
    dice: Dice,
    down: BTreeMap<&'static str, bool>,
    limit: Option<u32>,
    told: BTreeMap<String, Told>,
    /// When messages came that a limit counts.
    counted: Vec<u64>,
    digests: usize,
    read: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let limit = *dice.pick(&[None, Some(4), Some(20)]);
        let down = rule("down", |r| r.remind = Some(Duration::from_millis(REMIND_MS)));
        let settings = settings(vec![down], |s| {
            s.limits = [("ops".to_owned(), limit)].into();
            s.references = vec![id("net1"), id("net2")];
        });
        let rig = Rig::new(settings, &ALL);
        let down = NAMES.into_iter().map(|name| (name, false)).collect();
        Self { rig, dice, down, limit, told: BTreeMap::new(), counted: Vec::new(), digests: 0, read: 0 }
    }

    fn look(&mut self, name: &'static str, down: bool) {
        self.rig.say(name, if down { Down } else { Up });
        self.down.insert(name, down);
    }

    fn look_at_all(&mut self) {
        NAMES.into_iter().for_each(|name| self.look(name, self.down[name]));
    }

    fn step(&mut self) {
        let down = self.dice.below(2) == 0;
        match self.dice.below(12) {
            0..=4 => {
                let name = *self.dice.pick(&NAMES);
                self.look(name, down);
            }
            5 | 6 => {
                let name = *self.dice.pick(&["a", "gate", "d"]);
                for change in 0..self.dice.below(14) {
                    self.look(name, change % 2 == 0);
                    self.pass(20_000);
                }
            }
            7 => ["d", "gate", "e"].into_iter().for_each(|name| self.look(name, down)),
            8 => NAMES.into_iter().for_each(|name| self.look(name, down)),
            9 | 10 => {
                let batch = self.rig.evaluate();
                if self.dice.below(2) == 0 {
                    self.rig.commit(batch);
                }
                let after = *self.dice.pick(&[0, 1_000, 60_000]);
                self.read();
                self.rig.restart(after);
                // What a channel got is counted anew in every process.
                self.counted.clear();
                self.rig.turn();
                self.look_at_all();
            }
            _ => self.rig.wall_off += *self.dice.pick(&[HOUR_MS as i64, -(HOUR_MS as i64), -30_000]),
        }
        let ms = *self.dice.pick(&[0, 300, 2_000, 30_000, 400_000, 1_500_000]);
        self.pass(ms);
    }

    fn pass(&mut self, ms: u64) {
        self.rig.sleep(ms);
        self.read();
    }

    fn read(&mut self) {
        for (at, _, n) in &self.rig.log[self.read..] {
            let known = self.told.get_mut(&n.alert);
            match (n.stage, known) {
                (Stage::Raised, None) => drop(self.told.insert(n.alert.clone(), Told::default())),
                (Stage::Changed, Some(told)) => assert!(!told.ended, "a word after the last one: {n:?}"),
                (Stage::Reminder, Some(told)) => {
                    let soon = told.reminded.is_some_and(|before| at - before < REMIND_MS);
                    assert!(!told.ended && !soon, "reminded at {at}, before at {:?}: {n:?}", told.reminded);
                    told.reminded = Some(*at);
                }
                (Stage::Recovered, Some(told)) => {
                    assert!(!std::mem::replace(&mut told.ended, true), "it ends twice: {n:?}");
                }
                (Stage::Digest, _) if self.limit.is_some() => self.digests += 1,
                // What a limit held back began in a digest.
                (Stage::Changed | Stage::Reminder | Stage::Recovered, None) if self.digests > 0 => {
                    self.told.insert(n.alert.clone(), Told { ended: n.stage == Stage::Recovered, reminded: None });
                }
                (stage, known) => panic!("{stage} at {at} of {known:?}: {n:?}"),
            }
            // Ends always pass, also those of a part of what was told together.
            if matches!(n.stage, Stage::Raised | Stage::Reminder) {
                self.counted.push(*at);
                let hour = self.counted.iter().filter(|before| *at - **before < HOUR_MS).count();
                assert!(self.limit.is_none_or(|limit| hour <= limit as usize), "{hour} in an hour to {at}");
            }
        }
        self.read = self.rig.log.len();
    }

    /// A day of calm: everything is over, and people know.
    fn settle(&mut self) {
        NAMES.into_iter().for_each(|name| self.look(name, false));
        for _ in 0..26 {
            self.pass(HOUR_MS);
            self.look_at_all();
        }
        let board = self.rig.alerts();
        assert!(board.alerts.is_empty() && board.held_back.is_empty(), "{board:?}");
        assert!(board.no_network_since.is_none());
        let open: Vec<_> = self.told.iter().filter(|(_, told)| !told.ended).collect();
        assert!(open.is_empty(), "never ended: {open:?}");
    }
}

#[test]
fn whatever_happens_at_once_every_message_makes_sense() {
    let worlds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(WORLDS);
    let first = std::env::var("SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + worlds {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..STEPS).for_each(|_| world.step());
            world.settle();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
