//! SRT, Secure Reliable Transport (draft-sharabayko-srt-01, handshake version 5): opening a connection from either side, and
//! receiving live media over it.
//!
//! Owns what is said and when, told the time by its caller. Never opens a socket and never sends media; rendezvous, bonding
//! and packet filters are refused or not answered.

mod caller;
mod crypt;
mod handshake;
mod listener;
mod measure;
mod order;
mod packet;
mod receiver;
mod refuse;
mod seq;
mod stream_id;

pub use caller::{Called, Caller};
pub use crypt::{KeyMaterial, Keys, Passphrase};
pub use handshake::{Features, Handshake, HandshakeKind, Hello, Version, flag};
pub use listener::{Heard, Listener};
pub use measure::Stats;
pub use packet::{Ack, Body, Control, Data, NakRanges, Packet, SrtError, encode_ranges};
pub use receiver::{Delivery, Ended, Receiver};
pub use refuse::{Refusal, Refused};
pub use seq::Seq;
pub use stream_id::{AccessError, access_fields};

use std::time::Duration;

/// Largest datagram of an SRT peer: Ethernet's 1500 octets without the headers of IP and UDP.
pub const MAX_DATAGRAM_BYTES: usize = 1472;
/// Longest stream id (draft, 3.2.1.3).
pub const MAX_STREAM_ID_BYTES: usize = 512;
/// Lengths that passphrases have (draft, 6.1.4).
pub const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;
/// How often a handshake is repeated while nobody answers (draft, 4.3.1).
pub const REPEAT: Duration = Duration::from_millis(250);

/// What one side brings to a handshake. The random parts come from its owner: nothing here makes any.
#[derive(Clone)]
pub struct Setup {
    /// Our socket id; not 0.
    pub socket: u32,
    /// The first sequence number when we call; the listener's cookies when we listen.
    pub seed: u32,
    /// A key for the media, when we call; its first 16, 24 or 32 octets are used.
    pub key: [u8; 32],
    /// The salt of that key.
    pub salt: [u8; 16],
    /// What opens encrypted streams.
    pub passphrase: Option<Passphrase>,
    /// Octets of the media key: 16, 24 or 32; none takes what the listener wishes, or 16.
    pub key_bytes: Option<usize>,
    /// Which stream we ask for, or the one that callers must ask for; may be empty.
    pub stream_id: String,
    /// How long lost packets are waited for; the peer may ask for longer.
    pub latency: Duration,
}

/// Whether the peers agree on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Nobody encrypts.
    Open,
    /// The key was exchanged.
    Secured,
    /// The peer let us in although one of us lacks the passphrase.
    NoSecret,
    /// The peer let us in although the passphrases differ.
    BadSecret,
}

/// What a handshake agreed on.
#[derive(Debug)]
pub struct Link {
    /// Our socket id.
    pub ours: u32,
    /// The peer's socket id.
    pub theirs: u32,
    /// Sequence number of the first packet of media.
    pub first: Seq,
    /// How long lost packets are waited for, as both agreed.
    pub latency: Duration,
    /// The peer's version.
    pub version: Version,
    /// What the peer can do, see [`flag`].
    pub flags: u32,
    /// Whether there is a key.
    pub security: Security,
    /// Keys of the media; some even when they are not known yet but could be.
    pub keys: Option<Keys>,
    /// What a caller asked for; empty on our side of a call.
    pub stream_id: String,
    /// Our last word of the handshake, repeated when the peer did not hear it.
    pub(crate) last_word: Vec<u8>,
}
