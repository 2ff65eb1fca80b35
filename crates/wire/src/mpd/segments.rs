//! Which segments a representation has at a given time: their numbers, times and names, however the manifest describes them.
//! Owns the arithmetic of ISO/IEC 23009-1, 5.3.9; all of it saturates.
//!
//! Never reads a clock and never resolves a URL.

use std::sync::Arc;

use super::template::{Values, fill};
use super::timeline::{Run, Timeline};
use crate::m3u8::ByteRange;

/// A resource or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Relative to the base URL; none for the base URL itself.
    pub uri: Option<String>,
    /// The part of it.
    pub range: Option<ByteRange>,
}

/// How segments are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One resource with everything (`SegmentBase`, or nothing at all).
    Single {
        /// Where its index is.
        index: Option<ByteRange>,
    },
    /// Names by a pattern.
    Template(String),
    /// A list.
    List(Arc<Vec<Part>>),
}

impl Default for Source {
    fn default() -> Self {
        Self::Single { index: None }
    }
}

/// Where the segments of a representation are and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    /// How they are found.
    pub source: Source,
    /// What must come before them; its name may be a pattern.
    pub init: Option<Part>,
    /// Ticks per second; not 0.
    pub timescale: u64,
    /// Media time, in ticks, that is the beginning of the period.
    pub time_offset: u64,
    /// Number of the first.
    pub start_number: u64,
    /// Number of the last, where it is written.
    pub end_number: Option<u64>,
    /// Duration of each, in ticks, where there is no timeline; not 0.
    pub duration: Option<u64>,
    /// Their times.
    pub timeline: Option<Arc<Timeline>>,
    /// By how many seconds they may be asked for before they are complete.
    pub availability_offset_s: f64,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            source: Source::default(),
            init: None,
            timescale: 1,
            time_offset: 0,
            start_number: 1,
            end_number: None,
            duration: None,
            timeline: None,
            availability_offset_s: 0.0,
        }
    }
}

/// What is known of the period that segments are looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    /// Seconds since it began; none when all of it is there.
    pub elapsed_s: Option<f64>,
    /// Its length in seconds.
    pub length_s: Option<f64>,
    /// How long segments stay, in seconds.
    pub window_s: Option<f64>,
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Place among all, from 0.
    pub index: u64,
    /// What `$Number$` stands for.
    pub number: u64,
    /// What `$Time$` stands for, in ticks.
    pub time: u64,
    /// Seconds from the beginning of the period.
    pub start_s: f64,
    /// Seconds; 0 when nothing says it.
    pub length_s: f64,
}

impl Segment {
    /// Seconds from the beginning of the period to its end.
    #[must_use]
    pub fn end_s(&self) -> f64 {
        self.start_s + self.length_s
    }
}

