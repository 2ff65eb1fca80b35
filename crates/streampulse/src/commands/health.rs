//! `streampulse health`: asks a running instance how it is. For container health checks and scripts.

use std::process::ExitCode;
use std::time::Duration;

use model::address::Address;
use model::reading::Reading;
use net::attempt::Attempt;
use net::clock::SystemClock;
use net::http::{Method, Request, send};

use crate::args::HealthArgs;
use crate::commands::caller::base;
use crate::say;

/// Longest wait for the answer: shorter than the health check intervals of the shipped container files.
const LIMIT: Duration = Duration::from_secs(4);
/// More than the health route ever says.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Runs the command.
pub(crate) async fn health(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let url = match &args.url {
        Some(url) => format!("{}/healthz", url.trim_end_matches('/')),
        None => format!("{}/healthz", base(&args.run.listen, &args.run.places.config)?),
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
