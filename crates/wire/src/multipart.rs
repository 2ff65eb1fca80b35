//! `multipart/x-mixed-replace` as cameras send it: a stream of parts, each a picture.
//!
//! Cameras disagree on everything: boundaries with and without quotes and dashes in the header, delimiters with two
//! dashes, four or none, parts with a length, without, or with a wrong one. Never looks into a part.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::rtsp::Headers;
use crate::text::{excerpt, lossless, split_trim};

/// Longest content of a part; an 8K picture at high quality has under 6 MiB.
pub const MAX_PART_BYTES: usize = 8 * 1024 * 1024;
/// Longest head of a part.
pub const MAX_PART_HEADER_BYTES: usize = 8 * 1024;
/// Most fields of a part.
const MAX_PART_HEADERS: usize = 64;
/// Most bytes between parts: before the first, or after one with a wrong length.
const MAX_BETWEEN_BYTES: usize = 64 * 1024;
/// Longest boundary: the RFC says 70.
const MAX_BOUNDARY_BYTES: usize = 200;
/// Dashes that a delimiter may have before the boundary.
const MAX_DASHES: usize = 8;
/// Blanks, and the dashes of the last delimiter, that may follow the boundary.
const MAX_LINE_END: usize = 16;
/// Longest delimiter with its line ends.
const LONGEST_DELIMITER: usize = MAX_BOUNDARY_BYTES + MAX_DASHES + MAX_LINE_END + 8;

/// Why bytes are not multipart. Offsets count from the first byte given to the parser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The content type is not multipart.
    #[error("not a multipart stream: \"{0}\"")]
    NotMultipart(String),
    /// The boundary is too long.
    #[error("boundary of more than {MAX_BOUNDARY_BYTES} bytes")]
    BadBoundary,
    /// No delimiter where one must be.
    #[error("no boundary in {MAX_BETWEEN_BYTES} bytes from byte {offset}")]
    NoBoundary {
        /// Where the search began.
        offset: u64,
    },
    /// A part of a part exceeds its limit.
    #[error("{what} of a part longer than {limit} in the part at byte {offset}")]
    TooLarge {
        /// "header", "number of fields" or "content".
        what: &'static str,
        /// The limit.
        limit: usize,
        /// Where it begins.
        offset: u64,
    },
}

/// A part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its fields.
    pub headers: Headers,
    /// Its content, a slice of the receive buffer.
    pub body: Bytes,
}

/// Splits a stream into parts. After an error it must not be used again.
#[derive(Debug)]
pub struct Parser {
    /// The boundary without dashes in front; empty until learnt from the stream.
    core: Vec<u8>,
    state: State,
    /// Bytes of the buffer already searched in this state.
    searched: usize,
    /// Bytes skipped since the last part.
    skipped: usize,
    consumed: u64,
}

#[derive(Debug)]
enum State {
    /// Looking for a delimiter.
    Between,
    /// Behind a delimiter.
    Head,
    /// Behind a head that says the length.
    Sized(Headers, usize),
    /// Behind a head that does not.
    Open(Headers),
    /// Behind the last delimiter.
    Ended,
}

/// A delimiter found in the buffer.
struct Delimiter {
    /// Where its line begins.
    at: usize,
    /// Where the next line begins.
    end: usize,
    last: bool,
}

impl Parser {
    /// A parser for the stream that a `Content-Type` announces. Without a boundary the first line of the stream tells.
    ///
    /// # Errors
    /// When the type is not multipart or its boundary is too long.
    pub fn from_content_type(content_type: &str) -> Result<Self, MultipartError> {
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !kind.trim().to_ascii_lowercase().starts_with("multipart/") {
            return Err(MultipartError::NotMultipart(excerpt(content_type.as_bytes(), 80)));
        }
        let boundary = rest.split(';').find_map(|parameter| match split_trim(parameter, '=') {
            (name, Some(value)) if name.eq_ignore_ascii_case("boundary") => Some(value.trim_matches('"').trim()),
            _ => None,
        });
        let core = boundary.unwrap_or_default().trim_start_matches('-').as_bytes().to_vec();
        if core.len() > MAX_BOUNDARY_BYTES {
            return Err(MultipartError::BadBoundary);
        }
        Ok(Self { core, state: State::Between, searched: 0, skipped: 0, consumed: 0 })
    }

