//! Decoder configuration records (ISO/IEC 14496-15): parameter sets of H.264 and H.265 as FLV and MP4 carry them.
//!
//! Reads the first usable sequence parameter set and the width of the length fields; keeps nothing else.

use crate::video::VideoParams;
use crate::{h264, h265};

/// NAL unit type of a sequence parameter set in H.265.
const HEVC_SPS: u8 = 33;
/// Octets before the arrays of an `hvcC`.
const HVCC_HEAD_BYTES: usize = 22;

/// What a configuration record tells.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// Parameters of the pictures; `None` when the record carries no parameter set (they come with the pictures then).
    pub params: Option<VideoParams>,
    /// Octets of the length before each NAL unit: 1, 2 or 4.
    pub length_bytes: usize,
}

/// A record that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable {record}: {what}")]
pub struct ConfigError {
    /// `avcC` or `hvcC`.
    pub record: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

/// Reads an `AVCDecoderConfigurationRecord` (5.3.3.1).
///
/// # Errors
/// When it is cut short, of another version, or its parameter sets describe no picture.
pub fn parse_avcc(record: &[u8]) -> Result<VideoConfig, ConfigError> {
    let error = |what| ConfigError { record: "avcC", what };
    let &[version, _, _, _, lengths, count, ref rest @ ..] = record else {
        return Err(error("cut short"));
    };
    if version != 1 {
        return Err(error("unknown version"));
    }
    let length_bytes = length_bytes(lengths).ok_or(error("NAL unit lengths of 3 octets"))?;
    let sets = sets(rest, usize::from(count & 0x1f)).ok_or(error("cut short"))?;
    Ok(VideoConfig { params: usable(&sets.0, h264::params_from_sps).map_err(error)?, length_bytes })
}

/// Reads an `HEVCDecoderConfigurationRecord` (8.3.3.1).
///
/// # Errors
/// When it is cut short, of another version, or its parameter sets describe no picture.
pub fn parse_hvcc(record: &[u8]) -> Result<VideoConfig, ConfigError> {
    let error = |what| ConfigError { record: "hvcC", what };
    let Some((head, [arrays, rest @ ..])) = record.split_at_checked(HVCC_HEAD_BYTES) else {
        return Err(error("cut short"));
    };
    // Records from before the standard was final say 0.
    if head[0] > 1 {
        return Err(error("unknown version"));
    }
    let length_bytes = length_bytes(head[21]).ok_or(error("NAL unit lengths of 3 octets"))?;
    let (mut rest, mut found) = (rest, Vec::new());
    for _ in 0..*arrays {
        let [kind, high, low, tail @ ..] = rest else {
            return Err(error("cut short"));
        };
        let count = usize::from(u16::from_be_bytes([*high, *low]));
        let (units, after) = sets(tail, count).ok_or(error("cut short"))?;
        if kind & 0x3f == HEVC_SPS {
            found.extend(units);
        }
        rest = after;
    }
    Ok(VideoConfig { params: usable(&found, h265::params_from_sps).map_err(error)?, length_bytes })
}

fn length_bytes(octet: u8) -> Option<usize> {
    match octet & 3 {
        2 => None,
        less_one => Some(usize::from(less_one) + 1),
    }
}

/// `count` NAL units with lengths of two octets, and what follows them.
fn sets(bytes: &[u8], count: usize) -> Option<(Vec<&[u8]>, &[u8])> {
    let (mut rest, mut sets) = (bytes, Vec::new());
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (set, after) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        sets.push(set);
        rest = after;
    }
    Some((sets, rest))
}

/// The parameters of the first set that can be read; an error when there are sets and none can.
fn usable<E>(
    sets: &[&[u8]],
    read: impl Fn(&[u8]) -> Result<VideoParams, E>,
) -> Result<Option<VideoParams>, &'static str> {
    match sets.iter().find_map(|set| read(set).ok()) {
        None if !sets.is_empty() => Err("no usable sequence parameter set"),
        params => Ok(params),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::from_hex;

    /// `codec profile WxH fps, length octets`, or the reason.
    fn check(read: fn(&[u8]) -> Result<VideoConfig, ConfigError>, hex: &str, expected: &str) {
        let got = match read(&from_hex(hex, 4096).expect("the case is hexadecimal")) {
            Err(error) => error.what.to_owned(),
            Ok(VideoConfig { params: None, length_bytes }) => format!("-, {length_bytes}"),
            Ok(VideoConfig { params: Some(p), length_bytes }) => {
                let profile = p.profile.unwrap_or_default();
                format!("{} {profile} {}x{} {:?}, {length_bytes}", p.codec, p.width, p.height, p.fps)
            }
        };
        assert_eq!(got, expected, "{hex}");
    }

    #[test]
    fn avcc() {
        let sps = "6742c00ad9047b0110000003001000000301 40f1226480".replace(' ', "");
        let whole = format!("0142c00affe1{:04x}{sps}01000468ce3c80", sps.len() / 2);
        check(parse_avcc, &whole, "h264 Constrained Baseline 64x48 Some(10.0), 4");
        check(parse_avcc, &whole[..40], "cut short");
        check(parse_avcc, "0142c00affe000", "-, 4");
        check(parse_avcc, "0142c00afce000", "-, 1");
        check(parse_avcc, "0142c00afee000", "NAL unit lengths of 3 octets");
        check(parse_avcc, "0242c00affe000", "unknown version");
        check(parse_avcc, "0142c00affe100026742", "no usable sequence parameter set");
        check(parse_avcc, "", "cut short");
    }

    #[test]
    fn hvcc_without_sets_and_damaged() {
        let head = format!("01{}ff", "00".repeat(20));
        check(parse_hvcc, &format!("{head}00"), "-, 4");
        check(parse_hvcc, &format!("{head}01a10001"), "cut short");
        check(parse_hvcc, &format!("{head}01a1000100024201"), "no usable sequence parameter set");
        check(parse_hvcc, &head, "cut short");
    }
}
