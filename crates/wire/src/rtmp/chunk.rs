//! The chunk stream (RTMP 1.0, 5.3): messages in pieces, several streams of them interleaved.
//!
//! Follows SetChunkSize and Abort by itself. Never keeps more than [`MAX_PARTIAL_BYTES`] of unfinished messages, whatever
//! their headers promise. Quirks met: a new header in the middle of a message (the old message is forgotten, as players do),
//! continuations with and without the extended timestamp, a first chunk without a stream id.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::message::kind;

/// Largest message accepted. A key frame of 4K video has about 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most chunk streams on one connection; servers use fewer than ten.
pub const MAX_CHUNK_STREAMS: usize = 64;
/// Most bytes of unfinished messages, all chunk streams together.
pub const MAX_PARTIAL_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// Chunk size until the peer changes it (RTMP 1.0, 5.4.1).
const DEFAULT_CHUNK_BYTES: usize = 128;
/// Largest chunk size that makes sense: no message is longer than its 24 bits of length.
const MAX_CHUNK_BYTES: usize = 0xff_ffff;
/// A timestamp that says "look behind the header".
const EXTENDED: u32 = 0xff_ffff;

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chunk stream it came on.
    pub chunk_stream: u32,
    /// Milliseconds on the peer's clock.
    pub timestamp: u32,
    /// Type (see [`kind`]).
    pub kind: u8,
    /// Message stream; 0 is the connection itself.
    pub stream: u32,
    /// Content.
    pub payload: Bytes,
}

/// A chunk stream that cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More than a limit of ours allows.
    #[error("{what} at octet {offset}: more than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// Octet of the chunk stream.
        offset: u64,
    },
    /// Not a chunk stream.
    #[error("malformed chunk at octet {offset}: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Octet of the chunk stream.
        offset: u64,
    },
}

/// One chunk stream.
#[derive(Debug, Default)]
struct Channel {
    /// Timestamp of the message that is arriving or came last.
    timestamp: u32,
    /// Timestamp field of the last header: absolute, or the difference that a bare continuation repeats.
    field: u32,
    /// Whether the field stood behind the header.
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    partial: BytesMut,
    /// A message has begun and is not complete.
    open: bool,
}

/// Chunks to messages.
#[derive(Debug)]
pub struct Decoder {
    chunk_bytes: usize,
    channels: BTreeMap<u32, Channel>,
    partial: usize,
    offset: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// A chunk's header as it stands in the bytes.
struct Head {
    format: u8,
    chunk_stream: u32,
    /// Octets of the basic header.
    basic: usize,
}

impl Decoder {
    /// For the bytes behind the handshake.
    #[must_use]
    pub fn new() -> Self {
        Self { chunk_bytes: DEFAULT_CHUNK_BYTES, channels: BTreeMap::new(), partial: 0, offset: 0 }
    }

    /// Octets read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether some message has begun and is not complete.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        self.channels.values().any(|channel| channel.open)
    }

