//! What H.264 and H.265 have in common: picture parameters, access units in Annex B, NAL units.
//!
//! Never decodes a picture.

/// Parameters of a video stream, from its sequence parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoParams {
    /// Codec as ffprobe names it: "h264" or "hevc".
    pub codec: &'static str,
    /// Profile as ffprobe names it, such as "High" or "Main 10"; `None` when unknown.
    pub profile: Option<String>,
    /// Level such as "4.1"; `None` when unknown.
    pub level: Option<String>,
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Frames per second when the stream says so itself.
    pub fps: Option<f64>,
}
