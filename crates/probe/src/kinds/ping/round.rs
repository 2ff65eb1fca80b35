//! The echoes of one look and what became of each; the rolling average over looks. Pure: is told what was sent and heard.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use net::icmp::Heard;
use tokio::time::Instant;
use wire::icmp::Trouble;

/// Weight of the newest look in the rolling averages: the one that RFC 6298 gives to a new round trip.
const NEWEST: f64 = 0.125;

/// What became of one echo.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Nothing yet.
    Open,
    Answered(Duration),
    /// Somebody said that it did not arrive, or it could not be sent.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    fate: Fate,
}

/// The echoes of one look. Their sequence numbers are their places in the list.
#[derive(Debug, Default)]
pub(super) struct Round {
    echoes: Vec<Sent>,
    pub(super) duplicates: u32,
    /// Time to live of the last reply.
    pub(super) ttl: Option<u8>,
    /// The first trouble that was told, and by whom.
    pub(super) trouble: Option<(Trouble, Option<IpAddr>)>,
    /// The first reason why one could not be sent.
    pub(super) unsent: Option<io::Error>,
}

impl Round {
    /// How many were sent, which is also the sequence number of the next one.
    pub(super) fn sent(&self) -> usize {
        self.echoes.len()
    }

    /// One was sent, or not.
    pub(super) fn note_sent(&mut self, at: Instant, result: io::Result<()>) {
        let fate = if result.is_ok() { Fate::Open } else { Fate::Refused };
        self.echoes.push(Sent { at, fate });
        if let (Err(error), None) = (result, &self.unsent) {
            self.unsent = Some(error);
        }
    }

    /// Something was heard.
    pub(super) fn note_heard(&mut self, heard: &Heard) {
        match *heard {
            Heard::Reply { sequence, ttl, at } => {
                let Some(echo) = self.echoes.get_mut(usize::from(sequence)) else { return };
                if matches!(echo.fate, Fate::Answered(_)) {
                    self.duplicates += 1;
                    return;
                }
                echo.fate = Fate::Answered(at.saturating_duration_since(echo.at));
                self.ttl = ttl;
            }
            Heard::Trouble { sequence, trouble, from } => {
                let Some(echo) = self.echoes.get_mut(usize::from(sequence)) else { return };
                if echo.fate == Fate::Open {
                    echo.fate = Fate::Refused;
                }
                self.trouble.get_or_insert((trouble, from));
            }
        }
    }

    /// Whether every echo that was sent has met its fate.
    pub(super) fn is_settled(&self) -> bool {
        self.echoes.iter().all(|echo| echo.fate != Fate::Open)
    }

    /// How many were answered.
    pub(super) fn answered(&self) -> usize {
        self.rtts().count()
    }

    /// Part that was not answered; all of it when nothing was sent.
    pub(super) fn loss_ratio(&self) -> f64 {
        if self.echoes.is_empty() { 1.0 } else { 1.0 - number(self.answered()) / number(self.echoes.len()) }
    }

    /// Round trips in the order in which the echoes were sent.
    fn rtts(&self) -> impl Iterator<Item = Duration> + '_ {
        self.echoes.iter().filter_map(|echo| match echo.fate {
            Fate::Answered(rtt) => Some(rtt),
            Fate::Open | Fate::Refused => None,
        })
    }

    /// The figures of the round trips; `None` without any.
    pub(super) fn times(&self) -> Option<Times> {
        let all: Vec<f64> = self.rtts().map(|rtt| rtt.as_secs_f64() * 1000.0).collect();
        let count = number(all.len());
        let (min, max) = (all.iter().copied().reduce(f64::min)?, all.iter().copied().reduce(f64::max)?);
        let avg = all.iter().sum::<f64>() / count;
        let variance = all.iter().map(|rtt| (rtt - avg).powi(2)).sum::<f64>() / count;
        let steps = all.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum::<f64>();
        let jitter = (all.len() > 1).then(|| steps / (count - 1.0));
        Some(Times { min, avg, max, mdev: variance.sqrt(), jitter })
    }
}

