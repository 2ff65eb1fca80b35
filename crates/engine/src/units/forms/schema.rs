//! A form as a JSON Schema (draft 2020-12), from which a page or a program makes a dialogue. Holds no value that was set.

use model::unit::form::{Form, Key, KeyType, Must};
use serde_json::{Map, Value as Json, json};

use super::values::{MAX_SECRET_BYTES, to_json};

/// The schema of a form. The order of the keys stands in `x-order`, since objects have none.
#[must_use]
pub fn schema(form: &Form, title: &str) -> Json {
    let properties: Map<String, Json> = form.keys.iter().map(|key| (key.name.clone(), property(key))).collect();
    let names =
        |keep: fn(&&Key) -> bool| form.keys.iter().filter(keep).map(|key| key.name.as_str()).collect::<Vec<_>>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": names(|key| key.required && key.default.is_none()),
        "additionalProperties": false,
        "x-order": names(|_| true),
    })
}

fn property(key: &Key) -> Json {
    let mut out = Map::new();
    let mut put = |name: &str, value: Json| drop(out.insert(name.to_owned(), value));
    put("title", json!(key.title));
    if !key.description.is_empty() {
        put("description", json!(key.description));
    }
    match &key.ty {
        KeyType::Text { max, pattern, choices } => {
            put("type", json!("string"));
            put("maxLength", json!(max));
            if let Some(pattern) = pattern {
                put("pattern", json!(format!("^(?:{pattern})$")));
            }
            if !choices.is_empty() {
                put("enum", json!(choices));
            }
        }
        KeyType::Secret => {
            put("type", json!("string"));
            put("format", json!("password"));
            put("writeOnly", json!(true));
            put("maxLength", json!(MAX_SECRET_BYTES));
        }
        KeyType::Integer { min, max } => {
            put("type", json!("integer"));
            if *min != i64::MIN {
                put("minimum", json!(min));
            }
            if *max != i64::MAX {
                put("maximum", json!(max));
            }
        }
        KeyType::Number { min, max } => {
            put("type", json!("number"));
            if *min > f64::MIN {
                put("minimum", json!(min));
            }
            if *max < f64::MAX {
                put("maximum", json!(max));
            }
        }
        KeyType::Bool => put("type", json!("boolean")),
        KeyType::Path { must } => {
            put("type", json!("string"));
            put("minLength", json!(1));
            put("format", json!("path"));
            let must = match must {
                Must::Nothing => "nothing",
                Must::ReadFolder => "read_folder",
                Must::WriteFolder => "write_folder",
                Must::FileInFolder => "file_in_folder",
            };
            put("x-must", json!(must));
        }
    }
    if let Some(default) = key.default.as_ref().filter(|_| key.ty != KeyType::Secret) {
        put("default", to_json(default));
    }
    Json::Object(out)
}
