//! A conversation over datagrams with one peer: called, or waited for on a port of this machine. Owns the socket and its
//! buffers; knows nothing of what is in a datagram and keeps no time but the deadline that it is told.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::dial::io_fault;

/// Room for datagrams in the kernel that is asked for: a second of 16 Mbit/s, for the time in which this process has no turn.
/// The system gives as much as `net.core.rmem_max` allows.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Largest datagram that is read whole: no network carries larger packets than jumbo frames of 9000 bytes. The rest of a larger
/// one is cut.
const MAX_DATAGRAM_BYTES: usize = 9 * 1024;

/// One socket, for one peer once that is known.
pub struct Conversation {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    room: Box<[u8]>,
}

impl Conversation {
    /// Opens a socket that speaks to `peer` alone, from a port that the system chooses. Says nothing yet: nobody knows whether
    /// anybody is there.
    ///
    /// # Errors
    /// In phase connect, when the system knows no way to the peer or has no socket left.
    pub async fn call(peer: SocketAddr) -> Result<Self, Fault> {
        let any = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let open = async {
            let mut opened = Self::open(any).await?;
            opened.choose(peer).await?;
            Ok(opened)
        };
        open.await.map_err(|error: io::Error| {
            let fault = io_fault(Phase::Connect, &error);
            Fault { detail: format!("{peer} cannot be reached: {}", fault.detail), ..fault }
        })
    }

    /// Waits on a port of this machine, for whoever comes.
    ///
    /// # Errors
    /// An internal fault in phase connect when this machine cannot listen there: that says nothing about anybody else.
    pub async fn listen(here: SocketAddr) -> Result<Self, Fault> {
        Self::open(here).await.map_err(|error| {
            let words = match error.kind() {
                io::ErrorKind::AddrInUse => "the port is taken by somebody else".to_owned(),
                io::ErrorKind::AddrNotAvailable => "the address is none of this machine's".to_owned(),
                io::ErrorKind::PermissionDenied => "this process may not use the port".to_owned(),
                _ => error.to_string(),
            };
            Fault::new(FaultKind::Internal, Phase::Connect, format!("cannot listen on UDP {here}: {words}"))
        })
    }

    async fn open(here: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(here).await?;
        // A smaller buffer is no reason to give up.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES);
        Ok(Self { socket, peer: None, room: vec![0; MAX_DATAGRAM_BYTES].into_boxed_slice() })
    }

    /// From now on speaks to `peer` alone.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn choose(&mut self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer).await?;
        self.peer = Some(peer);
        Ok(())
    }

    /// The peer, once it is known.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Where we are.
    ///
    /// # Errors
    /// What the operating system says when the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends to the peer.
    ///
    /// # Errors
    /// What the operating system says; a peer that refused an earlier datagram is told of here, too.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).await.map(drop)
    }

    /// Sends to somebody while there is no peer.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, to).await.map(drop)
    }

    /// Sends to the peer if that can be done at once: for the last word of somebody who cannot wait.
    pub fn send_now(&self, datagram: &[u8]) {
        let _ = self.socket.try_send(datagram);
    }

    /// Waits until there is something to read; false when `until` passes first.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn readable(&self, until: Instant) -> io::Result<bool> {
        match tokio::time::timeout_at(until, self.socket.readable()).await {
            Ok(ready) => ready.map(|()| true),
            Err(_late) => Ok(false),
        }
    }

    /// The next datagram that is there and who sent it; none when there is none.
    ///
    /// # Errors
    /// What the operating system says; among it that the peer refuses datagrams.
    pub fn take(&mut self) -> io::Result<Option<(&mut [u8], SocketAddr)>> {
        let received = match self.peer {
            Some(peer) => self.socket.try_recv(&mut self.room).map(|length| (length, peer)),
            None => self.socket.try_recv_from(&mut self.room),
        };
        match received {
            Ok((length, from)) => Ok(Some((&mut self.room[..length], from))),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn both_ends_of_a_conversation() {
        let mut host = Conversation::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let here = host.local_addr().expect("bound");
        let mut guest = Conversation::call(here).await.expect("loopback");
        guest.send(b"hello").await.expect("sent");
        assert!(host.readable(soon()).await.expect("open"));
        let (heard, from) = host.take().expect("open").expect("a datagram");
        assert_eq!(heard, b"hello");
        host.send_to(b"who", from).await.expect("sent");
        host.choose(from).await.expect("a peer");
        let stranger = Conversation::call(here).await.expect("loopback");
        stranger.send(b"me too").await.expect("sent");
        guest.send(b"again").await.expect("sent");
        assert!(host.readable(soon()).await.expect("open"));
        assert_eq!(host.take().expect("open").map(|(heard, _)| heard.to_vec()), Some(b"again".to_vec()));
        assert!(host.take().expect("open").is_none(), "strangers are not heard");
        assert!(guest.readable(soon()).await.expect("open"));
        assert_eq!(guest.take().expect("open").map(|(heard, _)| heard.to_vec()), Some(b"who".to_vec()));
        assert!(guest.take().expect("open").is_none(), "that was all");
        assert!(!guest.readable(Instant::now()).await.expect("open"), "an empty socket is not readable");
        drop(host);
        guest.send(b"gone?").await.expect("sent");
        let refused = guest.send(b"gone?").await.expect_err("nobody is there");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_port_of_somebody_else_is_our_trouble() {
        let host = Conversation::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let here = host.local_addr().expect("bound");
        let fault = Conversation::listen(here).await.err().expect("taken");
        assert_eq!((fault.kind, fault.phase), (FaultKind::Internal, Phase::Connect));
        assert_eq!(fault.detail, format!("cannot listen on UDP {here}: the port is taken by somebody else"));
    }
}
