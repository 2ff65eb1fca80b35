//! One file a command. Each takes its arguments and answers an exit code.

pub(crate) mod caller;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod people;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod service;
pub(crate) mod services;
pub(crate) mod sinks;
