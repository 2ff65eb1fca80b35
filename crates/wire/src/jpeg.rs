//! JPEG: is this a picture and of what size; RTP packets to pictures (RFC 2435).
//!
//! Never decodes a picture.

mod rtp;
mod tables;

pub use rtp::{Depacketizer, JpegFrame, MAX_FRAME_BYTES, size_told};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
/// Most segments before the picture's data; cameras with long comments have under 50.
const MAX_SEGMENTS: usize = 1_000;

/// What a JPEG says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegInfo {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Colour components: 1 is grey, 3 is colour.
    pub components: u8,
    /// Whether it is progressive rather than sequential.
    pub progressive: bool,
    /// Profile as ffprobe names it: "Baseline", "Sequential", "Progressive" or "Lossless".
    pub profile: &'static str,
    /// Octets from the beginning to the end marker; what follows is not part of the picture.
    pub length: usize,
}

/// Why bytes are not a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} of the picture")]
pub struct JpegError {
    /// What is wrong.
    pub what: &'static str,
    /// Where.
    pub offset: usize,
    /// Whether the bytes are right as far as they go, and more of them could make a picture.
    pub truncated: bool,
}

/// Where the first start marker is, for streams that put something before it.
#[must_use]
pub fn find_start(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| matches!(window, [0xff, SOI, 0xff]))
}

/// Walks a whole picture from its start marker to its end marker.
///
/// # Errors
/// When a marker is out of place, the frame header is missing or impossible, or the picture is cut short.
pub fn inspect(bytes: &[u8]) -> Result<JpegInfo, JpegError> {
    let mut walk = Walk { bytes, at: 2 };
    match bytes {
        [0xff, SOI, ..] => {}
        [] | [0xff] => return Err(walk.cut()),
        _ => return Err(walk.wrong("no start marker", 0)),
    }
    let mut info: Option<JpegInfo> = None;
    let mut scanned = false;
    for _ in 0..MAX_SEGMENTS {
        let begin = walk.at;
        match walk.marker()? {
            EOI => {
                let whole = info.filter(|_| scanned);
                let whole = whole.ok_or(walk.wrong("end marker before any picture data", begin))?;
                return Ok(JpegInfo { length: walk.at, ..whole });
            }
            SOS => {
                info.ok_or(walk.wrong("picture data before the frame header", begin))?;
                walk.segment()?;
                walk.entropy()?;
                scanned = true;
            }
            // Start of frame: all but DHT, JPG and DAC in this row.
            kind @ 0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                let read = frame_header(walk.segment()?, kind);
                info = Some(read.ok_or(walk.wrong("impossible frame header", begin))?);
            }
            // Markers without a length.
            0x01 | 0xd0..=0xd7 => {}
            SOI => return Err(walk.wrong("second start marker", begin)),
            _ => {
                walk.segment()?;
            }
        }
    }
    Err(walk.wrong("too many segments", walk.at))
}

fn frame_header(segment: &[u8], kind: u8) -> Option<JpegInfo> {
    let &[_precision, h1, h0, w1, w0, components, ..] = segment else {
        return None;
    };
    let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
    let profile = match kind {
        0xc0 => "Baseline",
        _ => match kind & 3 {
            2 => "Progressive",
            3 => "Lossless",
            _ => "Sequential",
        },
    };
    let plausible = width > 0 && height > 0 && (1..=4).contains(&components);
    plausible.then_some(JpegInfo {
        width: width.into(),
        height: height.into(),
        components,
        progressive: kind & 3 == 2,
        profile,
        length: 0,
    })
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn cut(&self) -> JpegError {
        JpegError { what: "cut short", offset: self.bytes.len(), truncated: true }
    }

    fn wrong(&self, what: &'static str, offset: usize) -> JpegError {
        JpegError { what, offset, truncated: false }
    }

    fn marker(&mut self) -> Result<u8, JpegError> {
        if self.bytes.get(self.at).is_some_and(|&octet| octet != 0xff) {
            return Err(self.wrong("no marker", self.at));
        }
        // Any number of fill octets may come before the code.
        while self.bytes.get(self.at) == Some(&0xff) {
            self.at += 1;
        }
        let code = *self.bytes.get(self.at).ok_or(self.cut())?;
        self.at += 1;
        if code == 0 { Err(self.wrong("no marker", self.at - 1)) } else { Ok(code) }
    }

    /// The content of a segment, after its length.
    fn segment(&mut self) -> Result<&'a [u8], JpegError> {
        let &[high, low, ..] = self.bytes.get(self.at..).unwrap_or_default() else {
            return Err(self.cut());
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(self.wrong("segment shorter than its length", self.at));
        }
        let content = self.bytes.get(self.at + 2..self.at + length).ok_or(self.cut())?;
        self.at += length;
        Ok(content)
    }

    /// Skips the picture's data up to the next marker that is not part of it.
    fn entropy(&mut self) -> Result<(), JpegError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let found = rest.iter().position(|&octet| octet == 0xff).ok_or(self.cut())?;
            self.at += found;
            match self.bytes.get(self.at + 1) {
                None => return Err(self.cut()),
                Some(0 | 0xd0..=0xd7) => self.at += 2,
                Some(0xff) => self.at += 1,
                Some(_) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOF: &[u8] = &[0xff, 0xc0, 0, 11, 8, 0, 16, 0, 32, 1, 1, 0x11, 0];
    const SCAN: &[u8] = &[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xaa, 0xff, 0, 0xff, 0xd0, 0xbb];

    /// "width height profile length", or the reason, of a picture of these parts.
    fn check(parts: &[&[u8]], expected: &str) {
        let seen = match inspect(&parts.concat()) {
            Ok(info) => format!("{} {} {} {}", info.width, info.height, info.profile, info.length),
            Err(error) => error.to_string(),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn pictures() {
        let (start, end): (&[u8], &[u8]) = (&[0xff, 0xd8], &[0xff, 0xd9]);
        check(&[start, SOF, SCAN, end], "32 16 Baseline 33");
        check(&[start, SOF, SCAN, end, b"\r\n--boundary"], "32 16 Baseline 33");
        check(&[start, &[0xff, 0xff, 0xfe, 0, 4, 0xff, 0xd9], SOF, SCAN, SCAN, end], "32 16 Baseline 56");
        let mut progressive = SOF.to_vec();
        progressive[1] = 0xc2;
        check(&[start, &progressive, SCAN, end], "32 16 Progressive 33");
        check(&[start, SOF, SCAN], "cut short at byte 31 of the picture");
        check(&[start, SOF, end], "end marker before any picture data at byte 15 of the picture");
        check(&[start, SCAN, end], "picture data before the frame header at byte 2 of the picture");
        check(&[start, SOF, start, SCAN, end], "second start marker at byte 15 of the picture");
        let mut flat = SOF.to_vec();
        flat[6] = 0;
        check(&[start, &flat, SCAN, end], "impossible frame header at byte 2 of the picture");
        check(&[b"GIF89a"], "no start marker at byte 0 of the picture");
        check(&[start, b"junk"], "no marker at byte 2 of the picture");
        check(&[start, &[0xff, 0xe0, 0, 1]], "segment shorter than its length at byte 4 of the picture");
        check(&[&[0xff]], "cut short at byte 1 of the picture");
        check(&[start, &[0xff, 0xfe, 0, 2].repeat(2_000)], "too many segments at byte 4002 of the picture");
    }

    #[test]
    fn the_start_is_found() {
        assert_eq!(find_start(b"--b\r\n\r\n\xff\xd8\xff\xe0"), Some(7));
        assert_eq!(find_start(b"\xff\xd8"), None);
    }
}
