//! L0: the vocabulary and the pure rules of StreamPulse.
//!
//! What a target is, what a look at it yields, when that is good, and what follows from it. Everything here is a value
//! or a pure function of values. No I/O, no tokio, no serde, no SQL: the crates above convert at their edges.

pub mod address;
pub mod alert;
pub mod availability;
pub mod board;
pub mod conf;
pub mod event;
pub mod expect;
pub mod fault;
pub mod incident;
pub mod limits;
pub mod live;
pub mod observation;
pub mod phase;
pub mod reading;
pub mod score;
pub mod secret;
pub mod status;
pub mod tally;
pub mod target;
pub mod time;
pub mod unit;
pub mod verdict;
