//! Sockets of the server: accepting within bounds, TLS, and one task per connection that ends when the server stops. Knows
//! HTTP only as far as its time limits go.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use net::task::Tasks;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

use crate::limits::{
    CONNECTIONS, CONNECTIONS_PER_ADDRESS, HANDSHAKE_TIME, HEAD_BYTES, HEAD_FIELDS, HEAD_TIME, WRITE_STALL,
};
use crate::peer::Peer;
use crate::tls::Certificate;

/// Connections by the address of the other end. Shared by all listeners.
#[derive(Clone, Default)]
pub struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place in the crowd; it is free again when this is dropped.
struct Place {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&address).copied().unwrap_or(0);
        if own >= CONNECTIONS_PER_ADDRESS || all.values().sum::<usize>() >= CONNECTIONS {
            return None;
        }
        all.insert(address, own + 1);
        Some(Place { crowd: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.address)),
        }
    }
}

/// One listening socket with what it serves.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// What it serves.
    pub router: Router,
    /// The certificate; `None` serves plain HTTP.
    pub certificate: Option<Arc<Certificate>>,
    /// Who is connected.
    pub crowd: Crowd,
}

impl Listener {
    /// Accepts until the tasks are asked to stop.
    pub fn start(self, tasks: &Tasks) {
        let (own, cancelled) = (tasks.clone(), tasks.cancelled());
        tasks.spawn("web listener", async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = self.accept(&own) => {}
            }
        });
    }

    async fn accept(self, tasks: &Tasks) {
        loop {
            let (stream, remote) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a client that left at once: neither ends the server.
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(place) = self.crowd.enter(remote.ip().to_canonical()) else {
                tracing::warn!(%remote, "a connection was refused: too many are open");
                continue;
            };
            let local = stream.local_addr().unwrap_or(remote);
            let peer = Peer { remote, local, tls: self.certificate.is_some() };
            let (router, certificate, stop) = (self.router.clone(), self.certificate.clone(), tasks.cancelled());
            tasks.spawn(format!("web connection {remote}"), async move {
                let _place = place;
                // Small answers and events must not wait for the next segment.
                let _ = stream.set_nodelay(true);
                match certificate {
                    None => serve(stream, peer, router, stop).await,
                    Some(certificate) => match handshake(stream, &certificate).await {
                        Ok(stream) => serve(stream, peer, router, stop).await,
                        Err(error) => tracing::debug!(%remote, "a TLS handshake failed: {error}"),
                    },
                }
            });
        }
    }
}

async fn handshake(
    stream: TcpStream,
    certificate: &Certificate,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let acceptor = tokio_rustls::TlsAcceptor::from(certificate.current());
    tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await?
}

async fn serve<S>(stream: S, peer: Peer, router: Router, stop: tokio_util::sync::CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(Impatient::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(remote = %peer.remote, "a connection ended: {error}");
    }
}

/// A stream that gives up on a client which takes nothing for [`WRITE_STALL`].
struct Impatient<S> {
    inner: S,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(inner: S) -> Self {
        Self { inner, stalled: None }
    }

    fn patience<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let limit =
            self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_STALL)));
        match limit.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.patience(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.patience(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(cx);
        self.patience(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.patience(cx, done)
    }
}

/// Binds an address.
///
/// # Errors
/// A sentence with the address and the remedy.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is in use by another program; end it or choose another port"),
        io::ErrorKind::PermissionDenied => {
            format!("{address}: this user may not open that port; choose one above 1023")
        }
        _ => format!("{address}: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let crowd = Crowd::default();
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let taken: Vec<_> = std::iter::from_fn(|| crowd.enter(a)).collect();
        assert_eq!(taken.len(), CONNECTIONS_PER_ADDRESS);
        assert!(crowd.enter(b).is_some());
        drop(taken);
        assert!(crowd.enter(a).is_some());
        assert!(crowd.0.lock().expect("not poisoned").is_empty());
    }
}
