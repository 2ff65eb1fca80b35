//! The sequence header of AV1 (AV1 specification, 5.5) and the kinds of its units, as RTMP carries them.
//!
//! Reads as far as the size of the picture and no further.

use crate::bits::Bits;
use crate::video::{MAX_SIDE, VideoParams, frame_rate};

const SEQUENCE_HEADER: u8 = 1;
/// Unit types that carry coded pictures: frame header, tile group, frame.
const PICTURES: [u8; 3] = [3, 4, 6];
/// Most units walked through in one message.
const MAX_UNITS: usize = 1024;

/// What the units of a message are.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Units {
    /// Parameters of the first sequence header.
    pub(super) params: Option<VideoParams>,
    /// Whether a unit carries coded pictures.
    pub(super) picture: bool,
}

/// Walks through units that carry their lengths; `None` when one is cut short.
pub(super) fn units(bytes: &[u8]) -> Option<Units> {
    let (mut rest, mut units) = (bytes, Units::default());
    for _ in 0..MAX_UNITS {
        let Some((&header, tail)) = rest.split_first() else { break };
        let tail = if header & 4 != 0 { tail.get(1..)? } else { tail };
        let (length, tail) = if header & 2 != 0 { leb128(tail)? } else { (tail.len(), tail) };
        let (body, after) = tail.split_at_checked(length)?;
        let kind = header >> 3 & 0xf;
        if header & 0x80 != 0 {
            return None;
        }
        if kind == SEQUENCE_HEADER && units.params.is_none() {
            units.params = sequence_header(body);
        }
        units.picture |= PICTURES.contains(&kind) && !body.is_empty();
        rest = after;
    }
    Some(units)
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (i, &octet) in bytes.iter().take(4).enumerate() {
        value |= usize::from(octet & 0x7f) << (7 * i);
        if octet & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

fn sequence_header(body: &[u8]) -> Option<VideoParams> {
    let mut bits = Bits::new(body);
    let profile = bits.bits(3)?;
    bits.skip(1)?; // still picture
    let reduced = bits.bit()?;
    let (mut fps, mut level) = (None, 0);
    if reduced {
        level = bits.bits(5)?;
    } else {
        let mut delay_bits = None;
        if bits.bit()? {
            let (ticks, scale) = (bits.bits(32)?, bits.bits(32)?);
            if bits.bit()? {
                let per_picture = u64::from(bits.ue(u32::MAX)?) + 1;
                fps = frame_rate(scale, u64::from(ticks) * per_picture);
            }
            if bits.bit()? {
                delay_bits = Some(bits.bits(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?;
            }
        }
        let initial_delay = bits.bit()?;
        for point in 0..=bits.bits(5)? {
            bits.skip(12)?;
            let index = bits.bits(5)?;
            level = if point == 0 { index } else { level };
            if index > 7 {
                bits.skip(1)?;
            }
            if let Some(width) = delay_bits
                && bits.bit()?
            {
                bits.skip(2 * width + 1)?;
            }
            if initial_delay && bits.bit()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    (width <= MAX_SIDE && height <= MAX_SIDE).then(|| VideoParams {
        codec: "av1",
        profile: ["Main", "High", "Professional"].get(profile as usize).map(|name| (*name).to_owned()),
        level: Some(format!("{}.{}", 2 + (level >> 2), level & 3)),
        width,
        height,
        fps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_header_and_pictures() {
        let made = made_header(640, 360);
        let units = units(&[made.as_slice(), &[0x32, 2, 0x10, 0]].concat()).expect("whole units");
        let params = units.params.expect("a sequence header");
        assert_eq!((params.width, params.height, params.profile.as_deref()), (640, 360, Some("Main")));
        assert_eq!(params.level.as_deref(), Some("3.0"));
        assert!(units.picture);
    }

    /// A unit with a sequence header of this size, written bit by bit.
    fn made_header(width: u32, height: u32) -> Vec<u8> {
        let mut text = String::from("000" /* profile */);
        text += "0"; // still picture
        text += "0"; // reduced
        text += "0"; // timing
        text += "0"; // initial delay
        text += "00000"; // operating points
        text += "000000000000"; // of the first
        text += "00100"; // level 3.0
        text += &format!("{:04b}{:04b}{:010b}{:09b}", 9, 8, width - 1, height - 1);
        while text.len() % 8 != 0 {
            text.push('0');
        }
        let body: Vec<u8> = (0..text.len() / 8)
            .map(|i| u8::from_str_radix(&text[8 * i..8 * i + 8], 2).expect("eight binary digits"))
            .collect();
        [vec![0x0a, u8::try_from(body.len()).expect("short")], body].concat()
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        assert_eq!(units(&[0x32, 5, 0]), None);
        assert_eq!(units(&[0x32]), None);
        assert_eq!(units(&[0x32, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(units(&[0x80, 0]), None);
        assert_eq!(units(&[]), Some(Units::default()));
        assert_eq!(units(&[0x12, 0]), Some(Units::default()));
    }
}
