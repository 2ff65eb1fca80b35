//! Targets through the API: reading, adding, changing, removing, commands, history.

use serde_json::json;

use crate::rig::Rig;

#[tokio::test]
async fn targets_are_shown_as_the_page_needs_them() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let all = admin.get("/api/v1/targets").await.json();
    let good = &all["targets"][0];
    assert_eq!(good["url"], "http://u:***@127.0.0.1:9/a?token=***");
    assert_eq!((&good["status"], &good["interval_ms"], &good["reason"]), (&json!("up"), &json!(3_600_000), &json!("")));
    assert_eq!(good["last"]["facts"]["status_code"], 200);
    assert_eq!(good["last"]["tracks"][0]["codec"], "h264");
    assert_eq!(good["last"]["tracks"][0]["width"], json!(null), "what is unknown is null");
    let beat = good["beats"][0].as_array().expect("a beat");
    assert_eq!((&beat[1], &beat[2], &beat[3]), (&json!("p"), &json!("u"), &json!(12)));
    let bad = &all["targets"][1];
    assert_eq!((&bad["status"], &bad["last"]["fault"]["kind"]), (&json!("down"), &json!("refused")));
    assert!(good.get("config").is_none());
    let one = admin.get("/api/v1/targets/good").await.json();
    assert_eq!(one["config"]["interval"], "1h");
    assert_eq!(one["config"]["url"], "http://u:***@127.0.0.1:9/a?token=***");
    assert_eq!(admin.get("/api/v1/targets/none").await.code(), "not_found");
    rig.stop().await;
}

#[tokio::test]
async fn a_target_is_added_changed_and_removed_in_the_file() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let add =
        json!({ "name": "Front Door", "url": "http://u:hunter2x@127.0.0.1:9/d", "group": null, "interval": "1h" });
    let added = admin.send("POST", "/api/v1/targets", Some(add)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().expect("text").to_owned();
    assert_eq!(id, "front-door");
    assert!(rig.config_text().contains("http://u:hunter2x@127.0.0.1:9/d"));
    assert!(rig.config_text().contains("name: Good"), "the rest stays");

    let path = format!("/api/v1/targets/{id}");
    let change = json!({ "url": "http://u:***@127.0.0.1:9/other", "interval": "2h", "expect": { "warn_after": "3s" } });
    let changed = admin.send("PATCH", &path, Some(change)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["interval_ms"], 7_200_000);
    assert!(rig.config_text().contains("http://u:hunter2x@127.0.0.1:9/other"), "the password stays");

    let elsewhere = json!({ "url": "http://u:***@evil.example/" });
    let refused = admin.send("PATCH", &path, Some(elsewhere)).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "invalid"),
        "a password does not follow to another host"
    );
    assert!(!rig.config_text().contains("evil.example"));

    let wrong = admin.send("PATCH", &path, Some(json!({ "intervall": "5s" }))).await.json();
    let problem = &wrong["error"]["problems"][0];
    assert!(problem["remedy"].as_str().is_some_and(|r| r.contains("interval")), "{wrong}");

    assert_eq!(admin.send("DELETE", &path, None).await.status, 204);
    assert!(!rig.config_text().contains("Front Door"));
    assert_eq!(admin.get(&path).await.status, 404);
    rig.stop().await;
}

#[tokio::test]
async fn a_change_of_a_file_that_is_another_by_now_is_refused() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let csrf = admin.csrf.clone().expect("has");
    let headers = [("X-CSRF-Token", csrf), ("If-Match", "\"0000\"".to_owned())];
    let reply = admin.send_with("PATCH", "/api/v1/targets/good", &headers, Some(json!({ "interval": "3h" }))).await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "config_changed"));
    rig.stop().await;
}

#[tokio::test]
async fn commands_take_effect() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let seen = admin.send("POST", "/api/v1/targets/bad/test", None).await;
    assert_eq!(seen.json()["grade"], "fail", "{}", seen.text());
    assert_eq!(admin.send("POST", "/api/v1/targets/good/pause", None).await.status, 204);
    let paused = admin.get("/api/v1/targets/good").await.json();
    assert_eq!((&paused["paused"], &paused["status"]), (&json!(true), &json!("paused")));
    assert_eq!(admin.send("POST", "/api/v1/targets/good/resume", None).await.status, 204);
    assert_eq!(admin.send("POST", "/api/v1/targets/none/pause", None).await.status, 404);
    rig.stop().await;
}

