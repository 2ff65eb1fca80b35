//! Days of a small world from a seed: targets that fail and recover, reloads, restarts and kills between any two steps, clocks
//! that jump, mutes, planned work, parents. After every step what people know is compared with a model that is as plain as
//! possible: a list of when what was so. `SEEDS=5000` runs more worlds than the usual ones, `SEED=364` begins with that one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::alert::{Mute, Notification, Scope, Stage};
use model::status::Status::{Down, Maintenance, Unknown, Up};
use model::time::UtcMs;

use super::rig::{Rig, rule, settings};
use crate::alerts::commands::Saying;
use crate::testing::{Dice, id};

/// Worlds of an ordinary run.
const WORLDS: u64 = 60;
const STEPS: u64 = 250;
const WINDOW_MS: u64 = 1_000;
/// Targets whose times are compared exactly: nobody else is to blame for them.
const FREE: [&str; 3] = ["a", "b", "c"];
const ALL: [&str; 6] = ["a", "b", "c", "gate", "d<gate", "e<gate"];
const NAMES: [&str; 6] = ["a", "b", "c", "gate", "d", "e"];

/// What the plain model knows of one target.
#[derive(Clone, Copy, Debug, Default)]
struct Plain {
    /// Since when it is down, or up, as far as anybody who remembers knows.
    since: u64,
    /// The same, at the latest: what was not written before a kill begins with the next look.
    late: u64,
    down: bool,
    /// It was down for no longer than a message waits for others: an end of before may still be told.
    blip: bool,
    /// Since when that is seen without a break: restarts and planned work are one.
    seen_since: Option<u64>,
    /// The rule became another one while nobody knew how it is: its time begins with the next look.
    anew: bool,
}

