//! MPEG-1 and MPEG-2 video: sequence headers to picture parameters, and which pictures stand alone.
//!
//! Never decodes a picture.

use crate::bits::Bits;
use crate::video::{MAX_SIDE, VideoParams};

const PICTURE: u8 = 0x00;
const SEQUENCE: u8 = 0xb3;
const EXTENSION: u8 = 0xb5;
/// Frames per second by code.
const RATES: [f64; 8] = [24_000.0 / 1_001.0, 24.0, 25.0, 30_000.0 / 1_001.0, 30.0, 50.0, 60_000.0 / 1_001.0, 60.0];

/// What a piece of a stream holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Parameters of the first sequence header.
    pub params: Option<VideoParams>,
    /// Whether a picture begins.
    pub picture: bool,
    /// Whether a picture begins that stands alone.
    pub intra: bool,
}

/// Looks through the start codes of `bytes`.
#[must_use]
pub fn inspect(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut at = 0;
    while let Some(offset) = bytes.get(at..).and_then(|rest| rest.windows(3).position(|w| w == [0, 0, 1])) {
        let Some((&kind, body)) = bytes.get(at + offset + 3..).and_then(<[u8]>::split_first) else { break };
        at += offset + 3;
        match kind {
            SEQUENCE if seen.params.is_none() => seen.params = sequence(body),
            EXTENSION => extend(seen.params.as_mut(), body),
            PICTURE => {
                // Ten bits of temporal reference, then the type: 1 is intra.
                seen.picture |= body.len() >= 2;
                seen.intra |= body.get(1).is_some_and(|octet| octet >> 3 & 7 == 1);
            }
            _ => {}
        }
    }
    seen
}

fn sequence(body: &[u8]) -> Option<VideoParams> {
    let mut bits = Bits::new(body);
    let (width, height) = (bits.bits(12)?, bits.bits(12)?);
    bits.skip(4)?; // aspect
    let rate = usize::try_from(bits.bits(4)?).ok()?;
    let sides = 1..=MAX_SIDE;
    (sides.contains(&width) && sides.contains(&height)).then(|| VideoParams {
        codec: "mpeg1video",
        profile: None,
        level: None,
        width,
        height,
        fps: rate.checked_sub(1).and_then(|index| RATES.get(index)).copied(),
    })
}

/// The sequence extension makes it MPEG-2 and names the profile.
fn extend(params: Option<&mut VideoParams>, body: &[u8]) {
    const SEQUENCE_EXTENSION: u8 = 1;
    let (Some(params), [first, second, ..]) = (params, body) else { return };
    if first >> 4 != SEQUENCE_EXTENSION {
        return;
    }
    params.codec = "mpeg2video";
    params.profile = match (first & 7) << 4 | second >> 4 {
        code if code & 0x70 == 0x50 => Some("Simple".to_owned()),
        code if code & 0x70 == 0x40 => Some("Main".to_owned()),
        code if code & 0x70 == 0x10 => Some("High".to_owned()),
        0x05 | 0x02 => Some("4:2:2".to_owned()),
        _ => None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_and_pictures() {
        let bytes = [
            0, 0, 1, 0xb3, 0x2d, 0x02, 0x40, 0x33, 0xff, 0xff, 0xe0, 0x18, 0, 0, 1, 0xb5, 0x14, 0x8a, 0, 1, 0, 0, 0, 1,
            0xb8, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0x0f, 0xff, 0xf8,
        ];
        let seen = inspect(&bytes);
        let params = seen.params.expect("a sequence header");
        assert_eq!((params.codec, params.width, params.height, params.fps), ("mpeg2video", 720, 576, Some(25.0)));
        assert_eq!((params.profile.as_deref(), seen.picture, seen.intra), (Some("Main"), true, true));
        assert_eq!(inspect(&[0, 0, 1, 0, 0, 0x10]), Seen { params: None, picture: true, intra: false });
        assert_eq!(inspect(&[0, 0, 1]), Seen::default());
        assert_eq!(inspect(&[0, 0, 1, 0xb3, 0, 0, 0, 0]).params, None);
    }
}
