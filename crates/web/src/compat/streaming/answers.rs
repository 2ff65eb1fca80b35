//! What the routes of streaming control answer with: the field names and types of the original.

use std::collections::BTreeMap;

use axum::Json;
use model::time::UtcMs;
use model::unit::State;
use model::unit::board::UnitNow;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::dto::service::hide;
use crate::zone;

/// Why nothing can be said.
const NO_SERVICE: &str = "no service is declared";
/// Lines of output beside a failure.
const LAST_LINES: usize = 5;
/// New measurement sets that a mosaic takes: ten, of which it shares two with the one before.
const NEW_OF_A_MOSAIC: u64 = 8;

/// How the service is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StreamingStatus)]
pub struct Status {
    /// Whether its process is there.
    pub running: bool,
    /// Number of its process.
    pub pid: Option<u32>,
    /// When it was started, ISO 8601 in UTC.
    pub started_at: Option<String>,
    /// How long ago that was.
    pub uptime_seconds: Option<f64>,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Memory of all its processes, in MiB; never null while it runs.
    pub memory_mb: Option<f64>,
    /// When its heartbeat file, or else its output, last told of life, ISO 8601 in UTC.
    pub last_heartbeat: Option<String>,
    /// Its values; null without a form.
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// What is wrong.
    pub error: Option<String>,
}

/// Whether the service is well.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StreamingHealth)]
pub struct Health {
    /// It runs and nothing is wrong.
    pub healthy: bool,
    /// Whether its process is there.
    pub running: bool,
    /// How long ago it was started.
    pub uptime_seconds: Option<f64>,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Memory in MiB.
    pub memory_mb: Option<f64>,
    /// What is wrong.
    pub error: Option<String>,
}

/// What the service uses, and its queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StreamingMetrics)]
pub struct Metrics {
    /// Whether its process is there.
    pub service_running: bool,
    /// How long ago it was started.
    pub uptime_seconds: Option<f64>,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Memory in MiB.
    pub memory_mb: Option<f64>,
    /// Counts by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_stats: Option<BTreeMap<String, u64>>,
    /// Completed within the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_rate_per_hour: Option<i64>,
    /// Why there are no counts, or no new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_error: Option<String>,
}

/// The queue in the words of the mosaic stage.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct MosaicQueue {
    /// Waiting.
    pub pending_count: u64,
    /// Under way.
    pub in_progress_count: u64,
    /// Done.
    pub completed_count: u64,
    /// Given up.
    pub failed_count: u64,
    /// Measurement sets for the next mosaic; null when the queue has no state `available`.
    pub available_ms_count: Option<u64>,
    /// How many more it takes; null when the queue has no state `available`.
    pub ms_until_next_mosaic: Option<u64>,
    /// Why there are no counts, or no new ones.
    pub error: Option<String>,
}

/// What a control route did.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StreamingControl)]
pub struct Control {
    /// Always true; what failed has a status code and `success: false`.
    pub success: bool,
    /// What was done.
    pub message: String,
    /// Number of the process that it was done to.
    pub pid: Option<u32>,
}

impl Control {
    pub(super) fn done(message: String, pid: Option<u32>) -> Json<Self> {
        Json(Self { success: true, message, pid })
    }
}

/// Numbers that three of the answers share.
struct Figures {
    running: bool,
    uptime_seconds: Option<f64>,
    cpu_percent: Option<f64>,
    memory_mb: Option<f64>,
}

impl Figures {
    #[allow(clippy::cast_precision_loss)] // bytes of memory are far below 2^53
    fn of(unit: &UnitNow, now: UtcMs) -> Self {
        let (run, usage) = (unit.run.as_ref(), unit.usage.as_ref());
        let mib = |bytes: u64| (bytes as f64 / (1024.0 * 1024.0) * 100.0).round() / 100.0;
        Self {
            running: run.is_some(),
            uptime_seconds: run.map(|run| now.since(run.started_at).as_secs_f64()),
            // The first measurement has nothing to compare with and is zero, as everywhere.
            cpu_percent: run.map(|_| usage.and_then(|u| u.cpu_percent).unwrap_or(0.0)),
            memory_mb: run.map(|_| usage.map_or(0.0, |u| mib(u.memory_bytes))),
        }
    }
}

/// What is wrong with a unit, if anything.
fn trouble(unit: &UnitNow) -> Option<String> {
    let reason = || hide(&unit.spec, &unit.reason);
    match unit.state {
        State::Failed => Some(with_last_lines(unit, format!("failed: {}", reason()))),
        State::BackingOff => Some(with_last_lines(unit, format!("{}; it is started again", reason()))),
        _ if unit.health == model::unit::Health::Unhealthy => {
            let why = unit.health_reason.as_deref().map_or_else(reason, |why| hide(&unit.spec, why));
            Some(format!("unhealthy: {why}"))
        }
        State::Starting if !unit.waits_for.is_empty() => Some(reason()),
        _ => None,
    }
}

