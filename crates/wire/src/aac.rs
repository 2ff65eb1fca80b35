//! AAC: audio configurations (ISO/IEC 14496-3, 1.6.2.1) and ADTS headers to parameters.
//!
//! Never decodes sound.

use crate::audio::AudioParams;
use crate::bits::Bits;
use crate::text::from_hex;

/// Longest configuration read; real ones have 2 to 7 octets, with a list of channels up to 50.
const MAX_CONFIG_BYTES: usize = 256;
/// Highest plausible sampling frequency, Hz.
const MAX_RATE_HZ: u32 = 192_000;
/// Sampling frequencies by index; the last index says that the number follows.
const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const EXPLICIT_RATE: u32 = 15;
/// Object types: spectral band replication, parametric stereo.
const SBR: u32 = 5;
const PS: u32 = 29;
/// Words that announce an extension an old decoder skips.
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;

/// Why a configuration or header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable AAC {part}: {what}")]
pub struct AacError {
    /// "configuration" or "ADTS header".
    pub part: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

/// An ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adts {
    /// What it says of the sound. Band replication does not show in ADTS: the rate is that of the core.
    pub params: AudioParams,
    /// Octets of the frame, header included.
    pub frame_bytes: usize,
}

/// Reads an `AudioSpecificConfig` in hexadecimal, as `fmtp` carries it.
///
/// # Errors
/// See [`parse_config`].
pub fn parse_config_hex(hex: &str) -> Result<AudioParams, AacError> {
    let error = AacError { part: "configuration", what: "not hexadecimal, or too long" };
    parse_config(&from_hex(hex, MAX_CONFIG_BYTES).ok_or(error)?)
}

/// Reads an `AudioSpecificConfig`.
///
/// # Errors
/// When it is cut short or names a reserved sampling frequency.
pub fn parse_config(config: &[u8]) -> Result<AudioParams, AacError> {
    config_at(&mut Bits::new(config))
}

/// Reads the `StreamMuxConfig` of MP4A-LATM (RFC 6416) in hexadecimal, as `fmtp` carries it.
///
/// # Errors
/// When it is cut short, has another version than 0, or more than one program or layer.
pub fn parse_latm_hex(hex: &str) -> Result<AudioParams, AacError> {
    let error = |what| AacError { part: "configuration", what };
    let config = from_hex(hex, MAX_CONFIG_BYTES).ok_or(error("not hexadecimal, or too long"))?;
    let mut bits = Bits::new(&config);
    // audioMuxVersion, allStreamsSameTimeFraming, numSubFrames, numProgram, numLayer
    let head = [1, 1, 6, 4, 3].map(|count| bits.bits(count));
    match head {
        [Some(0), Some(_), Some(_), Some(0), Some(0)] => config_at(&mut bits),
        _ => Err(error("multiplex that is not supported")),
    }
}

fn config_at(bits: &mut Bits<'_>) -> Result<AudioParams, AacError> {
    let error = |what| AacError { part: "configuration", what };
    let core = Core::read(bits).ok_or(error("cut short, or a reserved value"))?;
    let mut profile = profile_name(core.object_type);
    let mut rate = core.rate;
    let mut channels = core.channels;
    let (mut replication, mut stereo) = (core.replication, core.stereo);
    if !replication && let Some(extension) = Extension::read(bits) {
        (replication, stereo) = (true, extension.stereo);
        rate = extension.rate;
    } else if replication {
        rate = core.extension_rate;
    }
    if replication {
        profile = Some("HE-AAC");
    }
    if stereo {
        profile = Some("HE-AACv2");
        channels = if channels == 1 { 2 } else { channels };
    }
    Ok(AudioParams { codec: "aac", profile, sample_rate_hz: rate, channels })
}

/// The part every configuration has.
struct Core {
    object_type: u32,
    rate: u32,
    channels: u16,
    replication: bool,
    stereo: bool,
    extension_rate: u32,
}

impl Core {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let first = object_type(bits)?;
        let rate = rate(bits)?;
        let channel_configuration = bits.bits(4)?;
        let replication = matches!(first, SBR | PS);
        let (mut kind, mut extension_rate) = (first, rate);
        if replication {
            extension_rate = self::rate(bits)?;
            kind = object_type(bits)?;
        }
        let mut channels = channels(channel_configuration)?;
        // GASpecificConfig of the object types that have one; others end the reading here.
        if matches!(kind, 1..=4 | 6 | 7 | 17 | 19..=23) && bits.bit().is_some() {
            if bits.bit()? {
                bits.skip(14)?; // coreCoderDelay
            }
            let extended = bits.bit()?;
            if channel_configuration == 0 {
                channels = program_channels(bits)?;
            }
            if matches!(kind, 6 | 20) {
                bits.skip(3)?; // layerNr
            }
            if extended {
                bits.skip(match kind {
                    22 => 16 + 1,
                    17 | 19 | 20 | 23 => 3 + 1,
                    _ => 1,
                })?;
            }
        }
        Some(Self { object_type: kind, rate, channels, replication, stereo: first == PS, extension_rate })
    }
}

/// The extension behind the part that old decoders read.
struct Extension {
    rate: u32,
    stereo: bool,
}

