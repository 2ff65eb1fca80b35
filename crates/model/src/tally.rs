//! What was counted since the process started, for those who want figures that only grow. Counted by the engine where it
//! judges, once each, and carried by the Board: nobody has to follow events, so that nothing is missed or counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::FaultKind;
use crate::observation::Observation;
use crate::phase::Phase;
use crate::reading::fact;
use crate::verdict::{Grade, Verdict};

/// Upper bounds of the buckets of a [`Histogram`], in seconds: from a reply of a neighbour to a deadline of half a minute.
/// What took longer is in a bucket of its own.
pub const BUCKETS_S: [f64; 13] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Kinds of faults.
pub const FAULTS: usize = FaultKind::ALL.len();

/// How often how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Durations by bucket, each in one; the last one holds what is beyond all bounds.
    pub counts: [u64; BUCKETS_S.len() + 1],
    /// All durations together.
    pub sum: Duration,
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS_S.len());
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

/// Looks by how they were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grades {
    /// As expected.
    pub pass: u64,
    /// With something to look at.
    pub warn: u64,
    /// Failed.
    pub fail: u64,
}

impl Grades {
    fn add(&mut self, grade: Grade) {
        *match grade {
            Grade::Pass => &mut self.pass,
            Grade::Warn => &mut self.warn,
            Grade::Fail => &mut self.fail,
        } += 1;
    }
}

/// What was counted of one target since it is watched by this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Looks that were judged, judgements of a held session among them.
    pub looks: Grades,
    /// Faults that ended them, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FAULTS],
    /// Incidents that were opened.
    pub incidents: u64,
}

/// What was counted of all targets of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindTally {
    /// Looks that were judged, judgements of a held session among them.
    pub looks: Grades,
    /// How long looks took, and how long sessions took to be opened. Of a round with several attempts, the last one.
    pub took: Histogram,
    /// The same by phase.
    pub phases: BTreeMap<Phase, Histogram>,
}

/// What was counted of everything, targets that are gone included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By name of the kind.
    pub kinds: BTreeMap<&'static str, KindTally>,
    /// Faults that ended looks, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FAULTS],
    /// Incidents that were opened.
    pub incidents: u64,
}

impl Tally {
    /// Counts a look that was judged, here and for its target. The durations of one that tells of a held session are those of
    /// its opening, which [`Tally::opened`] has counted.
    pub fn judged(&mut self, kind: &'static str, counts: &mut Counts, seen: &Observation, verdict: &Verdict) {
        counts.looks.add(verdict.grade);
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.looks.add(verdict.grade);
        if let Some(fault) = &seen.look.fault {
            let place = fault.kind as usize;
            counts.faults[place] += 1;
            self.faults[place] += 1;
        }
        if !seen.look.reading.facts.contains_key(fact::HELD_FOR_S) {
            of_kind.add(seen);
        }
    }

    /// Counts how long it took until media flowed in a session.
    pub fn opened(&mut self, kind: &'static str, seen: &Observation) {
        self.kinds.entry(kind).or_default().add(seen);
    }

    /// Counts an incident, here and for its target.
    pub fn incident(&mut self, counts: &mut Counts) {
        counts.incidents += 1;
        self.incidents += 1;
    }
}

impl KindTally {
    fn add(&mut self, seen: &Observation) {
        self.took.add(seen.took);
        for (phase, took) in seen.look.phases.iter() {
            self.phases.entry(phase).or_default().add(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::observation::Look;
    use crate::target::TargetId;
    use crate::time::UtcMs;
    use crate::verdict::judge;

    #[test]
    fn words_of_faults_are_in_the_order_of_their_numbers() {
        for (place, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place, "{kind}");
        }
        assert!(BUCKETS_S.is_sorted());
    }

    #[test]
    fn a_look_is_counted_once_in_its_bucket_and_a_held_one_without_durations() {
        let mut look = Look::default();
        look.phases.add(Phase::Connect, Duration::from_millis(5));
        look.phases.add(Phase::Media, Duration::from_secs(31));
        look.fault = Some(Fault::new(FaultKind::NoMedia, Phase::Media, "none"));
        let target = TargetId::parse("t").expect("valid");
        let mut seen = Observation { target, at: UtcMs(0), took: Duration::from_secs(31), attempts: 2, look };
        let verdict = judge(&crate::expect::Expectations::default(), &seen);
        let (mut tally, mut counts) = (Tally::default(), Counts::default());
        tally.judged("rtsp", &mut counts, &seen, &verdict);
        seen.look.reading.int(fact::HELD_FOR_S, 7);
        tally.judged("rtsp", &mut counts, &seen, &verdict);
        tally.incident(&mut counts);
        let of = &tally.kinds["rtsp"];
        assert_eq!((of.looks.fail, of.took.counts[BUCKETS_S.len()], of.took.sum), (2, 1, Duration::from_secs(31)));
        assert_eq!(of.phases[&Phase::Connect].counts[1], 1, "a bound belongs to its bucket");
        let place = FaultKind::NoMedia as usize;
        assert_eq!((counts.looks.fail, counts.faults[place], tally.faults[place]), (2, 2, 2));
        assert_eq!((counts.incidents, tally.incidents), (1, 1));
        tally.opened("rtsp", &seen);
        assert_eq!(tally.kinds["rtsp"].took.counts.iter().sum::<u64>(), 2);
    }
}
