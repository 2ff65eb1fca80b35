//! The web_presenter kind against scripted encoders: both protocols, both devices of a pair, every state, every lie.

mod support;

use std::time::Duration;

use model::conf::Value;
use model::observation::Observation;
use model::reading::{Depth, Severity};
use model::target::Target;
use support::{fact, look, outcome, words};
use testkit::encoder::{Encoder, STREAM_KEY, Said};
use testkit::http::{HttpPeer, Reply};
use testkit::peer::{Peer, drain, send};
use tokio::time::Instant;

fn encoder(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = support::target(url, options);
    target.kind = "web_presenter";
    for (key, value) in &mut target.options.0 {
        if let ("text_port" | "warn_cache", Value::Str(text)) = (key.as_str(), &*value) {
            *value = Value::Int(text.parse().expect("a number"));
        }
    }
    target
}

fn findings(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|finding| finding.name).collect()
}

async fn state(said: Said, options: &[(&str, &str)]) -> Observation {
    let peer = Encoder::with(said).await;
    look(&encoder(&peer.url(), options)).await
}

#[tokio::test]
async fn what_streams_is_up_and_its_key_comes_out_nowhere() {
    let peer = Encoder::start().await;
    let port = peer.text_port().to_string();
    for (protocol, platform, device) in [("rest", "YouTube", "Studio A ***"), ("text", "Twitch ***", "Studio B")] {
        let target = encoder(&peer.url(), &[("protocol", protocol), ("text_port", &port)]);
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), "up", "{protocol}: {:?}", seen.look);
        assert_eq!((fact(&seen, "encoder_state").as_str(), fact(&seen, "protocol").as_str()), ("streaming", protocol));
        assert_eq!((fact(&seen, "platform").as_str(), fact(&seen, "device").as_str()), (platform, device));
        assert_eq!(fact(&seen, "encoder_bitrate_bps"), "5984256");
        assert_eq!(seen.look.reading.proven, Some(Depth::Describe), "no media came here");
        assert_eq!(findings(&seen), ["media_by_report"], "{protocol}");
        let track = &seen.look.reading.tracks[0];
        assert_eq!((track.width, track.height, track.proven), (Some(1920), Some(1080), false));
        let all = format!("{seen:?}");
        assert!(!all.contains(&STREAM_KEY[..9]), "{all}");
    }
    assert!(peer.requests().iter().all(|request| request.method == "GET"), "nothing is changed on a device");
}

#[tokio::test]
async fn every_state_has_its_fault() {
    let said = |state| Said { state, ..Said::default() };
    for (said, expected, part) in [
        (said("Idle"), "no_media (media)", "the encoder is idle"),
        (said("Connecting"), "no_media (media)", "still connecting to YouTube"),
        (Said { cache: 87, ..said("Interrupted") }, "no_media (media)", "(Interrupted), 87 % of its cache is in use"),
        (said("Flushing"), "no_media (media)", "(Flushing)"),
        (said("Dancing"), "protocol (check)", "says \"Dancing\""),
        (Said { bitrate_bps: 0, ..Said::default() }, "no_media (media)", "at 0 bit/s"),
    ] {
        let seen = state(said, &[]).await;
        assert_eq!(outcome(&seen), expected, "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
        assert_eq!(seen.look.reading.proven, Some(Depth::Describe));
    }
    let seen = state(said("Idle"), &[("idle", "allowed")]).await;
    assert_eq!((outcome(&seen).as_str(), findings(&seen)), ("up", vec!["idle"]), "{:?}", seen.look);
}

/// The words of a device are not enough: its counter must move.
#[tokio::test]
async fn a_counter_that_stands_is_stale() {
    let seen = state(Said { step: 0, ..Said::default() }, &[]).await;
    assert_eq!(outcome(&seen), "stale (check)", "{:?}", seen.look);
    assert!(words(&seen).contains("has stood at 93784 s for 4 s"), "{}", words(&seen));
    // Where time is too short to see it, that is said.
    let peer = Encoder::start().await;
    let mut target = encoder(&peer.url(), &[]);
    target.timeout = Duration::from_millis(1200);
    let seen = look(&target).await;
    assert_eq!((outcome(&seen).as_str(), findings(&seen)), ("up", vec!["advance_unproven", "media_by_report"]));
    assert_eq!(peer.questions(), 1);
}

#[tokio::test]
async fn old_firmware_is_asked_by_text() {
    let peer = Encoder::with(Said { rest: false, ..Said::default() }).await;
    let port = peer.text_port().to_string();
    let seen = look(&encoder(&peer.url(), &[("text_port", &port)])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "protocol").as_str()), ("up", "text"), "{:?}", seen.look);
    let seen = look(&encoder(&peer.url(), &[("protocol", "rest")])).await;
    assert_eq!(outcome(&seen), "not_found (first_byte)", "{:?}", seen.look);
    assert!(words(&seen).contains("firmware before 3.4"), "{}", words(&seen));
    let closed = testkit::bad::refused();
    let port = closed.address().port().to_string();
    let seen = look(&encoder(&peer.url(), &[("text_port", &port)])).await;
    assert_eq!(outcome(&seen), "not_found (first_byte)", "{:?}", seen.look);
    assert!(words(&seen).contains("by the text protocol: 127.0.0.1:"), "{}", words(&seen));
}

