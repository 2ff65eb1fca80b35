//! The first run, users, sessions, tokens, the audit log, and the command line beside a running server.

use serde_json::json;
use testkit::wait::wait_for;

use crate::rig::{Client, PASSWORD, PATIENCE, Rig};

#[tokio::test]
async fn the_first_run_makes_an_administrator_once() {
    let rig = Rig::new().await;
    let session = rig.stranger().get("/api/v1/session").await.json();
    assert_eq!((&session["setup_needed"], &session["signed_in"]), (&json!(true), &json!(false)));
    let token = rig.listening.setup_token().expect("first run");
    let set_up = |token: &str, password: &str| json!({ "token": token, "user": "root", "password": password });
    for (body, status, code) in [
        (set_up("wrong", PASSWORD), 401, "wrong_credentials"),
        (set_up(&token, "short"), 422, "invalid"),
        (set_up(&token, &"x".repeat(40)), 422, "invalid"),
    ] {
        let reply = rig.stranger().send("POST", "/api/v1/setup", Some(body)).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
    let admin = rig.admin().await;
    let session = admin.get("/api/v1/session").await.json();
    assert_eq!((&session["user"], &session["role"]), (&json!("root"), &json!("administrator")));
    let again = rig.stranger().send("POST", "/api/v1/setup", Some(set_up(&token, PASSWORD))).await;
    assert_eq!(again.code(), "conflict");
    rig.stop().await;
}

#[tokio::test]
async fn sessions_outlive_a_restart_and_end_when_asked() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let folder = rig.stop().await;
    let rig = Rig::in_folder(folder, true).await;
    assert_eq!(rig.listening.setup_token(), None, "there is a user now");
    let admin = Client { addr: rig.listening.addrs[0], ..admin };
    assert_eq!(admin.get("/api/v1/targets").await.status, 200);
    let reply = admin.send("DELETE", "/api/v1/session", None).await;
    assert_eq!(reply.status, 204);
    assert!(reply.header("set-cookie").is_some_and(|c| c.contains("Max-Age=0")));
    assert_eq!(admin.get("/api/v1/targets").await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn a_user_that_cannot_be_understood_makes_nobody_the_first() {
    let rig = Rig::new().await;
    let store = rig.handle.store().clone();
    let put = move || store.put_doc("users", "root", "{\"role\":\"of another version\"}");
    tokio::task::spawn_blocking(put).await.expect("runs").expect("written");
    let folder = rig.stop().await;
    let rig = Rig::in_folder(folder, true).await;
    assert_eq!(rig.listening.setup_token(), None);
    assert_eq!(rig.stranger().get("/api/v1/session").await.json()["setup_needed"], json!(false));
    rig.stop().await;
}

#[tokio::test]
async fn users_are_made_changed_and_removed() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let make = json!({ "name": "anna", "password": PASSWORD, "role": "viewer" });
    assert_eq!(admin.send("POST", "/api/v1/users", Some(make.clone())).await.status, 201);
    assert_eq!(admin.send("POST", "/api/v1/users", Some(make)).await.code(), "conflict");
    let mut anna = rig.stranger();
    assert_eq!(anna.sign_in("Anna", PASSWORD).await.status, 200, "names do not depend on case");
    assert_eq!(anna.send("POST", "/api/v1/targets/good/pause", None).await.status, 403);

    let promote = json!({ "role": "operator" });
    assert_eq!(admin.send("PATCH", "/api/v1/users/anna", Some(promote)).await.status, 200);
    assert_eq!(anna.send("POST", "/api/v1/targets/good/pause", None).await.status, 204, "roles change at once");

    let own = |present: Option<&str>| json!({ "password": "another long password", "current_password": present });
    assert_eq!(anna.send("PATCH", "/api/v1/users/anna", Some(own(None))).await.status, 422);
    assert_eq!(anna.send("PATCH", "/api/v1/users/anna", Some(own(Some("wrong")))).await.status, 401);
    assert_eq!(anna.send("PATCH", "/api/v1/users/root", Some(own(Some(PASSWORD)))).await.status, 403);
    let elsewhere = anna.clone();
    let changed = anna.send("PATCH", "/api/v1/users/anna", Some(own(Some(PASSWORD)))).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    anna.cookie = changed.header("set-cookie").and_then(|c| c.split(';').next()).map(str::to_owned);
    assert_eq!(anna.get("/api/v1/targets").await.status, 200, "whoever changed it stays");
    assert_eq!(elsewhere.get("/api/v1/targets").await.status, 401, "a new password ends the other sessions");

    assert_eq!(
        admin.send("DELETE", "/api/v1/users/root", None).await.code(),
        "conflict",
        "the last administrator stays"
    );
    assert_eq!(admin.send("PATCH", "/api/v1/users/root", Some(json!({ "role": "viewer" }))).await.code(), "conflict");
    assert_eq!(admin.send("DELETE", "/api/v1/users/anna", None).await.status, 204);
    assert_eq!(anna.get("/api/v1/targets").await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn tokens_work_until_they_are_revoked() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let program = rig.program(&admin, "operator", false).await;
    assert_eq!(program.send("POST", "/api/v1/targets/good/pause", None).await.status, 204, "no CSRF token is needed");
    let list = admin.get("/api/v1/tokens").await;
    let token = program.bearer.clone().expect("has");
    let secret = token.rsplit('_').next().expect("three parts");
    assert!(!list.text().contains(secret), "a token is shown once");
    let row = &list.json()["tokens"][0];
    assert!(row["last_used_at"].is_i64(), "{row}");
    let id = row["id"].as_str().expect("text").to_owned();
    for bad in ["", "sp_", "sp_x_y", &token[..token.len() - 1], &format!("{token}x")] {
        let client = Client { bearer: Some(bad.to_owned()), ..rig.stranger() };
        assert_eq!(client.get("/api/v1/targets").await.status, 401, "{bad}");
    }
    assert_eq!(admin.send("DELETE", &format!("/api/v1/tokens/{id}"), None).await.status, 204);
    assert_eq!(program.get("/api/v1/targets").await.status, 401);
    let past = json!({ "name": "old", "role": "viewer", "expires_at": 1 });
    let token = admin.send("POST", "/api/v1/tokens", Some(past)).await.json()["token"].as_str().map(str::to_owned);
    assert_eq!(Client { bearer: token, ..rig.stranger() }.get("/api/v1/targets").await.status, 401, "it has ended");
    rig.stop().await;
}

#[tokio::test]
async fn a_token_leaves_nothing_behind_that_outlives_it() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let program = rig.program(&admin, "administrator", false).await;
    let password = "a password of twenty letters";
    for (method, path, body) in [
        ("POST", "/api/v1/tokens", json!({ "name": "second", "role": "viewer" })),
        ("POST", "/api/v1/users", json!({ "name": "eve", "password": password, "role": "administrator" })),
        ("PATCH", "/api/v1/users/root", json!({ "password": password })),
        ("DELETE", "/api/v1/users/root", json!({})),
    ] {
        assert_eq!(program.send(method, path, Some(body)).await.status, 403, "{method} {path}");
    }
    assert_eq!(program.get("/api/v1/users").await.json()["users"].as_array().map(Vec::len), Some(1));
    rig.stop().await;
}

#[tokio::test]
async fn changes_are_in_the_audit_log_without_secrets() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let add = json!({ "name": "New", "url": "http://u:hunter2new@127.0.0.1:9/n", "interval": "1h" });
    assert_eq!(admin.send("POST", "/api/v1/targets", Some(add)).await.status, 201);
    admin.send("POST", "/api/v1/targets/good/pause", None).await;
    admin.send("PATCH", "/api/v1/settings", Some(json!({ "timezone": "Europe/Zurich" }))).await;
    let reply = admin.get("/api/v1/audit?limit=3").await;
    let page = reply.json();
    let rows = page["rows"].as_array().expect("rows");
    let seen: Vec<_> = rows.iter().map(|r| r["action"].as_str().expect("text")).collect();
    assert_eq!(seen, ["changed settings", "paused a target", "added a target"]);
    assert!(rows.iter().all(|r| r["actor"] == "root"));
    assert!(!reply.text().contains("hunter2"), "{}", reply.text());
    let next = admin.get(&format!("/api/v1/audit?before={}", page["next"])).await.json();
    assert_eq!(next["rows"][0]["action"], "made the first administrator");
    rig.stop().await;
}

