//! One HTTP/1.1 request over a Unix socket, for engines that listen on one. Owns opening the socket and what a socket that cannot
//! be opened means; the exchange and the caps on the reply are those of [`crate::http`]. Keeps no connection.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::net::UnixStream;

use crate::http::{self, Method, Response};

/// A request. Has no `Debug`: its body may hold secrets.
#[derive(Clone)]
pub struct Request {
    /// GET, POST, ...
    pub method: Method,
    /// Path and query, beginning with a slash; encoded already.
    pub path: String,
    /// A body of JSON.
    pub json: Option<Bytes>,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), json: None }
    }

    fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>, Fault> {
        let broken =
            |e: &dyn fmt::Display| Fault::new(FaultKind::Internal, Phase::FirstByte, format!("no request: {e}"));
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .body(Full::new(self.json.clone().unwrap_or_default()))
            .map_err(|e| broken(&e))?;
        let headers = request.headers_mut();
        // The socket has no name; HTTP wants one.
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(USER_AGENT, HeaderValue::from_static(http::USER_AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self.json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No socket has this path, or a part of the path is not there.
    Absent,
    /// This process may not open it.
    Forbidden,
    /// The socket is there and nobody listens.
    Deaf,
    /// Something listens; what is wrong with its reply, or with the socket.
    Broken(Fault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no such socket"),
            Self::Forbidden => f.write_str("permission denied"),
            Self::Deaf => f.write_str("nobody listens on it"),
            Self::Broken(fault) => f.write_str(&fault.detail),
        }
    }
}

/// Sends `request` over a connection of its own and waits for the reply's headers, `limit` at most. The body is read by the
/// caller, who sets a deadline to it.
///
/// # Errors
/// See [`Failure`]; a deadline that passed is the fault `timed_out` in the phase in which it did.
pub async fn send(socket: &Path, request: &Request, limit: Duration) -> Result<Response, Failure> {
    let deadline = tokio::time::Instant::now() + limit;
    let late = |phase| Failure::Broken(Fault::timed_out(phase, limit));
    let outgoing = request.to_hyper().map_err(Failure::Broken)?;
    // A listener whose queue is full lets us wait.
    let opened = tokio::time::timeout_at(deadline, UnixStream::connect(socket)).await;
    let stream = opened.map_err(|_| late(Phase::Connect))?.map_err(|error| unopened(&error))?;
    let exchanged = tokio::time::timeout_at(deadline, http::exchange(stream, outgoing)).await;
    exchanged.map_err(|_| late(Phase::FirstByte))?.map_err(Failure::Broken)
}

fn unopened(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::Absent,
        io::ErrorKind::PermissionDenied => Failure::Forbidden,
        io::ErrorKind::ConnectionRefused => Failure::Deaf,
        _ => Failure::Broken(Fault::new(FaultKind::Unreachable, Phase::Connect, error.to_string())),
    }
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
