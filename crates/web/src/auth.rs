//! Who may do what: users, passwords, sessions, tokens, roles, and the traces they leave.

pub mod accounts;
pub mod audit;
pub mod crew;
pub mod csrf;
mod docs;
pub mod gate;
pub mod local;
pub mod password;
pub mod random;
pub mod rate;
pub mod roles;
pub mod session;
pub mod setup;
pub mod token;
