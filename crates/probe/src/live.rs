//! What a held session measures: bit rates, frame rate, loss, jitter, gaps and key frames over the last seconds, and since
//! when each track has been silent. Owns the arithmetic behind one short lock; opens, waits for and judges nothing.
//!
//! A kind tells of packets ([`Live::packet`], or [`Live::batch`] for all packets of one read) and writes facts and tracks as
//! it learns them ([`Live::reading`]). [`crate::run::Prober::hold`] asks once a second what was measured.

mod line;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::observation::Second;
use model::phase::Phases;
use model::reading::{Media, Reading, fact};
use model::time::{Clock, Mono};
use net::attempt::Attempt;
use tokio::sync::Notify;

use self::line::{Line, Sum};

/// Shortest time that measures are taken over: less would make rates of a stream with one key frame every two seconds
/// swing.
const MIN_WINDOW: Duration = Duration::from_secs(5);
/// Longest time that measures are taken over: a rate over more is no longer what viewers see.
const MAX_WINDOW: Duration = Duration::from_secs(60);
/// Tracks that are measured; more are passed over. A transport stream of a whole multiplex has about as many.
const MAX_LINES: usize = 64;
/// How long packets gather before they are read: this part of the silence that is accepted, and no less and no more than this.
/// Whoever is to notice a silence in time must not make one.
const GATHER_PART: u32 = 10;
const GATHER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));
/// Patience with a track that has just begun: how often its packets come is not known yet.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// One media packet, or what the protocol has in its place: a message, a chunk of a body, a PES packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Index of its track in [`Reading::tracks`].
    pub track: usize,
    /// Media bytes, without packet headers.
    pub bytes: usize,
    /// When it came, or the last of the packets that were read together with it ([`Live::now`], less what the connection
    /// knows of how long ago that was).
    pub at: Mono,
    /// Whether `at` is its own time: false for packets that were read together with a later one and have no time of their own.
    pub timed: bool,
    /// Its timestamp, counted without wraps from any fixed point of the session; `None` where the protocol has none.
    pub media_time: Option<Duration>,
    /// It begins a new picture or frame: the first packet with its timestamp.
    pub frame: bool,
    /// It belongs to a key frame.
    pub key: bool,
    /// Packets that are known to be missing since this one came; negative when it was counted as missing and is late.
    /// `None` where the protocol cannot lose packets.
    pub lost: Option<i32>,
}

/// A held session as it is measured.
pub struct Live {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    opened: Notify,
}

struct State {
    reading: Reading,
    opened: Option<(Mono, Phases)>,
    /// When the seconds of the session begin to count.
    origin: Mono,
    /// How long measures are taken over, in seconds.
    window: u64,
    /// Silence that is accepted of every track.
    silence: Duration,
    lines: Vec<Line>,
}

/// Since when a track has been silent for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// The track in words: `video`, or `video 2` where there are several; `None` when nothing came at all.
    pub(crate) track: Option<String>,
    /// How long it has been silent.
    pub(crate) lasted: Duration,
    /// How long it may be.
    pub(crate) accepted: Duration,
}

