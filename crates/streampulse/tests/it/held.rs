//! Streams that are watched continuously, through the binary and over a real server: silence, reconnecting, reloads, power cuts.

use std::fs;

use serde_json::Value;

use crate::support::{Instance, Place, testbed, wait_for};
use crate::watch::Rtsp;

/// Silence is to be noticed within this time after the last packet.
const NOTICED_WITHIN_MS: i64 = 2000;

fn held(camera: &Rtsp, more: &str) -> String {
    let url = format!("rtsp://127.0.0.1:{}/h264", camera.port);
    format!(
        "server: {{listen: 127.0.0.1:0, login: false}}\ntargets:\n  - {{name: Cam, id: cam, url: '{url}', watch: continuous, interval: 2s, timeout: 2s}}\n{more}"
    )
}

fn live(run: &Instance) -> Value {
    run.get("/api/v1/targets/cam/live").json()
}

/// Waits until the session has told this many seconds with media since it was opened.
fn flows(run: &Instance, seconds: usize) -> Value {
    wait_for("media flows", || {
        let seen = live(run);
        let since = seen["session"]["since"].as_i64()?;
        let told =
            seen["seconds"].as_array()?.iter().filter(|s| s[0].as_i64() > Some(since) && s[1].as_i64() > Some(0));
        (seen["session"]["state"] == "live" && told.count() >= seconds).then_some(seen)
    })
}

fn rows(run: &Instance) -> Vec<Value> {
    let all = run.get("/api/v1/targets/cam/observations?limit=1000").json();
    all["rows"].as_array().expect("rows").clone()
}

#[test]
fn a_held_camera_that_freezes_is_noticed_within_two_seconds_and_comes_back() {
    let Some(folder) = testbed("a_held_camera_that_freezes_is_noticed_within_two_seconds_and_comes_back") else {
        return;
    };
    let camera = Rtsp::start(&folder);
    let place = Place::with(&held(&camera, ""));
    let run = place.start();
    run.wait_status("Cam", "up");
    let seen = flows(&run, 3);
    let facts = &seen["now"]["facts"];
    assert!(
        facts["held_for_s"].is_i64() && facts["packets"].as_i64() > Some(20) && facts["reconnects"] == 0,
        "{seen:#}"
    );
    assert_eq!(seen["now"]["tracks"][0]["width"], 320, "{seen:#}");

    // The machine may be busy for a moment: the best of two shows what the session can do.
    let mut delays = Vec::new();
    for _ in 0..2 {
        flows(&run, 4); // a track that has just begun is given more patience
        let frozen_at = jiff::Timestamp::now().as_millisecond();
        camera.signal("STOP");
        let noticed = wait_for("the silence is noticed", || {
            let target = run.target("Cam")?;
            let fault = &target["last"]["fault"];
            let (at, told) = (target["last"]["at"].as_i64()?, fault["kind"] == "stale" && fault["phase"] == "media");
            let fresh = told && at > frozen_at;
            assert!(!fresh || target["status"] == "down", "no second failure is waited for: {target:#}");
            fresh.then_some(at)
        });
        delays.push(noticed - frozen_at);
        assert_ne!(live(&run)["session"]["state"], "live", "the page does not show what is over");
        camera.signal("CONT");
        run.wait_status("Cam", "up");
    }
    eprintln!("noticed after {delays:?} ms");
    assert!(delays.iter().min() <= Some(&NOTICED_WITHIN_MS), "{delays:?}");
    let reconnects = live(&run)["session"]["reconnects"].as_i64();
    assert!(reconnects >= Some(2), "{reconnects:?}");
}

#[test]
fn a_reload_keeps_the_session_and_seconds_are_not_stored() {
    let Some(folder) = testbed("a_reload_keeps_the_session_and_seconds_are_not_stored") else { return };
    let camera = Rtsp::start(&folder);
    let place = Place::with(&held(&camera, ""));
    let run = place.start();
    run.wait_status("Cam", "up");
    let since = flows(&run, 2)["session"]["since"].clone();
    let other = "  - {name: Other, url: 'tcp://127.0.0.1:9', interval: 1s}\n";
    fs::write(place.config(), held(&camera, other)).expect("written");
    run.wait_status("Other", "down");
    let calm = held(&camera, other).replace("id: cam,", "id: cam, tags: [yard], expect: {video: true},");
    fs::write(place.config(), calm).expect("written");
    wait_for("the tag", || (run.target("Cam")?["tags"][0] == "yard").then_some(()));
    let seen = flows(&run, 6);
    assert_eq!((&seen["session"]["since"], &seen["session"]["reconnects"]), (&since, &Value::from(0)), "{seen:#}");
    let asked = run.send("POST", "/api/v1/targets/cam/test", &Value::Null).json();
    assert_eq!(asked["grade"], "pass", "{asked:#}");
    assert!(asked["facts"]["held_for_s"].as_i64() >= Some(5), "who asks gets what the session sees: {asked:#}");
    let (stored, seconds) = (rows(&run).len(), live(&run)["seconds"].as_array().map_or(0, Vec::len));
    assert!(stored <= seconds / 2 + 3, "{stored} rows of {seconds} seconds with an interval of 2 s");
    // The same target, looked at instead of held: the session ends.
    fs::write(place.config(), held(&camera, other).replace("continuous", "periodic")).expect("written");
    wait_for("the session is over", || run.target("Cam")?["session"].is_null().then_some(()));
}

#[test]
fn a_power_cut_loses_no_history_and_the_session_is_opened_again() {
    let Some(folder) = testbed("a_power_cut_loses_no_history_and_the_session_is_opened_again") else { return };
    let camera = Rtsp::start(&folder);
    let place = Place::with(&held(&camera, ""));
    let run = place.start();
    run.wait_status("Cam", "up");
    let before = wait_for("three judgements are stored", || Some(rows(&run)).filter(|rows| rows.len() >= 3));
    run.kill();
    let run = place.start();
    flows(&run, 1);
    run.wait_status("Cam", "up");
    let after: Vec<_> = rows(&run).iter().map(|r| r["at"].clone()).collect();
    assert!(before.iter().all(|row| after.contains(&row["at"])), "{before:?} {after:?}");
    assert_eq!(live(&run)["session"]["reconnects"], 0, "a process counts its own sessions");
    assert!(run.stop().success(), "a session does not keep the end waiting");
}
