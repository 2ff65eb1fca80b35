//! A request that answers challenges and follows redirects. Owns where credentials and headers may go: to the server that
//! they were configured for and to no other.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::address::{Address, is_secret_name};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use net::attempt::Attempt;
use net::http::{self, HeaderName, HeaderValue, Method, Request, Response};
use net::trust::{CLIENT_CERTIFICATE_WANTED, TlsOptions};
use wire::auth::{self, Challenge};

use crate::kind::client_nonce;

/// What is asked for, and how.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) address: &'a Address,
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
    pub(crate) body: Option<&'a Bytes>,
    pub(crate) tls: &'a TlsOptions,
    /// Redirects to follow at most; with 0 a redirect is the answer.
    pub(crate) redirects: usize,
    /// Status codes that are an answer even though they ask for something (401 when that is expected).
    pub(crate) accepts: &'a (dyn Fn(u16) -> bool + Sync),
}

/// Sends the request, answers a 401 where credentials are known, follows redirects. Notes status code, server, content type
/// and the number of redirects.
pub(crate) async fn fetch(at: &mut Attempt<'_>, ask: &Ask<'_>, reading: &mut Reading) -> Result<Response, Fault> {
    fetch_from(at, ask, reading).await.map(|(reply, _)| reply)
}

/// The same, and the address that answered in the end: what relative references in the body are relative to.
pub(crate) async fn fetch_from(
    at: &mut Attempt<'_>,
    ask: &Ask<'_>,
    reading: &mut Reading,
) -> Result<(Response, Address), Fault> {
    let mut request = Request {
        method: ask.method.clone(),
        address: ask.address.clone(),
        headers: ask.headers.to_vec(),
        body: ask.body.cloned(),
    };
    let mut seen = BTreeSet::new();
    loop {
        seen.insert(request.address.expose_url().as_str().to_owned());
        let reply = signed_in(at, &request, ask, reading).await?;
        note(&reply, reading);
        let Some(location) = redirect(&reply).filter(|_| ask.redirects > 0) else {
            return Ok((reply, request.address));
        };
        let next = request.address.join(location).map_err(|e| {
            Fault::protocol(Phase::FirstByte, format!("status {} redirects to what is no URL: {e}", reply.status))
        })?;
        check_redirect(&next, &seen, ask.redirects)?;
        reading.int(fact::REDIRECTS, i64::try_from(seen.len()).unwrap_or(i64::MAX));
        request = redirected(request, next, reply.status, ask)?;
    }
}

/// The target of a redirect, where the reply is one.
fn redirect(reply: &Response) -> Option<&str> {
    match reply.status {
        301 | 302 | 303 | 307 | 308 => reply.header(LOCATION),
        _ => None,
    }
}

const LOCATION: HeaderName = HeaderName::from_static("location");
const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");
const WWW_AUTHENTICATE: HeaderName = HeaderName::from_static("www-authenticate");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const SERVER: HeaderName = HeaderName::from_static("server");

fn check_redirect(next: &Address, seen: &BTreeSet<String>, limit: usize) -> Result<(), Fault> {
    let wrong = |detail: String| Err(Fault::protocol(Phase::FirstByte, detail));
    if !matches!(next.scheme(), "http" | "https") {
        return wrong(format!("the reply redirects to {next}, which is not HTTP"));
    }
    // No cookies are kept, so the same URL gives the same answer.
    if seen.contains(next.expose_url().as_str()) {
        return wrong(format!("redirect loop: {next} comes again after {}", redirects(seen.len())));
    }
    if seen.len() > limit {
        return wrong(format!("more than {}, the last one to {next}", redirects(limit)));
    }
    Ok(())
}

/// `1 redirect`, `2 redirects`.
fn redirects(count: usize) -> String {
    format!("{count} redirect{}", if count == 1 { "" } else { "s" })
}

/// The request that a redirect asks for (RFC 9110 section 15.4).
fn redirected(mut request: Request, next: Address, status: u16, ask: &Ask<'_>) -> Result<Request, Fault> {
    let becomes_get = status == 303 || (matches!(status, 301 | 302) && request.method == Method::POST);
    if becomes_get && request.method != Method::HEAD {
        request.method = Method::GET;
        request.body = None;
    }
    let home = same_server(&next, ask.address);
    if !home && request.body.is_some() {
        let detail = format!("the reply redirects to {next}, another server, which must not get the request's body");
        return Err(Fault::protocol(Phase::FirstByte, detail));
    }
    request.headers = ask.headers.iter().filter(|(name, value)| home || !is_private(name, value)).cloned().collect();
    let credentials = if home { ask.address.credentials().cloned() } else { next.credentials().cloned() };
    request.address = next.with_credentials(credentials);
    Ok(request)
}

fn same_server(a: &Address, b: &Address) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port() == b.port()
}

/// Whether a header is for the configured server alone: the configuration calls it secret, or its name does.
fn is_private(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || is_secret_name(name.as_str()) || matches!(name.as_str(), "cookie" | "host")
}

/// Answers to challenges that one request may cost: one as a rule, and one more when the nonce was replaced meanwhile.
const MAX_ANSWERS: u32 = 2;

