//! The messages of a connection and how they are written: requests, responses, interleaved packets.
//!
//! Never lets a value break out of its line: CR, LF and NUL in a field are written as spaces.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Headers;

/// Methods of RFC 2326 and RFC 7826; anything else is kept as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the method names of the RFC")]
pub enum Method {
    Options,
    Describe,
    Announce,
    Setup,
    Play,
    Pause,
    Record,
    Redirect,
    Teardown,
    GetParameter,
    SetParameter,
    PlayNotify,
    Other(Box<str>),
}

impl Method {
    const KNOWN: [Method; 12] = [
        Method::Options,
        Method::Describe,
        Method::Announce,
        Method::Setup,
        Method::Play,
        Method::Pause,
        Method::Record,
        Method::Redirect,
        Method::Teardown,
        Method::GetParameter,
        Method::SetParameter,
        Method::PlayNotify,
    ];

    /// The method's word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Method::Options => "OPTIONS",
            Method::Describe => "DESCRIBE",
            Method::Announce => "ANNOUNCE",
            Method::Setup => "SETUP",
            Method::Play => "PLAY",
            Method::Pause => "PAUSE",
            Method::Record => "RECORD",
            Method::Redirect => "REDIRECT",
            Method::Teardown => "TEARDOWN",
            Method::GetParameter => "GET_PARAMETER",
            Method::SetParameter => "SET_PARAMETER",
            Method::PlayNotify => "PLAY_NOTIFY",
            Method::Other(word) => word,
        }
    }

    /// The method of a word; case counts on the wire, but lists in `Public` come in any case, so it is ignored here.
    #[must_use]
    pub fn from_token(word: &str) -> Method {
        Method::KNOWN
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_else(|| Method::Other(word.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request, ours or the server's.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The absolute URI, or `*`. Must not carry a user name or password.
    pub uri: String,
    /// Sequence number; written by [`Request::encode`]. 0 when a server's request had none.
    pub cseq: u32,
    /// Fields besides `CSeq` and `Content-Length` when written; all fields when read.
    pub headers: Headers,
    /// Content; its length is written by [`Request::encode`].
    pub body: Bytes,
}

impl Request {
    /// A request without fields.
    #[must_use]
    pub fn new(method: Method, uri: impl Into<String>, cseq: u32) -> Self {
        Self { method, uri: uri.into(), cseq, headers: Headers::new(), body: Bytes::new() }
    }

    /// The request with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Appends the request to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        put_clean(out, self.method.as_str());
        out.put_u8(b' ');
        // A space would end the URI early; everything else that is not allowed in a line becomes a space first.
        for octet in self.uri.bytes() {
            match octet {
                0..=b' ' | 0x7f => out.put_slice(b"%20"),
                _ => out.put_u8(octet),
            }
        }
        out.put_slice(b" RTSP/1.0\r\nCSeq: ");
        put_clean(out, &self.cseq.to_string());
        out.put_slice(b"\r\n");
        put_fields(out, &self.headers, &["cseq", "content-length"]);
        put_end(out, &self.body);
    }

    /// The request as bytes ready to send.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(512);
        self.encode(&mut out);
        out.freeze()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("uri", &without_userinfo(&self.uri))
            .field("cseq", &self.cseq)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// The URI with everything between `://` and the last `@` of the authority left out.
fn without_userinfo(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => uri.to_owned(),
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Major and minor version, (1, 0) as a rule.
    pub version: (u8, u8),
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase; may be empty.
    pub reason: String,
    /// All fields.
    pub headers: Headers,
    /// Content; empty when there was none.
    pub body: Bytes,
}

impl Response {
    /// A response without fields, for scripted servers.
    #[must_use]
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { version: (1, 0), status, reason: reason.into(), headers: Headers::new(), body: Bytes::new() }
    }

    /// The number of the request this answers.
    #[must_use]
    pub fn cseq(&self) -> Option<u32> {
        self.headers.get("CSeq").and_then(|value| value.parse().ok())
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Appends the response to `out`; `Content-Length` is written from the body.
    pub fn encode(&self, out: &mut BytesMut) {
        let (major, minor) = self.version;
        put_clean(out, &format!("RTSP/{major}.{minor} {} {}", self.status, self.reason));
        out.put_slice(b"\r\n");
        put_fields(out, &self.headers, &["content-length"]);
        put_end(out, &self.body);
    }
}

/// What a connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The answer to a request of ours.
    Response(Response),
    /// A request of the server: some send OPTIONS, GET_PARAMETER or SET_PARAMETER and hang up when not answered.
    Request(Request),
    /// An RTP or RTCP packet between `$` and the next message.
    Interleaved {
        /// Channel as agreed in `Transport`.
        channel: u8,
        /// The packet, a slice of the receive buffer.
        payload: Bytes,
    },
}

/// Appends an interleaved packet to `out`; `false`, and nothing written, when it is longer than 65,535 octets.
pub fn encode_interleaved(channel: u8, payload: &[u8], out: &mut BytesMut) -> bool {
    let Ok(length) = u16::try_from(payload.len()) else {
        return false;
    };
    out.reserve(4 + payload.len());
    out.put_u8(b'$');
    out.put_u8(channel);
    out.put_u16(length);
    out.put_slice(payload);
    true
}

fn put_fields(out: &mut BytesMut, headers: &Headers, written_elsewhere: &[&str]) {
    for (name, value) in headers.iter() {
        if written_elsewhere.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        put_clean(out, name);
        out.put_slice(b": ");
        put_clean(out, value);
        out.put_slice(b"\r\n");
    }
}

fn put_end(out: &mut BytesMut, body: &[u8]) {
    if !body.is_empty() {
        put_clean(out, &format!("Content-Length: {}", body.len()));
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
    out.put_slice(body);
}

fn put_clean(out: &mut BytesMut, text: &str) {
    if text.bytes().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        for octet in text.bytes() {
            out.put_u8(if matches!(octet, b'\r' | b'\n' | 0) { b' ' } else { octet });
        }
    } else {
        out.put_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_in_order() {
        let request = Request::new(Method::Setup, "rtsp://cam/a b", 3)
            .with("Transport", Transport::tcp(0, 1).to_string())
            .with("X", "a\r\nSession: stolen")
            .with("CSeq", "99");
        assert_eq!(
            request.to_bytes(),
            "SETUP rtsp://cam/a%20b RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\
             X: a  Session: stolen\r\n\r\n"
        );
    }
    use super::super::Transport;

    #[test]
    fn a_body_brings_its_length() {
        let mut request = Request::new(Method::SetParameter, "*", 1);
        request.body = Bytes::from_static(b"hello");
        assert_eq!(request.to_bytes(), "SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\nhello");
    }

    #[test]
    fn debug_hides_userinfo() {
        for (uri, shown) in [
            ("rtsp://me:hunter2@cam:554/x@y", "rtsp://cam:554/x@y"),
            ("rtsp://me:p@ss@cam/", "rtsp://cam/"),
            ("rtsp://cam/a@b", "rtsp://cam/a@b"),
            ("*", "*"),
        ] {
            assert_eq!(without_userinfo(uri), shown);
        }
    }

    #[test]
    fn interleaved_has_a_limit() {
        let mut out = BytesMut::new();
        assert!(encode_interleaved(1, b"ab", &mut out));
        assert_eq!(&out[..], b"$\x01\x00\x02ab");
        assert!(!encode_interleaved(1, &vec![0; 65_536], &mut out));
        assert_eq!(out.len(), 6);
    }
}
