//! What an encoder told about itself, the same for both protocols. Owns masking: a value of this type was cleaned of the stream
//! keys that stood beside it in the answer, and holds none.

use model::reading::{FactValue, Media, Reading, Track, fact};
use model::secret::{MASK, Secret};
use serde_json::Value;
use wire::blocks::{self, Block};

use crate::api;

/// Secrets shorter than this are not masked in other texts: the text would tell more by its holes than by its letters.
const MIN_MASKED_BYTES: usize = 3;

/// What the encoder is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Connecting,
    Streaming,
    /// Stopped, and still sending what it had stored.
    Flushing,
    Interrupted,
    /// A word that is in no manual.
    Other(String),
}

impl State {
    fn of(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "idle" => Self::Idle,
            "connecting" => Self::Connecting,
            "streaming" => Self::Streaming,
            "flushing" => Self::Flushing,
            "interrupted" => Self::Interrupted,
            _ => Self::Other(api::tidy(word)),
        }
    }

    /// The word of the fact.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Flushing => "flushing",
            Self::Interrupted => "interrupted",
            Self::Other(word) => word,
        }
    }
}

/// One reading of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) state: State,
    pub(super) bitrate_bps: Option<u64>,
    /// How long it has been streaming.
    pub(super) duration_s: Option<u64>,
    pub(super) cache_percent: Option<f64>,
    /// Name of the format of the pictures.
    pub(super) format: Option<String>,
    pub(super) temperature_c: Option<f64>,
}

/// What changes seldom: who the device is and where it streams to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Details {
    pub(super) platform: Option<String>,
    pub(super) server: Option<String>,
    pub(super) quality: Option<String>,
    pub(super) label: Option<String>,
    pub(super) model: Option<String>,
    pub(super) firmware: Option<String>,
}

impl Told {
    /// Reads `livestreams/0`; `None` when it has no status.
    pub(super) fn of_json(value: &Value) -> Option<Self> {
        Some(Self {
            state: State::of(value.get("status")?.as_str()?),
            bitrate_bps: api::count(value, "bitrate"),
            duration_s: api::count(value, "duration"),
            cache_percent: percent(api::number(value, "cache")),
            format: api::text(value, "effectiveVideoFormat"),
            temperature_c: api::number(value, "temperature"),
        })
    }

    /// Reads a STREAM STATE block; `None` when it has no status.
    pub(super) fn of_block(block: &Block) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let whole = |key| block.get(key).and_then(blocks::number).map(|number| number as f64);
        Some(Self {
            state: State::of(block.get("Status")?),
            bitrate_bps: block.get("Bitrate").and_then(blocks::number),
            duration_s: block.get("Duration").and_then(blocks::seconds),
            cache_percent: percent(whole("Cache Used")),
            format: None,
            temperature_c: whole("Temperature"),
        })
    }

    /// The reading as facts; those of the second device of a pair have names of their own.
    pub(super) fn note(&self, details: &Details, second: bool, reading: &mut Reading) {
        let int = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).map(FactValue::Int);
        let text = |text: &Option<String>| text.clone().map(FactValue::Text);
        let name = details.label.clone().or_else(|| details.model.clone());
        let all = [
            (fact::ENCODER_STATE, fact::SECONDARY_STATE, Some(FactValue::Text(self.state.word().to_owned()))),
            (fact::ENCODER_BITRATE_BPS, fact::SECONDARY_BITRATE_BPS, int(self.bitrate_bps)),
            (fact::STREAMING_FOR_S, fact::SECONDARY_STREAMING_FOR_S, int(self.duration_s)),
            (fact::CACHE_PERCENT, fact::SECONDARY_CACHE_PERCENT, self.cache_percent.map(FactValue::Num)),
            (fact::VIDEO_FORMAT, fact::SECONDARY_VIDEO_FORMAT, text(&self.format)),
            (fact::TEMPERATURE_C, fact::SECONDARY_TEMPERATURE_C, self.temperature_c.map(FactValue::Num)),
            (fact::PLATFORM, fact::SECONDARY_PLATFORM, text(&details.platform)),
            (fact::DEVICE, fact::SECONDARY_DEVICE, name.map(FactValue::Text)),
            (fact::PLATFORM_SERVER, "", text(&details.server)),
            (fact::QUALITY, "", text(&details.quality)),
            (fact::DEVICE_MODEL, "", text(&details.model)),
            (fact::FIRMWARE, "", text(&details.firmware)),
        ];
        for (first_key, second_key, value) in all {
            let key = if second { second_key } else { first_key };
            if let Some(value) = value.filter(|_| !key.is_empty()) {
                reading.facts.insert(key, value);
            }
        }
    }

    /// The pictures that it says it sends.
    pub(super) fn track(&self) -> Option<Track> {
        let format = blocks::video_format(self.format.as_deref()?)?;
        // No answer of these devices names the codec.
        let mut track = Track::new(Media::Video, "unknown");
        (track.width, track.height, track.fps) = (Some(format.width), Some(format.height), format.fps);
        track.bitrate_bps = self.bitrate_bps;
        Some(track)
    }

    /// The same without any of `secrets`.
    pub(super) fn masked(mut self, secrets: &Secrets) -> Self {
        if let State::Other(word) = &mut self.state {
            *word = secrets.mask(word);
        }
        secrets.mask_in(&mut self.format);
        self
    }
}

