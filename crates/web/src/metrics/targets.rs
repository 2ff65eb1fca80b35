//! Families about each target. One pass over the Board; a target that left the configuration leaves nothing.

use std::fmt::Write as _;

use model::board::TargetNow;
use model::expect::{BITRATE, FRAME_RATE, JITTER, KEYFRAMES, LATENCY, LIVE_LATENCY, LOSS, Measure, PLAYLIST_AGE};
use model::fault::FaultKind;
use model::live::Doing;
use model::reading::{FactValue, Media, Reading, Track, fact};
use model::score;
use model::status::Status;
use model::target::Watch;

use super::Seen;
use super::family::Id;
use super::sheet::Sheet;
use crate::dto::target::Availabilities;

/// Most tracks of a stream that are told of.
pub(super) const MAX_TRACKS: usize = 16;
/// Names of codecs that stand in labels. What else a peer calls its codec would let it make as many series as it likes.
const CODECS: &[&str] = &[
    "aac",
    "aac_latm",
    "ac3",
    "adpcm_g722",
    "adpcm_g726",
    "adpcm_g726le",
    "adpcm_swf",
    "av1",
    "dts",
    "dvb_subtitle",
    "dvb_teletext",
    "eac3",
    "flac",
    "flashsv",
    "flashsv2",
    "flv1",
    "g728",
    "g729",
    "h261",
    "h263",
    "h264",
    "hevc",
    "jpeg2000",
    "mjpeg",
    "mov_text",
    "mp1",
    "mp2",
    "mp3",
    "mpeg1video",
    "mpeg2video",
    "mpeg4",
    "nellymoser",
    "opus",
    "pcm_alaw",
    "pcm_mulaw",
    "pcm_s16be",
    "pcm_s16le",
    "pcm_s24be",
    "pcm_u8",
    "scte_35",
    "speex",
    "theora",
    "timed_id3",
    "ttml",
    "vorbis",
    "vp6a",
    "vp6f",
    "vp8",
    "vp9",
    "webvtt",
];

/// Measures with their families, and by what a fact is multiplied to come to the unit of the family.
const MEASURES: &[(Id, &Measure, f64)] = &[
    (Id::TargetBitrate, &BITRATE, 1.0 / 8.0),
    (Id::TargetFrames, &FRAME_RATE, 1.0),
    (Id::TargetLoss, &LOSS, 1.0),
    (Id::TargetRtt, &LATENCY, 0.001),
    (Id::TargetJitter, &JITTER, 0.001),
    (Id::TargetKeyframes, &KEYFRAMES, 0.001),
    (Id::TargetPlaylist, &PLAYLIST_AGE, 0.001),
    (Id::TargetLatency, &LIVE_LATENCY, 0.001),
];

/// Writes them.
pub(super) fn write(sheet: &mut Sheet, seen: &Seen) {
    let none = Availabilities::default();
    for target in seen.board.targets.iter() {
        let id = target.spec.id.as_str();
        status(sheet, id, target);
        counts(sheet, id, target);
        let spent = seen.availability.get(&target.spec.id).unwrap_or(&none);
        for (window, ratio) in [("24h", spent.h24), ("7d", spent.d7), ("30d", spent.d30)] {
            sheet.maybe(Id::TargetAvailability, &[("target", id), ("window", window)], ratio);
        }
        if let Some(score) = score::of(&seen.settings.score, target) {
            sheet.put(Id::TargetScore, &[("target", id)], round(score.value));
            sheet.put(Id::TargetScored, &[("target", id)], round(score.measured_ratio()));
            for part in score.parts.iter().filter(|part| part.weight > 0.0) {
                let labels = [("target", id), ("part", part.part.as_str())];
                sheet.maybe(Id::TargetScorePart, &labels, part.value.map(round));
            }
        }
        // What was measured before somebody stopped looking says nothing about now.
        if target.spec.enabled && !target.paused && target.state.status != Status::Maintenance {
            measured(sheet, id, target);
        }
        session(sheet, id, target);
    }
}