    /// Whether the last delimiter was seen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes the next part from the front of `buffer`; `None` when more bytes are needed or the stream has ended.
    ///
    /// # Errors
    /// See [`MultipartError`].
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Part>, MultipartError> {
        loop {
            match std::mem::replace(&mut self.state, State::Between) {
                State::Between => {
                    if !self.between(buffer)? {
                        return Ok(None);
                    }
                }
                State::Head => match self.head(buffer)? {
                    Some(state) => self.state = state,
                    None => {
                        self.state = State::Head;
                        return Ok(None);
                    }
                },
                State::Sized(headers, length) => {
                    if buffer.len() < length {
                        self.state = State::Sized(headers, length);
                        return Ok(None);
                    }
                    let body = self.take(buffer, length);
                    return Ok(Some(Part { headers, body }));
                }
                State::Open(headers) => {
                    let Some(body) = self.open(buffer)? else {
                        self.state = State::Open(headers);
                        return Ok(None);
                    };
                    return Ok(Some(Part { headers, body }));
                }
                State::Ended => {
                    self.state = State::Ended;
                    buffer.clear();
                    return Ok(None);
                }
            }
        }
    }

    fn take(&mut self, buffer: &mut BytesMut, length: usize) -> Bytes {
        self.consumed += length as u64;
        self.searched = 0;
        buffer.split_to(length).freeze()
    }

    fn skip(&mut self, buffer: &mut BytesMut, length: usize) {
        buffer.advance(length);
        self.consumed += length as u64;
        self.searched = 0;
    }

    /// Goes behind the next delimiter; `false` when it has not arrived.
    fn between(&mut self, buffer: &mut BytesMut) -> Result<bool, MultipartError> {
        if self.core.is_empty() {
            match self.learn(buffer) {
                Some(line) => self.searched = line,
                None => return self.nothing_between(buffer),
            }
        }
        let Some(found) = self.delimiter(buffer) else {
            return self.nothing_between(buffer);
        };
        if self.skipped + found.at > MAX_BETWEEN_BYTES {
            return Err(MultipartError::NoBoundary { offset: self.consumed - self.skipped as u64 });
        }
        self.skip(buffer, found.end);
        self.skipped = 0;
        self.state = if found.last { State::Ended } else { State::Head };
        Ok(true)
    }

    /// Drops what cannot be part of a delimiter.
    fn nothing_between(&mut self, buffer: &mut BytesMut) -> Result<bool, MultipartError> {
        self.state = State::Between;
        let keep = buffer.len().min(LONGEST_DELIMITER);
        let useless = buffer.len() - keep;
        // The line that holds the delimiter must stay whole, so cut behind a line end only.
        let cut = buffer[..useless].iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
        if self.skipped + buffer.len() > MAX_BETWEEN_BYTES + LONGEST_DELIMITER {
            return Err(MultipartError::NoBoundary { offset: self.consumed - self.skipped as u64 });
        }
        if cut > 0 {
            self.skip(buffer, cut);
            self.skipped += cut;
        }
        Ok(false)
    }

    /// Takes the boundary from the first line that begins with two dashes and goes on, and where that line begins.
    fn learn(&mut self, buffer: &[u8]) -> Option<usize> {
        let mut begin = 0;
        for line in buffer.split_inclusive(|&octet| octet == b'\n') {
            let core = line.trim_ascii_end();
            let dashes = core.iter().take_while(|&&octet| octet == b'-').count();
            if line.ends_with(b"\n") && dashes >= 2 && core.len() > dashes {
                self.core = core[dashes..].iter().take(MAX_BOUNDARY_BYTES).copied().collect();
                return Some(begin);
            }
            begin += line.len();
        }
        None
    }

