//! JSON of a form as values of the configuration, and back to edits of the file. Pure.

use engine::config::Edit;
use model::conf::{Node, Value};
use model::target::TargetId;
use serde_json::{Map, Value as Json};

use crate::error::{ApiError, ApiResult, Code};

/// Deepest nesting of a field. The schema needs three levels.
const MAX_DEPTH: usize = 8;
/// Sections of a target whose keys are merged one by one; other mappings (such as headers) are replaced as a whole.
const MERGED: [&str; 1] = ["expect"];

/// A JSON value as a configuration value.
///
/// # Errors
/// Nesting that no key needs, or a number that no file can hold.
pub fn value(json: &Json) -> ApiResult<Value> {
    convert(json, 0)
}

fn convert(json: &Json, depth: usize) -> ApiResult<Value> {
    if depth > MAX_DEPTH {
        return Err(ApiError::new(Code::BadRequest, "the fields are nested too deeply"));
    }
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(x)) => Value::Float(x),
            (None, None) => return Err(ApiError::new(Code::BadRequest, "a number is out of range")),
        },
        Json::String(s) => Value::Str(s.clone()),
        Json::Array(items) => {
            Value::List(items.iter().map(|i| Ok(Node::bare(convert(i, depth + 1)?))).collect::<ApiResult<_>>()?)
        }
        Json::Object(map) => {
            let pair = |(k, v): (&String, &Json)| Ok((k.clone(), Node::bare(convert(v, depth + 1)?)));
            Value::Map(map.iter().map(pair).collect::<ApiResult<_>>()?)
        }
    })
}

/// A new target from the fields of a form; empty fields are left out.
///
/// # Errors
/// See [`value`].
pub fn add(fields: &Map<String, Json>) -> ApiResult<Edit> {
    let given = fields.iter().filter(|(_, v)| !v.is_null());
    let fields = given.map(|(k, v)| Ok((k.clone(), value(&without_nulls(v))?))).collect::<ApiResult<_>>()?;
    Ok(Edit::AddTarget { fields })
}

fn without_nulls(json: &Json) -> Json {
    match json {
        Json::Object(map) => {
            Json::Object(map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect())
        }
        other => other.clone(),
    }
}

/// Changes of a target from the fields of a form; null removes a key.
///
/// # Errors
/// See [`value`].
pub fn set(id: TargetId, fields: &Map<String, Json>) -> ApiResult<Edit> {
    let mut out = Vec::new();
    for (key, json) in fields {
        match json {
            Json::Object(inner) if MERGED.contains(&key.as_str()) => {
                for (sub, json) in inner {
                    out.push((format!("{key}.{sub}"), optional(json)?));
                }
            }
            json => out.push((key.clone(), optional(json)?)),
        }
    }
    Ok(Edit::SetTarget { id, fields: out })
}

/// A value, or `None` for null, which removes the key.
///
/// # Errors
/// See [`value`].
pub fn optional(json: &Json) -> ApiResult<Option<Value>> {
    if json.is_null() { Ok(None) } else { value(json).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).expect("json")
    }

    #[test]
    fn fields_become_edits() {
        let id = TargetId::parse("a").expect("valid");
        let fields = map(r#"{"interval":"5s","group":null,"expect":{"audio":true,"video":null},"headers":{"A":"b"}}"#);
        let Ok(Edit::SetTarget { fields, .. }) = set(id, &fields) else { panic!("no edit") };
        let seen: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.is_some())).collect();
        let wanted =
            [("expect.audio", true), ("expect.video", false), ("group", false), ("headers", true), ("interval", true)];
        assert!(wanted.iter().all(|w| seen.contains(w)) && seen.len() == 5, "{seen:?}");
        let Ok(Edit::AddTarget { fields }) = add(&map(r#"{"url":"http://h/","group":null,"expect":{"video":null}}"#))
        else {
            panic!("no edit")
        };
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut json = Json::Null;
        for _ in 0..20 {
            json = Json::Array(vec![json]);
        }
        assert!(value(&json).is_err());
        assert_eq!(value(&serde_json::json!(1.5)).ok(), Some(Value::Float(1.5)));
    }
}
