//! A TCP connection that is read as it comes, or in ticks once somebody asks for that. Owns the socket and how its reader is
//! woken; knows nothing of what is in it.
//!
//! In ticks the kernel wakes nobody for less than a certain number of bytes; a timer reads what came by then. It keeps what
//! comes meanwhile, and the number is small against the window that it gives the sender.

use std::io::{self, IoSliceMut, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recvmsg, setsockopt};
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::pace::{CONTROL_BYTES, Moment, Pace, stamp_arrivals};

// No crate that we have knows this option by name. The macro is the way that nix documents for such; the one unsafe call in it
// is nix's own, with the size of the integer that is handed over.
sockopt_impl!(
    /// Bytes that must have come before a reader is woken.
    LeastToWake,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    i32
);

/// A TCP connection.
pub struct Tcp {
    socket: TcpStream,
    /// How it is read in ticks, where it is.
    ticks: Option<Box<Ticks>>,
}

struct Ticks {
    pace: Pace,
    tick: Pin<Box<Sleep>>,
    /// Nothing is there until the next tick, or until the kernel says so.
    drained: bool,
    /// When the socket was seen empty.
    empty: Instant,
    /// When the last bytes that were read arrived.
    arrived: Instant,
}

impl Tcp {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, ticks: None }
    }

    /// From now on reads in ticks, `longest` apart at most, and sooner when `enough` bytes have come.
    pub(crate) fn gather(&mut self, longest: Duration, enough: u16) {
        // Where the kernel does not know that, the reader is woken more often than it must be.
        let _ = setsockopt(&self.socket, LeastToWake, &enough.into());
        stamp_arrivals(&self.socket);
        let now = Instant::now();
        let pace = Pace::new(longest, usize::MAX);
        let tick = Box::pin(sleep_until(now));
        self.ticks = Some(Box::new(Ticks { pace, tick, drained: false, empty: now, arrived: now }));
    }

    /// Has the kernel acknowledge what comes next at once. A failure costs latency and nothing else.
    pub(crate) fn acknowledge_at_once(&self) {
        let _ = SockRef::from(&self.socket).set_tcp_quickack(true);
    }

    /// How long ago the last bytes that were read had arrived; nothing where they are read as they come.
    pub(crate) fn age(&self) -> Duration {
        self.ticks.as_ref().map_or(Duration::ZERO, |ticks| ticks.arrived.elapsed())
    }

    /// Our address.
    ///
    /// # Errors
    /// What the operating system says when the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// What the operating system says when the socket is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Whether what is written is sent at once.
    ///
    /// # Errors
    /// What the operating system says when the socket is gone.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay()
    }

    /// Looks at what is there without taking it.
    #[cfg(test)]
    fn peek(&self, room: &mut [u8]) -> io::Result<usize> {
        nix::sys::socket::recv(self.socket.as_raw_fd(), room, MsgFlags::MSG_PEEK).map_err(io::Error::from)
    }

    /// Reads what is there without waiting.
    pub(crate) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&self.socket)).read(room)
    }
}

impl Ticks {
    fn poll_read(&mut self, socket: &TcpStream, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.drained {
                let is_due = self.tick.as_mut().poll(cx).is_ready();
                match socket.poll_read_ready(cx) {
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending if !is_due => return Poll::Pending,
                    _ => self.drained = false,
                }
            }
            let room = buf.initialize_unfilled();
            let size = room.len();
            match self.read(socket, room) {
                Ok(read) => {
                    buf.advance(read);
                    // As many bytes as fit: there may be more. None: the end, which does not go away.
                    if read > 0 && read < size {
                        self.wait(socket);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => self.wait(socket),
                Err(Errno::EINTR) => {}
                Err(e) => return Poll::Ready(Err(e.into())),
            }
        }
    }

    fn read(&mut self, socket: &TcpStream, room: &mut [u8]) -> nix::Result<usize> {
        let mut control = [0; CONTROL_BYTES];
        let mut parts = [IoSliceMut::new(room)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
        self.arrived = Moment::now().of(&message, self.empty.max(self.arrived));
        Ok(message.bytes)
    }

    fn wait(&mut self, socket: &TcpStream) {
        self.drained = true;
        // The runtime is told that nothing is there. What came since then is read at the next tick at the latest.
        let _ = socket.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        self.empty = Instant::now();
        let next = self.pace.next(self.empty);
        self.tick.as_mut().reset(next);
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { socket, ticks } = &mut *self;
        match ticks {
            None => Pin::new(socket).poll_read(cx, buf),
            Some(ticks) => ticks.poll_read(socket, cx, buf),
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn pair() -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let theirs = theirs.expect("accepted").0;
        theirs.set_nodelay(true).expect("a live socket");
        (Tcp::new(ours.expect("connected")), theirs)
    }

    #[tokio::test]
    async fn ticks_bring_all_that_gathered_with_its_time_and_the_end() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"before").await.expect("sent");
        ours.gather(Duration::from_millis(40), 1000);
        let mut room = [0; 64];
        assert_eq!(ours.read(&mut room).await.expect("open"), 6);
        let began = Instant::now();
        for part in [&b"one "[..], b"two ", b"three"] {
            theirs.write_all(part).await.expect("sent");
        }
        // All of it has arrived when it can be seen; that may be later than the end of sending on a busy machine.
        while ours.peek(&mut room).unwrap_or(0) < 13 {
            tokio::task::yield_now().await;
        }
        let seen = began.elapsed();
        let mut all = Vec::new();
        while all.len() < 13 {
            let read = ours.read(&mut room).await.expect("open");
            all.extend_from_slice(&room[..read]);
        }
        assert!(began.elapsed() - ours.age() <= seen, "it arrived when it was sent, not when it was read");
        drop(theirs);
        assert_eq!((all.as_slice(), ours.read(&mut room).await.expect("open")), (&b"one two three"[..], 0));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_tick_when_enough_has_come_or_the_end() {
        let (mut ours, mut theirs) = pair().await;
        ours.gather(Duration::from_secs(3600), 1000);
        let mut room = vec![0; 4096];
        let writing = async {
            for _ in 0..10 {
                theirs.write_all(&[7; 100]).await.expect("sent");
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(ours.read(&mut room), writing);
        assert_eq!(read.expect("open"), 1000, "in one reading");
        theirs.write_all(&[7; 10]).await.expect("sent");
        drop(theirs);
        let mut rest = Vec::new();
        assert_eq!(ours.read_to_end(&mut rest).await.expect("open"), 10);
    }
}
