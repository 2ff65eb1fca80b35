//! One held session: its observations each second, silence, cancellation and its end. Owns no cadence of reconnecting and
//! no judgement: those are the engine's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use model::conf::Section;
use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation, Second};
use model::phase::{Phase, Phases};
use model::reading::Reading;
use model::target::Target;
use net::attempt::Attempt;
use tokio_util::sync::CancellationToken;

use super::{LEAVE, Prober, Washer, contained, took};
use crate::kind::{DEFAULT_SILENCE, HOLD_FIELDS, Probe, SILENCE_KEY, options_node};
use crate::live::{Live, Silence};

/// A silence is believed when it is still there after this time, and that for which packets gather: they may lie in the socket
/// because this process had no turn.
const CONFIRM: Duration = Duration::from_millis(50);
/// How long after the end of a second, and the time for which packets gather, it is told: those that came in its last moment
/// are being read.
const SETTLE: Duration = Duration::from_millis(20);

impl Prober {
    /// Holds one session of `target` with `probe`, which [`crate::kind::build`] made of it and whose kind holds sessions.
    ///
    /// Opening has the target's deadline, as in [`Prober::observe`]. From the moment when media of every track is there,
    /// `each` is given a live observation: one at once, and one a second from then on, with what the last whole second
    /// brought (the first has an empty one). A live observation has no fault; `at` is when it was made, `took` and its
    /// phases say how long opening took, its reading has everything known of the stream and the measures of the last
    /// seconds (the target's interval, held between 5 and 60 s). `each` must return at once.
    ///
    /// Answers when the session has ended, with the last observation: it has the fault and what was known until then. The
    /// fault is that of opening (no live observation came before it), the one with which the peer ended the session,
    /// [`FaultKind::Stale`] in phase media when a track was silent for longer than its `silence`, or internal (a panic, or
    /// cancellation, whose observation is to be thrown away). The peer has been told goodbye as well as a dropped
    /// connection can.
    pub async fn hold(
        &self,
        target: &Target,
        probe: &dyn Probe,
        cancel: &CancellationToken,
        each: &mut (dyn FnMut(Observation, Second) + Send),
    ) -> Observation {
        let began = self.clock.mono();
        let live = Live::new(Arc::clone(&self.clock), target.interval, silence_of(target));
        let washer = Washer::new(target);
        let mut attempt = Attempt::new(&*self.clock, target.timeout);
        let ended = {
            let mut session = pin!(contained(probe.hold(&mut attempt, &live)));
            let opened = tokio::select! {
                biased;
                () = cancel.cancelled() => End::Cancelled,
                ended = &mut session => End::of(ended),
                () = live.until_opened() => End::None,
                () = tokio::time::sleep(target.timeout.saturating_add(LEAVE)) => End::Late,
            };
            match opened {
                End::None => tokio::select! {
                    biased;
                    () = cancel.cancelled() => End::Cancelled,
                    ended = &mut session => End::of(ended),
                    silence = self.watch(target, &live, &washer, each) => End::Silent(silence),
                },
                ended => ended,
            }
        };
        let opened = live.since();
        let last = if opened.is_some() { Phase::Media } else { attempt.phase().unwrap_or(Phase::Connect) };
        let fault = ended.fault(last, target);
        let phases = opened.map_or_else(|| attempt.into_phases(), |(_, phases)| phases);
        let took = took(&phases).unwrap_or_else(|| self.clock.mono().0.saturating_sub(began.0));
        let reading = live.snapshot(self.clock.mono());
        self.seen(target, &washer, (phases, reading, Some(fault)), took)
    }

    /// Tells of each second until a track has been silent for too long.
    async fn watch(
        &self,
        target: &Target,
        live: &Live,
        washer: &Washer<'_>,
        each: &mut (dyn FnMut(Observation, Second) + Send),
    ) -> Silence {
        let phases = live.since().map(|(_, phases)| phases).unwrap_or_default();
        let took = took(&phases).unwrap_or_default();
        let mut tell = |second| {
            let reading = live.snapshot(live.now());
            each(self.seen(target, washer, (phases.clone(), reading, None), took), second);
        };
        tell(Second::default());
        let (confirm, settle) = (CONFIRM + live.gather(), SETTLE + live.gather());
        let now = live.now();
        let mut next = now.0 + live.next_second(now) + settle;
        let mut suspected = false;
        loop {
            let now = live.now();
            let pause = match live.patience(now) {
                Err(silence) if suspected => return silence,
                Err(_) => {
                    suspected = true;
                    confirm
                }
                Ok(due) => {
                    suspected = false;
                    due.0.min(next).saturating_sub(now.0)
                }
            };
            tokio::time::sleep(pause).await;
            let now = live.now();
            if now.0 >= next {
                tell(live.last_second(now));
                next = now.0 + live.next_second(now) + settle;
            }
        }
    }

    fn seen(
        &self,
        target: &Target,
        washer: &Washer<'_>,
        (phases, reading, fault): (Phases, Reading, Option<Fault>),
        took: Duration,
    ) -> Observation {
        let mut look = Look { phases, reading, fault };
        washer.clean(&mut look);
        Observation { target: target.id.clone(), at: self.clock.utc(), took, attempts: 1, look }
    }
}

/// How long a track of this target may be silent.
fn silence_of(target: &Target) -> Duration {
    let node = options_node(target);
    let options = Section::check(&node, &HOLD_FIELDS, "", &mut Vec::new());
    options.duration(SILENCE_KEY).unwrap_or(DEFAULT_SILENCE)
}

/// How a session ended, if it did.
enum End {
    None,
    Cancelled,
    Late,
    Silent(Silence),
    Said(Fault),
    /// Without a word, which no probe may.
    Quiet,
    Panicked(String),
}

impl End {
    fn of(ended: Result<Result<(), Fault>, String>) -> Self {
        match ended {
            Ok(Ok(())) => Self::Quiet,
            Ok(Err(fault)) => Self::Said(fault),
            Err(words) => Self::Panicked(words),
        }
    }

    fn fault(self, last: Phase, target: &Target) -> Fault {
        let ours = |words: String| Fault::new(FaultKind::Internal, last, words);
        match self {
            Self::Said(fault) => fault,
            Self::Late => Fault::timed_out(last, target.timeout),
            Self::Silent(silence) => silent(&silence),
            Self::Cancelled => ours("cancelled".to_owned()),
            Self::None | Self::Quiet => ours("the session ended without a reason".to_owned()),
            Self::Panicked(words) => ours(format!("the check itself failed: {words}")),
        }
    }
}

fn silent(silence: &Silence) -> Fault {
    let seconds = |time: Duration| {
        let text = format!("{:.1}", time.as_secs_f64());
        format!("{} s", text.trim_end_matches(".0"))
    };
    let (lasted, accepted) = (seconds(silence.lasted), seconds(silence.accepted));
    let detail = match &silence.track {
        Some(track) => format!("the {track} track has been silent for {lasted}, {accepted} is accepted"),
        None => format!("nothing came for {lasted} although the session is open, {accepted} is accepted"),
    };
    Fault::new(FaultKind::Stale, Phase::Media, detail)
}

#[cfg(test)]
mod tests;
