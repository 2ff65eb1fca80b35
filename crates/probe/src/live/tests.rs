//! Series of packets whose measures are known beforehand.

use super::*;
use model::reading::{FactValue, Track};
use net::clock::SystemClock;
use testkit::clock::ManualClock;
use wire::rtp::Jitter;

const SILENCE: Duration = Duration::from_millis(1500);
const WINDOW: Duration = Duration::from_secs(10);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Bench {
    clock: Arc<ManualClock>,
    live: Live,
}

impl Bench {
    /// A session of a video and an audio track that is open.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        clock.advance(ms(12_345));
        let live = Live::new(Arc::clone(&clock) as Arc<dyn Clock>, WINDOW, SILENCE);
        live.reading(|r| r.tracks = vec![Track::new(Media::Video, "h264"), Track::new(Media::Audio, "aac")]);
        let system = SystemClock::new();
        live.opened(&Attempt::new(&system, ms(1)));
        Self { clock, live }
    }

    /// Lets time pass up to so long after the beginning.
    fn until(&self, since: Duration) {
        let passed = self.live.now().0.saturating_sub(ms(12_345));
        self.clock.advance(since.saturating_sub(passed));
    }

    /// A packet of a track at a time since the beginning.
    fn send(&self, at: Duration, change: impl FnOnce(&mut Packet)) {
        self.until(at);
        let mut packet = Packet {
            timed: true,
            track: 0,
            bytes: 1000,
            at: self.live.now(),
            media_time: None,
            frame: true,
            key: false,
            lost: None,
        };
        change(&mut packet);
        self.live.packet(packet);
    }

    fn facts(&self) -> Reading {
        self.live.snapshot(self.live.now())
    }
}

fn num(reading: &Reading, key: &str) -> Option<f64> {
    match reading.facts.get(key)? {
        FactValue::Num(value) => Some(*value),
        FactValue::Int(value) => Some(*value as f64),
        other => panic!("{key}: {other:?}"),
    }
}

/// Whether a fact is within so many percent of a value.
fn near(reading: &Reading, key: &str, value: f64, percent: f64) {
    let seen = num(reading, key).unwrap_or_else(|| panic!("{key} is not known"));
    assert!((seen - value).abs() <= value * percent / 100.0, "{key}: {seen}, not {value}");
}

#[test]
fn a_steady_stream_is_measured() {
    let bench = Bench::new();
    // 30000/1001 pictures a second of four packets each; a key frame every 60; sound every 20 ms.
    let (mut picture, mut sound) = (0_u32, 0_u32);
    while bench.live.now().0 < ms(12_345 + 30_500) {
        let (video_at, audio_at) = (Duration::from_secs(1) * picture * 1001 / 30_000, ms(20) * sound);
        if video_at <= audio_at {
            for part in 0..4 {
                bench.send(video_at, |p| {
                    (p.bytes, p.media_time) = (1250, Some(ms(1_000_000) + video_at));
                    (p.frame, p.key, p.lost) = (part == 0, picture.is_multiple_of(60), Some(0));
                });
            }
            picture += 1;
        } else {
            bench.send(audio_at, |p| (p.track, p.bytes, p.media_time, p.lost) = (1, 160, Some(audio_at), Some(0)));
            sound += 1;
        }
    }
    let facts = bench.facts();
    near(&facts, fact::MEASURED_FPS, 30_000.0 / 1001.0, 0.01);
    near(&facts, fact::VIDEO_BITRATE_BPS, 5000.0 * 8.0 * 30_000.0 / 1001.0, 1.0);
    near(&facts, fact::AUDIO_BITRATE_BPS, 64_000.0, 1.0);
    near(&facts, fact::MEASURED_BITRATE_BPS, 64_000.0 + 5000.0 * 8.0 * 30_000.0 / 1001.0, 1.0);
    near(&facts, fact::KEYFRAME_INTERVAL_MS, 60_000.0 * 1001.0 / 30_000.0, 0.5);
    near(&facts, fact::TIMESTAMP_GAP_MS, 33.37, 0.1);
    near(&facts, fact::ARRIVAL_GAP_MS, 33.37, 1.0);
    near(&facts, fact::JITTER_MS, 0.0, 0.0);
    near(&facts, fact::PACKETS, f64::from(picture * 4 + sound), 0.0);
    near(&facts, fact::LOSS_RATIO, 0.0, 0.0);
    near(&facts, fact::PACKETS_LOST, 0.0, 0.0);
    near(&facts, fact::TIMESTAMP_JUMPS, 0.0, 0.0);
    near(&facts, fact::HELD_FOR_S, 30.0, 0.0);
    let second = bench.live.last_second(bench.live.now());
    assert!((29..=31).contains(&second.frames), "{second:?}");
    assert!((1_220_000..=1_310_000).contains(&second.bits), "{second:?}");
    assert_eq!((second.packets, second.lost), (second.frames * 4 + 50, Some(0)));
    assert_eq!(second.timestamp_gap_ms, Some(33.37));
}

