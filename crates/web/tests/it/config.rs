//! The configuration file through the API.

use serde_json::json;

use crate::rig::{Rig, SERVER, TARGETS};

#[tokio::test]
async fn the_text_goes_out_without_secrets_and_comes_back_whole() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let shown = admin.get("/api/v1/config").await.json();
    let text = shown["text"].as_str().expect("text");
    assert!(!text.contains("hunter2") && text.contains("http://u:***@127.0.0.1:9/a?token=***"), "{text}");
    assert_eq!(shown["hash"], shown["in_effect_hash"]);
    assert_eq!(shown["problems"], json!([]));

    let edited = text.replace("id: bad", "id: bad\n    group: Yard # added on the page");
    let put = json!({ "text": edited, "expected_hash": shown["hash"] });
    let reply = admin.send("PUT", "/api/v1/config", Some(put.clone())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let wanted = format!("{SERVER}{TARGETS}").replace("id: bad", "id: bad\n    group: Yard # added on the page");
    assert_eq!(rig.config_text(), wanted, "byte for byte, with its secrets");
    assert_eq!(admin.get("/api/v1/targets/bad").await.json()["group"], "Yard");

    let late = admin.send("PUT", "/api/v1/config", Some(put)).await;
    assert_eq!((late.status, late.code().as_str()), (409, "config_changed"));
    rig.stop().await;
}

#[tokio::test]
async fn a_bad_text_is_refused_with_every_problem_and_changes_nothing() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let hash = admin.get("/api/v1/config").await.json()["hash"].clone();
    let bad = format!("{SERVER}targets:\n  - name: A\n    url: nonsense\n    intervall: 5s\n");
    let put = json!({ "text": bad, "expected_hash": hash });
    let reply = admin.send("PUT", "/api/v1/config", Some(put)).await;
    assert_eq!(reply.status, 422);
    let problems = reply.json()["error"]["problems"].as_array().expect("problems").clone();
    assert!(problems.len() >= 2 && problems.iter().all(|p| p["line"].is_u64()), "{problems:?}");
    assert_eq!(rig.config_text(), format!("{SERVER}{TARGETS}"));
    let checked = admin.send("POST", "/api/v1/config/validate", Some(json!({ "text": bad }))).await.json();
    assert_eq!(checked["problems"].as_array().map(Vec::len), Some(problems.len()));
    let fine = admin.get("/api/v1/config").await.json()["text"].clone();
    let checked = admin.send("POST", "/api/v1/config/validate", Some(json!({ "text": fine }))).await.json();
    assert_eq!(checked["problems"], json!([]), "masked secrets are no problem");
    rig.stop().await;
}

#[tokio::test]
async fn a_mask_without_a_secret_asks_for_it() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let shown = admin.get("/api/v1/config").await.json();
    let moved = shown["text"].as_str().expect("text").replace("u:***@127.0.0.1:9", "u:***@evil.example");
    let put = json!({ "text": moved, "expected_hash": shown["hash"] });
    let reply = admin.send("PUT", "/api/v1/config", Some(put)).await;
    assert_eq!(reply.status, 422);
    let problem = &reply.json()["error"]["problems"][0];
    assert!(problem["message"].as_str().is_some_and(|m| m.contains("***")) && problem["line"].is_u64(), "{problem}");
    rig.stop().await;
}

#[tokio::test]
async fn settings_are_keys_of_the_file() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let reply = admin.send("PATCH", "/api/v1/settings", Some(json!({ "timezone": "Asia/Calcutta" }))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(rig.config_text().contains("timezone: Asia/Calcutta"));
    assert_eq!(admin.get("/api/v1/session").await.json()["timezone"], "Asia/Calcutta");
    let zone = admin.get("/api/cfg").await.json();
    assert_eq!(zone, json!({ "timezone": "Asia/Calcutta", "utc_offset": "+05:30", "timezone_set": true }));
    for bad in [json!({}), json!({ "targets": [] }), json!({ "timezone": "Nowhere/Land" })] {
        let reply = admin.send("PATCH", "/api/v1/settings", Some(bad.clone())).await;
        assert!(matches!(reply.status, 400 | 422), "{bad}: {}", reply.status);
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_said_by_the_answer() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let at_once = admin.send("PATCH", "/api/v1/settings", Some(json!({ "timezone": "Europe/Zurich" }))).await.json();
    assert_eq!(at_once["notes"], json!([]), "{at_once}");
    let later = admin.send("PATCH", "/api/v1/settings", Some(json!({ "server.session": "2h" }))).await.json();
    let wanted = json!(["server.session: this change takes effect after a restart"]);
    assert_eq!(later["notes"], wanted, "{later}");
    let shown = admin.get("/api/v1/config").await.json();
    let text = shown["text"].as_str().expect("text").replace("Europe/Zurich", "UTC");
    let put = json!({ "text": text, "expected_hash": shown["hash"] });
    assert_eq!(admin.send("PUT", "/api/v1/config", Some(put)).await.json()["notes"], wanted, "as long as it is so");
    rig.stop().await;
}

#[tokio::test]
async fn the_form_is_described() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let form = admin.get("/api/v1/kinds").await.json();
    let keys = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().expect("list").iter().map(|f| f["key"].as_str().expect("key").to_owned()).collect()
    };
    assert!(keys(&form["common"]).contains(&"interval".to_owned()), "{form}");
    assert!(keys(&form["expect"]).contains(&"warn_after".to_owned()), "{form}");
    let kinds: Vec<_> =
        form["kinds"].as_array().expect("kinds").iter().map(|k| k["name"].as_str().expect("name")).collect();
    assert!(kinds.contains(&"rtsp") && kinds.contains(&"http"), "{kinds:?}");
    assert!(admin.get("/api/v1/config/schema").await.json().is_object());
    assert!(admin.get("/api/v1/openapi.json").await.json()["paths"].is_object());
    rig.stop().await;
}
