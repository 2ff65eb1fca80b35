//! The deadline and the phase times of one look. Owns turning "too late" into a fault with its phase; never retries.

use std::future::Future;
use std::time::Duration;

use model::fault::Fault;
use model::phase::{Phase, Phases};
use model::time::{Clock, Mono, UtcMs};
use tokio::time::Instant;

/// One look under way.
pub struct Attempt<'a> {
    clock: &'a dyn Clock,
    limit: Duration,
    deadline: Instant,
    phases: Phases,
    phase: Option<Phase>,
}

impl<'a> Attempt<'a> {
    /// A look that begins now and must end within `limit`.
    #[must_use]
    pub fn new(clock: &'a dyn Clock, limit: Duration) -> Self {
        Self { clock, limit, deadline: Instant::now() + limit, phases: Phases::default(), phase: None }
    }

    /// A look at one of several peers within this look, with the same deadline, for peers that are asked at the same time.
    /// Its phases are its own until [`Attempt::absorb`].
    #[must_use]
    pub fn part(&self) -> Self {
        Self {
            clock: self.clock,
            limit: self.limit,
            deadline: self.deadline,
            phases: Phases::default(),
            phase: self.phase,
        }
    }

    /// Takes over the phases of a part.
    pub fn absorb(&mut self, part: Self) {
        self.phase = part.phase.or(self.phase);
        for (phase, took) in part.phases.iter() {
            self.phases.add(phase, took);
        }
    }

    /// Runs `f` in `phase` and adds its duration, also when it fails.
    ///
    /// # Errors
    /// The fault of `f`, or timed out in `phase` when the deadline of the whole look passes first; `f` is dropped then.
    pub async fn run<T>(&mut self, phase: Phase, f: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.phase = Some(phase);
        let began = Instant::now();
        let result = tokio::time::timeout_at(self.deadline, f).await;
        self.phases.add(phase, began.elapsed());
        result.unwrap_or_else(|_late| Err(self.timed_out(phase)))
    }

    /// The fault "the deadline passed in `phase`".
    #[must_use]
    pub fn timed_out(&self, phase: Phase) -> Fault {
        Fault::timed_out(phase, self.limit)
    }

    /// Time left until the deadline; zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// When the look must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The whole time that the look has.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Wall clock time, for what needs one (certificate validity, ages).
    #[must_use]
    pub fn utc(&self) -> UtcMs {
        self.clock.utc()
    }

    /// Monotonic clock time, for what is compared with the engine's own.
    #[must_use]
    pub fn mono(&self) -> Mono {
        self.clock.mono()
    }

    /// The phase that was entered last; `None` before the first.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// Durations so far.
    #[must_use]
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// Durations of the whole look.
    #[must_use]
    pub fn into_phases(self) -> Phases {
        self.phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use model::fault::FaultKind;

    #[tokio::test(start_paused = true)]
    async fn parts_share_the_deadline_and_one_is_absorbed() {
        let clock = SystemClock::new();
        let mut at = Attempt::new(&clock, Duration::from_secs(3));
        let wait = |s| async move {
            tokio::time::sleep(Duration::from_secs(s)).await;
            Ok(s)
        };
        let (mut one, mut other) = (at.part(), at.part());
        let (seen, late) = tokio::join!(one.run(Phase::Connect, wait(2)), other.run(Phase::Tls, wait(9)));
        assert_eq!((seen, late.map_err(|fault| fault.phase)), (Ok(2), Err(Phase::Tls)));
        at.absorb(one);
        assert_eq!((at.phase(), at.phases().get(Phase::Connect)), (Some(Phase::Connect), Some(Duration::from_secs(2))));
        assert_eq!((at.phases().get(Phase::Tls), at.remaining()), (None, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn phases_add_up_and_the_deadline_names_its_phase() {
        let clock = SystemClock::new();
        let mut at = Attempt::new(&clock, Duration::from_secs(3));
        let wait = |s| async move {
            tokio::time::sleep(Duration::from_secs(s)).await;
            Ok(s)
        };
        assert_eq!(at.run(Phase::Resolve, wait(1)).await, Ok(1));
        assert_eq!(at.run(Phase::Connect, wait(1)).await, Ok(1));
        assert_eq!(at.remaining(), Duration::from_secs(1));
        let fault = at.run(Phase::Tls, wait(9)).await.expect_err("too late");
        assert_eq!((fault.kind, fault.phase), (FaultKind::TimedOut, Phase::Tls));
        assert!(fault.detail.contains("3 s"), "{fault}");
        assert_eq!(at.remaining(), Duration::ZERO);
        let times: Vec<_> = at.into_phases().iter().map(|(p, d)| (p, d.as_secs())).collect();
        assert_eq!(times, [(Phase::Resolve, 1), (Phase::Connect, 1), (Phase::Tls, 1)]);
    }
}
