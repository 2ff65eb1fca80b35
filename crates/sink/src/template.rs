//! Texts with `{{name}}` in them: what somebody wants a webhook to be sent. Owns the names and the escaping, so that no value
//! can leave its place: not a quotation mark in JSON, not an ampersand in a form, not a tag in HTML.

use std::collections::BTreeMap;

use model::alert::Notification;
use model::conf::words;
use serde_json::Value;

use crate::channel::Around;
use crate::message::{self, Style};

/// Most letters of `message`, the whole message as one text.
const MOST_MESSAGE: usize = 4000;

/// How a value is written into the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Inside a JSON string.
    Json,
    /// As a value of a form.
    Form,
    /// Between or inside tags.
    Markup,
    /// As it is, without control characters but line ends.
    Plain,
}

impl Escape {
    /// What a media type wants.
    pub(crate) fn of(media_type: &str) -> Self {
        let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match bare.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            bare if bare.ends_with("json") => Self::Json,
            bare if bare.ends_with("html") || bare.ends_with("xml") => Self::Markup,
            _ => Self::Plain,
        }
    }

    fn write(self, value: &str) -> String {
        match self {
            Self::Json => {
                let quoted = Value::from(value).to_string();
                quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or_default().to_owned()
            }
            Self::Form => url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Self::Markup => markup(value),
            Self::Plain => value.chars().filter(|c| *c == '\n' || !c.is_control()).collect(),
        }
    }
}

/// Text between tags and inside attributes of HTML and XML.
pub(crate) fn markup(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write the others.
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => out.push(c),
        }
    }
    out
}

/// Names that stand for texts.
const NAMES: [&str; 15] = [
    "key", "alert", "at", "began_at", "stage", "severity", "rule", "title", "headline", "text", "message", "target",
    "reason", "url", "note",
];
/// Names that stand for JSON as it is: lists, a number, the whole document.
const RAW: [&str; 4] = ["subjects", "explains", "more", "document"];

/// A text with names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    escape: Escape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(&'static str),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A sentence about the first name that is none, or about a text that is to become JSON and does not.
    pub(crate) fn parse(text: &str, escape: Escape) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("{{") {
            let (name, after) = from.split_once("}}").ok_or("a {{ has no }} behind it")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Name(known(name.trim(), escape)?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        let template = Self { parts, escape };
        if escape == Escape::Json {
            let raw = |name: &str| if name == "more" { "0".to_owned() } else { "[]".to_owned() };
            let tried = template.fill_with(|name| if RAW.contains(&name) { raw(name) } else { "x".to_owned() });
            serde_json::from_str::<Value>(&tried)
                .map_err(|e| format!("with every name filled in, the template is no JSON: {e}"))?;
        }
        Ok(template)
    }

    /// The text for one notification.
    pub(crate) fn fill(&self, n: &Notification, around: &Around) -> String {
        let values = values(n, around);
        self.fill_with(|name| {
            values.get(name).map_or_else(String::new, |value| match value {
                Value::String(text) if name != "document" => self.escape.write(text),
                other => other.to_string(),
            })
        })
    }

    fn fill_with(&self, value: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(name) => value(name),
        };
        self.parts.iter().map(part).collect()
    }
}

fn known(name: &str, escape: Escape) -> Result<&'static str, String> {
    if let Some(name) = NAMES.iter().find(|known| **known == name) {
        return Ok(name);
    }
    if let Some(raw) = RAW.iter().find(|known| **known == name) {
        return match escape {
            Escape::Json => Ok(raw),
            _ if *raw == "more" => Ok(raw),
            _ => Err(format!("{{{{{name}}}}} is JSON and fits only where content_type is JSON")),
        };
    }
    let names = || NAMES.iter().chain(&RAW).copied();
    Err(match words::nearest(name, names()) {
        Some(near) => format!("there is no {{{{{name}}}}}; did you mean {{{{{near}}}}}?"),
        None => format!("there is no {{{{{name}}}}}; there are {}", names().collect::<Vec<_>>().join(", ")),
    })
}

