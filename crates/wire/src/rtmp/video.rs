//! Pictures in RTMP messages: the tag header (FLV 10.1, E.4.3; Enhanced RTMP) and what proves a coded picture.
//!
//! A frame counts when its units are whole and one of them carries a coded picture; decodes nothing. Of several tracks in
//! one message the first is read.

use super::{Seen, TagError, av1, config};
use crate::bits::Bits;
use crate::video::{MAX_SIDE, VideoParams};
use crate::{h264, h265};

/// Most NAL units walked through in one message; a picture in the smallest slices has a few hundred.
const MAX_NALS: usize = 4096;
/// Most nested extensions of a header.
const MAX_EXTENSIONS: usize = 8;

/// A codec, by what must be known to recognise its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    H264,
    Hevc,
    Av1,
    Vp9,
    Other(&'static str),
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
            Self::Other(name) => name,
        }
    }
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Config,
    Frame,
    Nothing,
}

/// The video of a stream.
#[derive(Debug, Default)]
pub struct VideoTrack {
    codec: Option<Codec>,
    params: Option<VideoParams>,
    length_bytes: Option<usize>,
    configured: bool,
    frames: u64,
    trouble: Option<TagError>,
}

impl VideoTrack {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Codec by ffprobe's name, once a message told it.
    #[must_use]
    pub fn codec(&self) -> Option<&'static str> {
        self.codec.map(Codec::name)
    }

    /// Parameters by the stream's own words.
    #[must_use]
    pub fn params(&self) -> Option<&VideoParams> {
        self.params.as_ref()
    }

    /// Whether the stream's parameters are known: from a configuration, or because the codec has none.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.configured || self.frames > 0
    }

    /// Coded frames received.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Why the last message that was refused was refused.
    #[must_use]
    pub fn trouble(&self) -> Option<TagError> {
        self.trouble
    }

    /// Takes the body of a video message.
    ///
    /// # Errors
    /// When it cannot be what its header says; later messages may still be used.
    pub fn push(&mut self, body: &[u8]) -> Result<Seen, TagError> {
        let seen = self.read(body).map_err(|what| TagError { what });
        if let Err(error) = seen {
            self.trouble = Some(error);
        }
        seen
    }

    fn read(&mut self, body: &[u8]) -> Result<Seen, &'static str> {
        let Some((&first, rest)) = body.split_first() else { return Ok(Seen::Nothing) };
        let frame_type = first >> 4 & 7;
        let (codec, packet, data) = if first & 0x80 != 0 { enhanced(first & 0xf, rest)? } else { plain(first, rest)? };
        let Some(codec) = codec else { return Ok(Seen::Nothing) };
        // A message to the player (frame type 5) carries no picture.
        if packet == Packet::Nothing || data.is_empty() || (frame_type == 5 && packet == Packet::Frame) {
            return Ok(Seen::Nothing);
        }
        if self.codec.is_some_and(|known| known != codec) {
            *self = Self::default();
        }
        self.codec = Some(codec);
        if packet == Packet::Config {
            self.configure(codec, data)?;
            return Ok(Seen::Config);
        }
        if self.frame(codec, data)? {
            self.frames += 1;
            return Ok(Seen::Frame { key: frame_type == 1 });
        }
        Ok(Seen::Nothing)
    }

    fn configure(&mut self, codec: Codec, record: &[u8]) -> Result<(), &'static str> {
        let read = match codec {
            Codec::H264 => config::parse_avcc(record).map_err(|e| e.what)?,
            Codec::Hevc => config::parse_hvcc(record).map_err(|e| e.what)?,
            Codec::Av1 => {
                // Four octets of `av1C`, then units.
                let units = record.get(4..).and_then(av1::units).ok_or("av1C cut short")?;
                config::VideoConfig { params: units.params, length_bytes: 4 }
            }
            Codec::Vp9 | Codec::Other(_) => config::VideoConfig { params: None, length_bytes: 4 },
        };
        self.params = read.params.or(self.params.take());
        self.length_bytes = Some(read.length_bytes);
        self.configured = true;
        Ok(())
    }

    /// Whether `data` holds a coded picture.
    fn frame(&mut self, codec: Codec, data: &[u8]) -> Result<bool, &'static str> {
        match codec {
            Codec::H264 | Codec::Hevc => {
                let length_bytes = self.length_bytes.ok_or("a frame before its configuration")?;
                self.nals(codec, data, length_bytes)
            }
            Codec::Av1 => {
                let units = av1::units(data).ok_or("an AV1 unit is cut short")?;
                self.params = self.params.take().or(units.params);
                Ok(units.picture)
            }
            Codec::Vp9 => {
                if data[0] >> 6 != 2 {
                    return Err("a VP9 frame without its mark");
                }
                if let Some(params) = vp9_key_frame(data) {
                    self.params = Some(params);
                }
                Ok(true)
            }
            Codec::Other(_) => Ok(true),
        }
    }

    fn nals(&mut self, codec: Codec, data: &[u8], length_bytes: usize) -> Result<bool, &'static str> {
        let (mut rest, mut picture) = (data, false);
        for _ in 0..MAX_NALS {
            if rest.is_empty() {
                break;
            }
            let (length, tail) = rest.split_at_checked(length_bytes).ok_or("a NAL unit's length is cut short")?;
            let length = length.iter().fold(0usize, |sum, octet| sum << 8 | usize::from(*octet));
            let (nal, after) = tail.split_at_checked(length).ok_or("a NAL unit is longer than its message")?;
            rest = after;
            let Some(&header) = nal.first() else { continue };
            let (kind, is_picture, is_sps) = match codec {
                Codec::Hevc => (header >> 1 & 0x3f, header >> 1 & 0x3f < 32, 33),
                _ => (header & 0x1f, matches!(header & 0x1f, 1..=5), 7),
            };
            picture |= is_picture && nal.len() > 1;
            if kind == is_sps && self.params.is_none() {
                self.params = match codec {
                    Codec::Hevc => h265::params_from_sps(nal).ok(),
                    _ => h264::params_from_sps(nal).ok(),
                };
            }
        }
        Ok(picture)
    }
}

