//! L2: how to look at a target: one file per kind, one table.
//!
//! Owns what a kind is ([`kind`]), the table of kinds ([`kinds`]), the one attempt under a deadline ([`run`]) and
//! pictures for the page ([`preview`]). Never judges, retries, spawns a task of its own or keeps state between looks.

pub mod kind;
pub mod kinds;
pub mod preview;
pub mod run;
