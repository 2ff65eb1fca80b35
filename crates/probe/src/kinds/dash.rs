//! Kind `dash`: MPEG-DASH over HTTP (ISO/IEC 23009-1). A pass proves that the newest segment of a live presentation (the first
//! of a finished one) of its pictures and of its sound came and holds what its own headers name, that the presentation goes
//! on, and that what the manifest refers to is there.
//!
//! Owns the order of a look and the memory of the probe: how far each stream was and since when ([`memory`]). A single look
//! cannot see that a manifest stands still, so the first one waits for an advance when nothing else speaks for it; that wait is
//! in no phase, because it says nothing of the server's speed. Where the clock alone says which segments there are, the one
//! that came is the proof.
//!
//! Quirks met: clocks that answer no date (ours is used), periods without a beginning, segments that only come a moment after
//! they are due, byte ranges answered with the whole file, time stamps that are rounded to ticks.

mod clock;
mod declared;
mod lint;
mod memory;
mod segment;
mod streams;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, FactValue, Media, Reading, Severity, Track, fact};
use model::target::Target;
use model::time::UtcMs;
use net::attempt::Attempt;
use net::trust::{TLS_FIELDS, TlsOptions};
use tokio::time::Instant;
use wire::mpd::{Mpd, MpdError};

use self::clock::Believed;
use self::memory::{Memory, Position};
use self::segment::{Outcome, Place};
use self::streams::{Role, Scene, Stream};
use super::hls::advance::next_poll;
use super::hls::choose::Choice;
use super::hls::get::{self, Got};
use super::hls::lint::seconds;
use crate::kind::{AUTH_FIELDS, BoxFuture, Kind, Probe, address_of, join_fields, name_findings, options_node};

/// Largest manifest: a day of segments of two seconds, each on a line of its own, for several representations.
const MAX_MPD_BYTES: usize = 4 * 1024 * 1024;
/// A listed stream that did not advance for this many segments is stale, as a playlist of HLS is.
const STALE_AFTER_SEGMENTS: f64 = 1.5;
/// Longest segment of a manifest that tells none.
const FALLBACK_SEGMENT_S: f64 = 10.0;
/// Longest segment and longest update period believed, so that a made-up one does not wait for ever.
const MAX_SEGMENT_S: f64 = 3_600.0;

const OWN_FIELDS: [Field; 5] = [
    Field::new(
        "representation",
        Type::Choice(Choice::WORDS),
        "Which representation of the pictures and of the sound is looked at, by its bandwidth; all are bounded to 8 of each.",
    )
    .default("highest"),
    Field::new(
        "live",
        Type::Choice(&["auto", "true", "false"]),
        "Whether the stream must be live: with true a static or ended manifest is a fault, with false a dynamic one a warning.",
    )
    .default("auto"),
    Field::new(
        "stale_after",
        Type::Duration { min: Duration::from_millis(500), max: Duration::from_secs(86_400) },
        "A live manifest that lists no new segment for this long is down. Default: 1.5 times its longest segment, or one \
         segment and minimumUpdatePeriod, whichever is longer.",
    ),
    Field::new(
        "advance",
        Type::Choice(&["auto", "no"]),
        "Whether the first look waits, within its timeout, to see a live manifest advance when neither its times nor the age of its file show it.",
    )
    .default("auto"),
    Field::new(
        "whole_segment",
        Type::Bool,
        "Whether segments are read to their end; otherwise only until a key frame and the sound were seen.",
    )
    .default("false"),
];
static FIELDS: [Field; 12] = join_fields(&[&OWN_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "dash",
    schemes: &["http", "https"],
    summary: "DASH: the manifest goes on and its newest segments hold pictures and sound",
    example: "\
name: Main channel
url: https://cdn.example.com/live/manifest.mpd
kind: dash
representation: highest
live: true
",
    media: true,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Dash::new(target)?)),
    guess,
};

fn guess(address: &Address) -> u8 {
    let http = matches!(address.scheme(), "http" | "https");
    let path = address.expose_url().path().to_ascii_lowercase();
    if http && path.ends_with(".mpd") { 10 } else { 0 }
}

/// A target of this kind, ready to be looked at.
struct Dash {
    address: Address,
    tls: TlsOptions,
    depth: Depth,
    choice: Choice,
    /// What the configuration expects, where it expects something.
    live: Option<bool>,
    stale_after: Option<Duration>,
    waits: bool,
    whole_segment: bool,
    memory: Mutex<Memory>,
    clock: Mutex<Option<Believed>>,
}

