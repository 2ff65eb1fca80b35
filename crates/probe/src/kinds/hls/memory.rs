//! What one look tells the next about a playlist: how far it was and since when, so that standing still, going back and
//! leaving out are seen. Owns the comparison; reads no clock.
//!
//! A probe lives as long as the target's settings stay the same, and so does its memory. The time since a change is
//! counted from the look that saw it first: the true time is never shorter than what is said.

use std::collections::BTreeMap;
use std::time::Duration;

use model::reading::Severity;
use tokio::time::Instant;
use wire::m3u8::MediaPlaylist;

use super::lint::{Found, seconds};

/// Playlists of one target that are remembered: eight variants and their sound.
const MAX_REMEMBERED: usize = 32;

/// A segment whose discontinuity number changed. Players line up variants and sound by these numbers (RFC 8216, 6.2.4); where
/// there is nothing to line up it harms nobody, and nginx-rtmp counts wrongly whenever a publisher has come back.
const MISNUMBERED: &str = "discontinuity_sequence_error";

/// How far a playlist was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    first: u64,
    last: u64,
    /// Partial segments behind the last.
    parts: usize,
    /// Discontinuity number of the last segment.
    discontinuity: u64,
    /// Declared duration of all of it, in seconds.
    window_s: f64,
}

impl Position {
    /// Where a playlist stands; `None` when it lists nothing.
    pub(super) fn of(list: &MediaPlaylist) -> Option<Self> {
        let last = list.segments.last()?;
        Some(Self {
            first: list.media_sequence,
            last: list.last_number()?,
            parts: list.parts,
            discontinuity: last.discontinuity,
            window_s: list.duration_s(),
        })
    }

    /// Whether the stream went on, or began anew, between `before` and this.
    pub(super) fn has_moved(&self, before: &Self) -> bool {
        (self.last, self.parts) != (before.last, before.parts)
    }
}

/// A playlist as it was.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    position: Position,
    seen_at: Instant,
    changed_at: Instant,
}

/// Positions by playlist.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Remembered>);

/// What the memory says of a playlist.
#[derive(Debug, PartialEq)]
pub(super) struct Recalled {
    /// Whether it moved since the look before.
    pub(super) moved: bool,
    /// How long it has stood still at least.
    pub(super) still: Duration,
    pub(super) found: Vec<Found>,
}

impl Memory {
    /// Compares with the look before, and remembers this one; `None` when there is nothing to compare with. The key is empty for
    /// a playlist that stands alone.
    pub(super) fn recall(&mut self, key: &str, list: &MediaPlaylist, now: Instant) -> Option<Recalled> {
        let position = Position::of(list)?;
        let before = self.0.get(key).copied();
        let moved = before.is_none_or(|before| position.has_moved(&before.position));
        let changed_at = before.filter(|_| !moved).map_or(now, |before| before.changed_at);
        if before.is_some() || self.0.len() < MAX_REMEMBERED {
            self.0.insert(key.to_owned(), Remembered { position, seen_at: now, changed_at });
        }
        let before = before?;
        let mut found = compare(&before.position, list, &position, now.saturating_duration_since(before.seen_at));
        if key.is_empty() {
            found
                .iter_mut()
                .filter(|found| found.name == MISNUMBERED)
                .for_each(|found| found.severity = Severity::Note);
        }
        Some(Recalled { moved, still: now.saturating_duration_since(changed_at), found })
    }
}

