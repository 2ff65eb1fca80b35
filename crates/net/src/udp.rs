//! Pairs of UDP ports, as RTP wants them: data on an even port, reports on the next one. Owns both sockets; believes only
//! datagrams from the peer's address. Knows nothing of what is in a datagram. Listening for unasked datagrams is in
//! `udp/receiver.rs`.

pub(crate) mod port;
mod receiver;

pub use receiver::{Interface, Listen, Receiver};

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// Attempts at finding two free neighbouring ports. Half of all ports are odd, and neighbours are rarely taken.
const MAX_PORT_TRIES: usize = 32;
/// Largest datagram that is read whole: RTP is cut to fit a network's packets, and no network has larger ones (jumbo
/// frames of 9000 bytes). A larger one is cut, not refused.
const MAX_DATAGRAM_BYTES: usize = 16 * 1024;

thread_local! {
    /// Room for one datagram, shared by all sockets of this thread.
    static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_DATAGRAM_BYTES].into_boxed_slice());
}

/// Two sockets on neighbouring ports.
pub struct PortPair {
    even: UdpSocket,
    odd: UdpSocket,
    peer: IpAddr,
    /// Datagrams that did not come from the peer.
    strangers: u64,
}

impl PortPair {
    /// Opens a pair on `local` for datagrams of `peer`.
    ///
    /// # Errors
    /// What the operating system says when it has no such pair to give.
    pub async fn open(local: IpAddr, peer: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..MAX_PORT_TRIES {
            let first = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
            let port = first.local_addr()?.port();
            let is_even = port.is_multiple_of(2);
            let neighbour = if is_even { port.checked_add(1) } else { port.checked_sub(1) };
            let Some(neighbour) = neighbour.filter(|&p| p > 0) else { continue };
            match UdpSocket::bind(SocketAddr::new(local, neighbour)).await {
                Ok(second) => {
                    let (even, odd) = if is_even { (first, second) } else { (second, first) };
                    return Ok(Self { even, odd, peer, strangers: 0 });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Both ports, the even one first.
    ///
    /// # Errors
    /// What the operating system says when a socket is gone.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((self.even.local_addr()?.port(), self.odd.local_addr()?.port()))
    }

    /// Datagrams on either port that came from elsewhere than the peer and were thrown away.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The next datagram of the peer on the even port.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn poll_even(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        poll(&self.even, self.peer, &mut self.strangers, cx)
    }

    /// Hands the next datagram of the peer on the even or the odd port to `take`, without a copy of it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn poll_bulk(
        &mut self,
        cx: &mut Context<'_>,
        is_even: bool,
        take: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        let socket = if is_even { &self.even } else { &self.odd };
        poll_with(socket, self.peer, &mut self.strangers, cx, |bytes| take(bytes))
    }

    /// The next datagram of the peer on the odd port.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn poll_odd(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        poll(&self.odd, self.peer, &mut self.strangers, cx)
    }
}

fn poll(socket: &UdpSocket, peer: IpAddr, strangers: &mut u64, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    poll_with(socket, peer, strangers, cx, Bytes::copy_from_slice)
}

fn poll_with<T>(
    socket: &UdpSocket,
    peer: IpAddr,
    strangers: &mut u64,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    ROOM.with_borrow_mut(|room| {
        loop {
            let mut buffer = ReadBuf::new(room);
            let from = ready!(socket.poll_recv_from(cx, &mut buffer))?;
            if from.ip() == peer {
                return Poll::Ready(Ok(take(buffer.filled())));
            }
            *strangers += 1;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn the_first_port_is_even_and_its_neighbour_is_ours() {
        let mut pairs = Vec::new();
        for _ in 0..20 {
            let pair = PortPair::open(HERE, HERE).await.expect("free ports");
            let (even, odd) = pair.ports().expect("bound");
            assert_eq!((even % 2, odd), (0, even + 1));
            pairs.push(pair);
        }
    }

    #[tokio::test]
    async fn datagrams_of_strangers_are_counted_and_dropped_on_both_ports() {
        let mut pair = PortPair::open(HERE, HERE).await.expect("free ports");
        let (even, odd) = pair.ports().expect("bound");
        let stranger = UdpSocket::bind("127.0.0.2:0").await.expect("the whole of 127/8 is ours");
        let peer = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        for port in [even, odd] {
            stranger.send_to(b"forged", (HERE, port)).await.expect("sent");
            peer.send_to(format!("real {port}").as_bytes(), (HERE, port)).await.expect("sent");
        }
        let data = poll_fn(|cx| pair.poll_even(cx)).await.expect("a datagram");
        assert_eq!((&data[..], pair.strangers()), (format!("real {even}").as_bytes(), 1));
        let report = poll_fn(|cx| pair.poll_odd(cx)).await.expect("a datagram");
        assert_eq!((&report[..], pair.strangers()), (format!("real {odd}").as_bytes(), 2));
    }
}