    /// The next whole delimiter line at or behind `searched`.
    fn delimiter(&mut self, buffer: &[u8]) -> Option<Delimiter> {
        let (&first, tail) = self.core.split_first()?;
        let mut at = self.searched;
        loop {
            let Some(found) = buffer[at..].iter().position(|&octet| octet == first) else {
                at = buffer.len();
                break;
            };
            let begin = at + found;
            let rest = &buffer[begin + 1..];
            let arrived = rest.len().min(tail.len());
            if rest[..arrived] == tail[..arrived]
                && let Some(line) = line_start(buffer, begin)
            {
                match line_end(&rest[arrived..]) {
                    LineEnd::More => {
                        at = begin;
                        break;
                    }
                    LineEnd::At(length, last) => {
                        return Some(Delimiter { at: line, end: begin + self.core.len() + length, last });
                    }
                    LineEnd::Other => {}
                }
            }
            at = begin + 1;
        }
        self.searched = at;
        None
    }

    fn head(&mut self, buffer: &mut BytesMut) -> Result<Option<State>, MultipartError> {
        let visible = &buffer[..buffer.len().min(MAX_PART_HEADER_BYTES)];
        let Some(length) = end_of_head(visible, self.searched) else {
            if visible.len() == MAX_PART_HEADER_BYTES {
                return Err(self.too_large("header", MAX_PART_HEADER_BYTES));
            }
            self.searched = visible.len().saturating_sub(3);
            return Ok(None);
        };
        let mut headers = Headers::new();
        for line in buffer[..length].split(|&octet| octet == b'\n') {
            let line = lossless(line);
            if let (name, Some(value)) = split_trim(&line, ':') {
                if headers.len() == MAX_PART_HEADERS {
                    return Err(self.too_large("number of fields", MAX_PART_HEADERS));
                }
                headers.push(name, value);
            }
        }
        self.skip(buffer, length);
        let declared = headers.get("Content-Length").and_then(|value| value.parse::<usize>().ok());
        match declared {
            Some(length) if length > MAX_PART_BYTES => Err(self.too_large("content", MAX_PART_BYTES)),
            // A length of nothing is what servers write who do not know it.
            Some(length) if length > 0 => Ok(Some(State::Sized(headers, length))),
            _ => Ok(Some(State::Open(headers))),
        }
    }

    /// The content up to the next delimiter, which stays in the buffer.
    fn open(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, MultipartError> {
        let Some(found) = self.delimiter(buffer) else {
            if buffer.len() > MAX_PART_BYTES + LONGEST_DELIMITER {
                return Err(self.too_large("content", MAX_PART_BYTES));
            }
            return Ok(None);
        };
        let mut length = found.at;
        if buffer[..length].ends_with(b"\n") {
            length -= 1;
        }
        if buffer[..length].ends_with(b"\r") {
            length -= 1;
        }
        if length > MAX_PART_BYTES {
            return Err(self.too_large("content", MAX_PART_BYTES));
        }
        let body = self.take(buffer, length);
        Ok(Some(body))
    }

    fn too_large(&self, what: &'static str, limit: usize) -> MultipartError {
        MultipartError::TooLarge { what, limit, offset: self.consumed }
    }
}

/// Where the line begins that has only dashes before `at`; `None` when there is something else.
fn line_start(buffer: &[u8], at: usize) -> Option<usize> {
    let dashes = buffer[..at].iter().rev().take(MAX_DASHES).take_while(|&&octet| octet == b'-').count();
    let begin = at - dashes;
    (begin == 0 || buffer[begin - 1] == b'\n').then_some(begin)
}

enum LineEnd {
    /// Behind the line end, and whether two dashes came first.
    At(usize, bool),
    /// It may come.
    More,
    /// The line goes on with something else.
    Other,
}

fn line_end(rest: &[u8]) -> LineEnd {
    let last = rest.starts_with(b"--");
    let mut at = if last { 2 } else { 0 };
    loop {
        match rest.get(at) {
            Some(b' ' | b'\t' | b'\r') if at < MAX_LINE_END => at += 1,
            Some(b'\n') => return LineEnd::At(at + 1, last),
            None if at <= MAX_LINE_END => return LineEnd::More,
            Some(b'-') if rest == b"-" => return LineEnd::More,
            _ => return LineEnd::Other,
        }
    }
}

/// Length of a head including its blank line. A head may be empty: then the blank line is the first.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes {
        [b'\n', ..] => return Some(1),
        [b'\r', b'\n', ..] => return Some(2),
        _ => {}
    }
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
