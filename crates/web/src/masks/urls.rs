//! Finds the secrets inside URLs as they are written: the password of the authority part and secret query values.
//! Works on any text, valid URL or not: what a user mistyped must stay hidden too.

use std::ops::Range;

use model::address::{Address, is_secret_name, is_srt};

use super::MASK;
use super::find::apply;

/// One secret inside a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlSecret {
    /// Where it stands, in bytes.
    pub(crate) range: Range<usize>,
    /// Which part of which URL: `0/password`, `0/query/token/0`.
    pub(crate) part: String,
}

/// All secrets of all URLs in `text`, in order. References to the environment (`${NAME}`) are no secrets, but the
/// default inside `${NAME:-default}` is.
pub(crate) fn secrets(text: &str) -> Vec<UrlSecret> {
    scan(text, true)
}

/// The same for a text that is one value: quotes are letters like others.
pub(crate) fn secrets_of_value(text: &str) -> Vec<UrlSecret> {
    scan(text, false)
}

fn scan(text: &str, in_words: bool) -> Vec<UrlSecret> {
    let flat = without_references(text);
    let mut out = Vec::new();
    let mut from = 0;
    let mut number = 0;
    while let Some(found) = flat[from..].find("://") {
        let start = from + found + 3;
        let end = start + url_length(&flat[start..], in_words);
        one_url(text, &flat, start..end, number, &mut out);
        number += 1;
        from = start; // a URL may stand inside another one
    }
    inside_references(text, &mut out);
    out.sort_by_key(|s| (s.range.start, std::cmp::Reverse(s.range.end)));
    out.dedup_by(|later, earlier| later.range.start < earlier.range.end);
    out
}

/// The host that the URL in `value` leads to: a secret stays with it. Asked of the one reader of URLs that the program
/// connects by, for two readers would differ in odd spellings. A URL that is none because of its password is read
/// without; whatever else is no URL leads nowhere but to itself.
pub(crate) fn host(value: &str) -> String {
    let masks: Vec<_> = secrets_of_value(value).into_iter().map(|s| (s.range, MASK.to_owned())).collect();
    let shown = apply(value, &masks);
    let read = |text: &str| Address::parse(&by_default(text)).ok().filter(|_| !text.contains(char::is_control));
    let stored = || read(&shown).filter(|_| ![MASK, "${", "\n"].iter().any(|sign| value.contains(sign)));
    read(value).or_else(stored).map_or(shown, |address| address.host().to_ascii_lowercase())
}

/// The text as it is when nothing is set in the environment. What then lacks a value is told apart by its name.
fn by_default(text: &str) -> String {
    let mut out = text.to_owned();
    for range in references(text).into_iter().rev() {
        let inner = &text[range.start + 2..range.end - 1];
        let value = inner.split_once(":-").map_or_else(|| format!("env-{inner}"), |(_, default)| default.to_owned());
        out.replace_range(range, &value);
    }
    out
}

/// Whether a text is one reference to the environment without a default: it names a secret and holds none.
pub(crate) fn is_reference(text: &str) -> bool {
    let inner = text.trim().strip_prefix("${").and_then(|t| t.strip_suffix('}'));
    inner.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

fn one_url(text: &str, flat: &str, url: Range<usize>, number: usize, out: &mut Vec<UrlSecret>) {
    let authority_end = url.start + authority_length(&flat[url.clone()]);
    let authority = &flat[url.start..authority_end];
    if let Some(at) = authority.rfind('@')
        && let Some(colon) = authority[..at].find(':')
    {
        push(text, url.start + colon + 1..url.start + at, format!("{number}/password"), out);
    }
    let Some(question) = flat[authority_end..url.end].find('?') else { return };
    let query_from = authority_end + question + 1;
    // Stream ids of SRT begin with a # that is part of the query.
    let is_srt = url.start.checked_sub(6).and_then(|from| flat.get(from..)).is_some_and(is_srt);
    let fragment = if is_srt { None } else { flat[query_from..url.end].find('#') };
    let query_end = fragment.map_or(url.end, |at| query_from + at);
    let mut at = query_from;
    for (nth, pair) in flat[query_from..query_end].split('&').enumerate() {
        if let Some((name, value)) = pair.split_once('=')
            && is_secret_name(name)
        {
            let from = at + name.len() + 1;
            push(text, from..from + value.len(), format!("{number}/query/{name}/{nth}"), out);
        }
        at += pair.len() + 1;
    }
}

fn push(text: &str, range: Range<usize>, part: String, out: &mut Vec<UrlSecret>) {
    let value = &text[range.clone()];
    if !value.is_empty() && !is_reference(value) {
        out.push(UrlSecret { range, part });
    }
}

/// URLs that stand inside `${NAME:-default}`.
fn inside_references(text: &str, out: &mut Vec<UrlSecret>) {
    for whole in references(text) {
        let inner = whole.start + 2..whole.end - 1;
        let Some(dash) = text[inner.clone()].find(":-") else { continue };
        let base = inner.start + dash + 2;
        for secret in secrets(&text[base..inner.end]) {
            let range = base + secret.range.start..base + secret.range.end;
            let known = out.iter().any(|s| s.range.start < range.end && range.start < s.range.end);
            if !known {
                out.push(UrlSecret { range, part: format!("default/{}", secret.part) });
            }
        }
    }
}

/// Where `${NAME}` and `${NAME:-default}` stand.
fn references(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("${") {
        let open = from + open;
        let name = text[open + 2..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let after = open + 2 + name;
        let close = text[after..].find(['}', '\n']).map(|at| after + at).filter(|at| text[*at..].starts_with('}'));
        match close {
            Some(close) if name > 0 && (close == after || text[after..].starts_with(":-")) => {
                out.push(open..close + 1);
                from = close + 1;
            }
            _ => from = open + 2,
        }
    }
    out
}

/// The text with every reference overwritten by as many letters, so that the signs inside do not count.
fn without_references(text: &str) -> String {
    let mut out = text.to_owned();
    for range in references(text) {
        let letters = "x".repeat(range.len());
        out.replace_range(range, &letters);
    }
    out
}

/// Bytes until a sign that ends a URL: in running text white space and quotes, unless the quote is in a password. What is a
/// URL as a whole may hold both.
fn url_length(rest: &str, in_words: bool) -> usize {
    if !in_words {
        return rest.len();
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let Some(quote) = rest[..end].find(['"', '\'', '<', '>', '`']) else { return end };
    let head = rest[..quote].split(['/', '?', '#']).next().unwrap_or_default();
    let in_password = !head.contains('@') && !is_host_and_port(head) && rest[quote..end].contains('@');
    if in_password { end } else { quote }
}

/// Bytes of the authority part. A password with an unescaped `/`, `?` or `#` makes the URL invalid; it is still hidden:
/// when what comes before that sign cannot be a host and a port, the part ends at the last `@` instead.
fn authority_length(url: &str) -> usize {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    if url[..end].contains('@') {
        return end;
    }
    match url.rfind('@') {
        Some(at) if !is_host_and_port(&url[..end]) => {
            at + 1 + url[at + 1..].find(['/', '?', '#']).unwrap_or(url.len() - at - 1)
        }
        _ => end,
    }
}

/// Whether a text can be a host with or without a port: what follows its last colon is a number, or it is IPv6.
fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_none_or(|(host, port)| host.starts_with('[') || port.bytes().all(|b| b.is_ascii_digit()))
}
