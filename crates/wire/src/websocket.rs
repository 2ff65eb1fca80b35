//! WebSocket (RFC 6455) as a client speaks it: the request that opens it, the check of the answer, frames. Owns the bytes
//! alone: the caller brings key and masks, which must be random, and answers pings with [`Message::Ping`]'s content.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest answer to the opening request, in bytes: a proxy adds a few fields of its own.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Largest frame that is taken, in bytes: the largest MQTT packet that we take, and room.
pub const MAX_FRAME_BYTES: usize = 5 * 1024 * 1024;
/// Largest content of a frame that steers (section 5.5).
const MAX_STEER_BYTES: usize = 125;
/// What is added to the key before it is hashed (section 1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    Binary,
    /// The end, said.
    Close,
    /// The answer to a ping.
    Pong,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes of the protocol inside; a frame may end anywhere in it.
    Data(Bytes),
    /// Wants a pong with the same content.
    Ping(Bytes),
    /// The peer closes, with its code where it gives one.
    Close(Option<u16>),
}

/// Why it is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The answer is no HTTP, or too long.
    #[error("the answer to the WebSocket request is no HTTP")]
    NoHttp,
    /// The server answers with another status.
    #[error("the server answers the WebSocket request with HTTP {0}")]
    Status(u16),
    /// The server agrees to something else.
    #[error("the server does not agree to WebSocket: {0} is missing or wrong")]
    Field(&'static str),
    /// A frame that the standard forbids.
    #[error("a WebSocket frame is malformed")]
    Malformed,
    /// A frame larger than [`MAX_FRAME_BYTES`].
    #[error("a WebSocket frame of {0} bytes is too large")]
    TooLarge(u64),
}

/// The request that opens a WebSocket. `host` with the port where it is not the usual one; `path` begins with a slash.
#[must_use]
pub fn request(host: &str, path: &str, protocol: &str, key: [u8; 16]) -> String {
    let key = STANDARD.encode(key);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

/// Takes the answer from the front of `buffer`; `Ok(false)` when more bytes are needed.
///
/// # Errors
/// It is no HTTP, refuses, or agrees to something else.
pub fn answered(buffer: &mut BytesMut, protocol: &str, key: [u8; 16]) -> Result<bool, Error> {
    if !buffer.starts_with(&b"HTTP/1."[..buffer.len().min(7)]) {
        return Err(Error::NoHttp);
    }
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if buffer.len() > MAX_HEAD_BYTES { Err(Error::NoHttp) } else { Ok(false) };
    };
    let head = buffer.split_to(end + 4);
    let head = std::str::from_utf8(&head).map_err(|_| Error::NoHttp)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or(Error::NoHttp)?;
    if status != 101 {
        return Err(Error::Status(status));
    }
    let fields: Vec<(&str, &str)> =
        lines.filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect();
    let field = |name: &str| fields.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| *v);
    if !field("Upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket")) {
        return Err(Error::Field("Upgrade"));
    }
    if field("Sec-WebSocket-Accept") != Some(accept(key).as_str()) {
        return Err(Error::Field("Sec-WebSocket-Accept"));
    }
    if field("Sec-WebSocket-Protocol").is_some_and(|v| v != protocol) {
        return Err(Error::Field("Sec-WebSocket-Protocol"));
    }
    Ok(true)
}

/// What a server that understood makes of a key.
#[must_use]
pub fn accept(key: [u8; 16]) -> String {
    let text = format!("{}{MAGIC}", STANDARD.encode(key));
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Writes a frame, masked as clients must.
pub fn frame(kind: Kind, content: &[u8], mask: [u8; 4], out: &mut BytesMut) {
    let code = match kind {
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Pong => 10,
    };
    out.put_u8(0x80 | code);
    match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(short), _) if usize::from(short) <= MAX_STEER_BYTES => out.put_u8(0x80 | short),
        (_, Ok(middle)) => {
            out.put_u8(0x80 | 126);
            out.put_u16(middle);
        }
        _ => {
            out.put_u8(0x80 | 127);
            out.put_u64(content.len() as u64);
        }
    }
    out.extend_from_slice(&mask);
    let at = out.len();
    out.extend_from_slice(content);
    for (i, octet) in out[at..].iter_mut().enumerate() {
        *octet ^= mask[i % 4];
    }
}

