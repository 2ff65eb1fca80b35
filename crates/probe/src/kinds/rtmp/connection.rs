//! One RTMP connection: handshake, messages both ways, and what a connection wants answered whatever it is used for
//! (acknowledgements, pings). Owns the socket; knows neither applications nor media.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use net::dial::{Stream, io_fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::rtmp::{self, Content, DecodeError, Decoder, HELLO_BYTES, Message, MessageError, kind, user};

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;
/// Most messages without media in one look, or one behind the other where the session is held. Servers send a dozen before
/// media and few after it.
const MAX_IDLE: u32 = 4096;
/// Most bytes of one look: ten seconds at 20 Mbit/s, and enough for the pictures that a server keeps for new players.
const MAX_BYTES: u64 = 24 * 1024 * 1024;
/// Bytes of a foreign protocol that a sentence quotes: enough for HTTP, SSH- and RTSP, too few for anybody's secret.
const MAX_QUOTE_BYTES: usize = 4;
/// First octet of a TLS alert record.
const TLS_ALERT: u8 = 0x15;

/// A connection behind its handshake.
pub(super) struct Connection {
    stream: Stream,
    inbox: BytesMut,
    decoder: Decoder,
    /// Messages of an aggregate that were not handed out yet.
    waiting: VecDeque<Message>,
    received: u64,
    acknowledged: u64,
    window: Option<u64>,
    idle: u32,
    /// It is to last: what comes is not counted towards a limit.
    held: bool,
}

/// What came.
pub(super) enum Incoming {
    /// A message to act on, with its time in milliseconds on the server's clock.
    Message(Content, u32),
    /// The server ended the connection between two messages.
    End,
}

impl Connection {
    /// Exchanges the handshake.
    pub(super) async fn open(mut stream: Stream) -> Result<Self, Fault> {
        const PHASE: Phase = Phase::Handshake;
        let filler = getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15);
        write(&mut stream, PHASE, &rtmp::hello(filler)).await?;
        let mut inbox = BytesMut::with_capacity(2 * HELLO_BYTES);
        fill(&mut stream, &mut inbox, 1).await?;
        if let Err(error) = rtmp::check_version(inbox[0]) {
            return Err(foreign(&mut stream, &mut inbox, &error.to_string()).await);
        }
        fill(&mut stream, &mut inbox, HELLO_BYTES).await?;
        let hello: &[u8; HELLO_BYTES] = inbox.first_chunk().expect("as much was just filled in");
        write(&mut stream, PHASE, rtmp::echo(hello)).await?;
        // The echo of ours: many servers send something else, and nobody minds.
        let both = 2 * HELLO_BYTES - 1;
        fill(&mut stream, &mut inbox, both).await?;
        let _handshake = inbox.split_to(both);
        Ok(Self {
            stream,
            received: (both + inbox.len()) as u64,
            inbox,
            decoder: Decoder::new(),
            waiting: VecDeque::new(),
            acknowledged: 0,
            window: None,
            idle: 0,
            held: false,
        })
    }

    /// From now on it may last for ever.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// From now on lets messages gather between two readings.
    pub(super) fn gather(&mut self, longest: Duration, enough: u16) {
        self.stream.gather(longest, enough);
    }

    /// How long ago the last of what was read had arrived, and whether nothing of it is left.
    pub(super) fn age(&self) -> (Duration, bool) {
        (self.stream.age(), self.waiting.is_empty() && self.inbox.is_empty())
    }

    /// Sends messages.
    pub(super) async fn send(&mut self, phase: Phase, messages: &[Message]) -> Result<(), Fault> {
        let mut out = BytesMut::new();
        messages.iter().for_each(|message| rtmp::encode(message, &mut out));
        write(&mut self.stream, phase, &out).await?;
        // Many servers answer in several small segments and wait for the acknowledgement of the first before they send the
        // next: 40 ms for each answer, unless it is sent at once.
        self.stream.acknowledge_at_once();
        Ok(())
    }

    /// The next message that is not the connection's own business. Waits without a deadline of its own. Safe to drop and
    /// call again while nothing but media comes.
    pub(super) async fn next(&mut self, phase: Phase) -> Result<Incoming, Fault> {
        loop {
            let Some(message) = self.message(phase).await? else { return Ok(Incoming::End) };
            if matches!(message.kind, kind::AUDIO | kind::VIDEO | kind::AGGREGATE) {
                self.idle = if self.held { 0 } else { self.idle };
            } else {
                self.idle += 1;
                if self.idle > MAX_IDLE {
                    let detail = format!("the server sent more than {MAX_IDLE} messages without media");
                    return Err(Fault::new(FaultKind::TooLarge, phase, detail));
                }
            }
            match message.content() {
                Ok(Content::WindowSize(size)) => self.window = Some(u64::from(size.max(1))),
                Ok(Content::User(user::PING, value)) => {
                    self.send(phase, &[Message::user(user::PONG, &[value])]).await?;
                }
                Ok(Content::Aggregate(payload)) => self.waiting.extend(rtmp::aggregate(payload)),
                Ok(Content::Other(_)) => {}
                Ok(content) => return Ok(Incoming::Message(content, message.timestamp)),
                // Data that cannot be read is passed over, as players do: it is not media.
                Err(_) if matches!(message.kind, kind::DATA | kind::DATA_AMF3) => {}
                Err(error) => return Err(message_fault(phase, message.kind, &error)),
            }
        }
    }

    /// The next message; `None` when the connection ended between two of them.
    async fn message(&mut self, phase: Phase) -> Result<Option<Message>, Fault> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            match self.decoder.decode(&mut self.inbox) {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => return Err(decode_fault(phase, &error)),
            }
            self.inbox.reserve(READ_BYTES);
            let read = match self.stream.read_buf(&mut self.inbox).await {
                Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => 0,
                read => read.map_err(|e| io_fault(phase, &e))?,
            };
            if read == 0 {
                if self.inbox.is_empty() && !self.decoder.is_amid() {
                    return Ok(None);
                }
                return Err(Fault::protocol(phase, "the server closed the connection in the middle of a message"));
            }
            self.received += read as u64;
            if self.received > MAX_BYTES && !self.held {
                let detail = format!("{} MiB came without what was waited for", MAX_BYTES / (1024 * 1024));
                return Err(Fault::new(FaultKind::TooLarge, phase, detail));
            }
            self.acknowledge(phase).await?;
        }
    }

    /// Tells the server how much has arrived, twice per window: some stop sending when they hear nothing.
    async fn acknowledge(&mut self, phase: Phase) -> Result<(), Fault> {
        if self.window.is_none_or(|window| self.received - self.acknowledged < window.div_ceil(2)) {
            return Ok(());
        }
        self.acknowledged = self.received;
        let sum = u32::try_from(self.received & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        self.send(phase, &[Message::control(kind::ACKNOWLEDGEMENT, sum)]).await
    }
}