fn percent(number: Option<f64>) -> Option<f64> {
    number.filter(|number| (0.0..=100.0).contains(number))
}

impl Details {
    /// Reads `system/product`.
    pub(super) fn product(&mut self, value: &Value) {
        self.label = api::text(value, "deviceName");
        self.model = api::text(value, "productName");
        self.firmware = api::text(value, "softwareVersion");
    }

    /// Reads `livestreams/0/activePlatform`. Its `url` is left alone: it may hold a key of its own.
    pub(super) fn platform(&mut self, value: &Value) {
        self.platform = api::text(value, "platform");
        self.server = api::text(value, "server");
        self.quality = api::text(value, "quality");
    }

    /// Reads a block of the text protocol's dump; the format of the pictures when it names one.
    pub(super) fn block(&mut self, block: &Block) -> Option<String> {
        let take = |place: &mut Option<String>, key: &str| {
            if let Some(text) = block.get(key).filter(|text| !text.is_empty()) {
                *place = Some(api::tidy(text));
            }
        };
        match block.header() {
            "IDENTITY" => {
                take(&mut self.label, "Label");
                take(&mut self.model, "Model");
            }
            "VERSION" => {
                take(&mut self.firmware, "Software Version");
                take(&mut self.firmware, "Software Release");
            }
            "STREAM SETTINGS" => {
                take(&mut self.platform, "Current Platform");
                take(&mut self.server, "Current Server");
                take(&mut self.quality, "Current Quality Level");
                return block.get("Video Mode").filter(|mode| !mode.is_empty()).map(api::tidy);
            }
            _ => {}
        }
        None
    }

    /// The same without any of `secrets`.
    pub(super) fn masked(mut self, secrets: &Secrets) -> Self {
        for text in [
            &mut self.platform,
            &mut self.server,
            &mut self.quality,
            &mut self.label,
            &mut self.model,
            &mut self.firmware,
        ] {
            secrets.mask_in(text);
        }
        self
    }
}

