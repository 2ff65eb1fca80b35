//! The kinds http, mjpeg and tcp against scripted servers: expectations, fallbacks, and where secrets may go.

#![allow(clippy::print_stderr, reason = "shared with tests that say when they are skipped")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::conf::{Node, Value};
use model::reading::{Depth, FactValue, Media, fact as key};
use model::target::Target;
use net::clock::SystemClock;
use probe::preview::snapshot;
use support::{fact, look, outcome, tracks, words};
use testkit::bad;
use testkit::http::{HttpPeer, Reply, digest_by, routes};
use testkit::mjpeg::{Camera, PICTURE, camera};
use testkit::tls::{Authority, Certificate};
use testkit::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(10);

/// A target whose options are typed values.
fn target(kind: &'static str, url: &str, options: &[(&str, Value)]) -> Target {
    let mut target = support::target(url, &[]);
    target.kind = kind;
    target.options.0 = options.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    target
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn map(pairs: &[(&str, &str)]) -> Value {
    Value::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(text(v)))).collect())
}

#[tokio::test]
async fn http_judges_status_redirects_and_body() {
    let peer = HttpPeer::with(|request| match request.target.as_str() {
        "/ping" => Reply::text(302, "").with("Location", "/pong"),
        "/pong" => Reply::text(302, "").with("Location", "/ping"),
        _ => routes(request),
    })
    .await;
    for (path, options, expected, part) in [
        ("/", vec![], "up", ""),
        ("/", vec![("body_contains", text("welcome"))], "up", ""),
        ("/", vec![("body_contains", text("goodbye"))], "protocol (check)", "does not contain \"goodbye\""),
        ("/status/404", vec![("expect_status", Value::Int(404))], "up", ""),
        ("/status/401", vec![("expect_status", text("401"))], "up", ""),
        ("/status/401", vec![], "auth_required (first_byte)", "does not say how to sign in"),
        ("/status/418", vec![], "protocol (first_byte)", "status 418 I'm a teapot, expected 200-399"),
        ("/status/299", vec![], "up", ""),
        ("/status/599", vec![], "protocol (first_byte)", "status 599, expected"),
        ("/ntlm", vec![], "auth_required (first_byte)", "no way to sign in that is supported (NTLM"),
        ("/redirect", vec![("body_contains", text("welcome"))], "up", ""),
        ("/redirect", vec![("follow_redirects", Value::Int(0)), ("body_contains", text("x"))], "protocol (check)", ""),
        ("/hops/5", vec![("body_contains", text("welcome"))], "up", ""),
        ("/hops/6", vec![], "protocol (first_byte)", "more than 5 redirects, the last one to"),
        (
            "/hops/2",
            vec![("follow_redirects", Value::Int(1))],
            "protocol (first_byte)",
            "more than 1 redirect, the last",
        ),
        ("/loop", vec![], "protocol (first_byte)", "/loop comes again after 1 redirect"),
        ("/ping", vec![], "protocol (first_byte)", "/ping comes again after 2 redirects"),
        ("/away?ftp://127.0.0.1/", vec![], "protocol (first_byte)", "which is not HTTP"),
        ("/json", vec![("json_pointer", text("/items/0/ok")), ("json_equals", Value::Bool(true))], "up", ""),
        ("/cut", vec![], "protocol (transfer)", "closed the connection in the body"),
        ("/endless", vec![], "up", ""),
        ("/endless", vec![("body_contains", text("y"))], "too_large (transfer)", "larger than 1048576 bytes"),
        ("/big/2000", vec![("max_body", text("1KiB"))], "up", ""),
        ("/big/2000", vec![("max_body", text("1KiB")), ("body_contains", text("y"))], "too_large (transfer)", ""),
        ("/stall", vec![("read_body", Value::Bool(false))], "up", ""),
    ] {
        let seen = look(&target("http", &peer.url(path), &options)).await;
        assert_eq!(outcome(&seen), expected, "{path} {options:?}: {:?}", seen.look);
        let said = words(&seen);
        assert!(said.contains(part) && !said.contains("after 1 redirects"), "{path}: {said}");
    }
    assert!(wait_for(PATIENCE, || peer.stats().open() == 0).await, "every connection is closed");
}

