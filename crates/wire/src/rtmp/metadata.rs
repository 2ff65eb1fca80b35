//! `onMetaData`: what the encoder says of the stream. Claims, to be held against the stream itself.

use super::amf0::Value;

/// Largest plausible rate in kbit/s: beyond it the number is noise.
const MAX_KBPS: f64 = 10_000_000.0;
/// Highest plausible frame rate.
const MAX_FPS: f64 = 1000.0;
/// Largest plausible side of a picture.
const MAX_SIDE: f64 = 65_535.0;

/// The claims that a check uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Bits per second of the video.
    pub video_bps: Option<u64>,
    /// Bits per second of the sound.
    pub audio_bps: Option<u64>,
    /// Whether a video codec is named.
    pub video: bool,
    /// Whether an audio codec is named.
    pub audio: bool,
    /// The encoder's name.
    pub encoder: Option<String>,
}

impl Metadata {
    /// Reads the values of a data message; `None` when it is no metadata.
    #[must_use]
    pub fn parse(values: &[Value]) -> Option<Self> {
        let mut values = values.iter().skip_while(|value| value.as_text() == Some("@setDataFrame"));
        let object = match values.next()?.as_text()? {
            "onMetaData" => values.next()?,
            _ => return None,
        };
        let number = |name, max| object.get(name).and_then(Value::as_number).filter(|n| *n > 0.0 && *n <= max);
        let text = |name: &str| object.get(name).and_then(Value::as_text).map(str::trim).filter(|t| !t.is_empty());
        let side = |name| number(name, MAX_SIDE).map(|n| n as u32).filter(|n| *n > 0);
        let bps = |name| number(name, MAX_KBPS).map(|kbps| (kbps * 1000.0) as u64);
        let named = |name| match object.get(name) {
            Some(Value::Number(number)) => *number > 0.0,
            Some(Value::Text(text)) => !matches!(text.trim(), "" | "0" | "none"),
            _ => false,
        };
        Some(Self {
            width: side("width"),
            height: side("height"),
            fps: number("framerate", MAX_FPS).or_else(|| number("fps", MAX_FPS)),
            video_bps: bps("videodatarate"),
            audio_bps: bps("audiodatarate"),
            video: named("videocodecid"),
            audio: named("audiocodecid"),
            encoder: text("encoder").or_else(|| text("metadatacreator")).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(pairs: &[(&str, Value)]) -> Value {
        Value::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn claims_are_read_and_noise_is_not() {
        let told = object(&[
            ("width", Value::Number(1920.0)),
            ("height", Value::from("1080")),
            ("framerate", Value::Number(29.97)),
            ("videocodecid", Value::from("avc1")),
            ("audiocodecid", Value::Number(0.0)),
            ("videodatarate", Value::Number(2500.0)),
            ("audiodatarate", Value::Number(f64::INFINITY)),
            ("encoder", Value::from("obs-output module")),
        ]);
        let expected = Metadata {
            width: Some(1920),
            height: Some(1080),
            fps: Some(29.97),
            video_bps: Some(2_500_000),
            video: true,
            encoder: Some("obs-output module".to_owned()),
            ..Metadata::default()
        };
        let values = [Value::from("onMetaData"), told.clone()];
        assert_eq!(Metadata::parse(&values), Some(expected.clone()));
        let values = [Value::from("@setDataFrame"), Value::from("onMetaData"), told];
        assert_eq!(Metadata::parse(&values), Some(expected));
        let noise = object(&[("width", Value::Number(-1.0)), ("framerate", Value::Number(1e9))]);
        assert_eq!(Metadata::parse(&[Value::from("onMetaData"), noise]), Some(Metadata::default()));
        assert_eq!(Metadata::parse(&[Value::from("onCuePoint"), Value::Null]), None);
        assert_eq!(Metadata::parse(&[]), None);
    }
}