impl Live {
    /// Measures over the last `window` of time, which is held between 5 and 60 seconds, and accepts silences of up to
    /// `silence` of every track.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, window: Duration, silence: Duration) -> Self {
        let window = window.clamp(MIN_WINDOW, MAX_WINDOW).as_secs();
        let (reading, origin) = (Reading::default(), clock.mono());
        let state = State { reading, opened: None, origin, window, silence, lines: Vec::new() };
        Self { clock, state: Mutex::new(state), opened: Notify::new() }
    }

    /// How long packets may gather before they are read.
    #[must_use]
    pub fn gather(&self) -> Duration {
        self.lock().gather()
    }

    /// Monotonic time now, for [`Packet::at`].
    #[must_use]
    pub fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// Writes facts and tracks down as they are learned. A track keeps its index for the whole session.
    pub fn reading<T>(&self, f: impl FnOnce(&mut Reading) -> T) -> T {
        f(&mut self.lock().reading)
    }

    /// Media of every selected track is there: the session counts as open and the deadline of opening is over. Keeps the
    /// durations of the phases that led here. Packets that were told of before are measured, too. Only the first call
    /// counts.
    pub fn opened(&self, at: &Attempt<'_>) {
        let now = self.now();
        self.lock().opened.get_or_insert_with(|| (now, at.phases().clone()));
        self.opened.notify_one();
    }

    /// Takes one packet.
    pub fn packet(&self, packet: Packet) {
        self.batch(|batch| batch.packet(packet));
    }

    /// Takes all packets of one read under one lock. `f` must not wait for anything.
    pub fn batch<T>(&self, f: impl FnOnce(&mut Batch<'_>) -> T) -> T {
        f(&mut self.begin())
    }

    /// The same for code that a closure does not fit: to be dropped before anything is waited for.
    #[must_use]
    pub fn begin(&self) -> Batch<'_> {
        Batch(self.lock())
    }

    /// What is known and measured at `now`: the reading with the measures of the last seconds as facts.
    #[must_use]
    pub fn snapshot(&self, now: Mono) -> Reading {
        self.lock().snapshot(now)
    }

    /// What the last whole second before `now` brought; seconds are counted from when this was made.
    #[must_use]
    pub fn last_second(&self, now: Mono) -> Second {
        self.lock().last_second(now)
    }

    /// How long after `now` the next second of the session begins.
    pub(crate) fn next_second(&self, now: Mono) -> Duration {
        let passed = now.0.saturating_sub(self.lock().origin.0);
        Duration::from_secs(passed.as_secs() + 1) - passed
    }

    /// When the session was opened, and the phases that led there; `None` before that.
    pub(crate) fn since(&self) -> Option<(Mono, Phases)> {
        self.lock().opened.clone()
    }

    /// Waits until the session is open.
    pub(crate) async fn until_opened(&self) {
        self.opened.notified().await;
    }

    /// When the next track will have been silent for too long if nothing comes.
    ///
    /// # Errors
    /// The track that has been so by `now`.
    pub(crate) fn patience(&self, now: Mono) -> Result<Mono, Silence> {
        self.lock().patience(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Live`] that is locked for the packets of one read.
pub struct Batch<'a>(MutexGuard<'a, State>);

impl Batch<'_> {
    /// Takes one packet.
    pub fn packet(&mut self, packet: Packet) {
        let state = &mut *self.0;
        if packet.track >= state.lines.len() {
            if packet.track >= MAX_LINES {
                return;
            }
            let seconds = usize::try_from(state.window).unwrap_or_default();
            state.lines.resize_with(packet.track + 1, || Line::new(seconds));
        }
        let at = since(packet.at, state.origin);
        state.lines[packet.track].push(&packet, at, state.silence);
    }

    /// Facts and tracks, to be written as they are learned.
    pub fn reading(&mut self) -> &mut Reading {
        &mut self.0.reading
    }
}

impl State {
    fn gather(&self) -> Duration {
        (self.silence / GATHER_PART).clamp(GATHER.0, GATHER.1)
    }

    fn begun(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().filter(|(_, line)| line.begun())
    }

    fn media(&self, track: usize) -> Media {
        self.reading.tracks.get(track).map_or(Media::Data, |t| t.media)
    }

    fn snapshot(&self, now: Mono) -> Reading {
        let mut reading = self.reading.clone();
        let Some((opened, _)) = self.opened else { return reading };
        reading.int(fact::HELD_FOR_S, whole(now.0.saturating_sub(opened.0).as_secs()));
        let now = since(now, self.origin);
        // What came since then may not have been read: it is no silence yet.
        let seen = now.saturating_sub(nanos(self.gather()));
        let mut sum = Sum::default();
        let (mut video, mut audio) = (None::<u64>, None::<u64>);
        let (mut fps, mut keys) = (None, None);
        for (track, line) in self.begun() {
            let rate = line.add(now, seen, &mut sum);
            match self.media(track) {
                Media::Video => {
                    video = rate.map(|rate| video.unwrap_or(0) + rate).or(video);
                    fps = fps.or_else(|| line.fps(now));
                    keys = keys.or_else(|| line.key_interval_ms(now, seen));
                }
                Media::Audio => audio = rate.map(|rate| audio.unwrap_or(0) + rate).or(audio),
                Media::Data => {}
            }
        }
        sum.write(&mut reading);
        let rates = [(fact::VIDEO_BITRATE_BPS, video), (fact::AUDIO_BITRATE_BPS, audio)];
        for (key, rate) in rates.into_iter().filter_map(|(key, rate)| Some((key, rate?))) {
            reading.int(key, whole(rate));
        }
        if let Some(fps) = fps {
            reading.num(fact::MEASURED_FPS, rounded(fps));
        }
        if let Some(interval) = keys {
            reading.int(fact::KEYFRAME_INTERVAL_MS, whole(interval));
        }
        reading
    }

    fn last_second(&self, now: Mono) -> Second {
        let mut second = Second::default();
        // Seconds of buckets count from 1, so that this one is the last whole one.
        let last = since(now, self.origin) / NANOS_PER_S;
        for (track, line) in self.begun() {
            line.add_second(last, self.media(track) == Media::Video, &mut second);
        }
        second
    }

    fn patience(&self, now: Mono) -> Result<Mono, Silence> {
        let start = self.silence.max(START_PATIENCE);
        let Some((opened, _)) = self.opened else { return Ok(Mono(now.0 + start)) };
        let lasted = |last: Mono| now.0.saturating_sub(last.0);
        let mut next = None;
        let watched = |track: usize| self.reading.tracks.get(track).is_none_or(|t| t.media != Media::Data);
        for (track, line) in self.begun().filter(|(track, _)| watched(*track)) {
            let last = Mono(self.origin.0 + Duration::from_nanos(line.last()));
            let accepted = line.patience(self.silence);
            // Before the session was open nobody promised anything.
            let due = Mono(last.max(opened).0 + accepted);
            if due <= now {
                return Err(Silence { track: Some(self.name(track)), lasted: lasted(last), accepted });
            }
            next = Some(next.map_or(due, |next: Mono| next.min(due)));
        }
        // A session without packets is as silent as one can be.
        let due = next.unwrap_or(Mono(opened.0 + start));
        if due > now { Ok(due) } else { Err(Silence { track: None, lasted: lasted(opened), accepted: start }) }
    }

    /// A track in words: `video`, or `video 2` where there are several.
    fn name(&self, track: usize) -> String {
        let tracks = &self.reading.tracks;
        let Some(media) = tracks.get(track).map(|t| t.media) else { return format!("{}.", track + 1) };
        let twins = tracks.iter().filter(|t| t.media == media).count();
        let place = tracks[..track].iter().filter(|t| t.media == media).count() + 1;
        if twins > 1 { format!("{media} {place}") } else { media.to_string() }
    }
}

/// Nanoseconds of a second.
const NANOS_PER_S: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
const NANOS_PER_MS: u64 = 1_000_000;

/// Time since `origin`, in nanoseconds.
fn since(at: Mono, origin: Mono) -> u64 {
    nanos(at.0.saturating_sub(origin.0))
}

/// Nanoseconds: half a thousand years of them fit.
fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(NANOS_PER_S).saturating_add(time.subsec_nanos().into())
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Two decimals: more would change every second and mean nothing.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
