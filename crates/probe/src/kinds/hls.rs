//! Kind `hls`: HTTP Live Streaming (RFC 8216; tags of its second edition are understood or passed over). A pass proves that the
//! newest segment of a live playlist (the first of a finished one) came and holds pictures and sound of the codecs that its
//! own headers name, that the playlist goes on, and that what it refers to is there.
//!
//! Owns the order of a look and the memory of the probe: how far each playlist was and since when ([`memory`]). A single look
//! cannot see that a playlist stands still, so the first one waits for an advance when nothing else speaks for it; that wait is
//! in no phase, because it says nothing of the server's speed.
//!
//! Quirks met: servers that put a session into every URL of a variant (the memory goes by what a variant promises), playlists
//! sent as plain text, byte ranges answered with the whole file, segments that only come a moment after they are listed.

pub(in crate::kinds) mod advance;
pub(in crate::kinds) mod choose;
mod crypt;
pub(in crate::kinds) mod get;
pub(in crate::kinds) mod lint;
pub(in crate::kinds) mod media;
mod memory;
pub(in crate::kinds) mod segment;
mod streams;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type, Value};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading, Severity, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::trust::{TLS_FIELDS, TlsOptions};
use tokio::time::Instant;

use self::choose::Choice;
use self::lint::seconds;
use self::memory::Memory;
use self::segment::Place;
use self::streams::{Role, Stream};
use crate::kind::{AUTH_FIELDS, BoxFuture, Kind, Probe, address_of, join_fields, name_findings, options_node};

/// A playlist that did not advance for this many target durations is stale: a server must add a segment within it
/// (RFC 8216 section 6.2.1).
const STALE_AFTER_TARGETS: f64 = 1.5;
/// Target duration of a playlist that names none and lists no durations.
const FALLBACK_TARGET_S: f64 = 10.0;
/// Longest target duration believed, so that a made-up one does not wait for ever.
const MAX_TARGET_S: f64 = 3_600.0;
/// How much more than its BANDWIDTH a segment may have: Apple's rules allow a tenth for finished streams and a quarter for
/// live ones.
const VOD_EXCESS: f64 = 1.10;
const LIVE_EXCESS: f64 = 1.25;

/// Keys about a presentation, wherever its address comes from.
pub(crate) const PLAYER_FIELDS: [Field; 4] = [
    Field::new(
        "variant",
        Type::Choice(Choice::WORDS),
        "Which variant of a multivariant playlist is looked at, by its BANDWIDTH; all are bounded to 8.",
    )
    .default("highest"),
    Field::new(
        "stale_after",
        Type::Duration { min: Duration::from_millis(500), max: Duration::from_secs(86_400) },
        "A live playlist that has not advanced for this long is down. Default: 1.5 times its target duration.",
    ),
    Field::new(
        "advance",
        Type::Choice(&["auto", "no"]),
        "Whether the first look waits, within its timeout, to see a live playlist advance when neither its dates nor the age of its file show it.",
    )
    .default("auto"),
    Field::new(
        "whole_segment",
        Type::Bool,
        "Whether segments are read to their end; otherwise only until a key frame and the sound were seen.",
    )
    .default("false"),
];
const LIVE_FIELD: [Field; 1] = [
    Field::new(
        "live",
        Type::Choice(&["auto", "true", "false"]),
        "Whether the stream must be live: with true the end mark (EXT-X-ENDLIST) is a fault, with false its absence a warning.",
    )
    .default("auto"),
];
static FIELDS: [Field; 12] = join_fields(&[&PLAYER_FIELDS, &LIVE_FIELD, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "hls",
    schemes: &["http", "https"],
    summary: "HLS: the playlist goes on and its newest segment holds pictures and sound",
    example: "\
name: Main channel
url: https://cdn.example.com/live/master.m3u8
kind: hls
variant: highest
live: true
",
    media: true,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Hls::new(target)?)),
    guess,
};

fn guess(address: &Address) -> u8 {
    let http = matches!(address.scheme(), "http" | "https");
    let path = address.expose_url().path().to_ascii_lowercase();
    if http && (path.ends_with(".m3u8") || path.ends_with(".m3u")) { 10 } else { 0 }
}

/// A target of this kind, ready to be looked at.
pub(crate) struct Hls {
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
}

