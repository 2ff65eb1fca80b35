//! Listening for datagrams that somebody sends unasked: on a port of this machine, or as a member of a multicast group.
//! Owns the sockets' options, the sharing of a port within this process, and the words for what the system refuses. Knows
//! nothing of what is in a datagram; never sends one.
//!
//! A unicast port has one listener on a machine: the system would give each datagram to one socket only, and taking it from
//! another program would do harm. So a port is taken exclusively, and everybody in this process who wants the same one shares
//! its socket: each reader hands what it reads to the others. A multicast group is joined by everybody with a socket of their
//! own: the system copies.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::port::{Port, Taken, ask_for_room};
use crate::dial::io_fault;

/// Largest datagram that is read whole: IP allows no larger ones.
const MAX_DATAGRAM_BYTES: usize = 64 * 1024;
/// Datagrams handed over in one go before others get their turn.
const BATCH: usize = 64;
/// Datagrams kept for a reader that is slower than another one of the same port: half a second of 40 Mbit/s.
const MAX_WAITING: usize = 2048;

/// Which interface to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// By its name, as `eth0`.
    Name(String),
    /// By an address that it has.
    Address(IpAddr),
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// An address of this machine (or all: `0.0.0.0`, `::`), or a multicast group; and the port.
    pub address: SocketAddr,
    /// Who must have sent a datagram. A group is joined for this source alone where the system can (IPv4).
    pub source: Option<IpAddr>,
    /// The interface, when the system's choice is not right.
    pub interface: Option<Interface>,
}

impl Listen {
    /// Whether the address is a group.
    #[must_use]
    pub fn is_multicast(&self) -> bool {
        self.address.ip().is_multicast()
    }
}

/// Sockets of unicast ports by where they listen. Process-wide because ports are.
static SHARED: LazyLock<Mutex<HashMap<Spot, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// A unicast port: its address, and the interface where one is named.
type Spot = (SocketAddr, Option<Interface>);

thread_local! {
    /// Room for one datagram, for all sockets of a thread.
    static ROOM: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; MAX_DATAGRAM_BYTES]);
}

/// A socket and everybody who reads from it, each through a twin of it.
struct Shared {
    socket: Socket,
    seats: Mutex<Vec<Arc<Seat>>>,
}

/// What others have read for one reader.
#[derive(Default)]
struct Seat {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<(Bytes, SocketAddr, Instant)>,
    dropped: u64,
}

/// Reads datagrams. Dropping it leaves the group and frees the port, unless others listen there.
pub struct Receiver {
    port: Port,
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    source: Option<IpAddr>,
    strangers: u64,
}

impl Receiver {
    /// Begins to listen. Phase connect.
    ///
    /// # Errors
    /// An internal fault when this machine cannot listen there: the port is another program's, the address none of ours, the
    /// interface unknown. That says nothing about whoever sends.
    pub fn open(listen: &Listen) -> Result<Self, Fault> {
        let fault = |error: io::Error| refused(listen, &error);
        let shared = if listen.is_multicast() {
            Arc::new(Shared::new(join(listen).map_err(fault)?))
        } else if listen.address.port() == 0 {
            // Another port each time.
            Arc::new(Shared::new(bind(listen).map_err(fault)?))
        } else {
            let key = (listen.address, listen.interface.clone());
            let mut table = lock(&SHARED);
            table.retain(|_, shared| shared.strong_count() > 0);
            match table.get(&key).and_then(Weak::upgrade) {
                Some(shared) => shared,
                None => {
                    let shared = Arc::new(Shared::new(bind(listen).map_err(fault)?));
                    table.insert(key, Arc::downgrade(&shared));
                    shared
                }
            }
        };
        let port = shared.socket.try_clone().and_then(Port::new).map_err(fault)?;
        let seat = Arc::new(Seat::default());
        lock(&shared.seats).push(Arc::clone(&seat));
        Ok(Self { port, shared, seat, source: listen.source, strangers: 0 })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says when the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.local_addr()
    }

