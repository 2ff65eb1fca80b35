//! One write to the server: its address, its headers, its compressed body, and what came of it. Never retries.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::address::Address;
use model::phase::Phase;
use model::reading::Reading;
use model::secret::Secret;
use model::time::Clock;
use net::attempt::Attempt;
use net::http::{HeaderName, HeaderValue, Method, Request, send};

use super::reply::{Outcome, outcome};
use super::settings::{Place, Settings};

/// Most of an answer's body that is read: its first sentences say what is wrong.
const MAX_ANSWER: usize = 4096;
/// Bodies below this are not compressed: they fit one packet.
const GZIP_FROM: usize = 1024;

/// A request whose body is given with each write. Has no `Debug`: it holds the secrets.
pub(crate) struct Writer {
    settings: Arc<Settings>,
    address: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Writer {
    /// A writer for these settings.
    ///
    /// # Errors
    /// A sentence when the address or a secret cannot stand in a request.
    pub(crate) fn new(settings: Arc<Settings>) -> Result<Self, String> {
        let address = address(&settings)?;
        let mut headers = vec![(header("content-type"), HeaderValue::from_static("text/plain; charset=utf-8"))];
        if let Some((name, value)) = authorization(&settings.place) {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| format!("{name} holds a letter that no header can"))?;
            value.set_sensitive(true);
            headers.push((header("authorization"), value));
        }
        Ok(Self { settings, address, headers })
    }

    /// Writes lines and answers what came of it, and how long it took. Words hold no secret.
    pub(crate) async fn write(&self, clock: &dyn Clock, text: String) -> (Outcome, Duration) {
        let limit = self.settings.timeout;
        let mut at = Attempt::new(clock, limit);
        let outcome = self.exchange(&mut at, text).await.unwrap_or_else(|words| Outcome::Later { words, after: None });
        let took = limit.saturating_sub(at.remaining());
        let safe = |words: String| self.settings.redact(&words);
        let outcome = match outcome {
            Outcome::Written => Outcome::Written,
            Outcome::Partly { refused, words } => Outcome::Partly { refused, words: safe(words) },
            Outcome::Refused(words) => Outcome::Refused(safe(words)),
            Outcome::TooLarge(words) => Outcome::TooLarge(safe(words)),
            Outcome::Later { words, after } => Outcome::Later { words: safe(words), after },
        };
        (outcome, took)
    }

    async fn exchange(&self, at: &mut Attempt<'_>, text: String) -> Result<Outcome, String> {
        let mut request = Request::new(Method::POST, self.address.clone());
        request.headers.clone_from(&self.headers);
        request.body = Some(if self.settings.gzip && text.len() >= GZIP_FROM {
            request.headers.push((header("content-encoding"), HeaderValue::from_static("gzip")));
            // Milliseconds of work: not on the threads that read sockets.
            let packed = tokio::task::spawn_blocking(move || gzip(text.as_bytes())).await;
            packed.map_err(|_| "compressing was interrupted".to_owned())?
        } else {
            Bytes::from(text)
        });
        let tls = (self.address.scheme() == "https").then_some(&self.settings.tls);
        let mut reading = Reading::default();
        let mut reply = send(at, &request, tls, &mut reading).await.map_err(|fault| fault.to_string())?;
        let retry = reply.header(header("retry-after")).map(str::to_owned);
        let status = reply.status;
        // The status says nearly all; a body that never ends must not turn a written batch into one that is written again.
        let body = match at.run(Phase::Transfer, reply.body.read_up_to(MAX_ANSWER)).await {
            Ok((body, _)) => body,
            Err(_) => Bytes::new(),
        };
        Ok(outcome(status, retry.as_deref(), &String::from_utf8_lossy(&body), at.utc()))
    }
}

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn address(settings: &Settings) -> Result<Address, String> {
    let mut url = settings.url.expose_url().clone();
    let base = url.path().trim_end_matches('/').to_owned();
    match &settings.place {
        Place::Database { database, retention_policy, .. } => {
            url.set_path(&format!("{base}/write"));
            let mut query = url.query_pairs_mut();
            query.append_pair("db", database).append_pair("precision", "ms");
            if let Some(policy) = retention_policy {
                query.append_pair("rp", policy);
            }
        }
        Place::Bucket { org, bucket, .. } => {
            url.set_path(&format!("{base}/api/v2/write"));
            let mut query = url.query_pairs_mut();
            if let Some(org) = org {
                query.append_pair("org", org);
            }
            query.append_pair("bucket", bucket).append_pair("precision", "ms");
        }
    }
    Address::parse(url.as_str())
}

/// The key that the secret comes from, and the header's value.
fn authorization(place: &Place) -> Option<(&'static str, Secret)> {
    match place {
        Place::Database { login, .. } => login.as_ref().map(|(user, password)| {
            ("password", Secret::new(format!("Basic {}", BASE64.encode(format!("{user}:{}", password.expose())))))
        }),
        Place::Bucket { token, .. } => {
            token.as_ref().map(|token| ("token", Secret::new(format!("Token {}", token.expose()))))
        }
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    // Lines repeat themselves so much that the quickest level leaves a tenth; more effort gains little.
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    packer.write_all(bytes).and_then(|()| packer.finish()).map(Bytes::from).expect("writing to memory cannot fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influx::settings::tests::read;

    #[test]
    fn addresses_and_headers_of_both_versions() {
        for (pairs, path, scheme) in [
            (&[("url", "http://h:8086"), ("database", "d b&x")][..], "/write?db=d+b%26x&precision=ms", None),
            (
                &[
                    ("url", "https://h/influx/"),
                    ("database", "d"),
                    ("username", "u"),
                    ("password", "p"),
                    ("retention_policy", "week"),
                ],
                "/influx/write?db=d&precision=ms&rp=week",
                Some("Basic dTpw"),
            ),
            (
                &[("url", "http://h"), ("org", "my org"), ("bucket", "b"), ("token", "t==")],
                "/api/v2/write?org=my+org&bucket=b&precision=ms",
                Some("Token t=="),
            ),
            (&[("url", "http://h"), ("version", "3"), ("database", "b")], "/api/v2/write?bucket=b&precision=ms", None),
        ] {
            let writer = Writer::new(Arc::new(read(pairs).expect("good"))).expect("good");
            assert_eq!(writer.address.path_and_query(), path);
            let found = writer.headers.iter().find(|(name, _)| name == "authorization");
            assert_eq!(found.and_then(|(_, value)| value.to_str().ok()), scheme, "{path}");
        }
        let bad = read(&[("url", "http://h"), ("bucket", "b"), ("token", "a\nb")]).expect("good");
        let why = Writer::new(Arc::new(bad)).err().expect("no header");
        assert!(why.contains("token") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        use std::io::Read as _;
        let text = "m,a=b c=1i 1700000000000\n".repeat(1000);
        let packed = gzip(text.as_bytes());
        let mut out = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut out).expect("gzip");
        assert!(out == text && packed.len() * 10 < text.len(), "{}", packed.len());
    }
}
