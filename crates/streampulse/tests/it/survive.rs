//! Pulling the plug: kill -9, full and read-only disks, two processes on one folder.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::site::Site;
use crate::support::{LIMIT, Place, cli, wait_for};
use crate::{alerts, http};

/// How often the plug is pulled.
const KILLS: usize = 50;
/// The history may lack this much before the cut: the writer commits at least this often.
const MAY_LACK_MS: i64 = 1000;

fn page(site: &Site) -> String {
    format!("targets:\n  - name: Page\n    id: page\n    url: http://{}/\n    interval: 1s\n", site.at)
}

fn verify(database: &Path) {
    let out = cli(&["verify", database.to_str().expect("utf-8")]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn fifty_power_cuts_lose_at_most_the_last_second() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let mut last_seen = None;
    for round in 0..KILLS {
        let run = place.start();
        if let Some(seen) = last_seen {
            let rows = run.get(&format!("/api/v1/targets/page/observations?to={}&limit=1", seen + 1)).json();
            let newest = rows["rows"][0]["at"].as_i64().unwrap_or(0);
            assert!(newest >= seen - MAY_LACK_MS, "round {round}: newest row {newest}, a look was seen at {seen}");
        }
        let seen = wait_for("a new look", || {
            let at = run.target("Page")?["last"]["at"].as_i64()?;
            (Some(at) > last_seen).then_some(at)
        });
        last_seen = Some(seen);
        run.kill();
        verify(&place.database());
    }
}

#[test]
fn a_second_process_on_the_same_folder_refuses() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let run = place.start();
    run.wait_status("Page", "up");
    let out = place.command(&[]).output().expect("starts");
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("in use by another process"), "{text}");
    assert!(text.contains(&run.child.id().to_string()), "it names the process: {text}");
    assert_eq!(run.get("/healthz").status, 200, "the first one is not disturbed");
}

#[test]
fn a_copy_made_while_recording_is_whole() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let run = place.start();
    run.wait_status("Page", "up");
    let copy = place.folder.path().join("copy.db");
    let out = cli(&["backup", copy.to_str().expect("utf-8"), "--state", place.state().to_str().expect("utf-8")]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    verify(&copy);
}

#[test]
fn two_signals_end_at_once_and_one_ends_in_order() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let run = place.start();
    run.wait_status("Page", "up");
    let began = std::time::Instant::now();
    assert!(run.stop().success());
    assert!(began.elapsed() < LIMIT / 2, "{:?}", began.elapsed());
    verify(&place.database());
}

/// A small file system of its own, where the test may mount one.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("made");
        let options = format!("size={size},mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|s| s.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: this test may not mount a file system");
        None
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0).status();
        assert!(done.is_ok_and(|s| s.success()), "remount {how}");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_watching_goes_on() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let state = place.state();
    let Some(_disk) = SmallDisk::mount(&state, "4m") else { return };
    let run = place.start();
    run.wait_status("Page", "up");
    let filler = state.join("filler");
    // dd ends with an error when the disk is full, which is the point.
    let _full = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", filler.display())).output();
    let unwell = wait_for("the full disk is told", || {
        let ready = run.get("/readyz");
        (ready.status == 503).then(|| ready.text())
    });
    assert!(unwell.contains("full"), "{unwell}");
    assert_eq!(run.get("/api/v1/health").json()["parts"]["store"]["ok"], false);
    let before = site.requests();
    wait_for("watching goes on", || (site.requests() > before + 1).then_some(()));
    site.answer_with(500);
    run.wait_status("Page", "down");
    std::fs::remove_file(&filler).expect("removed");
    wait_for("it recovers by itself", || (run.get("/readyz").status == 200).then_some(()));
    assert!(run.stop().success());
    verify(&place.database());
}