#[tokio::test]
async fn an_expression_that_takes_its_time_keeps_the_deadline() {
    let peer = HttpPeer::with(|request| {
        let size = request.target.trim_start_matches('/').parse().expect("a number");
        Reply::text(200, vec![b'a'; size])
    })
    .await;
    // Tries every way of splitting a row of the letter: seconds for some thousand of them.
    let mut slow = target("http", &peer.url("/12000"), &[("body_regex", text("(a{0,40}){0,20}b"))]);
    slow.timeout = Duration::from_millis(200);
    let seen = look(&slow).await;
    assert_eq!(outcome(&seen), "timed_out (check)", "{:?}", seen.look);
    assert!(seen.took < Duration::from_secs(2), "{:?}", seen.took);
    // Large and small bodies are judged alike.
    for (size, word, expected) in [("10", "aaa", "up"), ("900000", "aaa", "up"), ("900000", "b", "protocol (check)")] {
        let seen = look(&target("http", &peer.url(&format!("/{size}")), &[("body_contains", text(word))])).await;
        assert_eq!(outcome(&seen), expected, "{size} {word}: {:?}", seen.look);
        let seen = look(&target("http", &peer.url(&format!("/{size}")), &[("body_regex", text(word))])).await;
        assert_eq!(outcome(&seen), expected, "{size} {word}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn http_notes_what_it_saw() {
    let peer = HttpPeer::start().await;
    let seen = look(&target("http", &peer.url("/hops/2"), &[])).await;
    for (key, value) in [
        (key::STATUS_CODE, "200"),
        (key::SERVER, "testkit"),
        (key::CONTENT_TYPE, "text/plain"),
        (key::BODY_BYTES, "7"),
        (key::REDIRECTS, "2"),
        (key::PEER, &peer.address().to_string()),
    ] {
        assert_eq!(fact(&seen, key), value, "{key}");
    }
    let phases: Vec<_> = seen.look.phases.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(phases, ["connect", "first_byte", "transfer"]);
    assert!(seen.look.reading.tracks.is_empty() && seen.look.reading.proven.is_none());
}

#[tokio::test]
async fn a_camera_is_up_for_http_when_a_picture_comes() {
    for (kind, expected, seen_tracks, proven, part) in [
        (Camera::Good, "up", "mjpeg Baseline 64x48*", Depth::Media, ""),
        (Camera::NoLength, "up", "mjpeg Baseline 64x48*", Depth::Media, ""),
        (Camera::StallsAfter(0), "no_media (media)", "mjpeg", Depth::Describe, "no picture arrived within 600ms"),
        (Camera::EndsAfter(0), "no_media (media)", "mjpeg", Depth::Describe, "before the stream ended"),
        (Camera::Half, "no_media (media)", "mjpeg", Depth::Describe, "no picture arrived"),
        (Camera::Words, "no_media (media)", "mjpeg", Depth::Describe, "8 parts in a row are no picture (text/plain)"),
    ] {
        let peer = camera(kind).await;
        let mut target = target("http", &peer.url("http", "/"), &[]);
        target.timeout = Duration::from_millis(600);
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{kind:?}: {:?}", seen.look);
        assert_eq!((tracks(&seen).as_str(), seen.look.reading.proven), (seen_tracks, Some(proven)), "{kind:?}");
        assert!(words(&seen).contains(part), "{kind:?}: {}", words(&seen));
        assert_eq!(fact(&seen, key::HINT), "-", "{kind:?}: what was looked at needs no hint");
        let phases: Vec<_> = seen.look.phases.iter().map(|(p, _)| p.as_str()).collect();
        assert_eq!(phases, ["connect", "first_byte", "media"], "{kind:?}");
        assert!(wait_for(PATIENCE, || peer.stats().open() == 0).await, "{kind:?}: the connection is closed");
    }
}

#[tokio::test]
async fn a_camera_that_is_judged_otherwise_is_up_with_a_hint_that_little_is_proven() {
    let expected = "the reply is a stream (multipart/x-mixed-replace); kind mjpeg would prove that pictures come";
    let camera = camera(Camera::StallsAfter(0)).await;
    for options in [[("read_body", Value::Bool(false))], [("method", text("HEAD"))]] {
        let seen = look(&target("http", &camera.url("http", "/"), &options)).await;
        assert_eq!(outcome(&seen), "up", "{options:?}: {:?}", seen.look);
        assert_eq!(fact(&seen, key::HINT), expected, "{options:?}");
        assert!(seen.look.reading.tracks.is_empty(), "{options:?}");
    }
    // What the body must hold is judged instead of the pictures.
    let parts = HttpPeer::with(|_| {
        let kind = vec![("Content-Type".into(), "multipart/x-mixed-replace; boundary=b".into())];
        Reply::Whole(200, kind, b"--b\r\n\r\nready\r\n--b--\r\n".into())
    })
    .await;
    for (word, outcome_of) in [("ready", "up"), ("steady", "protocol (check)")] {
        let seen = look(&target("http", &parts.url("/"), &[("body_contains", text(word))])).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, key::HINT).as_str()), (outcome_of, expected), "{word}");
    }
    let seen = look(&target("http", &parts.url("/"), &[])).await;
    assert_eq!(outcome(&seen), "no_media (media)", "{:?}", seen.look);
    // A status that is accepted as it is has no pictures to show, and one that is not is the fault.
    let away = HttpPeer::with(|request| {
        let status = if request.target == "/503" { 503 } else { 302 };
        Reply::Whole(status, vec![("Content-Type".into(), "multipart/x-mixed-replace; boundary=b".into())], vec![])
    })
    .await;
    for (path, options, outcome_of) in [
        ("/302", vec![], "up"),
        ("/503", vec![("expect_status", text("503"))], "up"),
        ("/503", vec![], "protocol (first_byte)"),
    ] {
        let seen = look(&target("http", &away.url(path), &options)).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), (outcome_of, ""), "{path} {options:?}");
    }
}

