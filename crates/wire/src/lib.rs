//! L0: bytes to values and back, sans I/O: RTSP, SDP, RTP, HTTP authentication, multipart, JPEG, H.264, H.265, AAC.
//!
//! Everything here reads hostile input: each parser has named limits, returns typed errors that say where, and never
//! panics. Nothing here opens a socket, reads a clock, logs, or knows another crate of the workspace.

pub mod auth;
pub mod rtp;
pub mod rtsp;
pub mod sdp;
pub mod text;
pub mod tracks;
pub mod video;
