//! The same for sections beside the targets, as forms read and write them: their keys without secrets, and secrets put back.

use model::conf::Problem;
use serde_json::{Map, Value};

use super::tree::{parse, to_json};

/// Where a form writes to: a section by its path (`influxdb`), or one item of a list (`alerts.rules`).
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// Keys from the top, joined by dots.
    pub path: &'a str,
    /// Whether the path leads to a list and the item is meant.
    pub item: bool,
}

impl Spot<'_> {
    /// A file that holds these values at their place and nothing else.
    fn file(self, values: Map<String, Value>) -> Value {
        let inner = if self.item { Value::Array(vec![Value::Object(values)]) } else { Value::Object(values) };
        self.path.rsplit('.').fold(inner, |inner, key| Value::Object([(key.to_owned(), inner)].into_iter().collect()))
    }

    fn find(self, file: Value) -> Option<Value> {
        let found = self.path.split('.').try_fold(file, |mut at, key| Some(at.get_mut(key)?.take()))?;
        if self.item { found.as_array()?.first().cloned() } else { Some(found) }
    }
}

/// What stands at a path, with its secrets hidden; `None` when nothing does.
#[must_use]
pub fn section_of(text: &str, path: &str) -> Option<Value> {
    let root = parse(&super::hide(text))?;
    let found = path.split('.').try_fold(&root, |at, key| at.get(key))?;
    Some(to_json(found)).filter(|value| !value.is_null())
}

/// Puts secrets back into the values of a form. The same rules hold as for a whole text: a secret returns to its own place
/// and its own host.
///
/// # Errors
/// A problem for each mask that stands for no known secret.
pub fn restore_section(
    values: Map<String, Value>,
    spot: Spot<'_>,
    old: &str,
) -> Result<Map<String, Value>, Vec<Problem>> {
    // JSON is YAML.
    let text = spot.file(values).to_string();
    let restored = super::restore(&text, old)
        .map_err(|problems| problems.into_iter().map(|p| Problem { place: None, ..p }).collect::<Vec<_>>())?;
    let file = parse(&restored).as_ref().map(to_json);
    match file.and_then(|file| spot.find(file)) {
        Some(Value::Object(values)) => Ok(values),
        _ => Err(vec![Problem::new(None, spot.path, "the values cannot be read")]),
    }
}

/// A configuration with these values and nothing else, for trying them out. Holds secrets: for nobody's eyes.
#[must_use]
pub fn section_trial(mut values: Map<String, Value>, spot: Spot<'_>) -> String {
    values.retain(|_, value| !value.is_null());
    spot.file(values).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "influxdb:\n  url: http://h:8086\n  bucket: b\n  token: \"hidden\\tword\"\nchannels:\n  - name: ops\n    kind: webhook\n    url: https://c/x\n    token: other-word\n  - {name: chat, url: 'https://d/', token: third-word}\n";
    const SECTION: Spot<'_> = Spot { path: "influxdb", item: false };
    const ITEM: Spot<'_> = Spot { path: "channels", item: true };

    fn values(json: Value) -> Map<String, Value> {
        json.as_object().cloned().expect("an object")
    }

    #[test]
    fn sections_are_read_without_secrets() {
        let seen = section_of(FILE, "influxdb").expect("there");
        assert_eq!(seen, json!({ "url": "http://h:8086", "bucket": "b", "token": "***" }));
        let seen = section_of(FILE, "channels").expect("there").to_string();
        assert!(seen.contains("ops") && !seen.contains("word"), "{seen}");
        assert_eq!((section_of(FILE, "mqtt"), section_of("a: [", "a")), (None, None));
    }

    #[test]
    fn secrets_return_to_their_place_and_host_alone() {
        let own =
            json!({ "url": "http://h:8086/path", "bucket": "c", "token": "***", "facts": false, "tags": { "a": "1" } });
        let back = restore_section(values(own), SECTION, FILE).expect("known");
        assert_eq!(back["token"], json!("hidden\tword"));
        assert_eq!((&back["facts"], &back["tags"]), (&json!(false), &json!({ "a": "1" })));
        let away = json!({ "url": "http://evil:8086", "bucket": "b", "token": "***" });
        assert!(restore_section(values(away), SECTION, FILE).is_err());
        let item = json!({ "name": "ops", "url": "https://c/other", "token": "***" });
        assert_eq!(restore_section(values(item), ITEM, FILE).expect("known")["token"], json!("other-word"));
        for stranger in [
            json!({ "name": "ops", "url": "https://evil/", "token": "***" }),
            json!({ "name": "new", "url": "https://e/", "token": "***" }),
        ] {
            assert!(restore_section(values(stranger.clone()), ITEM, FILE).is_err(), "{stranger}");
        }
    }

    #[test]
    fn a_trial_holds_the_section_alone() {
        let text = section_trial(values(json!({ "url": "http://h", "org": null })), SECTION);
        assert_eq!(text, r#"{"influxdb":{"url":"http://h"}}"#);
        let text = section_trial(values(json!({ "name": "a" })), Spot { path: "alerts.rules", item: true });
        assert_eq!(text, r#"{"alerts":{"rules":[{"name":"a"}]}}"#);
    }
}
