//! What a look at a target saw: tracks and facts, each with its unit. Owns no judgement.

use std::collections::BTreeMap;

use crate::phase::words;
use crate::time::UtcMs;

words! {
    /// What a track carries.
    Media {
        /// Moving pictures.
        Video = "video",
        /// Sound.
        Audio = "audio",
        /// Anything else: metadata, subtitles.
        Data = "data",
    }
}

/// One track. What the protocol did not tell is `None`, never a guess.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// What it carries.
    pub media: Media,
    /// Codec by the name that ffprobe prints (`h264`, `hevc`, `aac`, `pcm_mulaw`, `mjpeg`).
    pub codec: String,
    /// Profile by the name that ffprobe prints (`Main`, `High`, `LC`).
    pub profile: Option<String>,
    /// Visible width in pixels, cropping applied.
    pub width: Option<u32>,
    /// Visible height in pixels, cropping applied.
    pub height: Option<u32>,
    /// Declared frames per second.
    pub fps: Option<f64>,
    /// Declared bits per second.
    pub bitrate_bps: Option<u64>,
    /// Samples per second and channel.
    pub sample_rate_hz: Option<u32>,
    /// Number of audio channels.
    pub channels: Option<u32>,
    /// Whether media of this track was received (and not only announced).
    pub proven: bool,
}

impl Track {
    /// A track of which only codec and media are known.
    #[must_use]
    pub fn new(media: Media, codec: impl Into<String>) -> Self {
        Self {
            media,
            codec: codec.into(),
            profile: None,
            width: None,
            height: None,
            fps: None,
            bitrate_bps: None,
            sample_rate_hz: None,
            channels: None,
            proven: false,
        }
    }
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum FactValue {
    /// Words.
    Text(String),
    /// A count or a code.
    Int(i64),
    /// A measure; its unit stands in the key.
    Num(f64),
    /// Yes or no.
    Flag(bool),
    /// A point in time.
    Time(UtcMs),
}

/// Keys of facts. A key carries its unit and never changes its meaning; new kinds add theirs here.
pub mod fact {
    /// HTTP or RTSP status code of the last reply (integer).
    pub const STATUS_CODE: &str = "status_code";
    /// `Server` header or the like (text).
    pub const SERVER: &str = "server";
    /// When the peer's certificate ends (time).
    pub const CERT_EXPIRES_AT: &str = "cert_expires_at";
    /// The certificate was not checked because the configuration says so (flag).
    pub const CERT_UNCHECKED: &str = "cert_unchecked";
    /// TLS version (text, as `TLSv1.3`).
    pub const TLS_VERSION: &str = "tls_version";
    /// RTP over `tcp` or `udp` (text).
    pub const TRANSPORT: &str = "transport";
    /// RTP packets received (integer).
    pub const RTP_PACKETS: &str = "rtp_packets";
    /// RTP packets missing by sequence number, from the first packet of each track to the end of the look (integer).
    pub const RTP_LOST: &str = "rtp_lost";
    /// Pictures per second that came, and not those that were announced (number).
    pub const MEASURED_FPS: &str = "measured_fps";
    /// Bits of media per second that came, all selected tracks together, without packet headers (integer).
    pub const MEASURED_BITRATE_BPS: &str = "measured_bitrate_bps";
    /// Body bytes received (integer).
    pub const BODY_BYTES: &str = "body_bytes";
    /// Redirects followed (integer).
    pub const REDIRECTS: &str = "redirects";
    /// `Content-Type` of the reply (text).
    pub const CONTENT_TYPE: &str = "content_type";
    /// Size of the frame looked at, in bytes (integer).
    pub const FRAME_BYTES: &str = "frame_bytes";
    /// HEAD was refused and GET used instead (flag).
    pub const HEAD_REFUSED: &str = "head_refused";
    /// What the look did not prove although it seems to be meant, and what would (text, one sentence).
    pub const HINT: &str = "hint";
    /// Address that was connected to (text).
    pub const PEER: &str = "peer";
}

words! {
    /// How deep a probe looks, and how much a reading proves.
    Depth {
        /// The peer answers.
        Reach = "reach",
        /// The peer describes the stream.
        Describe = "describe",
        /// Media of every selected track was received.
        Media = "media",
    }
}

/// Facts of one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Tracks in the order of the stream.
    pub tracks: Vec<Track>,
    /// Facts by key (see [`fact`]).
    pub facts: BTreeMap<&'static str, FactValue>,
    /// What was proven; `None` for kinds that carry no media or when nothing was.
    pub proven: Option<Depth>,
}

impl Reading {
    /// Notes a text fact.
    pub fn text(&mut self, key: &'static str, value: impl Into<String>) {
        self.facts.insert(key, FactValue::Text(value.into()));
    }

    /// Notes an integer fact.
    pub fn int(&mut self, key: &'static str, value: i64) {
        self.facts.insert(key, FactValue::Int(value));
    }

    /// Notes a measure.
    pub fn num(&mut self, key: &'static str, value: f64) {
        self.facts.insert(key, FactValue::Num(value));
    }

    /// Notes a flag.
    pub fn flag(&mut self, key: &'static str, value: bool) {
        self.facts.insert(key, FactValue::Flag(value));
    }

    /// Notes a point in time.
    pub fn time(&mut self, key: &'static str, value: UtcMs) {
        self.facts.insert(key, FactValue::Time(value));
    }

    /// The first track of a medium.
    #[must_use]
    pub fn track(&self, media: Media) -> Option<&Track> {
        self.tracks.iter().find(|t| t.media == media)
    }
}
