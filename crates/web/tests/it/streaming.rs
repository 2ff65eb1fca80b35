//! The routes of streaming control: the shapes of the original, and what the original did wrong done right.

use model::unit::board::RunEnd;
use model::unit::{Exit, Health, State};
use serde_json::{Value, json};

use crate::rig::{Client, Reply, Rig};
use crate::staged::{Fate, Staged, id, now, queue, run, unit, usage};

async fn served() -> (Staged, Rig, Client) {
    let other = unit("aaa", |_| ());
    let mut converter = unit("streaming", |_| ());
    converter.queue = Some(queue());
    let staged = Staged::new(vec![other, converter]);
    let rig = Rig::with_units(staged.units.clone()).await;
    let admin = rig.admin().await;
    (staged, rig, admin)
}

fn keys(v: &Value) -> String {
    v.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ")
}

/// Status code, success, and words.
fn said(reply: &Reply) -> (u16, bool, String) {
    let body = reply.json();
    (reply.status, body["success"] == json!(true), body["message"].as_str().unwrap_or_default().to_owned())
}

/// Replaces what differs from run to run by its type.
fn stable(mut v: Value) -> Value {
    for key in ["started_at", "uptime_seconds", "last_heartbeat"] {
        if let Some(one) = v.get_mut(key).filter(|one| !one.is_null()) {
            *one = json!(if one.is_string() { "<time>" } else { "<seconds>" });
        }
    }
    v
}

#[tokio::test]
async fn answers_have_the_names_and_types_of_the_original() {
    let (staged, rig, admin) = served().await;
    let config = json!({ "input_dir": "/data/in", "log_level": "INFO", "max_workers": 4, "poll_interval": 5.0,
                         "monitoring": true, "api_token": null });
    let get = async |what: &str| stable(admin.get(&format!("/api/streaming/{what}")).await.json());
    assert_eq!(
        get("status").await,
        json!({ "running": false, "pid": null, "started_at": null, "uptime_seconds": null, "cpu_percent": null,
                "memory_mb": null, "last_heartbeat": null, "config": config, "error": null })
    );
    staged.change("streaming", |u| {
        (u.state, u.run, u.usage, u.last_output) = (State::Running, Some(run(4711)), Some(usage()), Some(now()));
    });
    assert_eq!(
        get("status").await,
        json!({ "running": true, "pid": 4711, "started_at": "<time>", "uptime_seconds": "<seconds>",
                "cpu_percent": 12.34, "memory_mb": 64.0, "last_heartbeat": "<time>", "config": config, "error": null })
    );
    assert_eq!(
        get("health").await,
        json!({ "healthy": true, "running": true, "uptime_seconds": "<seconds>", "cpu_percent": 12.34,
                "memory_mb": 64.0, "error": null })
    );
    let stats = json!({ "collecting": 1, "pending": 3, "in_progress": 2, "completed": 40, "failed": 5 });
    assert_eq!(
        get("metrics").await,
        json!({ "service_running": true, "uptime_seconds": "<seconds>", "cpu_percent": 12.34, "memory_mb": 64.0,
                "queue_stats": stats, "processing_rate_per_hour": 17 })
    );
    assert_eq!(
        get("mosaic-queue").await,
        json!({ "pending_count": 3, "in_progress_count": 2, "completed_count": 40, "failed_count": 5,
                "available_ms_count": null, "ms_until_next_mosaic": null, "error": null })
    );
    assert_eq!(get("config").await, config);
    let at = admin.get("/api/streaming/status").await.json()["started_at"].as_str().expect("text").to_owned();
    assert!(at.ends_with("+00:00") && at.as_bytes()[10] == b'T', "{at}");
    let control = admin.send("POST", "/api/streaming/stop", None).await.json();
    assert_eq!(control, json!({ "success": true, "message": "service stopped", "pid": 4711 }));
    rig.stop().await;
}