/// A manifest with what belongs to it.
struct Manifest {
    mpd: Mpd,
    /// What its references are relative to.
    base: Address,
    age_ms: Option<i64>,
    got_at: Instant,
    scene: Scene,
    /// The stream's clock minus ours.
    offset_ms: i64,
}

impl Dash {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let probe = Self {
            address: address_of(target, &options),
            tls: TlsOptions::read(&options, &mut problems),
            depth: target.depth,
            choice: Choice::from_word(&options.text("representation").unwrap_or_default()),
            live: options.text("live").and_then(|word| word.parse().ok()),
            stale_after: options.duration("stale_after"),
            waits: options.text("advance").as_deref() != Some("no"),
            whole_segment: options.bool("whole_segment").unwrap_or(false),
            memory: Mutex::default(),
            clock: Mutex::default(),
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let ended = self.examine(at, reading).await;
        name_findings(reading);
        ended
    }

    async fn examine(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let got = get::document(at, &self.address, &self.tls, MAX_MPD_BYTES, reading).await?;
        reading.proven = Some(Depth::Reach);
        if self.depth == Depth::Reach {
            return Ok(());
        }
        reading.findings.extend(lint::content_type(&got.content_type, &got.address));
        let mpd = read(&got)?;
        let offset_ms = self.offset(at, &mpd, &got.address, reading).await;
        let scene = Scene::of(&mpd, at.utc().0.saturating_add(offset_ms), self.live);
        reading.findings.extend(lint::manifest(&mpd, &scene, self.live));
        let manifest =
            Manifest { mpd, base: got.address, age_ms: got.age_ms, got_at: Instant::now(), scene, offset_ms };
        note_manifest(&manifest, reading);
        self.expect_live(&manifest)?;
        let mut streams = streams::pick(&manifest.mpd, &scene, self.choice)?;
        reading.proven = Some(Depth::Describe);
        self.describe(&manifest, &streams, reading);
        // What the memory knows counts more than what the media says: segments of a dead stream vanish, too.
        let known = self.recall(&manifest, &mut streams, reading);
        let media = match self.depth {
            Depth::Media => self.media(at, &manifest, &mut streams, reading).await,
            _ => Ok(()),
        };
        known?;
        media?;
        self.settle(at, &manifest, &mut streams, reading).await
    }

    /// By how much the stream's clock is ahead of ours; 0 when it has none or it says nothing.
    async fn offset(&self, at: &mut Attempt<'_>, mpd: &Mpd, base: &Address, reading: &mut Reading) -> i64 {
        if !mpd.dynamic {
            return 0;
        }
        let Some(told) = clock::ask(at, (&mpd.clocks, base), &self.tls, &self.clock).await else { return 0 };
        reading.findings.extend(told.found);
        if let Some(offset) = told.offset_ms {
            reading.int(fact::CLOCK_OFFSET_MS, offset);
        }
        told.offset_ms.unwrap_or(0)
    }

    fn expect_live(&self, manifest: &Manifest) -> Result<(), Fault> {
        if self.live != Some(true) || manifest.scene.live {
            return Ok(());
        }
        let ended = streams::ended_ms(&manifest.mpd).map(|end| manifest.scene.now_ms.saturating_sub(end));
        let words = match ended {
            Some(ago) if manifest.mpd.dynamic => {
                format!("the presentation ended {} ago, a live one is expected", seconds(ago as f64 / 1_000.0))
            }
            _ => "the manifest is static, a live one is expected".to_owned(),
        };
        Err(Fault::new(FaultKind::Stale, Phase::Check, words))
    }

