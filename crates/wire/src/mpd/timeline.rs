//! `SegmentTimeline`: runs of segments of equal duration. Owns their numbering, and where they leave gaps or overlap.
//!
//! Never knows a period or a clock: a run that goes on is counted by whoever knows them.

/// Most runs of one timeline: a day of segments of two seconds that all differ.
pub const MAX_RUNS: usize = 50_000;

/// Segments of equal duration, one behind the other (`S`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When the first begins, in ticks.
    pub time: u64,
    /// Duration of each, in ticks; not 0.
    pub duration: u64,
    /// How many. None: until the end of the period or of what there is.
    pub count: Option<u64>,
    /// Index of the first among all segments of the timeline.
    pub index: u64,
    /// Number of the first, where the timeline says it.
    pub number: Option<u64>,
}

impl Run {
    /// When the `nth` of its segments begins, in ticks.
    #[must_use]
    pub fn time_of(&self, nth: u64) -> u64 {
        self.time.saturating_add(self.duration.saturating_mul(nth))
    }
}

/// One `S` as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) time: Option<u64>,
    pub(super) duration: Option<u64>,
    pub(super) repeat: i64,
    pub(super) number: Option<u64>,
}

/// All runs in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Only the last one may have no count.
    pub runs: Vec<Run>,
}

/// Where a run does not begin where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seam {
    /// When the run before ends, in ticks.
    pub end: u64,
    /// When the run begins, in ticks.
    pub begin: u64,
}

impl Timeline {
    /// Puts runs together; notes what is wrong with them. None when there are too many.
    pub(super) fn read(written: impl Iterator<Item = Written>, mut slip: impl FnMut(&'static str)) -> Option<Self> {
        let mut timeline = Self::default();
        let mut written = written.peekable();
        // Where the next run begins when it does not say so; none behind a run without end.
        let (mut time, mut index, mut number) = (Some(0u64), 0u64, None);
        while let Some(next) = written.next() {
            if timeline.runs.len() == MAX_RUNS {
                return None;
            }
            let Some(duration) = next.duration.filter(|duration| *duration > 0) else {
                slip("an S without a duration");
                continue;
            };
            let Some(begin) = next.time.or(time) else {
                slip("an S without a time behind one that is repeated without end");
                break;
            };
            number = next.number.or(number);
            let following = written.peek().and_then(|following| following.time);
            let count = match (u64::try_from(next.repeat), following) {
                (Ok(repeat), _) => Some(repeat.saturating_add(1)),
                (Err(_), Some(until)) => Some(until.saturating_sub(begin).div_ceil(duration)),
                (Err(_), None) => None,
            };
            timeline.runs.push(Run { time: begin, duration, count, index, number });
            time = count.map(|count| begin.saturating_add(duration.saturating_mul(count)));
            index = index.saturating_add(count.unwrap_or(0));
            number = number.zip(count).map(|(number, count)| number.saturating_add(count));
        }
        Some(timeline)
    }

    /// Where runs do not follow from one another, to the tick.
    pub fn seams(&self) -> impl Iterator<Item = Seam> {
        self.runs.windows(2).filter_map(|pair| {
            let seam = Seam { end: pair[0].time_of(pair[0].count?), begin: pair[1].time };
            (seam.end != seam.begin).then_some(seam)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(time: Option<u64>, duration: u64, repeat: i64) -> Written {
        Written { time, duration: Some(duration), repeat, number: None }
    }

    /// Time, duration, count and index.
    type Brief = (u64, u64, Option<u64>, u64);

    fn read(written: &[Written]) -> (Vec<Brief>, usize) {
        let mut slips = 0;
        let timeline = Timeline::read(written.iter().copied(), |_| slips += 1).expect("few runs");
        (timeline.runs.iter().map(|r| (r.time, r.duration, r.count, r.index)).collect(), slips)
    }

    #[test]
    fn runs_follow_from_one_another() {
        let (runs, slips) = read(&[s(Some(10), 4, 2), s(None, 5, 0), s(Some(100), 5, -1), s(Some(112), 5, -1)]);
        assert_eq!(runs, [(10, 4, Some(3), 0), (22, 5, Some(1), 3), (100, 5, Some(3), 4), (112, 5, None, 7)]);
        assert_eq!(slips, 0);
    }

    #[test]
    fn nonsense_is_noted() {
        assert_eq!(read(&[s(None, 0, 0), s(None, 2, 0)]), (vec![(0, 2, Some(1), 0)], 1));
        assert_eq!(read(&[s(None, 2, -1), s(None, 2, 0), s(None, 2, 0)]), (vec![(0, 2, None, 0)], 1));
        assert_eq!(Timeline::read(std::iter::repeat_n(s(None, 1, 0), MAX_RUNS + 1), |_| ()), None);
        let (runs, _) = read(&[s(Some(u64::MAX), u64::MAX, i64::MAX), s(None, 1, 0)]);
        assert_eq!(runs[1].0, u64::MAX);
    }

    #[test]
    fn gaps_and_overlaps_are_seams() {
        let runs = [s(Some(0), 10, 1), s(Some(20), 10, 0), s(Some(35), 10, 0), s(Some(40), 10, 0)];
        let timeline = Timeline::read(runs.into_iter(), |_| ()).expect("few runs");
        let seams: Vec<_> = timeline.seams().map(|seam| (seam.end, seam.begin)).collect();
        assert_eq!(seams, [(30, 35), (45, 40)]);
    }

    #[test]
    fn numbers_may_be_written() {
        let runs = [s(None, 1, 1), Written { number: Some(50), ..s(None, 1, 1) }, s(None, 1, 0)];
        let timeline = Timeline::read(runs.into_iter(), |_| ()).expect("few runs");
        let numbers: Vec<_> = timeline.runs.iter().map(|run| run.number).collect();
        assert_eq!(numbers, [None, Some(50), Some(52)]);
    }
}
