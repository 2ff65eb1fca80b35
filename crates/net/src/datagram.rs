//! A conversation over datagrams with one peer: called, or waited for on a port of this machine. Owns the socket and its
//! buffers; knows nothing of what is in a datagram and keeps no time but the deadline that it is told.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::Instant;

use crate::dial::io_fault;
use crate::udp::port::{Port, Taken, ask_for_room};

/// Largest datagram that is read whole: no network carries larger packets than jumbo frames of 9000 bytes. The rest of a larger
/// one is cut.
const MAX_DATAGRAM_BYTES: usize = 9 * 1024;

/// One socket, for one peer once that is known.
pub struct Conversation {
    port: Port,
    peer: Option<SocketAddr>,
    room: Box<[u8]>,
}

impl Conversation {
    /// Opens a socket that speaks to `peer` alone, from a port that the system chooses. Says nothing yet: nobody knows whether
    /// anybody is there.
    ///
    /// # Errors
    /// In phase connect, when the system knows no way to the peer or has no socket left.
    pub fn call(peer: SocketAddr) -> Result<Self, Fault> {
        let any = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let open = || {
            let mut opened = Self::open(any)?;
            opened.choose(peer)?;
            Ok(opened)
        };
        open().map_err(|error: io::Error| {
            let fault = io_fault(Phase::Connect, &error);
            Fault { detail: format!("{peer} cannot be reached: {}", fault.detail), ..fault }
        })
    }

    /// Waits on a port of this machine, for whoever comes.
    ///
    /// # Errors
    /// An internal fault in phase connect when this machine cannot listen there: that says nothing about anybody else.
    pub fn listen(here: SocketAddr) -> Result<Self, Fault> {
        Self::open(here).map_err(|error| {
            let words = match error.kind() {
                io::ErrorKind::AddrInUse => "the port is taken by somebody else".to_owned(),
                io::ErrorKind::AddrNotAvailable => "the address is none of this machine's".to_owned(),
                io::ErrorKind::PermissionDenied => "this process may not use the port".to_owned(),
                _ => error.to_string(),
            };
            Fault::new(FaultKind::Internal, Phase::Connect, format!("cannot listen on UDP {here}: {words}"))
        })
    }

    fn open(here: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(here), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&here.into())?;
        // A smaller buffer is no reason to give up.
        let _ = ask_for_room(&socket);
        let port = Port::new(socket)?;
        Ok(Self { port, peer: None, room: vec![0; MAX_DATAGRAM_BYTES].into_boxed_slice() })
    }

    /// From now on speaks to `peer` alone.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn choose(&mut self, peer: SocketAddr) -> io::Result<()> {
        self.port.socket()?.connect(&peer.into())?;
        self.peer = Some(peer);
        Ok(())
    }

    /// From now on lets datagrams gather and reads them in ticks, `longest` apart, and closer where many come. Does nothing
    /// where the system gives little room for what comes meanwhile.
    ///
    /// # Errors
    /// What the operating system says; the socket is of no use then.
    pub fn gather(&mut self, longest: Duration) -> io::Result<()> {
        self.port.gather(longest)
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
        self.port.local_addr()
    }

    /// Sends to the peer. Where the system has no room left, the datagram is lost.
    ///
    /// # Errors
    /// What the operating system says; a peer that refused an earlier datagram is told of here, too.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.port.send(datagram)
    }

    /// Sends to somebody while there is no peer. Where the system has no room left, the datagram is lost.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.port.send_to(datagram, to)
    }

    /// Waits until there is something to read; false when `until` passes first. In ticks it waits for the next one, however
    /// soon `until` is.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn readable(&mut self, until: Instant) -> io::Result<bool> {
        if self.port.is_in_ticks() {
            return self.port.ready().await.map(|()| true);
        }
        match tokio::time::timeout_at(until, self.port.ready()).await {
            Ok(ready) => ready.map(|()| true),
            Err(_late) => Ok(false),
        }
    }

    /// The next datagram that is there, who sent it and when it arrived; none when there is none.
    ///
    /// # Errors
    /// What the operating system says; among it that the peer refuses datagrams.
    pub fn take(&mut self) -> io::Result<Option<(&mut [u8], SocketAddr, Instant)>> {
        let Some(Taken { length, from, arrived }) = self.port.take(&mut self.room)? else { return Ok(None) };
        let from = from.or(self.peer).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Some((&mut self.room[..length], from, arrived)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn both_ends_of_a_conversation() {
        let mut host = Conversation::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let here = host.local_addr().expect("bound");
        let mut guest = Conversation::call(here).expect("loopback");
        guest.send(b"hello").expect("sent");
        assert!(host.readable(soon()).await.expect("open"));
        let (heard, from, _) = host.take().expect("open").expect("a datagram");
        assert_eq!(heard, b"hello");
        host.send_to(b"who", from).expect("sent");
        host.choose(from).expect("a peer");
        let stranger = Conversation::call(here).expect("loopback");
        stranger.send(b"me too").expect("sent");
        guest.send(b"again").expect("sent");
        assert!(host.readable(soon()).await.expect("open"));
        assert_eq!(host.take().expect("open").map(|(heard, ..)| heard.to_vec()), Some(b"again".to_vec()));
        assert!(host.take().expect("open").is_none(), "strangers are not heard");
        assert!(guest.readable(soon()).await.expect("open"));
        assert_eq!(guest.take().expect("open").map(|(heard, ..)| heard.to_vec()), Some(b"who".to_vec()));
        assert!(guest.take().expect("open").is_none(), "that was all");
        assert!(!guest.readable(Instant::now()).await.expect("open"), "an empty socket is not readable");
        drop(host);
        guest.send(b"gone?").expect("sent");
        let refused = guest.send(b"gone?").expect_err("nobody is there");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_port_of_somebody_else_is_our_trouble() {
        let host = Conversation::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let here = host.local_addr().expect("bound");
        let fault = Conversation::listen(here).err().expect("taken");
        assert_eq!((fault.kind, fault.phase), (FaultKind::Internal, Phase::Connect));
        assert_eq!(fault.detail, format!("cannot listen on UDP {here}: the port is taken by somebody else"));
    }
}
