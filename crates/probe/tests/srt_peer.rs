//! The srt kind against a scripted sender: what it refuses, how it misbehaves, and what a lossy way does to it. The battery's
//! peers of TCP cannot trouble this kind; the troubles of the battery stand here, over datagrams.

#![allow(clippy::print_stderr, reason = "shared with tests that say when they are skipped")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use model::observation::Observation;
use model::reading::{Depth, FactValue};
use model::target::Target;
use net::clock::SystemClock;
use probe::run::Prober;
use support::{fact, look, look_until, outcome, target, tracks, words};
use testkit::datagram::{DatagramPeer, Manner as Bad, Relay, Trouble, closed};
use testkit::srt::{Manner, SrtPeer};
use testkit::wait::wait_for;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const BOTH: &str = "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*";
const SECRET: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(600);

fn short(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(url, options);
    target.timeout = SHORT;
    target
}

/// Holds a session until `enough`; the observations, and the last one when the session ended by itself.
async fn hold(
    target: &Target,
    enough: impl Fn(&Observation) -> bool + Send + Sync,
) -> (Vec<Observation>, Option<Observation>) {
    let probe = probe::kind::build(target).expect("good options");
    let cancel = CancellationToken::new();
    let mut all = Vec::new();
    let mut each = |seen: Observation, _| {
        if enough(&seen) {
            cancel.cancel();
        }
        all.push(seen);
    };
    let holding = Prober::new(Arc::new(SystemClock::new())).hold(target, &*probe, &cancel, &mut each).await;
    let last = (!cancel.is_cancelled()).then_some(holding);
    (all, last)
}

fn number(seen: &Observation, key: &str) -> f64 {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Int(n)) => *n as f64,
        Some(FactValue::Num(n)) => *n,
        other => panic!("{key}: {other:?} in {:?}", seen.look),
    }
}

fn is_data(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|octet| octet & 0x80 == 0)
}

#[tokio::test]
async fn a_good_sender_is_up_and_is_told_goodbye() {
    for (passphrase, options, bits) in [
        (None, [].as_slice(), "0"),
        (Some(SECRET), &[("passphrase", SECRET), ("streamid", "#!::r=cam,m=request")], "128"),
    ] {
        let peer = SrtPeer::with(Manner::Good, passphrase).await;
        let seen = look(&target(&peer.url(""), options)).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{:?}", seen.look);
        assert_eq!((fact(&seen, "srt_key_bits").as_str(), fact(&seen, "srt_latency_ms").as_str()), (bits, "120"));
        assert_eq!((fact(&seen, "srt_lost"), fact(&seen, "srt_undecrypted")), ("0".to_owned(), "0".to_owned()));
        assert!(wait_for(PATIENCE, || peer.seen().goodbyes == 1).await, "it takes leave");
        assert_eq!(peer.seen().stream_id, options.get(1).map_or("", |(_, id)| id));
        assert!(!format!("{seen:?}").contains("horse"), "{seen:?}");
    }
}

#[tokio::test]
async fn depth_decides_what_is_waited_for() {
    let silent = SrtPeer::with(Manner::Silent, None).await;
    let good = SrtPeer::start().await;
    for (peer, depth, expected, expected_tracks) in [
        (&silent, Depth::Reach, "up", ""),
        (&silent, Depth::Describe, "no_media (media)", ""),
        (&good, Depth::Describe, "up", "h264"),
    ] {
        let mut target = short(&peer.url(""), &[]);
        target.depth = depth;
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{depth}: {:?}", seen.look);
        assert!(tracks(&seen).starts_with(expected_tracks), "{depth}: {}", tracks(&seen));
        assert_eq!(seen.look.reading.proven, Some(if expected == "up" { depth } else { Depth::Reach }));
    }
}

