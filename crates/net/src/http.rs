//! One HTTP/1.1 request on one connection. Owns the request's standard headers, the caps on the reply and the words for what
//! goes wrong; follows no redirect, answers no challenge, keeps no connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::address::{Address, default_port};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use tokio::io::{AsyncRead, AsyncWrite};

pub use hyper::header::{HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode};

use crate::attempt::Attempt;
use crate::dial;
use crate::meter::{Meter, Metered};
use crate::trust::TlsOptions;

/// Largest header section of a reply, in bytes. Browsers stop at 256 KiB, servers send a few KiB; a peer that never ends its
/// headers costs us no more than this.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// How we introduce ourselves.
pub const USER_AGENT: &str = concat!("StreamPulse/", env!("CARGO_PKG_VERSION"));

/// A request. Has no `Debug`: headers and body may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// GET, HEAD, ...
    pub method: Method,
    /// Where to; its credentials are not used here.
    pub address: Address,
    /// Further headers; one that is set by default (Host, User-Agent, Accept) is replaced.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body; its length is announced.
    pub body: Option<Bytes>,
}

impl Request {
    /// A request without a body and without further headers.
    #[must_use]
    pub fn new(method: Method, address: Address) -> Self {
        Self { method, address, headers: Vec::new(), body: None }
    }

    fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>, String> {
        let uri = self.address.path_and_query();
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .body(Full::new(self.body.clone().unwrap_or_default()))
            .map_err(|e| format!("the URL cannot be asked for: {e}"))?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&host_header(&self.address)).map_err(|_| "the host is no host".to_owned())?;
        headers.insert(hyper::header::HOST, host);
        headers.insert(hyper::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(hyper::header::ACCEPT, HeaderValue::from_static("*/*"));
        for (name, _) in &self.headers {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

/// The `Host` header of an address: IPv6 in brackets, the port only when it is not the scheme's own.
fn host_header(address: &Address) -> String {
    let host = address.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match address.port() {
        Some(port) if Some(port) != default_port(address.scheme()) => format!("{host}:{port}"),
        _ => host,
    }
}

/// A reply whose body has not been read.
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, to be read in pieces.
    pub body: Body,
    /// Whether the peer asked for a client certificate and we had none to show.
    pub lacks_client_certificate: bool,
}

impl Response {
    /// The text of a header; `None` when it is absent or no visible ASCII.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Sends `request` over a connection of its own and waits for the reply's headers. Phases resolve, connect, tls, first_byte.
///
/// # Errors
/// What [`dial::connect`] answers; protocol, too_large or unreachable for a reply that is none; timed_out in its phase.
pub async fn send(
    at: &mut Attempt<'_>,
    request: &Request,
    tls: Option<&TlsOptions>,
    reading: &mut Reading,
) -> Result<Response, Fault> {
    let outgoing = request.to_hyper().map_err(|detail| Fault::new(FaultKind::Internal, Phase::FirstByte, detail))?;
    let stream = dial::connect(at, &request.address, tls, reading).await?;
    let lacks_client_certificate = stream.lacks_client_certificate();
    let response = at.run(Phase::FirstByte, exchange(stream, outgoing)).await?;
    Ok(Response { lacks_client_certificate, ..response })
}

/// Sends a request over a connection that is open and waits for the reply's headers. Has no deadline of its own.
pub(crate) async fn exchange<S>(stream: S, outgoing: hyper::Request<Full<Bytes>>) -> Result<Response, Fault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream, meter) = Metered::new(stream);
    let words = |error: &hyper::Error| fault(Phase::FirstByte, error, &meter);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .max_header_size(MAX_HEADER_BYTES)
        // Devices are sloppy; what can be understood is understood.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| words(&e))?;
    let mut link = Link { connection: Some(Box::pin(connection)) };
    let reply = {
        let mut reply = pin!(sender.send_request(outgoing));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = reply.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            link.drive(cx);
            reply.as_mut().poll(cx)
        })
        .await
        .map_err(|e| words(&e))?
    };
    let (head, incoming) = reply.into_parts();
    let body = Body { incoming, link, meter, _sender: sender, phase: Phase::Transfer, received: 0 };
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body, lacks_client_certificate: false })
}

