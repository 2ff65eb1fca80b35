//! The rtsp kind against a scripted server: what real servers do rarely, and what only bad ones do.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use model::phase::Phase;
use model::reading::{Depth, FactValue, fact as key};
use support::peer::{Client, Peer, SDP, rtp};
use support::{fact, look, look_until, outcome, target, tracks, words};
use testkit::rtsp::{RtspPeer, Script, Stop};
use testkit::tls::{Authority, Certificate};
use testkit::wait::wait_for;
use tokio_util::sync::CancellationToken;
use wire::rtsp::{Method, Request, Transport};

const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_look_is_describe_setup_play_teardown() {
    let peer = Peer::start(|client, request| client.good(request));
    let seen = look(&target(&peer.url("viewer:s3cret@"), &[])).await;
    assert_eq!(
        (outcome(&seen).as_str(), tracks(&seen).as_str()),
        ("up", "h264 High 1920x1080 30 fps* + aac LC 48000 Hz 1 ch*")
    );
    assert_eq!(seen.look.reading.proven, Some(Depth::Media));
    assert_eq!((fact(&seen, "rtp_packets").as_str(), fact(&seen, "server").as_str()), ("2", "Scripted/1"));
    assert_eq!(peer.methods(), ["DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]);
    for request in peer.requests() {
        assert!(!request.uri.contains("s3cret") && !request.uri.contains("viewer"), "{request:?}");
        assert_eq!(request.headers.get("Authorization"), None, "nothing is told before it is asked for");
    }
    let uris: Vec<_> =
        peer.requests().into_iter().map(|r| r.uri.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(uris, ["cam", "video", "audio", "cam", "cam"]);
}

#[tokio::test]
async fn packets_may_come_early_and_on_channels_of_the_servers_choice() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Setup => {
            let channels = if request.uri.ends_with("video") { "8-9" } else { "6-7" };
            let transport = format!("RTP/AVP/TCP;unicast;interleaved={channels}");
            client.reply(request, 200, &[("Session", "abc"), ("Transport", &transport)], "");
        }
        Method::Play => {
            client.rtp(8, 96, 1, &[0x65, 1]);
            client.rtp(6, 97, 1, &[0, 16, 0, 8, 1]);
            client.reply(request, 200, &[], "");
        }
        _ => client.good(request),
    });
    assert_eq!(outcome(&look(&target(&peer.url(""), &[])).await), "up");
}

#[tokio::test]
async fn a_track_without_packets_is_no_media_and_the_words_say_which() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => {
            client.reply(request, 200, &[], "");
            client.rtp(2, 97, 1, &[1]);
            client.rtp(2, 97, 2, &[1]);
            client.rtp(0, 33, 1, &[1]);
        }
        _ => client.good(request),
    });
    let mut t = target(&peer.url(""), &[]);
    t.timeout = SHORT;
    let seen = look(&t).await;
    assert_eq!(outcome(&seen), "no_media (media)");
    assert_eq!(
        words(&seen),
        "no RTP packet of the video track within 400 ms; audio sent 2 packets; 1 packet of payload type 33 came for \
         video, which declares 96"
    );
    assert_eq!(tracks(&seen), "h264 High 1920x1080 30 fps + aac LC 48000 Hz 1 ch*");
    assert_eq!(seen.look.reading.proven, Some(Depth::Describe));
    peer.wait_for(&Method::Teardown);
}

#[tokio::test]
async fn a_server_that_never_answers_play_timed_out_there() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => {}
        _ => client.good(request),
    });
    let mut t = target(&peer.url(""), &[]);
    t.timeout = SHORT;
    assert_eq!(outcome(&look(&t).await), "timed_out (play)");
    peer.wait_for(&Method::Teardown);
}

#[tokio::test]
async fn a_cancelled_look_still_says_goodbye() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => client.reply(request, 200, &[], ""),
        _ => client.good(request),
    });
    let (t, cancel) = (target(&peer.url(""), &[]), CancellationToken::new());
    let stop = async {
        let waiting = tokio::task::spawn_blocking({
            let cancel = cancel.clone();
            move || {
                peer.wait_for(&Method::Play);
                cancel.cancel();
                peer
            }
        });
        waiting.await.expect("PLAY came")
    };
    let (seen, peer) = tokio::join!(look_until(&t, &cancel), stop);
    assert_eq!(words(&seen), "cancelled");
    let goodbye = peer.wait_for(&Method::Teardown);
    assert_eq!(goodbye.headers.get("Session"), Some("abc"));
}

