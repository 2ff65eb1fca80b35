//! What a manifest promises of a representation, and whether the media keeps it. Owns the sentences of the differences; asks
//! for nothing.

use model::reading::{Media, Track};
use wire::mpd::Representation;

use super::super::hls::choose::track_of;
use super::super::hls::lint::{Found, warning};

/// By how much frame rates may differ: `25` is written for 24.98.
const RATE_SLACK: f64 = 0.05;
/// How much more than its bandwidth a segment may have beyond what the buffer makes up for: containers have headers.
const EXCESS: f64 = 1.10;

/// The tracks that a representation promises.
pub(super) fn tracks(one: &Representation) -> Vec<Track> {
    let mut tracks: Vec<Track> = one.codecs.iter().filter_map(|word| track_of(word)).collect();
    if let Some(video) = tracks.iter_mut().find(|track| track.media == Media::Video) {
        (video.width, video.height, video.fps) = (one.width, one.height, one.frame_rate);
    }
    if let Some(audio) = tracks.iter_mut().find(|track| track.media == Media::Audio) {
        audio.sample_rate_hz = one.sample_rate_hz;
    }
    with_bitrate(&mut tracks, one);
    tracks.sort_by_key(|track| track.media != Media::Video);
    tracks
}

/// Says the declared bit rate of a track that is alone.
pub(super) fn with_bitrate(tracks: &mut [Track], one: &Representation) {
    if let [track] = tracks {
        track.bitrate_bps = one.bandwidth_bps;
    }
}

/// Where the media is another than the manifest promises.
pub(super) fn differences(one: &Representation, seen: &[Track]) -> Option<Found> {
    let mut parts = Vec::new();
    let video = seen.iter().find(|track| track.media == Media::Video);
    let audio = seen.iter().find(|track| track.media == Media::Audio);
    if let (Some((width, height)), Some(actual)) =
        (one.width.zip(one.height), video.and_then(|v| v.width.zip(v.height)))
        && (width, height) != actual
    {
        parts.push(format!("width and height say {width}x{height}, the pictures are {}x{}", actual.0, actual.1));
    }
    if let (Some(declared), Some(actual)) = (one.frame_rate, video.and_then(|v| v.fps))
        && (declared - actual).abs() > declared * RATE_SLACK
    {
        parts.push(format!("frameRate says {declared}, the pictures come at {actual}"));
    }
    // Sound with spectral replication says half of its rate in one place and all of it in the other.
    if let (Some(declared), Some(actual)) = (one.sample_rate_hz, audio.and_then(|a| a.sample_rate_hz))
        && declared != actual
        && declared != actual.saturating_mul(2)
        && declared.saturating_mul(2) != actual
    {
        parts.push(format!("audioSamplingRate says {declared}, the sound has {actual} Hz"));
    }
    let declared = tracks(one);
    let all_known = !declared.is_empty() && declared.len() == one.codecs.len();
    for track in seen.iter().filter(|_| all_known) {
        let promised = declared.iter().find(|d| d.codec == track.codec);
        match promised {
            None => {
                parts.push(format!("codecs says {}, the {} is {}", one.codecs.join(","), track.media, track.codec));
            }
            Some(promised) => {
                if let (Some(said), Some(is)) = (&promised.profile, &track.profile)
                    && !same_profile(said, is)
                {
                    parts.push(format!("codecs says {} ({said}), the {} is {is}", one.codecs.join(","), track.media));
                }
            }
        }
    }
    (!parts.is_empty()).then(|| warning("declared_differs", parts.join("; ")))
}

/// Whether two names of profiles mean the same to a player: a constrained profile is within the one it constrains, and
/// sound with spectral replication holds its own core.
fn same_profile(said: &str, is: &str) -> bool {
    let family = |name: &str| match name {
        "Constrained Baseline" => "Baseline".to_owned(),
        "LC" | "HE-AAC" | "HE-AACv2" => "AAC".to_owned(),
        other => other.to_owned(),
    };
    family(said) == family(is)
}

