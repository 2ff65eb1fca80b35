//! Alerts as values: how grave one is and what people are told. Decides nothing and delivers nothing.

mod notification;

pub use notification::{Notification, Stage, Subject};

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