impl Extension {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        if bits.bits(11)? != SYNC_SBR || object_type(bits)? != SBR || !bits.bit()? {
            return None;
        }
        let rate = rate(bits)?;
        let stereo = bits.left() >= 12 && bits.bits(11)? == SYNC_PS && bits.bit()?;
        Some(Self { rate, stereo })
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.bits(5)? {
        31 => Some(32 + bits.bits(6)?),
        kind => Some(kind),
    }
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.bits(4)? {
        EXPLICIT_RATE => bits.bits(24).filter(|rate| (1..=MAX_RATE_HZ).contains(rate)),
        index => RATES_HZ.get(index as usize).copied(),
    }
}

/// Channels of a configuration; 0 is said elsewhere.
fn channels(configuration: u32) -> Option<u16> {
    Some(match configuration {
        0 => 0,
        1..=6 => u16::try_from(configuration).ok()?,
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        _ => return None,
    })
}

/// Channels counted from a program configuration element.
fn program_channels(bits: &mut Bits<'_>) -> Option<u16> {
    bits.skip(4 + 2 + 4)?; // tag, object type, sampling frequency
    let [front, side, back] = [bits.bits(4)?, bits.bits(4)?, bits.bits(4)?];
    let low = bits.bits(2)?;
    bits.skip(3 + 4)?; // data and coupling elements
    for mixdown in [4, 4, 3] {
        if bits.bit()? {
            bits.skip(mixdown)?;
        }
    }
    let mut count = u16::try_from(low).ok()?;
    for _ in 0..front + side + back {
        count += if bits.bit()? { 2 } else { 1 };
        bits.skip(4)?;
    }
    Some(count)
}

fn profile_name(object_type: u32) -> Option<&'static str> {
    Some(match object_type {
        1 => "Main",
        2 => "LC",
        3 => "SSR",
        4 => "LTP",
        23 => "LD",
        39 => "ELD",
        42 => "xHE-AAC",
        _ => return None,
    })
}

/// Reads an ADTS header at the beginning of `frame`.
///
/// # Errors
/// When the sync word is missing, a value is reserved, or the length is shorter than the header.
pub fn parse_adts(frame: &[u8]) -> Result<Adts, AacError> {
    let error = |what| AacError { part: "ADTS header", what };
    let Some(head) = frame.first_chunk::<7>() else {
        return Err(error("cut short"));
    };
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return Err(error("no sync word"));
    }
    let header_bytes = if head[1] & 1 == 1 { 7 } else { 9 };
    let mut bits = Bits::new(&head[2..]);
    let [kind, index, _private, configuration] = [2, 4, 1, 3].map(|count| bits.bits(count).unwrap_or(0));
    let rate = RATES_HZ.get(index as usize).copied().ok_or(error("reserved sampling frequency"))?;
    let _flags = bits.bits(4);
    let frame_bytes = bits.bits(13).unwrap_or(0) as usize;
    if frame_bytes < header_bytes {
        return Err(error("frame shorter than its header"));
    }
    let params = AudioParams {
        codec: "aac",
        profile: profile_name(kind + 1),
        sample_rate_hz: rate,
        channels: channels(configuration).unwrap_or(0),
    };
    Ok(Adts { params, frame_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "profile rate channels", or the reason.
    fn check(hex: &str, expected: &str) {
        let got = match parse_config_hex(hex) {
            Ok(params) => format!("{} {} {}", params.profile.unwrap_or("-"), params.sample_rate_hz, params.channels),
            Err(error) => error.what.to_owned(),
        };
        assert_eq!(got, expected, "{hex}");
    }

    #[test]
    fn configurations() {
        check("1210", "LC 44100 2");
        check("1188", "LC 48000 1");
        check("1408", "LC 16000 1");
        check("1588", "LC 8000 1");
        // Explicit signalling: AAC-LC 24 kHz below SBR 48 kHz; with parametric stereo below it.
        check("2b11880800", "HE-AAC 48000 2");
        check("eb098800", "HE-AACv2 48000 2");
        // Backward compatible signalling behind the core.
        check("131056e598", "HE-AAC 48000 2");
        check("130856e59d4880", "HE-AACv2 48000 2");
        // The rate as a number: 12345 Hz.
        check("1780181c90", "LC 12345 2");
        check("f8f8", "cut short, or a reserved value");
        check("12", "cut short, or a reserved value");
        check("", "cut short, or a reserved value");
        check("xyz", "not hexadecimal, or too long");
    }

    #[test]
    fn latm() {
        let params =
            parse_latm_hex("400026203fc0").map(|params| (params.profile, params.sample_rate_hz, params.channels));
        assert_eq!(params, Ok((Some("LC"), 24_000, 2)));
        assert!(parse_latm_hex("c0").is_err());
        assert!(parse_latm_hex("40").is_err());
    }

    #[test]
    fn adts() {
        let read =
            |frame: &[u8]| parse_adts(frame).map(|adts| (adts.params, adts.frame_bytes)).map_err(|error| error.what);
        let params = AudioParams { codec: "aac", profile: Some("LC"), sample_rate_hz: 44_100, channels: 2 };
        assert_eq!(read(&[0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc]), Ok((params, 371)));
        assert_eq!(read(&[0xff, 0xf1, 0x50, 0x80, 0x00, 0x1f, 0xfc]), Err("frame shorter than its header"));
        assert_eq!(read(&[0xff, 0xfb, 0x50, 0x80, 0x2e, 0x7f, 0xfc]), Err("no sync word"));
        assert_eq!(read(&[0xff, 0xf1, 0x7c, 0x80, 0x2e, 0x7f, 0xfc]), Err("reserved sampling frequency"));
        assert_eq!(read(&[0xff]), Err("cut short"));
    }
}
