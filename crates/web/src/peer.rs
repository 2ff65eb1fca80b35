//! Who is at the other end of a connection, and the checks on where a request was meant to go. Pure.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Request, header};

use crate::error::{ApiError, ApiResult, Code};

/// One connection; every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

impl Peer {
    /// The peer of a request.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }

    /// Whether the client speaks TLS with us or, by its own word, with a proxy on this machine.
    #[must_use]
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        let proto = || headers.get("x-forwarded-proto").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"https"));
        self.tls || (self.is_local() && proto())
    }

    /// Whose attempts are counted: the other end, or the client that a proxy on this machine names last.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap) -> IpAddr {
        let named = || {
            let line = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            line.rsplit(',').next()?.trim().parse().ok()
        };
        self.is_local().then(named).flatten().unwrap_or(self.remote.ip())
    }

    fn is_local(&self) -> bool {
        self.remote.ip().to_canonical().is_loopback()
    }
}

/// Refuses requests to this machine alone (loopback) that name another host: a web page whose name was pointed at
/// 127.0.0.1 would otherwise read everything with the visitor's browser. A proxy on this machine brings other names; it
/// is recognised by its header and only while people must sign in, where a foreign page gains nothing.
///
/// # Errors
/// `wrong_host`.
pub fn check_host(peer: &Peer, headers: &HeaderMap, uri_host: Option<&str>, login: bool) -> ApiResult<()> {
    let forwarded = ["x-forwarded-for", "forwarded", "via"].iter().any(|name| headers.contains_key(*name));
    if !peer.local.ip().to_canonical().is_loopback() || (login && forwarded) {
        return Ok(());
    }
    let mut named = headers.get_all(header::HOST).iter();
    let (host, more) = (named.next().and_then(|v| v.to_str().ok()), named.next());
    let ours = |host: &str| is_loopback_name(strip_port(host));
    if more.is_none() && host.is_some_and(ours) && uri_host.is_none_or(ours) {
        return Ok(());
    }
    Err(ApiError::new(Code::WrongHost, "this address serves localhost alone; the request names another host"))
}

fn strip_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(local: &str) -> Peer {
        let local = local.parse().expect("address");
        Peer { remote: "127.0.0.1:5".parse().expect("address"), local, tls: false }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().expect("name"), v.parse().expect("value"))).collect()
    }

    #[test]
    fn loopback_serves_loopback_names_alone() {
        for (local, pairs, login, fine) in [
            ("127.0.0.1:8000", vec![("host", "localhost:8000")], true, true),
            ("127.0.0.1:8000", vec![("host", "127.0.0.1")], true, true),
            ("[::1]:8000", vec![("host", "[::1]:8000")], true, true),
            ("[::ffff:127.0.0.1]:8000", vec![("host", "LOCALHOST.")], false, true),
            ("127.0.0.1:8000", vec![("host", "evil.example")], true, false),
            ("127.0.0.1:8000", vec![("host", "localhost.evil.example")], true, false),
            ("127.0.0.1:8000", vec![("host", "127.0.0.1.evil.example")], true, false),
            ("127.0.0.1:8000", vec![], true, false),
            ("127.0.0.1:8000", vec![("host", "cams.example"), ("x-forwarded-for", "10.0.0.9")], true, true),
            ("127.0.0.1:8000", vec![("host", "cams.example"), ("x-forwarded-for", "10.0.0.9")], false, false),
            ("192.168.1.5:8000", vec![("host", "cams.example")], true, true),
        ] {
            assert_eq!(check_host(&peer(local), &headers(&pairs), None, login).is_ok(), fine, "{local} {pairs:?}");
        }
        let localhost = headers(&[("host", "localhost")]);
        assert!(check_host(&peer("127.0.0.1:1"), &localhost, Some("evil.example"), true).is_err());
    }

    #[test]
    fn a_proxy_on_this_machine_names_the_client() {
        let at = |remote: &str| Peer { remote: remote.parse().expect("address"), ..peer("127.0.0.1:8000") };
        let h = headers(&[("x-forwarded-for", "1.1.1.1, 10.0.0.9"), ("x-forwarded-proto", "https")]);
        assert_eq!(at("127.0.0.1:9").client(&h).to_string(), "10.0.0.9");
        assert_eq!(at("10.0.0.1:9").client(&h).to_string(), "10.0.0.1");
        assert!(at("127.0.0.1:9").is_secure(&h) && !at("10.0.0.1:9").is_secure(&h));
    }
}
