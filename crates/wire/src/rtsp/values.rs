//! Values of the fields `Session`, `RTP-Info` and `Public`.
//!
//! Never refuses a value for what it does not need.

use super::{Headers, Method};
use crate::text::{excerpt, split_trim, unquote};

/// Longest session identifier we repeat; real ones have 8 to 40 characters.
const MAX_SESSION_ID_CHARS: usize = 256;

/// Most entries read from an `RTP-Info` field; one per track.
const MAX_RTP_INFO: usize = 32;

/// A field value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unusable {field} field \"{excerpt}\"")]
pub struct ValueError {
    /// The field.
    pub field: &'static str,
    /// The beginning of its value.
    pub excerpt: String,
}

impl ValueError {
    pub(super) fn new(field: &'static str, value: &str) -> Self {
        Self { field, excerpt: excerpt(value.as_bytes(), 60) }
    }
}

/// The `Session` field of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHeader {
    /// Identifier to repeat in later requests.
    pub id: String,
    /// Seconds the server waits for a sign of life; 60 by the RFC when not said.
    pub timeout_s: Option<u32>,
}

impl SessionHeader {
    /// Reads `id;timeout=60`.
    ///
    /// # Errors
    /// When the identifier is empty, too long, or has characters that cannot be sent back.
    pub fn parse(field: &str) -> Result<Self, ValueError> {
        let mut parts = field.split(';');
        let id = parts.next().unwrap_or_default().trim();
        if id.is_empty() || id.len() > MAX_SESSION_ID_CHARS || id.chars().any(|c| c.is_control() || c == ' ') {
            return Err(ValueError::new("Session", field));
        }
        let timeout_s = parts.find_map(|part| match split_trim(part, '=') {
            (name, Some(value)) if name.eq_ignore_ascii_case("timeout") => unquote(value).parse().ok(),
            _ => None,
        });
        Ok(Self { id: id.to_owned(), timeout_s })
    }
}

/// One entry of the `RTP-Info` field: where the stream of a track begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpInfo {
    /// URL of the track, perhaps relative.
    pub url: String,
    /// Sequence number of the first packet.
    pub seq: Option<u16>,
    /// RTP time of the first packet.
    pub rtptime: Option<u32>,
}

impl RtpInfo {
    /// Reads all entries. A comma or semicolon inside a URL does not end it: an entry begins with `url=`, and the URL
    /// lasts until one of the parameters the RFC knows.
    #[must_use]
    pub fn parse_list(field: &str) -> Vec<Self> {
        let lower = field.to_ascii_lowercase();
        let begins: Vec<usize> = lower
            .match_indices("url=")
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || matches!(lower.as_bytes()[at - 1], b',' | b' ' | b';'))
            .take(MAX_RTP_INFO)
            .collect();
        let ends = begins.iter().skip(1).copied().chain([field.len()]);
        begins.iter().zip(ends).map(|(&begin, end)| Self::parse(&field[begin + 4..end])).collect()
    }

    fn parse(entry: &str) -> Self {
        let lower = entry.to_ascii_lowercase();
        let url_end = [";seq=", ";rtptime=", ";ssrc="].iter().filter_map(|name| lower.find(name)).min();
        let (url, parameters) = entry.split_at(url_end.unwrap_or(entry.len()));
        let number = |wanted: &str| {
            parameters.split([';', ',']).map(|part| split_trim(part, '=')).find_map(|(name, value)| {
                value.filter(|_| name.eq_ignore_ascii_case(wanted)).and_then(|value| value.parse::<u32>().ok())
            })
        };
        Self {
            url: unquote(url.trim().trim_end_matches(',')).to_owned(),
            seq: number("seq").and_then(|seq| u16::try_from(seq).ok()),
            rtptime: number("rtptime"),
        }
    }
}

/// Methods a server says it knows, from `Public` or, failing that, `Allow`.
#[must_use]
pub fn public_methods(headers: &Headers) -> Vec<Method> {
    let name = if headers.get("Public").is_some() { "Public" } else { "Allow" };
    headers
        .get_all(name)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(Method::from_token)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions() {
        let parse = |field| SessionHeader::parse(field).map(|session| (session.id, session.timeout_s)).ok();
        assert_eq!(parse("66334873;timeout=60"), Some(("66334873".into(), Some(60))));
        assert_eq!(parse(" 66334873 ; Timeout = 30 "), Some(("66334873".into(), Some(30))));
        assert_eq!(parse("abc;timeout=sixty"), Some(("abc".into(), None)));
        assert_eq!(parse("a$b-c_d.e+f"), Some(("a$b-c_d.e+f".into(), None)));
        assert_eq!(parse(";timeout=60"), None);
        assert_eq!(parse("a b"), None);
        assert_eq!(parse(&"a".repeat(257)), None);
    }

    #[test]
    fn rtp_info() {
        let list = RtpInfo::parse_list(
            "url=rtsp://cam/a,b;c/track1;seq=4294;rtptime=12, URL=\"rtsp://cam/track2\";rtptime=7;seq=99999,url=x",
        );
        let entry = |url: &str, seq, rtptime| RtpInfo { url: url.into(), seq, rtptime };
        assert_eq!(
            list,
            [
                entry("rtsp://cam/a,b;c/track1", Some(4294), Some(12)),
                entry("rtsp://cam/track2", None, Some(7)),
                entry("x", None, None),
            ]
        );
        assert!(RtpInfo::parse_list("seq=1").is_empty());
        assert_eq!(RtpInfo::parse_list(&"url=a,".repeat(100)).len(), MAX_RTP_INFO);
    }

    #[test]
    fn public_or_allow() {
        let mut headers = Headers::new();
        headers.push("Allow", "OPTIONS");
        assert_eq!(public_methods(&headers), [Method::Options]);
        headers.push("Public", "DESCRIBE, get_parameter,,X-OWN");
        assert_eq!(public_methods(&headers), [Method::Describe, Method::GetParameter, Method::Other("X-OWN".into())]);
    }
}
