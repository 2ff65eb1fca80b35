//! Alerts through the API: seen, acknowledged, muted, in the history; planned work begun by hand and seen in the calendar.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::rig::{Client, PATIENCE, Rig, SERVER, TARGETS};

/// The window is of a target that no test asks about: it is there at some hour of every day.
const ALERTS: &str = "channels:\n  - {name: hook, kind: webhook, url: 'http://127.0.0.1:9/'}\nalerts:\n  rules:\n    - {name: Down, status: down, severity: critical}\n    - {name: Slow, reading: took_ms, above: 60000}\nmaintenance:\n  - {name: Updates, days: daily, from: '03:00', until: '04:00', timezone: Asia/Tokyo, targets: [odd]}\n";

/// Asks until the answer is as it should be.
async fn until(client: &Client, path: &str, what: &str, state: impl Fn(&Value) -> bool) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = client.get(path).await.json();
        if state(&seen) {
            return seen;
        }
        assert!(tokio::time::Instant::now() < end, "never {what}: {seen}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn rig() -> (Rig, Client, Client, Client) {
    // The path /b fails from the first look on.
    let targets = TARGETS.replace("interval: 1h", "interval: 1h\n    fail_after: 1");
    let rig = Rig::with(&format!("{SERVER}{ALERTS}{targets}"), true).await;
    let admin = rig.admin().await;
    let viewer = rig.program(&admin, "viewer", false).await;
    let operator = rig.program(&admin, "operator", false).await;
    (rig, admin, viewer, operator)
}

