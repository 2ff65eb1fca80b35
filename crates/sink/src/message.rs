//! What a notification says, in words and as a document, the same for every channel. Owns sentences, times and cutting;
//! the letters that a service needs escaped are that service's.

mod document;
mod layout;

pub use document::document;
pub use layout::{Style, body, bytes, chars, utf16};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::alert::{Notification, Severity, Stage, Subject};
use model::time::UtcMs;

use crate::channel::Around;

/// One line that begins with what matters: how grave, or that it is over.
#[must_use]
pub fn headline(n: &Notification) -> String {
    let word = match n.stage {
        Stage::Raised | Stage::Changed => severity_word(n.severity),
        Stage::Reminder => "STILL",
        Stage::Recovered => "RESOLVED",
        Stage::Digest => "DIGEST",
        Stage::Test => "TEST",
    };
    format!("{word}: {}", one_line(&n.title))
}

/// The severity as it begins a headline.
const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFO",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    }
}

/// A picture letter for chat services, so that the eye finds what is over.
#[must_use]
pub const fn sign(n: &Notification) -> &'static str {
    match (n.stage, n.severity) {
        (Stage::Recovered, _) => "✅",
        (Stage::Test | Stage::Digest, _) | (_, Severity::Info) => "ℹ️",
        (_, Severity::Warning) => "⚠️",
        (_, Severity::Critical) => "🔴",
    }
}

/// A colour for the bar that chat services draw, as 0xRRGGBB.
#[must_use]
pub const fn colour(n: &Notification) -> u32 {
    match (n.stage, n.severity) {
        (Stage::Recovered, _) => 0x2e_a0_43,
        (Stage::Test | Stage::Digest, _) | (_, Severity::Info) => 0x38_82_f6,
        (_, Severity::Warning) => 0xd2_99_22,
        (_, Severity::Critical) => 0xda_36_33,
    }
}

/// Address of the page that shows more, where the address of the dashboard is known.
#[must_use]
pub fn link(n: &Notification, around: &Around) -> Option<String> {
    let base = around.base_url.as_deref()?.trim_end_matches('/');
    if base.is_empty() {
        return None;
    }
    let path = if n.path.starts_with('/') { n.path.as_str() } else { "/" };
    Some(format!("{base}{path}"))
}

/// One target in one line: what, how, since when, why.
#[must_use]
pub fn subject_line(subject: &Subject, zone: &TimeZone) -> String {
    let group = subject.group.as_deref().map_or_else(String::new, |group| format!(" ({})", one_line(group)));
    let name = one_line(&subject.name);
    let mut line = format!("{name}{group}: {} since {}", subject.status, when(subject.since, zone));
    if !subject.reason.is_empty() {
        line.push_str(" - ");
        line.push_str(&one_line(&subject.reason));
    }
    line
}

/// When it began and, where it is over, how long it lasted.
#[must_use]
pub fn time_line(n: &Notification, zone: &TimeZone) -> String {
    let began = when(n.began_at, zone);
    match n.stage {
        Stage::Recovered => format!("Began {began}, over {} after {}.", when(n.at, zone), lasted(n)),
        Stage::Reminder => format!("Since {began}, for {}.", lasted(n)),
        Stage::Raised | Stage::Changed => format!("Since {began}."),
        Stage::Digest | Stage::Test => format!("Sent {}.", when(n.at, zone)),
    }
}

/// A time for people: date, time and zone.
#[must_use]
pub fn when(at: UtcMs, zone: &TimeZone) -> String {
    let Ok(at) = Timestamp::from_millisecond(at.0) else { return format!("{} ms after 1970", at.0) };
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A time for programs: RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(at: UtcMs) -> String {
    Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::MAX).to_string()
}

fn lasted(n: &Notification) -> String {
    let seconds = n.at.since(n.began_at).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The text in one line: control characters and runs of white space become one blank.
#[must_use]
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// At most `most` letters; what was cut off is shown by an ellipsis, which counts.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use model::status::Status;
    use model::target::TargetId;
    use net::clock::SystemClock;

    use super::*;

    pub(crate) fn around() -> Around {
        let base_url = Some("https://watch.example/".to_owned());
        Around { base_url, zone: TimeZone::UTC, clock: Arc::new(SystemClock::new()) }
    }

    pub(crate) fn subject(name: &str, reason: &str) -> Subject {
        let id = TargetId::from_name(name);
        let (group, since) = (Some("Entrance".to_owned()), UtcMs(1_763_380_800_000));
        Subject { id, name: name.to_owned(), group, status: Status::Down, since, reason: reason.to_owned() }
    }

    pub(crate) fn notification() -> Notification {
        Notification {
            key: "down/gate#1".to_owned(),
            alert: "down/gate".to_owned(),
            at: UtcMs(1_763_380_890_000),
            began_at: UtcMs(1_763_380_800_000),
            stage: Stage::Raised,
            severity: Severity::Critical,
            rule: "down".to_owned(),
            title: "Gate is down".to_owned(),
            text: "It does not answer.".to_owned(),
            subjects: vec![subject("Gate", "connection refused by 10.0.0.5:554")],
            explains: vec![subject("Yard", "no answer within 8 s")],
            more: 3,
            path: "/stream/gate".to_owned(),
            note: None,
        }
    }

    #[test]
    fn headlines_times_and_links() {
        let mut n = notification();
        assert_eq!(headline(&n), "CRITICAL: Gate is down");
        assert_eq!(time_line(&n, &TimeZone::UTC), "Since 2025-11-17 12:00:00 UTC.");
        n.stage = Stage::Recovered;
        n.title = "Gate\r\nis\u{7} up".to_owned();
        assert_eq!(headline(&n), "RESOLVED: Gate is up");
        let zone = TimeZone::get("Europe/Zurich").expect("it is known");
        let line = time_line(&n, &zone);
        assert_eq!(line, "Began 2025-11-17 13:00:00 CET, over 2025-11-17 13:01:30 CET after 1 min 30 s.");
        assert_eq!(link(&n, &around()).as_deref(), Some("https://watch.example/stream/gate"));
        assert_eq!(link(&n, &Around { base_url: None, ..around() }), None);
        assert_eq!(rfc3339(n.at), "2025-11-17T12:01:30Z");
        assert_eq!([cut("abc", 3), cut("abcd", 3), cut("äöüß", 3)], ["abc", "ab…", "äö…"]);
    }
}
