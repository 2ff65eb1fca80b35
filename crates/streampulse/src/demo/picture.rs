//! Moving pictures for the samples: colour bars with a ball, drawn and encoded in process.

use jpeg_encoder::{ColorType, Encoder};

const WIDTH: u16 = 320;
const HEIGHT: u16 = 180;
/// Good enough for a sample and small on the wire.
const QUALITY: u8 = 70;
const BALL_RADIUS: i32 = 14;
/// Colours of the bars, from SMPTE's colour bars.
const BARS: [[u8; 3]; 7] =
    [[180, 180, 180], [180, 180, 16], [16, 180, 180], [16, 180, 16], [180, 16, 180], [180, 16, 16], [16, 16, 180]];

/// The JPEG of frame number `n`.
pub(crate) fn frame(n: u32) -> Vec<u8> {
    let (w, h) = (usize::from(WIDTH), usize::from(HEIGHT));
    let mut rgb = vec![0; w * h * 3];
    let (bx, by) = (bounce(n.wrapping_mul(5), WIDTH), bounce(n.wrapping_mul(3), HEIGHT));
    for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % w, i / w);
        let (dx, dy) = (int(x) - bx, int(y) - by);
        let colour = if dx * dx + dy * dy < BALL_RADIUS * BALL_RADIUS {
            [255, 255, 255]
        } else if y > h * 3 / 4 {
            let grey = u8::try_from(x * 255 / w).unwrap_or(255);
            [grey; 3]
        } else {
            BARS[x * BARS.len() / w]
        };
        pixel.copy_from_slice(&colour);
    }
    let mut jpeg = Vec::with_capacity(16 * 1024);
    let encoded = Encoder::new(&mut jpeg, QUALITY).encode(&rgb, WIDTH, HEIGHT, ColorType::Rgb);
    debug_assert!(encoded.is_ok(), "writing into a vector cannot fail");
    jpeg
}

fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A position that runs between the borders.
fn bounce(step: u32, size: u16) -> i32 {
    let room = u32::from(size) - 2 * BALL_RADIUS.unsigned_abs();
    let at = step % (2 * room);
    let at = if at < room { at } else { 2 * room - at };
    i32::try_from(at).unwrap_or(0) + BALL_RADIUS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_pictures_that_differ() {
        let (a, b) = (frame(0), frame(9));
        assert!(a.starts_with(&[0xff, 0xd8]) && a.ends_with(&[0xff, 0xd9]));
        assert_ne!(a, b);
        let info = wire::jpeg::inspect(&a).expect("a JPEG");
        assert_eq!((info.width, info.height), (u32::from(WIDTH), u32::from(HEIGHT)));
    }

    #[test]
    fn the_ball_stays_inside_for_ever() {
        for n in (0..100_000).chain([u32::MAX - 1, u32::MAX]) {
            let x = bounce(n, WIDTH);
            assert!((BALL_RADIUS..=i32::from(WIDTH) - BALL_RADIUS).contains(&x), "{n}: {x}");
        }
    }
}
