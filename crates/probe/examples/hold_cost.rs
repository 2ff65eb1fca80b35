//! What holding sessions costs: `hold_cost URL [SESSIONS [SECONDS]]`. Holds so many sessions of one URL on one thread, waits
//! until all are open, then counts for so long, and prints
//! `held=N sessions=N seconds=S cpu_ms=M mbit=B kib=K faults=F` with user and system time per session and second, megabits per
//! second and session, and resident memory per session. `VERBOSE=1` prints what is measured each second.
//! `bench/run` reads the line and sets it beside what ffmpeg needs for the same URL.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool for benchmarks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use model::address::Address;
use model::conf::Value;
use model::observation::{Observation, Second};
use model::reading::Depth;
use model::target::{Options, Target, TargetId, Watch};
use net::clock::SystemClock;
use probe::{kind, kinds, run::Prober};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest wait for all sessions to be open.
const OPENING: Duration = Duration::from_secs(60);
/// Faults that are told.
const MAX_TOLD: usize = 5;
/// Sessions that are opened at once, where `AT_ONCE` does not say otherwise: some servers let in one after the other.
const AT_ONCE: usize = 16;

/// User and system time of all threads of this process, in milliseconds.
fn cpu_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux has /proc").flatten();
    let spent = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / 1e6
}

/// Resident memory in KiB.
fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("the kernel tells it");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// The URL of a session: with `PORTS=each` (datagrams) each has a port of its own, from that of the URL on.
fn url_of(url: &str, session: usize) -> String {
    if std::env::var("PORTS").is_err() {
        return url.to_owned();
    }
    let (host, port) = url.rsplit_once(':').expect("a URL with a port");
    format!("{host}:{}", port.parse::<usize>().expect("a port") + session)
}

fn target(url: &str) -> Target {
    let address = Address::parse(url).expect("a good URL");
    let option = |name: &str, key: &str| std::env::var(name).ok().map(|text| (key.to_owned(), Value::Str(text)));
    let options = [option("TRANSPORT", "transport"), option("SILENCE", "silence")].into_iter().flatten();
    Target {
        id: TargetId::parse("cost").expect("a good id"),
        name: "cost".to_owned(),
        kind: kinds::guess(&address).expect("a known scheme").name,
        address,
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Continuous,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: model::status::StatusRules::default(),
        expect: model::expect::Expectations::default(),
        options: Options(options.collect()),
        parents: Vec::new(),
    }
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    faults: AtomicUsize,
    bits: AtomicU64,
}

async fn hold(target: Arc<Target>, prober: Prober, counts: Arc<Counts>, cancel: CancellationToken, verbose: bool) {
    let probe = kind::build(&target).expect("good options");
    while !cancel.is_cancelled() {
        let mut opened = false;
        let mut each = |seen: Observation, second: Second| {
            if !std::mem::replace(&mut opened, true) {
                counts.open.fetch_add(1, Ordering::SeqCst);
            }
            counts.bits.fetch_add(second.bits, Ordering::Relaxed);
            if verbose {
                println!("{second:?}\n    {:?} {:?}", seen.look.reading.tracks, seen.look.reading.facts);
            }
        };
        let last = prober.hold(&target, &*probe, &cancel, &mut each).await;
        if opened {
            counts.open.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(fault) = last.look.fault.filter(|_| !cancel.is_cancelled())
            && counts.faults.fetch_add(1, Ordering::SeqCst) < MAX_TOLD
        {
            eprintln!("{fault}");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("usage: hold_cost URL [SESSIONS [SECONDS]]");
    let mut number = |default: u64| args.next().map_or(default, |n| n.parse().expect("a number"));
    let (sessions, seconds) = (number(1), number(10));
    let verbose = std::env::var_os("VERBOSE").is_some();
    let (counts, cancel) = (Arc::new(Counts::default()), CancellationToken::new());
    let prober = Prober::new(Arc::new(SystemClock::new()));
    let empty = resident_kib();
    let mut running = JoinSet::new();
    let deadline = tokio::time::Instant::now() + OPENING;
    let open = || counts.open.load(Ordering::SeqCst);
    let at_once = std::env::var("AT_ONCE").map_or(AT_ONCE, |n| n.parse().expect("a number"));
    for session in 0..usize::try_from(sessions).expect("a small number") {
        let (target, prober) = (Arc::new(target(&url_of(&url, session))), prober.clone());
        running.spawn(hold(target, prober, Arc::clone(&counts), cancel.child_token(), verbose));
        while open() + at_once <= session + 1 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    while open() < running.len() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (cpu, bits) = (cpu_ms(), counts.bits.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (held, kib) = (open(), resident_kib());
    let share = 1.0 / (f64::from(u32::try_from(sessions * seconds).expect("small numbers")));
    let cpu = (cpu_ms() - cpu) * share;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mbit = (counts.bits.load(Ordering::Relaxed) - bits) as f64 * share / 1e6;
    let kib = (kib - empty) / f64::from(u32::try_from(sessions).expect("a small number"));
    let faults = counts.faults.load(Ordering::SeqCst);
    println!(
        "held={held} sessions={sessions} seconds={seconds} cpu_ms={cpu:.4} mbit={mbit:.3} kib={kib:.1} faults={faults}"
    );
    cancel.cancel();
    while running.join_next().await.is_some() {}
}
