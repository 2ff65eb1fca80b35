//! Multivariant (master) playlists: variants, renditions and the groups that tie them together.
//!
//! Never chooses a variant.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::variables::{Context, Variables};
use super::{M3u8Error, MAX_RENDITIONS, MAX_VARIANTS, Slip, Slips, lines, tag};

/// What a rendition carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RenditionType {
    /// Sound.
    Audio,
    /// Another picture.
    Video,
    /// Texts in playlists of their own.
    Subtitles,
    /// Captions inside the video.
    ClosedCaptions,
}

impl RenditionType {
    /// The word of the standard, which is also the attribute that refers to a group of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "AUDIO",
            Self::Video => "VIDEO",
            Self::Subtitles => "SUBTITLES",
            Self::ClosedCaptions => "CLOSED-CAPTIONS",
        }
    }

    const ALL: [Self; 4] = [Self::Audio, Self::Video, Self::Subtitles, Self::ClosedCaptions];
}

/// One `EXT-X-STREAM-INF` with its URI.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variant {
    /// Where its media playlist is, as written.
    pub uri: String,
    /// Highest bit rate of a segment, in bit/s.
    pub bandwidth_bps: Option<u64>,
    /// Codecs as written (RFC 6381).
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Groups that it refers to.
    pub groups: Vec<(RenditionType, String)>,
}

/// One `EXT-X-MEDIA`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// What it carries.
    pub kind: RenditionType,
    /// The group that it is in.
    pub group: String,
    /// Its name for people.
    pub name: String,
    /// Where its media playlist is; none when it is inside the variant.
    pub uri: Option<String>,
    /// Whether it is the one to be played without a wish.
    pub is_default: bool,
}

/// A multivariant playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Multivariant {
    /// In order; variants of I-frames alone are left out.
    pub variants: Vec<Variant>,
    /// In order.
    pub renditions: Vec<Rendition>,
    /// Variables, for the `IMPORT` of media playlists.
    pub variables: BTreeMap<String, String>,
    /// What is against the standard.
    pub slips: Vec<Slip>,
}

