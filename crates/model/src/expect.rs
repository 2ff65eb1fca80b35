//! What is expected of a target. Plain data; the judging is in [`crate::verdict`].

use std::time::Duration;

use crate::reading::{FactValue, Reading, fact};
use crate::verdict::Grade;

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
    /// Bounds of what was measured.
    pub bounds: Vec<Bound>,
    /// Warn when the certificate ends within this time. The default of the loader is 14 days.
    pub warn_cert: Option<Duration>,
    /// Fail when the certificate ends within this time.
    pub fail_cert: Option<Duration>,
}

/// Something that looks measure and that can be bounded.
#[derive(Debug, PartialEq)]
pub struct Measure {
    /// Its name in a sentence.
    pub what: &'static str,
    /// The facts that tell it, the best first. They are integers or numbers.
    pub facts: &'static [&'static str],
    /// By what a fact is divided to come to `unit`.
    pub divide_by: f64,
    /// The unit of bounds, in words. Durations are bounded in milliseconds.
    pub unit: &'static str,
    /// Whether a look that did not measure it is a warning. Not so where a short look may honestly miss it.
    pub missed: bool,
}

impl Measure {
    /// What a look measured, in the unit of the fact that tells it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // rates and times, far below 2^53
    pub fn read(&self, reading: &Reading) -> Option<f64> {
        self.facts.iter().find_map(|fact| match reading.facts.get(fact) {
            Some(FactValue::Int(value)) => Some(*value as f64),
            Some(FactValue::Num(value)) => Some(*value),
            _ => None,
        })
    }
}

/// Which side of a bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The actual value may not be less.
    Least,
    /// The actual value may not be more.
    Most,
}

/// A key of `expect` that bounds a measure.
#[derive(Debug, PartialEq)]
pub struct BoundKey {
    /// The key in the configuration.
    pub key: &'static str,
    /// What it bounds.
    pub measure: &'static Measure,
    /// Which side is good.
    pub side: Side,
    /// What being on the other side is.
    pub grade: Grade,
}

/// One bound of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Which.
    pub of: &'static BoundKey,
    /// The bound, in the unit of its measure.
    pub value: f64,
}

/// Bits of media per second, by the best fact that a kind has for it.
pub static BITRATE: Measure = Measure {
    what: "bit rate",
    facts: &[fact::MEASURED_BITRATE_BPS, fact::SEGMENT_BITRATE_BPS, fact::SOUND_BITRATE_BPS],
    divide_by: 1_000.0,
    unit: "kbit/s",
    missed: true,
};
/// Pictures per second that came.
pub static FRAME_RATE: Measure = Measure {
    what: "measured frame rate",
    facts: &[fact::MEASURED_FPS],
    divide_by: 1.0,
    unit: "frames/s",
    missed: true,
};
/// Part of the packets or echoes that did not come; the fact is a ratio.
pub static LOSS: Measure =
    Measure { what: "loss", facts: &[fact::LOSS_RATIO], divide_by: 0.01, unit: "%", missed: true };
/// Round-trip time.
pub static LATENCY: Measure =
    Measure { what: "round-trip time", facts: &[fact::RTT_MS], divide_by: 1.0, unit: "ms", missed: true };
/// Jitter of packets or echoes.
pub static JITTER: Measure =
    Measure { what: "jitter", facts: &[fact::JITTER_MS], divide_by: 1.0, unit: "ms", missed: true };
/// Longest time between two key frames.
pub static KEYFRAMES: Measure = Measure {
    what: "key-frame interval",
    facts: &[fact::KEYFRAME_INTERVAL_MS],
    divide_by: 1.0,
    unit: "ms",
    missed: false,
};
/// Time since a live playlist last went on.
pub static PLAYLIST_AGE: Measure =
    Measure { what: "playlist age", facts: &[fact::PLAYLIST_AGE_MS], divide_by: 1.0, unit: "ms", missed: false };
/// Age of the newest media.
pub static LIVE_LATENCY: Measure =
    Measure { what: "live latency", facts: &[fact::LIVE_LATENCY_MS], divide_by: 1.0, unit: "ms", missed: true };

const fn bound(key: &'static str, measure: &'static Measure, side: Side, grade: Grade) -> BoundKey {
    BoundKey { key, measure, side, grade }
}

/// Every key of `expect` that bounds a measure. What is worse stands first, so that a value beyond both bounds is told once.
pub static BOUNDS: [BoundKey; 18] = [
    bound("min_bitrate_kbps", &BITRATE, Side::Least, Grade::Fail),
    bound("warn_min_bitrate_kbps", &BITRATE, Side::Least, Grade::Warn),
    bound("max_bitrate_kbps", &BITRATE, Side::Most, Grade::Fail),
    bound("warn_max_bitrate_kbps", &BITRATE, Side::Most, Grade::Warn),
    bound("min_measured_fps", &FRAME_RATE, Side::Least, Grade::Fail),
    bound("warn_min_measured_fps", &FRAME_RATE, Side::Least, Grade::Warn),
    bound("max_loss_percent", &LOSS, Side::Most, Grade::Fail),
    bound("warn_max_loss_percent", &LOSS, Side::Most, Grade::Warn),
    bound("max_latency", &LATENCY, Side::Most, Grade::Fail),
    bound("warn_max_latency", &LATENCY, Side::Most, Grade::Warn),
    bound("max_jitter", &JITTER, Side::Most, Grade::Fail),
    bound("warn_max_jitter", &JITTER, Side::Most, Grade::Warn),
    bound("max_keyframe_interval", &KEYFRAMES, Side::Most, Grade::Fail),
    bound("warn_max_keyframe_interval", &KEYFRAMES, Side::Most, Grade::Warn),
    bound("max_playlist_age", &PLAYLIST_AGE, Side::Most, Grade::Fail),
    bound("warn_max_playlist_age", &PLAYLIST_AGE, Side::Most, Grade::Warn),
    bound("max_live_latency", &LIVE_LATENCY, Side::Most, Grade::Fail),
    bound("warn_max_live_latency", &LIVE_LATENCY, Side::Most, Grade::Warn),
];