/// What is wrong between two states of a playlist, `elapsed` apart.
fn compare(before: &Position, list: &MediaPlaylist, now: &Position, elapsed: Duration) -> Vec<Found> {
    let mut found = Vec::new();
    let mut warn = |name, text| found.push(Found { name, severity: Severity::Warning, text });
    if now.last < before.last || now.first < before.first {
        let text = format!(
            "the media sequence went back: segments {} to {} were listed before, {} to {} are now",
            before.first, before.last, now.first, now.last
        );
        warn("media_sequence_regression", text);
        return found;
    }
    // Who looks seldom misses segments that were listed; only within the window that was listed is it the stream's fault.
    if now.first > before.last.saturating_add(1) && elapsed.as_secs_f64() < before.window_s {
        let text = format!(
            "segments {} to {} were never listed: the playlist ended at {} and begins at {} only {} later",
            before.last + 1,
            now.first - 1,
            before.last,
            now.first,
            seconds(elapsed.as_secs_f64())
        );
        warn("media_sequence_gap", text);
    }
    let common = before.last.checked_sub(now.first).and_then(|index| usize::try_from(index).ok());
    let same = common.and_then(|index| list.segments.get(index));
    if let Some(segment) = same.filter(|segment| segment.discontinuity != before.discontinuity) {
        let text = format!(
            "segment {} had the discontinuity number {} before and has {} now",
            before.last, before.discontinuity, segment.discontinuity
        );
        warn(MISNUMBERED, text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::lint::tests::{list, live, names};
    use super::*;

    fn second(before: &str, now: &str, elapsed_s: u64) -> Recalled {
        let mut memory = Memory::default();
        let began = Instant::now();
        assert_eq!(memory.recall("k", &list(before), began), None);
        memory.recall("k", &list(now), began + Duration::from_secs(elapsed_s)).expect("there is a look before")
    }

    #[test]
    fn a_stream_that_goes_on_has_no_findings() {
        for (first, elapsed_s) in [(11, 2), (12, 4), (60, 100), (10, 2)] {
            let seen = second(&live(10, 5), &live(first, 5), elapsed_s);
            assert_eq!((seen.moved, seen.found.as_slice()), (first != 10, [].as_slice()), "{first}");
        }
    }

    #[test]
    fn standing_still_is_counted_from_the_look_that_saw_the_change() {
        let mut memory = Memory::default();
        let began = Instant::now();
        let mut still = |first, at| {
            let recalled = memory.recall("k", &list(&live(first, 5)), began + Duration::from_secs(at));
            recalled.map(|r| (r.moved, r.still.as_secs()))
        };
        assert_eq!(still(10, 0), None);
        assert_eq!(still(10, 3), Some((false, 3)));
        assert_eq!(still(11, 5), Some((true, 0)));
        assert_eq!(still(11, 9), Some((false, 4)));
        let parts = format!("{}#EXT-X-PART:DURATION=0.3,URI=\"p\"\n", live(11, 5));
        let moved = memory.recall("k", &list(&parts), began + Duration::from_secs(12)).map(|r| r.moved);
        assert_eq!(moved, Some(true), "a partial segment is an advance");
    }

    #[test]
    fn going_back_and_leaving_out() {
        assert_eq!(names(&second(&live(40, 5), &live(0, 3), 2).found), ["media_sequence_regression"]);
        assert_eq!(names(&second(&live(10, 5), &live(9, 5), 2).found), ["media_sequence_regression"]);
        // Five segments of two seconds: within ten seconds the end of the window cannot be left behind.
        let gap = second(&live(10, 5), &live(18, 5), 4);
        assert_eq!(names(&gap.found), ["media_sequence_gap"]);
        assert!(gap.found[0].text.starts_with("segments 15 to 17 were never listed"), "{gap:?}");
        assert_eq!(names(&second(&live(10, 5), &live(18, 5), 11).found), [""; 0]);
    }

    #[test]
    fn discontinuity_numbers_stay_with_their_segments() {
        let tagged = |number: u32, first: u32, inside: &str| {
            format!("#EXT-X-DISCONTINUITY-SEQUENCE:{number}\n{}{inside}#EXTINF:2.0,\nlast.ts\n", live(first, 3))
        };
        let good = second(&tagged(3, 10, "#EXT-X-DISCONTINUITY\n"), &live_after(13, 4), 6);
        assert_eq!(names(&good.found), [""; 0]);
        let bad = second(&tagged(3, 10, ""), &tagged(4, 12, ""), 4);
        assert_eq!(names(&bad.found), ["discontinuity_sequence_error"]);
        assert_eq!(bad.found[0].severity, Severity::Warning, "variants are lined up by it");
        let mut alone = Memory::default();
        alone.recall("", &list(&tagged(3, 10, "")), Instant::now());
        let bad = alone.recall("", &list(&tagged(4, 12, "")), Instant::now()).expect("there is a look before");
        assert_eq!((names(&bad.found), bad.found[0].severity), (vec![MISNUMBERED], Severity::Note));
        let same = second(&tagged(3, 10, ""), &tagged(3, 12, ""), 4);
        assert_eq!(names(&same.found), [""; 0]);
    }

    /// The discontinuity has left the playlist, and its number counts it.
    fn live_after(first: u32, number: u32) -> String {
        format!("#EXT-X-DISCONTINUITY-SEQUENCE:{number}\n{}", live(first, 3))
    }
}
