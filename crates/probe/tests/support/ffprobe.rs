//! The other opinion: what ffprobe says of the same URL in the same run, as tracks to compare with ours.

use std::process::Command;

use model::observation::Observation;
use model::reading::{Media, Track};

/// Greatest difference of frame rates, as a share: both are measured or rounded.
const RATE_TOLERANCE: f64 = 0.01;

/// The tracks of `url` as ffprobe describes them, pictures first. `options` go before the URL.
pub(crate) fn tracks_of(url: &str, options: &[&str]) -> Vec<Track> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-print_format", "json", "-show_streams"]).args(options).arg(url);
    let output = command.output().expect("ffprobe is installed with the testbed");
    assert!(output.status.success(), "{url}: {output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON as asked for");
    let mut tracks: Vec<Track> = said["streams"].as_array().expect("a list of streams").iter().map(track).collect();
    tracks.sort_by_key(|track| track.media != Media::Video);
    tracks
}

fn track(stream: &serde_json::Value) -> Track {
    let number = |key: &str| stream[key].as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let media = match stream["codec_type"].as_str() {
        Some("video") => Media::Video,
        Some("audio") => Media::Audio,
        _ => Media::Data,
    };
    let rate = stream["r_frame_rate"].as_str().and_then(|text| text.split_once('/')).and_then(|(n, d)| {
        let (n, d): (f64, f64) = (n.parse().ok()?, d.parse().ok()?);
        (d > 0.0 && n > 0.0).then_some(n / d)
    });
    Track {
        profile: stream["profile"].as_str().map(str::to_owned),
        width: number("width"),
        height: number("height"),
        fps: rate,
        sample_rate_hz: stream["sample_rate"].as_str().and_then(|hz| hz.parse().ok()),
        channels: number("channels"),
        proven: true,
        ..Track::new(media, stream["codec_name"].as_str().unwrap_or_default())
    }
}

/// How often ffprobe is asked: it guesses the frame rate of a live stream from what it read in a moment, and says 24.5 or 24.75
/// for 25 now and then when the machine is busy.
const ASKED: usize = 3;

/// Every track of ffprobe is one of ours, proven, with the same facts; the frame rate within a hundredth.
pub(crate) fn agrees(seen: &Observation, url: &str, ask: impl Fn() -> Vec<Track>) {
    // The bit rate is what a description declares, of which ffprobe knows nothing.
    let mut ours: Vec<Track> = seen.look.reading.tracks.clone();
    ours.iter_mut().for_each(|track| track.bitrate_bps = None);
    ours.sort_by_key(|track| track.media != Media::Video);
    for asked in 1..=ASKED {
        let told = ask();
        assert!(!told.is_empty(), "{url}: ffprobe sees nothing");
        for (ours, theirs) in ours.iter_mut().zip(&told) {
            let near = |a: f64, b: f64| (a - b).abs() <= b * RATE_TOLERANCE;
            if ours.fps.zip(theirs.fps).is_some_and(|(a, b)| near(a, b)) {
                ours.fps = theirs.fps;
            }
        }
        let without_rate =
            |tracks: &[Track]| tracks.iter().map(|t| Track { fps: None, ..t.clone() }).collect::<Vec<_>>();
        if ours != told && asked < ASKED && without_rate(&ours) == without_rate(&told) {
            continue;
        }
        assert_eq!(ours, told, "{url}");
        return;
    }
}
