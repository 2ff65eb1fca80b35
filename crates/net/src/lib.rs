//! L1: the only code that opens sockets: dialling, TLS, the HTTP client, deadlines, byte caps.
//!
//! Everything here does one thing once and reports it as a fault or a value: nothing retries, nothing is pooled, nothing
//! judges. A look that is dropped closes its socket at once.

pub mod attempt;
pub mod clock;
pub mod datagram;
pub mod dial;
pub mod http;
pub mod icmp;
mod meter;
mod pace;
pub mod reach;
pub mod resolve;
pub mod task;
mod tcp;
mod tls;
pub mod trust;
pub mod udp;
pub mod unix;
mod verify;
