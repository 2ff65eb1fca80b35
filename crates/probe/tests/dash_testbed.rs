//! The dash kind against the real servers of the testbed: one row per manifest that it offers, with the facts of ffprobe.

mod support;

use std::time::Duration;

use model::observation::Observation;
use model::reading::{Depth, Severity};
use model::target::Target;
use support::{fact, ffprobe, look, outcome, target, testbed, words};

const BASE: &str = "http://127.0.0.1:18080";

/// A target of this kind at a path, with time enough for a first look.
fn at(path: &str, options: &[(&str, &str)]) -> Target {
    let mut target = target(&format!("{BASE}{path}"), options);
    assert_eq!(target.kind, "dash", "{path} is guessed by its ending");
    target.timeout = Duration::from_secs(8);
    target
}

fn warnings(seen: &Observation) -> Vec<String> {
    let grave = seen.look.reading.findings.iter().filter(|f| f.severity == Severity::Warning);
    grave.map(|f| format!("{}: {}", f.name, f.text)).collect()
}

#[tokio::test]
async fn good_streams_are_up_with_the_facts_that_ffprobe_prints() {
    if testbed().is_none() {
        return;
    }
    for path in ["/dash/cam.mpd", "/live/ffdash/manifest.mpd"] {
        let seen = look(&at(path, &[])).await;
        assert_eq!(outcome(&seen), "up", "{path}: {:?}", seen.look);
        assert_eq!(seen.look.reading.proven, Some(Depth::Media), "{path}");
        assert_eq!(warnings(&seen), [""; 0], "{path}");
        let url = format!("{BASE}{path}");
        ffprobe::agrees(&seen, &url, || ffprobe::tracks_of(&url, &[]));
        assert_eq!(["playlist_type", "segment_format"].map(|key| fact(&seen, key)), ["live", "fmp4"], "{path}");
        let advance = fact(&seen, "advance");
        assert!(
            ["seen", "fresh by its times", "fresh by its file time"].contains(&advance.as_str()),
            "{path}: {advance}"
        );
        let latency: i64 = fact(&seen, "live_latency_ms").parse().expect("a number");
        assert!((-1_000..10_000).contains(&latency), "{path}: {latency}");
    }
}

#[tokio::test]
async fn what_is_broken_is_down_with_the_right_words() {
    if testbed().is_none() {
        return;
    }
    for (path, expected, part) in [
        ("/dash/nosuch.mpd", "not_found (first_byte)", "404"),
        ("/private/x.mpd", "auth_required (first_byte)", "none is configured"),
        ("/status/503", "protocol (first_byte)", "503"),
        ("/json", "protocol (check)", "no XML in place of a manifest"),
        ("/bad/html/index.m3u8", "protocol (check)", "an HTML page instead of a manifest"),
        ("/bad/empty/index.m3u8", "protocol (check)", "the manifest is empty"),
        ("/vod/ts/index.m3u8", "protocol (check)", "no XML in place of a manifest"),
    ] {
        let mut target = target(&format!("{BASE}{path}"), &[]);
        target.kind = "dash";
        let seen = look(&target).await;
        assert_eq!(outcome(&seen), expected, "{path}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{path}: {}", words(&seen));
    }
    let slow = at("/dash/cam.mpd", &[("live", "false")]);
    assert!(warnings(&look(&slow).await).iter().any(|words| words.starts_with("static_expected")));
}

#[tokio::test]
async fn the_memory_holds_over_several_looks() {
    if testbed().is_none() {
        return;
    }
    for path in ["/dash/cam.mpd", "/live/ffdash/manifest.mpd"] {
        let target = at(path, &[]);
        let probe = probe::kind::build(&target).expect("good options");
        let prober = probe::run::Prober::new(std::sync::Arc::new(net::clock::SystemClock::new()));
        let cancel = tokio_util::sync::CancellationToken::new();
        let mut numbers = std::collections::BTreeSet::new();
        let began = tokio::time::Instant::now();
        // Until three states of the manifest were seen.
        while numbers.len() < 3 {
            assert!(began.elapsed() < Duration::from_secs(20), "{path}: {numbers:?}");
            let seen = prober.observe(&target, &*probe, &cancel).await;
            assert_eq!((outcome(&seen).as_str(), warnings(&seen)), ("up", vec![]), "{path}: {:?}", seen.look);
            numbers.insert(fact(&seen, "published_at"));
        }
    }
}
