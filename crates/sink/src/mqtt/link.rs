//! One connection to a broker: TCP or TLS, with or without WebSocket around it, up to the broker's "you are in". Owns the
//! two halves of the connection and their buffers; neither publishes anything nor keeps time after the beginning.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use model::address::Address;
use model::fault::Fault;
use model::phase::Phase;
use model::reading::Reading;
use model::time::Clock;
use net::attempt::Attempt;
use net::dial::{self, Stream};
use net::trust::CLIENT_CERTIFICATE_WANTED;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use wire::mqtt::{self, Bounds, Connect, Decoder, Packet, Qos, Will};
use wire::websocket;

use super::settings::Settings;

/// Longest way from nothing to the broker's "you are in".
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Read at once, in bytes: answers are short.
const READ_BYTES: usize = 8 * 1024;
/// Name of the protocol inside a WebSocket (mqtt-v5.0 section 6).
const PROTOCOL: &str = "mqtt";
/// What is published when we are gone, and when we come.
pub(super) const OFFLINE: &[u8] = b"offline";
pub(super) const ONLINE: &[u8] = b"online";

/// What comes from the broker.
pub(super) struct Incoming {
    half: ReadHalf<Stream>,
    websocket: bool,
    raw: BytesMut,
    inner: BytesMut,
    decoder: Decoder,
    /// Pings of the WebSocket to answer.
    pub(super) pings: Vec<Bytes>,
    /// Whether a WebSocket was closed with a word.
    closed: bool,
}

/// What goes to the broker.
pub(super) struct Outgoing {
    half: WriteHalf<Stream>,
    websocket: bool,
    waiting: BytesMut,
    unflushed: bool,
}

/// An open connection.
pub(super) struct Link {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(super) bounds: Bounds,
}

/// Random bytes; where the system has none to give, a mask of zeros is allowed to be guessed.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A name of a client that no other has.
pub(super) fn made_up_id() -> String {
    let number = random::<8>().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    // 3.1.1 promises 23 letters and digits (section 3.1.3.1).
    format!("pulse{number}")
}

impl Incoming {
    /// Waits for bytes; `false` at the end. Losing the wait loses no bytes.
    pub(super) async fn read(&mut self) -> Result<bool, String> {
        self.raw.reserve(READ_BYTES);
        let into = if self.websocket { &mut self.raw } else { &mut self.inner };
        into.reserve(READ_BYTES);
        match self.half.read_buf(into).await {
            Ok(read) => Ok(read > 0),
            Err(error) => Err(dial::io_fault(Phase::Transfer, &error).to_string()),
        }
    }

    /// The next packet of what was read.
    pub(super) fn packet(&mut self) -> Result<Option<Packet>, String> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.inner).map_err(|e| e.to_string())? {
                return Ok(Some(packet));
            }
            if !self.websocket {
                return Ok(None);
            }
            match websocket::decode(&mut self.raw).map_err(|e| e.to_string())? {
                Some(websocket::Message::Data(data)) => self.inner.extend_from_slice(&data),
                // One is answered; who asks more often than we write gets the newest answer.
                Some(websocket::Message::Ping(content)) => self.pings = vec![content],
                Some(websocket::Message::Close(_)) => self.closed = true,
                None if self.closed => return Err("the broker closed the connection".to_owned()),
                None => return Ok(None),
            }
        }
    }
}

impl Outgoing {
    /// Puts bytes behind those that wait.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.websocket {
            websocket::frame(websocket::Kind::Binary, bytes, random(), &mut self.waiting);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// Puts the answer to a ping of the WebSocket.
    pub(super) fn pong(&mut self, content: &[u8]) {
        websocket::frame(websocket::Kind::Pong, content, random(), &mut self.waiting);
    }

    /// Puts the end of the WebSocket.
    fn close(&mut self) {
        if self.websocket {
            websocket::frame(websocket::Kind::Close, &1000_u16.to_be_bytes(), random(), &mut self.waiting);
        }
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether anything is still to be handed to the system.
    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.unflushed
    }

