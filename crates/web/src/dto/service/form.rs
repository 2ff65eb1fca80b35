//! The form of a service: what people may set of it, as a JSON Schema, with the values in effect.

use std::collections::BTreeMap;

use engine::units::FormView;
use model::secret::MASK;
use model::unit::form::{Form, Key, KeyType, Must, Value as FormValue};
use model::unit::spec::Unit;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::hide;

/// The form of a service with its values.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FormDto {
    /// JSON Schema (draft 2020-12) of the values.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// The keys, in the order in which people should see them.
    pub order: Vec<String>,
    /// Values in effect, defaults filled in, secrets left out.
    #[schema(value_type = Object)]
    pub values: BTreeMap<String, Value>,
    /// Secrets that have a value.
    pub secrets_set: Vec<String>,
    /// Whether a run that is under way was launched with other values.
    pub pending: bool,
    /// What became of the newest change.
    pub note: Option<String>,
}

impl FormDto {
    /// The form of this unit; `None` when it has none.
    #[must_use]
    pub fn new(spec: &Unit, view: &FormView) -> Option<Self> {
        let form = spec.form.as_ref()?;
        Some(Self {
            schema: schema(spec, form),
            order: form.keys.iter().map(|key| key.name.clone()).collect(),
            values: values(form, view),
            secrets_set: view.secrets_set.clone(),
            pending: view.pending,
            note: view.note.as_deref().map(|note| hide(spec, note)),
        })
    }
}

/// Keys of a form that shall change: a value sets one, null resets one to its default, all others stay.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct FormPatch(
    /// The keys.
    pub Map<String, Value>,
);

/// Values of a form as JSON. Secrets are left out whoever may have put them there.
#[must_use]
pub fn values(form: &Form, view: &FormView) -> BTreeMap<String, Value> {
    let is_secret = |name: &str| form.keys.iter().any(|key| key.name == name && key.ty == KeyType::Secret);
    let shown = view.values.iter().filter(|(name, _)| !is_secret(name));
    shown.map(|(name, value)| (name.clone(), to_json(value))).collect()
}

fn to_json(value: &FormValue) -> Value {
    match value {
        FormValue::Text(text) => Value::from(text.as_str()),
        FormValue::Integer(n) => Value::from(*n),
        FormValue::Number(x) => Value::from(*x),
        FormValue::Bool(yes) => Value::from(*yes),
    }
}

/// One value of a request, by what its key may hold; `Ok(None)` leaves the key as it is.
///
/// # Errors
/// What a value must be, in words, when no key can hold such a thing.
pub fn from_json(key: Option<&Key>, value: &Value) -> Result<Option<Option<FormValue>>, &'static str> {
    let ty = key.map(|key| &key.ty);
    Ok(Some(Some(match value {
        Value::Null => return Ok(Some(None)),
        // The mask stands for the secret that is kept.
        Value::String(text) if ty == Some(&KeyType::Secret) && text == MASK => return Ok(None),
        Value::String(text) => FormValue::Text(text.clone()),
        Value::Bool(yes) => FormValue::Bool(*yes),
        Value::Number(n) => number(ty, n).ok_or("must be a number of at most 64 bits")?,
        Value::Array(_) | Value::Object(_) => return Err("must be one value, not a list or an object"),
    })))
}

/// JSON knows one sort of number: the key says which is meant.
fn number(ty: Option<&KeyType>, n: &serde_json::Number) -> Option<FormValue> {
    let whole = || n.as_i64().or_else(|| n.as_f64().and_then(whole_of)).map(FormValue::Integer);
    let any = || n.as_f64().map(FormValue::Number);
    match ty {
        Some(KeyType::Number { .. }) => any(),
        _ => whole().or_else(any),
    }
}

/// `16.0` is the whole number 16 for programs that know no other numbers.
#[allow(clippy::cast_possible_truncation)] // checked: whole and far below 2^63
fn whole_of(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64)
}

