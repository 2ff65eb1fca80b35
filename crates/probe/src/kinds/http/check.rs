//! What a reply must be: status codes and body. Owns reading these expectations from the configuration and the sentences when
//! they are not met; sends nothing.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::conf::section::scalar;
use model::conf::{Problem, Section, Value};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use regex_lite::{Regex, RegexBuilder};
use tokio::sync::Semaphore;

/// Largest compiled expression. Matching takes time in proportion to it and to the body.
const MAX_REGEX_BYTES: usize = 64 * 1024;
/// Largest body that is judged without a thread of its own where an expression must match: the slowest one that is
/// accepted takes a tenth of a second for it.
const QUICK_REGEX_BYTES: usize = 4 * 1024;
/// The same where texts are looked for and JSON is read, which takes milliseconds.
const QUICK_BYTES: usize = 256 * 1024;
/// Large bodies judged at once in the whole process.
const JUDGING_AT_ONCE: usize = 4;
/// Longest value or expectation that a sentence quotes, in bytes.
const MAX_QUOTE_BYTES: usize = 80;

static JUDGING: Semaphore = Semaphore::const_new(JUDGING_AT_ONCE);

/// Accepted status codes, as inclusive ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatusSet(Vec<(u16, u16)>);

impl StatusSet {
    /// Reads `expect_status`; every item that is wrong becomes a problem of its own.
    pub(super) fn read(options: &Section<'_>, problems: &mut Vec<Problem>) -> Self {
        const KEY: &str = "expect_status";
        let (set, wrong) = Self::parse(&options.texts(KEY));
        let listed = options.node(KEY).is_some_and(|node| matches!(node.value, Value::List(_)));
        problems.extend(wrong.into_iter().map(|(at, message)| {
            let path = if listed { format!("{}[{at}]", options.path_of(KEY)) } else { options.path_of(KEY) };
            Problem::new(options.place_of(KEY), path, message)
        }));
        set
    }

    /// Reads `200`, `200-299` and `2xx`; of what is neither, its number and a message. An empty list is `200-399`: what a
    /// browser shows without an error.
    fn parse(items: &[String]) -> (Self, Vec<(usize, String)>) {
        if items.is_empty() {
            return (Self(vec![(200, 399)]), Vec::new());
        }
        let (mut ranges, mut wrong) = (Vec::new(), Vec::new());
        for (at, item) in items.iter().enumerate() {
            match range(item.trim()) {
                Ok(range) => ranges.push(range),
                Err(message) => wrong.push((at, message)),
            }
        }
        (Self(ranges), wrong)
    }

    pub(super) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

fn range(item: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|n| (100..=599).contains(n));
    let found = match (item.split_once('-'), item.to_ascii_lowercase().strip_suffix("xx")) {
        (Some((first, last)), _) => number(first).zip(number(last)),
        (None, Some(hundreds)) => number(&format!("{hundreds}00")).map(|first| (first, first + 99)),
        (None, None) => number(item).map(|n| (n, n)),
    };
    found
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| format!("{item:?} is no status code; write 204, 200-299 or 2xx"))
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

/// What the body must hold.
#[derive(Debug, Default)]
pub(super) struct BodyChecks {
    contains: Vec<String>,
    lacks: Vec<String>,
    regex: Option<Regex>,
    pointer: Option<String>,
    equals: Option<String>,
}

impl BodyChecks {
    pub(super) fn read(options: &Section<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut problem = |key: &str, message: String, remedy: &str| {
            problems.push(Problem::new(options.place_of(key), options.path_of(key), message).with_remedy(remedy));
        };
        let regex = options.text("body_regex").and_then(|text| {
            RegexBuilder::new(&text)
                .size_limit(MAX_REGEX_BYTES)
                .build()
                .map_err(|e| {
                    let remedy = "the syntax is that of the crate regex-lite";
                    problem("body_regex", format!("is no regular expression: {e}"), remedy);
                })
                .ok()
        });
        let pointer = options.text("json_pointer");
        if pointer.as_ref().is_some_and(|p| !p.is_empty() && !p.starts_with('/')) {
            problem("json_pointer", "a JSON pointer begins with a slash".to_owned(), "as in /status/ready (RFC 6901)");
        }
        let equals = options.node("json_equals").and_then(|node| {
            if matches!(node.value, Value::List(_) | Value::Map(_)) {
                problem(
                    "json_equals",
                    format!("is {}", node.value.type_name()),
                    "write a text, a number, true or false",
                );
            }
            scalar(&node.value)
        });
        if equals.is_some() && pointer.is_none() {
            problem("json_equals", "json_equals needs json_pointer".to_owned(), "add json_pointer, as in /status");
        }
        Self {
            contains: options.texts("body_contains"),
            lacks: options.texts("body_not_contains"),
            regex,
            pointer,
            equals,
        }
    }

