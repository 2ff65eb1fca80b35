//! One value of one key: from text or JSON, against what its key asks for, and back. Pure; whether a folder is there is asked
//! elsewhere.

use model::unit::form::{Goes, Key, KeyType, Value};
use probe::commands::pattern;
use serde_json::Value as Json;

/// Longest secret, in bytes: keys and tokens, not files.
pub const MAX_SECRET_BYTES: usize = 4096;
/// Longest path, in bytes (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;
/// Greatest whole number that JSON carries without loss.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value written in a file of services.
///
/// # Errors
/// A sentence that says what the key wants. Holds no secret.
pub fn from_text(key: &Key, text: &str) -> Result<Value, String> {
    let value = match &key.ty {
        KeyType::Text { .. } | KeyType::Secret | KeyType::Path { .. } => Some(Value::Text(text.to_owned())),
        KeyType::Integer { .. } => text.parse().ok().map(Value::Integer),
        KeyType::Number { .. } => text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Number),
        KeyType::Bool => match text {
            "true" | "True" | "TRUE" => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" => Some(Value::Bool(false)),
            _ => None,
        },
    };
    let value = value.ok_or_else(|| format!("{text:?} is not {}", wanted(key)))?;
    check(key, &value).map(|()| value)
}

/// A value of a JSON document.
///
/// # Errors
/// A sentence that says what the key wants. Holds no secret.
pub fn from_json(key: &Key, json: &Json) -> Result<Value, String> {
    let value = match (&key.ty, json) {
        (KeyType::Text { .. } | KeyType::Secret | KeyType::Path { .. }, Json::String(text)) => {
            Some(Value::Text(text.clone()))
        }
        (KeyType::Integer { .. }, Json::Number(n)) => whole(n).map(Value::Integer),
        (KeyType::Number { .. }, Json::Number(n)) => n.as_f64().map(Value::Number),
        (KeyType::Bool, Json::Bool(yes)) => Some(Value::Bool(*yes)),
        _ => None,
    };
    let value = value.ok_or_else(|| format!("expected {}, found {}", wanted(key), found(json)))?;
    check(key, &value).map(|()| value)
}

/// `4` and, as other programs write it, `4.0`.
fn whole(number: &serde_json::Number) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
    number.as_i64().or_else(|| number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() <= MAX_EXACT).map(|x| x as i64))
}

/// A value that came from outside as its key wants it: a whole number is a number, and `4.0` is a whole number.
///
/// # Errors
/// A sentence that says what the key wants. Holds no secret.
pub fn fit(key: &Key, value: &Value) -> Result<Value, String> {
    from_json(key, &to_json(value))
}

/// A value as JSON.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Integer(n) => Json::from(*n),
        Value::Number(x) => Json::from(*x),
        Value::Bool(yes) => Json::from(*yes),
    }
}

/// A value as an argument or variable.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(n) => n.to_string(),
        Value::Number(x) => x.to_string(),
        Value::Bool(yes) => yes.to_string(),
    }
}

/// Whether a value is one that its key takes.
///
/// # Errors
/// A sentence with the value, unless it is a secret, and with what is accepted.
pub fn check(key: &Key, value: &Value) -> Result<(), String> {
    match (&key.ty, value) {
        (KeyType::Text { max, pattern: form, choices }, Value::Text(text)) => {
            check_text(text, *max, form.as_deref(), choices)?;
            is_no_option(key, text)
        }
        (KeyType::Secret, Value::Text(text)) => {
            let good = text.len() <= MAX_SECRET_BYTES && !text.contains('\0');
            good.then_some(()).ok_or_else(|| format!("it holds a null character or more than {MAX_SECRET_BYTES} bytes"))
        }
        (KeyType::Path { .. }, Value::Text(text)) => {
            let good = !text.is_empty() && text.len() <= MAX_PATH_BYTES && !text.contains(char::is_control);
            good.then_some(()).ok_or_else(|| "this is no path".to_owned())?;
            is_no_option(key, text)
        }
        (KeyType::Integer { min, max }, Value::Integer(n)) => {
            let good = (min..=max).contains(&n);
            good.then_some(()).ok_or_else(|| format!("{n} is out of range, accepted: {min} to {max}"))
        }
        (KeyType::Number { min, max }, Value::Number(x)) => {
            let good = (min..=max).contains(&x);
            good.then_some(()).ok_or_else(|| format!("{x} is out of range, accepted: {min} to {max}"))
        }
        // A whole number is a number.
        #[expect(clippy::cast_precision_loss, reason = "compared with bounds that a file writes")]
        (KeyType::Number { .. }, Value::Integer(n)) => check(key, &Value::Number(*n as f64)),
        (KeyType::Bool, Value::Bool(_)) => Ok(()),
        _ => Err(format!("this is not {}", wanted(key))),
    }
}

fn check_text(text: &str, max: usize, form: Option<&str>, choices: &[String]) -> Result<(), String> {
    if text.len() > max {
        return Err(format!("the text has {} bytes, at most {max} are accepted", text.len()));
    }
    if text.contains('\0') {
        return Err("the text holds a null character".to_owned());
    }
    if !choices.is_empty() && !choices.iter().any(|choice| choice == text) {
        let near = model::conf::words::nearest(text, choices.iter().map(String::as_str));
        let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(format!("{text:?} is not accepted, accepted: {}{hint}", choices.join(", ")));
    }
    if let Some(form) = form {
        // Checked when the file was read; one that is wrong all the same refuses everything.
        let matches = pattern(form).is_ok_and(|form| form.is_match(text));
        return matches.then_some(()).ok_or_else(|| format!("{text:?} is not of the form {form}"));
    }
    Ok(())
}

/// A value that becomes an argument must not be read as an option by the program.
fn is_no_option(key: &Key, text: &str) -> Result<(), String> {
    let is_argument = key.to.iter().any(|goes| matches!(goes, Goes::Option(_) | Goes::Placeholder));
    match is_argument && text.starts_with('-') && text.parse::<f64>().is_err() {
        true => Err(format!("{text:?} begins with a dash, and the program would take it for an option")),
        false => Ok(()),
    }
}

fn wanted(key: &Key) -> &'static str {
    match key.ty {
        KeyType::Text { .. } | KeyType::Secret => "a text",
        KeyType::Path { .. } => "a path",
        KeyType::Integer { .. } => "a whole number",
        KeyType::Number { .. } => "a number",
        KeyType::Bool => "true or false",
    }
}

fn found(json: &Json) -> &'static str {
    match json {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(n) if n.is_f64() => "a number with a fraction",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
