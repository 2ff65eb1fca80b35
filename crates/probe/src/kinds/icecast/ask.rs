//! Asking for a stream: one request by hand, because the status line of old Shoutcast servers is not HTTP's. Answers
//! challenges and follows redirects; credentials go to the server that they were configured for and to no other.

use bytes::{Buf, BytesMut};
use model::address::{Address, default_port};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use net::attempt::Attempt;
use net::dial::{self, Stream, io_fault};
use net::http::USER_AGENT;
use net::trust::TlsOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::auth;
use wire::icy::{self, Head, HeadError};

use crate::kind::client_nonce;

/// Redirects followed: a load balancer and a move to https.
const MAX_REDIRECTS: i64 = 5;
/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;

/// A reply whose body is arriving.
pub(super) struct Listener {
    pub(super) head: Head,
    /// Bytes of the body that were not taken yet.
    pub(super) inbox: BytesMut,
    stream: Stream,
}

impl Listener {
    /// Reads more of the body; false at its end. Waits without a deadline of its own.
    pub(super) async fn more(&mut self, phase: Phase) -> Result<bool, Fault> {
        read(&mut self.stream, &mut self.inbox, phase).await
    }
}

/// Asks until a server answers with a stream; also tells the address that did.
pub(super) async fn listen(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    reading: &mut Reading,
) -> Result<(Listener, Address), Fault> {
    let mut address = address.clone();
    let mut redirects = 0;
    loop {
        let listener = sign_in(at, &address, tls, reading).await?;
        let head = &listener.head;
        match head.status {
            200..=299 => return Ok((listener, address)),
            301 | 302 | 303 | 307 | 308 => {
                redirects += 1;
                address = follow(&address, head, redirects)?;
                reading.int(fact::REDIRECTS, redirects);
            }
            _ => return Err(status_fault(head)),
        }
    }
}

/// One request, and a second one with the answer to its challenge.
async fn sign_in(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    reading: &mut Reading,
) -> Result<Listener, Fault> {
    let listener = request(at, address, tls, None, reading).await?;
    if listener.head.status != 401 || is_absent(&listener.head) {
        return Ok(listener);
    }
    let refused = |detail: String| Err(Fault::new(FaultKind::AuthRequired, Phase::FirstByte, detail));
    let offered = auth::parse(listener.head.headers.get_all("WWW-Authenticate"));
    let Some(challenge) = auth::pick(&offered.usable) else {
        return refused("status 401, and the server offers no way to sign in that is supported".to_owned());
    };
    let Some(known) = address.credentials() else {
        let scheme = challenge.scheme();
        return refused(format!("the server asks for a user name and password ({scheme}), none is configured"));
    };
    let nonce = client_nonce(Phase::FirstByte)?;
    let uri = address.path_and_query();
    let answer = auth::respond(challenge, &known.user, known.password.expose(), "GET", &uri, 1, &nonce);
    let again = request(at, address, tls, Some(&answer), reading).await?;
    if again.head.status == 401 {
        return refused(format!("the server refuses the user name or password ({})", challenge.scheme()));
    }
    Ok(again)
}

async fn request(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: &TlsOptions,
    authorization: Option<&str>,
    reading: &mut Reading,
) -> Result<Listener, Fault> {
    let tls = (address.scheme() == "https").then_some(tls);
    let mut stream = dial::connect(at, address, tls, reading).await?;
    let words = request_words(address, authorization)?;
    let listener = at
        .run(Phase::FirstByte, async {
            let wrote = async {
                stream.write_all(words.as_bytes()).await?;
                stream.flush().await
            };
            wrote.await.map_err(|e| io_fault(Phase::FirstByte, &e))?;
            head(stream).await
        })
        .await?;
    reading.int(fact::STATUS_CODE, i64::from(listener.head.status));
    let server = listener.head.text("server").or_else(|| listener.head.text("icy-notice2"));
    for (text, key) in [(server, fact::SERVER), (listener.head.text("content-type"), fact::CONTENT_TYPE)] {
        if let Some(text) = text {
            reading.text(key, text);
        }
    }
    Ok(listener)
}

fn request_words(address: &Address, authorization: Option<&str>) -> Result<String, Fault> {
    let host = if address.host().contains(':') { format!("[{}]", address.host()) } else { address.host().to_owned() };
    let port = address.port().filter(|port| Some(*port) != default_port(address.scheme()));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    if authorization.trim_end().contains(['\r', '\n']) {
        let detail = "the user name cannot be sent in a header";
        return Err(Fault::new(FaultKind::AuthRequired, Phase::FirstByte, detail));
    }
    Ok(format!(
        "GET {} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nIcy-MetaData: 1\r\n\
         {authorization}Connection: close\r\n\r\n",
        address.path_and_query()
    ))
}

/// Reads the head of the reply.
async fn head(mut stream: Stream) -> Result<Listener, Fault> {
    let mut inbox = BytesMut::new();
    loop {
        if !inbox.is_empty() {
            match icy::parse_head(&inbox) {
                Ok(Some((head, length))) => {
                    inbox.advance(length);
                    return Ok(Listener { head, inbox, stream });
                }
                Ok(None) => {}
                Err(error) => {
                    let kind = if error == HeadError::TooLarge { FaultKind::TooLarge } else { FaultKind::Protocol };
                    return Err(Fault::new(kind, Phase::FirstByte, error.to_string()));
                }
            }
        }
        if !read(&mut stream, &mut inbox, Phase::FirstByte).await? {
            let part = if inbox.is_empty() { "without an answer" } else { "in the headers of the reply" };
            return Err(Fault::protocol(Phase::FirstByte, format!("the peer closed the connection {part}")));
        }
    }
}

async fn read(stream: &mut Stream, inbox: &mut BytesMut, phase: Phase) -> Result<bool, Fault> {
    inbox.reserve(READ_BYTES);
    let count = stream.read_buf(inbox).await.map_err(|e| io_fault(phase, &e))?;
    Ok(count > 0)
}

fn follow(from: &Address, head: &Head, redirects: i64) -> Result<Address, Fault> {
    let wrong = |detail: String| Fault::protocol(Phase::FirstByte, detail);
    let status = head.status;
    let to = head.text("location").ok_or_else(|| wrong(format!("status {status} redirects to nowhere")))?;
    let next = from.join(to).map_err(|e| wrong(format!("status {status} redirects to what is no URL: {e}")))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(wrong(format!("the reply redirects to {next}, which is not HTTP")));
    }
    if redirects > MAX_REDIRECTS {
        return Err(wrong(format!("more than {MAX_REDIRECTS} redirects, the last one to {next}")));
    }
    Ok(next)
}

/// Whether a refusal means that nobody feeds the stream: Shoutcast 1 says so with the code of a missing password.
fn is_absent(head: &Head) -> bool {
    head.icy && head.status == 401 && head.reason.to_ascii_lowercase().contains("unavailable")
}

fn status_fault(head: &Head) -> Fault {
    let Head { status, reason, .. } = head;
    if is_absent(head) {
        let detail = format!("the server has no source for this stream (status {status} {reason})");
        return Fault::new(FaultKind::NoMedia, Phase::FirstByte, detail);
    }
    let kind = match status {
        403 => FaultKind::Forbidden,
        404 | 410 => FaultKind::NotFound,
        _ => FaultKind::Protocol,
    };
    let reason = reason.escape_debug();
    Fault::new(kind, Phase::FirstByte, format!("status {status} {reason}, expected 200"))
}
