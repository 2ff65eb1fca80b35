//! The query of a request, checked against the row of its route before any handler sees it: whatever is wrong is named.
//! Owns the forms that parameters may have; what they mean is the handlers' business.

use axum::http::Uri;
use jiff::Timestamp;
use model::conf::words::nearest;
use serde::{Deserialize, Deserializer};

use crate::error::{ApiError, ApiResult, Code};
use crate::routes::{Param, Route};

/// Longest unknown name that is repeated in the answer, in bytes; none of ours is half as long.
const SHOWN_BYTES: usize = 32;

/// A time in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(
    /// UTC milliseconds.
    pub i64,
);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        time(&text).map(Self).ok_or_else(|| serde::de::Error::custom("no time"))
    }
}

/// UTC milliseconds of a text: a number, or RFC 3339.
fn time(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    let parse = |text: &str| text.parse::<Timestamp>().ok().map(|at| at.as_millisecond());
    // A plus sign that was not escaped arrives as a space: 2026-11-20T00:00:00 01:00.
    parse(text).or_else(|| text.rsplit_once(' ').and_then(|(at, offset)| parse(&format!("{at}+{offset}"))))
}

impl Param {
    /// Whether a text has this form.
    fn takes(self, text: &str) -> bool {
        match self {
            Self::Time => time(text).is_some(),
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Range(least, most) => text.parse::<i64>().is_ok_and(|n| (least..=most).contains(&n)),
            Self::Word(words) => words.contains(&text),
            Self::Bool => matches!(text, "true" | "false"),
            Self::Text => true,
        }
    }

    /// The form in words.
    fn form(self) -> String {
        match self {
            Self::Time => "UTC milliseconds (1795132800000) or RFC 3339 (2026-11-20T00:00:00Z)".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Range(least, most) => format!("a whole number from {least} to {most}"),
            Self::Word(words) => words.join(" or "),
            Self::Bool => "true or false".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }
}

/// Checks the query of a request. A parameter that the route does not know is refused, because a slip (`form` for `from`)
/// would be answered with something else than what was asked for. Routes of StreamPulse 2.x and those for supervisors take
/// anything: what their clients add was always ignored.
///
/// # Errors
/// `bad_request`, with the parameter and the form that it must have.
pub fn check(route: &Route, uri: &Uri) -> ApiResult<()> {
    if !route.path.starts_with("/api/v1/") || uri.query().is_none_or(str::is_empty) {
        return Ok(());
    }
    let refuse = |why: String| ApiError::new(Code::BadRequest, why);
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| refuse("the query is not understood".to_owned()))?;
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in &pairs.0 {
        let Some((name, param, _)) = route.query.iter().find(|(name, ..)| name == key) else {
            return Err(refuse(unknown(route, key)));
        };
        if seen.contains(name) {
            return Err(refuse(format!("the parameter {name} is there twice")));
        }
        if !param.takes(value) {
            return Err(refuse(format!("the parameter {name} must be {}", param.form())));
        }
        seen.push(name);
    }
    Ok(())
}

fn unknown(route: &Route, key: &str) -> String {
    let names: Vec<&str> = route.query.iter().map(|(name, ..)| *name).collect();
    if names.is_empty() {
        return "this path takes no parameters".to_owned();
    }
    if key.len() > SHOWN_BYTES {
        return format!("unknown parameter; accepted: {}", names.join(", "));
    }
    let meant = nearest(key, names.iter().copied()).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
    format!("unknown parameter {key:?}; {meant}accepted: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_forms() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("1795132800000", Some(1_795_132_800_000)),
            ("2026-11-20T00:00:00Z", Some(1_795_132_800_000)),
            ("2026-11-20T00:00:00.25Z", Some(1_795_132_800_250)),
            ("2026-11-20T01:00:00+01:00", Some(1_795_132_800_000)),
            ("2026-11-20T01:00:00 01:00", Some(1_795_132_800_000)),
            ("2026-11-19 19:00:00-05:00", Some(1_795_132_800_000)),
            ("2026-11-20", None),
            ("2026-11-20T00:00:00", None),
            ("yesterday", None),
            ("1.5", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(time(text), wanted, "{text}");
        }
    }
}
