//! The youtube kind against a scripted YouTube: as anybody and as owner, by video and by channel, every state, quota, hostile
//! answers.

mod support;

use std::sync::Arc;
use std::time::Duration;

use model::observation::Observation;
use model::reading::Depth;
use model::target::Target;
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use support::{fact, look, outcome, words};
use testkit::http::{HttpPeer, Reply};
use testkit::youtube::{
    ACCESS_TOKEN, API_KEY, CHANNEL, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, STREAM_KEY, Said, VIDEO, YoutubePeer,
};
use tokio_util::sync::CancellationToken;

const KEY: [(&str, &str); 1] = [("api_key", API_KEY)];
const OWNER: [(&str, &str); 3] =
    [("refresh_token", REFRESH_TOKEN), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];

fn broadcast(url: &str, options: &[(&str, &str)]) -> Target {
    let mut target = support::target(url, options);
    target.kind = "youtube";
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

fn live() -> String {
    format!("/live/{VIDEO}")
}

#[tokio::test]
async fn anybody_sees_that_a_video_is_live() {
    let peer = YoutubePeer::start().await;
    for path in [live(), format!("/watch?v={VIDEO}"), format!("/channel/{CHANNEL}"), "/@sunday/live".to_owned()] {
        let seen = look(&broadcast(&peer.url(&path), &KEY)).await;
        assert_eq!(outcome(&seen), "up", "{path}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Describe), "no media came here");
        assert_eq!(findings(&seen), ["health_unknown", "media_by_report"], "{path}");
        assert_eq!((fact(&seen, "viewers").as_str(), fact(&seen, "stream_title").as_str()), ("42", "Sunday service"));
    }
    assert!(peer.requests().iter().all(|r| !r.target.contains(API_KEY)), "the key stands in no address");
}

#[tokio::test]
async fn the_owner_sees_what_youtube_receives() {
    let peer = YoutubePeer::start().await;
    for path in [live(), format!("/channel/{CHANNEL}")] {
        let seen = look(&broadcast(&peer.url(&path), &OWNER)).await;
        assert_eq!(outcome(&seen), "up", "{path}: {:?}", seen.look);
        assert_eq!(findings(&seen), ["media_by_report"], "{path}");
        assert_eq!((fact(&seen, "stream_state").as_str(), fact(&seen, "stream_health").as_str()), ("active", "good"));
        assert_eq!((fact(&seen, "viewers").as_str(), seen.look.reading.tracks[0].height), ("42", Some(1080)));
        let all = format!("{seen:?}");
        assert!(!all.contains(STREAM_KEY) && !all.contains(ACCESS_TOKEN), "{all}");
    }
    assert!(peer.requests().iter().all(|r| !r.target.contains("liveStreams") || r.target.contains("fields=")));
}

#[tokio::test]
async fn every_state_has_its_verdict() {
    let said = Said::default;
    for (said, expected, part) in [
        (Said { life: "ready", ..said() }, "no_media (check)", "waits to be started"),
        (Said { life: "testing", ..said() }, "no_media (check)", "only its owner"),
        (Said { life: "complete", ..said() }, "no_media (check)", "is over"),
        (Said { life: "revoked", ..said() }, "no_media (check)", "took the broadcast down"),
        (Said { stream: "inactive", ..said() }, "no_media (check)", "receives nothing"),
        (Said { stream: "error", ..said() }, "no_media (check)", "reports an error"),
        (Said { health: "bad", ..said() }, "up", ""),
    ] {
        let off = matches!(said.life, "ready" | "testing" | "complete");
        let peer = YoutubePeer::with(said.clone()).await;
        let seen = look(&broadcast(&peer.url(&live()), &OWNER)).await;
        assert_eq!(outcome(&seen), expected, "{said:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{said:?}: {}", words(&seen));
        let allowed = [&OWNER[..], &[("idle", "allowed")]].concat();
        let seen = look(&broadcast(&peer.url(&live()), &allowed)).await;
        assert_eq!(findings(&seen).contains(&"idle"), off, "{said:?}: {:?}", seen.look);
        assert_eq!(outcome(&seen) == "up", off || expected == "up", "{said:?}");
    }
    let issues = r#"[{"type":"audioCodecMismatch","severity":"error","reason":"r","description":"send AAC"},
        {"type":"bitrateHigh","severity":"info","description":"less would do"}]"#;
    let peer = YoutubePeer::with(Said { health: "bad", issues, ..said() }).await;
    let seen = look(&broadcast(&peer.url(&live()), &OWNER)).await;
    let names = ["configuration_issue", "configuration_hint", "stream_health_bad", "media_by_report"];
    assert_eq!(findings(&seen), names, "{:?}", seen.look);
    for (content, part) in [("upcoming", "has not begun"), ("none", "no live broadcast")] {
        let peer = YoutubePeer::with(Said { content, life: "ready", ..said() }).await;
        let seen = look(&broadcast(&peer.url(&live()), &KEY)).await;
        assert_eq!(outcome(&seen), "no_media (check)", "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
        for access in [&KEY[..], &OWNER[..]] {
            let seen = look(&broadcast(&peer.url(&format!("/channel/{CHANNEL}")), access)).await;
            assert_eq!(outcome(&seen), "no_media (check)", "{:?}", seen.look);
            assert!(words(&seen).contains("no broadcast that is live"), "{}", words(&seen));
        }
    }
}

/// Units are what looks are paid with: none is spent twice.
#[tokio::test]
async fn a_look_costs_what_is_said() {
    let peer = YoutubePeer::start().await;
    let spent = |before: usize| peer.questions()[before..].to_vec();
    let watch = Watch::new(broadcast(&peer.url(&live()), &KEY));
    assert_eq!(outcome(&watch.look().await), "up");
    assert_eq!(spent(0), ["videos"]);
    let watch = Watch::new(broadcast(&peer.url(&format!("/channel/{CHANNEL}")), &KEY));
    let before = peer.questions().len();
    assert_eq!(outcome(&watch.look().await), "up");
    assert_eq!(spent(before), ["channels", "playlistItems", "videos"]);
    let before = peer.questions().len();
    assert_eq!(outcome(&watch.look().await), "up");
    assert_eq!(spent(before), ["videos"], "the video is known");
    let watch = Watch::new(broadcast(&peer.url(&live()), &OWNER));
    for _ in 0..2 {
        let before = peer.questions().len();
        assert_eq!(outcome(&watch.look().await), "up");
        assert_eq!(spent(before), ["liveBroadcasts", "liveStreams", "videos"]);
    }
    let renewals = peer.requests().iter().filter(|r| r.target == "/token").count();
    assert_eq!(renewals, 1, "a token lasts for an hour");
    // Somebody else renewed: ours is refused, forgotten, and renewed by the next look.
    peer.set(|said| said.renewals += 1);
    assert_eq!(outcome(&watch.look().await), "auth_required (first_byte)");
    assert_eq!(outcome(&watch.look().await), "up");
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_nothing_of_the_target() {
    let peer = YoutubePeer::with(Said { refuses: Some((403, "quotaExceeded")), ..Said::default() }).await;
    let watch = Watch::new(broadcast(&peer.url(&live()), &KEY));
    for _ in 0..3 {
        let seen = watch.look().await;
        assert_eq!(outcome(&seen), "internal (first_byte)", "{:?}", seen.look);
        assert!(words(&seen).contains("quota of the Google project is used up"), "{}", words(&seen));
        assert!(seen.look.fault.as_ref().is_some_and(model::fault::Fault::is_ours));
    }
    assert_eq!(peer.requests().len(), 1, "nobody asks again for a while");
}

#[tokio::test]
async fn refusals_are_faults_of_their_own() {
    for (refuses, expected, part) in [
        ((400, "keyInvalid"), "auth_required (first_byte)", "refuses the API key"),
        ((401, "authError"), "auth_required (first_byte)", "refuses the access (status 401): authError"),
        ((403, "accessNotConfigured"), "forbidden (first_byte)", "accessNotConfigured"),
        ((404, "videoNotFound"), "not_found (first_byte)", "status 404"),
        ((500, "backendError"), "protocol (first_byte)", "status 500"),
        ((403, "rateLimitExceeded"), "internal (first_byte)", "within this minute"),
        ((429, "rateLimitExceeded"), "internal (first_byte)", "status 429"),
    ] {
        let peer = YoutubePeer::with(Said { refuses: Some(refuses), ..Said::default() }).await;
        let seen = look(&broadcast(&peer.url(&live()), &KEY)).await;
        assert_eq!(outcome(&seen), expected, "{refuses:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{refuses:?}: {}", words(&seen));
    }
    let peer = YoutubePeer::start().await;
    for (options, part) in [
        ([("refresh_token", "wrong"), OWNER[1], OWNER[2]], "invalid_grant"),
        ([OWNER[0], OWNER[1], ("client_secret", "wrong")], "invalid_client"),
    ] {
        let seen = look(&broadcast(&peer.url(&live()), &options)).await;
        assert_eq!(outcome(&seen), "auth_required (first_byte)", "{:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
    }
    for access in [&KEY[..], &OWNER[..]] {
        let seen = look(&broadcast(&peer.url("/live/another_one"), access)).await;
        assert_eq!(outcome(&seen), "not_found (check)", "{:?}", seen.look);
        let seen = look(&broadcast(&peer.url("/@nobody"), access)).await;
        assert_eq!(outcome(&seen), "not_found (check)", "{:?}", seen.look);
    }
}

#[tokio::test]
async fn hostile_answers_end_the_look() {
    for (body, expected, part) in [
        ("<html>consent", "protocol (check)", "a page, expected JSON"),
        ("[]", "protocol (check)", "not one of the API"),
        ("{\"items\":7}", "not_found (check)", "no such video"),
        ("{\"items\":[7]}", "protocol (check)", "does not say"),
        ("{\"items\":[{\"snippet\":{\"liveBroadcastContent\":{}}}]}", "protocol (check)", "does not say"),
        (
            "{\"items\":[{\"snippet\":{\"liveBroadcastContent\":\"dancing\"}}]}",
            "no_media (check)",
            "no state that is known",
        ),
    ] {
        let peer = HttpPeer::with(move |_| Reply::text(200, body)).await;
        let seen = look(&broadcast(&peer.url(&live()), &KEY)).await;
        assert_eq!(outcome(&seen), expected, "{body}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{body}: {}", words(&seen));
    }
    let peer = HttpPeer::with(|_| Reply::text(200, vec![b'{'; 3 << 20])).await;
    assert_eq!(outcome(&look(&broadcast(&peer.url(&live()), &KEY)).await), "too_large (transfer)");
    let peer = HttpPeer::with(|_| Reply::text(200, "{\"access_token\":17}")).await;
    let seen = look(&broadcast(&peer.url(&live()), &OWNER)).await;
    assert_eq!(outcome(&seen), "protocol (check)", "{:?}", seen.look);
    assert!(words(&seen).contains("brings no token"), "{}", words(&seen));
}

#[test]
fn a_quota_that_cannot_last_is_warned_of() {
    for (options, path, interval_s, expected) in [
        (&KEY[..], live(), 10, None),
        (&KEY[..], live(), 8, Some("10800 units of YouTube's quota a day (1 a look)")),
        (&KEY[..], format!("/channel/{CHANNEL}"), 10, Some("17280 units")),
        (&OWNER[..], live(), 10, Some("25920 units")),
        (&OWNER[..], live(), 26, None),
    ] {
        let mut target = broadcast(&format!("https://www.youtube.com{path}"), options);
        target.interval = Duration::from_secs(interval_s);
        let probe = probe::kind::build(&target).expect("good options");
        let warnings: Vec<String> = probe.warnings(&target).iter().map(ToString::to_string).collect();
        match expected {
            None => assert_eq!(warnings, [""; 0], "{path} each {interval_s} s"),
            Some(words) => assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}"),
        }
    }
    let mut target = broadcast("https://youtu.be/jfKfPfyJRdk", &OWNER);
    target.interval = Duration::from_secs(10);
    let probe = probe::kind::build(&target).expect("good options");
    assert!(probe.warnings(&target)[0].to_string().contains("make the interval at least 26s"));
}

#[test]
fn what_cannot_be_watched_is_a_problem() {
    let problems = |url: &str, options: &[(&str, &str)]| {
        let built = probe::kind::build(&broadcast(url, options));
        built.err().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).unwrap_or_default()
    };
    assert!(problems("https://www.youtube.com/feed", &KEY).contains("names no video and no channel"));
    assert!(problems("https://youtu.be/jfKfPfyJRdk", &[]).contains("api_key is missing"));
    let words = problems("https://youtu.be/jfKfPfyJRdk", &OWNER[..2]);
    assert!(words.contains("needs client_id and client_secret"), "{words}");
    assert_eq!(problems("https://youtu.be/jfKfPfyJRdk", &OWNER), "");
}
