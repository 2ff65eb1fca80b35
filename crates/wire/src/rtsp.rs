//! RTSP/1.0 messages (RFC 2326, with the words of RFC 7826): requests to bytes, bytes to messages, header values.
//!
//! Never decides what to send next: the conversation belongs to the probe.

mod decoder;
mod headers;
mod message;
mod transport;
mod values;

pub use decoder::{
    DecodeError, Decoder, INTERLEAVED_BYTES, MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, interleaved,
};
pub use headers::Headers;
pub use message::{Message, Method, Request, Response, encode_interleaved};
pub use transport::{Cast, Lower, Transport};
pub use values::{RtpInfo, SessionHeader, ValueError, public_methods};
