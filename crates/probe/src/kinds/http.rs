//! Kind `http`: HTTP/1.1 (RFC 9110, 9112), plain or over TLS: status, headers, body. Owns the order of a look; the
//! expectations and the following of redirects are in the folder.
//!
//! A reply that is a stream of JPEG pictures (`multipart/x-mixed-replace`) is a camera's: unless the configuration says what
//! else to judge, a whole picture must come, as the `mjpeg` kind wants it.
//!
//! Quirks met: servers that refuse HEAD (GET is used then, and the reading says so), bodies that never end (radio streams are
//! not read to the end unless their body is to be judged).

mod check;
pub(crate) mod fetch;
mod hint;

use std::sync::Arc;

use bytes::Bytes;
use model::address::{Address, is_secret_name};
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{FactValue, Reading, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::http::{HeaderName, HeaderValue, Method, Response};
use net::trust::{TLS_FIELDS, TlsOptions};

use self::check::{BodyChecks, StatusSet};
use self::fetch::{Ask, fetch, status_fault};
use super::mjpeg;
use crate::kind::{AUTH_FIELDS, BoxFuture, Kind, Probe, address_of, join_fields, options_node};

/// Longest text to look for in a body and longest body to send, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Largest body that may be asked to be read.
const MAX_BODY_BYTES: u64 = 64 * 1024 * 1024;

const OWN_FIELDS: [Field; 13] = [
    Field::new(
        "method",
        Type::Choice(&["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
        "Request method. Where HEAD is refused, GET is used and the reading says so.",
    )
    .default("GET"),
    Field::new("headers", Type::MapOf(&Type::Text { max: 4096 }), "Request headers, as name: value."),
    Field::new(
        "secret_headers",
        Type::MapOf(&Type::Secret),
        "Request headers whose values are never shown again, such as Authorization; sent to the URL's own server only.",
    ),
    Field::new("body", Type::Text { max: MAX_TEXT_BYTES }, "Request body for POST and PUT."),
    Field::new(
        "expect_status",
        Type::List(&Type::Text { max: 16 }),
        "Accepted status codes, as 204, 200-299 or 2xx, after redirects. Default: 200-399.",
    ),
    Field::new(
        "body_contains",
        Type::List(&Type::Text { max: MAX_TEXT_BYTES }),
        "Texts that the body must contain; upper and lower case matter.",
    ),
    Field::new(
        "body_not_contains",
        Type::List(&Type::Text { max: MAX_TEXT_BYTES }),
        "Texts that the body must not contain.",
    ),
    Field::new(
        "body_regex",
        Type::Text { max: 1024 },
        "Regular expression that must match somewhere in the body; (?s) lets a dot match line ends.",
    ),
    Field::new(
        "json_pointer",
        Type::Text { max: 1024 },
        "Place in a JSON body that must exist, as /status/ready (RFC 6901).",
    ),
    Field::new("json_equals", Type::Any, "Value that must stand at json_pointer: a text, a number, true or false."),
    Field::new(
        "follow_redirects",
        Type::Integer { min: 0, max: 10 },
        "Redirects to follow at most; with 0 a redirect is the answer. Credentials stay with their server.",
    )
    .default("5"),
    Field::new(
        "max_body",
        Type::Size { min: 0, max: MAX_BODY_BYTES },
        "Most bytes of the body to read. A larger body is a fault only when its content is judged.",
    )
    .default("1MiB"),
    Field::new(
        "read_body",
        Type::Bool,
        "Whether the body is read (up to max_body) when its content is not judged; false ends the check at the headers. A \
         camera's stream (multipart/x-mixed-replace) is read until a whole JPEG picture has come, whatever max_body is.",
    )
    .default("true"),
];
static FIELDS: [Field; 20] = join_fields(&[&OWN_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "http",
    schemes: &["http", "https"],
    summary: "HTTP: the expected status, and a body that holds what it should; of a camera's stream, a whole JPEG picture",
    example: "\
name: Website
url: https://www.example.com/health
kind: http
expect_status: [200-299]
body_contains: ready
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Http::new(target)?)),
    guess: |address| u8::from(matches!(address.scheme(), "http" | "https")),
};

/// A target of this kind, ready to be looked at.
struct Http {
    address: Address,
    tls: TlsOptions,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    status: StatusSet,
    checks: Arc<BodyChecks>,
    redirects: usize,
    max_body: usize,
    read_body: bool,
}

impl Http {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let problem = |key: &str, message: String| Problem::new(options.place_of(key), options.path_of(key), message);
        let method = match options.text("method").as_deref() {
            Some("HEAD") => Method::HEAD,
            Some("POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some("OPTIONS") => Method::OPTIONS,
            _ => Method::GET,
        };
        let status = StatusSet::read(&options, &mut problems);
        let checks = BodyChecks::read(&options, &mut problems);
        if method == Method::HEAD && (checks.any() || options.node("body_regex").is_some()) {
            let message = "HEAD has no body that could be judged".to_owned();
            problems.push(problem("method", message).with_remedy("use GET"));
        }
        let body = options.text("body").map(Bytes::from);
        if body.is_some() && !matches!(method, Method::POST | Method::PUT) {
            problems.push(problem("body", format!("{method} sends no body")).with_remedy("set method to POST or PUT"));
        }
        let headers = headers(&options, &mut problems);
        let probe = Self {
            address: address_of(target, &options),
            tls: TlsOptions::read(&options, &mut problems),
            method,
            headers,
            body,
            status,
            checks: Arc::new(checks),
            redirects: options.integer("follow_redirects").and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            max_body: options.size("max_body").and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            read_body: options.bool("read_body").unwrap_or(true),
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut reply = self.ask(at, &self.method, reading).await;
        if self.method == Method::HEAD && self.is_refusal(&reply) {
            let second = self.ask(at, &Method::GET, reading).await?;
            if self.status.contains(second.status) {
                reading.flag(fact::HEAD_REFUSED, true);
            }
            reply = Ok(second);
        }
        let mut reply = reply?;
        if !self.status.contains(reply.status) {
            return Err(status_fault(&reply, &self.status.to_string()));
        }
        let good = (200..=299).contains(&reply.status);
        if good && self.wants_pictures(reading) {
            return mjpeg::prove(at, reply, reading).await;
        }
        if good && let Some(words) = hint::hint(content_type(reading).unwrap_or_default(), &self.address) {
            reading.text(fact::HINT, words);
        }
        self.read(at, &mut reply, reading).await
    }

    /// Whether the reply is a stream of pictures and nothing says what else it is judged by: it is up when pictures come.
    fn wants_pictures(&self, reading: &Reading) -> bool {
        let judged = self.method != Method::GET || self.checks.any() || !self.read_body || self.max_body == 0;
        !judged && content_type(reading).is_some_and(hint::is_camera)
    }

    async fn ask(&self, at: &mut Attempt<'_>, method: &Method, reading: &mut Reading) -> Result<Response, Fault> {
        let ask = Ask {
            method: method.clone(),
            address: &self.address,
            headers: &self.headers,
            body: self.body.as_ref(),
            tls: &self.tls,
            redirects: self.redirects,
            accepts: &|status| self.status.contains(status),
        };
        fetch(at, &ask, reading).await
    }

    /// Whether the answer to HEAD may be about HEAD and not about the page. A server in distress is not asked twice.
    fn is_refusal(&self, reply: &Result<Response, Fault>) -> bool {
        match reply {
            Ok(reply) => {
                !self.status.contains(reply.status) && matches!(reply.status, 400 | 403..=428 | 430..=499 | 501)
            }
            // Some devices close the connection on a method that they do not know.
            Err(fault) => fault.kind == FaultKind::Protocol && fault.phase == Phase::FirstByte,
        }
    }

    async fn read(&self, at: &mut Attempt<'_>, reply: &mut Response, reading: &mut Reading) -> Result<(), Fault> {
        let body = &mut reply.body;
        if !self.checks.any() {
            if self.read_body && self.max_body > 0 {
                let endless = endless(reading);
                let limit = if endless { 1 } else { self.max_body };
                let read = at.run(Phase::Transfer, body.read_up_to(limit)).await;
                reading.int(fact::BODY_BYTES, i64::try_from(body.received()).unwrap_or(i64::MAX));
                read?;
            }
            return Ok(());
        }
        let read = at.run(Phase::Transfer, body.collect(self.max_body)).await;
        reading.int(fact::BODY_BYTES, i64::try_from(body.received()).unwrap_or(i64::MAX));
        let all = read?;
        at.run(Phase::Check, self.checks.judge(all)).await
    }
}

/// The content type of the reply as noted.
fn content_type(reading: &Reading) -> Option<&str> {
    match reading.facts.get(fact::CONTENT_TYPE) {
        Some(FactValue::Text(kind)) => Some(kind),
        _ => None,
    }
}

/// Whether the content type is one of streams, whose bodies have no end: their first bytes are enough.
fn endless(reading: &Reading) -> bool {
    let Some(kind) = content_type(reading).map(str::to_ascii_lowercase) else { return false };
    ["audio/", "video/", "application/ogg", "multipart/x-mixed-replace", "text/event-stream"]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
}

/// The request headers of a target of this kind, for whoever asks its server for something else than a look.
pub(crate) fn headers_of(target: &Target) -> Result<Vec<(HeaderName, HeaderValue)>, Vec<Problem>> {
    let node = options_node(target);
    let mut problems = Vec::new();
    let options = Section::check(&node, &FIELDS, "", &mut problems);
    let headers = headers(&options, &mut problems);
    if problems.is_empty() { Ok(headers) } else { Err(problems) }
}

/// The configured headers, checked.
fn headers(options: &Section<'_>, problems: &mut Vec<Problem>) -> Vec<(HeaderName, HeaderValue)> {
    let mut all = Vec::new();
    for (key, secret) in [("headers", false), ("secret_headers", true)] {
        for (name, value) in options.pairs(key) {
            let path = format!("{}.{name}", options.path_of(key));
            let problem = |message: &str| Problem::new(options.place_of(key), &path, message);
            let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                problems.push(problem("is no header name"));
                continue;
            };
            let Ok(mut value) = HeaderValue::from_str(&value) else {
                problems.push(problem("the value holds letters that a header cannot carry"));
                continue;
            };
            if matches!(header.as_str(), "connection" | "content-length" | "transfer-encoding") {
                problems.push(problem("is set by StreamPulse itself").with_remedy("remove it"));
            } else if !secret && (is_secret_name(header.as_str()) || header == "cookie") {
                problems.push(problem("may hold a secret").with_remedy("write it under secret_headers"));
            }
            value.set_sensitive(secret);
            all.push((header, value));
        }
    }
    all
}

impl Probe for Http {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
