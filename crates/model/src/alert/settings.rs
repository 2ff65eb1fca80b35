//! What the configuration says of alerts, all of it, as values with their defaults. Owns no reading of files.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Condition, Rule, Scope, ServiceTrouble, Severity, Window};
use crate::status::Status;
use crate::target::TargetId;

/// How long the first message of a group waits for others. Short, because of what a continuously watched stream has until
/// its message arrives (4 s) two are gone until its silence is noticed.
pub const GROUP_WINDOW: Duration = Duration::from_secs(1);
/// Raised and ended alerts of one rule and target within [`FLAP_WITHIN`] that are flapping.
pub const FLAP_CHANGES: u32 = 6;
/// The time in which changes are counted.
pub const FLAP_WITHIN: Duration = Duration::from_secs(30 * 60);
/// The quiet after which flapping has ended.
pub const FLAP_QUIET: Duration = Duration::from_secs(15 * 60);
/// Messages to one channel in an hour, where nothing else is said, before further ones are held back for a digest.
pub const LIMIT: u32 = 60;
/// How early the rule that stands in for none tells of a certificate's end.
pub const CERTIFICATE_WITHIN: Duration = Duration::from_secs(14 * 86_400);

/// What the configuration says of alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// Channels of rules that name none.
    pub channels: Vec<String>,
    /// How long the first message of a group waits for others of the same rule.
    pub group_window: Duration,
    /// When an alert is flapping.
    pub flapping: Flapping,
    /// Most messages to a channel in an hour; `None` is no limit. [`LIMIT`] for a channel that is not named.
    pub limits: BTreeMap<String, Option<u32>>,
    /// Planned work.
    pub maintenance: Vec<Window>,
    /// Targets that tell whether StreamPulse itself has a network: while all are down, nobody else is blamed.
    pub references: Vec<TargetId>,
}

/// When an alert is flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// So many changes; 0 is never.
    pub changes: u32,
    /// Within this time.
    pub within: Duration,
    /// Until nothing changed for this long.
    pub quiet: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { changes: FLAP_CHANGES, within: FLAP_WITHIN, quiet: FLAP_QUIET }
    }
}

impl Default for AlertSettings {
    /// As in a file that says nothing of alerts.
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            channels: Vec::new(),
            group_window: GROUP_WINDOW,
            flapping: Flapping::default(),
            limits: BTreeMap::new(),
            maintenance: Vec::new(),
            references: Vec::new(),
        }
    }
}

/// The rules of a file that has channels and no rule of its own.
#[must_use]
pub fn default_rules(channels: &[String]) -> Vec<Rule> {
    let rule = |name: &str, when, lasts, severity| Rule {
        name: name.to_owned(),
        when,
        scope: Scope::default(),
        lasts,
        clear_for: Duration::ZERO,
        severity,
        remind: None,
        recovery: true,
        channels: channels.to_vec(),
    };
    vec![
        rule("Down", Condition::Status(vec![Status::Down]), Duration::ZERO, Severity::Critical),
        rule("Certificate", Condition::Certificate(CERTIFICATE_WITHIN), Duration::ZERO, Severity::Warning),
        rule(
            "Service",
            Condition::Service(vec![ServiceTrouble::Failed, ServiceTrouble::Unhealthy], Vec::new()),
            Duration::ZERO,
            Severity::Critical,
        ),
        rule("StreamPulse itself", Condition::Own(Vec::new()), Duration::ZERO, Severity::Critical),
    ]
}