async fn write(stream: &mut Stream, phase: Phase, bytes: &[u8]) -> Result<(), Fault> {
    let wrote = match stream.write_all(bytes).await {
        Ok(()) => stream.flush().await,
        Err(e) => Err(e),
    };
    match wrote {
        // Whoever hung up may have said why: reading will tell.
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        wrote => wrote.map_err(|e| io_fault(phase, &e)),
    }
}

/// Reads until the inbox holds `count` bytes of the handshake.
async fn fill(stream: &mut Stream, inbox: &mut BytesMut, count: usize) -> Result<(), Fault> {
    while inbox.len() < count {
        let read = stream.read_buf(inbox).await.map_err(|e| io_fault(Phase::Handshake, &e))?;
        if read == 0 {
            let came = inbox.len();
            let detail = format!("the server closed the connection after {came} bytes of the handshake");
            return Err(Fault::protocol(Phase::Handshake, detail));
        }
    }
    Ok(())
}

/// The fault for a server of another protocol, with its first words.
async fn foreign(stream: &mut Stream, inbox: &mut BytesMut, error: &str) -> Fault {
    if inbox[0] == TLS_ALERT {
        return Fault::protocol(Phase::Handshake, "the server answers with TLS: the address may want rtmps");
    }
    // One more read, so that the quote is a word and no letter; what it brings is not waited for beyond the deadline.
    let _ = if inbox.len() < MAX_QUOTE_BYTES { stream.read_buf(inbox).await } else { Ok(0) };
    let quote = inbox[..inbox.len().min(MAX_QUOTE_BYTES)].escape_ascii();
    Fault::protocol(Phase::Handshake, format!("{error} (\"{quote}\")"))
}

fn decode_fault(phase: Phase, error: &DecodeError) -> Fault {
    let kind = if matches!(error, DecodeError::TooLarge { .. }) { FaultKind::TooLarge } else { FaultKind::Protocol };
    Fault::new(kind, phase, format!("the chunk stream cannot be read: {error}"))
}

fn message_fault(phase: Phase, kind: u8, error: &MessageError) -> Fault {
    Fault::protocol(phase, format!("a message of type {kind} cannot be read: {error}"))
}
