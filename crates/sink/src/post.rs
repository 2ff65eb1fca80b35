//! One HTTP request to a receiver of notifications: deadline, trust, what its answer means for another attempt. Follows no
//! redirect, because a notification and its secrets are for the receiver that was named and for no other.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use jiff::fmt::rfc2822;
use model::address::{Address, Credentials};
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use model::secret::Secret;
use net::attempt::Attempt;
use net::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use net::trust::{TLS_FIELDS, TlsOptions};

use crate::channel::{Around, Built, Channel, Failure, join_fields};
use crate::veil::Veil;

/// Most of an answer that is read to find out why a receiver refused.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Longest time that a receiver may ask us to wait: one that asks for more is asked again then.
const MAX_RETRY_AFTER_S: u64 = 3600;

/// The URL of a chat service: all of it is a secret.
pub(crate) const WEBHOOK_URL: Field = Field::new(
    "webhook_url",
    Type::Secret,
    "The URL that the service gave for its incoming webhook. All of it is a secret: never shown again.",
)
.required();
/// The deadline of one attempt.
pub(crate) const TIMEOUT: Field = Field::new(
    "timeout",
    Type::Duration { min: Duration::from_millis(500), max: Duration::from_secs(60) },
    "Deadline of one attempt to deliver.",
)
.default("10s");
const TIMEOUTS: [Field; 1] = [TIMEOUT];
/// The keys of every kind that speaks HTTP.
pub(crate) static POST_FIELDS: [Field; 6] = join_fields(&[&TIMEOUTS, &TLS_FIELDS]);

/// A receiver that is spoken to by HTTP.
pub(crate) struct Receiver {
    address: Address,
    tls: TlsOptions,
    timeout: Duration,
    veil: Veil,
}

/// What is sent.
pub(crate) struct Letter {
    /// POST, PUT, ...
    pub(crate) method: Method,
    /// Further headers.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Body with its media type.
    pub(crate) body: (HeaderValue, Bytes),
}

impl Letter {
    /// A JSON document by POST.
    pub(crate) fn json(document: &serde_json::Value) -> Self {
        let body = (HeaderValue::from_static("application/json"), Bytes::from(document.to_string()));
        Self { method: Method::POST, headers: Vec::new(), body }
    }

    /// A form by POST, encoded already.
    pub(crate) fn form(encoded: String) -> Self {
        let media_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        Self { method: Method::POST, headers: Vec::new(), body: (media_type, Bytes::from(encoded)) }
    }

    /// The same with one more header; a value that no header can carry is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

impl Receiver {
    /// A receiver at `address` with the keys of [`POST_FIELDS`]. What `veil` knows, and the credentials of the address, are
    /// never shown.
    pub(crate) fn new(address: Address, section: &Section<'_>, mut veil: Veil, problems: &mut Vec<Problem>) -> Self {
        if let Some(credentials) = address.credentials() {
            veil.add(credentials.password.expose());
            veil.add(&basic(credentials));
        }
        for (name, value) in address.expose_url().query_pairs() {
            if model::address::is_secret_name(&name) {
                veil.add(&value);
            }
        }
        let tls = TlsOptions::read(section, problems);
        let timeout = section.duration("timeout").unwrap_or(Duration::from_secs(10));
        Self { address, tls, timeout, veil }
    }

    /// Sends a letter and waits for the answer's headers; the body is read only when the answer is a refusal.
    pub(crate) async fn post(&self, letter: Letter, around: &Around) -> Result<(), Failure> {
        let mut request = Request::new(letter.method, self.address.clone());
        request.headers = letter.headers;
        request.headers.push((net_header("content-type"), letter.body.0));
        request.body = Some(letter.body.1);
        if let Some(credentials) = self.address.credentials()
            && !request.headers.iter().any(|(name, _)| name.as_str() == "authorization")
            && let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", basic(credentials)))
        {
            value.set_sensitive(true);
            request.headers.push((net_header("authorization"), value));
        }
        let tls = (self.address.scheme() == "https").then_some(&self.tls);
        let mut attempt = Attempt::new(&*around.clock, self.timeout);
        let mut reading = Reading::default();
        let mut response =
            http::send(&mut attempt, &request, tls, &mut reading).await.map_err(|fault| self.fault(&fault))?;
        if (200..=299).contains(&response.status) {
            return Ok(());
        }
        let body = attempt.run(Phase::Transfer, response.body.read_up_to(MAX_ANSWER_BYTES)).await;
        let (said, whole) = body.unwrap_or_default();
        Err(self.refusal(response.status, &response.headers, &said, whole, around))
    }

