//! One UDP socket, read as datagrams come, or in ticks once somebody asks for that; either way it tells when each of them
//! arrived. Owns the socket, its room in the kernel and how its reader is woken; knows nothing of what is in a datagram.
//!
//! In ticks the socket is off the runtime's list: otherwise every datagram would wake the process. That wants room in the
//! kernel for what comes meanwhile, so it is done only where the system gave enough.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::pace::{CONTROL_BYTES, Moment, Pace, stamp_arrivals};

/// Room for datagrams in the kernel that is asked for: a second of 16 Mbit/s, for the time in which this process has no turn.
/// The system gives as much as `net.core.rmem_max` allows, and all of it to a process that may overrule that.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Room without which datagrams are not left to gather, as the system counts it: twice what was asked for. The system counts
/// some 2 KiB for a datagram, so that a quarter of a second of 80 Mbit/s fits, or a large picture in one burst.
const LEAST_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// More datagrams than this at one tick make ticks shorter: a twentieth of the least room.
const MOST_DATAGRAMS: usize = 96;

/// A UDP socket.
pub(crate) struct Port {
    way: Way,
    /// When it was seen empty.
    empty: Instant,
}

enum Way {
    /// Its reader is woken as datagrams come.
    Woken(UdpSocket),
    Ticks {
        socket: StdSocket,
        pace: Pace,
        /// Nothing is there until the next tick.
        drained: bool,
        /// Datagrams since the last tick.
        since_tick: usize,
    },
    /// Lost on the way from one to the other.
    Gone,
}

/// A datagram that was taken; its octets are in the taker's room.
pub(crate) struct Taken {
    pub(crate) length: usize,
    pub(crate) from: Option<SocketAddr>,
    pub(crate) arrived: Instant,
}

impl Port {
    /// Reads `socket`, which is bound.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        stamp_arrivals(&socket);
        Ok(Self { way: Way::Woken(UdpSocket::from_std(socket.into())?), empty: Instant::now() })
    }

    /// The socket, for its options.
    pub(crate) fn socket(&self) -> io::Result<SockRef<'_>> {
        match &self.way {
            Way::Woken(socket) => Ok(SockRef::from(socket)),
            Way::Ticks { socket, .. } => Ok(SockRef::from(socket)),
            Way::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Our address.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable.into())
    }

    /// From now on reads in ticks, `longest` apart at most (which may be said anew), where the system gave room enough for that.
    pub(crate) fn gather(&mut self, longest: Duration) -> io::Result<()> {
        let room = self.socket().and_then(|socket| socket.recv_buffer_size());
        if !room.is_ok_and(|room| room >= LEAST_BUFFER_BYTES) {
            return Ok(());
        }
        match std::mem::replace(&mut self.way, Way::Gone) {
            Way::Woken(socket) => {
                let pace = Pace::new(longest, MOST_DATAGRAMS);
                self.way = Way::Ticks { socket: socket.into_std()?, pace, drained: false, since_tick: 0 };
            }
            Way::Ticks { socket, drained, since_tick, .. } => {
                let pace = Pace::new(longest, MOST_DATAGRAMS);
                self.way = Way::Ticks { socket, pace, drained, since_tick };
            }
            Way::Gone => {}
        }
        Ok(())
    }

    /// Whether it reads in ticks.
    pub(crate) fn is_in_ticks(&self) -> bool {
        matches!(self.way, Way::Ticks { .. })
    }

    /// Waits until there may be something to take. Safe to drop.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Woken(socket) => socket.readable().await,
            Way::Ticks { drained: false, .. } => Ok(()),
            Way::Ticks { pace, drained, since_tick, .. } => {
                sleep_until(pace.next(self.empty)).await;
                pace.brought(std::mem::take(since_tick));
                *drained = false;
                Ok(())
            }
            Way::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Takes the next datagram that is there; none when there is none.
    pub(crate) fn take(&mut self, room: &mut [u8]) -> io::Result<Option<Taken>> {
        let empty = self.empty;
        let received = match &mut self.way {
            Way::Woken(socket) => socket.try_io(Interest::READABLE, || receive(socket, room, empty)),
            Way::Ticks { socket, since_tick, .. } => {
                *since_tick += 1;
                receive(socket, room, empty)
            }
            Way::Gone => Err(io::ErrorKind::NotConnected.into()),
        };
        match received {
            Ok(taken) => Ok(Some(taken)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.empty = Instant::now();
                if let Way::Ticks { drained, .. } = &mut self.way {
                    *drained = true;
                }
                Ok(None)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sends to the peer that the socket is connected to. Where the system has no room left the datagram is lost, as on any
    /// other part of its way.
    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        sent(self.socket()?.send(datagram))
    }

    /// Sends to somebody.
    pub(crate) fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        sent(self.socket()?.send_to(datagram, &to.into()))
    }
}

/// Asks for room in the kernel.
pub(crate) fn ask_for_room(socket: &Socket) -> io::Result<()> {
    // The system cuts the second to its limit and says nothing.
    setsockopt(socket, sockopt::RcvBufForce, &BUFFER_BYTES).or_else(|_| socket.set_recv_buffer_size(BUFFER_BYTES))
}

fn sent(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result.map(drop),
    }
}

fn receive(socket: &impl AsRawFd, room: &mut [u8], empty: Instant) -> io::Result<Taken> {
    let mut control = [0; CONTROL_BYTES];
    let mut parts = [IoSliceMut::new(room)];
    let fd = socket.as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
    let arrived = Moment::now().of(&message, empty);
    Ok(Taken { length: message.bytes, from: message.address.as_ref().and_then(address), arrived })
}

fn address(name: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = name.as_sockaddr_in().map(|name| SocketAddr::V4((*name).into()));
    v4.or_else(|| name.as_sockaddr_in6().map(|name| SocketAddr::V6((*name).into())))
}
