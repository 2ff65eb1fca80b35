//! L2: how to run things: processes behind a shim that outlives us, containers, their output and what they use.
//!
//! Owns no decision: when something is started, ended or started again is said by `engine`.

pub mod backend;
pub mod docker;
