//! The listener's half of a handshake (draft, 4.3.1.2): gives cookies, checks what callers bring, lets one in. Owns who is
//! refused and why; keeps nothing of callers that have no cookie.

use sha2::{Digest, Sha256};

use super::handshake::{MAGIC, OUR_FLAGS, OUR_VERSION};
use super::{
    Body, Features, Handshake, HandshakeKind, Hello, KeyMaterial, Keys, Link, Packet, Refusal, Refused, Security, Seq,
    Setup, flag,
};

/// What a datagram means for the listener.
#[derive(Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Say this.
    Answer(Vec<u8>),
    /// Say this: the caller is not let in.
    Refuse(Vec<u8>, Refusal),
    /// Say this: the connection is open.
    Open(Vec<u8>, Box<Link>),
}

/// A listener that waits for its one caller.
pub struct Listener {
    setup: Setup,
}

impl Listener {
    /// A listener; the setup's seed keeps its cookies apart from those of others.
    #[must_use]
    pub const fn new(setup: Setup) -> Self {
        Self { setup }
    }

    /// Takes a datagram from somebody whose address is `from`, in this minute.
    #[must_use]
    pub fn receive(&self, from: &[u8], minute: u64, datagram: &[u8]) -> Heard {
        let Ok(Packet::Control(control)) = Packet::parse(datagram) else { return Heard::Nothing };
        let Body::Handshake(bytes) = control.body else { return Heard::Nothing };
        let Ok(asked) = Handshake::parse(bytes) else { return Heard::Nothing };
        match asked.kind {
            HandshakeKind::Induction => Heard::Answer(self.induction(&asked, self.cookie(from, minute))),
            HandshakeKind::Conclusion => {
                let known = [minute, minute.saturating_sub(1)].map(|minute| self.cookie(from, minute));
                if !known.contains(&asked.cookie) {
                    return Heard::Nothing;
                }
                self.conclusion(&asked)
            }
            HandshakeKind::WaveHand | HandshakeKind::Agreement => {
                Heard::Refuse(self.refusal(&asked, Refused::ROGUE), Refusal::Rendezvous)
            }
            HandshakeKind::Done | HandshakeKind::Refused(_) => Heard::Nothing,
        }
    }

    /// A number that only we can have given, and only to this address.
    fn cookie(&self, from: &[u8], minute: u64) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.setup.salt);
        hash.update(self.setup.seed.to_be_bytes());
        hash.update(minute.to_be_bytes());
        hash.update(from);
        hash.finalize().first_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets))
    }

    fn induction(&self, asked: &Handshake, cookie: u32) -> Vec<u8> {
        // Without a wish of ours the caller decides.
        let key_bytes = self.setup.passphrase.as_ref().and(self.setup.key_bytes).unwrap_or(0);
        let answer = Handshake {
            version: 5,
            encryption: u16::try_from(key_bytes / 8).unwrap_or_default(),
            extension: MAGIC,
            cookie,
            hello: Hello::default(),
            ..asked.clone()
        };
        answer.to_bytes(asked.socket, 0, true)
    }

    fn refusal(&self, asked: &Handshake, refused: Refused) -> Vec<u8> {
        let answer = Handshake {
            version: 5,
            kind: HandshakeKind::Refused(refused),
            socket: self.setup.socket,
            hello: Hello::default(),
            ..asked.clone()
        };
        answer.to_bytes(asked.socket, 0, true)
    }

    fn conclusion(&self, asked: &Handshake) -> Heard {
        match self.admit(asked) {
            Ok((words, link)) => Heard::Open(words, link),
            Err(refusal) => {
                let refused = match &refusal {
                    Refusal::Us(refused, _) => *refused,
                    Refusal::Old(_) => Refused::VERSION,
                    _ => Refused::ROGUE,
                };
                Heard::Refuse(self.refusal(asked, refused), refusal)
            }
        }
    }

    /// Lets a caller in, or says why not.
    fn admit(&self, asked: &Handshake) -> Result<(Vec<u8>, Box<Link>), Refusal> {
        let us = |refused, words: &str| Err(Refusal::Us(refused, words.to_owned()));
        if asked.version < 5 {
            return Err(Refusal::Old(asked.version));
        }
        let hello = &asked.hello;
        let features = hello.features.ok_or(Refusal::Incomplete("says nothing of the caller's abilities"))?;
        if features.flags & flag::STREAM != 0 {
            return us(Refused::MESSAGE_API, "the caller sends a stream of octets in place of messages");
        }
        if hello.congestion.as_deref().is_some_and(|name| name != "live") {
            return us(Refused::CONGESTION, "the caller sends files in place of live media");
        }
        if hello.filter {
            return us(Refused::FILTER, "the caller wants a packet filter");
        }
        let stream_id = hello.stream_id.clone().unwrap_or_default();
        if !self.setup.stream_id.is_empty() && stream_id != self.setup.stream_id {
            return us(Refused::FORBIDDEN, "the caller brings another stream id");
        }
        let keys = self.keys(hello.keys.as_deref())?;
        let latency = self.setup.latency.max(features.sender);
        let answer = Handshake {
            version: 5,
            extension: 1 | u16::from(keys.is_some()) << 1,
            socket: self.setup.socket,
            hello: Hello {
                features: Some(Features {
                    version: OUR_VERSION,
                    flags: OUR_FLAGS,
                    receiver: latency,
                    sender: features.receiver,
                }),
                // Sent back as it came: that says that it could be opened.
                keys: hello.keys.clone().filter(|_| keys.is_some()),
                ..Hello::default()
            },
            ..asked.clone()
        };
        let words = answer.to_bytes(asked.socket, 0, true);
        let link = Link {
            ours: self.setup.socket,
            theirs: asked.socket,
            first: Seq::new(asked.first.value()),
            latency,
            version: features.version,
            flags: features.flags,
            security: if keys.is_some() { Security::Secured } else { Security::Open },
            keys,
            stream_id,
            last_word: words.clone(),
        };
        Ok((words, Box::new(link)))
    }

    /// Opens the keys that a caller brings.
    fn keys(&self, material: Option<&[u8]>) -> Result<Option<Keys>, Refusal> {
        let us = |refused, words: &str| Err(Refusal::Us(refused, words.to_owned()));
        match (&self.setup.passphrase, material) {
            (None, None) => Ok(None),
            (Some(_), None) => us(Refused::UNSECURE, "the caller has no passphrase, and one is set here"),
            (None, Some(_)) => us(Refused::UNSECURE, "the caller has a passphrase, and none is set here"),
            (Some(passphrase), Some(material)) => {
                let mut keys = Keys::new(passphrase.clone());
                if keys.take(&KeyMaterial::parse(material)?) {
                    Ok(Some(keys))
                } else {
                    us(Refused::BAD_SECRET, "the caller's passphrase is another one")
                }
            }
        }
    }
}
