//! The public status page of Icecast (`/status-json.xsl`, since 2.4): how many listen. Owns finding one mount among all.

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Reading;
use net::attempt::Attempt;
use net::http::{self, Method, Request};
use net::trust::TlsOptions;
use serde_json::Value;

/// Largest status page: about a thousand mounts.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Listeners of the mount at `address`.
pub(super) async fn listeners(at: &mut Attempt<'_>, address: &Address, tls: &TlsOptions) -> Result<i64, Fault> {
    let wrong = |detail: &str| Fault::new(FaultKind::Protocol, Phase::Check, detail);
    let page = address.join("/status-json.xsl").map_err(|e| wrong(&e))?.with_credentials(None);
    let tls = (page.scheme() == "https").then_some(tls);
    // What its headers say is not the stream's.
    let mut aside = Reading::default();
    let mut reply = http::send(at, &Request::new(Method::GET, page), tls, &mut aside).await?;
    if reply.status != 200 {
        return Err(wrong(&format!("status {}", reply.status)));
    }
    let body = at.run(Phase::Check, reply.body.collect(MAX_PAGE_BYTES)).await?;
    let told: Value = serde_json::from_slice(&body).map_err(|_| wrong("it is no JSON"))?;
    find(&told, address.expose_url().path()).ok_or_else(|| wrong("it does not name this mount"))
}

/// The listeners of the source with this path. One source stands alone, several in a list.
fn find(told: &Value, path: &str) -> Option<i64> {
    let sources = told.get("icestats")?.get("source")?;
    let sources = sources.as_array().map_or(std::slice::from_ref(sources), Vec::as_slice);
    let is_ours = |source: &&Value| {
        let url = source.get("listenurl").and_then(Value::as_str).unwrap_or_default();
        Address::parse(url).is_ok_and(|url| url.expose_url().path() == path)
    };
    sources.iter().find(is_ours)?.get("listeners")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_alone_and_among_others() {
        let source = |path: &str, n: i64| serde_json::json!({ "listenurl": format!("http://elsewhere:8000{path}"), "listeners": n });
        let page = |sources: Value| serde_json::json!({ "icestats": { "source": sources } });
        let several = page(serde_json::json!([source("/a.mp3", 1), source("/b.mp3", 2)]));
        assert_eq!(find(&several, "/b.mp3"), Some(2));
        assert_eq!(find(&page(source("/a.mp3", 3)), "/a.mp3"), Some(3));
        assert_eq!(find(&several, "/c.mp3"), None);
        assert_eq!(find(&serde_json::json!({ "icestats": {} }), "/a.mp3"), None);
    }
}