#[tokio::test]
async fn a_cancelled_look_says_goodbye_through_tls_too() {
    const PATIENCE: Duration = Duration::from_secs(5);
    let authority = Authority::new();
    let script = Script { silent: true, ..Script::default() };
    let peer = RtspPeer::with(script, Some(authority.acceptor(Certificate::Good))).await;
    let ca = authority.file("ca.pem").display().to_string();
    let (t, cancel) = (target(&peer.url(), &[("ca_file", &ca)]), CancellationToken::new());
    let stop = async {
        let playing = || peer.log().methods().iter().any(|m| m == "PLAY");
        assert!(wait_for(PATIENCE, playing).await, "no PLAY came");
        cancel.cancel();
    };
    let (seen, ()) = tokio::join!(look_until(&t, &cancel), stop);
    assert_eq!(words(&seen), "cancelled");
    assert!(wait_for(PATIENCE, || peer.log().torn_down() == 1).await, "{:?}", peer.log().methods());
}

#[tokio::test]
async fn a_server_that_never_answers_teardown_costs_no_measured_time() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Teardown => {}
        _ => client.good(request),
    });
    let began = tokio::time::Instant::now();
    let seen = look(&target(&peer.url(""), &[])).await;
    assert_eq!(outcome(&seen), "up");
    assert!(seen.took < Duration::from_millis(450), "{:?}", seen.took);
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_end_of_the_connection_is_named_by_where_it_came() {
    for (method, expected) in [
        (Method::Describe, "protocol (describe)"),
        (Method::Setup, "protocol (setup)"),
        (Method::Play, "protocol (play)"),
    ] {
        let ends = method.clone();
        let peer = Peer::start(
            move |client, request| if request.method == ends { client.close() } else { client.good(request) },
        );
        let seen = look(&target(&peer.url(""), &[])).await;
        assert_eq!(outcome(&seen), expected, "{}", words(&seen));
        assert!(words(&seen).contains(&format!("before answering {method}")), "{}", words(&seen));
    }
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => {
            client.reply(request, 200, &[], "");
            client.rtp(0, 96, 1, &[0x65]);
            client.close();
        }
        _ => client.good(request),
    });
    let seen = look(&target(&peer.url(""), &[])).await;
    assert_eq!(outcome(&seen), "no_media (media)");
    assert_eq!(
        words(&seen),
        "no RTP packet of the audio track before the server closed the connection; video sent 1 packet"
    );
}

#[tokio::test]
async fn status_codes_have_their_meaning() {
    for (method, status, expected) in [
        (Method::Describe, 401, "auth_required (describe)"),
        (Method::Describe, 403, "forbidden (describe)"),
        (Method::Describe, 404, "not_found (describe)"),
        (Method::Describe, 410, "not_found (describe)"),
        (Method::Describe, 454, "not_found (describe)"),
        (Method::Describe, 503, "protocol (describe)"),
        (Method::Setup, 454, "protocol (setup)"),
        (Method::Setup, 403, "forbidden (setup)"),
        (Method::Play, 404, "not_found (play)"),
        (Method::Play, 455, "protocol (play)"),
    ] {
        let fails = method.clone();
        let peer = Peer::start(move |client, request| {
            if request.method == fails { client.reply(request, status, &[], "") } else { client.good(request) }
        });
        let seen = look(&target(&peer.url(""), &[])).await;
        assert_eq!(outcome(&seen), expected, "{status} to {method}");
        assert!(words(&seen).contains(&status.to_string()), "{}", words(&seen));
        assert_eq!(fact(&seen, "status_code"), status.to_string());
        if method == Method::Play {
            peer.wait_for(&Method::Teardown);
        }
    }
}