#[tokio::test]
async fn a_target_is_tried_before_it_is_saved() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let seen = admin.send("POST", "/api/v1/try", Some(json!({ "url": "http://127.0.0.1:9/b" }))).await;
    assert_eq!((seen.status, &seen.json()["fault"]["kind"]), (200, &json!("refused")), "{}", seen.text());
    let kept = json!({ "id": "good", "name": "Good", "url": "http://u:***@127.0.0.1:9/a?token=***" });
    assert_eq!(admin.send("POST", "/api/v1/try", Some(kept)).await.json()["grade"], "pass");
    let unknown = admin.send("POST", "/api/v1/try", Some(json!({ "url": "http://u:***@127.0.0.1:9/" }))).await;
    assert_eq!(unknown.code(), "invalid");
    let wrong = admin.send("POST", "/api/v1/try", Some(json!({ "url": "gopher://h/", "interval": "x" }))).await.json();
    let paths: Vec<_> =
        wrong["error"]["problems"].as_array().expect("problems").iter().map(|p| p["path"].clone()).collect();
    assert!(paths.contains(&json!("interval")), "{wrong}");
    assert_eq!(rig.handle.now().targets.len(), 3, "nothing was saved");
    rig.stop().await;
}

#[tokio::test]
async fn history_comes_in_pages() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    for _ in 0..4 {
        admin.send("POST", "/api/v1/targets/bad/test", None).await;
    }
    let deadline = tokio::time::Instant::now() + crate::rig::PATIENCE;
    while admin.get("/api/v1/targets/bad/observations").await.json()["rows"].as_array().map(Vec::len) != Some(5) {
        assert!(tokio::time::Instant::now() < deadline, "five looks are not in the history");
    }
    let page = admin.get("/api/v1/targets/bad/observations?limit=3").await.json();
    let rows = page["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3, "{page}");
    assert_eq!(rows[0]["fault"]["kind"], "refused");
    assert!(rows[0]["at"].as_i64() >= rows[2]["at"].as_i64(), "newest first");
    let rest = admin.get(&format!("/api/v1/targets/bad/observations?limit=3&before={}", page["next"])).await.json();
    assert_eq!((rest["rows"].as_array().map(Vec::len), &rest["next"]), (Some(2), &json!(null)), "{rest}");
    let oldest = admin.get("/api/v1/targets/bad/observations?order=asc&limit=1").await.json();
    assert_eq!(oldest["rows"][0], rest["rows"][1]);

    let spent = admin.get("/api/v1/targets/good/availability").await.json();
    assert_eq!(spent["ratio"], 1.0, "{spent}");
    let changes = admin.get("/api/v1/targets/bad/changes").await.json();
    assert_eq!((&changes["rows"][0]["from"], &changes["rows"][0]["to"]), (&json!("unknown"), &json!("down")));
    let open = admin.get("/api/v1/incidents?open=true").await.json();
    assert_eq!((open["incidents"].as_array().map(Vec::len), &open["incidents"][0]["target"]), (Some(1), &json!("bad")));
    assert_eq!(admin.get("/api/v1/incidents?open=false").await.json()["incidents"], json!([]));
    for query in
        ["observations?limit=x", "observations?order=sideways", "rollups?resolution=year", "changes?from=2&to=1"]
    {
        assert_eq!(admin.get(&format!("/api/v1/targets/bad/{query}")).await.status, 400, "{query}");
    }
    let minutes = admin.get("/api/v1/targets/bad/rollups?resolution=minute").await.json();
    assert_eq!(minutes["resolution"], "minute");
    let far = format!("/api/v1/targets/bad/rollups?resolution=minute&from=0&to={}", rig.now().0);
    assert_eq!(admin.get(&far).await.status, 400, "fifty years of minutes are too many");
    rig.stop().await;
}

