//! The block protocol of Blackmagic's streaming encoders (Web Presenter, Streaming Encoder; TCP port 9977): a header line that
//! ends in a colon, lines of `Key: value`, an empty line. `ACK` and `NACK` stand alone.
//!
//! Owns cutting bytes into blocks and reading numbers and times in them. Knows no order of blocks. Blocks hold stream keys:
//! showing one for debugging shows its keys and never its values.

use std::fmt;

use bytes::BytesMut;

/// Longest line, in bytes: lists of platforms and whole XML files in pieces stay far below it.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// Largest block, in bytes: a device repeats the XML of its platforms, which takes a few KiB each.
pub const MAX_BLOCK_BYTES: usize = 256 * 1024;
/// Most lines of a block.
pub const MAX_BLOCK_LINES: usize = 4096;
/// Longest name of a block, and longest part of a line that an error shows, in characters.
const MAX_NAME_CHARS: usize = 40;

/// What a device answers to a request.
pub const ACK: &str = "ACK";
/// What a device answers to a request that it cannot read.
pub const NACK: &str = "NACK";

/// Why bytes are no blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// A line or a block is larger than its limit.
    TooLarge {
        /// Which of them.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Where a block should begin stands something that is no header.
    NoHeader {
        /// The beginning of that line, control characters replaced; of the first line alone, because later ones may be secret.
        found: Option<String>,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { what, limit } => write!(f, "a {what} is larger than {limit}"),
            Self::NoHeader { found: Some(found) } => write!(f, "expected the header of a block, found {found:?}"),
            Self::NoHeader { found: None } => f.write_str("expected the header of a block, found another line"),
        }
    }
}

impl std::error::Error for BlockError {}

/// One block.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    header: String,
    lines: Vec<String>,
}

impl Block {
    /// Its name, without the colon: `STREAM STATE`.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The value of the last line with this key; a status update may repeat one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// Keys and values; lines without a colon have no key and are left out.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| line.split_once(':').map(|(key, value)| (key.trim(), value.trim())))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.header)?;
        f.debug_list().entries(self.pairs().map(|(key, _)| key)).finish()
    }
}

/// Cuts bytes into blocks.
#[derive(Default)]
pub struct Decoder {
    /// Bytes behind the last whole line.
    rest: BytesMut,
    /// How many of them are known to hold no line end.
    searched: usize,
    block: Option<Block>,
    /// Bytes of that block so far.
    size: usize,
    /// Whether a header was seen.
    begun: bool,
}

impl Decoder {
    /// An empty decoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they came; [`Decoder::decode`] tells what is in them.
    pub fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next whole block; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no blocks, or a limit is exceeded. The decoder is of no use afterwards.
    pub fn decode(&mut self) -> Result<Option<Block>, BlockError> {
        while let Some(line) = self.line()? {
            if let Some(block) = self.take(&line)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<String>, BlockError> {
        let too_long = BlockError::TooLarge { what: "line", limit: MAX_LINE_BYTES };
        let Some(end) = self.rest[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.rest.len();
            return if self.rest.len() > MAX_LINE_BYTES { Err(too_long) } else { Ok(None) };
        };
        let end = self.searched + end;
        if end > MAX_LINE_BYTES {
            return Err(too_long);
        }
        let line = self.rest.split_to(end + 1);
        let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        self.searched = 0;
        Ok(Some(crate::text::lossless(line).into_owned()))
    }

    /// Adds a line to the block under way; the block when it is whole.
    fn take(&mut self, line: &str) -> Result<Option<Block>, BlockError> {
        let is_empty = line.trim().is_empty();
        let Some(block) = &mut self.block else {
            if is_empty {
                return Ok(None);
            }
            let name = line.trim();
            let header = match name.strip_suffix(':') {
                Some(header) if is_name(header) => header,
                None if matches!(name, ACK | NACK) => name,
                _ => {
                    let first = (!self.begun).then(|| crate::text::excerpt(name.as_bytes(), MAX_NAME_CHARS));
                    return Err(BlockError::NoHeader { found: first });
                }
            };
            self.begun = true;
            self.block = Some(Block { header: header.to_owned(), lines: Vec::new() });
            self.size = line.len();
            return Ok(None);
        };
        if is_empty {
            return Ok(self.block.take());
        }
        self.size += line.len();
        if self.size > MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge { what: "block", limit: MAX_BLOCK_BYTES });
        }
        if block.lines.len() >= MAX_BLOCK_LINES {
            return Err(BlockError::TooLarge { what: "number of lines of a block", limit: MAX_BLOCK_LINES });
        }
        block.lines.push(line.to_owned());
        Ok(None)
    }
}

/// Whether a text can name a block: `NETWORK INTERFACE 0`. Names that nobody knows yet are names all the same.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
    !text.is_empty() && text.len() <= MAX_NAME_CHARS && text.chars().all(fits)
}