    /// Hands on a part of what waits. Losing the wait loses no bytes.
    pub(super) async fn step(&mut self) -> Result<(), String> {
        let failed = |error| dial::io_fault(Phase::Transfer, &error).to_string();
        if !self.waiting.is_empty() {
            self.unflushed = true;
            self.half.write_buf(&mut self.waiting).await.map_err(failed)?;
        }
        if self.waiting.is_empty() && self.unflushed {
            self.half.flush().await.map_err(failed)?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Hands on all that waits.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        while self.is_busy() {
            self.step().await?;
        }
        Ok(())
    }

    /// Says farewell, so that the broker publishes no will.
    pub(super) async fn part(&mut self) -> Result<(), String> {
        let mut farewell = BytesMut::new();
        mqtt::disconnect(&mut farewell);
        self.put(&farewell);
        self.close();
        self.finish().await?;
        // The peer may have closed already.
        let _ = self.half.shutdown().await;
        Ok(())
    }
}

/// Opens a connection under the name `client_id`; with a last will when `will` is given (its topic).
///
/// # Errors
/// What stands in the way, in words without secrets.
pub(super) async fn open(
    settings: &Settings,
    clock: &dyn Clock,
    client_id: &str,
    will: Option<&str>,
) -> Result<Link, String> {
    let mut at = Attempt::new(clock, CONNECT_WITHIN);
    let host = if settings.host.contains(':') { format!("[{}]", settings.host) } else { settings.host.clone() };
    let address = Address::parse(&format!("mqtt://{host}:{}", settings.port))
        .map_err(|_| format!("{} is no host", settings.host))?;
    let mut reading = Reading::default();
    let words = |fault: Fault| settings.wash(&fault.to_string());
    let stream = dial::connect(&mut at, &address, settings.tls.as_ref(), &mut reading).await.map_err(words)?;
    let wants_certificate = stream.lacks_client_certificate();
    let (read, write) = tokio::io::split(stream);
    let decoder = Decoder::new(settings.version);
    let (raw, inner) = (BytesMut::new(), BytesMut::new());
    let mut incoming = Incoming { half: read, websocket: false, raw, inner, decoder, pings: Vec::new(), closed: false };
    let mut outgoing = Outgoing { half: write, websocket: false, waiting: BytesMut::new(), unflushed: false };
    let begin = async {
        if let Some(path) = &settings.websocket {
            upgrade(&mut incoming, &mut outgoing, &address_text(&host, settings), path).await?;
        }
        greet(settings, client_id, will, &mut incoming, &mut outgoing).await
    };
    let began = at.run(Phase::Handshake, async { Ok(begin.await) }).await.map_err(words)?;
    match began {
        Ok(bounds) => Ok(Link { incoming, outgoing, bounds }),
        // With TLS 1.3 a server refuses who shows no certificate only after the handshake, and often without a word.
        Err(why) if wants_certificate && !why.contains(CLIENT_CERTIFICATE_WANTED) => {
            Err(format!("{CLIENT_CERTIFICATE_WANTED} ({})", settings.wash(&why)))
        }
        Err(why) => Err(settings.wash(&why)),
    }
}

fn address_text(host: &str, settings: &Settings) -> String {
    match (settings.port, settings.tls.is_some()) {
        (80, false) | (443, true) => host.to_owned(),
        (port, _) => format!("{host}:{port}"),
    }
}

async fn upgrade(incoming: &mut Incoming, outgoing: &mut Outgoing, host: &str, path: &str) -> Result<(), String> {
    let key = random();
    outgoing.put(websocket::request(host, path, PROTOCOL, key).as_bytes());
    outgoing.finish().await?;
    loop {
        let open = incoming.read().await?;
        if websocket::answered(&mut incoming.inner, PROTOCOL, key).map_err(|e| e.to_string())? {
            break;
        }
        if !open {
            return Err("the broker closed the connection instead of answering the WebSocket request".to_owned());
        }
    }
    // What came behind the answer is frames already.
    std::mem::swap(&mut incoming.inner, &mut incoming.raw);
    (incoming.websocket, outgoing.websocket) = (true, true);
    Ok(())
}

async fn greet(
    settings: &Settings,
    client_id: &str,
    will: Option<&str>,
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
) -> Result<Bounds, String> {
    let mut hello = BytesMut::new();
    let connect = Connect {
        version: settings.version,
        client_id,
        keep_alive_s: u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX),
        username: settings.username.as_deref(),
        password: settings.password.as_ref().map(model::secret::Secret::expose),
        will: will.map(|topic| Will { topic, payload: OFFLINE, qos: Qos::AtLeastOnce, retain: true }),
    };
    mqtt::connect(&connect, &mut hello);
    outgoing.put(&hello);
    outgoing.finish().await?;
    loop {
        match incoming.packet()? {
            Some(Packet::ConnAck { code: 0, bounds, .. }) => return Ok(bounds),
            Some(Packet::ConnAck { code, words, .. }) => {
                return Err(format!("the broker refuses: {}", refusal(settings, true, code, words.as_deref())));
            }
            Some(_) => return Err("the broker sends something before it has answered".to_owned()),
            None => {}
        }
        if !incoming.read().await? {
            return Err("the broker closed the connection without an answer".to_owned());
        }
    }
}

/// Why the broker refuses: the meaning of its code, and its own words.
pub(super) fn refusal(settings: &Settings, connect: bool, code: u8, words: Option<&str>) -> String {
    let meaning = mqtt::refusal(settings.version, connect, code);
    match words.filter(|words| !words.is_empty()) {
        Some(words) => format!("{meaning} (code {code}: {})", settings.wash(words)),
        None => format!("{meaning} (code {code})"),
    }
}
