//! Watching: statuses are true, soon, and the same everywhere.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::http;
use crate::site::Site;
use crate::support::{Place, testbed, wait_for};

#[test]
fn a_page_goes_down_and_comes_back_with_an_incident() {
    let site = Site::start();
    let place = Place::open(&format!("targets:\n  - name: Page\n    url: http://{}/\n    interval: 1s\n", site.at));
    let run = place.start();
    run.wait_status("Page", "up");
    site.answer_with(503);
    let down = run.wait_status("Page", "down");
    assert!(down["reason"].as_str().is_some_and(|r| r.contains("503")), "{down}");
    let open = wait_for("the open incident is listed", || {
        run.get("/api/v1/incidents?open=true").json()["incidents"].get(0).cloned()
    });
    assert_eq!((open["name"].as_str(), open["closed_at"].is_null()), (Some("Page"), true), "{open}");
    site.answer_with(200);
    run.wait_status("Page", "up");
    let closed = wait_for("the incident is closed in the history", || {
        let all = run.get("/api/v1/incidents").json();
        all["incidents"][0]["closed_at"].is_number().then_some(all)
    });
    assert_eq!(closed["incidents"].as_array().map(Vec::len), Some(1), "{closed}");
    wait_for("the list shows that it was not always there, though nobody watched the list", || {
        let ratio = run.target("Page")?["availability"]["h24"].as_f64()?;
        (ratio > 0.0 && ratio < 1.0).then_some(())
    });
    assert!(run.stop().success());
}

#[test]
fn the_first_look_starts_soon_and_pause_stops_looking() {
    let site = Site::start();
    let place = Place::open(&format!(
        "targets:\n  - name: Page\n    id: page\n    url: http://{}/\n    interval: 1s\n",
        site.at
    ));
    let run = place.start();
    run.wait_status("Page", "up");
    assert_eq!(run.send("POST", "/api/v1/targets/page/pause", &json!({})).status / 100, 2);
    run.wait_status("Page", "paused");
    run.stop();
    let before = site.requests();
    let run = place.start();
    assert_eq!(run.wait_status("Page", "paused")["paused"], true, "a pause outlives a restart");
    assert_eq!(site.requests(), before, "a paused target is not looked at");
    assert_eq!(run.send("POST", "/api/v1/targets/page/resume", &json!({})).status / 100, 2);
    run.wait_status("Page", "up");
}

#[test]
fn the_2x_status_has_its_exact_shape_on_both_listeners() {
    let site = Site::start();
    let text = format!(
        "server:\n  listen: 127.0.0.1:0\n  status_listen: 127.0.0.1:0\n  login: false\ntimezone: Asia/Kolkata\ntargets:\n  - name: Good one\n    url: http://{}/\n    interval: 1s\n  - name: Bad one\n    url: http://{}/x\n    expect_status: 404\n    interval: 1s\n",
        site.at, site.at
    );
    let place = Place::with(&text);
    let run = place.start();
    run.wait_status("Good one", "up");
    run.wait_status("Bad one", "down");
    for at in [run.at, run.status_at.expect("a status listener")] {
        let seen = http::request(at, "GET", "/api/status", &[], None).json();
        let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()).expect("an object");
        assert_eq!(keys(&seen), ["Bad one", "Good one"], "{seen}");
        let mut inner = keys(&seen["Good one"]);
        inner.sort();
        assert_eq!(inner, ["latency", "message", "status", "ts"]);
        assert_eq!(
            (seen["Good one"]["status"].as_str(), seen["Bad one"]["status"].as_str()),
            (Some("ok"), Some("fail")),
            "{seen}"
        );
        assert!(seen["Good one"]["ts"].as_str().is_some_and(|t| t.ends_with("+05:30")), "{seen}");
        assert!(seen["Good one"]["latency"].is_i64() && seen["Bad one"]["message"].is_string(), "{seen}");
    }
    let status = run.status_at.expect("a status listener");
    assert_eq!(
        http::request(status, "GET", "/api/v1/targets", &[], None).status,
        404,
        "the status listener shows no more"
    );
    let cfg = run.get("/api/cfg").json();
    assert_eq!((cfg["timezone"].as_str(), cfg["utc_offset"].as_str()), (Some("Asia/Kolkata"), Some("+05:30")), "{cfg}");
    let csv = run.get("/export/all.csv");
    assert!(csv.text().starts_with("stream,ts,status,latency_ms,message"), "{}", csv.text());
    wait_for("the history page shows the stored looks", || {
        run.get("/history/Good%20one").text().contains(" ms").then_some(())
    });
}