#[tokio::test]
async fn other_streams_are_up_for_http_with_a_hint_that_little_is_proven() {
    let bare = camera(Camera::Bare).await;
    let seen = look(&target("http", &bare.url("http", "/"), &[])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert!(fact(&seen, key::HINT).ends_with("kind mjpeg would prove that pictures come"), "{:?}", seen.look);
    let playlist = HttpPeer::with(|_| {
        Reply::Whole(200, vec![("Content-Type".into(), "application/vnd.apple.mpegurl".into())], b"#EXTM3U".into())
    })
    .await;
    let seen = look(&target("http", &playlist.url("/live"), &[("body_contains", text("#EXTM3U"))])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert!(fact(&seen, key::HINT).starts_with("the reply is an HLS playlist"), "{:?}", seen.look);
    // Neither a page nor a stream that was refused is one.
    let page = HttpPeer::start().await;
    assert_eq!(fact(&look(&target("http", &page.url("/"), &[])).await, key::HINT), "-");
    let refused =
        HttpPeer::with(|_| Reply::Whole(503, vec![("Content-Type".into(), "video/mp2t".into())], vec![])).await;
    let seen = look(&target("http", &refused.url("/"), &[("expect_status", text("503"))])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, key::HINT).as_str()), ("up", "-"));
}

#[tokio::test]
async fn head_falls_back_to_get_and_says_so() {
    let peer = HttpPeer::start().await;
    let head = |path: &str| target("http", &peer.url(path), &[("method", text("HEAD"))]);
    for (path, expected, refused) in [
        ("/", "up", "-"),
        ("/head-refused", "up", "true"),
        ("/status/404", "not_found (first_byte)", "-"),
        ("/status/503", "protocol (first_byte)", "-"),
    ] {
        let seen = look(&head(path)).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, key::HEAD_REFUSED).as_str()), (expected, refused), "{path}");
    }
    let methods: Vec<_> = peer.requests().iter().map(|r| format!("{} {}", r.method, r.target)).collect();
    let expected = [
        "HEAD /",
        "HEAD /head-refused",
        "GET /head-refused",
        "HEAD /status/404",
        "GET /status/404",
        "HEAD /status/503",
    ];
    assert_eq!(methods, expected);
}

#[tokio::test]
async fn passwords_are_used_when_asked_for_and_wrong_ones_are_told() {
    let peer = HttpPeer::start().await;
    for path in ["/basic", "/digest"] {
        let good = peer.url(path).replace("://", "://viewer:s3cret@");
        assert_eq!(outcome(&look(&target("http", &good, &[])).await), "up", "{path}");
        let fields = [("user", text("viewer")), ("password", text("s3cret"))];
        assert_eq!(outcome(&look(&target("http", &peer.url(path), &fields)).await), "up", "{path}");
        let bad = peer.url(path).replace("://", "://viewer:wr0ng@");
        for (url, part) in [(bad, "refuses the user name or password"), (peer.url(path), "none is configured")] {
            let seen = look(&target("http", &url, &[])).await;
            assert_eq!(outcome(&seen), "auth_required (first_byte)");
            assert!(words(&seen).contains(part), "{}", words(&seen));
        }
    }
    // Nothing is sent before it is asked for.
    let url = peer.url("/echo").replace("://", "://viewer:s3cret@");
    assert_eq!(outcome(&look(&target("http", &url, &[])).await), "up");
    assert!(peer.requests().last().is_some_and(|r| r.header("Authorization").is_none()));
}

