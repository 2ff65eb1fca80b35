//! The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and annex E).
//!
//! Reads as far as the frame rate and no further, and does not hold a picture against its level: cameras are careless
//! with both, and players do not mind.

use crate::bits::{Bits, unescape};
use crate::video::{
    MAX_PARAMETER_SET_BYTES, MAX_SIDE, SpsError, VideoParams, cropped, frame_rate, skip_picture_information,
};

/// NAL unit type of a sequence parameter set.
const SPS: u8 = 7;
/// Profiles whose parameter sets say something of their chroma.
const WITH_CHROMA: [u8; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];

/// Picture parameters of a sequence parameter set (a NAL unit with its header, without a start code).
///
/// # Errors
/// When it is another NAL unit, ends too early, or describes no plausible picture.
pub fn params_from_sps(nal: &[u8]) -> Result<VideoParams, SpsError> {
    let raw = content(nal)?;
    let &[profile, constraints, level, ref rest @ ..] = raw.as_slice() else {
        return Err(CUT_SHORT);
    };
    let mut bits = Bits::new(rest);
    let (width, height) = picture(&mut bits, profile, true).ok_or(OUT_OF_RANGE)?;
    Ok(VideoParams {
        codec: "h264",
        profile: profile_name(profile, constraints).map(str::to_owned),
        level: Some(level_name(profile, constraints, level)),
        width,
        height,
        fps: timing(&mut bits),
    })
}

/// Width and height in pixels before cropping, which is what a decoder makes room for: a picture may be cropped to
/// nearly nothing.
///
/// # Errors
/// As [`params_from_sps`].
pub fn coded_size(nal: &[u8]) -> Result<(u32, u32), SpsError> {
    let raw = content(nal)?;
    let &[profile, _, _, ref rest @ ..] = raw.as_slice() else {
        return Err(CUT_SHORT);
    };
    picture(&mut Bits::new(rest), profile, false).ok_or(OUT_OF_RANGE)
}

const CUT_SHORT: SpsError = SpsError { what: "cut short" };
const OUT_OF_RANGE: SpsError = SpsError { what: "cut short, or a value out of its range" };

/// The bits after the NAL unit's header.
fn content(nal: &[u8]) -> Result<Vec<u8>, SpsError> {
    let error = |what| SpsError { what };
    let (&header, body) = nal.split_first().ok_or(error("empty"))?;
    if header & 0x1f != SPS {
        return Err(error("another NAL unit"));
    }
    if nal.len() > MAX_PARAMETER_SET_BYTES {
        return Err(error("longer than the limit"));
    }
    Ok(unescape(body))
}

/// Profile as ffprobe names it, from `profile_idc` and the constraint flags.
#[must_use]
pub fn profile_name(profile_idc: u8, constraints: u8) -> Option<&'static str> {
    let constrained = constraints & 0x40 != 0;
    let intra = constraints & 0x10 != 0;
    Some(match profile_idc {
        44 => "CAVLC 4:4:4",
        66 if constrained => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 if intra => "High 10 Intra",
        110 => "High 10",
        118 => "Multiview High",
        122 if intra => "High 4:2:2 Intra",
        122 => "High 4:2:2",
        128 => "Stereo High",
        144 => "High 4:4:4",
        244 if intra => "High 4:4:4 Intra",
        244 => "High 4:4:4 Predictive",
        _ => return None,
    })
}

fn level_name(profile: u8, constraints: u8, level: u8) -> String {
    let small = matches!(profile, 66 | 77 | 88);
    if level == 9 || (level == 11 && small && constraints & 0x10 != 0) {
        return "1b".to_owned();
    }
    format!("{}.{}", level / 10, level % 10)
}

/// Reads up to the cropping, or up to where that begins; `None` when a value is missing or impossible.
fn picture(bits: &mut Bits<'_>, profile: u8, cropping: bool) -> Option<(u32, u32)> {
    bits.ue(31)?; // seq_parameter_set_id
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if WITH_CHROMA.contains(&profile) {
        chroma_format = bits.ue(3)?;
        if chroma_format == 3 {
            separate_planes = bits.bit()?;
        }
        bits.ue(6)?; // bit_depth_luma_minus8
        bits.ue(6)?; // bit_depth_chroma_minus8
        bits.bit()?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            scaling_lists(bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.ue(12)?; // log2_max_frame_num_minus4
    match bits.ue(2)? {
        0 => {
            bits.ue(12)?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.skip_code()?; // offset_for_non_ref_pic
            bits.skip_code()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue(255)? {
                bits.skip_code()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.skip_code()?; // max_num_ref_frames
    bits.bit()?; // gaps_in_frame_num_value_allowed_flag
    let width = (bits.ue(MAX_SIDE / 16 - 1)? + 1) * 16;
    let map_units = bits.ue(MAX_SIDE / 16 - 1)? + 1;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?; // mb_adaptive_frame_field_flag
    }
    bits.bit()?; // direct_8x8_inference_flag
    let fields = if frames_only { 1 } else { 2 };
    let height = Some(map_units * 16 * fields).filter(|&height| height <= MAX_SIDE)?;
    if !bits.bit()? || !cropping {
        return Some((width, height));
    }
    let mut crop = [0; 4];
    for side in &mut crop {
        *side = bits.ue(MAX_SIDE)?;
    }
    let subsampled = |formats: &[u32]| if !separate_planes && formats.contains(&chroma_format) { 2 } else { 1 };
    let (unit_x, unit_y) = (subsampled(&[1, 2]), subsampled(&[1]) * fields);
    Some((cropped(width, [crop[0], crop[1]], unit_x)?, cropped(height, [crop[2], crop[3]], unit_y)?))
}

fn scaling_lists(bits: &mut Bits<'_>, count: usize) -> Option<()> {
    for list in 0..count {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

/// The frame rate, when the usability information is there and says it.
fn timing(bits: &mut Bits<'_>) -> Option<f64> {
    if !bits.bit()? {
        return None;
    }
    skip_picture_information(bits)?;
    if !bits.bit()? {
        return None;
    }
    let (ticks, scale) = (bits.bits(32)?, bits.bits(32)?);
    // A tick is the time of a field.
    frame_rate(scale, u64::from(ticks) * 2)
}