#[tokio::test]
async fn what_a_sender_refuses_has_its_kind_and_its_words() {
    for (manner, expected, part) in [
        (Manner::Refuse(10), "auth_required (handshake)", "the passphrase is wrong (code 10)"),
        (Manner::Refuse(11), "auth_required (handshake)", "the peer wants a passphrase, and none is configured"),
        (Manner::Refuse(8), "protocol (handshake)", "wants another version"),
        (Manner::Refuse(1400), "protocol (handshake)", "the stream id is malformed"),
        (Manner::Refuse(1401), "auth_required (handshake)", "the stream wants a sign-in"),
        (Manner::Refuse(1402), "refused (handshake)", "overloaded"),
        (Manner::Refuse(1403), "forbidden (handshake)", "access is forbidden"),
        (Manner::Refuse(1404), "not_found (handshake)", "there is no such stream"),
        (Manner::Refuse(2777), "protocol (handshake)", "the peer refuses with code 2777"),
        (Manner::Old, "protocol (handshake)", "handshake version 4"),
        (Manner::Rendezvous, "protocol (handshake)", "rendezvous"),
        (
            Manner::Half,
            "timed_out (handshake)",
            "answered the first step of the handshake and not the second within 600 ms",
        ),
        (Manner::Silent, "no_media (media)", "the handshake is done and not one packet of media came within 600 ms"),
        (Manner::Leaves(0), "no_media (media)", "not one packet of media came before the peer ended the connection"),
        (Manner::Says(b"<html>".repeat(200)), "protocol (media)", "a page instead of a transport stream"),
        (
            Manner::Says([&[0x47, 0x1f, 0xff, 0x10][..], &[0xff; 184]].concat()),
            "no_media (media)",
            "no program association table (PAT) came within 600 ms",
        ),
        (Manner::Keyless, "auth_required (media)", "no packet can be decrypted"),
        (Manner::Leaves(3), "no_media (media)", "before the peer ended the connection"),
    ] {
        let peer = SrtPeer::with(manner.clone(), None).await;
        let seen = look(&short(&peer.url(""), &[])).await;
        assert_eq!(outcome(&seen), expected, "{manner:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{manner:?}: {}", words(&seen));
    }
}

