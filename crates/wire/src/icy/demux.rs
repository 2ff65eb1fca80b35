//! Taking the body apart: transfer chunks (RFC 9112, 7.1) off, titles out.
//!
//! Keeps no more than one line or one title. Whatever a length promises, memory grows only with bytes that came.

use bytes::{Buf, BytesMut};

use crate::text::lossless;

/// Longest line of a chunk's size, extensions included.
const MAX_LINE_BYTES: usize = 256;
/// A title's length is counted in units of this.
const TITLE_UNIT: usize = 16;

/// Takes the chunks of a transfer coding off.
#[derive(Debug, Default)]
pub struct Dechunker {
    /// Octets left of the chunk.
    left: u64,
    /// The line end behind a chunk is still to come.
    between: bool,
    line: Vec<u8>,
    ended: bool,
}

impl Dechunker {
    /// At the beginning of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves content from `input` to `output`; `None` when the coding is broken.
    pub fn push(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Option<()> {
        while !input.is_empty() && !self.ended {
            if self.left > 0 {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                output.extend_from_slice(&input.split_to(count));
                self.left -= count as u64;
                self.between = self.left == 0;
                continue;
            }
            let octet = input.get_u8();
            if octet != b'\n' {
                self.line.push(octet);
                if self.line.len() > MAX_LINE_BYTES {
                    return None;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if std::mem::take(&mut self.between) {
                if !line.is_empty() {
                    return None;
                }
                continue;
            }
            let size = line.split(|octet| *octet == b';').next()?.trim_ascii();
            self.left = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
            self.ended = self.left == 0;
        }
        Some(())
    }
}

/// Takes the titles out of the sound.
#[derive(Debug)]
pub struct Titles {
    /// Octets of sound between two titles; `None` when the server sends none.
    distance: Option<usize>,
    /// Octets of sound left before the next title.
    left: usize,
    /// Titles seen, empty ones included.
    seen: u64,
    title: Option<String>,
}

impl Titles {
    /// For a body with a title after every `distance` octets.
    #[must_use]
    pub fn new(distance: Option<usize>) -> Self {
        Self { distance, left: distance.unwrap_or(0), seen: 0, title: None }
    }

    /// Moves sound from `input` to `output`; what stays in `input` is a title that is not whole.
    pub fn push(&mut self, input: &mut BytesMut, output: &mut BytesMut) {
        let Some(distance) = self.distance else {
            output.extend_from_slice(&input.split());
            return;
        };
        loop {
            let sound = self.left.min(input.len());
            output.extend_from_slice(&input.split_to(sound));
            self.left -= sound;
            let Some(&units) = input.first() else { return };
            let length = 1 + TITLE_UNIT * usize::from(units);
            if input.len() < length {
                return;
            }
            let block = input.split_to(length);
            self.seen += 1;
            if let Some(title) = stream_title(&block[1..]) {
                self.title = Some(title);
            }
            self.left = distance;
        }
    }

    /// The last title that was not empty.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Whether titles are announced and none has come.
    #[must_use]
    pub fn awaits(&self) -> bool {
        self.distance.is_some() && self.seen == 0
    }
}

/// The value of `StreamTitle='...';`. A title may hold quotes: the end is a quote with a semicolon.
fn stream_title(block: &[u8]) -> Option<String> {
    let end = block.iter().position(|octet| *octet == 0).unwrap_or(block.len());
    let text = lossless(&block[..end]);
    let (_, rest) = text.split_once("StreamTitle='")?;
    let title = rest.split("';").next().unwrap_or_default().trim();
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Vec<u8> {
        let units = text.len().div_ceil(16);
        let mut block = vec![u8::try_from(units).expect("short")];
        block.extend(text.as_bytes());
        block.resize(1 + 16 * units, 0);
        block
    }

    #[test]
    fn titles_come_out_however_the_bytes_are_cut() {
        let stream =
            [b"abcd".as_slice(), &block("StreamTitle='It's me; you';StreamUrl='';"), b"efgh", &[0], b"ij"].concat();
        for piece in [1, 3, stream.len()] {
            let (mut titles, mut input, mut output) = (Titles::new(Some(4)), BytesMut::new(), BytesMut::new());
            assert!(titles.awaits());
            for part in stream.chunks(piece) {
                input.extend_from_slice(part);
                titles.push(&mut input, &mut output);
            }
            assert_eq!((&output[..], titles.title()), (b"abcdefghij".as_slice(), Some("It's me; you")));
            assert!(!titles.awaits());
        }
        let (mut input, mut output) = (BytesMut::from(&b"abc"[..]), BytesMut::new());
        Titles::new(None).push(&mut input, &mut output);
        assert_eq!(&output[..], b"abc");
    }

    #[test]
    fn titles_that_are_none() {
        assert_eq!(stream_title(b"StreamTitle='';\0\0"), None);
        assert_eq!(stream_title(b"StreamUrl='x';"), None);
        assert_eq!(stream_title(b"StreamTitle='T\xfcr';"), Some("Tür".to_owned()));
        assert_eq!(stream_title(b"StreamTitle='open"), Some("open".to_owned()));
    }

    #[test]
    fn chunks_come_off() {
        let read = |bytes: &[u8], piece: usize| {
            let (mut chunks, mut input, mut output) = (Dechunker::new(), BytesMut::new(), BytesMut::new());
            for part in bytes.chunks(piece) {
                input.extend_from_slice(part);
                chunks.push(&mut input, &mut output)?;
            }
            Some(String::from_utf8_lossy(&output).into_owned())
        };
        for piece in [1, 2, 100] {
            assert_eq!(read(b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", piece).as_deref(), Some("abc0123456789"));
            assert_eq!(read(b"x\r\n", piece), None);
            assert_eq!(read(b"1\r\nab\r\n", piece), None);
            assert_eq!(read(&[b'1'; 300], piece), None);
        }
    }
}
