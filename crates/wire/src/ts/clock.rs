//! The program clock of a transport stream: how often it is sent, where it jumps, how well it fits the bytes and the arrival.
//!
//! Owns arithmetic on references alone; which packets carry them is the monitor's.

use std::time::Duration;

/// Ticks of the program clock per second.
const TICKS_HZ: u64 = 27_000_000;
/// Ticks after which the program clock begins anew.
const WRAP: u64 = (1 << 33) * 300;
/// A step this long or back is no interval but a jump: references must come every 100 ms.
const JUMP: u64 = TICKS_HZ;
/// References kept for the accuracy: two seconds of the 40 ms that DVB wants.
const MAX_SAMPLES: usize = 50;
/// References from which an accuracy is computed.
const MIN_SAMPLES: usize = 8;
/// Part of the rate by which it may vary between references where it counts as constant: accuracy is known only then.
const CONSTANT: f64 = 0.001;

/// What was seen of one program clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    last: Option<Sample>,
    /// Sum of all steps that were no jumps, since the beginning.
    time: u64,
    /// The same since it was last begun to count anew.
    elapsed: u64,
    /// Packets of the whole stream during those steps.
    packets: u64,
    count: u64,
    longest: u64,
    jumps: u64,
    last_jump: i64,
    /// Since the last jump: how much later than the first one references arrived than they say, least and most, in ns.
    base: Option<Sample>,
    late: (i64, i64),
    samples: Vec<Sample>,
}

/// One reference.
#[derive(Debug, Clone, Copy)]
struct Sample {
    ticks: u64,
    /// Packets of the whole stream before it.
    packets: u64,
    arrival: Duration,
}

impl Clock {
    /// Takes a reference: its ticks, the packets of the whole stream before it, and when it arrived. `may_jump` when the
    /// sender says so.
    pub(super) fn push(&mut self, ticks: u64, packets: u64, arrival: Duration, may_jump: bool) {
        let sample = Sample { ticks: ticks % WRAP, packets, arrival };
        self.count += 1;
        if let Some(last) = self.last.replace(sample) {
            let step = (sample.ticks + WRAP - last.ticks) % WRAP;
            if may_jump || step >= JUMP {
                if !may_jump {
                    self.jumps += 1;
                    self.last_jump = signed(step);
                }
                self.begin(sample);
                return;
            }
            self.time += step;
            self.elapsed += step;
            self.packets += packets - last.packets;
            self.longest = self.longest.max(step);
        }
        match self.base {
            None => self.begin(sample),
            Some(base) => {
                let said = ticks_ns((sample.ticks + WRAP - base.ticks) % WRAP);
                let took = i64::try_from(arrival.saturating_sub(base.arrival).as_nanos()).unwrap_or(i64::MAX);
                let late = took.saturating_sub(said);
                self.late = (self.late.0.min(late), self.late.1.max(late));
                if self.samples.len() < MAX_SAMPLES {
                    self.samples.push(sample);
                }
            }
        }
    }

    fn begin(&mut self, sample: Sample) {
        self.base = Some(sample);
        self.late = (0, 0);
        self.samples.clear();
        self.samples.push(sample);
    }

    /// Begins to count anew; where the clock stands stays known.
    pub(super) fn renew(&mut self) {
        *self = Self { last: self.last, count: self.count, time: self.time, ..Self::default() };
        if let Some(last) = self.last {
            self.begin(last);
        }
    }