/// Round trips of one look, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub(super) min: f64,
    pub(super) avg: f64,
    pub(super) max: f64,
    /// Standard deviation.
    pub(super) mdev: f64,
    /// Mean difference between neighbours; needs two.
    pub(super) jitter: Option<f64>,
}

/// Averages over looks, in which the newest weighs [`NEWEST`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rolling {
    /// Mean round trip in milliseconds.
    pub(super) rtt_ms: Option<f64>,
    /// Loss, 0 to 1.
    pub(super) loss_ratio: Option<f64>,
}

impl Rolling {
    /// Takes a look in. One without an answer says nothing of round trips.
    pub(super) fn take(&mut self, round: &Round) {
        let mix = |old: Option<f64>, new: f64| Some(old.map_or(new, |old| old + NEWEST * (new - old)));
        self.loss_ratio = mix(self.loss_ratio, round.loss_ratio());
        if let Some(times) = round.times() {
            self.rtt_ms = mix(self.rtt_ms, times.avg);
        }
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::icmp::Version;

    fn reply(began: Instant, sequence: u16, at_ms: u64) -> Heard {
        Heard::Reply { sequence, ttl: Some(61), at: began + Duration::from_millis(at_ms) }
    }

    /// A round of echoes that leave 100 ms apart.
    fn round(began: Instant, count: u64) -> Round {
        let mut round = Round::default();
        (0..count).for_each(|n| round.note_sent(began + Duration::from_millis(100 * n), Ok(())));
        round
    }

    #[test]
    fn figures_are_those_of_ping() {
        let began = Instant::now();
        let mut round = round(began, 4);
        // 10, 20 and 30 ms; the third is lost, the first comes twice, and the order is another.
        for heard in [reply(began, 1, 120), reply(began, 0, 10), reply(began, 0, 15), reply(began, 3, 330)] {
            round.note_heard(&heard);
        }
        let times = round.times().expect("three answers");
        assert_eq!((times.min, times.avg, times.max, times.jitter), (10.0, 20.0, 30.0, Some(10.0)));
        assert!((times.mdev - 8.165).abs() < 0.001, "{times:?}");
        assert_eq!((round.answered(), round.duplicates, round.ttl, round.loss_ratio()), (3, 1, Some(61), 0.25));
        assert!(!round.is_settled());
    }

    #[test]
    fn an_echo_may_meet_trouble_and_an_answer_counts_more() {
        let began = Instant::now();
        let mut round = round(began, 2);
        let trouble =
            |sequence, code| Heard::Trouble { sequence, trouble: Trouble::Unreachable(Version::V4, code), from: None };
        round.note_heard(&trouble(0, 1));
        round.note_heard(&trouble(1, 0));
        assert_eq!((round.answered(), round.is_settled()), (0, true));
        assert_eq!(round.trouble, Some((Trouble::Unreachable(Version::V4, 1), None)), "the first one is kept");
        round.note_heard(&reply(began, 1, 150));
        round.note_heard(&trouble(1, 0));
        assert_eq!((round.answered(), round.loss_ratio()), (1, 0.5));
        // Nothing was sent under this number.
        round.note_heard(&reply(began, 9, 150));
        round.note_heard(&trouble(9, 0));
        assert_eq!((round.answered(), round.sent()), (1, 2));
        assert_eq!(round.times().and_then(|times| times.jitter), None, "one round trip has no neighbour");
    }

    #[test]
    fn rolling_averages_follow_slowly_and_outlive_silence() {
        let began = Instant::now();
        let (mut fast, mut slow, silent) = (round(began, 1), round(began, 1), round(began, 2));
        fast.note_heard(&reply(began, 0, 10));
        slow.note_heard(&reply(began, 0, 90));
        let mut rolling = Rolling::default();
        let mut after = |round: &Round| {
            rolling.take(round);
            (rolling.rtt_ms, rolling.loss_ratio)
        };
        assert_eq!(after(&fast), (Some(10.0), Some(0.0)));
        assert_eq!(after(&slow), (Some(20.0), Some(0.0)));
        assert_eq!(after(&silent), (Some(20.0), Some(0.125)));
        assert_eq!(Round::default().loss_ratio(), 1.0);
    }
}