    /// Facts and findings of the streams as the manifest has them.
    fn describe(&self, manifest: &Manifest, streams: &[Stream<'_>], reading: &mut Reading) {
        let Manifest { mpd, scene, .. } = manifest;
        for stream in streams {
            reading.findings.extend(lint::stream(mpd, scene, stream).into_iter().map(|found| stream.named(found)));
            reading.tracks.extend(declared::tracks(stream.one));
        }
        reading.findings.extend(lint::out_of_step(streams));
        let Some(main) = streams.first() else { return };
        let limit_s = 2.0 * self.stale_after(mpd, main).as_secs_f64();
        reading.findings.extend(lint::publish_time(mpd, scene, main, limit_s));
        reading.text(fact::VARIANT, streams::label(main.one));
        let segments = &main.one.segments;
        if let (Some(first), Some(newest)) = (segments.first(&main.span), main.newest()) {
            reading.int(fact::SEGMENTS, int(newest.index.saturating_sub(first.index).saturating_add(1)));
            if scene.live {
                reading.int(fact::WINDOW_MS, ((newest.end_s() - first.start_s) * 1_000.0) as i64);
            }
        }
        if let Some(end) = lint::end_ms(mpd, main).filter(|_| scene.live) {
            reading.int(fact::LIVE_LATENCY_MS, scene.now_ms.saturating_sub(end));
        }
        let mut schemes: Vec<&str> =
            streams.iter().flat_map(|stream| &stream.one.protections).map(protection).collect();
        schemes.sort_unstable();
        schemes.dedup();
        if !schemes.is_empty() {
            reading.text(fact::ENCRYPTION, schemes.join(", "));
        }
    }

    fn stale_after(&self, mpd: &Mpd, stream: &Stream<'_>) -> Duration {
        let known = stream.segment_s().or(mpd.max_segment_s).filter(|seconds| *seconds > 0.0);
        let segment = known.unwrap_or(FALLBACK_SEGMENT_S).min(MAX_SEGMENT_S);
        let update = mpd.update_s.unwrap_or(0.0).min(MAX_SEGMENT_S);
        let limit = (segment * STALE_AFTER_SEGMENTS).max(segment + update);
        self.stale_after.unwrap_or_else(|| Duration::from_secs_f64(limit))
    }

    /// Compares with the look before. Afterwards `advance` of each stream says what is known.
    fn recall(&self, manifest: &Manifest, streams: &mut [Stream<'_>], reading: &mut Reading) -> Result<(), Fault> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = Ok(());
        for stream in streams {
            if !manifest.scene.live {
                stream.advance = Some("not needed");
                continue;
            }
            let Some(position) = position(&manifest.mpd, stream) else { continue };
            let recalled = memory.recall(&stream.key, position, manifest.got_at);
            if stream.role == Role::Main
                && let Some(age) = age_ms(manifest, recalled.as_ref().map(|recalled| recalled.still))
            {
                reading.int(fact::PLAYLIST_AGE_MS, age);
            }
            let Some(recalled) = recalled else { continue };
            reading.findings.extend(recalled.found.into_iter().map(|found| stream.named(found)));
            // One word whether it moved or may still do so: a fact that flips with every look would say nothing.
            stream.advance = Some("in time");
            if recalled.still > self.stale_after(&manifest.mpd, stream) {
                stream.advance = Some("missing");
                known = known.and(Err(self.stale(&manifest.mpd, stream, recalled.still)));
            }
            if stream.role == Role::Main {
                reading.text(fact::ADVANCE, stream.advance.unwrap_or_default());
            }
        }
        known
    }

    fn stale(&self, mpd: &Mpd, stream: &Stream<'_>, still: Duration) -> Fault {
        let newest = stream.one.segments.last(&stream.span);
        let newest = newest.map_or("no segment".to_owned(), |last| format!("newest segment {}", last.number));
        let words = format!(
            "the manifest has not advanced for {} ({newest}, stale after {})",
            seconds((still.as_secs_f64() * 10.0).floor() / 10.0),
            seconds(self.stale_after(mpd, stream).as_secs_f64())
        );
        Fault::new(FaultKind::Stale, Phase::Check, stream.about(&words))
    }

    /// Looks at a segment of each stream; the tracks that came take the place of those that were promised.
    async fn media(
        &self,
        at: &mut Attempt<'_>,
        manifest: &Manifest,
        streams: &mut [Stream<'_>],
        reading: &mut Reading,
    ) -> Result<(), Fault> {
        let (mut tracks, mut hidden): (Vec<Track>, bool) = (Vec::new(), false);
        let ways = (manifest.scene.live, self.whole_segment);
        for stream in streams.iter_mut() {
            let place = Place::new(stream, &manifest.base, &self.tls, ways).map_err(|fault| stream.blamed(fault))?;
            let outcome = place.look(at).await.map_err(|fault| stream.blamed(fault))?;
            reading.findings.extend(outcome.found.iter().cloned().map(|found| stream.named(found)));
            if let Some(bytes) = outcome.bytes {
                let found = declared::excess(stream.one, manifest.mpd.min_buffer_s, bytes, outcome.length_s);
                reading.findings.extend(found.map(|found| stream.named(found)));
            }
            if stream.role == Role::Main {
                note_segment(&outcome, reading);
            }
            let mut own = outcome.seen.tracks;
            if own.is_empty() {
                let words = "its segments carry neither picture nor sound";
                return Err(Fault::new(FaultKind::NoMedia, Phase::Media, stream.about(words)));
            }
            match &outcome.seen.opaque {
                Some(_) if outcome.seen.format == "webm" => hidden = true,
                Some(how) => {
                    hidden = true;
                    reading.facts.entry(fact::ENCRYPTION).or_insert_with(|| FactValue::Text(how.clone()));
                }
                None => {
                    let found = declared::differences(stream.one, &own);
                    reading.findings.extend(found.map(|found| stream.named(found)));
                }
            }
            own.sort_by_key(|track| track.media != Media::Video);
            declared::with_bitrate(&mut own, stream.one);
            tracks.append(&mut own);
            if stream.advance.is_none() && !stream.one.segments.is_listed() {
                // The clock says that it must be there, and it is.
                stream.advance = Some("by the clock");
            }
            if let Some(fault) = outcome.missing {
                reading.tracks = tracks;
                return Err(stream.blamed(fault));
            }
        }
        reading.tracks = tracks;
        if !hidden {
            reading.proven = Some(Depth::Media);
        }
        Ok(())
    }

    /// Finds out whether the streams without a look before go on.
    async fn settle(
        &self,
        at: &mut Attempt<'_>,
        manifest: &Manifest,
        streams: &mut [Stream<'_>],
        reading: &mut Reading,
    ) -> Result<(), Fault> {
        for stream in streams.iter_mut().filter(|stream| stream.advance.is_none()) {
            stream.advance = self.fresh(manifest, stream);
        }
        if self.waits {
            self.wait(at, manifest, streams).await?;
        }
        for stream in streams.iter() {
            if stream.advance.is_none() {
                let limit = seconds(self.stale_after(&manifest.mpd, stream).as_secs_f64());
                let text = format!("the manifest was not seen to advance; to tell that it is stale takes {limit}");
                reading.find("advance_unproven", Severity::Note, stream.about(&text));
            }
            if stream.role == Role::Main && manifest.scene.live {
                reading.text(fact::ADVANCE, stream.advance.unwrap_or("not proven"));
            }
        }
        Ok(())
    }

    /// Why a stream counts as one that advances although only one state of it is known.
    fn fresh(&self, manifest: &Manifest, stream: &Stream<'_>) -> Option<&'static str> {
        if !stream.one.segments.is_listed() {
            return None;
        }
        let limit = i64::try_from(self.stale_after(&manifest.mpd, stream).as_millis()).unwrap_or(i64::MAX);
        let age = manifest.scene.now_ms.saturating_sub(lint::end_ms(&manifest.mpd, stream)?);
        if (-((lint::AHEAD_S * 1_000.0) as i64)..=limit).contains(&age) {
            return Some("fresh by its times");
        }
        manifest.age_ms.filter(|age| (0..=limit).contains(age)).map(|_| "fresh by its file time")
    }

    /// Asks for the manifest again until every stream moved, one is stale, or the look has no more time for it.
    async fn wait(&self, at: &mut Attempt<'_>, manifest: &Manifest, streams: &mut [Stream<'_>]) -> Result<(), Fault> {
        // Where updates are to be asked for, when the manifest says it.
        let asked = manifest.mpd.locations.first().and_then(|at| get::resolve(&manifest.base, at, "Location").ok());
        let asked = asked.as_ref().unwrap_or(&self.address);
        let listed = |stream: &&mut Stream<'_>| stream.advance.is_none() && stream.one.segments.is_listed();
        for stream in streams.iter_mut().filter(listed) {
            let limit = self.stale_after(&manifest.mpd, stream);
            let Some(before) = position(&manifest.mpd, stream) else { continue };
            let mut round = 1;
            while let Some(next) = next_poll(manifest.got_at, limit, round, (at.deadline(), at.limit())) {
                // Not in a phase: the time is ours and not the server's.
                tokio::time::sleep_until(next).await;
                let asked_at = Instant::now();
                let got = get::document(at, asked, &self.tls, MAX_MPD_BYTES, &mut Reading::default()).await?;
                let mpd = read(&got)?;
                let scene = Scene::of(&mpd, at.utc().0.saturating_add(manifest.offset_ms), self.live);
                let now = streams::pick(&mpd, &scene, self.choice).ok().and_then(|all| {
                    all.iter().find(|other| other.key == stream.key).and_then(|other| position(&mpd, other))
                });
                if now.is_none_or(|now| now.has_moved(&before)) {
                    let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                    now.and_then(|now| memory.recall(&stream.key, now, asked_at));
                    stream.advance = Some("seen");
                    break;
                }
                let still = asked_at.duration_since(manifest.got_at);
                if still >= limit {
                    return Err(self.stale(&manifest.mpd, stream, still));
                }
                round += 1;
            }
        }
        Ok(())
    }
}

fn read(got: &Got) -> Result<Mpd, Fault> {
    wire::mpd::parse(&got.bytes).map_err(|error| {
        let kind = match error {
            MpdError::TooMany { .. } => FaultKind::TooLarge,
            _ => FaultKind::Protocol,
        };
        Fault::new(kind, Phase::Check, error.to_string())
    })
}

/// Where a stream stands; `None` where the manifest does not list what there is.
fn position(mpd: &Mpd, stream: &Stream<'_>) -> Option<Position> {
    let segments = Some(&stream.one.segments).filter(|segments| segments.is_listed())?;
    let first = segments.first(&stream.span)?;
    Some(Position {
        epoch_ms: mpd.availability_start_ms.unwrap_or(0),
        first_s: stream.start_s + first.start_s,
        last_s: stream.end_s()?,
        segment_s: stream.segment_s().unwrap_or(0.0),
        // Earlier periods hold the rest of the window.
        declared_s: mpd.window_s.filter(|_| mpd.periods.len() == 1),
    })
}

/// How long ago a manifest last changed, in milliseconds: by the time of its file, by its own word, else by what was seen
/// of it before.
fn age_ms(manifest: &Manifest, still: Option<Duration>) -> Option<i64> {
    let by_file = manifest.age_ms.filter(|age| *age >= 0);
    let by_word = || manifest.mpd.publish_ms.map(|at| manifest.scene.now_ms.saturating_sub(at)).filter(|age| *age >= 0);
    by_file.or_else(by_word).or_else(|| still.map(|still| i64::try_from(still.as_millis()).unwrap_or(i64::MAX)))
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Facts of the manifest as a whole.
fn note_manifest(manifest: &Manifest, reading: &mut Reading) {
    let Manifest { mpd, scene, .. } = manifest;
    reading.text(fact::PLAYLIST_TYPE, if scene.live { "live" } else { "vod" });
    reading.int(fact::PERIODS, int(mpd.periods.len() as u64));
    let one = mpd.periods.last().map(|period| period.sets.iter().map(|set| set.representations.len()).sum::<usize>());
    reading.int(fact::VARIANTS, int(one.unwrap_or(0) as u64));
    if let Some(update) = mpd.update_s {
        reading.int(fact::UPDATE_PERIOD_MS, (update * 1_000.0) as i64);
    }
    if let Some(published) = mpd.publish_ms {
        reading.time(fact::PUBLISHED_AT, UtcMs(published));
    }
    if mpd.scte35_cues > 0 {
        reading.int(fact::SCTE35_CUES, int(mpd.scte35_cues as u64));
    }
}

/// Facts of the main stream's segment.
fn note_segment(outcome: &Outcome, reading: &mut Reading) {
    reading.text(fact::SEGMENT_FORMAT, outcome.seen.format);
    if let Some(number) = outcome.number {
        reading.int(fact::MEDIA_SEQUENCE, int(number));
    }
    if outcome.length_s > 0.0 {
        reading.num(fact::SEGMENT_DURATION_S, outcome.length_s);
    }
    let Some(bytes) = outcome.bytes else { return };
    reading.int(fact::SEGMENT_BYTES, int(bytes));
    let rate = bytes as f64 * 8.0 / outcome.length_s;
    if rate.is_finite() {
        reading.int(fact::SEGMENT_BITRATE_BPS, rate as i64);
    }
}

/// Names of ways of protection by the scheme's URI (registered at DASH-IF).
fn protection(descriptor: &wire::mpd::Descriptor) -> &str {
    const SYSTEMS: [(&str, &str); 5] = [
        ("urn:mpeg:dash:mp4protection:2011", ""),
        ("urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", "Widevine"),
        ("urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95", "PlayReady"),
        ("urn:uuid:94ce86fb-07ff-4f43-adb8-93d2fa968ca2", "FairPlay"),
        ("urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e", "ClearKey"),
    ];
    let scheme = descriptor.scheme.to_ascii_lowercase();
    match SYSTEMS.iter().find(|(uri, _)| *uri == scheme) {
        // The scheme of the samples itself: `cenc`, `cbcs`.
        Some((_, "")) if !descriptor.value.is_empty() => &descriptor.value,
        Some((_, "")) => "common encryption",
        Some((_, name)) => name,
        None => &descriptor.scheme,
    }
}

impl Probe for Dash {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
