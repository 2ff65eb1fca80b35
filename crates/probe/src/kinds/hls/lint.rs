//! What is wrong with one playlist by itself: findings with their names, severities and values. Owns no memory and asks for
//! nothing; what ends a look is a fault and stands elsewhere.

use model::address::Address;
use model::reading::{Finding, Severity};
use wire::m3u8::{MediaPlaylist, Multivariant, PlaylistType, Slip};

/// A finding on its way into the reading.
pub(in crate::kinds) type Found = Finding;

/// Content types of playlists (RFC 8216 section 10, and the older words that servers still use).
const CONTENT_TYPES: [&str; 5] = [
    "application/vnd.apple.mpegurl",
    "application/x-mpegurl",
    "application/mpegurl",
    "audio/mpegurl",
    "audio/x-mpegurl",
];
/// Content types of servers that do not know what they send; the name of the file is enough then (RFC 8216 section 4).
pub(in crate::kinds) const VAGUE: [&str; 4] = ["", "text/plain", "application/octet-stream", "binary/octet-stream"];
/// Least difference between two times that is called a jump: encoders round.
const LEAST_JUMP_S: f64 = 1.0;

/// `1.5 s`, `12 s`: at most two digits behind the point.
pub(in crate::kinds) fn seconds(value: f64) -> String {
    let text = format!("{value:.2}");
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A finding that makes the stream degraded.
pub(in crate::kinds) fn warning(name: &'static str, text: String) -> Found {
    Found { name, severity: Severity::Warning, text }
}

/// `, and 3 more`.
pub(in crate::kinds) fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(", and {count} more") }
}

/// The content type of a playlist's answer.
pub(super) fn content_type(word: &str, address: &Address) -> Option<Found> {
    let kind = word.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if CONTENT_TYPES.contains(&kind.as_str()) {
        return None;
    }
    let path = address.expose_url().path().to_ascii_lowercase();
    let named = path.ends_with(".m3u8") || path.ends_with(".m3u");
    let shown = if kind.is_empty() { "no content type" } else { kind.as_str() };
    let text = format!("the playlist comes as {shown}, expected application/vnd.apple.mpegurl");
    let severity = if named && VAGUE.contains(&kind.as_str()) { Severity::Note } else { Severity::Warning };
    Some(Found { name: "content_type", severity, text })
}

/// A multivariant playlist.
pub(super) fn multivariant(list: &Multivariant) -> Vec<Found> {
    let mut found = slips(&list.slips);
    for (kind, group) in list.missing_groups() {
        let kind = kind.as_str();
        let text = format!("a variant refers to the {kind} group {group:?}, which no EXT-X-MEDIA is in");
        found.push(warning("rendition_group_missing", text));
    }
    found
}

/// A media playlist. `live` is what the configuration expects, where it expects something.
pub(super) fn media(list: &MediaPlaylist, live: Option<bool>) -> Vec<Found> {
    let mut found = slips(&list.slips);
    found.extend(too_long(list));
    found.extend(date_jump(list));
    let promised = list.kind == Some(PlaylistType::Vod) || live == Some(false);
    if promised && !list.ended {
        let why = if live == Some(false) { "a finished stream is expected" } else { "its type is VOD" };
        found.push(warning("endlist_missing", format!("the playlist has no EXT-X-ENDLIST although {why}")));
    }
    if list.scte35_cues > 0 {
        let text = format!("{} SCTE-35 cues are in the playlist", list.scte35_cues);
        found.push(Found { name: "scte35_cues", severity: Severity::Note, text });
    }
    found
}

fn slips(slips: &[Slip]) -> Vec<Found> {
    let (late, rest): (Vec<&Slip>, Vec<&Slip>) =
        slips.iter().partition(|slip| slip.what.starts_with("EXT-X-DISCONTINUITY-SEQUENCE"));
    let say = |name, slips: &[&Slip]| {
        let first = slips.first()?;
        Some(warning(name, format!("line {}: {}{}", first.line, first.what, more(slips.len() - 1))))
    };
    [say("discontinuity_sequence_error", &late), say("playlist_syntax", &rest)].into_iter().flatten().collect()
}

/// Durations must not exceed the target when they are rounded (RFC 8216, 4.3.3.1).
fn too_long(list: &MediaPlaylist) -> Option<Found> {
    let target = list.target_duration_s?;
    let mut long = list.segments.iter().enumerate().filter(|(_, segment)| segment.duration_s.round() > target as f64);
    let (index, segment) = long.next()?;
    let text = format!(
        "segment {} lasts {}, more than the target duration of {target} s{}",
        list.number(index),
        seconds(segment.duration_s),
        more(long.count())
    );
    Some(warning("segment_too_long", text))
}

/// Declared times must follow from one another within what no discontinuity parts.
fn date_jump(list: &MediaPlaylist) -> Option<Found> {
    let allowed = LEAST_JUMP_S.max(list.target_duration_s.unwrap_or(0) as f64 / 2.0);
    let mut expected: Option<(f64, u64)> = None;
    let mut jumps = Vec::new();
    for (index, segment) in list.segments.iter().enumerate() {
        if let Some(date) = segment.date_ms {
            let date = date as f64 / 1_000.0;
            if let Some((time, discontinuity)) = expected
                && discontinuity == segment.discontinuity
                && (date - time).abs() > allowed
            {
                jumps.push((list.number(index), date - time));
            }
            expected = Some((date + segment.duration_s, segment.discontinuity));
        } else {
            expected = expected.map(|(time, discontinuity)| (time + segment.duration_s, discontinuity));
        }
    }
    let (number, by) = *jumps.first()?;
    let sign = if by < 0.0 { "-" } else { "+" };
    let text = format!(
        "the program date-time jumps by {sign}{} at segment {number}{}",
        seconds(by.abs()),
        more(jumps.len() - 1)
    );
    Some(warning("program_date_time_jump", text))
}

