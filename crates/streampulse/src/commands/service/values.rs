//! What may be set of a service, from a shell.

use std::process::ExitCode;
use std::time::Duration;

use net::http::Method;
use serde_json::{Map, Value};

use super::wait::{Wanted, settle};
use super::{path, print, show};
use crate::args::Reach;
use crate::commands::caller::{Caller, Done, FAILED, Failed, MISUSE};
use crate::say;

/// Longest value that is read from standard input.
const MAX_INPUT_BYTES: u64 = 64 * 1024;
/// How long to wait until a service runs with its new values.
const WITHIN: Duration = Duration::from_secs(60);

/// Shows the form of a service.
pub(super) async fn form(id: &str, reach: &Reach) -> Done<ExitCode> {
    let form = Caller::new(reach)?.call(Method::GET, &path(id, "/form")?, None).await?;
    if reach.json {
        print(&form);
    } else {
        lines(&form).iter().for_each(|line| say::out(line));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(form: &Value) -> Vec<String> {
    let keys: Vec<&str> = form["order"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let width = keys.iter().map(|key| key.len()).max().unwrap_or_default();
    let is_set = |key: &str| form["secrets_set"].as_array().is_some_and(|set| set.iter().any(|s| s == key));
    let line = |key: &&str| {
        let value = match &form["values"][*key] {
            _ if is_set(key) => "***".to_owned(),
            Value::String(text) => show::plain(text),
            Value::Null => "(not set)".to_owned(),
            other => other.to_string(),
        };
        format!("{key:<width$}  {value}")
    };
    let mut lines: Vec<String> = keys.iter().map(line).collect();
    if form["pending"] == Value::Bool(true) {
        lines.push("It runs with older values; new ones take effect when it is restarted.".to_owned());
    }
    lines.extend(form["note"].as_str().map(show::plain));
    lines
}

/// Sets keys, and waits until a service that runs does so with them.
pub(super) async fn set(id: &str, values: &[String], reset: &[String], reach: &Reach) -> Done<ExitCode> {
    let caller = Caller::new(reach)?;
    let (form_path, show_path) = (path(id, "/form")?, path(id, "")?);
    let form = caller.call(Method::GET, &form_path, None).await?;
    let mut patch = Map::new();
    for pair in values {
        let (key, text) =
            pair.split_once('=').ok_or_else(|| Failed::new(MISUSE, format!("{pair}: KEY=VALUE is wanted")))?;
        let text = if text == "-" { input()? } else { text.to_owned() };
        patch.insert(key.to_owned(), typed(&form["schema"]["properties"][key]["type"], &text));
    }
    patch.extend(reset.iter().map(|key| (key.clone(), Value::Null)));
    let before = caller.call(Method::GET, &show_path, None).await?;
    caller.call(Method::PATCH, &form_path, Some(&Value::Object(patch))).await?;
    let now = caller.call(Method::GET, &show_path, None).await?;
    let same_run =
        (&now["pid"], &now["state"]) == (&before["pid"], &before["state"]) && now["pending"] != Value::Bool(true);
    if !before["pid"].is_null() && !same_run {
        let settled = settle(&caller, &show_path, &before, Wanted::Restarted, true, WITHIN).await;
        let form = caller.call(Method::GET, &form_path, None).await?;
        let note = form["note"].as_str().map(show::plain);
        if let Err(failed) = settled {
            let note = note.map(|note| format!("\n{note}")).unwrap_or_default();
            return Err(Failed::new(FAILED, failed.words + &note));
        }
    }
    let form = caller.call(Method::GET, &form_path, None).await?;
    if reach.json {
        print(&form);
    } else {
        lines(&form).iter().for_each(|line| say::out(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// A text as the sort of value that its key has; what does not fit is sent as it is, and the instance says what is wrong.
fn typed(ty: &Value, text: &str) -> Value {
    let parsed = match ty.as_str() {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => match text {
            "true" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

/// The first line of standard input: a secret on the command line would stand in the process list.
fn input() -> Done<String> {
    use std::io::{BufRead, Read};
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT_BYTES).read_line(&mut text);
    read.map_err(|error| Failed::new(MISUSE, format!("standard input: {error}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_what_their_key_is() {
        for (ty, text, wanted) in [
            (json!("integer"), "5", json!(5)),
            (json!("integer"), "five", json!("five")),
            (json!("number"), "0.5", json!(0.5)),
            (json!("boolean"), "no", json!(false)),
            (json!("boolean"), "maybe", json!("maybe")),
            (json!("string"), "5", json!("5")),
            (json!(null), "5", json!("5")),
        ] {
            assert_eq!(typed(&ty, text), wanted);
        }
    }

    #[test]
    fn a_form_is_listed_without_secrets() {
        let form = json!({ "order": ["a", "longer", "key"], "values": { "a": 1, "longer": "x" }, "secrets_set": ["key"],
                           "pending": false, "note": "the last good values are back" });
        assert_eq!(lines(&form), ["a       1", "longer  x", "key     ***", "the last good values are back"]);
    }
}
