//! What goes into the store and what comes out of it: plain values. Owns no SQL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::board::Beat;
use model::fault::FaultKind;
use model::incident::Incident;
use model::observation::Observation;
use model::phase::{Phase, Phases};
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::UtcMs;
use model::unit::board::UnitChange;
use model::unit::{UnitId, Wanted};
use model::verdict::{Grade, Verdict};

use crate::units::UnitSample;

const DAY: Duration = Duration::from_secs(86_400);

/// Where the history is and how long what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The database file; `<path>.lock`, `-wal` and `-shm` stand beside it.
    pub path: PathBuf,
    /// How long single observations are kept.
    pub keep_observations: Duration,
    /// How long roll-ups by the minute are kept.
    pub keep_minutes: Duration,
    /// How long roll-ups by the hour are kept.
    pub keep_hours: Duration,
    /// How long roll-ups by the day are kept.
    pub keep_days: Duration,
    /// How long status changes, incidents and the audit log are kept.
    pub keep_changes: Duration,
    /// Longest time between commits while there is something to write.
    pub batch_every: Duration,
}

impl Settings {
    /// The defaults for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            keep_observations: DAY * 7,
            keep_minutes: DAY * 30,
            keep_hours: DAY * 400,
            keep_days: DAY * 3653,
            keep_changes: DAY * 731,
            batch_every: Duration::from_millis(500),
        }
    }
}

/// What was found when the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// When a process last said that it is alive; `None` for a new file, or when the file could not be opened yet.
    pub last_alive: Option<UtcMs>,
    /// Targets that got a change to unknown at that time because nobody was looking since.
    pub blinded: usize,
}

/// One thing to write.
#[derive(Clone, Debug)]
pub enum Write {
    /// A look was judged; the status is the one after it.
    Observation(Arc<Observation>, Arc<Verdict>, Status),
    /// A status changed.
    Change(TargetId, StatusChange),
    /// Trouble began.
    IncidentOpened(Incident),
    /// Trouble got worse or its cause changed.
    IncidentChanged(Incident),
    /// Trouble ended.
    IncidentClosed(Incident),
    /// The configuration has this target. Clears an earlier retirement.
    TargetSeen {
        /// Identity.
        id: TargetId,
        /// Name for people.
        name: String,
        /// Name of the probe kind.
        kind: String,
        /// What recognises the target when its id changes: redacted address and kind. Never a secret.
        fingerprint: String,
    },
    /// The configuration has this target no longer; its history stays until retention ends.
    TargetRetired {
        /// Identity.
        id: TargetId,
        /// When.
        at: UtcMs,
    },
    /// The same target has a new identity; its history goes with it.
    TargetRenamed {
        /// The identity so far.
        from: TargetId,
        /// The identity from now on.
        to: TargetId,
    },
    /// An operator paused or resumed a target.
    Paused {
        /// Identity.
        id: TargetId,
        /// Whether it is paused now.
        paused: bool,
    },
    /// The file of services has this unit. Clears an earlier retirement.
    UnitSeen {
        /// Identity.
        id: UnitId,
        /// What is wanted of it, where it was never seen before.
        wanted: Wanted,
    },
    /// The file of services has this unit no longer; its history stays until retention ends.
    UnitRetired {
        /// Identity.
        id: UnitId,
        /// When.
        at: UtcMs,
    },
    /// An entry of a unit's timeline.
    UnitChanged(UnitId, Arc<UnitChange>),
    /// How often a unit was started that nobody commanded.
    UnitRestarts(UnitId, u64),
    /// What a unit used within a minute.
    UnitSample(UnitId, UnitSample),
    /// The process was alive at this time. The writer says this by itself at least every second.
    Alive(UtcMs),
}

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Whether the newest attempt to write succeeded.
    pub ok: bool,
    /// What is wrong, in words.
    pub reason: Option<String>,
    /// Since when it is wrong.
    pub since: Option<UtcMs>,
    /// Rows given up since the start because the queue was full, or because the file refused them.
    pub lost_rows: u64,
    /// Rows waiting to be written.
    pub queued: usize,
    /// Size of the file and its write-ahead log, in bytes.
    pub size_bytes: u64,
    /// When rows were last committed.
    pub last_commit_at: Option<UtcMs>,
}

/// One stored observation.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservationRow {
    /// Cursor for paging: unique within the target and in order of time.
    pub row: i64,
    /// Which target.
    pub target: TargetId,
    /// When the look began.
    pub at: UtcMs,
    /// How long it took (kept to the microsecond).
    pub took: Duration,
    /// Attempts made in the round.
    pub attempts: u32,
    /// How it was judged.
    pub grade: Grade,
    /// Status after it.
    pub status: Status,
    /// What failed and where.
    pub fault: Option<(FaultKind, Phase)>,
    /// The first reason of the verdict; empty for a pass.
    pub reason: String,
    /// Durations by phase (kept to 10 microseconds).
    pub phases: Phases,
}

/// Size of a roll-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours of UTC.
    Day,
}

impl Resolution {
    /// Every size, smallest first.
    pub const ALL: &'static [Self] = &[Self::Minute, Self::Hour, Self::Day];

    /// Length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The resolution of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.as_str() == word)
    }
}

/// One roll-up of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// Beginning of the minute, hour or day (UTC).
    pub at: UtcMs,
    /// Looks in all.
    pub count: u64,
    /// Looks that passed.
    pub ok: u64,
    /// Looks with a warning.
    pub warn: u64,
    /// Looks that failed.
    pub fail: u64,
    /// Shortest duration among the looks that did not fail; `None` when all failed.
    pub took_min: Option<Duration>,
    /// Mean duration of the looks that did not fail.
    pub took_avg: Option<Duration>,
    /// Longest duration among the looks that did not fail.
    pub took_max: Option<Duration>,
    /// Mean duration of each phase over the looks that did not fail and entered it.
    pub phases: Phases,
    /// Time up or degraded, in milliseconds.
    pub up_ms: i64,
    /// Time down, in milliseconds.
    pub down_ms: i64,
    /// Time that does not count (unknown, paused, maintenance, before the first change), in milliseconds. What lies
    /// after now is in none of the three.
    pub unknown_ms: i64,
}

/// An incident with its cursor for paging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentRow {
    /// Cursor for paging.
    pub row: i64,
    /// Name of the target for people, as last seen.
    pub name: String,
    /// The incident.
    pub incident: Incident,
}

/// A status change with its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChangeRow {
    /// Which target.
    pub target: TargetId,
    /// The change.
    pub change: StatusChange,
}

/// What is known of a target from before.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Identity.
    pub id: TargetId,
    /// Name for people, as last seen.
    pub name: String,
    /// Probe kind, as last seen.
    pub kind: String,
    /// When it was taken out of the configuration; `None` while it is in it.
    pub retired_at: Option<UtcMs>,
    /// Paused by an operator.
    pub paused: bool,
    /// The newest status change: status, since when, why.
    pub last_change: Option<StatusChange>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// Newest beats, oldest first, at most [`model::limits::BEATS_ON_BOARD`].
    pub beats: Vec<Beat>,
    /// The newest observation with its verdict. Counters among its facts may be up to a minute older than its time.
    pub last: Option<(Observation, Verdict)>,
}

/// What recognises a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Identity.
    pub id: TargetId,
    /// Name for people.
    pub name: String,
    /// Redacted address and kind, as given by [`Write::TargetSeen`].
    pub fingerprint: String,
    /// When it was taken out of the configuration.
    pub retired_at: Option<UtcMs>,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: UtcMs,
    /// Who: user or token name, or the part of the program.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, without secrets.
    pub detail: String,
}
