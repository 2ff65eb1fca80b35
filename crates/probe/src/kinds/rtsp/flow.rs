//! Whether media keeps coming once it has begun, and how much of it: the options `flow` and `max_gap`. Owns the window, the
//! silence of each track in it and the rates measured meanwhile; opens and sends nothing.

use std::time::Duration;

use model::conf::{Problem, Section, words};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use net::attempt::Attempt;
use tokio::time::{Instant, timeout, timeout_at};
use wire::rtp::Header;
use wire::sdp::{Media, MediaKind};

use super::Source;
use super::media::{Count, Tally};

/// Longest time that media may be asked to keep coming: a look is a sample and no recording.
pub(super) const MAX_FLOW: Duration = Duration::from_secs(60);
/// Shortest silence that may be called one: networks and busy cameras hold packets back for tens of milliseconds.
pub(super) const MIN_GAP: Duration = Duration::from_millis(100);
/// Longest silence that may be accepted: cameras that send a still picture twice a minute.
pub(super) const MAX_GAP: Duration = Duration::from_secs(30);
/// What the rest of a look (connecting, describing, setting up, the first packets) must have beside the window.
const REST: Duration = Duration::from_secs(1);
/// How far the time that the timestamps tell may be from the time that passed, as a factor: a server that sends what it
/// had kept is ahead of time, and a clock that is off by more is no clock.
const MAX_CLOCK_FACTOR: f64 = 8.0;
/// Packets this far behind the latest are late and no new beginning (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;
/// Clock of video payloads whose description names none (RFC 3551 section 5).
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// What is asked of media once it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// How long it must keep coming.
    window: Duration,
    /// Longest silence of a track.
    max_gap: Duration,
}

impl Flow {
    /// Reads the options; `None` where nothing is asked.
    pub(super) fn read(options: &Section<'_>, limit: Duration, problems: &mut Vec<Problem>) -> Option<Self> {
        let window = options.duration("flow").filter(|window| !window.is_zero())?;
        if window + REST > limit {
            let (least, most) = (window + REST, limit.saturating_sub(REST));
            let text = words::duration_text;
            let message = format!("a flow of {} does not fit into a timeout of {}", text(window), text(limit));
            let remedy = match most {
                Duration::ZERO => format!("set timeout to {} or more", text(least)),
                most => format!("set timeout to {} or more, or flow to {} or less", text(least), text(most)),
            };
            let path = options.path_of("flow");
            problems.push(Problem::new(options.place_of("flow"), path, message).with_remedy(remedy));
        }
        // A silence as long as the window is one in any case: a track that sent nothing in it did not keep coming.
        let max_gap = options.duration("max_gap").unwrap_or(window).min(window);
        Some(Self { window, max_gap })
    }

    /// Reads packets for as long as media must keep coming. To be called when every selected track has sent one.
    pub(super) async fn watch(
        &self,
        at: &mut Attempt<'_>,
        source: &mut Source<'_>,
        tally: &mut Tally,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        let began = meter.began;
        let kept = at.run(Phase::Check, self.keep(source, tally, meter)).await;
        kept.map_err(|fault| match fault.kind {
            FaultKind::TimedOut if fault.phase == Phase::Check => {
                let (came, limit) = (seconds(began.elapsed()), seconds(at.limit()));
                let detail =
                    format!("media came for {came} of {} when the {limit} of the look were over", self.asked());
                Fault::new(FaultKind::TimedOut, Phase::Media, detail)
            }
            _ => fault,
        })
    }

    async fn keep(&self, source: &mut Source<'_>, tally: &mut Tally, meter: &mut Meter) -> Result<(), Fault> {
        let end = meter.began + self.window;
        loop {
            if let Some(gone) = tally.counts().iter().find(|count| count.left) {
                return Err(self.left(gone));
            }
            let (quiet, since) = quietest(tally, meter.began);
            let (now, patience) = (Instant::now(), since + self.max_gap);
            if now >= end && now < patience {
                return Ok(());
            }
            // What lay in the socket is read in less time than it took to come: this long, it is a flood of other tracks.
            if now >= patience + self.max_gap {
                return Err(self.silent(&tally.counts()[quiet]));
            }
            let due = if now < end { patience.min(end) } else { patience };
            let came = match timeout_at(due, source.next(Phase::Media, tally)).await {
                Ok(came) => came,
                Err(_) => {
                    // Packets may lie in the socket because this task had no turn: only an empty one is silent.
                    tokio::task::yield_now().await;
                    match timeout(Duration::ZERO, source.next(Phase::Media, tally)).await {
                        Ok(came) => came,
                        Err(_) if Instant::now() >= patience => return Err(self.silent(&tally.counts()[quiet])),
                        Err(_) => continue,
                    }
                }
            };
            match came {
                Ok(Some((track, header, bytes))) => meter.take(track, &header, bytes),
                Ok(None) => {}
                Err(fault) => return Err(self.ended(fault, meter.began)),
            }
        }
    }