/// A server that asks for Digest and changes its nonce as `nonces` says, one per request; a request with another nonce than
/// the one in force is refused.
fn locked(nonces: &'static [&'static str], stale: bool, algorithm: &'static str) -> Peer {
    let turn = AtomicUsize::new(0);
    Peer::start(move |client: &mut Client, request: &Request| {
        let nonce = nonces[turn.load(Ordering::SeqCst).min(nonces.len() - 1)];
        turn.fetch_add(1, Ordering::SeqCst);
        let answer = request.headers.get("Authorization").unwrap_or_default();
        if answer.contains(&format!("nonce=\"{nonce}\"")) {
            return client.good(request);
        }
        let stale = if stale && !answer.is_empty() { ", stale=true" } else { "" };
        let challenge = format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"{algorithm}{stale}");
        client.reply(request, 401, &[("WWW-Authenticate", &challenge)], "");
    })
}

#[tokio::test]
async fn nonces_may_change_once_and_grow_old_once() {
    let one = |nonces, stale, algorithm| async move {
        let peer = locked(nonces, stale, algorithm);
        let seen = look(&target(&peer.url("viewer:s3cret@"), &[])).await;
        assert!(!format!("{seen:?} {:?}", peer.requests()).contains("s3cret"));
        (outcome(&seen), peer.methods().join(" "))
    };
    let steady = ("up".to_owned(), "DESCRIBE DESCRIBE SETUP SETUP PLAY TEARDOWN".to_owned());
    assert_eq!(one(&["a"], false, "").await, steady);
    assert_eq!(one(&["a"], false, ", algorithm=SHA-256").await, steady);
    // The nonce changes while the session is set up.
    let (up, methods) = one(&["a", "a", "b"], false, "").await;
    assert_eq!((up.as_str(), methods.as_str()), ("up", "DESCRIBE DESCRIBE SETUP SETUP SETUP PLAY TEARDOWN"));
    // The first answer comes too late, the second does not.
    let (up, methods) = one(&["a", "b"], true, "").await;
    assert_eq!((up.as_str(), methods.as_str()), ("up", "DESCRIBE DESCRIBE DESCRIBE SETUP SETUP PLAY TEARDOWN"));
    let refused = |n: usize| ("auth_required (describe)".to_owned(), ["DESCRIBE"].repeat(n).join(" "));
    assert_eq!(one(&["a", "b", "c", "d", "e", "f"], false, "").await, refused(2));
    assert_eq!(one(&["a", "b", "c", "d", "e", "f"], true, "").await, refused(3));
}

#[tokio::test]
async fn datagrams_when_the_connection_is_refused_and_never_mixed() {
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let ports = std::sync::Mutex::new(Vec::new());
    let peer = Peer::start(move |client, request| match request.method {
        Method::Setup => {
            let offer = request.headers.get("Transport").expect("a transport");
            let Some((rtp, _)) = Transport::parse(offer).expect("a good one").client_port else {
                return client.reply(request, 461, &[], "");
            };
            ports.lock().expect("one thread").push(rtp);
            client.reply(
                request,
                200,
                &[("Session", "u"), ("Transport", &format!("{offer};server_port=5000-5001"))],
                "",
            );
        }
        Method::Play => {
            client.reply(request, 200, &[], "");
            for (port, payload_type) in ports.lock().expect("one thread").iter().zip([96, 97]) {
                sender.send_to(&rtp(payload_type, 1, &[1]), ("127.0.0.1", *port)).expect("sent");
            }
        }
        _ => client.good(request),
    });
    let seen = look(&target(&peer.url(""), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "transport").as_str()), ("up", "udp"), "{}", words(&seen));
    assert_eq!(peer.methods(), ["DESCRIBE", "SETUP", "SETUP", "SETUP", "PLAY", "TEARDOWN"]);
    let tcp = look(&target(&peer.url(""), &[("transport", "tcp")])).await;
    assert_eq!(outcome(&tcp), "protocol (setup)");
    assert!(words(&tcp).contains("461"), "{}", words(&tcp));
}

#[tokio::test]
async fn redirects_are_followed_and_bounded() {
    let there = Peer::start(|client, request| client.good(request));
    let to = there.url("");
    let here = Peer::start(move |client, request| client.reply(request, 302, &[("Location", &to)], ""));
    let seen = look(&target(&here.url("viewer:s3cret@"), &[])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "redirects").as_str()), ("up", "1"));

    let circle = Peer::start(|client, request| client.reply(request, 301, &[("Location", &request.uri)], ""));
    let seen = look(&target(&circle.url(""), &[])).await;
    assert_eq!((outcome(&seen).as_str(), words(&seen).as_str()), ("protocol (describe)", "more than 3 redirects"));
    assert_eq!(circle.methods().len(), 4);

    for (location, part) in [("http://127.0.0.1/", "http, which is not RTSP"), ("", "does not say where to")] {
        let peer = Peer::start(move |client, request| client.reply(request, 302, &[("Location", location)], ""));
        let seen = look(&target(&peer.url(""), &[])).await;
        assert_eq!(outcome(&seen), "protocol (describe)");
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
}

