//! An SRT sender that plays a second of H.264 and AAC for ever: waits for callers or calls. Answers loss reports, changes keys,
//! gives packets up, and misbehaves in one way when told so.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use wire::srt::{
    Body, Called, Caller, Control, Data, Handshake, HandshakeKind, Heard, Hello, Link, Listener, Packet, Passphrase,
    Refused, Seq, Setup,
};

use crate::datagram::spawn;

/// What is played.
const CLIP: &[u8] = include_bytes!("../../wire/testdata/ts/ffmpeg_h264_aac.bin");
/// Octets of a packet of media: seven transport packets.
const PAYLOAD_BYTES: usize = 7 * 188;
/// Time between two packets: a second of the clip takes about as long.
const PACE: Duration = Duration::from_millis(3);
/// Packets kept to be sent again.
const HISTORY: usize = 2048;

/// What the sender does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Everything right.
    Good,
    /// Refuses with the reason of this code.
    Refuse(u32),
    /// Lets callers in and sends nothing.
    Silent,
    /// Sends this in place of media.
    Says(Vec<u8>),
    /// Says goodbye after so many packets.
    Leaves(u32),
    /// Answers as version 4 does.
    Old,
    /// Answers the first step and not the second.
    Half,
    /// Is set to rendezvous.
    Rendezvous,
    /// Changes keys every so many packets.
    NewKeys(u32),
    /// Marks its packets as encrypted and never sent a key.
    Keyless,
    /// Never sends every so manieth packet and says that it gave it up.
    GivesUp(u32),
    /// Stops sending media after so many packets, and stays.
    Stalls(u32),
}

/// What the sender saw of its clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Callers let in.
    pub opened: usize,
    /// Goodbyes.
    pub goodbyes: usize,
    /// Loss reports.
    pub naks: usize,
    /// Packets sent again.
    pub again: usize,
    /// Full acknowledgements.
    pub acks: usize,
    /// Answers to new keys that say that they were taken.
    pub keys_taken: usize,
    /// Stream id of the last caller.
    pub stream_id: String,
}

/// A sender that runs until it is dropped.
pub struct SrtPeer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Drop for SrtPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SrtPeer {
    /// A good sender that waits for callers.
    pub async fn start() -> Self {
        Self::with(Manner::Good, None).await
    }

    /// A sender that waits for callers.
    pub async fn with(manner: Manner, passphrase: Option<&str>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let sender = Sender { socket, manner, seen: Arc::clone(&seen), lines: HashMap::new() };
        let task = spawn(sender.listen(Listener::new(setup(passphrase, ""))));
        Self { address, seen, task }
    }