#[tokio::test]
async fn the_command_line_changes_users_beside_a_running_server() {
    let rig = Rig::new().await;
    let mut admin = rig.admin().await;
    let store = rig.handle.store().clone();
    let beside = move || {
        web::people::add_user(&store, "cli", "operator", "made on the command line")?;
        web::people::set_password(&store, "root", "set on the command line")?;
        assert!(web::people::remove_user(&store, "root").is_err(), "the last administrator");
        assert!(web::people::add_user(&store, "x", "king", PASSWORD).is_err(), "no such role");
        web::people::create_token(&store, "cron", "viewer")
    };
    let token = tokio::task::spawn_blocking(beside).await.expect("runs").expect("works");
    let program = Client { bearer: Some(token), ..rig.stranger() };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while program.get("/api/v1/targets").await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the server never saw the token");
    }
    assert!(wait_for(PATIENCE, || !rig.handle.now().targets.is_empty()).await);
    assert_eq!(admin.get("/api/v1/targets").await.status, 401, "the new password ended the session");
    assert_eq!(admin.sign_in("root", "set on the command line").await.status, 200);
    assert_eq!(admin.sign_in("cli", "made on the command line").await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn without_login_everybody_here_is_administrator_but_other_sites_are_not() {
    let text = "server: {listen: [\"127.0.0.1:0\"], login: false}\ntargets:\n  - {name: A, id: a, url: 'http://127.0.0.1:9/', interval: 1h}\n";
    let rig = Rig::with(text, true).await;
    assert_eq!(rig.listening.setup_token(), None);
    let anybody = rig.stranger();
    let session = anybody.get("/api/v1/session").await.json();
    assert_eq!((&session["role"], &session["login_required"]), (&json!("administrator"), &json!(false)));
    assert_eq!(anybody.send("POST", "/api/v1/targets/a/pause", None).await.status, 204, "programs need nothing");
    let own = ("Origin", format!("http://{}", anybody.addr));
    let reply = anybody.send_with("POST", "/api/v1/targets/a/pause", std::slice::from_ref(&own), None).await;
    assert_eq!(reply.code(), "csrf_failed", "a page must show the token");
    let csrf = ("X-CSRF-Token", session["csrf"].as_str().expect("text").to_owned());
    assert_eq!(anybody.send_with("POST", "/api/v1/targets/a/pause", &[own, csrf], None).await.status, 204);
    let evil = Client { host: Some("rebound.example".to_owned()), ..rig.stranger() };
    assert_eq!(evil.get("/api/v1/targets").await.status, 421);
    rig.stop().await;
}
