//! What is wrong with one manifest by itself: findings with their names, severities and values. Owns no memory and asks for
//! nothing; what ends a look is a fault and stands elsewhere.

use model::address::Address;
use model::reading::Severity;
use wire::mpd::{Mpd, Period, Representation};

use super::super::hls::lint::{Found, VAGUE, more, seconds, warning};
use super::streams::{Scene, Stream};

/// Content types of manifests (ISO/IEC 23009-1 annex C, and the older word).
const CONTENT_TYPES: [&str; 2] = ["application/dash+xml", "video/vnd.mpeg.dash.mpd"];
/// Content types that are right as far as they go.
const XML: [&str; 2] = ["application/xml", "text/xml"];
/// Least difference between two times that is called a gap or an overlap: packagers round, and a frame of sound lasts 20 ms.
const LEAST_SEAM_S: f64 = 0.1;
/// How far media may be ahead of the clock: less is what clocks differ by.
pub(super) const AHEAD_S: f64 = 10.0;

/// The content type of a manifest's answer.
pub(super) fn content_type(word: &str, address: &Address) -> Option<Found> {
    let kind = word.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if CONTENT_TYPES.contains(&kind.as_str()) {
        return None;
    }
    let named = address.expose_url().path().to_ascii_lowercase().ends_with(".mpd");
    let shown = if kind.is_empty() { "no content type" } else { kind.as_str() };
    let text = format!("the manifest comes as {shown}, expected application/dash+xml");
    let vague = named && (VAGUE.contains(&kind.as_str()) || XML.contains(&kind.as_str()));
    let severity = if vague { Severity::Note } else { Severity::Warning };
    Some(Found { name: "content_type", severity, text })
}

/// The manifest. `live` is what the configuration expects, where it expects something.
pub(super) fn manifest(mpd: &Mpd, scene: &Scene, live: Option<bool>) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(first) = mpd.slips.first() {
        found.push(warning("mpd_syntax", format!("{first}{}", more(mpd.slips.len() - 1))));
    }
    if live == Some(false) && mpd.dynamic {
        found.push(warning("static_expected", "the manifest is dynamic although a finished stream is expected".into()));
    }
    let all = || mpd.periods.iter().flat_map(|period| &period.sets).flat_map(|set| &set.representations);
    let nameless: Vec<&Representation> = all().filter(|one| one.mime.is_none()).collect();
    if let Some(first) = nameless.first() {
        let rest = more(nameless.len() - 1);
        found.push(warning("media_type_missing", format!("the representation {:?} has no mimeType{rest}", first.id)));
    }
    let remote = |period: &&Period| period.remote || period.sets.iter().any(|set| set.remote);
    let elsewhere = mpd.periods.iter().filter(remote).count();
    if elsewhere > 0 {
        let text = format!("{elsewhere} periods have content elsewhere (xlink:href), which is not followed");
        found.push(Found { name: "xlink_not_followed", severity: Severity::Note, text });
    }
    found.extend(periods(mpd));
    if mpd.scte35_cues > 0 {
        let text = format!("{} SCTE-35 cues are in the manifest", mpd.scte35_cues);
        found.push(Found { name: "scte35_cues", severity: Severity::Note, text });
    }
    if scene.live && mpd.update_s.is_none() && all().any(|one| one.segments.is_listed()) {
        let text = "the manifest lists its segments and has no minimumUpdatePeriod, so that players never ask again";
        found.push(warning("update_period_missing", text.to_owned()));
    }
    found
}

/// Periods must follow from one another.
fn periods(mpd: &Mpd) -> Option<Found> {
    let seams = mpd.periods.windows(2).filter_map(|pair| {
        let (end, begin) = (pair[0].start_s? + pair[0].duration_s?, pair[1].start_s?);
        seam(end, begin).map(|seam| (pair[1].id.clone().unwrap_or_default(), seam))
    });
    let all: Vec<_> = seams.collect();
    let (id, (name, by)) = all.first()?;
    let (verb, rest) = (if *name == "timeline_gap" { "after" } else { "before" }, more(all.len() - 1));
    Some(warning(name, format!("the period {id:?} begins {} {verb} the end of the one before{rest}", seconds(*by))))
}

/// What two times are that should be the same, and by how much.
fn seam(end: f64, begin: f64) -> Option<(&'static str, f64)> {
    let by = begin - end;
    let name = if by > 0.0 { "timeline_gap" } else { "timeline_overlap" };
    (by.abs() > LEAST_SEAM_S).then_some((name, by.abs()))
}

