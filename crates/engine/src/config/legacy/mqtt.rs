//! The `mqtt` block of StreamPulse 2.x in the current form: same broker, same topic, same cadence.
//!
//! What 2.x did and this does: a quality of service outside of 0 to 2 is taken as the nearest, and an interval below 5 s as 5 s. What
//! 2.x did and this does not: without a host it published to a public broker; and its page wrote the text `None` where a
//! user name or a password was empty, which is taken as none.

use model::conf::{Field, Problem, Section, Type};

use super::super::targets::only;
use super::super::tree::{Body, Entry, Item, Style};
use super::{IMPORT, entry};

const TEXT: Type = Type::Text { max: 4096 };
const PORT: Type = Type::Integer { min: 1, max: 65_535 };

/// Keys of `mqtt`, as the 2.2 code reads them.
pub(super) static MQTT: [Field; 16] = [
    Field::new("enabled", Type::Bool, "").default("false"),
    Field::new("host", TEXT, ""),
    Field::new("port", PORT, ""),
    Field::new("ws_port", PORT, ""),
    Field::new("tls_port", PORT, ""),
    Field::new("tls_ws_port", PORT, ""),
    Field::new("use_tls", Type::Bool, ""),
    Field::new("use_websocket", Type::Bool, ""),
    Field::new("username", TEXT, ""),
    Field::new("password", Type::Secret, ""),
    Field::new("client_id", TEXT, ""),
    Field::new("topic", TEXT, ""),
    Field::new("qos", Type::Integer { min: i64::MIN, max: i64::MAX }, ""), // 2.x clamps it
    Field::new("retain", Type::Bool, ""),
    Field::new("interval_seconds", Type::Number { min: 0.0, max: 86_400.0 }, ""),
    Field::new("tls_insecure", Type::Bool, ""),
];
/// Known to 2.x and without meaning here: the process asked itself by HTTP.
const IGNORED: &str = "api_status_url";
/// Topic of a block that names none, as the 2.x code has it.
const TOPIC: &str = "stream_monitor/status";
/// What the page of 2.x wrote in place of nothing.
const NONE: &str = "None";
/// Shortest interval of 2.x, in seconds.
const SHORTEST: f64 = 5.0;

/// The block with the keys and values of the current form; `None` when there is none, or it is wrong.
pub(super) fn converted(root: &Item, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> Option<Item> {
    let item = root.get("mqtt").filter(|i| !i.is_null())?;
    let before = problems.len();
    let known = only(item, |key| key != IGNORED);
    let checked = if item.is_map() { &known } else { item };
    let node = checked.node_of(&MQTT);
    let mut found = Vec::new();
    let section = Section::check(&node, &MQTT, "mqtt", &mut found);
    // 2.x did not look at keys it does not know.
    let (unknown, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| p.message.starts_with("unknown key"));
    warnings.extend(unknown);
    problems.extend(wrong);
    if problems.len() > before {
        return None;
    }
    let mut warn = |key: &str, message: String, remedy: &str| {
        let place = item.get(key).map_or(item.place, |i| i.place);
        warnings.push(Problem::new(Some(place), format!("mqtt.{key}"), message).with_remedy(remedy));
    };
    if item.get(IGNORED).is_some() {
        warn(IGNORED, format!("{IGNORED} has no effect: the status is at hand and is asked of nobody"), "remove it");
    }
    let mut entries: Vec<Entry> = item.entries().filter(|e| section_has(&section, &e.key)).cloned().collect();
    let enabled = section.bool("enabled") == Some(true);
    let no_host = section.text("host").is_none_or(|host| host.trim().is_empty());
    if enabled && no_host {
        set(&mut entries, "enabled", "false", Style::Plain, item);
        let message =
            "nothing is published by MQTT: there is no host, and StreamPulse 2.x would have told a public broker";
        warn("host", message.to_owned(), "name your broker");
    }
    for key in ["username", "password"].iter().filter(|key| section.text(key).as_deref() == Some(NONE)) {
        entries.retain(|e| e.key != *key);
        warn(
            key,
            format!("{NONE:?} is taken as nothing: StreamPulse 2.x wrote it in place of an empty field"),
            "remove it",
        );
    }
    if !entries.iter().any(|e| e.key == "username") && entries.iter().any(|e| e.key == "password") {
        entries.retain(|e| e.key != "password");
        warn("password", "a password without a user name has no effect".to_owned(), "add username, or remove it");
    }
    if let Some(qos) = section.integer("qos") {
        set(&mut entries, "qos", &qos.clamp(0, 2).to_string(), Style::Plain, item);
    }
    if let Some(seconds) = section.number("interval_seconds") {
        set(&mut entries, "interval_seconds", &format!("{:.0}", seconds.max(SHORTEST)), Style::Plain, item);
    }
    if section.text("topic").is_none_or(|topic| topic.trim().is_empty()) {
        set(&mut entries, "topic", TOPIC, Style::Quoted, item);
    }
    Some(Item { body: Body::Map { entries, flow: false }, ..Item::empty_map() }.at(item))
}

/// Whether a key of the block is one of 2.x and holds something.
fn section_has(section: &Section<'_>, key: &str) -> bool {
    MQTT.iter().any(|f| f.key == key) && section.node(key).is_some() && section.text(key).as_deref() != Some("")
}

fn set(entries: &mut Vec<Entry>, key: &str, text: &str, style: Style, block: &Item) {
    let place = entries.iter().find(|e| e.key == key).map_or(block.place, |e| e.value.place);
    entries.retain(|e| e.key != key);
    let mut made = entry(key, text.to_owned(), place);
    made.value.body = Body::Scalar { text: text.to_owned(), style };
    entries.push(made);
}

/// Whether a 2.x file can hold this key, or the section.
pub(in crate::config) fn holds(path: &str) -> bool {
    path == "mqtt" || path.strip_prefix("mqtt.").is_some_and(|key| MQTT.iter().any(|f| f.key == key))
}

/// What is said of an enabled block.
pub(super) fn beyond(item: &Item) -> Problem {
    let message = "besides the topic of 2.x, a topic per stream, events and whether StreamPulse runs are published below streampulse/";
    Problem::new(Some(item.place), "mqtt", message).with_remedy(IMPORT)
}
