//! One attempt at a target: deadline, cancellation, containment of panics, redaction and length of every text. Owns no
//! cadence and no retry: those are the engine's.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::limits::MAX_REASON_BYTES;
use model::observation::{Look, Observation};
use model::phase::{Phase, Phases};
use model::reading::{FactValue, Reading};
use model::secret::{MASK, Secret};
use model::target::Target;
use model::time::Clock;
use net::attempt::Attempt;
use tokio_util::sync::CancellationToken;

use crate::kind::{BoxFuture, Probe, option_secrets};

/// How long past its deadline a probe may take to take leave of its peer (RTSP waits 500 ms for the answer to TEARDOWN)
/// before it is dropped.
pub const LEAVE: Duration = Duration::from_secs(1);
/// Secrets shorter than this are not masked in free text: masking a letter everywhere hides the text and tells the
/// secret's length.
const MIN_MASKED_BYTES: usize = 3;
/// Longest text of a codec, a profile or a fact, in bytes: peers choose them.
const MAX_FACT_BYTES: usize = 200;

/// Makes observations.
#[derive(Clone)]
pub struct Prober {
    clock: Arc<dyn Clock>,
}

impl Prober {
    /// A prober on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    /// Looks once at `target` with `probe`, which [`crate::kind::build`] made of it. Ends at the latest [`LEAVE`] after
    /// the target's timeout. A panic becomes an internal fault; so does cancellation, whose observation is to be thrown
    /// away.
    pub async fn observe(&self, target: &Target, probe: &dyn Probe, cancel: &CancellationToken) -> Observation {
        let (at, began) = (self.clock.utc(), self.clock.mono());
        let mut attempt = Attempt::new(&*self.clock, target.timeout);
        let mut reading = Reading::default();
        let ended = {
            let look = contained(probe.look(&mut attempt, &mut reading));
            tokio::select! {
                ended = tokio::time::timeout(target.timeout.saturating_add(LEAVE), look) => Some(ended),
                () = cancel.cancelled() => None,
            }
        };
        let last = attempt.phase().unwrap_or(Phase::Connect);
        let phases = attempt.into_phases();
        let fault = match ended {
            Some(Ok(Ok(Ok(())))) => None,
            Some(Ok(Ok(Err(fault)))) => Some(fault),
            Some(Ok(Err(words))) => {
                Some(Fault::new(FaultKind::Internal, last, format!("the check itself failed: {words}")))
            }
            Some(Err(_)) => Some(Fault::timed_out(last, target.timeout)),
            None => Some(Fault::new(FaultKind::Internal, last, "cancelled")),
        };
        let took = took(&phases).unwrap_or_else(|| self.clock.mono().0.saturating_sub(began.0));
        let mut look = Look { phases, reading, fault };
        clean(&mut look, target);
        Observation { target: target.id.clone(), at, took, attempts: 1, look }
    }
}

/// How long the look itself took: the sum of its phases, so that a peer that is slow to say goodbye is not slow.
fn took(phases: &Phases) -> Option<Duration> {
    (!phases.is_empty()).then(|| phases.iter().map(|(_, took)| took).sum())
}

/// Runs `future`; a panic in it becomes its words.
async fn contained<T>(future: BoxFuture<'_, T>) -> Result<T, String> {
    let mut future = Some(future);
    poll_fn(move |cx| {
        let Some(running) = future.as_mut() else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => {
                // What is left of the future may panic once more while it is dropped.
                let left = future.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(left)));
                Poll::Ready(Err(panic_words(&*panic)))
            }
        }
    })
    .await
}

/// What a panic said.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// Removes the target's secrets from every text and cuts what is too long.
fn clean(look: &mut Look, target: &Target) {
    let secrets = option_secrets(target);
    let wash = |text: &mut String, limit: usize| {
        let washed = redact(text, target, &secrets);
        *text = washed;
        cut(text, limit);
    };
    if let Some(fault) = &mut look.fault {
        wash(&mut fault.detail, MAX_REASON_BYTES);
    }
    for track in &mut look.reading.tracks {
        wash(&mut track.codec, MAX_FACT_BYTES);
        if let Some(profile) = &mut track.profile {
            wash(profile, MAX_FACT_BYTES);
        }
    }
    for value in look.reading.facts.values_mut() {
        if let FactValue::Text(text) = value {
            wash(text, MAX_FACT_BYTES);
        }
    }
}

/// `text` without the secrets of the target's address and options.
pub(crate) fn redact(text: &str, target: &Target, secrets: &[Secret]) -> String {
    let mut out = target.address.redact(text);
    for secret in secrets.iter().filter(|s| s.expose().len() >= MIN_MASKED_BYTES) {
        out = out.replace(secret.expose(), MASK);
    }
    out
}

/// Cuts `text` to at most `limit` bytes at the border of a letter.
fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
}
