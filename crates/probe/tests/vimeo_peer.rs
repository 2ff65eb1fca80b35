//! The vimeo kind against a scripted Vimeo: every state, refusals, the rate limit, signatures that run out, hostile answers.

mod support;

use std::sync::Arc;
use std::time::Duration;

use model::observation::Observation;
use model::reading::Depth;
use model::target::Target;
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use support::{fact, look, outcome, tracks, words};
use testkit::http::{HttpPeer, Reply};
use testkit::vimeo::{SIGNATURE, Said, TOKEN, VimeoPeer};
use tokio_util::sync::CancellationToken;

fn event(url: &str, options: &[(&str, &str)]) -> Target {
    let token = [("token", TOKEN)];
    let mut target = support::target(url, &[&token, options].concat());
    target.kind = "vimeo";
    target
}

/// A probe that lives for several looks.
struct Watch {
    target: Target,
    probe: Box<dyn Probe>,
}

impl Watch {
    fn new(target: Target) -> Self {
        Self { probe: probe::kind::build(&target).expect("good options"), target }
    }

    async fn look(&self) -> Observation {
        let prober = Prober::new(Arc::new(SystemClock::new()));
        prober.observe(&self.target, &*self.probe, &CancellationToken::new()).await
    }
}

fn findings(seen: &Observation) -> Vec<&'static str> {
    seen.look.reading.findings.iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn a_live_event_is_up_when_its_stream_holds_media() {
    let peer = VimeoPeer::start().await;
    for path in ["/live_events/1", "/videos/2"] {
        let seen = look(&event(&peer.url(path), &[])).await;
        assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(Depth::Media)), "{:?}", seen.look);
        assert_eq!(tracks(&seen), "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*");
        assert_eq!((fact(&seen, "event_state").as_str(), fact(&seen, "playlist_type").as_str()), ("streaming", "live"));
    }
    assert!(peer.stream_requests().iter().all(|r| r.header("Authorization").is_none()), "the token is the API's alone");
    // The state is told, and the playlist stands still.
    peer.set(|said| said.step = 0);
    let seen = look(&event(&peer.url("/live_events/1"), &[])).await;
    assert_eq!(outcome(&seen), "stale (check)", "{:?}", seen.look);
}

#[tokio::test]
async fn every_state_has_its_verdict() {
    for (state, playlist, expected, part) in [
        (Some("unavailable"), true, "no_media (check)", "not live (unavailable)"),
        (Some("pending"), true, "no_media (check)", "preparing"),
        (Some("ready"), true, "no_media (check)", "waits for the encoder"),
        (Some("streaming_preview"), true, "no_media (check)", "previewed"),
        (Some("done"), true, "no_media (check)", "has ended"),
        (Some("archive_in_progress"), true, "no_media (check)", "being archived"),
        (Some("archive_error"), true, "no_media (check)", "could not archive"),
        (Some("streaming_error"), true, "no_media (check)", "reports an error"),
        (Some("streaming"), false, "no_media (check)", "offers no playlist"),
        (None, false, "no_media (check)", "so it is not live"),
        (None, true, "up", ""),
    ] {
        let peer = VimeoPeer::with(Said { state, playlist, ..Said::default() }).await;
        let seen = look(&event(&peer.url("/live_events/1"), &[])).await;
        assert_eq!(outcome(&seen), expected, "{state:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{state:?}: {}", words(&seen));
        let allowed = look(&event(&peer.url("/live_events/1"), &[("idle", "allowed")])).await;
        let broken = state == Some("streaming_error") || (state == Some("streaming") && !playlist);
        assert_eq!(outcome(&allowed) == "up", !broken, "{state:?}: {:?}", allowed.look);
        assert_eq!(findings(&allowed).contains(&"idle"), !broken && expected != "up", "{state:?}");
    }
}