/// Six decimals: enough for any reader, and shorter.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn status(sheet: &mut Sheet, id: &str, target: &TargetNow) {
    let spec = &target.spec;
    let labels = [
        ("target", id),
        ("name", spec.name.as_str()),
        ("kind", spec.kind),
        ("group", spec.group.as_deref().unwrap_or_default()),
        ("watch", spec.watch.as_str()),
    ];
    sheet.put(Id::TargetInfo, &labels, true);
    let state = &target.state;
    sheet.maybe(Id::TargetUp, &[("target", id)], state.status.counts_as());
    sheet.put(Id::TargetStatus, &[("target", id), ("status", state.status.as_str())], true);
    sheet.put(Id::TargetSince, &[("target", id)], state.since);
    sheet.put(Id::TargetIncident, &[("target", id)], target.incident.is_some());
}

fn counts(sheet: &mut Sheet, id: &str, target: &TargetNow) {
    let counts = &target.counts;
    for (result, count) in [("pass", counts.looks.pass), ("warn", counts.looks.warn), ("fail", counts.looks.fail)] {
        sheet.put(Id::TargetLooks, &[("target", id), ("result", result)], count);
    }
    for (fault, count) in FaultKind::ALL.iter().zip(counts.faults).filter(|(_, count)| *count > 0) {
        sheet.put(Id::TargetFaults, &[("target", id), ("fault", fault.as_str())], count);
    }
    sheet.put(Id::TargetIncidents, &[("target", id)], counts.incidents);
}

fn measured(sheet: &mut Sheet, id: &str, target: &TargetNow) {
    let own = [("target", id)];
    if let Some(last) = &target.last {
        sheet.put(Id::TargetLooked, &own, last.at);
        sheet.put(Id::TargetDuration, &own, last.took);
        for (phase, took) in last.look.phases.iter() {
            sheet.put(Id::TargetPhase, &[("target", id), ("phase", phase.as_str())], took);
        }
    }
    let Some(reading) = target.newest().map(|newest| &newest.look.reading) else { return };
    if !reading.facts.is_empty() {
        for (family, measure, factor) in MEASURES {
            sheet.maybe(*family, &own, measure.read(reading).map(|value| round(value * factor)));
        }
        if let Some(FactValue::Time(ends)) = reading.facts.get(fact::CERT_EXPIRES_AT) {
            sheet.put(Id::TargetCertificate, &own, *ends);
        }
        sheet.maybe(Id::TargetViewers, &own, viewers(reading));
    }
    tracks(sheet, id, reading);
}

fn viewers(reading: &Reading) -> Option<u64> {
    [fact::VIEWERS, fact::LISTENERS].iter().find_map(|key| match reading.facts.get(key) {
        Some(FactValue::Int(count)) => u64::try_from(*count).ok(),
        _ => None,
    })
}

fn tracks(sheet: &mut Sheet, id: &str, reading: &Reading) {
    let mut number = String::new();
    for (place, track) in reading.tracks.iter().take(MAX_TRACKS).enumerate() {
        number.clear();
        let _ = write!(number, "{place}"); // cannot fail for a String
        let labels = [
            ("target", id),
            ("track", number.as_str()),
            ("media", track.media.as_str()),
            ("codec", codec(track)),
            ("received", if track.proven { "true" } else { "false" }),
        ];
        sheet.put(Id::TargetTrack, &labels, true);
    }
    if let Some(video) = reading.track(Media::Video) {
        sheet.maybe(Id::TargetWidth, &[("target", id)], video.width.map(u64::from));
        sheet.maybe(Id::TargetHeight, &[("target", id)], video.height.map(u64::from));
    }
}

/// The name of a codec, where it is one of ours.
pub(super) fn codec(track: &Track) -> &'static str {
    CODECS.iter().find(|known| **known == track.codec).copied().unwrap_or("other")
}

fn session(sheet: &mut Sheet, id: &str, target: &TargetNow) {
    let Some(session) = target.session.as_ref().filter(|_| target.spec.watch == Watch::Continuous) else { return };
    sheet.put(Id::TargetSession, &[("target", id)], session.doing == Doing::Live);
    sheet.put(Id::TargetSessionSince, &[("target", id)], session.since);
    sheet.put(Id::TargetReconnects, &[("target", id)], session.reconnects);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_a_word_of_ours() {
        assert!(CODECS.is_sorted());
        assert_eq!(codec(&Track::new(Media::Video, "h264")), "h264");
        assert_eq!(codec(&Track::new(Media::Video, "h264\"} 1\nx{a=\"")), "other");
    }
}
