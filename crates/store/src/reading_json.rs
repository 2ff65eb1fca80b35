//! Tracks, facts and reasons of the newest look as one JSON text, there and back. Owns the format of that column.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use model::reading::{Depth, FactValue, MAX_ROWS, Media, Reading, Row, Track};
use model::time::UtcMs;
use model::verdict::{Grade, Reason, Verdict};
use serde_json::{Map, Value, json};

/// The text of a reading and its verdict.
pub(crate) fn text(reading: &Reading, verdict: &Verdict) -> String {
    let facts: Map<String, Value> =
        reading.facts.iter().map(|(key, value)| ((*key).to_owned(), fact_json(value))).collect();
    let reasons: Vec<Value> = verdict
        .reasons
        .iter()
        .map(|r| json!({ "grade": r.grade.as_str(), "check": r.check, "text": r.text }))
        .collect();
    json!({
        "proven": reading.proven.map(Depth::as_str),
        "tracks": reading.tracks.iter().map(track_json).collect::<Vec<_>>(),
        "facts": facts,
        "reasons": reasons,
    })
    .to_string()
}

/// A number that changes when something changes that is not a count or a measure. Counters change with every look; they
/// alone are no reason to write.
pub(crate) fn essence(reading: &Reading, verdict: &Verdict) -> u64 {
    let mut hasher = DefaultHasher::new();
    for track in &reading.tracks {
        track_json(track).to_string().hash(&mut hasher);
    }
    for (key, value) in &reading.facts {
        key.hash(&mut hasher);
        hash_fact(value, &mut hasher);
    }
    reading.proven.hash(&mut hasher);
    for reason in &verdict.reasons {
        (reason.grade, reason.check).hash(&mut hasher);
    }
    hasher.finish()
}

fn hash_fact(value: &FactValue, hasher: &mut DefaultHasher) {
    match value {
        FactValue::Text(text) => text.hash(hasher),
        FactValue::Flag(flag) => flag.hash(hasher),
        FactValue::Time(at) => at.hash(hasher),
        FactValue::Int(_) | FactValue::Num(_) => {}
        FactValue::Rows(rows) => {
            for row in rows {
                row.name.hash(hasher);
                row.cells.values().for_each(|cell| hash_fact(cell, hasher));
            }
        }
    }
}

fn fact_json(value: &FactValue) -> Value {
    match value {
        FactValue::Text(text) => json!(text),
        FactValue::Int(n) => json!(n),
        FactValue::Num(n) => json!({ "num": n }),
        FactValue::Flag(flag) => json!(flag),
        FactValue::Time(at) => json!({ "time": at.0 }),
        FactValue::Rows(rows) => rows.iter().map(|r| json!({ "name": r.name, "cells": cells_json(r) })).collect(),
    }
}

fn cells_json(row: &Row) -> Map<String, Value> {
    row.cells.iter().map(|(key, value)| ((*key).to_owned(), fact_json(value))).collect()
}

fn track_json(track: &Track) -> Value {
    json!({
        "media": track.media.as_str(),
        "codec": track.codec,
        "profile": track.profile,
        "width": track.width,
        "height": track.height,
        "fps": track.fps,
        "bitrate_bps": track.bitrate_bps,
        "sample_rate_hz": track.sample_rate_hz,
        "channels": track.channels,
        "proven": track.proven,
    })
}

/// Makes the texts of keys live as long as the process, as the vocabulary wants them: each one once, and only so many.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<BTreeSet<&'static str>>);

/// More keys than all kinds together have; a damaged file cannot take more memory than this many keys.
const MOST_KEYS: usize = 512;
/// Longest key.
const KEY_BYTES: usize = 64;

impl Keys {
    fn get(&self, key: &str) -> Option<&'static str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(key) {
            return Some(key);
        }
        if known.len() >= MOST_KEYS || key.len() > KEY_BYTES {
            return None;
        }
        let key: &'static str = Box::leak(key.to_owned().into_boxed_str());
        known.insert(key);
        Some(key)
    }
}

/// The reading and the reasons again. What does not make sense is left out, never guessed.
pub(crate) fn parse(text: &str, keys: &Keys) -> (Reading, Vec<Reason>) {
    let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let list = |key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut reading = Reading {
        tracks: list("tracks").iter().filter_map(track_of).collect(),
        proven: value["proven"].as_str().and_then(Depth::from_word),
        ..Reading::default()
    };
    for (key, value) in value["facts"].as_object().into_iter().flatten() {
        if let (Some(key), Some(value)) = (keys.get(key), fact_of(value, keys)) {
            reading.facts.insert(key, value);
        }
    }
    let reasons = list("reasons").iter().filter_map(|r| reason_of(r, keys)).collect();
    (reading, reasons)
}

