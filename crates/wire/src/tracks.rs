//! From a media section to the facts of a track, in the words of ffprobe.
//!
//! Never guesses: what the description does not say is `None`.

use crate::sdp::{Media, MediaKind, Session};

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

/// The facts of every media section, in order.
#[must_use]
pub fn tracks(session: &Session) -> Vec<TrackInfo> {
    session.medias.iter().map(track).collect()
}

/// The facts of a media section, from the format the server prefers.
#[must_use]
pub fn track(media: &Media) -> TrackInfo {
    let format = media.formats.first();
    TrackInfo {
        media: media.kind,
        codec: format.map(|format| format.encoding.to_ascii_lowercase()).unwrap_or_default(),
        profile: None,
        width: media.dimensions.map(|size| size.0),
        height: media.dimensions.map(|size| size.1),
        fps: media.framerate,
        bitrate_bps: media.bandwidth_bps,
        sample_rate_hz: None,
        channels: format.and_then(|format| format.channels),
        clock_rate: format.map_or(0, |format| format.clock_rate),
        payload_type: format.map_or(255, |format| format.payload_type),
        control: media.control.clone(),
    }
}
