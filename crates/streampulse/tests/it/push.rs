//! Push targets through the binary: calls by real HTTP, their absence, restarts, and what strangers learn.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http;
use crate::support::{Instance, Place, cli, wait_for};

const TOKEN: &str = "pl4nted-Token_3q2w7HfKx0ZbV5nTjRe";

fn place(rest: &str) -> Place {
    Place::open(&format!(
        "targets:\n  - {{name: Job, id: job, url: 'push://job', token: {TOKEN}, {rest}, interval: 1h}}\n"
    ))
}

fn call(run: &Instance, method: &str, rest: &str) -> http::Answer {
    http::request(run.at, method, &format!("/api/push/{TOKEN}{rest}"), &[], None)
}

fn fact<'v>(target: &'v Value, key: &str) -> &'v Value {
    &target["last"]["facts"][key]
}

#[test]
fn a_call_is_up_at_once_and_its_absence_is_down_in_time() {
    let place = place("period: 2s, grace: 1s");
    let run = place.start();
    let waiting = run.wait_status("Job", "unknown");
    assert!(
        waiting["last"]["reasons"][0]["text"].as_str().is_none_or(|t| t.contains("waiting for the first call")),
        "{waiting}"
    );
    run.wait_status("Job", "down"); // nobody ever called
    for (method, rest, status, words) in [
        ("GET", "", "up", ""),
        ("POST", "?status=down&msg=disk%20full", "down", "reported (check): disk full"),
        ("HEAD", "?ping=12.5&status=up&msg=OK", "up", ""),
        ("GET", "?status=warn&msg=slow", "degraded", "slow"),
        ("GET", "/7", "down", "reported (check): the caller reports a failure with exit code 7"),
        ("GET", "/0", "up", ""),
        ("GET", "/fail?msg=no", "down", "reported (check): no"),
        ("GET", "/start", "down", ""),
        ("GET", "", "up", ""),
    ] {
        let (called, answer) = (Instant::now(), call(&run, method, rest));
        assert_eq!(answer.status, 200, "{method} {rest}: {}", answer.text());
        let seen = run.wait_status("Job", status);
        let took = called.elapsed();
        assert!(took < Duration::from_secs(2), "{method} {rest}: seen after {took:?}");
        assert!(seen["reason"].as_str().is_some_and(|r| r.contains(words)), "{method} {rest}: {seen}");
    }
    let last = wait_for("the run is told", || run.target("Job").filter(|t| fact(t, "run_took_ms").is_number()));
    assert!(fact(&last, "last_call_at").is_number(), "{last}");
    // Silence: at the latest when period and grace are over, and not before.
    let called = Instant::now();
    assert_eq!(call(&run, "GET", "").status, 200);
    let down = run.wait_status("Job", "down");
    let took = called.elapsed();
    assert!(took >= Duration::from_millis(2900) && took < Duration::from_millis(4500), "{took:?}");
    assert!(
        down["reason"].as_str().is_some_and(|r| r.starts_with("stale (check): no call for 3 s, expected every 2s")),
        "{down}"
    );
}

#[test]
fn a_restart_is_neither_a_call_nor_an_alarm() {
    let place = place("period: 4s, grace: 0s");
    let run = place.start();
    assert_eq!(call(&run, "GET", "?msg=first").status, 200);
    let before = run.wait_status("Job", "up");
    run.kill_after_writing(&place);
    let run = place.start();
    let again =
        wait_for("it is looked at", || run.target("Job").filter(|t| t["status"] == "up" || t["status"] == "down"));
    assert_eq!(again["status"], "up", "{again}");
    assert_eq!(fact(&again, "last_call_at"), fact(&before, "last_call_at"), "the time of the call is that of before");
    run.wait_status("Job", "down");
    run.kill_after_writing(&place);
    let run = place.start();
    let again = wait_for("it is looked at", || {
        run.target("Job").filter(|t| t["last"]["reasons"][0]["text"].as_str().is_some_and(|r| r.contains("restart")))
    });
    assert_eq!(again["status"], "down", "what was overdue is overdue: {again}");
    assert_eq!(call(&run, "GET", "").status, 200);
    run.wait_status("Job", "up");
}

