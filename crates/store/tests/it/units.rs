//! Units: the wish, the timeline and the samples come back, and the wish is on the disk before anybody is told.

use std::sync::Arc;

use model::time::UtcMs;
use model::unit::board::{RunEnd, UnitChange};
use model::unit::{Cause, Exit, State, UnitId, Wanted};
use store::{Store, UnitSample, Write};

use crate::common::{NOON, Place, SOON, ms};

const ALWAYS: (UtcMs, UtcMs) = (UtcMs(0), UtcMs(i64::MAX));

fn unit() -> UnitId {
    UnitId::parse("converter").unwrap()
}

fn entry(at: i64, state: State, cause: Cause) -> UnitChange {
    UnitChange { at: ms(at), state, cause, reason: format!("became {state}"), actor: None, end: None }
}

fn record(store: &Store, change: &UnitChange) {
    assert!(store.record(Write::UnitChanged(unit(), Arc::new(change.clone()))));
}

#[test]
fn a_wish_and_a_timeline_come_back() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(Write::UnitSeen { id: unit(), wanted: Wanted::Running });
    store.record(Write::UnitSeen { id: unit(), wanted: Wanted::Stopped });
    let last_lines = vec!["one".to_owned(), "two \u{fffd}".to_owned()];
    let end = RunEnd { exit: Exit::Signal { number: 9, out_of_memory: true }, at: ms(9), ran_ms: 4_000, last_lines };
    let by_hand = UnitChange { actor: Some("eva".into()), ..entry(0, State::Starting, Cause::Command) };
    let ended = UnitChange { end: Some(end.clone()), ..entry(10, State::BackingOff, Cause::Exit) };
    let healed = entry(10, State::Stopping, Cause::Target);
    // The clock was set back: the order in which things happened stays.
    let late = entry(5, State::Starting, Cause::Timer);
    for change in [&by_hand, &ended, &healed, &late] {
        record(&store, change);
    }
    store.record(Write::UnitRestarts(unit(), 3));
    assert!(store.flush(SOON));
    let page = store.unit_changes(&unit(), ALWAYS, 10).unwrap();
    let moved = UnitChange { at: ms(10), ..late };
    assert_eq!(page, [moved.clone(), healed, ended.clone(), by_hand]);
    assert_eq!(store.unit_changes(&unit(), (ms(0), ms(10)), 10).unwrap().len(), 1);
    assert_eq!(store.unit_changes(&unit(), ALWAYS, 2).unwrap().len(), 2);
    assert_eq!(store.unit_changes(&UnitId::parse("never").unwrap(), ALWAYS, 9).unwrap(), []);

    store.set_unit_wanted(&unit(), Wanted::Stopped).unwrap();
    place.close(store);
    let (store, _) = place.open();
    let known = store.units(ms(1)).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].wanted, known[0].restarts, known[0].retired_at), (Wanted::Stopped, 3, None));
    assert_eq!((known[0].last.as_ref(), known[0].last_end.as_ref()), (Some(&moved), Some(&end)));
    assert_eq!(known[0].healed, [ms(10)]);
    store.record(Write::UnitRetired { id: unit(), at: ms(20) });
    assert!(store.flush(SOON));
    assert_eq!(store.units(ms(11)).unwrap()[0].retired_at, Some(ms(20)));
    store.record(Write::UnitSeen { id: unit(), wanted: Wanted::Running });
    assert!(store.flush(SOON));
    let known = store.units(ms(11)).unwrap().remove(0);
    assert_eq!((known.wanted, known.retired_at, known.healed.len()), (Wanted::Stopped, None, 0), "the wish stays");
    place.close(store);
}

#[test]
fn samples_are_put_together_to_steps() {
    let place = Place::new();
    let (store, _) = place.open();
    for minute in 0..10_i64 {
        let cpu = minute as f64;
        let sample = UnitSample {
            at: ms(minute * 60_000 + 1_234),
            cpu_avg: (minute != 3).then_some(cpu),
            cpu_max: Some(cpu * 10.0),
            memory_avg: 100 * minute as u64,
            memory_max: 1_000 * minute as u64,
            read_bytes: Some(5),
            written_bytes: None,
            threads: 7,
            descriptors: Some(minute as u32),
            processes: 2,
            queue: if minute % 2 == 0 { vec![("done".into(), minute as u64), ("waiting".into(), 1)] } else { vec![] },
            rate_per_hour: (minute % 2 == 0).then_some(cpu),
        };
        store.record(Write::UnitSample(unit(), sample));
    }
    assert!(store.flush(SOON));
    let minutes = store.unit_samples(&unit(), ALWAYS, 1_000).unwrap();
    assert_eq!(minutes.len(), 10);
    assert_eq!((minutes[3].at, minutes[3].cpu_avg, minutes[4].queue.len()), (ms(180_000), None, 2));
    let steps = store.unit_samples(&unit(), (UtcMs(NOON), ms(600_000)), 300_000).unwrap();
    assert_eq!(steps.iter().map(|s| s.at).collect::<Vec<_>>(), [ms(0), ms(300_000)]);
    assert_eq!((steps[0].cpu_max, steps[0].memory_avg, steps[0].memory_max), (Some(40.0), 200, 4_000));
    assert_eq!((steps[0].read_bytes, steps[0].written_bytes, steps[0].descriptors), (Some(25), None, Some(4)));
    assert_eq!((steps[1].queue[0].clone(), steps[1].rate_per_hour), (("done".to_owned(), 8), Some(8.0)));
    assert!((steps[1].cpu_avg.unwrap() - 7.0).abs() < 1e-9);
    place.close(store);
}

#[test]
fn last_lines_are_bounded_and_the_newest_stay() {
    let place = Place::new();
    let (store, _) = place.open();
    let last_lines: Vec<String> = (0..20).map(|n| format!("{n} {}", "x".repeat(4_000))).collect();
    let end = RunEnd { exit: Exit::Code(1), at: ms(9), ran_ms: 4_000, last_lines };
    record(&store, &UnitChange { end: Some(end), ..entry(10, State::BackingOff, Cause::Exit) });
    assert!(store.flush(SOON));
    let lines = store.unit_changes(&unit(), ALWAYS, 1).unwrap().remove(0).end.unwrap().last_lines;
    assert!(lines.len() == 8 && lines[7].starts_with("19 "), "{}", lines.len());
    place.close(store);
}
