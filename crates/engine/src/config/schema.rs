//! What the tables of fields say, as plain structs for forms and as a JSON Schema for editors.

use model::conf::{Field, Type, words};
use probe::kinds::KINDS;
use serde_json::{Map, Value, json};
use sink::channels::CHANNELS;

use super::alerts::{ALERTS, CONNECTIVITY, RULE};
use super::channels::CHANNEL;
use super::fields::{DEFAULTS, EXPECT, PROBING, SERVER, STORE, TARGET, TOP};
use super::influxdb::INFLUXDB;
use super::maintenance::WINDOW;
use super::metrics::METRICS;
use super::mqtt::MQTT;
use super::score::{SCORE, WEIGHTS};
use super::services::fields::SERVICES;

/// One section of the configuration, for forms and references.
#[derive(Clone, Debug)]
pub struct SectionDoc {
    /// `target` (keys of every target), `expect`, `kind:rtsp` (further keys of a kind), `top`, `server`, `store`, `probing`,
    /// `score`, `score.weights`, `influxdb`, `metrics`, `mqtt`, `defaults`.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// A target in YAML, for kinds.
    pub example: Option<&'static str>,
    /// URL schemes, for kinds.
    pub schemes: &'static [&'static str],
    /// Whether the kind carries media, so that `depth` and the media expectations apply.
    pub media: bool,
    /// Whether the kind can hold a session, so that `watch: continuous` applies.
    pub holds: bool,
    /// The keys, in the order in which a form shows them.
    pub fields: Vec<Field>,
}

/// Every section, for forms: those of the file first, then one per kind.
#[must_use]
pub fn describe() -> Vec<SectionDoc> {
    let section = |name: &str, summary: &str, fields: &[Field]| SectionDoc {
        name: name.to_owned(),
        summary: summary.to_owned(),
        example: None,
        schemes: &[],
        media: true,
        holds: true,
        fields: fields.to_vec(),
    };
    let mut all = vec![
        section("top", "The file itself.", TOP),
        section("server", "Where the dashboard and the API listen, and who may use them.", &SERVER),
        section("store", "How long history is kept.", &STORE),
        section("probing", "How many looks may be under way at once.", &PROBING),
        section("score", "How the health score, 0 to 100, is made of what was measured.", &SCORE),
        section("score.weights", "How much each part of the health score counts.", &WEIGHTS),
        section(
            "influxdb",
            "Writes every look, every change of status and figures of StreamPulse itself to InfluxDB, or to what speaks its line protocol. Without the section nothing is written.",
            INFLUXDB,
        ),
        section("metrics", "Who may read `/metrics`, and further names that it answers with.", &METRICS),
        section(
            "mqtt",
            "Publishes the status as a whole, every stream, events and alerts by MQTT, and announces streams to Home Assistant. Nothing is published unless it is switched on.",
            MQTT,
        ),
        section("defaults", "What every target has unless it, or one of its templates, says otherwise.", &DEFAULTS),
        section("target", "Keys of every target, whatever its kind.", TARGET),
        section("expect", "What is expected of a target beyond that the look succeeds.", &EXPECT),
        section("alerts", "What people are told of, how often, and through which channels.", &ALERTS),
        section(
            "rule",
            "One rule. It has exactly one of `status`, `fault`, `reading`, `certificate`, `sink`, `own`, `service` and `service_reading`; without `targets`, `groups` and `tags` it is for all targets.",
            RULE,
        ),
        section(
            "window",
            "Planned work. It has `from` and `until` with dates (once), `days` (weekly), `day` (monthly), or `cron`.",
            WINDOW,
        ),
        section("connectivity", "How StreamPulse knows that it has a network itself.", &CONNECTIVITY),
    ];
    all.extend(KINDS.iter().map(|kind| SectionDoc {
        name: format!("kind:{}", kind.name),
        summary: kind.summary.to_owned(),
        example: Some(kind.example),
        schemes: kind.schemes,
        media: kind.media,
        holds: kind.holds,
        fields: kind.fields.to_vec(),
    }));
    all.push(section("channel", "Keys of every channel, whatever its kind.", CHANNEL));
    all.extend(CHANNELS.iter().map(|kind| SectionDoc {
        name: format!("channel:{}", kind.name),
        summary: kind.summary.to_owned(),
        example: Some(kind.example),
        schemes: &[],
        media: false,
        holds: false,
        fields: kind.fields.to_vec(),
    }));
    all
}

