//! The health score of a target: 0 to 100, a weighted mean of what was measured. Pure. What was not measured counts neither
//! as good nor as bad: it is left out of the mean and named.
//!
//! `score = 100 * sum(weight * value) / sum(weight)` over the parts that were measured, each value from 0 to 1:
//!
//! | part | value |
//! |---|---|
//! | `status` | 1 while up, 0.5 while degraded |
//! | `bitrate` | measured bit rate / full bit rate, at most 1 |
//! | `packet_loss` | 1 - part of the packets or echoes lost |
//! | `latency` | 1 - latency / full latency, at least 0; see [`latency`] |
//!
//! A target that is down has the score 0 whatever was measured. One that is not judged (unknown, paused, maintenance) has none.

use std::time::Duration;

use crate::board::TargetNow;
use crate::expect::{BITRATE, LATENCY, LOSS};
use crate::observation::Observation;
use crate::phase::{Phase, words};
use crate::status::Status;

words! {
    /// A part of the score.
    Part {
        /// What the status is.
        Status = "status",
        /// How much media comes.
        Bitrate = "bitrate",
        /// How many packets or echoes do not come.
        PacketLoss = "packet_loss",
        /// How long an answer takes.
        Latency = "latency",
    }
}

/// Number of parts.
pub const PARTS: usize = Part::ALL.len();

/// How scores are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// Weight of each part, in the order of [`Part::ALL`]. None is negative; a part of weight 0 is not looked at.
    pub weights: [f64; PARTS],
    /// The bit rate that is as good as any higher one, in bits per second.
    pub full_bitrate_bps: f64,
    /// The latency that is as bad as any longer one.
    pub full_latency: Duration,
}

impl Default for Scoring {
    /// The weights and references of RTMP_HMonitor.
    fn default() -> Self {
        Self { weights: [0.4, 0.2, 0.2, 0.2], full_bitrate_bps: 5_000_000.0, full_latency: Duration::from_secs(1) }
    }
}

/// One part of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartScore {
    /// Which.
    pub part: Part,
    /// Its weight.
    pub weight: f64,
    /// What was measured: status as its value, bits per second, ratio, milliseconds; `None` when nothing was.
    pub measured: Option<f64>,
    /// How good that is, 0 to 1.
    pub value: Option<f64>,
}

/// A score with its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// 0 to 100.
    pub value: f64,
    /// The parts, in the order of [`Part::ALL`].
    pub parts: [PartScore; PARTS],
}

impl Score {
    /// Parts that have a weight and were not measured.
    pub fn missing(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.iter().filter(|p| p.weight > 0.0 && p.value.is_none()).map(|p| p.part)
    }

    /// The part of all weight that was measured, 0 to 1.
    #[must_use]
    pub fn measured_ratio(&self) -> f64 {
        let all: f64 = self.parts.iter().map(|p| p.weight).sum();
        let measured: f64 = self.parts.iter().filter(|p| p.value.is_some()).map(|p| p.weight).sum();
        if all > 0.0 { measured / all } else { 0.0 }
    }
}

/// How long an answer took, in milliseconds: the round-trip time where the kind measures one, else the time from the beginning
/// of the look until the peer had answered, which is all its phases before media or a body is transferred.
#[must_use]
pub fn latency(seen: &Observation) -> Option<f64> {
    if let Some(measured) = LATENCY.read(&seen.look.reading) {
        return Some(measured);
    }
    // A look that failed says how long a failure took.
    if seen.look.fault.is_some() {
        return None;
    }
    let answered = |phase| !matches!(phase, Phase::Transfer | Phase::Media | Phase::Command | Phase::Check);
    let mut spent = seen.look.phases.iter().filter(|(phase, _)| answered(*phase)).map(|(_, took)| took).peekable();
    spent.peek()?;
    Some(spent.sum::<Duration>().as_secs_f64() * 1000.0)
}

/// The score of a status and what was seen last; `None` while the target is not judged.
#[must_use]
pub fn score(scoring: &Scoring, status: Status, seen: Option<&Observation>) -> Option<Score> {
    let state = match status {
        Status::Up => 1.0,
        Status::Degraded => 0.5,
        Status::Down => 0.0,
        Status::Unknown | Status::Paused | Status::Maintenance => return None,
    };
    let reading = seen.map(|seen| &seen.look.reading);
    let full_ms = scoring.full_latency.as_secs_f64() * 1000.0;
    let mut parts = Part::ALL.iter().zip(scoring.weights).map(|(part, weight)| {
        let measured = match part {
            Part::Status => Some(state),
            Part::Bitrate => reading.and_then(|r| BITRATE.read(r)),
            Part::PacketLoss => reading.and_then(|r| LOSS.read(r)),
            Part::Latency => seen.and_then(latency),
        };
        let measured = measured.filter(|value| value.is_finite());
        let value = measured.map(|measured| match part {
            Part::Status => measured,
            Part::Bitrate => (measured / scoring.full_bitrate_bps.max(1.0)).clamp(0.0, 1.0),
            Part::PacketLoss => (1.0 - measured).clamp(0.0, 1.0),
            Part::Latency => (1.0 - measured / full_ms.max(1.0)).clamp(0.0, 1.0),
        });
        PartScore { part: *part, weight, measured, value }
    });
    let parts = std::array::from_fn(|_| parts.next().expect("there are as many weights as parts"));
    let counted = || parts.iter().filter_map(|p: &PartScore| Some((p.weight, p.value?)));
    let weight: f64 = counted().map(|(weight, _)| weight).sum();
    let sum: f64 = counted().map(|(weight, value)| weight * value).sum();
    // Without any weight that was measured there is nothing to tell; a target that is down is at 0 all the same.
    let value = if status == Status::Down {
        0.0
    } else if weight > 0.0 {
        100.0 * sum / weight
    } else {
        return None;
    };
    Some(Score { value, parts })
}