#[tokio::test]
async fn an_alert_is_seen_acknowledged_muted_and_told_to_pages() {
    let (rig, admin, viewer, operator) = rig().await;
    let one = |a: &Value| a["alerts"].as_array().is_some_and(|l| l.len() == 1);
    let seen = until(&viewer, "/api/v1/alerts", "an alert", one).await;
    let alert = &seen["alerts"][0];
    assert_eq!(
        (&alert["rule"], &alert["severity"], &alert["about"]),
        (&json!("Down"), &json!("critical"), &json!({ "kind": "target", "id": "bad" }))
    );
    assert!(alert["cause"].as_str().is_some_and(|c| c.contains("refused")), "{alert}");
    let key = alert["key"].clone();

    let say = json!({ "key": key, "note": " somebody is on the way " });
    assert_eq!(viewer.send("POST", "/api/v1/alerts/acknowledge", Some(say.clone())).await.status, 403);
    assert_eq!(operator.send("POST", "/api/v1/alerts/acknowledge", Some(say)).await.status, 204);
    let acked = |a: &Value| a["alerts"][0]["note"] == "somebody is on the way";
    let seen = until(&viewer, "/api/v1/alerts", "acknowledged", acked).await;
    assert!(seen["alerts"][0]["acked_by"].as_str().is_some_and(|by| by.contains("operator")), "{seen}");
    let nobody = json!({ "key": "no such" });
    assert_eq!(operator.send("POST", "/api/v1/alerts/acknowledge", Some(nobody)).await.status, 404);
    assert_eq!(operator.send("POST", "/api/v1/alerts/unacknowledge", Some(json!({ "key": key }))).await.status, 204);
    until(&viewer, "/api/v1/alerts", "taken back", |a| a["alerts"][0]["acked_by"].is_null()).await;

    let mute = json!({ "target": "bad", "note": "known", "until": rig.now().0 + 3_600_000 });
    assert_eq!(operator.send("POST", "/api/v1/alerts/mute", Some(mute)).await.status, 204);
    let muted = |a: &Value| a["mutes"][0]["note"] == "known" && a["mutes"][0]["target"] == "bad";
    until(&viewer, "/api/v1/alerts", "muted", muted).await;
    assert_eq!(operator.send("POST", "/api/v1/alerts/unmute", Some(json!({ "target": "bad" }))).await.status, 204);
    until(&viewer, "/api/v1/alerts", "not muted", |a| a["mutes"] == json!([])).await;
    for bad in [json!({}), json!({ "target": "bad", "until": 5 }), json!({ "target": "NO" })] {
        let status = operator.send("POST", "/api/v1/alerts/mute", Some(bad.clone())).await.status;
        assert!(matches!(status, 400 | 404), "{status} {bad}");
    }

    // Pages are told when they come, and of every change.
    let mut events = viewer.open("GET", "/api/v1/events", &[], "").await;
    let mut text = String::new();
    let mut bytes = vec![0; 64 * 1024];
    while !text.contains("\"open\":1") {
        let n = tokio::time::timeout(PATIENCE, events.read(&mut bytes)).await.expect("in time").expect("readable");
        assert!(n > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    assert!(text.contains("event: alerts") && text.contains("\"worst\":\"critical\""), "{text}");
    operator.send("POST", "/api/v1/alerts/acknowledge", Some(json!({ "key": key }))).await;
    while !text.contains("\"active\":1,\"open\":0") {
        let n = tokio::time::timeout(PATIENCE, events.read(&mut bytes)).await.expect("in time").expect("readable");
        assert!(n > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    drop(events);

    // A rule that is gone ends its alerts; the history has them.
    assert_eq!(admin.send("DELETE", "/api/v1/sections/alerts.rules/items/Down", None).await.status, 200);
    let past =
        until(&viewer, "/api/v1/alerts/history", "in the history", |h| h["alerts"][0]["ended_at"].is_i64()).await;
    assert_eq!((&past["alerts"][0]["target"], &past["alerts"][0]["name"]), (&json!("bad"), &json!("Bad")));
    assert_eq!(viewer.get("/api/v1/alerts/history?target=good").await.json()["alerts"], json!([]));
    assert_eq!(viewer.get("/api/v1/alerts/history?from=5&to=1").await.status, 400);
    rig.stop().await;
}

#[tokio::test]
async fn planned_work_is_in_the_calendar_and_begins_and_ends_by_hand() {
    let (rig, _, viewer, operator) = rig().await;
    let day = 86_400_000;
    let from = 1_795_132_800_000_i64; // 2026-11-20T00:00:00Z
    let seen = viewer.get(&format!("/api/v1/maintenance?from={from}&to={}", from + 7 * day)).await.json();
    let times = seen["times"].as_array().expect("a list");
    assert_eq!((times.len(), &seen["zones"]["Updates"]), (7, &json!("Asia/Tokyo")), "{seen}");
    // Three in the morning in Tokyo is six in the evening before, by UTC.
    assert_eq!(
        times[0],
        json!({ "name": "Updates", "ad_hoc": false, "from": from + 18 * 3_600_000, "until": from + 19 * 3_600_000 })
    );

    let work = json!({ "name": "New switch", "until": rig.now().0 + 3_600_000, "targets": ["good"] });
    assert_eq!(viewer.send("POST", "/api/v1/maintenance", Some(work.clone())).await.status, 403);
    assert_eq!(operator.send("POST", "/api/v1/maintenance", Some(work)).await.status, 204);
    until(&viewer, "/api/v1/targets/good", "in maintenance", |t| t["status"] == "maintenance").await;
    let seen = viewer.get("/api/v1/maintenance").await.json();
    assert_eq!((&seen["targets"]["good"], &seen["targets"]["bad"]), (&json!("New switch"), &Value::Null));
    assert!(
        seen["windows"]
            .as_array()
            .is_some_and(|w| w.iter().any(|w| w["name"] == "New switch" && w["active"] == json!(true)))
    );
    assert_eq!(operator.send("DELETE", "/api/v1/maintenance/New%20switch", None).await.status, 204);
    until(&viewer, "/api/v1/maintenance", "over", |m| m["targets"]["good"].is_null()).await;
    assert_eq!(operator.send("DELETE", "/api/v1/maintenance/New%20switch", None).await.status, 404);
    let past = json!({ "name": "x", "until": 5 });
    assert_eq!(operator.send("POST", "/api/v1/maintenance", Some(past)).await.status, 400);
    let unknown = json!({ "name": "x", "until": rig.now().0 + 1000, "targets": ["nobody"] });
    assert_eq!(operator.send("POST", "/api/v1/maintenance", Some(unknown)).await.status, 404);
    rig.stop().await;
}
