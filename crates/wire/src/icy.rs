//! Internet radio over HTTP: replies of Icecast and of the old Shoutcast servers, whose status line says ICY, titles
//! between the sound (the convention of Shoutcast 1; there is no standard), and the sound itself.
//!
//! Never sends anything and never decodes sound.

mod demux;
mod sound;

pub use demux::{Dechunker, Titles};
pub use sound::{MAX_SEARCH_BYTES, Scanner, Sound, WANTED_FRAMES, WANTED_PAGES};

use crate::rtsp::Headers;
use crate::text::lossless;

/// Longest head of a reply; radio servers send under 1 KiB.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header fields of a reply.
const MAX_FIELDS: usize = 100;

/// The head of a reply.
#[derive(Debug, Clone)]
pub struct Head {
    /// Whether the status line says ICY instead of HTTP.
    pub icy: bool,
    /// Status code.
    pub status: u16,
    /// What follows the code.
    pub reason: String,
    /// Header fields.
    pub headers: Headers,
}

/// Bytes that are no head of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Longer than the limit, or more fields.
    #[error("the headers of the reply are larger than {} KiB or more than {MAX_FIELDS}", MAX_HEAD_BYTES / 1024)]
    TooLarge,
    /// The first line is neither HTTP's nor ICY's.
    #[error("the peer speaks neither HTTP nor ICY")]
    Foreign,
    /// A line that is no header field.
    #[error("the headers of the reply are malformed")]
    Malformed,
}

/// Reads a head; answers it with its length, or `None` when more bytes are needed. Lines may end in a bare line feed.
///
/// # Errors
/// When the first line is of another protocol, a field has no name, or a limit is exceeded.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    let begins = |word: &[u8]| {
        let seen = bytes.len().min(word.len());
        bytes[..seen].eq_ignore_ascii_case(&word[..seen])
    };
    if !begins(b"HTTP/1.") && !begins(b"ICY ") {
        return Err(HeadError::Foreign);
    }
    let Some(length) = head_length(&bytes[..bytes.len().min(MAX_HEAD_BYTES)]) else {
        return if bytes.len() >= MAX_HEAD_BYTES { Err(HeadError::TooLarge) } else { Ok(None) };
    };
    let text = lossless(&bytes[..length]);
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let (_, rest) = first.split_once(' ').ok_or(HeadError::Malformed)?;
    let (code, reason) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let status = code.parse().ok().filter(|status| (100..1000).contains(status)).ok_or(HeadError::Malformed)?;
    let mut headers = Headers::new();
    for line in lines {
        // Continuations went out of use; what they hold is of no use here.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(HeadError::Malformed)?;
        if headers.len() >= MAX_FIELDS {
            return Err(HeadError::TooLarge);
        }
        headers.push(name.trim(), value.trim());
    }
    Ok(Some((Head { icy: begins(b"ICY "), status, reason: reason.trim().to_owned(), headers }, length)))
}

/// Length of the head with the empty line behind it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut line = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, octet)| **octet == b'\n') {
        if matches!(&bytes[line..at], b"" | b"\r") {
            return Some(at + 1);
        }
        line = at + 1;
    }
    None
}

impl Head {
    /// The text of a field, when it is not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Bytes of sound between two titles.
    #[must_use]
    pub fn title_distance(&self) -> Option<usize> {
        self.text("icy-metaint")?.parse().ok().filter(|distance| *distance > 0)
    }

    /// Bits per second that the server declares. Some name one number per channel or relay: the first counts.
    #[must_use]
    pub fn bitrate_bps(&self) -> Option<u64> {
        let information = self.text("ice-audio-info").and_then(|text| {
            text.split(';').find_map(|pair| {
                pair.trim().strip_prefix("ice-bitrate=").or_else(|| pair.trim().strip_prefix("bitrate="))
            })
        });
        let number = self.text("icy-br").or(information)?;
        let kbps: u64 = number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        // Some say bits per second.
        let bps = if kbps >= 8000 { kbps } else { kbps * 1000 };
        Some(bps).filter(|bps| (1..=100_000_000).contains(bps))
    }

    /// Whether the body comes in chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.text("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head {
        let (head, length) = parse_head(bytes).expect("a head").expect("whole");
        assert_eq!(&bytes[length..], b"body");
        for cut in 0..length {
            assert!(matches!(parse_head(&bytes[..cut]), Ok(None)), "cut at {cut}");
        }
        head
    }

    #[test]
    fn icy_and_http() {
        let old = head(b"ICY 200 OK\r\nicy-name:T\xfcr FM\r\nicy-metaint: 8192\r\nicy-br:128,128\r\n\r\nbody");
        assert_eq!((old.icy, old.status, old.reason.as_str()), (true, 200, "OK"));
        assert_eq!(
            (old.text("Icy-Name"), old.title_distance(), old.bitrate_bps()),
            (Some("Tür FM"), Some(8192), Some(128_000))
        );
        let new = head(b"HTTP/1.0 404 File Not Found\nTransfer-Encoding: Chunked\nice-audio-info: ice-samplerate=44100;ice-bitrate=96\n\nbody");
        assert_eq!((new.icy, new.status, new.reason.as_str()), (false, 404, "File Not Found"));
        assert_eq!((new.is_chunked(), new.bitrate_bps(), new.title_distance()), (true, Some(96_000), None));
        assert_eq!(head(b"HTTP/1.1 200\r\nicy-br: 64000\r\n\r\nbody").bitrate_bps(), Some(64_000));
        assert_eq!(head(b"HTTP/1.1 200\r\nicy-br: Quality 4\r\nicy-metaint: 0\r\n\r\nbody").bitrate_bps(), None);
    }

    #[test]
    fn what_is_no_head() {
        let refuse = |bytes: &[u8], expected| assert_eq!(parse_head(bytes).map(|_| ()), Err(expected));
        refuse(b"SSH-2.0", HeadError::Foreign);
        refuse(b"HTTP/2 200\r\n\r\n", HeadError::Foreign);
        refuse(b"ICY OK\r\n\r\n", HeadError::Malformed);
        refuse(b"ICY 200 OK\r\nno colon\r\n\r\n", HeadError::Malformed);
        refuse(&[b"ICY 200 OK\r\nx: ".to_vec(), vec![b'y'; MAX_HEAD_BYTES]].concat(), HeadError::TooLarge);
        refuse(&[b"ICY 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(101), b"\r\n".to_vec()].concat(), HeadError::TooLarge);
    }
}
