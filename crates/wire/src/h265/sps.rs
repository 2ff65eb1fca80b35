//! The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2 and annex E).
//!
//! Reads as far as the frame rate and no further, and does not hold a picture against its level.

use crate::bits::{Bits, unescape};
use crate::video::{
    MAX_PARAMETER_SET_BYTES, MAX_SIDE, SpsError, VideoParams, cropped, frame_rate, skip_picture_information,
};

/// NAL unit type of a sequence parameter set.
const SPS: u8 = 33;
/// Most sub-layers, pictures in a reference set, sets, and long-term pictures (H.265, 7.4.3.2).
const MAX_SUB_LAYERS_MINUS1: u32 = 6;
const MAX_REFERENCES: u32 = 16;
const MAX_REFERENCE_SETS: u32 = 64;
const MAX_LONG_TERM: u32 = 32;

/// Picture parameters of a sequence parameter set (a NAL unit with its header, without a start code).
///
/// # Errors
/// When it is another NAL unit, ends too early, or describes no plausible picture.
pub fn params_from_sps(nal: &[u8]) -> Result<VideoParams, SpsError> {
    let error = |what| SpsError { what };
    let Some((&[first, _], body)) = nal.split_first_chunk::<2>() else {
        return Err(error("empty"));
    };
    if first >> 1 & 0x3f != SPS {
        return Err(error("another NAL unit"));
    }
    if nal.len() > MAX_PARAMETER_SET_BYTES {
        return Err(error("longer than the limit"));
    }
    let raw = unescape(body);
    let mut bits = Bits::new(&raw);
    let head = Head::read(&mut bits).ok_or(error("cut short, or a value out of its range"))?;
    Ok(VideoParams {
        codec: "hevc",
        profile: profile_name(head.profile).map(str::to_owned),
        level: Some(format!("{}.{}", head.level / 30, head.level % 30 / 3)),
        width: head.width,
        height: head.height,
        fps: timing(&mut bits, head.sub_layers_minus1),
    })
}

/// Profile as ffprobe names it, from `general_profile_idc`.
#[must_use]
pub fn profile_name(profile_idc: u8) -> Option<&'static str> {
    Some(match profile_idc {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Rext",
        6 => "Multiview Main",
        9 => "Scc",
        _ => return None,
    })
}

struct Head {
    profile: u8,
    level: u8,
    sub_layers_minus1: u32,
    width: u32,
    height: u32,
}

impl Head {
    /// Reads up to the conformance window.
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers_minus1 = bits.bits(3).filter(|&count| count <= MAX_SUB_LAYERS_MINUS1)?;
        bits.bit()?; // sps_temporal_id_nesting_flag
        let (profile, level) = profile_tier_level(bits, sub_layers_minus1)?;
        bits.ue(15)?; // sps_seq_parameter_set_id
        let chroma_format = bits.ue(3)?;
        let separate_planes = chroma_format == 3 && bits.bit()?;
        let mut width = bits.ue(MAX_SIDE).filter(|&width| width > 0)?;
        let mut height = bits.ue(MAX_SIDE).filter(|&height| height > 0)?;
        if bits.bit()? {
            let mut window = [0; 4];
            for side in &mut window {
                *side = bits.ue(MAX_SIDE)?;
            }
            let subsampled = |formats: &[u32]| if !separate_planes && formats.contains(&chroma_format) { 2 } else { 1 };
            width = cropped(width, [window[0], window[1]], subsampled(&[1, 2]))?;
            height = cropped(height, [window[2], window[3]], subsampled(&[1]))?;
        }
        Some(Self { profile, level, sub_layers_minus1, width, height })
    }
}

fn profile_tier_level(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<(u8, u8)> {
    bits.skip(3)?; // general_profile_space, general_tier_flag
    let profile = bits.bits(5)?;
    bits.skip(32 + 4 + 43 + 1)?; // compatibility, source flags, constraints
    let level = bits.bits(8)?;
    let mut present = Vec::with_capacity(MAX_SUB_LAYERS_MINUS1 as usize);
    for _ in 0..sub_layers_minus1 {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - sub_layers_minus1 as usize))?;
    }
    for (profile_present, level_present) in present {
        bits.skip(88 * usize::from(profile_present) + 8 * usize::from(level_present))?;
    }
    Some((u8::try_from(profile).ok()?, u8::try_from(level).ok()?))
}

/// The frame rate, when the usability information is there and says it.
fn timing(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<f64> {
    coding_tools(bits, sub_layers_minus1)?;
    if !bits.bit()? {
        return None;
    }
    skip_picture_information(bits)?;
    bits.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.bit()? {
        for _ in 0..4 {
            bits.skip_code()?; // default display window
        }
    }
    if !bits.bit()? {
        return None;
    }
    let (ticks, scale) = (bits.bits(32)?, bits.bits(32)?);
    frame_rate(scale, u64::from(ticks))
}

/// Skips everything between the conformance window and the usability information.
fn coding_tools(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<()> {
    bits.ue(8)?; // bit_depth_luma_minus8
    bits.ue(8)?; // bit_depth_chroma_minus8
    let order_count_bits = bits.ue(12)? + 4;
    let first = if bits.bit()? { 0 } else { sub_layers_minus1 };
    for _ in first..=sub_layers_minus1 {
        for _ in 0..3 {
            bits.skip_code()?; // sub-layer ordering
        }
    }
    for _ in 0..6 {
        bits.skip_code()?; // coding and transform block sizes, transform depths
    }
    if bits.bit()? && bits.bit()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.bit()? {
        bits.skip(8)?; // PCM bit depths
        bits.skip_code()?;
        bits.skip_code()?; // PCM block sizes
        bits.bit()?; // pcm_loop_filter_disabled_flag
    }
    reference_sets(bits)?;
    if bits.bit()? {
        for _ in 0..bits.ue(MAX_LONG_TERM)? {
            bits.skip(order_count_bits as usize + 1)?;
        }
    }
    bits.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
}

fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.bit()? {
                bits.skip_code()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size > 1 {
                bits.skip_code()?; // scaling_list_dc_coef_minus8
            }
            for _ in 0..64.min(1 << (4 + size * 2)) {
                bits.skip_code()?; // scaling_list_delta_coef
            }
        }
    }
    Some(())
}

fn reference_sets(bits: &mut Bits<'_>) -> Option<()> {
    let mut pictures = 0;
    for set in 0..bits.ue(MAX_REFERENCE_SETS)? {
        let predicted = set > 0 && bits.bit()?;
        pictures = if predicted { predicted_set(bits, pictures)? } else { explicit_set(bits)? };
    }
    Some(())
}

/// A set written as a difference to the one before, which has `pictures` pictures.
fn predicted_set(bits: &mut Bits<'_>, pictures: u32) -> Option<u32> {
    bits.bit()?; // delta_rps_sign
    bits.skip_code()?; // abs_delta_rps_minus1
    let mut kept = 0;
    for _ in 0..=pictures {
        // used_by_curr_pic_flag, else use_delta_flag
        if bits.bit()? || bits.bit()? {
            kept += 1;
        }
    }
    (kept <= 2 * MAX_REFERENCES).then_some(kept)
}

fn explicit_set(bits: &mut Bits<'_>) -> Option<u32> {
    let (before, after) = (bits.ue(MAX_REFERENCES)?, bits.ue(MAX_REFERENCES)?);
    for _ in 0..before + after {
        bits.skip_code()?; // delta_poc_minus1
        bits.bit()?; // used_by_curr_pic_flag
    }
    Some(before + after)
}
