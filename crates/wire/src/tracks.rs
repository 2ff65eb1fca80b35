//! From a media section to the facts of a track, in the words of ffprobe.
//!
//! Never guesses: what the description does not say is `None`.

use crate::sdp::{Format, Media, MediaKind, Session};
use crate::text::from_hex;
use crate::video::VideoParams;
use crate::{audio, h264, h265};

/// Longest name of an unknown encoding kept, in characters.
const MAX_CODEC_CHARS: usize = 64;

/// What a track claims to be.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackInfo {
    /// Kind of media.
    pub media: MediaKind,
    /// Codec as ffprobe names it; an unknown one in lower case as the server names it; empty when the server says nothing.
    pub codec: String,
    /// Profile as ffprobe names it.
    pub profile: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Bit/s as declared.
    pub bitrate_bps: Option<u64>,
    /// Samples per second of sound.
    pub sample_rate_hz: Option<u32>,
    /// Channels of sound.
    pub channels: Option<u16>,
    /// RTP clock in Hz; 0 when unknown.
    pub clock_rate: u32,
    /// RTP payload type; 255 when the media is not RTP.
    pub payload_type: u8,
    /// Control URL as declared, perhaps relative.
    pub control: Option<String>,
}

impl TrackInfo {
    /// Takes what the stream itself says, which counts more than the description.
    pub fn apply(&mut self, params: &VideoParams) {
        self.codec = params.codec.to_owned();
        self.profile = params.profile.clone().or(self.profile.take());
        self.width = Some(params.width);
        self.height = Some(params.height);
        self.fps = params.fps.or(self.fps);
    }
}

/// Encoding name and codec of pictures and other media without sound.
const CODECS: [(&str, &str); 19] = [
    ("H264", "h264"),
    ("H265", "hevc"),
    ("HEVC", "hevc"),
    ("H266", "vvc"),
    ("JPEG", "mjpeg"),
    ("MP4V-ES", "mpeg4"),
    ("MPV", "mpeg1video"),
    ("H261", "h261"),
    ("H263", "h263"),
    ("H263-1998", "h263"),
    ("H263-2000", "h263"),
    ("VP8", "vp8"),
    ("VP9", "vp9"),
    ("AV1", "av1"),
    ("theora", "theora"),
    ("raw", "rawvideo"),
    ("jpeg2000", "jpeg2000"),
    ("jxsv", "jpegxs"),
    ("MP2T", "mpegts"),
];

/// The facts of every media section, in order.
#[must_use]
pub fn tracks(session: &Session) -> Vec<TrackInfo> {
    session.medias.iter().map(track).collect()
}

/// The facts of a media section, from the format the server prefers.
#[must_use]
pub fn track(media: &Media) -> TrackInfo {
    let format = media.formats.first();
    let mut info = TrackInfo {
        media: media.kind,
        codec: String::new(),
        profile: None,
        width: media.dimensions.map(|size| size.0),
        height: media.dimensions.map(|size| size.1),
        fps: media.framerate,
        bitrate_bps: media.bandwidth_bps,
        sample_rate_hz: None,
        channels: None,
        clock_rate: format.map_or(0, |format| format.clock_rate),
        payload_type: format.map_or(u8::MAX, |format| format.payload_type),
        control: media.control.clone(),
    };
    let Some(format) = format else {
        return info;
    };
    if media.kind == MediaKind::Audio
        && let Some(params) = audio::params(format)
    {
        info.codec = params.codec.to_owned();
        info.profile = params.profile.map(str::to_owned);
        info.sample_rate_hz = Some(params.sample_rate_hz).filter(|&rate| rate > 0);
        info.channels = Some(params.channels).filter(|&count| count > 0);
        return info;
    }
    let known = CODECS.iter().find(|row| format.is(row.0)).map(|row| row.1);
    let unknown = || format.encoding.to_ascii_lowercase().chars().take(MAX_CODEC_CHARS).collect();
    info.codec = known.map_or_else(unknown, str::to_owned);
    match known {
        Some("h264") => describe_h264(&mut info, format),
        Some("hevc") => describe_h265(&mut info, format),
        _ if media.kind == MediaKind::Audio => {
            info.sample_rate_hz = Some(format.clock_rate).filter(|&rate| rate > 0);
            info.channels = format.channels;
        }
        _ => {}
    }
    info
}

fn describe_h264(info: &mut TrackInfo, format: &Format) {
    // profile_idc, constraint flags, level_idc
    let id = format.param("profile-level-id").and_then(|hex| from_hex(hex, 3));
    if let Some(&[profile, constraints, _level]) = id.as_deref() {
        info.profile = h264::profile_name(profile, constraints).map(str::to_owned);
    }
    let sets = format.param("sprop-parameter-sets").map(h264::sprop).unwrap_or_default();
    if let Some(params) = sets.iter().find_map(|nal| h264::params_from_sps(nal).ok()) {
        info.apply(&params);
    }
}

fn describe_h265(info: &mut TrackInfo, format: &Format) {
    let id = format.param("profile-id").and_then(|text| text.parse().ok());
    info.profile = id.and_then(h265::profile_name).map(str::to_owned);
    if let Some(params) = h265::sprop(format).iter().find_map(|nal| h265::params_from_sps(nal).ok()) {
        info.apply(&params);
    }
}