    /// From now on lets datagrams gather and reads them in ticks, `longest` apart, and closer where many come: for media that
    /// is only watched. Does nothing where the system gives little room for what comes meanwhile. When each of them arrived is
    /// told in any case. The pause may be said anew at any time.
    ///
    /// # Errors
    /// What the operating system says; the socket is of no use then.
    pub fn gather(&mut self, longest: Duration) -> io::Result<()> {
        self.port.gather(longest)
    }

    /// Datagrams that came from elsewhere than the source and were left out.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Datagrams that this reader lost because it was too slow for the others of its port.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        lock(&self.seat.waiting).dropped
    }

    /// Waits for datagrams and hands over what is there, in the order of arrival, with who sent it and when it arrived. Run it
    /// inside `Attempt::run`: it waits for ever. Safe to drop.
    ///
    /// # Errors
    /// What the operating system says of the socket.
    pub async fn receive(&mut self, mut each: impl FnMut(&[u8], SocketAddr, Instant)) -> Result<(), Fault> {
        loop {
            tokio::select! {
                ready = self.port.ready() => ready.map_err(|e| io_fault(Phase::Media, &e))?,
                () = self.seat.news.notified() => {}
            }
            if self.take(&mut each).map_err(|e| io_fault(Phase::Media, &e))? {
                return Ok(());
            }
        }
    }

    /// Hands over what is there; whether anything was.
    fn take(&mut self, each: &mut impl FnMut(&[u8], SocketAddr, Instant)) -> io::Result<bool> {
        let (source, strangers) = (self.source, &mut self.strangers);
        let mut any = false;
        let mut give = |bytes: &[u8], from: SocketAddr, arrived: Instant| {
            if source.is_some_and(|source| source != from.ip().to_canonical()) {
                *strangers += 1;
            } else {
                any = true;
                each(bytes, from, arrived);
            }
        };
        // As long as this lock is held nobody else reads: the order of arrival stays for everybody.
        let seats = lock(&self.shared.seats);
        let waiting = std::mem::take(&mut lock(&self.seat.waiting).datagrams);
        for (bytes, from, arrived) in waiting {
            give(&bytes, from, arrived);
        }
        ROOM.with_borrow_mut(|room| {
            for _ in 0..BATCH {
                let Some(Taken { length, from, arrived }) = self.port.take(room)? else {
                    return Ok::<_, io::Error>(());
                };
                let Some(from) = from else { continue };
                if seats.len() > 1 {
                    share(&seats, &self.seat, &room[..length], from, arrived);
                }
                give(&room[..length], from, arrived);
            }
            Ok(())
        })?;
        Ok(any)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        lock(&self.shared.seats).retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        // Whoever waits for the socket may have been woken in our place.
        lock(&self.shared.seats).iter().for_each(|seat| seat.news.notify_one());
    }
}

/// Leaves a datagram for everybody else of the port.
fn share(seats: &[Arc<Seat>], own: &Arc<Seat>, bytes: &[u8], from: SocketAddr, arrived: Instant) {
    let bytes = Bytes::copy_from_slice(bytes);
    for seat in seats.iter().filter(|seat| !Arc::ptr_eq(seat, own)) {
        let mut waiting = lock(&seat.waiting);
        if waiting.datagrams.len() >= MAX_WAITING {
            waiting.datagrams.pop_front();
            waiting.dropped += 1;
        }
        waiting.datagrams.push_back((bytes.clone(), from, arrived));
        drop(waiting);
        seat.news.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(socket: Socket) -> Self {
        Self { socket, seats: Mutex::default() }
    }
}

fn socket(listen: &Listen) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(listen.address), Type::DGRAM, Some(Protocol::UDP))?;
    ask_for_room(&socket)?;
    Ok(socket)
}