type Header<'a> = Result<(Option<Codec>, Packet, &'a [u8]), &'static str>;

/// Packet types of codecs with a configuration: the record, pictures, the end.
fn packet(kind: u8) -> Packet {
    match kind {
        0 => Packet::Config,
        1 => Packet::Frame,
        _ => Packet::Nothing,
    }
}

/// The header of FLV 10.1; codec 12 is H.265 as Chinese services write it.
fn plain(first: u8, rest: &[u8]) -> Header<'_> {
    let codec = match first & 0xf {
        7 => Codec::H264,
        12 => Codec::Hevc,
        13 => Codec::Av1,
        2 => Codec::Other("flv1"),
        3 => Codec::Other("flashsv"),
        4 => Codec::Other("vp6f"),
        5 => Codec::Other("vp6a"),
        6 => Codec::Other("flashsv2"),
        _ => return Err("an unknown video codec"),
    };
    if matches!(codec, Codec::Other(_)) {
        return Ok((Some(codec), Packet::Frame, rest));
    }
    // Packet type, then the composition time.
    match rest {
        [] => Ok((None, Packet::Nothing, rest)),
        [kind, _, _, _, data @ ..] => Ok((Some(codec), packet(*kind), data)),
        // Ends of sequence come without a composition time.
        [2, ..] => Ok((Some(codec), Packet::Nothing, &[])),
        _ => Err("a video header cut short"),
    }
}

/// The header of Enhanced RTMP.
fn enhanced(kind: u8, rest: &[u8]) -> Header<'_> {
    const METADATA: u8 = 4;
    const MULTITRACK: u8 = 6;
    const EXTENSION: u8 = 7;
    let (kind, rest) = skip_extensions(kind, rest, EXTENSION).ok_or("a video header cut short")?;
    let cut = "a video header cut short";
    if kind == METADATA {
        return Ok((None, Packet::Nothing, &[]));
    }
    let (kind, name, data) = if kind == MULTITRACK {
        first_track(rest).ok_or(cut)?
    } else {
        let (name, data) = rest.split_first_chunk::<4>().ok_or(cut)?;
        (kind, *name, data)
    };
    let codec = match &name {
        b"avc1" => Codec::H264,
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        b"vp09" => Codec::Vp9,
        b"vp08" => Codec::Other("vp8"),
        b"vvc1" => Codec::Other("vvc"),
        _ => return Err("an unknown video codec"),
    };
    let timed = kind == 1 && (matches!(codec, Codec::H264 | Codec::Hevc) || name == *b"vvc1");
    let data = if timed { data.get(3..).ok_or(cut)? } else { data };
    Ok((Some(codec), packet(if kind == 3 { 1 } else { kind }), data))
}

/// Passes over the extensions (`ModEx`) that may stand before the codec; answers the packet type behind them.
pub(super) fn skip_extensions(mut kind: u8, mut rest: &[u8], extension: u8) -> Option<(u8, &[u8])> {
    for _ in 0..MAX_EXTENSIONS {
        if kind != extension {
            return Some((kind, rest));
        }
        let (&size, tail) = rest.split_first()?;
        let (size, tail) = if size == u8::MAX {
            let (size, tail) = tail.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*size)) + 1, tail)
        } else {
            (usize::from(size) + 1, tail)
        };
        let (&kinds, tail) = tail.get(size..)?.split_first()?;
        (kind, rest) = (kinds & 0xf, tail);
    }
    None
}

