//! What is written: looks, changes of status, and how StreamPulse itself is, each as a point. Owns the names of measurements,
//! tags and fields, which never change their meaning, and that no two points of one series have the same time. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::board::{Board, TargetNow};
use model::expect::BITRATE;
use model::observation::Observation;
use model::reading::{FactValue, Media, fact};
use model::score::{Scoring, score};
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::UtcMs;
use model::verdict::{Grade, Verdict};

use super::Vitals;
use super::line::Line;
use super::settings::Settings;

/// Points of one series that come within this time of one another, and not in order, are moved apart. Farther back, the wall
/// clock was set, and what it says now is meant.
const NUDGE_MS: i64 = 1000;

/// Facts that tell the bit rate of a stream where [`BITRATE`] has none: what a link brings, what an encoder says.
const OTHER_BITRATES: [&str; 3] = [fact::TS_BITRATE_BPS, fact::SRT_RECEIVE_BPS, fact::ENCODER_BITRATE_BPS];
/// Facts that are written in any case, under their own names.
const COMMON: [&str; 4] = [fact::LOSS_RATIO, fact::JITTER_MS, fact::PLAYLIST_AGE_MS, fact::RTT_MS];

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Look,
    Change,
    Own,
}

/// Writes points by the settings.
pub(crate) struct Scribe {
    settings: Arc<Settings>,
    /// Time of the newest point by series; as many as there are targets.
    newest: BTreeMap<(Of, Option<TargetId>), i64>,
}

/// The number of a status: what charts and thresholds want. Up is 1, and greater is graver up to down.
pub(crate) const fn status_value(status: Status) -> i64 {
    match status {
        Status::Unknown => 0,
        Status::Up => 1,
        Status::Degraded => 2,
        Status::Down => 3,
        Status::Paused => 4,
        Status::Maintenance => 5,
    }
}

