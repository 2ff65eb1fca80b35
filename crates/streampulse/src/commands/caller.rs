//! Asking a running instance over its API: where it is, as whom, and what it says. For commands that act on what runs.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use engine::config::{ConfigFile, Overrides, load};
use model::address::Address;
use model::reading::Reading;
use model::secret::Secret;
use net::attempt::Attempt;
use net::clock::SystemClock;
use net::http::{Body, HeaderName, HeaderValue, Method, Request, Response, send};
use net::trust::{TlsOptions, Trust};
use serde_json::Value;
use web::auth::local;

use crate::args::Reach;
use crate::commands::check::environment;

/// Longest wait for an answer: the server gives up on a slow disk before.
const LIMIT: Duration = Duration::from_secs(20);
/// Largest answer that is read: five thousand long lines of output.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Environment variable with an API token.
const TOKEN: &str = "STREAMPULSE_TOKEN";
/// Longest file with a token.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Why a command came to nothing: its exit code, and words.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Exit code.
    pub(crate) code: u8,
    /// For people.
    pub(crate) words: String,
}

/// Exit code of whatever failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code for misuse.
pub(crate) const MISUSE: u8 = crate::MISUSE;
/// Exit code when there is no such thing.
pub(crate) const UNKNOWN: u8 = 4;

impl Failed {
    /// A failure with this exit code.
    pub(crate) fn new(code: u8, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

/// What commands answer with.
pub(crate) type Done<T> = Result<T, Failed>;

/// Asks one instance.
pub(crate) struct Caller {
    base: String,
    token: Option<Secret>,
    tls: TlsOptions,
}

impl Caller {
    /// The instance that the arguments mean.
    pub(crate) fn new(reach: &Reach) -> Done<Self> {
        // An address that somebody names need not be ours, one that the configuration names is.
        let own = reach.listen.first().is_none_or(|named| reachable(*named).ip().is_loopback());
        let (base, here) = match &reach.url {
            Some(url) => (url.trim_end_matches('/').to_owned(), false),
            None => {
                let base = base(&reach.listen, &reach.places.config);
                (base.map_err(|error| Failed::new(FAILED, format!("{error:#}")))?, own)
            }
        };
        // The instance's own certificate is made out to its public name, not to loopback.
        let trust = if here { Trust::Insecure } else { Trust::System };
        Ok(Self { token: token(reach, here)?, base, tls: TlsOptions { trust, ..TlsOptions::default() } })
    }

    /// Sends a request and waits for the head of its answer.
    async fn open(&self, method: Method, path: &str, body: Option<&Value>) -> Done<Response> {
        let url = format!("{}{path}", self.base);
        let address = Address::parse(&url).map_err(|e| Failed::new(MISUSE, format!("{}: {e}", self.base)))?;
        let tls = (address.scheme() == "https").then_some(&self.tls);
        let mut request = Request::new(method, address);
        if let Some(token) = &self.token {
            let value = http_value(&format!("Bearer {}", token.expose()))?;
            request.headers.push((HeaderName::from_static("authorization"), value));
        }
        if let Some(body) = body {
            request.headers.push((HeaderName::from_static("content-type"), http_value("application/json")?));
            request.body = Some(body.to_string().into());
        }
        let clock = SystemClock::new();
        let mut attempt = Attempt::new(&clock, LIMIT);
        let sent = send(&mut attempt, &request, tls, &mut Reading::default()).await;
        sent.map_err(|fault| Failed::new(FAILED, format!("{}: {fault}; does StreamPulse run there?", self.base)))
    }

    /// Asks for JSON.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Done<Value> {
        let mut response = self.open(method, path, body).await?;
        let read = tokio::time::timeout(LIMIT, response.body.collect(MAX_ANSWER_BYTES)).await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(fault)) => return Err(Failed::new(FAILED, format!("{}: {fault}", self.base))),
            Err(_) => return Err(Failed::new(FAILED, format!("{}: the answer did not end in time", self.base))),
        };
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if (200..300).contains(&response.status) { Ok(said) } else { Err(self.refused(response.status, &said)) }
    }

    /// Asks for something that does not end by itself.
    pub(crate) async fn follow(&self, path: &str) -> Done<Body> {
        let mut response = self.open(Method::GET, path, None).await?;
        if response.status == 200 {
            return Ok(response.body);
        }
        let bytes = tokio::time::timeout(LIMIT, response.body.collect(MAX_ANSWER_BYTES)).await;
        let said = bytes.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Err(self.refused(response.status, &said.unwrap_or_default()))
    }

    /// What a refusal means for the command.
    fn refused(&self, status: u16, said: &Value) -> Failed {
        let error = &said["error"];
        let words = error["message"].as_str().unwrap_or("the answer is none of StreamPulse's");
        match status {
            404 => Failed::new(UNKNOWN, words),
            401 => {
                let how =
                    "put an API token into STREAMPULSE_TOKEN, or run this as the user of StreamPulse with its --state";
                Failed::new(FAILED, format!("{words}: {how}"))
            }
            422 => {
                let problems = error["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
                let line = |p: &Value| {
                    let text = |key: &str| p[key].as_str().unwrap_or_default().to_owned();
                    let remedy = p["remedy"].as_str().map(|r| format!(" ({r})")).unwrap_or_default();
                    format!("{}: {}{remedy}", text("path"), text("message"))
                };
                let lines: Vec<String> = problems.iter().map(line).collect();
                Failed::new(FAILED, if lines.is_empty() { words.to_owned() } else { lines.join("\n") })
            }
            400 => Failed::new(MISUSE, words),
            _ => Failed::new(FAILED, format!("{words} (HTTP {status} from {})", self.base)),
        }
    }
}

