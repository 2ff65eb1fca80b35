//! Services over the API: reading, commands, forms, what they are and events, by role and by status code.

use std::time::Duration;

use model::unit::State;
use model::unit::board::RunEnd;
use model::unit::{Cause, Exit};
use serde_json::{Value, json};

use crate::events::Stream;
use crate::rig::{Client, Rig};
use crate::staged::{Fate, Staged, now, queue, run, unit, usage};

/// A server with two services of which the second is disabled.
async fn served() -> (Staged, Rig, Client) {
    let mut converter = unit("streaming", |u| {
        u.needs = vec![crate::staged::id("db")];
        u.tags = vec!["radio".to_owned()];
    });
    converter.queue = Some(queue());
    let off = unit("off", |u| (u.enabled, u.form) = (false, None));
    let staged = Staged::new(vec![converter, off]);
    let rig = Rig::with_units(staged.units.clone()).await;
    let admin = rig.admin().await;
    (staged, rig, admin)
}

#[tokio::test]
async fn services_are_listed_with_all_that_a_page_shows() {
    let (staged, rig, admin) = served().await;
    staged.change("streaming", |u| {
        (u.state, u.run, u.usage) = (State::Running, Some(run(4711)), Some(usage()));
    });
    let all = admin.get("/api/v1/services").await.json();
    assert_eq!(all["services"].as_array().map(Vec::len), Some(2), "{all}");
    assert!(all["version"].as_u64() > Some(1) && all["at"].is_i64(), "{all}");
    let one = admin.get("/api/v1/services/streaming").await.json();
    assert_eq!((&one["id"], &one["kind"], &one["state"]), (&json!("streaming"), &json!("process"), &json!("running")));
    assert_eq!((&one["pid"], &one["has_form"], &one["needs"]), (&json!(4711), &json!(true), &json!(["db"])));
    assert_eq!(one["usage"]["cpu_percent"], json!(12.3));
    assert_eq!(one["queue"]["counts"][1], json!({ "state": "pending", "count": 3 }));
    assert!(one["uptime_seconds"].as_f64().is_some_and(|s| (0.0..60.0).contains(&s)), "{one}");
    let keys = |v: &Value| v.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&one),
        "budgets cause container description enabled group has_form health health_reason id kind last_end last_heartbeat \
         last_output name needs next_start on_fallback pending pid queue reason restarts since started_at state tags \
         targets uptime_seconds usage waits_for wanted"
    );
    rig.stop().await;
}

#[tokio::test]
async fn commands_come_back_at_once_and_twice_is_harmless() {
    let (staged, rig, admin) = served().await;
    let operator = rig.program(&admin, "operator", false).await;
    let post = async |what: &str| {
        let reply = operator.send("POST", &format!("/api/v1/services/streaming/{what}"), None).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()
    };
    for (what, wanted, changed) in [
        ("stop", "stopped", false),
        ("start", "running", true),
        ("start", "running", false),
        ("restart", "running", true),
        ("stop", "stopped", true),
        ("stop", "stopped", false),
        ("restart", "running", true),
    ] {
        assert_eq!(post(what).await, json!({ "wanted": wanted, "changed": changed }), "{what}");
    }
    assert_eq!(staged.asked()[1], "Start streaming by token:test operator");
    let audit = admin.get("/api/v1/audit").await.text();
    assert_eq!(audit.matches("\"started a service\"").count(), 1, "only what changed something: {audit}");
    assert_eq!(audit.matches("\"restarted a service\"").count(), 2, "{audit}");
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_has_its_code() {
    let (staged, rig, admin) = served().await;
    let long = "a".repeat(5000);
    for id in ["none", "..", "%2e%2e%2fetc", "streaming%00", "STREAMING", "a%20b", &long, "%F0%9F%92%A9", "%FF"] {
        for (method, rest) in
            [("GET", ""), ("GET", "/spec"), ("GET", "/form"), ("POST", "/start"), ("POST", "/restart")]
        {
            let reply = admin.send(method, &format!("/api/v1/services/{id}{rest}"), None).await;
            let bad = matches!((reply.status, id), (404, _) | (400, "%FF"));
            assert!(bad, "{method} {id}{rest}: {} {}", reply.status, reply.text());
        }
    }
    assert!(staged.asked().is_empty(), "nobody was asked: {:?}", staged.asked());
    let refused = admin.send("POST", "/api/v1/services/off/start", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "conflict"));
    assert!(refused.text().contains("disabled"), "{}", refused.text());
    let none = admin.get("/api/v1/services/off/form").await;
    assert_eq!((none.status, none.code().as_str()), (404, "not_found"), "{}", none.text());
    assert!(none.text().contains("no form"), "{}", none.text());
    rig.stop().await;
}

