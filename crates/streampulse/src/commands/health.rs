//! `streampulse health`: asks a running instance how it is. For container health checks and scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use engine::config::{ConfigFile, Overrides, load};
use model::address::Address;
use model::reading::Reading;
use net::attempt::Attempt;
use net::clock::SystemClock;
use net::http::{Method, Request, send};

use crate::args::HealthArgs;
use crate::commands::check::environment;
use crate::say;

/// Longest wait for the answer: shorter than the health check intervals of the shipped container files.
const LIMIT: Duration = Duration::from_secs(4);
/// More than the health route ever says.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Runs the command.
pub(crate) async fn health(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let url = match &args.url {
        Some(url) => format!("{}/healthz", url.trim_end_matches('/')),
        None => format!("{}/healthz", base(args)?),
    };
    let address = Address::parse(&url).map_err(|e| anyhow::anyhow!("{url}: {e}"))?;
    let clock = SystemClock::new();
    let mut attempt = Attempt::new(&clock, LIMIT);
    // The instance's own certificate is made out to its public name, not to loopback.
    let tls = net::trust::TlsOptions { trust: net::trust::Trust::Insecure, ..Default::default() };
    let tls = (address.scheme() == "https").then_some(&tls);
    let answer = send(&mut attempt, &Request::new(Method::GET, address), tls, &mut Reading::default()).await;
    match answer {
        Ok(mut response) => {
            let status = response.status;
            let body = response.body.collect(MAX_ANSWER_BYTES).await.unwrap_or_default();
            say::out(String::from_utf8_lossy(&body).trim());
            Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(fault) => {
            say::err(&format!("{url}: {fault}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The base URL of the instance with these settings: the address from the command line or the file, the scheme from the file.
fn base(args: &HealthArgs) -> anyhow::Result<String> {
    let overrides =
        Overrides { listen: (!args.run.listen.is_empty()).then(|| args.run.listen.clone()), ..Overrides::default() };
    let file = ConfigFile::new(&args.run.places.config);
    let loaded = file.read().map_err(|p| vec![p]).and_then(|(text, _)| load(&text, &environment, &overrides));
    let (scheme, first) = match (loaded, args.run.listen.first()) {
        (Ok(config), _) => {
            (if config.server.tls.is_some() { "https" } else { "http" }, config.server.listen.first().copied())
        }
        // The file may be broken while the instance runs on with the last good one.
        (Err(_), Some(first)) => ("http", Some(*first)),
        (Err(problems), None) => anyhow::bail!("{}: {}", file.path().display(), problems[0]),
    };
    let first = first.ok_or_else(|| anyhow::anyhow!("the configuration names no listen address"))?;
    Ok(format!("{scheme}://{}", reachable(first)))
}

/// "Any address" is listened on, loopback is asked.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        });
    }
    address
}
