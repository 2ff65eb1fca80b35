//! What H.264 and H.265 have in common: packets to access units in Annex B, NAL units, picture parameters.
//!
//! Never decodes a picture.

mod access_unit;
mod depacketizer;
mod glance;

pub(crate) use access_unit::NalFacts;
pub use access_unit::{AccessUnit, DepacketizeError, MAX_ACCESS_UNIT_BYTES};
pub use depacketizer::Depacketizer;
pub(crate) use depacketizer::{Content, Packing};
pub use glance::Glance;

use crate::bits::Bits;

/// Largest picture side accepted, in pixels; level 6.2 of either codec ends below it.
pub(crate) const MAX_SIDE: u32 = 16_888;
/// Longest parameter set read; real ones have under 200 bytes.
pub(crate) const MAX_PARAMETER_SET_BYTES: usize = 4 * 1024;
/// Most parameter sets read from a description.
pub(crate) const MAX_PARAMETER_SETS: usize = 32;
/// Aspect ratio given by two numbers of its own.
const EXTENDED_SAR: u32 = 255;
/// Highest plausible frame rate.
const MAX_FPS: f64 = 1_000.0;

/// Parameters of a video stream, from its sequence parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoParams {
    /// Codec as ffprobe names it: "h264" or "hevc".
    pub codec: &'static str,
    /// Profile as ffprobe names it, such as "High" or "Main 10"; `None` when unknown.
    pub profile: Option<String>,
    /// Level such as "4.1".
    pub level: Option<String>,
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Frames per second when the stream says so itself.
    pub fps: Option<f64>,
}

/// A sequence parameter set that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable sequence parameter set: {what}")]
pub struct SpsError {
    /// What is wrong.
    pub what: &'static str,
}

/// Frames per second of a tick rate, when plausible.
pub(crate) fn frame_rate(ticks_per_second: u32, ticks_per_frame: u64) -> Option<f64> {
    let fps = f64::from(ticks_per_second) / ticks_per_frame as f64;
    (fps.is_finite() && fps > 0.0 && fps <= MAX_FPS).then_some(fps)
}

/// Skips what the usability information says of the picture: the part that annex E has in common, up to the place of the
/// chroma samples.
pub(crate) fn skip_picture_information(bits: &mut Bits<'_>) -> Option<()> {
    if bits.bit()? && bits.bits(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.bit()?; // overscan_appropriate_flag
    }
    if bits.bit()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.bit()? {
            bits.skip(24)?; // colour description
        }
    }
    if bits.bit()? {
        bits.skip_code()?; // chroma location, top
        bits.skip_code()?; // and bottom
    }
    Some(())
}

/// The side left after cropping `units` on both ends together.
pub(crate) fn cropped(side: u32, units: [u32; 2], unit: u32) -> Option<u32> {
    let cut = u64::from(units[0]).checked_add(u64::from(units[1]))?.checked_mul(u64::from(unit))?;
    let left = u64::from(side).checked_sub(cut).filter(|&left| left > 0)?;
    u32::try_from(left).ok()
}

/// The NAL units of a byte stream in Annex B form, without start codes and trailing zeros.
pub fn nals(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(annex_b);
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            let end = find_start_code(current);
            rest = end.and_then(|end| after_start_code(&current[end..]));
            let mut nal = &current[..end.unwrap_or(current.len())];
            while let [head @ .., 0] = nal {
                nal = head;
            }
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Looks at every third octet first: in a start code it is 0 or 1.
    while let Some(&third) = bytes.get(at + 2) {
        match third {
            0 => at += 1,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// NAL units of a comma separated base64 list, as descriptions carry parameter sets.
pub(crate) fn base64_nals(list: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    list.split(',')
        .map(|word| word.trim().trim_end_matches('='))
        .filter(|word| !word.is_empty() && word.len() <= MAX_PARAMETER_SET_BYTES * 4 / 3)
        .filter_map(|word| STANDARD_NO_PAD.decode(word).ok())
        .map(|nal| without_start_code(&nal).to_vec())
        .filter(|nal| !nal.is_empty())
        .take(MAX_PARAMETER_SETS)
        .collect()
}

/// A NAL unit without the start code that some cameras put where none belongs.
pub(crate) fn without_start_code(nal: &[u8]) -> &[u8] {
    match nal {
        [0, 0, 1, rest @ ..] | [0, 0, 0, 1, rest @ ..] => rest,
        _ => nal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_of_a_byte_stream() {
        let split = |bytes: &'static [u8]| nals(bytes).collect::<Vec<_>>();
        assert_eq!(split(b"\0\0\0\x01ab\0\0\x01c\0\0\0\0\x01"), [b"ab".as_slice(), b"c"]);
        assert_eq!(split(b"junk\0\0\x01\0\0\x01\x05\x01\x00"), [b"\x05\x01"]);
        assert_eq!(split(b"\0\0\x01\x67\x00\x02\x01\x00\x00\x02"), [b"\x67\x00\x02\x01\x00\x00\x02"]);
        assert!(split(b"").is_empty());
        assert!(split(b"\0\0\0\0").is_empty());
    }

    #[test]
    fn parameter_sets_in_base64() {
        assert_eq!(base64_nals("AAAAAWdk, aO4=,???,"), [vec![0x67, 0x64], vec![0x68, 0xee]]);
        assert_eq!(base64_nals("Z2Q"), [vec![0x67, 0x64]]);
        assert!(base64_nals(&"A".repeat(MAX_PARAMETER_SET_BYTES * 2)).is_empty());
    }

    #[test]
    fn cropping_never_wraps() {
        assert_eq!(cropped(1088, [0, 4], 2), Some(1080));
        assert_eq!(cropped(16, [8, 0], 2), None);
        assert_eq!(cropped(16, [u32::MAX, u32::MAX], 4), None);
    }
}