/// The first track of a message with several: packet type, codec, data.
pub(super) fn first_track(rest: &[u8]) -> Option<(u8, [u8; 4], &[u8])> {
    const ONE_TRACK: u8 = 0;
    let (&kinds, rest) = rest.split_first()?;
    let (name, rest) = rest.split_first_chunk::<4>()?;
    let rest = rest.get(1..)?; // the track's number
    let data = if kinds >> 4 == ONE_TRACK {
        rest
    } else {
        let (size, rest) = rest.split_first_chunk::<3>()?;
        let size = usize::from(size[0]) << 16 | usize::from(size[1]) << 8 | usize::from(size[2]);
        rest.get(..size)?
    };
    Some((kinds & 0xf, *name, data))
}

/// The size of a VP9 picture, when it is a key frame (VP9 bitstream, 6.2).
fn vp9_key_frame(data: &[u8]) -> Option<VideoParams> {
    const SYNC: u32 = 0x49_8342;
    const RGB: u32 = 7;
    let mut bits = Bits::new(data);
    bits.skip(2)?;
    let profile = u32::from(bits.bit()?) | u32::from(bits.bit()?) << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_existing, is_inter) = (bits.bit()?, bits.bit()?);
    bits.skip(2)?;
    if shows_existing || is_inter || bits.bits(24)? != SYNC {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    let odd = profile % 2 == 1;
    if bits.bits(3)? == RGB {
        bits.skip(usize::from(odd))?;
    } else {
        bits.skip(if odd { 4 } else { 1 })?;
    }
    let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
    (width <= MAX_SIDE && height <= MAX_SIDE).then(|| VideoParams {
        codec: "vp9",
        profile: Some(format!("Profile {profile}")),
        level: None,
        width,
        height,
        fps: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::from_hex;

    const AVCC: &str = "0142c00affe100176742c00ad9047b011000000300100000030140f122648001000468ce3c80";

    /// What each message was, and what is known then.
    fn check(messages: &[&str], expected: &str) {
        let mut track = VideoTrack::new();
        let mut seen: Vec<String> = Vec::new();
        for message in messages {
            let bytes = from_hex(message, 4096).expect("the case is hexadecimal");
            seen.push(match track.push(&bytes) {
                Ok(Seen::Config) => "config".to_owned(),
                Ok(Seen::Frame { key: true }) => "key".to_owned(),
                Ok(Seen::Frame { key: false }) => "frame".to_owned(),
                Ok(Seen::Nothing) => "-".to_owned(),
                Err(error) => error.what.to_owned(),
            });
        }
        let size = track.params().map(|p| format!(" {}x{}", p.width, p.height)).unwrap_or_default();
        let text = format!("{}: {}{size}", seen.join(", "), track.codec().unwrap_or("?"));
        assert_eq!(text, expected, "{messages:?}");
    }

    #[test]
    fn h264_in_plain_messages() {
        let config = format!("1700000000{AVCC}");
        check(
            &[&config, "17010000000000000265ff", "27010000280000000241ff", "1702000000"],
            "config, key, frame, -: h264 64x48",
        );
        check(&["17010000000000000265ff"], "a frame before its configuration: h264");
        // A message with nothing but an access unit delimiter is no picture.
        check(&[&config, "170100000000000002091000000001 06".replace(' ', "").as_str()], "config, -: h264 64x48");
        check(&[&config, "1701000000000000ff65"], "config, a NAL unit is longer than its message: h264 64x48");
        check(&[&config, "17010000000000"], "config, a NAL unit's length is cut short: h264 64x48");
        check(&["1702", "17", "", "5700", "57010000000000"], "-, -, -, a video header cut short, -: ?");
        check(&["1f00"], "an unknown video codec: ?");
    }

    #[test]
    fn codecs_of_enhanced_rtmp() {
        let config = format!("9061766331{AVCC}");
        check(&[&config, "91617663310000000000000265ff", "a3617663310000000241ff"], "config, key, frame: h264 64x48");
        // VP9, profile 0, 640x360; then a frame that is none.
        check(&["9076703039", "917670303982498342 0 027f0 1670".replace(' ', "").as_str()], "-, key: vp9 640x360");
        check(&["917670303900"], "a VP9 frame without its mark: vp9");
        check(&["917670303800"], "key: vp8");
        check(&["9178787878"], "an unknown video codec: ?");
        check(&["94", "9161"], "-, a video header cut short: ?");
    }

    #[test]
    fn extensions_and_several_tracks() {
        let config = format!("9700ff0061766331{AVCC}");
        check(&[&config], "config: h264 64x48");
        let config = format!("96006176633101{AVCC}");
        check(&[&config, "960161766331010000000000000265ff"], "config, key: h264 64x48");
        let config = format!("96106176633101{:06x}{AVCC}02000000", AVCC.len() / 2);
        check(&[&config], "config: h264 64x48");
        check(&["97ff"], "a video header cut short: ?");
        check(&[&format!("97{}", "000007".repeat(20))], "a video header cut short: ?");
    }

    #[test]
    fn another_codec_begins_anew() {
        let config = format!("1700000000{AVCC}");
        check(&[&config, "9178787878", "91767030380102"], "config, an unknown video codec, key: vp8");
    }
}