/// A stream: its timeline, and how far it is from the clock.
pub(super) fn stream(mpd: &Mpd, scene: &Scene, stream: &Stream<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let segments = &stream.one.segments;
    for wanted in ["timeline_gap", "timeline_overlap"] {
        let Some(timeline) = &segments.timeline else { continue };
        let mut seams = timeline.seams().filter_map(|at| {
            let (end, begin) = (segments.seconds(at.end), segments.seconds(at.begin));
            seam(end, begin).filter(|(name, _)| *name == wanted).map(|(_, by)| (end.min(begin), by))
        });
        let Some((at, by)) = seams.next() else { continue };
        let what = if wanted == "timeline_gap" { "a gap" } else { "an overlap" };
        let text = format!("{what} of {} at {} of the period{}", seconds(by), seconds(at), more(seams.count()));
        found.push(warning(wanted, text));
    }
    if scene.live
        && let Some(end_ms) = end_ms(mpd, stream)
    {
        let ahead = end_ms.saturating_sub(scene.now_ms) as f64 / 1_000.0;
        if ahead > AHEAD_S {
            found.push(warning(
                "ahead_of_clock",
                format!("its newest segment ends {} ahead of the clock", seconds(ahead)),
            ));
        }
    }
    found
}

/// When the newest segment of a stream ends, in milliseconds since 1970.
pub(super) fn end_ms(mpd: &Mpd, stream: &Stream<'_>) -> Option<i64> {
    // A made-up time saturates.
    Some(mpd.availability_start_ms?.saturating_add((stream.end_s()? * 1_000.0) as i64))
}

/// A manifest that must change with each segment and says that it was made long ago.
pub(super) fn publish_time(mpd: &Mpd, scene: &Scene, stream: &Stream<'_>, limit_s: f64) -> Option<Found> {
    let published =
        mpd.publish_ms.filter(|_| scene.live && mpd.update_s.is_some() && stream.one.segments.is_listed())?;
    let age = scene.now_ms.saturating_sub(published) as f64 / 1_000.0;
    let text = format!("the manifest was published {} ago by its publishTime", seconds(age.floor()));
    (age > limit_s).then(|| warning("publish_time_stale", text))
}