#[tokio::test]
async fn requests_of_the_server_are_answered() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Play => {
            client.reply(request, 200, &[], "");
            client.request(Method::Options);
            client.request(Method::GetParameter);
            client.request(Method::Announce);
            client.rtp(0, 96, 1, &[0x65, 1]);
            client.rtp(2, 97, 1, &[1]);
        }
        _ => client.good(request),
    });
    assert_eq!(outcome(&look(&target(&peer.url(""), &[])).await), "up");
    peer.wait_for(&Method::Teardown);
    let replies: Vec<_> = peer.replies().iter().map(|r| (r.status, r.cseq())).collect();
    assert_eq!(replies, [(200, Some(7)), (200, Some(7)), (501, Some(7))]);

    let chatty = Peer::start(|client, _| {
        for _ in 0..100 {
            client.request(Method::Options);
        }
    });
    let seen = look(&target(&chatty.url(""), &[])).await;
    assert_eq!(outcome(&seen), "protocol (describe)", "{}", words(&seen));
}

#[tokio::test]
async fn a_session_is_kept_alive_while_media_is_waited_for() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Setup => {
            let transport = request.headers.get("Transport").expect("a transport").to_owned();
            client.reply(request, 200, &[("Session", "k;timeout=2"), ("Transport", &transport)], "");
        }
        Method::Play => client.reply(request, 200, &[], ""),
        // Media begins once the client has shown that it is still there.
        Method::Options => {
            client.reply(request, 200, &[], "");
            client.rtp(0, 96, 1, &[0x65, 1]);
            client.rtp(2, 97, 1, &[1]);
        }
        _ => client.good(request),
    });
    let seen = look(&target(&peer.url(""), &[])).await;
    assert_eq!(outcome(&seen), "up", "{}", words(&seen));
    assert_eq!(peer.wait_for(&Method::Options).headers.get("Session"), Some("k"));
}

#[tokio::test]
async fn depths_below_media_set_nothing_up() {
    let peer = Peer::start(|client, request| client.good(request));
    for (depth, methods) in [(Depth::Reach, "OPTIONS"), (Depth::Describe, "OPTIONS DESCRIBE")] {
        let mut t = target(&peer.url(""), &[]);
        t.depth = depth;
        let seen = look(&t).await;
        assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(depth)));
        assert_eq!(peer.methods().join(" "), methods);
    }
}

#[tokio::test]
async fn picture_sizes_come_from_the_packets_when_the_description_has_none() {
    // A parameter set of 1920x1080, High, and a slice of a key frame, as one picture in two packets.
    const PARAMETERS: &[u8] = &[
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
        0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];
    let peer = Peer::start(|client, request| match request.method {
        Method::Describe => {
            let bare: Vec<_> = SDP.lines().filter(|line| !line.starts_with("a=fmtp:96")).collect();
            client.reply(request, 200, &[], &(bare.join("\r\n") + "\r\n"));
        }
        Method::Play => {
            client.reply(request, 200, &[], "");
            client.rtp(2, 97, 1, &[1]);
            client.rtp(0, 96, 1, PARAMETERS);
            client.rtp(0, 96, 2, &[0x65, 0x88, 0x84]);
        }
        _ => client.good(request),
    });
    let seen = look(&target(&peer.url(""), &[])).await;
    assert_eq!(tracks(&seen), "h264 High 1920x1080 30 fps* + aac LC 48000 Hz 1 ch*");
}

