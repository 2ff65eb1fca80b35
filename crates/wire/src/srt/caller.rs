//! The caller's half of a handshake (draft, 4.3.1.1): asks for a cookie, then for the connection. Owns what is said next; when it
//! is repeated is its owner's ([`super::REPEAT`]).

use std::time::Duration;

use super::handshake::{MAGIC, OUR_FLAGS, OUR_VERSION};
use super::packet::word;
use super::{
    Body, Features, Handshake, HandshakeKind, Hello, Keys, Link, Packet, Refusal, Refused, Security, Seq, Setup, flag,
};

/// Packets for others that are forgiven while we wait for an answer: leftovers of whoever had our port before.
const MAX_STRANGERS: u32 = 64;

/// What an answer means for the call.
#[derive(Debug)]
pub enum Called {
    /// Nothing.
    Nothing,
    /// There is something else to be said, now.
    Say,
    /// The connection is open.
    Open(Box<Link>),
}

/// A call under way.
pub struct Caller {
    setup: Setup,
    words: Vec<u8>,
    concluding: bool,
    keys: Option<Keys>,
    strangers: u32,
}

impl Caller {
    /// A call that begins now.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let first = Handshake {
            version: 4,
            encryption: 0,
            // A datagram socket, as UDT called it.
            extension: 2,
            first: Seq::new(setup.seed),
            kind: HandshakeKind::Induction,
            socket: setup.socket,
            cookie: 0,
            hello: Hello::default(),
        };
        let words = first.to_bytes(0, 0, false);
        Self { setup, words, concluding: false, keys: None, strangers: 0 }
    }

    /// What is to be said now, and again while there is no answer.
    #[must_use]
    pub fn words(&self) -> &[u8] {
        &self.words
    }

    /// Whether the peer has answered the first question.
    #[must_use]
    pub const fn is_concluding(&self) -> bool {
        self.concluding
    }

    /// Takes a datagram of the peer.
    ///
    /// # Errors
    /// Why there will be no connection.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<Called, Refusal> {
        let (body, socket) = match Packet::parse(datagram)? {
            Packet::Data(data) => (None, data.socket),
            Packet::Control(control) => (Some(control.body), control.socket),
        };
        let Some(Body::Handshake(bytes)) = body.filter(|_| socket == self.setup.socket) else {
            // Media may overtake the last answer.
            self.strangers += u32::from(socket != self.setup.socket);
            let lost = Refusal::Incomplete("is not answered: packets for other connections come in its place");
            return if self.strangers > MAX_STRANGERS { Err(lost) } else { Ok(Called::Nothing) };
        };
        let answer = Handshake::parse(bytes)?;
        match answer.kind {
            HandshakeKind::Refused(refused) => Err(Refusal::Peer(refused)),
            HandshakeKind::WaveHand | HandshakeKind::Agreement => Err(Refusal::Rendezvous),
            HandshakeKind::Done => Err(Refusal::Peer(Refused::new(7))),
            HandshakeKind::Induction if self.concluding => Ok(Called::Nothing),
            HandshakeKind::Induction => self.conclude(&answer),
            HandshakeKind::Conclusion if self.concluding => self.open(&answer),
            HandshakeKind::Conclusion => Err(Refusal::Incomplete("has an answer before its question")),
        }
    }

    fn conclude(&mut self, answer: &Handshake) -> Result<Called, Refusal> {
        if answer.version < 5 || answer.extension != MAGIC {
            return Err(Refusal::Old(answer.version));
        }
        let wished = match answer.encryption {
            bits @ 2..=4 => 8 * usize::from(bits),
            _ => 16,
        };
        let key_bytes = self.setup.key_bytes.unwrap_or(wished);
        let offered = self
            .setup
            .passphrase
            .clone()
            .and_then(|passphrase| Keys::offer(passphrase, self.setup.key.get(..key_bytes)?, self.setup.salt));
        let (keys, material) = offered.unzip();
        self.keys = keys;
        let id = Some(self.setup.stream_id.clone()).filter(|id| !id.is_empty());
        let hello = Hello {
            features: Some(Features {
                version: OUR_VERSION,
                flags: OUR_FLAGS,
                receiver: self.setup.latency,
                sender: Duration::ZERO,
            }),
            keys: material.map(|material| material.to_bytes()),
            stream_id: id,
            ..Hello::default()
        };
        let extension = 1 | u16::from(hello.keys.is_some()) << 1 | u16::from(hello.stream_id.is_some()) << 2;
        let encrypted = if self.keys.is_some() { u16::try_from(key_bytes / 8).unwrap_or_default() } else { 0 };
        let question = Handshake {
            version: 5,
            encryption: encrypted,
            extension,
            first: Seq::new(self.setup.seed),
            kind: HandshakeKind::Conclusion,
            socket: self.setup.socket,
            cookie: answer.cookie,
            hello,
        };
        self.words = question.to_bytes(0, 0, false);
        self.concluding = true;
        Ok(Called::Say)
    }

    fn open(&mut self, answer: &Handshake) -> Result<Called, Refusal> {
        if answer.version != 5 {
            return Err(Refusal::Old(answer.version));
        }
        let features =
            answer.hello.features.ok_or(Refusal::Incomplete("has an answer without the peer's abilities"))?;
        if features.flags & flag::STREAM != 0 {
            let words = "the peer carries a stream of octets in place of messages";
            return Err(Refusal::Us(Refused::MESSAGE_API, words.to_owned()));
        }
        let security = match (&self.keys, answer.hello.keys.as_deref()) {
            (None, None) => Security::Open,
            (Some(_), None) => {
                let words = "the peer knows no encryption, and a passphrase is set here";
                return Err(Refusal::Us(Refused::UNSECURE, words.to_owned()));
            }
            (_, Some(state)) if state.len() <= 4 => security_of(state),
            (None, Some(_)) => Security::NoSecret,
            (Some(_), Some(_)) => Security::Secured,
        };
        Ok(Called::Open(Box::new(Link {
            ours: self.setup.socket,
            theirs: answer.socket,
            first: answer.first,
            latency: self.setup.latency.max(features.sender),
            version: features.version,
            flags: features.flags,
            security,
            keys: self.keys.take(),
            stream_id: String::new(),
            last_word: Vec::new(),
        })))
    }
}

/// A state in place of keys: some peers write it in the order of their machine.
fn security_of(state: &[u8]) -> Security {
    let state = word(state, 0).unwrap_or_default();
    match if state > 0xff { state.swap_bytes() } else { state } {
        4 => Security::BadSecret,
        _ => Security::NoSecret,
    }
}
