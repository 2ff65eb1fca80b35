//! `/metrics` and `/probe`: what the Board, the store, the sinks and this process show, in the text formats of Prometheus and OpenMetrics.
//!
//! One answer is written from one Board, family by family; every name stands in the table of [`family`]. Labels are ids and
//! names of the configuration and words of ours: no URL, no text of a peer. Counters come from the Board, which counts where
//! the engine judges, so that a slow reader of events loses nothing. Nothing here asks the history: availability and counts
//! over windows are computed now and then by tasks of their own.
//!
//! The writer is our own: a family is one string that grows, so that 10,000 targets cost a fraction of the time that a tree
//! of metric objects would have to be kept up to date in, and what a target had disappears with it.

pub mod family;
pub mod legacy;
mod own;
pub mod probe;
mod process;
pub mod serve;
mod services;
mod sheet;
mod targets;

use std::sync::Arc;

use engine::cadence::Punctuality;
use engine::config::Config;
use model::board::Board;
use model::time::UtcMs;
use model::unit::board::UnitBoard;
use sink::registry::Registry;
use store::StoreHealth;

pub use sheet::Format;
use sheet::Sheet;

use crate::availability::Table;
use crate::dto::health::HealthDto;

/// Everything that one answer is made of.
pub struct Seen {
    /// When.
    pub now: UtcMs,
    /// The targets and what was counted.
    pub board: Arc<Board>,
    /// The configuration in effect.
    pub settings: Arc<Config>,
    /// Availability by target.
    pub availability: Arc<Table>,
    /// Looks over the window of the names of StreamPulse 2.1.1, where they are answered with.
    pub samples: Option<legacy::Samples>,
    /// How the parts of this process are.
    pub health: HealthDto,
    /// How the history is.
    pub store: StoreHealth,
    /// How punctual looks are.
    pub punctuality: Punctuality,
    /// The services.
    pub units: Arc<UnitBoard>,
    /// How every sink and channel is.
    pub sinks: Registry,
    /// How long the answer before this one took to write, in seconds.
    pub last_took_s: Option<f64>,
}

/// Writes one answer, in pieces. `sizes` are those of the families of the answer before, and of this one afterwards.
pub fn write(seen: &Seen, format: Format, sizes: &mut Vec<usize>) -> Vec<String> {
    let mut sheet = Sheet::new(seen.settings.metrics.sla_window_days, sizes);
    own::write(&mut sheet, seen);
    process::write(&mut sheet, seen.board.started_at);
    targets::write(&mut sheet, seen);
    services::write(&mut sheet, seen);
    legacy::write(&mut sheet, seen);
    *sizes = sheet.sizes();
    sheet.finish(format)
}