/// JSON Schema of a form.
fn schema(spec: &Unit, form: &Form) -> Value {
    let properties: Map<String, Value> = form.keys.iter().map(|key| (key.name.clone(), property(key))).collect();
    let required: Vec<&str> = form.keys.iter().filter(|key| key.required).map(|key| key.name.as_str()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut out = match &key.ty {
        KeyType::Text { max, pattern, choices } => {
            // Characters are never more than bytes, so this bound refuses nothing that is accepted.
            let mut text = json!({ "type": "string", "maxLength": max });
            if let Some(pattern) = pattern {
                text["pattern"] = Value::from(format!("^(?:{pattern})$"));
            }
            if !choices.is_empty() {
                text["enum"] = Value::from(choices.clone());
            }
            text
        }
        KeyType::Secret => json!({ "type": "string", "format": "password", "writeOnly": true }),
        KeyType::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        KeyType::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        KeyType::Bool => json!({ "type": "boolean" }),
        KeyType::Path { must } => json!({ "type": "string", "format": "path", "x-must": must_word(*must) }),
    };
    out["title"] = Value::from(key.title.as_str());
    if !key.description.is_empty() {
        out["description"] = Value::from(key.description.as_str());
    }
    if let Some(default) = key.default.as_ref().filter(|_| key.ty != KeyType::Secret) {
        out["default"] = to_json(default);
    }
    out
}

const fn must_word(must: Must) -> &'static str {
    match must {
        Must::Nothing => "nothing",
        Must::ReadFolder => "read_folder",
        Must::WriteFolder => "write_folder",
        Must::FileInFolder => "file_in_folder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ty: KeyType) -> Key {
        let name = "k".to_owned();
        Key { title: "K".into(), description: String::new(), name, ty, default: None, required: false, to: vec![] }
    }

    #[test]
    fn values_take_the_sort_that_their_key_has() {
        let integer = key(KeyType::Integer { min: 0, max: 9 });
        let number = key(KeyType::Number { min: 0.0, max: 9.0 });
        let secret = key(KeyType::Secret);
        let set = |v| Ok(Some(Some(v)));
        for (key, json, wanted) in [
            (Some(&integer), json!(5), set(FormValue::Integer(5))),
            (Some(&integer), json!(5.0), set(FormValue::Integer(5))),
            (Some(&integer), json!(5.5), set(FormValue::Number(5.5))),
            (Some(&number), json!(5), set(FormValue::Number(5.0))),
            (Some(&number), json!("5"), set(FormValue::Text("5".into()))),
            (Some(&secret), json!("***"), Ok(None)),
            (Some(&secret), json!("new"), set(FormValue::Text("new".into()))),
            (Some(&integer), json!(null), Ok(Some(None))),
            (None, json!(true), set(FormValue::Bool(true))),
            (None, json!(1), set(FormValue::Integer(1))),
        ] {
            assert_eq!(from_json(key, &json), wanted, "{json}");
        }
        assert!(from_json(Some(&integer), &json!([1])).is_err() && from_json(None, &json!({})).is_err());
    }

    #[test]
    fn a_property_says_all_that_a_dialog_needs() {
        let text = |choices: &[&str]| KeyType::Text {
            max: 8,
            pattern: Some("[a-z]+".into()),
            choices: choices.iter().map(|c| (*c).to_owned()).collect(),
        };
        let mut level = Key { default: Some(FormValue::Text("a".into())), ..key(text(&["a", "b"])) };
        level.description = "How much".into();
        assert_eq!(
            property(&level),
            json!({ "type": "string", "maxLength": 8, "pattern": "^(?:[a-z]+)$", "enum": ["a", "b"], "title": "K",
                    "description": "How much", "default": "a" })
        );
        let secret = Key { default: Some(FormValue::Text("pl4nted".into())), ..key(KeyType::Secret) };
        assert!(!property(&secret).to_string().contains("pl4nted"));
        assert_eq!(property(&key(KeyType::Path { must: Must::WriteFolder }))["x-must"], "write_folder");
    }
}