/// JSON Schema (draft 2020-12) of `streampulse.yaml`, for editors that complete and check while one types. It knows every
/// key; what depends on several keys at once only the loader knows.
#[must_use]
pub fn schema() -> Value {
    let mut root = section(TOP);
    let object = |value: &mut Value, key: &str, to: Value| {
        if let Some(map) = value.as_object_mut() {
            map.insert(key.to_owned(), to);
        }
    };
    object(&mut root, "$schema", json!("https://json-schema.org/draft/2020-12/schema"));
    object(&mut root, "title", json!("StreamPulse configuration"));
    object(
        &mut root["properties"],
        "targets",
        json!({
            "description": TOP[6].doc,
            "type": ["array", "null"],
            "items": { "$ref": "#/$defs/target" },
            "maxItems": model::limits::MAX_TARGETS,
        }),
    );
    object(
        &mut root["properties"],
        "templates",
        json!({
            "description": TOP[5].doc,
            "type": ["object", "null"],
            "additionalProperties": { "$ref": "#/$defs/template" },
        }),
    );
    object(
        &mut root["properties"],
        "channels",
        json!({
            "description": doc_of("channels"),
            "type": ["array", "null"],
            "items": { "$ref": "#/$defs/channel" },
        }),
    );
    object(&mut root, "$defs", json!({ "target": target(), "template": template(), "channel": channel() }));
    root
}

/// JSON Schema (draft 2020-12) of the file of services.
#[must_use]
pub fn services_schema() -> Value {
    let mut root = section(&SERVICES);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("StreamPulse services");
    root
}

/// What the table says of a key of the file.
fn doc_of(key: &str) -> &'static str {
    TOP.iter().find(|f| f.key == key).map_or("", |f| f.doc)
}

/// A channel: the keys of all, and those of its kind.
fn channel() -> Value {
    let mut properties = properties(CHANNEL);
    let kind = CHANNEL.iter().find(|f| f.key == "kind").map_or("", |f| f.doc);
    let names: Vec<_> = CHANNELS.iter().map(|k| k.name).collect();
    properties.insert("kind".to_owned(), json!({ "description": kind, "enum": names }));
    let by_kind = CHANNELS.iter().map(|kind| {
        let required: Vec<_> = kind.fields.iter().filter(|f| f.required).map(|f| f.key).collect();
        json!({
            "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
            "then": { "properties": Value::Object(self::properties(kind.fields)), "required": required },
        })
    });
    let mut keys: Vec<_> = CHANNEL.iter().chain(CHANNELS.iter().flat_map(|k| k.fields)).map(|f| f.key).collect();
    keys.sort_unstable();
    keys.dedup();
    // A merge key brings keys from an anchor.
    keys.push("<<");
    json!({
        "type": "object",
        "properties": properties,
        "required": ["name", "kind"],
        "allOf": by_kind.collect::<Vec<_>>(),
        "propertyNames": { "enum": keys },
    })
}

/// The key is there and holds something.
fn given(key: &str) -> Value {
    json!({ "required": [key], "properties": { key: { "not": { "type": "null" } } } })
}

/// A target: the keys of all, and those of its kind.
fn target() -> Value {
    let mut properties = properties(TARGET);
    properties.insert("kind".to_owned(), kind_names());
    let by_kind = KINDS.iter().map(|kind| {
        let fields = Value::Object(self::properties(kind.fields));
        json!({
            "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
            "then": { "properties": fields },
        })
    });
    // Without `kind` it is guessed from the URL, which a schema cannot: any key of any kind is accepted then.
    json!({
        "type": "object",
        "properties": properties,
        "required": ["url"],
        "anyOf": [given("name"), given("id")],
        "allOf": by_kind.collect::<Vec<_>>(),
        "propertyNames": { "enum": all_keys(|_| true) },
    })
}

fn template() -> Value {
    let mut properties = properties(&DEFAULTS);
    properties.insert("kind".to_owned(), kind_names());
    let brought = |key: &str| !["id", "name", "url", "template"].contains(&key);
    json!({ "type": ["object", "null"], "properties": properties, "propertyNames": { "enum": all_keys(brought) } })
}

