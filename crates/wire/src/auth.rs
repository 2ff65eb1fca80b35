//! HTTP authentication as RTSP and HTTP use it: challenges of RFC 7235, answers by Basic (RFC 7617) and Digest
//! (RFC 7616, and RFC 2069 for old cameras).
//!
//! Never stores a password and never puts one in an error. The caller counts nonces and brings randomness.

mod challenge;
mod digest;

pub use challenge::{Algorithm, Challenge, Challenges, Digest, Refused, parse, pick};
pub use digest::respond;
