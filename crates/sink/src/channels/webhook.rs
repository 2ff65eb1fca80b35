//! Kind `webhook`: a request to any URL, with a document of a shape that is promised or a text of one's own, signed where a
//! secret is shared. The key of the message goes with it, so that a receiver can drop what it has seen.
//!
//! The signature is HMAC-SHA256 over the time, a full stop and the body, in hex: who knows the secret can tell that the body
//! is ours, and from the time that it is not an old one sent again.

use aws_lc_rs::hmac;
use bytes::Bytes;
use model::address::{Address, Credentials, is_secret_name};
use model::alert::Notification;
use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;
use net::http::{HeaderName, HeaderValue, Method};

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message;
use crate::post::{self, Letter, POST_FIELDS, Receiver, net_header};
use crate::template::{Escape, Template};
use crate::veil::Veil;

/// Longest text of one's own, in bytes.
const MAX_TEMPLATE_BYTES: usize = 64 * 1024;
/// Carries the time of the signature, in seconds since 1970.
const TIMESTAMP: &str = "x-streampulse-timestamp";
/// Carries the signature.
const SIGNATURE: &str = "x-streampulse-signature";
/// Headers that are set here, and what the connection needs.
const OWN_HEADERS: [&str; 7] =
    ["connection", "content-length", "transfer-encoding", "content-type", "idempotency-key", TIMESTAMP, SIGNATURE];

const OWN_FIELDS: [Field; 10] = [
    Field::new(
        "url",
        Type::Text { max: 8000 },
        "Where to; one of `url` and `webhook_url` is needed. A user name and password in it are sent by Basic authentication.",
    ),
    Field::new("webhook_url", Type::Secret, "The same where the whole URL is a secret: never shown again."),
    Field::new("method", Type::Choice(&["POST", "PUT", "PATCH"]), "Request method.").default("POST"),
    Field::new("user", Type::Text { max: 256 }, "User name for Basic authentication."),
    Field::new("password", Type::Secret, "Password for Basic authentication."),
    Field::new("headers", Type::MapOf(&Type::Text { max: 4096 }), "Request headers, as name: value."),
    Field::new(
        "secret_headers",
        Type::MapOf(&Type::Secret),
        "Request headers whose values are never shown again, such as Authorization.",
    ),
    Field::new(
        "hmac_secret",
        Type::Secret,
        "Signs each request: `X-StreamPulse-Signature: sha256=` and the HMAC-SHA256, in hex, of the value of `X-StreamPulse-Timestamp`, a full stop and the body.",
    ),
    Field::new(
        "template",
        Type::Text { max: MAX_TEMPLATE_BYTES },
        "Body in place of the document. `{{title}}`, `{{message}}`, `{{severity}}` and so on stand for values, escaped as `content_type` wants.",
    ),
    Field::new("content_type", Type::Text { max: 200 }, "Media type of the template.").default("application/json"),
];
static FIELDS: [Field; 16] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "webhook",
    summary: "A request to a URL: a JSON document or a text of one's own, signed where a secret is shared",
    example: "\
name: automation
kind: webhook
url: https://automation.example.com/hooks/streams
hmac_secret: ${WEBHOOK_SECRET}
",
    fields: &FIELDS,
    build,
};

struct Webhook {
    receiver: Receiver,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    secret: Option<Secret>,
    template: Option<Template>,
    content_type: HeaderValue,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let mut veil = Veil::default();
    let address = target(section, &mut veil, &mut problems);
    let headers = headers(section, &mut veil, &mut problems);
    let secret = section.secret("hmac_secret").filter(|secret| !secret.is_empty());
    if let Some(secret) = &secret {
        veil.add(secret.expose());
    }
    let wrong = |key: &str, message: String| Problem::new(section.place_of(key), section.path_of(key), message);
    let media_type = section.text("content_type").unwrap_or_default();
    let content_type = HeaderValue::from_str(media_type.trim()).unwrap_or_else(|_| {
        problems.push(wrong("content_type", "the value holds letters that a header cannot carry".to_owned()));
        HeaderValue::from_static("application/json")
    });
    let template = section.text("template").and_then(|text| {
        let parsed = Template::parse(&text, Escape::of(&media_type));
        parsed.map_err(|message| problems.push(wrong("template", message))).ok()
    });
    if section.node("template").is_none() && section.node("content_type").is_some() {
        let problem = wrong("content_type", "content_type is that of a template, and there is none".to_owned());
        problems.push(problem.with_remedy("remove it, or add a template"));
    }
    let method = match section.text("method").as_deref() {
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        _ => Method::POST,
    };
    let receiver = address.map(|address| Receiver::new(address, section, veil, &mut problems));
    match receiver {
        Some(receiver) if problems.is_empty() => {
            Ok(Box::new(Webhook { receiver, method, headers, secret, template, content_type }))
        }
        _ => Err(problems),
    }
}

