//! Sinks and channels: how each is, and trying one out.

use serde::{Deserialize, Serialize};
use sink::registry::SinkNow;
use utoipa::ToSchema;

/// One sink or channel now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SinkDto {
    /// Its name.
    pub name: String,
    /// Its kind (`influxdb`, `mqtt`, `email`).
    pub kind: &'static str,
    /// Whether it works as far as is known; null before the first attempt.
    pub ok: Option<bool>,
    /// Since when.
    pub since: Option<i64>,
    /// The last error; it stays after a recovery.
    pub error: Option<String>,
    /// Points, messages or notifications delivered since the start.
    pub sent: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// What was given up.
    pub dropped: u64,
    /// What waits.
    pub queued: u64,
    /// Last delivery that succeeded.
    pub last_sent: Option<i64>,
}

impl SinkDto {
    /// From the registry. Words written elsewhere are washed once more.
    #[must_use]
    pub fn new(name: String, now: &SinkNow) -> Self {
        Self {
            name,
            kind: now.kind,
            ok: now.ok,
            since: now.since.map(|at| at.0),
            error: now.error.as_deref().map(crate::masks::hide_in_words),
            sent: now.sent,
            failed: now.failed,
            dropped: now.dropped,
            queued: now.queued,
            last_sent: now.last_sent.map(|at| at.0),
        }
    }
}

/// Every sink and channel by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SinksDto {
    /// Sorted by name.
    pub sinks: Vec<SinkDto>,
}

/// Values of a form to be tried out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSink {
    /// The section they are for (`influxdb`).
    pub section: String,
    /// Its keys; `***` stands for the secret that is in the file.
    #[schema(value_type = Object)]
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TestedDto {
    /// Whether it was delivered.
    pub ok: bool,
    /// What happened, in words.
    pub words: String,
}
