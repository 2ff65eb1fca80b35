//! A server for `hold_cost`: `rtsp_site [PORT]` prints the URL of a stream of 1.5 Mbit/s (25 pictures a second in six packets
//! each, a key frame a second, H.264) and plays it over TCP to everybody who asks, each packet in a write of its own, as most
//! servers do. Runs until it is killed.

#![allow(clippy::print_stdout, reason = "a command line tool for benchmarks")]

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use wire::rtsp::{Decoder, INTERLEAVED_BYTES, Message, Method, Request, Response};

/// Pictures a second, and packets of a picture.
const FPS: u32 = 25;
const PARTS: usize = 6;
/// Bytes of a packet: 25 pictures of 6 make 1.5 Mbit/s.
const PACKET_BYTES: usize = 1250;
const CLOCK_HZ: u32 = 90_000;
const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=site\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n\
    a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=\
    Z2QAKKzZQHgCJ+XARAAAAwAEAAADAPA8YMZY,aOvjyyLA\r\na=control:video\r\n";

/// One session.
struct Playing {
    channel: u8,
    number: u32,
    sequence: u16,
    due: Instant,
    packet: Vec<u8>,
}

impl Playing {
    /// Sends one picture in fragments (RFC 6184 section 5.8).
    async fn picture(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let unit = if self.number.is_multiple_of(FPS) { 5 } else { 1 };
        let timestamp = (self.number * (CLOCK_HZ / FPS)).to_be_bytes();
        for part in 0..PARTS {
            let last = part == PARTS - 1;
            let length = u16::try_from(PACKET_BYTES).expect("small").to_be_bytes();
            self.packet[..INTERLEAVED_BYTES].copy_from_slice(&[b'$', self.channel, length[0], length[1]]);
            let rtp = &mut self.packet[INTERLEAVED_BYTES..];
            rtp[..2].copy_from_slice(&[0x80, 96 | u8::from(last) << 7]);
            rtp[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            rtp[4..8].copy_from_slice(&timestamp);
            rtp[8..12].copy_from_slice(&[0, 0, 0, 1]);
            let edges = u8::from(part == 0) << 7 | u8::from(last) << 6;
            rtp[12..14].copy_from_slice(&[0x7c, edges | unit]);
            stream.write_all(&self.packet).await?;
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.number += 1;
        self.due += Duration::from_secs(1) / FPS;
        Ok(())
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut decoder, mut inbox) = (Decoder::new(), BytesMut::new());
    let mut playing: Option<Playing> = None;
    loop {
        while let Ok(Some(message)) = decoder.decode(&mut inbox) {
            let Message::Request(request) = message else { continue };
            let mut out = BytesMut::new();
            answer(&request).encode(&mut out);
            stream.write_all(&out).await?;
            if request.method == Method::Play {
                let packet = vec![0x5a; INTERLEAVED_BYTES + PACKET_BYTES];
                playing = Some(Playing { channel: 0, number: 0, sequence: 1, due: Instant::now(), packet });
            }
        }
        let far = Instant::now() + Duration::from_secs(600);
        match timeout_at(playing.as_ref().map_or(far, |p| p.due), stream.read_buf(&mut inbox)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(read) => {
                read?;
            }
            Err(_due) => match &mut playing {
                Some(playing) => playing.picture(&mut stream).await?,
                None => return Ok(()),
            },
        }
    }
}

fn answer(request: &Request) -> Response {
    let mut reply = Response::new(200, "OK");
    reply.headers.push("CSeq", request.cseq.to_string());
    match request.method {
        Method::Describe => {
            reply.headers.push("Content-Type", "application/sdp");
            let mut body = BytesMut::new();
            body.put_slice(DESCRIPTION.as_bytes());
            reply.body = body.freeze();
        }
        Method::Setup => {
            reply.headers.push("Session", "site;timeout=60");
            reply.headers.push("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
        }
        Method::Options => reply.headers.push("Public", "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"),
        _ => {}
    }
    reply
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::args().nth(1).map_or(0, |port| port.parse().expect("a port"));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    println!("rtsp://{}/site", listener.local_addr().expect("bound"));
    let mut sessions = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("descriptors are left");
        sessions.spawn(async move { drop(serve(stream).await) });
        while sessions.try_join_next().is_some() {}
    }
}
