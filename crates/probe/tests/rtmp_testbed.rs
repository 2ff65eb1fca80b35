//! The rtmp kind against nginx-rtmp of the testbed: one row per URL that it offers, and the facts of ffprobe in the same run.

mod support;

use std::time::Duration;

use model::reading::Depth;
use support::{fact, ffprobe, look, outcome, target, testbed, tracks, words};

const OPEN: &str = "rtmp://127.0.0.1:11935";
/// What ffprobe says of the clip that the testbed publishes.
const BOTH: &str = "h264 High 640x360 25 fps* + aac LC 48000 Hz 2 ch*";

/// One look; the row is `URL, options, outcome, tracks`.
async fn check(url: &str, options: &[(&str, &str)], expected: &str, expected_tracks: &str) {
    let seen = look(&target(url, options)).await;
    assert_eq!(outcome(&seen), expected, "{url} {options:?}: {:?}", seen.look);
    assert_eq!(tracks(&seen), expected_tracks, "{url} {options:?}");
    if expected == "up" {
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{url}");
        assert_eq!(fact(&seen, "server"), "FMS/3,0,1,123", "{url}");
    }
    assert!(!format!("{seen:?}").contains("letmein"), "{seen:?}");
}

#[tokio::test]
async fn good_streams_are_up_with_the_facts_that_ffprobe_prints() {
    let Some(folder) = testbed() else { return };
    let ca = folder.join("ca/ca.pem").display().to_string();
    for (url, options) in [
        (format!("{OPEN}/live/cam"), [].as_slice()),
        (format!("{OPEN}/keyed/cam?key=letmein"), &[]),
        (format!("{OPEN}/live"), &[("stream_key", "cam")]),
        (format!("{OPEN}/keyed"), &[("stream_key", "cam?key=letmein")]),
        (format!("{OPEN}/vod/h264_360p.mp4"), &[]),
        ("rtmps://localhost:11936/live/cam".to_owned(), &[("ca_file", ca.as_str())]),
        ("rtmps://127.0.0.1:11936/live/cam".to_owned(), &[("tls_trust", "insecure")]),
    ] {
        check(&url, options, "up", BOTH).await;
    }
    let frozen = look(&target(&format!("{OPEN}/live/frozen"), &[])).await;
    assert_eq!(outcome(&frozen), "up", "{:?}", frozen.look);
}

/// Every fact of ffprobe, from the same URLs in the same run.
#[tokio::test]
async fn ffprobe_says_the_same() {
    if testbed().is_none() {
        return;
    }
    for path in ["/live/cam", "/live/frozen", "/keyed/cam?key=letmein"] {
        let url = format!("{OPEN}{path}");
        let seen = look(&target(&url, &[])).await;
        ffprobe::agrees(&seen, &url, || ffprobe::tracks_of(&url, &[]));
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_phase() {
    if testbed().is_none() {
        return;
    }
    for (url, expected, part) in [
        (format!("{OPEN}/keyed/cam"), "forbidden (play)", "closed the connection when asked to play keyed/cam"),
        (format!("{OPEN}/keyed/cam?key=wrong1"), "forbidden (play)", "keyed/cam"),
        (format!("{OPEN}/nosuch/cam"), "not_found (play)", "the application \"nosuch\""),
        (format!("{OPEN}/vod/nofile.mp4"), "not_found (play)", "NetStream.Play.StreamNotFound"),
        (format!("{OPEN}/noplay/cam"), "no_media (media)", "before the server closed the connection"),
        ("rtmp://127.0.0.1:18599/live/cam".to_owned(), "refused (connect)", "refuse"),
        ("rtmp://127.0.0.1:18080/live/cam".to_owned(), "protocol (handshake)", "does not speak RTMP"),
        ("rtmp://127.0.0.1:11936/live/cam".to_owned(), "protocol (handshake)", ""),
        ("rtmps://localhost:11936/live/cam".to_owned(), "tls (tls)", ""),
    ] {
        let seen = look(&target(&url, &[])).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{url}: {}", words(&seen));
        assert!(!format!("{seen:?}").contains("wrong1"), "{seen:?}");
    }
}

/// A name that nobody publishes: the server agrees to play it and is silent.
#[tokio::test]
async fn silence_is_missing_media_and_a_hung_server_is_late() {
    if testbed().is_none() {
        return;
    }
    let limit = Duration::from_millis(1200);
    for (url, expected, part) in [
        (format!("{OPEN}/live/nobody"), "no_media (media)", "nothing of live/nobody came within 1200 ms"),
        ("rtmp://127.0.0.1:18598/live/cam".to_owned(), "timed_out (handshake)", ""),
        // A plain RTMP server waits for the rest of what it takes for a handshake.
        ("rtmps://127.0.0.1:11935/live/cam".to_owned(), "timed_out (tls)", ""),
    ] {
        let mut silent = target(&url, &[]);
        silent.timeout = limit;
        let seen = look(&silent).await;
        assert_eq!(outcome(&seen), expected, "{url}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
        assert!(seen.took < limit * 2, "{:?}", seen.took);
    }
}

#[tokio::test]
async fn depth_and_tracks_decide_what_is_proven() {
    if testbed().is_none() {
        return;
    }
    for (depth, part) in [(Depth::Describe, "h264 High 640x360 25 fps"), (Depth::Reach, "")] {
        let mut shallow = target(&format!("{OPEN}/live/cam"), &[]);
        shallow.depth = depth;
        let seen = look(&shallow).await;
        assert_eq!((outcome(&seen).as_str(), seen.look.reading.proven), ("up", Some(depth)), "{:?}", seen.look);
        assert!(tracks(&seen).starts_with(part), "{depth}: {}", tracks(&seen));
    }
    for tracks_wanted in ["audio", "video"] {
        let seen = look(&target(&format!("{OPEN}/live/cam"), &[("tracks", tracks_wanted)])).await;
        assert_eq!(outcome(&seen), "up", "{tracks_wanted}");
    }
}