/// What every name stands for.
fn values(n: &Notification, around: &Around) -> BTreeMap<&'static str, Value> {
    let document = message::document(n, around);
    let style = Style { escape: str::to_owned, measure: message::chars, most: MOST_MESSAGE, link: true };
    let first = n.subjects.first();
    let mut values: BTreeMap<&'static str, Value> = NAMES
        .iter()
        .chain(&RAW)
        .filter_map(|name| Some((*name, document.get(name).filter(|value| !value.is_null())?.clone())))
        .collect();
    values.insert("headline", message::headline(n).into());
    values.insert("message", message::body(n, around, style).into());
    values.insert("target", first.map(|s| s.name.clone()).unwrap_or_default().into());
    values.insert("reason", first.map(|s| s.reason.clone()).unwrap_or_default().into());
    values.insert("document", document);
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::tests::{around, notification, subject};

    #[test]
    fn slips_are_told_and_good_ones_are_filled() {
        for (text, escape, words) in [
            ("{{titel}}", Escape::Plain, "did you mean {{title}}?"),
            ("{{title", Escape::Plain, "no }}"),
            ("{{subjects}}", Escape::Form, "fits only where"),
            (r#"{"a": {{title}}}"#, Escape::Json, "no JSON"),
            (r#"{"a": "{{title}}""#, Escape::Json, "no JSON"),
        ] {
            let told = Template::parse(text, escape).expect_err(text);
            assert!(told.contains(words), "{told}");
        }
        let n = notification();
        let fill = |text, escape| Template::parse(text, escape).expect(text).fill(&n, &around());
        assert_eq!(fill("{{ title }}, {{note}}{{more}}", Escape::Plain), "Gate is down, 3");
        assert_eq!(
            fill("t={{title}}&u={{url}}", Escape::Form),
            "t=Gate+is+down&u=https%3A%2F%2Fwatch.example%2Fstream%2Fgate"
        );
        let text = fill(r#"{"a":"x {{reason}}","s":{{subjects}},"n":{{more}},"d":{{document}}}"#, Escape::Json);
        let value: Value = serde_json::from_str(&text).expect(&text);
        assert_eq!(value["a"], "x connection refused by 10.0.0.5:554");
        assert_eq!(
            (&value["s"][0]["name"], &value["n"], &value["d"]["key"]),
            (&"Gate".into(), &3.into(), &"down/gate#1".into())
        );
        assert_eq!(Escape::of("application/vnd.x+json; charset=utf-8"), Escape::Json);
        assert_eq!(Escape::of("TEXT/HTML"), Escape::Markup);
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_place(title in any::<String>(), reason in any::<String>()) {
            let mut n = notification();
            n.title.clone_from(&title);
            n.subjects = vec![subject("Gate", &reason)];
            let fill = |text, escape| Template::parse(text, escape).expect("a template").fill(&n, &around());
            let json = fill(r#"{"t":"{{title}}","r":["{{reason}}"]}"#, Escape::Json);
            let value: Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(value["t"].as_str(), Some(title.as_str()));
            prop_assert_eq!(value["r"][0].as_str(), Some(reason.as_str()));
            let form = fill("t={{title}}&r={{reason}}", Escape::Form);
            let pairs: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(pairs, vec![("t".to_owned(), title.clone()), ("r".to_owned(), reason.clone())]);
            let html = fill("<p title='{{title}}'>{{reason}}</p>", Escape::Markup);
            prop_assert_eq!(html.matches(['<', '>', '\'']).count(), 6);
        }

        #[test]
        fn any_text_is_a_template_or_told(text in any::<String>()) {
            for escape in [Escape::Json, Escape::Form, Escape::Markup, Escape::Plain] {
                if let Ok(template) = Template::parse(&text, escape) {
                    let filled = template.fill(&notification(), &around());
                    prop_assert!(escape != Escape::Json || serde_json::from_str::<Value>(&filled).is_ok());
                }
            }
        }
    }
}
