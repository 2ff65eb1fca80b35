//! A pair of UDP ports for one track: RTP on an even port, RTCP on the next one. Owns both sockets; believes only
//! datagrams from the server's address.

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

/// Two sockets.
pub(super) struct PortPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    server: IpAddr,
    /// Datagrams that did not come from the server.
    strangers: u64,
}

impl PortPair {
    /// Opens a pair on our end of the control connection, for datagrams of its other end.
    pub(super) async fn open(local: IpAddr, server: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..MAX_PORT_TRIES {
            let first = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
            let port = first.local_addr()?.port();
            let even = port.is_multiple_of(2);
            let neighbour = if even { port.checked_add(1) } else { port.checked_sub(1) };
            let Some(neighbour) = neighbour.filter(|&p| p > 0) else { continue };
            match UdpSocket::bind(SocketAddr::new(local, neighbour)).await {
                Ok(second) => {
                    let (rtp, rtcp) = if even { (first, second) } else { (second, first) };
                    return Ok(Self { rtp, rtcp, server, strangers: 0 });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Both ports.
    pub(super) fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((self.rtp.local_addr()?.port(), self.rtcp.local_addr()?.port()))
    }

    /// Datagrams that came from elsewhere than the server.
    pub(super) fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The next RTP datagram of the server.
    pub(super) fn poll_rtp(&mut self, cx: &mut Context<'_>, room: &mut Room) -> Poll<io::Result<Bytes>> {
        loop {
            let mut buffer = ReadBuf::new(room.bytes());
            let from = ready!(self.rtp.poll_recv_from(cx, &mut buffer))?;
            if from.ip() == self.server {
                return Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())));
            }
            self.strangers += 1;
        }
    }
}

/// Room for one datagram, shared by all sockets of a look.
#[derive(Default)]
pub(super) struct Room(Vec<u8>);

impl Room {
    fn bytes(&mut self) -> &mut [u8] {
        self.0.resize(MAX_DATAGRAM_BYTES, 0);
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn the_rtp_port_is_even_and_its_neighbour_is_ours() {
        let mut pairs = Vec::new();
        for _ in 0..20 {
            let pair = PortPair::open(HERE, HERE).await.expect("free ports");
            let (rtp, rtcp) = pair.ports().expect("bound");
            assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
            pairs.push(pair);
        }
    }

    #[tokio::test]
    async fn datagrams_of_strangers_are_counted_and_dropped() {
        let mut pair = PortPair::open(HERE, HERE).await.expect("free ports");
        let to = (HERE, pair.ports().expect("bound").0);
        let stranger = UdpSocket::bind("127.0.0.2:0").await.expect("the whole of 127/8 is ours");
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        stranger.send_to(b"forged", to).await.expect("sent");
        server.send_to(b"real", to).await.expect("sent");
        let mut room = Room::default();
        let got = poll_fn(|cx| pair.poll_rtp(cx, &mut room)).await.expect("a datagram");
        assert_eq!((&got[..], pair.strangers()), (&b"real"[..], 1));
    }
}
