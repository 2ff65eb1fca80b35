//! Where a control attribute points: RFC 2326, C.1.1, as cameras really mean it.
//!
//! Works on text, since control URLs of cameras are often not URLs to a strict parser.

use crate::rtsp::Headers;

/// The URL that control attributes are relative to: `Content-Base`, else `Content-Location`, else the request's.
///
/// A base that is itself relative or empty is taken relative to the request.
#[must_use]
pub fn base_url(request_uri: &str, headers: &Headers) -> String {
    ["Content-Base", "Content-Location"]
        .into_iter()
        .filter_map(|name| headers.get(name))
        .map(str::trim)
        .find(|value| !value.is_empty())
        .map_or_else(|| request_uri.to_owned(), |value| resolve_control(request_uri, Some(value)))
}

/// The URL to use in SETUP (or PLAY) for a control attribute below `base`.
///
/// `*` and nothing mean the base itself; an absolute URL stands for itself; `/path` replaces the path; anything else is
/// appended with exactly one `/`, after the query when the base has one, which is what live555 and the cameras built on it
/// expect, though a strict reading would drop both the query and the last part of the path.
#[must_use]
pub fn resolve_control(base: &str, control: Option<&str>) -> String {
    let control = control.unwrap_or_default().trim();
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if is_absolute(control) {
        return control.to_owned();
    }
    if let Some(rest) = control.strip_prefix("//") {
        let scheme = base.split_once("://").map_or("rtsp", |(scheme, _)| scheme);
        return format!("{scheme}://{rest}");
    }
    if control.starts_with('/') {
        return format!("{}{control}", origin(base));
    }
    if control.starts_with('?') {
        return format!("{}{control}", base.split('?').next().unwrap_or_default());
    }
    if base.ends_with('/') { format!("{base}{control}") } else { format!("{base}/{control}") }
}

fn is_absolute(control: &str) -> bool {
    control.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
    })
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "";
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    &url[..scheme.len() + 3 + authority]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls() {
        for (base, control, expected) in [
            ("rtsp://cam/live/", Some("trackID=1"), "rtsp://cam/live/trackID=1"),
            ("rtsp://cam/live", Some("trackID=1"), "rtsp://cam/live/trackID=1"),
            ("rtsp://cam", Some("stream=0"), "rtsp://cam/stream=0"),
            ("rtsp://cam/live/", Some("*"), "rtsp://cam/live/"),
            ("rtsp://cam/live", None, "rtsp://cam/live"),
            ("rtsp://cam/live", Some(" "), "rtsp://cam/live"),
            ("rtsp://cam/live", Some("rtsp://other:8554/x?y=1"), "rtsp://other:8554/x?y=1"),
            ("rtsp://cam:554/a/b?c=d", Some("/x/track1"), "rtsp://cam:554/x/track1"),
            ("rtsps://cam/a", Some("//other/b"), "rtsps://other/b"),
            // Bases with a query: the track follows the query.
            (
                "rtsp://cam/cam/realmonitor?channel=1&subtype=0",
                Some("trackID=0"),
                "rtsp://cam/cam/realmonitor?channel=1&subtype=0/trackID=0",
            ),
            (
                "rtsp://cam/cam/realmonitor?channel=1&subtype=0/",
                Some("trackID=0"),
                "rtsp://cam/cam/realmonitor?channel=1&subtype=0/trackID=0",
            ),
            ("rtsp://cam/a?b=1", Some("?b=1&track=2"), "rtsp://cam/a?b=1&track=2"),
            ("rtsp://cam/a?u=http://x", Some("t"), "rtsp://cam/a?u=http://x/t"),
            ("rtsp://cam/a", Some("t?u=http://x"), "rtsp://cam/a/t?u=http://x"),
            ("", Some("/x"), "/x"),
        ] {
            assert_eq!(resolve_control(base, control), expected, "{base} {control:?}");
        }
    }

    #[test]
    fn bases() {
        let base = |fields: &[(&str, &str)]| {
            let mut headers = Headers::new();
            for (name, value) in fields {
                headers.push(name, *value);
            }
            base_url("rtsp://cam/a", &headers)
        };
        assert_eq!(base(&[]), "rtsp://cam/a");
        assert_eq!(base(&[("Content-Base", "rtsp://cam/a/")]), "rtsp://cam/a/");
        assert_eq!(base(&[("content-location", "rtsp://cam/l"), ("Content-Base", "")]), "rtsp://cam/l");
        assert_eq!(base(&[("Content-Base", "/b/")]), "rtsp://cam/b/");
    }
}
