//! The hls kind against the real servers of the testbed: one row per playlist that it offers, with the facts of ffprobe.

mod support;

use std::time::Duration;

use model::observation::Observation;
use model::reading::Depth;
use model::target::Target;
use support::{fact, ffprobe, look, outcome, target, testbed, words};

const BASE: &str = "http://127.0.0.1:18080";

/// A target of this kind at a path, with time enough for a first look.
fn at(path: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(&format!("{BASE}{path}"), options);
    assert_eq!(target.kind, "hls", "{path} is guessed by its ending");
    target.timeout = Duration::from_secs(8);
    target
}

fn findings(seen: &Observation) -> Vec<String> {
    seen.look.reading.findings.iter().map(|f| format!("{}: {}", f.name, f.text)).collect()
}

#[tokio::test]
async fn good_streams_are_up_with_the_facts_that_ffprobe_prints() {
    if testbed().is_none() {
        return;
    }
    for path in [
        "/vod/ts/index.m3u8",
        "/vod/fmp4/index.m3u8",
        "/vod/aes/index.m3u8",
        "/vod/multi/master.m3u8",
        "/hls/cam.m3u8",
        "/live/ff/index.m3u8",
    ] {
        let seen = look(&at(path, &[])).await;
        assert_eq!(outcome(&seen), "up", "{path}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{path}");
        assert_eq!(findings(&seen), [""; 0], "{path}");
        let url = format!("{BASE}{path}");
        ffprobe::agrees(&seen, &url, || {
            let mut told = ffprobe::tracks_of(&url, &[]);
            // It lists the tracks of every variant, those of the best one first.
            told.dedup_by_key(|track| track.media);
            told
        });
    }
}

#[tokio::test]
async fn streams_say_of_themselves_what_they_are() {
    if testbed().is_none() {
        return;
    }
    for (path, kind, format, encryption) in [
        ("/vod/ts/index.m3u8", "vod", "mpegts", "-"),
        ("/vod/fmp4/index.m3u8", "vod", "fmp4", "-"),
        ("/vod/aes/index.m3u8", "vod", "mpegts", "AES-128"),
        ("/hls/cam.m3u8", "live", "mpegts", "-"),
        ("/live/ff/index.m3u8", "live", "mpegts", "-"),
    ] {
        let seen = look(&at(path, &[])).await;
        let said = ["playlist_type", "segment_format", "encryption"].map(|key| fact(&seen, key));
        assert_eq!(said, [kind, format, encryption], "{path}");
        let advances =
            ["seen", "fresh by its dates", "fresh by its file time"].contains(&fact(&seen, "advance").as_str());
        assert_eq!(advances, kind == "live", "{path}: {}", fact(&seen, "advance"));
    }
    let seen = look(&at("/live/ff/index.m3u8", &[])).await;
    let latency: i64 = fact(&seen, "live_latency_ms").parse().expect("a number");
    assert!((-1_000..10_000).contains(&latency), "{latency}");
}

#[tokio::test]
async fn variants_are_chosen() {
    if testbed().is_none() {
        return;
    }
    for (variant, expected) in
        [("highest", vec![720]), ("lowest", vec![360]), ("first", vec![720]), ("all", vec![720, 360])]
    {
        let seen = look(&at("/vod/multi/master.m3u8", &[("variant", variant)])).await;
        assert_eq!(outcome(&seen), "up", "{variant}: {:?}", seen.look);
        let heights: Vec<_> = seen.look.reading.tracks.iter().filter_map(|t| t.height).collect();
        assert_eq!(heights, expected, "{variant}");
        assert_eq!(fact(&seen, "variants"), "2");
    }
}

#[tokio::test]
async fn what_is_broken_is_down_with_the_right_words() {
    if testbed().is_none() {
        return;
    }
    for (path, expected, part) in [
        ("/bad/stale/index.m3u8", "stale (check)", "has not advanced for 3"),
        ("/bad/missing/index.m3u8", "not_found (media)", "segment s009.ts (number 9): status 404"),
        ("/bad/empty/index.m3u8", "protocol (check)", "the playlist is empty"),
        ("/bad/html/index.m3u8", "protocol (check)", "an HTML page instead of a playlist"),
        ("/bad/corrupt/index.m3u8", "protocol (media)", "no MPEG-TS sync byte"),
        ("/bad/gap/index.m3u8", "stale (check)", "has not advanced for 3"),
        ("/nosuch/index.m3u8", "not_found (first_byte)", "404"),
        ("/status/403.m3u8", "not_found (first_byte)", "404"),
        ("/private/ts/index.m3u8", "auth_required (first_byte)", "none is configured"),
    ] {
        let seen = look(&at(path, &[])).await;
        assert_eq!(outcome(&seen), expected, "{path}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{path}: {}", words(&seen));
    }
    let gap = look(&at("/bad/gap/index.m3u8", &[("advance", "no")])).await;
    assert_eq!((outcome(&gap).as_str(), fact(&gap, "advance").as_str()), ("up", "not proven"));
    let names = fact(&gap, "findings");
    assert!(names.contains("endlist_missing") && names.contains("advance_unproven"), "{names}");
}

#[tokio::test]
async fn passwords_open_playlists_and_segments() {
    let Some(folder) = testbed() else { return };
    let mut locked = target("http://viewer:s3cret@127.0.0.1:18080/private/ts/index.m3u8", &[]);
    assert_eq!(outcome(&look(&locked).await), "up");
    locked = target("http://viewer:wrong@127.0.0.1:18080/private/ts/index.m3u8", &[]);
    assert_eq!(outcome(&look(&locked).await), "auth_required (first_byte)");
    let ca = folder.join("ca/ca.pem").display().to_string();
    let secure = target("https://localhost:18443/vod/ts/index.m3u8", &[("ca_file", &ca)]);
    assert_eq!(outcome(&look(&secure).await), "up");
    assert_eq!(outcome(&look(&target("https://localhost:18443/vod/ts/index.m3u8", &[])).await), "tls (tls)");
}