/// Streams that end at different places of the presentation.
pub(super) fn out_of_step(streams: &[Stream<'_>]) -> Option<Found> {
    let listed = || streams.iter().filter(|stream| stream.one.segments.is_listed());
    let ends: Vec<f64> = listed().filter_map(Stream::end_s).collect();
    let longest = listed().filter_map(Stream::segment_s).fold(0.0, f64::max);
    let spread = ends.iter().copied().reduce(f64::max)? - ends.iter().copied().reduce(f64::min)?;
    let text = format!("the newest segments of the representations end {} apart", seconds(spread));
    (spread > longest * 1.5 + LEAST_SEAM_S).then(|| warning("streams_out_of_step", text))
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::super::streams::pick;
    use super::*;
    use crate::kinds::hls::choose::Choice;
    use std::path::Path;
    use std::time::Duration;
    use tokio::time::Instant;
    use wire::m3u8::parse_date;
    use wire::mpd::parse;

    /// The clock of all files at the first look.
    const NOW: &str = "2026-11-20T12:00:20Z";
    /// Seconds between two looks.
    const BETWEEN_S: u64 = 4;

    /// What one look finds in a manifest by itself, in the order of the look.
    fn look(mpd: &Mpd, now_ms: i64, live: Option<bool>) -> Vec<Found> {
        let scene = Scene::of(mpd, now_ms, live);
        let mut all = manifest(mpd, &scene, live);
        let streams = pick(mpd, &scene, Choice::Highest).expect("there is media");
        streams.iter().for_each(|one| all.extend(stream(mpd, &scene, one)));
        all.extend(out_of_step(&streams));
        all.extend(publish_time(mpd, &scene, &streams[0], 8.0));
        all
    }

    fn findings(folder: &Path, stem: &str) -> Vec<Found> {
        let read = |name: String| std::fs::read(folder.join(name)).ok();
        let (mut memory, mut all, began) = (Memory::default(), Vec::new(), Instant::now());
        let now_ms = parse_date(NOW).expect("a date");
        // One file, or the manifest at two looks.
        let looks = [read(format!("{stem}.mpd")), read(format!("{stem}.1.mpd")), read(format!("{stem}.2.mpd"))];
        for (mpd, later_s) in looks.into_iter().flatten().zip([0, BETWEEN_S]) {
            let mpd = parse(&mpd).expect("a manifest");
            let now_ms = now_ms + i64::try_from(later_s).expect("small") * 1_000;
            all.extend(look(&mpd, now_ms, None));
            let streams = pick(&mpd, &Scene::of(&mpd, now_ms, None), Choice::Highest).expect("there is media");
            let Some(position) = super::super::position(&mpd, &streams[0]) else { continue };
            let recalled = memory.recall("k", position, began + Duration::from_secs(later_s));
            all.extend(recalled.into_iter().flat_map(|recalled| recalled.found));
        }
        all
    }

    /// Each folder has the name of a finding, a manifest that shows it alone, and a good neighbour.
    #[test]
    fn every_finding_has_a_file_that_shows_it_and_one_that_does_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dash");
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
            "ahead_of_clock",
            "availability_start_changed",
            "media_type_missing",
            "mpd_syntax",
            "publish_time_stale",
            "scte35_cues",
            "streams_out_of_step",
            "timeline_gap",
            "timeline_left_out",
            "timeline_overlap",
            "timeline_regression",
            "update_period_missing",
            "window_short",
            "xlink_not_followed",
        ];
        assert_eq!(seen, expected);
    }

    fn texts(name: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dash").join(name);
        findings(&folder, "bad").into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn findings_carry_the_value() {
        assert_eq!(texts("timeline_gap"), ["a gap of 0.5 s at 12 s of the period"]);
        assert_eq!(texts("timeline_overlap"), ["an overlap of 0.5 s at 11.5 s of the period"]);
        assert_eq!(texts("publish_time_stale"), ["the manifest was published 620 s ago by its publishTime"]);
        assert_eq!(texts("ahead_of_clock"), ["its newest segment ends 32 s ahead of the clock"]);
        assert_eq!(texts("mpd_syntax"), ["MPD has no minBufferTime, and 1 more"]);
        assert_eq!(texts("streams_out_of_step"), ["the newest segments of the representations end 4 s apart"]);
    }

    #[test]
    fn periods_and_expectations() {
        let two = |second: &str| {
            let set = "<AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate media=\"$Number$\" duration=\"2\"/>\
                       <Representation id=\"v\" bandwidth=\"1\"/></AdaptationSet>";
            let text = format!(
                "<MPD type=\"dynamic\" minBufferTime=\"PT1S\" availabilityStartTime=\"2026-11-20T12:00:00Z\">\
                 <Period id=\"a\" start=\"PT0S\" duration=\"PT5S\">{set}</Period>\
                 <Period id=\"b\" start=\"{second}\">{set}</Period></MPD>"
            );
            parse(text.as_bytes()).expect("a manifest")
        };
        let now_ms = parse_date(NOW).expect("a date");
        let text = |second: &str, live| {
            let found = look(&two(second), now_ms, live);
            found.into_iter().map(|f| format!("{}: {}", f.name, f.text)).collect::<Vec<_>>()
        };
        assert_eq!(text("PT5S", None), [""; 0]);
        let words = "timeline_gap: the period \"b\" begins 2 s after the end of the one before";
        assert_eq!(text("PT7S", None), [words]);
        let words = "timeline_overlap: the period \"b\" begins 1 s before the end of the one before";
        assert_eq!(text("PT4S", None), [words]);
        let words = "static_expected: the manifest is dynamic although a finished stream is expected";
        assert_eq!(text("PT5S", Some(false)), [words]);
    }

    #[test]
    fn content_types() {
        let check = |kind: &str, path: &str| {
            let address = Address::parse(&format!("http://h{path}")).expect("a good URL");
            content_type(kind, &address).map(|f| f.severity)
        };
        assert_eq!(check("Application/DASH+xml; charset=utf-8", "/x"), None);
        assert_eq!(check("text/xml", "/live.mpd"), Some(Severity::Note));
        assert_eq!(check("", "/live.MPD?x=1"), Some(Severity::Note));
        assert_eq!(check("text/xml", "/live"), Some(Severity::Warning));
        assert_eq!(check("video/mp4", "/live.mpd"), Some(Severity::Warning));
    }
}
