//! One track of a held session: what came in each of the last seconds, and what is carried from packet to packet. Pure
//! arithmetic on the times that it is given; keeps no packet.

use std::time::Duration;

use model::observation::Second;
use model::reading::{Reading, fact};

use super::{NANOS_PER_MS, NANOS_PER_S, Packet, START_PATIENCE, nanos, rounded, whole};

/// How long a track is one that has just begun.
const START_NS: u64 = 2 * NANOS_PER_S;
/// A timestamp that is this much farther from the one before it than time has passed is a new beginning and no gap.
const JUMP_NS: i64 = 10_000_000_000;
/// How far the time that timestamps tell may be from the time that passed, as a factor: a server that sends what it had
/// kept is ahead of time, and a clock that is off by more is no clock.
const MAX_CLOCK_FACTOR: f64 = 8.0;
/// Seconds of the clock, the one in which a track begins included, that do not count for its rates.
const SETTLING_S: u64 = 2;
/// Rates are known after this much of what counts.
const LEAST_NS: u64 = NANOS_PER_S;
/// A silence is long from this part of what is accepted; how often they come shows what is usual.
const LONG_PART: u64 = 3;
/// Long silences that are remembered. Fewer could be a bad moment of the network.
const LONGS: usize = 4;
/// Patience with a track whose packets usually come far apart, in halves of their usual gap.
const USUAL_HALVES: u64 = 5;
/// What the jitter of RFC 3550 section 6.4.1 divides a new value by.
const JITTER_PART: f64 = 16.0;

/// What came in one second of the clock.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which second, counted from 1; 0 is none.
    second: u64,
    bytes: u64,
    packets: u32,
    frames: u32,
    lost: i32,
    /// Longest silence that ended in it, in nanoseconds.
    silence: u64,
    /// Largest step from one timestamp to the next, in nanoseconds.
    step: u64,
    /// Longest time between key frames that ended in it, in nanoseconds.
    key: u64,
    /// The first frame in it that is later than all before it.
    mark: Option<Mark>,
    jitter: f64,
}

/// A frame whose number and timestamp are known: two of them make a rate.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Frames before it.
    number: u64,
    /// Its timestamp, or when it came where there is none, in nanoseconds.
    time: i64,
    /// When it came, in nanoseconds.
    at: u64,
    /// Timestamps of different epochs are not comparable.
    epoch: u32,
}

/// One track.
#[derive(Debug)]
pub(super) struct Line {
    /// A ring of the last seconds, by second.
    buckets: Box<[Bucket]>,
    first: u64,
    last: u64,
    packets: u64,
    lost: Option<i64>,
    /// Packets have timestamps.
    stamped: bool,
    /// Arrival and timestamp of the latest packet that has both, in nanoseconds.
    latest: Option<(u64, i64)>,
    jitter: f64,
    frames: u64,
    /// Latest timestamp of a frame, and when it came. Pictures are sent in the order of decoding, not of showing.
    high: Option<(i64, u64)>,
    epoch: u32,
    jumps: u64,
    /// The last mark and the one before it.
    newest: Option<Mark>,
    older: Option<Mark>,
    /// The frame under way is known to be a key frame.
    in_key: bool,
    /// Time of the latest key frame, and when it came.
    key: Option<(i64, u64)>,
    /// Time from the last key frame but one to the last.
    key_interval: Option<u64>,
    /// The last long silences: when each ended, and how long it was.
    longs: [(u64, u64); LONGS],
}

impl Line {
    /// A track of which nothing has come, measured over so many seconds.
    pub(super) fn new(seconds: usize) -> Self {
        Self {
            // The second under way comes on top.
            buckets: vec![Bucket::default(); seconds + 1].into_boxed_slice(),
            first: 0,
            last: 0,
            packets: 0,
            lost: None,
            stamped: false,
            latest: None,
            jitter: 0.0,
            frames: 0,
            high: None,
            epoch: 0,
            jumps: 0,
            newest: None,
            older: None,
            in_key: false,
            key: None,
            key_interval: None,
            longs: [(0, 0); LONGS],
        }
    }

