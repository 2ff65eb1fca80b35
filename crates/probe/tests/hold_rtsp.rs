//! Sessions of the rtsp kind that are held, against servers that stop, leave, lose packets and want signs of life.

mod support;

use std::time::Duration;

use model::fault::FaultKind;
use model::phase::Phase;
use model::reading::{FactValue, fact as key};
use model::target::Target;
use support::held::{Session, hold};
use support::peer::Peer;
use support::{fact, outcome, target, testbed, tracks, words};
use testkit::rtsp::{RtspPeer, Script, Stop};
use testkit::tls::{Authority, Certificate};
use testkit::wait::wait_for;
use wire::rtsp::Method;

/// Longest wait for something that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(15);
/// Within which silence is to be noticed.
const NOTICED: Duration = Duration::from_secs(2);

fn held(peer: &RtspPeer, options: &[(&str, &str)]) -> Target {
    target(&peer.url(), options)
}

#[tokio::test]
async fn a_session_is_measured_and_taken_leave_of() {
    let peer = RtspPeer::with(Script { key_every: 5, ..Script::default() }, None).await;
    let mut session = Session::start(&held(&peer, &[]));
    let (seen, second) = session.after(4).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "h264 Constrained Baseline 64x48 10 fps*"));
    assert_eq!(seen.look.reading.facts.get(key::KEYFRAME_INTERVAL_MS), Some(&FactValue::Int(500)));
    assert_eq!(seen.look.reading.facts.get(key::MEASURED_FPS), Some(&FactValue::Num(10.0)));
    assert_eq!((fact(&seen, "packets_lost").as_str(), fact(&seen, "transport").as_str()), ("0", "tcp"));
    assert!((8..=12).contains(&second.frames), "{second:?}");
    assert!(seen.look.phases.get(Phase::Play).is_some() && seen.took < Duration::from_secs(2), "{:?}", seen.took);
    let last = session.cancel().await;
    assert_eq!(words(&last), "cancelled");
    assert!(wait_for(PATIENCE, || peer.log().torn_down() == 1).await, "{:?}", peer.log().methods());
    assert!(wait_for(PATIENCE, || peer.stats().open() == 0).await, "the connection is left open");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed_within_two_seconds() {
    // 25 pictures take longer than a track is new.
    let script = Script { stops: Some((25, Stop::Silence)), ..Script::default() };
    let peer = RtspPeer::with(script, None).await;
    let seen = hold(&held(&peer, &[])).await;
    assert_eq!(outcome(&seen.last), "stale (media)");
    assert!(words(&seen.last).starts_with("the video track has been silent for 1."), "{}", words(&seen.last));
    assert_eq!(fact(&seen.last, "packets"), "25");
    let since_last = seen.ended.saturating_duration_since(seen.last_packet());
    assert!(since_last < NOTICED, "{since_last:?}");
    assert!(wait_for(PATIENCE, || peer.log().torn_down() == 1).await, "{:?}", peer.log().methods());
}

#[tokio::test]
async fn the_way_in_which_a_server_ends_a_session_is_named() {
    for (stop, expected) in [
        (Stop::Bye, "no_media (media): the server ended the video track (RTCP BYE)"),
        (Stop::Teardown, "no_media (media): the server ended the session (TEARDOWN)"),
        (Stop::Close, "no_media (media): the server closed the connection"),
    ] {
        let peer = RtspPeer::with(Script { stops: Some((3, stop)), ..Script::default() }, None).await;
        let seen = hold(&held(&peer, &[])).await;
        assert_eq!(format!("{}: {}", outcome(&seen.last), words(&seen.last)), expected);
        assert!(!seen.live.is_empty(), "it was open");
    }
}

