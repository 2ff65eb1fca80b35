//! What came of a stream, when that is enough, and the words for what did not come. Owns no connection.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, FactValue, Media, Reading, Track, fact};
use tokio::time::Instant;
use wire::rtmp::{AudioTrack, Content, Metadata, Seen, VideoTrack};

/// How long a further track is waited for when nothing said which tracks there are: sound and pictures are interleaved far
/// more closely.
const GRACE: Duration = Duration::from_secs(1);
/// Frame rates that differ by less are the same: encoders round.
const SAME_FPS: f64 = 0.02;

/// Which tracks must send media.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    Video,
    Audio,
}

/// What came of a stream.
pub(super) struct Tally {
    selection: Selection,
    depth: Depth,
    video: VideoTrack,
    audio: AudioTrack,
    metadata: Option<Metadata>,
    video_messages: u64,
    audio_messages: u64,
    /// Since when everything that was seen is complete.
    content_since: Option<Instant>,
}

impl Tally {
    pub(super) fn new(selection: Selection, depth: Depth) -> Self {
        Self {
            selection,
            depth,
            video: VideoTrack::new(),
            audio: AudioTrack::new(),
            metadata: None,
            video_messages: 0,
            audio_messages: 0,
            content_since: None,
        }
    }

    /// Takes a message; answers what it turned out to be. Messages that cannot be read prove nothing and are told of only when
    /// nothing better comes.
    pub(super) fn take(&mut self, content: &Content) -> Seen {
        let seen = match content {
            Content::Video(body) => {
                self.video_messages += 1;
                self.video.push(body)
            }
            Content::Audio(body) => {
                self.audio_messages += 1;
                self.audio.push(body)
            }
            Content::Data(values) => {
                self.metadata = Metadata::parse(values).or(self.metadata.take());
                Ok(Seen::Nothing)
            }
            _ => return Seen::Nothing,
        };
        if self.content_since.is_none() && self.missing().is_empty() {
            self.content_since = Some(Instant::now());
        }
        seen.unwrap_or(Seen::Nothing)
    }

    /// Whether media of this kind must be sent.
    pub(super) fn wants(&self, media: Media) -> bool {
        match self.selection {
            Selection::All => true,
            Selection::Video => media == Media::Video,
            Selection::Audio => media == Media::Audio,
        }
    }

    /// Whether any media message has come.
    pub(super) fn has_begun(&self) -> bool {
        self.video_messages + self.audio_messages > 0
    }

    /// When the look may end: at once, at some instant even if nothing more comes, or not yet.
    pub(super) fn end(&self) -> Option<Instant> {
        let since = self.content_since.filter(|_| self.missing().is_empty())?;
        let told = self.metadata.as_ref().is_some_and(|m| m.video || m.audio);
        let both = self.video_messages > 0 && self.audio_messages > 0;
        Some(if told || both || self.selection != Selection::All { since } else { since + GRACE })
    }

    /// Tracks that are wanted and not complete.
    fn missing(&self) -> Vec<&'static str> {
        let told = self.metadata.as_ref();
        let video_told = told.is_some_and(|m| m.video) || self.video_messages > 0;
        let audio_told = told.is_some_and(|m| m.audio) || self.audio_messages > 0;
        let (video, audio) = match self.selection {
            Selection::Video => (true, false),
            Selection::Audio => (false, true),
            Selection::All => (video_told, audio_told),
        };
        let enough = |frames: u64, described: bool| frames > 0 || (self.depth == Depth::Describe && described);
        let mut missing = Vec::new();
        if video && !enough(self.video.frames(), self.video.is_described()) {
            missing.push("video");
        }
        if audio && !enough(self.audio.frames(), self.audio.is_described()) {
            missing.push("audio");
        }
        if !video && !audio {
            missing.push("video or audio");
        }
        missing
    }

    /// The fault for what did not come. `why` is how the wait ended: `within 8 s`, or why the stream ended.
    pub(super) fn fault(&self, shown: &str, why: &str) -> Fault {
        let missing = self.missing().join(" and ");
        let mut text = if self.has_begun() || self.metadata.is_some() {
            format!("no {missing} frame of {shown} {why}")
        } else {
            format!("nothing of {shown} came {why}, although the server agreed to play it: it may not be published")
        };
        if self.metadata.is_some() {
            text.push_str("; metadata came");
        }
        for (name, messages, frames, trouble) in [
            ("video", self.video_messages, self.video.frames(), self.video.trouble()),
            ("audio", self.audio_messages, self.audio.frames(), self.audio.trouble()),
        ] {
            if messages > 0 {
                let ending = if messages == 1 { "" } else { "s" };
                text.push_str(&format!("; {messages} {name} message{ending} came with {frames} frames"));
            }
            if let (Some(trouble), 0) = (trouble, frames) {
                text.push_str(&format!(", the last was refused: {trouble}"));
            }
        }
        Fault::new(FaultKind::NoMedia, Phase::Media, text)
    }

    /// Writes down what is known.
    pub(super) fn note(&self, reading: &mut Reading) {
        let nothing = Metadata::default();
        let told = self.metadata.as_ref().unwrap_or(&nothing);
        reading.tracks.clear();
        if let Some(codec) = self.video.codec() {
            let mut track = Track::new(Media::Video, codec);
            let params = self.video.params();
            track.profile = params.and_then(|p| p.profile.clone());
            track.width = params.map(|p| p.width).or(told.width);
            track.height = params.map(|p| p.height).or(told.height);
            track.fps = params.and_then(|p| p.fps).or(told.fps);
            track.bitrate_bps = told.video_bps;
            track.proven = self.video.frames() > 0;
            differences(&track, told, reading);
            reading.tracks.push(track);
        }
        if let Some(params) = self.audio.params() {
            let mut track = Track::new(Media::Audio, params.codec);
            track.profile = params.profile.map(str::to_owned);
            track.sample_rate_hz = Some(params.sample_rate_hz).filter(|rate| *rate > 0);
            track.channels = Some(u32::from(params.channels)).filter(|channels| *channels > 0);
            track.bitrate_bps = told.audio_bps;
            track.proven = self.audio.frames() > 0;
            reading.tracks.push(track);
        }
        if let Some(encoder) = &told.encoder {
            reading.text(fact::ENCODER, encoder.as_str());
        }
    }
}

/// Notes what the metadata claims, where the stream itself says otherwise.
fn differences(track: &Track, told: &Metadata, reading: &mut Reading) {
    if let Some((width, height)) = told.width.zip(told.height)
        && (track.width, track.height) != (Some(width), Some(height))
    {
        reading.text(fact::DECLARED_SIZE, format!("{width}x{height}"));
    }
    if let Some((claimed, real)) = told.fps.zip(track.fps)
        && (claimed - real).abs() > SAME_FPS * real
    {
        reading.facts.insert(fact::DECLARED_FPS, FactValue::Num(claimed));
    }
}
