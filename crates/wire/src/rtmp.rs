//! RTMP as a player speaks it: handshake, chunk stream, AMF0, messages, and what stands in audio and video messages.
//! Sources: Adobe's RTMP specification 1.0, AMF0, the FLV specification 10.1 and Enhanced RTMP (v1 and v2).
//!
//! Never opens a connection and never encrypts: RTMPE, RTMPT and AMF3 objects are told apart from RTMP and refused.

mod amf0;
mod audio;
mod auth;
mod av1;
mod chunk;
mod config;
mod handshake;
mod message;
mod metadata;
mod video;

pub use amf0::{AmfError, MAX_DEPTH, MAX_VALUES, Value, encode_values, parse_values};
pub use audio::AudioTrack;
pub use auth::{Demand, answer_adobe, demand};
pub use chunk::{DecodeError, Decoder, MAX_CHUNK_STREAMS, MAX_MESSAGE_BYTES, MAX_PARTIAL_BYTES, Message, encode};
pub use config::{ConfigError, VideoConfig, parse_avcc, parse_hvcc};
pub use handshake::{HELLO_BYTES, HandshakeError, check_version, echo, hello};
pub use message::{Command, Content, MessageError, Status, aggregate, kind, user};
pub use metadata::Metadata;
pub use video::VideoTrack;

/// What an audio or video message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Parameters of the codec.
    Config,
    /// A coded frame.
    Frame {
        /// Whether decoding may begin here. True for all sound.
        key: bool,
    },
    /// Nothing that is media: empty messages, end marks, commands to the player.
    Nothing,
}

/// An audio or video message that cannot be what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TagError {
    /// What is wrong.
    pub what: &'static str,
}
