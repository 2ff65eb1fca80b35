//! Alert rules as values: what is watched for, of whom, how long it must last, and who is told. Owns the reading of one
//! condition against one target; time, thresholds in time and messages are the machine's (crate `engine`).

use std::fmt;
use std::time::Duration;

use super::{Measure, ServiceLevel, ServiceTrouble, Severity};
use crate::board::TargetNow;
use crate::conf::words::duration_text;
use crate::event::Part;
use crate::fault::FaultKind;
use crate::phase::words;
use crate::reading::{FactValue, fact};
use crate::status::Status;
use crate::target::{Target, TargetId};
use crate::time::UtcMs;
use crate::unit::UnitId;

/// Which targets something holds for. Empty lists are no condition; of several, any one is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// These targets.
    pub targets: Vec<TargetId>,
    /// Targets of these groups.
    pub groups: Vec<String>,
    /// Targets with one of these tags.
    pub tags: Vec<String>,
    /// Not these targets.
    pub except_targets: Vec<TargetId>,
    /// Not targets of these groups.
    pub except_groups: Vec<String>,
    /// Not targets with one of these tags.
    pub except_tags: Vec<String>,
}

impl Scope {
    /// Whether it holds for a target.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        let named = |ids: &[TargetId], groups: &[String], tags: &[String]| {
            ids.contains(&target.id)
                || target.group.as_ref().is_some_and(|g| groups.contains(g))
                || target.tags.iter().any(|t| tags.contains(t))
        };
        let all = self.targets.is_empty() && self.groups.is_empty() && self.tags.is_empty();
        (all || named(&self.targets, &self.groups, &self.tags))
            && !named(&self.except_targets, &self.except_groups, &self.except_tags)
    }
}

words! {
    /// Which side of a bound is bad.
    Side {
        /// Values above it are.
        Above = "above",
        /// Values below it are.
        Below = "below",
    }
}

/// A bound on a measure with a value of its own for the way back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// What is compared.
    pub measure: &'static Measure,
    /// Which side is bad.
    pub side: Side,
    /// Beyond this it is bad, in the unit of the measure.
    pub raise: f64,
    /// At this, or on its good side, it is good again; between the two nothing changes.
    pub clear: f64,
}

/// What a rule watches for.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The status of a target is one of these: down, degraded, unknown.
    Status(Vec<Status>),
    /// A target is in trouble, and its newest look ended in one of these faults.
    Fault(Vec<FaultKind>),
    /// A measure is beyond a bound.
    Reading(Level),
    /// The certificate ends within this time.
    Certificate(Duration),
    /// One of these sinks or channels does not work; empty means any.
    Sink(Vec<String>),
    /// One of these parts of StreamPulse is unwell; empty means any.
    Own(Vec<Part>),
    /// One of these services, or any where none is named, is in one of these troubles.
    Service(Vec<ServiceTrouble>, Vec<UnitId>),
    /// A figure of one of these services, or of any where none is named, is beyond a bound.
    ServiceReading(ServiceLevel, Vec<UnitId>),
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name; unique.
    pub name: String,
    /// What it watches for.
    pub when: Condition,
    /// Of whom, for conditions of targets.
    pub scope: Scope,
    /// How long it must be so before the alert begins.
    pub lasts: Duration,
    /// How long it must be good again before the alert ends.
    pub clear_for: Duration,
    /// How grave its alerts are.
    pub severity: Severity,
    /// How often people are reminded while it lasts and nobody has acknowledged it.
    pub remind: Option<Duration>,
    /// Whether people are told when it is over.
    pub recovery: bool,
    /// Names of the channels that are told; never empty unless there are no channels at all.
    pub channels: Vec<String>,
}

/// What a condition says now. `None` is: cannot tell, so nothing changes.
pub type Truth = Option<bool>;

impl Condition {
    /// Whether it is about targets, and not about StreamPulse itself.
    #[must_use]
    pub const fn of_targets(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Fault(_) | Self::Reading(_) | Self::Certificate(_))
    }

    /// Whether it is bad for a target. `score` is its health score.
    #[must_use]
    pub fn holds(&self, target: &TargetNow, score: Option<f64>, now: UtcMs) -> Truth {
        let status = target.state.status;
        match self {
            Self::Status(words) => of_status(words, status),
            Self::Fault(kinds) => match status {
                Status::Up => Some(false),
                Status::Down | Status::Degraded => {
                    let fault = target.last.as_ref().and_then(|seen| seen.look.fault.as_ref());
                    Some(fault.is_some_and(|fault| kinds.contains(&fault.kind)))
                }
                Status::Unknown | Status::Paused | Status::Maintenance => None,
            },
            Self::Reading(level) => {
                let value = level.measure.read(target.last.as_deref()?, score)?;
                level.judge(value)
            }
            Self::Certificate(within) => match target.last.as_ref()?.look.reading.facts.get(fact::CERT_EXPIRES_AT)? {
                FactValue::Time(ends) => Some(ends.since(now) < *within),
                _ => None,
            },
            Self::Sink(_) | Self::Own(_) | Self::Service(..) | Self::ServiceReading(..) => None,
        }
    }

    /// What is so now, in words, for a target of which it is bad.
    #[must_use]
    pub fn cause(&self, target: &TargetNow, score: Option<f64>, now: UtcMs) -> String {
        match self {
            Self::Reading(level) => match target.last.as_deref().and_then(|seen| level.measure.read(seen, score)) {
                Some(value) => level.words(value),
                None => target.state.reason.clone(),
            },
            Self::Certificate(_) => {
                match target.last.as_ref().and_then(|s| s.look.reading.facts.get(fact::CERT_EXPIRES_AT)) {
                    Some(FactValue::Time(ends)) if ends.since(now).is_zero() => {
                        "the certificate has expired".to_owned()
                    }
                    Some(FactValue::Time(ends)) => {
                        format!("the certificate expires in {:.1} days", ends.since(now).as_secs_f64() / 86_400.0)
                    }
                    _ => target.state.reason.clone(),
                }
            }
            _ => target.state.reason.clone(),
        }
    }
}