/// What an answer held that nobody may see. Dropped with the look.
#[derive(Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    fn add(&mut self, text: Option<&str>) {
        let Some(text) = text.map(str::trim).filter(|text| text.len() >= MIN_MASKED_BYTES) else { return };
        if !self.0.iter().any(|known| known.expose() == text) {
            self.0.push(Secret::new(text));
            // What contains another secret is masked before it.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        }
    }

    /// Takes the secrets of `activePlatform`.
    pub(super) fn of_json(&mut self, value: &Value) {
        for key in ["key", "passphrase", "url"] {
            self.add(value.get(key).and_then(Value::as_str));
        }
    }

    /// Takes the secrets of a block.
    pub(super) fn of_block(&mut self, block: &Block) {
        for (key, value) in block.pairs() {
            if matches!(key, "Stream Key" | "Password" | "Passphrase" | "Current URL") {
                self.add(Some(value));
            }
        }
    }

    fn mask_in(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            *text = self.mask(text);
        }
    }

    /// `text` without the secrets; without the places that it names as URLs, too, because their last parts are keys.
    fn mask(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.0 {
            out = out.replace(secret.expose(), MASK);
        }
        match out.find("://") {
            Some(at) => format!("{}://{MASK}", &out[..at]),
            None => out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn block(text: &str) -> Block {
        let mut decoder = blocks::Decoder::new();
        decoder.push(text.as_bytes());
        decoder.decode().expect("blocks").expect("one block")
    }

    #[test]
    fn both_protocols_tell_the_same() {
        let json = json!({
            "status": "Streaming", "bitrate": 5_984_256, "effectiveVideoFormat": "1920x1080p29.97", "duration": 93_784,
            "cache": 3,
        });
        let told = Told::of_json(&json).expect("it has a status");
        let other =
            block("STREAM STATE:\nStatus: Streaming\nDuration: 01:02:03:04\nBitrate: 5984256\nCache Used: 3\n\n");
        let mut other = Told::of_block(&other).expect("it has a status");
        assert_eq!(other.format, None);
        other.format.clone_from(&told.format);
        assert_eq!(told, other);
        let track = told.track().expect("the format is known");
        assert_eq!((track.width, track.height, track.fps, track.proven), (Some(1920), Some(1080), Some(29.97), false));
    }

    #[test]
    fn wrong_types_are_absent_and_no_status_is_none() {
        let told = Told::of_json(&json!({
            "status": "idle", "bitrate": "fast", "effectiveVideoFormat": 7, "duration": -4, "cache": 700, "temperature": [1],
        }));
        let told = told.expect("it has a status");
        let seen = (told.bitrate_bps, told.duration_s, told.cache_percent, told.format, told.temperature_c);
        assert_eq!((told.state, seen), (State::Idle, (None, None, None, None, None)));
        for value in [json!({}), json!({ "status": 3 }), json!([]), json!("Streaming"), json!(null)] {
            assert_eq!(Told::of_json(&value), None, "{value}");
        }
        let odd = Told::of_json(&json!({ "status": "Dancing\n" })).expect("a text is a status");
        assert_eq!(odd.state, State::Other("Dancing ".to_owned()));
    }

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        let value = json!({
            "platform": "My abcd-efgh", "server": "rtmp://h/live/other", "key": "abcd-efgh", "passphrase": "s3cret",
            "quality": "High s3cret", "url": "rtmp://h/live/abcd-efgh",
        });
        let (mut details, mut secrets) = (Details::default(), Secrets::default());
        details.platform(&value);
        secrets.of_json(&value);
        let details = details.masked(&secrets);
        assert_eq!(details.platform.as_deref(), Some("My ***"));
        assert_eq!(details.server.as_deref(), Some("rtmp://***"));
        assert_eq!(details.quality.as_deref(), Some("High ***"));
        let mut secrets = Secrets::default();
        secrets
            .of_block(&block("STREAM SETTINGS:\nStream Key: abcd\nPassword: s3cret\nCurrent URL: srt://h?x=y1z\n\n"));
        let told =
            Told::of_json(&json!({ "status": "s3cret abcd", "effectiveVideoFormat": "abcd" })).expect("a status");
        let told = told.masked(&secrets);
        assert_eq!((told.state.word(), told.format.as_deref()), ("*** ***", Some("***")));
    }
}
