//! Media playlists: segments with what applies to each, and the tags of the whole.
//!
//! Owns the numbering (media and discontinuity sequence, implicit byte ranges). Never judges a stream.

use super::attributes::{Attributes, decimal};
use super::variables::{Context, Variables};
use super::{M3u8Error, MAX_SEGMENTS, Slip, Slips, lines, parse_date, tag};

/// What `EXT-X-PLAYLIST-TYPE` promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistType {
    /// Segments are only added.
    Event,
    /// Nothing changes.
    Vod,
}

/// How segments are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// The whole segment by AES-128 in CBC mode.
    Aes128,
    /// Anything else, as the playlist names it.
    Other(String),
}

/// One `EXT-X-KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// How.
    pub method: Method,
    /// Where the key is, as written.
    pub uri: String,
    /// Initialization vector where the playlist has one; the number of the segment otherwise.
    pub iv: Option<[u8; 16]>,
    /// `identity` unless the playlist says otherwise.
    pub format: String,
}

/// A part of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First octet.
    pub offset: u64,
    /// Octets.
    pub length: u64,
}

/// One `EXT-X-MAP`: what a player needs before the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Where it is, as written.
    pub uri: String,
    /// The part of it.
    pub range: Option<ByteRange>,
    /// Index of its key.
    pub key: Option<usize>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it is, as written.
    pub uri: Box<str>,
    /// Seconds, as declared.
    pub duration_s: f64,
    /// Its discontinuity number.
    pub discontinuity: u64,
    /// The part of the resource.
    pub range: Option<ByteRange>,
    /// Declared time of its first sample, in milliseconds since 1970.
    pub date_ms: Option<i64>,
    /// Index of its key.
    pub key: Option<usize>,
    /// Index of its map.
    pub map: Option<usize>,
    /// It is missing on purpose and must not be asked for.
    pub gap: bool,
}

/// A media playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaPlaylist {
    /// `EXT-X-VERSION`.
    pub version: Option<u64>,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration_s: Option<u64>,
    /// Number of the first segment.
    pub media_sequence: u64,
    /// Whether the playlist says something of discontinuity numbers or has discontinuities.
    pub has_discontinuities: bool,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub kind: Option<PlaylistType>,
    /// Whether `EXT-X-ENDLIST` is there.
    pub ended: bool,
    /// In order.
    pub segments: Vec<Segment>,
    /// Keys that segments and maps refer to.
    pub keys: Vec<Key>,
    /// Maps that segments refer to.
    pub maps: Vec<Map>,
    /// Partial segments (low latency) behind the last whole one.
    pub parts: usize,
    /// Tags of SCTE-35, in any of the ways in which they are written.
    pub scte35_cues: usize,
    /// What is against the standard.
    pub slips: Vec<Slip>,
}

impl MediaPlaylist {
    /// The number of the segment at `index`.
    #[must_use]
    pub fn number(&self, index: usize) -> u64 {
        self.media_sequence.saturating_add(index as u64)
    }

    /// The number of the last segment; `None` when there is none.
    #[must_use]
    pub fn last_number(&self) -> Option<u64> {
        Some(self.number(self.segments.len().checked_sub(1)?))
    }

    /// Declared duration of all segments, in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.segments.iter().map(|segment| segment.duration_s).sum()
    }
}

/// What the lines so far mean for the next segment.
#[derive(Debug, Default)]
struct Reader {
    list: MediaPlaylist,
    slips: Slips,
    variables: Variables,
    duration_s: Option<f64>,
    discontinuity: u64,
    range: Option<(u64, Option<u64>)>,
    date_ms: Option<i64>,
    gap: bool,
    map: Option<usize>,
    /// Indices of the keys that apply, one per format.
    active: Vec<usize>,
    /// The resource of the range before and where that ended.
    range_end: Option<(Box<str>, u64)>,
}

