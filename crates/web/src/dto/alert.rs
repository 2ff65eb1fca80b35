//! Alerts: now and in the history, what is muted, planned work.

use engine::alerts::PlannedWork;
use model::alert::{About, AlertBoard, AlertNow, AlertPhase, Held, Mute, WindowNow};
use serde::{Deserialize, Serialize};
use store::AlertRow;
use utoipa::ToSchema;

/// What an alert is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AboutDto {
    /// `target`, `sink` or `own` (a part of StreamPulse).
    pub kind: &'static str,
    /// Id of the target, else the name of the sink or part.
    pub id: String,
}

impl From<&About> for AboutDto {
    fn from(about: &About) -> Self {
        let (kind, id) = match about {
            About::Target(id) => ("target", id.as_str()),
            About::Sink(name) => ("sink", name.as_str()),
            About::Own(name) => ("own", name.as_str()),
            About::Service(id) => ("service", id.as_str()),
        };
        Self { kind, id: id.to_owned() }
    }
}

/// Why people are not told, or not told yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HeldDto {
    /// `grouping`, `asking`, `explained`, `grace`, `no_network`, `maintenance`, `acknowledged` or `muted`.
    pub why: &'static str,
    /// The targets that are asked or that explain it.
    pub targets: Vec<String>,
    /// Name of the planned work.
    pub name: Option<String>,
    /// Until when it is muted.
    pub until: Option<i64>,
}

impl From<&Held> for HeldDto {
    fn from(held: &Held) -> Self {
        let plain = |why| Self { why, targets: Vec::new(), name: None, until: None };
        match held {
            Held::Grouping => plain("grouping"),
            Held::Asking(ids) => Self { targets: ids.iter().map(ToString::to_string).collect(), ..plain("asking") },
            Held::Explained(id) => Self { targets: vec![id.to_string()], ..plain("explained") },
            Held::Grace => plain("grace"),
            Held::NoNetwork => plain("no_network"),
            Held::Maintenance(name) => Self { name: Some(name.clone()), ..plain("maintenance") },
            Held::Acknowledged => plain("acknowledged"),
            Held::Muted(until) => Self { until: until.map(|at| at.0), ..plain("muted") },
        }
    }
}

/// One alert now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertDto {
    /// Names it in commands.
    pub key: String,
    /// Name of the rule.
    pub rule: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// What it is about.
    pub about: AboutDto,
    /// The name of that for people.
    pub name: String,
    /// Group of its target.
    pub group: Option<String>,
    /// `pending` (bad, but not for long enough), `active`, `clearing` (good again, but not for long enough).
    pub phase: &'static str,
    /// When it began to be bad.
    pub began_at: i64,
    /// Why, in words.
    pub cause: String,
    /// When people were told; null when nobody was.
    pub told_at: Option<i64>,
    /// Channels that were told.
    pub told: Vec<String>,
    /// Why people are not told.
    pub held: Option<HeldDto>,
    /// Who acknowledged it.
    pub acked_by: Option<String>,
    /// When.
    pub acked_at: Option<i64>,
    /// What they noted.
    pub note: Option<String>,
    /// It begins and ends again and again.
    pub flapping: bool,
    /// Targets that it explains: they are in trouble because of this one.
    pub explains: Vec<String>,
}

