//! Sample descriptions: codec names, and the boxes in which codecs describe themselves, to parameters.
//!
//! Never fails: what cannot be read is `None`, and the codec keeps its name.

use super::child;
use crate::audio::AudioParams;
use crate::rtmp::{VideoConfig, parse_avcc, parse_hvcc};
use crate::video::VideoParams;
use crate::{aac, ac3};

/// Octets before the boxes of a description of pictures (ISO/IEC 14496-12, 12.1.3).
const VISUAL_BYTES: usize = 78;
/// Octets before the boxes of a description of sound (12.2.3).
const AUDIO_BYTES: usize = 28;

/// What a sample description says.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleEntry {
    /// The codec as ffprobe names it; an unknown one by its four letters.
    pub codec: String,
    /// Parameters of pictures.
    pub video: Option<VideoParams>,
    /// Parameters of sound.
    pub audio: Option<AudioParams>,
    /// Octets of the length before each NAL unit, for H.264 and H.265.
    pub nal_length_bytes: Option<usize>,
    /// The scheme by which samples are encrypted, in its four letters.
    pub protection: Option<String>,
}

/// Four letters and the codec's name.
const CODECS: [(&[u8; 4], &str); 24] = [
    (b"avc1", "h264"),
    (b"avc3", "h264"),
    (b"dva1", "h264"),
    (b"dvav", "h264"),
    (b"hvc1", "hevc"),
    (b"hev1", "hevc"),
    (b"dvh1", "hevc"),
    (b"dvhe", "hevc"),
    (b"av01", "av1"),
    (b"vp08", "vp8"),
    (b"vp09", "vp9"),
    (b"vvc1", "vvc"),
    (b"mp4v", "mpeg4"),
    (b"jpeg", "mjpeg"),
    (b"mp4a", "aac"),
    (b".mp3", "mp3"),
    (b"ac-3", "ac3"),
    (b"ec-3", "eac3"),
    (b"Opus", "opus"),
    (b"fLaC", "flac"),
    (b"alac", "alac"),
    (b"wvtt", "webvtt"),
    (b"stpp", "ttml"),
    (b"tx3g", "mov_text"),
];

/// The name of four letters, where it is known.
fn codec_name(kind: [u8; 4]) -> Option<&'static str> {
    CODECS.iter().find(|row| *row.0 == kind).map(|row| row.1)
}

/// Reads a sample description of this type, of a track with this handler.
pub(super) fn sample_entry(handler: &[u8; 4], kind: [u8; 4], body: &[u8]) -> SampleEntry {
    let boxes_at = match handler {
        b"vide" => VISUAL_BYTES,
        b"soun" => AUDIO_BYTES + quicktime_bytes(body),
        _ => 8,
    };
    let boxes = body.get(boxes_at..).unwrap_or_default();
    let (mut kind, mut protection) = (kind, None);
    if matches!(&kind, b"encv" | b"enca" | b"enct")
        && let Some(sinf) = child(boxes, b"sinf")
    {
        let scheme = child(sinf, b"schm").and_then(|schm| schm.get(4..8)).unwrap_or(b"none");
        protection = Some(letters(scheme));
        kind = child(sinf, b"frma").and_then(|frma| frma.first_chunk::<4>()).copied().unwrap_or(kind);
    }
    let name = codec_name(kind);
    let codec = name.map_or_else(|| letters(&kind), str::to_owned);
    let mut entry = SampleEntry { codec, video: None, audio: None, nal_length_bytes: None, protection };
    match (handler, name) {
        (b"vide", Some(name)) => pictures(&mut entry, name, body, boxes),
        (b"soun", Some(name)) => sound(&mut entry, name, body, boxes),
        _ => {}
    }
    entry
}

/// Visible letters of a code; others as dots.
fn letters(code: &[u8]) -> String {
    code.iter().map(|&octet| if octet.is_ascii_graphic() { char::from(octet) } else { '.' }).collect()
}

/// Octets that QuickTime's versions put between the description of sound and its boxes.
fn quicktime_bytes(body: &[u8]) -> usize {
    match body.get(8..10) {
        Some([0, 1]) => 16,
        Some([0, 2]) => 36,
        _ => 0,
    }
}

