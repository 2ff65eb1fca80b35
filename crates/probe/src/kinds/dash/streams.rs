//! From the manifest to the representations that are looked at: of which period, which pictures and which sound, and how far
//! each of them is by the clock. Owns the names by which findings and faults tell them apart. Fetches nothing.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use wire::mpd::{AdaptationSet, Content, Mpd, Period, Representation, Segment, Span};

use super::super::hls::choose::{Choice, MAX_LOOKED_AT};
use super::super::hls::lint::Found;

/// How long a segment that the clock alone says is there has been due before it is asked for: clocks differ, and so does the
/// time that a packager needs. Players are further behind.
const MARGIN_S: f64 = 1.0;
/// Longest name of a representation in a sentence, in characters.
const MAX_ID_CHARS: usize = 40;

/// What a stream is to the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one whose facts are told.
    Main,
    /// Another choice of the same.
    Variant,
    /// Sound beside pictures.
    Sound,
}

/// The presentation at a point in time, by the clock of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// In milliseconds since 1970.
    pub(super) now_ms: i64,
    /// Whether it goes on.
    pub(super) live: bool,
}

impl Scene {
    /// `expected` is what the configuration expects, where it expects something.
    pub(super) fn of(mpd: &Mpd, now_ms: i64, expected: Option<bool>) -> Self {
        Self { now_ms, live: mpd.dynamic && !has_ended(mpd, now_ms) && expected != Some(false) }
    }

    /// What is known of a period, for one of its representations.
    fn span(&self, mpd: &Mpd, period: &Period, one: &Representation) -> Span {
        let margin_s = if one.segments.is_listed() { 0.0 } else { MARGIN_S };
        let elapsed_s = self.live.then(|| self.elapsed_s(mpd, period)).flatten().map(|elapsed| elapsed - margin_s);
        Span { elapsed_s, length_s: period.length_s, window_s: mpd.window_s }
    }

    /// Seconds since a period began.
    fn elapsed_s(&self, mpd: &Mpd, period: &Period) -> Option<f64> {
        let since = self.now_ms.saturating_sub(mpd.availability_start_ms?) as f64 / 1_000.0;
        Some(since - period.start_s?)
    }
}

/// Whether a presentation that could change is over. While updates are announced, its end may still move.
pub(super) fn has_ended(mpd: &Mpd, now_ms: i64) -> bool {
    ended_ms(mpd).is_some_and(|end| end <= now_ms)
}

/// When it ends, where that is known.
pub(super) fn ended_ms(mpd: &Mpd) -> Option<i64> {
    let last = mpd.periods.last();
    let length = || last.and_then(|period| Some(period.start_s? + period.length_s?)).filter(|_| mpd.update_s.is_none());
    let by_length = || Some(mpd.availability_start_ms?.saturating_add((length()? * 1_000.0) as i64));
    mpd.availability_end_ms.or_else(by_length)
}

/// A representation that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Stream<'a> {
    pub(super) role: Role,
    /// What sentences call it.
    pub(super) name: String,
    /// What the memory calls it.
    pub(super) key: String,
    pub(super) one: &'a Representation,
    pub(super) span: Span,
    /// When its period begins, in seconds of the presentation.
    pub(super) start_s: f64,
    /// How it is known that it goes on; none while it is not.
    pub(super) advance: Option<&'static str>,
}

impl Stream<'_> {
    /// A sentence about it.
    pub(super) fn about(&self, words: &str) -> String {
        format!("{}: {words}", self.name)
    }

    pub(super) fn named(&self, found: Found) -> Found {
        Found { text: self.about(&found.text), ..found }
    }

    pub(super) fn blamed(&self, fault: Fault) -> Fault {
        Fault { detail: self.about(&fault.detail), ..fault }
    }

    /// The newest segment that is due; of a list that is all ahead of the clock the last one.
    pub(super) fn newest(&self) -> Option<Segment> {
        let segments = &self.one.segments;
        segments.newest(&self.span).or_else(|| segments.last(&self.span).filter(|_| segments.is_listed()))
    }

    /// When what it lists ends, in seconds of the presentation.
    pub(super) fn end_s(&self) -> Option<f64> {
        let last = if self.one.segments.is_listed() { self.one.segments.last(&self.span) } else { self.newest() };
        last.map(|last| self.start_s + last.end_s())
    }

    /// Longest duration of a segment, in seconds, as far as the manifest tells it.
    pub(super) fn segment_s(&self) -> Option<f64> {
        let segments = &self.one.segments;
        let longest = match &segments.timeline {
            Some(timeline) => timeline.runs.iter().map(|run| run.duration).max(),
            None => segments.duration,
        };
        longest.map(|ticks| ticks as f64 / segments.timescale.max(1) as f64)
    }
}