#[tokio::test]
async fn what_the_server_echoes_is_washed() {
    let peer = Peer::start(|client, request| {
        let sdp = SDP.replace("H264", "s3cret-codec");
        match request.method {
            Method::Describe => client.reply(request, 200, &[("Server", "knows s3cret")], &sdp),
            Method::Setup => client.write(
                format!("RTSP/1.0 503 s3cret \u{1b}[31m{}\r\nCSeq: {}\r\n\r\n", "x".repeat(2000), request.cseq)
                    .as_bytes(),
            ),
            _ => client.good(request),
        }
    });
    let seen = look(&target(&peer.url("viewer:s3cret@"), &[])).await;
    assert_eq!(outcome(&seen), "protocol (setup)");
    assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
    assert!(
        words(&seen).len() <= model::limits::MAX_REASON_BYTES && !words(&seen).contains('\u{1b}'),
        "{}",
        words(&seen)
    );
    assert!(tracks(&seen).starts_with("***-codec"), "{}", tracks(&seen));
    // The same for a password that stands in the options.
    let seen = look(&target(&peer.url(""), &[("user", "viewer"), ("password", "s3cret")])).await;
    assert!(!format!("{seen:?}").contains("s3cret"), "{seen:?}");
}

#[tokio::test]
async fn media_that_keeps_coming_is_measured() {
    let peer = RtspPeer::start().await;
    let seen = look(&target(&peer.url(), &[("flow", "1s")])).await;
    assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(Depth::Media)), "{}", words(&seen));
    // The timestamps say ten pictures a second, however late this machine reads them.
    assert_eq!(seen.look.reading.facts.get(key::MEASURED_FPS), Some(&FactValue::Num(10.0)), "{:?}", seen.look);
    assert!(fact(&seen, key::MEASURED_BITRATE_BPS).parse::<u64>().is_ok_and(|n| n > 1000), "{:?}", seen.look);
    assert_eq!(fact(&seen, key::RTP_LOST), "0");
    assert_eq!(seen.look.reading.facts.get(key::LOSS_RATIO), Some(&FactValue::Num(0.0)));
    // The phase media is still the wait for the first packet.
    let took = |phase| seen.look.phases.get(phase).expect("the phase was entered");
    assert!(
        took(Phase::Check) >= Duration::from_secs(1) && took(Phase::Media) < Duration::from_secs(1),
        "{:?}",
        seen.look
    );
    assert_eq!(peer.log().torn_down(), 1);

    for options in [&[][..], &[("flow", "0s"), ("max_gap", "100ms")]] {
        let seen = look(&target(&peer.url(), options)).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, key::MEASURED_FPS).as_str()), ("up", "-"));
        assert_eq!(seen.look.phases.get(Phase::Check), None);
    }
}

#[tokio::test]
async fn media_that_stops_within_its_flow_is_no_media_and_the_words_say_how() {
    for (stop, begin, end) in [
        (Stop::Silence, "the video track fell silent 0.", "s after its first packet, 0.6 s is accepted"),
        (Stop::Bye, "the server ended the video track (RTCP BYE) 0.", "s after its first packet, 2 s is asked for"),
        (Stop::Teardown, "the server ended the session (TEARDOWN) after 0.", "s of media, 2 s is asked for"),
        (Stop::Close, "the server closed the connection after 0.", "s of media, 2 s is asked for"),
    ] {
        let peer = RtspPeer::with(Script { stops: Some((3, stop)), ..Script::default() }, None).await;
        let seen = look(&target(&peer.url(), &[("flow", "2s"), ("max_gap", "600ms")])).await;
        assert_eq!(outcome(&seen), "no_media (media)", "{stop:?}: {}", words(&seen));
        assert!(words(&seen).starts_with(begin) && words(&seen).ends_with(end), "{stop:?}: {}", words(&seen));
        assert_eq!((tracks(&seen).ends_with('*'), fact(&seen, key::MEASURED_FPS).as_str()), (true, "-"), "{stop:?}");
        // Whoever only wants the first packets is content.
        assert_eq!(outcome(&look(&target(&peer.url(), &[])).await), "up", "{stop:?}");
    }
    let once = RtspPeer::with(Script { stops: Some((1, Stop::Silence)), ..Script::default() }, None).await;
    let seen = look(&target(&once.url(), &[("flow", "300ms")])).await;
    assert_eq!(words(&seen), "the video track fell silent right after its first packet, 0.3 s is accepted");
}

