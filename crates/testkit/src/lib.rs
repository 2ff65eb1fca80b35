//! Development only: scripted good and bad peers, a clock under control, wait_for.
//!
//! Every peer listens on a free port of the loopback, counts its connections, and ends when its value is dropped. Peers must
//! be started inside a tokio runtime.

#![allow(clippy::missing_panics_doc, reason = "helpers of tests panic to fail the test that uses them")]

pub mod bad;
pub mod clock;
pub mod datagram;
pub mod encoder;
pub mod http;
pub mod mjpeg;
pub mod peer;
pub mod receivers;
pub mod rtmp;
pub mod rtsp;
pub mod smtp;
pub mod srt;
pub mod tls;
pub mod ts;
pub mod vimeo;
pub mod wait;
pub mod youtube;
