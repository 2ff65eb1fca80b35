//! A notification as a JSON document for programs: what webhooks, commands and brokers are given. The shape is a promise.

use model::alert::{Notification, Subject};
use serde_json::{Value, json};

use super::{link, rfc3339};
use crate::channel::Around;

/// Version of the shape: it counts up when something is taken away or changes its meaning.
const VERSION: u32 = 1;

/// The document. Every key is always there; what is not known is null.
#[must_use]
pub fn document(n: &Notification, around: &Around) -> Value {
    json!({
        "version": VERSION,
        "key": n.key,
        "alert": n.alert,
        "at": rfc3339(n.at),
        "began_at": rfc3339(n.began_at),
        "stage": n.stage.as_str(),
        "severity": n.severity.as_str(),
        "rule": n.rule,
        "title": n.title,
        "text": n.text,
        "subjects": n.subjects.iter().map(subject).collect::<Vec<_>>(),
        "explains": n.explains.iter().map(subject).collect::<Vec<_>>(),
        "more": n.more,
        "url": link(n, around),
        "note": n.note,
    })
}

fn subject(s: &Subject) -> Value {
    json!({
        "id": s.id.as_str(),
        "name": s.name,
        "group": s.group,
        "status": s.status.as_str(),
        "since": rfc3339(s.since),
        "reason": s.reason,
    })
}