/// A server with one nonce for everybody, whose other clients make it change: `nonces` are those in force, request by
/// request. Answers with a picture, which every kind here takes.
async fn busy(nonces: &'static [&'static str]) -> HttpPeer {
    let turn = AtomicUsize::new(0);
    HttpPeer::with(move |request| {
        let nonce = nonces[turn.fetch_add(1, Ordering::SeqCst).min(nonces.len() - 1)];
        let picture = vec![("Content-Type".to_owned(), "image/jpeg".to_owned())];
        digest_by(request, nonce, Reply::Whole(200, picture, PICTURE.to_vec()))
    })
    .await
}

#[tokio::test]
async fn a_nonce_that_another_client_voids_is_answered_once_more() {
    const REFUSED: &str = "auth_required (first_byte)";
    for (nonces, password, expected, requests) in [
        (&["a"][..], "s3cret", "up", 2),
        (&["a", "b"], "s3cret", "up", 3),
        (&["a", "b", "c", "d"], "s3cret", REFUSED, 3),
        (&["a"], "wr0ng", REFUSED, 2),
        (&["a", "b"], "wr0ng", REFUSED, 3),
    ] {
        for kind in ["http", "mjpeg"] {
            let peer = busy(nonces).await;
            let url = peer.url("/x").replace("://", &format!("://viewer:{password}@"));
            assert_eq!(outcome(&look(&target(kind, &url, &[])).await), expected, "{kind} {nonces:?}");
            assert_eq!(peer.requests().len(), requests, "{kind} {nonces:?}");

            let peer = busy(nonces).await;
            let url = peer.url("/x").replace("://", &format!("://viewer:{password}@"));
            let taken = snapshot(&target(kind, &url, &[]), &SystemClock::new(), PATIENCE).await;
            let outcome = taken.map_or_else(|f| format!("{} ({})", f.kind, f.phase), |_| "up".to_owned());
            assert_eq!((outcome.as_str(), peer.requests().len()), (expected, requests), "preview of {kind} {nonces:?}");
        }
    }
}

/// A server that turns an answer down and whose next reply is `last`.
async fn slow(challenges: &'static [&'static str], last: Reply) -> HttpPeer {
    let turn = AtomicUsize::new(0);
    HttpPeer::with(move |_| match challenges.get(turn.fetch_add(1, Ordering::SeqCst)) {
        Some(challenge) => Reply::text(401, "").with("WWW-Authenticate", format!("Digest realm=\"lab\", {challenge}")),
        None => last.clone(),
    })
    .await
}

#[tokio::test]
async fn a_password_that_was_refused_is_the_fault_even_when_the_next_reply_is_late() {
    const REFUSED: &str = "the server refuses the user name or password (Digest); to a second try: ";
    const SENT: &str = "no answer within 500 ms in phase first_byte, after user name and password were sent (Digest)";
    let (silent, gone) = (Reply::Stall(Vec::new()), Reply::Raw(Vec::new()));
    for (challenges, last, expected, part) in [
        (&["nonce=\"a\"", "nonce=\"b\""][..], &silent, "auth_required (first_byte)", "no answer within"),
        (&["nonce=\"a\"", "nonce=\"b\""], &gone, "auth_required (first_byte)", "closed the connection"),
        // An old nonce says nothing of the password, and neither does a server that has not judged it.
        (&["nonce=\"a\"", "nonce=\"b\", stale=true"], &silent, "timed_out (first_byte)", SENT),
        (&["nonce=\"a\""], &silent, "timed_out (first_byte)", SENT),
    ] {
        for kind in ["http", "mjpeg"] {
            let peer = slow(challenges, last.clone()).await;
            let mut target = target(kind, &peer.url("/").replace("://", "://viewer:wr0ng@"), &[]);
            target.timeout = Duration::from_millis(500);
            let seen = look(&target).await;
            assert_eq!(outcome(&seen), expected, "{kind} {challenges:?} {last:?}: {}", words(&seen));
            assert_eq!(peer.requests().len(), challenges.len() + 1, "{kind} {challenges:?}");
            assert!(words(&seen).contains(part), "{}", words(&seen));
            assert_eq!(words(&seen).starts_with(REFUSED), expected.starts_with("auth"), "{}", words(&seen));
        }
    }
}

