//! How the engine looks at a target: one attempt, by whoever knows how. Owns the containment of an attempt that panics or
//! does not end, and the probes that were made of targets. Never retries and never judges.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation};
use model::phase::Phase;
use model::target::{Target, TargetId};
use model::time::Clock;
use probe::kind::{Probe, build};
use probe::run::{LEAVE, Prober};
use tokio_util::sync::CancellationToken;

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Takes one look. The real one is [`Probes`]; tests bring scripted ones.
pub trait Looker: Send + Sync + 'static {
    /// One attempt under the target's own deadline. After `cancel` it ends soon; its result is thrown away then.
    fn look(&self, target: Arc<Target>, cancel: CancellationToken) -> BoxFuture<Observation>;
}

/// How long an attempt may outlive its deadline and its leave before it is dropped: only a mistake of ours gets here.
const OVERTIME: Duration = Duration::from_secs(5);

/// One attempt that always ends: a panic and an endless one become internal faults.
pub(crate) async fn attempt(
    looker: Arc<dyn Looker>,
    clock: Arc<dyn Clock>,
    target: Arc<Target>,
    cancel: CancellationToken,
) -> (Observation, Option<String>) {
    let (at, began) = (clock.utc(), clock.mono());
    let limit = target.timeout.saturating_add(LEAVE).saturating_add(OVERTIME);
    let id = target.id.clone();
    let look = contained(async move { looker.look(target, cancel).await });
    let (detail, panic) = match tokio::time::timeout(limit, look).await {
        Ok(Ok(observation)) => return (observation, None),
        Ok(Err(words)) => ("the check itself failed", Some(format!("a look at {id}: {words}"))),
        Err(_) => ("the check itself did not end", None),
    };
    let look = Look { fault: Some(Fault::new(FaultKind::Internal, Phase::Check, detail)), ..Look::default() };
    let took = clock.mono().0.saturating_sub(began.0);
    (Observation { target: id, at, took, attempts: 1, look }, panic)
}

/// Runs a future; a panic in it becomes its words.
pub(crate) async fn contained<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(net::task::panic_text(panic.as_ref()).to_owned())),
    })
    .await
}

/// Specification and the probe made of it.
type Built = (Arc<Target>, Arc<dyn Probe>);

/// Looks with the probe of the target's kind.
pub struct Probes {
    prober: Prober,
    clock: Arc<dyn Clock>,
    built: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    probes: HashMap<TargetId, Built>,
    /// Size at which probes of targets that nobody watches any more are thrown away.
    sweep_at: usize,
}

/// Fewest probes that are kept before anything is thrown away.
const SWEEP_FROM: usize = 1024;

impl Probes {
    /// Looks by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { prober: Prober::new(Arc::clone(&clock)), clock, built: Mutex::default() }
    }

    /// The probe of a target; made once per specification.
    fn probe_of(&self, target: &Arc<Target>) -> Result<Arc<dyn Probe>, String> {
        let mut store = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((spec, probe)) = store.probes.get(&target.id)
            && (Arc::ptr_eq(spec, target) || **spec == **target)
        {
            return Ok(Arc::clone(probe));
        }
        let made: Arc<dyn Probe> = match build(target) {
            Ok(probe) => Arc::from(probe),
            Err(problems) => {
                return Err(problems.first().map_or_else(|| "no reason given".to_owned(), ToString::to_string));
            }
        };
        if store.probes.len() >= store.sweep_at.max(SWEEP_FROM) {
            // The specification of a target that is still watched is held by the engine too.
            store.probes.retain(|_, (spec, _)| Arc::strong_count(spec) > 1);
            store.sweep_at = store.probes.len() * 2;
        }
        store.probes.insert(target.id.clone(), (Arc::clone(target), Arc::clone(&made)));
        Ok(made)
    }
}

impl Looker for Probes {
    fn look(&self, target: Arc<Target>, cancel: CancellationToken) -> BoxFuture<Observation> {
        let probe = self.probe_of(&target);
        let (prober, at) = (self.prober.clone(), self.clock.utc());
        Box::pin(async move {
            match probe {
                Ok(probe) => prober.observe(&target, &*probe, &cancel).await,
                Err(problem) => {
                    let detail = format!("the target does not fit its kind: {}", target.address.redact(&problem));
                    let fault = Some(Fault::new(FaultKind::Internal, Phase::Check, detail));
                    let look = Look { fault, ..Look::default() };
                    Observation { target: target.id.clone(), at, took: Duration::ZERO, attempts: 1, look }
                }
            }
        })
    }
}