    /// Takes a packet that came at `at` (in nanoseconds); silences of up to `accepted` are accepted.
    pub(super) fn push(&mut self, packet: &Packet, at: u64, accepted: Duration) {
        let silence = if self.packets > 0 { at.saturating_sub(self.last) } else { 0 };
        if self.packets == 0 {
            self.first = at;
        }
        if silence.saturating_mul(LONG_PART) >= nanos(accepted) {
            self.longs.rotate_left(1);
            self.longs[LONGS - 1] = (at, silence);
        }
        self.last = self.last.max(at);
        self.packets += 1;
        let media = packet.media_time.map(|time| nanos(time).cast_signed());
        let place = media.unwrap_or(at.cast_signed());
        self.stamped |= media.is_some();
        if let Some(media) = media.filter(|_| packet.timed) {
            self.take_jitter(media, at);
        }
        let (mut step, mut mark, mut key) = (0, None, 0);
        if packet.frame {
            self.in_key = false;
            (step, mark) = self.take_frame(place, at);
        }
        if packet.key && !self.in_key {
            self.in_key = true;
            key = self.take_key(place, at);
        }
        if let Some(lost) = packet.lost {
            *self.lost.get_or_insert(0) += i64::from(lost);
        }
        let jitter = self.jitter;
        let bucket = self.bucket(at);
        bucket.bytes += packet.bytes as u64;
        bucket.packets += 1;
        bucket.frames += u32::from(packet.frame);
        bucket.lost += packet.lost.unwrap_or(0);
        bucket.silence = bucket.silence.max(silence);
        bucket.step = bucket.step.max(step);
        bucket.key = bucket.key.max(key);
        bucket.mark = bucket.mark.or(mark);
        bucket.jitter = jitter;
    }

    /// The bucket of the second in which `at` lies.
    fn bucket(&mut self, at: u64) -> &mut Bucket {
        let second = at / NANOS_PER_S + 1;
        let place = (second % self.buckets.len() as u64) as usize;
        let bucket = &mut self.buckets[place];
        if bucket.second != second {
            *bucket = Bucket { second, ..Bucket::default() };
        }
        bucket
    }

    fn take_jitter(&mut self, media: i64, at: u64) {
        if let Some((before, media_before)) = self.latest {
            let apart = at.cast_signed() - before.cast_signed();
            let difference = float(apart - (media - media_before)).abs();
            if difference < float(JUMP_NS) {
                self.jitter += (difference - self.jitter) / JITTER_PART;
            }
        }
        self.latest = Some((at, media));
    }

    /// The step from the latest timestamp to this one, and the mark that the frame is when it is later.
    fn take_frame(&mut self, place: i64, at: u64) -> (u64, Option<Mark>) {
        let mut step = 0;
        if let Some((high, came)) = self.high {
            let apart = place - high;
            let passed = at.saturating_sub(came).cast_signed();
            if apart > passed + JUMP_NS || apart < -JUMP_NS {
                self.jumps += 1;
                self.epoch += 1;
                (self.key, self.older, self.newest) = (None, None, None);
            } else if apart <= 0 {
                self.frames += 1;
                return (0, None);
            } else {
                step = apart.unsigned_abs();
            }
        }
        self.high = Some((place, at));
        let mark = Mark { number: self.frames, time: place, at, epoch: self.epoch };
        (self.older, self.newest) = (self.newest, Some(mark));
        self.frames += 1;
        (step, self.newest)
    }

    /// The time since the key frame before.
    fn take_key(&mut self, place: i64, at: u64) -> u64 {
        let interval = self.key.map(|(before, _)| u64::try_from(place - before).unwrap_or(0));
        self.key = Some((place, at));
        self.key_interval = interval.or(self.key_interval);
        interval.unwrap_or(0)
    }

    /// Whether anything came.
    pub(super) fn begun(&self) -> bool {
        self.packets > 0
    }

    /// When the last packet came, in nanoseconds.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// How long this track may be silent where silences of up to `least` are accepted: longer while it has just begun,
    /// and where long silences make up at least half of its time.
    pub(super) fn patience(&self, least: Duration) -> Duration {
        if self.last - self.first < START_NS {
            return least.max(START_PATIENCE);
        }
        let longs = self.longs.iter().filter(|(_, length)| *length > 0);
        let (sum, usual) = longs.fold((0, 0), |(sum, usual), (_, long)| (sum + long, long.max(&usual).to_owned()));
        let (ended, length) = self.longs[0];
        let from = if length > 0 { ended - length } else { self.first };
        let is_usual = sum >= (self.last - from) / 2;
        if is_usual { least.max(Duration::from_nanos(usual.saturating_mul(USUAL_HALVES) / 2)) } else { least }
    }

