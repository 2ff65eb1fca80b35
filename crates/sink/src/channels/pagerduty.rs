//! Kind `pagerduty`: the Events API version 2 of PagerDuty, or of services that take the same. An alert is one incident from
//! its first message to its recovery, because all of them carry the same key.
//!
//! A digest is no incident: it is told as a change event. A test opens an incident and resolves it at once.

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Section, Type};
use model::secret::Secret;
use serde_json::{Value, json};

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver};
use crate::veil::Veil;

/// Most letters of a summary (developer.pagerduty.com, "PD-CEF").
const MAX_SUMMARY: usize = 1_024;
/// Most letters of the details: an event may have 512 KB, and nobody reads more.
const MAX_DETAILS: usize = 20_000;
/// Longest key of an incident.
const MAX_KEY_BYTES: usize = 255;

const OWN_FIELDS: [Field; 2] = [
    Field::new("routing_key", Type::Secret, "Integration key of a service, for the Events API version 2.").required(),
    Field::new(
        "url",
        Type::Text { max: 2000 },
        "Address of the service; https://events.eu.pagerduty.com for accounts in Europe.",
    )
    .default("https://events.pagerduty.com"),
];
static FIELDS: [Field; 8] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    summary: "Incidents at PagerDuty: opened, changed and resolved with the alert",
    example: "\
name: on-call
kind: pagerduty
routing_key: ${PAGERDUTY_KEY}
min_severity: critical
",
    fields: &FIELDS,
    build,
};

struct PagerDuty {
    events: Receiver,
    changes: Receiver,
    key: Secret,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let key = post::token(section, "routing_key", |c| c.is_ascii_graphic(), &mut problems);
    let base = post::address(section, "url", &mut problems);
    let made = base.zip(key).and_then(|(base, key)| {
        let mut receiver = |path: &str| {
            let address = post::below(&base, path).ok()?;
            Some(Receiver::new(address, section, Veil::new([key.expose()]), &mut problems))
        };
        let (events, changes) = (receiver("/v2/enqueue")?, receiver("/v2/change/enqueue")?);
        Some(PagerDuty { events, changes, key })
    });
    post::built(made, problems)
}

impl PagerDuty {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        match n.stage {
            Stage::Digest => self.changes.post(Letter::json(&self.change(n, around)), around).await,
            Stage::Test => {
                self.events.post(Letter::json(&self.event("trigger", n, around)), around).await?;
                self.events.post(Letter::json(&self.event("resolve", n, around)), around).await
            }
            Stage::Recovered => self.events.post(Letter::json(&self.event("resolve", n, around)), around).await,
            Stage::Raised | Stage::Reminder | Stage::Changed => {
                self.events.post(Letter::json(&self.event("trigger", n, around)), around).await
            }
        }
    }

    fn event(&self, action: &str, n: &Notification, around: &Around) -> Value {
        let group = n.subjects.first().and_then(|s| s.group.clone());
        json!({
            "routing_key": self.key.expose(),
            "event_action": action,
            "dedup_key": dedup_key(&n.alert),
            "client": "StreamPulse",
            "client_url": message::link(n, around),
            "links": links(n, around),
            "payload": {
                "summary": message::cut(&message::one_line(&n.title), MAX_SUMMARY),
                "source": n.subjects.first().map_or("StreamPulse", |s| s.name.as_str()),
                "severity": severity(n.severity),
                "timestamp": message::rfc3339(n.at),
                "class": n.rule,
                "group": group,
                "custom_details": details(n, around),
            },
        })
    }

    fn change(&self, n: &Notification, around: &Around) -> Value {
        json!({
            "routing_key": self.key.expose(),
            "links": links(n, around),
            "payload": {
                "summary": message::cut(&message::one_line(&n.title), MAX_SUMMARY),
                "source": "StreamPulse",
                "timestamp": message::rfc3339(n.at),
                "custom_details": details(n, around),
            },
        })
    }
}

/// What is known, for the page of the incident.
fn details(n: &Notification, around: &Around) -> Value {
    let style = Style { escape: str::to_owned, measure: message::chars, most: MAX_DETAILS, link: false };
    json!({ "text": message::body(n, around, style), "stage": n.stage.as_str(), "rule": n.rule, "key": n.key })
}

fn links(n: &Notification, around: &Around) -> Value {
    let link = message::link(n, around);
    link.map_or_else(|| json!([]), |href| json!([{ "href": href, "text": "Open in StreamPulse" }]))
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The key of the incident; one that is too long keeps its beginning, and a hash of the whole tells it from others.
fn dedup_key(alert: &str) -> String {
    if alert.len() <= MAX_KEY_BYTES {
        return alert.to_owned();
    }
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, alert.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let room = MAX_KEY_BYTES - hex.len() - 1;
    format!("{}-{hex}", &alert[..alert.floor_char_boundary(room)])
}

impl Channel for PagerDuty {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_stay_different_and_short_ones_as_they_are() {
        assert_eq!(dedup_key("down/gate"), "down/gate");
        let (a, b) = (dedup_key(&format!("{}a", "ü".repeat(300))), dedup_key(&format!("{}b", "ü".repeat(300))));
        assert!(a != b && a.len() <= MAX_KEY_BYTES && b.len() <= MAX_KEY_BYTES);
    }
}
