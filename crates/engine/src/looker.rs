//! How the engine looks at a target, or holds a session of it: one attempt, by whoever knows how. Owns the containment of an
//! attempt that panics or does not end, and the probes that were made of targets. Never retries and never judges.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation, Second};
use model::phase::Phase;
use model::target::{Target, TargetId};
use model::time::{Clock, UtcMs};
use probe::gear::Gear;
use probe::kind::{Probe, equipped};
use probe::run::{LEAVE, Prober};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Takes what is seen and measured in a session, once a second.
pub type Tell = Box<dyn Fn(Observation, Second) + Send + Sync>;

/// Takes looks and holds sessions. The real one is [`Probes`]; tests bring scripted ones.
pub trait Looker: Send + Sync + 'static {
    /// One attempt under the target's own deadline. After `cancel` it ends soon; its result is thrown away then.
    fn look(&self, target: Arc<Target>, cancel: CancellationToken) -> BoxFuture<Observation>;

    /// One session: opened under the target's own deadline, then held, and told about at once and every second. Ends with
    /// the fault that ended it, or soon after `cancel`; its result is thrown away then.
    fn hold(&self, target: Arc<Target>, cancel: CancellationToken, tell: Tell) -> BoxFuture<Observation>;
}

/// How long an attempt may outlive its deadline and its leave before it is dropped: only a mistake of ours gets here.
const OVERTIME: Duration = Duration::from_secs(5);
/// How long a session in which media flows may say nothing before it is dropped: it notices silence within seconds, so that
/// only a mistake of ours gets here. A machine that is short of time for some seconds is none.
const MUTE: Duration = Duration::from_secs(30);

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

/// One session that always ends, and never well: a panic and one that goes mute become internal faults.
pub(crate) async fn session(
    looker: Arc<dyn Looker>,
    clock: Arc<dyn Clock>,
    target: Arc<Target>,
    cancel: CancellationToken,
    tell: Tell,
) -> (Observation, Option<String>) {
    let (at, began) = (clock.utc(), clock.mono());
    let id = target.id.clone();
    let mut limit = target.timeout.saturating_add(LEAVE).saturating_add(OVERTIME);
    let told = Arc::new(Notify::new());
    let heard = Arc::clone(&told);
    let tell: Tell = Box::new(move |seen, second| {
        heard.notify_one();
        tell(seen, second);
    });
    let mut hold = pin!(contained(async move { looker.hold(target, cancel, tell).await }));
    let (detail, panic) = loop {
        tokio::select! {
            biased;
            ended = &mut hold => match ended {
                Ok(seen) if seen.look.fault.is_some() => return (seen, None),
                Ok(_) => break ("the session ended without a reason", None),
                Err(words) => break ("the check itself failed", Some(format!("a session of {id}: {words}"))),
            },
            () = told.notified() => limit = MUTE,
            () = tokio::time::sleep(limit) => break ("the check itself did not go on", None),
        }
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
    gear: Gear,
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
    /// Looks by this clock, with what the probes need beside their targets.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, gear: Gear) -> Self {
        Self { prober: Prober::new(Arc::clone(&clock)), clock, gear, built: Mutex::default() }
    }

    /// The probe of a target; made once per specification.
    fn probe_of(&self, target: &Arc<Target>) -> Result<Arc<dyn Probe>, String> {
        let mut store = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((spec, probe)) = store.probes.get(&target.id)
            && (Arc::ptr_eq(spec, target) || **spec == **target)
        {
            return Ok(Arc::clone(probe));
        }
        let made: Arc<dyn Probe> = match equipped(target, &self.gear) {
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
                Err(problem) => unfit(&target, at, &problem),
            }
        })
    }

    fn hold(&self, target: Arc<Target>, cancel: CancellationToken, tell: Tell) -> BoxFuture<Observation> {
        let probe = self.probe_of(&target);
        let (prober, at) = (self.prober.clone(), self.clock.utc());
        Box::pin(async move {
            match probe {
                Ok(probe) => prober.hold(&target, &*probe, &cancel, &mut |seen, second| tell(seen, second)).await,
                Err(problem) => unfit(&target, at, &problem),
            }
        })
    }
}

/// What is seen of a target whose probe could not be made.
fn unfit(target: &Target, at: UtcMs, problem: &str) -> Observation {
    let detail = format!("the target does not fit its kind: {}", target.address.redact(problem));
    let look = Look { fault: Some(Fault::new(FaultKind::Internal, Phase::Check, detail)), ..Look::default() };
    Observation { target: target.id.clone(), at, took: Duration::ZERO, attempts: 1, look }
}
