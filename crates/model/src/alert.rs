//! Alerts as values: rules and what they watch for, planned work, how alerts are now, and what people are told. Decides
//! nothing over time and delivers nothing.

mod board;
mod maintenance;
mod measure;
mod notification;
mod rule;
mod service;
mod settings;

pub use board::{About, Ack, AlertBoard, AlertNow, AlertPast, AlertPhase, Held, MAX_PAST, Mute, WindowNow};
pub use maintenance::{Cron, MonthDay, Schedule, Span, Window};
pub use measure::{MEASURES, Measure, Source};
pub use notification::{Notification, Stage, Subject};
pub use rule::{Condition, Level, Rule, Scope, Side, Truth};
pub use service::{FIGURES, Figure, ServiceLevel, ServiceTrouble, trouble};
pub use settings::{
    AlertSettings, CERTIFICATE_WITHIN, FLAP_CHANGES, FLAP_QUIET, FLAP_WITHIN, Flapping, GROUP_WINDOW, LIMIT,
    default_rules,
};

use crate::phase::words;

words! {
    /// How grave an alert is; the words are those of the field (Alertmanager, PagerDuty).
    Severity {
        /// Worth knowing.
        Info = "info",
        /// Should be looked at in working hours.
        Warning = "warning",
        /// Somebody must get up.
        Critical = "critical",
    }
}