fn bind(listen: &Listen) -> io::Result<Socket> {
    let socket = socket(listen)?;
    if let Some(Interface::Name(name)) = &listen.interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    socket.bind(&listen.address.into())?;
    Ok(socket)
}

/// Joins a group. The socket is bound to the group and not to all addresses: otherwise it would get what is sent to every
/// group that anybody on this machine has joined.
fn join(listen: &Listen) -> io::Result<Socket> {
    let socket = socket(listen)?;
    socket.set_reuse_address(true)?;
    let index = match &listen.interface {
        Some(Interface::Name(name)) => Some(nix::net::if_::if_nametoindex(name.as_str())?),
        _ => None,
    };
    match listen.address {
        SocketAddr::V4(group) => {
            socket.bind(&listen.address.into())?;
            match (listen.source, &listen.interface) {
                (Some(IpAddr::V4(source)), _) => {
                    socket.join_ssm_v4(&source, group.ip(), &interface_address(listen, source)?)?;
                }
                (_, Some(Interface::Address(IpAddr::V4(own)))) => socket.join_multicast_v4(group.ip(), own)?,
                _ => {
                    let interface = InterfaceIndexOrAddress::Index(index.unwrap_or(0));
                    socket.join_multicast_v4_n(group.ip(), &interface)?;
                }
            }
        }
        SocketAddr::V6(mut group) => {
            // A group on the link needs to know which link.
            group.set_scope_id(index.unwrap_or(group.scope_id()));
            socket.set_only_v6(true)?;
            socket.bind(&SocketAddr::V6(group).into())?;
            socket.join_multicast_v6(group.ip(), index.unwrap_or(0))?;
        }
    }
    Ok(socket)
}

/// Address of the interface on which a source is listened to: this sort of membership knows interfaces by address only.
fn interface_address(listen: &Listen, source: Ipv4Addr) -> io::Result<Ipv4Addr> {
    match &listen.interface {
        None => Ok(Ipv4Addr::UNSPECIFIED),
        Some(Interface::Address(IpAddr::V4(own))) => Ok(*own),
        Some(Interface::Address(_)) => Err(io::ErrorKind::AddrNotAvailable.into()),
        Some(Interface::Name(name)) => {
            // Nothing is sent: the system only says from where it would be.
            let asking = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            asking.bind_device(Some(name.as_bytes()))?;
            asking.connect(&SocketAddr::from((source, listen.address.port())).into())?;
            match asking.local_addr()?.as_socket_ipv4() {
                Some(own) => Ok(*own.ip()),
                None => Err(io::ErrorKind::AddrNotAvailable.into()),
            }
        }
    }
}

// Number of Linux (asm-generic/errno-base.h); the standard library has no name for it.
const ENODEV: i32 = 19;

/// Why we cannot listen: always this machine's trouble, never the sender's.
fn refused(listen: &Listen, error: &io::Error) -> Fault {
    let (ip, port) = (listen.address.ip(), listen.address.port());
    let interface = match &listen.interface {
        Some(Interface::Name(name)) => format!(" on the interface {name}"),
        Some(Interface::Address(own)) => format!(" on the interface with the address {own}"),
        None => String::new(),
    };
    let detail = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program on this machine listens on UDP port {port} of {ip}, and only one can")
        }
        io::ErrorKind::AddrNotAvailable if !listen.is_multicast() => format!(
            "{ip} is no address of this machine; the address is where datagrams arrive: one of this machine's, 0.0.0.0, or a \
             multicast group"
        ),
        io::ErrorKind::PermissionDenied => format!("this machine does not allow us to listen on UDP port {port}"),
        _ if error.raw_os_error() == Some(ENODEV) || error.kind() == io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine cannot join {ip}{interface}: no such interface or no route to the group; name the interface"
            )
        }
        _ => format!("cannot listen on {}{interface}: {error}", listen.address),
    };
    Fault::new(FaultKind::Internal, Phase::Connect, detail)
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
