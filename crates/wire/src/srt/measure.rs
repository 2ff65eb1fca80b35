//! What a connection measures of itself: time there and back, rates, the capacity of the link, when a packet is due. Owns the
//! arithmetic; times are durations since the connection began.

use std::collections::VecDeque;
use std::time::Duration;

/// Acknowledgements remembered until their answer comes.
const MAX_ACKS: usize = 64;
/// Pairs of packets that the capacity is told from.
const MAX_PAIRS: usize = 32;
/// Pairs from which a capacity is believed.
const MIN_PAIRS: usize = 8;
/// How long a smallest delay counts: long enough to meet one packet without a queue, short enough to follow a drifting clock.
const BASE_WINDOW: Duration = Duration::from_secs(10);
/// Time over which a rate is told.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// Counters and measures of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets of media that came, each once.
    pub packets: u64,
    /// Octets of media in them.
    pub bytes: u64,
    /// Packets that were missing when a later one came.
    pub lost: u64,
    /// Packets that came again marked as sent again.
    pub retransmitted: u64,
    /// Packets that came a second time.
    pub duplicates: u64,
    /// Packets that came after they had been given up.
    pub belated: u64,
    /// Packets given up: they did not come in time, or the sender gave them up.
    pub dropped: u64,
    /// Packets that no key opens.
    pub undecrypted: u64,
    /// Packets for another connection, and bytes that are no packets.
    pub strangers: u64,
    /// Time there and back, once it was measured.
    pub rtt: Option<Duration>,
    /// How much it varies.
    pub rtt_variance: Duration,
    /// Octets of media in the last whole second.
    pub bytes_s: u64,
    /// Packets of media in the last whole second.
    pub packets_s: u64,
    /// What the link could carry, in octets per second, once it was measured.
    pub capacity_bytes_s: Option<u64>,
}

/// Time there and back, by acknowledgements and their answers (draft, 4.10).
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    sent: VecDeque<(u32, Duration)>,
    smoothed: Option<(Duration, Duration)>,
}

impl RoundTrip {
    /// Until it is measured (draft, 4.10).
    const FIRST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(50));

    pub(crate) fn sent(&mut self, number: u32, now: Duration) {
        if self.sent.len() == MAX_ACKS {
            self.sent.pop_front();
        }
        self.sent.push_back((number, now));
    }

    /// Takes the answer to an acknowledgement; false when it was none of ours.
    pub(crate) fn answered(&mut self, number: u32, now: Duration) -> bool {
        let Some(index) = self.sent.iter().position(|(sent, _)| *sent == number) else { return false };
        let sample = now.saturating_sub(self.sent[index].1);
        self.sent.drain(..=index);
        self.smoothed = Some(match self.smoothed {
            None => (sample, sample / 2),
            Some((rtt, variance)) => ((rtt * 7 + sample) / 8, (variance * 3 + rtt.abs_diff(sample)) / 4),
        });
        true
    }

    pub(crate) fn measured(&self) -> Option<(Duration, Duration)> {
        self.smoothed
    }

    /// The time and its variation, measured or assumed.
    pub(crate) fn get(&self) -> (Duration, Duration) {
        self.smoothed.unwrap_or(Self::FIRST)
    }
}

/// Octets and packets per second.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    began: Duration,
    now: (u64, u64),
    last: (u64, u64),
}

impl Rate {
    pub(crate) fn push(&mut self, bytes: usize, now: Duration) {
        self.turn(now);
        self.now.0 += bytes as u64;
        self.now.1 += 1;
    }

    fn turn(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.began);
        if passed >= RATE_WINDOW {
            self.last = if passed < RATE_WINDOW * 2 { self.now } else { (0, 0) };
            self.now = (0, 0);
            let windows = u32::try_from(passed.as_secs()).unwrap_or(u32::MAX);
            self.began += RATE_WINDOW * windows;
        }
    }

    /// Octets and packets of the last whole second.
    pub(crate) fn get(&mut self, now: Duration) -> (u64, u64) {
        self.turn(now);
        self.last
    }
}

/// The capacity of the link: the sender sends every sixteenth packet and the next one back to back, and the time between them
/// tells how fast the narrowest part lets them through. A live sender often has no next packet yet: such pairs only seem slow, so
/// the quickest quarter of them is believed.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    first: Option<(u32, Duration)>,
    /// Nanoseconds for an octet, times 1024 to keep fast links apart.
    pairs: VecDeque<u64>,
}

impl Capacity {
    pub(crate) fn push(&mut self, seq: u32, bytes: usize, again: bool, now: Duration) {
        let first = self.first.take().filter(|_| !again);
        if seq & 15 == 0 && !again {
            self.first = Some((seq, now));
        }
        let Some((probe, at)) = first else { return };
        let (Some(took), true) = (now.checked_sub(at), seq == probe + 1) else { return };
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if took > 0 && bytes > 0 {
            if self.pairs.len() == MAX_PAIRS {
                self.pairs.pop_front();
            }
            self.pairs.push_back(took.saturating_mul(1024) / bytes as u64);
        }
    }

