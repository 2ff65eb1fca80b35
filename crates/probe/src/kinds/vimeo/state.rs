//! What Vimeo says of an event or a video, and what its words mean. Owns the table of states; asks nothing.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use serde_json::Value;

use crate::api;

/// What is known of an event or a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) title: Option<String>,
    /// The word of the API; none when it told none.
    pub(super) word: Option<String>,
}

/// What a state means for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The stream is there.
    Live,
    /// There is none, as there is none between events.
    Off,
    /// It should be there and is broken.
    Broken,
    /// The API does not say; whether there is a playlist tells.
    Open,
}

impl Told {
    /// Reads an event or a video. Which member holds the state depends on what it is and how old it is.
    pub(super) fn of(value: &Value) -> Self {
        let places = ["/streamable_clip/live", "/streamable_video/live", "/live"];
        let word = places.iter().filter_map(|place| value.pointer(place)).find_map(|live| api::text(live, "status"));
        let badge = || value.pointer("/embed/badges/live/streaming").and_then(Value::as_bool);
        let word = word.or_else(|| badge().map(|live| if live { "streaming" } else { "unavailable" }.to_owned()));
        Self { title: api::text(value, "title").or_else(|| api::text(value, "name")), word }
    }

    /// What the word means, and a sentence about it.
    pub(super) fn meaning(&self) -> (Meaning, &'static str) {
        match self.word.as_deref() {
            Some("streaming") => (Meaning::Live, "Vimeo says that it is streaming"),
            Some("streaming_preview") => (Meaning::Off, "the event is being previewed and not yet live"),
            Some("ready") => (Meaning::Off, "Vimeo waits for the encoder (ready)"),
            Some("pending") => (Meaning::Off, "Vimeo is preparing the event (pending)"),
            Some("unavailable") => (Meaning::Off, "the event is not live (unavailable)"),
            Some("done") => (Meaning::Off, "the event has ended (done)"),
            Some("archive_in_progress") => {
                (Meaning::Off, "the event has ended and is being archived (archive_in_progress)")
            }
            Some("archive_error") => {
                (Meaning::Off, "the event has ended, and Vimeo could not archive it (archive_error)")
            }
            Some("streaming_error") => (Meaning::Broken, "Vimeo reports an error with the stream (streaming_error)"),
            Some(_) | None => (Meaning::Open, "Vimeo does not say whether it is live"),
        }
    }
}

/// The address of the playlist in the answer for it.
pub(super) fn playback(value: &Value) -> Option<&str> {
    let known = ["/m3u8_playback_url", "/play/hls/link"];
    known.iter().find_map(|place| value.pointer(place)?.as_str()).filter(|text| !text.trim().is_empty())
}

/// The fault of a refusal, in the words of the API.
pub(super) fn refusal(status: u16, fault: Fault, value: Option<&Value>) -> Fault {
    let said = value.and_then(|value| api::text(value, "error").or_else(|| api::text(value, "developer_message")));
    let said = said.map_or(String::new(), |words| format!(": {words}"));
    let (kind, words) = match status {
        401 => (FaultKind::AuthRequired, "Vimeo refuses the token (status 401)"),
        403 => (
            FaultKind::Forbidden,
            "the token may not see this (status 403): the scope private and a plan with live events are needed",
        ),
        404 => (FaultKind::NotFound, "Vimeo knows no such event or video (status 404)"),
        _ => return Fault { detail: format!("{}{said}", fault.detail), ..fault },
    };
    Fault::new(kind, Phase::FirstByte, format!("{words}{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_word_has_its_meaning() {
        for (word, expected) in [
            ("streaming", Meaning::Live),
            ("streaming_preview", Meaning::Off),
            ("ready", Meaning::Off),
            ("pending", Meaning::Off),
            ("unavailable", Meaning::Off),
            ("done", Meaning::Off),
            ("archive_in_progress", Meaning::Off),
            ("archive_error", Meaning::Off),
            ("streaming_error", Meaning::Broken),
            ("dancing", Meaning::Open),
        ] {
            let told = Told::of(&json!({ "title": "Sunday", "streamable_clip": { "live": { "status": word } } }));
            assert_eq!((told.title.as_deref(), told.meaning().0), (Some("Sunday"), expected), "{word}");
        }
    }

    #[test]
    fn the_state_stands_in_several_places_and_in_none() {
        for (value, expected) in [
            (json!({ "live": { "status": "done" } }), Some("done")),
            (json!({ "streamable_clip": null, "streamable_video": { "live": { "status": "ready" } } }), Some("ready")),
            (json!({ "streamable_clip": { "live": null }, "live": { "status": "pending" } }), Some("pending")),
            (json!({ "embed": { "badges": { "live": { "streaming": true } } } }), Some("streaming")),
            (json!({ "embed": { "badges": { "live": { "streaming": false } } } }), Some("unavailable")),
            (json!({ "live": { "status": 7 } }), None),
            (json!({ "live": "yes" }), None),
            (json!([]), None),
            (json!(null), None),
        ] {
            assert_eq!(Told::of(&value).word.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn playlists_are_found_where_the_api_puts_them() {
        assert_eq!(playback(&json!({ "m3u8_playback_url": "https://h/x" })), Some("https://h/x"));
        assert_eq!(playback(&json!({ "play": { "hls": { "link": "https://h/y" } } })), Some("https://h/y"));
        for value in
            [json!({}), json!({ "m3u8_playback_url": null }), json!({ "m3u8_playback_url": " " }), json!(["x"])]
        {
            assert_eq!(playback(&value), None, "{value}");
        }
    }
}