/// How one request fared with its challenges.
#[derive(Default)]
struct Tries {
    answers: u32,
    /// The nonce of the last answer; none when that was not Digest.
    nonce: Option<String>,
    /// An answer was turned down, and not because its nonce was too old.
    refused: bool,
}

impl Tries {
    /// Whether answering `challenge` can tell more than the answers so far. The same password to the same nonce cannot; to
    /// another nonce it can: cameras with one nonce for everybody void ours, without calling it stale, when somebody else
    /// signs in between our two requests.
    fn may_answer(&self, challenge: &Challenge) -> bool {
        match (self.answers, challenge) {
            (0, _) => true,
            (1..MAX_ANSWERS, Challenge::Digest(digest)) => {
                digest.stale || self.nonce.as_ref().is_some_and(|answered| *answered != digest.nonce)
            }
            _ => false,
        }
    }

    fn answered(&mut self, challenge: &Challenge) {
        self.refused |= self.answers > 0 && !challenge.is_stale();
        self.answers += 1;
        self.nonce = match challenge {
            Challenge::Digest(digest) => Some(digest.nonce.clone()),
            Challenge::Basic { .. } => None,
        };
    }
}

/// Sends the request; answers a challenge, and once more where [`Tries`] sees sense in it.
async fn signed_in(
    at: &mut Attempt<'_>,
    request: &Request,
    ask: &Ask<'_>,
    reading: &mut Reading,
) -> Result<Response, Fault> {
    let tls = (request.address.scheme() == "https").then_some(ask.tls);
    let mut reply = http::send(at, request, tls, reading).await?;
    let mut tries = Tries::default();
    while reply.status == 401 {
        let credentials = request.address.credentials();
        if credentials.is_none() && (ask.accepts)(401) {
            break;
        }
        note(&reply, reading);
        let refused = |detail: String| Err(Fault::new(FaultKind::AuthRequired, Phase::FirstByte, detail));
        let offered = auth::parse(reply.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()));
        let Some(challenge) = auth::pick(&offered.usable) else {
            let why: Vec<_> = offered.refused.iter().map(|r| format!("{}: {}", r.scheme, r.why)).collect();
            return refused(match why.as_slice() {
                [] => "status 401 Unauthorized, and the server does not say how to sign in".to_owned(),
                _ => format!("the server offers no way to sign in that is supported ({})", why.join("; ")),
            });
        };
        let (scheme, realm) = (challenge.scheme(), challenge.realm());
        let Some(known) = credentials else {
            let asks = format!("the server asks for a user name and password ({scheme}, realm {realm:?})");
            return refused(format!("{asks}, none is configured"));
        };
        if !tries.may_answer(challenge) {
            return refused(refusal(scheme));
        }
        tries.answered(challenge);
        let (method, uri) = (request.method.as_str(), request.address.path_and_query());
        let nonce = client_nonce(Phase::FirstByte)?;
        let value = auth::respond(challenge, &known.user, known.password.expose(), method, &uri, 1, &nonce);
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            Fault::new(FaultKind::AuthRequired, Phase::FirstByte, "the user name cannot be sent in a header")
        })?;
        value.set_sensitive(true);
        let mut again = request.clone();
        again.headers.retain(|(name, _)| *name != AUTHORIZATION);
        again.headers.push((AUTHORIZATION, value));
        reply = match http::send(at, &again, tls, reading).await {
            // Servers that answer wrong passwords late, or not again, have said what is wrong all the same.
            Err(fault) if tries.refused && fault.kind != FaultKind::Internal => {
                return refused(format!("{}; to a second try: {}", refusal(scheme), fault.detail));
            }
            Err(mut fault) if fault.kind == FaultKind::TimedOut => {
                fault.detail.push_str(&format!(", after user name and password were sent ({scheme})"));
                return Err(fault);
            }
            other => other?,
        };
    }
    Ok(reply)
}

fn refusal(scheme: &str) -> String {
    format!("the server refuses the user name or password ({scheme})")
}

/// Notes what the reply's headers tell.
fn note(reply: &Response, reading: &mut Reading) {
    reading.int(fact::STATUS_CODE, i64::from(reply.status));
    for (name, key) in [(SERVER, fact::SERVER), (CONTENT_TYPE, fact::CONTENT_TYPE)] {
        if let Some(value) = reply.header(name) {
            reading.text(key, value);
        }
    }
}

/// The fault of a status code that is not expected. `expected` is the expectation in words.
pub(crate) fn status_fault(reply: &Response, expected: &str) -> Fault {
    let kind = match reply.status {
        400 | 495 | 496 if reply.lacks_client_certificate => {
            return Fault::new(
                FaultKind::Tls,
                Phase::FirstByte,
                format!("{CLIENT_CERTIFICATE_WANTED} (status {})", status_words(reply.status)),
            );
        }
        401 => FaultKind::AuthRequired,
        403 => FaultKind::Forbidden,
        404 | 410 => FaultKind::NotFound,
        _ => FaultKind::Protocol,
    };
    let detail = format!("status {}, expected {expected}", status_words(reply.status));
    Fault::new(kind, Phase::FirstByte, detail)
}

/// `503 Service Unavailable`.
fn status_words(status: u16) -> String {
    match http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()) {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}
