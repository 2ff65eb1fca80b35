//! The engine's step in a world made of dice: observations, reloads, pauses, clock jumps, restarts. After every step the
//! effects and the Board are checked against a history of their own. Tests only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::board::{Beat, TargetNow};
use model::conf::Problem;
use model::event::What;
use model::incident::Incident;
use model::live::Doing;
use model::observation::Second;
use model::status::{Status, StatusChange, StatusState};
use model::tally::{KindTally, Tally};
use model::target::{Target, TargetId, Watch};
use model::time::{Mono, UtcMs};
use store::Write;

use crate::cadence;
use crate::input::{Command, Effect, Input, Kept, LookId, NewConfig, Now, StoreNow, Ticket};
use crate::permits::SLOW_PER_QUICK;
use crate::state::State;
use crate::step::step;
use crate::testing::{Dice, EPOCH, config, id, seen, target_at};

/// What the history holds of one target.
#[derive(Clone, Default)]
struct Row {
    name: String,
    fingerprint: String,
    retired: bool,
    paused: bool,
    last_change: Option<StatusChange>,
    incident: Option<Incident>,
    beats: Vec<Beat>,
}

impl Row {
    fn status(&self) -> Status {
        self.last_change.as_ref().map_or(Status::Unknown, |c| c.to)
    }
}

struct Flying {
    target: Arc<Target>,
    /// Its identity by now: renames are followed.
    id: TargetId,
    attempt: u32,
    cancelled: bool,
    since: Mono,
    /// A session is held, and is not a look.
    session: bool,
    /// Media flows in it.
    live: bool,
}

