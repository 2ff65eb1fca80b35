//! L4: routes, DTOs, sign-in, server-sent events, compat routes, the dashboard.
//!
//! Everything is read from the engine's Board and the store; every change goes through the engine's Handle. The table in
//! [`routes::table`] is the one list of routes. Owns no rule about targets and opens no connection to one.

pub mod assets;
pub mod auth;
pub mod availability;
pub mod compat;
pub mod dto;
pub mod error;
pub mod extract;
pub mod fields;
pub mod health;
pub mod hub;
pub mod limits;
pub mod listen;
pub mod masks;
pub mod metrics;
pub mod openapi;
pub mod peer;
pub mod people;
pub mod pulse;
pub mod query;
pub mod routes;
mod serve;
pub mod state;
pub mod tls;
pub mod zone;

pub use serve::{Listening, Options, ServeError, serve};