    /// Whether the body matters at all.
    pub(super) fn any(&self) -> bool {
        !self.contains.is_empty() || !self.lacks.is_empty() || self.regex.is_some() || self.pointer.is_some()
    }

    /// Judges a body, a large one on a thread that may be busy: an expression may take seconds for one MiB, during which
    /// no deadline would be kept.
    pub(super) async fn judge(self: &Arc<Self>, body: Bytes) -> Result<(), Fault> {
        let quick = if self.regex.is_some() { QUICK_REGEX_BYTES } else { QUICK_BYTES };
        if body.len() <= quick {
            return self.check(&body);
        }
        let internal = |detail: String| Fault::new(FaultKind::Internal, Phase::Check, detail);
        let permit = JUDGING.acquire().await.map_err(|e| internal(e.to_string()))?;
        let checks = Arc::clone(self);
        // The permit stays with the thread, also when nobody waits for it any more: nothing can stop it halfway.
        let judging = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            checks.check(&body)
        });
        judging.await.map_err(|e| internal(e.to_string()))?
    }

    /// Judges a body here and now.
    fn check(&self, body: &[u8]) -> Result<(), Fault> {
        let wrong = |detail: String| Err(Fault::protocol(Phase::Check, detail));
        let text = String::from_utf8_lossy(body);
        if let Some(missing) = self.contains.iter().find(|part| !text.contains(part.as_str())) {
            return wrong(format!("the body does not contain {:?}", quote(missing)));
        }
        if let Some(found) = self.lacks.iter().find(|part| text.contains(part.as_str())) {
            return wrong(format!("the body contains {:?}", quote(found)));
        }
        if let Some(regex) = self.regex.as_ref().filter(|r| !r.is_match(&text)) {
            return wrong(format!("the body does not match {:?}", quote(regex.as_str())));
        }
        match &self.pointer {
            Some(pointer) => self.check_json(body, pointer),
            None => Ok(()),
        }
    }

    fn check_json(&self, body: &[u8], pointer: &str) -> Result<(), Fault> {
        let wrong = |detail: String| Err(Fault::protocol(Phase::Check, detail));
        let document: serde_json::Value = match serde_json::from_slice(body) {
            Ok(document) => document,
            Err(e) => return wrong(format!("the body is no JSON: line {}, column {}", e.line(), e.column())),
        };
        let Some(found) = document.pointer(pointer) else {
            return wrong(format!("the JSON of the body has nothing at {pointer}"));
        };
        match &self.equals {
            Some(wanted) if !same(found, wanted) => {
                wrong(format!("the JSON at {pointer} is {}, expected {wanted}", shown(found)))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a JSON value is what the configuration writes as `wanted`. Numbers compare by value: 1 is 1.0.
fn same(found: &serde_json::Value, wanted: &str) -> bool {
    match found {
        serde_json::Value::String(text) => text == wanted,
        serde_json::Value::Number(n) => {
            n.to_string() == wanted || wanted.parse::<f64>().is_ok_and(|w| n.as_f64().is_some_and(|n| n == w))
        }
        other => *other.to_string() == *wanted,
    }
}

/// A JSON value of the peer's in words. A long one is not cut: a cut secret could no longer be recognised and masked.
fn shown(value: &serde_json::Value) -> String {
    match value.to_string() {
        text if text.len() <= MAX_QUOTE_BYTES => text,
        text => format!("a value of {} bytes", text.len()),
    }
}

/// The beginning of a text from the configuration.
fn quote(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_QUOTE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::conf::Node;

    fn set(items: &[&str]) -> Result<StatusSet, Vec<(usize, String)>> {
        let (set, wrong) = StatusSet::parse(&items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        if wrong.is_empty() { Ok(set) } else { Err(wrong) }
    }

    #[test]
    fn status_codes_in_words() {
        for (items, shown, yes, no) in [
            (&[][..], "200-399", 301, 404),
            (&["204"][..], "204", 204, 200),
            (&["200-299", "401"][..], "200-299, 401", 401, 300),
            (&["2xx"][..], "200-299", 299, 300),
        ] {
            let set = set(items).expect("valid");
            assert_eq!(set.to_string(), shown);
            assert!(set.contains(yes) && !set.contains(no), "{shown}");
        }
        for item in ["", "ok", "99", "600", "300-200", "200-", "7xx", "-", "200-299-300"] {
            assert!(set(&[item]).is_err(), "{item}");
        }
    }

    fn checks(pairs: &[(&str, Value)]) -> (BodyChecks, Vec<Problem>) {
        let node = Node::bare(Value::Map(pairs.iter().map(|(k, v)| ((*k).into(), Node::bare(v.clone()))).collect()));
        let mut problems = Vec::new();
        let options = Section::check(&node, &super::super::FIELDS, "", &mut problems);
        let checks = BodyChecks::read(&options, &mut problems);
        (checks, problems)
    }

    fn text(s: &str) -> Value {
        Value::Str(s.into())
    }

    #[test]
    fn bodies_are_judged_with_the_actual_value() {
        let json = br#"{"state":"ready","n":1.0,"ok":true,"list":[{"a/b":null}],"big":12345678901234567890}"#;
        for (pairs, body, fault) in [
            (vec![("body_contains", text("ready"))], &json[..], None),
            (vec![("body_contains", text("Ready"))], json, Some("does not contain \"Ready\"")),
            (vec![("body_not_contains", text("state"))], json, Some("contains \"state\"")),
            (vec![("body_regex", text("^\\{.*\"n\":\\d"))], json, None),
            (vec![("body_regex", text("n:\\d"))], json, Some("does not match")),
            (vec![("json_pointer", text("/state"))], json, None),
            (vec![("json_pointer", text("/state")), ("json_equals", text("ready"))], json, None),
            (vec![("json_pointer", text("/n")), ("json_equals", Value::Int(1))], json, None),
            (vec![("json_pointer", text("/ok")), ("json_equals", Value::Bool(true))], json, None),
            (vec![("json_pointer", text("/list/0/a~1b")), ("json_equals", text("null"))], json, None),
            (
                vec![("json_pointer", text("/n")), ("json_equals", Value::Int(2))],
                json,
                Some("at /n is 1.0, expected 2"),
            ),
            (vec![("json_pointer", text("/list/1"))], json, Some("has nothing at /list/1")),
            (vec![("json_pointer", text("/x"))], b"<html>", Some("no JSON: line 1, column 1")),
            (vec![("body_contains", text("\u{fffd}"))], b"\xff", None),
        ] {
            let (checks, problems) = checks(&pairs);
            assert_eq!(problems, []);
            match (checks.check(body), fault) {
                (Ok(()), None) => {}
                (Err(got), Some(words)) => assert!(got.detail.contains(words), "{pairs:?}: {got}"),
                (got, _) => panic!("{pairs:?}: {got:?}, expected {fault:?}"),
            }
        }
    }

    #[test]
    fn contradictions_are_problems() {
        for (pairs, words) in [
            (vec![("json_equals", Value::Int(1))], "needs json_pointer"),
            (vec![("json_pointer", text("state"))], "begins with a slash"),
            (vec![("body_regex", text("("))], "no regular expression"),
            (vec![("body_regex", text("(((a{100}){100}){100})"))], "no regular expression"),
            (vec![("json_pointer", text("/a")), ("json_equals", Value::List(vec![]))], "is a list"),
        ] {
            let (_, problems) = checks(&pairs);
            assert!(problems.iter().any(|p| p.message.contains(words)), "{pairs:?}: {problems:?}");
        }
    }
}
