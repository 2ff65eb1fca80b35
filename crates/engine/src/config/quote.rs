//! Values as YAML text: bare where that is safe in every place, in quotes otherwise.

use model::conf::Value;

use super::tree::{boolean, is_null};

/// A text as a scalar that reads back as exactly this text, in block and in flow context alike.
pub(super) fn text(value: &str) -> String {
    if is_bare(value) {
        return value.to_owned();
    }
    let printable = value.chars().all(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
    if printable && !value.contains('\'') {
        return format!("'{value}'");
    }
    double(value)
}

fn double(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether the text needs no quotes. Stricter than YAML: what a person could misread is quoted too.
fn is_bare(value: &str) -> bool {
    let first = value.chars().next();
    first.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '$'))
        && value.chars().all(|c| {
            c.is_alphanumeric()
                || " _-./:@%+=&?~;!()$*<>|^".contains(c)
                || (c > '\u{a0}' && !c.is_whitespace() && !c.is_control() && c != '\u{feff}')
        })
        && !value.contains(": ")
        && !value.ends_with([':', ' ', '-']) // a hyphen before a bracket confuses the parser
        && !is_null(value)
        && boolean(value).is_none()
        && value.parse::<f64>().is_err()
        && !looks_typed(value)
}

/// What other readers of YAML take for a boolean, a number or a date.
fn looks_typed(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    matches!(lower.as_str(), "yes" | "no" | "on" | "off" | "y" | "n" | "null" | "true" | "false")
        || lower.starts_with("0x")
        || lower.starts_with("0o")
        || (value.starts_with(|c: char| c.is_ascii_digit())
            && value.bytes().all(|b| b.is_ascii_digit() || b"-_:.".contains(&b)))
}

/// A value in one line, as inside of brackets.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Null => "~".to_owned(),
        Value::Str(s) => text(s),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|n| flow(&n.value)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, n)| format!("{}: {}", text(key), flow(&n.value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Float(x) => format!("{x:?}"),
        scalar => model::conf::section::scalar(scalar).unwrap_or_default(),
    }
}

/// What stands behind `key:` in block style: one line behind a space, or lines of their own, indented deeper than
/// `indent` columns. Lines end with `\n`; the last has none.
pub(super) fn block(value: &Value, indent: usize) -> String {
    match value {
        Value::Map(pairs) if !pairs.is_empty() => {
            let inner = indent + 2;
            pairs
                .iter()
                .map(|(key, n)| format!("\n{}{}:{}", " ".repeat(inner), text(key), block(&n.value, inner)))
                .collect()
        }
        Value::List(items) if items.iter().any(|n| matches!(n.value, Value::Map(_))) => {
            let inner = indent + 2;
            let items = items.iter().map(|n| match &n.value {
                Value::Map(pairs) => format!("\n{}- {}", " ".repeat(inner), item(pairs, inner + 2)),
                other => format!("\n{}- {}", " ".repeat(inner), flow(other)),
            });
            items.collect()
        }
        other => format!(" {}", flow(other)),
    }
}

/// The keys of an item of a list, the first of which stands behind the hyphen, the others `indent` columns deep.
pub(super) fn item<'a>(pairs: impl IntoIterator<Item = &'a (String, model::conf::Node)>, indent: usize) -> String {
    let lines = pairs.into_iter().map(|(key, n)| format!("{}:{}", text(key), block(&n.value, indent)));
    lines.collect::<Vec<_>>().join(&format!("\n{}", " ".repeat(indent)))
}