#[tokio::test]
async fn a_form_is_changed_key_by_key_and_never_by_halves() {
    let (staged, rig, admin) = served().await;
    let path = "/api/v1/services/streaming/form";
    let form = admin.get(path).await.json();
    assert_eq!(form["schema"]["properties"]["max_workers"]["maximum"], 32);
    assert_eq!(
        (&form["schema"]["required"], &form["schema"]["additionalProperties"]),
        (&json!(["input_dir"]), &json!(false))
    );
    assert_eq!(form["order"][0], "input_dir");
    assert_eq!((&form["values"]["max_workers"], &form["secrets_set"]), (&json!(4), &json!([])));

    let body = json!({ "max_workers": 2, "poll_interval": 3, "api_token": "pl4nted-form" });
    let changed = admin.send("PATCH", path, Some(body)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let form = changed.json();
    assert_eq!((&form["values"]["max_workers"], &form["values"]["poll_interval"]), (&json!(2), &json!(3.0)));
    assert_eq!((&form["values"]["log_level"], &form["secrets_set"]), (&json!("INFO"), &json!(["api_token"])));
    assert!(!changed.text().contains("pl4nted"), "{}", changed.text());

    let body = json!({ "max_workers": null, "api_token": "***" });
    let form = admin.send("PATCH", path, Some(body)).await.json();
    assert_eq!((&form["values"]["max_workers"], &form["secrets_set"]), (&json!(4), &json!(["api_token"])));

    let before = staged.asked().len();
    for (body, key) in [
        (json!({ "max_workers": 99, "log_level": "DEBUG" }), "max_workers"),
        (json!({ "max_workerz": 1 }), "max_workerz"),
        (json!({ "log_level": ["a"], "max_workers": 1 }), "log_level"),
    ] {
        let reply = admin.send("PATCH", path, Some(body)).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid"), "{}", reply.text());
        assert_eq!(reply.json()["error"]["problems"][0]["path"], key);
    }
    let values = &admin.get(path).await.json()["values"];
    assert_eq!((&values["max_workers"], &values["log_level"]), (&json!(4), &json!("INFO")), "nothing was touched");
    assert_eq!(staged.asked().len(), before + 2, "what no key can hold is not even asked for");
    for body in [json!([1]), json!("x"), json!(null)] {
        assert_eq!(admin.send("PATCH", path, Some(body)).await.status, 400);
    }
    let long = json!({ "log_level": "x".repeat(300 * 1024) });
    assert_eq!(admin.send("PATCH", path, Some(long)).await.status, 413);
    let audit = admin.get("/api/v1/audit").await.text();
    assert!(audit.contains("api_token, max_workers, poll_interval") && !audit.contains("pl4nted"), "{audit}");
    rig.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_commands_nothing() {
    let (staged, rig, admin) = served().await;
    for (method, path) in [("POST", "/api/v1/services/streaming/start"), ("PATCH", "/api/v1/services/streaming/form")] {
        let reply = admin.send_with(method, path, &[("Origin", "http://evil".to_owned())], Some(json!({}))).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "csrf_failed"), "{path}");
    }
    assert!(staged.asked().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn what_a_service_is_shows_no_secret() {
    let (_staged, rig, admin) = served().await;
    let reply = admin.get("/api/v1/services/streaming/spec").await;
    assert!(!reply.text().contains("pl4nted"), "{}", reply.text());
    let spec = reply.json();
    assert_eq!(spec["process"]["argv"], json!(["/opt/convert", "--password", "***", "--in={input_dir}", "--psk=***"]));
    assert_eq!(spec["process"]["env"][0], json!({ "name": "OMP_NUM_THREADS", "value": "4", "secret": false }));
    assert_eq!(spec["process"]["env"][2], json!({ "name": "CAMERA", "value": "***", "secret": true }));
    assert_eq!((&spec["restart"]["policy"], &spec["stop_grace_ms"]), (&json!("always"), &json!(2000)));
    let viewer = rig.program(&admin, "viewer", false).await;
    assert_eq!(viewer.get("/api/v1/services/streaming/spec").await.status, 403);
    rig.stop().await;
}

#[tokio::test]
async fn words_about_a_service_show_no_secret() {
    let (staged, rig, admin) = served().await;
    staged.change("streaming", |u| {
        u.reason = "cannot open rtsp://u:pl4nted@cam/ with pl4nted-secret-env".to_owned();
        u.health_reason = Some("pl4nted-secret-env is wrong".to_owned());
        let last_lines = vec!["token=pl4nted-secret-env".to_owned()];
        u.last_end = Some(RunEnd { exit: Exit::Code(1), at: now(), ran_ms: 5, last_lines });
        u.queue.as_mut().expect("counted").error = Some("http://u:pl4nted@h/ refused".to_owned());
    });
    let mut stream = Stream::open(&admin).await;
    let told = stream.next("services").await.expect("told").to_string();
    for text in [admin.get("/api/v1/services").await.text(), told] {
        assert!(!text.contains("pl4nted"), "{text}");
        assert!(text.contains("token=***"), "{text}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn pages_are_told_of_changes_at_once_and_of_values_now_and_then() {
    let (staged, rig, admin) = served().await;
    let mut stream = Stream::open(&admin).await;
    let whole = stream.next("services").await.expect("the whole first");
    assert_eq!(whole["services"].as_array().map(Vec::len), Some(2));
    admin.send("POST", "/api/v1/services/streaming/start", None).await;
    let told = stream.next("service").await.expect("a change");
    assert_eq!((&told["id"], &told["state"]), (&json!("streaming"), &json!("running")));
    // A measurement so soon after waits; what matters does not, and brings the values with it.
    staged.change("streaming", |u| u.usage.as_mut().expect("measured").threads = 77);
    staged.change("off", |u| u.reason = "looked at".to_owned());
    assert_eq!(stream.next("service").await.expect("the other")["id"], "off");
    staged.change("streaming", |u| (u.state, u.cause) = (State::Stopping, Cause::Command));
    let told = stream.next("service").await.expect("a change");
    assert_eq!((&told["state"], &told["usage"]["threads"]), (&json!("stopping"), &json!(77)));
    // One that was held back comes by itself.
    staged.change("streaming", |u| u.usage.as_mut().expect("measured").threads = 78);
    let told = tokio::time::timeout(Duration::from_secs(15), stream.next("service")).await.expect("in time");
    assert_eq!(told.expect("a change")["usage"]["threads"], 78);
    // Services that come and go are told as a whole.
    staged.board.send_modify(|board| std::sync::Arc::make_mut(board).units.truncate(1));
    assert_eq!(stream.next("services").await.expect("the whole")["services"].as_array().map(Vec::len), Some(1));
    rig.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_ever_for_an_engine_that_hangs() {
    let (staged, rig, admin) = served().await;
    staged.fate(Fate::Hangs);
    let reply = admin.send("POST", "/api/v1/services/streaming/start", None).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"), "{}", reply.text());
    rig.stop().await;
}
