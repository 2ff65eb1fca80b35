//! Random histories against a model so simple that it is right by looking at it: lists, and one step per 100 ms.

use std::collections::BTreeMap;
use std::time::Duration;

use model::status::Status;
use model::time::UtcMs;
use proptest::prelude::*;
use store::{Resolution, Store, Write};

use crate::common::{NOON, Place, SOON, change, id, look, ms};

/// Times are multiples of this, so that stepping by it misses nothing.
const STEP: i64 = 100;
const TARGETS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Op {
    Look {
        target: usize,
        letter: char,
        took: u64,
    },
    Change {
        target: usize,
        to: Status,
    },
    /// The wall clock moves, also backwards.
    Move(i64),
    Restart,
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    let target = 0..TARGETS.len();
    prop_oneof![
        8 => (target.clone(), prop::sample::select(vec!['p', 'w', 'f']), 1..2_000_u64)
            .prop_map(|(target, letter, took)| Op::Look { target, letter, took }),
        4 => (target, prop::sample::select(Status::ALL)).prop_map(|(target, to)| Op::Change { target, to }),
        8 => (1..600_i64).prop_map(|n| Op::Move(n * STEP)),
        1 => (-900..0_i64).prop_map(|n| Op::Move(n * STEP)),
        1 => Just(Op::Restart),
        1 => Just(Op::Flush),
    ]
}

#[derive(Default)]
struct Naive {
    looks: Vec<(i64, char, u64)>,
    changes: Vec<(i64, Status)>,
}

impl Naive {
    fn change(&mut self, at: i64, to: Status) {
        let (last_at, last) = self.changes.last().copied().unwrap_or((i64::MIN, Status::Unknown));
        if self.changes.is_empty() || last != to {
            self.changes.push((at.max(last_at), to));
        }
    }

    fn status_at(&self, at: i64) -> Status {
        self.changes.iter().rev().find(|(when, _)| *when <= at).map_or(Status::Unknown, |(_, status)| *status)
    }

    /// (available, unavailable, neither) within `from..to` and before `now`, in milliseconds.
    fn spent(&self, from: i64, to: i64, now: i64) -> (i64, i64, i64) {
        let mut sums = (0, 0, 0);
        let mut at = from;
        while at < to {
            match self.status_at(at).counts_as().filter(|_| at < now) {
                Some(true) => sums.0 += STEP,
                Some(false) => sums.1 += STEP,
                None => sums.2 += STEP,
            }
            at += STEP;
        }
        sums
    }
}

fn play(ops: &[Op]) -> (Place, Store, Vec<Naive>, i64) {
    let place = Place::new();
    let (mut store, _) = place.open();
    let mut naive: Vec<Naive> = TARGETS.iter().map(|_| Naive::default()).collect();
    let mut now = NOON;
    for op in ops {
        match *op {
            Op::Move(by) => {
                now += by;
                place.clock.set(now);
            }
            Op::Look { target, letter, took } => {
                // Two looks in one millisecond are moved apart; the model does the same.
                let taken = |at: i64, n: &Naive| n.looks.iter().any(|(t, _, _)| *t == at);
                let at = (now..).find(|at| !taken(*at, &naive[target])).unwrap();
                naive[target].looks.push((at, letter, took));
                assert!(store.record(look(TARGETS[target], UtcMs(now), letter, took)));
            }
            Op::Change { target, to } => {
                naive[target].change(now, to);
                assert!(store.record(change(TARGETS[target], UtcMs(now), Status::Unknown, to)));
            }
            Op::Flush => assert!(store.flush(SOON)),
            Op::Restart => {
                place.close(store);
                for n in naive.iter_mut().filter(|n| n.changes.last().is_some_and(|(_, s)| s.counts_as().is_some())) {
                    n.change(now, Status::Unknown);
                }
                store = place.open().0;
            }
        }
    }
    for target in TARGETS {
        let fingerprint = String::new();
        store.record(Write::TargetSeen { id: id(target), name: target.into(), kind: "tcp".into(), fingerprint });
    }
    assert!(store.flush(SOON));
    (place, store, naive, now)
}

fn compare(store: &Store, naive: &Naive, target: &str, window: (i64, i64), now: i64) {
    let (from, to) = window;
    let spent = store.availability(&id(target), UtcMs(from), UtcMs(to)).unwrap();
    let millis = |d: Duration| d.as_millis() as i64;
    let got = (millis(spent.available), millis(spent.unavailable), millis(spent.uncounted));
    assert_eq!(got, naive.spent(from, to, now), "availability of {target} in {from}..{to}");
    let (begin, end) = (UtcMs(from - 86_400_000), UtcMs(to));
    for &resolution in Resolution::ALL {
        let length = resolution.millis();
        let mut wanted: BTreeMap<i64, Vec<(char, u64)>> = BTreeMap::new();
        for (at, letter, took) in &naive.looks {
            wanted.entry(at.div_euclid(length) * length).or_default().push((*letter, *took));
        }
        let rollups = store.rollups(&id(target), resolution, begin, end).unwrap();
        let found: Vec<_> = rollups.iter().map(|r| r.at.0).collect();
        let keys: Vec<_> = wanted.range(begin.0..end.0).map(|(at, _)| *at).collect();
        assert_eq!(found, keys, "{resolution:?} of {target}");
        for rollup in rollups {
            let looks = &wanted[&rollup.at.0];
            let count = |letter| looks.iter().filter(|(l, _)| *l == letter).count() as u64;
            assert_eq!((rollup.ok, rollup.warn, rollup.fail), (count('p'), count('w'), count('f')));
            let took: Vec<u64> = looks.iter().filter(|(l, _)| *l != 'f').map(|(_, took)| *took).collect();
            let ms = |d: Option<Duration>| d.map(|d| d.as_millis() as u64);
            assert_eq!(ms(rollup.took_min), took.iter().min().copied());
            assert_eq!(ms(rollup.took_max), took.iter().max().copied());
            let mean = took.iter().sum::<u64>().checked_div(took.len() as u64);
            assert_eq!(ms(rollup.took_avg), mean);
            if resolution == Resolution::Minute {
                let end = (rollup.at.0 + length).min(now.max(rollup.at.0));
                let spent = naive.spent(rollup.at.0, end, now);
                assert_eq!((rollup.up_ms, rollup.down_ms, rollup.unknown_ms), spent);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn availability_and_rollups_agree_with_the_model(
        ops in prop::collection::vec(op(), 1..120),
        (from, length) in (-3_000..20_000_i64, 1..20_000_i64),
    ) {
        let (place, store, naive, now) = play(&ops);
        let window = (ms(from * STEP).0, ms((from + length) * STEP).0);
        for (naive, target) in naive.iter().zip(TARGETS) {
            compare(&store, naive, target, window, now);
            let rows = store.observations(&id(target), UtcMs(0), UtcMs(i64::MAX), None, 10_000, false).unwrap();
            prop_assert_eq!(rows.len(), naive.looks.len());
            let changes = store.changes(&id(target), UtcMs(0), UtcMs(i64::MAX), 10_000).unwrap();
            let list: Vec<_> = changes.iter().rev().map(|c| (c.change.at.0, c.change.to)).collect();
            prop_assert_eq!(&list, &naive.changes);
        }
        place.close(store);
    }
}
