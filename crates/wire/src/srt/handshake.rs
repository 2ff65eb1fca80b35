//! Handshakes and their extensions (draft, 3.2.1). Owns their bytes, both ways; who says what and when is in `caller.rs` and
//! `listener.rs`.

use std::fmt;
use std::time::Duration;

use super::packet::{put, word};
use super::refuse::REASON_BASE;
use super::{Body, Control, MAX_DATAGRAM_BYTES, MAX_STREAM_ID_BYTES, Refused, Seq, SrtError};

/// What the extension field of a listener's first answer says: "I can do version 5".
pub(crate) const MAGIC: u16 = 0x4a17;
/// Octets without extensions.
const FIXED_BYTES: usize = 48;
/// Packets that may be under way; the most that libsrt allows unless told otherwise is more.
const FLOW_WINDOW: u32 = 8192;
/// Size of a packet on the wire that we say we take.
const MTU: u32 = MAX_DATAGRAM_BYTES as u32 + 28;

/// What a peer can do (draft, 3.2.1.1.1).
pub mod flag {
    /// Gives packets to its reader by their time, as sender.
    pub const TSBPD_SENDER: u32 = 1;
    /// The same as receiver.
    pub const TSBPD_RECEIVER: u32 = 1 << 1;
    /// Knows encryption.
    pub const CRYPT: u32 = 1 << 2;
    /// Gives up what comes too late.
    pub const TLPKTDROP: u32 = 1 << 3;
    /// Repeats its loss reports.
    pub const PERIODIC_NAK: u32 = 1 << 4;
    /// Marks what it sends again.
    pub const REXMIT: u32 = 1 << 5;
    /// Carries a stream of octets in place of messages.
    pub const STREAM: u32 = 1 << 6;
    /// Knows packet filters.
    pub const FILTER: u32 = 1 << 7;
}

/// What we can do.
pub(crate) const OUR_FLAGS: u32 =
    flag::TSBPD_SENDER | flag::TSBPD_RECEIVER | flag::CRYPT | flag::TLPKTDROP | flag::PERIODIC_NAK | flag::REXMIT;
/// The version that behaves like us.
pub(crate) const OUR_VERSION: Version = Version(0x0001_0500);

/// A version of SRT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, major, minor, patch] = self.0.to_be_bytes();
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Which step of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeKind {
    /// The first step: a cookie is asked for or given.
    Induction,
    /// The second step: everything else.
    Conclusion,
    /// The first step of a rendezvous.
    WaveHand,
    /// The last step of a rendezvous.
    Agreement,
    /// The end of a connection, as UDT had it.
    Done,
    /// No.
    Refused(Refused),
}

impl HandshakeKind {
    fn of(value: u32) -> Result<Self, SrtError> {
        Ok(match value {
            0 => Self::WaveHand,
            1 => Self::Induction,
            0xffff_ffff => Self::Conclusion,
            0xffff_fffe => Self::Agreement,
            0xffff_fffd => Self::Done,
            // Codes of today are far below; the rest is no handshake.
            REASON_BASE..=100_000 => Self::Refused(Refused::new(value - REASON_BASE)),
            value => return Err(SrtError::Bad { what: "the type of a handshake", value }),
        })
    }

    const fn value(self) -> u32 {
        match self {
            Self::WaveHand => 0,
            Self::Induction => 1,
            Self::Conclusion => 0xffff_ffff,
            Self::Agreement => 0xffff_fffe,
            Self::Done => 0xffff_fffd,
            Self::Refused(refused) => REASON_BASE + refused.code(),
        }
    }
}

/// What a peer is and can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Its version.
    pub version: Version,
    /// See [`flag`].
    pub flags: u32,
    /// How long it waits for lost packets as receiver.
    pub receiver: Duration,
    /// How long it asks its peer to wait.
    pub sender: Duration,
}

