//! YAML text as a tree whose scalars know where they stand. Owns nothing but places: no types, no rules.

use std::ops::Range;

use engine::config::ends;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

/// Deepest nesting that is followed. The schema needs six levels; more is an attack on the stack.
const MAX_DEPTH: usize = 64;

/// One node of the file.
#[derive(Debug)]
pub(crate) enum Item {
    /// A scalar: its decoded text, whether it was written plainly, and where it stands, in bytes.
    Scalar { text: String, plain: bool, range: Range<usize> },
    /// A list.
    Seq(Vec<Item>),
    /// A mapping in the order of the file.
    Map(Vec<(String, Item)>),
    /// A reference to an anchor.
    Alias,
}

impl Item {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Item> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

enum Open {
    Seq(Vec<Item>),
    Map { pairs: Vec<(String, Item)>, key: Option<String> },
}

/// Reads a text that is one mapping. `None` when it is no YAML to its end, something else, or nested too deeply.
pub(crate) fn parse(text: &str) -> Option<Item> {
    let bytes_at: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
    let place = |chars: usize| bytes_at.get(chars).copied().unwrap_or(text.len());
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let done = match event {
            Event::Scalar(value, style, ..) => {
                let range = place(span.start.index())..place(span.end.index());
                let range = exact(text, trim_end(text, range), style);
                Item::Scalar { text: value.into_owned(), plain: matches!(style, ScalarStyle::Plain), range }
            }
            Event::Alias(_) => Item::Alias,
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::Seq(Vec::new()),
                    _ => Open::Map { pairs: Vec::new(), key: None },
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::Seq(items) => Item::Seq(items),
                Open::Map { pairs, .. } => Item::Map(pairs),
            },
            Event::StreamEnd => return root.filter(|r| matches!(r, Item::Map(_))),
            _ => continue,
        };
        match open.last_mut() {
            None if root.is_some() => return None,
            None => root = Some(done),
            Some(Open::Seq(items)) => items.push(done),
            Some(Open::Map { pairs, key }) => match key.take() {
                Some(key) => pairs.push((key, done)),
                None => *key = Some(done.text().unwrap_or_default().to_owned()),
            },
        }
    }
    None
}

/// The scalar alone: the parser's span holds the anchor before it and, behind quotation marks, the comment after it. What
/// is put in place of a secret must leave both.
fn exact(text: &str, mut range: Range<usize>, style: ScalarStyle) -> Range<usize> {
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => range.start = block_start(text, range.start),
        ScalarStyle::Plain => range.start = ends::content(text, range.start).min(range.end),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let end = ends::quoted(text, range.start).unwrap_or(range.end);
            range = ends::content(text, range.start)..end;
        }
    }
    range
}

/// Where the indicator (`|` or `>`) of a block scalar stands whose content begins at `content`.
fn block_start(text: &str, content: usize) -> usize {
    if text[content..].starts_with(['|', '>']) {
        return content;
    }
    let before = text[..content].trim_end();
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let header = &before[line..];
    let header = header.split(" #").next().unwrap_or(header);
    header.rfind(['|', '>']).map_or(content, |at| line + at)
}

fn trim_end(text: &str, range: Range<usize>) -> Range<usize> {
    range.start..range.start + text[range.clone()].trim_end().len()
}

/// The mapping of one target as JSON with its secrets hidden; `None` when the file has no such target. `targets` and the list of StreamPulse 2.x, `streams`, are looked through.
#[must_use]
pub fn fields_of(text: &str, which: super::Which<'_>) -> Option<Value> {
    let hidden = super::hide(text);
    let root = parse(&hidden)?;
    let lists = ["targets", "streams"].into_iter().filter_map(|key| match root.get(key) {
        Some(Item::Seq(items)) => Some(items.iter()),
        _ => None,
    });
    let all: Vec<&Item> = lists.flatten().collect();
    let by = |key: &str, wanted: &str| all.iter().find(|t| t.get(key).and_then(Item::text) == Some(wanted));
    let named = by("id", which.id).or_else(|| by("name", which.name)).copied();
    let found = named.or_else(|| {
        let nameless = |t: &&&Item| t.get("id").is_none() && t.get("name").is_none();
        all.get(which.position).filter(nameless).copied()
    });
    found.map(to_json)
}

/// A configuration with one target made of `fields`, under the defaults and templates of `text`. It holds what `text`
/// holds, secrets too: for looking at a target that is not saved, and for nobody's eyes.
#[must_use]
pub fn trial(text: &str, mut fields: serde_json::Map<String, Value>) -> String {
    fields.retain(|_, value| !value.is_null());
    let mut file = serde_json::Map::new();
    if let Some(root) = parse(text) {
        for key in ["defaults", "templates"] {
            if let Some(section) = root.get(key) {
                file.insert(key.to_owned(), to_json(section));
            }
        }
    }
    file.insert("targets".to_owned(), Value::Array(vec![Value::Object(fields)]));
    // JSON is YAML.
    Value::Object(file).to_string()
}

/// A node as JSON, by the core schema of YAML 1.2: what is quoted is text.
pub(crate) fn to_json(item: &Item) -> Value {
    match item {
        Item::Seq(items) => Value::Array(items.iter().map(to_json).collect()),
        Item::Map(pairs) => Value::Object(pairs.iter().map(|(k, v)| (k.clone(), to_json(v))).collect()),
        Item::Alias => Value::Null,
        Item::Scalar { text, plain: false, .. } => Value::String(text.clone()),
        Item::Scalar { text, .. } => match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            other => number(other).unwrap_or_else(|| Value::String(other.to_owned())),
        },
    }
}

fn number(text: &str) -> Option<Value> {
    let shape = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'));
    if !shape || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole = text.parse::<i64>().ok().map(Value::from);
    whole.or_else(|| text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number))
}
