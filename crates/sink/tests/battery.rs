//! The battery: every trouble that every channel must take well, run over the whole table. What is particular to a kind stands
//! in `options`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::alert::{Notification, Severity, Stage};
use sink::channel::{Channel, ChannelKind, Failure};
use sink::channels::{CHANNELS, by_name};
use testkit::bad;
use testkit::http::{HttpPeer, Reply, Request};
use testkit::receivers::{PLANTED, PLANTED_BOT, PLANTED_PATH, PLANTED_USER, receive};
use testkit::wait::wait_for;
use tokio::time::Instant;

use support::{around, build, notification, subject};

/// Deadline of attempts that are meant to reach it.
const SHORT: Duration = Duration::from_millis(500);
/// How long after its deadline an attempt may be back, on a busy machine.
const GRACE: Duration = Duration::from_millis(1500);

/// Kinds that do not speak HTTP.
const NOT_HTTP: &[&str] = &["email"];
/// Kinds without a peer on the network.
const NO_PEER: &[&str] = &["exec", "mqtt"];

fn over_http() -> impl Iterator<Item = &'static ChannelKind> {
    CHANNELS.iter().copied().filter(|kind| !NOT_HTTP.contains(&kind.name) && !NO_PEER.contains(&kind.name))
}

fn over_tcp() -> impl Iterator<Item = &'static ChannelKind> {
    CHANNELS.iter().copied().filter(|kind| !NO_PEER.contains(&kind.name))
}

/// The options with which a kind speaks to a peer of ours, a secret in every place for one.
fn options(kind: &str, address: SocketAddr) -> Vec<(&'static str, String)> {
    let url = |path: &str| format!("http://{address}{path}");
    let mut all = match kind {
        "slack" | "discord" | "teams" => vec![("webhook_url", url(PLANTED_PATH))],
        "telegram" => vec![("url", url("")), ("token", PLANTED_BOT.to_owned()), ("chat_id", "-100123".to_owned())],
        "ntfy" => vec![("url", url("")), ("topic_secret", PLANTED.to_owned()), ("token", PLANTED.to_owned())],
        "gotify" => vec![("url", url("/base/")), ("token", PLANTED.to_owned())],
        "pushover" => vec![("url", url("")), ("token", PLANTED.to_owned()), ("user_key", PLANTED.to_owned())],
        "pagerduty" => vec![("url", url("")), ("routing_key", PLANTED.to_owned())],
        "alertmanager" => vec![("url", url("/prefix")), ("token", PLANTED.to_owned())],
        "webhook" => vec![
            ("url", format!("http://{PLANTED_USER}:{PLANTED}@{address}/hook")),
            ("hmac_secret", PLANTED.to_owned()),
            ("secret_headers", format!("X-Token: Bearer {PLANTED}")),
        ],
        "email" => vec![
            ("host", address.ip().to_string()),
            ("port", address.port().to_string()),
            ("security", "none".to_owned()),
            ("user", PLANTED_USER.to_owned()),
            ("password", PLANTED.to_owned()),
            ("from", "watch@example.com".to_owned()),
            ("to", "ops@example.com".to_owned()),
        ],
        "exec" => return vec![("command", "siren".to_owned()), ("secrets", format!("PIN: {PLANTED}"))],
        "mqtt" => return vec![("topic", "house/alerts".to_owned())],
        other => panic!("say here how {other} reaches a peer"),
    };
    all.push(("timeout", "500ms".to_owned()));
    all
}

fn channel(kind: &ChannelKind, address: SocketAddr) -> Arc<dyn Channel> {
    let options = options(kind.name, address);
    let options: Vec<(&str, &str)> = options.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Arc::from(build(kind.name, &options).unwrap_or_else(|problems| panic!("{}: {problems:?}", kind.name)))
}

async fn send(kind: &ChannelKind, address: SocketAddr) -> Result<(), Failure> {
    let began = Instant::now();
    let sent = channel(kind, address).deliver(&notification(), &around()).await;
    assert!(began.elapsed() < SHORT + GRACE, "{}: back after {:?}", kind.name, began.elapsed());
    if let Err(failure) = &sent {
        assert!(!failure.words.contains("S3cret") && !failure.words.contains("s3cret"), "{}: {failure}", kind.name);
        assert!(!failure.words.is_empty() && !failure.words.contains(['\n', '\r']), "{}: {failure}", kind.name);
    }
    sent
}

