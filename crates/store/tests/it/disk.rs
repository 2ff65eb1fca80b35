//! The disk says no: the health says what is wrong, nothing is lost that there is room for, and it recovers by itself.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use model::limits::STORE_QUEUE;
use model::status::Status;
use model::time::UtcMs;
use rusqlite::Connection;
use store::{Settings, Store, StoreError};

use crate::common::{NOON, Place, SOON, TestClock, change, id, look, ms};

/// Waits until the health is as wanted: a flush waits for the writer.
fn wait_for_health(store: &Store, ok: bool) {
    for _ in 0..2_000 {
        if store.health().ok == ok {
            return;
        }
        store.flush(Duration::from_millis(10));
    }
    panic!("{:?}", store.health());
}

/// A small disk in memory; `None` (said loudly) where this process may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(test: &str, size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|out| out.status.success()) {
            return Some(Self(folder));
        }
        // Not through the macro: the harness would keep it to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: mounting a small disk takes root");
        None
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("history.db")
    }

    fn remount(&self, how: &str) {
        let out = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0.path()).output().unwrap();
        assert!(out.status.success(), "{out:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

fn settings(path: &Path) -> Settings {
    Settings { batch_every: Duration::from_millis(5), ..Settings::new(path) }
}

/// Fills the disk to the last byte.
fn fill(file: &Path) {
    let mut ballast = fs::File::create(file).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    while ballast.write_all(&[0]).is_ok() {}
}

#[test]
fn a_full_disk() {
    let Some(disk) = SmallDisk::new("a_full_disk", "2m") else { return };
    let clock = TestClock::at(NOON);
    let (store, _) = Store::open(settings(&disk.path()), clock.clone()).unwrap();
    store.record(look("a", ms(0), 'p', 1));
    store.put_doc("users", "ada", "1").unwrap();
    let ballast = disk.0.path().join("ballast");
    fill(&ballast);
    clock.set(NOON + 500);
    for n in 1..3_000 {
        assert!(store.record(look("a", ms(n), 'p', 1)), "recording never fails for lack of a disk");
    }
    wait_for_health(&store, false);
    let health = store.health();
    assert_eq!((health.reason.as_deref(), health.since), (Some("the disk is full"), Some(ms(500))));
    assert_eq!(health.lost_rows, 0);
    assert!(matches!(store.put_doc("users", "bob", "1"), Err(StoreError::Unavailable(why)) if why.contains("full")));
    assert_eq!(store.get_doc("users", "ada").unwrap().as_deref(), Some("1"), "what is there can be read");
    fs::remove_file(&ballast).unwrap();
    assert!(store.flush(SOON), "{:?}", store.health());
    assert!(store.health().ok);
    assert_eq!(store.get_doc("users", "bob").unwrap(), None, "what was refused did not happen later");
    let rows = store.observations(&id("a"), ms(0), ms(10_000), None, 10_000, true).unwrap();
    assert_eq!(rows.len(), 3_000, "nothing was lost");
    assert!(store.close(SOON));
    assert_eq!(Store::verify(&disk.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_disk_that_is_full_or_read_only_from_the_start() {
    let Some(disk) = SmallDisk::new("a_disk_that_is_full_or_read_only_from_the_start", "2m") else { return };
    let ballast = disk.0.path().join("ballast");
    fill(&ballast);
    let clock = TestClock::at(NOON);
    let (store, _) = Store::open(settings(&disk.path()), clock.clone()).unwrap();
    assert!(!store.health().ok, "{:?}", store.health());
    store.record(look("a", ms(0), 'p', 1));
    store.record(change("a", ms(0), Status::Unknown, Status::Up));
    fs::remove_file(&ballast).unwrap();
    assert!(store.flush(SOON), "{:?}", store.health());
    assert!(store.close(SOON));

    disk.remount("ro");
    let (store, opened) = Store::open(settings(&disk.path()), clock.clone()).unwrap();
    assert_eq!(opened.last_alive, None, "not known yet");
    assert!(store.health().reason.unwrap().contains("ead-only"), "{:?}", store.health());
    assert_eq!(store.restore().unwrap()[0].beats.len(), 1, "history can be read all the same");
    assert_eq!(Store::verify(&disk.path()).unwrap(), Vec::<String>::new());
    store.record(look("a", ms(1), 'p', 1));
    assert!(!store.flush(Duration::from_millis(50)));
    disk.remount("rw");
    assert!(store.flush(SOON), "{:?}", store.health());
    assert_eq!(store.observations(&id("a"), ms(0), ms(10), None, 10, true).unwrap().len(), 2);
    assert_eq!(store.changes(&id("a"), ms(0), UtcMs(i64::MAX), 9).unwrap().len(), 2, "the time before is blind");
    assert!(store.close(SOON));
    assert_eq!(Store::verify(&disk.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_folder_that_is_not_there_is_made_and_one_that_cannot_be_made_is_said() {
    let place = Place::new();
    let deep = place.folder.path().join("a/b/history.db");
    let (store, _) = Store::open(settings(&deep), place.clock.clone()).unwrap();
    assert!(store.health().ok);
    assert!(store.close(SOON));
    let blocked = place.folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let (store, _) = Store::open(settings(&blocked.join("history.db")), place.clock.clone()).unwrap();
    let health = store.health();
    assert!(!health.ok && health.reason.as_deref().is_some_and(|r| r.contains("file")), "{health:?}");
    fs::remove_file(&blocked).unwrap();
    store.record(look("a", ms(0), 'p', 1));
    assert!(store.flush(SOON), "{:?}", store.health());
    assert!(store.close(SOON));
}

#[test]
fn another_program_holds_the_file_locked() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(look("a", ms(0), 'p', 1));
    assert!(store.flush(SOON));
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rows = STORE_QUEUE as i64 + 500;
    store.record(change("a", ms(0), Status::Unknown, Status::Up));
    for n in 1..=rows {
        assert!(store.record(look("a", ms(n), 'p', 1)));
    }
    wait_for_health(&store, false);
    let health = store.health();
    assert_eq!(health.reason.as_deref(), Some("another program holds the file locked"));
    assert_eq!(store.observations(&id("a"), ms(0), ms(1), None, 10, true).unwrap().len(), 1, "readers go on");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.flush(SOON), "{:?}", store.health());
    let health = store.health();
    assert!(health.ok && health.lost_rows >= 500, "{health:?}");
    let newest = store.observations(&id("a"), ms(0), ms(i64::from(u32::MAX)), None, 1, true).unwrap();
    assert_eq!(newest[0].at, ms(rows), "the oldest were given up, not the newest");
    assert_eq!(store.changes(&id("a"), ms(0), ms(10), 10).unwrap().len(), 1, "and no change");
    let mut kept = 0;
    store
        .export(None, ms(1), ms(i64::from(u32::MAX)), &mut |_| {
            kept += 1;
            true
        })
        .unwrap();
    assert_eq!(kept + health.lost_rows as i64, rows, "every row is there or counted");
    place.close(store);
}

#[test]
fn a_file_that_is_removed_while_in_use_is_made_anew() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(look("a", ms(0), 'p', 1));
    assert!(store.flush(SOON));
    let copy = place.folder.path().join("copy.db");
    store.backup(&copy).unwrap();
    fs::remove_file(place.path()).unwrap();
    store.record(look("a", ms(1), 'p', 1));
    assert!(store.flush(SOON), "{:?}", store.health());
    let count = |store: &Store| store.observations(&id("a"), ms(0), ms(9), None, 9, true).unwrap().len();
    assert_eq!(count(&store), 1, "what is recorded now is in the file that is there now");
    fs::rename(&copy, place.path()).unwrap();
    store.record(look("a", ms(2), 'p', 1));
    assert!(store.flush(SOON), "{:?}", store.health());
    assert_eq!(count(&store), 2, "a copy that was put back is gone on with");
    place.close(store);
}

#[test]
fn a_row_that_the_file_refuses_costs_only_itself() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(look("a", ms(0), 'p', 1));
    assert!(store.flush(SOON));
    let other = Connection::open(place.path()).unwrap();
    let refuse = format!("WHEN new.at = {} BEGIN SELECT raise(ABORT, 'planted'); END", NOON + 50);
    other.execute_batch(&format!("CREATE TRIGGER planted BEFORE INSERT ON observations {refuse}")).unwrap();
    for n in 1..100 {
        store.record(look("a", ms(n), 'p', 1));
    }
    store.put_doc("users", "ada", "1").unwrap();
    assert!(store.flush(SOON));
    let health = store.health();
    assert_eq!((health.ok, health.lost_rows), (true, 1));
    assert_eq!(store.observations(&id("a"), ms(0), ms(1_000), None, 1_000, true).unwrap().len(), 99);
    assert_eq!(store.get_doc("users", "ada").unwrap().as_deref(), Some("1"));
    other.execute_batch("DROP TRIGGER planted").unwrap();
    drop(other);
    place.close(store);
}