/// A failure with the last lines of the run that is over.
pub(super) fn with_last_lines(unit: &UnitNow, words: String) -> String {
    let Some(end) = &unit.last_end else { return words };
    let first = end.last_lines.len().saturating_sub(LAST_LINES);
    let lines: Vec<String> = end.last_lines[first..].iter().map(|line| hide(&unit.spec, line)).collect();
    if lines.is_empty() { words } else { format!("{words}; its last lines: {}", lines.join(" | ")) }
}

impl Status {
    pub(super) fn none() -> Self {
        Self {
            running: false,
            pid: None,
            started_at: None,
            uptime_seconds: None,
            cpu_percent: None,
            memory_mb: None,
            last_heartbeat: None,
            config: None,
            error: Some(NO_SERVICE.to_owned()),
        }
    }

    pub(super) fn new(unit: &UnitNow, now: UtcMs, config: Option<Map<String, Value>>, unread: Option<String>) -> Self {
        let figures = Figures::of(unit, now);
        let iso = |at: UtcMs| zone::utc().iso_ms(at);
        Self {
            running: figures.running,
            pid: unit.run.as_ref().map(|run| run.identity.pid),
            started_at: unit.run.as_ref().map(|run| iso(run.started_at)),
            uptime_seconds: figures.uptime_seconds,
            cpu_percent: figures.cpu_percent,
            memory_mb: figures.memory_mb,
            last_heartbeat: unit.last_heartbeat.or(unit.last_output).map(iso),
            config,
            error: trouble(unit).or(unread),
        }
    }
}

impl Health {
    pub(super) fn none() -> Self {
        let error = Some(NO_SERVICE.to_owned());
        Self { healthy: false, running: false, uptime_seconds: None, cpu_percent: None, memory_mb: None, error }
    }

    pub(super) fn new(unit: &UnitNow, now: UtcMs) -> Self {
        let Figures { running, uptime_seconds, cpu_percent, memory_mb } = Figures::of(unit, now);
        let error = trouble(unit);
        Self { healthy: running && error.is_none(), running, uptime_seconds, cpu_percent, memory_mb, error }
    }
}

/// Why a unit has no counts of a queue, or no new ones.
fn queue_error(unit: &UnitNow) -> Option<String> {
    match (&unit.queue, &unit.spec.queue) {
        (Some(queue), _) => queue.error.as_deref().map(|why| hide(&unit.spec, why)),
        (None, Some(_)) => Some("the queue was not counted yet".to_owned()),
        (None, None) => Some("this service declares no queue".to_owned()),
    }
}

impl Metrics {
    pub(super) fn none() -> Self {
        Self {
            service_running: false,
            uptime_seconds: None,
            cpu_percent: None,
            memory_mb: None,
            queue_stats: None,
            processing_rate_per_hour: None,
            queue_error: Some(NO_SERVICE.to_owned()),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // a float is cut to the range, and rates are small
    pub(super) fn new(unit: &UnitNow, now: UtcMs) -> Self {
        let figures = Figures::of(unit, now);
        let queue = unit.queue.as_ref();
        Self {
            service_running: figures.running,
            uptime_seconds: figures.uptime_seconds,
            cpu_percent: figures.cpu_percent,
            memory_mb: figures.memory_mb,
            queue_stats: queue.map(|q| q.counts.iter().cloned().collect()),
            processing_rate_per_hour: queue.and_then(|q| q.rate_per_hour).map(|rate| rate.round() as i64),
            queue_error: queue_error(unit),
        }
    }
}

impl MosaicQueue {
    pub(super) fn none() -> Self {
        Self { error: Some(NO_SERVICE.to_owned()), ..Self::default() }
    }

    pub(super) fn new(unit: &UnitNow) -> Self {
        let counts = unit.queue.as_ref().map(|q| q.counts.as_slice()).unwrap_or_default();
        let of = |state: &str| counts.iter().find(|(name, _)| name == state).map(|(_, count)| *count);
        let available = of("available");
        Self {
            pending_count: of("pending").unwrap_or_default(),
            in_progress_count: of("in_progress").unwrap_or_default(),
            completed_count: of("completed").unwrap_or_default(),
            failed_count: of("failed").unwrap_or_default(),
            available_ms_count: available,
            ms_until_next_mosaic: available.map(|n| NEW_OF_A_MOSAIC.saturating_sub(n)),
            error: queue_error(unit),
        }
    }
}