impl From<&AlertNow> for AlertDto {
    fn from(alert: &AlertNow) -> Self {
        let ack = alert.ack.as_ref();
        Self {
            key: alert.key.clone(),
            rule: alert.rule.clone(),
            severity: alert.severity.as_str(),
            about: (&alert.about).into(),
            name: alert.name.clone(),
            group: alert.group.clone(),
            phase: alert.phase.as_str(),
            began_at: alert.began_at.0,
            cause: alert.cause.clone(),
            told_at: alert.told_at.map(|at| at.0),
            told: alert.told.clone(),
            held: alert.held.as_ref().map(Into::into),
            acked_by: ack.map(|ack| ack.by.clone()),
            acked_at: ack.map(|ack| ack.at.0),
            note: ack.map(|ack| ack.note.clone()).filter(|note| !note.is_empty()),
            flapping: alert.flapping,
            explains: alert.explains.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Something that is muted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MuteDto {
    /// Alerts of this target, or of all.
    pub target: Option<String>,
    /// Alerts of this rule, or of all.
    pub rule: Option<String>,
    /// Until when; null is until somebody ends it.
    pub until: Option<i64>,
    /// Who said so.
    pub by: String,
    /// Why.
    pub note: String,
}

impl From<&Mute> for MuteDto {
    fn from(mute: &Mute) -> Self {
        Self {
            target: mute.target.as_ref().map(ToString::to_string),
            rule: mute.rule.clone(),
            until: mute.until.map(|at| at.0),
            by: mute.by.clone(),
            note: mute.note.clone(),
        }
    }
}

/// Planned work: a window now or next.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WindowDto {
    /// Its name.
    pub name: String,
    /// Whether somebody began it by hand, and it is not in the configuration.
    pub ad_hoc: bool,
    /// Whether it is now.
    pub active: bool,
    /// When it began or begins next; null when it never does again.
    pub from: Option<i64>,
    /// When that one ends.
    pub until: Option<i64>,
    /// Targets in it.
    pub targets: usize,
}

impl From<&WindowNow> for WindowDto {
    fn from(window: &WindowNow) -> Self {
        Self {
            name: window.name.clone(),
            ad_hoc: window.ad_hoc,
            active: window.active,
            from: window.from.map(|at| at.0),
            until: window.until.map(|at| at.0),
            targets: window.targets,
        }
    }
}

/// All alerts now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertsDto {
    /// When this snapshot was made.
    pub at: i64,
    /// Counts up with every snapshot.
    pub version: u64,
    /// Alerts that are not over, the gravest and newest first.
    pub alerts: Vec<AlertDto>,
    /// Messages that a limit holds back, by channel.
    pub held_back: std::collections::BTreeMap<String, usize>,
    /// Since when StreamPulse has no network.
    pub no_network_since: Option<i64>,
    /// What is muted.
    pub mutes: Vec<MuteDto>,
}

impl From<&AlertBoard> for AlertsDto {
    fn from(board: &AlertBoard) -> Self {
        Self {
            at: board.at.0,
            version: board.version,
            alerts: board.alerts.iter().map(|alert| alert.as_ref().into()).collect(),
            held_back: board.held_back.clone(),
            no_network_since: board.no_network_since.map(|at| at.0),
            mutes: board.mutes.iter().map(Into::into).collect(),
        }
    }
}

/// The event `alerts`: something of the alerts changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertsEvent {
    /// Version of the snapshot.
    pub version: u64,
    /// Alerts that began and are not over.
    pub active: usize,
    /// Of these, those that nobody acknowledged or muted and nothing holds back.
    pub open: usize,
    /// The gravest of the latter.
    pub worst: Option<&'static str>,
}

impl From<&AlertBoard> for AlertsEvent {
    fn from(board: &AlertBoard) -> Self {
        let active = || board.alerts.iter().filter(|a| matches!(a.phase, AlertPhase::Active | AlertPhase::Clearing));
        let open = || active().filter(|a| a.ack.is_none() && a.held.is_none() && !is_muted(board, a));
        Self {
            version: board.version,
            active: active().count(),
            open: open().count(),
            worst: open().map(|a| a.severity).max().map(model::alert::Severity::as_str),
        }
    }
}

/// Whether somebody muted an alert. One that people were told of before is not held back by that.
fn is_muted(board: &AlertBoard, alert: &AlertNow) -> bool {
    let target = match &alert.about {
        About::Target(id) => Some(id),
        About::Sink(_) | About::Own(_) | About::Service(_) => None,
    };
    let of_target = |mute: &Mute| mute.target.is_none() || mute.target.as_ref() == target;
    board.mutes.iter().any(|mute| of_target(mute) && mute.rule.as_ref().is_none_or(|rule| *rule == alert.rule))
}

