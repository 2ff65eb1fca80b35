//! One attempt at a target, or one held session ([`hold`]): deadline, cancellation, containment of panics, redaction and
//! length of every text. Owns no cadence and no retry: those are the engine's.

mod hold;

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
/// Most findings of one look that are kept: each becomes a reason that people read.
const MAX_FINDINGS: usize = 32;
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
        Washer::new(target).clean(&mut look);
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

/// Removes a target's secrets from every text and cuts what is too long.
struct Washer<'t> {
    target: &'t Target,
    secrets: Vec<Secret>,
}

impl<'t> Washer<'t> {
    fn new(target: &'t Target) -> Self {
        Self { target, secrets: option_secrets(target) }
    }

    fn wash(&self, text: &mut String, limit: usize) {
        *text = redact(text, self.target, &self.secrets);
        cut(text, limit);
    }

    fn clean(&self, look: &mut Look) {
        if let Some(fault) = &mut look.fault {
            self.wash(&mut fault.detail, MAX_REASON_BYTES);
        }
        for track in &mut look.reading.tracks {
            self.wash(&mut track.codec, MAX_FACT_BYTES);
            if let Some(profile) = &mut track.profile {
                self.wash(profile, MAX_FACT_BYTES);
            }
        }
        look.reading.findings.truncate(MAX_FINDINGS);
        for finding in &mut look.reading.findings {
            self.wash(&mut finding.text, MAX_REASON_BYTES);
        }
        for value in look.reading.facts.values_mut() {
            self.wash_fact(value);
        }
    }

    fn wash_fact(&self, value: &mut FactValue) {
        match value {
            FactValue::Text(text) => self.wash(text, MAX_FACT_BYTES),
            FactValue::Rows(rows) => {
                for row in rows {
                    self.wash(&mut row.name, MAX_FACT_BYTES);
                    row.cells.values_mut().for_each(|cell| self.wash_fact(cell));
                }
            }
            FactValue::Int(_) | FactValue::Num(_) | FactValue::Flag(_) | FactValue::Time(_) => {}
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use model::address::Address;
    use model::conf::Value;
    use model::expect::Expectations;
    use model::reading::{Depth, Media, Severity, Track};
    use model::status::StatusRules;
    use model::target::{Options, TargetId, Watch};
    use net::clock::SystemClock;
    use std::collections::BTreeMap;

    pub(in crate::run) fn target() -> Target {
        let password = ("password".to_owned(), Value::Str("0pt10n".to_owned()));
        Target {
            id: TargetId::parse("t").expect("valid"),
            name: "t".to_owned(),
            kind: "rtsp",
            address: Address::parse("rtsp://u:hunter2@192.0.2.1/?token=abcdef").expect("valid"),
            group: None,
            tags: Vec::new(),
            enabled: true,
            watch: Watch::Periodic,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
            retries: 0,
            depth: Depth::Media,
            rules: StatusRules::default(),
            expect: Expectations::default(),
            options: Options(BTreeMap::from([password])),
            parents: Vec::new(),
        }
    }

    /// A probe that is told what to do.
    struct Scripted<F>(F);

    impl<F> Probe for Scripted<F>
    where
        F: for<'a> Fn(&'a mut Attempt<'_>, &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
    {
        fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
            self.0(at, reading)
        }
    }

    async fn observe<F>(script: F) -> Observation
    where
        F: for<'a> Fn(&'a mut Attempt<'_>, &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
    {
        observe_until(script, &CancellationToken::new()).await
    }

    async fn observe_until<F>(script: F, cancel: &CancellationToken) -> Observation
    where
        F: for<'a> Fn(&'a mut Attempt<'_>, &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
    {
        Prober::new(Arc::new(SystemClock::new())).observe(&target(), &Scripted(script), cancel).await
    }

    fn fault(seen: &Observation) -> (FaultKind, Phase, &str) {
        seen.look.fault.as_ref().map(|f| (f.kind, f.phase, f.detail.as_str())).expect("it failed")
    }

    #[tokio::test]
    async fn a_panic_is_contained_and_washed() {
        let seen = observe(|at, reading| {
            Box::pin(async move {
                reading.int("status_code", 7);
                at.run(Phase::Setup, async { panic!("lost my mind over {}", "hunter2") }).await
            })
        })
        .await;
        assert_eq!(fault(&seen), (FaultKind::Internal, Phase::Setup, "the check itself failed: lost my mind over ***"));
        assert!(seen.look.reading.facts.contains_key("status_code"), "what was learned before stays");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_ignores_its_deadline_is_dropped() {
        let began = tokio::time::Instant::now();
        let seen = observe(|_, _| Box::pin(std::future::pending())).await;
        assert_eq!(fault(&seen).0, FaultKind::TimedOut);
        assert_eq!(began.elapsed(), Duration::from_secs(3) + LEAVE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_names_its_phase_and_leaving_is_not_measured() {
        let seen = observe(|at, _| {
            Box::pin(async move {
                at.run(Phase::Connect, async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(())
                })
                .await?;
                let ended = at.run(Phase::Describe, std::future::pending::<Result<(), Fault>>()).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                ended
            })
        })
        .await;
        assert_eq!(fault(&seen), (FaultKind::TimedOut, Phase::Describe, "no answer within 3 s in phase describe"));
        assert_eq!(seen.took, Duration::from_secs(3));
    }

    #[tokio::test]
    async fn every_text_is_washed_and_short() {
        let seen = observe(|_, reading| {
            Box::pin(async move {
                let mut track = Track::new(Media::Video, "codec-0pt10n");
                track.profile = Some("abcdef".to_owned());
                reading.tracks.push(track);
                reading.text("server", "x".repeat(1000));
                reading.text("content_type", "Basic dTowcHQxMG4="); // u:0pt10n, as an echo of our header has it
                (0..100).for_each(|_| reading.find("slip", Severity::Note, "hunter2 was here"));
                let words = format!("{} hunter2", "ö".repeat(400));
                Err(Fault::new(FaultKind::Protocol, Phase::Check, words))
            })
        })
        .await;
        let all = format!("{seen:?}");
        assert!(["hunter2", "0pt10n", "abcdef", "dTowcHQxMG4="].iter().all(|secret| !all.contains(secret)), "{all}");
        let words = fault(&seen).2;
        assert!(words.len() <= MAX_REASON_BYTES && words.ends_with('…'), "{words}");
        let Some(FactValue::Text(server)) = seen.look.reading.facts.get("server") else { panic!("a fact") };
        assert!(server.len() <= MAX_FACT_BYTES);
        assert_eq!(seen.look.reading.findings.len(), MAX_FINDINGS);
    }

    #[tokio::test]
    async fn cancelling_ends_at_once() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let seen = observe_until(|_, _| Box::pin(std::future::pending()), &cancel).await;
        assert_eq!(fault(&seen).2, "cancelled");
    }
}
