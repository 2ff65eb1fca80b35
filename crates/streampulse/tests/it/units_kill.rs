//! StreamPulse is killed at random points while services run, start, stop and restart: afterwards nothing runs twice, nothing is
//! left that nobody knows, every end is known, and no line of output is missing. And how soon a killed service runs again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use model::time::UtcMs;
use model::unit::{Exit, UnitId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use store::Store;
use supervise::logs::{Logs, Wanted};
use supervise::process::MARK;

use crate::support::{Instance, Place, wait_for};

/// How often the plug is pulled; `STREAMPULSE_KILL_ROUNDS` says otherwise.
const ROUNDS: u64 = 10;
/// Where the dice begin; `STREAMPULSE_KILL_SEED` says otherwise.
const SEED: u64 = 5;
/// Services that print numbered lines.
const COUNTERS: [&str; 3] = ["count-a", "count-b", "count-c"];
/// All services, and how many processes one run of each has beside its shim.
const ALL: [(&str, usize); 8] = [
    ("count-a", 1),
    ("count-b", 1),
    ("count-c", 1),
    ("deaf", 1),
    ("short", 1),
    ("once", 1),
    ("forks", 2),
    ("needy", 1),
];
/// Kills of services until the times are looked at; `STREAMPULSE_RESTART_KILLS` says otherwise.
const RESTARTS: u64 = 10;

/// Numbers that look random and follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn child() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_streampulse"));
    let program = binary.parent().expect("a folder").join("examples/unruly_child");
    program.to_str().expect("a path of text").to_owned()
}

/// A place with services; whatever still runs of them ends with it.
struct Stage {
    place: Place,
}

impl Stage {
    fn new(services: &str) -> Self {
        let place = Place::open("targets: []\n");
        fs::write(place.folder.path().join("services.yaml"), services).expect("written");
        Self { place }
    }

    fn folder(&self, id: &str) -> PathBuf {
        self.place.state().join("services").join(id)
    }

    /// Processes of a service, its shim aside.
    fn marked(&self, id: &str) -> BTreeSet<i32> {
        let mark = format!("{MARK}={}", self.folder(id).display());
        processes(&|environment| environment == mark)
    }

    /// Shims of a service.
    fn shims(&self, id: &str) -> usize {
        let folder = self.folder(id);
        let command = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_shim = |pid: &str| {
            let arguments = command(pid);
            let mut words = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            words.any(|word| word == supervise::shim::WORD) && words.any(|word| Path::new(&*word) == folder)
        };
        pids().iter().filter(|pid| is_shim(pid)).count()
    }