/// The disk that is full is the very thing that people must hear of.
#[test]
fn a_full_disk_keeps_no_message_back_and_none_comes_twice() {
    let (_runtime, receiver) = alerts::receiver();
    let site = Site::start();
    let target = format!("  - {{name: Page, url: 'http://{}/', interval: 1s}}\n", site.at);
    let place = Place::with(&alerts::config(&receiver, &target));
    let state = place.state();
    let Some(_disk) = SmallDisk::mount(&state, "4m") else { return };
    let run = place.start();
    run.wait_status("Page", "up");
    let filler = state.join("filler");
    let _full = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", filler.display())).output();
    alerts::message(&receiver, "store is unwell");
    site.answer_with(500);
    alerts::message(&receiver, "Page is down");
    std::fs::remove_file(&filler).expect("removed");
    alerts::message(&receiver, "store has recovered");
    site.answer_with(200);
    alerts::message(&receiver, "Page has recovered");
    wait_for("the outbox is empty", || {
        let letters = run.get("/api/v1/outbox?state=waiting").json();
        letters["messages"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let keys: Vec<_> = receiver.requests().iter().map(|r| r.header("idempotency-key").map(str::to_owned)).collect();
    let mut different = keys.clone();
    different.sort();
    different.dedup();
    assert_eq!(keys.len(), different.len(), "{keys:?}");
    assert!(run.stop().success());
    verify(&place.database());
}

#[test]
fn a_read_only_folder_is_said_and_watching_goes_on() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let state = place.state();
    let Some(disk) = SmallDisk::mount(&state, "8m") else { return };
    let run = place.start();
    run.wait_status("Page", "up");
    run.stop();
    disk.remount("ro");
    let run = place.start();
    run.wait_status("Page", "up");
    let unwell = wait_for("the read-only folder is told", || {
        let ready = run.get("/readyz");
        (ready.status == 503).then(|| ready.text().to_lowercase())
    });
    assert!(unwell.contains("read-only") || unwell.contains("readonly"), "{unwell}");
    disk.remount("rw");
    wait_for("it recovers by itself", || (run.get("/readyz").status == 200).then_some(()));
}

/// With login off everything works without a history; and it is told.
fn watches_without_a_history(site: &Site, place: &Place) {
    let run = place.start();
    run.wait_status("Page", "up");
    wait_for("the unusable folder is told", || (run.get("/readyz").status == 503).then_some(()));
    assert_eq!((run.get("/").status, run.get("/healthz").status), (200, 200));
    assert!(run.log().contains("users, sessions and tokens cannot be read now"), "{}", run.log());
    let before = site.requests();
    wait_for("watching goes on", || (site.requests() > before + 1).then_some(()));
    assert_eq!(run.send("POST", "/api/v1/targets/page/test", &json!({})).status, 200);
}

#[test]
fn a_state_folder_that_is_a_file_is_said_and_watching_goes_on() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    std::fs::write(place.state(), "no folder").expect("written");
    watches_without_a_history(&site, &place);
}

#[test]
fn a_disk_that_was_full_before_the_first_start_is_said_and_watching_goes_on() {
    let site = Site::start();
    let place = Place::open(&page(&site));
    let state = place.state();
    let Some(disk) = SmallDisk::mount(&state, "8k") else { return };
    watches_without_a_history(&site, &place);
    disk.remount("ro");
    watches_without_a_history(&site, &place);
}

#[test]
fn users_that_cannot_be_read_open_no_door_and_come_back() {
    let site = Site::start();
    let place = Place::with(&format!("server:\n  listen: 127.0.0.1:0\n{}", page(&site)));
    let run = place.start();
    let at = run.at;
    let set_up = |at, token: &str| {
        let body = json!({ "token": token, "user": "ann", "password": "correct horse battery" }).to_string();
        http::request(at, "POST", "/api/v1/setup", &[], Some(&body))
    };
    assert_eq!(set_up(at, run.setup_token.as_deref().expect("a first start")).status, 200);
    run.stop();
    let (state, aside) = (place.state(), place.folder.path().join("aside"));
    std::fs::rename(&state, &aside).expect("moved");
    std::fs::write(&state, "no folder").expect("written");

    let run = place.start();
    assert!(run.setup_token.is_none(), "that users cannot be read does not mean that there are none");
    let session = run.get("/api/v1/session").json();
    assert_eq!((&session["setup_needed"], &session["signed_in"]), (&json!(false), &json!(false)));
    let sign_in = || {
        let body = json!({ "user": "ann", "password": "correct horse battery" }).to_string();
        http::request(run.at, "POST", "/api/v1/session", &[], Some(&body))
    };
    for answer in [sign_in(), set_up(run.at, "guessed"), run.get("/api/v1/targets")] {
        let text = answer.text();
        assert!(answer.status == 503 && text.contains("users cannot be read now"), "{} {text}", answer.status);
        assert!(!text.contains(&*state.to_string_lossy()), "strangers learn no path: {text}");
    }
    assert_eq!(run.get("/").status, 200, "the page loads");

    std::fs::remove_file(&state).expect("removed");
    std::fs::rename(&aside, &state).expect("moved back");
    wait_for("users are known again", || (sign_in().status == 200).then_some(()));
    assert!(!run.log().contains("set-up token there"), "{}", run.log());
}

#[test]
fn the_set_up_opens_as_soon_as_an_empty_folder_can_be_read() {
    let site = Site::start();
    let place = Place::with(&format!("server:\n  listen: 127.0.0.1:0\n{}", page(&site)));
    std::fs::write(place.state(), "no folder").expect("written");
    let run = place.start();
    assert!(run.setup_token.is_none());
    std::fs::remove_file(place.state()).expect("removed");
    std::fs::create_dir(place.state()).expect("made");
    let token = wait_for("the token is printed", || {
        run.log().split("set-up token there: ").nth(1)?.split_whitespace().next().map(str::to_owned)
    });
    let body = json!({ "token": token, "user": "ann", "password": "correct horse battery" }).to_string();
    assert_eq!(http::request(run.at, "POST", "/api/v1/setup", &[], Some(&body)).status, 200);
}