impl Hls {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let probe = Self {
            address: address_of(target, &options),
            tls: TlsOptions::read(&options, &mut problems),
            depth: target.depth,
            choice: Choice::from_word(&options.text("variant").unwrap_or_default()),
            live: options.text("live").and_then(|word| word.parse().ok()),
            stale_after: options.duration("stale_after"),
            waits: options.text("advance").as_deref() != Some("no"),
            whole_segment: options.bool("whole_segment").unwrap_or(false),
            memory: Mutex::default(),
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    /// The player of an address that is learned while looking: with the keys of `target` that this kind knows, the
    /// credentials and the certificate of nobody, and a stream that must be live.
    ///
    /// # Errors
    /// What is wrong with those keys.
    pub(crate) fn player(target: &Target) -> Result<Self, Vec<Problem>> {
        const NOT_THERE: [&str; 5] = ["user", "password", "client_cert", "client_key", "server_name"];
        let mut target = target.clone();
        target.address = target.address.with_credentials(None);
        target.options.0.retain(|key, _| FIELDS.iter().any(|f| f.key == key) && !NOT_THERE.contains(&key.as_str()));
        target.options.0.insert("live".to_owned(), Value::Str("true".to_owned()));
        Self::new(&target)
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        self.play(at, &self.address, reading).await
    }

    /// Looks at the presentation at `address`. The memory is that of one presentation, wherever it moves.
    ///
    /// # Errors
    /// Why it does not play.
    pub(crate) async fn play(
        &self,
        at: &mut Attempt<'_>,
        address: &Address,
        reading: &mut Reading,
    ) -> Result<(), Fault> {
        let ended = self.examine(at, address, reading).await;
        name_findings(reading);
        ended
    }

    async fn examine(&self, at: &mut Attempt<'_>, address: &Address, reading: &mut Reading) -> Result<(), Fault> {
        let top = get::playlist(at, address, &self.tls, reading).await?;
        reading.proven = Some(Depth::Reach);
        if self.depth == Depth::Reach {
            return Ok(());
        }
        let presentation = self.streams(at, address, top, reading).await?;
        let mut streams = presentation.streams;
        reading.proven = Some(Depth::Describe);
        self.describe(at, &streams, reading);
        // What the memory knows counts more than what the media says: segments of a dead stream vanish, too.
        let known = self.recall(&mut streams, reading);
        let media = match self.depth {
            Depth::Media => self.media(at, &streams, reading).await,
            _ => Ok(()),
        };
        known?;
        media?;
        self.settle(at, &mut streams, reading).await
    }

    /// Facts and findings of the playlists by themselves.
    fn describe(&self, at: &Attempt<'_>, streams: &[Stream], reading: &mut Reading) {
        for stream in streams {
            reading.findings.extend(lint::media(&stream.list, self.live).into_iter().map(|found| stream.named(found)));
        }
        let Some(main) = streams.first() else { return };
        let list = &main.list;
        let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let kind = match (self.is_live(main), list.kind) {
            (false, _) => "vod",
            (true, Some(wire::m3u8::PlaylistType::Event)) => "event",
            (true, _) => "live",
        };
        reading.text(fact::PLAYLIST_TYPE, kind);
        reading.int(fact::SEGMENTS, int(list.segments.len() as u64));
        if let Some(target) = list.target_duration_s {
            reading.int(fact::TARGET_DURATION_S, int(target));
        }
        if let Some(number) = list.last_number() {
            reading.int(fact::MEDIA_SEQUENCE, int(number));
        }
        if list.scte35_cues > 0 {
            reading.int(fact::SCTE35_CUES, int(list.scte35_cues as u64));
        }
        if let Some(newest) = lint::newest_ms(list).filter(|_| self.is_live(main)) {
            reading.int(fact::LIVE_LATENCY_MS, at.utc().0.saturating_sub(newest));
        }
        if let Some(variant) = &main.variant {
            reading.text(fact::VARIANT, choose::label(variant));
            reading.tracks = choose::declared(variant);
        }
    }

    /// Whether a playlist is to be treated as one that goes on.
    fn is_live(&self, stream: &Stream) -> bool {
        !stream.list.ended && self.live != Some(false)
    }

    fn stale_after(&self, stream: &Stream) -> Duration {
        self.stale_after.unwrap_or_else(|| Duration::from_secs_f64(target_s(stream) * STALE_AFTER_TARGETS))
    }

