//! Sessions that are held, through the step: when they are judged, how they end, and when they are opened again. Tests only.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::live::Doing;
use model::status::Status;
use model::target::{Target, Watch};

use super::rig::Rig;
use crate::input::Command;
use crate::testing::{id, target_at};

fn held(name: &str) -> Arc<Target> {
    held_at(name, &format!("{name}.test"))
}

fn held_at(name: &str, host: &str) -> Arc<Target> {
    target_at(name, host, |t| t.watch = Watch::Continuous)
}

fn changed(target: &Arc<Target>, change: impl FnOnce(&mut Target)) -> Arc<Target> {
    let mut target = Target::clone(target);
    change(&mut target);
    Arc::new(target)
}

fn doing(rig: &mut Rig) -> Doing {
    rig.board().targets[0].session.as_ref().expect("it is held").doing
}

/// A rig whose only target is held and live since now.
fn live(name: &str) -> Rig {
    let mut rig = Rig::new(&[held(name)]);
    assert!(matches!(doing(&mut rig), Doing::Waiting { .. }));
    rig.until_look(name);
    assert_eq!(doing(&mut rig), Doing::Connecting);
    rig.quiet();
    rig.lives(name, 'v');
    rig
}

#[test]
fn a_session_is_judged_when_it_opens_and_then_on_the_interval() {
    let mut rig = live("cam");
    assert_eq!(
        rig.lines(),
        ["live cam", "stored cam pass up after 1", "change cam unknown to up: "],
        "what is seen first is believed"
    );
    let began = rig.ms;
    rig.lives_until("cam", began + 61_000);
    let lines = rig.lines();
    assert!(lines.iter().all(|l| l == "stored cam pass up after 1") && (5..=6).contains(&lines.len()), "{lines:?}");
    let board = rig.board();
    let session = board.targets[0].session.as_ref().expect("it is held");
    assert_eq!((session.doing, session.reconnects, session.seconds.len()), (Doing::Live, 0, 60));
    let seen = session.live.as_ref().expect("live values");
    assert!(board.at.since(seen.at) < Duration::from_secs(1), "the newest second");
    assert!(board.targets[0].next_due > Some(board.at));
    assert_eq!(board.targets[0].beats.len(), 1 + lines.len(), "seconds are no beats");
}

#[test]
fn live_values_alone_leave_the_revision() {
    let mut rig = live("cam");
    let before = rig.board();
    rig.ms += 1000;
    rig.lives("cam", 'v');
    assert!(rig.state.is_live() && !rig.state.is_dirty());
    let after = rig.board();
    assert_eq!(before.targets[0].revision, after.targets[0].revision);
    assert_ne!(before.targets[0].session, after.targets[0].session);
    rig.ends("cam", 'e');
    assert!(rig.board().targets[0].revision > after.targets[0].revision);
}

#[test]
fn a_stream_that_the_peer_ends_is_down_after_one_failed_reconnect() {
    let mut rig = live("cam");
    rig.lives_until("cam", 30_000);
    rig.quiet();
    rig.ends("cam", 'e');
    assert_eq!(
        rig.lines(),
        ["over cam: no media (connect): saw e", "stored cam fail up after 1", "hold cam #2"],
        "judged at once, and the next session is opened at once"
    );
    rig.ends("cam", 'r');
    assert_eq!(rig.status("cam"), Status::Down);
    assert_eq!(
        rig.lines(),
        ["stored cam fail down after 1", "change cam up to down: refused (connect): saw r", "opened cam down"]
    );
    // 1 s, 2 s, 4 s, 8 s less up to a quarter, then the interval of 10 s; never more.
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let from = rig.ms;
        pauses.push(rig.until_look("cam") - from);
        rig.ends("cam", 'r');
    }
    for (pause, full) in pauses.iter().zip([1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]) {
        assert!((full * 3 / 4..=full + 1).contains(pause), "{pauses:?}");
    }
    rig.until_look("cam");
    rig.quiet();
    rig.lives("cam", 'v');
    assert_eq!(rig.status("cam"), Status::Up, "the first good sight is believed");
    let board = rig.board();
    assert_eq!(board.targets[0].session.as_ref().expect("held").reconnects, 1);
    assert!(rig.lines().contains(&"live cam".to_owned()));
}