struct World {
    rig: Rig,
    dice: Dice,
    plain: BTreeMap<&'static str, Plain>,
    lasts: u64,
    clear_for: u64,
    /// Nobody is told of `a` until then.
    muted_until: u64,
    /// When a mute or planned work ended last, or the process started, or the rule became another one.
    free_since: u64,
    rule_since: u64,
    /// Messages by thread: which targets are open in it, and whether it has ended.
    threads: BTreeMap<String, (BTreeSet<String>, bool)>,
    read: usize,
    version: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (lasts, clear_for) = (*dice.pick(&[0, 0, 5_000, 60_000]), *dice.pick(&[0, 0, 10_000]));
        let mut world = Self {
            rig: Rig::new(settings(vec![], |_| ()), &ALL),
            dice,
            plain: BTreeMap::new(),
            lasts,
            clear_for,
            muted_until: 0,
            free_since: 0,
            rule_since: 0,
            threads: BTreeMap::new(),
            read: 0,
            version: 0,
        };
        world.configure();
        for name in NAMES {
            world.look(name, false);
        }
        world
    }

    /// The rule, with something that makes it another one.
    fn configure(&mut self) {
        let (lasts, clear_for) = (self.lasts, self.clear_for);
        let name = format!("down {}", self.version);
        let down = rule(&name, |r| {
            (r.lasts, r.clear_for) = (Duration::from_millis(lasts), Duration::from_millis(clear_for));
        });
        self.rig.configure(settings(vec![down], |s| {
            s.flapping.changes = 0;
            s.limits = [("ops".to_owned(), None)].into();
        }));
    }

    fn look(&mut self, name: &'static str, down: bool) {
        self.rig.say(name, if down { Down } else { Up });
        let now = self.rig.ms;
        let known = self.plain.entry(name).or_default();
        if known.down != down {
            known.blip = !down && now <= known.since.max(self.free_since) + WINDOW_MS;
            (known.down, known.since, known.late) = (down, now, now);
        }
        if std::mem::take(&mut known.anew) {
            known.late = now;
        }
        known.seen_since = known.seen_since.filter(|_| known.since < now).or(Some(now));
    }

    /// Nobody knows anything until the next look.
    fn blind(&mut self) {
        self.plain.values_mut().for_each(|p| p.seen_since = None);
        self.free_since = self.rig.ms;
    }

    /// Time passes; the machine is only asked when it said that it wants to be, and at the end.
    fn pass(&mut self, ms: u64) {
        self.rig.sleep(ms);
        self.read();
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..=8 => {
                let name = *self.dice.pick(&NAMES);
                let down = self.dice.below(2) == 0;
                self.look(name, down);
            }
            9 => {
                // Everything behind the gate goes with it, in any order.
                let down = self.dice.below(2) == 0;
                for name in ["d", "gate", "e"] {
                    self.look(name, down);
                    if self.dice.below(2) == 0 {
                        self.pass(300);
                    }
                }
            }
            10..=12 => NAMES.into_iter().for_each(|name| {
                let down = self.plain[name].down;
                self.look(name, down);
            }),
            13 => {
                self.rig.wall_off += *self.dice.pick(&[3_600_000, -3_600_000, 86_400_000, -30_000]);
                self.rig.turn();
            }
            14 | 15 => self.kill(),
            16 => {
                self.version += 1;
                self.configure();
                self.rig.turn();
                // What lasts begins to be counted anew; what is good is no alert of this rule.
                (self.rule_since, self.free_since) = (self.rig.ms, self.rig.ms);
                self.plain.values_mut().for_each(|p| p.anew = p.seen_since.is_none());
            }
            17 => self.mute(),
            18 => self.maintain(),
            _ => {}
        }
        let ms = *self.dice.pick(&[0, 100, 900, 2_000, 7_000, 30_000, 70_000]);
        self.pass(ms);
        self.compare();
    }

    /// The process ends before or after its batch was written. What was not written did not happen, but what was seen is known
    /// by the next look.
    fn kill(&mut self) {
        let now = self.rig.ms;
        let batch = self.rig.evaluate();
        if self.dice.below(2) == 0 {
            self.rig.commit(batch);
            self.read();
        }
        let after = *self.dice.pick(&[0, 1_000, 20_000]);
        self.rig.restart(after);
        self.blind();
        // A change of this very moment may not have been written: it begins with the next look.
        let fresh: Vec<&str> = NAMES.into_iter().filter(|n| self.plain[n].since == now).collect();
        self.rig.turn();
        self.read();
        for name in NAMES {
            if self.dice.below(4) > 0 || fresh.contains(&name) {
                let down = self.plain[name].down;
                self.look(name, down);
                if fresh.contains(&name) {
                    let at = self.rig.ms;
                    self.plain.entry(name).or_default().late = at;
                }
            }
        }
    }

    fn mute(&mut self) {
        let until = Some(UtcMs(self.rig.utc().0 + 20_000));
        let mute = Mute { target: Some(id("a")), rule: None, until, by: "x".to_owned(), note: String::new() };
        let now = self.rig.now();
        self.rig.machine.say(Saying::Mute(mute), now).expect("taken");
        self.rig.turn();
        self.read();
        // The end of a mute follows the wall clock, so a jump may move it; by then at the latest it is over.
        self.muted_until = u64::MAX;
    }

    /// Planned work for all, begun by hand and over again within the step.
    fn maintain(&mut self) {
        let (from, until) = (self.rig.utc(), self.rig.utc().plus(Duration::from_secs(30)));
        let (name, by) = ("work".to_owned(), "x".to_owned());
        let now = self.rig.now();
        let saying = Saying::Maintain { name, scope: Scope::default(), from, until, by };
        self.rig.machine.say(saying, now).expect("taken");
        NAMES.into_iter().for_each(|name| self.rig.status(name, Maintenance));
        let before = self.read;
        self.pass(20_000);
        let raised = self.rig.log[before..].iter().filter(|(_, _, n)| n.stage == Stage::Raised).count();
        assert_eq!(raised, 0, "somebody was told in planned work");
        let now = self.rig.now();
        self.rig.machine.say(Saying::EndMaintenance { name: "work".to_owned() }, now).expect("it is there");
        NAMES.into_iter().for_each(|name| self.rig.status(name, Unknown));
        self.blind();
        for name in NAMES {
            let down = self.plain[name].down;
            self.look(name, down);
        }
    }

    /// Takes in what people were told, and judges each message by itself.
    fn read(&mut self) {
        let new: Vec<(u64, Notification)> =
            self.rig.log[self.read..].iter().map(|(at, _, n)| (*at, n.clone())).collect();
        self.read = self.rig.log.len();
        for (at, n) in new {
            let names: Vec<String> = n.subjects.iter().map(|s| s.name.clone()).collect();
            match n.stage {
                Stage::Raised => {
                    for name in &names {
                        let plain = self.plain[name.as_str()];
                        assert!(plain.down, "{name} is told at {at} and is not down");
                        // With a time to clear, it may go on with an alert whose end nobody was certain of.
                        let since = if self.clear_for > 0 { 0 } else { plain.since.max(self.rule_since) };
                        assert!(at >= since + self.lasts, "{name} is told at {at}, down since {since}: early");
                    }
                    let new = self.threads.insert(n.alert.clone(), (names.into_iter().collect(), false));
                    assert!(new.is_none(), "{} began twice", n.alert);
                }
                Stage::Changed | Stage::Recovered => {
                    let (open, ended) = self.threads.get_mut(&n.alert).expect("an end without a beginning");
                    assert!(!*ended, "a word after the last one");
                    for name in &names {
                        assert!(open.remove(name), "{name} is over and was not told");
                        let plain = self.plain[name.as_str()];
                        if n.text.contains(&format!("{name}: recovered")) {
                            // It may have failed again while the message waited for others.
                            let again = plain.down && plain.since.max(self.free_since) + WINDOW_MS >= at;
                            assert!(!plain.down || again, "{name} has recovered at {at} and is down");
                            assert!(
                                again || plain.blip || at >= plain.since + self.clear_for,
                                "{name} recovers at {at}: early"
                            );
                        }
                    }
                    *ended = n.stage == Stage::Recovered;
                    assert_eq!(*ended, open.is_empty(), "{n:?}");
                }
                stage => panic!("{stage} was not asked for"),
            }
        }
    }

    fn is_told(&self, name: &str) -> bool {
        let told = self.threads.values().filter(|(open, _)| open.contains(name)).count();
        assert!(told <= 1, "{name} is told {told} times");
        told == 1
    }

    /// Compares what people know with what they should know by now.
    fn compare(&mut self) {
        let now = self.rig.ms;
        for name in FREE {
            let (told, plain) = (self.is_told(name), self.plain[name]);
            let Some(seen) = plain.seen_since else { continue };
            let wait = if plain.down { self.lasts } else { self.clear_for };
            let counted = plain.late.max(if plain.down { self.rule_since } else { 0 }) + wait;
            let due = counted.max(seen).max(self.free_since) + WINDOW_MS;
            let may_be_muted = name == "a" && self.muted_until > now && plain.down;
            if now > due && !may_be_muted {
                let alerts = self.rig.alerts();
                let known: Vec<_> = alerts.alerts.iter().filter(|a| a.name == name).collect();
                assert_eq!(told, plain.down, "{name} at {now}: {plain:?}, due {due}: {known:?}");
            }
        }
    }

    /// An hour without anything new: then everybody knows everything.
    fn settle(&mut self) {
        for _ in 0..8 {
            for name in NAMES {
                let down = self.plain[name].down;
                self.look(name, down);
            }
            self.pass(90_000);
        }
        // The wall clock may have been set back, and a mute follows it.
        self.rig.wall_off += 7 * 86_400_000;
        self.pass(2_000);
        for name in NAMES {
            let down = self.plain[name].down;
            self.look(name, down);
        }
        self.pass(10 * 60_000);
        for name in NAMES {
            let behind = ["d", "e"].contains(&name) && self.plain["gate"].down;
            let told = self.is_told(name);
            if behind {
                assert!(!told || self.plain[name].down, "{name} is told and is up");
            } else {
                assert_eq!(told, self.plain[name].down, "{name} in the end");
            }
        }
        let kept = self.rig.docs.keys().filter(|k| k.starts_with("t:")).count();
        let open = self.threads.values().filter(|(_, ended)| !ended).count();
        assert_eq!(kept, open, "threads that are remembered and those that last");
    }
}

#[test]
fn nobody_is_told_twice_too_early_too_late_or_not_at_all() {
    let worlds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(WORLDS);
    let first = std::env::var("SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + worlds {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