/// Takes the next message from the front of `buffer`; `None` when more bytes are needed. Pieces of one message are
/// handed on as they come.
///
/// # Errors
/// What comes is no WebSocket; nothing after it can be read.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Message>, Error> {
    loop {
        let &[first, second, ref rest @ ..] = &buffer[..] else { return Ok(None) };
        // Servers mask nothing (section 5.1); bits for extensions that nobody agreed to must not be there.
        if first & 0x70 != 0 || second & 0x80 != 0 {
            return Err(Error::Malformed);
        }
        let (head, length) = match (second, rest) {
            (126, &[a, b, ..]) => (4, u64::from(u16::from_be_bytes([a, b]))),
            (127, &[a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (126 | 127, _) => return Ok(None),
            (short, _) => (2, u64::from(short)),
        };
        let (code, last) = (first & 0x0f, first & 0x80 != 0);
        if code >= 8 && (length > MAX_STEER_BYTES as u64 || !last) {
            return Err(Error::Malformed);
        }
        let whole = usize::try_from(length).ok().filter(|n| *n <= MAX_FRAME_BYTES).ok_or(Error::TooLarge(length))?;
        if buffer.len() < head + whole {
            return Ok(None);
        }
        buffer.advance(head);
        let content = buffer.split_to(whole).freeze();
        return Ok(Some(match code {
            0 | 2 => Message::Data(content),
            8 => Message::Close(content.first_chunk().map(|code| u16::from_be_bytes(*code))),
            9 => Message::Ping(content),
            10 => continue, // nobody asked
            _ => return Err(Error::Malformed),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = *b"the sample nonce";

    #[test]
    fn the_handshake_of_the_standard_is_ours() {
        // Section 1.3: the key is "dGhlIHNhbXBsZSBub25jZQ==".
        assert!(request("h:1", "/mqtt", "mqtt", KEY).contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
        assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let good = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\nrest";
        for (text, expected, left) in [
            (good.to_owned(), Ok(true), "rest"),
            (good[..40].to_owned(), Ok(false), &good[..40]),
            (good.replace("101", "403"), Err(Error::Status(403)), "rest"),
            (good.replace("WebSocket\r", "h2c\r"), Err(Error::Field("Upgrade")), "rest"),
            (good.replace("s3pP", "S3pP"), Err(Error::Field("Sec-WebSocket-Accept")), "rest"),
            (good.replace(": mqtt", ": soap"), Err(Error::Field("Sec-WebSocket-Protocol")), "rest"),
            ("\x20\x02\x00\x00".to_owned(), Err(Error::NoHttp), "\x20\x02\x00\x00"),
        ] {
            let mut buffer = BytesMut::from(text.as_bytes());
            assert_eq!(answered(&mut buffer, "mqtt", KEY), expected, "{text}");
            assert_eq!(&buffer[..], left.as_bytes());
        }
    }

    #[test]
    fn frames_are_masked_and_have_three_forms_of_length() {
        let mut out = BytesMut::new();
        frame(Kind::Binary, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut out);
        assert_eq!(&out[..], b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "section 5.7, as bytes");
        for (length, head) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            out.clear();
            frame(Kind::Binary, &vec![7; length], [0; 4], &mut out);
            assert_eq!(out.len(), head + 4 + length);
            // A server writes the same without the mask.
            let mut back = BytesMut::from(&out[..head]);
            back[1] &= 0x7f;
            back.extend_from_slice(&out[head + 4..]);
            assert_eq!(decode(&mut back), Ok(Some(Message::Data(vec![7; length].into()))));
        }
    }

    #[test]
    fn pieces_pings_and_ends_are_told_apart_and_the_rest_is_refused() {
        let mut buffer = BytesMut::from(&b"\x02\x01a\x8a\x00\x89\x02hi\x80\x01b\x88\x02\x03\xe8\x88\x00\x82"[..]);
        let mut seen = Vec::new();
        while let Some(message) = decode(&mut buffer).expect("all of it is allowed") {
            seen.push(message);
        }
        let data = |text: &'static [u8]| Message::Data(Bytes::from_static(text));
        let ping = Message::Ping(Bytes::from_static(b"hi"));
        assert_eq!(seen, [data(b"a"), ping, data(b"b"), Message::Close(Some(1000)), Message::Close(None)]);
        for (bytes, error) in [
            (&b"\x82\x80\0\0\0\0"[..], Error::Malformed),
            (b"\xc2\x00", Error::Malformed),
            (b"\x81\x00", Error::Malformed),
            (b"\x09\x00", Error::Malformed),
            (b"\x89\x7e\x00\x80", Error::Malformed),
            (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Error::TooLarge(u64::MAX)),
        ] {
            assert_eq!(decode(&mut BytesMut::from(bytes)), Err(error));
        }
    }
}