    /// Compares with the look before. Afterwards `advance` of each stream says what is known.
    fn recall(&self, streams: &mut [Stream], reading: &mut Reading) -> Result<(), Fault> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = Ok(());
        for stream in streams {
            if self.live == Some(true) && stream.list.ended {
                let words = stream.about("the playlist has ended (EXT-X-ENDLIST), a live one is expected");
                known = known.and(Err(Fault::new(FaultKind::Stale, Phase::Check, words)));
            }
            if !self.is_live(stream) {
                stream.advance = Some("not needed");
                continue;
            }
            let recalled = memory.recall(&stream.key, &stream.list, stream.got_at);
            if stream.role == Role::Main
                && let Some(age_ms) = age_ms(stream, recalled.as_ref().map(|recalled| recalled.still))
            {
                reading.int(fact::PLAYLIST_AGE_MS, age_ms);
            }
            let Some(recalled) = recalled else { continue };
            reading.findings.extend(recalled.found.into_iter().map(|found| stream.named(found)));
            // One word whether it moved or may still do so: a fact that flips with every look would say nothing.
            stream.advance = Some("in time");
            if recalled.still > self.stale_after(stream) {
                stream.advance = Some("missing");
                known = known.and(Err(self.stale(stream, recalled.still)));
            }
            if stream.role == Role::Main {
                reading.text(fact::ADVANCE, stream.advance.unwrap_or_default());
            }
        }
        known
    }

    fn stale(&self, stream: &Stream, still: Duration) -> Fault {
        let newest = stream.list.last_number().map_or("no segment".to_owned(), |n| format!("newest segment {n}"));
        let words = format!(
            "the playlist has not advanced for {} ({newest}, stale after {})",
            seconds((still.as_secs_f64() * 10.0).floor() / 10.0),
            seconds(self.stale_after(stream).as_secs_f64())
        );
        Fault::new(FaultKind::Stale, Phase::Check, stream.about(&words))
    }

    /// Looks at a segment of each stream; the tracks that came take the place of those that were promised.
    async fn media(&self, at: &mut Attempt<'_>, streams: &[Stream], reading: &mut Reading) -> Result<(), Fault> {
        let (mut tracks, mut hidden) = (Vec::new(), false);
        for stream in streams {
            let live = self.is_live(stream);
            let place =
                Place { list: &stream.list, base: &stream.base, tls: &self.tls, live, whole: self.whole_segment };
            let outcome = place.look(at).await.map_err(|fault| stream.blamed(fault))?;
            reading.findings.extend(outcome.found.iter().cloned().map(|found| stream.named(found)));
            reading.findings.extend(excess(stream, &outcome, live));
            if stream.role == Role::Main {
                note(&outcome, reading);
            }
            if let Some(how) = &outcome.encryption {
                reading.text(fact::ENCRYPTION, how.clone());
            }
            let late = outcome.missing;
            match outcome.seen {
                Some(seen) => {
                    hidden |= seen.opaque.is_some();
                    if let Some(text) = seen.tracks.is_empty().then_some("its segments carry neither picture nor sound")
                    {
                        return Err(Fault::new(FaultKind::NoMedia, Phase::Media, stream.about(text)));
                    }
                    let mut own = seen.tracks;
                    stream.add_to(&mut tracks, &mut own);
                }
                None => hidden = true,
            }
            if let Some(fault) = late {
                reading.tracks = tracks.into_iter().map(|(_, track)| track).collect();
                return Err(stream.blamed(fault));
            }
        }
        for stream in streams {
            let Some(variant) = stream.variant.as_ref().filter(|_| !hidden) else { continue };
            reading.findings.extend(choose::differences(variant, &stream.with_sound(&tracks, streams)));
        }
        if !tracks.is_empty() {
            reading.tracks = tracks.into_iter().map(|(_, track)| track).collect();
        }
        if !hidden {
            reading.proven = Some(Depth::Media);
        }
        Ok(())
    }