#[tokio::test]
async fn passphrases_must_be_the_same_on_both_sides() {
    for (theirs, ours, part) in [
        (Some(SECRET), Some("another horse"), "passphrase"),
        (Some(SECRET), None, "passphrase"),
        (None, Some(SECRET), "passphrase"),
    ] {
        let options: Vec<_> = ours.iter().map(|text| ("passphrase", *text)).collect();
        let peer = SrtPeer::with(Manner::Good, theirs).await;
        let seen = look(&short(&peer.url(""), &options)).await;
        assert_eq!(outcome(&seen), "auth_required (handshake)", "{theirs:?} {ours:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part) && !words(&seen).contains("horse"), "{}", words(&seen));
        // The other way round: we listen.
        let port = closed();
        let caller = SrtPeer::call(port, Manner::Good, theirs, "").await;
        let seen = look(&short(&format!("srt://{port}?mode=listener"), &options)).await;
        assert_eq!(outcome(&seen), "auth_required (handshake)", "{theirs:?} {ours:?}: {:?}", seen.look);
        assert!(words(&seen).contains("was refused and no other came within 600 ms"), "{}", words(&seen));
        assert_eq!(caller.seen().opened, 0);
    }
}

#[tokio::test]
async fn callers_are_let_in_by_their_stream_id() {
    for (id, wanted, expected) in [
        ("#!::r=cam,u=admin", "", "up"),
        ("live/cam", "live/cam", "up"),
        ("live/other", "live/cam", "forbidden (handshake)"),
        ("", "live/cam", "forbidden (handshake)"),
    ] {
        let port = closed();
        let caller = SrtPeer::call(port, Manner::Good, Some(SECRET), id).await;
        let options = [("mode", "listener"), ("passphrase", SECRET), ("streamid", wanted)];
        let mut target = target(&format!("srt://{port}"), &options);
        target.timeout = if expected == "up" { PATIENCE } else { SHORT };
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{id:?} for {wanted:?}: {:?}", seen.look);
        if expected == "up" {
            assert_eq!((tracks(&seen).as_str(), fact(&seen, "srt_key_bits").as_str()), (BOTH, "128"));
            assert_eq!(fact(&seen, "srt_resource"), if id.starts_with('#') { "cam" } else { "-" });
            assert_eq!(fact(&seen, "peer"), caller.address().to_string());
            assert!(wait_for(PATIENCE, || caller.seen().goodbyes == 1).await, "it takes leave");
        }
    }
    let port = closed();
    let seen = look(&short(&format!("srt://{port}?mode=listener"), &[])).await;
    assert_eq!(outcome(&seen), "timed_out (handshake)");
    assert_eq!(words(&seen), format!("nobody called UDP {port} within 600 ms"));
}

/// The first datagrams of each direction are lost: both sides repeat themselves, whoever began.
#[tokio::test]
async fn a_lost_handshake_is_repeated() {
    for first in 1..=3 {
        let peer = SrtPeer::start().await;
        let relay = Relay::start(peer.address(), Trouble { first, ..Trouble::default() }).await;
        let seen = look(&target(&format!("srt://{}", relay.address()), &[])).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{first}: {:?}", seen.look);
        let port = closed();
        let relay = Relay::start(port, Trouble { first, ..Trouble::default() }).await;
        let _caller = SrtPeer::call(relay.address(), Manner::Good, None, "").await;
        let seen = look(&target(&format!("srt://{port}?mode=listener"), &[])).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", BOTH), "{first}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn losses_are_repaired_and_counted() {
    for seed in 1..=3 {
        let peer = SrtPeer::start().await;
        let trouble = Trouble { seed, lost: 50, twice: 30, late: 40, touches: is_data, ..Trouble::default() };
        let relay = Relay::start(peer.address(), trouble).await;
        let options = [("latency", "2s")];
        let (all, ended) =
            hold(&target(&format!("srt://{}", relay.address()), &options), |seen| number(seen, "srt_packets") >= 400.0)
                .await;
        let last = all.last().unwrap_or_else(|| panic!("{ended:?}"));
        let get = |key| number(last, key);
        let (lost, twice, late) = relay.done().get();
        let told = format!("seed {seed}: relay lost {lost}, twice {twice}, late {late}: {:?}", last.look.reading.facts);
        assert!(lost > 5 && twice > 5 && late > 5, "{told}");
        assert_eq!(get("srt_dropped"), 0.0, "everything was repaired: {told}");
        // What was late was missing as well for a moment; what was lost twice is missing once.
        assert!(get("srt_lost") > 5.0 && get("srt_lost") <= (lost + late) as f64, "{told}");
        assert!(get("srt_retransmitted") > 5.0, "{told}");
        assert!(get("srt_duplicates") >= twice as f64 * 0.8, "{told}");
        assert_eq!((get("srt_belated"), get("loss_ratio")), (0.0, 0.0), "{told}");
        assert!(peer.seen().naks > 0 && peer.seen().again > 0, "{:?}", peer.seen());
        assert!(get("rtt_ms") < 1000.0 && get("srt_receive_bps") > 0.0, "{told}");
    }
}

/// A sender that gives packets up, and one whose repetitions are lost as well: holes stay, the stream goes on.
#[tokio::test]
async fn what_is_not_repaired_is_lost_and_told() {
    let peer = SrtPeer::with(Manner::GivesUp(20), None).await;
    let (all, ended) = hold(&target(&peer.url(""), &[]), |seen| number(seen, "srt_packets") >= 400.0).await;
    let last = all.last().unwrap_or_else(|| panic!("{ended:?}"));
    let told = format!("{:?}", last.look.reading.facts);
    let (packets, dropped) = (number(last, "srt_packets"), number(last, "srt_dropped"));
    assert!(dropped > 5.0 && (dropped / packets - 1.0 / 19.0).abs() < 0.02, "{told}");
    assert!(number(last, "loss_ratio") > 0.01, "{told}");
}

#[tokio::test]
async fn keys_may_change_while_a_session_is_held() {
    let peer = SrtPeer::with(Manner::NewKeys(50), Some(SECRET)).await;
    let (all, ended) =
        hold(&target(&peer.url(""), &[("passphrase", SECRET)]), |seen| number(seen, "srt_packets") >= 400.0).await;
    let last = all.last().unwrap_or_else(|| panic!("{ended:?}"));
    assert!(peer.seen().keys_taken >= 4, "{:?}", peer.seen());
    assert_eq!(number(last, "srt_undecrypted"), 0.0, "{:?}", last.look.reading.facts);
    assert_eq!(tracks(last), BOTH);
    assert!(wait_for(PATIENCE, || peer.seen().goodbyes == 1).await, "it takes leave");
}

#[tokio::test]
async fn the_end_of_a_held_session_is_told() {
    let peer = SrtPeer::with(Manner::Leaves(150), None).await;
    let (all, ended) = hold(&target(&peer.url(""), &[]), |_| false).await;
    let ended = ended.expect("it ended by itself");
    assert_eq!(outcome(&ended), "no_media (media)");
    assert_eq!(words(&ended), "media came until the peer ended the connection");
    assert!(!all.is_empty() && number(&ended, "srt_packets") > 100.0);
    let peer = SrtPeer::with(Manner::Stalls(1200), None).await;
    let began = Instant::now();
    let (_, ended) = hold(&target(&peer.url(""), &[]), |_| false).await;
    let ended = ended.expect("it ended by itself");
    assert_eq!(outcome(&ended), "stale (media)", "{}", words(&ended));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(wait_for(PATIENCE, || peer.seen().goodbyes == 1).await, "it takes leave");
}

#[tokio::test]
async fn bad_peers_over_datagrams_do_no_harm() {
    let echo_of_nothing = Bad::Says(vec![0x80; 64]);
    for (manner, expected) in [
        (Bad::BlackHole, ["timed_out (handshake)"].as_slice()),
        (Bad::Drip(0x80), &["protocol (handshake)"]),
        (Bad::Echo, &["timed_out (handshake)", "protocol (handshake)"]),
        (Bad::Endless(vec![0; 100]), &["protocol (handshake)"]),
        (Bad::Endless(vec![0x80; 10]), &["protocol (handshake)"]),
        (echo_of_nothing, &["timed_out (handshake)", "protocol (handshake)"]),
    ] {
        let peer = DatagramPeer::start(manner.clone()).await;
        let began = Instant::now();
        let seen = look(&short(&format!("srt://{}", peer.address()), &[])).await;
        assert!(expected.contains(&outcome(&seen).as_str()), "{manner:?}: {:?}", seen.look);
        assert!(began.elapsed() < SHORT + Duration::from_millis(1500), "{manner:?}: {:?}", began.elapsed());
        assert!(wait_for(PATIENCE, || peer.met() == 1 && peer.open() == 0).await, "{manner:?}: its socket is closed");
    }
    for seed in 1..=12 {
        let peer = DatagramPeer::start(Bad::Garbage(seed)).await;
        let seen = look(&short(&format!("srt://{}", peer.address()), &[])).await;
        assert_eq!(outcome(&seen), "protocol (handshake)", "seed {seed}: {:?}", seen.look);
    }
    let seen = look(&target(&format!("srt://{}", closed()), &[])).await;
    assert_eq!(outcome(&seen), "refused (connect)", "{:?}", seen.look);
}

#[tokio::test]
async fn cancelling_frees_the_socket() {
    for manner in [Bad::BlackHole] {
        let peer = DatagramPeer::start(manner).await;
        let cancel = CancellationToken::new();
        let mut target = target(&format!("srt://{}", peer.address()), &[]);
        target.timeout = 10 * PATIENCE;
        let cancelling = async {
            assert!(wait_for(PATIENCE, || peer.met() == 1).await, "it calls");
            cancel.cancel();
        };
        let (seen, ()) = tokio::join!(look_until(&target, &cancel), cancelling);
        assert!(seen.look.fault.is_some() && peer.open() == 0);
    }
    let peer = SrtPeer::with(Manner::Silent, None).await;
    let cancel = CancellationToken::new();
    let slow = target(&peer.url(""), &[]);
    let cancelling = async {
        assert!(wait_for(PATIENCE, || peer.seen().opened == 1).await, "it calls");
        cancel.cancel();
    };
    tokio::join!(look_until(&slow, &cancel), cancelling);
    assert!(wait_for(PATIENCE, || peer.seen().goodbyes == 1).await, "a dropped look takes leave");
}

#[tokio::test]
async fn planted_secrets_come_out_nowhere() {
    const PLANTED: &str = "pl4nted+s3cret/of=ours";
    let encoded: String = url::form_urlencoded::byte_serialize(PLANTED.as_bytes()).collect();
    let peers = [
        SrtPeer::with(Manner::Refuse(10), None).await.url(""),
        SrtPeer::start().await.url(""),
        format!("srt://{}", DatagramPeer::start(Bad::Echo).await.address()),
        format!("srt://{}", closed()),
    ];
    for url in &peers {
        let query = format!("{url}?passphrase={encoded}&streamid={encoded}");
        for (url, options) in [(&query, [].as_slice()), (url, &[("passphrase", PLANTED), ("streamid", PLANTED)])] {
            let target = short(url, options);
            let seen = look(&target).await;
            let fault = seen.look.fault.as_ref().map(ToString::to_string).unwrap_or_default();
            for shown in [format!("{seen:?}"), format!("{target:?}"), target.address.to_string(), fault] {
                for spelling in [PLANTED, &encoded, "pl4nted"] {
                    assert!(!shown.contains(spelling), "{spelling} in {shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_program_and_a_sort_of_tracks_may_be_chosen() {
    let peer = SrtPeer::start().await;
    for (options, expected, expected_tracks) in [
        ([("program", "1"), ("tracks", "audio")], "up", "aac LC 48000 Hz 2 ch*"),
        ([("program", "1"), ("tracks", "video")], "up", "h264 Constrained Baseline 64x48 10 fps*"),
        ([("program", "7"), ("tracks", "all")], "not_found (media)", ""),
    ] {
        let mut target = short(&peer.url(""), &options[1..]);
        let number = options[0].1.parse().expect("a number");
        target.options.0.insert("program".to_owned(), model::conf::Value::Int(number));
        let seen = look(&target).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), (expected, expected_tracks), "{:?}", seen.look);
    }
}
