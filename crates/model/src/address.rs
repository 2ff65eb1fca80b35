//! Where a target is: a URL whose password has been split off. Owns parsing, redaction and the words of URL problems.
//! Never resolves a name and never opens anything.

use std::fmt;

use url::Url;

use crate::secret::{MASK, Secret};

/// User name and password of a URL's authority part, percent-decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// User name; may be empty.
    pub user: String,
    /// Password; may be empty.
    pub password: Secret,
}

/// A URL without its secrets: `Display` and `Debug` are safe to show anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The URL without userinfo. Query values that are secrets are still in here: never print it directly.
    url: Url,
    credentials: Option<Credentials>,
}

/// Longest URL that is accepted, in bytes. Servers commonly refuse request lines over 8 KiB (RFC 9110 section 4.1 asks
/// for at least 8000 octets).
pub const MAX_URL_BYTES: usize = 8000;

/// Words that, as (part of) the name of a query parameter, mark its value as a secret.
const SECRET_WORDS: [&str; 14] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "auth",
    "sig",
    "credential",
    "psw",
    "session",
    "hash",
    "jwt",
    "streamid",
    "code",
];

/// Names that hold no secret although one of the words stands in them: the length of a key of SRT.
const PUBLIC_NAMES: [&str; 1] = ["pbkeylen"];

/// Port of a scheme when the URL names none. Sources: RFC 7826 (554, 322), RFC 9110 (80, 443), Adobe RTMP (1935).
#[must_use]
pub fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "rtsp" => 554,
        "rtsps" => 322,
        "http" => 80,
        "https" => 443,
        "rtmp" => 1935,
        "rtmps" => 443,
        _ => return None,
    })
}

