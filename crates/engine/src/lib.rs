//! L3: configuration, the pure step, the run shell, the Handle.
//!
//! [`step::step`] is the only mutation of engine state: inputs and time go in, effects come out. The shell around it starts
//! looks, writes history and publishes the Board; the [`Handle`] is how the layers above ask. Owns no protocol and no page.

pub mod alerts;
pub mod cadence;
pub mod config;
mod desk;
pub mod handle;
mod held;
pub mod input;
pub mod looker;
pub mod notify;
mod permits;
pub mod previews;
mod pushes;
mod services;
mod shell;
mod start;
pub mod state;
pub mod step;
pub mod units;
mod watch;

pub use handle::Handle;
pub use probe::push;
pub use start::{Engine, EnvFn, Start, Supervision};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