impl Instance {
    /// Ends as a power cut does, once the history knows what was seen.
    fn kill_after_writing(self, place: &Place) {
        let seen = self.target("Job").expect("watched")["status"].clone();
        wait_for("the history has it", || {
            let path = "/api/v1/targets/job/changes";
            let text = self.get(path).json();
            (text["rows"][0]["to"] == seen).then_some(())
        });
        assert!(place.database().exists());
        self.kill();
    }
}

#[test]
fn strangers_learn_nothing_and_the_token_stands_nowhere() {
    let place = place("period: 1h");
    let run = place.start_with(&[], &[("STREAMPULSE_LOG", "trace")]);
    let get = |path: &str| http::request(run.at, "GET", path, &[], None);
    let wrong = get("/api/push/no-such-token-at-all-0000");
    let (short, long) = (get("/api/push/x"), get(&format!("/api/push/{}", "a".repeat(6000))));
    let near = get(&format!("/api/push/{}", &TOKEN[..TOKEN.len() - 1]));
    let more = get("/api/push/no-such-token-at-all-0000/fail?status=sideways");
    for answer in [&wrong, &short, &long, &near, &more] {
        assert_eq!((answer.status, answer.text()), (404, wrong.text()), "each wrong token gets the same answer");
    }
    // A flood of guesses from one network is cut off, and right calls from there still come through.
    let cut = (0..60).map(|i| get(&format!("/api/push/guess-number-{i:030}")).status).filter(|s| *s == 429).count();
    assert!(cut >= 30, "{cut} of 60 were cut off");
    assert_eq!(call(&run, "GET", "").status, 200);
    // A flood of right calls is cut off too, and does no harm.
    let flood: Vec<u16> = (0..120).map(|_| call(&run, "GET", "?msg=flood").status).collect();
    assert!(flood.contains(&429) && flood.iter().all(|s| [200, 429].contains(s)), "{flood:?}");
    run.wait_status("Job", "up");
    for path in [
        "/api/v1/targets",
        "/api/v1/targets/job",
        "/api/v1/config",
        "/api/v1/audit",
        "/api/v1/health",
        "/api/v1/kinds",
        "/api/status",
        "/api/v1/targets/job/observations",
    ] {
        assert!(!get(path).text().contains("pl4nted"), "{path}");
    }
    assert_eq!(get("/api/v1/targets/job/push").json()["path"], format!("/api/push/{TOKEN}"));
    assert!(!run.log().contains("pl4nted"), "the log holds the token");
    run.stop();
    for entry in std::fs::read_dir(place.state()).expect("there").map_while(Result::ok) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!bytes.windows(7).any(|w| w == b"pl4nted"), "{} holds the token", entry.path().display());
    }
}

#[test]
fn a_token_is_made_where_there_is_none() {
    let place = Place::open("targets: []\n");
    let run = place.start();
    let made = run.send(
        "POST",
        "/api/v1/targets",
        &json!({ "name": "Cron", "id": "cron", "url": "push://cron", "period": "1d" }),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let path = run.get("/api/v1/targets/cron/push").json()["path"].as_str().expect("a path").to_owned();
    assert!(path.strip_prefix("/api/push/").is_some_and(|token| token.len() >= 43), "{path}");
    assert!(!made.text().contains(&path[10..]), "the answer masks it");
    assert_eq!(http::request(run.at, "GET", &path, &[], None).status, 200);
    run.wait_status("Cron", "up");
    assert_eq!(run.send("PATCH", "/api/v1/targets/cron", &json!({ "enabled": false })).status, 200);
    assert_eq!(http::request(run.at, "GET", &path, &[], None).status, 404, "nobody waits for it any more");
    let printed = |_| String::from_utf8_lossy(&cli(&["push-token"]).stdout).trim().to_owned();
    let two: Vec<String> = (0..2).map(printed).collect();
    assert!(two[0] != two[1] && two.iter().all(|t| t.len() == 43), "{two:?}");
}