    fn fault(&self, fault: &Fault) -> Failure {
        let words = self.veil.wash(&fault.to_string());
        // Names, routes and certificates are put right by others; our own limits pass.
        match fault.kind {
            FaultKind::TooLarge => Failure::lasting(words),
            _ => Failure::passing(words),
        }
    }

    /// What an answer that is none of success means.
    fn refusal(&self, status: u16, headers: &HeaderMap, said: &[u8], whole: bool, around: &Around) -> Failure {
        let name = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("no known status");
        let mut words = format!("the receiver answers {status} {name}");
        if (300..=399).contains(&status) {
            let place = headers.get("location").and_then(|l| l.to_str().ok());
            let place = place.and_then(|l| self.address.join(l).ok()).map(|to| self.veil.wash(to.host()));
            if let Some(host) = place {
                words.push_str(&format!(" and sends to {host}, which is not followed"));
            }
            return Failure::lasting(words);
        }
        let quoted = self.veil.quote(said, whole);
        if !quoted.is_empty() {
            words.push_str(&format!(": {quoted}"));
        }
        let retry_after_s = retry_after(headers, said, around).map(|s| s.min(MAX_RETRY_AFTER_S));
        let passing = matches!(status, 408 | 421 | 425 | 429 | 500..=599);
        Failure { passing, retry_after_s: retry_after_s.filter(|_| passing), words }
    }
}

/// When to come back: the header as seconds or a date (RFC 9110 section 10.2.3), else what Discord and Telegram write into
/// their answers.
fn retry_after(headers: &HeaderMap, said: &[u8], around: &Around) -> Option<u64> {
    if let Some(text) = headers.get("retry-after").and_then(|value| value.to_str().ok()) {
        let seconds = text.trim().parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        if let Some(seconds) = seconds {
            return Some(whole_seconds(seconds));
        }
        if let Ok(date) = rfc2822::DateTimeParser::new().parse_timestamp(text.trim()) {
            let ms = date.as_millisecond().saturating_sub(around.clock.utc().0);
            return Some(u64::try_from(ms).unwrap_or(0).div_ceil(1000));
        }
    }
    let answer: serde_json::Value = serde_json::from_slice(said).ok()?;
    let found = answer.get("retry_after").or_else(|| answer.get("parameters")?.get("retry_after"))?;
    found.as_f64().filter(|s| *s >= 0.0).map(whole_seconds)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and the cast saturates
fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil() as u64
}

/// User name and password as Basic authentication sends them.
fn basic(credentials: &Credentials) -> String {
    let pair = format!("{}:{}", credentials.user, credentials.password.expose());
    base64::engine::general_purpose::STANDARD.encode(pair)
}

/// A header name that is written here.
pub(crate) fn net_header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Reads an address by HTTP from a key; what is wrong becomes a problem that shows nothing of it.
pub(crate) fn address(section: &Section<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<Address> {
    let text = section.text(key)?;
    let wrong = |message: String| Problem::new(section.place_of(key), section.path_of(key), message);
    match Address::parse(&text) {
        Ok(address) if matches!(address.scheme(), "http" | "https") => Some(address),
        Ok(_) => {
            problems.push(wrong("only http:// and https:// are spoken here".to_owned()));
            None
        }
        Err(message) => {
            problems.push(wrong(message).with_remedy("write https://host/path"));
            None
        }
    }
}

/// The receiver behind a secret URL ([`WEBHOOK_URL`]).
pub(crate) fn hook(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Receiver> {
    let address = address(section, WEBHOOK_URL.key, problems)?;
    let mut veil = Veil::default();
    veil.add_whole(&address);
    Some(Receiver::new(address, section, veil, problems))
}

/// The channel, or the problems when there are any.
pub(crate) fn built<T: Channel + 'static>(made: Option<T>, problems: Vec<Problem>) -> Built {
    match made {
        Some(channel) if problems.is_empty() => Ok(Box::new(channel)),
        _ => Err(problems),
    }
}

/// A secret that goes into a header or a URL as it is; letters that do not fit become a problem.
pub(crate) fn token(
    section: &Section<'_>,
    key: &str,
    fits: fn(char) -> bool,
    problems: &mut Vec<Problem>,
) -> Option<Secret> {
    let secret = section.secret(key)?;
    if secret.is_empty() || !secret.expose().chars().all(fits) {
        let message = format!("{key} holds letters that none has, or nothing");
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message));
        return None;
    }
    Some(secret)
}

