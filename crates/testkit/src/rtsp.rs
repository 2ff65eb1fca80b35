//! A scripted RTSP server that plays a still picture in H.264 over the connection, for ever. Counts sessions, so that a test
//! can see whether a client took its leave.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use wire::rtsp::{Decoder, Lower, Message, Method, Request, Response, Transport, encode_interleaved};

use crate::http::{self, PASSWORD, USER};
use crate::peer::{Conn, Peer, Stats};

/// The IDR slice of the picture, 64x48.
const SLICE: &[u8] = include_bytes!("../testdata/h264_64x48_idr.nal");
/// Its parameter sets as SDP wants them.
const PARAMETER_SETS: &str = "Z0LACtkEewEQAAADABAAAAMBQPEiZIA=,aMuAxLI=";
/// Time between pictures; the description says 10 per second.
const PICTURE_TIME: Duration = Duration::from_millis(100);

/// How a server stops sending pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Without a word; the session stays open and answers.
    Silence,
    /// It says that the source leaves (RTCP BYE).
    Bye,
    /// It ends the session.
    Teardown,
    /// It ends the connection.
    Close,
}

/// The source of all its packets.
const SOURCE: u32 = 0x7465_7374;

/// What the server does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    /// Wants [`USER`] and [`PASSWORD`] by Digest.
    pub digest: bool,
    /// Answers PLAY and sends no packet.
    pub silent: bool,
    /// Stops in this way after this many pictures.
    pub stops: Option<(u32, Stop)>,
    /// Life of a session in seconds, 60 where it is 0; without a sign of life it ends, and the connection with it.
    pub life_s: u32,
    /// Leaves out about one packet in eight, chosen by this seed.
    pub drops: Option<u64>,
    /// Every so many pictures one is a key frame, all of them where it is 0.
    pub key_every: u32,
    /// Sends these parameter sets in the connection after so many pictures.
    pub parameters: Option<(u32, &'static [u8])>,
    /// Says that it knows GET_PARAMETER and takes nothing else as a sign of life.
    pub get_parameter: bool,
}

/// Sessions and what was asked.
#[derive(Debug, Default)]
pub struct Log {
    set_up: AtomicUsize,
    torn_down: AtomicUsize,
    dropped: AtomicUsize,
    methods: Mutex<Vec<String>>,
}

impl Log {
    /// Sessions set up (each track counts).
    pub fn set_up(&self) -> usize {
        self.set_up.load(Ordering::SeqCst)
    }

    /// TEARDOWN requests.
    pub fn torn_down(&self) -> usize {
        self.torn_down.load(Ordering::SeqCst)
    }

