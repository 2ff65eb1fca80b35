//! Which application and which stream a URL means. Owns the splitting of paths and the words for a place that hide its
//! keys; asks nobody.

use model::address::Address;
use model::secret::{MASK, Secret};

/// Where a stream is, in RTMP's own words.
#[derive(Clone)]
pub(super) struct Place {
    /// `scheme://host:port`, without a user name.
    server: String,
    app: String,
    /// Stream name with its query: for the server only.
    stream: Secret,
    /// The stream as it may be shown.
    shown: String,
    /// The stream is a key that stands in no URL.
    has_key: bool,
}

impl Place {
    /// Splits a URL. `app` says how far the application goes when the path does not tell; with `key`, all of the path is
    /// the application (as encoders are configured). `None` when the path is empty.
    pub(super) fn of(address: &Address, app: Option<&str>, key: Option<&Secret>) -> Option<Self> {
        let url = address.expose_url();
        let path = url.path().trim_start_matches('/');
        if path.is_empty() {
            return None;
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (app, stream) = match (app, key) {
            (Some(app), None) => {
                let app = app.trim_matches('/');
                let rest = path.strip_prefix(app).and_then(|rest| rest.strip_prefix('/'));
                (app.to_owned(), format!("{}{query}", file_name(rest.unwrap_or(path))))
            }
            (app, Some(key)) => {
                let app = app.unwrap_or(path).trim_matches('/');
                (app.to_owned(), format!("{}{query}", key.expose()))
            }
            (None, None) => split(path, &query),
        };
        let shown = match key {
            Some(_) => format!("{app}/{MASK}"),
            None => format!("{app}/{}", stream.split('?').next().unwrap_or_default()),
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let server = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
        Some(Self {
            server,
            app,
            stream: Secret::new(stream),
            shown: without_query(&shown).to_owned(),
            has_key: key.is_some(),
        })
    }

    /// The application; `auth` is what sign-in puts behind it.
    pub(super) fn app(&self, auth: &str) -> String {
        format!("{}{auth}", self.app)
    }

    /// The URL of the application, as `connect` wants it.
    pub(super) fn tc_url(&self, auth: &str) -> String {
        format!("{}/{}{auth}", self.server, self.app)
    }

    /// The stream's name, with its keys: for the server only.
    pub(super) fn stream(&self) -> &str {
        self.stream.expose()
    }

    /// Application and stream without keys.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// `address` with our stream behind it, when it names the same application and no stream.
    pub(super) fn with_stream(&self, address: &Address) -> Option<String> {
        let url = address.expose_url();
        let bare = !self.has_key && url.path().trim_matches('/') == self.shown_app();
        bare.then(|| format!("{}/{}", url.as_str().trim_end_matches('/'), self.stream()))
    }

    /// The application without keys.
    pub(super) fn shown_app(&self) -> &str {
        without_query(&self.app)
    }
}

fn without_query(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
}

/// Application and stream of a path as ffmpeg splits it: `app/stream`, `app/instance/stream`, or only a stream. Where the
/// stream stands behind the query of the application (`app?token=x/stream`), it is found there.
fn split(path: &str, query: &str) -> (String, String) {
    let parts: Vec<&str> = path.splitn(3, '/').collect();
    match parts.as_slice() {
        [app, instance, stream] if !instance.contains(':') => {
            (format!("{app}/{instance}"), format!("{}{query}", file_name(stream)))
        }
        [app, rest @ ..] if !rest.is_empty() => (app.to_string(), format!("{}{query}", file_name(&rest.join("/")))),
        _ => match query.rsplit_once('/') {
            Some((query, stream)) => (format!("{path}{query}"), stream.to_owned()),
            None => (String::new(), format!("{}{query}", file_name(path))),
        },
    }
}

/// The name under which media servers know a recorded file.
fn file_name(stream: &str) -> String {
    let is_mp4 = [".mp4", ".f4v"].iter().any(|end| stream.ends_with(end));
    match stream.strip_suffix(".flv") {
        _ if stream.contains(':') => stream.to_owned(),
        Some(stem) => stem.to_owned(),
        None if is_mp4 => format!("mp4:{stream}"),
        None => stream.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_as_players_do() {
        for (url, app, key, expected) in [
            ("rtmp://h/live/cam", None, None, "rtmp://h/live | live | cam | live/cam"),
            ("rtmp://h:1/live/cam?key=k", None, None, "rtmp://h:1/live | live | cam?key=k | live/cam"),
            ("rtmp://u:p@[::1]/live/cam", None, None, "rtmp://[::1]/live | live | cam | live/cam"),
            ("rtmp://h/a/b/c/d", None, None, "rtmp://h/a/b | a/b | c/d | a/b/c/d"),
            ("rtmp://h/a/b/c", Some("a"), None, "rtmp://h/a | a | b/c | a/b/c"),
            ("rtmp://h/vod/mp4:x/y.mp4", None, None, "rtmp://h/vod | vod | mp4:x/y.mp4 | vod/mp4:x/y.mp4"),
            ("rtmp://h/vod/y.mp4", None, None, "rtmp://h/vod | vod | mp4:y.mp4 | vod/mp4:y.mp4"),
            ("rtmp://h/vod/y.flv", None, None, "rtmp://h/vod | vod | y | vod/y"),
            ("rtmp://h/cam", None, None, "rtmp://h/ |  | cam | /cam"),
            ("rtmp://h/live?token=t/cam", None, None, "rtmp://h/live?token=t | live?token=t | cam | live"),
            ("rtmp://h/app/x", None, Some("k3y"), "rtmp://h/app/x | app/x | k3y | app/x/***"),
            ("rtmp://h/app?a=b", None, Some("k3y"), "rtmp://h/app | app | k3y?a=b | app/***"),
        ] {
            let address = Address::parse(url).expect(url);
            let key = key.map(Secret::new);
            let place = Place::of(&address, app, key.as_ref()).expect("a path");
            let seen = [&place.tc_url(""), &place.app(""), place.stream(), place.shown()].join(" | ");
            assert_eq!(seen, expected, "{url}");
        }
        let address = Address::parse("rtmp://h/").expect("a URL");
        assert!(Place::of(&address, None, None).is_none());
    }
}
