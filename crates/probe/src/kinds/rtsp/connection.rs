//! One RTSP control connection: requests with their replies, sign-in, the server's own requests, and the farewell. Owns
//! the socket and the session's identity; knows nothing of tracks.
//!
//! A session never outlives its connection by our fault: [`Connection::leave`] sends TEARDOWN and waits briefly for the
//! reply; a connection that is dropped (cancelled, or out of time) still writes TEARDOWN without waiting.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use model::address::Credentials;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use net::dial::{Stream, io_fault};
use tokio::io::AsyncWriteExt as _;
use wire::rtsp::{DecodeError, Decoder, Message, Method, Request, Response, SessionHeader};

use super::auth::{Auth, Tries};
use crate::kind::HOLD_GATHER_BYTES;

/// Room made for each read: a burst of several packets of 1500 bytes comes in one system call.
const READ_BYTES: usize = 16 * 1024;
/// Packets kept that come before the reply to PLAY; a server that sends more is not being measured yet.
const MAX_EARLY: usize = 256;
/// Bytes read while a reply is waited for, packets and replies of all kinds: two seconds of a stream of 16 Mbit/s, more than
/// any that is in flight while PLAY is answered. A server that sends more would keep us busy until the deadline.
const MAX_UNANSWERED_BYTES: usize = 4 * 1024 * 1024;
/// Requests of the server that are answered in one look, or between two keep-alives of a session that is held; cameras send
/// none or one.
const MAX_ANSWERED: u32 = 32;
/// Replies that are passed over while waiting for another one: interim (1xx) or to an earlier keep-alive.
const MAX_PASSED: u32 = 16;
/// How long the reply to TEARDOWN is waited for.
const LEAVE_WAIT: Duration = Duration::from_millis(500);
/// Bytes read and thrown away by the farewell of a dropped connection: closing a socket with unread bytes makes the
/// kernel send a reset, which may overtake our TEARDOWN in the server.
const MAX_DRAIN: usize = 1024 * 1024;
/// How we call ourselves.
const USER_AGENT: &str = concat!("StreamPulse/", env!("CARGO_PKG_VERSION"));

/// What an RTSP connection hands out besides replies to our requests.
pub(super) enum Incoming {
    /// A packet on a channel.
    Packet(u8, Bytes),
    /// A reply nobody waits for any more (to a keep-alive).
    Reply(Response),
}

/// A control connection.
pub(super) struct Connection {
    stream: Stream,
    inbox: BytesMut,
    outbox: BytesMut,
    decoder: Decoder,
    auth: Auth,
    cseq: u32,
    early: VecDeque<(u8, Bytes)>,
    /// Bytes that may still be read before a reply; none while no reply is waited for.
    allowance: Option<usize>,
    answered: u32,
    /// There is no whole packet at the front of what came.
    searched: bool,
    /// A session that the server keeps for us, and the URI that means all of it.
    session: Option<(SessionHeader, String)>,
    /// Nothing more can be written: the connection broke, or a write was given up halfway.
    mute: bool,
    server: Option<String>,
    status: Option<u16>,
}

impl Connection {
    pub(super) fn new(stream: Stream, credentials: Option<Credentials>) -> Self {
        Self {
            stream,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            decoder: Decoder::new(),
            auth: Auth::new(credentials),
            cseq: 0,
            early: VecDeque::new(),
            allowance: None,
            answered: 0,
            searched: false,
            session: None,
            mute: false,
            server: None,
            status: None,
        }
    }

    /// Local and remote address of the connection.
    pub(super) fn addresses(&self) -> io::Result<(std::net::SocketAddr, std::net::SocketAddr)> {
        Ok((self.stream.tcp().local_addr()?, self.stream.tcp().peer_addr()?))
    }

    /// From now on lets packets gather between two readings.
    pub(super) fn gather(&mut self, longest: Duration) {
        self.stream.gather(longest, HOLD_GATHER_BYTES);
    }

