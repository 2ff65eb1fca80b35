//! DASH manifests (ISO/IEC 23009-1): XML to values. Owns what elements and attributes mean, what is inherited, where periods
//! begin, and which segment has which number and time ([`Segments`]).
//!
//! Never fetches, never resolves a URL, never reads a clock: the time since the beginning of a period is given ([`Span`]). What
//! stands elsewhere (`xlink:href`) is not followed. What is against the standard and can be read all the same is read, and noted.

mod read;
mod segments;
mod template;
mod timeline;
mod values;
mod xml;

pub use segments::{Part, Segment, Segments, Source, Span};
pub use timeline::{MAX_RUNS, Run, Timeline};
pub use values::parse_duration;
pub use xml::MAX_ELEMENTS;

use crate::text::{excerpt, lossless};

/// Most representations of one manifest; real ones have under 100 in each period.
pub const MAX_REPRESENTATIONS: usize = 4_096;
/// Most slips noted; the first ones tell the story.
const MAX_SLIPS: usize = 16;
/// Longest quotation of something that is no manifest, in characters.
const MAX_EXCERPT_CHARS: usize = 60;
/// Longest reason why it is no XML, which quotes names of elements, in characters.
const MAX_REASON_CHARS: usize = 160;

/// Why something is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MpdError {
    /// There is nothing, or blanks alone.
    #[error("the manifest is empty")]
    Empty,
    /// A page: a portal, a login, an error page with status 200.
    #[error("an HTML page instead of a manifest (begins {0:?})")]
    Html(String),
    /// Not even XML.
    #[error("no XML in place of a manifest (begins {0:?})")]
    NoXml(String),
    /// Another document.
    #[error("the document is {0:?} and not MPD")]
    OtherRoot(String),
    /// The end is missing.
    #[error("the manifest ends inside the element {0}")]
    Cut(String),
    /// Not well-formed.
    #[error("the manifest is no XML at byte {at}: {what}")]
    Malformed {
        /// Octet, from 0.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// XML that is not read, because it is how bombs are built.
    #[error("the manifest has {0}, which is not read")]
    Refused(&'static str),
    /// More than a limit allows.
    #[error("more than {limit} {what} in the manifest")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mpd {
    /// Whether it may change (`type="dynamic"`).
    pub dynamic: bool,
    /// When the presentation begins, in milliseconds since 1970.
    pub availability_start_ms: Option<i64>,
    /// When it is no longer there, in milliseconds since 1970.
    pub availability_end_ms: Option<i64>,
    /// When this state of the manifest was made, in milliseconds since 1970.
    pub publish_ms: Option<i64>,
    /// Shortest time between two updates, in seconds. None: there will be no update.
    pub update_s: Option<f64>,
    /// What a player must have before it begins, in seconds.
    pub min_buffer_s: Option<f64>,
    /// How long segments stay, in seconds. None: for ever.
    pub window_s: Option<f64>,
    /// How far behind the edge players should be, in seconds.
    pub delay_s: Option<f64>,
    /// Length of the whole presentation, in seconds.
    pub duration_s: Option<f64>,
    /// Longest segment, in seconds.
    pub max_segment_s: Option<f64>,
    /// Where updates are, as written.
    pub locations: Vec<String>,
    /// Clocks, in order of preference.
    pub clocks: Vec<Descriptor>,
    /// Periods in order.
    pub periods: Vec<Period>,
    /// Events of schemes of SCTE-35.
    pub scte35_cues: usize,
    /// Things against the standard that did not keep it from being read, each as half a sentence.
    pub slips: Vec<String>,
}

/// A scheme and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// The scheme's URI.
    pub scheme: String,
    /// Value of the attribute, or else text of the element.
    pub value: String,
}

/// A stretch of the presentation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Period {
    /// Its name.
    pub id: Option<String>,
    /// When it begins, in seconds from the beginning of the presentation. None: not yet known.
    pub start_s: Option<f64>,
    /// Length in seconds, where it is known.
    pub length_s: Option<f64>,
    /// Length as written, in seconds.
    pub duration_s: Option<f64>,
    /// Its content is elsewhere.
    pub remote: bool,
    /// Groups of representations among which one may switch.
    pub sets: Vec<AdaptationSet>,
}

/// Representations of the same content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdaptationSet {
    /// Its name.
    pub id: Option<String>,
    /// Language.
    pub lang: Option<String>,
    /// It is the principal one of its sort.
    pub main: bool,
    /// It is for fast search only.
    pub trick: bool,
    /// Its content is elsewhere.
    pub remote: bool,
    /// In order.
    pub representations: Vec<Representation>,
}

/// What a representation carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles, still pictures, applications.
    Other,
    /// Neither a media type nor a content type nor codecs say.
    #[default]
    Unknown,
}

