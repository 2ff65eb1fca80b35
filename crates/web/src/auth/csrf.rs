//! Requests that another site makes a browser send: the token that proves the page is ours, and the headers with which
//! browsers tell where a request comes from. Pure.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::random;
use crate::error::{ApiError, ApiResult, Code};

/// Header that carries the token.
pub const HEADER: &str = "x-csrf-token";

/// The token that belongs to a session: it cannot be guessed without the session's secret and gives nothing away of it.
#[must_use]
pub fn token(session_secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"streampulse csrf 1\0");
    hash.update(session_secret.as_bytes());
    random::hex(&hash.finalize())
}

/// Checks a request that changes something and is authenticated by a cookie.
///
/// # Errors
/// `csrf_failed` when it comes from another site or lacks the token.
pub fn check(headers: &HeaderMap, wanted: &str) -> ApiResult<()> {
    check_site(headers)?;
    let given = headers.get(HEADER).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if random::same(given, wanted) {
        return Ok(());
    }
    Err(ApiError::new(Code::CsrfFailed, "the header X-CSRF-Token is missing or out of date; reload the page"))
}

/// Refuses requests that a browser sends for another site. `Sec-Fetch-Site` decides where it is there: no page can forge
/// it, and it is right behind proxies that change the host. Else `Origin` must name the host that was asked.
///
/// # Errors
/// `csrf_failed`.
pub fn check_site(headers: &HeaderMap) -> ApiResult<()> {
    let refuse = || Err(ApiError::new(Code::CsrfFailed, "the request comes from another site"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return if matches!(site.as_bytes(), b"same-origin" | b"none") { Ok(()) } else { refuse() };
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let from = origin.to_str().unwrap_or_default();
    let from = from.strip_prefix("https://").or_else(|| from.strip_prefix("http://")).unwrap_or_default();
    if !from.is_empty() && from.eq_ignore_ascii_case(host) { Ok(()) } else { refuse() }
}

/// Whether a browser made the request: every browser of the last years says so on requests that change something.
#[must_use]
pub fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().expect("name"), v.parse().expect("value"))).collect()
    }

    #[test]
    fn only_our_own_pages_pass() {
        let t = token("secret");
        let t = t.as_str();
        for (pairs, fine) in [
            (vec![("host", "h:8000"), ("origin", "http://h:8000"), ("x-csrf-token", t)], true),
            (vec![("host", "h:8000"), ("sec-fetch-site", "same-origin"), ("x-csrf-token", t)], true),
            (vec![("host", "h:8000"), ("x-csrf-token", t)], true),
            (
                vec![
                    ("host", "proxied"),
                    ("origin", "https://h"),
                    ("sec-fetch-site", "same-origin"),
                    ("x-csrf-token", t),
                ],
                true,
            ),
            (vec![("host", "h:8000"), ("origin", "http://h:8000")], false),
            (vec![("host", "h:8000"), ("origin", "http://evil"), ("x-csrf-token", t)], false),
            (vec![("host", "h:8000"), ("origin", "null"), ("x-csrf-token", t)], false),
            (vec![("host", "h:8000"), ("origin", "http://h:8001"), ("x-csrf-token", t)], false),
            (vec![("host", "h:8000"), ("sec-fetch-site", "cross-site"), ("x-csrf-token", t)], false),
            (vec![("host", "h:8000"), ("sec-fetch-site", "same-site"), ("x-csrf-token", t)], false),
            (vec![("host", "h:8000"), ("x-csrf-token", "wrong")], false),
            (vec![("origin", ""), ("x-csrf-token", t)], false),
        ] {
            assert_eq!(check(&headers(&pairs), t).is_ok(), fine, "{pairs:?}");
        }
        assert_ne!(token("a"), token("b"));
    }
}