type Sender = http1::SendRequest<Full<Bytes>>;
/// The connection, moved forward by whoever waits for its reply: no task of its own, so dropping the reply closes the socket.
struct Link {
    /// Moves bytes between hyper and the socket, whatever kind of socket that is.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl Link {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            // The error is also handed to whoever waits for the reply or its body.
            if connection.as_mut().poll(cx).is_ready() {
                self.connection = None;
            }
        }
    }
}

/// The body of a reply. Read it inside [`Attempt::run`]: its waits have no deadline of their own.
pub struct Body {
    incoming: Incoming,
    link: Link,
    meter: Arc<Meter>,
    /// hyper ends the connection when nobody can send any more.
    _sender: Sender,
    phase: Phase,
    received: u64,
}

impl Body {
    /// The phase that faults of this body are told to be in; transfer unless set.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Bytes of the body so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next piece as it arrives; `None` at the end.
    ///
    /// # Errors
    /// Protocol when the body is cut or malformed, unreachable when the connection is reset.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = std::future::poll_fn(|cx| {
                if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                self.link.drive(cx);
                Pin::new(&mut self.incoming).poll_frame(cx)
            })
            .await;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(fault(self.phase, &error, &self.meter)),
                Some(Ok(frame)) => {
                    // Trailers are of no use to anybody here.
                    if let Ok(data) = frame.into_data() {
                        self.received += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// At most `max` bytes of the body, and whether that is all of it.
    ///
    /// # Errors
    /// As [`Body::next_chunk`].
    pub async fn read_up_to(&mut self, max: usize) -> Result<(Bytes, bool), Fault> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next_chunk().await? {
            let left = max - all.len();
            if chunk.len() > left {
                all.extend_from_slice(&chunk[..left]);
                return Ok((all.freeze(), false));
            }
            all.extend_from_slice(&chunk);
        }
        Ok((all.freeze(), true))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Body::next_chunk`], and too_large when it has more than `max` bytes.
    pub async fn collect(&mut self, max: usize) -> Result<Bytes, Fault> {
        match self.read_up_to(max).await? {
            (all, true) => Ok(all),
            (_, false) => {
                Err(Fault::new(FaultKind::TooLarge, self.phase, format!("the body is larger than {max} bytes")))
            }
        }
    }
}

/// What an error of the exchange means.
fn fault(phase: Phase, error: &hyper::Error, meter: &Meter) -> Fault {
    let silent = meter.received() == 0;
    let part = if phase == Phase::FirstByte { "headers of the reply" } else { "body" };
    let io = source_io(error).filter(|io| io.kind() != std::io::ErrorKind::UnexpectedEof);
    let cut = source_io(error).is_some() && io.is_none();
    // hyper's own complaints about a body come as errors without a number of the system.
    if let Some(io) = io.filter(|io| io.raw_os_error().is_some() || crate::tls::fault_of(phase, io).is_some()) {
        let mut fault = dial::io_fault(phase, io);
        if fault.kind == FaultKind::Unreachable {
            fault.detail = match (silent, phase) {
                (true, _) => format!("{} before any byte of the reply", fault.detail),
                (false, _) => format!("{} in the {part}", fault.detail),
            };
        }
        return fault;
    }
    if error.is_parse_too_large() {
        let detail =
            format!("the headers of the reply are larger than {} KiB or more than 100", MAX_HEADER_BYTES / 1024);
        return Fault::new(FaultKind::TooLarge, phase, detail);
    }
    if phase == Phase::FirstByte && error.is_parse() {
        return Fault::protocol(phase, meter.foreign());
    }
    let closed = cut || error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    let detail = match (closed, silent) {
        (true, true) => "the peer closed the connection without an answer".to_owned(),
        (true, false) => format!("the peer closed the connection in the {part}"),
        (false, _) => match io {
            Some(io) => format!("the {part} cannot be read: {io}"),
            None => format!("the {part} cannot be read: {error}"),
        },
    };
    Fault::protocol(phase, detail)
}

/// The error of the connection inside hyper's.
fn source_io(error: &hyper::Error) -> Option<&std::io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