#[tokio::test]
async fn a_start_takes_an_empty_body_an_empty_object_or_values() {
    for (body, workers) in [("", 4), ("{}", 4), ("null", 4), (r#"{"max_workers":2}"#, 2)] {
        let (_staged, rig, admin) = served().await;
        for what in ["start", "restart"] {
            let headers = [("X-CSRF-Token", admin.csrf.clone().expect("signed in"))];
            let mut stream = admin.open("POST", &format!("/api/streaming/{what}"), &headers, body).await;
            let mut bytes = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await.expect("an answer");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"success\":true"), "{what} {body:?}: {text}");
        }
        let config = admin.get("/api/streaming/config").await.json();
        assert_eq!((&config["max_workers"], &config["log_level"]), (&json!(workers), &json!("INFO")), "{body:?}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_went_wrong_has_a_status_code_and_words() {
    let (staged, rig, admin) = served().await;
    let post = async |what: &str, body: Value| admin.send("POST", &format!("/api/streaming/{what}"), Some(body)).await;
    assert_eq!(said(&post("stop", json!({})).await), (409, false, "the service is not running".to_owned()));
    assert_eq!(said(&post("start", json!({})).await).0, 200);
    let twice = post("start", json!({})).await;
    assert_eq!(said(&twice), (409, false, "the service is already running".to_owned()));
    assert!(twice.json()["pid"].is_u64(), "{}", twice.text());
    post("stop", json!({})).await;

    staged.fate(Fate::Dies);
    let (status, success, words) = said(&post("start", json!({})).await);
    assert_eq!((status, success), (503, false));
    assert!(words.contains("exit code 3") && words.contains("ImportError"), "{words}");
    assert!(!words.contains("pl4nted"), "{words}");
    let all = admin.get("/api/streaming/status").await.json();
    assert!(all["error"].as_str().is_some_and(|e| e.contains("exit code 3") && e.contains("ImportError")), "{all}");
    assert_eq!(admin.get("/api/streaming/health").await.json()["healthy"], json!(false));
    rig.stop().await;
}

#[tokio::test]
async fn values_that_are_wrong_are_told_by_place_and_touch_nothing() {
    let (staged, rig, admin) = served().await;
    for what in ["config", "start", "restart"] {
        let path = format!("/api/streaming/{what}");
        let reply = admin.send("POST", &path, Some(json!({ "max_workers": 99, "log_level": "DEBUG" }))).await;
        assert_eq!((reply.status, &reply.json()["success"]), (422, &json!(false)), "{}", reply.text());
        assert_eq!(
            reply.json()["detail"],
            json!([{ "loc": ["body", "max_workers"], "msg": "must be from 1 to 32", "type": "value_error" }])
        );
        for (body, sort) in
            [("{", "json_invalid"), ("[1]", "dict_type"), ("\"x\"", "dict_type"), ("\u{0}", "json_invalid")]
        {
            let headers = [("X-CSRF-Token", admin.csrf.clone().expect("signed in"))];
            let mut stream = admin.open("POST", &path, &headers, body).await;
            let mut bytes = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await.expect("an answer");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(text.starts_with("HTTP/1.1 422") && text.contains(sort), "{what} {body:?}: {text}");
        }
    }
    let config = admin.get("/api/streaming/config").await.json();
    assert_eq!((&config["max_workers"], &config["log_level"]), (&json!(4), &json!("INFO")));
    assert_eq!(staged.units.now().get(&id("streaming")).expect("there").state, State::Stopped);
    rig.stop().await;
}

#[tokio::test]
async fn an_update_names_what_it_changes_and_the_service_runs_with_it() {
    let (staged, rig, admin) = served().await;
    let post = async |body: Value| admin.send("POST", "/api/streaming/config", Some(body)).await;
    let (status, success, words) = said(&post(json!({ "max_workers": 8 })).await);
    assert_eq!((status, success, words.as_str()), (200, true, "configuration updated (service not running)"));
    admin.send("POST", "/api/streaming/start", None).await;
    let before = admin.get("/api/streaming/status").await.json()["pid"].clone();
    let reply = post(json!({ "log_level": "DEBUG", "made_up": 1, "poll_interval": null })).await;
    let (status, success, words) = said(&reply);
    assert_eq!((status, success), (200, true), "{words}");
    assert!(words.contains("restarted") && words.contains("ignored: made_up"), "{words}");
    assert_ne!(reply.json()["pid"], before);
    let config = admin.get("/api/streaming/config").await.json();
    assert_eq!(
        (&config["max_workers"], &config["log_level"], &config["poll_interval"]),
        (&json!(8), &json!("DEBUG"), &json!(5.0))
    );
    // What a client reads it may send back as it is.
    let all = admin.get("/api/streaming/config").await.json();
    assert_eq!(said(&post(all.clone()).await).0, 200);
    assert_eq!(admin.get("/api/streaming/config").await.json(), all);
    staged.fate(Fate::Dies);
    let (status, success, words) = said(&post(json!({ "max_workers": 3 })).await);
    assert_eq!((status, success), (503, false), "{words}");
    rig.stop().await;
}

#[tokio::test]
async fn a_restart_with_values_happens_once() {
    let (staged, rig, admin) = served().await;
    admin.send("POST", "/api/streaming/start", None).await;
    let reply = admin.send("POST", "/api/streaming/restart", Some(json!({ "max_workers": 3 }))).await;
    assert_eq!(said(&reply), (200, true, "service restarted".to_owned()));
    let asked = staged.asked();
    assert_eq!(asked.len(), 2, "the change restarts it by itself: {asked:?}");
    let reply = admin.send("POST", "/api/streaming/restart", Some(json!({ "max_workers": 3 }))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(staged.asked().last().expect("asked").starts_with("Restart"), "{:?}", staged.asked());
    rig.stop().await;
}

#[tokio::test]
async fn roles_are_those_of_the_api_and_the_seed_has_a_detail() {
    let (staged, rig, admin) = served().await;
    let operator = rig.program(&admin, "operator", false).await;
    let reply = operator.send("POST", "/api/streaming/start", Some(json!({ "max_workers": 2 }))).await;
    assert_eq!((reply.status, said(&reply).1), (403, false), "{}", reply.text());
    assert!(staged.asked().is_empty());
    assert_eq!(operator.send("POST", "/api/streaming/start", Some(json!({}))).await.status, 200);
    let viewer = rig.program(&admin, "viewer", false).await;
    assert_eq!(viewer.get("/api/streaming/status").await.status, 200);
    let reply = viewer.send("POST", "/api/streaming/stop", None).await;
    assert_eq!(reply.status, 403);
    assert!(reply.json()["detail"].is_string(), "{}", reply.text());
    let reply = rig.stranger().get("/api/streaming/status").await;
    assert_eq!((reply.status, keys(&reply.json()).as_str()), (401, "detail message pid success"));
    rig.stop().await;
}

#[tokio::test]
async fn without_services_everything_says_so() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let status = admin.get("/api/streaming/status").await;
    assert_eq!((status.status, &status.json()["error"]), (200, &json!("no service is declared")));
    assert_eq!(admin.get("/api/streaming/health").await.json()["healthy"], json!(false));
    assert_eq!(admin.get("/api/streaming/metrics").await.json()["queue_error"], json!("no service is declared"));
    assert_eq!(admin.get("/api/streaming/mosaic-queue").await.json()["error"], json!("no service is declared"));
    for (method, what) in
        [("GET", "config"), ("POST", "config"), ("POST", "start"), ("POST", "stop"), ("POST", "restart")]
    {
        let body = (method == "POST").then(|| json!({}));
        let reply = admin.send(method, &format!("/api/streaming/{what}"), body).await;
        assert_eq!((reply.status, said(&reply).1), (404, false), "{method} {what}: {}", reply.text());
    }
    rig.stop().await;
}

#[tokio::test]
async fn memory_is_known_while_it_runs_and_bad_health_is_an_error() {
    let (staged, rig, admin) = served().await;
    staged.change("streaming", |u| (u.state, u.run) = (State::Running, Some(run(7))));
    let all = admin.get("/api/streaming/status").await.json();
    assert_eq!((&all["memory_mb"], &all["cpu_percent"]), (&json!(0.0), &json!(0.0)), "not measured yet");
    staged.change("streaming", |u| {
        (u.health, u.health_reason) = (Health::Unhealthy, Some("no line for 90 s".to_owned()));
        u.last_end = Some(RunEnd { exit: Exit::Unseen, at: now(), ran_ms: 1, last_lines: Vec::new() });
    });
    let health = admin.get("/api/streaming/health").await.json();
    assert_eq!((&health["healthy"], &health["error"]), (&json!(false), &json!("unhealthy: no line for 90 s")));
    staged.change("streaming", |u| {
        let queue = u.queue.as_mut().expect("counted");
        queue.counts.push(("available".to_owned(), 3));
        queue.error = Some("the database is locked".to_owned());
    });
    let mosaic = admin.get("/api/streaming/mosaic-queue").await.json();
    assert_eq!((&mosaic["available_ms_count"], &mosaic["ms_until_next_mosaic"]), (&json!(3), &json!(5)));
    assert_eq!(mosaic["error"], json!("the database is locked"));
    assert_eq!(admin.get("/api/streaming/metrics").await.json()["queue_error"], json!("the database is locked"));
    rig.stop().await;
}