    fn asked(&self) -> String {
        format!("the {} asked for", seconds(self.window))
    }

    fn silent(&self, count: &Count) -> Fault {
        let accepted = seconds(self.max_gap);
        no_media(format!("the {} track fell silent {}, {accepted} is accepted", count.name, after_first(count)))
    }

    fn left(&self, count: &Count) -> Fault {
        let asked = seconds(self.window);
        no_media(format!(
            "the server ended the {} track (RTCP BYE) {}, {asked} is asked for",
            count.name,
            after_first(count)
        ))
    }

    /// The fault of a connection that ended, with figures.
    fn ended(&self, fault: Fault, began: Instant) -> Fault {
        let (came, asked) = (seconds(began.elapsed()), seconds(self.window));
        Fault { detail: format!("{} after {came} of media, {asked} is asked for", fault.detail), ..fault }
    }
}

fn no_media(detail: String) -> Fault {
    Fault::new(FaultKind::NoMedia, Phase::Media, detail)
}

/// Which track has been silent for longest, and since when; before `began` nobody listened.
fn quietest(tally: &Tally, began: Instant) -> (usize, Instant) {
    let last = |count: &Count| count.came.map_or(began, |(_, last)| last.max(began));
    let tracks = tally.counts().iter().map(last).enumerate();
    tracks.min_by_key(|(_, since)| *since).unwrap_or((0, began))
}

/// When a track sent its last packet, in words.
fn after_first(count: &Count) -> String {
    match count.came {
        Some((first, last)) if last > first => format!("{} after its first packet", seconds(last - first)),
        _ => "right after its first packet".to_owned(),
    }
}

/// `3 s`, `0.71 s`, `12.5 s`: seconds with as many decimals as mean something.
fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    let digits = if s < 10.0 { 2 } else { 1 };
    let text = format!("{s:.digits$}");
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Measures what comes in the window.
pub(super) struct Meter {
    began: Instant,
    /// The track whose pictures are counted, with its clock.
    video: Option<usize>,
    rate: Rate,
    bytes: u64,
}

impl Meter {
    /// Begins now.
    pub(super) fn new(medias: &[Media], tally: &Tally) -> Self {
        let proven = tally.proven().find(|(track, _)| medias[*track].kind == MediaKind::Video);
        let clock = proven.and_then(|(track, payload_type)| {
            medias[track].formats.iter().find(|f| f.payload_type == payload_type).map(|f| f.clock_rate)
        });
        Self { began: Instant::now(), video: proven.map(|(track, _)| track), rate: Rate::new(clock), bytes: 0 }
    }

    fn take(&mut self, track: usize, header: &Header, bytes: usize) {
        self.bytes += bytes as u64;
        if self.video == Some(track) {
            self.rate.push(header);
        }
    }

    /// Writes down what was measured.
    pub(super) fn note(&self, reading: &mut Reading) {
        let passed = self.began.elapsed();
        if let Some(fps) = self.rate.fps(passed) {
            reading.num(fact::MEASURED_FPS, fps);
        }
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(8 * 1000) / millis;
        reading.int(fact::MEASURED_BITRATE_BPS, i64::try_from(rate).unwrap_or(i64::MAX));
    }
}

/// Counts the pictures of one track: packets of one picture have one timestamp, and the last of them a marker.
struct Rate {
    clock_hz: f64,
    /// Number and timestamp of the latest packet in order; none before the first.
    latest: Option<(u16, u32)>,
    /// The timestamp that others are measured from.
    origin: u32,
    /// Least and greatest distance from it. Pictures are sent in the order of decoding, not of showing.
    span: (i64, i64),
    pictures: u32,
    markers: u32,
}

impl Rate {
    fn new(clock_hz: Option<u32>) -> Self {
        let clock_hz = clock_hz.filter(|&hz| hz > 0).unwrap_or(VIDEO_CLOCK_HZ).into();
        Self { clock_hz, latest: None, origin: 0, span: (0, 0), pictures: 0, markers: 0 }
    }

