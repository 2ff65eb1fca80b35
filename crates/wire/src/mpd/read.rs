//! Elements to values: what each attribute means, what is inherited from period and set, and where periods begin.
//!
//! Never refuses what a player could play: what is against the standard is noted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::segments::{Part, Segments, Source};
use super::timeline::{Timeline, Written};
use super::values::{byte_range, fraction, offset, parse_duration};
use super::xml::Element;
use super::{
    AdaptationSet, Content, Descriptor, MAX_REPRESENTATIONS, MAX_RUNS, MAX_SLIPS, Mpd, MpdError, Period,
    Representation, shown,
};
use crate::m3u8::parse_date;

/// References that say: there is nothing here (5.5.3).
const RESOLVES_TO_ZERO: &str = "urn:mpeg:dash:resolve-to-zero:2013";
/// Sets with this property are for fast search (DASH-IF interoperability points).
const TRICK_MODE: &str = "http://dashif.org/guidelines/trickmode";
/// Most references, clocks and protections of one element.
const MAX_DESCRIPTORS: usize = 32;

/// Things against the standard, up to their limit.
#[derive(Default)]
struct Slips(Vec<String>);

impl Slips {
    fn note(&mut self, what: impl Into<String>) {
        if self.0.len() < MAX_SLIPS {
            self.0.push(what.into());
        }
    }

    /// The value of an attribute; one that cannot be read is noted and counts as absent.
    fn value<T>(&mut self, element: &Element<'_>, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = element.get(name)?;
        let value = read(&text);
        if value.is_none() {
            self.note(format!("{name} of {} is {:?}", element.name(), shown(&text)));
        }
        value
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The manifest of a root element.
pub(super) fn manifest(root: &Element<'_>) -> Result<Mpd, MpdError> {
    let slips = &mut Slips::default();
    let kind = root.get("type").unwrap_or(Cow::Borrowed("static"));
    if !matches!(&*kind, "static" | "dynamic") {
        slips.note(format!("type of MPD is {:?}", shown(&kind)));
    }
    let mut seconds = |name| slips.value(root, name, parse_duration);
    let mut mpd = Mpd {
        dynamic: kind == "dynamic",
        update_s: seconds("minimumUpdatePeriod"),
        min_buffer_s: seconds("minBufferTime"),
        window_s: seconds("timeShiftBufferDepth"),
        delay_s: seconds("suggestedPresentationDelay"),
        duration_s: seconds("mediaPresentationDuration"),
        max_segment_s: seconds("maxSegmentDuration"),
        availability_start_ms: slips.value(root, "availabilityStartTime", parse_date),
        availability_end_ms: slips.value(root, "availabilityEndTime", parse_date),
        publish_ms: slips.value(root, "publishTime", parse_date),
        locations: root.all("Location").take(MAX_DESCRIPTORS).map(|at| at.text.trim().to_owned()).collect(),
        clocks: root.all("UTCTiming").take(MAX_DESCRIPTORS).map(descriptor).collect(),
        ..Mpd::default()
    };
    if root.get("minBufferTime").is_none() {
        slips.note("MPD has no minBufferTime");
    }
    let top = Level::of(root, slips)?;
    let mut count = 0;
    for element in root.all("Period") {
        if element.get("href").as_deref() == Some(RESOLVES_TO_ZERO) {
            continue;
        }
        mpd.periods.push(period(element, &top, &mut count, slips)?);
        for events in element.all("EventStream") {
            let scheme = events.get("schemeIdUri").unwrap_or_default().to_ascii_lowercase();
            if scheme.contains("scte35") {
                mpd.scte35_cues += events.all("Event").count();
            }
        }
    }
    if mpd.periods.is_empty() {
        slips.note("MPD has no Period");
    }
    place(&mut mpd);
    mpd.slips = std::mem::take(&mut slips.0);
    Ok(mpd)
}

fn descriptor(element: &Element<'_>) -> Descriptor {
    let scheme = element.get("schemeIdUri").unwrap_or_default().into_owned();
    let value = element.get("value").map_or_else(|| element.text.trim().to_owned(), Cow::into_owned);
    Descriptor { scheme, value }
}

/// When each period begins, and its length (5.3.2.1).
fn place(mpd: &mut Mpd) {
    let mut next = Some(0.0).filter(|_| !mpd.dynamic);
    // A dynamic presentation of one period without a beginning begins with it, as players have it.
    if mpd.periods.len() == 1 {
        next = Some(0.0);
    }
    for period in &mut mpd.periods {
        period.start_s = period.start_s.or(next);
        next = period.start_s.zip(period.duration_s).map(|(start, duration)| start + duration);
    }
    let mut following = mpd.duration_s;
    for period in mpd.periods.iter_mut().rev() {
        let until = following.zip(period.start_s).map(|(end, start)| (end - start).max(0.0));
        period.length_s = period.duration_s.or(until);
        following = period.start_s.or(following);
    }
}

/// What an element says of segments below it.
#[derive(Default)]
struct Level<'a> {
    base: Option<String>,
    early_s: f64,
    infos: Vec<Info<'a>>,
}

/// One `SegmentBase`, `SegmentList` or `SegmentTemplate`.
struct Info<'a> {
    element: &'a Element<'a>,
    timeline: Option<Arc<Timeline>>,
    urls: Option<Arc<Vec<Part>>>,
}