    /// Finds out whether the streams without a look before go on.
    async fn settle(&self, at: &mut Attempt<'_>, streams: &mut [Stream], reading: &mut Reading) -> Result<(), Fault> {
        let now_ms = at.utc().0;
        for stream in streams.iter_mut().filter(|stream| stream.advance.is_none()) {
            stream.advance = advance::fresh(&stream.list, stream.age_ms, now_ms, self.stale_after(stream));
        }
        if self.waits {
            self.wait(at, streams).await?;
        }
        for stream in streams.iter() {
            let word = stream.advance.unwrap_or("not proven");
            if stream.advance.is_none() {
                let limit = seconds(self.stale_after(stream).as_secs_f64());
                let text = format!("the playlist was not seen to advance; to tell that it is stale takes {limit}");
                reading.find("advance_unproven", Severity::Note, stream.about(&text));
            }
            if stream.role == Role::Main && self.is_live(stream) {
                reading.text(fact::ADVANCE, word);
            }
        }
        Ok(())
    }

    /// Asks for the playlists again until they moved, are stale, or the look has no more time for it.
    async fn wait(&self, at: &mut Attempt<'_>, streams: &mut [Stream]) -> Result<(), Fault> {
        for stream in streams.iter_mut().filter(|stream| stream.advance.is_none()) {
            let limit = self.stale_after(stream);
            let before = memory::Position::of(&stream.list);
            let mut round = 1;
            while let Some(next) = advance::next_poll(stream.got_at, limit, round, (at.deadline(), at.limit())) {
                // Not in a phase: the time is ours and not the server's.
                tokio::time::sleep_until(next).await;
                let asked_at = Instant::now();
                self.again(at, stream).await.map_err(|fault| stream.blamed(fault))?;
                let now = memory::Position::of(&stream.list);
                if now.zip(before).is_none_or(|(now, before)| now.has_moved(&before)) {
                    let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                    memory.recall(&stream.key, &stream.list, asked_at);
                    stream.advance = Some("seen");
                    break;
                }
                let still = asked_at.duration_since(stream.got_at);
                if still >= limit {
                    return Err(self.stale(stream, still));
                }
                round += 1;
            }
        }
        Ok(())
    }
}

/// The target duration, or what stands in for it.
fn target_s(stream: &Stream) -> f64 {
    let longest = || stream.list.segments.iter().map(|segment| segment.duration_s).fold(0.0, f64::max);
    let target = stream.list.target_duration_s.map_or_else(longest, |seconds| seconds as f64);
    if target > 0.0 { target.min(MAX_TARGET_S) } else { FALLBACK_TARGET_S }
}

/// How long ago a playlist last went on, in milliseconds: by the time of its file, else by what was seen of it before.
fn age_ms(stream: &Stream, still: Option<Duration>) -> Option<i64> {
    let by_file = stream.age_ms.filter(|age| *age >= 0);
    by_file.or_else(|| still.map(|still| i64::try_from(still.as_millis()).unwrap_or(i64::MAX)))
}

/// Facts of the main stream's segment.
fn note(outcome: &segment::Outcome, reading: &mut Reading) {
    if let Some(seen) = &outcome.seen {
        reading.text(fact::SEGMENT_FORMAT, seen.format);
    }
    reading.num(fact::SEGMENT_DURATION_S, outcome.duration_s);
    if let Some(bytes) = outcome.bytes {
        reading.int(fact::SEGMENT_BYTES, i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    if let Some(rate) = bitrate(outcome) {
        reading.int(fact::SEGMENT_BITRATE_BPS, rate as i64);
    }
}

fn bitrate(outcome: &segment::Outcome) -> Option<f64> {
    let rate = outcome.bytes? as f64 * 8.0 / outcome.duration_s;
    rate.is_finite().then_some(rate)
}

/// BANDWIDTH must be at least the rate of any segment of about the target duration (RFC 8216, 4.3.4.2).
fn excess(stream: &Stream, outcome: &segment::Outcome, live: bool) -> Option<lint::Found> {
    let declared = stream.variant.as_ref()?.bandwidth_bps?;
    let rate = bitrate(outcome)?;
    let counts = outcome.duration_s >= target_s(stream) * 0.5;
    let allowed = declared as f64 * if live { LIVE_EXCESS } else { VOD_EXCESS };
    let text = format!("a segment has {rate:.0} bit/s, BANDWIDTH says at most {declared}");
    (counts && rate > allowed).then(|| {
        let found = lint::Found { name: "bitrate_above_declared", severity: Severity::Warning, text };
        stream.named(found)
    })
}

impl Probe for Hls {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