/// Seconds of a time as the devices write it, `DD:HH:MM:SS`; fewer parts are taken from the right. Parts may be separated by
/// semicolons, as timecodes are.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
    const UNITS: [u64; 4] = [1, 60, 3_600, 86_400];
    let parts: Vec<&str> = text.trim().split([':', ';']).collect();
    if parts.len() > UNITS.len() {
        return None;
    }
    let mut sum = 0_u64;
    for (part, unit) in parts.iter().rev().zip(UNITS) {
        let part = part.trim();
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        sum = sum.checked_add(part.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    Some(sum)
}

/// The whole number at the beginning of a text: `5900000`, `12%`.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// A video format as the devices name it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoFormat {
    /// Pixels across; told by the height where the name has none.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Pictures per second; half of the number where the name is interlaced and names fields.
    pub fps: Option<f64>,
    /// Whether the pictures come in two halves.
    pub interlaced: bool,
}

/// Reads `1920x1080p29.97`, `1080p59.94`, `2160p60` and `1080i50`. A name such as `Auto` is none.
#[must_use]
pub fn video_format(name: &str) -> Option<VideoFormat> {
    let name = name.trim();
    let at = name.find(['p', 'i', 'P', 'I'])?;
    let interlaced = name[at..].starts_with(['i', 'I']);
    let (size, rate) = (&name[..at], name[at + 1..].trim());
    let whole = |text: &str| text.parse::<u32>().ok().filter(|pixels| (1..=16_384).contains(pixels));
    let (width, height) = match size.split_once(['x', 'X']) {
        Some((width, height)) => (whole(width)?, whole(height)?),
        None => {
            let height = whole(size)?;
            // The devices know formats of 16:9 alone.
            (height.checked_mul(16)? / 9, height)
        }
    };
    let rate = rate.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0 && *rate <= 1_000.0);
    let fps = rate.map(|rate| if interlaced && rate > 30.0 { rate / 2.0 } else { rate });
    Some(VideoFormat { width, height, fps, interlaced })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers() {
        for (text, expected) in [
            ("00:00:00:07", Some(7)),
            ("01:02:03:04", Some(93_784)),
            ("02:03:04", Some(7_384)),
            ("99:99:99:99", Some(8_916_039)),
            ("12;00", Some(720)),
            ("", None),
            ("-1", None),
            ("1:2:3:4:5", None),
            ("18446744073709551615:0", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
        for (text, expected) in
            [("5900000", Some(5_900_000)), (" 12%", Some(12)), ("x", None), ("", None), ("99999999999999999999", None)]
        {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_of_formats() {
        for (name, expected) in [
            ("1920x1080p29.97", Some((1920, 1080, Some(29.97), false))),
            ("1080p59.94", Some((1920, 1080, Some(59.94), false))),
            ("720p25", Some((1280, 720, Some(25.0), false))),
            ("1080i50", Some((1920, 1080, Some(25.0), true))),
            ("1920x1080i25", Some((1920, 1080, Some(25.0), true))),
            ("2160p", Some((3840, 2160, None, false))),
            ("Auto", None),
            ("p", None),
            ("0p25", None),
            ("99999x1p25", None),
            ("Ünpixel 1080p", None),
        ] {
            let seen = video_format(name).map(|f| (f.width, f.height, f.fps, f.interlaced));
            assert_eq!(seen, expected, "{name}");
        }
    }

    #[test]
    fn blocks_show_no_values() {
        let mut decoder = Decoder::new();
        decoder.push(b"STREAM SETTINGS:\nStream Key: abc1-def2\nCurrent Server: Primary\n\n");
        let block = decoder.decode().expect("blocks").expect("one block");
        assert_eq!(block.get("Stream Key"), Some("abc1-def2"));
        assert_eq!(format!("{block:?}"), "STREAM SETTINGS[\"Stream Key\", \"Current Server\"]");
    }

    #[test]
    fn what_is_no_block_is_refused_with_its_limit() {
        let end = |bytes: &[u8]| {
            let mut decoder = Decoder::new();
            decoder.push(bytes);
            loop {
                match decoder.decode() {
                    Ok(Some(_)) => {}
                    Ok(None) => return "more".to_owned(),
                    Err(error) => return error.to_string(),
                }
            }
        };
        let line = |length: usize| [b"A:\n".to_vec(), vec![b'x'; length], b"\n".to_vec()].concat();
        assert_eq!(end(&line(MAX_LINE_BYTES)), "more");
        assert_eq!(end(&line(MAX_LINE_BYTES + 1)), "a line is larger than 16384");
        assert_eq!(end(&vec![b'x'; MAX_LINE_BYTES + 1]), "a line is larger than 16384");
        assert_eq!(
            end(&[b"A:\n".to_vec(), b"x\n".repeat(MAX_BLOCK_LINES)].concat()),
            "more",
            "as many lines as may be"
        );
        let words = end(&[b"A:\n".to_vec(), b"x\n".repeat(MAX_BLOCK_LINES + 1)].concat());
        assert_eq!(words, "a number of lines of a block is larger than 4096");
        let long = [vec![b'y'; MAX_LINE_BYTES - 1], b"\n".to_vec()].concat();
        assert_eq!(end(&[b"A:\n".to_vec(), long.repeat(17)].concat()), "a block is larger than 262144");
        assert_eq!(
            end(b"HTTP/1.1 400 Bad Request\r\n"),
            "expected the header of a block, found \"HTTP/1.1 400 Bad Request\""
        );
        assert_eq!(end(b"\n\nno: header\n"), "expected the header of a block, found \"no: header\"");
        assert_eq!(end(b"A:\n\nabc1-def2\n"), "expected the header of a block, found another line");
    }
}