#[tokio::test]
async fn health_says_what_is_well() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let health = admin.get("/api/v1/health").await.json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!((&health["targets"]["up"], &health["targets"]["down"]), (&json!(2), &json!(1)));
    for part in ["store", "engine", "clock", "config", "services"] {
        assert_eq!(health["parts"][part]["ok"], true, "{part}");
    }
    let deadline = tokio::time::Instant::now() + crate::rig::PATIENCE;
    let rounds = |health: serde_json::Value| health["parts"]["engine"]["punctuality"]["rounds"].as_u64().unwrap_or(0);
    while rounds(admin.get("/api/v1/health").await.json()) == 0 {
        assert!(tokio::time::Instant::now() < deadline, "three targets were looked at, and no round was counted");
    }
    std::fs::write(rig.config_path(), "targets: [").expect("written");
    let board = rig.handle.board().wait_for(|b| !b.health.config_problems.is_empty()).await.map(|_| ());
    tokio::time::timeout(crate::rig::PATIENCE, async { board.expect("runs") }).await.expect("seen");
    let health = admin.get("/api/v1/health").await.json();
    assert_eq!((&health["status"], &health["parts"]["config"]["ok"]), (&json!("unwell"), &json!(false)));
    assert_eq!(rig.stranger().get("/readyz").await.status, 200, "what ran before goes on");
    rig.stop().await;
}

#[tokio::test]
async fn a_loop_that_does_not_turn_is_noticed() {
    let mut rig = Rig::new().await;
    let nobody = rig.stranger();
    assert_eq!((nobody.get("/healthz").await.status, nobody.get("/readyz").await.status), (200, 200));
    rig.stop_engine().await;
    let deadline = tokio::time::Instant::now() + crate::rig::PATIENCE;
    while nobody.get("/healthz").await.status != 503 {
        assert!(tokio::time::Instant::now() < deadline, "nobody noticed");
    }
    let ready = nobody.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    assert!(ready.json()["reasons"][0].as_str().is_some_and(|r| r.starts_with("engine: ")), "{}", ready.text());
    rig.stop().await;
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_the_form_that_is_wanted() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let bad = |query: &str| format!("/api/v1/targets/bad/{query}");
    for (path, words) in [
        (bad("observations?from=2026-11-20"), "parameter from must be UTC milliseconds (1795132800000) or RFC 3339"),
        (bad("observations?limit=0"), "parameter limit must be a whole number from 1 to 1000"),
        (bad("changes?limit=5001"), "parameter limit must be a whole number from 1 to 5000"),
        (bad("observations?order=up"), "parameter order must be desc or asc"),
        (bad("rollups?resolution=year"), "parameter resolution must be minute or hour or day"),
        (bad("observations?form=1"), "unknown parameter \"form\"; did you mean from? accepted: from, to, limit"),
        (bad("availability?limit=3"), "unknown parameter \"limit\"; accepted: from, to"),
        (bad("availability?from=1&from=2"), "parameter from is there twice"),
        ("/api/v1/targets?a=b".to_owned(), "this path takes no parameters"),
        ("/api/v1/incidents?open=yes".to_owned(), "parameter open must be true or false"),
        ("/api/v1/audit?limit=-1".to_owned(), "parameter limit must be a whole number from 1 to 1000"),
    ] {
        let reply = admin.get(&path).await;
        let text = reply.json()["error"]["message"].as_str().expect("text").to_owned();
        assert!(reply.status == 400 && reply.code() == "bad_request" && text.contains(words), "{path}: {text}");
    }
    let window = "from=1970-01-01T00:00:00Z&to=1970-01-01T01:00:05%2B01:00";
    let spent = admin.get(&bad(&format!("availability?{window}"))).await.json();
    assert_eq!((&spent["from"], &spent["to"]), (&json!(0), &json!(5000)), "{spent}");
    for fine in [bad(&format!("export.csv?{window}")), "/api/status?_=1".to_owned(), "/readyz?probe=lb".to_owned()] {
        assert_eq!(admin.get(&fine).await.status, 200, "{fine}");
    }
    assert_eq!(rig.stranger().get(&bad("observations?limit=0")).await.status, 401, "strangers learn nothing");
    rig.stop().await;
}