fn http_value(text: &str) -> Done<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Failed::new(MISUSE, "the token is no API token"))
}

/// The token: from its file, from the environment, or, for the instance that the configuration names, the key that it left in
/// its state folder. That key is sent nowhere else.
fn token(reach: &Reach, here: bool) -> Done<Option<Secret>> {
    if let Some(file) = &reach.token_file {
        let unreadable = |e: std::io::Error| Failed::new(MISUSE, format!("{}: {e}", file.display()));
        let mut text = String::new();
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        opened.take(MAX_TOKEN_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text.lines().next().map(|line| Secret::new(line.trim())));
    }
    if let Some(text) = environment(TOKEN).filter(|text| !text.trim().is_empty()) {
        return Ok(Some(Secret::new(text.trim())));
    }
    Ok(here.then(|| local::read(&reach.places.state.join(local::FILE))).flatten())
}

/// The base URL of the instance with these settings: the address from the command line or the file, the scheme from the file.
pub(crate) fn base(listen: &[SocketAddr], config: &Path) -> anyhow::Result<String> {
    let overrides = Overrides { listen: (!listen.is_empty()).then(|| listen.to_vec()), ..Overrides::default() };
    let file = ConfigFile::new(config);
    let loaded = file.read().map_err(|p| vec![p]).and_then(|(text, _)| load(&text, &environment, &overrides));
    let (scheme, first) = match (loaded, listen.first()) {
        (Ok(config), _) => {
            (if config.server.tls.is_some() { "https" } else { "http" }, config.server.listen.first().copied())
        }
        // The file may be broken while the instance runs on with the last good one.
        (Err(_), Some(first)) => ("http", Some(*first)),
        (Err(problems), None) => anyhow::bail!("{}: {}", file.path().display(), problems[0]),
    };
    let first = first.ok_or_else(|| anyhow::anyhow!("the configuration names no listen address"))?;
    Ok(format!("{scheme}://{}", reachable(first)))
}

/// "Any address" is listened on, loopback is asked.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        });
    }
    address
}
