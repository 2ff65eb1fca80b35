//! Names to addresses, by the system's resolver. Owns the bound on resolver threads; caches nothing: a name that stops
//! resolving is something to be seen.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::sync::{Semaphore, watch};

use crate::attempt::Attempt;
use crate::reach::reachable;

/// Names being resolved at once. `getaddrinfo` blocks a thread, for up to 30 s when name servers are silent; tokio has 512
/// such threads and the store and the picture decoder need some of them.
const LOOKUPS_AT_ONCE: usize = 64;

/// Most addresses of one name that are kept: more are never tried within one deadline.
pub const MAX_ADDRESSES: usize = 8;

/// What the system answered; `Err` carries its words.
type Answer = Result<Vec<IpAddr>, String>;

/// Lookups under way, one per name: whoever asks for the same name waits for the same thread. Process-wide because the
/// thread pool that it protects is.
static UNDER_WAY: LazyLock<Mutex<HashMap<String, watch::Receiver<Option<Answer>>>>> = LazyLock::new(Mutex::default);
static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)));

/// The addresses of `host`, in the system's order of preference. IP literals skip the resolver.
///
/// # Errors
/// Unresolved with the system's words, timed out in phase resolve, or forbidden where a guard of [`crate::reach`] says no.
pub async fn resolve(at: &mut Attempt<'_>, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let with_port = |list: Vec<IpAddr>| list.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    if let Ok(ip) = host.parse::<IpAddr>() {
        return reachable(host, vec![ip]).map(with_port);
    }
    at.run(Phase::Resolve, async {
        match lookup(host).await {
            Ok(list) if list.is_empty() => Err(format!("the name {host} has no address")),
            Ok(list) => return reachable(host, list).map(with_port),
            Err(words) => Err(format!("the name {host} does not resolve: {words}")),
        }
        .map_err(|detail| Fault::new(FaultKind::Unresolved, Phase::Resolve, detail))
    })
    .await
}

async fn lookup(host: &str) -> Answer {
    let mut answer = {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get(host) {
            Some(receiver) => receiver.clone(),
            None => {
                let (sender, receiver) = watch::channel(None);
                under_way.insert(host.to_owned(), receiver.clone());
                start(host.to_owned(), sender);
                receiver
            }
        }
    };
    match answer.wait_for(Option::is_some).await {
        Ok(found) => found.clone().unwrap_or_else(|| Ok(Vec::new())),
        Err(_) => Err("the resolver stopped without an answer".to_owned()),
    }
}

/// Looks `host` up on a thread of its own. The permit stays with the thread, not with whoever waits: giving up on a slow
/// name server must not start another thread.
#[expect(
    clippy::disallowed_methods,
    reason = "detached on purpose: it ends with getaddrinfo, which nothing can cancel"
)]
fn start(host: String, sender: watch::Sender<Option<Answer>>) {
    /// Takes the name off the table also when the lookup panics or the runtime ends.
    struct Done(String);
    impl Drop for Done {
        fn drop(&mut self) {
            UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        }
    }
    let done = Done(host);
    tokio::spawn(async move {
        let Ok(permit) = Arc::clone(&PERMITS).acquire_owned().await else { return };
        let job = tokio::task::spawn_blocking(move || {
            let answer = ask(&done.0);
            drop(done);
            let _ = sender.send(Some(answer));
            drop(permit);
        });
        let _ = job.await;
    });
}

fn ask(host: &str) -> Answer {
    let found = (host, 0).to_socket_addrs().map_err(|e| words(&e))?;
    let mut list: Vec<IpAddr> = Vec::new();
    for address in found {
        if !list.contains(&address.ip()) && list.len() < MAX_ADDRESSES {
            list.push(address.ip());
        }
    }
    Ok(list)
}

/// The resolver's words without the standard library's preamble.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn literals_skip_the_resolver_and_local_names_resolve() {
        let clock = SystemClock::new();
        let mut at = Attempt::new(&clock, Duration::from_secs(20));
        for (host, expected) in [("127.0.0.1", "127.0.0.1:5"), ("::1", "[::1]:5")] {
            let list = resolve(&mut at, host, 5).await.expect(host);
            assert_eq!(list.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
        assert!(at.phases().is_empty());
        let list = resolve(&mut at, "localhost", 5).await.expect("every system knows localhost");
        assert!(list.iter().all(|a| a.ip().is_loopback()), "{list:?}");
        assert!(at.phases().get(Phase::Resolve).is_some());
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_unresolved_and_leaves_nothing_behind() {
        let clock = SystemClock::new();
        let mut at = Attempt::new(&clock, Duration::from_secs(20));
        // A label of more than 63 letters is refused without asking any server.
        let name = "x".repeat(70);
        let fault = resolve(&mut at, &name, 5).await.expect_err("no such name");
        assert_eq!((fault.kind, fault.phase), (FaultKind::Unresolved, Phase::Resolve));
        assert!(fault.detail.contains("does not resolve: "), "{fault}");
        assert!(!UNDER_WAY.lock().unwrap().contains_key(&name));
    }

    #[tokio::test]
    async fn whoever_asks_for_the_same_name_waits_for_the_same_lookup() {
        let (sender, receiver) = watch::channel(None);
        let name = "shared.invalid";
        UNDER_WAY.lock().unwrap().insert(name.to_owned(), receiver);
        let clock = SystemClock::new();
        let (mut one, mut other) =
            (Attempt::new(&clock, Duration::from_secs(20)), Attempt::new(&clock, Duration::from_secs(20)));
        let answering = async {
            let _ = sender.send(Some(Ok(vec![IpAddr::from([192, 0, 2, 7])])));
        };
        let (first, second, ()) = tokio::join!(resolve(&mut one, name, 1), resolve(&mut other, name, 2), answering);
        UNDER_WAY.lock().unwrap().remove(name);
        assert_eq!(first.expect("answered")[0].to_string(), "192.0.2.7:1");
        assert_eq!(second.expect("answered")[0].to_string(), "192.0.2.7:2");
    }
}
