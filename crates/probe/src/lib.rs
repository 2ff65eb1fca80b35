//! L2: how to look at a target: one file per kind, one table.
//!
//! Owns what a kind is ([`kind`]), the table of kinds ([`kinds`]), the one attempt under a deadline and the one session
//! that is held ([`run`]), what is measured meanwhile ([`live`]) and pictures for the page ([`preview`]). Never judges,
//! retries, spawns a task of its own or keeps state between looks.

mod api;
mod budget;
pub mod commands;
pub mod gear;
pub mod kind;
pub mod kinds;
pub mod live;
pub mod preview;
pub mod push;
pub mod run;