#[tokio::test]
async fn secrets_do_not_follow_a_redirect_to_another_server() {
    let other = HttpPeer::with(|request| testkit::http::basic(request, Reply::text(200, "got it"))).await;
    let away = format!("/away?{}", other.url("/elsewhere"));
    let home = HttpPeer::start().await;
    let url = home.url(&away).replacen("://", "://viewer:s3cret@", 1);
    let headers = [
        ("secret_headers", map(&[("X-Api-Key", "k3y-k3y"), ("Cookie", "c00kie"), ("X-Site", "p0rtal")])),
        ("headers", map(&[("X-Plain", "yes")])),
    ];
    let seen = look(&target("http", &url, &headers)).await;
    assert_eq!(outcome(&seen), "auth_required (first_byte)", "{:?}", seen.look);
    assert!(words(&seen).contains("none is configured"), "{}", words(&seen));
    let (first, second) = (&home.requests()[0], &other.requests()[0]);
    assert_eq!(first.header("X-Api-Key"), Some("k3y-k3y"));
    assert_eq!(second.header("X-Plain"), Some("yes"));
    for name in ["Authorization", "X-Api-Key", "Cookie", "X-Site"] {
        assert_eq!(second.header(name), None, "{name}");
    }
    let body = [("method", text("POST")), ("body", text("pin=1234"))];
    let seen = look(&target("http", &home.url(&away), &body)).await;
    assert!(words(&seen).contains("must not get the request's body"), "{}", words(&seen));
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn the_preview_of_an_http_target_sends_its_headers_to_its_server_alone() {
    let picture = || Reply::Whole(200, vec![("Content-Type".into(), "image/jpeg".into())], PICTURE.to_vec());
    let other = HttpPeer::with(move |_| picture()).await;
    let away = other.url("/elsewhere");
    let home = HttpPeer::with(move |request| match (request.header("X-Site"), request.target.as_str()) {
        (Some("p0rtal"), "/away") => Reply::text(302, "").with("Location", away.as_str()),
        (Some("p0rtal"), _) => picture(),
        _ => Reply::text(403, "no"),
    })
    .await;
    let headers = [
        ("secret_headers", map(&[("X-Site", "p0rtal")])),
        ("headers", map(&[("X-Plain", "yes"), ("Accept", "image/png")])),
    ];
    for path in ["/here", "/away"] {
        let taken = snapshot(&target("http", &home.url(path), &headers), &SystemClock::new(), PATIENCE).await;
        assert!(taken.is_ok(), "{path}: {taken:?}");
    }
    let seen = &home.requests()[0];
    let accepted: Vec<_> = seen.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("accept")).collect();
    assert_eq!((seen.header("X-Plain"), seen.header("Accept"), accepted.len()), (Some("yes"), Some("image/png"), 1));
    let seen = &other.requests()[0];
    assert_eq!((seen.header("X-Plain"), seen.header("X-Site")), (Some("yes"), None));

    // Wrong headers are told, and not what they hold.
    let wrong = [("secret_headers", map(&[("bad name", "p0rtal")]))];
    let fault =
        snapshot(&target("http", &home.url("/"), &wrong), &SystemClock::new(), PATIENCE).await.expect_err("wrong");
    assert!(fault.detail.contains("is no header name") && !fault.detail.contains("p0rtal"), "{fault}");
}

#[tokio::test]
async fn https_tells_what_is_wrong_with_certificates() {
    let authority = Authority::new();
    let ca = authority.file("ca.pem").to_string_lossy().into_owned();
    for (certificate, expected, part) in [
        (Certificate::Good, "up", ""),
        (Certificate::Expired, "tls (tls)", "expired"),
        (Certificate::SelfSigned, "tls (tls)", "self-signed"),
        (Certificate::WrongName, "tls (tls)", "not for localhost"),
        (Certificate::DemandsClient, "tls (first_byte)", "demands a client certificate"),
    ] {
        let peer = HttpPeer::with_tls(Some(authority.acceptor(certificate)), routes).await;
        let seen = look(&target("http", &peer.url_by_name("/"), &[("ca_file", text(&ca))])).await;
        assert_eq!(outcome(&seen), expected, "{certificate:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{certificate:?}: {}", words(&seen));
        assert!(matches!(seen.look.reading.facts.get(key::CERT_EXPIRES_AT), Some(FactValue::Time(_))));
    }
}

