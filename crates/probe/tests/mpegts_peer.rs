//! The mpegts kind against scripted senders and servers: transports, shared ports, and everything that can be wrong with them.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use model::conf::Value;
use model::observation::Observation;
use model::reading::{Depth, fact as key};
use model::target::Target;
use support::{fact, look, outcome, target, tracks, words};
use testkit::ts::{Body, Form, Sender, server};
use tokio::net::UdpSocket;

const BOTH: &str = "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*";

/// A UDP port of the loopback that was free a moment ago.
async fn free() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback has free ports");
    socket.local_addr().expect("it is bound")
}

fn at(scheme: &str, address: SocketAddr, options: &[(&str, &str)]) -> Target {
    let mut target = target(&format!("{scheme}://{address}"), options);
    assert_eq!(target.kind, "mpegts");
    target.timeout = Duration::from_secs(4);
    target
}

/// The same kind over HTTP.
fn over_http(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(url, options);
    assert_eq!(target.kind, "mpegts", "guessed by the end of the path");
    target.timeout = Duration::from_secs(4);
    target
}

fn findings(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn datagrams_with_and_without_rtp_are_up() {
    for (scheme, form, transport, found) in [
        ("udp", Form::Udp, "udp", vec![]),
        ("rtp", Form::Rtp, "rtp", vec![]),
        ("udp", Form::Rtp, "rtp", vec!["rtp_in_udp"]),
        ("rtp", Form::Reordered, "rtp", vec!["rtp_reordered"]),
    ] {
        let address = free().await;
        let _sender = Sender::start(address, form).await;
        let seen = look(&at(scheme, address, &[("window", "1500ms")])).await;
        assert_eq!(outcome(&seen), "up", "{scheme} {form:?}: {:?}", seen.look);
        assert_eq!((tracks(&seen).as_str(), seen.look.reading.proven), (BOTH, Some(Depth::Media)));
        assert_eq!((fact(&seen, key::TRANSPORT).as_str(), findings(&seen)), (transport, found), "{form:?}");
        assert_eq!(fact(&seen, key::CONTINUITY_ERRORS), "0", "{form:?}");
        assert!(fact(&seen, key::PEER).starts_with("127.0.0.1:"));
    }
}

#[tokio::test]
async fn lost_rtp_packets_are_found_in_both_counts() {
    let address = free().await;
    let _sender = Sender::start(address, Form::Lossy).await;
    let seen = look(&at("rtp", address, &[("window", "2500ms")])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    let names = findings(&seen);
    assert!(names.contains(&"rtp_loss") && names.contains(&"continuity_errors"), "{:?}", seen.look);
    let lost: u64 = fact(&seen, key::RTP_LOST).parse().expect("a number");
    assert!((1..=4).contains(&lost), "{lost}");
    assert_ne!(fact(&seen, key::LOSS_RATIO), "Num(0.0)");
}

#[tokio::test]
async fn two_targets_at_one_port_both_see_everything() {
    let address = free().await;
    let _sender = Sender::start(address, Form::Udp).await;
    let (one, other) = (at("udp", address, &[]), at("udp", address, &[("tracks", "video"), ("window", "1500ms")]));
    let (one, other) = tokio::join!(look(&one), look(&other));
    assert_eq!((outcome(&one).as_str(), findings(&one)), ("up", vec![]), "{:?}", one.look);
    assert_eq!((outcome(&other).as_str(), findings(&other)), ("up", vec![]), "{:?}", other.look);
    assert_eq!(fact(&one, key::CONTINUITY_ERRORS), "0");
    assert_eq!(tracks(&other), "h264 Constrained Baseline 64x48 10 fps*");
}

#[tokio::test]
async fn a_port_of_another_program_is_our_trouble_and_not_the_streams() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let seen = look(&at("udp", taken.local_addr().expect("bound"), &[])).await;
    assert_eq!(outcome(&seen), "internal (connect)");
    assert!(seen.look.fault.as_ref().is_some_and(|fault| fault.is_ours()));
    assert!(words(&seen).contains("another program on this machine listens on UDP port"), "{}", words(&seen));
}

#[tokio::test]
async fn silence_and_foreign_bytes_are_told_apart() {
    let address = free().await;
    let mut quiet = at("udp", address, &[]);
    quiet.timeout = Duration::from_millis(300);
    let seen = look(&quiet).await;
    assert_eq!(outcome(&seen), "no_media (media)", "{:?}", seen.look);
    assert_eq!(words(&seen), "not one byte came within 300 ms");
    // Somebody sends, but not the one that is waited for.
    let _sender = Sender::start(address, Form::Udp).await;
    let mut choosy = at("udp", address, &[("source", "127.0.0.9")]);
    choosy.timeout = Duration::from_millis(500);
    let seen = look(&choosy).await;
    assert!(words(&seen).contains("datagrams came from other sources"), "{}", words(&seen));
    let wrong = look(&at("rtp", address, &[])).await;
    assert_eq!(outcome(&wrong), "protocol (media)");
    assert!(words(&wrong).contains("udp:// in place of rtp://"), "{}", words(&wrong));
    let address = free().await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let noise = testkit::bad::noise(3, 1316);
    let sending = async {
        loop {
            let _ = socket.send_to(&noise, address).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let target = at("udp", address, &[]);
    let seen = tokio::select! {
        seen = look(&target) => seen,
        () = sending => unreachable!("it never ends"),
    };
    assert_eq!(outcome(&seen), "protocol (media)", "{:?}", seen.look);
    assert!(words(&seen).contains("no packets of a transport stream"), "{}", words(&seen));
}

#[tokio::test]
async fn two_senders_are_noticed() {
    let address = free().await;
    let _one = Sender::start(address, Form::Udp).await;
    let _other = Sender::start(address, Form::Udp).await;
    let seen = look(&at("udp", address, &[])).await;
    assert!(findings(&seen).contains(&"several_senders"), "{:?}", seen.look);
}

#[tokio::test]
async fn depths_end_early_and_programs_are_chosen() {
    let address = free().await;
    let _sender = Sender::start(address, Form::Udp).await;
    for (depth, proven) in [(Depth::Reach, Depth::Reach), (Depth::Describe, Depth::Describe)] {
        let mut shallow = at("udp", address, &[("window", "3s")]);
        shallow.depth = depth;
        let seen = look(&shallow).await;
        assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
        assert!(seen.look.reading.proven >= Some(proven), "{:?}", seen.look.reading.proven);
        assert!(seen.took < Duration::from_millis(2_500), "{:?}", seen.took);
    }
    let mut one = at("udp", address, &[]);
    one.options.0.insert("program".to_owned(), Value::Int(1));
    let seen = look(&one).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH));
    let mut none = at("udp", address, &[]);
    none.options.0.insert("program".to_owned(), Value::Int(9));
    none.timeout = Duration::from_millis(1_500);
    let seen = look(&none).await;
    assert_eq!(outcome(&seen), "not_found (media)", "{:?}", seen.look);
}

#[tokio::test]
async fn bodies_that_go_on_end_or_stall() {
    let peer = server(Body::Endless).await;
    let seen = look(&over_http(&peer.url("http", "/live.ts"), &[("window", "3500ms")])).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str(), findings(&seen)), ("up", BOTH, vec![]), "{seen:?}");
    assert_eq!((fact(&seen, key::TRANSPORT), fact(&seen, key::SERVER)), ("http".to_owned(), "relay".to_owned()));
    // A server that sends what it has at once is not listened to in real time.
    assert!(seen.took < Duration::from_secs(3), "{:?}", seen.took);
    let peer = server(Body::Ends(2)).await;
    let mut patient = over_http(&peer.url("http", "/live.ts"), &[("window", "3s")]);
    let seen = look(&patient).await;
    assert_eq!((outcome(&seen).as_str(), findings(&seen)), ("up", vec!["stream_ended"]), "{:?}", seen.look);
    let peer = server(Body::Ends(0)).await;
    let seen = look(&over_http(&peer.url("http", "/live.ts"), &[])).await;
    assert_eq!(outcome(&seen), "no_media (media)");
    assert_eq!(words(&seen), "not one byte came before the server ended the stream");
    let peer = server(Body::Stalls(0)).await;
    patient = over_http(&peer.url("http", "/udp/239.1.1.1:5000"), &[]);
    patient.timeout = Duration::from_millis(400);
    assert_eq!(outcome(&look(&patient).await), "no_media (media)");
    let page = testkit::http::HttpPeer::with(|_| {
        testkit::http::Reply::Whole(200, vec![("Content-Type".into(), "text/html".into())], b"<html>".to_vec())
    });
    let seen = look(&over_http(&page.await.url("/live.ts"), &[])).await;
    assert_eq!(outcome(&seen), "protocol (first_byte)", "{:?}", seen.look);
}

#[test]
fn options_are_checked() {
    let problems = |url: &str, options: &[(&str, &str)]| {
        let mut target = target(url, options);
        target.kind = "mpegts";
        let problems = probe::kind::build(&target).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    for (url, options, expected) in [
        ("udp://239.1.2.3", vec![], "the URL names no port"),
        ("udp://239.1.2.3:5000", vec![("source", "camera")], "camera is no IP address"),
        ("udp://camera@239.1.2.3:5000", vec![], "camera is no IP address"),
        ("udp://10.0.0.1:secret@239.1.2.3:5000", vec![], "has no password"),
        ("http://h/a.ts", vec![("interface", "eth0")], "are for udp:// and rtp:// addresses"),
        ("udp://239.1.2.3:5000", vec![("window", "30s")], "shorter than the timeout"),
    ] {
        assert!(problems(url, &options).contains(expected), "{url}: {}", problems(url, &options));
    }
    for url in ["udp://10.0.0.1@232.1.2.3:5000", "udp://@239.1.2.3:5000", "rtp://[ff15::42]:5000", "udp://0.0.0.0:5000"]
    {
        assert_eq!(problems(url, &[]), "", "{url}");
    }
}
