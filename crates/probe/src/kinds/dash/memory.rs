//! What one look tells the next about a stream: how far it was and since when, so that standing still, going back, leaving
//! out and dropping too early are seen. Owns the comparison; reads no clock.
//!
//! A probe lives as long as the target's settings stay the same, and so does its memory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::super::hls::lint::{Found, seconds, warning};

/// Streams of one target that are remembered: eight of pictures and eight of sound, and some that went.
const MAX_REMEMBERED: usize = 32;
/// Times are rounded to ticks by everybody: what is nearer than this is the same.
const SAME_S: f64 = 0.1;

/// How far a stream was, in seconds of the presentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    /// When the presentation began, in milliseconds since 1970.
    pub(super) epoch_ms: i64,
    /// When the oldest segment begins.
    pub(super) first_s: f64,
    /// When the newest one ends.
    pub(super) last_s: f64,
    /// Longest segment.
    pub(super) segment_s: f64,
    /// How long segments are to stay.
    pub(super) declared_s: Option<f64>,
}

impl Position {
    fn window_s(&self) -> f64 {
        self.last_s - self.first_s
    }

    /// Whether the stream went on, or began anew, between `before` and this.
    pub(super) fn has_moved(&self, before: &Self) -> bool {
        self.epoch_ms != before.epoch_ms || (self.last_s - before.last_s).abs() > 0.001
    }
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    position: Position,
    seen_at: Instant,
    changed_at: Instant,
}

/// Positions by stream.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Remembered>);

/// What the memory says of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Recalled {
    /// How long it has stood still at least.
    pub(super) still: Duration,
    pub(super) found: Vec<Found>,
}

impl Memory {
    /// Compares with the look before, and remembers this one; `None` when there is nothing to compare with.
    pub(super) fn recall(&mut self, key: &str, position: Position, now: Instant) -> Option<Recalled> {
        let before = self.0.get(key).copied();
        let moved = before.is_none_or(|before| position.has_moved(&before.position));
        let changed_at = before.filter(|_| !moved).map_or(now, |before| before.changed_at);
        if before.is_none() && self.0.len() == MAX_REMEMBERED {
            // Names that change at each look: the oldest one will not come again.
            let oldest = self.0.iter().min_by_key(|(_, known)| known.seen_at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.0.remove(&key));
        }
        self.0.insert(key.to_owned(), Remembered { position, seen_at: now, changed_at });
        let before = before?;
        let found = compare(&before.position, &position, now.saturating_duration_since(before.seen_at));
        Some(Recalled { still: now.saturating_duration_since(changed_at), found })
    }
}

/// What is wrong between two states of a stream, `elapsed` apart.
fn compare(before: &Position, now: &Position, elapsed: Duration) -> Vec<Found> {
    if now.epoch_ms != before.epoch_ms {
        let by = (now.epoch_ms as f64 - before.epoch_ms as f64) / 1_000.0;
        let sign = if by < 0.0 { "-" } else { "+" };
        let text = format!("the presentation began anew: availabilityStartTime changed by {sign}{}", seconds(by.abs()));
        return vec![warning("availability_start_changed", text)];
    }
    let mut found = Vec::new();
    if now.last_s < before.last_s - SAME_S {
        let (was, is) = (seconds(before.last_s), seconds(now.last_s));
        let text = format!("the timeline went back: it ended at {was} before, at {is} now");
        return vec![warning("timeline_regression", text)];
    }
    // Who looks seldom misses segments that were listed; only within the window that was listed is it the stream's fault.
    if now.first_s > before.last_s + SAME_S && elapsed.as_secs_f64() < before.window_s() {
        let text = format!(
            "media from {} to {} was never listed, although the looks were only {} apart",
            seconds(before.last_s),
            seconds(now.first_s),
            seconds(elapsed.as_secs_f64())
        );
        found.push(warning("timeline_left_out", text));
    }
    // While a stream is young its window only grows; one that is short and loses its oldest segment stays short.
    let dropped = now.first_s > before.first_s + SAME_S;
    if let Some(declared) = now.declared_s.filter(|declared| dropped && now.window_s() + now.segment_s < *declared) {
        let is = seconds(now.window_s());
        let text = format!("segments of the last {is} are there, timeShiftBufferDepth says {}", seconds(declared));
        found.push(warning("window_short", text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(first_s: f64, last_s: f64) -> Position {
        Position { epoch_ms: 0, first_s, last_s, segment_s: 2.0, declared_s: Some(10.0) }
    }

    fn second(before: Position, now: Position, elapsed_s: u64) -> Vec<String> {
        let (mut memory, began) = (Memory::default(), Instant::now());
        assert_eq!(memory.recall("k", before, began), None);
        let recalled = memory.recall("k", now, began + Duration::from_secs(elapsed_s)).expect("there is a look before");
        recalled.found.into_iter().map(|found| format!("{}: {}", found.name, found.text)).collect()
    }

    #[test]
    fn a_stream_that_goes_on_has_no_findings() {
        for (first, elapsed_s) in [(11.0, 2), (14.0, 4), (100.0, 60), (10.0, 2)] {
            assert_eq!(second(at(10.0, 20.0), at(first, first + 10.0), elapsed_s), [""; 0], "{first}");
        }
        assert_eq!(second(at(0.0, 4.0), at(0.0, 6.0), 2), [""; 0], "a young window grows");
    }

    #[test]
    fn values_are_said() {
        let restarted = Position { epoch_ms: -1_500, ..at(0.0, 2.0) };
        let words = "availability_start_changed: the presentation began anew: availabilityStartTime changed by -1.5 s";
        assert_eq!(second(at(10.0, 20.0), restarted, 2), [words]);
        let words = "timeline_regression: the timeline went back: it ended at 20 s before, at 4 s now";
        assert_eq!(second(at(10.0, 20.0), at(0.0, 4.0), 2), [words]);
        let words =
            "timeline_left_out: media from 20 s to 24 s was never listed, although the looks were only 4 s apart";
        assert_eq!(second(at(10.0, 20.0), at(24.0, 34.0), 4), [words]);
        assert_eq!(second(at(10.0, 20.0), at(24.0, 34.0), 11), [""; 0]);
        let words = "window_short: segments of the last 6 s are there, timeShiftBufferDepth says 10 s";
        assert_eq!(second(at(10.0, 16.0), at(12.0, 18.0), 2), [words]);
    }

    #[test]
    fn standing_still_is_counted_from_the_look_that_saw_the_change() {
        let (mut memory, began) = (Memory::default(), Instant::now());
        let mut still = |last, at_s| {
            let recalled = memory.recall("k", at(last - 10.0, last), began + Duration::from_secs(at_s));
            recalled.map(|r| r.still.as_secs())
        };
        assert_eq!([still(20.0, 0), still(20.0, 3), still(22.0, 5), still(22.0, 9)], [None, Some(3), Some(0), Some(4)]);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut memory, began) = (Memory::default(), Instant::now());
        for n in 0..100 {
            memory.recall(&format!("k{n}"), at(0.0, 2.0), began + Duration::from_secs(n));
        }
        assert_eq!(memory.0.len(), MAX_REMEMBERED);
        assert!(memory.0.contains_key("k99") && !memory.0.contains_key("k0"));
    }
}