/// Extensions of a handshake; those that we have no use for are only counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// From `SRT_CMD_HSREQ` or `SRT_CMD_HSRSP`.
    pub features: Option<Features>,
    /// Key material, or one word that says why there is none.
    pub keys: Option<Vec<u8>>,
    /// Which stream.
    pub stream_id: Option<String>,
    /// How packets are paced: `live` unless said.
    pub congestion: Option<String>,
    /// A packet filter is asked for.
    pub filter: bool,
    /// A group of links is asked for.
    pub group: bool,
}

/// A handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// 4 in a caller's first word, 5 in all others.
    pub version: u32,
    /// Length of the key in units of 8 octets; 0 for none.
    pub encryption: u16,
    /// Bits that say which extensions follow, or the magic number.
    pub extension: u16,
    /// The first sequence number.
    pub first: Seq,
    /// Which step.
    pub kind: HandshakeKind,
    /// Who speaks.
    pub socket: u32,
    /// Given by the listener, echoed by the caller.
    pub cookie: u32,
    /// What follows.
    pub hello: Hello,
}

impl Handshake {
    /// Reads the body of a handshake packet.
    ///
    /// # Errors
    /// When it is cut or says what it cannot.
    pub fn parse(bytes: &[u8]) -> Result<Self, SrtError> {
        let cut = SrtError::Cut { part: "a handshake", bytes: bytes.len() };
        let need = |index| word(bytes, index).ok_or(cut);
        let extensions = bytes.get(FIXED_BYTES..).ok_or(cut)?;
        let [encryption, extension] = halves(need(1)?);
        let (version, kind) = (need(0)?, HandshakeKind::of(need(5)?)?);
        // Only the second step of version 5 has extensions; what else follows is padding.
        let hello = match kind {
            HandshakeKind::Conclusion if version == 5 => extensions_of(extensions)?,
            _ => Hello::default(),
        };
        Ok(Self {
            version,
            encryption,
            extension,
            first: Seq::new(need(2)?),
            kind,
            socket: need(6)?,
            cookie: need(7)?,
            hello,
        })
    }

    /// The datagram, to the socket of the peer (0 while that is not known). `answer` tells an answer from a question in the
    /// extensions.
    #[must_use]
    pub fn to_bytes(&self, to: u32, time_us: u32, answer: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + 64);
        put(&mut out, self.version);
        put(&mut out, u32::from(self.encryption) << 16 | u32::from(self.extension));
        for value in [self.first.value(), MTU, FLOW_WINDOW, self.kind.value(), self.socket, self.cookie] {
            put(&mut out, value);
        }
        // The address of the peer as we see it: told and looked at by nobody.
        out.extend_from_slice(&[0; 16]);
        if let Some(features) = &self.hello.features {
            put(&mut out, u32::from(1 + u16::from(answer)) << 16 | 3);
            put(&mut out, features.version.0);
            put(&mut out, features.flags);
            put(&mut out, u32::from(milliseconds(features.receiver)) << 16 | u32::from(milliseconds(features.sender)));
        }
        if let Some(keys) = &self.hello.keys {
            put_extension(&mut out, 3 + u16::from(answer), keys);
        }
        if let Some(id) = &self.hello.stream_id {
            put_extension(&mut out, 5, &swapped(id.as_bytes()));
        }
        if let Some(congestion) = &self.hello.congestion {
            put_extension(&mut out, 6, &swapped(congestion.as_bytes()));
        }
        Control { time_us, socket: to, body: Body::Handshake(&out) }.to_bytes()
    }
}

fn halves(word: u32) -> [u16; 2] {
    let [a, b, c, d] = word.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

fn milliseconds(time: Duration) -> u16 {
    u16::try_from(time.as_millis()).unwrap_or(u16::MAX)
}

fn put_extension(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    let words = u16::try_from(content.len() / 4).unwrap_or(u16::MAX);
    put(out, u32::from(kind) << 16 | u32::from(words));
    out.extend_from_slice(content);
}

/// Text as the protocol has it: in words of four octets, each turned around, the last filled with zeros.
fn swapped(text: &[u8]) -> Vec<u8> {
    let words = text.chunks(4).flat_map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        word.reverse();
        word
    });
    words.collect()
}