#[tokio::test]
async fn refusals_are_faults_of_their_own() {
    let peer = VimeoPeer::start().await;
    for (path, status, token, expected, part) in [
        (
            "/live_events/1",
            200,
            "wrong",
            "auth_required (first_byte)",
            "refuses the token (status 401): The user credentials",
        ),
        ("/live_events/9", 200, TOKEN, "not_found (first_byte)", "no such event or video (status 404)"),
        ("/live_events/1", 403, TOKEN, "forbidden (first_byte)", "may not see this (status 403)"),
        ("/live_events/1", 500, TOKEN, "protocol (first_byte)", "status 500 Internal Server Error"),
    ] {
        peer.set(|said| said.status = status);
        let seen = look(&event(&peer.url(path), &[("token", token)])).await;
        assert_eq!(outcome(&seen), expected, "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
}

/// When the API leaves no request, looks go on from memory and tell its age; without a memory nothing is known.
#[tokio::test]
async fn the_rate_limit_is_respected() {
    let peer = VimeoPeer::start().await;
    let watch = Watch::new(event(&peer.url("/live_events/1"), &[]));
    assert_eq!(outcome(&watch.look().await), "up");
    let asked = peer.api_requests().len();
    assert_eq!(asked, 2, "the state and the playlist");
    // At once again: the state is young enough, the stream is looked at all the same.
    let streams = peer.stream_requests().len();
    assert_eq!(outcome(&watch.look().await), "up");
    assert_eq!(peer.api_requests().len(), asked);
    assert!(peer.stream_requests().len() > streams);
    // Another target of the same account uses the last request that is not reserved.
    peer.set(|said| said.remaining = 10);
    let other = Watch::new(event(&peer.url("/videos/2"), &[]));
    let seen = other.look().await;
    assert_eq!(outcome(&seen), "internal (first_byte)", "{:?}", seen.look);
    assert!(words(&seen).contains("allows 10 of 100 more requests, which are left to others"), "{}", words(&seen));
    let asked = peer.api_requests().len();
    let third = Watch::new(event(&peer.url("/live_events/1"), &[]));
    assert_eq!(outcome(&third.look().await), "internal (first_byte)", "nothing is remembered");
    assert_eq!(peer.api_requests().len(), asked, "nobody asked");
    let fault = third.look().await.look.fault.expect("it failed");
    assert!(fault.is_ours(), "without a request the monitor knows nothing of the target");
}

#[tokio::test]
async fn a_refusal_to_answer_more_is_remembered() {
    let peer = VimeoPeer::start().await;
    let watch = Watch::new(event(&peer.url("/live_events/1"), &[]));
    assert_eq!(outcome(&watch.look().await), "up");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    peer.set(|said| said.status = 429);
    let seen = watch.look().await;
    assert_eq!(outcome(&seen), "up", "the stream is there: {:?}", seen.look);
    assert!(findings(&seen).contains(&"from_memory"), "{:?}", seen.look);
    assert_ne!(fact(&seen, "answer_age_ms"), "-");
    let asked = peer.api_requests().len();
    assert_eq!(outcome(&watch.look().await), "up");
    assert_eq!(peer.api_requests().len(), asked, "Retry-After is kept");
}

#[tokio::test]
async fn signatures_run_out_and_come_out_nowhere() {
    let peer = VimeoPeer::start().await;
    let watch = Watch::new(event(&peer.url("/live_events/1"), &[]));
    assert_eq!(outcome(&watch.look().await), "up");
    peer.set(|said| said.signature = 2);
    let asked = peer.api_requests().len();
    let seen = watch.look().await;
    assert_eq!(outcome(&seen), "up", "a new address is asked for: {:?}", seen.look);
    assert_eq!(peer.api_requests().len(), asked + 1);
    // A stream that leads elsewhere names the address in its fault.
    let away = HttpPeer::with(|request| {
        let host = request.header("Host").unwrap_or_default();
        match request.target.split('?').next().unwrap_or_default() {
            "/live_events/1" => Reply::text(200, r#"{"live":{"status":"streaming"}}"#),
            "/me/live_events/1/m3u8_playback" => Reply::text(
                200,
                format!(r#"{{"m3u8_playback_url":"http://{host}/{SIGNATURE}/a.m3u8?policy=0123456789"}}"#),
            ),
            _ => Reply::text(302, "").with("Location", format!("ftp://{host}/{SIGNATURE}/a.m3u8?policy=0123456789")),
        }
    })
    .await;
    let seen = look(&event(&away.url("/live_events/1"), &[])).await;
    assert_eq!(outcome(&seen), "protocol (first_byte)", "{:?}", seen.look);
    let all = format!("{seen:?}");
    assert!(!all.contains("hmac=0123") && !all.contains("0123456789"), "{all}");
    assert!(words(&seen).contains("***"), "{}", words(&seen));
}

#[tokio::test]
async fn hostile_answers_end_the_look() {
    for (state, playback, expected, part) in [
        ("<html>sign in", "", "protocol (check)", "a page, expected JSON"),
        ("[]", "", "protocol (check)", "describes no event"),
        ("\"streaming\"", "", "protocol (check)", "describes no event"),
        (
            r#"{"live":{"status":["streaming"]}}"#,
            r#"{"m3u8_playback_url":17}"#,
            "no_media (check)",
            "offers no playlist",
        ),
        ("{}", r#"{"m3u8_playback_url":"not a url"}"#, "protocol (check)", "is no URL"),
        ("{}", r#"{"m3u8_playback_url":"file:///etc/passwd"}"#, "protocol (check)", "is no URL"),
        ("{}", r#"{"m3u8_playback_url":"gopher://127.0.0.1/"}"#, "protocol (check)", "not of the scheme https"),
        ("{}", "<html>", "protocol (check)", "a page, expected JSON"),
    ] {
        let peer = HttpPeer::with(move |request| {
            let body = if request.target.ends_with("m3u8_playback") { playback } else { state };
            Reply::text(200, body)
        })
        .await;
        let seen = look(&event(&peer.url("/live_events/1"), &[])).await;
        assert_eq!(outcome(&seen), expected, "{state}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{state}: {}", words(&seen));
    }
    let peer = HttpPeer::with(|_| Reply::text(200, vec![b'['; 3 << 20])).await;
    assert_eq!(outcome(&look(&event(&peer.url("/live_events/1"), &[])).await), "too_large (transfer)");
}

#[test]
fn what_cannot_be_watched_is_a_problem() {
    let problems = |url: &str, options: &[(&str, &str)]| {
        let built = probe::kind::build(&event(url, options));
        built.err().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).unwrap_or_default()
    };
    assert!(problems("https://vimeo.com/channels/x", &[]).contains("names no event and no video"));
    assert!(problems("https://vimeo.com/event/1", &[("token", "")]).contains("token is missing"));
    assert!(problems("https://vimeo.com/event/1", &[("token", "a\nb")]).contains("no header can carry"));
    assert!(problems("https://vimeo.com/event/1", &[("stale_after", "1ms")]).contains("stale_after"));
    assert_eq!(problems("https://vimeo.com/event/1", &[]), "");
}
