//! Opening connections: resolve, connect, TLS. Owns the words for what the operating system answers; keeps no connection.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::attempt::Attempt;
pub use crate::resolve::resolve;
pub use crate::tcp::Tcp;
use crate::tls::{self, TlsConnection};
use crate::trust::TlsOptions;

/// Least time that one of several addresses gets before the next one is tried: three round trips around the world.
const LEAST_CONNECT_SHARE: Duration = Duration::from_millis(900);

/// Bytes kept between two reads in bulk that are put into the room they share; more are read where they are. One interleaved
/// packet of RTSP fits.
const MAX_KEPT: usize = 66 * 1024;
/// Read at once in bulk: more than a socket usually holds of a stream, and a fraction of a processor's cache.
const BULK_BYTES: usize = 128 * 1024;

thread_local! {
    static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_KEPT + BULK_BYTES].into_boxed_slice());
}

/// An open connection, plain or encrypted.
pub enum Stream {
    /// Plain TCP.
    Tcp(Tcp),
    /// TLS over TCP.
    Tls(Box<TlsConnection>),
}

impl Stream {
    /// The socket below, for its addresses.
    #[must_use]
    pub fn tcp(&self) -> &Tcp {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.stream.get_ref().0,
        }
    }

    /// From now on lets what comes gather and reads it in ticks, `longest` apart, or when `enough` bytes are there: for media
    /// that is only watched. All connections share the ticks, so that one waking serves many of them.
    pub fn gather(&mut self, longest: Duration, enough: u16) {
        match self {
            Self::Tcp(tcp) => tcp.gather(longest, enough),
            Self::Tls(tls) => tls.stream.get_mut().0.gather(longest, enough),
        }
    }

    /// Has the kernel acknowledge what comes next at once; it goes back to being slow by itself.
    pub fn acknowledge_at_once(&self) {
        self.tcp().acknowledge_at_once();
    }

    /// How long ago the last of what was read had arrived, by the kernel's word; zero where it is read as it comes.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.tcp().age()
    }

    /// Reads and throws away what has come, `most` bytes or a little more, without waiting: closing a socket with unread
    /// bytes makes the kernel send a reset, which may overtake a last word in the peer.
    pub fn drain(&self, most: usize) {
        let mut drained = 0;
        while drained < most {
            match self.tcp().try_read(&mut [0; 4096]) {
                Ok(read) if read > 0 => drained += read,
                _ => break,
            }
        }
    }

    /// Reads as much as there is into a room that all connections of this thread share, so that a thousand of them that
    /// are held need no buffers of their own. `take` is given what was `kept` by the last call and what came, with how long
    /// ago the last of it had arrived, and answers how many bytes of it, from the front, it is done with; the rest is kept.
    /// Answers how many bytes came: 0 at the end.
    ///
    /// # Errors
    /// What the operating system or TLS says.
    pub fn poll_bulk(
        &mut self,
        cx: &mut Context<'_>,
        kept: &mut BytesMut,
        take: &mut dyn FnMut(&[u8], Duration) -> usize,
    ) -> Poll<io::Result<usize>> {
        if kept.len() > MAX_KEPT {
            let read = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut *self), cx, kept))?;
            let used = take(kept, self.age()).min(kept.len());
            kept.advance(used);
            return Poll::Ready(Ok(read));
        }
        ROOM.with_borrow_mut(|room| {
            // What was kept is put before what comes, once something has come.
            let mut buffer = ReadBuf::new(&mut room[MAX_KEPT..]);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            let start = MAX_KEPT - kept.len();
            room[start..MAX_KEPT].copy_from_slice(kept);
            let all = &room[start..MAX_KEPT + read];
            let used = take(all, self.age()).min(all.len());
            kept.clear();
            kept.extend_from_slice(&all[used..]);
            Poll::Ready(Ok(read))
        })
    }

    /// Whether the peer asked for a client certificate and we had none.
    #[must_use]
    pub fn lacks_client_certificate(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(tls) => tls.lacks_client_certificate(),
        }
    }
}