impl<'a> Level<'a> {
    fn of(element: &'a Element<'a>, slips: &mut Slips) -> Result<Self, MpdError> {
        let mut level = Self::default();
        if let Some(base) = element.child("BaseURL") {
            level.base = Some(base.text.trim().to_owned());
            level.early_s = slips.value(base, "availabilityTimeOffset", offset).unwrap_or(0.0);
        }
        for name in ["SegmentTemplate", "SegmentList", "SegmentBase"] {
            let Some(element) = element.child(name) else { continue };
            let timeline = element.child("SegmentTimeline").map(|timeline| runs(timeline, slips)).transpose()?;
            let urls: Vec<Part> =
                element.all("SegmentURL").map(|url| part(url, "media", "mediaRange", slips)).collect();
            let urls = (!urls.is_empty()).then(|| Arc::new(urls));
            level.infos.push(Info { element, timeline: timeline.map(Arc::new), urls });
        }
        Ok(level)
    }
}

fn runs(timeline: &Element<'_>, slips: &mut Slips) -> Result<Timeline, MpdError> {
    let mut written = Vec::new();
    for s in timeline.all("S") {
        written.push(Written {
            time: slips.value(s, "t", number),
            duration: slips.value(s, "d", number),
            repeat: slips.value(s, "r", number).unwrap_or(0),
            number: slips.value(s, "n", number),
        });
    }
    Timeline::read(written.into_iter(), |what| slips.note(what))
        .ok_or(MpdError::TooMany { what: "S in one timeline", limit: MAX_RUNS })
}

fn part(element: &Element<'_>, uri: &str, range: &str, slips: &mut Slips) -> Part {
    Part { uri: element.get(uri).map(Cow::into_owned), range: slips.value(element, range, byte_range) }
}

fn period<'a>(
    element: &'a Element<'a>,
    top: &Level<'a>,
    count: &mut usize,
    slips: &mut Slips,
) -> Result<Period, MpdError> {
    let mut period = Period {
        id: element.get("id").map(Cow::into_owned),
        start_s: slips.value(element, "start", parse_duration),
        duration_s: slips.value(element, "duration", parse_duration),
        remote: element.get("href").is_some(),
        ..Period::default()
    };
    let level = Level::of(element, slips)?;
    let mut ids = BTreeSet::new();
    for set in element.all("AdaptationSet") {
        let own = Level::of(set, slips)?;
        let mut read = AdaptationSet {
            id: set.get("id").map(Cow::into_owned),
            lang: set.get("lang").map(Cow::into_owned),
            main: set.all("Role").any(|role| role.get("value").as_deref() == Some("main")),
            trick: set.all("EssentialProperty").any(|p| p.get("schemeIdUri").as_deref() == Some(TRICK_MODE)),
            remote: set.get("href").is_some_and(|href| href != RESOLVES_TO_ZERO),
            representations: Vec::new(),
        };
        for one in set.all("Representation") {
            *count += 1;
            if *count > MAX_REPRESENTATIONS {
                return Err(MpdError::TooMany { what: "representations", limit: MAX_REPRESENTATIONS });
            }
            let own_own = Level::of(one, slips)?;
            let one = representation(one, set, &[&own_own, &own, &level, top], slips);
            if !ids.insert(one.id.clone()) {
                slips.note(format!("two representations of a period have the id {:?}", shown(&one.id)));
            }
            read.representations.push(one);
        }
        period.sets.push(read);
    }
    Ok(period)
}