pub(super) fn parse(text: &str, context: &Context, slips: Slips) -> Result<MediaPlaylist, M3u8Error> {
    let mut reader = Reader { slips, ..Reader::default() };
    for (number, line) in lines(text) {
        match tag(line) {
            Some((name, value)) => reader.tag(number, name, value, context),
            None => reader.segment(number, line)?,
        }
    }
    if reader.duration_s.is_some() {
        reader.slips.note(text.lines().count(), "the last EXTINF has no segment behind it");
    }
    if reader.list.target_duration_s.is_none() {
        reader.slips.note(1, "there is no EXT-X-TARGETDURATION");
    }
    reader.list.slips = reader.slips.into_inner();
    Ok(reader.list)
}

impl Reader {
    fn tag(&mut self, line: usize, name: &str, value: &str, context: &Context) {
        let begun = !self.list.segments.is_empty();
        match name {
            "EXTINF" => self.extinf(line, value),
            "EXT-X-VERSION" => self.list.version = value.parse().ok(),
            "EXT-X-TARGETDURATION" => match value.parse() {
                Ok(seconds) => self.list.target_duration_s = Some(seconds),
                Err(_) => {
                    self.list.target_duration_s = decimal(value).map(|seconds| seconds.round() as u64);
                    self.slips.note(line, "EXT-X-TARGETDURATION is no whole number");
                }
            },
            "EXT-X-MEDIA-SEQUENCE" => match value.parse() {
                Ok(number) if !begun => self.list.media_sequence = number,
                Ok(_) => self.slips.note(line, "EXT-X-MEDIA-SEQUENCE comes after the first segment"),
                Err(_) => self.slips.note(line, "EXT-X-MEDIA-SEQUENCE is no whole number"),
            },
            "EXT-X-DISCONTINUITY-SEQUENCE" => match value.parse::<u64>() {
                Ok(number) if !begun => {
                    // Tags before the first segment count on top, wherever they stand.
                    self.discontinuity = self.discontinuity.saturating_add(number);
                    self.list.has_discontinuities = true;
                }
                Ok(_) => self.slips.note(line, "EXT-X-DISCONTINUITY-SEQUENCE comes after the first segment"),
                Err(_) => self.slips.note(line, "EXT-X-DISCONTINUITY-SEQUENCE is no whole number"),
            },
            "EXT-X-DISCONTINUITY" => {
                self.discontinuity = self.discontinuity.saturating_add(1);
                self.list.has_discontinuities = true;
            }
            "EXT-X-PLAYLIST-TYPE" => match value {
                "EVENT" => self.list.kind = Some(PlaylistType::Event),
                "VOD" => self.list.kind = Some(PlaylistType::Vod),
                _ => self.slips.note(line, "EXT-X-PLAYLIST-TYPE is neither EVENT nor VOD"),
            },
            "EXT-X-ENDLIST" => self.list.ended = true,
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-BYTERANGE" => {
                self.range = byte_range(value);
                if self.range.is_none() {
                    self.slips.note(line, "EXT-X-BYTERANGE is no range");
                }
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                self.date_ms = parse_date(value);
                if self.date_ms.is_none() {
                    self.slips.note(line, "EXT-X-PROGRAM-DATE-TIME is no date");
                }
            }
            "EXT-X-KEY" => self.key(line, value),
            "EXT-X-MAP" => self.map(line, value),
            "EXT-X-PART" => self.list.parts += 1,
            // Older segments that a delta update leaves out; whoever asks for no delta gets none.
            "EXT-X-SKIP" => self.slips.note(line, "a delta update came that nobody asked for"),
            "EXT-X-DEFINE" => {
                let list = Attributes::parse(value, &mut Variables::default());
                if !self.variables.define(|name| list.get(name).map(str::to_owned), context) {
                    self.slips.note(line, "EXT-X-DEFINE names nothing that is known");
                }
            }
            _ if is_cue(name, value) => self.list.scte35_cues += 1,
            _ => {}
        }
    }

    fn extinf(&mut self, line: usize, value: &str) {
        let number = value.split(',').next().unwrap_or_default().trim();
        self.duration_s = decimal(number);
        if self.duration_s.is_none() {
            self.slips.note(line, "EXTINF has no duration");
            self.duration_s = Some(0.0);
        }
    }

    fn key(&mut self, line: usize, value: &str) {
        let list = Attributes::parse(value, &mut self.variables);
        let format = list.text("KEYFORMAT").unwrap_or_else(|| "identity".to_owned());
        let method = match list.get("METHOD") {
            Some("NONE") => {
                self.active.clear();
                return;
            }
            Some("AES-128") => Method::Aes128,
            Some(other) if !other.is_empty() => Method::Other(other.to_owned()),
            _ => return self.slips.note(line, "EXT-X-KEY without METHOD"),
        };
        let iv = list.get("IV").map(|text| vector(text).ok_or(()));
        if iv == Some(Err(())) {
            self.slips.note(line, "the IV of EXT-X-KEY is no number of 128 bits");
        }
        let keys = &self.list.keys;
        self.active.retain(|&index| keys[index].format != format);
        if keys.len() < MAX_SEGMENTS {
            self.active.push(keys.len());
            let uri = list.text("URI").unwrap_or_default();
            self.list.keys.push(Key { method, uri, iv: iv.and_then(Result::ok), format });
        }
    }

    fn map(&mut self, line: usize, value: &str) {
        let list = Attributes::parse(value, &mut self.variables);
        let Some(uri) = list.text("URI") else { return self.slips.note(line, "EXT-X-MAP without URI") };
        let range = list.get("BYTERANGE").and_then(byte_range);
        let range = range.map(|(length, offset)| ByteRange { offset: offset.unwrap_or(0), length });
        if self.list.maps.len() < MAX_SEGMENTS {
            self.map = Some(self.list.maps.len());
            let key = self.usable_key();
            self.list.maps.push(Map { uri, range, key });
        }
    }

    /// Of the keys that apply, the one whose bytes can be fetched, or else the first.
    fn usable_key(&self) -> Option<usize> {
        let identity = self.active.iter().find(|&&index| self.list.keys[index].format == "identity");
        identity.or(self.active.first()).copied()
    }

    fn segment(&mut self, line: usize, uri: &str) -> Result<(), M3u8Error> {
        if self.list.segments.len() == MAX_SEGMENTS {
            return Err(M3u8Error::TooMany { what: "segments", limit: MAX_SEGMENTS });
        }
        let duration_s = self.duration_s.take().unwrap_or_else(|| {
            self.slips.note(line, "a segment without EXTINF");
            0.0
        });
        let uri: Box<str> = self.variables.replace(uri).into();
        let range = self.range.take().map(|(length, offset)| {
            let follows = || self.range_end.as_ref().filter(|(last, _)| *last == uri).map_or(0, |(_, end)| *end);
            ByteRange { offset: offset.unwrap_or_else(follows), length }
        });
        self.range_end = range.map(|range| (uri.clone(), range.offset.saturating_add(range.length)));
        let key = self.usable_key();
        self.list.segments.push(Segment {
            uri,
            duration_s,
            discontinuity: self.discontinuity,
            range,
            date_ms: self.date_ms.take(),
            key,
            map: self.map,
            gap: std::mem::take(&mut self.gap),
        });
        self.list.parts = 0;
        Ok(())
    }
}