    fn nothing_twice(&self) {
        for (id, most) in ALL {
            let marked = self.marked(id);
            // A child of a test that has not become its program yet has its parent's environment, for a moment.
            assert!(marked.len() <= most + 1, "{id} has {marked:?}");
            assert!(self.shims(id) <= 1, "{id} has {} shims", self.shims(id));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let root = format!("{MARK}={}", self.place.state().join("services").display());
        for pid in processes(&|environment| environment.starts_with(&root)) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn pids() -> Vec<String> {
    let names =
        fs::read_dir("/proc").expect("Linux").flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

/// Processes with such a variable.
fn processes(has: &dyn Fn(&str) -> bool) -> BTreeSet<i32> {
    let of = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| std::str::from_utf8(variable).is_ok_and(has))
    };
    pids().iter().filter(|pid| of(pid)).filter_map(|pid| pid.parse().ok()).collect()
}

fn services() -> String {
    let child = child();
    let mut text = "services:\n".to_owned();
    let mut add = |id: &str, argv: &str, more: &str| {
        text.push_str(&format!(
            "  {id}:\n    process: {{argv: [{child}, {argv}]}}\n    restart: {{policy: always, first: 100ms, longest: 200ms, limit: 0}}\n    stop: {{grace: 300ms}}\n    ready: []\n    logs: {{file_size: 100MiB}}\n{more}"
        ));
    };
    for id in COUNTERS {
        add(id, "count, \"3\"", "");
    }
    add("deaf", "ignore_term", "");
    add("short", "exit_after, \"250\"", "");
    add("forks", "double_fork, stay", "");
    add("needy", "hang", "    needs: [count-a]\n");
    text.push_str(&format!(
        "  once:\n    process: {{argv: [{child}, exit, \"7\"]}}\n    restart: {{policy: never}}\n    ready: []\n"
    ));
    text
}

/// Waits for a time to pass or for a process to end.
fn live(child: &mut Child, ms: u64) {
    let began = Instant::now();
    wait_for("some time has passed", || {
        let over = began.elapsed() >= Duration::from_millis(ms) || !matches!(child.try_wait(), Ok(None));
        over.then_some(())
    });
}

fn service(run: &Instance, id: &str) -> Value {
    run.get(&format!("/api/v1/services/{id}")).json()
}

fn command(run: &Instance, id: &str, what: &str) {
    let answer = run.send("POST", &format!("/api/v1/services/{id}/{what}"), &json!({}));
    assert_eq!(answer.status, 202, "{}", answer.text());
}

/// Pulls the plug once. What was answered to a command holds from then on.
fn round(stage: &Stage, dice: &mut Dice, wanted: &mut BTreeMap<&'static str, bool>) {
    if dice.below(4) == 0 {
        // While it begins.
        let mut early = stage.place.command(&[]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        live(&mut early, dice.below(700));
        early.kill().expect("our child");
        early.wait().expect("our child");
        return;
    }
    let mut run = stage.place.start();
    for _ in 0..dice.below(6) {
        let (id, _) = ALL[usize::try_from(dice.below(ALL.len() as u64)).expect("small")];
        let what = ["start", "stop", "restart"][usize::try_from(dice.below(3)).expect("small")];
        command(&run, id, what);
        wanted.insert(id, what != "stop");
        live(&mut run.child, dice.below(150));
    }
    live(&mut run.child, dice.below(500));
    run.kill();
}

/// Everything is as it is wanted, and the machine agrees.
fn check(stage: &Stage, run: &Instance, wanted: &BTreeMap<&'static str, bool>) {
    for (id, processes) in ALL {
        let is_wanted = wanted.get(id).copied().unwrap_or(true);
        wait_for(&format!("{id} is as it is wanted ({is_wanted})"), || {
            let now = service(run, id);
            assert_eq!(now["wanted"], if is_wanted { "running" } else { "stopped" }, "{id} forgot what was answered");
            let state = now["state"].as_str().unwrap_or_default();
            let (marked, shims) = (stage.marked(id), stage.shims(id));
            let settled = match (id, is_wanted) {
                (_, false) => state == "stopped" && marked.is_empty() && shims == 0,
                ("once", true) => state == "failed" && marked.is_empty() && shims == 0,
                ("needy", true) if wanted.get("count-a") == Some(&false) => {
                    state == "starting" && marked.is_empty() && shims == 0
                }
                ("short", true) => marked.len() <= 1 && shims <= 1,
                (_, true) => {
                    let pid = now["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
                    state == "running"
                        && pid.is_some_and(|p| marked.contains(&p))
                        && marked.len() == processes
                        && shims == 1
                }
            };
            settled.then_some(())
        });
    }
}

/// Numbered lines count up by one, and each run begins with nought. How many runs and lines there were.
fn no_gap(stage: &Stage, id: &str) -> (usize, usize) {
    let lines = Logs::new(stage.folder(id)).newest(&Wanted::default(), 1_000_000).expect("readable");
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line.text.strip_prefix("line ")?.parse().ok()).collect();
    assert_eq!(numbers.len(), lines.len(), "{id}: a line is no line of the program");
    let mut runs = 0;
    for (at, number) in numbers.iter().enumerate() {
        if *number == 0 {
            runs += 1;
        } else {
            assert!(
                at > 0 && numbers[at - 1] + 1 == *number,
                "{id}: {number} after {:?}",
                numbers.get(at.wrapping_sub(1))
            );
        }
    }
    (runs, numbers.len())
}

/// No end of the whole history is one that nobody saw. How many there were.
fn ends_are_known(stage: &Stage) -> usize {
    let clock = std::sync::Arc::new(net::clock::SystemClock::new());
    let store = Store::open_beside(&stage.place.database(), clock).expect("a history");
    let mut ends = 0;
    for (id, _) in ALL {
        let id = UnitId::parse(id).expect("a good id");
        let timeline = store.unit_changes(&id, (UtcMs(0), UtcMs(i64::MAX)), 10_000).expect("readable");
        for end in timeline.iter().filter_map(|change| change.end.as_ref()) {
            assert_ne!(end.exit, Exit::Unseen, "{id}: {timeline:?}");
            ends += 1;
        }
    }
    ends
}

#[test]
fn kills_at_random_points_leave_nothing_twice_nothing_unknown_and_no_gap() {
    let (rounds, seed) = (number("STREAMPULSE_KILL_ROUNDS", ROUNDS), number("STREAMPULSE_KILL_SEED", SEED));
    let (stage, mut dice, mut wanted) = (Stage::new(&services()), Dice(seed), BTreeMap::new());
    for number in 0..rounds {
        round(&stage, &mut dice, &mut wanted);
        stage.nothing_twice();
        if number % 5 == 4 || number + 1 == rounds {
            let run = stage.place.start();
            check(&stage, &run, &wanted);
            run.kill();
            ends_are_known(&stage);
        }
    }
    let run = stage.place.start();
    check(&stage, &run, &wanted);
    for (id, _) in ALL {
        command(&run, id, "stop");
        wanted.insert(id, false);
    }
    check(&stage, &run, &wanted);
    assert!(run.stop().success());
    let ends = ends_are_known(&stage);
    let counted: Vec<(usize, usize)> = COUNTERS.iter().map(|id| no_gap(&stage, id)).collect();
    eprintln!("{rounds} kills: {ends} ends known; runs and lines of the counters: {counted:?}");
    assert!(ends > 0 && counted.iter().all(|(runs, lines)| *runs > 0 && *lines > 0), "{counted:?}");
}

#[test]
fn a_killed_service_runs_again_as_soon_as_its_pause_is_over() {
    const PAUSE_MS: u64 = 100;
    let kills = number("STREAMPULSE_RESTART_KILLS", RESTARTS);
    let restart = "restart: {policy: always, first: 100ms, longest: 100ms, factor: 1, jitter: 0, limit: 0}";
    let text = format!("services:\n  cam:\n    process: {{argv: [{}, hang]}}\n    ready: []\n    {restart}\n", child());
    let stage = Stage::new(&text);
    let run = stage.place.start();
    let record = stage.folder("cam").join("run.json");
    let pid = || {
        let record: Value = serde_json::from_str(&fs::read_to_string(&record).ok()?).ok()?;
        i32::try_from(record["pid"].as_i64()?).ok()
    };
    let mut before = wait_for("it runs", || (service(&run, "cam")["state"] == "running").then(pid).flatten());
    let mut took = Vec::new();
    for _ in 0..kills {
        let began = Instant::now();
        kill(Pid::from_raw(before), Signal::SIGKILL).expect("it runs");
        // A poll of a file that is written as soon as it was begun; finer than the API can be asked.
        let now = loop {
            match pid().filter(|now| *now != before) {
                Some(now) => break now,
                None => assert!(began.elapsed() < Duration::from_secs(20), "it never came back: {}", run.log()),
            }
            let _late = rustix::event::poll(&mut [], Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
        };
        took.push(began.elapsed());
        before = now;
        wait_for("StreamPulse knows", || (service(&run, "cam")["pid"] == now).then_some(()));
    }
    took.sort();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    eprintln!("{kills} kills, pause {PAUSE_MS} ms: median {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100));
    assert!(at(0) >= Duration::from_millis(PAUSE_MS), "the pause is kept");
    command(&run, "cam", "stop");
    wait_for("it is stopped", || (service(&run, "cam")["state"] == "stopped").then_some(()));
}