struct World {
    dice: Dice,
    mono: Duration,
    utc_off: i64,
    state: State,
    targets: Vec<Arc<Target>>,
    bounds: (usize, usize),
    disk: BTreeMap<TargetId, Row>,
    flying: HashMap<LookId, Flying>,
    asked: Vec<Ticket>,
    tickets: u64,
    stored: u64,
    judged: u64,
    /// What events told since the process started: looks, sessions opened, faults, incidents.
    told: [u64; 4],
    names: u64,
    stopped: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Now { utc: EPOCH, mono: Mono::default() };
        let mut world = Self {
            dice: Dice(seed),
            mono: Duration::ZERO,
            utc_off: 0,
            state: State::new(now, EPOCH, BTreeMap::new()),
            targets: Vec::new(),
            bounds: (12, 2),
            disk: BTreeMap::new(),
            flying: HashMap::new(),
            asked: Vec::new(),
            tickets: 0,
            stored: 0,
            judged: 0,
            told: [0; 4],
            names: 0,
            stopped: false,
        };
        for _ in 0..8 {
            let t = world.new_target();
            world.targets.push(t);
        }
        world.reload();
        world
    }

    fn now(&self) -> Now {
        let utc = UtcMs(EPOCH.plus(self.mono).0 + self.utc_off);
        Now { utc, mono: Mono(self.mono) }
    }

    fn new_target(&mut self) -> Arc<Target> {
        // Few names, so that removed targets come back.
        self.names = self.dice.below(24);
        let mut n = self.names;
        while self.targets.iter().any(|t| t.id == id(&format!("t{n}"))) {
            n += 1;
        }
        let (host, dice) = (self.dice.below(5), &mut self.dice);
        target_at(&format!("t{n}"), &format!("h{host}.test"), |t| {
            t.interval = Duration::from_secs(1 + dice.below(12));
            t.timeout = Duration::from_secs(1 + dice.below(10));
            t.retries = u32::try_from(dice.below(3)).expect("small");
            t.rules.fail_after = u32::try_from(1 + dice.below(3)).expect("small");
            t.enabled = dice.below(8) > 0;
            t.watch = if dice.below(3) == 0 { Watch::Continuous } else { Watch::Periodic };
        })
    }

    fn reload(&mut self) {
        let mut new: NewConfig = config(&self.targets);
        (new.probes_at_once, new.probes_per_host) = self.bounds;
        let stays = |f: &&Flying| f.session && !f.cancelled && self.targets.contains(&f.target);
        let stay: Vec<LookId> = self.flying.iter().filter(|(_, f)| stays(f)).map(|(look, _)| *look).collect();
        self.step(Input::Config(Box::new(new)));
        assert!(stay.iter().all(|look| !self.flying[look].cancelled), "a session ended though nothing changed");
    }

    fn step(&mut self, input: Input) {
        let now = self.now();
        let done = match &input {
            Input::LookDone { look, .. } => self.flying.remove(look),
            _ => None,
        };
        let stored = self.stored;
        let judges = match &input {
            Input::Held { look, .. } => !self.flying[look].cancelled,
            Input::Command(Command::TestNow(_), _) => true,
            _ => false,
        };
        for effect in step(&mut self.state, now, input) {
            self.effect(effect, now);
        }
        match done {
            Some(f) if f.cancelled => assert_eq!(self.stored, stored, "a cancelled look was judged"),
            Some(_) => assert!(self.stored <= stored + 1, "stored twice"),
            None if judges => assert!(self.stored <= stored + 1, "stored twice"),
            None => assert_eq!(self.stored, stored, "stored without a look"),
        }
        self.check();
    }

    fn effect(&mut self, effect: Effect, now: Now) {
        match effect {
            Effect::StartLook { look, target, attempt } => {
                assert!(!self.flying.values().any(|f| f.id == target.id), "two looks of {}", target.id);
                assert!(self.targets.contains(&target), "a look at what is not in effect");
                assert!(attempt >= 1 && attempt <= target.retries + 1);
                let watched = target.enabled && !self.disk[&target.id].paused;
                assert!(target.watch == Watch::Periodic || !watched, "a look in place of a session");
                self.takes_off(look, target, Some(attempt), now);
            }
            Effect::StartSession { look, target } => {
                assert!(!self.flying.values().any(|f| f.id == target.id), "two sessions of {}", target.id);
                assert!(self.targets.contains(&target), "a session of what is not in effect");
                assert_eq!(target.watch, Watch::Continuous);
                self.takes_off(look, target, None, now);
            }
            Effect::CancelLook(look) => self.flying.get_mut(&look).expect("a look under way").cancelled = true,
            Effect::Reply(ticket, _) => {
                let at = self.asked.iter().position(|t| *t == ticket).expect("an answer nobody waits for");
                self.asked.swap_remove(at);
            }
            Effect::Store(write) => self.write(write),
            Effect::Emit(event) => match &event.what {
                What::Observed(seen, _) => {
                    self.judged += 1;
                    self.told[0] += 1;
                    self.told[2] += u64::from(seen.look.fault.is_some());
                }
                What::SessionOpened(_) => self.told[1] += 1,
                What::IncidentOpened(_) => self.told[3] += 1,
                _ => {}
            },
        }
    }

    fn takes_off(&mut self, look: LookId, target: Arc<Target>, attempt: Option<u32>, now: Now) {
        let (session, attempt, id) = (attempt.is_none(), attempt.unwrap_or(1), target.id.clone());
        let flying = Flying { id, target, attempt, cancelled: false, since: now.mono, session, live: false };
        assert!(self.flying.insert(look, flying).is_none(), "a number twice");
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Observation(seen, verdict, status) => {
                self.stored += 1;
                let row = self.disk.get_mut(&seen.target).expect("a target that was seen");
                let took_ms = u32::try_from(seen.took.as_millis()).expect("small");
                row.beats.push(Beat { at: seen.at, grade: verdict.grade, status, took_ms });
                let over = row.beats.len().saturating_sub(model::limits::BEATS_ON_BOARD);
                row.beats.drain(..over);
            }
            Write::Change(id, change) => {
                let row = self.disk.get_mut(&id).expect("a target that was seen");
                assert_eq!(row.status(), change.from, "{id}: changes must join: {change:?}");
                assert_ne!(change.from, change.to, "{id}");
                row.last_change = Some(change);
            }
            Write::IncidentOpened(i) => {
                let row = self.disk.get_mut(&i.target).expect("a target that was seen");
                assert!(row.incident.is_none() && i.closed_at.is_none() && i.worst.is_trouble(), "{i:?}");
                row.incident = Some(i);
            }
            Write::IncidentChanged(i) => {
                let row = self.disk.get_mut(&i.target).expect("a target that was seen");
                let open = row.incident.as_ref().expect("an open incident");
                assert_eq!((open.opened_at, open.worst, i.worst), (i.opened_at, Status::Degraded, Status::Down));
                row.incident = Some(i);
            }
            Write::IncidentClosed(i) => {
                let row = self.disk.get_mut(&i.target).expect("a target that was seen");
                let open = row.incident.take().expect("an open incident");
                assert_eq!(open.opened_at, i.opened_at);
                assert!(i.closed_at >= Some(i.opened_at));
            }
            Write::TargetSeen { id, name, fingerprint, .. } => {
                let row = self.disk.entry(id).or_default();
                (row.name, row.fingerprint, row.retired) = (name, fingerprint, false);
            }
            Write::TargetRetired { id, .. } => {
                let row = self.disk.get_mut(&id).expect("a target that was seen");
                assert!(!row.retired && row.incident.is_none() && !row.paused && row.status() == Status::Unknown);
                row.retired = true;
            }
            Write::TargetRenamed { from, to } => {
                let mut row = self.disk.remove(&from).expect("a target that was seen");
                for flying in self.flying.values_mut().filter(|f| f.id == from) {
                    flying.id = to.clone();
                }
                if let Some(i) = &mut row.incident {
                    i.target = to.clone();
                }
                assert!(self.disk.insert(to, row).is_none_or(|r| r.retired), "renamed over another");
            }
            Write::Paused { id, paused } => self.disk.get_mut(&id).expect("a target").paused = paused,
            Write::UnitSeen { .. }
            | Write::UnitRetired { .. }
            | Write::UnitChanged(..)
            | Write::UnitRestarts(..)
            | Write::UnitSample(..) => panic!("the step knows no units"),
            Write::Alive(_) => panic!("the store says this by itself"),
        }
    }

    fn check(&mut self) {
        self.state.check();
        assert_eq!(self.stored, self.judged);
        assert_eq!(self.flying.len(), self.state.under_way());
        let with_permit = || self.flying.values().filter(|f| !f.live);
        assert!(with_permit().count() <= self.bounds.0.max(12));
        for host in 0..5 {
            let at = with_permit().filter(|f| f.target.address.host() == format!("h{host}.test")).count();
            assert!(at <= self.bounds.1.max(2) * (1 + SLOW_PER_QUICK), "{at} looks at h{host}");
        }
        let board = self.state.board(self.now());
        assert_eq!(board.targets.len(), self.targets.len());
        self.check_tally(&board.tally);
        for (now, spec) in board.targets.iter().zip(&self.targets) {
            let row = &self.disk[&spec.id];
            assert_eq!((&*now.spec, now.paused), (&**spec, row.paused));
            assert_eq!(now.state.status, row.status(), "{}: board and history", spec.id);
            assert_eq!(now.incident, row.incident, "{}", spec.id);
            assert_eq!(&*now.beats, row.beats.as_slice(), "{}", spec.id);
            let status = now.state.status;
            let open = now.incident.is_some();
            assert!(status == Status::Unknown || open == status.is_trouble(), "{}: {status}, {open}", spec.id);
            let watched = spec.enabled && !now.paused;
            assert_eq!(watched, status != Status::Paused, "{}: {status}", spec.id);
            self.check_session(now);
        }
        for f in self.flying.values().filter(|f| f.session && !f.cancelled) {
            let t = board.get(&f.id).expect("in effect");
            assert!(t.spec.enabled && !t.paused, "{} is not watched and goes on", f.id);
        }
    }

    /// What was counted is what events told, once each.
    fn check_tally(&self, tally: &Tally) {
        let [looks, opened, faults, incidents] = self.told;
        let graded = |k: &KindTally| k.looks.pass + k.looks.warn + k.looks.fail;
        assert_eq!(tally.kinds.values().map(graded).sum::<u64>(), looks);
        let timed = |k: &KindTally| k.took.counts.iter().sum::<u64>();
        assert_eq!(
            tally.kinds.values().map(timed).sum::<u64>(),
            looks + opened,
            "each look and each opening is timed once"
        );
        assert_eq!((tally.faults.iter().sum::<u64>(), tally.incidents), (faults, incidents));
    }

    fn check_session(&self, now: &TargetNow) {
        let (spec, id) = (&now.spec, &now.spec.id);
        let watched = spec.enabled && !now.paused;
        assert_eq!(now.session.is_some(), watched && !self.stopped && spec.watch == Watch::Continuous, "{id}");
        let Some(session) = &now.session else { return };
        let flying = self.flying.values().find(|f| f.id == *id && !f.cancelled);
        let live = flying.is_some_and(|f| f.live);
        assert_eq!((session.doing == Doing::Live, session.live.is_some()), (live, live), "{id}");
        assert!(session.seconds.len() <= model::limits::LIVE_SECONDS);
        match session.doing {
            Doing::Waiting { .. } => {
                // By the monotonic clock: the wall clock may have jumped since the Board's entry was made.
                let entry = self.state.entries[self.state.by_id[id]].as_ref().expect("a slot in use");
                let wait = entry.timer.expect("it waits for something").0.saturating_sub(self.mono);
                assert!(flying.is_none() && wait <= cadence::BACKOFF_CAP.min(spec.interval), "{id} waits {wait:?}");
            }
            Doing::Connecting => assert!(!live),
            Doing::Live => assert!(flying.is_some_and(|f| f.session)),
        }
    }

    /// A second of one session.
    fn lives(&mut self, look: LookId, letter: char) {
        let flying = self.flying.get_mut(&look).expect("under way");
        flying.live |= !flying.cancelled;
        let observation = Box::new(seen(&self.flying[&look].target, letter, self.now()));
        self.step(Input::Held { look, observation, second: Second::default() });
    }

    /// Ends one look, as its kind of day wants it.
    fn finish(&mut self, look: LookId, letter: char) {
        let flying = &self.flying[&look];
        let observation = Box::new(seen(&flying.target, letter, self.now()));
        let session = flying.session;
        let silent = flying.live && !flying.cancelled && letter == 's';
        let id = flying.id.clone();
        let last = session || flying.attempt > flying.target.retries || matches!(letter, 'p' | 'v' | 'V' | 'a');
        let (wanted, stored) = (!flying.cancelled, self.stored);
        assert!(flying.since.0 <= self.mono);
        self.step(Input::LookDone { look, observation });
        assert_eq!(self.stored - stored, u64::from(wanted && last), "every end of a round is stored once");
        if silent {
            assert_eq!(self.disk[&id].status(), Status::Down, "{id}: who fell silent is down, whatever the threshold");
        }
    }

    fn any_look(&mut self, which: impl Fn(&Flying) -> bool) -> Option<LookId> {
        let mut looks: Vec<_> = self.flying.iter().filter(|(_, f)| which(f)).map(|(look, _)| *look).collect();
        looks.sort();
        (!looks.is_empty()).then(|| *self.dice.pick(&looks))
    }

    /// The process is killed and starts again: only what was written is known.
    fn restart(&mut self) {
        let now = self.now();
        let kept = self.disk.iter().map(|(id, row)| {
            let mut state = StatusState::unknown(now.utc);
            if let Some(change) = &row.last_change {
                (state.status, state.since, state.reason) = (change.to, change.at, change.reason.clone());
            }
            let kept = Kept {
                name: row.name.clone(),
                fingerprint: row.fingerprint.clone(),
                retired: row.retired,
                state,
                blind: true,
                paused: row.paused,
                beats: row.beats.clone(),
                incident: row.incident.clone(),
                last: None,
            };
            (id.clone(), kept)
        });
        self.state = State::new(now, now.utc, kept.collect());
        self.flying.clear();
        self.asked.clear();
        self.told = [0; 4];
        self.reload();
    }

    fn edit_config(&mut self) {
        let n = u64::try_from(self.targets.len()).expect("small");
        let any = usize::try_from(self.dice.below(n)).expect("small");
        match self.dice.below(8) {
            0 if n > 3 => drop(self.targets.remove(any)),
            1 if n < 14 => {
                let t = self.new_target();
                self.targets.insert(any, t);
            }
            2 => Arc::make_mut(&mut self.targets[any]).enabled ^= true,
            3 => Arc::make_mut(&mut self.targets[any]).interval = Duration::from_secs(1 + self.dice.below(12)),
            4 => {
                let fresh = self.new_target().id.clone();
                Arc::make_mut(&mut self.targets[any]).id = fresh; // the address stays: a rename
            }
            5 => {
                let t = Arc::make_mut(&mut self.targets[any]);
                t.watch = if t.watch == Watch::Periodic { Watch::Continuous } else { Watch::Periodic };
            }
            6 => Arc::make_mut(&mut self.targets[any]).name.push('!'), // a session goes on under another name
            _ => {
                self.bounds = (4 + usize::try_from(self.dice.below(8)).expect("small"), 1);
                self.targets.rotate_left(any);
            }
        }
        self.reload();
    }

    fn one(&mut self) {
        match self.dice.below(100) {
            0..45 => {
                let letters = ['p', 'p', 'p', 'v', 'V', 't', 't', 'r', 'a'];
                let letter = *self.dice.pick(&letters);
                let Some(look) = self.any_look(|_| true) else { return };
                // A session that opens or goes on tells a second; only a fault ends it.
                match letter {
                    'p' | 'v' | 'V' if self.flying[&look].session => self.lives(look, letter),
                    't' if self.flying[&look].live => self.finish(look, 's'),
                    'r' if self.flying[&look].live => self.finish(look, 'e'),
                    letter => self.finish(look, letter),
                }
            }
            45..80 => {
                let until = self.state.next_wake().map_or(Duration::from_secs(1), |at| at.0);
                let late = Duration::from_millis(self.dice.below(400));
                self.mono = self.mono.max(until) + late;
                self.step(Input::Tick);
            }
            80..84 => self.edit_config(),
            84..94 => {
                let target = self.dice.pick(&self.targets).id.clone();
                let ticket = Ticket(self.tickets);
                self.tickets += 1;
                self.asked.push(ticket);
                let command = match self.dice.below(4) {
                    0 => Command::Pause(target),
                    1 => Command::Resume(target),
                    2 => Command::TestNow(target),
                    _ => Command::TestNow(id("nobody")),
                };
                self.step(Input::Command(command, ticket));
            }
            94 => {
                self.utc_off += i64::try_from(self.dice.below(7_200_000)).expect("small") - 3_600_000;
                self.step(Input::Tick);
            }
            95 => {
                let problem = Problem::new(None, "x", "wrong");
                self.step(Input::ConfigRejected(Arc::new(vec![problem])));
            }
            96 => {
                let says = StoreNow { ok: self.dice.below(2) == 0, reason: None, lost_rows: self.dice.below(5) };
                self.step(Input::Store(says));
            }
            97 => self.step(Input::Panicked("planned".to_owned())),
            98 => self.reload(),
            _ => self.restart(),
        }
    }

    /// Every peer answers at once from here on: soon nothing is late, everything watched is up, nobody waits.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if let Some(look) = self.any_look(|f| !f.live || f.cancelled) {
                match &self.flying[&look] {
                    f if f.session && !f.cancelled => self.lives(look, 'v'),
                    f => self.finish(look, if f.session { 's' } else { 'p' }),
                }
                continue;
            }
            let lives: Vec<LookId> = self.flying.iter().filter(|(_, f)| f.live).map(|(look, _)| *look).collect();
            lives.into_iter().for_each(|look| self.lives(look, 'v'));
            let wake = self.state.next_wake();
            assert!(wake.is_none_or(|at| at.0 > self.mono), "something is overdue");
            let Some(at) = wake.filter(|at| at.0 < Duration::from_secs(100_000_000)) else { break };
            let board = self.state.board(self.now());
            let live = |t: &TargetNow| t.session.as_ref().is_none_or(|s| s.doing == Doing::Live);
            let good = |t: &Arc<TargetNow>| matches!(t.state.status, Status::Up | Status::Paused) && live(t);
            if self.asked.is_empty() && board.targets.iter().all(good) && self.dice.below(50) == 0 {
                break;
            }
            self.mono = at.0;
            self.step(Input::Tick);
        }
        assert!(self.asked.is_empty(), "somebody still waits for an answer");
        for t in self.state.board(self.now()).targets.iter().filter(|t| t.spec.enabled && !t.paused) {
            assert_eq!((t.state.status, t.incident.is_none()), (Status::Up, true), "{}", t.spec.id);
            assert!(t.next_due.is_some(), "{} waits for nothing", t.spec.id);
        }
        let held = |t: &&Arc<Target>| t.watch == Watch::Continuous && t.enabled && !self.disk[&t.id].paused;
        let (wanted, live) =
            (self.targets.iter().filter(held).count(), self.flying.values().filter(|f| f.live).count());
        assert_eq!(wanted, live, "every target to be held is held");
    }

    /// The end: whatever is under way is cancelled, and nothing begins any more.
    fn stop(&mut self) {
        self.stopped = true;
        self.step(Input::Stop);
        assert!(self.flying.values().all(|f| f.cancelled), "something goes on");
        while let Some(look) = self.any_look(|_| true) {
            self.finish(look, 's');
        }
        self.step(Input::Tick);
        assert!(self.flying.is_empty() && self.state.next_wake().is_none());
    }
}

/// Prints the seed when a run fails.
struct Tell(u64, usize);

impl Drop for Tell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation failed: seed {}, step {}", self.0, self.1);
        }
    }
}

#[test]
fn whatever_happens_the_invariants_hold() {
    // SEED=n repeats one run, SEEDS=n makes n of them.
    let number = |name| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SEEDS").unwrap_or(60),
    };
    for seed in seeds {
        let mut tell = Tell(seed, 0);
        let mut world = World::new(seed);
        for i in 0..1500 {
            tell.1 = i;
            world.one();
        }
        world.settle();
        world.stop();
        assert!(world.stored > 100, "seed {seed}: hardly anything happened ({})", world.stored);
    }
}