    /// How long ago the last of what was read had arrived.
    pub(super) fn age(&self) -> Duration {
        self.stream.age()
    }

    /// The session that the server keeps for us.
    pub(super) fn session(&self) -> Option<&SessionHeader> {
        self.session.as_ref().map(|(session, _)| session)
    }

    /// From now on the server keeps a session for us, which TEARDOWN of `uri` ends.
    pub(super) fn keep(&mut self, session: SessionHeader, uri: &str) {
        self.session.get_or_insert_with(|| (session, uri.to_owned()));
    }

    /// Writes down what the replies said of the server.
    pub(super) fn note(&self, reading: &mut Reading) {
        if let Some(server) = &self.server {
            reading.text(fact::SERVER, server.as_str());
        }
        if let Some(status) = self.status {
            reading.int(fact::STATUS_CODE, i64::from(status));
        }
    }

    /// Sends a request, signs in where asked to, and waits for the reply, whatever its status.
    pub(super) async fn ask(
        &mut self,
        phase: Phase,
        method: Method,
        uri: &str,
        fields: &[(&str, &str)],
    ) -> Result<Response, Fault> {
        let mut tries = Tries::default();
        loop {
            let cseq = self.send(phase, &method, uri, fields).await?;
            let reply = self.reply(phase, &method, cseq).await?;
            self.status = Some(reply.status);
            if self.server.is_none() {
                self.server = reply.headers.get("Server").map(str::to_owned);
            }
            if reply.status != 401 {
                return Ok(reply);
            }
            // Reach needs no sign-in: whoever asks for a password is there.
            if method == Method::Options {
                return Ok(reply);
            }
            self.auth.challenged(phase, &reply, &mut tries)?;
        }
    }

    /// Sends a request without waiting for its reply.
    pub(super) async fn send(
        &mut self,
        phase: Phase,
        method: &Method,
        uri: &str,
        fields: &[(&str, &str)],
    ) -> Result<u32, Fault> {
        let request = self.request(method, uri, fields);
        self.outbox.clear();
        request.encode(&mut self.outbox);
        self.flush(phase).await?;
        Ok(request.cseq)
    }

    fn request(&mut self, method: &Method, uri: &str, fields: &[(&str, &str)]) -> Request {
        self.cseq += 1;
        let mut request = Request::new(method.clone(), uri, self.cseq).with("User-Agent", USER_AGENT);
        if let Some((session, _)) = &self.session {
            request.headers.push("Session", session.id.as_str());
        }
        if let Some(value) = self.auth.header(method.as_str(), uri) {
            request.headers.push("Authorization", value);
        }
        for (name, value) in fields {
            request.headers.push(name, *value);
        }
        request
    }

    async fn flush(&mut self, phase: Phase) -> Result<(), Fault> {
        // Stays set when this future is dropped halfway: a second request in the middle of the first is garbage.
        self.mute = true;
        let wrote = match self.stream.write_all(&self.outbox).await {
            Ok(()) => self.stream.flush().await,
            Err(e) => Err(e),
        };
        wrote.map_err(|e| io_fault(phase, &e))?;
        self.mute = false;
        Ok(())
    }

    /// Waits for the reply to request `cseq`; packets that come meanwhile are kept.
    async fn reply(&mut self, phase: Phase, method: &Method, cseq: u32) -> Result<Response, Fault> {
        let mut passed = 0;
        self.allowance = Some(MAX_UNANSWERED_BYTES);
        loop {
            match self.message(phase, || format!("before answering {method}")).await? {
                Message::Response(reply) => {
                    let ours = reply.cseq().is_none_or(|n| n == cseq);
                    if ours && reply.status >= 200 {
                        return Ok(reply);
                    }
                    passed += 1;
                    if passed > MAX_PASSED {
                        return Err(Fault::protocol(phase, format!("the server answers everything but {method}")));
                    }
                }
                Message::Request(request) => self.answer(phase, &request).await?,
                Message::Interleaved { channel, payload } if self.early.len() < MAX_EARLY => {
                    self.early.push_back((channel, payload));
                }
                Message::Interleaved { .. } => {}
            }
        }
    }

