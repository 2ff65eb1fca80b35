//! What attackers try: other sites, guessed passwords, planted sessions, huge and slow requests, foreign host names.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Client, PASSWORD, PATIENCE, Rig};

#[tokio::test]
async fn another_site_cannot_make_the_browser_change_anything() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let csrf = admin.csrf.clone().expect("signed in");
    let own = format!("http://{}", admin.addr);
    let pause = "/api/v1/targets/good/pause";
    for (headers, status) in [
        (vec![], 403),
        (vec![("X-CSRF-Token", "wrong".to_owned())], 403),
        (vec![("X-CSRF-Token", csrf.clone()), ("Origin", "http://evil.example".to_owned())], 403),
        (vec![("X-CSRF-Token", csrf.clone()), ("Origin", "null".to_owned())], 403),
        (vec![("X-CSRF-Token", csrf.clone()), ("Sec-Fetch-Site", "cross-site".to_owned())], 403),
        (vec![("X-CSRF-Token", csrf.clone()), ("Origin", own)], 204),
    ] {
        let reply = admin.send_with("POST", pause, &headers, None).await;
        assert_eq!(reply.status, status, "{headers:?} {}", reply.text());
    }
    let body = Some(json!({ "user": "root", "password": PASSWORD }));
    let evil = [("Origin", "http://evil.example".to_owned())];
    let reply = rig.stranger().send_with("POST", "/api/v1/session", &evil, body).await;
    assert_eq!(reply.code(), "csrf_failed", "another site cannot sign a visitor in either");
    // A form can send text that happens to be JSON, but not its type.
    let text = json!({ "user": "root", "password": PASSWORD }).to_string();
    let headers = [("Content-Type", "text/plain".to_owned())];
    let mut stream = rig.stranger().open("POST", "/api/v1/session", &headers, &text).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    rig.stop().await;
}

#[tokio::test]
async fn passwords_cannot_be_guessed_for_long_and_users_not_at_all() {
    let rig = Rig::new().await;
    rig.admin().await;
    let mut client = rig.stranger();
    let wrong = client.sign_in("root", "wrong password").await;
    let unknown = client.sign_in("nobody", "wrong password").await;
    assert_eq!((wrong.status, wrong.text()), (unknown.status, unknown.text()), "both answers are the same");
    let mut limited = None;
    for _ in 0..12 {
        let reply = client.sign_in("root", "wrong password").await;
        if reply.status == 429 {
            limited = Some(reply);
            break;
        }
        assert_eq!(reply.code(), "wrong_credentials");
    }
    let limited = limited.expect("the guesses run dry");
    assert!(limited.header("retry-after").and_then(|s| s.parse::<u64>().ok()).is_some_and(|s| s > 0));
    assert_eq!(client.sign_in("root", PASSWORD).await.status, 429, "the right one does not help then");
    rig.stop().await;
}

#[tokio::test]
async fn a_planted_session_is_not_taken_over() {
    let rig = Rig::new().await;
    rig.admin().await;
    let mut client = rig.stranger();
    client.cookie = Some("streampulse_session=planted-by-an-attacker-planted-by-an-atta".to_owned());
    client.sign_in("root", PASSWORD).await;
    assert!(!client.cookie.as_deref().expect("set").contains("planted"));
    // Signing in again ends the session that was there.
    let old = client.clone();
    client.sign_in("root", PASSWORD).await;
    assert_ne!(old.cookie, client.cookie);
    assert_eq!(old.get("/api/v1/targets").await.status, 401);
    assert_eq!(client.get("/api/v1/targets").await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn foreign_host_names_are_refused_on_loopback() {
    let rig = Rig::new().await;
    let named = |host: &str| Client { host: Some(host.to_owned()), ..rig.stranger() };
    for (host, status) in [
        ("evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("localhost:1234", 200),
        ("[::1]:8000", 200),
        ("127.0.0.1", 200),
    ] {
        for path in ["/api/v1/session", "/", "/healthz"] {
            assert_eq!(named(host).get(path).await.status, status, "{host} {path}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn huge_bodies_end_before_they_are_read() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let big = "x".repeat(web::limits::BODY_BYTES + 1);
    let reply = admin.send("POST", "/api/v1/targets", Some(json!({ "url": big }))).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    let long = "x".repeat(web::limits::SIGN_IN_BODY_BYTES);
    for path in ["/api/v1/session", "/api/v1/setup"] {
        let body = json!({ "user": "root", "password": long, "token": "t" });
        let reply = rig.stranger().send("POST", path, Some(body)).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"), "{path}: strangers get little memory");
    }
    // Announced, and never sent: the answer comes at once.
    let headers = [("Content-Type", "application/json".to_owned()), ("X-CSRF-Token", admin.csrf.clone().expect("has"))];
    let mut stream = TcpStream::connect(admin.addr).await.expect("connects");
    let cookie = admin.cookie.clone().expect("has");
    let head = format!(
        "POST /api/v1/targets HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: 99999999999\r\n{}: {}\r\n{}: {}\r\n\r\n",
        headers[0].0, headers[0].1, headers[1].0, headers[1].1
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut first = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await.expect("in time").expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 413");
    rig.stop().await;
}

#[tokio::test]
async fn endless_heads_are_refused_and_slow_ones_cut_off() {
    let rig = Rig::new().await;
    let mut stream = TcpStream::connect(rig.listening.addrs[0]).await.expect("connects");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await.expect("sent");
    let line = format!("X-Long: {}\r\n", "y".repeat(4000));
    // The server may close while we still write.
    for _ in 0..64 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 400"), "{answer}");

    let mut slow = TcpStream::connect(rig.listening.addrs[0]).await.expect("connects");
    slow.write_all(b"GET / HTTP/1.1\r\nHo").await.expect("sent");
    let limit = web::limits::HEAD_TIME + Duration::from_secs(10);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(limit, slow.read_to_end(&mut rest)).await.expect("it is cut off");
    rig.stop().await;
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let rig = Rig::new().await;
    let nobody = rig.stranger();
    for path in [
        "/ui/../Cargo.toml",
        "/ui/%2e%2e/%2e%2e/Cargo.toml",
        "/ui/..%2f..%2fstreampulse.yaml",
        "/ui//etc/passwd",
        "/api/../streampulse.yaml",
        "/history/../../etc/passwd",
    ] {
        let reply = nobody.get(path).await;
        let text = reply.text();
        assert!(matches!(reply.status, 401 | 404), "{path}: {}", reply.status);
        assert!(!text.contains("[package]") && !text.contains("targets:") && !text.contains("root:"), "{path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_the_page() {
    let rig = Rig::new().await;
    for path in ["/", "/ui/app.js", "/api/v1/session", "/api/v1/targets", "/api/v1/nothing", "/healthz"] {
        let reply = rig.stranger().get(path).await;
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(reply.header("strict-transport-security"), None, "{path}: only under TLS");
    }
    rig.stop().await;
}