fn target(section: &Section<'_>, veil: &mut Veil, problems: &mut Vec<Problem>) -> Option<Address> {
    let wrong = |key: &str, message: &str| Problem::new(section.place_of(key), section.path_of(key), message);
    let (open, whole) = (section.node("url").is_some(), section.node("webhook_url").is_some());
    let address = match (open, whole) {
        (true, true) => {
            problems
                .push(wrong("webhook_url", "url and webhook_url name two places").with_remedy("remove one of the two"));
            return None;
        }
        (false, false) => {
            problems.push(wrong("url", "url is missing").with_remedy("where to, such as https://host/path"));
            return None;
        }
        (true, false) => post::address(section, "url", problems)?,
        (false, true) => {
            let address = post::address(section, "webhook_url", problems)?;
            veil.add_whole(&address);
            // A masked value goes back only to the host that it was for, and here nobody sees the host.
            for key in ["secret_headers", "password"].iter().filter(|key| section.node(key).is_some()) {
                let problem = wrong(key, "a URL that is a secret as a whole goes with no other secret");
                problems.push(problem.with_remedy("write the URL under url"));
            }
            address
        }
    };
    let (user, password) = (section.text("user"), section.secret("password"));
    if user.is_none() && password.is_none() {
        return Some(address);
    }
    let credentials = Credentials { user: user.unwrap_or_default(), password: password.unwrap_or_default() };
    Some(address.with_credentials(Some(credentials)))
}

fn headers(section: &Section<'_>, veil: &mut Veil, problems: &mut Vec<Problem>) -> Vec<(HeaderName, HeaderValue)> {
    let mut all = Vec::new();
    for (key, secret) in [("headers", false), ("secret_headers", true)] {
        for (name, value) in section.pairs(key) {
            let path = format!("{}.{name}", section.path_of(key));
            let problem = |message: &str| Problem::new(section.place_of(key), &path, message);
            let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                problems.push(problem("is no header name"));
                continue;
            };
            let Ok(mut content) = HeaderValue::from_str(&value) else {
                problems.push(problem("the value holds letters that a header cannot carry"));
                continue;
            };
            if OWN_HEADERS.contains(&header.as_str()) {
                problems.push(problem("is set by StreamPulse itself").with_remedy("remove it"));
            } else if !secret && (is_secret_name(header.as_str()) || header == "cookie") {
                problems.push(problem("may hold a secret").with_remedy("write it under secret_headers"));
            }
            if secret {
                veil.add(&value);
                // `Bearer abc`: the second word alone is the secret.
                veil.add(value.rsplit(' ').next().unwrap_or_default());
            }
            content.set_sensitive(secret);
            all.push((header, content));
        }
    }
    all
}

impl Webhook {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let body = match &self.template {
            Some(template) => template.fill(n, around),
            None => message::document(n, around).to_string(),
        };
        let body = Bytes::from(body);
        let mut letter = Letter {
            method: self.method.clone(),
            headers: self.headers.clone(),
            body: (self.content_type.clone(), body),
        };
        letter = letter.with(net_header("idempotency-key"), &visible(&n.key));
        if let Some(secret) = &self.secret {
            let time = (around.clock.utc().0 / 1000).to_string();
            let signature = sign(secret, &time, &letter.body.1);
            letter = letter.with(net_header(TIMESTAMP), &time).with(net_header(SIGNATURE), &signature);
        }
        self.receiver.post(letter, around).await
    }
}

impl Channel for Webhook {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}

/// The signature of a body at a time.
fn sign(secret: &Secret, time: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A key as a header can carry it: what is no visible ASCII is percent-encoded.
pub(crate) fn visible(key: &str) -> String {
    let byte = |b: u8| if b.is_ascii_graphic() && b != b'%' { char::from(b).to_string() } else { format!("%{b:02X}") };
    key.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_everybody() {
        // By: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signed = sign(&Secret::new("secret"), "1700000000", b"{\"a\":1}");
        assert_eq!(signed, "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
        assert_eq!(visible("down/gäte 1%"), "down/g%C3%A4te%201%25");
    }
}
