//! AC-3 and Enhanced AC-3 (ETSI TS 102 366): frame headers, and the boxes that describe them in MP4, to parameters.
//!
//! Never decodes sound.

use crate::audio::AudioParams;
use crate::bits::Bits;

/// Sampling frequencies by code.
const RATES_HZ: [u32; 3] = [48_000, 44_100, 32_000];
/// Channels by audio coding mode, without the one for low frequencies.
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Bit rates of AC-3 in kbit/s by the upper bits of the frame size code.
const KBPS: [u32; 19] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
/// Highest stream identification of AC-3; above it begins the enhanced form.
const LAST_AC3_BSID: u32 = 10;
const LAST_EAC3_BSID: u32 = 16;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it says of the sound.
    pub params: AudioParams,
    /// Octets of the frame, header included.
    pub frame_bytes: usize,
}

/// Why a header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable AC-3 header: {what}")]
pub struct Ac3Error {
    /// What is wrong.
    pub what: &'static str,
}

/// Reads the header at the beginning of `frame`, of either form.
///
/// # Errors
/// When the sync word is missing, a value is reserved, or it is cut short.
pub fn parse_header(frame: &[u8]) -> Result<Header, Ac3Error> {
    let error = |what| Ac3Error { what };
    let [0x0b, 0x77, rest @ ..] = frame else { return Err(error("no sync word")) };
    let bsid = frame.get(5).map(|octet| u32::from(octet >> 3)).ok_or(error("cut short"))?;
    let read = match bsid {
        0..=LAST_AC3_BSID => plain(rest),
        11..=LAST_EAC3_BSID => enhanced(rest),
        _ => return Err(error("unknown version")),
    };
    read.ok_or(error("cut short, or a reserved value"))
}

fn plain(rest: &[u8]) -> Option<Header> {
    let mut bits = Bits::new(rest);
    bits.skip(16)?; // checksum
    let (rate_code, size_code) = (bits.bits(2)?, bits.bits(6)?);
    bits.skip(5 + 3)?; // bsid, bsmod
    let mode = bits.bits(3)?;
    if mode & 1 == 1 && mode != 1 {
        bits.skip(2)?; // centre mix
    }
    if mode & 4 != 0 {
        bits.skip(2)?; // surround mix
    }
    if mode == 2 {
        bits.skip(2)?; // Dolby Surround
    }
    let params = params("ac3", *RATES_HZ.get(rate_code as usize)?, mode, bits.bit()?)?;
    let kbps = *KBPS.get((size_code >> 1) as usize)?;
    let words = match rate_code {
        0 => kbps * 2,
        1 => kbps * 320 / 147 + (size_code & 1),
        _ => kbps * 3,
    };
    Some(Header { params, frame_bytes: words as usize * 2 })
}

fn enhanced(rest: &[u8]) -> Option<Header> {
    let mut bits = Bits::new(rest);
    bits.skip(2 + 3)?; // stream type, substream
    let words = bits.bits(11)? + 1;
    let rate = match bits.bits(2)? {
        3 => RATES_HZ.get(bits.bits(2)? as usize)? / 2,
        code => {
            bits.skip(2)?; // blocks
            RATES_HZ[code as usize]
        }
    };
    let mode = bits.bits(3)?;
    let low = bits.bit()?;
    Some(Header { params: params("eac3", rate, mode, low)?, frame_bytes: words as usize * 2 })
}

fn params(codec: &'static str, sample_rate_hz: u32, mode: u32, low_frequencies: bool) -> Option<AudioParams> {
    let channels = CHANNELS.get(mode as usize)? + u16::from(low_frequencies);
    Some(AudioParams { codec, profile: None, sample_rate_hz, channels })
}

/// Reads the box `dac3` of MP4 (annex F.4).
#[must_use]
pub fn parse_dac3(body: &[u8]) -> Option<AudioParams> {
    let mut bits = Bits::new(body);
    let rate = *RATES_HZ.get(bits.bits(2)? as usize)?;
    bits.skip(5 + 3)?;
    params("ac3", rate, bits.bits(3)?, bits.bit()?)
}

/// Reads the box `dec3` of MP4 (annex F.6): the first of its substreams.
#[must_use]
pub fn parse_dec3(body: &[u8]) -> Option<AudioParams> {
    let mut bits = Bits::new(body);
    bits.skip(13 + 3)?; // data rate, substreams
    let rate = *RATES_HZ.get(bits.bits(2)? as usize)?;
    bits.skip(5 + 1 + 1 + 3)?; // bsid, reserved, associated service, bsmod
    params("eac3", rate, bits.bits(3)?, bits.bit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &[u8], expected: &str) {
        let got = match parse_header(header) {
            Ok(h) => {
                let p = h.params;
                format!("{} {} Hz {} ch {} bytes", p.codec, p.sample_rate_hz, p.channels, h.frame_bytes)
            }
            Err(error) => error.what.to_owned(),
        };
        assert_eq!(got, expected, "{header:02x?}");
    }

    #[test]
    fn headers() {
        // 192 kbit/s stereo, 448 kbit/s 5.1, both at 48 kHz; 44.1 kHz pads every other frame.
        check(&[0x0b, 0x77, 0, 0, 0x14, 0x40, 0x40, 0], "ac3 48000 Hz 2 ch 768 bytes");
        check(&[0x0b, 0x77, 0, 0, 0x1e, 0x40, 0xe1, 0], "ac3 48000 Hz 6 ch 1792 bytes");
        check(&[0x0b, 0x77, 0, 0, 0x54, 0x40, 0x40, 0], "ac3 44100 Hz 2 ch 834 bytes");
        check(&[0x0b, 0x77, 0, 0, 0x55, 0x40, 0x40, 0], "ac3 44100 Hz 2 ch 836 bytes");
        check(&[0x0b, 0x77, 0x01, 0x7f, 0x34, 0x80, 0, 0], "eac3 48000 Hz 2 ch 768 bytes");
        check(&[0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x80, 0, 0], "eac3 48000 Hz 6 ch 768 bytes");
        check(&[0x0b, 0x77, 0, 0, 0xd4, 0x40, 0x40, 0], "cut short, or a reserved value");
        check(&[0x0b, 0x77, 0, 0, 0, 0xf8, 0, 0], "unknown version");
        check(&[0x0b, 0x77, 0, 0, 0], "cut short");
        check(&[0x0b], "no sync word");
    }

    #[test]
    fn boxes() {
        let short = |p: Option<AudioParams>| p.map(|p| (p.codec, p.sample_rate_hz, p.channels));
        assert_eq!(short(parse_dac3(&[0x10, 0x3d, 0x40])), Some(("ac3", 48_000, 6)));
        assert_eq!(short(parse_dec3(&[0x0c, 0x00, 0x20, 0x0f, 0x00])), Some(("eac3", 48_000, 6)));
        assert_eq!(parse_dac3(&[0xc0, 0, 0]), None);
        assert_eq!(parse_dec3(&[0]), None);
    }
}