    /// References seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Time since the last reference at `now`, by the arrival.
    #[must_use]
    pub fn silent_for(&self, now: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last.arrival))
    }

    /// Longest time between two references by their own measure, jumps left out; `None` before the second.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        (self.packets > 0).then(|| ticks_time(self.longest))
    }

    /// Steps of a second or more, or back, that the sender did not announce.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// How far the last jump went, in milliseconds; negative is back.
    #[must_use]
    pub fn last_jump_ms(&self) -> i64 {
        self.last_jump / (TICKS_HZ / 1000).cast_signed()
    }

    /// Time that passed by this clock between the first and the last reference, jumps left out.
    #[must_use]
    pub fn time(&self) -> Duration {
        ticks_time(self.time)
    }

    /// Packets of the whole stream per second of this clock.
    #[must_use]
    pub fn packet_rate(&self) -> Option<f64> {
        (self.elapsed > 0).then(|| self.packets as f64 / (self.elapsed as f64 / TICKS_HZ as f64))
    }

    /// Spread of how late references arrived compared to what they say: the jitter of the way here, and of the sender.
    #[must_use]
    pub fn arrival_jitter(&self) -> Option<Duration> {
        let spread = self.late.1.saturating_sub(self.late.0);
        (self.samples.len() >= 2).then(|| Duration::from_nanos(spread.unsigned_abs()))
    }

    /// Largest distance of a reference from where the bytes between the first and the last put it (TR 101 290, 2.4), in
    /// nanoseconds. Known only for a constant bit rate.
    #[must_use]
    pub fn accuracy_ns(&self) -> Option<f64> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let span = (last.ticks + WRAP - first.ticks) % WRAP;
        if self.samples.len() < MIN_SAMPLES || span == 0 || last.packets == first.packets {
            return None;
        }
        let per_packet = span as f64 / (last.packets - first.packets) as f64;
        let mut worst: f64 = 0.0;
        for pair in self.samples.windows(2) {
            let step = (pair[1].ticks + WRAP - pair[0].ticks) % WRAP;
            let expected = (pair[1].packets - pair[0].packets) as f64 * per_packet;
            if (step as f64 - expected).abs() > expected * CONSTANT + 1_000.0 {
                return None;
            }
        }
        for sample in &self.samples {
            let said = (sample.ticks + WRAP - first.ticks) % WRAP;
            worst = worst.max((said as f64 - (sample.packets - first.packets) as f64 * per_packet).abs());
        }
        Some(worst * 1_000_000_000.0 / TICKS_HZ as f64)
    }
}

fn signed(step: u64) -> i64 {
    let step = if step > WRAP / 2 { step.cast_signed() - WRAP.cast_signed() } else { step.cast_signed() };
    step.clamp(i64::MIN / 2, i64::MAX / 2)
}

fn ticks_ns(ticks: u64) -> i64 {
    i64::try_from(u128::from(ticks) * 1_000 / 27).unwrap_or(i64::MAX)
}

fn ticks_time(ticks: u64) -> Duration {
    Duration::from_nanos(ticks_ns(ticks).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 27_000;

    /// A clock whose references come with these ticks, 100 packets and 40 ms apart.
    fn clock(ticks: &[u64]) -> Clock {
        let mut clock = Clock::default();
        for (n, &ticks) in ticks.iter().enumerate() {
            let n = n as u64;
            clock.push(ticks, n * 100, Duration::from_millis(n * 40), false);
        }
        clock
    }

    #[test]
    fn intervals_and_rates_even_where_the_clock_begins_anew() {
        let start = WRAP - 100 * MS;
        let ticks: Vec<u64> = (0..10).map(|n| (start + n * 40 * MS) % WRAP).collect();
        let clock = clock(&ticks);
        assert_eq!((clock.count(), clock.jumps(), clock.longest()), (10, 0, Some(Duration::from_millis(40))));
        assert_eq!((clock.time(), clock.packet_rate()), (Duration::from_millis(360), Some(2_500.0)));
        assert_eq!(clock.arrival_jitter(), Some(Duration::ZERO));
        assert_eq!(clock.accuracy_ns(), Some(0.0));
    }

    #[test]
    fn jumps_are_no_intervals() {
        let clock = clock(&[0, 40 * MS, 80 * MS, 5_000 * MS, 5_040 * MS, 4_000 * MS, 4_200 * MS]);
        assert_eq!((clock.jumps(), clock.last_jump_ms()), (2, -1_040));
        assert_eq!(clock.longest(), Some(Duration::from_millis(200)));
        assert_eq!(clock.time(), Duration::from_millis(40 + 40 + 40 + 200));
        let mut announced = Clock::default();
        announced.push(0, 0, Duration::ZERO, false);
        announced.push(9_000 * MS, 1, Duration::ZERO, true);
        assert_eq!((announced.jumps(), announced.longest()), (0, None));
    }

    #[test]
    fn accuracy_is_known_for_constant_rates_only() {
        let mut ticks: Vec<u64> = (0..20).map(|n| n * 40 * MS).collect();
        ticks[7] += 27;
        let off = clock(&ticks).accuracy_ns().expect("a constant rate");
        assert!((999.0..1001.0).contains(&off), "{off}");
        ticks[7] += 20 * MS;
        assert_eq!(clock(&ticks).accuracy_ns(), None);
        assert_eq!(clock(&ticks[..4]).accuracy_ns(), None);
    }

    #[test]
    fn late_arrival_is_jitter() {
        let mut clock = Clock::default();
        for (n, late) in [(0, 0), (1, 5), (2, 12), (3, 3), (4, 0)] {
            clock.push(n * 40 * MS, n, Duration::from_millis(n * 40 + late), false);
        }
        assert_eq!(clock.arrival_jitter(), Some(Duration::from_millis(12)));
    }
}
