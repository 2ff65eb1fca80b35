//! Why a handshake fails. Owns the codes of the protocol and of its access control, and their words.

use super::SrtError;

/// What stands before a reason in the type of a handshake.
pub(crate) const REASON_BASE: u32 = 1000;

/// A reason that a peer gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(u32);

impl Refused {
    /// The passphrases differ.
    pub const BAD_SECRET: Self = Self(10);
    /// One side has a passphrase and the other has none.
    pub const UNSECURE: Self = Self(11);
    /// Another version of the handshake.
    pub const VERSION: Self = Self(8);
    /// Messages here, a stream of octets there.
    pub const MESSAGE_API: Self = Self(12);
    /// Live here, files there.
    pub const CONGESTION: Self = Self(13);
    /// A packet filter that the other side does not have.
    pub const FILTER: Self = Self(14);
    /// The handshake is not as it should be.
    pub const ROGUE: Self = Self(4);
    /// Access control: not allowed.
    pub const FORBIDDEN: Self = Self(1403);

    /// From the reason's number, as libsrt's `SRT_REJECT_REASON` has it.
    #[must_use]
    pub const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The number: below 1000 from the protocol itself, 1000 and more as its access control has them, 2000 and more as the
    /// peer's makers please.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0
    }

    /// What the reason says; empty when it is none that we know.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self.0 {
            1 => "its system failed",
            2 => "it had no reason to give",
            3 => "it has no resources left",
            4 => "it takes the handshake for forged",
            5 => "its queue of callers is full",
            6 => "it met an error of its own",
            7 => "it is closing",
            8 => "it wants another version",
            9 => "it met itself in a rendezvous",
            10 => "the passphrase is wrong",
            11 => "a passphrase is on one side only",
            12 => "it carries a stream of octets in place of messages",
            13 => "it carries files in place of live media",
            14 => "it wants a packet filter",
            15 => "it wants a group of links",
            16 => "it waited too long",
            17 => "it encrypts in another way",
            1000 => "it refuses without a reason",
            1001 => "a key of the stream id is unknown to it",
            1002 => "it cannot find the file",
            1003 => "it does not know the host of the stream id",
            1400 => "the stream id is malformed",
            1401 => "the stream wants a sign-in",
            1402 => "it is overloaded",
            1403 => "access is forbidden",
            1404 => "there is no such stream",
            1405 => "the mode of the stream id is not offered",
            1406 => "what the stream id asks for is not acceptable",
            1407 | 1409 => "the stream is in use",
            1415 => "the type of the stream id is not offered",
            1423 => "the stream is locked",
            1424 => "the session that this one depends on is gone",
            1500 => "it failed",
            1501 => "it has not learned that yet",
            1502 => "the server behind it refuses",
            1503 => "its service is down",
            1505 => "it does not support this version",
            1507 => "it has no space left",
            _ => "",
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer said so.
    #[error("{}", by_peer(*.0))]
    Peer(Refused),
    /// We said so, and told the peer.
    #[error("{1}")]
    Us(Refused, String),
    /// The peer speaks SRT as it was before 1.3, or UDT.
    #[error("the peer speaks handshake version {0}; SRT 1.3 and later have 5")]
    Old(u32),
    /// The peer waits for a rendezvous.
    #[error("the peer is set to rendezvous; a monitor is a caller or a listener")]
    Rendezvous,
    /// What came is no handshake.
    #[error("the answer is no handshake of SRT: {0}")]
    Malformed(#[from] SrtError),
    /// The handshake lacks something.
    #[error("the handshake {0}")]
    Incomplete(&'static str),
}

fn by_peer(refused: Refused) -> String {
    match refused.words() {
        "" => format!("the peer refuses with code {}", refused.code()),
        words => format!("the peer refuses: {words} (code {})", refused.code()),
    }
}