/// However many targets look at a device, and whoever tries it by hand meanwhile, it is asked once a second.
#[tokio::test]
async fn a_device_is_not_asked_more_than_once_a_second() {
    let peer = Encoder::start().await;
    let target = encoder(&peer.url(), &[]);
    let probes: Vec<_> = (0..8).map(|_| probe::kind::build(&target).expect("good options")).collect();
    let prober = probe::run::Prober::new(std::sync::Arc::new(net::clock::SystemClock::new()));
    let cancel = tokio_util::sync::CancellationToken::new();
    let began = Instant::now();
    for _ in 0..3 {
        let looks = probes.iter().map(|probe| prober.observe(&target, &**probe, &cancel));
        for seen in join_all(looks).await {
            assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let questions = peer.questions();
    assert!(questions as f64 <= seconds + 1.0, "{questions} questions in {seconds} s");
    assert!(questions >= 2, "a counter is compared with itself");
    // A target that asks in another way waits its turn, and does not get the answer to another question.
    let port = peer.text_port().to_string();
    let seen = look(&encoder(&peer.url(), &[("protocol", "text"), ("text_port", &port)])).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "protocol").as_str()), ("up", "text"));
    assert!(peer.questions() as f64 <= began.elapsed().as_secs_f64() + 1.0);
}

async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        pending.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn of_a_pair_one_must_stream() {
    let said = |state| Said { state, ..Said::default() };
    for (first, second, expected, live, found) in [
        ("Streaming", "Streaming", "up", "both", &["media_by_report"][..]),
        ("Streaming", "Idle", "up", "primary", &["secondary_idle", "media_by_report"]),
        ("Streaming", "Interrupted", "up", "primary", &["secondary_unwell", "media_by_report"]),
        ("Idle", "Streaming", "up", "secondary", &["on_secondary", "media_by_report"]),
        ("Interrupted", "Idle", "no_media (media)", "neither", &[]),
    ] {
        let (one, other) = (Encoder::with(said(first)).await, Encoder::with(said(second)).await);
        let seen = look(&encoder(&one.url(), &[("secondary", &other.url())])).await;
        let place = format!("{first} and {second}: {:?}", seen.look);
        assert_eq!((outcome(&seen).as_str(), fact(&seen, "live_device").as_str()), (expected, live), "{place}");
        assert_eq!(fact(&seen, "encoder_state"), first.to_lowercase(), "{place}");
        assert_eq!(fact(&seen, "secondary_state"), second.to_lowercase(), "{place}");
        assert_eq!(findings(&seen), found, "{place}");
    }
}

#[tokio::test]
async fn a_pair_is_asked_at_once_and_a_dead_one_hides_nothing() {
    let (hole, alive) = (testkit::bad::black_hole().await, Encoder::start().await);
    let mut target = encoder(&hole.url("http", ""), &[("secondary", &alive.url())]);
    target.timeout = Duration::from_secs(3);
    let seen = look(&target).await;
    assert_eq!((outcome(&seen).as_str(), fact(&seen, "live_device").as_str()), ("up", "secondary"), "{:?}", seen.look);
    assert_eq!(fact(&seen, "encoder_state"), "timed_out");
    let warning = seen.look.reading.findings.iter().find(|finding| finding.name == "on_secondary").expect("it is told");
    assert_eq!(warning.severity, Severity::Warning);
    assert!(warning.text.contains("no answer within 3 s"), "{}", warning.text);
    let closed = testkit::bad::refused();
    let seen = look(&encoder(&alive.url(), &[("secondary", &format!("http://{}", closed.address()))])).await;
    assert_eq!(
        (outcome(&seen).as_str(), fact(&seen, "secondary_state").as_str()),
        ("up", "refused"),
        "{:?}",
        seen.look
    );
    assert_eq!(findings(&seen), ["secondary_unwell", "media_by_report"]);
}

#[test]
fn a_second_encoder_that_cannot_be_one_is_a_problem() {
    for (url, part) in [
        ("http://127.0.0.1/", "the first encoder itself"),
        ("http://u:hunter2@127.0.0.2/", "holds a user name or password"),
        ("tcp://127.0.0.2:9977", "scheme tcp"),
        ("127.0.0.2", "not a URL"),
    ] {
        let problems = probe::kind::build(&encoder("http://127.0.0.1", &[("secondary", url)])).err().expect(url);
        let words = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(words.contains(part) && !words.contains("hunter2"), "{url}: {words}");
    }
}

