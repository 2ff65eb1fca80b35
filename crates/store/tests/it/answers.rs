//! What was recorded comes back by every question.

use std::time::Duration;

use model::fault::FaultKind;
use model::phase::Phase;
use model::status::Status;
use model::time::UtcMs;
use model::verdict::Grade;
use store::{AuditRow, Resolution, StoreError, Write};

use crate::common::{NOON, Place, SOON, change, id, incident, look, ms, seen};

#[test]
fn observations_come_back_in_pages_in_both_orders() {
    let place = Place::new();
    let (store, opened) = place.open();
    assert_eq!((opened.last_alive, opened.blinded), (None, 0));
    store.record(seen("a"));
    for n in 0..25 {
        assert!(store.record(look("a", ms(n * 1000), if n % 5 == 4 { 'f' } else { 'p' }, 7)));
        assert!(store.record(look("b", ms(n * 1000), 'w', 9)));
    }
    assert!(store.flush(SOON));
    for newest_first in [true, false] {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.observations(&id("a"), ms(1000), ms(24_000), cursor, 10, newest_first).unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 10);
            cursor = Some(last.row);
            rows.extend(page);
        }
        let mut times: Vec<_> = rows.iter().map(|r| (r.at.0 - NOON) / 1000).collect();
        if newest_first {
            times.reverse();
        }
        assert_eq!(times, (1..24).collect::<Vec<_>>());
    }
    let row = &store.observations(&id("a"), ms(4000), ms(4001), None, 10, true).unwrap()[0];
    assert_eq!(row.fault, Some((FaultKind::Refused, Phase::Connect)));
    assert_eq!(row.reason, "refused (connect): connection refused");
    assert_eq!((row.grade, row.status, row.took), (Grade::Fail, Status::Down, Duration::from_millis(7)));
    assert_eq!(row.phases.get(Phase::Connect), Some(Duration::from_millis(3)));
    let row = &store.observations(&id("b"), ms(0), ms(1), None, 10, true).unwrap()[0];
    assert_eq!((row.reason.as_str(), row.fault), ("took 9 ms, expected at most 1 ms", None));
    let never = store.observations(&id("never"), ms(0), ms(1), None, 1, true);
    assert!(matches!(never, Err(StoreError::NoSuchTarget(_))));
    let mut exported = Vec::new();
    store
        .export(None, ms(0), ms(2000), &mut |row| {
            exported.push((row.target.to_string(), row.at.0 - NOON));
            exported.len() < 3
        })
        .unwrap();
    let wanted = [("a", 0), ("a", 1000), ("b", 0)].map(|(t, at)| (t.to_owned(), at));
    assert_eq!(exported, wanted, "it ends when told");
    place.close(store);
}

#[test]
fn an_export_of_more_than_a_page_has_every_row_once() {
    let place = Place::new();
    let (store, _) = place.open();
    for n in 0..2500 {
        store.record(look("a", ms(n), 'p', 1));
    }
    assert!(store.flush(SOON));
    let mut times = Vec::new();
    store
        .export(Some(&id("a")), ms(0), ms(10_000), &mut |row| {
            times.push(row.at.0 - NOON);
            true
        })
        .unwrap();
    assert_eq!(times, (0..2500).collect::<Vec<_>>());
    place.close(store);
}

#[test]
fn rollups_sum_looks_and_spread_time() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(change("a", ms(0), Status::Unknown, Status::Up));
    for (at, letter, took) in [(0, 'p', 10), (20_000, 'w', 30), (40_000, 'f', 8000), (61_000, 'f', 8000)] {
        store.record(look("a", ms(at), letter, took));
    }
    store.record(change("a", ms(40_000), Status::Up, Status::Down));
    assert!(store.flush(SOON));
    place.clock.set(NOON + 90_000);
    let minutes = store.rollups(&id("a"), Resolution::Minute, ms(0), ms(3_600_000)).unwrap();
    let [first, second] = minutes.as_slice() else { panic!("two minutes, not {}", minutes.len()) };
    assert_eq!((first.at, first.count, first.ok, first.warn, first.fail), (ms(0), 3, 1, 1, 1));
    let millis = Duration::from_millis;
    assert_eq!(
        (first.took_min, first.took_avg, first.took_max),
        (Some(millis(10)), Some(millis(20)), Some(millis(30))),
        "a deadline that passed is no response time"
    );
    assert_eq!(first.phases.get(Phase::Connect), Some(millis(10)));
    assert_eq!((first.up_ms, first.down_ms, first.unknown_ms), (40_000, 20_000, 0));
    assert_eq!((second.took_min, second.took_avg, second.count, second.fail), (None, None, 1, 1));
    assert_eq!((second.up_ms, second.down_ms, second.unknown_ms), (0, 30_000, 0), "the future is not counted");
    for resolution in [Resolution::Hour, Resolution::Day] {
        let rollups = store.rollups(&id("a"), resolution, UtcMs(0), ms(3_600_000)).unwrap();
        let [one] = rollups.as_slice() else { panic!("one {resolution:?}") };
        assert_eq!((one.count, one.ok, one.warn, one.fail), (4, 1, 1, 2));
        assert_eq!((one.up_ms, one.down_ms), (40_000, 50_000));
        assert_eq!(one.at.0 % resolution.millis(), 0);
    }
    assert_eq!(store.rollups(&id("a"), Resolution::Minute, ms(1), ms(60_000)).unwrap(), vec![]);
    place.close(store);
}

