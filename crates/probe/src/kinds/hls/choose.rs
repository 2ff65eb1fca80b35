//! Which variants of a multivariant playlist are looked at, what they promise, and whether the media keeps it. Owns the words
//! of RFC 6381; asks for nothing.

use model::reading::{Media, Severity, Track};
use wire::m3u8::{Multivariant, Variant};

use super::get::name_of;
use super::lint::Found;

/// Most variants that one look looks at.
pub(in crate::kinds) const MAX_LOOKED_AT: usize = 8;

/// Which variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kinds) enum Choice {
    First,
    Highest,
    Lowest,
    All,
}

impl Choice {
    pub(in crate::kinds) const WORDS: &'static [&'static str] = &["first", "highest", "lowest", "all"];

    pub(in crate::kinds) fn from_word(word: &str) -> Self {
        match word {
            "first" => Self::First,
            "lowest" => Self::Lowest,
            "all" => Self::All,
            _ => Self::Highest,
        }
    }

    /// Indices of the variants, the best first.
    pub(super) fn pick(self, list: &Multivariant) -> Vec<usize> {
        self.among(&list.variants, |variant| variant.bandwidth_bps)
    }

    /// Indices of those that are looked at, the best first; `rate` is what they declare.
    pub(in crate::kinds) fn among<T>(self, all: &[T], rate: impl Fn(&T) -> Option<u64>) -> Vec<usize> {
        let mut order: Vec<usize> = (0..all.len()).collect();
        if self != Self::First {
            order.sort_by_key(|&index| std::cmp::Reverse(rate(&all[index])));
        }
        match self {
            Self::All => order.truncate(MAX_LOOKED_AT),
            Self::Lowest => drop(order.drain(..order.len().saturating_sub(1))),
            Self::First | Self::Highest => order.truncate(1),
        }
        order
    }
}

/// What a variant is called in sentences: `1280x720 1741446 bit/s (v0.m3u8)`.
pub(super) fn label(variant: &Variant) -> String {
    let size = variant.resolution.map(|(width, height)| format!("{width}x{height} "));
    let rate = variant.bandwidth_bps.map(|bps| format!("{bps} bit/s "));
    format!("{}{}({})", size.unwrap_or_default(), rate.unwrap_or_default(), name_of(&variant.uri))
}

/// What a variant is called in the memory: its URI may be another one at each look (servers put sessions into it).
pub(super) fn key(list: &Multivariant, index: usize) -> String {
    let of = |variant: &Variant| format!("{:?} {:?} {:?}", variant.bandwidth_bps, variant.resolution, variant.groups);
    let own = of(&list.variants[index]);
    let twins = list.variants[..index].iter().filter(|other| of(other) == own).count();
    format!("{own} {twins}")
}

/// The tracks that a variant promises.
pub(super) fn declared(variant: &Variant) -> Vec<Track> {
    let mut tracks: Vec<Track> = variant.codecs.iter().filter_map(|word| track_of(word)).collect();
    if let Some(video) = tracks.iter_mut().find(|track| track.media == Media::Video) {
        (video.width, video.height) = (variant.resolution.map(|r| r.0), variant.resolution.map(|r| r.1));
        video.fps = variant.frame_rate;
    }
    tracks.sort_by_key(|track| track.media != Media::Video);
    tracks
}

/// Codecs by the beginning of their RFC 6381 word.
const CODECS: [(&str, Media, &str); 19] = [
    ("avc1", Media::Video, "h264"),
    ("avc3", Media::Video, "h264"),
    ("hvc1", Media::Video, "hevc"),
    ("hev1", Media::Video, "hevc"),
    ("dvh1", Media::Video, "hevc"),
    ("dvhe", Media::Video, "hevc"),
    ("av01", Media::Video, "av1"),
    ("vp09", Media::Video, "vp9"),
    ("mp4v", Media::Video, "mpeg4"),
    ("mp4a.40.34", Media::Audio, "mp3"),
    ("mp4a.69", Media::Audio, "mp3"),
    ("mp4a.6B", Media::Audio, "mp3"),
    ("mp4a.a5", Media::Audio, "ac3"),
    ("mp4a.a6", Media::Audio, "eac3"),
    ("mp4a", Media::Audio, "aac"),
    ("ac-3", Media::Audio, "ac3"),
    ("ec-3", Media::Audio, "eac3"),
    ("opus", Media::Audio, "opus"),
    ("flac", Media::Audio, "flac"),
];

