//! The shapes of the JSON API, one file per resource. Values only: made from the model here, and from nowhere else.
//! All times are UTC milliseconds; what is unknown is null.

pub mod alert;
pub mod config;
pub mod health;
pub mod history;
pub mod incident;
pub mod kinds;
pub mod live;
pub mod observation;
pub mod outbox;
pub mod people;
pub mod problem;
pub mod push;
pub mod score;
pub mod section;
pub mod service;
pub mod session;
pub mod sink;
pub mod target;

use std::time::Duration;

/// A duration as milliseconds, rounded to the microsecond.
pub(crate) fn millis(d: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)] // durations here are far below 2^53 microseconds
    let micros = d.as_micros() as f64;
    micros / 1000.0
}
