//! Secrets in the text of a configuration: shown as `***`, and put back where a form returns the mask unchanged. Works on the
//! text as it stands in the file, before variables are put in, so that `${NAME}` survives an edit.

use model::address::is_secret_name;
use model::conf::{Field, Node, Type, Value};
use model::secret::MASK;
use probe::kinds::KINDS;

use super::fields::{EXPECT, PROBING, SERVER, STORE, TARGET, TOP};
use super::splice::Refusal;
use super::tree::Item;

/// Byte ranges of the secrets of a URL's text: the password, and values of telling query parameters.
fn url_secrets(url: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let Some(authority) = url.find("://").map(|at| at + 3) else { return found };
    let end = authority_end(url, authority);
    let colon = url[authority..end].find(':').map(|at| authority + at + 1);
    match (url[authority..end].rfind('@').map(|at| authority + at), colon) {
        (Some(at), Some(colon)) if colon <= at => found.push(colon..at),
        // Cut off before its @, as in a half-written file: whatever is no port may be a password.
        (None, Some(colon)) if !is_port(&url[colon..end]) && !url[authority..].starts_with('[') => {
            found.push(colon..end)
        }
        _ => {}
    }
    let Some(query) = url[end..].find('?').map(|at| end + at + 1) else { return found };
    let stop = url[query..].find('#').map_or(url.len(), |at| query + at);
    let mut start = query;
    for pair in url[query..stop].split('&') {
        if let Some(equals) = pair.find('=').filter(|at| is_secret_name(&pair[..*at])) {
            found.push(start + equals + 1..start + pair.len());
        }
        start += pair.len() + 1;
    }
    found
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) || text.contains("${")
}

/// Where the part with user, host and port ends; a slash inside of `${...}` ends nothing.
fn authority_end(url: &str, from: usize) -> usize {
    let mut in_variable = false;
    for (at, c) in url[from..].char_indices() {
        match c {
            '{' if url[..from + at].ends_with('$') => in_variable = true,
            '}' => in_variable = false,
            '/' | '?' | '#' if !in_variable => return from + at,
            _ => {}
        }
    }
    url.len()
}

/// The URL's text with its secrets masked.
pub(super) fn url(text: &str) -> String {
    let mut out = text.to_owned();
    for range in url_secrets(text).into_iter().rev().filter(|r| !r.is_empty()) {
        out.replace_range(range, MASK);
    }
    out
}

/// Whether the value of a key is a secret as a whole: as declared, and by its name where nobody declares it (a header).
pub(super) fn is_secret_key(key: &str) -> bool {
    let tables: [&[Field]; 6] = [&TOP, &SERVER, &STORE, &PROBING, &TARGET, &EXPECT];
    let kinds = KINDS.iter().map(|kind| kind.fields);
    let mut declared = tables.into_iter().chain(kinds).flatten().filter(|f| f.key == key).peekable();
    if declared.peek().is_none() {
        return is_secret_name(key);
    }
    declared.any(|f| matches!(f.ty, Type::Secret))
}

/// The value with all secrets masked.
pub(super) fn value(key: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Map(pairs) => {
            Value::Map(pairs.iter().map(|(k, n)| (k.clone(), Node::bare(self::value(k, &n.value)))).collect())
        }
        Value::List(items) => Value::List(items.iter().map(|n| Node::bare(self::value(key, &n.value))).collect()),
        _ if is_secret_key(key) || map_of_secrets(key) => Value::Str(MASK.to_owned()),
        Value::Str(text) => Value::Str(url(text)),
        other => other.clone(),
    }
}

/// Whether a key of a kind holds a mapping or a list whose values are secrets.
pub(super) fn map_of_secrets(key: &str) -> bool {
    let secret = |f: &Field| f.key == key && matches!(f.ty, Type::MapOf(Type::Secret) | Type::List(Type::Secret));
    KINDS.iter().any(|kind| kind.fields.iter().any(secret))
}

/// Whether a mask stands in a value in place of a secret.
pub(super) fn holds_mask(value: &Value) -> bool {
    match value {
        Value::Str(text) => text == MASK || url_secrets(text).into_iter().any(|r| text[r] == *MASK),
        Value::List(items) => items.iter().any(|n| holds_mask(&n.value)),
        Value::Map(pairs) => pairs.iter().any(|(_, n)| holds_mask(&n.value)),
        _ => false,
    }
}

/// The value with masks replaced by what the file holds; `None` when the value as a whole stays as it is.
pub(super) fn unmasked(key: &str, value: &Value, old: Option<&Item>) -> Result<Option<Value>, Refusal> {
    if !holds_mask(value) {
        return Ok(Some(value.clone()));
    }
    let refusal = || (format!("{key} holds a mask in place of the secret"), "write the secret itself");
    let old = old.ok_or_else(refusal)?;
    match value {
        Value::Str(text) if text == MASK => Ok(None),
        Value::Str(text) => {
            unmasked_url(text, old.text().unwrap_or_default()).map(|t| Some(Value::Str(t))).ok_or_else(refusal)
        }
        Value::Map(pairs) => {
            let mut out = Vec::with_capacity(pairs.len());
            for (name, node) in pairs {
                let was = old.get(name);
                let new = match unmasked(name, &node.value, was)? {
                    Some(value) => value,
                    None => was.map(|item| item.node(None).value).ok_or_else(refusal)?,
                };
                out.push((name.clone(), Node::bare(new)));
            }
            Ok(Some(Value::Map(out)))
        }
        _ => Err(refusal()),
    }
}

fn unmasked_url(new: &str, old: &str) -> Option<String> {
    let old_secrets = url_secrets(old);
    let mut out = new.to_owned();
    for range in url_secrets(new).into_iter().rev().filter(|r| new[r.clone()] == *MASK) {
        // A password belongs to the part before the host, a parameter's value to its name.
        let name = |text: &str, at: usize| {
            text[..at].rsplit(['?', '&']).next().filter(|_| text[..at].ends_with('=')).map(str::to_owned)
        };
        let wanted = name(new, range.start);
        let same_place = old_secrets.iter().find(|r| name(old, r.start) == wanted)?;
        // A password goes to no other server than the one it was given for.
        if host(new) != host(old) {
            return None;
        }
        out.replace_range(range, &old[same_place.clone()]);
    }
    Some(out)
}

fn host(url: &str) -> &str {
    let Some(from) = url.find("://").map(|at| at + 3) else { return "" };
    let authority = &url[from..authority_end(url, from)];
    authority.rsplit('@').next().unwrap_or_default()
}