/// A segment must be playable at its bandwidth after the least buffer was filled (ISO/IEC 23009-1, 5.3.5.2).
pub(super) fn excess(one: &Representation, min_buffer_s: Option<f64>, bytes: u64, length_s: f64) -> Option<Found> {
    let declared = one.bandwidth_bps.filter(|bps| *bps > 0)?;
    let bits = bytes as f64 * 8.0;
    let allowed = declared as f64 * (length_s + min_buffer_s.unwrap_or(0.0)) * EXCESS;
    let rate = bits / length_s;
    let text =
        format!("a segment has {rate:.0} bit/s, bandwidth says {declared}, and minBufferTime does not make up for it");
    (length_s > 0.0 && bits > allowed).then(|| warning("bitrate_above_declared", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Representation {
        Representation {
            codecs: vec!["avc1.4d401e".into()],
            bandwidth_bps: Some(1_000_000),
            width: Some(640),
            height: Some(360),
            frame_rate: Some(25.0),
            ..Representation::default()
        }
    }

    fn sound() -> Representation {
        let codecs = vec!["mp4a.40.2".into()];
        Representation { codecs, sample_rate_hz: Some(48_000), ..Representation::default() }
    }

    #[test]
    fn promises() {
        let track = tracks(&one()).pop().expect("a track");
        assert_eq!((track.codec.as_str(), track.profile.as_deref()), ("h264", Some("Main")));
        assert_eq!((track.width, track.fps, track.bitrate_bps), (Some(640), Some(25.0), Some(1_000_000)));
        assert_eq!(tracks(&sound()).pop().and_then(|t| t.sample_rate_hz), Some(48_000));
        let muxed = Representation { codecs: vec!["mp4a.40.2".into(), "avc1.4d401e".into()], ..one() };
        let brief: Vec<_> = tracks(&muxed).into_iter().map(|t| (t.codec, t.bitrate_bps)).collect();
        assert_eq!(brief, [("h264".to_owned(), None), ("aac".to_owned(), None)]);
    }

    #[test]
    fn broken_promises_are_named() {
        let text = |one: &Representation, seen: &[Track]| differences(one, seen).map(|found| found.text);
        let mut seen = tracks(&one());
        assert_eq!(text(&one(), &seen), None);
        (seen[0].height, seen[0].fps, seen[0].profile) = (Some(720), Some(50.0), Some("High".into()));
        let words = "width and height say 640x360, the pictures are 640x720; frameRate says 25, the pictures come at 50; \
                     codecs says avc1.4d401e (Main), the video is High";
        assert_eq!(text(&one(), &seen).as_deref(), Some(words));
        seen[0] = Track::new(Media::Video, "hevc");
        assert_eq!(text(&one(), &seen).as_deref(), Some("codecs says avc1.4d401e, the video is hevc"));
        let mut aac = tracks(&sound());
        aac[0].sample_rate_hz = Some(24_000);
        assert_eq!(text(&sound(), &aac), None);
        aac[0].sample_rate_hz = Some(44_100);
        let words = "audioSamplingRate says 48000, the sound has 44100 Hz";
        assert_eq!(text(&sound(), &aac).as_deref(), Some(words));
    }

    #[test]
    fn the_least_buffer_makes_up_for_large_segments() {
        // 2 s at 1 Mbit/s after a buffer of 2 s: 4.4 Mbit with a tenth more.
        assert_eq!(excess(&one(), Some(2.0), 550_000, 2.0), None);
        let text = excess(&one(), Some(2.0), 550_100, 2.0).map(|found| found.text);
        assert!(text.is_some_and(|text| text.starts_with("a segment has 2200400 bit/s, bandwidth says 1000000")));
        assert!(excess(&one(), None, 275_100, 2.0).is_some());
        assert_eq!(excess(&one(), None, 275_100, 0.0), None);
    }
}
