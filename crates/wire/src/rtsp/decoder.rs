//! The incremental decoder: what arrived so far to whole messages, one at a time.
//!
//! Owns the limits of a message. Tolerates what real servers do (bare line feeds, blank lines between messages, a missing
//! reason, lines without a colon) and refuses early what is not RTSP at all, naming the protocol where it knows it.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Headers, Message, Method, Request, Response};
use crate::text::{excerpt, lossless};

/// Longest head (first line and fields) of a message; servers send under 2 KiB.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest content of a message; session descriptions have under 16 KiB even with many tracks.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Most fields of a message.
pub const MAX_HEADERS: usize = 128;
/// Longest run of blank lines before a message.
const MAX_BLANK_BYTES: usize = 64;
/// Longest first word of a message: a method or the version.
const MAX_FIRST_WORD: usize = 64;
/// Characters of a foreign first line kept in the error.
const EXCERPT_CHARS: usize = 80;

/// What stands before an interleaved packet (RFC 2326 section 10.12): a dollar sign, the channel, the length.
pub const INTERLEAVED_BYTES: usize = 4;

/// The interleaved packet at the front of `bytes` with its channel; `None` when something else or not all of it is there.
#[must_use]
pub fn interleaved(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let &[b'$', channel, high, low, ref rest @ ..] = bytes else { return None };
    Some((channel, rest.get(..usize::from(u16::from_be_bytes([high, low])))?))
}

/// Why the bytes are not RTSP. Offsets count from the first byte given to the decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A part exceeds its limit.
    #[error("{what} longer than {limit} in the message at byte {offset}")]
    TooLarge {
        /// "header", "body" or "number of header fields".
        what: &'static str,
        /// The limit: bytes, or fields.
        limit: usize,
        /// Where the message begins.
        offset: u64,
    },
    /// The bytes break the grammar.
    #[error("{what} at byte {offset}, line {line} of the message")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where the line begins.
        offset: u64,
        /// Line of the message, from 1.
        line: u32,
    },
    /// Another protocol speaks.
    #[error("the peer speaks {protocol}, not RTSP: \"{first_line}\"")]
    Foreign {
        /// "HTTP", "TLS" or "SSH".
        protocol: &'static str,
        /// Beginning of what it said, control characters replaced.
        first_line: String,
        /// Where it begins.
        offset: u64,
    },
    /// The connection ended inside a message.
    #[error("connection ended inside {what} at byte {offset}")]
    Truncated {
        /// "a header", "a body" or "an interleaved packet".
        what: &'static str,
        /// Where the bytes end.
        offset: u64,
    },
}