#[test]
fn wrong_options_are_all_told_at_once() {
    let options = [
        ("method", text("HEAD")),
        ("body_contains", text("x")),
        ("body", text("x")),
        ("expect_status", text("abc")),
        ("headers", map(&[("Authorization", "Bearer hunter2"), ("bad name", "x"), ("Connection", "x")])),
        ("client_key", text("/k")),
        ("bodi", text("x")),
    ];
    let problems = probe::kind::build(&target("http", "http://127.0.0.1/", &options)).err().expect("all wrong");
    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in [
        "HEAD has no body",
        "HEAD sends no body",
        "expect_status: \"abc\" is no status code",
        "headers.Authorization: may hold a secret (write it under secret_headers)",
        "headers.bad name: is no header name",
        "headers.Connection: is set by StreamPulse itself",
        "client_key is given without client_cert",
        "unknown key bodi (did you mean body?)",
    ] {
        assert!(all.contains(part), "{part:?} in\n{all}");
    }
    assert!(!all.contains("hunter2"), "{all}");
}

#[tokio::test]
async fn mjpeg_is_up_when_whole_pictures_arrive() {
    for (kind, frames, expected, seen_tracks, part) in [
        (Camera::Good, 1, "up", "mjpeg Baseline 64x48*", ""),
        (Camera::Single, 1, "up", "mjpeg Baseline 64x48*", ""),
        (Camera::Bare, 1, "up", "mjpeg Baseline 64x48*", ""),
        (Camera::NoLength, 1, "up", "mjpeg Baseline 64x48*", ""),
        (Camera::StallsAfter(0), 1, "no_media (media)", "mjpeg", "no picture arrived within 600ms"),
        (
            Camera::StallsAfter(1),
            2,
            "no_media (media)",
            "mjpeg Baseline 64x48*",
            "1 of 2 pictures arrived within 600ms",
        ),
        (
            Camera::EndsAfter(1),
            3,
            "no_media (media)",
            "mjpeg Baseline 64x48*",
            "1 of 3 pictures arrived before the stream ended",
        ),
        (Camera::Half, 1, "no_media (media)", "mjpeg", "no picture arrived"),
        (Camera::Words, 1, "no_media (media)", "mjpeg", "8 parts in a row are no picture (text/plain)"),
    ] {
        let peer = camera(kind).await;
        let mut target = target("mjpeg", &peer.url("http", "/"), &[("frames", Value::Int(frames))]);
        target.timeout = Duration::from_millis(600);
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{kind:?}: {:?}", seen.look);
        assert_eq!(tracks(&seen), seen_tracks, "{kind:?}");
        assert!(words(&seen).contains(part), "{kind:?}: {}", words(&seen));
        assert!(wait_for(PATIENCE, || peer.stats().open() == 0).await, "{kind:?}: the connection is closed");
    }
}

#[tokio::test]
async fn mjpeg_measures_its_rate_and_stops_where_it_is_told() {
    for kind in [Camera::Good, Camera::Bare, Camera::NoLength] {
        let peer = camera(kind).await;
        let seen = look(&target("mjpeg", &peer.url("http", "/"), &[("frames", Value::Int(5))])).await;
        let fps = seen.look.reading.track(Media::Video).and_then(|t| t.fps);
        // 50 pictures per second at most; a busy machine gives fewer.
        assert!(fps.is_some_and(|fps| (1.0..=55.0).contains(&fps)), "{kind:?}: {:?}", seen.look);
        assert_eq!(seen.look.reading.facts.get(key::MEASURED_FPS), fps.map(FactValue::Num).as_ref(), "{kind:?}");
    }

    for (depth, proven, expected) in [(Depth::Reach, Depth::Reach, ""), (Depth::Describe, Depth::Describe, "mjpeg")] {
        let stall = camera(Camera::StallsAfter(0)).await;
        let mut shallow = target("mjpeg", &stall.url("http", "/"), &[]);
        shallow.depth = depth;
        let seen = look(&shallow).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", expected));
        assert_eq!(seen.look.reading.proven, Some(proven));
    }
}

