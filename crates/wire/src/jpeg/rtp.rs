//! RTP packets to JPEG pictures (RFC 2435).
//!
//! Never repairs: a picture with a gap is dropped, since half a JPEG is a grey half on a wall of thumbnails.

use std::collections::VecDeque;

use super::tables::{Picture, quantisation, write_headers};
use crate::rtp::Header;
use crate::video::DepacketizeError;

/// Largest picture assembled; the fragment offset has 24 bits, cameras stay under 2 MiB.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Finished pictures that wait to be taken.
const MAX_WAITING: usize = 4;
/// Longest quantisation data: four tables of 128 octets.
const MAX_TABLE_BYTES: usize = 512;
/// Qualities from here on bring their own tables.
const FIRST_DYNAMIC_QUALITY: u8 = 128;

/// A whole picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JpegFrame {
    /// RTP time.
    pub timestamp: u32,
    /// A JPEG file.
    pub data: Vec<u8>,
}

/// Packets of one JPEG track to pictures.
#[derive(Debug, Default)]
pub struct Depacketizer {
    current: Option<Current>,
    waiting: VecDeque<JpegFrame>,
    /// Tables that came with a quality from 128 to 254; they hold for later pictures of that quality.
    tables: Option<(u8, Tables)>,
    /// Size for pictures beyond the 2,040 pixels that the packets can say.
    dimensions: Option<(u16, u16)>,
    dropped: u64,
}

#[derive(Debug)]
struct Current {
    timestamp: u32,
    data: Vec<u8>,
    headers: usize,
}

#[derive(Debug, Clone)]
struct Tables {
    octets: Vec<u8>,
    precision: u8,
}

/// The header of every packet.
struct Main {
    offset: usize,
    kind: u8,
    quality: u8,
    width: u16,
    height: u16,
}

impl Depacketizer {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this size where packets say 0, as they must for pictures wider or higher than 2,040 pixels.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: Option<(u32, u32)>) -> Self {
        self.dimensions =
            dimensions.and_then(|(width, height)| Some((width.try_into().ok()?, height.try_into().ok()?)));
        self
    }

    /// Takes a packet. Afterwards call [`Depacketizer::pop`] until it is empty.
    ///
    /// # Errors
    /// When the payload is not JPEG as RFC 2435 packs it; later packets may still be used.
    pub fn push(&mut self, header: &Header, payload: &[u8]) -> Result<(), DepacketizeError> {
        self.content(header, payload).map_err(|what| {
            self.current = None;
            DepacketizeError { sequence: header.sequence, what }
        })
    }

    /// The next finished picture.
    pub fn pop(&mut self) -> Option<JpegFrame> {
        self.waiting.pop_front()
    }

    /// Pictures given up because a part was missing.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn content(&mut self, header: &Header, payload: &[u8]) -> Result<(), &'static str> {
        let (main, mut rest) = split_main(payload).ok_or("JPEG header cut short")?;
        let mut restart_interval = 0;
        if main.kind & 0x40 != 0 {
            let &[high, low, _, _, ref tail @ ..] = rest else {
                return Err("restart header cut short");
            };
            restart_interval = u16::from_be_bytes([high, low]);
            rest = tail;
        }
        if main.offset == 0 {
            rest = self.begin(header, &main, restart_interval, rest)?;
        }
        let fits = match &mut self.current {
            Some(current)
                if current.timestamp == header.timestamp && current.data.len() - current.headers == main.offset =>
            {
                current.data.extend_from_slice(rest);
                current.data.len() <= MAX_FRAME_BYTES
            }
            // Either a part before this one is missing, or nothing of this picture was seen.
            other => {
                self.dropped += u64::from(other.take().is_some());
                true
            }
        };
        if !fits {
            return Err("picture beyond the limit");
        }
        if header.marker {
            self.finish();
        }
        Ok(())
    }

    /// Begins a picture: its quantisation tables follow, when it has its own. Returns the picture's data.
    fn begin<'a>(
        &mut self,
        header: &Header,
        main: &Main,
        restart_interval: u16,
        rest: &'a [u8],
    ) -> Result<&'a [u8], &'static str> {
        self.dropped += u64::from(self.current.take().is_some());
        let halved_height = match main.kind & 0x3f {
            0 => false,
            1 => true,
            _ => return Err("JPEG type that is not supported"),
        };
        let (tables, rest) = self.tables(main.quality, rest)?;
        let given = self.dimensions.unwrap_or_default();
        let width = if main.width == 0 { given.0 } else { main.width };
        let height = if main.height == 0 { given.1 } else { main.height };
        if width == 0 || height == 0 {
            return Err("picture without a size");
        }
        let picture = Picture {
            width,
            height,
            halved_height,
            restart_interval,
            quantisation: &tables.octets,
            precision: tables.precision,
        };
        let mut data = Vec::with_capacity(rest.len() + 1_024);
        if !write_headers(&picture, &mut data) {
            return Err("quantisation tables of a wrong length");
        }
        self.current = Some(Current { timestamp: header.timestamp, headers: data.len(), data });
        Ok(rest)
    }

    fn tables<'a>(&mut self, quality: u8, rest: &'a [u8]) -> Result<(Tables, &'a [u8]), &'static str> {
        if quality < FIRST_DYNAMIC_QUALITY {
            let octets = quantisation(quality).ok_or("quality that is not defined")?;
            return Ok((Tables { octets, precision: 0 }, rest));
        }
        let &[_, precision, high, low, ref tail @ ..] = rest else {
            return Err("quantisation header cut short");
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            let known = self.tables.as_ref().filter(|(of, _)| *of == quality && quality < u8::MAX);
            let (_, tables) = known.ok_or("quantisation tables were never sent")?;
            return Ok((tables.clone(), tail));
        }
        if length > MAX_TABLE_BYTES {
            return Err("quantisation tables of a wrong length");
        }
        let (octets, rest) = tail.split_at_checked(length).ok_or("quantisation tables cut short")?;
        let tables = Tables { octets: octets.to_vec(), precision };
        self.tables = Some((quality, tables.clone()));
        Ok((tables, rest))
    }

    fn finish(&mut self) {
        let Some(mut current) = self.current.take().filter(|current| current.data.len() > current.headers) else {
            return;
        };
        if !current.data.ends_with(&[0xff, 0xd9]) {
            current.data.extend([0xff, 0xd9]);
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(JpegFrame { timestamp: current.timestamp, data: current.data });
    }
}

/// Width and height in pixels that the payload of one packet tells; `None` for pictures too large to be told in it.
#[must_use]
pub fn size_told(payload: &[u8]) -> Option<(u32, u32)> {
    let (main, _) = split_main(payload)?;
    Some((u32::from(main.width), u32::from(main.height))).filter(|(width, height)| *width > 0 && *height > 0)
}

fn split_main(payload: &[u8]) -> Option<(Main, &[u8])> {
    let (&[_, o2, o1, o0, kind, quality, width, height], rest) = payload.split_first_chunk::<8>()?;
    let offset = u32::from_be_bytes([0, o2, o1, o0]) as usize;
    Some((Main { offset, kind, quality, width: u16::from(width) * 8, height: u16::from(height) * 8 }, rest))
}
