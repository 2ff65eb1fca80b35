//! The store seen from outside: one binary, one module per promise.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod alerts;
mod answers;
mod common;
mod crash;
mod disk;
mod identity;
mod model_check;
mod safety;
mod units;