    fn push(&mut self, header: &Header) {
        let new = match self.latest {
            None => {
                self.origin = header.timestamp;
                true
            }
            // Late packets belong to pictures that are counted. Further back, the numbers began anew.
            Some((number, _)) if number.wrapping_sub(header.sequence) < MAX_MISORDER => return,
            Some((_, timestamp)) => timestamp != header.timestamp,
        };
        self.latest = Some((header.sequence, header.timestamp));
        self.pictures += u32::from(new);
        self.markers += u32::from(header.marker);
        let distance = i64::from(header.timestamp.wrapping_sub(self.origin).cast_signed());
        self.span = (self.span.0.min(distance), self.span.1.max(distance));
    }

    /// Pictures per second, two decimals; unknown when too little came. The timestamps tell it exactly; where they cannot
    /// be believed, the markers and the time that `passed` do.
    fn fps(&self, passed: Duration) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "differences of 32-bit timestamps are exact in a double")]
        let told = (self.span.1 - self.span.0) as f64 / self.clock_hz;
        let passed = passed.as_secs_f64();
        let sane = told > passed / MAX_CLOCK_FACTOR && told < passed * MAX_CLOCK_FACTOR;
        let fps = match (self.pictures, self.markers) {
            (2.., _) if sane => f64::from(self.pictures - 1) / told,
            (_, 2..) if passed > 0.0 => f64::from(self.markers) / passed,
            _ => return None,
        };
        Some((fps * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, timestamp: u32, marker: bool) -> Header {
        Header { marker, payload_type: 96, sequence, timestamp, ssrc: 1 }
    }

    /// The rate of packets given as number, timestamp and marker, which came in `millis`.
    fn fps(packets: impl IntoIterator<Item = (u16, u32, bool)>, millis: u64) -> Option<f64> {
        let mut rate = Rate::new(Some(90_000));
        packets.into_iter().for_each(|(sequence, timestamp, marker)| rate.push(&header(sequence, timestamp, marker)));
        rate.fps(Duration::from_millis(millis))
    }

    #[test]
    fn pictures_are_counted_by_their_timestamps() {
        // 25 pictures of two packets each, over the wrap of numbers and timestamps.
        let steady = |i: u16| {
            let time = (u32::MAX - 10_000).wrapping_add(u32::from(i / 2) * 3600);
            (65_530_u16.wrapping_add(i), time, i % 2 == 1)
        };
        assert_eq!(fps((0..50).map(steady), 1000), Some(25.0));
        // The same sent in a burst is no faster.
        assert_eq!(fps((0..50).map(steady), 300), Some(25.0));
        // One late packet in each picture changes nothing, nor do doubles.
        let late = (0..50).map(|i| steady(i ^ 1)).chain([steady(48), steady(48)]);
        assert_eq!(fps(late, 1000), Some(25.0));
        // Shown in another order than sent.
        let reordered = [0_u32, 3, 1, 2, 6, 4, 5, 9, 7, 8];
        let packets = (0..).zip(reordered).map(|(i, at)| (i, at * 9000, true));
        assert_eq!(fps(packets, 900), Some(10.0));
        // Every other picture lost.
        assert_eq!(fps((0..10).map(|i| (i * 2, u32::from(i) * 7200, true)), 900), Some(12.5));
    }

    #[test]
    fn markers_count_where_timestamps_cannot_be_believed() {
        assert_eq!(fps((0..20).map(|i| (i, 7, true)), 2000), Some(10.0), "a clock that stands");
        assert_eq!(fps((0..20).map(|i| (i, u32::from(i) * 100, true)), 2000), Some(10.0), "a clock of milliseconds");
        let restarted =
            (0..20_u16).map(|i| (i.wrapping_add(if i < 10 { 40_000 } else { 0 }), u32::from(i) << 28, true));
        assert_eq!(fps(restarted, 2000), Some(10.0), "a source that began anew");
        assert_eq!(fps([], 1000), None);
        assert_eq!(fps([(1, 1, true)], 1000), None);
        assert_eq!(fps([(1, 7, false), (2, 7, false)], 0), None);
    }

    #[test]
    fn times_in_words() {
        for (millis, words) in [(0, "0 s"), (40, "0.04 s"), (700, "0.7 s"), (1250, "1.25 s"), (30_000, "30 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), words);
        }
    }
}
