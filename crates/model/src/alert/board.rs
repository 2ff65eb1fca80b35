//! The AlertBoard: an immutable snapshot of all alerts now. The machine makes it; pages, API and sinks read the same one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Severity;
use crate::phase::words;
use crate::target::TargetId;
use crate::time::UtcMs;
use crate::unit::UnitId;

words! {
    /// How far an alert is.
    AlertPhase {
        /// It is bad, but not for long enough.
        Pending = "pending",
        /// It is an alert.
        Active = "active",
        /// It is good again, but not for long enough.
        Clearing = "clearing",
        /// It is over; remembered because it may be flapping.
        Over = "over",
    }
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// A target.
    Target(TargetId),
    /// A sink or channel, by name.
    Sink(String),
    /// A part of StreamPulse, by name.
    Own(String),
    /// A service.
    Service(UnitId),
}

/// Why people are not told, or not told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Its first message waits for others of the same rule.
    Grouping,
    /// A target that it may be explained by is being looked at.
    Asking(Vec<TargetId>),
    /// This target is down and explains it.
    Explained(TargetId),
    /// What explained it is over; it has a few looks to recover.
    Grace,
    /// StreamPulse itself has no network.
    NoNetwork,
    /// Planned work, by name.
    Maintenance(String),
    /// Somebody acknowledged it before people were told.
    Acknowledged,
    /// Somebody muted it; until when, where an end was named.
    Muted(Option<UtcMs>),
}

/// Who acknowledged an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Who.
    pub by: String,
    /// When.
    pub at: UtcMs,
    /// What they noted; may be empty.
    pub note: String,
}

/// One alert now.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertNow {
    /// Names it in commands: rule and subject.
    pub key: String,
    /// Name of the rule.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about.
    pub about: About,
    /// The name of that for people.
    pub name: String,
    /// The group of its target.
    pub group: Option<String>,
    /// How far it is.
    pub phase: AlertPhase,
    /// When it began to be bad.
    pub began_at: UtcMs,
    /// Why, in words; no secret.
    pub cause: String,
    /// When people were told; `None` when nobody was.
    pub told_at: Option<UtcMs>,
    /// Channels that were told.
    pub told: Vec<String>,
    /// Why people are not told.
    pub held: Option<Held>,
    /// Who acknowledged it.
    pub ack: Option<Ack>,
    /// It changes again and again.
    pub flapping: bool,
    /// Targets that it explains.
    pub explains: Vec<TargetId>,
}

/// An alert that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertPast {
    /// As it was at the end.
    pub alert: Arc<AlertNow>,
    /// When it ended.
    pub ended_at: UtcMs,
    /// How it ended, in words: recovered, the rule changed, the target was removed.
    pub how: String,
}

/// What is muted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// All alerts of this target, or, without one,
    pub target: Option<TargetId>,
    /// all alerts of this rule; with both, the alerts of the rule about the target.
    pub rule: Option<String>,
    /// Until when; `None` is until somebody ends it.
    pub until: Option<UtcMs>,
    /// Who said so.
    pub by: String,
    /// Why.
    pub note: String,
}

/// A maintenance window now or next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowNow {
    /// Its name.
    pub name: String,
    /// Whether somebody began it by hand, and it is not in the configuration.
    pub ad_hoc: bool,
    /// Whether it is now.
    pub active: bool,
    /// When it began or begins next; `None` when it never does again.
    pub from: Option<UtcMs>,
    /// When that one ends.
    pub until: Option<UtcMs>,
    /// Targets in it.
    pub targets: usize,
}

/// All alerts now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertBoard {
    /// When this snapshot was made.
    pub at: UtcMs,
    /// Counts up with every snapshot.
    pub version: u64,
    /// Alerts that are not over, the gravest and newest first.
    pub alerts: Arc<[Arc<AlertNow>]>,
    /// The newest that are over, newest first, at most [`MAX_PAST`].
    pub past: Arc<[Arc<AlertPast>]>,
    /// Messages that a limit holds back, by channel.
    pub held_back: BTreeMap<String, usize>,
    /// Since when StreamPulse has no network.
    pub no_network_since: Option<UtcMs>,
    /// What is muted.
    pub mutes: Vec<Mute>,
    /// Maintenance windows.
    pub windows: Vec<WindowNow>,
    /// Targets in maintenance now, with the name of the window.
    pub in_maintenance: BTreeMap<TargetId, String>,
}

/// Ended alerts that are kept on the AlertBoard; the history has them all.
pub const MAX_PAST: usize = 200;