    /// A sender that calls somebody until they answer.
    pub async fn call(to: SocketAddr, manner: Manner, passphrase: Option<&str>, stream_id: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let sender = Sender { socket, manner, seen: Arc::clone(&seen), lines: HashMap::new() };
        let task = spawn(sender.call(to, setup(passphrase, stream_id)));
        Self { address, seen, task }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `srt://127.0.0.1:port` and `rest`.
    #[must_use]
    pub fn url(&self, rest: &str) -> String {
        format!("srt://{}{rest}", self.address)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn setup(passphrase: Option<&str>, stream_id: &str) -> Setup {
    Setup {
        socket: 4711,
        seed: 0x7fff_ff00,
        key: [0x5a; 32],
        salt: [0xa5; 16],
        passphrase: passphrase.map(|text| Passphrase::new(text).expect("10 to 79 bytes")),
        key_bytes: None,
        stream_id: stream_id.to_owned(),
        latency: Duration::from_millis(120),
    }
}

/// A packet that may be sent again: number, time, payload.
type Sent = (Seq, u32, Vec<u8>);

/// One connection.
struct Line {
    link: Link,
    began: Instant,
    next: Seq,
    count: u32,
    place: usize,
    which: u8,
    history: VecDeque<Sent>,
}

struct Sender {
    socket: UdpSocket,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    lines: HashMap<SocketAddr, Line>,
}

impl Sender {
    async fn listen(mut self, listener: Listener) {
        loop {
            self.turn(|sender, from, heard| {
                let Ok(Packet::Control(Control { body: Body::Handshake(bytes), .. })) = Packet::parse(heard) else {
                    return None;
                };
                let asked = Handshake::parse(bytes).ok()?;
                sender.handshake(&listener, from, &asked, heard)
            })
            .await;
        }
    }

    /// What is answered to a handshake.
    fn handshake(&mut self, listener: &Listener, from: SocketAddr, asked: &Handshake, heard: &[u8]) -> Option<Vec<u8>> {
        let mut own = Handshake { socket: 4711, hello: Hello::default(), ..asked.clone() };
        match (&self.manner, asked.kind) {
            (Manner::Old, _) => return Some(own.to_bytes(asked.socket, 0, true)),
            (Manner::Half, HandshakeKind::Conclusion) => return None,
            (Manner::Rendezvous, _) => {
                (own.version, own.kind) = (5, HandshakeKind::WaveHand);
                return Some(own.to_bytes(asked.socket, 0, true));
            }
            (Manner::Refuse(code), HandshakeKind::Conclusion) => {
                own.kind = HandshakeKind::Refused(Refused::new(*code));
                return Some(own.to_bytes(asked.socket, 0, true));
            }
            _ => {}
        }
        match listener.receive(from.to_string().as_bytes(), 0, heard) {
            Heard::Answer(words) | Heard::Refuse(words, _) => Some(words),
            Heard::Open(words, link) => {
                if !self.lines.contains_key(&from) {
                    self.open(from, *link);
                }
                Some(words)
            }
            Heard::Nothing => None,
        }
    }

    async fn call(mut self, to: SocketAddr, setup: Setup) {
        let mut caller = Caller::new(setup.clone());
        let mut room = [0; 2048];
        while self.lines.is_empty() {
            let _ = self.socket.send_to(caller.words(), to).await;
            let waited = tokio::time::timeout(Duration::from_millis(50), self.socket.recv_from(&mut room)).await;
            let Ok(Ok((length, from))) = waited else { continue };
            match caller.receive(&room[..length]) {
                Ok(Called::Open(link)) => self.open(from, *link),
                Ok(_) => {}
                // Whoever refused may think better of it.
                Err(_) => caller = Caller::new(setup.clone()),
            }
        }
        loop {
            self.turn(|_, _, _| None).await;
        }
    }

    fn open(&mut self, from: SocketAddr, link: Link) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.opened += 1;
        seen.stream_id.clone_from(&link.stream_id);
        drop(seen);
        let line = Line {
            next: link.first,
            link,
            began: Instant::now(),
            count: 0,
            place: 0,
            which: 1,
            history: VecDeque::new(),
        };
        self.lines.insert(from, line);
    }

    /// Takes one datagram or sends one packet to everybody.
    async fn turn(&mut self, stranger: impl Fn(&mut Self, SocketAddr, &[u8]) -> Option<Vec<u8>>) {
        let mut room = [0; 2048];
        let Ok(received) = tokio::time::timeout(PACE, self.socket.recv_from(&mut room)).await else {
            for to in self.lines.keys().copied().collect::<Vec<_>>() {
                for packet in self.packets(to) {
                    let _ = self.socket.send_to(&packet, to).await;
                }
            }
            return;
        };
        let Ok((length, from)) = received else { return };
        let answers = match stranger(self, from, &room[..length]) {
            Some(words) => vec![words],
            None => self.control(from, &room[..length]),
        };
        for words in answers {
            let _ = self.socket.send_to(&words, from).await;
        }
    }

    /// The next packets to a client.
    fn packets(&mut self, to: SocketAddr) -> Vec<Vec<u8>> {
        let Some(line) = self.lines.get_mut(&to) else { return Vec::new() };
        line.count += 1;
        let mut out = Vec::new();
        match &self.manner {
            Manner::Silent => return out,
            Manner::Stalls(count) if line.count > *count => return out,
            Manner::Leaves(count) if line.count > *count => {
                out.push(line.control(Body::Shutdown));
                return out;
            }
            Manner::NewKeys(count) if line.count.is_multiple_of(*count) => out.extend(line.new_key()),
            _ => {}
        }
        let (seq, payload) = line.media(&self.manner);
        if let Manner::GivesUp(every) = self.manner
            && line.count.is_multiple_of(every)
        {
            out.push(line.control(Body::DropRequest { message: 0, first: seq, last: seq }));
            return out;
        }
        let sent = (seq, line.time_us(), payload);
        let packet = line.packet(&sent, self.manner == Manner::Keyless, false);
        line.history.push_back(sent);
        if line.history.len() > HISTORY {
            line.history.pop_front();
        }
        out.push(packet);
        out
    }

    fn control(&mut self, from: SocketAddr, heard: &[u8]) -> Vec<Vec<u8>> {
        let Some(line) = self.lines.get_mut(&from) else { return Vec::new() };
        let Ok(Packet::Control(control)) = Packet::parse(heard) else { return Vec::new() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match control.body {
            Body::Ack { number, full: Some(_), .. } => {
                seen.acks += 1;
                vec![line.control(Body::AckAck(number))]
            }
            Body::Nak(ranges) => {
                seen.naks += 1;
                let wanted = ranges.flat_map(|(first, last)| {
                    let count = u32::try_from(last.after(first)).map_or(0, |count| count.min(64) + 1);
                    (0..count).map(move |i| first.plus(i))
                });
                let wanted: Vec<_> = wanted.collect();
                let found = line.history.iter().filter(|(seq, ..)| wanted.contains(seq));
                let again: Vec<_> = found.map(|sent| line.packet(sent, false, true)).collect();
                seen.again += again.len();
                again
            }
            Body::Shutdown => {
                seen.goodbyes += 1;
                self.lines.remove(&from);
                Vec::new()
            }
            Body::Extension(4, bytes) => {
                seen.keys_taken += usize::from(bytes.len() > 4);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

impl Line {
    fn time_us(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_micros() & u128::from(u32::MAX)).unwrap_or_default()
    }

    fn control(&self, body: Body<'_>) -> Vec<u8> {
        Control { time_us: self.time_us(), socket: self.link.theirs, body }.to_bytes()
    }

    /// The number and the payload of the next packet.
    fn media(&mut self, manner: &Manner) -> (Seq, Vec<u8>) {
        let seq = self.next;
        self.next = seq.plus(1);
        if let Manner::Says(words) = manner {
            return (seq, words.clone());
        }
        let end = (self.place + PAYLOAD_BYTES).min(CLIP.len());
        let payload = CLIP[self.place..end].to_vec();
        self.place = if end == CLIP.len() { 0 } else { end };
        (seq, payload)
    }

    fn packet(&self, (seq, time_us, payload): &Sent, keyless: bool, again: bool) -> Vec<u8> {
        let (seq, time_us, mut payload) = (*seq, *time_us, payload.clone());
        let encrypted = self.link.keys.as_ref().is_some_and(|keys| keys.apply(self.which, seq, &mut payload));
        let data = Data {
            seq,
            boundary: 3,
            in_order: true,
            key: if encrypted || keyless { self.which } else { 0 },
            again,
            message: seq.value() & 0x03ff_ffff,
            time_us,
            socket: self.link.theirs,
            payload: &payload,
        };
        data.to_bytes()
    }

    /// Changes to the other key and tells of it.
    fn new_key(&mut self) -> Option<Vec<u8>> {
        let which = 3 - self.which;
        let octet = u8::try_from(self.count % 251).unwrap_or_default();
        let material = self.link.keys.as_mut()?.change(which, &[octet; 16], [octet; 16])?;
        self.which = which;
        Some(self.control(Body::Extension(3, &material.to_bytes())))
    }
}
