//! Peers that speak in datagrams and misbehave in one way each, whatever the protocol; and a relay that loses, repeats and
//! reorders by a seed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};

/// Largest datagram that is read.
const ROOM: usize = 2048;

/// What a peer does with whoever sends it something.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Never answers.
    BlackHole,
    /// Sends it back.
    Echo,
    /// Answers each datagram with a burst of noise from this seed.
    Garbage(u64),
    /// Answers each datagram with this, for ever and as fast as it can.
    Endless(Vec<u8>),
    /// Sends this octet every 100 ms.
    Drip(u8),
    /// Answers with this.
    Says(Vec<u8>),
}

/// A peer that runs until it is dropped.
pub struct DatagramPeer {
    address: SocketAddr,
    clients: Arc<Mutex<HashSet<SocketAddr>>>,
    task: AbortHandle,
}

impl Drop for DatagramPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl DatagramPeer {
    /// Starts a peer.
    pub async fn start(manner: Manner) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let clients = Arc::new(Mutex::new(HashSet::new()));
        let task = spawn(serve(socket, manner, Arc::clone(&clients)));
        Self { address, clients, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Clients so far.
    #[must_use]
    pub fn met(&self) -> usize {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Clients whose port is still in use.
    #[must_use]
    pub fn open(&self) -> usize {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().filter(|client| StdSocket::bind(**client).is_err()).count()
    }
}

/// A port on which nobody listens, and that nobody was given a moment ago.
#[must_use]
pub fn closed() -> SocketAddr {
    let socket = StdSocket::bind("127.0.0.1:0").expect("the loopback has a free port");
    socket.local_addr().expect("it is bound")
}

#[expect(clippy::disallowed_methods, reason = "the owner is the peer, which aborts the task when dropped")]
pub(crate) fn spawn(f: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(f).abort_handle()
}

async fn serve(socket: UdpSocket, manner: Manner, clients: Arc<Mutex<HashSet<SocketAddr>>>) {
    let mut room = [0; ROOM];
    let mut dice = Dice::new(if let Manner::Garbage(seed) = manner { seed } else { 1 });
    let mut last = None;
    loop {
        let waited = tokio::time::timeout(Duration::from_millis(100), socket.recv_from(&mut room)).await;
        if let Ok(Ok((length, from))) = waited {
            clients.lock().unwrap_or_else(PoisonError::into_inner).insert(from);
            last = Some(from);
            answer(&socket, &manner, &room[..length], from, &mut dice).await;
        } else if let (Manner::Drip(octet), Some(to)) = (&manner, last) {
            let _ = socket.send_to(&[*octet], to).await;
        }
    }
}

async fn answer(socket: &UdpSocket, manner: &Manner, heard: &[u8], to: SocketAddr, dice: &mut Dice) {
    match manner {
        Manner::BlackHole | Manner::Drip(_) => {}
        Manner::Echo => _ = socket.send_to(heard, to).await,
        Manner::Says(words) => _ = socket.send_to(words, to).await,
        Manner::Garbage(_) => {
            for _ in 0..100 {
                let length = dice.below(1472);
                let noise: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap_or_default()).collect();
                let _ = socket.send_to(&noise, to).await;
            }
        }
        Manner::Endless(words) => while socket.send_to(words, to).await.is_ok() {},
    }
}

/// Numbers from a seed.
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// What a relay does on the way from the server to the client. Chances are in thousandths; only datagrams that `touches` names
/// are touched.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Where chance begins.
    pub seed: u64,
    /// Lost.
    pub lost: u64,
    /// Sent twice.
    pub twice: u64,
    /// Sent after the next two.
    pub late: u64,
    /// The first datagrams of each direction that are lost whatever they are.
    pub first: u32,
    /// Which datagrams are touched.
    pub touches: fn(&[u8]) -> bool,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { seed: 1, lost: 0, twice: 0, late: 0, first: 0, touches: |_| true }
    }
}

/// What a relay did.
#[derive(Debug, Default)]
pub struct Done {
    lost: AtomicU64,
    twice: AtomicU64,
    late: AtomicU64,
}

impl Done {
    /// Datagrams lost, sent twice, and sent late.
    #[must_use]
    pub fn get(&self) -> (u64, u64, u64) {
        let [lost, twice, late] = [&self.lost, &self.twice, &self.late].map(|count| count.load(Ordering::SeqCst));
        (lost, twice, late)
    }
}

/// A relay that runs until it is dropped. Every client has a port of its own towards the server.
pub struct Relay {
    address: SocketAddr,
    done: Arc<Done>,
    task: AbortHandle,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Starts a relay to a server.
    pub async fn start(to: SocketAddr, trouble: Trouble) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("the loopback has a free port"));
        let address = socket.local_addr().expect("it is bound");
        let done = Arc::new(Done::default());
        let task = spawn(relay(socket, to, trouble, Arc::clone(&done)));
        Self { address, done, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    #[must_use]
    pub fn done(&self) -> &Done {
        &self.done
    }
}

async fn relay(socket: Arc<UdpSocket>, to: SocketAddr, trouble: Trouble, done: Arc<Done>) {
    let mut backs: HashMap<SocketAddr, (Arc<UdpSocket>, JoinSet<()>, u32)> = HashMap::new();
    let mut room = [0; ROOM];
    while let Ok((length, from)) = socket.recv_from(&mut room).await {
        let (back, _, count) = match backs.entry(from) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("the loopback has a free port"));
                let _ = back.connect(to).await;
                let mut tasks = JoinSet::new();
                tasks.spawn(backward(Arc::clone(&back), Arc::clone(&socket), from, trouble.clone(), Arc::clone(&done)));
                new.insert((back, tasks, 0))
            }
        };
        *count += 1;
        if *count > trouble.first {
            let _ = back.send(&room[..length]).await;
        }
    }
}

async fn backward(back: Arc<UdpSocket>, socket: Arc<UdpSocket>, to: SocketAddr, trouble: Trouble, done: Arc<Done>) {
    let mut dice = Dice::new(trouble.seed);
    let mut room = [0; ROOM];
    let (mut count, mut held): (u32, Vec<(u32, Vec<u8>)>) = (0, Vec::new());
    loop {
        let Ok(length) = back.recv(&mut room).await else { continue };
        let heard = &room[..length];
        count += 1;
        if count <= trouble.first {
            continue;
        }
        let chance = if (trouble.touches)(heard) { dice.below(1000) } else { 1000 };
        if chance < trouble.lost {
            done.lost.fetch_add(1, Ordering::SeqCst);
        } else if chance < trouble.lost + trouble.late {
            done.late.fetch_add(1, Ordering::SeqCst);
            held.push((count + 2, heard.to_vec()));
        } else {
            let _ = socket.send_to(heard, to).await;
            if chance < trouble.lost + trouble.late + trouble.twice {
                done.twice.fetch_add(1, Ordering::SeqCst);
                let _ = socket.send_to(heard, to).await;
            }
        }
        while held.first().is_some_and(|(due, _)| *due <= count) {
            let (_, datagram) = held.remove(0);
            let _ = socket.send_to(&datagram, to).await;
        }
    }
}