fn kind_names() -> Value {
    let doc = TARGET.iter().find(|f| f.key == "kind").map_or("", |f| f.doc);
    or_nothing(json!({ "description": doc, "enum": KINDS.iter().map(|k| k.name).collect::<Vec<_>>() }))
}

fn all_keys(keep: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let kinds = KINDS.iter().flat_map(|k| k.fields.iter());
    let mut keys: Vec<_> = TARGET.iter().chain(kinds).map(|f| f.key).filter(|key| keep(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    // A merge key brings keys from an anchor.
    keys.push("<<");
    keys
}

fn section(fields: &[Field]) -> Value {
    let required: Vec<_> = fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    let mut out = json!({
        "type": "object",
        "properties": properties(fields),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn properties(fields: &[Field]) -> Map<String, Value> {
    fields.iter().map(|f| (f.key.to_owned(), property(f))).collect()
}

/// The same, or null: a key without a value is as good as absent.
fn or_nothing(mut schema: Value) -> Value {
    if let Some(ty) = schema.get_mut("type") {
        match ty {
            Value::Array(types) => types.push(json!("null")),
            one => *one = json!([one.take(), "null"]),
        }
    } else if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.push(json!({ "type": "null" }));
    } else if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    } // else it takes anything as it is
    schema
}

fn property(field: &Field) -> Value {
    let mut out = of_type(&field.ty);
    if !field.required {
        out = or_nothing(out);
    }
    if let Some(map) = out.as_object_mut() {
        map.insert("description".to_owned(), json!(field.doc));
        if let Some(default) = field.default {
            map.insert("default".to_owned(), default_value(&field.ty, default));
        }
    }
    out
}

fn default_value(ty: &Type, text: &str) -> Value {
    match ty {
        Type::Bool => json!(text == "true"),
        Type::Integer { .. } => text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n)),
        Type::Number { .. } => text.parse::<f64>().map_or_else(|_| json!(text), |n| json!(n)),
        Type::List(inner) => json!([default_value(inner, text)]),
        _ => json!(text),
    }
}

fn of_type(ty: &Type) -> Value {
    // A variable may stand in place of any scalar.
    let or_variable = |schema: Value| json!({ "anyOf": [schema, { "type": "string", "pattern": "\\$\\{" }] });
    match ty {
        Type::Text { max } => json!({ "type": ["string", "number", "boolean"], "maxLength": max }),
        Type::Secret => json!({ "type": ["string", "number"], "writeOnly": true }),
        Type::Bool => or_variable(json!({ "type": "boolean" })),
        Type::Integer { min, max } => or_variable(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Type::Number { min, max } => or_variable(json!({ "type": "number", "minimum": min, "maximum": max })),
        Type::Duration { .. } => json!({
            "type": "string",
            "pattern": "^\\s*([0-9.]+\\s*(ms|s|m|h|d)\\s*)+$|\\$\\{",
        }),
        Type::Size { .. } => or_variable(json!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$",
        })),
        Type::Choice(words) => or_variable(json!({ "enum": words })),
        Type::List(inner) => {
            let inner = of_type(inner);
            json!({ "anyOf": [{ "type": "array", "items": inner }, inner] })
        }
        Type::MapOf(inner) => json!({ "type": "object", "additionalProperties": of_type(inner) }),
        Type::Section(fields) => section(fields),
        Type::Sections(fields) => json!({ "type": "array", "items": section(fields) }),
        Type::Any => json!({}),
    }
}

/// What a key may hold, in words for people.
pub(super) fn type_words(ty: &Type) -> String {
    let duration = words::duration_text;
    match ty {
        Type::Text { .. } => "text".to_owned(),
        Type::Secret => "text, secret".to_owned(),
        Type::Bool => "`true` or `false`".to_owned(),
        Type::Integer { min, max } => format!("whole number, {min} to {max}"),
        Type::Number { min, max } => format!("number, {min} to {max}"),
        Type::Duration { min, max } => format!("duration, {} to {}", duration(*min), duration(*max)),
        Type::Size { min, max } => format!("size, {} to {}", size(*min), size(*max)),
        Type::Choice(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Type::List(inner) => format!("one or a list of: {}", type_words(inner)),
        Type::MapOf(inner) => format!("names, each with: {}", type_words(inner)),
        Type::Section(_) => "section".to_owned(),
        Type::Sections(_) => "list of sections".to_owned(),
        Type::Any => "see below".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}