/// `1000@200`: length and, where it is written, offset.
fn byte_range(text: &str) -> Option<(u64, Option<u64>)> {
    match text.trim().split_once('@') {
        Some((length, offset)) => Some((length.trim().parse().ok()?, Some(offset.trim().parse().ok()?))),
        None => Some((text.trim().parse().ok()?, None)),
    }
}

/// `0x` and up to 32 hexadecimal digits.
fn vector(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let plain = (1..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(digits, 16).ok())?.map(u128::to_be_bytes)
}

/// Whether a tag is a cue of SCTE-35 in one of the ways in which packagers write it.
fn is_cue(name: &str, value: &str) -> bool {
    let tags =
        ["EXT-X-CUE-OUT", "EXT-X-CUE-IN", "EXT-X-CUE", "EXT-OATCLS-SCTE35", "EXT-X-SCTE35", "EXT-X-SPLICEPOINT-SCTE35"];
    tags.contains(&name) || (name == "EXT-X-DATERANGE" && value.contains("SCTE35-"))
}

#[cfg(test)]
mod tests {
    use super::super::{Playlist, parse};
    use super::*;

    fn read(text: &str) -> MediaPlaylist {
        match parse(format!("#EXTM3U\n{text}").as_bytes(), &Context::default()) {
            Ok(Playlist::Media(list)) => list,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_ranges_and_what_applies_to_a_segment() {
        let list = read(
            "#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n\
             #EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x0A\n#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"700@0\"\n\
             #EXTINF:4.0,title\n#EXT-X-BYTERANGE:100@50\nall.mp4\n\
             #EXTINF:4,\n#EXT-X-BYTERANGE:60\nall.mp4\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:3.5\n#EXT-X-GAP\nb.mp4\n#EXT-X-PART:DURATION=1,URI=\"p\"\n",
        );
        assert_eq!((list.number(0), list.last_number(), list.duration_s()), (7, Some(9), 11.5));
        let ranges: Vec<_> = list.segments.iter().map(|s| s.range.map(|r| (r.offset, r.length))).collect();
        assert_eq!(ranges, [Some((50, 100)), Some((150, 60)), None]);
        let rest: Vec<_> = list.segments.iter().map(|s| (s.discontinuity, s.key, s.map, s.gap)).collect();
        assert_eq!(rest, [(3, Some(0), Some(0), false), (3, Some(0), Some(0), false), (4, None, Some(0), true)]);
        assert_eq!(list.keys[0].iv.map(u128::from_be_bytes), Some(10));
        assert_eq!(list.maps[0].key, Some(0));
        assert_eq!((list.parts, list.slips.as_slice()), (1, [].as_slice()));
    }

    #[test]
    fn of_several_keys_the_usable_one_wins() {
        let list = read(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n\
             #EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:1,\na\n#EXT-X-KEY:METHOD=AES-128,URI=\"k2\"\n#EXTINF:1,\nb\n",
        );
        let keys: Vec<_> = list.segments.iter().map(|s| s.key.map(|k| list.keys[k].uri.as_str())).collect();
        assert_eq!(keys, [Some("k"), Some("k2")]);
        assert_eq!(list.keys[0].method, Method::Other("SAMPLE-AES".into()));
    }

    #[test]
    fn slips_are_noted_and_the_rest_is_read() {
        let slips = |text: &str| read(text).slips.iter().map(|s| format!("{}: {}", s.line, s.what)).collect::<Vec<_>>();
        let target = "#EXT-X-TARGETDURATION:1\n";
        assert_eq!(slips(&format!("{target}#EXTINF:x,\na")), ["3: EXTINF has no duration"]);
        assert_eq!(slips(&format!("{target}a")), ["3: a segment without EXTINF"]);
        assert_eq!(slips(&format!("{target}#EXTINF:1,")), ["3: the last EXTINF has no segment behind it"]);
        assert_eq!(slips("#EXTINF:1,\na"), ["1: there is no EXT-X-TARGETDURATION"]);
        assert_eq!(slips("#EXT-X-TARGETDURATION:1.6"), ["2: EXT-X-TARGETDURATION is no whole number"]);
        let late = format!("{target}#EXTINF:1,\na\n#EXT-X-DISCONTINUITY-SEQUENCE:1");
        assert_eq!(slips(&late), ["5: EXT-X-DISCONTINUITY-SEQUENCE comes after the first segment"]);
        assert_eq!(
            slips(&format!("{target}#EXT-X-KEY:METHOD=AES-128,IV=1")),
            ["3: the IV of EXT-X-KEY is no number of 128 bits"]
        );
    }

    #[test]
    fn cues_of_every_dialect() {
        let list = read(
            "#EXT-X-CUE-OUT:30\n#EXTINF:1,\na\n#EXT-X-CUE-OUT-CONT:1/30\n#EXT-X-CUE-IN\n\
             #EXT-X-DATERANGE:ID=\"1\",START-DATE=\"x\",SCTE35-OUT=0xFC\n#EXT-X-DATERANGE:ID=\"2\"\n#EXT-OATCLS-SCTE35:/DA=\n",
        );
        assert_eq!(list.scte35_cues, 4);
    }
}
