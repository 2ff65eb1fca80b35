//! Frame headers of MPEG audio, layers I to III (ISO/IEC 11172-3 and 13818-3, and the unofficial MPEG 2.5).
//!
//! Never decodes sound. Free format is refused: nobody streams it, and its frames cannot be told apart.

use crate::audio::AudioParams;

/// Kilobits per second by index 1 to 14, one row per table of the standards.
const MPEG1_LAYER1: [u16; 14] = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const MPEG1_LAYER2: [u16; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const MPEG1_LAYER3: [u16; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MPEG2_LAYER1: [u16; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const MPEG2_OTHERS: [u16; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Sampling frequencies of MPEG 1; MPEG 2 has half of them and MPEG 2.5 a quarter.
const RATES_HZ: [u32; 3] = [44_100, 48_000, 32_000];

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Codec (`mp1`, `mp2`, `mp3`), rate and channels.
    pub params: AudioParams,
    /// Bits per second of this frame.
    pub bitrate_bps: u32,
    /// Length of the frame with its header.
    pub frame_bytes: usize,
    /// Samples per channel in the frame.
    pub samples: u32,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable MPEG audio header: {what}")]
pub struct MpegAudioError {
    /// What is wrong.
    pub what: &'static str,
}

/// Reads the header at the beginning of `frame`.
///
/// # Errors
/// When the sync word is missing, a value is reserved, or the frame is in free format.
pub fn parse_header(frame: &[u8]) -> Result<Header, MpegAudioError> {
    let error = |what| MpegAudioError { what };
    let Some(&[sync, second, third, fourth]) = frame.first_chunk::<4>() else {
        return Err(error("cut short"));
    };
    if sync != 0xff || second & 0xe0 != 0xe0 {
        return Err(error("no sync word"));
    }
    let shift = match second >> 3 & 3 {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return Err(error("reserved version")),
    };
    let (codec, table, layer) = match (second >> 1 & 3, shift) {
        (3, 0) => ("mp1", &MPEG1_LAYER1, 1),
        (3, _) => ("mp1", &MPEG2_LAYER1, 1),
        (2, 0) => ("mp2", &MPEG1_LAYER2, 2),
        (2, _) => ("mp2", &MPEG2_OTHERS, 2),
        (1, 0) => ("mp3", &MPEG1_LAYER3, 3),
        (1, _) => ("mp3", &MPEG2_OTHERS, 3),
        _ => return Err(error("reserved layer")),
    };
    let bitrate_bps = match third >> 4 {
        0 => return Err(error("free format")),
        index => {
            let kbps = table.get(usize::from(index) - 1).ok_or(error("reserved bit rate"))?;
            u32::from(*kbps) * 1000
        }
    };
    let rate = RATES_HZ.get(usize::from(third >> 2 & 3)).ok_or(error("reserved sampling frequency"))? >> shift;
    let samples = match (layer, shift) {
        (1, _) => 384,
        (3, 1 | 2) => 576,
        _ => 1152,
    };
    let padding = u32::from(third >> 1 & 1);
    let octets =
        if layer == 1 { (12 * bitrate_bps / rate + padding) * 4 } else { samples / 8 * bitrate_bps / rate + padding };
    let channels = if fourth >> 6 == 3 { 1 } else { 2 };
    let params = AudioParams { codec, profile: None, sample_rate_hz: rate, channels };
    Ok(Header { params, bitrate_bps, frame_bytes: octets as usize, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: [u8; 4], expected: &str) {
        let got = match parse_header(&header) {
            Ok(h) => format!(
                "{} {} Hz {} ch {} bps {} bytes {} samples",
                h.params.codec, h.params.sample_rate_hz, h.params.channels, h.bitrate_bps, h.frame_bytes, h.samples
            ),
            Err(error) => error.what.to_owned(),
        };
        assert_eq!(got, expected, "{header:02x?}");
    }

    #[test]
    fn headers() {
        check([0xff, 0xfb, 0x90, 0x64], "mp3 44100 Hz 2 ch 128000 bps 417 bytes 1152 samples");
        check([0xff, 0xfb, 0x92, 0xc4], "mp3 44100 Hz 1 ch 128000 bps 418 bytes 1152 samples");
        check([0xff, 0xf3, 0x84, 0xc4], "mp3 24000 Hz 1 ch 64000 bps 192 bytes 576 samples");
        check([0xff, 0xe3, 0x18, 0xc4], "mp3 8000 Hz 1 ch 8000 bps 72 bytes 576 samples");
        check([0xff, 0xfd, 0xa4, 0x00], "mp2 48000 Hz 2 ch 192000 bps 576 bytes 1152 samples");
        check([0xff, 0xff, 0x44, 0x00], "mp1 48000 Hz 2 ch 128000 bps 128 bytes 384 samples");
        check([0xff, 0xeb, 0x90, 0x64], "reserved version");
        check([0xff, 0xf9, 0x90, 0x64], "reserved layer");
        check([0xff, 0xfb, 0xf0, 0x64], "reserved bit rate");
        check([0xff, 0xfb, 0x00, 0x64], "free format");
        check([0xff, 0xfb, 0x9c, 0x64], "reserved sampling frequency");
        check([0x49, 0x44, 0x33, 0x04], "no sync word");
        assert_eq!(parse_header(&[0xff]).map_err(|e| e.what), Err("cut short"));
    }
}
