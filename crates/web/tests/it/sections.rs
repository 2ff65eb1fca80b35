//! Sections of the file by form, and how sinks are.

use serde_json::json;
use testkit::http::{HttpPeer, Reply};

use crate::rig::{Rig, SERVER, TARGETS};

const INFLUX: &str = "influxdb: # all looks\n  url: http://127.0.0.1:9 # a port of nobody\n  database: d\n  username: u\n  password: hunter2hunter\n";

#[tokio::test]
async fn a_section_is_read_masked_and_written_with_its_comments() {
    let rig = Rig::with(&format!("{SERVER}{INFLUX}{TARGETS}"), true).await;
    let admin = rig.admin().await;
    let all = admin.get("/api/v1/sections").await.json();
    let names: Vec<_> = all["sections"].as_array().expect("a list").iter().map(|s| s["name"].clone()).collect();
    assert!(names.contains(&json!("influxdb")) && names.contains(&json!("alerts.rules")), "{names:?}");
    let shown = admin.get("/api/v1/sections/influxdb").await.json();
    let values = json!({ "url": "http://127.0.0.1:9", "database": "d", "username": "u", "password": "***" });
    assert_eq!((&shown["values"], &shown["list"]), (&values, &json!(false)));
    assert!(shown["fields"].as_array().is_some_and(|f| f.iter().any(|f| f["key"] == "token" && f["type"] == "secret")));

    // The mask stands for the password; a key that is left out goes; another is added.
    let mut new = values.clone();
    new["interval"] = json!("5s");
    new["database"] = json!("e");
    let reply = admin.send("PUT", "/api/v1/sections/influxdb", Some(new)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let wanted = INFLUX.replace("database: d", "database: e") + "  interval: 5s\n";
    assert_eq!(rig.config_text(), format!("{SERVER}{wanted}{TARGETS}"));
    let bucket = json!({ "url": "http://127.0.0.1:9", "bucket": "b", "token": "hunter2token" });
    assert_eq!(admin.send("PUT", "/api/v1/sections/influxdb", Some(bucket)).await.status, 200);
    assert!(!rig.config_text().contains("hunter2hunter") && rig.config_text().contains("token: hunter2token"));

    // Elsewhere the secret does not go, and problems name their keys.
    let away = json!({ "url": "http://evil.example", "bucket": "b", "token": "***" });
    assert_eq!(admin.send("PUT", "/api/v1/sections/influxdb", Some(away)).await.status, 422);
    let bad = json!({ "url": "http://127.0.0.1:9", "bucket": "b", "interval": "soon", "tocken": "x" });
    let reply = admin.send("PUT", "/api/v1/sections/influxdb", Some(bad)).await;
    assert_eq!(reply.status, 422);
    let problems = reply.json()["error"]["problems"].to_string();
    assert!(problems.contains("influxdb.interval") && problems.contains("did you mean token?"), "{problems}");
    assert_eq!(admin.send("DELETE", "/api/v1/sections/influxdb", None).await.status, 200);
    assert_eq!(rig.config_text(), format!("{SERVER}{TARGETS}"));
    for (method, path) in [
        ("GET", "/api/v1/sections/server"),
        ("PUT", "/api/v1/sections/alerts.rules"),
        ("POST", "/api/v1/sections/influxdb/items"),
        ("PUT", "/api/v1/sections/alerts.rules/items/Nobody"),
        ("DELETE", "/api/v1/sections/alerts.rules/items/Nobody"),
    ] {
        let body = (method != "GET").then(|| json!({}));
        assert_eq!(admin.send(method, path, body).await.status, 404, "{method} {path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn items_of_lists_are_added_written_and_taken_out_by_name() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let rules = "/api/v1/sections/alerts.rules";
    let rule = json!({ "status": ["down"], "name": "Gate, down", "severity": "critical", "for": null });
    let reply = admin.send("POST", &format!("{rules}/items"), Some(rule)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let added = "alerts:\n  rules:\n    - name: 'Gate, down'\n      status: [down]\n      severity: critical\n";
    assert_eq!(rig.config_text(), format!("{SERVER}{TARGETS}{added}"));
    let item = format!("{rules}/items/Gate%2C%20down");
    let other = json!({ "name": "Gate", "status": ["down", "degraded"], "for": "10s" });
    assert_eq!(admin.send("PUT", &item, Some(other)).await.status, 200);
    let shown = admin.get(rules).await.json();
    assert_eq!(shown["values"], json!([{ "name": "Gate", "status": ["down", "degraded"], "for": "10s" }]));
    // Keys of the section leave its rules alone.
    let reply = admin.send("PUT", "/api/v1/sections/alerts", Some(json!({ "flap_changes": 5 }))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(rig.config_text().contains("flap_changes: 5") && rig.config_text().contains("name: Gate"));
    assert_eq!(admin.send("DELETE", &format!("{rules}/items/Gate"), None).await.status, 200);
    assert!(!rig.config_text().contains("Gate"), "{}", rig.config_text());
    let audit = admin.get("/api/v1/audit").await.text();
    assert!(audit.contains("added an item") && audit.contains("alerts.rules: Gate"), "{audit}");
    rig.stop().await;
}

#[tokio::test]
async fn a_sink_is_tried_with_what_the_form_holds() {
    let peer = HttpPeer::with(|request| match request.header("Authorization") {
        Some("Token hunter2token") => Reply::Whole(204, Vec::new(), Vec::new()),
        other => Reply::text(401, format!("not {other:?}")),
    })
    .await;
    let influx = format!("influxdb: {{url: '{}', bucket: b, token: hunter2token}}\n", peer.url(""));
    let rig = Rig::with(&format!("{SERVER}{influx}{TARGETS}"), true).await;
    let admin = rig.admin().await;
    let test =
        |values| admin.send("POST", "/api/v1/sinks/test", Some(json!({ "section": "influxdb", "values": values })));
    let good = test(json!({ "url": peer.url(""), "bucket": "c", "token": "***", "org": null })).await;
    assert_eq!(good.status, 200, "{}", good.text());
    assert_eq!(good.json()["ok"], json!(true), "{}", good.text());
    assert_eq!(peer.requests()[0].target, "/api/v2/write?bucket=c&precision=ms");
    let bad = test(json!({ "url": peer.url(""), "bucket": "c", "token": "wrong-token" })).await;
    let words = bad.json()["words"].as_str().expect("words").to_owned();
    assert!(bad.json()["ok"] == json!(false) && words.contains("401") && !words.contains("wrong-token"), "{words}");
    assert_eq!(test(json!({ "url": peer.url("") })).await.status, 422);
    let other = admin.send("POST", "/api/v1/sinks/test", Some(json!({ "section": "alerts", "values": {} }))).await;
    assert_eq!(other.status, 404);
    assert_eq!(admin.get("/api/v1/sinks").await.json(), json!({ "sinks": [] }));
    rig.stop().await;
}

#[tokio::test]
async fn channels_are_set_up_tried_and_what_they_lost_is_seen() {
    let hook = HttpPeer::with(|request| match request.target.as_str() {
        "/good" => Reply::Whole(204, Vec::new(), Vec::new()),
        _ => Reply::text(404, "no such hook"),
    })
    .await;
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let viewer = rig.program(&admin, "viewer", false).await;
    let shown = admin.get("/api/v1/sections/channels").await.json();
    let kinds: Vec<_> = shown["kinds"].as_array().expect("a list").iter().map(|k| k["name"].clone()).collect();
    assert!(shown["list"] == json!(true) && kinds.contains(&json!("webhook")) && shown["values"].is_null());
    for (name, path) in [("ops", "/good"), ("bad", "/bad")] {
        let channel = json!({ "name": name, "kind": "webhook", "url": hook.url(path) });
        let reply = admin.send("POST", "/api/v1/sections/channels/items", Some(channel)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let added = format!("channels:\n  - name: ops\n    kind: webhook\n    url: {}\n", hook.url("/good"));
    assert!(rig.config_text().contains(&added), "{}", rig.config_text());
    let good = admin.send("POST", "/api/v1/channels/ops/test", None).await.json();
    assert_eq!(good["ok"], json!(true), "{good}");
    let bad = admin.send("POST", "/api/v1/channels/bad/test", None).await.json();
    assert!(bad["ok"] == json!(false) && bad["words"].as_str().is_some_and(|w| w.contains("404")), "{bad}");
    let channels = viewer.get("/api/v1/channels").await.json();
    assert_eq!(channels["channels"][0]["now"]["ok"], json!(true), "{channels}");
    assert_eq!(channels["channels"][1]["now"]["ok"], json!(false), "{channels}");
    assert_eq!(admin.send("POST", "/api/v1/channels/nobody/test", None).await.status, 404);

    // A message that no attempt can deliver is given up, seen, tried again and forgotten.
    let message = model::alert::Notification {
        key: "k".into(),
        alert: "a".into(),
        at: rig.now(),
        began_at: rig.now(),
        stage: model::alert::Stage::Raised,
        severity: model::alert::Severity::Critical,
        rule: "Gate down".into(),
        title: "Gate is down".into(),
        text: "no answer".into(),
        subjects: Vec::new(),
        explains: Vec::new(),
        more: 0,
        path: String::new(),
        note: None,
    };
    let names = ["ops".to_owned(), "bad".to_owned()];
    rig.handle.outbox().submit(&message, &names).await.expect("kept");
    let seen = |state: &'static str, channel: &'static str| {
        let viewer = &viewer;
        async move {
            let path = format!("/api/v1/outbox?state={state}");
            let end = tokio::time::Instant::now() + crate::rig::PATIENCE;
            loop {
                let all = viewer.get(&path).await.json();
                let mine =
                    all["messages"].as_array().expect("a list").iter().find(|m| m["channel"] == channel).cloned();
                if let Some(mine) = mine {
                    return mine;
                }
                assert!(tokio::time::Instant::now() < end, "{state} {channel}: {all}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    };
    assert_eq!(seen("sent", "ops").await["title"], json!("Gate is down"));
    let dead = seen("dead", "bad").await;
    assert_eq!((&dead["severity"], &dead["stage"]), (&json!("critical"), &json!("raised")));
    assert!(dead["error"].as_str().is_some_and(|e| e.contains("404")), "{dead}");
    let row = dead["row"].as_i64().expect("a row");
    assert_eq!(viewer.send("POST", &format!("/api/v1/outbox/{row}/retry"), None).await.status, 403);
    assert_eq!(admin.send("POST", &format!("/api/v1/outbox/{row}/retry"), None).await.status, 204);
    let again = seen("dead", "bad").await;
    assert_eq!(again["row"].as_i64(), Some(row));
    let reply = admin.send("DELETE", &format!("/api/v1/outbox/{row}"), None).await;
    assert!(matches!(reply.status, 204), "{}", reply.text());
    assert_eq!(admin.send("DELETE", &format!("/api/v1/outbox/{row}"), None).await.status, 404);
    assert_eq!(admin.get("/api/v1/outbox?state=lost").await.status, 400);
    rig.stop().await;
}
