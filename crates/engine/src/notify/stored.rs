//! A notification as it is kept in the outbox, and back. The form is ours alone: it must be read again by later versions,
//! so keys are only ever added, and what a reader does not find has a meaning.

use model::alert::{Notification, Severity, Stage, Subject};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use serde_json::{Value, json};

/// The text that is kept.
pub(super) fn write(n: &Notification) -> String {
    let list = |subjects: &[Subject]| subjects.iter().map(subject).collect::<Vec<_>>();
    json!({
        "key": n.key,
        "alert": n.alert,
        "at": n.at.0,
        "began_at": n.began_at.0,
        "stage": n.stage.as_str(),
        "severity": n.severity.as_str(),
        "rule": n.rule,
        "title": n.title,
        "text": n.text,
        "subjects": list(&n.subjects),
        "explains": list(&n.explains),
        "more": n.more,
        "path": n.path,
        "note": n.note,
    })
    .to_string()
}

fn subject(s: &Subject) -> Value {
    json!({
        "id": s.id.as_str(),
        "name": s.name,
        "group": s.group,
        "status": s.status.as_str(),
        "since": s.since.0,
        "reason": s.reason,
    })
}

/// The notification of a text.
///
/// # Errors
/// A sentence about what is missing.
pub(super) fn read(json: &str) -> Result<Notification, String> {
    let v: Value = serde_json::from_str(json).map_err(|e| format!("the stored message is no JSON: {e}"))?;
    let text = |key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
    let wanted = |key: &str| text(key).ok_or_else(|| format!("the stored message has no {key}"));
    let time = |key: &str| v.get(key).and_then(Value::as_i64).map(UtcMs);
    let list = |key: &str| v.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(subject_of).collect();
    let at = time("at").ok_or("the stored message has no at")?;
    Ok(Notification {
        key: wanted("key")?,
        alert: wanted("alert")?,
        at,
        began_at: time("began_at").unwrap_or(at),
        stage: Stage::from_word(&wanted("stage")?).ok_or("the stored message has a stage that is not known")?,
        severity: Severity::from_word(&wanted("severity")?)
            .ok_or("the stored message has a severity that is not known")?,
        rule: text("rule").unwrap_or_default(),
        title: wanted("title")?,
        text: text("text").unwrap_or_default(),
        subjects: list("subjects"),
        explains: list("explains"),
        more: v.get("more").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        path: text("path").unwrap_or_default(),
        note: text("note"),
    })
}

fn subject_of(v: &Value) -> Option<Subject> {
    let text = |key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
    let id = TargetId::parse(&text("id")?).ok()?;
    Some(Subject {
        name: text("name").unwrap_or_else(|| id.as_str().to_owned()),
        id,
        group: text("group"),
        status: Status::from_word(&text("status")?)?,
        since: UtcMs(v.get("since").and_then(Value::as_i64)?),
        reason: text("reason").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let subject = |name: &str, group: Option<&str>| Subject {
            id: TargetId::from_name(name),
            name: name.to_owned(),
            group: group.map(str::to_owned),
            status: Status::Down,
            since: UtcMs(7),
            reason: "\"refused\"\n".to_owned(),
        };
        for stage in Stage::ALL {
            for severity in Severity::ALL {
                let n = Notification {
                    key: "k".to_owned(),
                    alert: "a".to_owned(),
                    at: UtcMs(9),
                    began_at: UtcMs(5),
                    stage: *stage,
                    severity: *severity,
                    rule: "r".to_owned(),
                    title: "ä 🎥".to_owned(),
                    text: "t".to_owned(),
                    subjects: vec![subject("Gate", Some("g"))],
                    explains: vec![subject("Yard", None), subject("Roof", None)],
                    more: 3,
                    path: "/alerts".to_owned(),
                    note: (*stage == Stage::Reminder).then(|| "n".to_owned()),
                };
                assert_eq!(read(&write(&n)), Ok(n));
            }
        }
        for bad in ["", "{}", "[]", "{\"at\":1}", "{\"at\":1,\"key\":\"k\",\"alert\":\"a\",\"stage\":\"odd\"}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