    /// A packet that came before it was waited for.
    pub(super) fn early(&mut self) -> Option<(u8, Bytes)> {
        self.early.pop_front()
    }

    /// The next packet or late reply. Safe to drop and call again: nothing is lost.
    pub(super) async fn incoming(&mut self, phase: Phase) -> Result<Incoming, Fault> {
        self.allowance = None;
        loop {
            match self.message(phase, String::new).await? {
                Message::Interleaved { channel, payload } => return Ok(Incoming::Packet(channel, payload)),
                Message::Response(reply) => return Ok(Incoming::Reply(reply)),
                Message::Request(request) => self.answer(phase, &request).await?,
            }
        }
    }

    /// Hands interleaved packets to `take` as they stand in the connection, as many as come in one read, without copying
    /// any: `take` is told how long ago the last of them had arrived and answers how many bytes, from the front, it is done with. Ready with true when it was given some, and with
    /// false when something else than a packet is next, which [`Connection::incoming`] reads.
    pub(super) fn poll_packets(
        &mut self,
        phase: Phase,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8], Duration) -> usize,
    ) -> Poll<Result<bool, Fault>> {
        let is_packet = |bytes: &[u8]| bytes.first().is_none_or(|first| *first == b'$');
        if !(self.decoder.is_between() && is_packet(&self.inbox)) {
            return Poll::Ready(Ok(false));
        }
        let mut used = 0;
        if !std::mem::replace(&mut self.searched, true) {
            used = take(&self.inbox, self.stream.age());
            self.inbox.advance(used);
        }
        if used == 0 {
            let polled = self.stream.poll_bulk(cx, &mut self.inbox, &mut |bytes, age| {
                used = if is_packet(bytes) { take(bytes, age) } else { 0 };
                used
            });
            match ready!(polled) {
                // The other way of reading finds the end, too, and says what it cut.
                Ok(0) => return Poll::Ready(Ok(false)),
                Ok(_) => {}
                Err(e) => {
                    self.mute = true;
                    return Poll::Ready(Err(io_fault(phase, &e)));
                }
            }
        }
        self.decoder.pass(used);
        Poll::Ready(Ok(is_packet(&self.inbox)))
    }

    /// Takes the challenge of a reply to a keep-alive, which the next one answers.
    pub(super) fn challenged(&mut self, phase: Phase, reply: &Response) -> Result<(), Fault> {
        self.auth.challenged(phase, reply, &mut Tries::default())
    }

    /// The server may send as many requests again.
    pub(super) fn breathe(&mut self) {
        self.answered = 0;
    }

    async fn message(&mut self, phase: Phase, when: impl Fn() -> String) -> Result<Message, Fault> {
        match std::future::poll_fn(|cx| self.poll_message(cx)).await {
            Ok(message) => Ok(message),
            Err(broken) => {
                // A flood can still be told to stop.
                self.mute |= !matches!(broken, Broken::Flood);
                Err(broken.fault(phase, &when()))
            }
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Broken>> {
        self.searched = false;
        loop {
            match self.decoder.decode(&mut self.inbox) {
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
                Err(e) => return Poll::Ready(Err(Broken::Words(e))),
            }
            if self.allowance == Some(0) {
                return Poll::Ready(Err(Broken::Flood));
            }
            self.inbox.reserve(READ_BYTES);
            let stream = Pin::new(&mut self.stream);
            match ready!(tokio_util::io::poll_read_buf(stream, cx, &mut self.inbox)) {
                Ok(0) => {
                    let cut = self.decoder.finish(&self.inbox).err();
                    return Poll::Ready(Err(cut.map_or(Broken::Ended, Broken::Words)));
                }
                Ok(read) => self.allowance = self.allowance.map(|left| left.saturating_sub(read)),
                Err(e) => return Poll::Ready(Err(Broken::Io(e))),
            }
        }
    }

    /// Answers a request of the server: it asks whether we are there, ends the session, or wants something we do not do.
    async fn answer(&mut self, phase: Phase, request: &Request) -> Result<(), Fault> {
        self.answered += 1;
        if self.answered > MAX_ANSWERED {
            return Err(Fault::protocol(phase, format!("the server sent more than {MAX_ANSWERED} requests")));
        }
        let ends = request.method == Method::Teardown;
        let known = ends || matches!(request.method, Method::Options | Method::GetParameter | Method::SetParameter);
        let mut reply = if known { Response::new(200, "OK") } else { Response::new(501, "Not Implemented") };
        reply.headers.push("CSeq", request.cseq.to_string());
        if let Some(session) = request.headers.get("Session") {
            reply.headers.push("Session", session);
        }
        if request.method == Method::Options {
            reply.headers.push("Public", "OPTIONS, GET_PARAMETER, SET_PARAMETER");
        }
        self.outbox.clear();
        reply.encode(&mut self.outbox);
        if ends {
            // Nothing is left to take leave of.
            self.session = None;
        }
        self.flush(phase).await?;
        if ends { Err(ended(phase, "the server ended the session (TEARDOWN)".to_owned())) } else { Ok(()) }
    }

    /// Ends the session, when there is one, and waits briefly for the reply.
    pub(super) async fn leave(&mut self) {
        let Some((_, uri)) = self.session.clone().filter(|_| !self.mute) else { return };
        let farewell = async {
            let cseq = self.send(Phase::Check, &Method::Teardown, &uri, &[]).await?;
            self.session = None;
            self.reply(Phase::Check, &Method::Teardown, cseq).await
        };
        // Whatever comes of it, the look is over.
        let _ = tokio::time::timeout(LEAVE_WAIT, farewell).await;
        self.early.clear();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((_, uri)) = self.session.clone().filter(|_| !self.mute) else { return };
        let request = self.request(&Method::Teardown, &uri, &[]).to_bytes();
        // One poll and no waiting, whatever is left of this task's budget; the operating system's buffer takes a few
        // hundred bytes at once unless the peer is gone.
        let stream = &mut self.stream;
        let farewell = tokio::task::unconstrained(async move {
            stream.write_all(&request).await?;
            stream.flush().await
        });
        let _ = pin!(farewell).poll(&mut Context::from_waker(Waker::noop()));
        self.stream.drain(MAX_DRAIN);
    }
}

/// The fault of a session that the server ended: while media is waited for, that is what is missing.
fn ended(phase: Phase, detail: String) -> Fault {
    let kind = if phase == Phase::Media { FaultKind::NoMedia } else { FaultKind::Protocol };
    Fault::new(kind, phase, detail)
}

/// Why no further message can be read.
enum Broken {
    Io(io::Error),
    Ended,
    Words(DecodeError),
    /// More came than is read before a reply.
    Flood,
}

impl Broken {
    fn fault(self, phase: Phase, when: &str) -> Fault {
        match self {
            Self::Io(e) => io_fault(phase, &e),
            Self::Ended => ended(phase, format!("the server closed the connection {when}").trim_end().to_owned()),
            Self::Flood => {
                let detail = format!("the server sent {} MiB {when}", MAX_UNANSWERED_BYTES / (1024 * 1024));
                Fault::new(FaultKind::TooLarge, phase, detail)
            }
            Self::Words(e @ DecodeError::TooLarge { .. }) => Fault::new(FaultKind::TooLarge, phase, e.to_string()),
            Self::Words(e) => Fault::protocol(phase, e.to_string()),
        }
    }
}