/// A representation; `levels` from the innermost to the outermost.
fn representation(
    element: &Element<'_>,
    set: &Element<'_>,
    levels: &[&Level<'_>; 4],
    slips: &mut Slips,
) -> Representation {
    let holder = |name| if element.get(name).is_some() { element } else { set };
    let text = |name| holder(name).get(name).map(Cow::into_owned);
    let id = element.get("id").map(Cow::into_owned);
    if id.is_none() {
        slips.note("a Representation has no id");
    }
    let bandwidth_bps = slips.value(element, "bandwidth", number);
    if element.get("bandwidth").is_none() {
        slips.note(format!("the Representation {:?} has no bandwidth", shown(id.as_deref().unwrap_or_default())));
    }
    let mime = text("mimeType");
    let codecs: Vec<String> = text("codecs").map_or_else(Vec::new, |words| {
        words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    });
    let kind = element.get("contentType").or_else(|| set.get("contentType"));
    let protections = [element, set].into_iter().flat_map(|at| at.all("ContentProtection"));
    Representation {
        content: content(kind.as_deref(), mime.as_deref(), &codecs),
        bandwidth_bps,
        width: slips.value(holder("width"), "width", number),
        height: slips.value(holder("height"), "height", number),
        frame_rate: slips.value(holder("frameRate"), "frameRate", fraction),
        // A range of two numbers is allowed and says nothing.
        sample_rate_hz: text("audioSamplingRate").and_then(|rate| rate.parse().ok()),
        protections: protections.take(MAX_DESCRIPTORS).map(descriptor).collect(),
        bases: levels.iter().rev().filter_map(|level| level.base.clone()).collect(),
        segments: segments(levels, slips),
        id: id.unwrap_or_default(),
        mime,
        codecs,
    }
}

/// What a representation carries, by whatever says it.
fn content(kind: Option<&str>, mime: Option<&str>, codecs: &[String]) -> Content {
    let by_word = |word: &str| match word.split('/').next() {
        Some("video") => Content::Video,
        Some("audio") => Content::Audio,
        Some("") | None => Content::Unknown,
        Some(_) => Content::Other,
    };
    match kind.or(mime) {
        Some(word) => by_word(word),
        None => {
            const VIDEO: [&str; 9] = ["avc", "hvc", "hev", "dvh", "av01", "vp0", "vp8", "vp9", "vvc"];
            const AUDIO: [&str; 7] = ["mp4a", "ac-3", "ec-3", "ac-4", "opus", "Opus", "fLaC"];
            let begins = |known: &[&str]| codecs.iter().any(|word| known.iter().any(|begin| word.starts_with(begin)));
            if begins(&VIDEO) {
                Content::Video
            } else if begins(&AUDIO) {
                Content::Audio
            } else {
                Content::Unknown
            }
        }
    }
}

/// What all levels together say of the segments.
fn segments(levels: &[&Level<'_>; 4], slips: &mut Slips) -> Segments {
    let early_s: f64 = levels.iter().map(|level| level.early_s).sum();
    let lowest = levels.iter().find_map(|level| level.infos.first());
    let Some(name) = lowest.map(|info| info.element.name()) else {
        return Segments { availability_offset_s: early_s, ..Segments::default() };
    };
    let infos: Vec<&Info<'_>> =
        levels.iter().flat_map(|level| &level.infos).filter(|info| info.element.name() == name).collect();
    let holder = |attribute: &str| infos.iter().find(|info| info.element.get(attribute).is_some());
    let mut value =
        |attribute: &str| holder(attribute).and_then(|info| slips.value(info.element, attribute, number::<u64>));
    let mut read = Segments {
        timescale: value("timescale").filter(|scale| *scale > 0).unwrap_or(1),
        time_offset: value("presentationTimeOffset").unwrap_or(0),
        start_number: value("startNumber").unwrap_or(1),
        end_number: value("endNumber"),
        duration: value("duration").filter(|ticks| *ticks > 0),
        timeline: infos.iter().find_map(|info| info.timeline.clone()),
        ..Segments::default()
    };
    let own =
        holder("availabilityTimeOffset").and_then(|info| slips.value(info.element, "availabilityTimeOffset", offset));
    read.availability_offset_s = early_s + own.unwrap_or(0.0);
    let text = |attribute: &str| holder(attribute).and_then(|info| info.element.get(attribute)).map(Cow::into_owned);
    read.init = infos
        .iter()
        .find_map(|info| info.element.child("Initialization"))
        .map(|init| part(init, "sourceURL", "range", slips))
        .or_else(|| text("initialization").map(|uri| Part { uri: Some(uri), range: None }));
    read.source = match name {
        "SegmentTemplate" => match text("media") {
            Some(media) => Source::Template(media),
            None => {
                slips.note("a SegmentTemplate has no media");
                Source::default()
            }
        },
        "SegmentList" => match infos.iter().find_map(|info| info.urls.clone()) {
            Some(urls) => Source::List(urls),
            None => {
                slips.note("a SegmentList has no SegmentURL");
                Source::List(Arc::default())
            }
        },
        _ => Source::Single { index: text("indexRange").as_deref().and_then(byte_range) },
    };
    read
}
