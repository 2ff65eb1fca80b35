//! mqtt_cost PORT [STREAMS]: what publishing costs. Connects to a broker on 127.0.0.1 that takes anybody, says all streams, changes
//! all of them at once and prints how long it took until all were sent, for each quality of service, and the processor time of
//! this process. Sent is written to the connection with QoS 0, confirmed by the broker with 1 and 2. `bench/run mqtt` calls it.

#![allow(clippy::print_stdout, reason = "its output is the figure")]
#![allow(dead_code, reason = "the tests use more of it")]

#[path = "../tests/mqtt/support.rs"]
mod support;

use std::time::Duration;

use sink::mqtt::{Qos, Settings};
use support::{Rig, Stream, board, stream};
use tokio::time::Instant;

/// Longest wait for a round.
const LONGEST: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default| args.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let port = u16::try_from(number(1883)).expect("a port");
    let count = number(10_000);
    let ids: Vec<&'static str> = (0..count).map(|i| &*Box::leak(format!("camera-{i}").into_boxed_str())).collect();
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let round = |revision: u64| -> Vec<Stream> {
            ids.iter().map(|id| Stream { revision, took_ms: 40 + revision, ..stream(id) }).collect()
        };
        let settings = Settings { qos, interval: Duration::from_secs(3600), ..Settings::plain("127.0.0.1", port) };
        let rig = Rig::start(settings, &round(1));
        until(&rig, count).await;
        let (before, next) = (rig.now().sent, board(&round(2)));
        let (began, cpu) = (Instant::now(), cpu_ms());
        rig.board.send_replace(next);
        until(&rig, before + count).await;
        println!("qos {} {count} changes {} ms cpu {} ms", qos.number(), began.elapsed().as_millis(), cpu_ms() - cpu);
        rig.tasks.stop(LONGEST).await;
    }
}

async fn until(rig: &Rig, sent: u64) {
    let done = testkit::wait::wait_for(LONGEST, || rig.now().sent >= sent && rig.now().queued == 0).await;
    assert!(done, "the broker did not take it: {:?}", rig.now());
}

/// Processor time of this process so far.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    // User and system time, in hundredths of a second.
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum()
}