#[test]
fn black_holes_make_nobody_late() {
    let site = Site::start();
    let hole = std::net::TcpListener::bind("127.0.0.1:0").expect("a port"); // accepts in its backlog, never answers
    let hole_at = hole.local_addr().expect("bound");
    let mut text = "targets:\n".to_owned();
    for i in 0..5 {
        text.push_str(&format!("  - {{name: Hole {i}, url: 'http://{hole_at}/{i}', interval: 1s, timeout: 20s}}\n"));
    }
    text.push_str(&format!("  - {{name: Healthy, url: 'http://{}/', interval: 1s}}\n", site.at));
    let place = Place::open(&text);
    let run = place.start();
    run.wait_status("Healthy", "up");
    let first = site.requests();
    // Ten looks at one a second: were one of them to wait for a hole, it would wait 20 s.
    let began = std::time::Instant::now();
    wait_for("ten more looks", || (site.requests() >= first + 10).then_some(()));
    assert!(began.elapsed().as_secs() < 18, "looks came late: {:?}", began.elapsed());
}

/// A private RTSP server, so that stopping it disturbs no other test.
pub(crate) struct Rtsp {
    child: std::process::Child,
    pub(crate) port: u16,
}

impl Rtsp {
    pub(crate) fn start(folder: &std::path::Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testbed/rtsp_mounts.py");
        let ports: Vec<u16> = (0..4)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port())
            .collect();
        let path = |p: &str| folder.join(p).display().to_string();
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args(["--address", "127.0.0.1"]);
        for (name, port) in ["--open", "--digest", "--basic", "--tls"].iter().zip(&ports) {
            command.arg(name).arg(port.to_string());
        }
        let child = command
            .args(["--cert", &path("ca/server.pem"), "--key", &path("ca/server.key")])
            .args(["--clip", &path("media/h264_720p_5min.mp4")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let camera = Self { child, port: ports[0] };
        wait_for("the camera listens", || std::net::TcpStream::connect(("127.0.0.1", camera.port)).ok());
        camera
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.is_ok_and(|s| s.success()));
    }
}

impl Drop for Rtsp {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_camera_that_freezes_is_down_and_says_where_it_hung() {
    let Some(folder) = testbed("a_camera_that_freezes_is_down_and_says_where_it_hung") else { return };
    let camera = Rtsp::start(&folder);
    let place = Place::open(&format!(
        "targets:\n  - name: Cam\n    url: rtsp://127.0.0.1:{}/h264\n    interval: 2s\n    timeout: 2s\n",
        camera.port
    ));
    let run = place.start();
    let up = run.wait_status("Cam", "up");
    assert_eq!(
        (up["last"]["proven"].as_str(), up["last"]["tracks"][0]["width"].as_u64()),
        (Some("media"), Some(320)),
        "{up:#}"
    );
    camera.signal("STOP");
    let down = run.wait_status("Cam", "down");
    let kind = down["last"]["fault"]["kind"].as_str();
    assert!(matches!(kind, Some("timed_out" | "no_media")), "{down:#}");
    camera.signal("CONT");
    run.wait_status("Cam", "up");
}

#[test]
fn streams_that_send_nothing_are_down_though_their_server_answers() {
    let Some(_) = testbed("streams_that_send_nothing_are_down_though_their_server_answers") else { return };
    let place = Place::open(
        "defaults: {interval: 5s, timeout: 3s}\ntargets:\n  - {name: Wrong path, url: 'rtsp://127.0.0.1:18554/nosuch'}\n  - {name: Wrong password, url: 'rtsp://viewer:nope@127.0.0.1:18555/h264'}\n  - {name: Broken, url: 'rtsp://127.0.0.1:18554/broken'}\n  - {name: Hang, url: 'rtsp://127.0.0.1:18598/x'}\n  - {name: Good, url: 'rtsp://127.0.0.1:18554/720p'}\n  - {name: Described, url: 'rtsp://127.0.0.1:18554/h264', depth: describe}\n",
    );
    let run = place.start();
    for (name, status, fault) in [
        ("Wrong path", "down", "not_found"),
        ("Wrong password", "down", "auth_required"),
        ("Broken", "down", "protocol"),
        ("Hang", "down", "timed_out"),
        ("Good", "up", ""),
        ("Described", "up", ""),
    ] {
        let seen = run.wait_status(name, status);
        assert_eq!(seen["last"]["fault"]["kind"].as_str().unwrap_or(""), fault, "{seen:#}");
    }
    assert_eq!(run.target("Described").expect("there")["last"]["proven"], "describe", "what was not proven is said");
}
