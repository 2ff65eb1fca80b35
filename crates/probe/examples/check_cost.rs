//! What one check costs in processor time: `check_cost URL [CHECKS [KIND]]`. Looks again and again at one URL, one look after the
//! other, and prints `good=N checks=N cpu_ms=M took_ms=M` with user and system time and wall time per check. `bench/run`
//! reads that line and sets it beside what other tools need for the same URL.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool for benchmarks")]

use std::sync::Arc;
use std::time::Duration;

use model::address::Address;
use model::reading::Depth;
use model::target::{Options, Target, TargetId, Watch};
use net::clock::SystemClock;
use probe::{kind, kinds, run::Prober};
use tokio_util::sync::CancellationToken;

/// Looks before anything is counted: the first ones fill caches.
const WARM_UP: u32 = 5;

/// User and system time of all threads of this process, in milliseconds. The first figure of `schedstat` is in
/// nanoseconds; the usual one of proc(5) `stat` counts hundredths of a second, which is more than many checks.
fn cpu_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux has /proc").flatten();
    let spent = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / 1e6
}

fn target(url: &str, kind: Option<&str>) -> Target {
    let address = Address::parse(url).expect("a good URL");
    Target {
        id: TargetId::parse("cost").expect("a good id"),
        name: "cost".to_owned(),
        kind: kind.map_or_else(|| kinds::guess(&address), kinds::by_name).expect("a known kind or scheme").name,
        address,
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: model::status::StatusRules::default(),
        expect: model::expect::Expectations::default(),
        options: Options::default(),
        parents: Vec::new(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("usage: check_cost URL [CHECKS [KIND]]");
    let checks: u32 = args.next().map_or(200, |n| n.parse().expect("a number of checks"));
    let kind = args.next();
    let target = target(&url, kind.as_deref());
    let probe = kind::build(&target).expect("good options");
    let prober = Prober::new(Arc::new(SystemClock::new()));
    for _ in 0..WARM_UP {
        prober.observe(&target, &*probe, &CancellationToken::new()).await;
    }
    let (mut good, mut took) = (0, Duration::ZERO);
    let before = cpu_ms();
    for _ in 0..checks {
        let seen = prober.observe(&target, &*probe, &CancellationToken::new()).await;
        match &seen.look.fault {
            None => good += 1,
            Some(fault) => eprintln!("{fault}"),
        }
        took += seen.took;
    }
    let cpu = (cpu_ms() - before) / f64::from(checks);
    let took = took.as_secs_f64() * 1000.0 / f64::from(checks);
    println!("good={good} checks={checks} cpu_ms={cpu:.4} took_ms={took:.3}");
}