    /// Octets per second.
    pub(crate) fn get(&self) -> Option<u64> {
        if self.pairs.len() < MIN_PAIRS {
            return None;
        }
        let mut sorted: Vec<u64> = self.pairs.iter().copied().collect();
        sorted.sort_unstable();
        let quarter = sorted[sorted.len() / 4].max(1);
        let near = sorted.iter().filter(|&&pair| pair > quarter / 8 && pair <= quarter.saturating_mul(2));
        let (count, sum) = near.fold((0u64, 0u64), |(count, sum), pair| (count + 1, sum.saturating_add(*pair)));
        (count > 0 && sum > 0)
            .then(|| u64::try_from(u128::from(count) * 1024 * 1_000_000_000 / u128::from(sum)).ok())?
    }
}

/// When packets are due: their time by the sender's clock, brought to ours by the smallest delay seen lately, and the latency.
#[derive(Debug, Default)]
pub(crate) struct PlayClock {
    last_us: u32,
    unwrapped_us: i64,
    begun: bool,
    /// Smallest arrival minus sending, in microseconds, of this window and of the one before.
    base: (i64, i64),
    window: Duration,
}

impl PlayClock {
    /// When a packet with this time that came now is due without the latency; never before the connection began.
    pub(crate) fn due(&mut self, time_us: u32, again: bool, now: Duration) -> Duration {
        let step = time_us.wrapping_sub(self.last_us).cast_signed();
        let arrived = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        if !self.begun {
            self.begun = true;
            self.unwrapped_us = i64::from(time_us);
            self.base = (arrived - self.unwrapped_us, arrived - self.unwrapped_us);
            self.window = now;
            self.last_us = time_us;
        }
        let own =
            if self.last_us == time_us { self.unwrapped_us } else { self.unwrapped_us.saturating_add(step.into()) };
        if own > self.unwrapped_us {
            (self.unwrapped_us, self.last_us) = (own, time_us);
        }
        // What was sent again came late by its nature.
        let delay = arrived.saturating_sub(own);
        if !again {
            if now.saturating_sub(self.window) >= BASE_WINDOW {
                self.window = now;
                self.base = (delay, self.base.0);
            }
            self.base.0 = self.base.0.min(delay);
        }
        let due = own.saturating_add(self.base.0.min(self.base.1));
        Duration::from_micros(u64::try_from(due).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn round_trips_are_smoothed() {
        let mut trips = RoundTrip::default();
        assert_eq!(trips.get(), (ms(100), ms(50)));
        trips.sent(1, ms(0));
        trips.sent(2, ms(10));
        assert!(trips.answered(1, ms(40)) && !trips.answered(1, ms(50)));
        assert_eq!(trips.measured(), Some((ms(40), ms(20))));
        assert!(trips.answered(2, ms(90)));
        assert_eq!(trips.get(), (ms(45), ms(25)));
        (3..200).for_each(|number| trips.sent(number, ms(100)));
        assert_eq!(trips.sent.len(), MAX_ACKS);
    }

    #[test]
    fn rates_are_of_the_last_whole_second() {
        let mut rate = Rate::default();
        (0..10).for_each(|i| rate.push(100, ms(100 * i)));
        assert_eq!(rate.get(ms(999)), (0, 0));
        assert_eq!(rate.get(ms(1000)), (1000, 10));
        assert_eq!(rate.get(ms(3500)), (0, 0));
    }

    #[test]
    fn pairs_tell_the_capacity_and_outliers_do_not() {
        let mut capacity = Capacity::default();
        for i in 0..10u32 {
            let at = ms(u64::from(i) * 20);
            capacity.push(16 * i, 1316, false, at);
            // 1316 octets in 1316 microseconds.
            let late = if i == 5 { Duration::from_millis(200) } else { Duration::from_micros(1316) };
            capacity.push(16 * i + 1, 1316, false, at + late);
        }
        assert_eq!(capacity.get(), Some(1_000_000));
        capacity.push(160, 1316, false, ms(900));
        capacity.push(161, 1316, true, ms(901));
        assert_eq!(capacity.pairs.len(), 10);
    }

    #[test]
    fn packets_are_due_by_the_smallest_delay_and_clocks_may_wrap() {
        let mut clock = PlayClock::default();
        assert_eq!(clock.due(u32::MAX - 999, false, ms(50)), ms(50));
        assert_eq!(clock.due(9_000, false, ms(70)), ms(60), "it came 10 ms late");
        assert_eq!(clock.due(9_000, true, ms(500)), ms(60));
        assert_eq!(clock.due(19_000, false, ms(65)), ms(65), "it came sooner: the rest was late");
        assert_eq!(clock.due(9_000, true, ms(65)), ms(55));
        // A sender's clock that goes slowly is followed.
        for i in 1..40u32 {
            let now = ms(65 + u64::from(i) * 1001);
            assert!(now - clock.due(19_000 + i * 1_000_000, false, now) < ms(25), "{i}");
        }
    }
}