#[test]
fn pictures_out_of_order_and_in_bursts_count_the_same() {
    let bench = Bench::new();
    // I3 P B B at 25 a second, and all of half a second comes at once.
    for group in 0..40_u64 {
        for (place, shown) in [(0, 3), (1, 1), (2, 2)] {
            let (sent, shown) = (group * 3 + place, group * 3 + shown);
            let at = ms(sent * 40 / 500 * 500);
            bench.send(at, |p| (p.media_time, p.key) = (Some(ms(shown * 40)), place == 0 && group % 10 == 0));
        }
    }
    bench.until(ms(4_650));
    near(&bench.facts(), fact::MEASURED_FPS, 25.0, 1.0);
    near(&bench.facts(), fact::KEYFRAME_INTERVAL_MS, 1200.0, 0.0);
}

#[test]
fn what_a_server_kept_for_new_clients_does_not_count_for_rates() {
    let bench = Bench::new();
    for _ in 0..100 {
        bench.send(ms(0), |p| p.frame = false);
    }
    for packet in 0..80_u64 {
        bench.send(ms(packet * 100), |_| {});
        if let Some(rate) = num(&bench.facts(), fact::MEASURED_BITRATE_BPS) {
            assert!((rate - 80_000.0).abs() < 9000.0, "{packet}: {rate}");
        }
    }
    near(&bench.facts(), fact::MEASURED_BITRATE_BPS, 80_000.0, 2.0);
}

#[test]
fn without_timestamps_the_arrival_counts() {
    let bench = Bench::new();
    for picture in 0..31_u64 {
        // A picture each second, in two chunks.
        bench.send(ms(picture * 1000), |_| {});
        bench.send(ms(picture * 1000 + 10), |p| p.frame = false);
    }
    let facts = bench.facts();
    near(&facts, fact::MEASURED_FPS, 1.0, 0.5);
    near(&facts, fact::ARRIVAL_GAP_MS, 990.0, 0.0);
    let unknown = [fact::JITTER_MS, fact::TIMESTAMP_GAP_MS, fact::TIMESTAMP_JUMPS, fact::LOSS_RATIO];
    assert!(unknown.iter().all(|key| num(&facts, key).is_none()), "{facts:?}");
    assert_eq!(num(&facts, fact::KEYFRAME_INTERVAL_MS), None, "no picture was called a key frame");
}

#[test]
fn jitter_is_that_of_the_standard() {
    let bench = Bench::new();
    let mut jitter = Jitter::new(90_000);
    let mut seed = 7_u64;
    for packet in 0..500_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = ms(packet * 20 + (seed >> 33) % 15);
        bench.send(at, |p| p.media_time = Some(ms(packet * 20)));
        jitter.push(u32::try_from(packet * 1800).expect("small"), at);
    }
    assert!(jitter.ms() > 1.0);
    near(&bench.facts(), fact::JITTER_MS, jitter.ms(), 1.0);
}

#[test]
fn losses_are_counted_and_late_packets_taken_off() {
    let bench = Bench::new();
    for packet in 0..1000_u64 {
        let lost = match packet % 100 {
            50 => 3,
            52 => -1,
            _ => 0,
        };
        bench.send(ms(packet * 10), |p| p.lost = Some(lost));
    }
    let facts = bench.facts();
    near(&facts, fact::PACKETS_LOST, 20.0, 0.0);
    near(&facts, fact::LOSS_RATIO, 2.0 / 102.0, 1.0);
    assert_eq!(bench.live.last_second(bench.live.now()).lost, Some(2));
    // What is longer ago than the window no longer counts as a part, and still as a number.
    for packet in 1000..2500_u64 {
        bench.send(ms(packet * 10), |p| p.lost = Some(0));
    }
    near(&bench.facts(), fact::PACKETS_LOST, 20.0, 0.0);
    near(&bench.facts(), fact::LOSS_RATIO, 0.0, 0.0);
}

#[test]
fn gaps_and_jumps_of_timestamps_are_told_apart() {
    let bench = Bench::new();
    let mut time = ms(100_000);
    for picture in 0..250_u64 {
        time += ms(40);
        match picture {
            100 => time += ms(800),        // pictures left out
            150 => time -= ms(50_000),     // began anew
            200 => time += ms(10_000_000), // went on from elsewhere
            _ => {}
        }
        bench.send(ms(picture * 40), |p| p.media_time = Some(time));
    }
    let facts = bench.facts();
    near(&facts, fact::TIMESTAMP_GAP_MS, 840.0, 0.0);
    near(&facts, fact::TIMESTAMP_JUMPS, 2.0, 0.0);
    near(&facts, fact::MEASURED_FPS, 25.0, 1.0);
}

