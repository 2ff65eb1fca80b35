//! What the tests of channels share: a notification, and channels made of keys and values. Tests only.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;

use jiff::tz::TimeZone;
use model::alert::{Notification, Severity, Stage, Subject};
use model::conf::{Node, Problem, Section, Type, Value};
use model::status::Status;
use model::target::TargetId;
use model::time::UtcMs;
use net::clock::SystemClock;
use sink::channel::{Around, Channel};
use sink::channels::by_name;

pub(crate) fn around() -> Around {
    let base_url = Some("https://watch.example".to_owned());
    Around { base_url, zone: TimeZone::UTC, clock: Arc::new(SystemClock::new()) }
}

pub(crate) fn subject(name: &str, reason: &str) -> Subject {
    let id = TargetId::from_name(name);
    let since = UtcMs(1_763_380_800_000);
    Subject {
        id,
        name: name.to_owned(),
        group: Some("Entrance".to_owned()),
        status: Status::Down,
        since,
        reason: reason.to_owned(),
    }
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
        more: 0,
        path: "/stream/gate".to_owned(),
        note: None,
    }
}

/// A value as the type of its key wants it; lists are written with commas.
fn value(ty: &Type, text: &str) -> Value {
    match ty {
        Type::Bool => Value::Bool(text == "true"),
        Type::Integer { .. } => Value::Int(text.parse().unwrap()),
        Type::List(_) => Value::List(text.split(", ").map(|item| Node::bare(Value::Str(item.to_owned()))).collect()),
        Type::MapOf(_) => {
            let (name, value) = text.split_once(": ").unwrap();
            Value::Map(vec![(name.to_owned(), Node::bare(Value::Str(value.to_owned())))])
        }
        _ => Value::Str(text.to_owned()),
    }
}

/// A channel of these keys.
pub(crate) fn build(kind: &str, options: &[(&str, &str)]) -> Result<Box<dyn Channel>, Vec<Problem>> {
    let kind = by_name(kind).unwrap();
    let pairs = options.iter().map(|(key, text)| {
        let field =
            kind.fields.iter().find(|f| f.key == *key).unwrap_or_else(|| panic!("{} has no key {key}", kind.name));
        ((*key).to_owned(), Node::bare(value(&field.ty, text)))
    });
    let node = Node::bare(Value::Map(pairs.collect()));
    let mut problems = Vec::new();
    let section = Section::check(&node, kind.fields, "", &mut problems);
    match (kind.build)(&section) {
        Ok(channel) if problems.is_empty() => Ok(channel),
        Ok(_) => Err(problems),
        Err(found) => Err(problems.into_iter().chain(found).collect()),
    }
}
