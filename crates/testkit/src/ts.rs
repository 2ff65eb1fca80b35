//! Transport streams that go on: a recorded second, again and again, with counters and clocks that continue. As packets, as
//! datagrams with and without RTP, and as a reply of a server that does not end.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use wire::ts::{PACKET_BYTES, parse_packet};

use crate::peer::{Peer, drain, send};

/// A packet.
pub type Packet = [u8; PACKET_BYTES];

/// One second: H.264 of 64x48 with 10 pictures, AAC of 48 kHz.
const RECORDED: &[u8] = include_bytes!("../../wire/testdata/ts/ffmpeg_h264_aac.bin");
/// Packets in a datagram of the usual size.
pub const PER_DATAGRAM: usize = 7;
/// Length of the recording in ticks of 90 kHz.
const LAP: u64 = 90_000;

/// A stream that goes on.
pub struct Stream {
    packets: Vec<Packet>,
    lap: u64,
}

impl Default for Stream {
    fn default() -> Self {
        let (packets, _) = RECORDED.as_chunks::<PACKET_BYTES>();
        Self { packets: packets.to_vec(), lap: 0 }
    }
}

impl Stream {
    /// The next second.
    pub fn second(&mut self) -> Vec<Packet> {
        let mut packets = self.packets.clone();
        for packet in &mut packets {
            self.advance(packet);
        }
        self.lap += 1;
        packets
    }

    /// Several seconds.
    pub fn seconds(&mut self, count: usize) -> Vec<Packet> {
        (0..count).flat_map(|_| self.second()).collect()
    }

    fn advance(&self, packet: &mut Packet) {
        let read = parse_packet(packet).expect("the recording is sound");
        let (pid, starts, room) = (read.pid, read.start, PACKET_BYTES - read.payload.len());
        let has_clock = read.pcr.is_some();
        let per_lap = self.packets.iter().filter_map(parse_packet).filter(|p| p.pid == pid && !p.payload.is_empty());
        let ahead = per_lap.count() as u64 * self.lap;
        packet[3] = packet[3] & 0xf0 | (u64::from(packet[3]) + ahead) as u8 & 0x0f;
        let ticks = self.lap * LAP;
        if has_clock {
            set_pcr(packet, pcr_base(packet) + ticks);
        }
        if starts && packet[room..].starts_with(&[0, 0, 1]) {
            let flags = packet[room + 7];
            for at in [(0x80, room + 9), (0x40, room + 14)].into_iter().filter(|(bit, _)| flags & bit != 0).map(|p| p.1)
            {
                set_time(&mut packet[at..at + 5], ticks);
            }
        }
    }
}

/// The clock of a packet that has one, in ticks of 90 kHz.
#[must_use]
pub fn pcr_base(packet: &Packet) -> u64 {
    packet[6..10].iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet)) << 1 | u64::from(packet[10] >> 7)
}

/// Writes another clock into a packet that has one.
pub fn set_pcr(packet: &mut Packet, base: u64) {
    let bytes = ((base >> 1) as u32).to_be_bytes();
    packet[6..10].copy_from_slice(&bytes);
    packet[10] = packet[10] & 0x7f | (base << 7) as u8 & 0x80;
}

/// Adds to a time stamp of a PES header.
pub fn set_time(field: &mut [u8], add: u64) {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| u64::from(field[at]));
    let time = ((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1) + add;
    field[0] = field[0] & 0xf1 | (time >> 29) as u8 & 0x0e;
    (field[1], field[2]) = ((time >> 22) as u8, (time >> 14) as u8 | 1);
    (field[3], field[4]) = ((time >> 7) as u8, (time << 1) as u8 | 1);
}

/// A datagram with these packets in RTP.
#[must_use]
pub fn rtp(sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 33];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend([0, 0, 0, 7]);
    bytes.extend(payload);
    bytes
}

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Udp,
    /// In RTP.
    Rtp,
    /// In RTP, every tenth packet behind the one after it.
    Reordered,
    /// In RTP, every tenth packet missing.
    Lossy,
}

/// Sends a stream in its own time until it is dropped.
pub struct Sender(AbortHandle);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sender {
    /// Sends to an address of this machine or to a group, IPv4 from the loopback interface.
    pub async fn start(to: SocketAddr, form: Form) -> Self {
        let any: SocketAddr = if to.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await.expect("the loopback has a free port");
        Self(spawn(run(socket, to, form)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the owner is the Sender, which aborts the task when dropped")]
fn spawn(f: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(f).abort_handle()
}

async fn run(socket: UdpSocket, to: SocketAddr, form: Form) {
    let mut stream = Stream::default();
    let per_second = RECORDED.len().div_ceil(PER_DATAGRAM * PACKET_BYTES);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(per_second).expect("few"));
    let mut sequence = 0u16;
    let mut late: Option<Vec<u8>> = None;
    loop {
        for packets in stream.second().chunks(PER_DATAGRAM) {
            ticks.tick().await;
            let payload = packets.concat();
            sequence = sequence.wrapping_add(1);
            let datagram =
                if form == Form::Udp { payload } else { rtp(sequence, u32::from(sequence) * 9_000, &payload) };
            let tenth = sequence.is_multiple_of(10);
            if form == Form::Lossy && tenth {
                continue;
            }
            if form == Form::Reordered && tenth {
                late = Some(datagram);
                continue;
            }
            // Nobody may be listening (any more): that is the test's business.
            let _ = socket.send_to(&datagram, to).await;
            if let Some(late) = late.take() {
                let _ = socket.send_to(&late, to).await;
            }
        }
    }
}

/// What a server sends behind its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The stream for ever, as fast as it is taken.
    Endless,
    /// This many seconds of it, then the end.
    Ends(usize),
    /// This many seconds of it, then nothing.
    Stalls(usize),
}

/// A server whose every reply is a transport stream.
pub async fn server(body: Body) -> Peer {
    Peer::start(move |conn, stats| async move {
        let (mut reader, mut writer) = tokio::io::split(conn);
        if reader.read(&mut [0; 2048]).await.unwrap_or(0) == 0 {
            return;
        }
        let sending = async {
            let head = b"HTTP/1.1 200 OK\r\nServer: relay\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
            let mut stream = Stream::default();
            let mut alive = send(&mut writer, head).await;
            for second in 0.. {
                match body {
                    Body::Ends(count) if second == count => return,
                    Body::Stalls(count) if second == count => std::future::pending().await,
                    _ if !alive => return,
                    _ => alive = send(&mut writer, stream.second().as_flattened()).await,
                }
            }
        };
        tokio::select! {
            () = drain(&mut reader, &stats) => {}
            () = sending => {}
        }
    })
    .await
}