#[tokio::test]
async fn signs_of_life_are_sent_as_the_server_wants_them() {
    for get_parameter in [false, true] {
        let peer = RtspPeer::with(Script { life_s: 2, get_parameter, ..Script::default() }, None).await;
        let mut session = Session::start(&held(&peer, &[]));
        // Twice as long as the session lives without them.
        let (seen, _) = session.after(5).await;
        assert_eq!(outcome(&seen), "up");
        let methods = peer.log().methods();
        let sent = &methods[3..];
        assert!(sent.len() >= 3 && sent[0] == "OPTIONS", "{methods:?}");
        let expected = if get_parameter { "GET_PARAMETER" } else { "OPTIONS" };
        assert!(sent[1..].iter().all(|method| method == expected), "{methods:?}");
        session.cancel().await;
    }
}

#[tokio::test]
async fn a_sign_of_life_that_is_challenged_is_sent_once_more_with_the_answer() {
    // A server whose first nonce is too old when the first sign of life comes.
    const OLD: &str = r#"Digest realm="r", nonce="n1""#;
    const NEW: &str = r#"Digest realm="r", nonce="n2", stale=true"#;
    let peer = Peer::start(move |client, request| {
        let answer = request.headers.get("Authorization").unwrap_or_default().to_owned();
        match request.method {
            Method::Describe if answer.is_empty() => client.reply(request, 401, &[("WWW-Authenticate", OLD)], ""),
            Method::Setup => {
                let transport = request.headers.get("Transport").expect("asked for").to_owned();
                client.reply(request, 200, &[("Session", "abc;timeout=2"), ("Transport", &transport)], "");
            }
            Method::Options if answer.contains("n1") => {
                client.reply(request, 401, &[("WWW-Authenticate", NEW)], "");
            }
            _ => client.good(request),
        }
    });
    let mut t = target(&peer.url("viewer:s3cret@"), &[("silence", "6s")]);
    t.timeout = PATIENCE;
    let session = Session::start(&t);
    let signed = || {
        let requests = peer.requests();
        let answers = requests.iter().filter(|r| r.method == Method::Options);
        answers.filter_map(|r| r.headers.get("Authorization").map(str::to_owned)).any(|a| a.contains("n2"))
    };
    assert!(wait_for(PATIENCE, signed).await, "{:?}", peer.methods());
    session.cancel().await;
}

#[tokio::test]
async fn packets_left_out_are_counted_exactly() {
    let peer =
        RtspPeer::with(Script { drops: Some(7), stops: Some((60, Stop::Close)), ..Script::default() }, None).await;
    let seen = hold(&held(&peer, &[])).await;
    let dropped = peer.log().dropped();
    assert!(dropped > 2, "{dropped}");
    // What is left out at the very end cannot be known.
    let came: usize = fact(&seen.last, "packets").parse().expect("a number");
    let lost: usize = fact(&seen.last, "packets_lost").parse().expect("a number");
    assert!(came + lost <= 60 && came + dropped == 60 && dropped - lost <= 60 - came - lost, "{came} {lost} {dropped}");
    assert!(lost + 3 >= dropped, "{lost} of {dropped}");
    let told: u32 = seen.live.iter().filter_map(|(_, second)| second.lost).sum();
    assert!(told as usize <= lost, "{told} {lost}");
}

#[tokio::test]
async fn parameters_that_change_on_the_way_change_the_track() {
    const SETS: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
        0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];
    let peer = RtspPeer::with(Script { parameters: Some((15, SETS)), ..Script::default() }, None).await;
    let mut session = Session::start(&held(&peer, &[]));
    let (before, _) = session.after(0).await;
    assert_eq!(tracks(&before), "h264 Constrained Baseline 64x48 10 fps*");
    let (after, _) = session.after(3).await;
    assert_eq!(tracks(&after), "h264 High 1920x1080 30 fps*");
    session.cancel().await;
}

