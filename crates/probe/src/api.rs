//! Asking an HTTP API for JSON: one request through the `http` kind's rules for credentials and redirects, the cap on the
//! answer, and the words for what is no JSON. Owns no API: what the members mean is the kinds' business.

use bytes::Bytes;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{FactValue, Reading};
use model::secret::{MASK, Secret};
use net::attempt::Attempt;
use net::http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::kinds::http::fetch::{Ask, fetch, status_fault};

/// Largest answer: what these APIs send takes a few KiB; a page of fifty items with all their parts some hundred.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Most bytes read of an answer that is an error: its words stand at the beginning.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Longest text of an answer that is kept, in characters.
const MAX_TEXT_CHARS: usize = 120;
/// Secrets shorter than this are not masked in free text.
const MIN_MASKED_BYTES: usize = 4;

const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

/// What came back. Has no `Debug`: answers hold stream keys.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    /// The JSON; of an error that brought none, `None`.
    pub(crate) value: Option<Value>,
    /// What the status code means by itself; `None` when it is one of success.
    pub(crate) fault: Option<Fault>,
}

impl Answer {
    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The JSON of a success.
    ///
    /// # Errors
    /// What the status code means.
    pub(crate) fn into_value(self) -> Result<Value, Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.value.unwrap_or_default()),
        }
    }
}

/// Sends the request and reads the answer. A status code that is no success is an answer here; one that is brings JSON.
///
/// # Errors
/// Those of the request; too_large; protocol when a success brings no JSON.
pub(crate) async fn ask(at: &mut Attempt<'_>, ask: &Ask<'_>, reading: &mut Reading) -> Result<Answer, Fault> {
    let mut reply = fetch(at, ask, reading).await?;
    let (status, headers) = (reply.status, reply.headers.clone());
    if !(200..=299).contains(&status) {
        let fault = status_fault(&reply, "200");
        // The code says enough where the words do not come.
        let words = at.run(Phase::Transfer, reply.body.read_up_to(MAX_ERROR_BYTES)).await;
        let value = words.ok().and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok());
        return Ok(Answer { status, headers, value, fault: Some(fault) });
    }
    let body = at.run(Phase::Transfer, reply.body.collect(MAX_ANSWER_BYTES)).await?;
    let kind = reply.header(CONTENT_TYPE).unwrap_or_default();
    let value = read(&body, kind).map_err(|words| Fault::new(FaultKind::Protocol, Phase::Check, words))?;
    Ok(Answer { status, headers, value: Some(value), fault: None })
}

/// Reads JSON; the words for what is none never quote it.
fn read(body: &Bytes, content_type: &str) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        let begin = body.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_page = begin == Some(&b'<') || content_type.to_ascii_lowercase().contains("html");
        match (begin, is_page) {
            (None, _) => "the answer is empty, expected JSON".to_owned(),
            (_, true) => "the answer is a page, expected JSON".to_owned(),
            _ => format!("the answer is no JSON: line {}, column {}", error.line(), error.column()),
        }
    })
}

/// The text of a member, short and without control characters; `None` when it is absent, empty or no text.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| tidy(text))
}

/// A text of a peer as it may be shown: in one line, and short.
pub(crate) fn tidy(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Masks `secrets` in everything that a look leaves behind: what was got from an API (an address that is signed, a token for an
/// hour) stands in no configuration, so nobody else knows it for a secret.
pub(crate) fn wash(secrets: &[Secret], reading: &mut Reading, ended: &mut Result<(), Fault>) {
    let mask = |text: &mut String| {
        for secret in secrets.iter().filter(|secret| secret.expose().len() >= MIN_MASKED_BYTES) {
            if text.contains(secret.expose()) {
                *text = text.replace(secret.expose(), MASK);
            }
        }
    };
    if let Err(fault) = ended {
        mask(&mut fault.detail);
    }
    reading.findings.iter_mut().for_each(|finding| mask(&mut finding.text));
    for value in reading.facts.values_mut() {
        if let FactValue::Text(text) = value {
            mask(text);
        }
    }
}

/// A member that is a number, or a text that is one; never infinite.
pub(crate) fn number(value: &Value, key: &str) -> Option<f64> {
    let member = value.get(key)?;
    let number = member.as_f64().or_else(|| member.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

/// A member that is a count: whole and not negative.
pub(crate) fn count(value: &Value, key: &str) -> Option<u64> {
    let number = number(value, key).filter(|number| (0.0..9e15).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range just checked")]
    Some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_json_is_named_and_never_quoted() {
        for (body, kind, words) in [
            (&b""[..], "application/json", "the answer is empty, expected JSON"),
            (b" \n<html>s3cret", "application/json", "the answer is a page, expected JSON"),
            (b"s3cret", "Text/HTML; charset=utf-8", "the answer is a page, expected JSON"),
            (b"{\"s3cret\":", "", "the answer is no JSON: line 1, column 10"),
        ] {
            assert_eq!(read(&Bytes::from_static(body), kind), Err(words.to_owned()));
        }
        let deep = "[".repeat(100_000);
        assert!(read(&deep.into(), "").is_err(), "nesting is bounded");
    }

    #[test]
    fn members_of_any_type_are_taken_for_what_they_are() {
        let told = json!({
            "text": " a\nb ", "empty": " ", "n": 5, "s": "7", "f": 2.5, "minus": -1, "list": [1], "huge": 1e300,
            "word": "NaN", "null": null, "long": "x".repeat(1000),
        });
        assert_eq!(text(&told, "text").as_deref(), Some("a b"));
        assert_eq!(text(&told, "long").map(|text| text.len()), Some(MAX_TEXT_CHARS));
        for key in ["empty", "n", "list", "null", "absent"] {
            assert_eq!(text(&told, key), None, "{key}");
        }
        let counts = ["n", "s", "f", "minus", "list", "huge", "word", "null"].map(|key| count(&told, key));
        assert_eq!(counts, [Some(5), Some(7), Some(2), None, None, None, None, None]);
        assert_eq!(text(&json!([1]), "text"), None);
    }
}