    /// Packets left out.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    /// Methods of all requests in order.
    pub fn methods(&self) -> Vec<String> {
        self.methods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running server.
pub struct RtspPeer {
    peer: Peer,
    log: Arc<Log>,
    tls: bool,
}

impl RtspPeer {
    /// A server that plays for everybody.
    pub async fn start() -> Self {
        Self::with(Script::default(), None).await
    }

    /// A server by script, behind TLS where an acceptor is given.
    pub async fn with(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let is_tls = tls.is_some();
        let peer = Peer::start_with(tls, move |conn, _stats| {
            let log = Arc::clone(&shared);
            async move { converse(conn, script, &log).await }
        })
        .await;
        Self { peer, log, tls: is_tls }
    }

    /// URL of the stream.
    #[must_use]
    pub fn url(&self) -> String {
        self.peer.url(if self.tls { "rtsps" } else { "rtsp" }, "/cam")
    }

    /// URL of the stream with the right password.
    #[must_use]
    pub fn url_signed_in(&self) -> String {
        self.url().replacen("://", &format!("://{USER}:{PASSWORD}@"), 1)
    }

    /// Connections.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        self.peer.stats()
    }

    /// Sessions.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }
}

/// The state of one connection.
struct Session {
    out: BytesMut,
    channel: u8,
    playing: bool,
    sequence: u16,
    timestamp: u32,
    pictures: u32,
    /// When the session dies unless there is a sign of life.
    dies_at: Option<Instant>,
    /// What chooses the packets to leave out.
    seed: u64,
}

async fn converse(mut conn: Conn, script: Script, log: &Log) {
    let mut session = Session {
        out: BytesMut::new(),
        channel: 0,
        playing: false,
        sequence: 1,
        timestamp: 0,
        pictures: 0,
        dies_at: None,
        seed: script.drops.unwrap_or_default(),
    };
    let (mut decoder, mut inbox) = (Decoder::new(), BytesMut::new());
    loop {
        if session.playing && !script.silent {
            match script.stops {
                Some((count, stop)) if session.pictures >= count => {
                    if session.stop(stop).is_break() {
                        return;
                    }
                }
                _ => session.picture(script, log),
            }
        }
        if session.dies_at.is_some_and(|end| Instant::now() >= end) {
            return;
        }
        if conn.write_all(&session.out.split()).await.is_err() || conn.flush().await.is_err() {
            return;
        }
        // While playing, silence of the client is the time for the next picture.
        let patience = if session.playing { PICTURE_TIME } else { Duration::from_secs(600) };
        match tokio::time::timeout(patience, conn.read_buf(&mut inbox)).await {
            Err(_) => continue,
            Ok(Ok(1..)) => {}
            Ok(_) => return,
        }
        loop {
            match decoder.decode(&mut inbox) {
                Ok(Some(Message::Request(request))) => session.answer(&request, script, log),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

impl Session {
    fn answer(&mut self, request: &Request, script: Script, log: &Log) {
        log.methods.lock().unwrap_or_else(PoisonError::into_inner).push(request.method.to_string());
        if script.life_s > 0 && (!script.get_parameter || request.method != Method::Options) {
            self.dies_at = Some(Instant::now() + Duration::from_secs(script.life_s.into()));
        }
        if script.digest && request.method != Method::Options && !signed_in(request) {
            let mut reply = Response::new(401, "Unauthorized");
            reply.headers.push("WWW-Authenticate", challenge(request).unwrap_or_default());
            return self.reply(request, reply);
        }
        let mut reply = Response::new(200, "OK");
        match &request.method {
            Method::Options => {
                let more = if script.get_parameter { ", GET_PARAMETER" } else { "" };
                reply.headers.push("Public", format!("OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN{more}"));
            }
            Method::Describe => {
                reply.headers.push("Content-Type", "application/sdp");
                reply.headers.push("Content-Base", format!("{}/", request.uri));
                reply.body = description().into();
            }
            Method::Setup => reply = self.set_up(request, script, log),
            Method::Play => {
                reply.headers.push("Session", "testkit");
                self.playing = true;
            }
            Method::Teardown => {
                log.torn_down.fetch_add(1, Ordering::SeqCst);
                self.playing = false;
            }
            _ => {}
        }
        self.reply(request, reply);
    }

    fn set_up(&mut self, request: &Request, script: Script, log: &Log) -> Response {
        let wanted = request.headers.get("Transport").and_then(|t| Transport::parse(t).ok());
        let Some(wanted) = wanted.filter(|t| t.lower == Lower::Tcp) else {
            return Response::new(461, "Unsupported Transport");
        };
        let (rtp, rtcp) = wanted.interleaved.unwrap_or((0, 1));
        self.channel = rtp;
        log.set_up.fetch_add(1, Ordering::SeqCst);
        let mut reply = Response::new(200, "OK");
        let life_s = if script.life_s == 0 { 60 } else { script.life_s };
        reply.headers.push("Session", format!("testkit;timeout={life_s}"));
        reply.headers.push("Transport", Transport::tcp(rtp, rtcp).to_string());
        reply
    }

    fn reply(&mut self, request: &Request, mut reply: Response) {
        reply.headers.push("CSeq", request.cseq.to_string());
        reply.headers.push("Server", "testkit");
        reply.encode(&mut self.out);
    }

    /// One picture in one packet (RFC 6184 section 5.6).
    fn picture(&mut self, script: Script, log: &Log) {
        if let Some((_, sets)) = script.parameters.filter(|(after, _)| *after == self.pictures) {
            self.packet(&[sets], false);
        }
        let is_key = script.key_every == 0 || self.pictures.is_multiple_of(script.key_every);
        // Of another kind by its header alone: nobody who counts key frames decodes them.
        let header = if is_key { SLICE[0] } else { 0x41 };
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if script.drops.is_some() && self.pictures > 0 && self.seed >> 61 == 0 {
            self.sequence = self.sequence.wrapping_add(1);
            log.dropped.fetch_add(1, Ordering::SeqCst);
        } else {
            self.packet(&[&[header], &SLICE[1..]], true);
        }
        self.timestamp = self.timestamp.wrapping_add(9000);
        self.pictures += 1;
    }

    fn packet(&mut self, payload: &[&[u8]], marker: bool) {
        let mut packet = BytesMut::new();
        packet.put_slice(&[0x80, 96 | u8::from(marker) << 7]);
        packet.put_u16(self.sequence);
        packet.put_u32(self.timestamp);
        packet.put_u32(SOURCE);
        payload.iter().for_each(|part| packet.put_slice(part));
        encode_interleaved(self.channel, &packet, &mut self.out);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Sends no more pictures; breaks where the connection is to end.
    fn stop(&mut self, stop: Stop) -> ControlFlow<()> {
        self.playing = false;
        match stop {
            Stop::Silence => {}
            Stop::Bye => {
                let mut report = vec![0x81, 203, 0, 1];
                report.extend(SOURCE.to_be_bytes());
                encode_interleaved(self.channel + 1, &report, &mut self.out);
            }
            Stop::Teardown => self.out.put_slice(&Request::new(Method::Teardown, "*", 1).to_bytes()),
            Stop::Close => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

fn description() -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=testkit\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n\
         a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={PARAMETER_SETS}\r\n\
         a=framerate:10\r\na=control:track1\r\n"
    )
}

/// The request as the HTTP server's Digest check wants it: the arithmetic is the same.
fn as_http(request: &Request) -> http::Request {
    let headers = request.headers.get("Authorization").map(|v| ("Authorization".to_owned(), v.to_owned()));
    http::Request {
        method: request.method.to_string(),
        target: request.uri.clone(),
        headers: headers.into_iter().collect(),
        body: Vec::new(),
    }
}

fn signed_in(request: &Request) -> bool {
    challenge(request).is_none()
}

/// The challenge for a request without the right answer.
fn challenge(request: &Request) -> Option<String> {
    match http::digest(&as_http(request), http::Reply::text(200, "")) {
        http::Reply::Whole(401, headers, _) => {
            headers.into_iter().rfind(|(n, _)| n == "WWW-Authenticate").map(|(_, v)| v)
        }
        _ => None,
    }
}
