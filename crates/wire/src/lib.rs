//! L0: bytes to values and back, sans I/O: RTSP, SDP, RTP, HTTP authentication, multipart, JPEG, H.264, H.265, AAC.
//!
//! Everything here reads hostile input: each parser has named limits, returns typed errors that say where, and never
//! panics. Nothing here opens a socket, reads a clock, logs, or knows another crate of the workspace.

pub mod aac;
pub mod ac3;
pub mod audio;
pub mod auth;
mod bits;
pub mod blocks;
pub mod container_log;
pub mod elementary;
pub mod fuzz_bodies;
pub mod h264;
pub mod h265;
pub mod icmp;
pub mod icy;
pub mod jpeg;
pub mod m3u8;
pub mod mail;
pub mod mp4;
pub mod mpd;
pub mod mpeg2;
pub mod mpeg_audio;
pub mod mqtt;
pub mod multipart;
pub mod ogg;
pub mod plugin;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
pub mod sdp;
pub mod smtp;
pub mod srt;
pub mod text;
pub mod tracks;
pub mod ts;
pub mod video;
pub mod websocket;