/// Splits a connection's bytes into messages. After an error it must not be used again.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes of finished messages.
    consumed: u64,
    /// Blank bytes skipped since the last message.
    blank: usize,
    /// Bytes of the current head already searched for its end.
    searched: usize,
    /// A head whose body is still arriving, and the length of that body.
    pending: Option<(Message, usize)>,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes taken from the buffer so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.consumed
    }

    /// Whether no message is under way, so that interleaved packets at the front may be read with [`interleaved`] past this
    /// decoder, which is told so by [`Decoder::pass`].
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.pending.is_none() && self.searched == 0
    }

    /// Takes note of bytes that were read past this decoder.
    pub fn pass(&mut self, bytes: usize) {
        self.consumed += bytes as u64;
        self.blank = 0;
    }

    /// Takes the next message from the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        if self.pending.is_some() {
            return Ok(self.finish_body(buffer));
        }
        if self.searched == 0 {
            self.skip_blank(buffer)?;
        }
        match buffer.first() {
            None => Ok(None),
            Some(b'$') => Ok(self.interleaved(buffer)),
            Some(_) => self.head(buffer),
        }
    }

    /// Says whether the end of the connection, with `rest` left in the buffer, cut a message.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::Foreign`] when the little that came is another protocol's.
    pub fn finish(&self, rest: &[u8]) -> Result<(), DecodeError> {
        let begin = rest.iter().position(|octet| !octet.is_ascii_whitespace()).unwrap_or(rest.len());
        let what = match rest.get(begin) {
            _ if self.pending.is_some() => "a body",
            None => return Ok(()),
            Some(b'$') => "an interleaved packet",
            Some(_) => {
                self.check_first(&rest[begin..])?;
                "a header"
            }
        };
        Err(DecodeError::Truncated { what, offset: self.consumed + rest.len() as u64 })
    }

    fn take(&mut self, buffer: &mut BytesMut, length: usize) -> Bytes {
        self.consumed += length as u64;
        buffer.split_to(length).freeze()
    }

    fn skip_blank(&mut self, buffer: &mut BytesMut) -> Result<(), DecodeError> {
        let blank = buffer.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
        if blank > 0 {
            buffer.advance(blank);
            self.consumed += blank as u64;
            self.blank += blank;
            if self.blank > MAX_BLANK_BYTES {
                let offset = self.consumed - self.blank as u64;
                return Err(DecodeError::Malformed { what: "nothing but blank lines", offset, line: 1 });
            }
        }
        Ok(())
    }

    fn interleaved(&mut self, buffer: &mut BytesMut) -> Option<Message> {
        let (channel, packet) = interleaved(buffer)?;
        let whole = INTERLEAVED_BYTES + packet.len();
        self.blank = 0;
        let payload = self.take(buffer, whole).slice(INTERLEAVED_BYTES..);
        Some(Message::Interleaved { channel, payload })
    }

    fn head(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        if self.searched < MAX_FIRST_WORD {
            self.check_first(buffer)?;
        }
        let visible = &buffer[..buffer.len().min(MAX_HEADER_BYTES)];
        let Some(length) = end_of_head(visible, self.searched) else {
            if visible.len() == MAX_HEADER_BYTES {
                return Err(DecodeError::TooLarge { what: "header", limit: MAX_HEADER_BYTES, offset: self.consumed });
            }
            // The end may straddle: it begins at most three bytes before the first byte not yet seen.
            self.searched = visible.len().saturating_sub(3);
            return Ok(None);
        };
        let (message, body_length) = self.parse_head(&buffer[..length])?;
        self.take_head(buffer, length);
        if body_length == 0 {
            return Ok(Some(message));
        }
        self.pending = Some((message, body_length));
        Ok(self.finish_body(buffer))
    }

    fn take_head(&mut self, buffer: &mut BytesMut, length: usize) {
        buffer.advance(length);
        self.consumed += length as u64;
        self.searched = 0;
        self.blank = 0;
    }

    fn finish_body(&mut self, buffer: &mut BytesMut) -> Option<Message> {
        let (mut message, length) = self.pending.take()?;
        if buffer.len() < length {
            self.pending = Some((message, length));
            return None;
        }
        let content = self.take(buffer, length);
        match &mut message {
            Message::Response(response) => response.body = content,
            Message::Request(request) => request.body = content,
            Message::Interleaved { .. } => {}
        }
        Some(message)
    }

    /// Refuses as early as the first bytes allow.
    fn check_first(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let protocol = match bytes {
            // Handshake or alert record, version 3.x: a TLS server that was spoken to in plain words.
            [0x15 | 0x16, 0x03, ..] => Some("TLS"),
            _ if bytes.starts_with(b"HTTP/") || bytes.starts_with(b"<") => Some("HTTP"),
            _ if bytes.starts_with(b"SSH-") => Some("SSH"),
            _ => None,
        };
        if let Some(protocol) = protocol {
            let line = bytes.split(|octet| matches!(octet, b'\r' | b'\n')).next().unwrap_or_default();
            let first_line = excerpt(line, EXCERPT_CHARS);
            return Err(DecodeError::Foreign { protocol, first_line, offset: self.consumed });
        }
        let starts_well = bytes.first().is_none_or(u8::is_ascii_alphabetic) || matches!(bytes, [0x15 | 0x16]);
        // The first word of a request or response has letters, digits, and a few signs; binary noise fails here.
        let word = bytes.iter().take_while(|&&octet| !matches!(octet, b' ' | b'\r' | b'\n'));
        let clean = word.clone().all(|octet| octet.is_ascii_graphic()) || matches!(bytes, [0x15 | 0x16]);
        if starts_well && clean && word.count() <= MAX_FIRST_WORD {
            return Ok(());
        }
        Err(self.malformed("neither a response, a request nor an interleaved packet", 0, 1))
    }

    fn malformed(&self, what: &'static str, at: usize, line: u32) -> DecodeError {
        DecodeError::Malformed { what, offset: self.consumed + at as u64, line }
    }

    fn parse_head(&self, head: &[u8]) -> Result<(Message, usize), DecodeError> {
        let mut lines = Lines { head, at: 0, line: 0 };
        let (_, _, first) = lines.next().unwrap_or_default();
        let first = lossless(first);
        let mut message = self.first_line(first.trim())?;
        let mut headers = Headers::new();
        for (at, number, line) in lines {
            if line.is_empty() {
                break;
            }
            let line = lossless(line);
            if line.starts_with([' ', '\t']) {
                headers.fold(line.trim());
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                // Other clients skip such lines, so cameras get away with them.
                continue;
            };
            let name = name.trim_end();
            if name.is_empty() || name.bytes().any(|octet| octet <= b' ' || octet == 0x7f) {
                return Err(self.malformed("header field without a proper name", at, number));
            }
            if headers.len() == MAX_HEADERS {
                return Err(DecodeError::TooLarge {
                    what: "number of header fields",
                    limit: MAX_HEADERS,
                    offset: self.consumed,
                });
            }
            headers.push(name, value.trim());
        }
        let body_length = self.body_length(&headers)?;
        match &mut message {
            Message::Response(response) => response.headers = headers,
            Message::Request(request) => {
                request.cseq = headers.get("CSeq").and_then(|value| value.parse().ok()).unwrap_or(0);
                request.headers = headers;
            }
            Message::Interleaved { .. } => {}
        }
        Ok((message, body_length))
    }

    fn first_line(&self, line: &str) -> Result<Message, DecodeError> {
        let mut words = line.splitn(3, ' ');
        let (first, second, third) = (words.next().unwrap_or(""), words.next(), words.next());
        if let Some(version) = version(first) {
            let status = second
                .filter(|digits| digits.len() == 3)
                .and_then(|digits| digits.parse::<u16>().ok())
                .filter(|&status| status >= 100)
                .ok_or_else(|| self.malformed("status line without a status code", 0, 1))?;
            let reason = third.unwrap_or_default().trim().to_owned();
            return Ok(Message::Response(Response { version, ..Response::new(status, reason) }));
        }
        match (second, third.map(str::trim)) {
            (Some(uri), Some(last)) if version(last).is_some() && !uri.is_empty() => {
                Ok(Message::Request(Request::new(Method::from_token(first), uri, 0)))
            }
            _ => Err(self.malformed("neither a status line nor a request line", 0, 1)),
        }
    }

    fn body_length(&self, headers: &Headers) -> Result<usize, DecodeError> {
        let mut length = None;
        for value in headers.get_all("Content-Length") {
            let own: usize = value.parse().map_err(|_| self.malformed("Content-Length is not a number", 0, 1))?;
            if length.is_some_and(|other| other != own) {
                return Err(self.malformed("two different values of Content-Length", 0, 1));
            }
            length = Some(own);
        }
        match length {
            Some(length) if length > MAX_BODY_BYTES => {
                Err(DecodeError::TooLarge { what: "body", limit: MAX_BODY_BYTES, offset: self.consumed })
            }
            other => Ok(other.unwrap_or(0)),
        }
    }
}

/// `RTSP/1.0` to (1, 0).
fn version(word: &str) -> Option<(u8, u8)> {
    let (name, number) = word.split_once('/')?;
    let (major, minor) = number.split_once('.')?;
    name.eq_ignore_ascii_case("RTSP").then_some(())?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Length of the head including its blank line, for any mix of line ends, searching from `from`.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(feed) = bytes[at..].iter().position(|&octet| octet == b'\n') {
        at += feed + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Lines of a head with their offset and number from 1; the line end is taken off.
struct Lines<'a> {
    head: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.head.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&octet| octet == b'\n').unwrap_or(rest.len());
        let line = &rest[..length];
        let begin = self.at;
        self.at += length + 1;
        self.line += 1;
        Some((begin, self.line, line.strip_suffix(b"\r").unwrap_or(line)))
    }
}