fn fact_of(value: &Value, keys: &Keys) -> Option<FactValue> {
    match value {
        Value::Array(rows) => {
            Some(FactValue::Rows(rows.iter().take(MAX_ROWS).filter_map(|r| row_of(r, keys)).collect()))
        }
        single => single_of(single),
    }
}

fn row_of(value: &Value, keys: &Keys) -> Option<Row> {
    let cells = value["cells"].as_object()?.iter();
    let cells = cells.filter_map(|(key, cell)| Some((keys.get(key)?, single_of(cell)?))).collect();
    Some(Row { name: value["name"].as_str()?.to_owned(), cells })
}

fn single_of(value: &Value) -> Option<FactValue> {
    match value {
        Value::String(text) => Some(FactValue::Text(text.clone())),
        Value::Bool(flag) => Some(FactValue::Flag(*flag)),
        Value::Number(n) => n.as_i64().map(FactValue::Int),
        Value::Object(tagged) => match (tagged.get("num"), tagged.get("time")) {
            (Some(num), _) => num.as_f64().map(FactValue::Num),
            (_, Some(time)) => time.as_i64().map(|ms| FactValue::Time(UtcMs(ms))),
            _ => None,
        },
        Value::Null | Value::Array(_) => None,
    }
}

fn track_of(value: &Value) -> Option<Track> {
    let small = |key: &str| value[key].as_u64().and_then(|n| u32::try_from(n).ok());
    Some(Track {
        profile: value["profile"].as_str().map(str::to_owned),
        width: small("width"),
        height: small("height"),
        fps: value["fps"].as_f64(),
        bitrate_bps: value["bitrate_bps"].as_u64(),
        sample_rate_hz: small("sample_rate_hz"),
        channels: small("channels"),
        proven: value["proven"].as_bool()?,
        ..Track::new(Media::from_word(value["media"].as_str()?)?, value["codec"].as_str()?)
    })
}

fn reason_of(value: &Value, keys: &Keys) -> Option<Reason> {
    let grade = [Grade::Pass, Grade::Warn, Grade::Fail]
        .into_iter()
        .find(|grade| Some(grade.as_str()) == value["grade"].as_str())?;
    Some(Reason { grade, check: keys.get(value["check"].as_str()?)?, text: value["text"].as_str()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Reading, Verdict) {
        let mut reading = Reading { proven: Some(Depth::Media), ..Reading::default() };
        let mut track = Track::new(Media::Video, "h264");
        (track.width, track.fps, track.profile, track.proven) =
            (Some(640), Some(29.97), Some("High \"4:2:2\"".into()), true);
        reading.tracks = vec![track, Track::new(Media::Audio, "aac")];
        reading.text("server", "gibt's");
        reading.int("status_code", 200);
        reading.flag("cert_unchecked", true);
        reading.time("cert_expires_at", UtcMs(1_700_000_000_000));
        reading.facts.insert("loss_percent", FactValue::Num(2.0));
        let row = Row::new("/home").with("value", FactValue::Num(1.0)).with("unit", FactValue::Text("MB".into()));
        reading.rows("perfdata", vec![row, Row::new("/")]);
        let reasons = vec![Reason { grade: Grade::Warn, check: "warn_after", text: "took 9 ms".into() }];
        (reading, Verdict { grade: Grade::Warn, reasons })
    }

    #[test]
    fn there_and_back() {
        let (reading, verdict) = example();
        let (back, reasons) = parse(&text(&reading, &verdict), &Keys::default());
        assert_eq!((back, reasons), (reading, verdict.reasons));
    }

    #[test]
    fn nonsense_gives_nothing_and_keys_are_bounded() {
        let keys = Keys::default();
        for nonsense in ["", "{", "[]", "7", r#"{"tracks":[{}],"facts":{"a":null},"reasons":[{"grade":"x"}]}"#] {
            assert_eq!(parse(nonsense, &keys), (Reading::default(), vec![]), "{nonsense}");
        }
        let many: Map<String, Value> = (0..2 * MOST_KEYS).map(|n| (format!("key{n}"), json!(n))).collect();
        assert!(parse(&json!({ "facts": many }).to_string(), &keys).0.facts.len() <= MOST_KEYS);
    }

    #[test]
    fn counters_alone_are_no_reason_to_write() {
        let (mut reading, verdict) = example();
        let before = essence(&reading, &verdict);
        reading.int("status_code", 204);
        assert_eq!(essence(&reading, &verdict), before);
        reading.tracks[0].width = Some(1280);
        assert_ne!(essence(&reading, &verdict), before);
    }
}