#[tokio::test]
async fn a_goodbye_is_also_heard_beside_datagrams() {
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let ports = std::sync::Mutex::new(Vec::new());
    let peer = Peer::start(move |client, request| match request.method {
        Method::Setup => {
            let offer = request.headers.get("Transport").expect("a transport");
            ports.lock().expect("one thread").extend(Transport::parse(offer).expect("a good one").client_port);
            client.reply(request, 200, &[("Session", "u"), ("Transport", offer)], "");
        }
        Method::Play => {
            client.reply(request, 200, &[], "");
            for ((data, reports), payload_type) in ports.lock().expect("one thread").drain(..).zip([96, 97]) {
                sender.send_to(&rtp(payload_type, 1, &[1]), ("127.0.0.1", data)).expect("sent");
                // The goodbye of another source, and for sound of its own.
                sender.send_to(&[0x81, 203, 0, 1, 0, 0, 0, 9], ("127.0.0.1", reports)).expect("sent");
                if payload_type == 97 {
                    sender.send_to(&[0x81, 203, 0, 1, 0, 0, 0, 2], ("127.0.0.1", reports)).expect("sent");
                }
            }
        }
        _ => client.good(request),
    });
    let options = [("transport", "udp"), ("flow", "4s"), ("max_gap", "4s")];
    let seen = look(&target(&peer.url(""), &options)).await;
    let expected = "the server ended the audio track (RTCP BYE) right after its first packet, 4 s is asked for";
    assert_eq!((outcome(&seen).as_str(), words(&seen).as_str()), ("no_media (media)", expected));
    assert_eq!(outcome(&look(&target(&peer.url(""), &[("transport", "udp")])).await), "up");
}

#[tokio::test]
async fn a_silent_track_is_found_beside_one_that_never_pauses() {
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let peer = Peer::start(move |client, request| match request.method {
        Method::Play => {
            client.good(request);
            for i in (2..=u16::MAX).cycle().take_while(|_| !stop.load(Ordering::SeqCst)) {
                client.rtp(2, 97, i, &[0; 1000]);
            }
        }
        _ => client.good(request),
    });
    let seen = look(&target(&peer.url(""), &[("flow", "3s"), ("max_gap", "500ms")])).await;
    over.store(true, Ordering::SeqCst);
    assert_eq!(outcome(&seen), "no_media (media)", "{}", words(&seen));
    assert_eq!(words(&seen), "the video track fell silent right after its first packet, 0.5 s is accepted");
}

#[tokio::test]
async fn media_that_begins_late_may_not_have_flowed_for_long_enough() {
    let peer = Peer::start(|client, request| match request.method {
        Method::Setup => {
            let transport = request.headers.get("Transport").expect("a transport").to_owned();
            client.reply(request, 200, &[("Session", "k;timeout=3"), ("Transport", &transport)], "");
        }
        Method::Play => client.reply(request, 200, &[], ""),
        // Media begins with the first sign of life, which comes after half of the session's.
        Method::Options => {
            client.rtp(0, 96, 1, &[0x65, 1]);
            client.rtp(2, 97, 1, &[1]);
            client.reply(request, 200, &[], "");
        }
        _ => client.good(request),
    });
    let mut t = target(&peer.url(""), &[("flow", "1500ms"), ("max_gap", "30s")]);
    t.timeout = Duration::from_millis(2500);
    let seen = look(&t).await;
    assert_eq!(outcome(&seen), "timed_out (media)", "{}", words(&seen));
    assert!(
        words(&seen).contains(" s of the 1.5 s asked for when the 2.5 s of the look were over"),
        "{}",
        words(&seen)
    );
    assert_eq!(seen.look.reading.proven, Some(Depth::Media));
}

#[test]
fn a_flow_that_does_not_fit_into_the_timeout_is_a_problem() {
    for (flow, timeout, expected) in [
        ("4s", 5000, None),
        ("4001ms", 5000, Some("set timeout to 5001ms or more, or flow to 4s or less")),
        ("5s", 5000, Some("a flow of 5s does not fit into a timeout of 5s")),
        ("500ms", 900, Some("(set timeout to 1500ms or more)")),
        ("61s", 120_000, Some("61s is out of range, accepted: 0ms to 1m")),
        ("0s", 100, None),
    ] {
        let mut t = target("rtsp://127.0.0.1/", &[("flow", flow)]);
        t.timeout = Duration::from_millis(timeout);
        let problems = probe::kind::build(&t).err().unwrap_or_default();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        match expected {
            Some(part) => assert!(text.starts_with("flow: ") && text.contains(part), "{flow}: {text}"),
            None => assert_eq!(text, "", "{flow}"),
        }
    }
}
