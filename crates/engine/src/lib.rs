//! L3: configuration, the pure step, the run shell, the Handle.

pub mod config;
