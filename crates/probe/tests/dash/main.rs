//! The dash kind against a scripted server: what needs a server that changes, refuses or lies in one particular way.

#![allow(clippy::print_stderr, reason = "shared with tests that say when they are skipped")]

mod lab;
mod live;
mod parts;
#[path = "../support/mod.rs"]
mod support;