#[test]
fn a_stream_that_falls_silent_is_down_at_once_whatever_the_threshold() {
    for fail_after in [1, 2, 5] {
        let mut rig = Rig::new(&[changed(&held("cam"), |t| t.rules.fail_after = fail_after)]);
        rig.until_look("cam");
        rig.lives("cam", 'v');
        rig.lives_until("cam", 30_000);
        rig.quiet();
        rig.ends("cam", 's');
        assert_eq!(
            rig.lines(),
            [
                "over cam: stale (media): saw s",
                "stored cam fail down after 1",
                "change cam up to down: stale (media): saw s",
                "opened cam down",
                "hold cam #2",
            ],
            "it was bad for as long as the silence lasted, and the next session is opened at once"
        );
        rig.lives("cam", 'v');
        assert_eq!(rig.status("cam"), Status::Up, "who comes back is believed as ever");
        // What is silent before it is open says no more than any failed attempt.
        rig.lives_until("cam", 60_000);
        rig.ends("cam", 'e');
        rig.ends("cam", 's');
        assert_eq!(rig.status("cam"), if fail_after <= 2 { Status::Down } else { Status::Up });
    }
}

#[test]
fn a_server_that_ends_and_opens_again_stays_up() {
    let mut rig = live("cam");
    for n in 1..5 {
        rig.lives_until("cam", n * 30_000);
        rig.ends("cam", 'e');
        assert_eq!(rig.until_look("cam"), rig.ms, "at once");
        rig.lives("cam", 'v');
        assert_eq!(rig.status("cam"), Status::Up);
    }
}

#[test]
fn a_black_hole_is_asked_as_often_as_the_interval_says() {
    let mut rig = Rig::new(&[held("cam")]);
    let mut began = Vec::new();
    for _ in 0..8 {
        began.push(rig.until_look("cam"));
        rig.until(rig.ms + 8000);
        rig.ends("cam", 't');
    }
    assert!(began.windows(2).all(|w| w[1] - w[0] <= 10_001), "{began:?}");
}

#[test]
fn a_server_that_lets_in_and_throws_out_is_not_up() {
    let mut rig = live("cam");
    for _ in 0..2 {
        rig.lives_until("cam", rig.ms + 2000);
        rig.ends("cam", 'e');
        rig.until_look("cam");
        rig.lives("cam", 'v');
    }
    assert_eq!(rig.status("cam"), Status::Up, "twice may be chance");
    for _ in 0..5 {
        rig.lives_until("cam", rig.ms + 2000);
        rig.ends("cam", 'e');
        rig.until_look("cam");
        rig.lives("cam", 'v');
    }
    assert_eq!(rig.status("cam"), Status::Down, "opening alone is believed no more");
    let opened = rig.ms;
    let board = rig.board();
    let session = board.targets[0].session.as_ref().expect("held");
    assert_eq!(session.believed_at, Some(session.since.plus(Duration::from_secs(10))));
    rig.lives_until("cam", opened + 9000);
    assert_eq!(rig.status("cam"), Status::Down);
    rig.lives_until("cam", opened + 11_000);
    assert_eq!(rig.status("cam"), Status::Up, "a session that lasts is");
    assert_eq!(rig.board().targets[0].session.as_ref().expect("held").believed_at, None);
    rig.ends("cam", 'e');
    assert_eq!(rig.until_look("cam"), rig.ms, "and what was before is forgiven");
}

#[test]
fn who_asks_now_gets_the_newest_second_judged() {
    let mut rig = live("cam");
    rig.lives_until("cam", 15_300);
    rig.quiet();
    rig.command(Command::TestNow(id("cam")), 7);
    assert_eq!(rig.lines(), ["stored cam pass up after 1", "reply 7 observed cam"]);
    rig.ends("cam", 'e');
    rig.ends("cam", 'r');
    rig.quiet();
    rig.command(Command::TestNow(id("cam")), 8);
    assert_eq!(rig.lines(), ["hold cam #3"], "nobody waits for a pause to end");
    rig.ends("cam", 'r');
    assert_eq!(rig.lines()[1..], ["reply 8 observed cam"]);
    rig.until_look("cam");
    rig.command(Command::TestNow(id("cam")), 9);
    rig.quiet();
    rig.lives("cam", 'v');
    assert!(rig.lines().contains(&"reply 9 observed cam".to_owned()));
}