impl Address {
    /// Parses a URL and splits its credentials off.
    ///
    /// # Errors
    /// A sentence without the URL's secrets when the text is no absolute URL with a host, or is too long.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_URL_BYTES {
            return Err(format!("the URL is {} bytes long; at most {MAX_URL_BYTES} are accepted", text.len()));
        }
        // URLs of SRT have no fragments: their stream ids begin with # and nobody escapes it.
        let escaped = is_srt(text).then(|| text.replace('#', "%23"));
        let mut url = Url::parse(escaped.as_deref().unwrap_or(text)).map_err(|e| match e {
            url::ParseError::RelativeUrlWithoutBase => {
                "not a URL: it needs a scheme, as in rtsp://host/path or https://host/".to_owned()
            }
            other => format!("not a URL: {other}"),
        })?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("the URL names no host after \"{}://\"", url.scheme()));
        }
        // Readers of URLs forgive spellings in which people, and what hides passwords, see another host or none.
        let rest = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
        let before_query = text.split('?').next().unwrap_or_default();
        let backslash = matches!(url.scheme(), "http" | "https") && before_query.contains('\\');
        if rest.is_none_or(|rest| rest.starts_with(['/', '\\'])) || backslash || text.contains(char::is_control) {
            return Err(format!(
                "write {}://host/path, with two slashes and nothing else in front of the host",
                url.scheme()
            ));
        }
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                Some(Credentials { user: decode(user), password: Secret::new(decode(password.unwrap_or_default())) })
            }
        };
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        if credentials.is_some() && cleared.is_err() {
            return Err(format!("URLs of the scheme {} carry no user name", url.scheme()));
        }
        url.set_fragment(None);
        Ok(Self { url, credentials })
    }

    /// Scheme in lower case, without the colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// Host name or IP address; IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// Port of the URL, or the scheme's own; `None` when neither is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url.port().or_else(|| default_port(self.scheme()))
    }

    /// Path and query as a request line wants them: starts with `/`, keeps secrets of the query. For the peer only.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let path = if self.url.path().is_empty() { "/" } else { self.url.path() };
        match self.url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// The whole URL without userinfo, with the query's secrets. For the peer only.
    #[must_use]
    pub fn expose_url(&self) -> &Url {
        &self.url
    }

    /// User name and password, where the URL had them.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The same place with other credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Another URL reached from here (a redirect). Credentials stay only while scheme, host and port stay.
    ///
    /// # Errors
    /// A sentence when `reference` is no URL.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let joined = self.url.join(reference.trim()).map_err(|e| format!("not a URL: {e}"))?;
        let mut next = Self::parse(joined.as_str())?;
        let same = next.scheme() == self.scheme() && next.host() == self.host() && next.port() == self.port();
        if same && next.credentials.is_none() {
            next.credentials.clone_from(&self.credentials);
        }
        Ok(next)
    }

    /// `text` with every secret of this address replaced by a mask: what a peer echoes back is not to be trusted.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in self.secrets() {
            out = out.replace(&secret, MASK);
        }
        out
    }

    /// Every spelling of every secret in this address, longest first. Very short ones are left out of free text
    /// replacement: masking the letter "a" everywhere would hide the text and tell the secret's length.
    fn secrets(&self) -> Vec<String> {
        let mut list = Vec::new();
        if let Some(c) = &self.credentials {
            list.push(c.password.expose().to_owned());
            list.push(encode(c.password.expose()));
        }
        for (name, value) in self.url.query_pairs() {
            if is_secret_name(&name) {
                list.push(encode(&value));
                list.push(value.into_owned());
            }
        }
        list.retain(|s| s.len() >= 3);
        list.sort_by_key(|s| std::cmp::Reverse(s.len()));
        list.dedup();
        list
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.url.scheme())?;
        if let Some(c) = &self.credentials {
            let mask = if c.password.is_empty() { "" } else { ":***" };
            write!(f, "{}{mask}@", encode(&c.user))?;
        }
        f.write_str(self.url.host_str().unwrap_or_default())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())?;
        let Some(query) = self.url.query() else { return Ok(()) };
        for (i, pair) in query.split('&').enumerate() {
            f.write_str(if i == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if is_secret_name(name) => write!(f, "{name}={MASK}")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a text is a URL of SRT, in which `#` is a letter of the query like others.
#[must_use]
pub fn is_srt(text: &str) -> bool {
    text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("srt://"))
}

/// Whether a query parameter of this name is taken to hold a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !PUBLIC_NAMES.contains(&name.as_str()) && SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Percent-decodes userinfo; bytes that are no UTF-8 become the replacement character.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex =
            (bytes[i] == b'%').then(|| text.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(h, 16).ok())).flatten();
        match hex {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_hide_the_host_are_refused() {
        for text in [
            "http:/u:hunter2@h/",
            "http:///u:hunter2@h/",
            r"http:\\u:hunter2@h/",
            "http:u:hunter2@h/",
            "http:\t//u:hunter2@h/",
            "http://u:hun\nter2@h/",
            r"http://u:hunter2@evil\@h/",
        ] {
            let words = Address::parse(text).expect_err(text);
            assert!(words.contains("two slashes") && !words.contains("hunter"), "{text}: {words}");
        }
        for text in ["HTTP://h/", r"rtsp://u:a\b@h/", r"http://h/?x=a\b", "http://u:a b@h/c d", "rtsp://[::1]:554/x"] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn secrets_are_split_off_and_never_shown() {
        for (url, shown, user, password, request) in [
            ("rtsp://u:p%40ss@10.0.0.5/s1", "rtsp://u:***@10.0.0.5/s1", "u", "p@ss", "/s1"),
            ("http://h/?key=letmein&x=1", "http://h/?key=***&x=1", "", "", "/?key=letmein&x=1"),
            ("http://h/a?Access_Token=abc#frag", "http://h/a?Access_Token=***", "", "", "/a?Access_Token=abc"),
            (
                "SRT://h:9?pbkeylen=24&streamid=#!::r=x",
                "srt://h:9?pbkeylen=24&streamid=***",
                "",
                "",
                "/?pbkeylen=24&streamid=%23!::r=x",
            ),
            ("rtsp://only@h:8554/", "rtsp://only@h:8554/", "only", "", "/"),
            ("rtsp://a:b:c@[::1]:554/x", "rtsp://a:***@[::1]:554/x", "a", "b:c", "/x"),
        ] {
            let a = Address::parse(url).expect(url);
            assert_eq!(a.to_string(), shown);
            assert_eq!(format!("{a:?}"), shown);
            assert_eq!(a.path_and_query(), request);
            let c =
                a.credentials().cloned().unwrap_or(Credentials { user: String::new(), password: Secret::default() });
            assert_eq!((c.user.as_str(), c.password.expose()), (user, password));
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_the_secret() {
        for (url, words) in [
            ("10.0.0.5:554/x", "scheme"),
            ("", "scheme"),
            ("rtsp:///x", "host"),
            ("http://u:hunter2@:80/", ""),
            ("data:hunter2", "host"),
        ] {
            let e = Address::parse(url).expect_err(url);
            assert!(e.contains(words), "{url}: {e}");
            assert!(!e.contains("hunter2"), "{e}");
        }
    }

    #[test]
    fn echoed_secrets_are_masked_in_any_spelling() {
        let a = Address::parse("rtsp://u:p%40ss@h/?token=a%2Fb%2Fc").expect("valid");
        assert_eq!(a.redact("bad p@ss, p%40ss, a/b/c and a%2Fb%2Fc"), "bad ***, ***, *** and ***");
    }

    #[test]
    fn credentials_follow_only_to_the_same_server() {
        let a = Address::parse("http://u:p@h:8080/x").expect("valid");
        assert!(a.join("/y").expect("valid").credentials().is_some());
        assert!(a.join("http://other:8080/y").expect("valid").credentials().is_none());
        assert!(a.join("https://h:8080/y").expect("valid").credentials().is_none());
    }

    #[test]
    fn ipv6_hosts_lose_their_brackets() {
        assert_eq!(Address::parse("rtsp://[::1]/").expect("valid").host(), "::1");
        assert_eq!(Address::parse("rtsp://[::1]/").expect("valid").port(), Some(554));
    }
}
