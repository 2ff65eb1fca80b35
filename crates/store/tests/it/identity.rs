//! Targets come, go, change their names, and are found again after a restart.

use std::sync::Arc;
use std::time::Duration;

use model::observation::Observation;
use model::reading::{Depth, Media, Track};
use model::status::Status;
use model::verdict::Grade;
use store::Write;

use crate::common::{NOON, Place, SOON, change, id, incident, look, ms, seen};

#[test]
fn a_renamed_target_keeps_everything_and_the_old_name_is_free() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(seen("old"));
    store.record(look("old", ms(0), 'p', 1));
    store.record(change("old", ms(0), Status::Unknown, Status::Up));
    store.record(seen("new"));
    store.record(look("new", ms(5), 'f', 1));
    store.record(Write::TargetRenamed { from: id("old"), to: id("new") });
    store.record(look("new", ms(10), 'p', 1));
    store.record(look("old", ms(20), 'p', 1));
    store.record(Write::TargetRenamed { from: id("nobody"), to: id("old") });
    store.record(Write::TargetRenamed { from: id("new"), to: id("new") });
    assert!(store.flush(SOON));
    let times = |target| -> Vec<i64> {
        let rows = store.observations(&id(target), ms(0), ms(100), None, 10, false).unwrap();
        rows.iter().map(|r| r.at.0 - NOON).collect()
    };
    assert_eq!(times("new"), [0, 10], "its own history, not that of the one it pushed aside");
    assert_eq!(times("old"), [20], "the old name begins anew");
    assert_eq!(store.changes(&id("new"), ms(0), ms(100), 10).unwrap().len(), 1);
    let known: Vec<_> = store.identities().unwrap().into_iter().map(|i| (i.id.to_string(), i.fingerprint)).collect();
    let wanted = [("new", "rtsp://old/"), ("old", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(known, wanted);
    place.close(store);
}

#[test]
fn a_removed_target_keeps_its_history_and_its_time_stops_counting() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(seen("a"));
    store.record(look("a", ms(0), 'f', 1));
    store.record(change("a", ms(0), Status::Unknown, Status::Down));
    store.record(Write::IncidentOpened(incident("a", ms(0), None)));
    store.record(Write::TargetRetired { id: id("a"), at: ms(10_000) });
    store.record(Write::TargetRetired { id: id("never"), at: ms(10_000) });
    assert!(store.flush(SOON));
    place.clock.set(NOON + 60_000);
    let spent = store.availability(&id("a"), ms(0), ms(60_000)).unwrap();
    assert_eq!((spent.unavailable.as_secs(), spent.uncounted.as_secs()), (10, 50));
    let restored = store.restore().unwrap();
    assert_eq!(restored[0].retired_at, Some(ms(10_000)));
    assert_eq!(restored[0].incident, None, "nobody could close it later");
    assert_eq!(store.observations(&id("a"), ms(0), ms(1), None, 1, true).unwrap().len(), 1);
    store.record(seen("a"));
    assert!(store.flush(SOON));
    assert_eq!(store.identities().unwrap()[0].retired_at, None, "seen again");
    place.close(store);
}

#[test]
fn a_restart_finds_status_incident_beats_facts_and_pause_again() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(seen("cam"));
    for n in 0..100 {
        store.record(look("cam", ms(n * 1000), 'p', 3));
    }
    let Write::Observation(seen, verdict, status) = look("cam", ms(100_000), 'f', 4) else { unreachable!() };
    let mut full = Observation::clone(&seen);
    let mut track = Track::new(Media::Video, "h264");
    (track.width, track.fps, track.proven) = (Some(1920), Some(25.0), true);
    full.look.reading.tracks = vec![track];
    full.look.reading.proven = Some(Depth::Describe);
    full.look.reading.int("status_code", 200);
    store.record(Write::Observation(Arc::new(full.clone()), Arc::clone(&verdict), status));
    store.record(change("cam", ms(0), Status::Unknown, Status::Up));
    store.record(change("cam", ms(100_000), Status::Up, Status::Paused));
    store.record(Write::IncidentOpened(incident("cam", ms(100_000), None)));
    store.set_paused(&id("cam"), true).unwrap();
    place.clock.set(NOON + 101_000);
    place.close(store);
    let (store, opened) = place.open();
    assert_eq!((opened.last_alive, opened.blinded), (Some(ms(101_000)), 0), "paused stays paused");
    let restored = store.restore().unwrap();
    let [cam] = restored.as_slice() else { panic!("one target") };
    assert_eq!((cam.name.as_str(), cam.kind.as_str(), cam.paused), ("The cam", "rtsp", true));
    let last = cam.last_change.as_ref().unwrap();
    assert_eq!((last.from, last.to, last.at), (Status::Up, Status::Paused, ms(100_000)));
    assert_eq!(cam.incident, Some(incident("cam", ms(100_000), None)));
    assert_eq!(cam.beats.len(), model::limits::BEATS_ON_BOARD);
    let newest = cam.beats.last().unwrap();
    assert_eq!((newest.at, newest.grade, newest.took_ms), (ms(100_000), Grade::Fail, 4));
    assert!(cam.beats.is_sorted_by_key(|beat| beat.at));
    assert_eq!(cam.last.as_ref().unwrap(), &(full, (*verdict).clone()));
    place.close(store);
}

#[test]
fn time_nobody_looked_does_not_count() {
    let place = Place::new();
    let (store, _) = place.open();
    use Status::{Down, Paused, Unknown, Up};
    store.record(change("up", ms(0), Unknown, Up));
    store.record(change("down", ms(0), Unknown, Down));
    store.record(change("paused", ms(0), Unknown, Paused));
    store.record(change("later", ms(70_000), Unknown, Up));
    store.record(Write::IncidentOpened(incident("down", ms(0), None)));
    place.clock.set(NOON + 60_000);
    place.close(store);
    place.clock.set(NOON + 3_600_000);
    let (store, opened) = place.open();
    assert_eq!((opened.last_alive, opened.blinded), (Some(ms(60_000)), 3));
    for target in ["up", "down"] {
        let newest = &store.changes(&id(target), ms(0), ms(7_200_000), 1).unwrap()[0].change;
        assert_eq!((newest.to, newest.at), (Unknown, ms(60_000)));
        assert_eq!(newest.reason, "StreamPulse was not running");
        let spent = store.availability(&id(target), ms(0), ms(3_600_000)).unwrap();
        assert_eq!(spent.available + spent.unavailable, Duration::from_secs(60));
    }
    assert_eq!(store.changes(&id("later"), ms(0), ms(7_200_000), 1).unwrap()[0].change.at, ms(70_000));
    assert_eq!(store.changes(&id("paused"), ms(0), ms(7_200_000), 9).unwrap().len(), 1);
    let open: Vec<_> = store.restore().unwrap().into_iter().filter_map(|r| r.incident).collect();
    assert_eq!(open, [incident("down", ms(0), None)], "an open incident stays open");
    place.close(store);
    let (store, opened) = place.open();
    assert_eq!(opened.blinded, 0, "once is enough");
    place.close(store);
}