/// A place below a base address, which may have a path of its own.
///
/// # Errors
/// A sentence when it makes no URL.
pub(crate) fn below(base: &Address, path: &str) -> Result<Address, String> {
    let mut url = base.expose_url().clone();
    url.set_query(None);
    let joined = format!("{}{path}", url.as_str().trim_end_matches('/'));
    Ok(Address::parse(&joined)?.with_credentials(base.credentials().cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::around;

    fn receiver() -> Receiver {
        let address = Address::parse("https://u:hunter22@h/hook/s3cret-path").expect("an address");
        let mut veil = Veil::default();
        veil.add_whole(&address);
        let node = model::conf::Node::bare(model::conf::Value::Null);
        let mut problems = Vec::new();
        let section = Section::check(&node, &POST_FIELDS, "", &mut problems);
        let receiver = Receiver::new(address, &section, veil, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        receiver
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (net_header(n), HeaderValue::from_str(v).expect("a value"))).collect()
    }

    #[test]
    fn what_answers_mean_for_another_attempt() {
        let soon = rfc2822::to_string(
            &jiff::Timestamp::from_millisecond(around().clock.utc().0 + 90_000)
                .expect("a time")
                .to_zoned(jiff::tz::TimeZone::UTC),
        )
        .expect("a date");
        for (status, given, said, passing, after) in [
            (500, &[][..], "", true, None),
            (429, &[("retry-after", "7")], "", true, Some(7)),
            (429, &[("retry-after", "0.4")], "", true, Some(1)),
            (429, &[("retry-after", "99999999999999999999")], "", true, Some(3600)),
            (429, &[("retry-after", "-5")], "{\"retry_after\": 1.2}", true, Some(2)),
            (429, &[], "{\"ok\":false,\"parameters\":{\"retry_after\":35}}", true, Some(35)),
            (503, &[("retry-after", "soon")], "", true, None),
            (503, &[("retry-after", soon.as_str())], "", true, Some(90)),
            (401, &[("retry-after", "7")], "", false, None),
            (404, &[], "", false, None),
            (302, &[("location", "https://elsewhere/s3cret-path")], "", false, None),
        ] {
            let failure = receiver().refusal(status, &headers(given), said.as_bytes(), true, &around());
            assert_eq!(failure.passing, passing, "{status}");
            let near = failure.retry_after_s.map(|s| if s.abs_diff(90) < 3 { 90 } else { s });
            assert_eq!(near, after, "{status} {given:?} {said}");
            assert!(!failure.words.contains("s3cret"), "{failure}");
        }
        let echo = "no hook at /hook/s3cret-path for u:hunter22 (dTpodW50ZXIyMg==)";
        let failure = receiver().refusal(404, &headers(&[]), echo.as_bytes(), true, &around());
        assert_eq!(failure.words, "the receiver answers 404 Not Found: no hook at *** for u:*** (***)");
    }

    #[test]
    fn paths_are_put_below_a_base() {
        let base = Address::parse("https://u:p@h:8443/gotify/?x=1").expect("an address");
        let address = below(&base, "/message").expect("an address");
        assert_eq!(address.expose_url().as_str(), "https://h:8443/gotify/message");
        assert!(address.credentials().is_some());
    }
}