impl Scribe {
    /// A scribe by these settings.
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, newest: BTreeMap::new() }
    }

    /// Other settings; the times that were given out stay given out.
    pub(crate) fn set(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Forgets targets that are gone.
    pub(crate) fn forget(&mut self, board: &Board) {
        self.newest.retain(|(_, id), _| id.as_ref().is_none_or(|id| board.index.contains_key(id)));
    }

    fn line(&self, measurement: &str, target: Option<&TargetNow>) -> Line {
        let mut line = Line::new(&format!("{}{measurement}", self.settings.prefix));
        if let Some(now) = target {
            line.tag("target", now.spec.id.as_str());
            line.tag("name", &now.spec.name);
            line.tag("kind", now.spec.kind);
            line.tag("group", now.spec.group.as_deref().unwrap_or_default());
        }
        for (key, value) in &self.settings.tags {
            line.tag(key, value);
        }
        line
    }

    /// The time that a point gets: its own, unless the series has one of that time.
    fn time(&mut self, of: Of, target: Option<&TargetId>, at: UtcMs) -> i64 {
        let newest = self.newest.entry((of, target.cloned())).or_insert(i64::MIN);
        let behind = newest.saturating_sub(at.0);
        let at = if (0..NUDGE_MS).contains(&behind) { *newest + 1 } else { at.0 };
        *newest = at;
        at
    }

    /// One look.
    pub(crate) fn look(
        &mut self,
        now: &TargetNow,
        seen: &Observation,
        verdict: &Verdict,
        scoring: &Scoring,
    ) -> Option<Box<str>> {
        let mut line = self.line("look", Some(now));
        let status = now.state.status;
        line.text("status", status.as_str());
        line.integer("status_value", status_value(status));
        line.integer("up", i64::from(status.counts_as() == Some(true)));
        line.text("grade", verdict.grade.as_str());
        line.integer("passed", i64::from(verdict.grade != Grade::Fail));
        line.number("took_ms", ms(seen.took));
        line.integer("attempts", i64::from(seen.attempts));
        for (phase, took) in seen.look.phases.iter() {
            line.number(&format!("phase_{phase}_ms"), ms(took));
        }
        if let Some(fault) = &seen.look.fault {
            line.text("fault", fault.kind.as_str());
            line.text("fault_phase", fault.phase.as_str());
        }
        if let Some(score) = score(scoring, status, Some(seen)) {
            line.number("score", score.value);
        }
        self.measured(seen, &mut line);
        line.at(self.time(Of::Look, Some(&now.spec.id), seen.at))
    }

    #[allow(clippy::cast_precision_loss)] // bits, bytes and milliseconds stay far below 2^53
    fn measured(&self, seen: &Observation, line: &mut Line) {
        let reading = &seen.look.reading;
        // Always numbers with a fraction: a key that one kind counts and another measures is one field all the same.
        let number = |key: &str| match reading.facts.get(key)? {
            FactValue::Int(n) => Some(*n as f64),
            FactValue::Num(x) => Some(*x),
            FactValue::Flag(yes) => Some(f64::from(u8::from(*yes))),
            FactValue::Time(at) => Some((at.0 - seen.at.0) as f64 / 1000.0),
            FactValue::Text(_) | FactValue::Rows(_) => None,
        };
        let video = reading.track(Media::Video);
        let declared = video.and_then(|track| track.fps);
        let other = || OTHER_BITRATES.iter().find_map(|key| number(key));
        if let Some(bitrate) = BITRATE.read(reading).or_else(other) {
            line.number("bitrate_bps", bitrate);
        }
        if let Some(fps) = number(fact::MEASURED_FPS).or(declared) {
            line.number("fps", fps);
        }
        for (key, size) in [("width", video.and_then(|t| t.width)), ("height", video.and_then(|t| t.height))] {
            if let Some(size) = size {
                line.integer(key, i64::from(size));
            }
        }
        if let Some(left) = number(fact::CERT_EXPIRES_AT) {
            line.number("cert_expires_in_s", left);
        }
        for (key, value) in &reading.facts {
            let wanted =
                if COMMON.contains(key) { true } else { self.settings.facts && !matches!(value, FactValue::Time(_)) };
            if let Some(x) = number(key).filter(|_| wanted) {
                line.number(key, x);
            }
        }
    }

    /// One change of status.
    pub(crate) fn change(&mut self, now: &TargetNow, change: &StatusChange) -> Option<Box<str>> {
        let mut line = self.line("status", Some(now));
        line.text("from", change.from.as_str());
        line.text("to", change.to.as_str());
        line.integer("from_value", status_value(change.from));
        line.integer("to_value", status_value(change.to));
        line.text("reason", &change.reason);
        line.at(self.time(Of::Change, Some(&now.spec.id), change.at))
    }

    /// How StreamPulse itself is. `looks` and `missed` are counted since the start, `per_s` since the last such point.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)] // counts stay far below 2^53
    pub(crate) fn own(&mut self, at: UtcMs, board: &Board, own: &Own, vitals: &Vitals) -> Option<Box<str>> {
        let mut line = self.line("self", None);
        line.number("uptime_s", ms(at.since(board.started_at)) / 1000.0);
        line.integer("targets", board.targets.len() as i64);
        for status in Status::ALL {
            let count = board.targets.iter().filter(|t| t.state.status == *status).count();
            line.integer(&format!("targets_{status}"), count as i64);
        }
        line.integer("looks", own.looks as i64);
        line.number("looks_per_s", own.per_s);
        line.integer("events_missed", own.missed as i64);
        line.integer("rounds", vitals.rounds as i64);
        line.integer("rounds_missed", vitals.rounds_missed as i64);
        line.number("late_median_ms", ms(vitals.late_median));
        line.number("late_p99_ms", ms(vitals.late_p99));
        line.number("late_worst_ms", ms(vitals.late_worst));
        line.integer("store_ok", i64::from(vitals.store_ok));
        line.integer("store_queue", vitals.store_queue as i64);
        line.integer("store_lost_rows", vitals.store_lost_rows as i64);
        line.number("store_bytes", vitals.store_bytes as f64);
        line.integer("unwell_parts", board.health.unwell.len() as i64);
        line.integer("influxdb_queue", own.queued as i64);
        line.integer("influxdb_dropped", own.dropped as i64);
        line.at(self.time(Of::Own, None, at))
    }
}

/// What the sink counts of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    /// Looks that were told of.
    pub(crate) looks: u64,
    /// Looks a second lately.
    pub(crate) per_s: f64,
    /// Events that came faster than they were taken.
    pub(crate) missed: u64,
    /// Points that wait.
    pub(crate) queued: u64,
    /// Points that were given up.
    pub(crate) dropped: u64,
}

fn ms(span: std::time::Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

#[cfg(test)]
#[path = "points_tests.rs"]
pub(crate) mod tests;
