//! Echoes of ICMP: one socket towards one address. Owns which sort of socket is allowed here and what is believed of what comes:
//! only what carries our identifier and our token. Counts nothing and waits for nothing longer than its caller.
//!
//! Own code over `nix` instead of the crate surge-ping: that one starts a task of its own for every socket, drops the messages
//! of routers (a host that is unreachable looks like a silent one), and matches replies by sequence alone.

mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use wire::icmp::{self, Echo, Message, Trouble, Version};

use socket::Received;

/// Octets of the token that every echo of a look carries.
pub const TOKEN_BYTES: usize = 16;
/// Largest payload: a frame of 9000 octets ("jumbo") without the headers of IPv6 and ICMP.
pub const MAX_PAYLOAD_BYTES: usize = 8952;
/// Octets of a message beside our payload: a header of IPv4 with all its options and two of ICMP, with room to spare.
const ROOM_FOR_HEADERS: usize = 256;
/// Messages that are read in one go before others get their turn: on a raw socket everybody's arrive.
const MOST_AT_A_TIME: usize = 64;

/// How the echoes are sent.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Octets of payload; never fewer than [`TOKEN_BYTES`] are sent.
    pub payload_bytes: usize,
    /// Routers that an echo may pass; the system's default when absent.
    pub ttl: Option<u8>,
    /// Identifier on raw sockets; unprivileged ones get theirs from the system.
    pub id: u16,
    /// What only we know, so that nobody can answer without having seen the echo.
    pub token: [u8; TOKEN_BYTES],
}

/// Which sort of socket the system allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Unprivileged: the system fills in the identifier and hands over our replies only.
    Datagram,
    /// Privileged: every message of the machine arrives.
    Raw,
}

/// Why no socket was to be had.
#[derive(Debug)]
pub struct Refused {
    /// What the system said to the unprivileged one.
    pub datagram: io::Error,
    /// What it said to the privileged one.
    pub raw: io::Error,
}

/// What was heard of one echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It came back.
    Reply {
        /// Which.
        sequence: u16,
        /// Routers that the reply might still have passed.
        ttl: Option<u8>,
        /// When it was read.
        at: Instant,
    },
    /// Somebody says that it did not arrive.
    Trouble {
        /// Which.
        sequence: u16,
        /// Why.
        trouble: Trouble,
        /// Who says so.
        from: Option<IpAddr>,
    },
}

/// An open socket towards one address.
pub struct Pinger {
    /// No socket of UDP, but the system's calls are the same, and the runtime knows how to wait for it.
    socket: UdpSocket,
    ear: Ear,
}

impl Pinger {
    /// Opens a socket for echoes to `peer`: an unprivileged one where the system allows it, else a raw one.
    ///
    /// # Errors
    /// What the system said to either.
    pub fn open(peer: SocketAddr, settings: &Settings) -> Result<Self, Refused> {
        let open = |means| Self::open_as(means, peer, settings);
        open(Means::Datagram).or_else(|datagram| open(Means::Raw).map_err(|raw| Refused { datagram, raw }))
    }

    /// Opens a socket of this sort.
    ///
    /// # Errors
    /// What the system said.
    fn open_as(means: Means, peer: SocketAddr, settings: &Settings) -> io::Result<Self> {
        let version = if peer.is_ipv4() { Version::V4 } else { Version::V6 };
        let fd = socket::open(means, version, settings.ttl)?;
        let id = match means {
            Means::Datagram => socket::bind_for_id(&fd, version)?,
            Means::Raw => settings.id,
        };
        let length = settings.payload_bytes.clamp(TOKEN_BYTES, MAX_PAYLOAD_BYTES);
        let payload = settings.token.into_iter().chain((0..=u8::MAX).cycle()).take(length).collect();
        let room = vec![0; length + ROOM_FOR_HEADERS];
        let ear = Ear { version, peer, payload, id, means, strangers: 0, room };
        Ok(Self { socket: UdpSocket::from_std(fd.into())?, ear })
    }

    /// Which sort of socket it is.
    #[must_use]
    pub fn means(&self) -> Means {
        self.ear.means
    }