/// One quality; what its set and its period say of it is in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Representation {
    /// Its name.
    pub id: String,
    /// What it carries.
    pub content: Content,
    /// Bits per second with which it plays after the least buffer.
    pub bandwidth_bps: Option<u64>,
    /// Media type.
    pub mime: Option<String>,
    /// Codecs by RFC 6381.
    pub codecs: Vec<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
    /// Samples per second and channel.
    pub sample_rate_hz: Option<u32>,
    /// Ways of protection, by scheme.
    pub protections: Vec<Descriptor>,
    /// References from the manifest's address on, each relative to the one before.
    pub bases: Vec<String>,
    /// Where its segments are.
    pub segments: Segments,
}

/// Reads a manifest.
///
/// # Errors
/// When it is empty, no manifest at all, or larger than the limits.
pub fn parse(bytes: &[u8]) -> Result<Mpd, MpdError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(MpdError::Empty);
    }
    let text = lossless(bytes);
    let begins = || excerpt(bytes.trim_ascii_start(), MAX_EXCERPT_CHARS);
    let trimmed = text.trim_start();
    if !trimmed.starts_with('<') {
        return Err(MpdError::NoXml(begins()));
    }
    if is_page(trimmed) {
        return Err(MpdError::Html(begins()));
    }
    let root = xml::read(trimmed)?;
    if root.name() != "MPD" {
        return Err(MpdError::OtherRoot(shown(root.name())));
    }
    read::manifest(&root)
}

/// Whether the first tag is one of HTML; pages are rarely well-formed, and what they are matters more than where they break.
fn is_page(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let word: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != '>').collect();
        match word.to_ascii_lowercase().as_str() {
            "!doctype" => {
                let kind = rest.get(word.len()..).unwrap_or_default().trim_start();
                return kind.get(..4).is_some_and(|kind| kind.eq_ignore_ascii_case("html"));
            }
            "html" | "head" | "body" | "script" => return true,
            word if word.starts_with('?') => {}
            word if word.starts_with("!--") => {
                let Some(end) = rest.find("-->") else { return false };
                rest = &rest[end..];
            }
            _ => return false,
        }
    }
    false
}

/// A text of the manifest's for a sentence: short, without control characters.
fn shown(text: &str) -> String {
    excerpt(text.as_bytes(), MAX_EXCERPT_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn pages_are_told_from_broken_manifests() {
        for page in
            ["<html>", "\u{feff}<!doctype HTML><p>", "<!-- a --><body>", "<?xml version=\"1.0\"?><html xmlns=\"x\"/>"]
        {
            assert!(error(page).starts_with("an HTML page instead of a manifest"), "{page}: {}", error(page));
        }
        assert!(error("<MPD>").starts_with("the manifest ends inside the element MPD"));
        assert!(error("<!DOCTYPE svg><svg/>").contains("a document type declaration"));
        assert!(error("<MPD/><MPD/>").contains("a second root"));
        assert!(error("<MPD type=static/>").contains("no XML at byte"));
    }

    #[test]
    fn limits_hold() {
        let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        assert_eq!(error(&deep), "more than 32 levels of elements in the manifest");
        let many = format!("<MPD>{}</MPD>", "<S/>".repeat(MAX_ELEMENTS));
        assert_eq!(error(&many), "more than 100000 elements in the manifest");
        let attributes: String = (0..70).map(|n| format!(" a{n}=\"\"")).collect();
        assert_eq!(error(&format!("<MPD{attributes}/>")), "more than 64 attributes of an element in the manifest");
        let wrapped = |inside: &str| format!("<MPD><Period><AdaptationSet>{inside}</AdaptationSet></Period></MPD>");
        let runs = format!(
            "<SegmentTemplate><SegmentTimeline>{}</SegmentTimeline></SegmentTemplate>",
            "<S d=\"1\"/>".repeat(MAX_RUNS + 1)
        );
        assert_eq!(error(&wrapped(&runs)), "more than 50000 S in one timeline in the manifest");
        let all = "<Representation/>".repeat(MAX_REPRESENTATIONS + 1);
        assert_eq!(error(&wrapped(&all)), "more than 4096 representations in the manifest");
        let slips = parse(wrapped(&"<Representation/>".repeat(100)).as_bytes()).expect("a manifest").slips;
        assert_eq!(slips.len(), MAX_SLIPS);
    }

    #[test]
    fn periods_follow_from_one_another() {
        let places = |periods: &str, attributes: &str| {
            let mpd = parse(format!("<MPD {attributes}>{periods}</MPD>").as_bytes()).expect("a manifest");
            mpd.periods.iter().map(|p| (p.start_s, p.length_s)).collect::<Vec<_>>()
        };
        let two = "<Period duration=\"PT10S\"/><Period/>";
        assert_eq!(
            places(two, "mediaPresentationDuration=\"PT25S\""),
            [(Some(0.0), Some(10.0)), (Some(10.0), Some(15.0))]
        );
        let started = "<Period start=\"PT5S\"/><Period start=\"PT15S\"/>";
        assert_eq!(places(started, "type=\"dynamic\""), [(Some(5.0), Some(10.0)), (Some(15.0), None)]);
        assert_eq!(places("<Period/><Period/>", "type=\"dynamic\""), [(None, None), (None, None)]);
        assert_eq!(places("<Period/>", "type=\"dynamic\""), [(Some(0.0), None)]);
    }
}