    /// The next message in `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no chunk stream or exceed a limit. An error is final.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        loop {
            let before = buffer.len();
            match self.chunk(buffer)? {
                Some(Some(message)) => return Ok(Some(message)),
                Some(None) => debug_assert!(buffer.len() < before, "a chunk has at least one octet"),
                None => return Ok(None),
            }
        }
    }

    /// Takes one chunk: `None` when it is not whole, `Some(None)` when it ended no message.
    fn chunk(&mut self, buffer: &mut BytesMut) -> Result<Option<Option<Message>>, DecodeError> {
        let Some(head) = head(buffer) else { return Ok(None) };
        let malformed = |what| DecodeError::Malformed { what, offset: self.offset };
        if !self.channels.contains_key(&head.chunk_stream) {
            if head.format > 1 {
                return Err(malformed("a chunk stream begins without a message header"));
            }
            if self.channels.len() >= MAX_CHUNK_STREAMS {
                return Err(self.too_large("chunk streams", MAX_CHUNK_STREAMS));
            }
        }
        let Some(fields) = buffer.get(head.basic..head.basic + HEADER_BYTES[usize::from(head.format)]) else {
            return Ok(None);
        };
        let known = self.channels.get(&head.chunk_stream);
        let mut next = Fields::read(head.format, fields, known);
        let mut taken = head.basic + fields.len();
        if next.extended {
            let Some(four) = buffer[taken..].first_chunk::<4>() else { return Ok(None) };
            let value = u32::from_be_bytes(*four);
            // Some senders leave it out of continuations: it is one only when it repeats the header's.
            if head.format < 3 || value == next.field {
                next.field = value;
                taken += 4;
            }
        }
        if next.length > MAX_MESSAGE_BYTES {
            return Err(self.too_large("a message", MAX_MESSAGE_BYTES));
        }
        let begins = head.format < 3 || known.is_none_or(|channel| !channel.open);
        let arrived = if begins { 0 } else { known.map_or(0, |channel| channel.partial.len()) };
        let piece = (next.length - arrived).min(self.chunk_bytes);
        if buffer.len() < taken + piece {
            return Ok(None);
        }
        buffer.advance(taken);
        let data = buffer.split_to(piece);
        self.offset += (taken + piece) as u64;
        let channel = self.channels.entry(head.chunk_stream).or_default();
        if begins {
            self.partial -= channel.partial.len();
            channel.partial.clear();
            channel.begin(head.format, &next);
        }
        channel.partial.extend_from_slice(&data);
        self.partial += piece;
        if channel.partial.len() < channel.length {
            if self.partial > MAX_PARTIAL_BYTES {
                return Err(self.too_large("unfinished messages", MAX_PARTIAL_BYTES));
            }
            return Ok(Some(None));
        }
        channel.open = false;
        self.partial -= channel.partial.len();
        let message = Message {
            chunk_stream: head.chunk_stream,
            timestamp: channel.timestamp,
            kind: channel.kind,
            stream: channel.stream,
            payload: channel.partial.split().freeze(),
        };
        self.obey(&message)?;
        Ok(Some(Some(message)))
    }

    /// Follows the messages that change how chunks are read.
    fn obey(&mut self, message: &Message) -> Result<(), DecodeError> {
        let value = message.payload.first_chunk::<4>().map(|octets| u32::from_be_bytes(*octets));
        match (message.kind, value) {
            (kind::SET_CHUNK_SIZE, Some(size)) => {
                let size = (size & 0x7fff_ffff) as usize;
                if size == 0 {
                    return Err(DecodeError::Malformed { what: "a chunk size of 0", offset: self.offset });
                }
                self.chunk_bytes = size.min(MAX_CHUNK_BYTES);
            }
            (kind::ABORT, Some(chunk_stream)) => {
                if let Some(channel) = self.channels.get_mut(&chunk_stream) {
                    self.partial -= channel.partial.len();
                    channel.partial.clear();
                    channel.open = false;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn too_large(&self, what: &'static str, limit: usize) -> DecodeError {
        DecodeError::TooLarge { what, limit, offset: self.offset }
    }
}

/// Octets of the message header by format.
const HEADER_BYTES: [usize; 4] = [11, 7, 3, 0];

fn head(buffer: &[u8]) -> Option<Head> {
    let &first = buffer.first()?;
    let (chunk_stream, basic) = match first & 0x3f {
        0 => (64 + u32::from(*buffer.get(1)?), 2),
        1 => (64 + u32::from(*buffer.get(1)?) + 256 * u32::from(*buffer.get(2)?), 3),
        id => (u32::from(id), 1),
    };
    Some(Head { format: first >> 6, chunk_stream, basic })
}

/// What a header says, completed by what it leaves out.
struct Fields {
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
}

impl Fields {
    fn read(format: u8, octets: &[u8], known: Option<&Channel>) -> Self {
        let nothing = Channel::default();
        let known = known.unwrap_or(&nothing);
        let three =
            |at: usize| octets.get(at..at + 3).map(|o| u32::from(o[0]) << 16 | u32::from(o[1]) << 8 | u32::from(o[2]));
        let field = three(0);
        let stream = octets.get(7..11).and_then(|o| o.first_chunk::<4>()).map(|o| u32::from_le_bytes(*o));
        Self {
            field: field.unwrap_or(known.field),
            extended: if format == 3 { known.extended } else { field == Some(EXTENDED) },
            length: three(3).map_or(known.length, |length| length as usize),
            kind: octets.get(6).copied().unwrap_or(known.kind),
            stream: stream.unwrap_or(known.stream),
        }
    }
}

impl Channel {
    fn begin(&mut self, format: u8, next: &Fields) {
        self.timestamp = if format == 0 { next.field } else { self.timestamp.wrapping_add(next.field) };
        self.field = next.field;
        self.extended = next.extended;
        self.length = next.length;
        self.kind = next.kind;
        self.stream = next.stream;
        self.open = true;
    }
}

/// Writes a message in chunks of the default size. Chunk streams from 2 to 63 only: a client needs no others.
pub fn encode(message: &Message, out: &mut BytesMut) {
    let id = u8::try_from(message.chunk_stream.clamp(2, 63)).unwrap_or(2);
    out.put_u8(id);
    out.put_uint(u64::from(message.timestamp.min(EXTENDED)), 3);
    out.put_uint(message.payload.len() as u64, 3);
    out.put_u8(message.kind);
    out.put_u32_le(message.stream);
    let extended = message.timestamp >= EXTENDED;
    if extended {
        out.put_u32(message.timestamp);
    }
    for (i, piece) in message.payload.chunks(DEFAULT_CHUNK_BYTES).enumerate() {
        if i > 0 {
            out.put_u8(0xc0 | id);
            if extended {
                out.put_u32(message.timestamp);
            }
        }
        out.put_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every message in the bytes, given in pieces of `piece`, or the error.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Message>, String> {
        let (mut decoder, mut buffer, mut messages) = (Decoder::new(), BytesMut::new(), Vec::new());
        for part in bytes.chunks(piece) {
            buffer.extend_from_slice(part);
            while let Some(message) = decoder.decode(&mut buffer).map_err(|e| e.to_string())? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn check(bytes: &[u8], expected: &[(u32, u8, &[u8])]) {
        for piece in [1, 3, bytes.len()] {
            let messages = read(bytes, piece).expect("a good chunk stream");
            let seen: Vec<_> = messages.iter().map(|m| (m.timestamp, m.kind, &*m.payload)).collect();
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn headers_of_every_format() {
        let mut bytes = b"\x05\0\0\x0a\0\0\x02\x09\x01\0\0\0ab".to_vec();
        bytes.extend(b"\x45\0\0\x05\0\0\x01\x08c");
        bytes.extend(b"\x85\0\0\x03d");
        bytes.extend(b"\xc5e");
        check(&bytes, &[(10, 9, b"ab"), (15, 8, b"c"), (18, 8, b"d"), (21, 8, b"e")]);
    }

    #[test]
    fn pieces_of_several_streams_interleave() {
        let mut bytes = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x02".to_vec();
        bytes.extend(b"\x04\0\0\0\0\0\x03\x09\x01\0\0\0ab");
        bytes.extend(b"\x00\x01\0\0\0\0\0\x01\x08\x01\0\0\0x");
        bytes.extend(b"\xc4c");
        check(&bytes, &[(0, 1, b"\0\0\0\x02"), (0, 8, b"x"), (0, 9, b"abc")]);
    }

    #[test]
    fn long_timestamps_with_and_without_repetition() {
        let message = Message {
            chunk_stream: 6,
            timestamp: 0x0123_4567,
            kind: 9,
            stream: 1,
            payload: Bytes::from(vec![7; DEFAULT_CHUNK_BYTES + 5]),
        };
        let mut bytes = BytesMut::new();
        encode(&message, &mut bytes);
        check(&bytes, &[(0x0123_4567, 9, &message.payload)]);
        let mut lazy = bytes.to_vec();
        lazy.drain(16 + DEFAULT_CHUNK_BYTES + 1..16 + DEFAULT_CHUNK_BYTES + 5);
        check(&lazy, &[(0x0123_4567, 9, &message.payload)]);
    }

    #[test]
    fn an_abort_and_a_new_header_forget_what_came() {
        let small = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x02";
        let begun = b"\x04\0\0\0\0\0\x03\x09\x01\0\0\0ab";
        let abort = b"\x02\0\0\0\0\0\x04\x02\0\0\0\0\0\0\xc2\0\x04";
        let again = b"\x04\0\0\0\0\0\x01\x09\x01\0\0\0z";
        let expected: &[(u32, u8, &[u8])] = &[(0, 1, b"\0\0\0\x02"), (0, 2, b"\0\0\0\x04"), (0, 9, b"z")];
        check(&[small.as_slice(), begun, abort, again].concat(), expected);
        check(&[small.as_slice(), begun, again].concat(), &[expected[0], expected[2]]);
    }

    #[test]
    fn limits() {
        let refuse = |bytes: &[u8], words: &str| {
            for piece in [1, 11, bytes.len()] {
                let error = read(bytes, piece).expect_err("beyond a limit");
                assert!(error.contains(words), "{error}");
            }
        };
        refuse(b"\x05\0\0\0\x40\0\x01\x09\0\0\0\0", "a message at octet 0: more than 4194304");
        refuse(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\0", "a chunk size of 0");
        refuse(b"\xc5", "begins without a message header");
        let streams: Vec<u8> = (2..=66u8)
            .flat_map(|id| {
                let basic = if id < 64 { vec![id] } else { vec![0, id - 64] };
                [basic, b"\0\0\0\0\0\0\x08\0\0\0\0".to_vec()].concat()
            })
            .collect();
        refuse(&streams, "chunk streams");
        // Three messages of nearly the largest size, none of them finished.
        let mut many = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\x3f\xff\xff".to_vec();
        for id in 4..7u8 {
            many.extend([id, 0, 0, 0, 0x40, 0, 0, 9, 0, 0, 0, 0]);
            many.extend(vec![0; 0x3f_ffff]);
        }
        let error = read(&many, many.len()).expect_err("beyond the limit");
        assert!(error.contains("unfinished messages"), "{error}");
    }
}
