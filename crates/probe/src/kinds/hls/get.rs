//! Asking for the parts of a presentation: playlists, keys, maps, segments. Owns where credentials may go (through
//! [`fetch_from`]), byte ranges, the caps, and how a fault names the part it is about.

use bytes::Bytes;
use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use net::attempt::Attempt;
use net::http::{Body, HeaderName, HeaderValue, Method, Response};
use net::trust::TlsOptions;
use wire::m3u8::ByteRange;

use super::advance::file_age;
use crate::kinds::http::fetch::{Ask, fetch_from, status_fault};

/// Largest playlist: two days of segments of ten seconds with all their tags.
pub(super) const MAX_PLAYLIST_BYTES: usize = 2 * 1024 * 1024;
/// Redirects followed for each part.
const MAX_REDIRECTS: usize = 5;
/// Longest name of a part in a sentence, in characters.
const MAX_NAME_CHARS: usize = 60;

const RANGE: HeaderName = HeaderName::from_static("range");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const CONTENT_LENGTH: HeaderName = HeaderName::from_static("content-length");

/// A playlist as it came.
pub(in crate::kinds) struct Got {
    /// What answered in the end.
    pub(in crate::kinds) address: Address,
    pub(in crate::kinds) bytes: Bytes,
    pub(in crate::kinds) content_type: String,
    /// Time since the file was written, by the server's own clock.
    pub(in crate::kinds) age_ms: Option<i64>,
}

/// Asks for a playlist and reads it; the answer's facts are noted in `reading`.
pub(super) async fn playlist(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    reading: &mut Reading,
) -> Result<Got, Fault> {
    document(at, address, tls, MAX_PLAYLIST_BYTES, reading).await
}

/// The same for a document of another size.
pub(in crate::kinds) async fn document(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    max_bytes: usize,
    reading: &mut Reading,
) -> Result<Got, Fault> {
    let (mut reply, address) = ask(at, address, tls, &[], reading).await?;
    if !(200..=299).contains(&reply.status) {
        return Err(status_fault(&reply, "200-299"));
    }
    let content_type = reply.header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let age_ms = file_age(&reply);
    let bytes = at.run(Phase::Transfer, reply.body.collect(max_bytes)).await?;
    Ok(Got { address, bytes, content_type, age_ms })
}

/// A resource that is being read: what of its body is wanted, and its size.
pub(in crate::kinds) struct Opened {
    body: Body,
    /// Octets in front that were not asked for.
    skip: u64,
    /// Octets that are still wanted.
    left: u64,
    /// Octets of the part as announced.
    pub(in crate::kinds) total: Option<u64>,
}

impl Opened {
    /// The next octets of the part; `None` at its end. Read it inside `Attempt::run`.
    pub(in crate::kinds) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while self.left > 0 {
            let Some(mut chunk) = self.body.next_chunk().await? else { return Ok(None) };
            let ahead = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
            self.skip -= ahead as u64;
            let _not_ours = chunk.split_to(ahead);
            chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= chunk.len() as u64;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}

/// Asks for a part of the media. Faults are of phase media and name `what`.
pub(in crate::kinds) async fn open(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    range: Option<ByteRange>,
    what: &str,
) -> Result<Opened, Fault> {
    let header = range.map(|r| format!("bytes={}-{}", r.offset, r.offset.saturating_add(r.length).saturating_sub(1)));
    let header = header.and_then(|text| HeaderValue::from_str(&text).ok());
    let headers: Vec<_> = header.map(|value| (RANGE, value)).into_iter().collect();
    // Facts of the playlist's answer stay.
    let asked = ask(at, address, tls, &headers, &mut Reading::default()).await;
    let (mut reply, _) = asked.map_err(|fault| about(at, what, fault))?;
    if !(200..=299).contains(&reply.status) {
        return Err(about(at, what, status_fault(&reply, "200-299")));
    }
    reply.body.set_phase(Phase::Media);
    let announced = reply.header(CONTENT_LENGTH).and_then(|text| text.trim().parse::<u64>().ok());
    // Servers that know no ranges send all of it.
    let skip = range.filter(|_| reply.status != 206).map_or(0, |r| r.offset);
    let total = range.map(|r| r.length).or(announced);
    Ok(Opened { body: reply.body, skip, left: range.map_or(u64::MAX, |r| r.length), total })
}

/// All of a small part.
pub(in crate::kinds) async fn whole(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    range: Option<ByteRange>,
    (what, max): (&str, usize),
) -> Result<Vec<u8>, Fault> {
    let mut part = open(at, address, tls, range, what).await?;
    let read = async {
        let mut all = Vec::new();
        while let Some(chunk) = part.next().await? {
            if all.len() + chunk.len() > max {
                return Err(Fault::new(FaultKind::TooLarge, Phase::Media, format!("larger than {max} bytes")));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    };
    let read = at.run(Phase::Media, read).await;
    read.map_err(|fault| about(at, what, fault))
}

async fn ask(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    headers: &[(HeaderName, HeaderValue)],
    reading: &mut Reading,
) -> Result<(Response, Address), Fault> {
    let ask =
        Ask { method: Method::GET, address, headers, body: None, tls, redirects: MAX_REDIRECTS, accepts: &|_| false };
    fetch_from(at, &ask, reading).await
}

/// The same fault, of phase media when a reply was being waited for, with the name of what it is about.
pub(in crate::kinds) fn about(at: &Attempt<'_>, what: &str, fault: Fault) -> Fault {
    let late = fault.kind == FaultKind::TimedOut;
    let phase = match fault.phase {
        Phase::FirstByte | Phase::Transfer => Phase::Media,
        other => other,
    };
    let detail = if late { at.timed_out(phase).detail } else { fault.detail };
    Fault { kind: fault.kind, phase, detail: format!("{what}: {detail}") }
}

/// The place that a reference in a playlist names.
pub(in crate::kinds) fn resolve(base: &Address, reference: &str, what: &str) -> Result<Address, Fault> {
    let wrong = |words: String| Fault::protocol(Phase::Media, format!("{what}: {words}"));
    let address = base.join(reference).map_err(|_| wrong("its address is no URL".to_owned()))?;
    match address.scheme() {
        "http" | "https" => Ok(address),
        other => Err(wrong(format!("its address is of the scheme {other}, not http"))),
    }
}

/// The file name in a reference, for sentences: without folder and query, where secrets live.
pub(in crate::kinds) fn name_of(reference: &str) -> String {
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let shown: String = name.chars().take(MAX_NAME_CHARS).map(|c| if c.is_control() { '.' } else { c }).collect();
    if shown.is_empty() { "(no name)".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_secrets_out() {
        assert_eq!(name_of("https://u:p@cdn.example/live/s1.ts?token=abc"), "s1.ts");
        assert_eq!(name_of("s1.ts#x"), "s1.ts");
        assert_eq!(name_of("?a=b"), "(no name)");
        assert_eq!(name_of(&"x".repeat(100)).len(), MAX_NAME_CHARS);
    }

    #[test]
    fn references_lead_to_http_alone() {
        let base = Address::parse("http://h/live/index.m3u8").expect("a good URL");
        let word = |reference| resolve(&base, reference, "segment x").map(|a| a.to_string()).map_err(|f| f.detail);
        assert_eq!(word("a/s1.ts").as_deref(), Ok("http://h/live/a/s1.ts"));
        assert_eq!(word("https://cdn.example/s").as_deref(), Ok("https://cdn.example/s"));
        assert_eq!(word("rtsp://h/x"), Err("segment x: its address is of the scheme rtsp, not http".to_owned()));
        assert!(word("http://[").is_err());
    }
}
