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
    let reply = admin.send("PUT", "/api/v1/sections/alerts", Some(json!({ "limit": 5 }))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(rig.config_text().contains("limit: 5") && rig.config_text().contains("name: Gate"));
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
