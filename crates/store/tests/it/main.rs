//! The store seen from outside: one binary, one module per promise.

mod answers;
mod common;
mod crash;
mod disk;
mod identity;
mod model_check;
mod safety;
