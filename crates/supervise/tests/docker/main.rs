//! Containers at real engines: that of the testbed, and one of our own where it is restarted underneath.
#![allow(clippy::print_stderr, reason = "a skipped test must be seen")]

mod engine;
mod life;
mod log;
mod reach;
mod support;
mod trouble;