/// The track that a word of RFC 6381 promises.
pub(in crate::kinds) fn track_of(word: &str) -> Option<Track> {
    let begins = |known: &str| word.get(..known.len()).is_some_and(|w| w.eq_ignore_ascii_case(known));
    let (_, media, codec) = CODECS.iter().find(|row| begins(row.0))?;
    let mut track = Track::new(*media, *codec);
    let hex = |range: std::ops::Range<usize>| u8::from_str_radix(word.get(range)?, 16).ok();
    track.profile = match *codec {
        "h264" => hex(5..7).zip(hex(7..9)).and_then(|(profile, flags)| wire::h264::profile_name(profile, flags)),
        "aac" => match word.rsplit('.').next() {
            Some("2") => Some("LC"),
            Some("5") => Some("HE-AAC"),
            Some("29") => Some("HE-AACv2"),
            _ => None,
        },
        _ => None,
    }
    .map(str::to_owned);
    Some(track)
}

/// Where the media is another than the variant promises.
pub(super) fn differences(variant: &Variant, seen: &[Track]) -> Option<Found> {
    let mut parts = Vec::new();
    let video = seen.iter().find(|track| track.media == Media::Video);
    if let (Some(declared), Some(actual)) = (variant.resolution, video.and_then(|v| v.width.zip(v.height)))
        && declared != actual
    {
        parts
            .push(format!("RESOLUTION says {}x{}, the pictures are {}x{}", declared.0, declared.1, actual.0, actual.1));
    }
    if let (Some(declared), Some(actual)) = (variant.frame_rate, video.and_then(|v| v.fps))
        && (declared - actual).abs() > declared * 0.05
    {
        parts.push(format!("FRAME-RATE says {declared}, the pictures come at {actual}"));
    }
    let declared = self::declared(variant);
    let all_known = !declared.is_empty() && declared.len() == variant.codecs.len();
    let surprise = seen.iter().find(|track| all_known && !declared.iter().any(|d| d.codec == track.codec));
    if let Some(track) = surprise {
        parts.push(format!("CODECS says {}, the {} is {}", variant.codecs.join(","), track.media, track.codec));
    }
    let text = format!("variant {}: {}", label(variant), parts.join("; "));
    (!parts.is_empty()).then_some(Found { name: "declared_differs", severity: Severity::Warning, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(bandwidth: u64, codecs: &[&str]) -> Variant {
        Variant {
            uri: "a/v.m3u8?token=x".into(),
            bandwidth_bps: Some(bandwidth),
            codecs: codecs.iter().map(|c| (*c).to_owned()).collect(),
            resolution: Some((1280, 720)),
            frame_rate: Some(25.0),
            groups: Vec::new(),
        }
    }

    #[test]
    fn choices() {
        let list = Multivariant {
            variants: [5, 9, 1, 7, 2, 3, 4, 6, 8, 10].map(|n| variant(n, &[])).to_vec(),
            ..Multivariant::default()
        };
        let pick = |word| Choice::from_word(word).pick(&list);
        assert_eq!((pick("first"), pick("highest"), pick("lowest")), (vec![0], vec![9], vec![2]));
        assert_eq!(pick("all"), [9, 1, 8, 3, 7, 0, 6, 5]);
        assert_eq!(Choice::Lowest.pick(&Multivariant::default()), [0; 0]);
        assert_ne!(key(&list, 0), key(&list, 1));
        let twins = Multivariant { variants: vec![variant(1, &[]), variant(1, &[])], ..Multivariant::default() };
        assert_ne!(key(&twins, 0), key(&twins, 1));
        assert_eq!(label(&list.variants[0]), "1280x720 5 bit/s (v.m3u8)");
    }

    #[test]
    fn promises() {
        let tracks = declared(&variant(1, &["mp4a.40.2", "avc1.64001f", "wvtt"]));
        let words: Vec<_> =
            tracks.iter().map(|t| format!("{} {:?} {:?} {:?}", t.codec, t.profile, t.width, t.fps)).collect();
        assert_eq!(words, ["h264 Some(\"High\") Some(1280) Some(25.0)", "aac Some(\"LC\") None None"]);
        assert_eq!(declared(&variant(1, &["HVC1.2.4", "ec-3"])).len(), 2);
        assert_eq!(declared(&variant(1, &["avc1.ü", "", "x"])).len(), 1);
    }

    #[test]
    fn broken_promises_are_named() {
        let mut seen = declared(&variant(1, &["avc1.64001f", "mp4a.40.2"]));
        let promise = variant(1, &["avc1.64001f", "mp4a.40.2"]);
        assert_eq!(differences(&promise, &seen), None);
        assert_eq!(differences(&variant(1, &[]), &seen), None);
        (seen[0].height, seen[0].fps) = (Some(360), Some(12.5));
        seen[1].codec = "mp3".into();
        let text = differences(&promise, &seen).expect("three differences").text;
        assert!(text.contains("RESOLUTION says 1280x720, the pictures are 1280x360"), "{text}");
        assert!(text.contains("FRAME-RATE says 25, the pictures come at 12.5"), "{text}");
        assert!(text.contains("CODECS says avc1.64001f,mp4a.40.2, the audio is mp3"), "{text}");
    }
}
