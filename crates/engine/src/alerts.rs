//! Alerts: the machine that decides what people are told, and the task around it.
//!
//! The machine ([`machine::Machine`]) is pure: views of the Board, of the registry of sinks and of the time go in, batches of
//! what must be remembered and what must be sent come out. The task feeds it, writes each batch in one transaction, and
//! publishes the AlertBoard. Neither delivers anything: that is the outbox.

mod calendar;
mod commands;
mod entry;
mod family;
mod holds;
mod machine;
mod memory;
mod own;
mod pace;
mod services;
mod snapshot;
mod task;
mod tell;
mod thread;
mod windows;
mod words;

pub use commands::AlertError;
pub use task::{Alerts, PlannedWork};
pub(crate) use task::{Around, task};

#[cfg(test)]
mod tests;