/// What a representation is called in facts: `1280x720 1741446 bit/s (v0)`.
pub(super) fn label(one: &Representation) -> String {
    let size = one.width.zip(one.height).map(|(width, height)| format!("{width}x{height} "));
    let rate = one.bandwidth_bps.map(|bps| format!("{bps} bit/s "));
    format!("{}{}({})", size.unwrap_or_default(), rate.unwrap_or_default(), short(&one.id))
}

/// An id for sentences.
fn short(id: &str) -> String {
    let shown: String = id.chars().take(MAX_ID_CHARS).map(|c| if c.is_control() { '.' } else { c }).collect();
    if shown.is_empty() { "no id".to_owned() } else { shown }
}

/// The representations of one period that a look is for, the main one first.
pub(super) fn pick<'a>(mpd: &'a Mpd, scene: &Scene, choice: Choice) -> Result<Vec<Stream<'a>>, Fault> {
    let no_media = |words: &str| Fault::new(FaultKind::NoMedia, Phase::Check, words);
    if mpd.periods.is_empty() {
        return Err(no_media("the manifest has no period"));
    }
    if mpd.dynamic && scene.live && mpd.availability_start_ms.is_none() {
        let words =
            "the manifest is dynamic and has no availabilityStartTime, so that no segment can be told to be due";
        return Err(Fault::protocol(Phase::Check, words));
    }
    let mut told = None;
    let order: Vec<&Period> = match scene.live {
        // The newest one that has begun and has segments.
        true => mpd.periods.iter().rev().filter(|period| period.start_s.is_some()).collect(),
        false => mpd.periods.iter().collect(),
    };
    for period in order {
        let streams = of_period(mpd, scene, period, choice);
        let Some(main) = streams.first() else {
            if period.remote || period.sets.iter().any(|set| set.remote) {
                told = Some("its content is elsewhere (xlink:href), which is not followed");
            }
            continue;
        };
        if !scene.live || main.newest().is_some() {
            return Ok(streams);
        }
        told.get_or_insert("no segment is due yet");
    }
    let words = told.unwrap_or("the manifest has neither pictures nor sound");
    Err(no_media(words))
}

fn of_period<'a>(mpd: &'a Mpd, scene: &Scene, period: &'a Period, choice: Choice) -> Vec<Stream<'a>> {
    let sets = || period.sets.iter().filter(|set| !set.trick);
    let of = |content: Content| -> Vec<&'a Representation> {
        sets().flat_map(|set| &set.representations).filter(|one| one.content == content).collect()
    };
    let mut pictures = of(Content::Video);
    if pictures.is_empty() && sound_sets(period).is_empty() {
        pictures = of(Content::Unknown);
    }
    let mut wanted: Vec<(Role, &'static str, &Representation)> = Vec::new();
    for index in choice.among(&pictures, |one| one.bandwidth_bps) {
        wanted.push((Role::Variant, "video", pictures[index]));
    }
    let all = choice == Choice::All;
    for set in sound_sets(period).into_iter().take(if all { MAX_LOOKED_AT } else { 1 }) {
        let sounds: Vec<&Representation> =
            set.representations.iter().filter(|one| one.content == Content::Audio).collect();
        let choice = if all { Choice::Highest } else { choice };
        wanted.extend(
            choice.among(&sounds, |one| one.bandwidth_bps).into_iter().map(|at| (Role::Sound, "audio", sounds[at])),
        );
    }
    if let Some(first) = wanted.first_mut() {
        first.0 = Role::Main;
    }
    let stream = |(role, medium, one): (Role, &str, &'a Representation)| Stream {
        role,
        name: format!("{medium} {:?}", short(&one.id)),
        key: format!("{medium} {:?} {:?} {:?}", one.id, one.bandwidth_bps, one.width),
        one,
        span: scene.span(mpd, period, one),
        start_s: period.start_s.unwrap_or(0.0),
        advance: None,
    };
    wanted.into_iter().map(stream).collect()
}

/// Sets of sound, the principal ones first.
fn sound_sets(period: &Period) -> Vec<&AdaptationSet> {
    let carries = |set: &&AdaptationSet| set.representations.iter().any(|one| one.content == Content::Audio);
    let mut sets: Vec<&AdaptationSet> = period.sets.iter().filter(|set| !set.trick).filter(carries).collect();
    sets.sort_by_key(|set| !set.main);
    sets
}