    /// Messages that were thrown away: another identifier, sender, or payload.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.ear.strangers
    }

    /// Sends one echo. Never waits: a full buffer of the system loses it as the network would.
    ///
    /// # Errors
    /// What the system says; no route to the peer, for instance.
    pub fn send(&self, sequence: u16) -> io::Result<()> {
        let packet = icmp::request(self.ear.version, Echo { id: self.ear.id, sequence }, &self.ear.payload);
        let mut result = socket::send(&self.socket, &packet, self.ear.peer);
        if result.is_err() {
            // The system tells troubles of earlier echoes here, once; those are heard from the queue of errors as well.
            result = socket::send(&self.socket, &packet, self.ear.peer);
        }
        match result {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// Waits for the next thing to be believed about one of our echoes. Nothing is lost when it is dropped.
    ///
    /// # Errors
    /// What the system says when the socket is gone.
    pub async fn hear(&mut self) -> io::Result<Heard> {
        let Self { socket, ear } = self;
        loop {
            let heard = socket.async_io(Interest::READABLE | Interest::ERROR, || ear.listen(socket)).await?;
            match heard {
                Some(heard) => return Ok(heard),
                // On a raw socket everybody's messages arrive: others get their turn.
                None => tokio::task::yield_now().await,
            }
        }
    }
}

/// What tells our messages from those of others.
struct Ear {
    version: Version,
    peer: SocketAddr,
    payload: Vec<u8>,
    id: u16,
    means: Means,
    /// Messages that were not for us or not to be believed.
    strangers: u64,
    room: Vec<u8>,
}

impl Ear {
    /// Reads what is there, up to the first thing to be believed; `None` when there may be more. Nothing at all is the error
    /// "would block", by which the runtime knows that it has to wait.
    fn listen(&mut self, socket: &UdpSocket) -> io::Result<Option<Heard>> {
        for _ in 0..MOST_AT_A_TIME {
            let received = socket::receive(socket, &mut self.room)?.ok_or(io::ErrorKind::WouldBlock)?;
            match self.believe(&received) {
                Some(heard) => return Ok(Some(heard)),
                None => self.strangers += 1,
            }
        }
        Ok(None)
    }

    fn believe(&self, received: &Received) -> Option<Heard> {
        let bytes = self.room.get(..received.length)?;
        if let Some((trouble, from)) = received.trouble {
            let (echo, quoted) = icmp::quoted_echo(self.version, bytes)?;
            return self.is_ours(echo, quoted).then_some(Heard::Trouble { sequence: echo.sequence, trouble, from });
        }
        let (from, ttl, bytes) = match (self.means, self.version) {
            (Means::Raw, Version::V4) => {
                let (header, rest) = icmp::after_ipv4(bytes)?;
                (IpAddr::V4(header.source), Some(header.ttl), rest)
            }
            _ => (received.from?, received.ttl, bytes),
        };
        match icmp::parse(self.version, bytes)? {
            // A reply carries the whole payload.
            Message::Reply(echo, payload)
                if from == self.peer.ip() && payload == self.payload && self.is_ours(echo, payload) =>
            {
                Some(Heard::Reply { sequence: echo.sequence, ttl, at: Instant::now() })
            }
            Message::Trouble(trouble, echo, quoted) if self.is_ours(echo, quoted) => {
                Some(Heard::Trouble { sequence: echo.sequence, trouble, from: Some(from) })
            }
            Message::Reply(..) | Message::Trouble(..) => None,
        }
    }

    /// Whether an echo is ours. Routers quote as much of its payload as they like, and many quote none: then the identifier,
    /// which was drawn by lot, must do.
    fn is_ours(&self, echo: Echo, payload: &[u8]) -> bool {
        let compared = payload.len().min(TOKEN_BYTES);
        echo.id == self.id && payload.get(..compared) == self.payload.get(..compared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const TOKEN: [u8; TOKEN_BYTES] = *b"known only to us";

    fn ear(means: Means) -> Ear {
        let peer = SocketAddr::new(PEER, 0);
        let payload = [&TOKEN[..], b"and the rest"].concat();
        Ear { version: Version::V4, peer, payload, id: 7, means, strangers: 0, room: vec![0; 512] }
    }

    /// What becomes of these octets from this address.
    fn heard(ear: &mut Ear, from: IpAddr, bytes: &[u8], trouble: Option<(Trouble, Option<IpAddr>)>) -> Option<Heard> {
        ear.room[..bytes.len()].copy_from_slice(bytes);
        ear.believe(&Received { length: bytes.len(), from: Some(from), ttl: Some(61), trouble })
    }

    fn reply(id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = icmp::request(Version::V4, Echo { id, sequence }, payload);
        bytes[0] = 0;
        bytes
    }

    fn sequence(heard: Option<Heard>) -> Option<u16> {
        heard.map(|heard| match heard {
            Heard::Reply { sequence, .. } | Heard::Trouble { sequence, .. } => sequence,
        })
    }

    #[tokio::test]
    async fn forged_and_foreign_replies_are_not_believed() {
        let mut ear = ear(Means::Datagram);
        let whole = ear.payload.clone();
        let good = reply(7, 3, &whole);
        assert_eq!(sequence(heard(&mut ear, PEER, &good, None)), Some(3));
        let mut wrong_token = whole.clone();
        wrong_token[4] ^= 1;
        let mut wrong_end = whole.clone();
        wrong_end[20] ^= 1;
        for (what, from, bytes) in [
            ("another sender", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8)), good.clone()),
            ("another identifier", PEER, reply(8, 3, &whole)),
            ("another token", PEER, reply(7, 3, &wrong_token)),
            ("another end", PEER, reply(7, 3, &wrong_end)),
            ("a shorter payload", PEER, reply(7, 3, &TOKEN)),
            ("no payload", PEER, reply(7, 3, b"")),
            ("a longer payload", PEER, reply(7, 3, &[&whole[..], b"x"].concat())),
            ("our own request", PEER, icmp::request(Version::V4, Echo { id: 7, sequence: 3 }, &whole)),
            ("nothing", PEER, Vec::new()),
        ] {
            assert_eq!(heard(&mut ear, from, &bytes, None), None, "{what}");
        }
    }

    #[tokio::test]
    async fn a_raw_socket_reads_sender_and_time_to_live_from_the_packet() {
        let mut ear = ear(Means::Raw);
        let whole = ear.payload.clone();
        let packet = |source: [u8; 4]| {
            let mut header = [0; 20];
            (header[0], header[8], header[9]) = (0x45, 59, 1);
            header[12..16].copy_from_slice(&source);
            [&header[..], &reply(7, 2, &whole)].concat()
        };
        // What the system says of the sender is not asked for; the packet has it.
        let seen = heard(&mut ear, PEER, &packet([192, 0, 2, 7]), None);
        assert!(matches!(seen, Some(Heard::Reply { sequence: 2, ttl: Some(59), .. })), "{seen:?}");
        assert_eq!(heard(&mut ear, PEER, &packet([192, 0, 2, 8]), None), None);
    }

    #[tokio::test]
    async fn troubles_are_believed_when_they_quote_our_echo() {
        let mut ear = ear(Means::Datagram);
        let router = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
        let trouble = Some((Trouble::TimeExceeded(0), Some(router)));
        let quote = |id, payload: &[u8]| icmp::request(Version::V4, Echo { id, sequence: 5 }, payload);
        // Routers may quote eight octets only.
        for bytes in [quote(7, b""), quote(7, &TOKEN), quote(7, &TOKEN[..5])] {
            assert_eq!(sequence(heard(&mut ear, router, &bytes, trouble)), Some(5));
        }
        for bytes in [quote(8, &TOKEN), quote(7, b"unknown"), reply(7, 5, &TOKEN), Vec::new()] {
            assert_eq!(heard(&mut ear, router, &bytes, trouble), None, "{bytes:02x?}");
        }
        let echo = quote(7, &TOKEN);
        assert_eq!(heard(&mut ear, PEER, &echo, None), None, "without the system's word it is only a request");
    }
}