#[test]
fn changes_incidents_and_availability() {
    let place = Place::new();
    let (store, _) = place.open();
    use Status::{Down, Unknown, Up};
    for (at, from, to) in [(0, Unknown, Up), (10_000, Up, Down), (30_000, Down, Up)] {
        store.record(change("a", ms(at), from, to));
    }
    let opened = incident("a", ms(10_000), None);
    store.record(Write::IncidentOpened(opened.clone()));
    store.record(Write::IncidentClosed(incident("a", ms(10_000), Some(ms(30_000)))));
    store.record(Write::IncidentOpened(incident("b", ms(20_000), None)));
    assert!(store.flush(SOON));
    place.clock.set(NOON + 40_000);
    let changes = store.changes(&id("a"), ms(10_000), ms(60_000), 10).unwrap();
    let list: Vec<_> = changes.iter().map(|c| (c.change.at.0 - NOON, c.change.from, c.change.to)).collect();
    assert_eq!(list, [(30_000, Down, Up), (10_000, Up, Down)], "newest first, with the status before");
    assert_eq!(store.changes(&id("a"), ms(0), ms(60_000), 1).unwrap()[0].change.from, Down);
    let spent = store.availability(&id("a"), ms(-5000), ms(50_000)).unwrap();
    let seconds = (spent.available.as_secs(), spent.unavailable.as_secs(), spent.uncounted.as_secs());
    assert_eq!(seconds, (20, 20, 15), "before the first change and after now nothing counts");
    assert_eq!(store.availability_all(ms(-5000), ms(50_000)).unwrap()[&id("a")], spent);
    let all = store.incidents(None, ms(0), ms(60_000), None, 10).unwrap();
    let names: Vec<_> = all.iter().map(|i| (i.incident.target.as_str(), i.incident.closed_at)).collect();
    assert_eq!(names, [("b", None), ("a", Some(ms(30_000)))]);
    let next = store.incidents(None, ms(0), ms(60_000), Some(all[0].row), 10).unwrap();
    assert_eq!(next.len(), 1);
    assert_eq!(store.incidents(Some(&id("a")), ms(30_000), ms(60_000), None, 10).unwrap(), vec![], "it was over");
    assert_eq!(store.incidents(Some(&id("b")), ms(50_000), ms(60_000), None, 10).unwrap().len(), 1, "it goes on");
    // Recorded last, opened first (the clock was set back): pages follow the time, and none is left out.
    store.record(Write::IncidentOpened(incident("c", ms(5_000), None)));
    assert!(store.flush(SOON));
    let mut names = Vec::new();
    let mut cursor = None;
    while let Some(one) = store.incidents(None, ms(0), ms(60_000), cursor, 1).unwrap().pop() {
        cursor = Some(one.row);
        names.push(one.incident.target.to_string());
        assert!(names.len() < 9, "{names:?}");
    }
    assert_eq!(names, ["b", "a", "c"]);
    place.close(store);
}

#[test]
fn documents_and_audit() {
    let place = Place::new();
    let (store, _) = place.open();
    store.put_doc("users", "ada", "{}").unwrap();
    store.put_doc("users", "ada", "{\"role\":1}").unwrap();
    store.put_doc("users", "bob", "{}").unwrap();
    store.put_doc("tokens", "ada", "x").unwrap();
    assert_eq!(store.get_doc("users", "ada").unwrap().as_deref(), Some("{\"role\":1}"));
    assert_eq!(store.get_doc("users", "eve").unwrap(), None);
    assert!(store.delete_doc("users", "bob").unwrap());
    assert!(!store.delete_doc("users", "bob").unwrap());
    assert_eq!(store.list_docs("users").unwrap(), [("ada".to_owned(), "{\"role\":1}".to_owned())]);
    let large = store.put_doc("users", "big", &"x".repeat(2 * 1024 * 1024));
    assert!(matches!(large, Err(StoreError::TooLarge { .. })));
    for n in 0..5 {
        let text = |s: &str| s.to_owned();
        let detail = n.to_string();
        let row = AuditRow { at: ms(n), actor: text("ada"), action: text("pause"), subject: text("cam"), detail };
        store.append_audit(row).unwrap();
    }
    let page = store.audit(None, 2).unwrap();
    let next = store.audit(Some(page[1].0), 10).unwrap();
    let details: Vec<_> = page.iter().chain(&next).map(|(_, row)| row.detail.as_str()).collect();
    assert_eq!(details, ["4", "3", "2", "1", "0"]);
    place.close(store);
}

#[test]
fn looks_of_one_millisecond_and_a_clock_set_back_lose_nothing() {
    let place = Place::new();
    let (store, _) = place.open();
    for _ in 0..5 {
        store.record(look("a", ms(0), 'p', 1));
    }
    store.record(look("a", ms(-3_600_000), 'p', 1));
    use Status::{Down, Unknown, Up};
    store.record(change("a", ms(0), Unknown, Up));
    store.record(change("a", ms(-3_600_000), Up, Down));
    store.record(change("a", ms(-3_600_000), Down, Up));
    store.record(change("a", ms(-3_500_000), Up, Up));
    assert!(store.flush(SOON));
    assert_eq!(store.observations(&id("a"), ms(-4_000_000), ms(100), None, 100, true).unwrap().len(), 6);
    let changes = store.changes(&id("a"), ms(-4_000_000), ms(100), 10).unwrap();
    let list: Vec<_> = changes.iter().map(|c| (c.change.at, c.change.to)).collect();
    assert_eq!(list, [(ms(0), Up), (ms(0), Down), (ms(0), Up)], "time never falls, nothing changes to itself");
    place.clock.set(NOON - 1_800_000);
    let spent = store.availability(&id("a"), ms(-7_200_000), ms(0)).unwrap();
    let total = spent.available + spent.unavailable + spent.uncounted;
    assert_eq!(total, Duration::from_secs(7200));
    place.close(store);
}
