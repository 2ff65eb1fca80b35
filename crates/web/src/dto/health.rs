//! How StreamPulse itself is.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PartDto {
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, in words.
    pub reason: Option<String>,
    /// Since when it is wrong.
    pub since: Option<i64>,
    /// Rows of history that were given up since the start (store).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_rows: Option<u64>,
    /// Rows waiting to be written (store).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<usize>,
    /// Size of the history in bytes (store).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// When rows were last committed (store).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit_at: Option<i64>,
    /// Age of the newest board in milliseconds (engine).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board_age_ms: Option<u64>,
    /// How punctual the looks are (engine).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub punctuality: Option<PunctualityDto>,
}

/// How punctual the looks are, counted since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PunctualityDto {
    /// Looks that began by their cadence.
    pub rounds: u64,
    /// Looks that did not begin because the one before was still under way.
    pub missed: u64,
    /// 99 of 100 looks began less than this many milliseconds late; exact to a factor of two.
    pub p99_ms: u64,
    /// Milliseconds that the latest one was late.
    pub worst_ms: u64,
}

/// How many targets are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsDto {
    /// All of them.
    pub total: usize,
    /// Up.
    pub up: usize,
    /// Degraded.
    pub degraded: usize,
    /// Down.
    pub down: usize,
    /// Unknown.
    pub unknown: usize,
    /// Paused.
    pub paused: usize,
    /// In maintenance.
    pub maintenance: usize,
}

/// How StreamPulse is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HealthDto {
    /// `ok` or `unwell`.
    pub status: &'static str,
    /// The parts: `store`, `engine`, `clock`, `config`.
    pub parts: BTreeMap<&'static str, PartDto>,
    /// Version of the program.
    pub version: &'static str,
    /// Milliseconds since the process started.
    pub uptime_ms: u64,
    /// Targets by status.
    pub targets: CountsDto,
}

/// Whether it is ready.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReadyDto {
    /// Whether it is.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}
