//! From decoded planes to a small JPEG: downscaling, range of the samples, encoding. Pure; sizes were capped before.

use bytes::Bytes;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};
use model::fault::Fault;
use model::phase::Phase;

use super::Picture;

/// Widest picture made; wider ones are scaled down. Twice the thumbnail of the page, for sharp screens.
pub(super) const MAX_WIDTH: usize = 960;
/// Quality of the JPEG, of 100.
const QUALITY: u8 = 80;
/// Share of luma samples outside the limited range (one in so many) above which a picture is taken to use the full
/// range. The flag in the stream is no help: cameras that set it wrongly are as common as those that leave it out.
const FULL_RANGE_SHARE: usize = 200;
/// Limited range with room for overshoot: ITU-R BT.601 puts black at 16 and white at 235.
const LIMITED: std::ops::RangeInclusive<u8> = 8..=243;

/// A decoded picture in planes of 8 bits.
pub(super) struct Yuv {
    width: usize,
    height: usize,
    chroma_width: usize,
    chroma_height: usize,
    planes: [Vec<u8>; 3],
}

impl Yuv {
    /// Takes over a frame of H.264, with its place in display order.
    pub(super) fn from_h264(frame: rust_h264::decoder::Frame) -> Result<(i32, Self), String> {
        let chroma = (frame.chroma_width() as usize, frame.chroma_height() as usize);
        let depth = u32::from(frame.bit_depth);
        let narrow = |plane: Vec<u8>| match depth {
            ..=8 => plane,
            _ => plane.chunks_exact(2).map(|b| top_bits(u16::from_le_bytes([b[0], b[1]]), depth)).collect(),
        };
        let planes = [narrow(frame.y), narrow(frame.u), narrow(frame.v)];
        let yuv = Self::new((frame.width as usize, frame.height as usize), chroma, planes)?;
        Ok((frame.pic_order_cnt, yuv))
    }

    /// Takes over a frame of H.265, with its place in display order.
    pub(super) fn from_h265(frame: rust_h265::Frame) -> Result<(i32, Self), String> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let chroma = match frame.chroma_format_idc {
            3 => (width, height),
            2 => (width / 2, height),
            _ => (width / 2, height / 2),
        };
        let depth = u32::from(frame.bit_depth);
        let narrow = |plane: rust_h265::PixelData| match plane {
            rust_h265::PixelData::U8(plane) => plane,
            rust_h265::PixelData::U16(plane) => plane.into_iter().map(|s| top_bits(s, depth)).collect(),
        };
        let planes = [narrow(frame.y), narrow(frame.u), narrow(frame.v)];
        Ok((frame.pic_order_cnt, Self::new((width, height), chroma, planes)?))
    }

    fn new(size: (usize, usize), chroma: (usize, usize), planes: [Vec<u8>; 3]) -> Result<Self, String> {
        let [y, u, v] = &planes;
        let luma = size.0 * size.1;
        let colour = chroma.0 * chroma.1;
        if luma == 0 || colour == 0 || y.len() < luma || u.len() < colour || v.len() < colour {
            return Err(format!("planes of {} by {} are incomplete", size.0, size.1));
        }
        Ok(Self { width: size.0, height: size.1, chroma_width: chroma.0, chroma_height: chroma.1, planes })
    }
}

/// The upper eight of `depth` bits.
fn top_bits(sample: u16, depth: u32) -> u8 {
    u8::try_from(sample >> depth.saturating_sub(8)).unwrap_or(u8::MAX)
}

/// Scales a picture down, where it is too wide, and encodes it.
pub(super) fn jpeg(yuv: Yuv) -> Result<Picture, String> {
    let width = yuv.width.min(MAX_WIDTH);
    let height = (yuv.height * width / yuv.width).max(1);
    let [y, u, v] = yuv.planes;
    let chroma = (yuv.chroma_width, yuv.chroma_height);
    let mut image = Image {
        width: u16::try_from(width).map_err(|e| e.to_string())?,
        height: u16::try_from(height).map_err(|e| e.to_string())?,
        planes: [
            scale(&y, (yuv.width, yuv.height), (width, height)),
            scale(&u, chroma, (width, height)),
            scale(&v, chroma, (width, height)),
        ],
    };
    image.widen();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let (width, height) = (u32::from(image.width), u32::from(image.height));
    encoder.encode_image(image).map_err(|e| e.to_string())?;
    Ok(Picture::Jpeg { bytes: bytes.into(), width, height })
}

/// A picture that is JPEG already.
pub(super) fn whole_jpeg(bytes: Bytes) -> Result<Picture, Fault> {
    match wire::jpeg::inspect(&bytes) {
        Ok(info) => Ok(Picture::Jpeg { bytes, width: info.width, height: info.height }),
        Err(e) => Err(Fault::protocol(Phase::Check, format!("the picture is damaged: {e}"))),
    }
}

/// Averages the samples that fall on each new one; repeats samples where the new plane is larger.
fn scale(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    if from == to {
        return plane[..from.0 * from.1].to_vec();
    }
    let span = |i: usize, from: usize, to: usize| {
        let begin = i * from / to;
        begin..((i + 1) * from / to).max(begin + 1)
    };
    let columns: Vec<_> = (0..to.0).map(|x| span(x, from.0, to.0)).collect();
    let mut out = Vec::with_capacity(to.0 * to.1);
    let mut sums = vec![0u32; from.0];
    for y in 0..to.1 {
        let rows = span(y, from.1, to.1);
        let count = rows.len();
        sums.fill(0);
        for row in rows {
            let line = &plane[row * from.0..(row + 1) * from.0];
            sums.iter_mut().zip(line).for_each(|(sum, sample)| *sum += u32::from(*sample));
        }
        out.extend(columns.iter().map(|column| {
            let sum: u32 = sums[column.clone()].iter().sum();
            let samples = u32::try_from(column.len() * count).unwrap_or(u32::MAX);
            // An average of bytes is a byte.
            u8::try_from(sum / samples).unwrap_or(u8::MAX)
        }));
    }
    out
}

/// Planes of equal size for the encoder.
struct Image {
    width: u16,
    height: u16,
    planes: [Vec<u8>; 3],
}

impl Image {
    /// Stretches limited range to the full range that JPEG has (JFIF 1.02), unless the picture uses it already.
    fn widen(&mut self) {
        let [luma, colour @ ..] = &mut self.planes;
        let outside = luma.iter().filter(|sample| !LIMITED.contains(sample)).count();
        if outside * FULL_RANGE_SHARE > luma.len() {
            return;
        }
        let stretched = |zero: i32, middle: i32, range: i32| -> [u8; 256] {
            std::array::from_fn(|i| {
                let value = (i32::try_from(i).unwrap_or(0) - zero) * 255 / range + middle;
                u8::try_from(value.clamp(0, 255)).unwrap_or(0)
            })
        };
        let table = stretched(16, 0, 219);
        luma.iter_mut().for_each(|sample| *sample = table[usize::from(*sample)]);
        let table = stretched(128, 128, 224);
        colour.iter_mut().flatten().for_each(|sample| *sample = table[usize::from(*sample)]);
    }
}

impl ImageBuffer for Image {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let line = usize::from(self.width);
        let begin = usize::from(y) * line;
        for (buffer, plane) in buffers.iter_mut().zip(&self.planes) {
            buffer.extend_from_slice(&plane[begin..begin + line]);
        }
    }
}
