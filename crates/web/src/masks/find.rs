//! Finds every secret of a configuration text with its place and its identity, and hides them all.

use std::ops::Range;

use super::tree::{Item, parse};
use super::{MASK, is_secret_header, is_secret_key, urls};

/// One secret of the file.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Where it belongs: `targets[id=door].url`. Lists of mappings are keyed by id, else by name, else by position.
    pub(crate) path: String,
    /// The same without identities: `targets[].url`.
    pub(crate) shape: String,
    /// Part of the value: empty for all of it, else the part of a URL.
    pub(crate) part: String,
    /// Host of the URL that the secret is for, and a blank and the host of a second one where there is one; empty when there
    /// is none.
    pub(crate) host: String,
    /// The whole value with its secrets hidden.
    pub(crate) shown: String,
    /// The secret itself, decoded.
    pub(crate) secret: String,
    /// The whole value, decoded.
    pub(crate) value: String,
    /// Where the secret stands in the decoded value.
    pub(crate) within: Range<usize>,
    /// Where the whole scalar stands in the text, quotes included.
    pub(crate) scalar: Range<usize>,
    /// Where the secret stands in the text; `None` when its spelling there differs from its value (escapes, folding).
    pub(crate) spelled: Option<Range<usize>>,
}

struct Scope<'a> {
    path: String,
    shape: String,
    host: &'a str,
    secret: bool,
    headers: bool,
}

/// Every secret of the text in order; empty when the text is no YAML.
pub(crate) fn slots(text: &str) -> Vec<Slot> {
    let mut out = Vec::new();
    if let Some(root) = parse(text) {
        let scope = Scope { path: String::new(), shape: String::new(), host: "", secret: false, headers: false };
        walk(text, &root, &scope, &mut out);
    }
    out.sort_by_key(|s| (s.scalar.start, s.within.start));
    out
}

fn walk(text: &str, item: &Item, scope: &Scope<'_>, out: &mut Vec<Slot>) {
    match item {
        Item::Map(pairs) => {
            let own = item.get("url").or_else(|| item.get("host")).and_then(Item::text).map(host_of);
            let second = item.get(SECOND).and_then(Item::text).map(urls::host);
            let own = own.map(|first| both_hosts(&first, second.as_deref()));
            for (key, child) in pairs {
                let next = Scope {
                    path: format!("{}.{key}", scope.path),
                    shape: format!("{}.{key}", scope.shape),
                    host: own.as_deref().unwrap_or(scope.host),
                    secret: scope.secret || is_secret_key(key) || (scope.headers && is_secret_header(key)),
                    headers: key == "headers" || scope.headers,
                };
                walk(text, child, &next, out);
            }
        }
        Item::Seq(items) => {
            for (i, child) in items.iter().enumerate() {
                let named = |key: &str| child.get(key).and_then(Item::text).map(|t| format!("{key}={t}"));
                let identity = named("id").or_else(|| named("name")).unwrap_or_else(|| i.to_string());
                let next = Scope {
                    path: format!("{}[{identity}]", scope.path),
                    shape: format!("{}[]", scope.shape),
                    host: scope.host,
                    secret: scope.secret,
                    headers: scope.headers,
                };
                walk(text, child, &next, out);
            }
        }
        Item::Scalar { text: value, range, .. } => scalar(text, value, range, scope, out),
        Item::Alias => {}
    }
}

/// Key of a URL beside `url` that the same secrets are sent to.
pub(super) const SECOND: &str = "secondary";

/// The hosts that the secrets of one target go to, as one word to compare.
pub(super) fn both_hosts(first: &str, second: Option<&str>) -> String {
    second.map_or_else(|| first.to_owned(), |second| format!("{first} {second}"))
}

/// The host of a URL, or the text itself where a key `host` holds no URL.
fn host_of(text: &str) -> String {
    if text.contains("://") { urls::host(text) } else { text.to_ascii_lowercase() }
}

