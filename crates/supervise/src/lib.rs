//! L2: how to run things: processes behind a shim that outlives us, containers, their output and what they use.
//!
//! Owns no decision: when something is started, ended or started again is said by `engine`.

pub mod backend;
pub mod docker;
pub mod folder;
pub mod logs;
mod moment;
mod proc;
pub mod process;
mod record;
pub mod shim;
mod sweep;
mod tree;

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