/// Opens a connection to `address`: resolves the name, tries its addresses in order, and speaks TLS when `tls` is given.
/// Notes the peer's address and the certificate's facts in `reading`, the latter also when the certificate is refused.
///
/// # Errors
/// Unresolved, refused, unreachable, timed out or tls, in the phase where it happened; internal when this machine has run out
/// of something.
pub async fn connect(
    at: &mut Attempt<'_>,
    address: &Address,
    tls: Option<&TlsOptions>,
    reading: &mut Reading,
) -> Result<Stream, Fault> {
    let port = address.port().ok_or_else(|| {
        Fault::new(FaultKind::Internal, Phase::Resolve, format!("the address {address} names no port"))
    })?;
    let list = resolve(at, address.host(), port).await?;
    let deadline = at.deadline();
    let tcp = at.run(Phase::Connect, connect_any(&list, deadline)).await?;
    if let Ok(peer) = tcp.peer_addr() {
        reading.text(fact::PEER, peer.to_string());
    }
    let tcp = Tcp::new(tcp);
    let Some(options) = tls else { return Ok(Stream::Tcp(tcp)) };
    let stream = at.run(Phase::Tls, tls::handshake(tcp, address.host(), options, reading)).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Speaks TLS on a connection from here on (STARTTLS); one that speaks it already is left as it is. The caller makes sure that
/// nothing was received that is not read yet: it would have come in the clear.
///
/// # Errors
/// Tls, or timed out in that phase.
pub async fn upgrade(
    at: &mut Attempt<'_>,
    stream: Stream,
    host: &str,
    options: &TlsOptions,
    reading: &mut Reading,
) -> Result<Stream, Fault> {
    match stream {
        Stream::Tcp(tcp) => {
            let stream = at.run(Phase::Tls, tls::handshake(tcp, host, options, reading)).await?;
            Ok(Stream::Tls(Box::new(stream)))
        }
        encrypted @ Stream::Tls(_) => Ok(encrypted),
    }
}

/// Tries the addresses in order. Each but the last gets a share of the time that is left, so that one dead address of a name
/// does not hide a living one.
async fn connect_any(list: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Fault> {
    let mut first: Option<Fault> = None;
    for (i, address) in list.iter().enumerate() {
        let left = u32::try_from(list.len() - i).unwrap_or(u32::MAX);
        let remaining = deadline.saturating_duration_since(Instant::now());
        let share = if left == 1 { remaining } else { (remaining / left).max(LEAST_CONNECT_SHARE).min(remaining) };
        let fault = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // A failure here costs latency and nothing else.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => connect_fault(*address, &error),
            Err(_late) => Fault::new(
                FaultKind::TimedOut,
                Phase::Connect,
                format!("no answer from {address} within {} ms", share.as_millis()),
            ),
        };
        // A definite answer tells more than silence.
        let better = first.as_ref().is_none_or(|f| f.kind == FaultKind::TimedOut && fault.kind != FaultKind::TimedOut);
        if better {
            first = Some(fault);
        }
    }
    let mut fault =
        first.unwrap_or_else(|| Fault::new(FaultKind::Unresolved, Phase::Resolve, "the name has no address"));
    if list.len() > 1 {
        fault.detail = format!("{} (none of {} addresses answered)", fault.detail, list.len());
    }
    Err(fault)
}

fn connect_fault(address: SocketAddr, error: &io::Error) -> Fault {
    let fault = io_fault(Phase::Connect, error);
    let detail = match fault.kind {
        FaultKind::Refused => format!("{address} refuses connections"),
        FaultKind::Unreachable => format!("{address} cannot be reached: {}", fault.detail),
        FaultKind::TimedOut => format!("no answer from {address}: {}", fault.detail),
        _ => fault.detail,
    };
    Fault { detail, ..fault }
}

/// What an error of the operating system or of TLS means, in `phase`. For errors met while reading or writing as well as while
/// connecting.
#[must_use]
pub fn io_fault(phase: Phase, error: &io::Error) -> Fault {
    use io::ErrorKind as K;
    if let Some(fault) = tls::fault_of(phase, error) {
        return fault;
    }
    let (kind, detail) = match error.kind() {
        K::ConnectionRefused => (FaultKind::Refused, "the connection was refused".to_owned()),
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => {
            (FaultKind::Unreachable, "the peer reset the connection".to_owned())
        }
        K::HostUnreachable => (FaultKind::Unreachable, "no route to the host".to_owned()),
        K::NetworkUnreachable => (FaultKind::Unreachable, "no route to the network".to_owned()),
        K::NetworkDown => (FaultKind::Unreachable, "the network is down".to_owned()),
        K::NotConnected => (FaultKind::Unreachable, "the connection is gone".to_owned()),
        K::PermissionDenied => (FaultKind::Unreachable, "this machine's rules forbid the connection".to_owned()),
        K::TimedOut => (FaultKind::TimedOut, "the system gave up waiting".to_owned()),
        K::UnexpectedEof => (FaultKind::Protocol, "the peer closed the connection too early".to_owned()),
        K::AddrNotAvailable => (FaultKind::Internal, "this machine has no free port or address left".to_owned()),
        _ => match error.raw_os_error() {
            Some(EMFILE | ENFILE) => (FaultKind::Internal, "this machine has no file descriptors left".to_owned()),
            Some(EHOSTDOWN) => (FaultKind::Unreachable, "the host is down".to_owned()),
            Some(_) => (FaultKind::Unreachable, error.to_string()),
            None => (FaultKind::Protocol, error.to_string()),
        },
    };
    Fault::new(kind, phase, detail)
}

// Numbers of Linux (asm-generic/errno-base.h, errno.h); the standard library has no names for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EHOSTDOWN: i32 = 112;

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            // Many devices end TLS by closing the connection without saying so first. Whoever reads knows by their protocol
            // whether the end came too early, as on plain TCP.
            Self::Tls(s) => match Pin::new(&mut s.stream).poll_read(cx, buf) {
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                polled => polled,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(s) => s.is_write_vectored(),
            Self::Tls(s) => s.stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(&mut s.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
