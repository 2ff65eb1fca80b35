//! What a shim costs and how soon an end is known, with real processes. Not part of the product; for figures on demand:
//!
//!     cargo run --release -p supervise --example shim_cost -- target/release/streampulse
//!
//! Without an argument this program is the shim itself, which is smaller than the product's.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::unit::UnitId;
use model::unit::spec::{LogRules, Process, Program, Stop};
use rustix::process::{Pid, Signal, kill_process};
use supervise::backend::{Backend as _, Instance, Launch};
use supervise::process::Processes;
use supervise::shim;

/// Programs that are killed, one after the other.
const KILLS: usize = 200;
/// Units that run at once.
const UNITS: usize = 300;
/// Rounds of measuring all of them.
const ROUNDS: u32 = 12;
/// From one round to the next.
const EVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next().unwrap_or_default();
    if first == shim::WORD {
        return shim::shim(&args.next().unwrap_or_default());
    }
    if first == shim::EXEC_WORD {
        return shim::exec(args);
    }
    let own = std::env::current_exe().expect("it runs");
    let program = if first.is_empty() { own } else { PathBuf::from(first).canonicalize().expect("the shim's program") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&program));
    ExitCode::SUCCESS
}

async fn measure(program: &Path) {
    let folder = std::env::temp_dir().join(format!("shim-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("writable");
    let processes = Processes::new(program.to_owned(), folder.clone());
    ends(&processes).await;
    crowd(&processes, &folder).await;
    let _ = std::fs::remove_dir_all(&folder);
}

/// From SIGKILL to the end being known, and how long a start takes.
async fn ends(processes: &Processes) {
    let (mut known, mut started) = (Vec::new(), Vec::new());
    for _ in 0..KILLS {
        let began = Instant::now();
        let run = start(processes, "one").await;
        started.push(began.elapsed());
        let killed = Instant::now();
        let pid = Pid::from_raw(run.identity().pid.cast_signed()).expect("a number");
        kill_process(pid, Signal::KILL).expect("it runs");
        run.ended().await;
        known.push(killed.elapsed());
    }
    for (what, mut times) in [("from SIGKILL until it is known", known), ("from the call until it runs", started)] {
        times.sort();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        println!("{what}: median {:?}, p99 {:?}, longest {:?} ({KILLS} times)", at(50), at(99), at(100));
    }
}

/// What many units cost while they are measured every few seconds.
async fn crowd(processes: &Processes, folder: &Path) {
    let mut runs = Vec::new();
    for n in 0..UNITS {
        runs.push(start(processes, &format!("unit-{n}")).await);
    }
    let mut private: Vec<u64> = (0..UNITS).filter_map(|n| private_kb(&folder.join(format!("unit-{n}")))).collect();
    private.sort_unstable();
    if let (Some(median), Some(most)) = (private.get(private.len() / 2), private.last()) {
        println!("private memory of a shim: median {median} kB, most {most} kB ({} shims)", private.len());
    }
    let (began, before) = (Instant::now(), own_ticks());
    let mut ticker = tokio::time::interval(EVERY);
    for _ in 0..ROUNDS {
        ticker.tick().await;
        for run in &runs {
            run.usage().await.expect("it runs");
        }
    }
    ticker.tick().await;
    let spent = Duration::from_millis((own_ticks() - before) * 10);
    let percent = spent.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    println!("measuring {UNITS} units every {EVERY:?}: {percent:.2} % of one core over {:?}", began.elapsed());
    for run in &runs {
        run.kill().await.expect("its shim listens");
    }
    for run in &runs {
        run.ended().await;
    }
}

async fn start(processes: &Processes, id: &str) -> Box<dyn Instance> {
    let process = Process {
        argv: vec!["/bin/sleep".to_owned(), "3600".to_owned()],
        cwd: "/".into(),
        env: Vec::new(),
        secret_env: Vec::new(),
        user: None,
        umask: None,
        limits: Vec::new(),
        pid_file: None,
    };
    let launch = Launch {
        id: UnitId::parse(id).expect("a good id"),
        program: Program::Process(process),
        stop: Stop { signal: "TERM", grace: Duration::from_secs(1) },
        logs: LogRules { file_bytes: 1 << 20, files: 3 },
        masks: Vec::new(),
    };
    processes.start(&launch).await.unwrap_or_else(|why| panic!("{why}"))
}

/// Memory that only the shim has, clean and dirty.
fn private_kb(unit: &Path) -> Option<u64> {
    let run = std::fs::read_to_string(unit.join("run.json")).ok()?;
    let run: serde_json::Value = serde_json::from_str(&run).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", run["shim_pid"])).ok()?;
    let private = maps.lines().filter(|line| line.starts_with("Private_"));
    Some(private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}

/// Processor time of this process, in hundredths of a second.
fn own_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = stat.rsplit_once(')').expect("a name").1;
    let field =
        |at: usize| after.split_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    field(11) + field(12)
}
