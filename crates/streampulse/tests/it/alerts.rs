//! From the failure of a stream to the message at its receiver, through the binary and over real sockets, with nothing
//! configured that could make it sooner.

use std::path::Path;
use std::time::{Duration, Instant};

use testkit::http::{HttpPeer, Reply};

use crate::support::{Instance, Place, testbed, wait_for};
use crate::watch::Rtsp;

/// A stream that is looked at every 5 s: its message arrives within this time.
const PERIODIC_WITHIN: Duration = Duration::from_secs(15);
/// A stream that is watched continuously.
const CONTINUOUS_WITHIN: Duration = Duration::from_secs(4);

/// A runtime for the receivers, and one of them that takes every message.
pub(crate) fn receiver() -> (tokio::runtime::Runtime, HttpPeer) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let peer = runtime.block_on(HttpPeer::with(|_| Reply::text(200, "taken")));
    (runtime, peer)
}

pub(crate) fn config(receiver: &HttpPeer, targets: &str) -> String {
    format!(
        "server: {{listen: 127.0.0.1:0, login: false}}\nchannels: [{{name: hook, kind: webhook, url: '{}'}}]\ntargets:\n{targets}",
        receiver.url("/hook")
    )
}

/// Waits for the next message that holds these words, and answers how many there are in all.
pub(crate) fn message(receiver: &HttpPeer, words: &str) -> usize {
    wait_for(words, || {
        let all = receiver.requests();
        let held = all.iter().any(|r| String::from_utf8_lossy(&r.body).contains(words));
        held.then_some(all.len())
    })
}

#[test]
fn a_stream_at_five_seconds_that_dies_is_told_within_fifteen_and_its_end_too() {
    let (runtime, receiver) = receiver();
    let stream = runtime.block_on(HttpPeer::with(|_| Reply::text(200, "media")));
    let target = format!("  - {{name: Stage, url: '{}', interval: 5s}}\n", stream.url("/"));
    let place = Place::with(&config(&receiver, &target));
    let run = place.start();
    run.wait_status("Stage", "up");
    runtime.block_on(async { drop(stream) });
    let died = Instant::now();
    assert_eq!(message(&receiver, "Stage is down"), 1);
    let took = died.elapsed();
    assert!(took <= PERIODIC_WITHIN, "the message took {took:?}");
    eprintln!("periodic: the message arrived after {took:?}");
    // The process is killed and starts again: nobody is told a second time.
    run.kill();
    let run = place.start();
    run.wait_status("Stage", "down");
    let done = Instant::now() + Duration::from_secs(4);
    wait_for("a while without a message", || (Instant::now() >= done).then_some(()));
    assert_eq!(receiver.requests().len(), 1);
}

/// The newest look at a target that is up, when it began.
fn newest_look(run: &Instance, name: &str) -> Option<i64> {
    let target = run.target(name)?;
    (target["status"] == "up").then(|| target["last"]["at"].as_i64())?
}

#[test]
fn a_stream_at_five_seconds_that_accepts_and_says_nothing_is_told_within_fifteen() {
    let Some(folder) = testbed("a_stream_at_five_seconds_that_accepts_and_says_nothing_is_told_within_fifteen") else {
        return;
    };
    let (_runtime, receiver) = receiver();
    let camera = Rtsp::start(&folder);
    let target = format!("  - {{name: Cam, url: 'rtsp://127.0.0.1:{}/h264', interval: 5s}}\n", camera.port);
    let place = Place::with(&config(&receiver, &target));
    let run = place.start();
    run.wait_status("Cam", "up");
    // Right after a look that passed: nobody looks for as long as can be.
    let before = newest_look(&run, "Cam").expect("it is up");
    wait_for("another look", || newest_look(&run, "Cam").filter(|at| *at > before));
    assert_eq!(receiver.requests().len(), 0, "nothing was wrong so far");
    camera.signal("STOP");
    let silent = Instant::now();
    message(&receiver, "Cam is down");
    let took = silent.elapsed();
    let down = run.target("Cam").expect("there");
    camera.signal("CONT");
    assert_eq!(down["last"]["fault"]["kind"], "timed_out", "{down:#}");
    assert!(took <= PERIODIC_WITHIN, "the message took {took:?}");
    eprintln!("periodic, silent: the message arrived after {took:?}");
}

/// A camera that is held, with nothing said but that: it is up, and a receiver waits for what becomes of it.
fn held_camera(folder: &Path, receiver: &HttpPeer) -> (Rtsp, Place, Instance) {
    let camera = Rtsp::start(folder);
    let target = format!("  - {{name: Cam, url: 'rtsp://127.0.0.1:{}/h264', watch: continuous}}\n", camera.port);
    let place = Place::with(&config(receiver, &target));
    let run = place.start();
    run.wait_status("Cam", "up");
    // A track that has just begun is given more patience.
    wait_for("media flows for a while", || {
        let live = run.get("/api/v1/targets/cam/live").json();
        (live["now"]["facts"]["held_for_s"].as_i64()? >= 5).then_some(())
    });
    (camera, place, run)
}

#[test]
fn a_held_stream_that_falls_silent_is_told_within_four_seconds() {
    let Some(folder) = testbed("a_held_stream_that_falls_silent_is_told_within_four_seconds") else {
        return;
    };
    let (_runtime, receiver) = receiver();
    let (camera, _place, _run) = held_camera(&folder, &receiver);
    assert_eq!(receiver.requests().len(), 0, "nothing was wrong so far");
    camera.signal("STOP");
    let silent = Instant::now();
    message(&receiver, "Cam is down");
    let took = silent.elapsed();
    camera.signal("CONT");
    assert!(took <= CONTINUOUS_WITHIN, "the message took {took:?}");
    eprintln!("continuous, silent: the message arrived after {took:?}");
}

#[test]
fn a_held_stream_whose_server_dies_is_told_within_four_seconds() {
    let Some(folder) = testbed("a_held_stream_whose_server_dies_is_told_within_four_seconds") else {
        return;
    };
    let (_runtime, receiver) = receiver();
    let (camera, _place, _run) = held_camera(&folder, &receiver);
    assert_eq!(receiver.requests().len(), 0, "nothing was wrong so far");
    drop(camera);
    let died = Instant::now();
    message(&receiver, "Cam is down");
    let took = died.elapsed();
    assert!(took <= CONTINUOUS_WITHIN, "the message took {took:?}");
    eprintln!("continuous, dead: the message arrived after {took:?}");
}
