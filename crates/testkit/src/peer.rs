//! What all peers share: a listener on a free port, counters, and an end when the value is dropped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A connection, plain or encrypted.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A boxed future.
pub type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A boxed connection.
pub type Conn = Box<dyn Io>;

/// Counters of a peer.
#[derive(Debug, Default)]
pub struct Stats {
    accepted: AtomicUsize,
    open: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Stats {
    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that the client has not closed.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Bytes received (where the peer reads).
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Bytes sent by peers that never stop sending.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }
}

/// A peer that runs until it is dropped; its connections are closed then.
pub struct Peer {
    address: SocketAddr,
    stats: Arc<Stats>,
    task: AbortHandle,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Stats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Peer {
    /// Starts a peer that hands every connection to `handle`. The connection counts as open until `handle` ends.
    pub async fn start<F>(handle: impl Fn(Conn, Arc<Stats>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_with(None, handle).await
    }

    /// The same behind TLS, where an acceptor is given. Failed handshakes end their connection.
    pub async fn start_with<F>(
        tls: Option<TlsAcceptor>,
        handle: impl Fn(Conn, Arc<Stats>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let stats = Arc::new(Stats::default());
        let handle = Arc::new(move |conn, stats| -> Handling { Box::pin(handle(conn, stats)) });
        let task = spawn(serve(listener, tls, Arc::clone(&stats), handle));
        Self { address, stats, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `scheme://127.0.0.1:port` and `rest`, which begins with a slash or is empty.
    #[must_use]
    pub fn url(&self, scheme: &str, rest: &str) -> String {
        format!("{scheme}://{}{rest}", self.address)
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

#[expect(clippy::disallowed_methods, reason = "the owner is the Peer, which aborts the task when dropped")]
fn spawn(f: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(f).abort_handle()
}

type Handler = Arc<dyn Fn(Conn, Arc<Stats>) -> Handling + Send + Sync>;

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, stats: Arc<Stats>, handle: Handler) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stats.accepted.fetch_add(1, Ordering::SeqCst);
        stats.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&stats));
        let (tls, handle) = (tls.clone(), Arc::clone(&handle));
        connections.spawn(connection(stream, tls, open, handle));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, open: Open, handle: Handler) {
    let stats = Arc::clone(&open.0);
    let _ = stream.set_nodelay(true);
    match tls {
        None => handle(Box::new(stream), stats).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                handle(Box::new(stream), stats).await;
            }
        }
    }
}

/// Reads and forgets until the client closes.
pub async fn drain(conn: &mut (impl AsyncRead + Unpin), stats: &Stats) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = conn.read(&mut buffer).await {
        stats.received.fetch_add(n as u64, Ordering::SeqCst);
    }
}

/// Sends `bytes` and answers whether the client took them.
pub async fn send(conn: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    conn.write_all(bytes).await.is_ok() && conn.flush().await.is_ok()
}
