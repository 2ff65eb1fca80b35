//! What people are told: one notification, made once, delivered through any number of channels.

use super::Severity;
use crate::phase::words;
use crate::status::Status;
use crate::target::TargetId;
use crate::time::UtcMs;

words! {
    /// Where in the life of an alert a notification stands.
    Stage {
        /// The alert began.
        Raised = "raised",
        /// It is still so.
        Reminder = "reminder",
        /// It changed: graver, another cause, or it is flapping now.
        Changed = "changed",
        /// It is over.
        Recovered = "recovered",
        /// What a limit held back, in one message.
        Digest = "digest",
        /// Somebody pressed the test button.
        Test = "test",
    }
}

/// A target that a notification speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which target.
    pub id: TargetId,
    /// Its name for people.
    pub name: String,
    /// Its group.
    pub group: Option<String>,
    /// Its status when the notification was made.
    pub status: Status,
    /// Since when it has this status.
    pub since: UtcMs,
    /// Why, in words; no secret.
    pub reason: String,
}

/// One message to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Names this message: the same over retries and restarts, so that a receiver can drop a second delivery.
    pub key: String,
    /// Names the alert: the same in all its messages, so that receivers (PagerDuty, Alertmanager) join them.
    pub alert: String,
    /// When it was made.
    pub at: UtcMs,
    /// When the alert began.
    pub began_at: UtcMs,
    /// Where in the alert's life it stands.
    pub stage: Stage,
    /// How grave the alert is.
    pub severity: Severity,
    /// Name of the rule.
    pub rule: String,
    /// One line.
    pub title: String,
    /// What is known, in sentences, without the lists below.
    pub text: String,
    /// What it is about; empty when it is about StreamPulse itself. Cut at a bound, [`Notification::more`] says by how many.
    pub subjects: Vec<Subject>,
    /// What the subjects explain (children of a parent), cut as well.
    pub explains: Vec<Subject>,
    /// How many subjects and explained targets were left off.
    pub more: usize,
    /// Path of the page that shows more, such as `/stream/gate`; empty when there is none.
    pub path: String,
    /// Note of who acknowledged the alert, where somebody did.
    pub note: Option<String>,
}
