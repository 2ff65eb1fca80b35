//! A scripted HTTP/1.1 server that remembers what it was asked. Its routes are data that every test may use; a test with
//! wishes of its own gives a closure.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use md5::{Digest as _, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::peer::{Conn, Peer, Stats, drain, send};

/// User name that the protected routes want.
pub const USER: &str = "viewer";
/// Password that the protected routes want.
pub const PASSWORD: &str = "s3cret";

/// Largest request that is read.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// GET, HEAD, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// What comes back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, headers, body; `Content-Length` is added.
    Whole(u16, Vec<(String, String)>, Vec<u8>),
    /// These bytes as they are, then the end of the stream.
    Raw(Vec<u8>),
    /// These bytes as they are, then silence.
    Stall(Vec<u8>),
    /// These bytes, then the others for ever.
    Endless(Vec<u8>, Vec<u8>),
}

impl Reply {
    /// A page of text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(status, vec![("Content-Type".into(), "text/plain".into())], body.into())
    }

    /// The same reply with one more header.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<String>) -> Self {
        match self {
            Self::Whole(status, mut headers, body) => {
                headers.push((name.to_owned(), value.into()));
                Self::Whole(status, headers, body)
            }
            other => other,
        }
    }
}

/// A running server.
pub struct HttpPeer {
    peer: Peer,
    tls: bool,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HttpPeer {
    /// A server with the standard [`routes`].
    pub async fn start() -> Self {
        Self::with(routes).await
    }

    /// A server that answers by `answer`.
    pub async fn with(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_tls(None, answer).await
    }

    /// The same behind TLS, where an acceptor is given.
    pub async fn with_tls(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        let is_tls = tls.is_some();
        let peer = Peer::start_with(tls, move |conn, stats| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move { converse(conn, &stats, &log, &*answer).await }
        })
        .await;
        Self { peer, tls: is_tls, requests }
    }

    /// A URL on this server by IP address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.peer.url(if self.tls { "https" } else { "http" }, path)
    }

    /// A URL on this server by the name `localhost`, for which the good certificate is made.
    #[must_use]
    pub fn url_by_name(&self, path: &str) -> String {
        self.url(path).replace("127.0.0.1", "localhost")
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.peer.stats()
    }

    /// Address, for URLs of other forms.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.peer.address()
    }
}

async fn converse(
    mut conn: Conn,
    stats: &Stats,
    log: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) {
    let Some(request) = read_request(&mut conn).await else { return };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let head_only = request.method == "HEAD";
    match answer(&request) {
        Reply::Whole(status, headers, body) => {
            let mut out = format!("HTTP/1.1 {status} Scripted\r\nServer: testkit\r\nConnection: close\r\n");
            for (name, value) in headers {
                out.push_str(&format!("{name}: {value}\r\n"));
            }
            out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
            send(&mut conn, out.as_bytes()).await;
            if !head_only {
                send(&mut conn, &body).await;
            }
            let _ = conn.shutdown().await;
            drain(&mut conn, stats).await;
        }
        Reply::Raw(bytes) => {
            send(&mut conn, &bytes).await;
            let _ = conn.shutdown().await;
            drain(&mut conn, stats).await;
        }
        Reply::Stall(bytes) => {
            send(&mut conn, &bytes).await;
            drain(&mut conn, stats).await;
        }
        Reply::Endless(begin, again) => {
            send(&mut conn, &begin).await;
            while send(&mut conn, &again).await {
                stats.note_sent(again.len());
            }
        }
    }
}