impl Segments {
    /// Whether the manifest lists segments one by one and must change when there are more.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.timeline.as_ref().is_some_and(|timeline| timeline.runs.last().is_none_or(|run| run.count.is_some()))
            || (self.timeline.is_none() && matches!(self.source, Source::List(_)))
    }

    /// The first segment that is there.
    #[must_use]
    pub fn first(&self, span: &Span) -> Option<Segment> {
        if self.timeline.is_some() {
            return self.segment(0, span);
        }
        let count = self.count(span);
        let oldest = match (span.elapsed_s, span.window_s, self.duration) {
            // The one that ends within the window.
            (Some(elapsed), Some(window), Some(ticks)) => whole((elapsed - window) * self.rate() / ticks as f64),
            _ => 0,
        };
        (count > 0).then(|| self.segment(oldest.min(count - 1), span))?
    }

    /// The newest segment that is complete, or may be asked for all the same.
    #[must_use]
    pub fn newest(&self, span: &Span) -> Option<Segment> {
        let Some(timeline) = &self.timeline else {
            return self.count(span).checked_sub(1).and_then(|index| self.segment(index, span));
        };
        timeline.runs.iter().rev().find_map(|run| {
            let there = self.due(run, span).unwrap_or(u64::MAX).min(self.run_count(run, span));
            there.checked_sub(1).map(|nth| self.of_run(run, nth))
        })
    }

    /// The last segment that the manifest lists, due or not; without a list the newest.
    #[must_use]
    pub fn last(&self, span: &Span) -> Option<Segment> {
        let Some(timeline) = &self.timeline else { return self.newest(span) };
        timeline.runs.iter().rev().find_map(|run| {
            let count = self.run_count(run, span);
            count.checked_sub(1).map(|nth| self.of_run(run, nth))
        })
    }

    /// The segment at a place.
    #[must_use]
    pub fn segment(&self, index: u64, span: &Span) -> Option<Segment> {
        if let Some(timeline) = &self.timeline {
            let run = timeline.runs.iter().rev().find(|run| run.index <= index)?;
            let nth = index - run.index;
            return (nth < self.run_count(run, span)).then(|| self.of_run(run, nth));
        }
        if index >= self.count(span) {
            return None;
        }
        let Some(ticks) = self.duration else {
            let length_s = span.length_s.unwrap_or(0.0);
            let time = self.time_offset;
            return Some(Segment { index, number: self.start_number, time, start_s: 0.0, length_s });
        };
        let before = ticks.saturating_mul(index);
        let (start_s, length_s) = (before as f64 / self.rate(), ticks as f64 / self.rate());
        // The last one of a period ends with it.
        let length_s = span.length_s.map_or(length_s, |length| length_s.min((length - start_s).max(0.0)));
        let number = self.start_number.saturating_add(index);
        Some(Segment { index, number, time: self.time_offset.saturating_add(before), start_s, length_s })
    }

    /// How many segments there are, from the first of the period to the newest.
    #[must_use]
    pub fn count(&self, span: &Span) -> u64 {
        if self.timeline.is_some() {
            return self.last(span).map_or(0, |last| last.index.saturating_add(1));
        }
        let mut bounds = Vec::new();
        if let Source::List(parts) = &self.source {
            bounds.push(parts.len() as u64);
        }
        if let Some(end) = self.end_number {
            bounds.push(end.saturating_add(1).saturating_sub(self.start_number));
        }
        match self.duration {
            Some(ticks) => {
                let per_s = self.rate() / ticks as f64;
                bounds.extend(span.length_s.map(|length| whole((length * per_s - 1e-6).ceil())));
                let early = if bounds.is_empty() { self.bounded_offset() } else { self.availability_offset_s };
                bounds.extend(span.elapsed_s.map(|elapsed| whole((elapsed + early) * per_s)));
            }
            None => bounds.push(1),
        }
        // Of a pattern without any end the first segment is all that is known.
        bounds.into_iter().min().unwrap_or(1)
    }

    /// Where a segment is; what is wrong with its name as half a sentence.
    ///
    /// # Errors
    /// When the pattern cannot be filled in or the list has no such segment.
    pub fn part(&self, segment: &Segment, representation: &str, bandwidth: Option<u64>) -> Result<Part, String> {
        match &self.source {
            Source::Single { .. } => Ok(Part::default()),
            Source::List(parts) => {
                let found = usize::try_from(segment.index).ok().and_then(|index| parts.get(index));
                found.cloned().ok_or_else(|| "the list is shorter than its timeline".to_owned())
            }
            Source::Template(template) => {
                let Segment { number, time, .. } = *segment;
                let uri = fill(template, &Values { representation, bandwidth, number, time })?;
                Ok(Part { uri: Some(uri), range: None })
            }
        }
    }

    /// What must come before the segments.
    ///
    /// # Errors
    /// When the pattern of its name cannot be filled in, as half a sentence.
    pub fn init_part(&self, representation: &str, bandwidth: Option<u64>) -> Result<Option<Part>, String> {
        let Some(part) = &self.init else { return Ok(None) };
        let (Source::Template(_), Some(uri)) = (&self.source, &part.uri) else { return Ok(Some(part.clone())) };
        let values = Values { representation, bandwidth, number: self.start_number, time: self.time_offset };
        Ok(Some(Part { uri: Some(fill(uri, &values)?), range: part.range }))
    }

    /// When a media time comes, in seconds from the beginning of the period.
    #[must_use]
    pub fn seconds(&self, ticks: u64) -> f64 {
        (ticks as f64 - self.time_offset as f64) / self.rate()
    }

    fn rate(&self) -> f64 {
        self.timescale.max(1) as f64
    }

    /// The offset of availability where it alone must not decide how much there is.
    fn bounded_offset(&self) -> f64 {
        if self.availability_offset_s.is_finite() { self.availability_offset_s } else { 0.0 }
    }

    /// How many segments a run has.
    fn run_count(&self, run: &Run, span: &Span) -> u64 {
        if let Some(count) = run.count {
            return count;
        }
        let until = |seconds: f64| seconds * self.rate() + self.time_offset as f64 - run.time as f64;
        let in_period = span.length_s.map(|length| whole((until(length) / run.duration as f64 - 1e-6).ceil()));
        let due = span.elapsed_s.map(|elapsed| whole(until(elapsed + self.bounded_offset()) / run.duration as f64));
        in_period.into_iter().chain(due).min().unwrap_or(1)
    }

    /// How many segments of a run may be asked for; none when all of them.
    fn due(&self, run: &Run, span: &Span) -> Option<u64> {
        let elapsed = span.elapsed_s?;
        let ticks = (elapsed + self.availability_offset_s) * self.rate() + self.time_offset as f64 - run.time as f64;
        // Half a tick: times are rounded to ticks.
        Some(whole((ticks + 0.5) / run.duration as f64))
    }

    fn of_run(&self, run: &Run, nth: u64) -> Segment {
        let (index, time) = (run.index.saturating_add(nth), run.time_of(nth));
        let number = run.number.map_or(self.start_number.saturating_add(index), |number| number.saturating_add(nth));
        let length_s = run.duration as f64 / self.rate();
        Segment { index, number, time, start_s: self.seconds(time), length_s }
    }
}

/// Rounds down; what is negative or no number is 0.
fn whole(value: f64) -> u64 {
    value.floor() as u64
}

