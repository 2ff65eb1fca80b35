//! What a full RTSP check costs in processor time: `rtsp_cost URL [CHECKS]`. Prints user and system time per check, and
//! that of `ffprobe` on the same URL when it is installed.

#![allow(clippy::print_stdout, reason = "a command line tool for benchmarks")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::address::Address;
use model::reading::Depth;
use model::target::{Options, Target, TargetId};
use net::clock::SystemClock;
use probe::{kind, kinds, run::Prober};
use tokio_util::sync::CancellationToken;

/// Clock ticks per second in /proc; fixed on Linux (USER_HZ).
const TICKS: f64 = 100.0;

/// User and system time of this process, or of its ended children, in milliseconds (fields 14 to 17 of proc(5) stat).
fn cpu_ms(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    let fields: Vec<f64> = after_name.split_whitespace().skip(1).map(|f| f.parse().unwrap_or(0.0)).collect();
    let first = if children { 12 } else { 10 };
    (fields[first] + fields[first + 1]) * 1000.0 / TICKS
}

fn target(url: &str) -> Target {
    let address = Address::parse(url).expect("a good URL");
    Target {
        id: TargetId::parse("cost").expect("a good id"),
        name: "cost".to_owned(),
        kind: kinds::guess(&address).expect("a known scheme").name,
        address,
        group: None,
        tags: Vec::new(),
        enabled: true,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: model::status::StatusRules::default(),
        expect: model::expect::Expectations::default(),
        options: Options::default(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("usage: rtsp_cost URL [CHECKS]");
    let checks: u32 = args.next().map_or(200, |n| n.parse().expect("a number of checks"));
    let target = target(&url);
    let probe = kind::build(&target).expect("good options");
    let prober = Prober::new(Arc::new(SystemClock::new()));
    let (mut good, mut took) = (0, Duration::ZERO);
    let before = cpu_ms(false);
    for _ in 0..checks {
        let seen = prober.observe(&target, &*probe, &CancellationToken::new()).await;
        match &seen.look.fault {
            None => good += 1,
            Some(fault) => println!("{fault}"),
        }
        took += seen.took;
    }
    let ours = (cpu_ms(false) - before) / f64::from(checks);
    println!("{good} of {checks} checks good; {ours:.3} ms CPU and {:?} per check", took / checks);

    let runs = 10;
    let before = cpu_ms(true);
    for _ in 0..runs {
        let ffprobe = Command::new("ffprobe")
            .args(["-v", "error", "-rtsp_transport", "tcp", "-show_streams", &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ffprobe.is_err() {
            println!("ffprobe is not installed");
            return;
        }
    }
    let theirs = (cpu_ms(true) - before) / f64::from(runs);
    println!("ffprobe: {theirs:.1} ms CPU per run, {:.0} times as much", theirs / ours.max(f64::EPSILON));
}
