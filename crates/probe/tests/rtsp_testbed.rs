//! The rtsp kind against GStreamer's RTSP server of the testbed: one row per URL that it offers.

mod support;

use std::time::Duration;

use model::reading::{Depth, FactValue, fact as key};
use support::{fact, ffprobe, look, outcome, target, testbed, tracks, words};

const OPEN: &str = "rtsp://127.0.0.1:18554";
/// What ffprobe says of the pictures and the sound that the testbed makes.
const PICTURE: &str = "h264 Constrained Baseline 320x240 10 fps*";
const SOUND: &str = "aac LC 48000 Hz 1 ch*";

#[tokio::test]
async fn tracks_are_what_ffprobe_says_in_the_same_run() {
    if testbed().is_none() {
        return;
    }
    for (path, expected) in [("h264", 2), ("h265", 1), ("720p", 2), ("mjpeg", 1), ("audio", 1)] {
        let url = format!("{OPEN}/{path}");
        let seen = look(&target(&url, &[])).await;
        assert_eq!(seen.look.reading.tracks.len(), expected, "{path}: {}", tracks(&seen));
        ffprobe::agrees(&seen, &url, || ffprobe::tracks_of(&url, &["-rtsp_transport", "tcp", "-timeout", "10000000"]));
    }
}

/// One look; the row is `URL path, options, outcome, tracks`.
async fn check(url: &str, options: &[(&str, &str)], expected: &str, expected_tracks: &str) {
    let seen = look(&target(url, options)).await;
    assert_eq!(outcome(&seen), expected, "{url} {options:?}: {:?}", seen.look);
    assert_eq!(tracks(&seen), expected_tracks, "{url} {options:?}");
    if expected == "up" {
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{url}");
        assert!(fact(&seen, "rtp_packets").parse::<u32>().is_ok_and(|n| n > 0), "{url}");
        assert_eq!(
            (fact(&seen, "status_code").as_str(), fact(&seen, "server").as_str()),
            ("200", "GStreamer RTSP server")
        );
    }
}

#[tokio::test]
async fn good_streams_are_up_with_the_facts_that_ffprobe_prints() {
    if testbed().is_none() {
        return;
    }
    let both = format!("{PICTURE} + {SOUND}");
    for (path, expected) in [
        ("h264", both.as_str()),
        ("frozen", &both),
        ("black", &both),
        ("silent", &both),
        ("stall", PICTURE),
        ("eos", PICTURE),
        ("h265", "hevc Main 320x240 10 fps*"),
        ("720p", "h264 Main 1280x720 25 fps* + aac LC 48000 Hz 2 ch*"),
        ("mjpeg", "mjpeg Baseline 320x240 10 fps*"),
        ("audio", "pcm_mulaw 8000 Hz 1 ch*"),
        ("udponly", PICTURE),
        ("tcponly", PICTURE),
    ] {
        check(&format!("{OPEN}/{path}"), &[], "up", expected).await;
    }
}

#[tokio::test]
async fn transports_fall_back_only_when_they_may() {
    if testbed().is_none() {
        return;
    }
    let announced = PICTURE.trim_end_matches('*');
    for (path, transport, expected) in [
        ("udponly", "udp", "up"),
        ("udponly", "tcp", "protocol (setup)"),
        ("tcponly", "tcp", "up"),
        ("tcponly", "udp", "protocol (setup)"),
    ] {
        let tracks = if expected == "up" { PICTURE } else { announced };
        check(&format!("{OPEN}/{path}"), &[("transport", transport)], expected, tracks).await;
    }
    for (path, options, transport) in
        [("h264", [].as_slice(), "tcp"), ("udponly", &[], "udp"), ("h264", &[("transport", "udp")], "udp")]
    {
        let seen = look(&target(&format!("{OPEN}/{path}"), options)).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, "transport").as_str()), ("up", transport), "{path}");
    }
}

#[tokio::test]
async fn what_is_missing_or_broken_says_so() {
    if testbed().is_none() {
        return;
    }
    for (url, expected, part) in [
        ("rtsp://127.0.0.1:18554/nosuch", "not_found (describe)", "404"),
        ("rtsp://127.0.0.1:18554/broken", "protocol (describe)", "503"),
        ("rtsp://127.0.0.1:18599/x", "refused (connect)", "refuse"),
        ("rtsp://viewer:wrong@127.0.0.1:18555/h264", "auth_required (describe)", "refuses the user name or password"),
        ("rtsp://viewer:wrong@127.0.0.1:18556/h264", "auth_required (describe)", "refuses the user name or password"),
        ("rtsp://127.0.0.1:18555/h264", "auth_required (describe)", "none is configured"),
        ("rtsps://127.0.0.1:18322/h264", "tls (tls)", ""),
        ("rtsp://127.0.0.1:18322/h264", "unreachable (describe)", "reset"),
        ("rtsps://127.0.0.1:18554/h264", "tls (tls)", ""),
    ] {
        let seen = look(&target(url, &[])).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{url}: {}", words(&seen));
        assert!(!format!("{seen:?}").contains("wrong"), "{seen:?}");
    }
    let mut hung = target("rtsp://127.0.0.1:18598/x", &[]);
    hung.timeout = Duration::from_millis(700);
    let seen = look(&hung).await;
    assert_eq!(outcome(&seen), "timed_out (describe)");
    assert!(seen.took < Duration::from_millis(1200), "{:?}", seen.took);
}

