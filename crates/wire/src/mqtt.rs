//! MQTT 3.1.1 and 5 as a client that publishes needs them (OASIS mqtt-v3.1.1-os, mqtt-v5.0-os): packets as bytes, and what
//! a broker answers. Owns the forms of both versions and their differences; no socket, no waiting, no session.
//!
//! Of version 5 it reads the properties that bound what we may send and the words of a refusal, and walks over the others.

mod read;
mod write;

use bytes::Bytes;

pub use read::Decoder;
pub use write::{Connect, Publish, Will, connect, disconnect, ping, publish, release, subscribe, unsubscribe};

/// Largest packet that is taken from a broker, in bytes: the list of what ten thousand streams have published, and room.
pub const MAX_PACKET_BYTES: usize = 4 * 1024 * 1024;
/// Longest text in a packet: its length is written in 16 bits.
pub const MAX_TEXT_BYTES: usize = 65_535;
/// Largest number that four octets of seven bits hold: no packet is longer.
pub const MAX_REMAINING: usize = 268_435_455;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// 3.1.1.
    #[default]
    V311,
    /// 5.
    V5,
}

/// How surely a message arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Qos {
    /// At most once: nobody confirms it.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl Qos {
    /// The quality that a number stands for.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// What a broker bounds for this connection. Version 3.1.1 bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages with a quality above 0 that may be under way at once.
    pub receive_maximum: u16,
    /// Best quality that it takes.
    pub maximum_qos: Qos,
    /// Whether it keeps retained messages.
    pub retain: bool,
    /// Largest packet that it takes, in bytes.
    pub maximum_packet: u32,
    /// The keep-alive that it wants in place of ours, in seconds.
    pub keep_alive_s: Option<u16>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            maximum_qos: Qos::ExactlyOnce,
            retain: true,
            maximum_packet: u32::MAX,
            keep_alive_s: None,
        }
    }
}

/// A packet from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The answer to our connecting.
    ConnAck {
        /// 0 when we are in; see [`refusal`].
        code: u8,
        /// The broker's own words.
        words: Option<String>,
        /// What it bounds.
        bounds: Bounds,
    },
    /// A message of a topic that we asked for.
    Publish {
        /// Topic.
        topic: String,
        /// Quality.
        qos: Qos,
        /// Whether it was kept by the broker, from before we asked.
        retain: bool,
        /// Content.
        payload: Bytes,
    },
    /// A message of quality 1 arrived.
    PubAck(Outcome),
    /// A message of quality 2 arrived; it wants to be released.
    PubRec(Outcome),
    /// A message of quality 2 was handed on.
    PubComp(Outcome),
    /// Whether topics are ours to read: a code for each, 128 and above for a refusal.
    SubAck {
        /// Number of the question.
        id: u16,
        /// An answer for each topic.
        codes: Vec<u8>,
    },
    /// Topics are read no more.
    UnsubAck(u16),
    /// It is there.
    PingResp,
    /// It closes the connection (version 5).
    Disconnect {
        /// Why; see [`refusal`].
        code: u8,
        /// The broker's own words.
        words: Option<String>,
    },
}

/// What became of a message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Number of the message.
    pub id: u16,
    /// Below 128 when it was taken; see [`refusal`].
    pub code: u8,
}

/// Why bytes are no packet that a client may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The length does not end within four octets.
    #[error("the length of a packet is wrong")]
    Length,
    /// It is larger than [`MAX_PACKET_BYTES`], and no message that could be passed over.
    #[error("a packet of {0} bytes is too large")]
    TooLarge(usize),
    /// A packet that only clients send, or with flags that it may not have.
    #[error("a packet of the kind {0} is not expected from a broker")]
    Kind(u8),
    /// Its content ends too early or holds what it may not.
    #[error("a packet of the kind {0} is malformed")]
    Malformed(u8),
}

/// What a code of a refusal means, in words. `connect` says that it answers our connecting, where version 3.1.1 has numbers of
/// its own (section 3.2.2.3); others are those of version 5 (section 2.4).
#[must_use]
pub fn refusal(version: Version, connect: bool, code: u8) -> &'static str {
    match (version, connect, code) {
        (Version::V311, true, 1) => "it does not speak this version of MQTT",
        (Version::V311, true, 2) => "it refuses the client id",
        (Version::V311, true, 3) => "it is not available",
        (Version::V311, true, 4) => "it refuses user name or password",
        (Version::V311, true, 5) => "not authorised: it refuses user name or password, or wants one",
        (_, _, 0x81) => "it calls a packet malformed",
        (_, _, 0x82) => "it calls it an error of protocol",
        (_, _, 0x83) => "it gives no reason of the protocol",
        (_, _, 0x84) => "it does not speak this version of MQTT",
        (_, _, 0x85) => "it refuses the client id",
        (_, _, 0x86) => "it refuses user name or password",
        (_, _, 0x87) => "not authorised",
        (_, _, 0x88) => "it is not available",
        (_, _, 0x89) => "it is busy",
        (_, _, 0x8a) => "it has banned this client",
        (_, _, 0x8b) => "it is shutting down",
        (_, _, 0x8c) => "it does not know the way of signing in",
        (_, _, 0x8d) => "it heard nothing within the keep-alive",
        (_, _, 0x8e) => "another client took over with the same client id",
        (_, _, 0x90) => "it refuses the topic",
        (_, _, 0x93) => "more messages were under way than it allows",
        (_, _, 0x95) => "the packet is larger than it allows",
        (_, _, 0x96) => "messages come faster than it allows",
        (_, _, 0x97) => "a quota is used up",
        (_, _, 0x98) => "somebody closed the connection at the broker",
        (_, _, 0x99) => "it refuses the form of the payload",
        (_, _, 0x9a) => "it keeps no retained messages",
        (_, _, 0x9b) => "it does not support this quality of service",
        (_, _, 0x9c | 0x9d) => "it says that another server is to be used",
        (_, _, 0x9f) => "connections come faster than it allows",
        _ => "it refuses for a reason that the protocol does not name",
    }
}

#[cfg(test)]
mod tests;