fn text(content: &[u8]) -> String {
    let turned = swapped(content);
    let end = turned.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&turned[..end]).into_owned()
}

fn extensions_of(mut rest: &[u8]) -> Result<Hello, SrtError> {
    let mut hello = Hello::default();
    while let Some(head) = word(rest, 0) {
        let [kind, words] = halves(head);
        let cut = SrtError::Cut { part: "an extension", bytes: rest.len() };
        let (content, after) = rest[4..].split_at_checked(4 * usize::from(words)).ok_or(cut)?;
        rest = after;
        match kind {
            1 | 2 => {
                let need = |index| word(content, index).ok_or(cut);
                let [receiver, sender] = halves(need(2)?).map(|ms| Duration::from_millis(ms.into()));
                hello.features = Some(Features { version: Version(need(0)?), flags: need(1)?, receiver, sender });
            }
            3 | 4 => hello.keys = Some(content.to_vec()),
            5 if content.len() <= MAX_STREAM_ID_BYTES => hello.stream_id = Some(text(content)),
            5 => return Err(SrtError::Bad { what: "the length of a stream id", value: u32::from(words) * 4 }),
            6 => hello.congestion = Some(text(content)),
            7 => hello.filter = true,
            8 => hello.group = true,
            _ => {}
        }
    }
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut handshake = Handshake {
            version: 5,
            encryption: 2,
            extension: 7,
            first: Seq::new(77),
            kind: HandshakeKind::Conclusion,
            socket: 9,
            cookie: 0xdead_beef,
            hello: Hello {
                features: Some(Features {
                    version: OUR_VERSION,
                    flags: OUR_FLAGS,
                    receiver: Duration::from_millis(120),
                    sender: Duration::from_millis(80),
                }),
                keys: Some(vec![1; 56]),
                stream_id: Some("#!::r=cam,m=request".to_owned()),
                congestion: Some("live".to_owned()),
                ..Hello::default()
            },
        };
        let bytes = handshake.to_bytes(3, 4, true);
        assert_eq!(Handshake::parse(&bytes[16..]), Ok(handshake.clone()));
        for kind in [HandshakeKind::Induction, HandshakeKind::WaveHand, HandshakeKind::Refused(Refused::BAD_SECRET)] {
            handshake.kind = kind;
            handshake.hello = Hello::default();
            assert_eq!(Handshake::parse(&handshake.to_bytes(0, 0, false)[16..]), Ok(handshake.clone()));
        }
    }

    #[test]
    fn what_is_cut_or_impossible_is_told() {
        let handshake = |kind: u32, tail: &[u8]| {
            let mut bytes = vec![0; FIXED_BYTES];
            bytes[3] = 5;
            bytes[20..24].copy_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(tail);
            bytes
        };
        let told = |bytes: &[u8]| Handshake::parse(bytes).expect_err("it is bad").to_string();
        assert_eq!(told(&[0; 47]), "a handshake is cut: 47 octets");
        assert_eq!(told(&handshake(5, &[])), "the type of a handshake cannot be 5");
        assert_eq!(told(&handshake(u32::MAX, &[0, 1, 0, 3, 0, 0, 0, 0])), "an extension is cut: 8 octets");
        assert_eq!(told(&handshake(u32::MAX, &[0, 1, 0, 1, 0, 0, 0, 0])), "an extension is cut: 8 octets");
        let long = [&[0, 5, 0, 129][..], &[b'x'; 516]].concat();
        assert_eq!(told(&handshake(u32::MAX, &long)), "the length of a stream id cannot be 516");
        let unknown = handshake(u32::MAX, &[0, 99, 0, 0, 0, 8, 0, 0]);
        assert!(Handshake::parse(&unknown).is_ok_and(|read| read.hello.group));
    }
}