impl Multivariant {
    /// Groups that a variant refers to and no rendition is in, each once.
    #[must_use]
    pub fn missing_groups(&self) -> Vec<(RenditionType, &str)> {
        let referred = self.variants.iter().flat_map(|variant| &variant.groups);
        let mut missing: Vec<_> = referred
            .filter(|(kind, group)| !self.renditions.iter().any(|r| r.kind == *kind && r.group == *group))
            .map(|(kind, group)| (*kind, group.as_str()))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The rendition of a variant's group that is played without a wish: the default one, or else the first.
    #[must_use]
    pub fn rendition(&self, variant: &Variant, kind: RenditionType) -> Option<&Rendition> {
        let group = &variant.groups.iter().find(|(known, _)| *known == kind)?.1;
        let mut members = self.renditions.iter().filter(|r| r.kind == kind && r.group == *group);
        members.clone().find(|r| r.is_default).or_else(|| members.next())
    }
}

pub(super) fn parse(text: &str, context: &Context, mut slips: Slips) -> Result<Multivariant, M3u8Error> {
    let mut list = Multivariant::default();
    let mut variables = Variables::default();
    let mut announced: Option<Variant> = None;
    for (number, line) in lines(text) {
        let Some((name, value)) = tag(line) else {
            let Some(mut variant) = announced.take() else {
                slips.note(number, "a URI without EXT-X-STREAM-INF");
                continue;
            };
            if list.variants.len() == MAX_VARIANTS {
                return Err(M3u8Error::TooMany { what: "variants", limit: MAX_VARIANTS });
            }
            variant.uri = variables.replace(line).into_owned();
            list.variants.push(variant);
            continue;
        };
        match name {
            "EXT-X-STREAM-INF" => {
                if announced.is_some() {
                    slips.note(number, "EXT-X-STREAM-INF without a URI behind it");
                }
                announced = Some(variant(&Attributes::parse(value, &mut variables)));
                if announced.as_ref().is_some_and(|v| v.bandwidth_bps.is_none()) {
                    slips.note(number, "EXT-X-STREAM-INF without BANDWIDTH");
                }
            }
            "EXT-X-MEDIA" if list.renditions.len() == MAX_RENDITIONS => {
                return Err(M3u8Error::TooMany { what: "renditions", limit: MAX_RENDITIONS });
            }
            "EXT-X-MEDIA" => match rendition(&Attributes::parse(value, &mut variables)) {
                Some(rendition) => list.renditions.push(rendition),
                None => slips.note(number, "EXT-X-MEDIA without TYPE or GROUP-ID"),
            },
            "EXT-X-DEFINE" => {
                let attributes = Attributes::parse(value, &mut Variables::default());
                if !variables.define(|name| attributes.get(name).map(str::to_owned), context) {
                    slips.note(number, "EXT-X-DEFINE names nothing that is known");
                }
            }
            "EXTINF" | "EXT-X-TARGETDURATION" | "EXT-X-MEDIA-SEQUENCE" | "EXT-X-ENDLIST" => {
                slips.note(number, "a tag of media playlists in a multivariant playlist");
            }
            _ => {}
        }
    }
    if announced.is_some() {
        slips.note(text.lines().count(), "EXT-X-STREAM-INF without a URI behind it");
    }
    list.variables = variables.into_inner();
    list.slips = slips.into_inner();
    Ok(list)
}

fn variant(list: &Attributes<'_>) -> Variant {
    let group = |kind: RenditionType| {
        let group = list.text(kind.as_str())?;
        // Not a group: the promise that there are no captions.
        let none = kind == RenditionType::ClosedCaptions && group == "NONE";
        (!none).then_some((kind, group))
    };
    let codecs = list.get("CODECS").unwrap_or_default();
    Variant {
        uri: String::new(),
        bandwidth_bps: list.number("BANDWIDTH"),
        codecs: codecs.split(',').map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect(),
        resolution: list.resolution("RESOLUTION"),
        frame_rate: list.decimal("FRAME-RATE"),
        groups: RenditionType::ALL.into_iter().filter_map(group).collect(),
    }
}

fn rendition(list: &Attributes<'_>) -> Option<Rendition> {
    let word = list.get("TYPE")?;
    Some(Rendition {
        kind: RenditionType::ALL.into_iter().find(|kind| kind.as_str() == word)?,
        group: list.text("GROUP-ID")?,
        name: list.text("NAME").unwrap_or_default(),
        uri: list.text("URI"),
        is_default: list.is_yes("DEFAULT"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Playlist, parse};
    use super::*;

    fn read(text: &str) -> Multivariant {
        match parse(format!("#EXTM3U\n{text}").as_bytes(), &Context::default()) {
            Ok(Playlist::Multivariant(list)) => list,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn variants_renditions_and_groups() {
        let list = read(
            "#EXT-X-DEFINE:NAME=\"base\",VALUE=\"low\"\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"one\",URI=\"one.m3u8\"\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"two\",DEFAULT=YES,URI=\"two.m3u8\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS=\"avc1.64001f, mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,\
             AUDIO=\"a\",SUBTITLES=\"gone\",CLOSED-CAPTIONS=NONE\n{$base}/index.m3u8\n\
             #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n",
        );
        let variant = &list.variants[0];
        assert_eq!((variant.uri.as_str(), variant.bandwidth_bps), ("low/index.m3u8", Some(800_000)));
        assert_eq!(
            (variant.codecs.as_slice(), variant.resolution),
            (["avc1.64001f".into(), "mp4a.40.2".into()].as_slice(), Some((640, 360)))
        );
        assert_eq!(variant.frame_rate, Some(25.0));
        assert_eq!(list.missing_groups(), [(RenditionType::Subtitles, "gone")]);
        assert_eq!(list.rendition(variant, RenditionType::Audio).map(|r| r.name.as_str()), Some("two"));
        assert_eq!(list.rendition(variant, RenditionType::Subtitles), None);
        assert_eq!((list.variants.len(), list.slips.len()), (1, 0));
    }

    #[test]
    fn slips_are_noted() {
        let whats = |text: &str| read(text).slips.iter().map(|s| s.what).collect::<Vec<_>>();
        assert_eq!(whats("#EXT-X-STREAM-INF:BANDWIDTH=1"), ["EXT-X-STREAM-INF without a URI behind it"]);
        assert_eq!(whats("#EXT-X-STREAM-INF:A=1\na"), ["EXT-X-STREAM-INF without BANDWIDTH"]);
        assert_eq!(
            whats("#EXT-X-MEDIA:TYPE=AUDIO\nlonely.m3u8\n#EXTINF:2,\n"),
            [
                "EXT-X-MEDIA without TYPE or GROUP-ID",
                "a URI without EXT-X-STREAM-INF",
                "a tag of media playlists in a multivariant playlist"
            ]
        );
    }
}