    /// Buckets of the window that ends at `now`, oldest first.
    fn window(&self, now: u64) -> impl Iterator<Item = &Bucket> {
        let length = self.buckets.len() as u64;
        let under_way = now / NANOS_PER_S + 1;
        let seconds = under_way.saturating_sub(length - 1).max(1)..=under_way;
        seconds.filter_map(move |second| {
            let bucket = &self.buckets[(second % length) as usize];
            (bucket.second == second).then_some(bucket)
        })
    }

    /// From when on rates are counted: what servers keep for new clients comes at once and would make them too high.
    fn settled(&self) -> u64 {
        (self.first / NANOS_PER_S + SETTLING_S) * NANOS_PER_S
    }

    /// How much of the window that ends at `now` counts for rates.
    fn covered(&self, now: u64) -> u64 {
        let whole_seconds = self.buckets.len() as u64 - 1;
        let start = (now / NANOS_PER_S).saturating_sub(whole_seconds) * NANOS_PER_S;
        now.saturating_sub(start.max(self.settled()))
    }

    /// Buckets of the window that count for rates.
    fn rated(&self, now: u64) -> impl Iterator<Item = &Bucket> {
        let settled = self.settled();
        self.window(now).filter(move |bucket| (bucket.second - 1) * NANOS_PER_S >= settled)
    }

    /// Adds what the window that ends at `now` brought, of which all up to `seen` has been read for certain; answers with its
    /// bits per second once they are known.
    pub(super) fn add(&self, now: u64, seen: u64, sum: &mut Sum) -> Option<u64> {
        let bytes: u64 = self.rated(now).map(|bucket| bucket.bytes).sum();
        let mut silence = seen.saturating_sub(self.last);
        for bucket in self.window(now) {
            sum.packets += u64::from(bucket.packets);
            sum.lost += i64::from(bucket.lost);
            silence = silence.max(bucket.silence);
            if self.stamped {
                sum.step = sum.step.max(Some(bucket.step).filter(|step| *step > 0));
            }
        }
        sum.silence = sum.silence.max(silence);
        sum.packets_ever += self.packets;
        sum.lost_ever = self.lost.map(|lost| lost + sum.lost_ever.unwrap_or(0)).or(sum.lost_ever);
        if self.stamped {
            sum.jumps = Some(self.jumps + sum.jumps.unwrap_or(0));
            sum.jitter = Some(self.jitter.max(sum.jitter.unwrap_or(0.0)));
        }
        let covered = self.covered(now);
        let rate = (covered >= LEAST_NS).then(|| {
            // Bits times nanoseconds of a minute's bytes: more than 64 bits hold at the speeds of a data centre.
            let rate = u128::from(bytes) * 8 * u128::from(NANOS_PER_S) / u128::from(covered);
            u64::try_from(rate).unwrap_or(u64::MAX)
        });
        sum.bit_rate = rate.map(|rate| rate + sum.bit_rate.unwrap_or(0)).or(sum.bit_rate);
        rate
    }

    /// Adds what one second (counted from 1) brought; pictures are counted `if_video`.
    pub(super) fn add_second(&self, second: u64, if_video: bool, sum: &mut Second) {
        let place = (second % self.buckets.len() as u64) as usize;
        let bucket = Some(&self.buckets[place]).filter(|bucket| bucket.second == second);
        let bucket = bucket.copied().unwrap_or_default();
        sum.bits += bucket.bytes * 8;
        sum.packets += bucket.packets;
        sum.frames += if if_video { bucket.frames } else { 0 };
        if self.lost.is_some() {
            let lost = u32::try_from(bucket.lost).unwrap_or(0);
            sum.lost = Some(lost + sum.lost.unwrap_or(0));
        }
        if self.stamped && bucket.packets > 0 {
            let worst = |value: f64, known: Option<f64>| Some(rounded(value / 1e6).max(known.unwrap_or(0.0)));
            sum.jitter_ms = worst(bucket.jitter, sum.jitter_ms);
            if bucket.step > 0 {
                sum.timestamp_gap_ms = worst(float(bucket.step.cast_signed()), sum.timestamp_gap_ms);
            }
        }
        sum.arrival_gap_ms = sum.arrival_gap_ms.max(rounded(float(bucket.silence.cast_signed()) / 1e6));
    }