#[tokio::test]
async fn media_must_keep_coming_for_as_long_as_asked() {
    if testbed().is_none() {
        return;
    }
    let one = |path: &'static str, options: &'static [(&str, &str)], timeout| async move {
        let mut t = target(&format!("{OPEN}/{path}"), options);
        t.timeout = Duration::from_secs(timeout);
        look(&t).await
    };
    // Packets stop 0.8 s after the media began and the session stays open: whether a look without flow still sees
    // some depends on when it comes.
    let stalled = one("stall0", &[("flow", "3s")], 5);
    // The stream ends after four seconds.
    let ends = one("eos", &[("flow", "6s")], 10);
    let udp = one("eos", &[("flow", "6s"), ("transport", "udp")], 10);
    let (stalled, ends, udp) = tokio::join!(stalled, ends, udp);
    assert_eq!(outcome(&stalled), "no_media (media)", "{:?}", stalled.look);
    for seen in [&ends, &udp] {
        assert_eq!(outcome(seen), "no_media (media)", "{:?}", seen.look);
        assert!(words(seen).starts_with("the "), "{}", words(seen));
    }

    for transport in ["tcp", "udp"] {
        let options: &'static [_] =
            if transport == "tcp" { &[("flow", "2s")] } else { &[("flow", "2s"), ("transport", "udp")] };
        let seen = one("720p", options, 5).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, "transport").as_str()), ("up", transport), "{}", words(&seen));
        let Some(FactValue::Num(fps)) = seen.look.reading.facts.get(key::MEASURED_FPS) else {
            panic!("{transport}: no rate was measured: {:?}", seen.look)
        };
        assert!((24.0..=26.0).contains(fps), "{transport}: {fps}");
        let bits = fact(&seen, key::MEASURED_BITRATE_BPS).parse::<u64>().expect("a number");
        assert!((100_000..20_000_000).contains(&bits), "{transport}: {bits}");
        assert_ne!(fact(&seen, key::RTP_LOST), "-");
    }
}

#[tokio::test]
async fn passwords_and_certificates_open_what_is_locked() {
    let Some(folder) = testbed() else { return };
    let both = format!("{PICTURE} + {SOUND}");
    let ca = folder.join("ca/ca.pem").display().to_string();
    for (url, options) in [
        ("rtsp://viewer:s3cret@127.0.0.1:18555/h264", [].as_slice()),
        ("rtsp://viewer:s3cret@127.0.0.1:18556/h264", &[]),
        ("rtsp://127.0.0.1:18555/h264", &[("user", "viewer"), ("password", "s3cret")]),
        ("rtsps://localhost:18322/h264", &[("ca_file", ca.as_str())]),
        ("rtsps://127.0.0.1:18322/h264", &[("tls_trust", "insecure")]),
    ] {
        check(url, options, "up", &both).await;
    }
    let unchecked = look(&target("rtsps://127.0.0.1:18322/h264", &[("tls_trust", "insecure")])).await;
    assert_eq!(fact(&unchecked, "cert_unchecked"), "true");
    assert!(fact(&unchecked, "cert_expires_at").starts_with("Time"), "{:?}", unchecked.look.reading);
}

#[tokio::test]
async fn depth_and_tracks_decide_what_is_proven() {
    if testbed().is_none() {
        return;
    }
    let announced = format!("{} + {}", PICTURE.trim_end_matches('*'), SOUND.trim_end_matches('*'));
    for (depth, expected) in [(Depth::Describe, announced.as_str()), (Depth::Reach, "")] {
        let mut t = target(&format!("{OPEN}/h264"), &[]);
        t.depth = depth;
        let seen = look(&t).await;
        assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", expected), "{depth}");
        assert_eq!(seen.look.reading.proven, Some(depth));
    }
    check(
        &format!("{OPEN}/h264"),
        &[("tracks", "audio")],
        "up",
        &format!("{} + {SOUND}", PICTURE.trim_end_matches('*')),
    )
    .await;
    check(
        &format!("{OPEN}/h264"),
        &[("tracks", "video")],
        "up",
        &format!("{PICTURE} + {}", SOUND.trim_end_matches('*')),
    )
    .await;
    let seen = look(&target(&format!("{OPEN}/audio"), &[("tracks", "video")])).await;
    assert_eq!(outcome(&seen), "no_media (describe)");
}
