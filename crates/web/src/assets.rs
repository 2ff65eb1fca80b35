//! The dashboard's files, in the program itself. Owns their types, their ETags and which paths show the page; a test
//! keeps the table and the folder `ui/` the same.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::random;
use crate::error::{ApiError, Code};

struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// Every file of `ui/`.
        static FILES: &[Asset] = &[$(Asset { name: $name, bytes: include_bytes!(concat!("../ui/", $name)) }),+];
    };
}

files![
    "api.js",
    "app.js",
    "base.css",
    "beats.js",
    "chart.js",
    "dom.js",
    "form.js",
    "format.js",
    "icon.svg",
    "index.html",
    "line_chart.js",
    "list_editor.js",
    "live.js",
    "page_alerts.js",
    "page_edit.js",
    "page_gate.js",
    "page_incidents.js",
    "page_maintenance.js",
    "page_service.js",
    "page_services.js",
    "page_settings.js",
    "page_stream.js",
    "page_streams.js",
    "pages.css",
    "parts.css",
    "preview.js",
    "score.js",
    "section_form.js",
    "service_charts.js",
    "service_form.js",
    "service_log.js",
    "service_parts.js",
    "service_spec.js",
    "services.css",
    "session.js",
    "settings_alerts.js",
    "settings_people.js",
    "settings_sinks.js",
    "theme.js",
    "zones.js",
];

/// ETags in the order of [`FILES`].
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES.iter().map(|f| format!("\"{}\"", random::digest(f.bytes).get(..32).unwrap_or_default())).collect()
});

/// First segments of paths that are no pages: an unknown one there is an error and not the dashboard.
const NO_PAGES: [&str; 8] = ["api", "ui", "history", "preview", "export", "healthz", "readyz", "metrics"];

/// Answers a path that no route has: a file of the dashboard, the dashboard itself, or "not found".
pub fn serve(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let name = match path.strip_prefix("/ui/") {
        Some(name) => name,
        None if path == "/favicon.ico" => "icon.svg",
        None if !NO_PAGES.contains(&first) => "index.html",
        None => "",
    };
    let Some(at) = FILES.iter().position(|f| f.name == name) else {
        return ApiError::not_found("page").into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        return ApiError::new(Code::MethodNotAllowed, "the dashboard's files can only be read").into_response();
    }
    let (file, tag) = (&FILES[at], TAGS[at].as_str());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let same = known.is_some_and(|list| list.split(',').any(|t| t.trim().trim_start_matches("W/") == tag));
    let mut response =
        if same { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(Body::from(file.bytes)) };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(file.name)));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        out.insert(header::ETAG, tag);
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_and_the_folder_are_the_same() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        let mut files = BTreeSet::new();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).expect("the folder is there") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&folder).expect("inside").to_str().expect("text").to_owned();
                assert_ne!(content_type(&name), "application/octet-stream", "{name} has no content type");
                files.insert(name);
            }
        }
        let table: BTreeSet<String> = FILES.iter().map(|f| f.name.to_owned()).collect();
        assert_eq!(files, table, "list every file of ui/ in assets.rs, and no other");
    }

    #[test]
    fn pages_files_and_nothing_else() {
        let none = HeaderMap::new();
        for (path, status, kind) in [
            ("/", 200, "text/html; charset=utf-8"),
            ("/streams/front.door", 200, "text/html; charset=utf-8"),
            ("/sign-in", 200, "text/html; charset=utf-8"),
            ("/ui/app.js", 200, "text/javascript; charset=utf-8"),
            ("/ui/../Cargo.toml", 404, "application/json"),
            ("/ui/%2e%2e/Cargo.toml", 404, "application/json"),
            ("/ui//etc/passwd", 404, "application/json"),
            ("/api/v1/nothing", 404, "application/json"),
            ("/metrics", 404, "application/json"),
        ] {
            let r = serve(&Method::GET, path, &none);
            assert_eq!(
                (r.status().as_u16(), r.headers()[header::CONTENT_TYPE].to_str().ok()),
                (status, Some(kind)),
                "{path}"
            );
        }
        assert_eq!(serve(&Method::POST, "/", &none).status(), 405);
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first = serve(&Method::GET, "/ui/app.js", &HeaderMap::new());
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(serve(&Method::GET, "/ui/app.js", &headers).status(), 304);
        assert_eq!(serve(&Method::GET, "/ui/theme.js", &headers).status(), 200);
    }
}