#[tokio::test]
async fn a_session_behind_tls_is_held_and_left() {
    let authority = Authority::new();
    let peer = RtspPeer::with(Script::default(), Some(authority.acceptor(Certificate::Good))).await;
    let ca = authority.file("ca.pem").display().to_string();
    let mut session = Session::start(&held(&peer, &[("ca_file", &ca)]));
    let (seen, _) = session.after(2).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "tls_version").as_str()), ("up", "TLSv1.3"));
    session.cancel().await;
    assert!(wait_for(PATIENCE, || peer.log().torn_down() == 1).await, "{:?}", peer.log().methods());
}

#[tokio::test]
async fn what_cannot_be_opened_is_the_fault_of_a_look() {
    let silent = RtspPeer::with(Script { silent: true, ..Script::default() }, None).await;
    let mut t = held(&silent, &[]);
    t.timeout = Duration::from_millis(400);
    let seen = hold(&t).await;
    assert_eq!((outcome(&seen.last).as_str(), seen.live.len()), ("no_media (media)", 0));
    assert_eq!(words(&seen.last), "no RTP packet of the video track within 400 ms");
    assert!(wait_for(PATIENCE, || silent.log().torn_down() == 1).await);
    let digest = RtspPeer::with(Script { digest: true, ..Script::default() }, None).await;
    assert_eq!(outcome(&hold(&held(&digest, &[])).await.last), "auth_required (describe)");
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut t = target(&format!("rtsp://{}/cam", black_hole.local_addr().expect("bound")), &[]);
    t.timeout = Duration::from_millis(300);
    let seen = hold(&t).await.last;
    assert_eq!(outcome(&seen), "timed_out (describe)");
    assert_eq!(seen.look.fault.map(|f| f.kind), Some(FaultKind::TimedOut));
}

#[tokio::test]
async fn streams_of_the_testbed_are_held_with_their_rates() {
    if testbed().is_none() {
        return;
    }
    const BASE: &str = "rtsp://127.0.0.1:18554";
    let rows = [
        ("h264", "tcp", 10.0),
        ("720p", "tcp", 25.0),
        ("720p", "udp", 25.0),
        ("h265", "udp", 10.0),
        ("mjpeg", "tcp", 10.0),
    ];
    let mut sessions: Vec<_> = rows
        .iter()
        .map(|(path, transport, _)| Session::start(&target(&format!("{BASE}/{path}"), &[("transport", transport)])))
        .collect();
    for (session, (path, transport, fps)) in sessions.iter_mut().zip(rows) {
        let (seen, _) = session.after(6).await;
        let measured = match seen.look.reading.facts.get(key::MEASURED_FPS) {
            Some(FactValue::Num(measured)) => *measured,
            other => panic!("{path}: {other:?}"),
        };
        assert!((measured - fps).abs() <= fps / 100.0, "{path} {transport}: {measured}");
        assert_eq!(fact(&seen, "packets_lost"), "0", "{path} {transport}");
        assert_eq!(fact(&seen, "transport"), transport);
        if path != "mjpeg" {
            assert_eq!(fact(&seen, "keyframe_interval_ms"), "1000", "{path} {transport}");
        }
    }
    for session in sessions {
        assert_eq!(words(&session.cancel().await), "cancelled");
    }
}

#[tokio::test]
async fn streams_of_the_testbed_that_stop_are_noticed() {
    if testbed().is_none() {
        return;
    }
    let (stalls, ends) = (target("rtsp://127.0.0.1:18554/stall", &[]), target("rtsp://127.0.0.1:18554/eos", &[]));
    let (stall, end) = tokio::join!(hold(&stalls), hold(&ends));
    assert_eq!(outcome(&stall.last), "stale (media)", "{}", words(&stall.last));
    let since_last = stall.ended.saturating_duration_since(stall.last_packet());
    // A track that has just begun is given longer: the stream of the testbed stops early.
    assert!(since_last < NOTICED || words(&stall.last).ends_with("5 s is accepted"), "{since_last:?}");
    assert_eq!(outcome(&end.last), "no_media (media)", "{}", words(&end.last));
}
