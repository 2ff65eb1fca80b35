//! The dash kind against the real servers of the testbed: one row per manifest that it offers, with the facts of ffprobe.

mod support;

use std::process::Command;
use std::time::Duration;

use model::observation::Observation;
use model::reading::{Depth, Media, Severity};
use model::target::Target;
use support::{fact, look, outcome, target, testbed, tracks, words};

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

/// What ffprobe prints of one medium, one `key=value` a line.
fn ffprobe(url: &str, media: &str) -> Vec<String> {
    let show = "stream=codec_name,profile,width,height,sample_rate,channels,r_frame_rate";
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", &format!("{media}:0"), "-show_entries", show]);
    let output = command.args(["-of", "default=nw=1", url]).output().expect("ffprobe is installed with the testbed");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn value(lines: &[String], key: &str) -> String {
    let line = lines.iter().find_map(|line| line.strip_prefix(&format!("{key}=")));
    line.unwrap_or_default().to_owned()
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
        let (video, audio) = (ffprobe(&format!("{BASE}{path}"), "v"), ffprobe(&format!("{BASE}{path}"), "a"));
        let picture = seen.look.reading.track(Media::Video).expect("pictures");
        let number = |n: Option<u32>| n.map_or(String::new(), |n| n.to_string());
        let said = [picture.codec.clone(), picture.profile.clone().unwrap_or_default()];
        assert_eq!(said, [value(&video, "codec_name"), value(&video, "profile")], "{path}");
        let size = [number(picture.width), number(picture.height)];
        assert_eq!(size, [value(&video, "width"), value(&video, "height")], "{path}");
        let rate = value(&video, "r_frame_rate");
        let (over, under) = rate.split_once('/').expect("a fraction");
        let rate = over.parse::<f64>().expect("a number") / under.parse::<f64>().expect("a number");
        assert!(picture.fps.is_some_and(|fps| (fps - rate).abs() <= rate / 100.0), "{path}: {:?}", picture.fps);
        let sound = seen.look.reading.track(Media::Audio).expect("sound");
        let said = [sound.codec.clone(), sound.profile.clone().unwrap_or_default()];
        assert_eq!(said, [value(&audio, "codec_name"), value(&audio, "profile")], "{path}");
        let shape = [number(sound.sample_rate_hz), number(sound.channels)];
        assert_eq!(shape, [value(&audio, "sample_rate"), value(&audio, "channels")], "{path}");
        assert!(seen.look.reading.tracks.iter().all(|t| t.proven), "{path}: {}", tracks(&seen));
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
