//! The system calls behind echoes. Owns no socket: its caller does; knows nothing of what is in a message.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::sock_extended_err;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    SockaddrStorage, bind, getsockname, recvmsg, sendto, setsockopt, socket, sockopt,
};
use wire::icmp::{Trouble, Version};

use super::Means;

/// Room for the control messages of one message: time to live, and an error with the address of who reports it.
const CONTROL_BYTES: usize = 256;
/// Errors that may stand before the next message: one per echo under way, and each is told only once.
const MOST_TRIES: usize = 128;
/// Origins of an extended error (linux/errqueue.h): messages of ICMP and of ICMPv6.
const FROM_ICMP: u8 = 2;
const FROM_ICMPV6: u8 = 3;

/// A message; its octets are in the caller's room.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) from: Option<IpAddr>,
    pub(super) ttl: Option<u8>,
    /// Set for a message from the queue of errors, whose octets are those of our own echo.
    pub(super) trouble: Option<(Trouble, Option<IpAddr>)>,
}

/// Opens a socket of this sort.
pub(super) fn open(means: Means, version: Version, ttl: Option<u8>) -> io::Result<OwnedFd> {
    let (family, protocol) = match version {
        Version::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        Version::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let sort = match means {
        Means::Datagram => SockType::Datagram,
        Means::Raw => SockType::Raw,
    };
    let fd = socket(family, sort, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol)?;
    let errors = means == Means::Datagram;
    match version {
        Version::V4 => {
            setsockopt(&fd, sockopt::Ipv4RecvTtl, &true)?;
            setsockopt(&fd, sockopt::Ipv4RecvErr, &errors)?;
            if let Some(ttl) = ttl {
                setsockopt(&fd, sockopt::Ipv4Ttl, &i32::from(ttl))?;
            }
        }
        Version::V6 => {
            setsockopt(&fd, sockopt::Ipv6RecvHopLimit, &true)?;
            setsockopt(&fd, sockopt::Ipv6RecvErr, &errors)?;
            if let Some(ttl) = ttl {
                setsockopt(&fd, sockopt::Ipv6Ttl, &i32::from(ttl))?;
            }
        }
    }
    Ok(fd)
}

/// Binds an unprivileged socket; the port that the system gives is the identifier of its echoes.
pub(super) fn bind_for_id(fd: &impl AsRawFd, version: Version) -> io::Result<u16> {
    let any = match version {
        Version::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Version::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(any, 0)))?;
    let name: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let port = match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(v4), _) => v4.port(),
        (_, Some(v6)) => v6.port(),
        _ => return Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    Ok(port)
}

pub(super) fn send(fd: &impl AsRawFd, packet: &[u8], to: SocketAddr) -> io::Result<()> {
    // A port means nothing here, and raw sockets of IPv6 refuse one.
    let mut to = to;
    to.set_port(0);
    sendto(fd.as_raw_fd(), packet, &SockaddrStorage::from(to), MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// The next message, those about errors first; `None` when there is none.
pub(super) fn receive(fd: &impl AsRawFd, room: &mut [u8]) -> io::Result<Option<Received>> {
    for _ in 0..MOST_TRIES {
        if let Some(received) = receive_from(fd, room, MsgFlags::MSG_ERRQUEUE)? {
            return Ok(Some(received));
        }
        match receive_from(fd, room, MsgFlags::empty()) {
            // What the queue of errors tells in full is told here once more, in short, and before any message.
            Err(e) if is_about_an_echo(e) => {}
            other => return Ok(other?),
        }
    }
    Ok(None)
}

fn receive_from(fd: &impl AsRawFd, room: &mut [u8], queue: MsgFlags) -> nix::Result<Option<Received>> {
    let mut control = vec![0; CONTROL_BYTES];
    let mut parts = [IoSliceMut::new(room)];
    let message = match recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut parts, Some(&mut control), queue) {
        Ok(message) => message,
        Err(Errno::EAGAIN) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut received = Received {
        length: message.bytes,
        from: message.address.as_ref().and_then(address_of),
        ttl: None,
        trouble: None,
    };
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                received.ttl = u8::try_from(ttl).ok();
            }
            ControlMessageOwned::Ipv4RecvErr(error, from) => {
                let from = from.map(|from| IpAddr::V4(SockaddrIn::from(from).ip()));
                received.trouble = trouble_of(&error).map(|trouble| (trouble, from));
            }
            ControlMessageOwned::Ipv6RecvErr(error, from) => {
                let from = from.map(|from| IpAddr::V6(SockaddrIn6::from(from).ip()));
                received.trouble = trouble_of(&error).map(|trouble| (trouble, from));
            }
            _ => {}
        }
    }
    Ok(Some(received))
}

/// Errors of a socket that are about the way of an echo and not about the socket.
fn is_about_an_echo(error: Errno) -> bool {
    matches!(
        error,
        Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ECONNREFUSED
            | Errno::EHOSTDOWN
            | Errno::ENOPROTOOPT
            | Errno::EPROTO
            | Errno::EMSGSIZE
            | Errno::EOPNOTSUPP
            | Errno::EACCES
            | Errno::ENONET
            | Errno::EREMOTEIO
            | Errno::EINTR
    )
}

/// What an extended error says; `None` when it is not a message from the network.
fn trouble_of(error: &sock_extended_err) -> Option<Trouble> {
    let version = match error.ee_origin {
        FROM_ICMP => Version::V4,
        FROM_ICMPV6 => Version::V6,
        _ => return None,
    };
    Trouble::of(version, error.ee_type, error.ee_code)
}

fn address_of(name: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = name.as_sockaddr_in().map(|name| IpAddr::V4(name.ip()));
    v4.or_else(|| name.as_sockaddr_in6().map(|name| IpAddr::V6(name.ip())))
}