/// A peer that answers every request so.
async fn answering(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HttpPeer {
    HttpPeer::with(reply).await
}

#[test]
fn the_table_is_in_order_and_every_key_is_documented() {
    assert!(CHANNELS.windows(2).all(|w| w[0].name < w[1].name), "the rows are in alphabetical order");
    for kind in CHANNELS {
        assert!(by_name(kind.name).is_some_and(|k| std::ptr::eq(k, *kind)), "{}", kind.name);
        assert!(kind.example.contains(&format!("kind: {}\n", kind.name)) && !kind.summary.is_empty(), "{}", kind.name);
        for (i, field) in kind.fields.iter().enumerate() {
            assert!(!kind.fields[..i].iter().any(|f| f.key == field.key), "{}: {} comes twice", kind.name, field.key);
        }
    }
}

#[tokio::test]
async fn the_good_receiver_takes_what_is_sent_in_every_stage() {
    for kind in over_http() {
        let name = kind.name;
        let peer = answering(move |request| receive(name, request)).await;
        let channel = channel(kind, peer.address());
        let long = "ü<@!channel> & [x](http://evil) `*_~|\\ 🎥 ".repeat(200);
        for stage in Stage::ALL {
            for severity in Severity::ALL {
                let mut plain = Notification { stage: *stage, severity: *severity, ..notification() };
                channel.deliver(&plain, &around()).await.unwrap_or_else(|f| panic!("{name} {stage}: {f}"));
                plain.title.clone_from(&long);
                plain.text.clone_from(&long);
                plain.rule = long.chars().take(200).collect(); // as long as the configuration takes
                plain.note = Some(long.clone());
                plain.alert = long.clone();
                plain.key = long.clone();
                let reason: String = long.chars().take(400).collect();
                plain.subjects = (0..50).map(|i| subject(&format!("{i} {}", &long[..50]), &reason)).collect();
                plain.explains = (0..150).map(|i| subject(&format!("{i}"), &reason)).collect();
                channel.deliver(&plain, &around()).await.unwrap_or_else(|f| panic!("{name} {stage}, long: {f}"));
            }
        }
        let bare = Notification {
            text: String::new(),
            subjects: vec![],
            explains: vec![],
            path: String::new(),
            ..notification()
        };
        let nowhere = sink::channel::Around { base_url: None, ..around() };
        channel.deliver(&bare, &nowhere).await.unwrap_or_else(|f| panic!("{name}, bare: {f}"));
    }
}

#[tokio::test]
async fn what_matters_is_told_by_every_kind() {
    for kind in over_http() {
        let peer = answering(|_| Reply::text(200, "")).await;
        send(kind, peer.address()).await.unwrap_or_else(|f| panic!("{}: {f}", kind.name));
        let requests = peer.requests();
        let body = String::from_utf8_lossy(&requests[0].body).into_owned();
        let body = if kind.name == "pushover" {
            url::form_urlencoded::parse(body.as_bytes())
                .map(|(_, value)| value.into_owned())
                .collect::<Vec<_>>()
                .join("\n")
        } else {
            body.replace('\\', "")
        };
        // What, since when, why with the actual value, what it explains, where more is to be seen.
        for part in [
            "Gate is down",
            "2025-11-17",
            "12:00:00",
            "refused by 10.0.0.5:554",
            "Yard",
            "https://watch.example/stream/gate",
        ] {
            assert!(body.contains(part), "{}: {part} is not in {body}", kind.name);
        }
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_and_may_pass() {
    for kind in over_tcp() {
        let refused = bad::refused();
        let failure = send(kind, refused.address()).await.expect_err(kind.name);
        assert!(failure.passing && failure.words.contains("refused"), "{}: {failure}", kind.name);
    }
}

#[tokio::test]
async fn silence_and_slowness_end_at_the_deadline_and_free_the_socket() {
    for kind in over_tcp() {
        for peer in [bad::black_hole().await, bad::drip(&b"HTTP/1.1 200 OK\r\n"[..]).await] {
            let failure = send(kind, peer.address()).await.expect_err(kind.name);
            assert!(failure.passing, "{}: {failure}", kind.name);
            assert!(wait_for(GRACE * 5, || peer.stats().open() == 0).await, "{}", kind.name);
        }
    }
}

#[tokio::test]
async fn garbage_early_ends_and_endless_answers_are_failures_that_may_pass() {
    for kind in over_tcp() {
        let peers = [
            bad::garbage(7, Vec::new()).await,
            bad::early_close().await,
            bad::reset().await,
            bad::endless(&b"HTTP/1.1 500 No\r\n\r\n"[..], &b"x"[..]).await,
            bad::endless(&b"HTTP/1.1 200 OK\r\n"[..], &b"X-A: b\r\n"[..]).await,
            bad::endless(&b"220-"[..], &b"x"[..]).await,
            bad::endless(Vec::new(), &b"220-more\r\n"[..]).await,
        ];
        for (i, peer) in peers.iter().enumerate() {
            let failure = send(kind, peer.address()).await.expect_err(kind.name);
            assert!(failure.words.len() < 1000, "{} at peer {i}: {failure}", kind.name);
            // Headers without end are a mistake of the receiver that stays; all else may pass.
            assert!(failure.passing || failure.words.contains("larger than"), "{} at peer {i}: {failure}", kind.name);
        }
    }
}

#[tokio::test]
async fn answers_mean_what_they_say_and_no_secret_comes_back() {
    // Whatever was sent comes back: in the answer, and in the place that a redirect names.
    let echo = |status: u16, name: &'static str, value: &'static str| {
        move |request: &Request| {
            let headers: String = request.headers.iter().map(|(n, v)| format!("{n}: {v}\n")).collect();
            let body = String::from_utf8_lossy(&request.body);
            let echoed = format!("{} {}\n{headers}\n{body}", request.method, request.target);
            let reply = Reply::text(status, echoed);
            let value = value.replace("{target}", &request.target);
            if name.is_empty() { reply } else { reply.with(name, value) }
        }
    };
    for kind in over_http() {
        for (status, header, passing, after) in [
            (401, ("", ""), false, None),
            (403, ("", ""), false, None),
            (404, ("", ""), false, None),
            (410, ("", ""), false, None),
            (400, ("Retry-After", "5"), false, None),
            (429, ("Retry-After", "17"), true, Some(17)),
            (500, ("", ""), true, None),
            (503, ("Retry-After", "3"), true, Some(3)),
            (302, ("Location", "https://elsewhere.example{target}"), false, None),
            (307, ("Location", "https://elsewhere.example{target}"), false, None),
        ] {
            let peer = answering(echo(status, header.0, header.1)).await;
            let failure = send(kind, peer.address()).await.expect_err(kind.name);
            assert!(failure.words.contains(&status.to_string()), "{}: {failure}", kind.name);
            assert_eq!((failure.passing, failure.retry_after_s), (passing, after), "{}: {failure}", kind.name);
            assert_eq!(peer.requests().len(), 1, "{}: one attempt, and no redirect is followed", kind.name);
        }
    }
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere() {
    let other = answering(|_| Reply::text(200, "")).await;
    let place = other.url("/taken");
    for kind in over_http() {
        let place = place.clone();
        let peer = answering(move |_| Reply::text(307, "").with("Location", place.clone())).await;
        let failure = send(kind, peer.address()).await.expect_err(kind.name);
        assert!(failure.words.contains("not followed"), "{}: {failure}", kind.name);
    }
    assert!(other.requests().is_empty());
}

#[test]
fn no_problem_of_the_configuration_shows_a_secret() {
    for kind in CHANNELS {
        for field in kind.fields.iter().filter(|f| matches!(f.ty, model::conf::Type::Secret)) {
            for value in ["Pl4nted-S3cret Word\n", "ftp://Pl4nted-S3cret/", "http://", "Pl4nted-S3cret ü"] {
                let mut all = options(kind.name, SocketAddr::from(([127, 0, 0, 1], 9)));
                all.retain(|(key, _)| *key != field.key);
                all.push((field.key, value.to_owned()));
                let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (*k, v.as_str())).collect();
                for problem in build(kind.name, &all).err().unwrap_or_default() {
                    assert!(!problem.to_string().contains("S3cret"), "{}.{}: {problem}", kind.name, field.key);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_changed_and_a_recovered_alert_are_one_incident_where_services_join_them() {
    let peer = answering(|_| Reply::text(200, "")).await;
    let pagerduty = channel(by_name("pagerduty").unwrap(), peer.address());
    for stage in [Stage::Raised, Stage::Changed, Stage::Recovered, Stage::Test, Stage::Digest] {
        pagerduty.deliver(&Notification { stage, ..notification() }, &around()).await.unwrap();
    }
    let told: Vec<(String, String)> = peer
        .requests()
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            (request.target.clone(), body["event_action"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let actions: Vec<&str> = told.iter().map(|(_, action)| action.as_str()).collect();
    assert_eq!(
        actions,
        ["trigger", "trigger", "resolve", "trigger", "resolve", ""],
        "a test leaves no incident behind"
    );
    assert_eq!(told[5].0, "/v2/change/enqueue");

    let peer = answering(|_| Reply::text(200, "")).await;
    let alertmanager = channel(by_name("alertmanager").unwrap(), peer.address());
    for (stage, severity) in [
        (Stage::Raised, Severity::Warning),
        (Stage::Changed, Severity::Critical),
        (Stage::Recovered, Severity::Critical),
    ] {
        alertmanager.deliver(&Notification { stage, severity, ..notification() }, &around()).await.unwrap();
    }
    let now = "2025-11-17T12:01:30Z";
    let firing: Vec<Vec<String>> = peer
        .requests()
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let open = |alert: &&serde_json::Value| alert["endsAt"].as_str().is_some_and(|end| end > now);
            body.as_array()
                .unwrap()
                .iter()
                .filter(open)
                .map(|a| a["labels"]["severity"].as_str().unwrap().to_owned())
                .collect()
        })
        .collect();
    assert_eq!(firing, [vec!["warning".to_owned()], vec!["critical".to_owned()], vec![]]);
}