fn pictures(entry: &mut SampleEntry, codec: &'static str, body: &[u8], boxes: &[u8]) {
    let config = match codec {
        "h264" => child(boxes, b"avcC").and_then(|record| parse_avcc(record).ok()),
        "hevc" => child(boxes, b"hvcC").and_then(|record| parse_hvcc(record).ok()),
        _ => None,
    };
    if let Some(VideoConfig { params, length_bytes }) = config {
        entry.video = params;
        entry.nal_length_bytes = Some(length_bytes);
    }
    if matches!(codec, "h264" | "hevc") {
        return;
    }
    // Codecs whose own headers are not read here: the size that the description has for the player.
    let side = |at: usize| body.get(at..)?.first_chunk::<2>().map(|octets| u32::from(u16::from_be_bytes(*octets)));
    if let (Some(width @ 1..), Some(height @ 1..)) = (side(24), side(26)) {
        let profile = match codec {
            "vp9" => child(boxes, b"vpcC").and_then(|c| c.get(4)).map(|profile| format!("Profile {profile}")),
            "av1" => child(boxes, b"av1C").and_then(|c| c.get(1)).and_then(|c| av1_profile(c >> 5)).map(str::to_owned),
            _ => None,
        };
        entry.video = Some(VideoParams { codec, profile, level: None, width, height, fps: None });
    }
}

fn av1_profile(code: u8) -> Option<&'static str> {
    ["Main", "High", "Professional"].get(usize::from(code)).copied()
}

fn sound(entry: &mut SampleEntry, codec: &'static str, body: &[u8], boxes: &[u8]) {
    let word = |at: usize| body.get(at..)?.first_chunk::<2>().map(|octets| u16::from_be_bytes(*octets));
    let plain = AudioParams {
        codec,
        profile: None,
        sample_rate_hz: word(24).map_or(0, u32::from),
        channels: word(16).unwrap_or(0),
    };
    let own = match codec {
        // QuickTime hides it in a box of its own.
        "aac" => child(boxes, b"esds")
            .or_else(|| child(child(boxes, b"wave")?, b"esds"))
            .and_then(|esds| elementary(esds, plain)),
        "ac3" => child(boxes, b"dac3").and_then(ac3::parse_dac3),
        "eac3" => child(boxes, b"dec3").and_then(ac3::parse_dec3),
        // Version, channels; the output is always at 48 kHz.
        "opus" => child(boxes, b"dOps").and_then(|head| head.get(1)).map(|&channels| AudioParams {
            sample_rate_hz: 48_000,
            channels: u16::from(channels),
            ..plain
        }),
        "flac" => child(boxes, b"dfLa").and_then(|head| flac(head, plain)),
        _ => None,
    };
    let params = own.unwrap_or(plain);
    params.codec.clone_into(&mut entry.codec);
    entry.audio =
        Some(AudioParams { channels: if params.channels == 0 { plain.channels } else { params.channels }, ..params });
}

/// The STREAMINFO block behind version, flags and block header: 20 bits of rate, 3 bits of channels less one.
fn flac(head: &[u8], plain: AudioParams) -> Option<AudioParams> {
    let [a, b, c] = *head.get(4 + 4 + 10..)?.first_chunk::<3>()?;
    let word = u32::from_be_bytes([0, a, b, c]);
    let channels = u16::try_from(word >> 1 & 7).ok()? + 1;
    Some(AudioParams { sample_rate_hz: word >> 4, channels, ..plain })
}

/// What an `esds` says: descriptors in descriptors (ISO/IEC 14496-1, 7.2.6).
fn elementary(esds: &[u8], plain: AudioParams) -> Option<AudioParams> {
    const STREAM: u8 = 3;
    const DECODER: u8 = 4;
    const SPECIFIC: u8 = 5;
    let stream = descriptor(esds.get(4..)?, STREAM)?;
    let flags = *stream.get(2)?;
    let mut skip = 3;
    if flags & 0x80 != 0 {
        skip += 2;
    }
    if flags & 0x40 != 0 {
        skip += 1 + usize::from(*stream.get(skip)?);
    }
    if flags & 0x20 != 0 {
        skip += 2;
    }
    let decoder = descriptor(stream.get(skip..)?, DECODER)?;
    let codec = match decoder.first()? {
        0x40 | 0x66..=0x68 => "aac",
        0x69 | 0x6b => "mp3",
        0xa5 => "ac3",
        0xa6 => "eac3",
        0xa9 | 0xac => "dts",
        0xad => "opus",
        _ => return None,
    };
    if codec != "aac" {
        return Some(AudioParams { codec, ..plain });
    }
    let config = decoder.get(13..).and_then(|rest| descriptor(rest, SPECIFIC));
    Some(config.and_then(|config| aac::parse_config(config).ok()).unwrap_or(plain))
}

