//! What YouTube says of a broadcast, a stream and a video, and what its words mean. Owns the tables of words; asks nothing.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Media, Reading, Severity, Track, fact};
use model::time::UtcMs;
use serde_json::Value;
use wire::blocks;

use super::place::is_id;
use crate::api;

/// Most configuration issues that are told of one stream.
const MAX_ISSUES: usize = 10;

/// What a state means for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// On the air.
    Live,
    /// Not on the air, as between events.
    Off,
    /// It should be and cannot.
    Broken,
}

/// A broadcast or a video, as far as it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) channel: Option<String>,
    /// The word of the API.
    pub(super) word: String,
    /// The stream that the broadcast shows.
    pub(super) stream: Option<String>,
    /// People who watch now.
    pub(super) viewers: Option<u64>,
}

impl Told {
    /// Reads a broadcast; `None` when it has no state.
    pub(super) fn broadcast(item: &Value) -> Option<Self> {
        let word = api::text(item.pointer("/status")?, "lifeCycleStatus")?;
        let stream = item.pointer("/contentDetails").and_then(|details| id(details, "boundStreamId"));
        Some(Self { stream, ..Self::common(item, word) })
    }

    /// Reads a video; `None` when it does not say whether it is live.
    pub(super) fn video(item: &Value) -> Option<Self> {
        let content = api::text(item.pointer("/snippet")?, "liveBroadcastContent")?;
        let details = item.pointer("/liveStreamingDetails").unwrap_or(&Value::Null);
        let ended = details.get("actualEndTime").is_some();
        let word = if ended && content != "live" { "complete".to_owned() } else { content };
        Some(Self { viewers: api::count(details, "concurrentViewers"), ..Self::common(item, word) })
    }

    fn common(item: &Value, word: String) -> Self {
        let snippet = item.pointer("/snippet").unwrap_or(&Value::Null);
        Self {
            id: id(item, "id"),
            title: api::text(snippet, "title"),
            channel: id(snippet, "channelId"),
            word,
            stream: None,
            viewers: None,
        }
    }

    /// What the word means, and a sentence about it.
    pub(super) fn meaning(&self) -> (Meaning, String) {
        let (meaning, words) = match self.word.as_str() {
            "live" => (Meaning::Live, "YouTube says that it is live"),
            "liveStarting" => (Meaning::Off, "the broadcast is starting and not yet live"),
            "testing" | "testStarting" => (Meaning::Off, "the broadcast is being tested and only its owner sees it"),
            "created" => (Meaning::Off, "the broadcast is not set up yet (created)"),
            "ready" => (Meaning::Off, "the broadcast waits to be started (ready)"),
            "upcoming" => (Meaning::Off, "the broadcast has not begun (upcoming)"),
            "complete" | "completeStarting" => (Meaning::Off, "the broadcast is over (complete)"),
            "abandoned" | "reclaimed" => (Meaning::Off, "the broadcast was given up and never took place"),
            "none" => (Meaning::Off, "the video is no live broadcast (none)"),
            "revoked" => (Meaning::Broken, "YouTube took the broadcast down (revoked)"),
            word => return (Meaning::Broken, format!("YouTube says {word:?}, which is no state that is known")),
        };
        (meaning, words.to_owned())
    }
}

/// The items of an answer; empty when there are none.
pub(super) fn items(value: &Value) -> &[Value] {
    value.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member that is an id.
pub(super) fn id(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| is_id(text, 1, 64)).map(str::to_owned)
}

/// Notes what YouTube receives from the encoder.
///
/// # Errors
/// That it receives nothing.
pub(super) fn stream(item: &Value, now: UtcMs, reading: &mut Reading) -> Result<(), Fault> {
    let status = item.get("status").unwrap_or(&Value::Null);
    let health = status.get("healthStatus").unwrap_or(&Value::Null);
    let state = api::text(status, "streamStatus").unwrap_or_else(|| "unknown".to_owned());
    let word = api::text(health, "status").unwrap_or_else(|| "unknown".to_owned());
    reading.text(fact::STREAM_STATE, state.as_str());
    reading.text(fact::STREAM_HEALTH, word.as_str());
    if let Some(at) = api::count(health, "lastUpdateTimeSeconds").and_then(|s| i64::try_from(s).ok()) {
        reading.int(fact::STREAM_HEALTH_AGE_S, (now.0 / 1_000 - at).max(0));
    }
    if let Some(track) = track(item.get("cdn").unwrap_or(&Value::Null)) {
        reading.tracks = vec![track];
    }
    issues(health, reading);
    let no_media = |words: String| Err(Fault::new(FaultKind::NoMedia, Phase::Check, words));
    match state.as_str() {
        "active" => {}
        "inactive" => return no_media("YouTube receives nothing from the encoder (inactive)".to_owned()),
        "created" | "ready" => return no_media(format!("YouTube has received nothing from the encoder yet ({state})")),
        "error" => return no_media("YouTube reports an error with the stream (error)".to_owned()),
        _ => return no_media(format!("YouTube does not say that it receives a stream ({state})")),
    }
    match word.as_str() {
        "good" | "ok" => Ok(()),
        "bad" => {
            reading.find("stream_health_bad", Severity::Warning, "YouTube calls the health of the stream bad");
            Ok(())
        }
        "revoked" => no_media("YouTube took the stream down (revoked)".to_owned()),
        _ => {
            let text = format!("YouTube knows nothing of the health of the stream ({word})");
            reading.find("health_unknown", Severity::Note, text);
            Ok(())
        }
    }
}

