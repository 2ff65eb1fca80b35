//! Sequence numbers and arrival times: loss (RFC 3550, A.1 and A.3) and jitter (A.8).
//!
//! Never waits for late packets: they are counted as they come.

use std::time::Duration;

/// Largest forward gap taken as loss; a larger one is a restart when a second packet confirms it.
const MAX_DROPOUT: u16 = 3_000;
/// Packets behind the highest that are taken as late; further back is a restart when confirmed.
const MAX_MISORDER: u16 = 100;
/// Packets remembered to tell late ones from doubled ones: a word of 128 bits, more than `MAX_MISORDER`.
const WINDOW: u16 = 128;

/// Counts what a receiver should have seen of one source.
#[derive(Debug, Clone, Default)]
pub struct SeqTracker {
    begun: bool,
    /// Highest number seen, with its wraps in the upper part.
    highest: u64,
    /// First number since the last restart.
    base: u64,
    /// Expected packets before the last restart.
    expected_before: u64,
    received: u64,
    received_since: u64,
    lost_before: u64,
    reordered: u64,
    duplicates: u64,
    restarts: u64,
    /// The number that would confirm a restart.
    probation: Option<u16>,
    /// Bit n: `highest - n` was seen.
    seen: u128,
}

impl SeqTracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the number of a packet that arrived.
    pub fn push(&mut self, sequence: u16) {
        if !self.begun {
            self.begun = true;
            self.start(sequence);
            return;
        }
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let behind = 0u16.wrapping_sub(ahead);
        if ahead != 0 && ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.count();
        } else if behind <= MAX_MISORDER {
            self.late(behind);
        } else if self.probation == Some(sequence) {
            self.expected_before += self.highest - self.base + 1;
            self.lost_before += self.lost_since();
            self.restarts += 1;
            // The packet that began the doubt was real.
            self.start(sequence.wrapping_sub(1));
            self.highest += 1;
            self.seen = 0b11;
            self.count();
        } else {
            self.probation = Some(sequence.wrapping_add(1));
        }
    }

    fn start(&mut self, sequence: u16) {
        // One wrap up, so that late packets before the first never go below zero.
        self.highest = u64::from(sequence) + 0x1_0000;
        self.base = self.highest;
        self.received_since = 0;
        self.seen = 1;
        self.count();
    }

    fn count(&mut self) {
        self.received += 1;
        self.received_since += 1;
        self.probation = None;
    }

    fn late(&mut self, behind: u16) {
        let bit = 1u128 << behind.min(WINDOW - 1);
        if self.seen & bit != 0 {
            self.duplicates += 1;
            return;
        }
        self.seen |= bit;
        self.reordered += 1;
        self.base = self.base.min(self.highest - u64::from(behind));
        self.count();
    }

    fn lost_since(&self) -> u64 {
        (self.highest - self.base + 1).saturating_sub(self.received_since)
    }

    /// Packets that should have arrived.
    #[must_use]
    pub fn expected(&self) -> u64 {
        if self.begun { self.expected_before + self.highest - self.base + 1 } else { 0 }
    }

    /// Packets that arrived, doubles not counted.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that should have arrived and did not.
    #[must_use]
    pub fn lost(&self) -> u64 {
        if self.begun { self.lost_before + self.lost_since() } else { 0 }
    }

    /// Packets that arrived after a later one.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Packets that arrived more than once.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Times the source jumped to another number for good.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// Interarrival jitter of one source.
#[derive(Debug, Clone)]
pub struct Jitter {
    clock_rate: u32,
    last: Option<(u32, Duration)>,
    /// Smoothed, in units of the clock.
    jitter: f64,
}

impl Jitter {
    /// No packets yet, for a payload clock of `clock_rate` Hz; 0 is taken as 90,000.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: if clock_rate == 0 { 90_000 } else { clock_rate }, last: None, jitter: 0.0 }
    }

    /// Takes a packet: its RTP time, and when it arrived since any fixed moment.
    pub fn push(&mut self, rtp_timestamp: u32, arrival: Duration) {
        if let Some((last_timestamp, last_arrival)) = self.last {
            let sent = f64::from(rtp_timestamp.wrapping_sub(last_timestamp).cast_signed());
            let received = (arrival.as_secs_f64() - last_arrival.as_secs_f64()) * f64::from(self.clock_rate);
            self.jitter += ((received - sent).abs() - self.jitter) / 16.0;
        }
        self.last = Some((rtp_timestamp, arrival));
    }

    /// Jitter in milliseconds.
    #[must_use]
    pub fn ms(&self) -> f64 {
        self.jitter * 1_000.0 / f64::from(self.clock_rate)
    }
}
