//! What is expected of a target. Plain data; the judging is in [`crate::verdict`].

use std::time::Duration;

/// Expectations of one target. `None` means "anything is fine". `warn_*` degrade, the others fail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    /// Longest acceptable duration of a whole look; over it is a warning.
    pub warn_after: Option<Duration>,
    /// Longest tolerable duration of a whole look; over it is a failure.
    pub fail_after: Option<Duration>,
    /// A video track must be there.
    pub video: Option<bool>,
    /// An audio track must be there.
    pub audio: Option<bool>,
    /// Acceptable video codecs, by ffprobe's names; empty accepts all.
    pub video_codec: Vec<String>,
    /// Acceptable audio codecs, by ffprobe's names; empty accepts all.
    pub audio_codec: Vec<String>,
    /// Least width in pixels.
    pub min_width: Option<u32>,
    /// Least height in pixels.
    pub min_height: Option<u32>,
    /// Least declared frame rate.
    pub min_fps: Option<f64>,
    /// Warn when the certificate ends within this time. The default of the loader is 14 days.
    pub warn_cert: Option<Duration>,
    /// Fail when the certificate ends within this time.
    pub fail_cert: Option<Duration>,
}