/// Each configuration issue as a finding.
fn issues(health: &Value, reading: &mut Reading) {
    let list = health.get("configurationIssues").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for issue in list.iter().take(MAX_ISSUES) {
        let kind = api::text(issue, "type").unwrap_or_else(|| "unnamed".to_owned());
        let words = api::text(issue, "description").or_else(|| api::text(issue, "reason"));
        let text = words.map_or(kind.clone(), |words| format!("{kind}: {words}"));
        match api::text(issue, "severity").as_deref() {
            Some("info") => reading.find("configuration_hint", Severity::Note, text),
            _ => reading.find("configuration_issue", Severity::Warning, text),
        }
    }
    if list.len() > MAX_ISSUES {
        let text = format!("{} more configuration issues", list.len() - MAX_ISSUES);
        reading.find("configuration_hint", Severity::Note, text);
    }
}

/// The pictures that the stream is set up for; nothing when it takes whatever comes.
fn track(cdn: &Value) -> Option<Track> {
    let (size, rate) = (api::text(cdn, "resolution")?, api::text(cdn, "frameRate").unwrap_or_default());
    let format = blocks::video_format(&format!("{size}{}", rate.trim_end_matches("fps")))?;
    let mut track = Track::new(Media::Video, "unknown");
    (track.width, track.height, track.fps) = (Some(format.width), Some(format.height), format.fps);
    Some(track)
}

/// Why the API refuses, and what that means.
pub(super) enum Refusal {
    /// The quota of the day is used up.
    Quota,
    /// Too many questions within a minute.
    Rate,
    /// Anything else.
    Fault(Fault),
}