/// One alert of the history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PastAlertDto {
    /// Cursor for paging.
    pub row: i64,
    /// Names the alert.
    pub key: String,
    /// Name of the rule.
    pub rule: String,
    /// Its target; null when it is about several, or about StreamPulse.
    pub target: Option<String>,
    /// The name of the target, as last seen.
    pub name: Option<String>,
    /// How grave it was at worst.
    pub severity: &'static str,
    /// When it began.
    pub began_at: i64,
    /// When it ended; null while it lasts.
    pub ended_at: Option<i64>,
    /// Why.
    pub cause: String,
    /// Who acknowledged it.
    pub acked_by: Option<String>,
    /// What they noted.
    pub note: Option<String>,
    /// Whether it was flapping.
    pub flapping: bool,
}

impl From<&AlertRow> for PastAlertDto {
    fn from(row: &AlertRow) -> Self {
        let record = &row.record;
        Self {
            row: row.row,
            key: record.alert.clone(),
            rule: record.rule.clone(),
            target: record.target.as_ref().map(ToString::to_string),
            name: row.name.clone(),
            severity: record.severity.as_str(),
            began_at: record.began_at.0,
            ended_at: record.ended_at.map(|at| at.0),
            cause: record.cause.clone(),
            acked_by: record.acked_by.clone(),
            note: record.note.clone().filter(|note| !note.is_empty()),
            flapping: record.flags.contains("flapping"),
        }
    }
}

/// A page of the history, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertHistoryDto {
    /// The alerts.
    pub alerts: Vec<PastAlertDto>,
    /// Value of `before` for the next page; null when this is the last.
    pub next: Option<i64>,
}

/// Somebody knows of an alert.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Which alert.
    pub key: String,
    /// What to remember; may be empty.
    #[serde(default)]
    pub note: String,
}

/// Takes it back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unacknowledge {
    /// Which alert.
    pub key: String,
}

/// Tells nobody of a target, of a rule, or of a rule about a target.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteAlerts {
    /// Id of the target.
    pub target: Option<String>,
    /// Name of the rule.
    pub rule: Option<String>,
    /// Until when; absent is until somebody ends it.
    pub until: Option<i64>,
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// Ends a mute.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnmuteAlerts {
    /// Id of the target, as it was muted.
    pub target: Option<String>,
    /// Name of the rule, as it was muted.
    pub rule: Option<String>,
}

/// One time of planned work.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedDto {
    /// Name of the window.
    pub name: String,
    /// Whether somebody began it by hand.
    pub ad_hoc: bool,
    /// Beginning.
    pub from: i64,
    /// End.
    pub until: i64,
}

impl From<&PlannedWork> for PlannedDto {
    fn from(work: &PlannedWork) -> Self {
        Self { name: work.name.clone(), ad_hoc: work.ad_hoc, from: work.from.0, until: work.until.0 }
    }
}

/// Planned work.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MaintenanceDto {
    /// Every window, now or next.
    pub windows: Vec<WindowDto>,
    /// Zone of each window of the configuration, by name.
    pub zones: std::collections::BTreeMap<String, String>,
    /// Its times between `from` and `to`.
    pub times: Vec<PlannedDto>,
    /// Targets in maintenance now, with the name of the window.
    pub targets: std::collections::BTreeMap<String, String>,
}

/// Planned work that begins by hand.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginMaintenance {
    /// Its name; an earlier one of the same name is replaced.
    pub name: String,
    /// Beginning; now when absent.
    pub from: Option<i64>,
    /// End.
    pub until: i64,
    /// Ids of targets. Without targets, groups and tags it is for all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
}