    /// Frames per second in the window that ends at `now`. The timestamps tell it exactly; where they cannot be believed,
    /// or frames have ceased to come, the time that passed does.
    pub(super) fn fps(&self, now: u64) -> Option<f64> {
        let covered = self.covered(now);
        if self.frames == 0 || covered < LEAST_NS {
            return None;
        }
        let counted = || {
            let frames: u64 = self.rated(now).map(|bucket| u64::from(bucket.frames)).sum();
            float(frames.cast_signed()) / seconds(covered.cast_signed())
        };
        let of_epoch = |mark: &Mark| mark.epoch == self.epoch;
        let mut oldest = self.window(now).filter_map(|bucket| bucket.mark).find(of_epoch);
        let Some(newest) = self.newest else { return Some(counted()) };
        if oldest.is_none_or(|mark| mark.number == newest.number) {
            oldest = self.older;
        }
        let Some(oldest) = oldest else { return Some(counted()) };
        let frames = float((newest.number - oldest.number).cast_signed());
        let told = seconds(newest.time - oldest.time);
        let passed = seconds((newest.at - oldest.at).cast_signed());
        let since = seconds(now.saturating_sub(newest.at).cast_signed());
        if since > 1.0 + 2.0 * told / frames {
            return Some(frames / (passed + since));
        }
        let sane = told > passed / MAX_CLOCK_FACTOR && told < passed.max(1.0) * MAX_CLOCK_FACTOR;
        Some(if sane { frames / told } else { counted() })
    }

    /// The longest time between key frames in the window that ends at `now`, or from the last one to `seen` where that is
    /// longer.
    pub(super) fn key_interval_ms(&self, now: u64, seen: u64) -> Option<u64> {
        let (_, came) = self.key?;
        let longest = self.window(now).map(|bucket| bucket.key).max().filter(|key| *key > 0);
        let known = longest.or(self.key_interval);
        let since = seen.saturating_sub(came);
        let window = (self.buckets.len() as u64 - 1) * NANOS_PER_S;
        match known {
            Some(known) => Some(known.max(since) / NANOS_PER_MS),
            None => (since > window).then_some(since / NANOS_PER_MS),
        }
    }
}

/// What all tracks brought in the window.
#[derive(Default)]
pub(super) struct Sum {
    bit_rate: Option<u64>,
    packets: u64,
    packets_ever: u64,
    lost: i64,
    /// `None` where no track can lose packets.
    lost_ever: Option<i64>,
    silence: u64,
    step: Option<u64>,
    /// `None` where no track has timestamps.
    jumps: Option<u64>,
    jitter: Option<f64>,
}

impl Sum {
    /// Writes the facts.
    pub(super) fn write(&self, reading: &mut Reading) {
        if self.packets_ever == 0 {
            return;
        }
        reading.int(fact::PACKETS, whole(self.packets_ever));
        reading.num(fact::ARRIVAL_GAP_MS, rounded(float(self.silence.cast_signed()) / 1e6));
        if let Some(rate) = self.bit_rate {
            reading.int(fact::MEASURED_BITRATE_BPS, whole(rate));
        }
        if let Some(lost) = self.lost_ever {
            reading.int(fact::PACKETS_LOST, lost.max(0));
            let lost = float(self.lost.max(0));
            let expected = float(whole(self.packets)) + lost;
            let ratio = if expected > 0.0 { lost / expected } else { 0.0 };
            // A packet in a million is worth telling.
            reading.num(fact::LOSS_RATIO, (ratio * 1e6).round() / 1e6);
        }
        if let Some(jumps) = self.jumps {
            reading.int(fact::TIMESTAMP_JUMPS, whole(jumps));
        }
        if let Some(jitter) = self.jitter {
            reading.num(fact::JITTER_MS, rounded(jitter / 1e6));
        }
        if let Some(step) = self.step {
            reading.num(fact::TIMESTAMP_GAP_MS, rounded(float(step.cast_signed()) / 1e6));
        }
    }
}

fn seconds(nanos: i64) -> f64 {
    float(nanos) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "104 days of nanoseconds are exact, and no measure needs the last ones")]
fn float(value: i64) -> f64 {
    value as f64
}