/// Reads a refusal.
pub(super) fn refusal(status: u16, fault: Fault, value: Option<&Value>) -> Refusal {
    let error = value.and_then(|value| value.get("error")).unwrap_or(&Value::Null);
    let reason = error.pointer("/errors/0").and_then(|first| api::text(first, "reason")).unwrap_or_default();
    // Some messages are pages.
    let message = api::text(error, "message").filter(|text| !text.contains('<')).unwrap_or_default();
    let is_key = message.contains("API key") || error.pointer("/details/0/reason") == Some(&"API_KEY_INVALID".into());
    let (kind, words) = match (status, reason.as_str()) {
        (403 | 429, "quotaExceeded" | "dailyLimitExceeded" | "dailyLimitExceededUnreg") => return Refusal::Quota,
        (403, "rateLimitExceeded" | "userRateLimitExceeded" | "concurrentLimitExceeded") | (429, _) => {
            return Refusal::Rate;
        }
        (400, "keyInvalid" | "keyExpired") => (FaultKind::AuthRequired, "YouTube refuses the API key (status 400)"),
        (400, _) if is_key => (FaultKind::AuthRequired, "YouTube refuses the API key (status 400)"),
        (401, _) => (FaultKind::AuthRequired, "YouTube refuses the access (status 401)"),
        (403, _) => (FaultKind::Forbidden, "YouTube forbids the question (status 403)"),
        (404, _) => (FaultKind::NotFound, "YouTube knows no such thing (status 404)"),
        _ => return Refusal::Fault(fault),
    };
    let said = [reason, message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    let detail = if said.is_empty() { words.to_owned() } else { format!("{words}: {said}") };
    Refusal::Fault(Fault::new(kind, Phase::FirstByte, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_word_has_its_meaning() {
        for (word, expected) in [
            ("live", Meaning::Live),
            ("liveStarting", Meaning::Off),
            ("testing", Meaning::Off),
            ("created", Meaning::Off),
            ("ready", Meaning::Off),
            ("complete", Meaning::Off),
            ("revoked", Meaning::Broken),
            ("dancing", Meaning::Broken),
        ] {
            let told = Told::broadcast(&json!({ "id": "abc", "status": { "lifeCycleStatus": word } }));
            assert_eq!(told.map(|told| told.meaning().0), Some(expected), "{word}");
        }
        let video = |content, details| {
            Told::video(&json!({ "snippet": { "liveBroadcastContent": content }, "liveStreamingDetails": details }))
        };
        let live = video(json!("live"), json!({ "concurrentViewers": "42" })).expect("it says it");
        assert_eq!((live.meaning().0, live.viewers), (Meaning::Live, Some(42)));
        let over = video(json!("none"), json!({ "actualEndTime": "2026-01-01T00:00:00Z" })).expect("it says it");
        assert!(over.meaning().1.contains("is over"), "{:?}", over.meaning());
        assert_eq!(video(json!(7), json!(null)), None);
    }

    #[test]
    fn streams_and_their_health() {
        for (state, health, expected, found) in [
            ("active", "good", "", &[][..]),
            ("active", "ok", "", &[]),
            ("active", "bad", "", &["stream_health_bad"]),
            ("active", "noData", "", &["health_unknown"]),
            ("active", "revoked", "took the stream down", &[]),
            ("inactive", "noData", "receives nothing", &[]),
            ("ready", "noData", "received nothing from the encoder yet", &[]),
            ("error", "bad", "reports an error", &[]),
            ("dancing", "good", "does not say", &[]),
        ] {
            let mut reading = Reading::default();
            let item = json!({ "status": { "streamStatus": state, "healthStatus": { "status": health } } });
            let words = stream(&item, UtcMs(0), &mut reading).err().map(|fault| fault.detail).unwrap_or_default();
            assert!(words.contains(expected) && words.is_empty() == expected.is_empty(), "{state} {health}: {words}");
            let names: Vec<_> = reading.findings.iter().map(|finding| finding.name).collect();
            assert_eq!(names, found, "{state} {health}");
        }
        assert!(stream(&json!("x"), UtcMs(0), &mut Reading::default()).is_err());
    }

    #[test]
    fn issues_are_findings_and_bounded() {
        let issue = |severity| json!({ "type": "gopSizeLong", "severity": severity, "description": "too long" });
        let mut all = vec![issue("error"), issue("warning"), issue("info"), json!(3)];
        let item = |list: &[Value]| {
            json!({
                "status": { "streamStatus": "active", "healthStatus": {
                    "status": "ok", "lastUpdateTimeSeconds": "90", "configurationIssues": list,
                } },
                "cdn": { "resolution": "1080p", "frameRate": "60fps", "ingestionInfo": { "streamName": "s3cret-key" } },
            })
        };
        let mut reading = Reading::default();
        assert_eq!(stream(&item(&all), UtcMs(100_000), &mut reading), Ok(()));
        let names: Vec<_> = reading.findings.iter().map(|finding| finding.name).collect();
        let issue_name = "configuration_issue";
        assert_eq!(names, [issue_name, issue_name, "configuration_hint", issue_name]);
        assert_eq!(reading.findings[0].text, "gopSizeLong: too long");
        let track = &reading.tracks[0];
        assert_eq!((track.width, track.height, track.fps, track.proven), (Some(1920), Some(1080), Some(60.0), false));
        assert!(!format!("{reading:?}").contains("s3cret"), "{reading:?}");
        all.extend((0..100).map(|_| issue("error")));
        let mut reading = Reading::default();
        assert_eq!(stream(&item(&all), UtcMs(0), &mut reading), Ok(()));
        assert_eq!(reading.findings.len(), MAX_ISSUES + 1);
    }

    #[test]
    fn refusals_are_told_apart() {
        let error = |reason: &str, message: &str| json!({ "error": { "message": message, "errors": [{ "reason": reason, "domain": "youtube.quota" }] } });
        for (status, value, expected) in [
            (403, error("quotaExceeded", "<a href=x>quota</a>"), "quota"),
            (403, error("rateLimitExceeded", ""), "rate"),
            (429, json!(null), "rate"),
            (400, error("keyInvalid", "Bad Request"), "auth_required"),
            (400, error("badRequest", "API key not valid. Please pass a valid API key."), "auth_required"),
            (401, error("authError", "Invalid Credentials"), "auth_required"),
            (403, error("accessNotConfigured", "enable it"), "forbidden"),
            (403, json!("<html>"), "forbidden"),
            (404, json!({}), "not_found"),
            (500, json!({}), "protocol"),
        ] {
            let fault = Fault::protocol(Phase::FirstByte, "status");
            let seen = match refusal(status, fault, Some(&value)) {
                Refusal::Quota => "quota",
                Refusal::Rate => "rate",
                Refusal::Fault(fault) => fault.kind.as_str(),
            };
            assert_eq!(seen, expected, "{status} {value}");
        }
    }
}