fn of_status(words: &[Status], status: Status) -> Truth {
    if words.contains(&status) {
        return Some(true);
    }
    match status {
        Status::Up => Some(false),
        // Worse than what the rule watches for is no recovery; the way from down to degraded is one.
        Status::Down if words.contains(&Status::Degraded) => None,
        Status::Down | Status::Degraded => Some(false),
        Status::Unknown | Status::Paused | Status::Maintenance => None,
    }
}

impl Side {
    /// Bad, good, or between the two bounds.
    pub(super) fn judge(self, value: f64, raise: f64, clear: f64) -> Truth {
        let (bad, good) = match self {
            Self::Above => (value > raise, value <= clear),
            Self::Below => (value < raise, value >= clear),
        };
        if bad { Some(true) } else { good.then_some(false) }
    }
}

impl Level {
    /// Bad, good, or between the two bounds.
    #[must_use]
    pub fn judge(&self, value: f64) -> Truth {
        self.side.judge(value, self.raise, self.clear)
    }

    /// The value beside its bound.
    #[must_use]
    pub fn words(&self, value: f64) -> String {
        let space = if self.measure.unit.is_empty() { "" } else { " " };
        let (what, unit, side) = (self.measure.what, self.measure.unit, self.side);
        format!("{what} is {}{space}{unit}, {side} {}{space}{unit}", number(value), number(self.raise))
    }
}

/// A number without needless digits.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn list<T: fmt::Display>(items: &[T], any: &str) -> String {
    if items.is_empty() {
        return any.to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// What is watched for, in words: the same over versions, because the identity of a rule is made of it.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(words) => write!(f, "status is {}", list(words, "bad")),
            Self::Fault(kinds) => write!(f, "fault is {}", list(kinds, "any")),
            Self::Reading(level) => {
                write!(f, "{} {} {} until {}", level.measure.name, level.side, level.raise, level.clear)
            }
            Self::Certificate(within) => write!(f, "certificate ends within {}", duration_text(*within)),
            Self::Sink(names) => write!(f, "{} does not work", list(names, "a sink or channel")),
            Self::Own(parts) => {
                let parts: Vec<&str> = parts.iter().map(|p| p.as_str()).collect();
                write!(f, "StreamPulse: {} unwell", list(&parts, "something"))
            }
            Self::Service(words, _) => write!(f, "service is {}", list(words, "in trouble")),
            Self::ServiceReading(level, _) => {
                write!(f, "service: {} {} {} until {}", level.figure, level.side, level.raise, level.clear)
            }
        }
    }
}

impl Rule {
    /// What makes it the rule that it is: with another one of these its alerts begin anew. Scope, channels and reminders are
    /// not part of it.
    #[must_use]
    pub fn identity(&self) -> String {
        let Self { name, when, lasts, clear_for, severity, .. } = self;
        format!("{name}|{when}|{}|{}|{severity}", lasts.as_millis(), clear_for.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_with_two_values_has_a_middle_where_nothing_changes() {
        let measure = Measure::by_name("bitrate_kbps").expect("in the table");
        let below = Level { measure, side: Side::Below, raise: 500.0, clear: 600.0 };
        let above = Level { measure, side: Side::Above, raise: 500.0, clear: 400.0 };
        for (level, value, truth) in [
            (below, 499.9, Some(true)),
            (below, 500.0, None),
            (below, 599.9, None),
            (below, 600.0, Some(false)),
            (above, 500.1, Some(true)),
            (above, 500.0, None),
            (above, 400.1, None),
            (above, 400.0, Some(false)),
        ] {
            assert_eq!(level.judge(value), truth, "{value} {level:?}");
        }
        assert_eq!(below.words(499.95), "bit rate is 499.95 kbit/s, below 500 kbit/s");
    }

    #[test]
    fn a_rule_of_degraded_does_not_end_when_it_gets_worse() {
        use Status::{Degraded, Down, Maintenance, Paused, Unknown, Up};
        for (words, status, truth) in [
            (&[Down][..], Down, Some(true)),
            (&[Down], Degraded, Some(false)),
            (&[Down], Up, Some(false)),
            (&[Down], Unknown, None),
            (&[Down], Paused, None),
            (&[Degraded], Degraded, Some(true)),
            (&[Degraded], Down, None),
            (&[Degraded], Up, Some(false)),
            (&[Down, Degraded], Down, Some(true)),
            (&[Unknown], Unknown, Some(true)),
            (&[Unknown], Down, Some(false)),
            (&[Unknown], Maintenance, None),
        ] {
            assert_eq!(of_status(words, status), truth, "{words:?} {status}");
        }
    }
}
