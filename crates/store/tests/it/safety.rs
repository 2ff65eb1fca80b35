//! One process per file, only its own files, private ones, and copies and checks that can be trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use model::status::Status;
use rusqlite::Connection;
use store::{Store, StoreError, Write};

use crate::common::{Place, SOON, change, id, incident, look, ms, seen};

#[test]
fn the_second_process_is_refused_and_told_who_is_first() {
    let place = Place::new();
    let (store, _) = place.open();
    let error = Store::open(place.settings(), place.clock.clone()).err().unwrap();
    let StoreError::Locked { lock, pid } = &error else { panic!("{error}") };
    assert_eq!((lock.file_name().unwrap().to_str(), *pid), (Some("history.db.lock"), Some(std::process::id())));
    place.close(store);
    let (store, _) = place.open();
    place.close(store);
}

#[test]
fn foreign_newer_and_broken_files_are_refused_and_left_alone() {
    let place = Place::new();
    let refused = |content: &[u8]| {
        fs::write(place.path(), content).unwrap();
        let error = Store::open(place.settings(), place.clock.clone()).err().unwrap();
        assert_eq!(fs::read(place.path()).unwrap(), content, "untouched: {error}");
        error
    };
    let error = refused(&b"not a database at all. ".repeat(100));
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    let other = place.folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE streams (name TEXT)").unwrap();
    let error = refused(&fs::read(&other).unwrap());
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    fs::remove_file(place.path()).unwrap();
    let (store, _) = place.open();
    place.close(store);
    Connection::open(place.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(place.settings(), place.clock.clone()).err().unwrap();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    assert!(matches!(Store::verify(&place.path()), Err(StoreError::TooNew { .. })));
}

#[test]
fn files_are_private_and_closing_leaves_one() {
    let place = Place::new();
    let (store, _) = place.open();
    store.put_doc("users", "ada", "hash").unwrap();
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry:?} {mode:o}");
    }
    assert!(store.health().size_bytes > 0);
    assert!(store.close(SOON));
    assert!(!store.record(seen("a")), "closed");
    assert!(matches!(store.put_doc("a", "b", "c"), Err(StoreError::Closed)));
    assert!(matches!(store.restore(), Err(StoreError::Closed)));
    let mut names: Vec<_> =
        fs::read_dir(place.folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with(".lock"));
    assert_eq!(names, ["history.db"]);
}

#[test]
fn dropping_the_last_clone_writes_what_waits() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(look("a", ms(0), 'p', 1));
    drop(store.clone());
    store.record(look("a", ms(1), 'p', 1));
    drop(store);
    let (store, _) = place.open();
    assert_eq!(store.observations(&id("a"), ms(0), ms(9), None, 9, true).unwrap().len(), 2);
    place.close(store);
}

#[test]
fn a_copy_made_while_writing_is_whole() {
    let place = Place::new();
    let (store, _) = place.open();
    let done = AtomicBool::new(false);
    let copy = place.folder.path().join("copy.db");
    fs::write(&copy, "an older copy").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                n += 1;
                store.record(look(if n % 2 == 0 { "a" } else { "b" }, ms(n), 'p', 1));
                if n % 5_000 == 0 {
                    store.flush(SOON);
                }
            }
        });
        let mut sizes = Vec::new();
        for _ in 0..5 {
            store.flush(SOON);
            store.backup(&copy).unwrap();
            assert_eq!(Store::verify(&copy).unwrap(), Vec::<String>::new());
            sizes.push(fs::metadata(&copy).unwrap().len());
        }
        done.store(true, Ordering::Release);
        assert!(sizes.is_sorted() && sizes[0] < sizes[4], "{sizes:?}");
    });
    let nowhere = place.folder.path().join("no/folder/copy.db");
    assert!(matches!(store.backup(&nowhere), Err(StoreError::Io { .. })));
    let onto_folder = place.folder.path().join("folder");
    fs::create_dir(&onto_folder).unwrap();
    assert!(matches!(store.backup(&onto_folder), Err(StoreError::Io { .. })));
    let parts = fs::read_dir(place.folder.path()).unwrap();
    let parts = parts.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("part")).count();
    assert_eq!(parts, 0, "nothing is left of a copy that failed");
    place.close(store);
    fs::rename(&copy, place.path()).unwrap();
    let (store, _) = place.open();
    assert!(!store.observations(&id("a"), ms(0), ms(i64::from(u32::MAX)), None, 9, true).unwrap().is_empty());
    place.close(store);
}

#[test]
fn verify_finds_what_is_wrong() {
    let place = Place::new();
    let (store, _) = place.open();
    for n in 0..200 {
        store.record(look("a", ms(n * 20_000), if n % 2 == 0 { 'f' } else { 'p' }, 1));
    }
    store.record(change("a", ms(0), Status::Unknown, Status::Up));
    store.record(Write::IncidentOpened(incident("a", ms(0), None)));
    place.close(store);
    let good = fs::read(place.path()).unwrap();
    for (damage, wanted) in [
        ("INSERT INTO changes VALUES (1, 9e15, 0, 0, '')", "a status change that changes nothing"),
        ("DELETE FROM texts", "an observation whose reason is missing"),
        ("UPDATE minutes SET ok = ok + 1 WHERE at = (SELECT max(at) FROM minutes)", "minute"),
        ("DELETE FROM observations WHERE at % 60000 = 20000", "minute"),
        ("UPDATE hours SET fail = 0", "an hour that is not the sum"),
        ("UPDATE observations SET status = 77", "an observation without a meaning"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM targets", "a row of a target that is not there"),
        ("DROP INDEX incidents_by_time", "incidents_by_time is missing"),
        ("ALTER TABLE audit ADD COLUMN x TEXT", "audit has another shape"),
        ("CREATE TABLE strange (x)", "strange is none of our tables"),
        (
            "DROP INDEX incidents_open; INSERT INTO incidents VALUES (9, 1, 5, NULL, 2, ''); INSERT INTO incidents VALUES (8, 1, 6, NULL, 2, '')",
            "incidents_open is missing",
        ),
    ] {
        fs::write(place.path(), &good).unwrap();
        Connection::open(place.path()).unwrap().execute_batch(damage).unwrap();
        let problems = Store::verify(&place.path()).unwrap();
        assert!(problems.iter().any(|p| p.starts_with(wanted)), "{damage}: {problems:?}");
    }
    let mut torn = good.clone();
    let page = 4096;
    for byte in &mut torn[3 * page..12 * page] {
        *byte ^= 0x5a;
    }
    fs::write(place.path(), &torn).unwrap();
    assert!(!Store::verify(&place.path()).unwrap().is_empty(), "damage is an answer");
    fs::write(place.path(), &good).unwrap();
    assert_eq!(Store::verify(&place.path()).unwrap(), Vec::<String>::new());
    assert!(Store::verify(&place.folder.path().join("none.db")).is_err());
}
