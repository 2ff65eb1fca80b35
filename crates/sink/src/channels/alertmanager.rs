//! Kind `alertmanager`: alerts handed to a Prometheus Alertmanager (API version 2), which groups, silences and routes them by
//! its own rules.
//!
//! An Alertmanager takes an alert for over when nobody repeats it; we repeat nothing, so a firing one is given an end far away
//! and its recovery moves that to now. The severity is a label, so an alert whose severity changes is another one there: the
//! others are ended in the same request.

use std::time::Duration;

use model::alert::{Notification, Severity, Stage};
use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;
use model::time::UtcMs;
use serde_json::{Map, Value, json};

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, join_fields};
use crate::message::{self, Style};
use crate::post::{self, Letter, POST_FIELDS, Receiver, net_header};
use crate::veil::Veil;

/// How long a firing alert lasts at most without a word from us.
const FIRING: Duration = Duration::from_secs(30 * 86_400);
/// How long what is no alert (a digest, a test) is shown.
const SHOWN: Duration = Duration::from_secs(300);
/// Most letters of a description.
const MAX_DESCRIPTION: usize = 4_000;
/// Labels that are set here.
const OWN_LABELS: [&str; 4] = ["alertname", "alert", "severity", "source"];

const OWN_FIELDS: [Field; 5] = [
    Field::new("url", Type::Text { max: 2000 }, "Address of the Alertmanager, with the path where it has one.")
        .required(),
    Field::new("user", Type::Text { max: 256 }, "User name for Basic authentication."),
    Field::new("password", Type::Secret, "Password for Basic authentication."),
    Field::new("token", Type::Secret, "Token for Bearer authentication."),
    Field::new("labels", Type::MapOf(&Type::Text { max: 500 }), "Further labels of every alert, as name: value."),
];
static FIELDS: [Field; 11] = join_fields(&[&OWN_FIELDS, &POST_FIELDS]);

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "alertmanager",
    summary: "A Prometheus Alertmanager, which routes alerts by its own rules",
    example: "\
name: alertmanager
kind: alertmanager
url: http://alertmanager.example.com:9093
labels: {team: video}
",
    fields: &FIELDS,
    build,
};

struct Alertmanager {
    receiver: Receiver,
    token: Option<Secret>,
    labels: Vec<(String, String)>,
}

fn build(section: &Section<'_>) -> Built {
    let mut problems = Vec::new();
    let token =
        section.node("token").and_then(|_| post::token(section, "token", |c| c.is_ascii_graphic(), &mut problems));
    let labels = section.pairs("labels");
    for (name, _) in &labels {
        let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let path = format!("{}.{name}", section.path_of("labels"));
        if !good || name.is_empty() {
            let problem = Problem::new(section.place_of("labels"), path, "is no name of a label");
            problems.push(problem.with_remedy("letters, digits and _, not beginning with a digit"));
        } else if OWN_LABELS.contains(&name.as_str()) {
            problems.push(Problem::new(section.place_of("labels"), path, "is set by StreamPulse itself"));
        }
    }
    let base = post::address(section, "url", &mut problems);
    let made = base.and_then(|base| {
        let mut address = post::below(&base, "/api/v2/alerts").ok()?;
        if let Some(user) = section.text("user") {
            let password = section.secret("password").unwrap_or_default();
            address = address.with_credentials(Some(model::address::Credentials { user, password }));
        }
        let veil = Veil::new(token.iter().map(Secret::expose));
        let receiver = Receiver::new(address, section, veil, &mut problems);
        Some(Alertmanager { receiver, token, labels })
    });
    post::built(made, problems)
}

impl Alertmanager {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let end = match n.stage {
            Stage::Raised | Stage::Reminder | Stage::Changed => n.at.plus(FIRING),
            Stage::Digest | Stage::Test => n.at.plus(SHOWN),
            Stage::Recovered => n.at,
        };
        let mut alerts = vec![self.alert(n, n.severity, end, around)];
        if matches!(n.stage, Stage::Changed | Stage::Recovered) {
            let others = Severity::ALL.iter().filter(|severity| **severity != n.severity);
            alerts.extend(others.map(|severity| self.alert(n, *severity, n.at, around)));
        }
        let mut letter = Letter::json(&Value::Array(alerts));
        if let Some(token) = &self.token {
            letter = letter.with(net_header("authorization"), &format!("Bearer {}", token.expose()));
        }
        self.receiver.post(letter, around).await
    }

    /// What names the alert stays the same from its first message to its recovery; the rest are annotations.
    fn alert(&self, n: &Notification, severity: Severity, end: UtcMs, around: &Around) -> Value {
        let style = Style { escape: str::to_owned, measure: message::chars, most: MAX_DESCRIPTION, link: false };
        let own = [n.rule.as_str(), n.alert.as_str(), severity.as_str(), "streampulse"];
        let mut labels: Map<String, Value> =
            OWN_LABELS.iter().zip(own).map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        labels.extend(self.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        let mut alert = json!({
            "labels": labels,
            "annotations": {
                "summary": message::one_line(&n.title),
                "description": message::body(n, around, style),
                "stage": n.stage.as_str(),
                "targets": n.subjects.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", "),
            },
            "startsAt": message::rfc3339(n.began_at),
            // An end that is not behind the beginning is refused.
            "endsAt": message::rfc3339(end.max(n.began_at.plus(Duration::from_millis(1)))),
        });
        if let Some(link) = message::link(n, around) {
            alert["generatorURL"] = link.into();
        }
        alert
    }
}

impl Channel for Alertmanager {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }
}