/// The score of a target of the Board: of what its session shows now, else of its newest look.
#[must_use]
pub fn of(scoring: &Scoring, target: &TargetNow) -> Option<Score> {
    score(scoring, target.state.status, target.newest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, FaultKind};
    use crate::observation::Look;
    use crate::reading::fact;
    use crate::target::TargetId;
    use crate::time::UtcMs;

    fn seen(change: impl FnOnce(&mut Look)) -> Observation {
        let mut look = Look::default();
        change(&mut look);
        let target = TargetId::parse("t").expect("valid");
        Observation { target, at: UtcMs(0), took: Duration::from_secs(3), attempts: 1, look }
    }

    fn media(bps: i64, loss: f64, answer_ms: u64) -> Observation {
        seen(|look| {
            look.reading.int(fact::MEASURED_BITRATE_BPS, bps);
            look.reading.num(fact::LOSS_RATIO, loss);
            look.phases.add(Phase::Connect, Duration::from_millis(answer_ms / 2));
            look.phases.add(Phase::Describe, Duration::from_millis(answer_ms - answer_ms / 2));
            look.phases.add(Phase::Media, Duration::from_secs(2));
        })
    }

    #[track_caller]
    fn check(status: Status, seen: Option<&Observation>, value: Option<f64>, missing: &str) {
        let got = score(&Scoring::default(), status, seen);
        assert_eq!(got.map(|s| (s.value * 1000.0).round() / 1000.0), value, "{got:?}");
        let words = got.iter().flat_map(Score::missing).map(Part::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(words, missing, "{got:?}");
    }

    #[test]
    fn a_score_is_the_weighted_mean_of_what_was_measured() {
        check(Status::Up, Some(&media(5_000_000, 0.0, 0)), Some(100.0), "");
        check(Status::Up, Some(&media(50_000_000, 0.0, 0)), Some(100.0), "");
        check(Status::Up, Some(&media(2_500_000, 0.1, 500)), Some(78.0), "");
        check(Status::Up, Some(&media(0, 1.0, 5000)), Some(40.0), "");
        check(Status::Degraded, Some(&media(5_000_000, 0.0, 0)), Some(80.0), "");
        check(Status::Down, Some(&media(5_000_000, 0.0, 0)), Some(0.0), "");
    }

    #[test]
    fn what_is_missing_is_said_and_counts_neither_way() {
        let answered = seen(|look| look.phases.add(Phase::FirstByte, Duration::from_millis(250)));
        check(Status::Up, Some(&answered), Some(91.667), "bitrate packet_loss");
        check(Status::Up, None, Some(100.0), "bitrate packet_loss latency");
        check(Status::Down, None, Some(0.0), "bitrate packet_loss latency");
        for status in [Status::Unknown, Status::Paused, Status::Maintenance] {
            check(status, Some(&answered), None, "");
        }
        let failed = seen(|look| {
            look.phases.add(Phase::Connect, Duration::from_millis(1));
            look.fault = Some(Fault::new(FaultKind::Refused, Phase::Connect, "no"));
        });
        check(Status::Up, Some(&failed), Some(100.0), "bitrate packet_loss latency");
        let strange = seen(|look| look.reading.num(fact::LOSS_RATIO, f64::NAN));
        check(Status::Up, Some(&strange), Some(100.0), "bitrate packet_loss latency");
        let half = score(&Scoring::default(), Status::Up, Some(&answered)).expect("it is up");
        assert!((half.measured_ratio() - 0.6).abs() < 1e-9, "{half:?}");
    }

    #[test]
    fn a_round_trip_goes_before_phases_and_weights_may_be_nought() {
        let echo = seen(|look| {
            look.reading.num(fact::RTT_MS, 100.0);
            look.phases.add(Phase::Resolve, Duration::from_secs(9));
        });
        check(Status::Up, Some(&echo), Some(96.667), "bitrate packet_loss");
        let latency_alone = Scoring { weights: [0.0, 0.0, 0.0, 1.0], ..Scoring::default() };
        let of = |seen| score(&latency_alone, Status::Up, seen).map(|s| (s.value, s.missing().count()));
        assert_eq!(of(Some(&echo)), Some((90.0, 0)));
        assert_eq!(of(None), None, "nothing that counts was measured");
    }
}