#[tokio::test]
async fn mjpeg_is_not_content_with_a_page() {
    let peer = HttpPeer::start().await;
    for (path, expected, part) in [
        ("/html", "protocol (first_byte)", "the reply is text/html, not JPEG pictures"),
        ("/status/503", "protocol (first_byte)", "status 503"),
        ("/basic", "auth_required (first_byte)", "none is configured"),
        ("/nosuch", "not_found (first_byte)", ""),
    ] {
        let seen = look(&target("mjpeg", &peer.url(path), &[])).await;
        assert_eq!(outcome(&seen), expected, "{path}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{path}: {}", words(&seen));
    }
    for (begin, again, kind) in [
        ("Content-Type: image/jpeg\r\n", vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2], "protocol (media)"),
        ("Content-Type: image/jpeg\r\n", b"no picture".to_vec(), "protocol (media)"),
        ("Content-Type: multipart/x-mixed-replace;boundary=b\r\n", b"no boundary\r\n".to_vec(), "protocol (media)"),
    ] {
        let peer = bad::endless(format!("HTTP/1.1 200 OK\r\n{begin}\r\n"), again).await;
        let seen = look(&target("mjpeg", &peer.url("http", "/"), &[])).await;
        assert_eq!(outcome(&seen), kind, "{begin}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn tcp_waits_for_the_expected_text() {
    let greeting = bad::says("220 mail.example ESMTP\r\n").await;
    let silent = bad::early_close().await;
    for (peer, options, expected, part) in [
        (&greeting, vec![], "up", ""),
        (&greeting, vec![("expect_text", text("ESMTP"))], "up", ""),
        (&greeting, vec![("expect_text", text("220 m")), ("send", text("HELO me\r\n"))], "up", ""),
        (
            &greeting,
            vec![("expect_text", text("SSH-"))],
            "protocol (transfer)",
            "the peer sent \"220 mail.example ESMTP\\r\\n\" and closed the connection, expected \"SSH-\"",
        ),
        (&silent, vec![("expect_text", text("SSH-"))], "protocol (first_byte)", "without a word"),
        (&silent, vec![], "up", ""),
    ] {
        let seen = look(&target("tcp", &peer.url("tcp", ""), &options)).await;
        assert_eq!(outcome(&seen), expected, "{options:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{options:?}: {}", words(&seen));
    }
    let endless = bad::endless("", "abc").await;
    let seen = look(&target("tcp", &endless.url("tcp", ""), &[("expect_text", text("xyz"))])).await;
    assert_eq!(outcome(&seen), "too_large (transfer)");
    let no_port = probe::kind::build(&target("tcp", "tcp://127.0.0.1", &[])).err().expect("a port is needed");
    assert!(no_port[0].to_string().contains("names no port"), "{no_port:?}");
}

#[tokio::test]
async fn tcp_speaks_tls_when_asked() {
    let authority = Authority::new();
    let peer = HttpPeer::with_tls(Some(authority.acceptor(Certificate::Good)), routes).await;
    let ca = authority.file("ca.pem").to_string_lossy().into_owned();
    let options = [
        ("tls", Value::Bool(true)),
        ("ca_file", text(&ca)),
        ("send", text("GET / HTTP/1.1\r\n\r\n")),
        ("expect_text", text("welcome")),
    ];
    let seen = look(&target("tcp", &peer.url_by_name("").replace("https", "tcp"), &options)).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert_eq!(fact(&seen, key::TLS_VERSION), "TLSv1.3");
}

#[test]
fn addresses_find_their_kind() {
    for (url, kind) in [
        ("http://h/", "http"),
        ("https://h/health?x=1", "http"),
        ("http://h/axis-cgi/mjpg/video.cgi?resolution=640x480", "mjpeg"),
        ("http://h:8080/?action=stream", "mjpeg"),
        ("http://h/snapshot.JPG", "mjpeg"),
        ("http://h/nphMotionJpeg?Resolution=320x240", "mjpeg"),
        ("tcp://h:22", "tcp"),
        ("rtsp://h/", "rtsp"),
    ] {
        let address = model::address::Address::parse(url).expect("a good URL");
        assert_eq!(probe::kinds::guess(&address).map(|k| k.name), Some(kind), "{url}");
    }
}