#[cfg(test)]
mod tests {
    use super::super::timeline::Written;
    use super::*;

    fn by_duration() -> Segments {
        let source = Source::Template("$RepresentationID$-$Number$-$Time$.m4s".into());
        Segments { source, timescale: 10, duration: Some(20), start_number: 5, ..Segments::default() }
    }

    fn by_timeline(runs: &[(Option<u64>, u64, i64)]) -> Segments {
        let written = runs.iter().map(|&(time, duration, repeat)| Written {
            time,
            duration: Some(duration),
            repeat,
            number: None,
        });
        let timeline = Timeline::read(written, |_| ()).map(Arc::new);
        Segments { duration: None, timeline, ..by_duration() }
    }

    fn live(elapsed_s: f64) -> Span {
        Span { elapsed_s: Some(elapsed_s), ..Span::default() }
    }

    fn brief(segment: Option<Segment>) -> Option<(u64, u64, f64, f64)> {
        segment.map(|s| (s.number, s.time, s.start_s, s.length_s))
    }

    #[test]
    fn numbers_go_by_the_clock() {
        let segments = by_duration();
        assert_eq!(brief(segments.newest(&live(1.9))), None);
        assert_eq!(brief(segments.newest(&live(2.0))), Some((5, 0, 0.0, 2.0)));
        assert_eq!(brief(segments.newest(&live(7.9))), Some((7, 40, 4.0, 2.0)));
        assert_eq!(brief(segments.newest(&live(-3.0))), None);
        let windowed = Span { window_s: Some(4.0), ..live(20.0) };
        assert_eq!(brief(segments.first(&windowed)), Some((13, 160, 16.0, 2.0)));
        let early = Segments { availability_offset_s: 1.5, ..by_duration() };
        assert_eq!(brief(early.newest(&live(2.5))), Some((6, 20, 2.0, 2.0)));
        let endless = Segments { availability_offset_s: f64::INFINITY, ..by_duration() };
        assert_eq!(brief(endless.newest(&live(2.5))), Some((5, 0, 0.0, 2.0)));
    }

    #[test]
    fn a_period_ends_and_so_do_its_segments() {
        let segments = by_duration();
        let span = Span { length_s: Some(5.0), ..Span::default() };
        assert_eq!((segments.count(&span), brief(segments.newest(&span))), (3, Some((7, 40, 4.0, 1.0))));
        assert_eq!(segments.count(&Span { length_s: Some(6.0), ..Span::default() }), 3);
        let ended = Segments { end_number: Some(6), ..by_duration() };
        assert_eq!(brief(ended.newest(&live(100.0))).map(|s| s.0), Some(6));
        assert_eq!(segments.count(&Span::default()), 1, "without any end only the first is known");
        assert_eq!(segments.segment(3, &span), None);
    }

    #[test]
    fn timelines_are_counted() {
        let segments = by_timeline(&[(Some(100), 20, 2), (Some(200), 10, -1)]);
        assert!(!segments.is_listed());
        assert_eq!(brief(segments.first(&live(99.0))), Some((5, 100, 10.0, 2.0)));
        assert_eq!(brief(segments.newest(&live(15.0))), Some((6, 120, 12.0, 2.0)));
        assert_eq!(brief(segments.newest(&live(22.5))), Some((9, 210, 21.0, 1.0)));
        let ended = Span { length_s: Some(24.5), ..Span::default() };
        assert_eq!(brief(segments.newest(&ended)), Some((12, 240, 24.0, 1.0)));
        assert_eq!(segments.count(&ended), 8);
        assert_eq!(brief(segments.segment(4, &ended)), Some((9, 210, 21.0, 1.0)));
        let listed = by_timeline(&[(Some(100), 20, 2)]);
        assert!(listed.is_listed());
        assert_eq!(brief(listed.newest(&live(0.0))), None, "nothing is due");
        assert_eq!(brief(listed.last(&live(0.0))).map(|s| s.0), Some(7));
        let shifted = Segments { time_offset: 100, ..listed };
        assert_eq!(brief(shifted.newest(&live(4.0))), Some((6, 120, 2.0, 2.0)));
    }

    #[test]
    fn segments_have_names() {
        let segments = by_duration();
        let segment = segments.newest(&live(7.9)).expect("one is due");
        let part = segments.part(&segment, "v1", Some(9)).expect("a good pattern");
        assert_eq!(part.uri.as_deref(), Some("v1-7-40.m4s"));
        let list = Segments { source: Source::List(Arc::new(vec![Part::default()])), ..by_duration() };
        assert_eq!(list.part(&segment, "v1", None), Err("the list is shorter than its timeline".to_owned()));
        assert_eq!(list.count(&live(99.0)), 1);
        let init = Part { uri: Some("$RepresentationID$.mp4".into()), range: None };
        let with_init = Segments { init: Some(init), ..by_duration() };
        assert_eq!(with_init.init_part("v1", None).map(|p| p.and_then(|p| p.uri)), Ok(Some("v1.mp4".to_owned())));
    }
}