#[test]
fn a_clock_that_stands_leaves_counting() {
    let bench = Bench::new();
    for picture in 0..300_u64 {
        bench.send(ms(picture * 40), |p| p.media_time = Some(ms(77)));
    }
    near(&bench.facts(), fact::MEASURED_FPS, 25.0, 2.0);
}

#[test]
fn pictures_that_cease_make_the_rate_fall() {
    let bench = Bench::new();
    for packet in 0..500_u64 {
        let at = ms(packet * 20);
        if packet < 300 {
            bench.send(at, |p| (p.media_time, p.key) = (Some(at), packet % 50 == 0));
        }
        bench.send(at, |p| (p.track, p.media_time) = (1, Some(at)));
    }
    let facts = bench.facts();
    let fps = num(&facts, fact::MEASURED_FPS).expect("known");
    assert!(fps < 35.0, "{fps}");
    // What came in the last tenth of a second may not have been read.
    near(&facts, fact::KEYFRAME_INTERVAL_MS, 4880.0, 0.1);
    near(&facts, fact::ARRIVAL_GAP_MS, 3900.0, 0.1);
}

#[test]
fn silence_is_of_one_track_and_has_its_words() {
    let bench = Bench::new();
    let patience = |bench: &Bench| bench.live.patience(bench.live.now());
    assert_eq!(patience(&bench), Ok(Mono(ms(12_345) + START_PATIENCE)), "nothing came yet");
    for packet in 0..500_u64 {
        bench.send(ms(packet * 20), |p| p.track = 0);
        bench.send(ms(packet * 20), |p| p.track = 1);
    }
    for packet in 500..574_u64 {
        bench.send(ms(packet * 20), |p| p.track = 0);
    }
    assert_eq!(patience(&bench), Ok(Mono(ms(12_345 + 9980 + 1500))));
    bench.until(ms(9980 + 1500));
    let silence = Silence { track: Some("audio".to_owned()), lasted: SILENCE, accepted: SILENCE };
    assert_eq!(patience(&bench), Err(silence));
}

#[test]
fn a_track_that_has_just_begun_is_given_time() {
    let bench = Bench::new();
    bench.send(ms(0), |_| {});
    bench.send(ms(100), |_| {});
    assert_eq!(bench.live.patience(bench.live.now()), Ok(Mono(ms(12_345 + 100) + START_PATIENCE)));
}

#[test]
fn usual_gaps_are_accepted_and_single_ones_change_nothing() {
    // A picture every `gap`, each in chunks: 2.5 times as long is accepted.
    for (gap, accepted) in [(40, 1500), (400, 1500), (1000, 2475), (4000, 9975)] {
        let bench = Bench::new();
        for picture in 0..12 {
            bench.send(ms(picture * gap), |_| {});
            bench.send(ms(picture * gap + 10), |p| p.frame = false);
        }
        let last = 12_345 + 11 * gap + 10;
        let expected = if gap == 40 { START_PATIENCE } else { ms(accepted) };
        assert_eq!(bench.live.patience(bench.live.now()), Ok(Mono(ms(last) + expected)), "{gap}");
    }
    // One long gap a minute is a bad moment.
    let bench = Bench::new();
    let mut at = 0;
    for packet in 1..15_000_u64 {
        at += if packet % 3000 == 0 { 1400 } else { 20 };
        bench.send(ms(at), |_| {});
        let expected = if at < 2020 { START_PATIENCE } else { SILENCE };
        assert_eq!(bench.live.patience(bench.live.now()), Ok(Mono(ms(12_345 + at) + expected)));
    }
}

#[test]
fn data_tracks_may_be_silent_and_too_many_tracks_are_passed_over() {
    let bench = Bench::new();
    bench.live.reading(|r| r.tracks.push(Track::new(Media::Data, "scte_35")));
    bench.send(ms(0), |p| p.track = 2);
    bench.send(ms(10), |p| p.track = usize::MAX);
    for packet in 0..500_u64 {
        bench.send(ms(packet * 20), |_| {});
    }
    assert!(bench.live.patience(bench.live.now()).is_ok());
    near(&bench.facts(), fact::PACKETS, 501.0, 0.0);
}

#[test]
fn nothing_is_measured_before_the_session_is_open() {
    let clock = Arc::new(ManualClock::new());
    let live = Live::new(Arc::clone(&clock) as Arc<dyn Clock>, WINDOW, SILENCE);
    live.reading(|r| r.text(fact::SERVER, "x"));
    clock.advance(ms(60_000));
    let facts = live.snapshot(live.now());
    assert_eq!(facts.facts.keys().copied().collect::<Vec<_>>(), [fact::SERVER]);
    assert!(live.patience(live.now()).is_ok());
    assert_eq!(live.last_second(live.now()), Second::default());
}