fn scalar(text: &str, value: &str, range: &Range<usize>, scope: &Scope<'_>, out: &mut Vec<Slot>) {
    let slot = |part: String, host: &str, within: Range<usize>, spelled, shown: &str| Slot {
        path: scope.path.clone(),
        shape: scope.shape.clone(),
        part,
        host: host.to_owned(),
        shown: shown.to_owned(),
        secret: value[within.clone()].to_owned(),
        value: value.to_owned(),
        within,
        scalar: range.clone(),
        spelled,
    };
    if scope.secret {
        let nothing = value.is_empty() || matches!(value, "~" | "null" | "Null" | "NULL");
        if !nothing && !urls::is_reference(value) {
            out.push(slot(String::new(), scope.host, 0..value.len(), None, MASK));
        }
        return;
    }
    if !value.contains("://") {
        return;
    }
    let found = urls::secrets_of_value(value);
    let raw = &text[range.clone()];
    let spelled = urls::secrets(raw);
    let same = found.len() == spelled.len()
        && found.iter().zip(&spelled).all(|(a, b)| value[a.range.clone()] == raw[b.range.clone()]);
    let masks: Vec<_> = found.iter().map(|s| (s.range.clone(), MASK.to_owned())).collect();
    let shown = apply(value, &masks);
    let host = urls::host(value);
    for (i, secret) in found.into_iter().enumerate() {
        let place = same.then(|| {
            let at = &spelled[i].range;
            range.start + at.start..range.start + at.end
        });
        out.push(slot(secret.part, &host, secret.range, place, &shown));
    }
}

/// The text with every secret replaced by `***`, comments included. Text that is no YAML is treated line by line.
#[must_use]
pub fn hide(text: &str) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for slot in slots(text) {
        match &slot.spelled {
            Some(range) => edits.push((range.clone(), MASK.to_owned())),
            None => edits.push((slot.scalar.clone(), quote(&slot.shown))),
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    edits.dedup_by(|later, earlier| later.0.start < earlier.0.end);
    let parsed = super::tree::parse(text).is_some();
    let hidden = apply(text, &edits);
    // Comments, and whatever the walk could not reach, are looked at line by line.
    let mut inside = None;
    hidden
        .split_inclusive('\n')
        .map(|line| if parsed { hide_line(line) } else { hide_broken(line, &mut inside) })
        .collect()
}

/// A line of a file that is no YAML. `inside` is the indent of a secret key whose value stands on the lines below.
fn hide_broken(line: &str, inside: &mut Option<usize>) -> String {
    let body = line.trim();
    let indent = line.len() - line.trim_start().len();
    if let Some(key_indent) = *inside {
        let mistyped = !body.contains(':') && !body.starts_with('-');
        if body.is_empty() || indent > key_indent || mistyped {
            return if body.is_empty() { line.to_owned() } else { line.replacen(body, MASK, 1) };
        }
        *inside = None;
    }
    let opens = body.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '|' | '>' | '+' | '-' | ' '));
    if let Some(key) = opens.strip_suffix(':')
        && is_secret_key(last_word(key))
    {
        *inside = Some(indent);
    }
    hide_line(line)
}

/// A line with the passwords of its URLs hidden, and the values of secret keys too where the walk did not see them: in
/// comments and in files that are no YAML.
pub(crate) fn hide_line(line: &str) -> String {
    let line = super::hide_in_words(line);
    let edits: Vec<_> = secret_values(&line).into_iter().map(|range| (range, quote(MASK))).collect();
    apply(&line, &edits)
}

/// The key that a text ends with, without its quotes.
fn last_word(text: &str) -> &str {
    let bare = text.trim_end().trim_end_matches(['"', '\'']);
    bare.rsplit(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).next().unwrap_or_default()
}

/// Where the values of secret keys stand in a line, `key: value` or `{key: value, ...}`.
fn secret_values(line: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for (colon, _) in line.match_indices(':') {
        let head = &line[..colon];
        let rest = &line[colon + 1..];
        let separated = rest.is_empty() || rest.starts_with(char::is_whitespace) || head.ends_with(['"', '\'']);
        if !separated || !is_secret_key(last_word(head)) || out.last().is_some_and(|r| colon < r.end) {
            continue;
        }
        let start = colon + 1 + (rest.len() - rest.trim_start().len());
        let value = line[start..].trim_end();
        let value = match value.chars().next() {
            Some(q @ ('"' | '\'')) => value[1..].find(q).map_or(value, |end| &value[..end + 2]),
            _ if head.contains('{') => value.split([',', '}']).next().unwrap_or_default().trim_end(),
            _ => value,
        };
        let shown = value.is_empty() || value.contains(MASK) || urls::is_reference(value.trim_matches(['"', '\'']));
        let structure = value.starts_with(['{', '[', '&', '*', '#', '|', '>']) || matches!(value, "~" | "null");
        if !shown && !structure {
            out.push(start..start + value.len());
        }
    }
    out
}

/// Applies replacements that are in order and do not overlap.
pub(crate) fn apply(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in edits {
        if range.start < at {
            continue;
        }
        out.push_str(&text[at..range.start]);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A double-quoted scalar. JSON's escapes are a subset of YAML's.
pub(crate) fn quote(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}
