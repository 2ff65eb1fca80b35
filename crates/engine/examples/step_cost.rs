//! What one step of the engine costs with 10,000 targets, by kind of input. Run with `--release`; prints one line each.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures and prints")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::input::{Effect, Input, LookId, NewConfig, Now};
use engine::state::State;
use engine::step::step;
use model::address::Address;
use model::expect::Expectations;
use model::observation::{Look, Observation};
use model::reading::Depth;
use model::status::StatusRules;
use model::target::{Options, Target, TargetId, Watch};
use model::time::{Mono, UtcMs};

const TARGETS: usize = 10_000;
const ROUNDS: u64 = 20;

fn target(i: usize) -> Result<Arc<Target>, String> {
    let name = format!("target-{i}");
    Ok(Arc::new(Target {
        id: TargetId::parse(&name)?,
        address: Address::parse(&format!("http://10.0.{}.{}/", i / 250, i % 250))?,
        name,
        kind: "http",
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules::default(),
        expect: Expectations::default(),
        options: Options::default(),
        parents: Vec::new(),
    }))
}

fn at(mono: Duration) -> Now {
    Now { utc: UtcMs(1_700_000_000_000).plus(mono), mono: Mono(mono) }
}

/// Counts and times one kind of work.
#[derive(Default)]
struct Cost {
    count: u32,
    time: Duration,
}

impl Cost {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = work();
        self.time += began.elapsed();
        self.count += 1;
        result
    }

    fn print(&self, what: &str) {
        let each = self.time.as_secs_f64() * 1e6 / f64::from(self.count.max(1));
        println!("{what:28} {:>9} times, {each:>10.2} us each", self.count);
    }
}

fn started(effects: Vec<Effect>, flying: &mut Vec<(LookId, Arc<Target>)>) {
    for effect in effects {
        if let Effect::StartLook { look, target, .. } = effect {
            flying.push((look, target));
        }
    }
}

fn main() -> Result<(), String> {
    let targets = (0..TARGETS).map(target).collect::<Result<Vec<_>, _>>()?;
    let config = |hash: &str| NewConfig {
        targets: targets.clone(),
        hash: hash.to_owned(),
        timezone: "UTC".to_owned(),
        probes_at_once: 1024,
        probes_per_host: 4,
    };
    let mut state = State::new(at(Duration::ZERO), UtcMs(0), BTreeMap::new());
    let (mut load, mut reload, mut tick, mut done, mut board) =
        (Cost::default(), Cost::default(), Cost::default(), Cost::default(), Cost::default());
    let mut flying = Vec::new();
    let first = load.of(|| step(&mut state, at(Duration::ZERO), Input::Config(Box::new(config("a")))));
    started(first, &mut flying);
    let mut last_board = state.board(at(Duration::ZERO));
    // Time moves in the steps in which the shell publishes.
    for turn in 1..=ROUNDS * 200 {
        let now = at(Duration::from_millis(50 * turn));
        started(tick.of(|| step(&mut state, now, Input::Tick)), &mut flying);
        for (look, target) in std::mem::take(&mut flying) {
            let took = Duration::from_millis(3);
            let seen = Observation { target: target.id.clone(), at: now.utc, took, attempts: 1, look: Look::default() };
            let input = Input::LookDone { look, observation: Box::new(seen) };
            started(done.of(|| step(&mut state, now, input)), &mut flying);
        }
        last_board = board.of(|| state.board(now));
    }
    let now = at(Duration::from_millis(50 * ROUNDS * 200));
    let _ = reload.of(|| step(&mut state, now, Input::Config(Box::new(config("b")))));
    load.print("first configuration");
    reload.print("unchanged configuration");
    tick.print("tick");
    done.print("end of a look");
    board.print("board (50 changed)");
    let (p, busy) = (state.punctuality(), tick.time + done.time + board.time);
    let share = busy.as_secs_f64() / (f64::from(u32::try_from(ROUNDS).unwrap_or(u32::MAX)) * 10.0);
    println!("{} rounds, worst lateness {:?}, {:.2} % of one core", p.rounds, p.worst, share * 100.0);
    println!("board version {} of {} targets", last_board.version, last_board.targets.len());
    Ok(())
}