/// The first descriptor of this tag; its length stands in groups of seven bits.
fn descriptor(mut bytes: &[u8], tag: u8) -> Option<&[u8]> {
    loop {
        let (&found, mut rest) = bytes.split_first()?;
        let mut length = 0usize;
        for _ in 0..4 {
            let (&octet, tail) = rest.split_first()?;
            rest = tail;
            length = length << 7 | usize::from(octet & 0x7f);
            if octet & 0x80 == 0 {
                break;
            }
        }
        let (body, after) = rest.split_at_checked(length)?;
        if found == tag {
            return Some(body);
        }
        bytes = after;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::make;
    use super::*;

    fn audio_entry(kind: &[u8; 4], boxes: &[u8]) -> SampleEntry {
        let mut body = vec![0; AUDIO_BYTES];
        body[17] = 2;
        body[24..26].copy_from_slice(&44_100u16.to_be_bytes());
        body.extend(boxes);
        sample_entry(b"soun", *kind, &body)
    }

    fn words(entry: &SampleEntry) -> String {
        let audio = entry.audio.expect("sound");
        format!("{} {} {} {}", entry.codec, audio.profile.unwrap_or("-"), audio.sample_rate_hz, audio.channels)
    }

    #[test]
    fn sound_describes_itself() {
        let esds = [
            0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 31, 0, 2, 0, 4, 0x80, 0x80, 0x80, 20, 0x40, 0x15, 0, 0, 0, 0, 0, 0xfa, 0,
            0, 0, 0xfa, 0, 5, 0x80, 0x80, 0x80, 2, 0x11, 0x90, 6, 1, 2,
        ];
        assert_eq!(words(&audio_entry(b"mp4a", &make(b"esds", &esds))), "aac LC 48000 2");
        let mut mp3 = esds;
        mp3[17] = 0x6b;
        assert_eq!(words(&audio_entry(b"mp4a", &make(b"esds", &mp3))), "mp3 - 44100 2");
        assert_eq!(words(&audio_entry(b"mp4a", &[])), "aac - 44100 2");
        assert_eq!(words(&audio_entry(b"ac-3", &make(b"dac3", &[0x10, 0x3d, 0x40]))), "ac3 - 48000 6");
        assert_eq!(words(&audio_entry(b"Opus", &make(b"dOps", &[0, 1, 0, 0, 0, 0, 0xac, 0x44]))), "opus - 48000 1");
        let mut info = vec![0; 4 + 4 + 34];
        info[18..21].copy_from_slice(&[0x0b, 0xb8, 0x02]);
        assert_eq!(words(&audio_entry(b"fLaC", &make(b"dfLa", &info))), "flac - 48000 2");
        assert_eq!(audio_entry(b"zzz\0", &[]).codec, "zzz.");
    }

    #[test]
    fn protection_is_told_and_the_codec_behind_it() {
        let sinf = [make(b"frma", b"avc1"), make(b"schm", b"\0\0\0\0cbcs\0\x01\0\0")].concat();
        let mut body = vec![0; VISUAL_BYTES];
        body.extend(make(b"sinf", &sinf));
        let entry = sample_entry(b"vide", *b"encv", &body);
        assert_eq!((entry.codec.as_str(), entry.protection.as_deref()), ("h264", Some("cbcs")));
    }

    #[test]
    fn pictures_of_other_codecs_have_the_size_of_the_description() {
        let mut body = vec![0; VISUAL_BYTES];
        body[24..28].copy_from_slice(&[0x05, 0x00, 0x02, 0xd0]);
        body.extend(make(b"vpcC", &[1, 0, 0, 0, 2, 31, 0x80]));
        let entry = sample_entry(b"vide", *b"vp09", &body);
        let video = entry.video.expect("pictures");
        assert_eq!((video.width, video.height, video.profile.as_deref()), (1280, 720, Some("Profile 2")));
    }
}