/// When the newest media ends by the clock of the stream, in milliseconds since 1970.
pub(super) fn newest_ms(list: &MediaPlaylist) -> Option<i64> {
    let at = list.segments.iter().rposition(|segment| segment.date_ms.is_some())?;
    let seconds: f64 = list.segments[at..].iter().map(|segment| segment.duration_s).sum();
    // A duration is finite and not negative; a made-up one saturates.
    Some(list.segments[at].date_ms?.saturating_add((seconds * 1_000.0) as i64))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;
    use tokio::time::Instant;
    use wire::m3u8::{Context, Playlist, parse};

    use super::super::memory::Memory;

    /// A live playlist of `count` segments of two seconds from number `first`.
    pub(in super::super) fn live(first: u32, count: u32) -> String {
        let segments: String = (first..first + count).map(|n| format!("#EXTINF:2.0,\ns{n}.ts\n")).collect();
        format!("#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{segments}")
    }

    pub(in super::super) fn list(text: &str) -> MediaPlaylist {
        match parse(format!("#EXTM3U\n{text}").as_bytes(), &Context::default()) {
            Ok(Playlist::Media(list)) => list,
            other => panic!("{text}: {other:?}"),
        }
    }

    pub(in super::super) fn names(found: &[Found]) -> Vec<&'static str> {
        found.iter().map(|f| f.name).collect()
    }

    fn findings(folder: &Path, stem: &str) -> Vec<Found> {
        let read = |name: String| std::fs::read(folder.join(name)).ok();
        let (mut memory, mut all, began) = (Memory::default(), Vec::new(), Instant::now());
        // One file, or the playlist at two looks four seconds apart.
        let looks = [read(format!("{stem}.m3u8")), read(format!("{stem}.1.m3u8")), read(format!("{stem}.2.m3u8"))];
        for (index, bytes) in looks.into_iter().flatten().enumerate() {
            match parse(&bytes, &Context::default()).expect("a playlist") {
                Playlist::Media(list) => {
                    all.extend(media(&list, None));
                    let now = began + Duration::from_secs(4 * index as u64);
                    all.extend(memory.recall("k", &list, now).into_iter().flat_map(|recalled| recalled.found));
                }
                Playlist::Multivariant(list) => all.extend(multivariant(&list)),
            }
        }
        all
    }

    /// Each folder has the name of a finding, a playlist that shows it alone, and a good neighbour.
    #[test]
    fn every_finding_has_a_file_that_shows_it_and_one_that_does_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/hls");
        let mut seen = Vec::new();
        for entry in std::fs::read_dir(root).expect("the folder is there") {
            let folder = entry.expect("the entry is readable").path();
            let name = folder.file_name().and_then(|n| n.to_str()).expect("the name is text").to_owned();
            let bad = findings(&folder, "bad");
            assert!(!bad.is_empty() && bad.iter().all(|f| f.name == name), "{name}: {bad:?}");
            assert_eq!(findings(&folder, "good"), [], "{name}");
            seen.push(name);
        }
        seen.sort();
        let expected = [
            "discontinuity_sequence_error",
            "endlist_missing",
            "media_sequence_gap",
            "media_sequence_regression",
            "playlist_syntax",
            "program_date_time_jump",
            "rendition_group_missing",
            "scte35_cues",
            "segment_too_long",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn findings_carry_the_value() {
        let text = |playlist: &str| media(&list(playlist), None).into_iter().map(|f| f.text).collect::<Vec<_>>();
        let long =
            "#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:5\n#EXTINF:2.499,\na\n#EXTINF:2.5,\nb\n#EXTINF:9,\nc\n";
        assert_eq!(text(long), ["segment 6 lasts 2.5 s, more than the target duration of 2 s, and 1 more"]);
        let dates = "#EXT-X-TARGETDURATION:2\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n#EXTINF:2,\na\n#EXTINF:2,\nb\n\
                     #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:09Z\n#EXTINF:2,\nc\n";
        assert_eq!(text(dates), ["the program date-time jumps by +5 s at segment 2"]);
        assert_eq!(newest_ms(&list(dates)), wire::m3u8::parse_date("2026-01-01T00:00:11Z"));
        assert_eq!(names(&media(&list(&live(1, 3)), Some(false))), ["endlist_missing"]);
        assert_eq!(text("#EXTINF:1,\na\nb\n#EXT-X-TARGETDURATION:1"), ["line 4: a segment without EXTINF"]);
    }

    #[test]
    fn content_types() {
        let check = |kind: &str, path: &str| {
            let address = Address::parse(&format!("http://h{path}")).expect("a good URL");
            content_type(kind, &address).map(|f| f.severity)
        };
        assert_eq!(check("Application/VND.apple.mpegurl; charset=utf-8", "/x"), None);
        assert_eq!(check("text/plain", "/live.m3u8"), Some(Severity::Note));
        assert_eq!(check("", "/live.M3U8?x=1"), Some(Severity::Note));
        assert_eq!(check("", "/live"), Some(Severity::Warning));
        assert_eq!(check("text/html", "/live.m3u8"), Some(Severity::Warning));
    }
}
