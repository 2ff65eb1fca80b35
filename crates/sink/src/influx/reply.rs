//! What a server's answer to a write means. Pure.
//!
//! Version 1 and 2 answer 204 when all was written, 400 with "partial write: ... dropped=N" when the rest was, and another 400
//! when nothing was; version 3 lists the lines it did not take under `data`.

use std::time::Duration;

use jiff::Timestamp;
use model::time::UtcMs;
use serde_json::Value;

/// Longest that a server's own words are quoted, in bytes.
const MAX_WORDS: usize = 200;
/// Longest pause that a server may ask for: it may be wrong, and what waits is bounded.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All was written.
    Written,
    /// All was written except so many lines, and why.
    Partly {
        /// Lines that the server will never take.
        refused: u64,
        /// Its words.
        words: String,
    },
    /// The server will never take this batch.
    Refused(String),
    /// The batch is too large for this server.
    TooLarge(String),
    /// Not now; later perhaps.
    Later {
        /// What happened.
        words: String,
        /// How long the server wants to be left alone.
        after: Option<Duration>,
    },
}

/// Reads an answer: status code, `Retry-After`, the beginning of the body.
pub(crate) fn outcome(status: u16, retry_after: Option<&str>, body: &str, now: UtcMs) -> Outcome {
    let said = said(body);
    let words = |what: &str| match said.is_empty() {
        true => format!("the server answers {status}: {what}"),
        false => format!("the server answers {status}: {said}"),
    };
    match status {
        200..=299 if body.trim().is_empty() => Outcome::Written,
        200..=299 => Outcome::Refused(format!(
            "the server answers {status} with a page, as something that is no InfluxDB does: {said}"
        )),
        400 => match refused(body) {
            Some(refused) => Outcome::Partly { refused, words: words("a part is refused") },
            None => Outcome::Refused(words("what was written is not understood")),
        },
        401 => Outcome::Refused(words("token, or user and password, are missing or wrong")),
        403 => Outcome::Refused(words("token or user may not write there")),
        404 => Outcome::Refused(words("there is no such database, bucket, organisation or path")),
        413 => Outcome::TooLarge(words("the batch is too large")),
        408 | 425 | 429 | 500..=599 => {
            Outcome::Later { words: words("not now"), after: retry_after.and_then(|text| pause(text, now)) }
        }
        300..=399 => Outcome::Refused(words("it points elsewhere; write its own address in url")),
        _ => Outcome::Refused(words("the write is refused")),
    }
}

/// How long `Retry-After` asks to wait: seconds or a date (RFC 9110 section 10.2.3).
fn pause(text: &str, now: UtcMs) -> Option<Duration> {
    let text = text.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at: Timestamp = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            UtcMs(at.as_millisecond()).since(now)
        }
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

/// How many lines were refused while the others were written; `None` when nothing was written.
fn refused(body: &str) -> Option<u64> {
    if let Some((_, count)) = body.split_once("dropped=") {
        let digits = count.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        return digits.parse().ok();
    }
    // Of lines that it cannot read, version 1 says which, and not how many.
    if body.contains("partial write: unable to parse") {
        return Some(body.matches("unable to parse").count() as u64);
    }
    let json: Value = serde_json::from_str(body).ok()?;
    json.get("error")?.as_str().filter(|error| error.contains("partial write"))?;
    Some(json.get("data")?.as_array()?.len() as u64)
}

/// The sentence in a body, in one line and cut.
fn said(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let field = |key: &str| json.as_ref()?.get(key)?.as_str().map(str::to_owned);
    let text = field("error").or_else(|| field("message")).unwrap_or_else(|| body.to_owned());
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if out.len() + word.len() >= MAX_WORDS {
            out.push_str(" …");
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_servers_and_of_what_stands_between() {
        let now = UtcMs(1_700_000_000_000); // Tue, 14 Nov 2023 22:13:20 GMT
        let later = |s: u64| Some(Duration::from_secs(s));
        let refused = |words: &str| Outcome::Refused(words.to_owned());
        let partly = |refused, words: &str| Outcome::Partly { refused, words: words.to_owned() };
        for (status, retry, body, wanted) in [
            (204, None, "", Outcome::Written),
            (200, None, " \n", Outcome::Written),
            (
                200,
                None,
                "<html>Sign in</html>",
                refused(
                    "the server answers 200 with a page, as something that is no InfluxDB does: <html>Sign in</html>",
                ),
            ),
            (
                400,
                None,
                r#"{"error":"partial write: field type conflict: input field \"x\" dropped=2"}"#,
                partly(2, "the server answers 400: partial write: field type conflict: input field \"x\" dropped=2"),
            ),
            (
                400,
                None,
                r#"{"error":"partial write: unable to parse 'a b': missing fields\nunable to parse 'c d': bad dropped"}"#,
                partly(
                    2,
                    "the server answers 400: partial write: unable to parse 'a b': missing fields unable to parse 'c d': bad dropped",
                ),
            ),
            (
                400,
                None,
                r#"{"error":"partial write of line protocol occurred","data":[{"line_number":2},{"line_number":4},{}]}"#,
                partly(3, "the server answers 400: partial write of line protocol occurred"),
            ),
            (
                400,
                None,
                r#"{"code":"invalid","message":"unable to parse 'x'"}"#,
                refused("the server answers 400: unable to parse 'x'"),
            ),
            (
                401,
                None,
                r#"{"code":"unauthorized","message":"unauthorized access"}"#,
                refused("the server answers 401: unauthorized access"),
            ),
            (403, None, "", refused("the server answers 403: token or user may not write there")),
            (
                404,
                None,
                r#"{"error":"database not found: \"x\""}"#,
                refused("the server answers 404: database not found: \"x\""),
            ),
            (302, None, "", refused("the server answers 302: it points elsewhere; write its own address in url")),
            (413, None, "", Outcome::TooLarge("the server answers 413: the batch is too large".to_owned())),
            (
                429,
                Some("7"),
                "",
                Outcome::Later { words: "the server answers 429: not now".to_owned(), after: later(7) },
            ),
            (
                503,
                Some("Tue, 14 Nov 2023 22:13:50 GMT"),
                "",
                Outcome::Later { words: "the server answers 503: not now".to_owned(), after: later(30) },
            ),
            (
                503,
                Some("Tue, 14 Nov 2023 22:13:00 GMT"),
                "",
                Outcome::Later { words: "the server answers 503: not now".to_owned(), after: later(0) },
            ),
            (
                503,
                Some("99999999999"),
                "",
                Outcome::Later { words: "the server answers 503: not now".to_owned(), after: later(600) },
            ),
            (
                500,
                Some("soon"),
                r#"{"error":"timeout"}"#,
                Outcome::Later { words: "the server answers 500: timeout".to_owned(), after: None },
            ),
        ] {
            assert_eq!(outcome(status, retry, body, now), wanted, "{status} {retry:?} {body}");
        }
    }

    #[test]
    fn long_words_are_cut_between_words() {
        let body = "word ".repeat(1000);
        let Outcome::Refused(words) = outcome(400, None, &body, UtcMs(0)) else { panic!("refused") };
        assert!(words.len() < 250 && words.ends_with("word …"), "{words}");
        let Outcome::Refused(words) = outcome(400, None, &"x".repeat(5000), UtcMs(0)) else { panic!("refused") };
        assert!(words.len() < 250, "{words}");
    }
}