async fn read_request(conn: &mut Conn) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        match conn.read(&mut buffer).await {
            Ok(n @ 1..) if bytes.len() < MAX_REQUEST_BYTES => bytes.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut request =
        Request { method: first.next()?.to_owned(), target: first.next()?.to_owned(), ..Request::default() };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length: usize = request.header("Content-Length").and_then(|v| v.parse().ok()).unwrap_or(0);
    request.body = bytes[head + 4..].to_vec();
    while request.body.len() < length.min(MAX_REQUEST_BYTES) {
        match conn.read(&mut buffer).await {
            Ok(n @ 1..) => request.body.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
    Some(request)
}

/// The standard routes:
/// `/` a page with the word `welcome`; `/status/NNN`; `/redirect` to `/`; `/loop` to itself; `/hops/N` through N redirects;
/// `/away?URL` to another place; `/basic` and `/digest` behind [`USER`] and [`PASSWORD`]; `/ntlm` behind something
/// that nobody speaks; `/json`; `/echo` what was sent; `/head-refused` only by GET; `/cut` shorter than announced; `/big/N`
/// bytes; `/stall` after the headers; `/endless` body; `/endless-headers`; `/html`.
#[must_use]
pub fn routes(request: &Request) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    let query = request.target.split_once('?').map_or("", |(_, q)| q);
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
    if let Some(status) = number("/status/") {
        return Reply::text(u16::try_from(status).unwrap_or(500), "as asked");
    }
    if let Some(hops) = number("/hops/") {
        let next = if hops <= 1 { "/".to_owned() } else { format!("/hops/{}", hops - 1) };
        return Reply::text(302, "").with("Location", next);
    }
    if let Some(size) = number("/big/") {
        return Reply::text(200, vec![b'x'; size]);
    }
    match path {
        "/" => Reply::text(200, "welcome"),
        "/html" => Reply::Whole(200, vec![("Content-Type".into(), "text/html".into())], b"<html>log in</html>".into()),
        "/redirect" => Reply::text(301, "").with("Location", "/"),
        "/loop" => Reply::text(302, "").with("Location", "/loop"),
        "/away" => Reply::text(307, "").with("Location", query),
        "/basic" => basic(request, Reply::text(200, "welcome")),
        "/digest" => digest(request, Reply::text(200, "welcome")),
        "/ntlm" => Reply::text(401, "").with("WWW-Authenticate", "NTLM"),
        "/json" => Reply::Whole(
            200,
            vec![("Content-Type".into(), "application/json".into())],
            br#"{"state":"ready","count":3,"items":[{"ok":true}]}"#.into(),
        ),
        "/echo" => {
            let headers: String = request.headers.iter().map(|(n, v)| format!("{n}: {v}\n")).collect();
            let body = String::from_utf8_lossy(&request.body);
            Reply::text(200, format!("{} {}\n{headers}\n{body}", request.method, request.target))
        }
        "/head-refused" if request.method == "HEAD" => Reply::text(405, "").with("Allow", "GET"),
        "/head-refused" => Reply::text(200, "welcome"),
        "/cut" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".into()),
        "/stall" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwel".into()),
        "/endless" => Reply::Endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into(), vec![b'x'; 16 * 1024]),
        "/endless-headers" => {
            Reply::Endless(b"HTTP/1.1 200 OK\r\n".into(), format!("X-A: {}\r\n", "x".repeat(2000)).into())
        }
        _ => Reply::text(404, "nothing here"),
    }
}

/// `reply` for whoever knows the password, by Basic.
#[must_use]
pub fn basic(request: &Request, reply: Reply) -> Reply {
    let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    if request.header("Authorization") == Some(&format!("Basic {wanted}")) {
        return reply;
    }
    Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"lab\"")
}

/// `reply` for whoever knows the password, by Digest with MD5 and `qop=auth` (RFC 7616).
#[must_use]
pub fn digest(request: &Request, reply: Reply) -> Reply {
    digest_by(request, "c2NyaXB0ZWQ", reply)
}

/// The same with `nonce` in force: an answer to any other one is refused, and nothing says that it was too old.
#[must_use]
pub fn digest_by(request: &Request, nonce: &str, reply: Reply) -> Reply {
    let header = request.header("Authorization").unwrap_or_default();
    let field = |name: &str| {
        header.trim_start_matches("Digest ").split(',').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            (key == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    let md5 = |text: String| Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let answer = (|| {
        let secret = md5(format!("{USER}:lab:{PASSWORD}"));
        let what = md5(format!("{}:{}", request.method, field("uri").filter(|u| *u == request.target)?));
        let (nc, cnonce) = (field("nc")?, field("cnonce")?);
        Some(md5(format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{what}")))
    })();
    if answer.is_some() && answer == field("response") && field("username").as_deref() == Some(USER) {
        return reply;
    }
    let challenge = format!("Digest realm=\"lab\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5");
    Reply::text(401, "").with("WWW-Authenticate", challenge)
}
