//! Whom a piece of work may reach: a guard that is asked about every host and address before anything is sent to it. For
//! work that strangers ask for, whose URLs, redirects and playlists could otherwise lead anywhere. Work without a guard may
//! reach everything. Decides nothing itself: whoever sets the guard does.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;

/// Says whether a host, as it is written in a URL, may be reached at an address that it resolves to.
pub type Guard = Arc<dyn Fn(&str, IpAddr) -> bool + Send + Sync>;

tokio::task_local! {
    static GUARD: Guard;
}

/// Runs `work` under a guard. It holds for everything that is resolved within `work` itself, and not in tasks that it spawns:
/// looks spawn none.
pub async fn guarded<T>(guard: Guard, work: impl Future<Output = T>) -> T {
    GUARD.scope(guard, work).await
}

/// The addresses of a host that may be reached. Every connection goes to one of them, so that a name that is asked twice
/// cannot answer with something else in between.
///
/// # Errors
/// Forbidden when there are addresses and none may be reached.
pub(crate) fn reachable(host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Fault> {
    let kept = GUARD.try_with(|guard| found.iter().copied().filter(|ip| guard(host, *ip)).collect::<Vec<_>>());
    match kept {
        Err(_) => Ok(found), // no guard
        Ok(kept) if kept.is_empty() && !found.is_empty() => {
            let detail = format!("looks that are asked for in this way may not go to {host}");
            Err(Fault::new(FaultKind::Forbidden, Phase::Resolve, detail))
        }
        Ok(kept) => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attempt::Attempt;
    use crate::clock::SystemClock;
    use crate::resolve::resolve;

    #[tokio::test]
    async fn a_guard_is_asked_about_names_and_literals_and_holds_no_longer_than_its_work() {
        let clock = SystemClock::new();
        let even: Guard = Arc::new(|host, ip| host != "127.0.0.3" && ip.is_loopback());
        let mut at = Attempt::new(&clock, Duration::from_secs(5));
        for (host, allowed) in [("127.0.0.1", true), ("127.0.0.3", false), ("10.1.2.3", false), ("localhost", true)] {
            let found = guarded(Arc::clone(&even), resolve(&mut at, host, 1)).await;
            match found {
                Ok(list) => assert!(allowed && list.iter().all(|a| a.ip().is_loopback()), "{host}: {list:?}"),
                Err(fault) => assert!(!allowed && fault.kind == FaultKind::Forbidden, "{host}: {fault}"),
            }
        }
        assert!(resolve(&mut at, "10.1.2.3", 1).await.is_ok());
    }
}