#[tokio::test]
async fn a_full_cache_is_a_warning_and_a_new_beginning_a_note() {
    let peer = Encoder::with(Said { cache: 60, ..Said::default() }).await;
    let target = encoder(&peer.url(), &[]);
    let probe = probe::kind::build(&target).expect("good options");
    let prober = probe::run::Prober::new(std::sync::Arc::new(net::clock::SystemClock::new()));
    let cancel = tokio_util::sync::CancellationToken::new();
    let seen = prober.observe(&target, &*probe, &cancel).await;
    assert_eq!(findings(&seen), ["cache_filling", "media_by_report"], "{:?}", seen.look);
    peer.set(|said| (said.seconds, said.cache) = (2, 0));
    let began = Instant::now();
    // Until the last answer has become too old to be given again.
    let seen = loop {
        let seen = prober.observe(&target, &*probe, &cancel).await;
        if fact(&seen, "answer_age_ms") == "-" {
            break seen;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", seen.look);
        tokio::task::yield_now().await;
    };
    assert_eq!((outcome(&seen).as_str(), findings(&seen)), ("up", vec!["restarted", "media_by_report"]));
}

#[tokio::test]
async fn what_is_no_encoder_is_told_so() {
    let json = |body: &'static str| Reply::Whole(200, vec![], body.as_bytes().to_vec());
    for (reply, expected, part) in [
        (Reply::text(401, ""), "auth_required (first_byte)", "401"),
        (Reply::text(403, ""), "forbidden (first_byte)", "403"),
        (Reply::text(501, ""), "protocol (first_byte)", "501"),
        (json("<!doctype html><title>Router</title>"), "protocol (check)", "a page, expected JSON"),
        (json("{}"), "protocol (check)", "no status"),
        (json("[1,2]"), "protocol (check)", "no status"),
        (json("{\"status\":{\"a\":1}}"), "protocol (check)", "no status"),
        (json("{\"status\":\"Streaming\",\"bitrate\":\"fast\"}"), "no_media (media)", "tells no bit rate"),
        (Reply::text(200, vec![b' '; 3 << 20]), "too_large (transfer)", "larger than"),
    ] {
        let peer = HttpPeer::with(move |_| reply.clone()).await;
        let seen = look(&encoder(&peer.url(""), &[("protocol", "rest")])).await;
        assert_eq!(outcome(&seen), expected, "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
}

/// A peer on the text port that says `bytes` and stays.
async fn says(bytes: Vec<u8>) -> Peer {
    Peer::start(move |mut conn, stats| {
        let bytes = bytes.clone();
        async move {
            if send(&mut conn, &bytes).await {
                drain(&mut conn, &stats).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn hostile_text_ends_the_look() {
    let preamble = b"PROTOCOL PREAMBLE:\nVersion: 1.0\n\n".to_vec();
    let filler = b"NETWORK:\nx: y\n\n".repeat(100_000);
    for (bytes, expected, part) in [
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "protocol (handshake)", "found \"SSH-2.0-OpenSSH\""),
        (b"IDENTITY:\nModel: x\n\n".to_vec(), "protocol (handshake)", "does not begin with the preamble"),
        (b"PROTOCOL PREAMBLE:\nVersion: 2.0\n\n".to_vec(), "protocol (handshake)", "version \"2.0\""),
        (vec![b'x'; 100_000], "too_large (handshake)", "line is larger than 16384"),
        ([preamble.clone(), b"NACK\n\n".to_vec()].concat(), "protocol (describe)", "NACK"),
        ([preamble.clone(), b"ACK\n\nk3y1\n".to_vec()].concat(), "protocol (describe)", "found another line"),
        ([preamble.clone(), filler].concat(), "too_large (describe)", "1024 KiB came without an answer"),
        ([preamble.clone(), b"ACK\n\nSTREAM STATE:\nStatus:".to_vec()].concat(), "timed_out (describe)", "2 s"),
        (preamble[..9].to_vec(), "timed_out (handshake)", "2 s"),
    ] {
        let peer = says(bytes).await;
        let port = peer.address().port().to_string();
        let mut target = encoder("http://127.0.0.1", &[("protocol", "text"), ("text_port", &port)]);
        target.timeout = Duration::from_secs(2);
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
    for peer in [testkit::bad::early_close().await, testkit::bad::garbage(3, "").await] {
        let port = peer.address().port().to_string();
        let seen = look(&encoder("http://127.0.0.1", &[("protocol", "text"), ("text_port", &port)])).await;
        assert!(outcome(&seen).starts_with("protocol") || outcome(&seen).starts_with("too_large"), "{:?}", seen.look);
    }
}