#[test]
fn a_paused_one_is_looked_at_once_when_somebody_asks() {
    let mut rig = live("cam");
    rig.command(Command::Pause(id("cam")), 1);
    let lines = rig.lines();
    assert!(lines.contains(&"cancel #1".to_owned()), "{lines:?}");
    assert!(rig.board().targets[0].session.is_none());
    rig.ends("cam", 'e');
    rig.quiet();
    rig.command(Command::TestNow(id("cam")), 2);
    assert_eq!(rig.lines(), ["start cam #2 attempt 1"]);
    rig.ends("cam", 'v');
    assert_eq!(rig.lines(), ["stored cam pass paused after 1", "reply 2 observed cam"]);
    rig.command(Command::Resume(id("cam")), 3);
    assert_eq!(rig.until_look("cam"), rig.ms);
    assert!(rig.lines().contains(&"hold cam #3".to_owned()));
}

#[test]
fn sessions_hold_no_permit() {
    let targets: Vec<_> = (0..10).map(|i| held_at(&format!("cam{i}"), "one.test")).collect();
    let mut rig = Rig::new(&targets);
    rig.until(200);
    let mut open = BTreeSet::new();
    for i in 0..10 {
        assert!(rig.flying.len() <= i + 4, "at most four are opened at once");
        let next = rig.flying.values().map(|t| t.id.clone()).find(|id| open.insert(id.clone()));
        rig.lives(next.expect("one is being opened").as_str(), 'v');
    }
    assert_eq!((rig.flying.len(), rig.board().targets.iter().filter(|t| t.beats.len() == 1).count()), (10, 10));
}

#[test]
fn a_reload_keeps_what_it_does_not_touch() {
    let cam = held("cam");
    let mut rig = live("cam");
    rig.quiet();
    rig.load(&[Arc::clone(&cam)]);
    assert_eq!(rig.lines(), [""; 0]);
    let renamed = changed(&cam, |t| {
        t.name = "Camera".to_owned();
        t.expect.min_width = Some(100);
        t.rules.fail_after = 3;
    });
    rig.load(&[Arc::clone(&renamed)]);
    assert!(!rig.lines().iter().any(|l| l.starts_with("cancel")), "the session is the same");
    let other = changed(&renamed, |t| t.id = id("other"));
    rig.load(&[Arc::clone(&other)]);
    assert!(!rig.lines().iter().any(|l| l.starts_with("cancel")), "an id that follows its address, too");
    rig.ms += 1000;
    let look = *rig.flying.keys().next().expect("it goes on");
    rig.flying.insert(look, Arc::clone(&cam)); // the task still knows it by its old name
    rig.lives("cam", 'v');
    rig.command(Command::TestNow(id("other")), 1);
    assert_eq!(rig.lines(), ["stored other pass up after 1", "reply 1 observed other"]);
    let periodic = changed(&other, |t| t.watch = Watch::Periodic);
    rig.load(&[Arc::clone(&periodic)]);
    assert!(rig.lines().contains(&"cancel #1".to_owned()));
    rig.ends("cam", 'e');
    rig.quiet();
    rig.until_look("other");
    assert_eq!(rig.lines(), ["start other #2 attempt 1"]);
}

#[test]
fn media_that_changes_is_told_at_once() {
    let mut rig = live("cam");
    rig.quiet();
    rig.ms += 1000;
    rig.lives("cam", 'V');
    assert_eq!(rig.lines(), ["media cam: video size is 1280x720, was 640x360"]);
}

#[test]
fn the_end_of_all_ends_sessions() {
    let mut rig = live("cam");
    rig.quiet();
    rig.input(crate::input::Input::Stop);
    assert_eq!(rig.lines(), ["cancel #1"]);
    rig.ends("cam", 'e');
    assert_eq!((rig.lines(), rig.state.next_wake()), (Vec::new(), None));
}
