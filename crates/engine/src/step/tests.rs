//! The step from outside: inputs at times, effects as lines of text. Tests only.

mod holding;
mod rig;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::conf::Problem;
use model::limits::default_timeout;
use model::status::{Status, StatusState};
use model::target::Target;

use self::rig::Rig;
use crate::input::{Command, Input, Kept, NewConfig, StoreNow};
use crate::state::fingerprint;
use crate::testing::{EPOCH, config, id, target, target_at};

fn with(name: &str, change: impl FnOnce(&mut Target)) -> Arc<Target> {
    target_at(name, &format!("{name}.test"), change)
}

#[test]
fn the_first_look_decides_and_thresholds_protect_what_is_known() {
    let mut rig = Rig::new(&[target("a")]);
    assert_eq!(rig.lines(), ["seen a a", "applied +[a] ~[] -[]"]);
    assert!(rig.until_look("a") <= 10, "one target alone is looked at at once");
    rig.ends("a", 'p');
    assert_eq!(rig.lines(), ["start a #1 attempt 1", "stored a pass up after 1", "change a unknown to up: "]);
    rig.rounds("a", "rrp");
    assert_eq!(
        rig.lines(),
        [
            "start a #2 attempt 1",
            "stored a fail up after 1",
            "start a #3 attempt 1",
            "stored a fail down after 1",
            "change a up to down: refused (connect): saw r",
            "opened a down",
            "start a #4 attempt 1",
            "stored a pass up after 1",
            "change a down to up: ",
            "closed a down: refused (connect): saw r",
        ]
    );
}

#[test]
fn an_incident_gets_worse_once() {
    let slow = with("a", |t| t.expect.warn_after = Some(Duration::from_millis(1)));
    let mut rig = Rig::new(&[slow]);
    rig.rounds("a", "p");
    rig.quiet();
    rig.rounds("a", "rrr");
    let lines: Vec<_> = rig.lines().into_iter().filter(|l| l.contains("opened") || l.contains("worse")).collect();
    assert_eq!(lines, ["worse a down"], "it was opened when the first look made it degraded");
    assert_eq!(rig.board().get(&id("a")).and_then(|t| t.incident.clone()).map(|i| i.worst), Some(Status::Down));
}

#[test]
fn only_the_last_attempt_counts_and_only_what_may_pass_is_retried() {
    for (letters, wanted) in [
        ("rrp", vec!["stored a pass up after 3"]),
        ("ttt", vec!["stored a fail down after 3"]),
        ("p", vec!["stored a pass up after 1"]),
        ("a", vec!["stored a fail down after 1"]),
        ("ra", vec!["stored a fail down after 2"]),
    ] {
        let mut rig = Rig::new(&[with("a", |t| t.retries = 2)]);
        for (i, letter) in letters.chars().enumerate() {
            let before = rig.ms;
            let began = rig.until_look("a");
            assert!(i == 0 || began == before + 500, "a pause of 500 ms: {before} {began}");
            rig.ms += 30;
            rig.ends("a", letter);
        }
        let stored: Vec<_> = rig.lines().into_iter().filter(|l| l.starts_with("stored")).collect();
        assert_eq!(stored, wanted, "{letters}");
        assert!(rig.flying.is_empty());
    }
}

#[test]
fn the_grid_does_not_drift_and_a_slow_look_never_overlaps_itself() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "p");
    let first = rig.until_look("a");
    rig.ms += 700;
    rig.ends("a", 'p');
    for k in 1..50 {
        assert_eq!(rig.until_look("a"), first + k * 10_000, "round {k}");
        rig.ms += 13 * k;
        rig.ends("a", if k % 3 == 0 { 'r' } else { 'p' });
    }
    let begun = rig.until_look("a");
    rig.until(begun + 34_000);
    assert_eq!(rig.flying.len(), 1, "still the same look");
    rig.ends("a", 't');
    assert_eq!(rig.until_look("a"), begun + 40_000, "the next point of the grid, three were missed");
    assert_eq!(rig.state.punctuality().missed, 3);
}

#[test]
fn the_second_look_comes_within_an_interval_of_the_first_whatever_the_grid() {
    for n in 0..50 {
        let name = format!("t{n}");
        let mut rig = Rig::new(&[target(&name)]);
        let first = rig.until_look(&name);
        rig.ends(&name, 'p');
        assert!(rig.until_look(&name) - first <= 10_001, "{name}");
        assert_eq!(rig.state.punctuality().missed, 0);
    }
}

/// What a stream at 5 s with the default deadline and threshold costs until it counts as down: the window of the alert, 1 s, is
/// what is left of the fifteen seconds that are promised.
#[test]
fn who_accepts_and_says_nothing_is_down_within_fourteen_seconds_at_five() {
    let silent = with("silent", |t| {
        t.interval = Duration::from_secs(5);
        t.timeout = default_timeout(t.interval);
    });
    let mut rig = Rig::new(&[silent]);
    rig.rounds("silent", "pp");
    let died = rig.ms; // just after a look that passed: the worst moment
    while rig.status("silent") == Status::Up {
        rig.until_look("silent");
        rig.until(rig.ms + 3500);
        rig.ends("silent", 't');
    }
    let took = rig.ms - died;
    assert!((13_000..=13_501).contains(&took), "{took}");
}

#[test]
fn a_dead_target_is_looked_at_as_often_as_a_live_one() {
    let mut rig = Rig::new(&[target("dead"), target("live")]);
    let mut starts = BTreeMap::from([("dead", 0), ("live", 0)]);
    for _ in 0..200 {
        for (name, letter) in [("dead", 'r'), ("live", 'p')] {
            if rig.look(name).is_some() {
                rig.ends(name, letter);
                *starts.get_mut(name).expect("known") += 1;
            }
        }
        let next = rig.ms + 1000;
        rig.until(next);
    }
    assert!(i32::abs_diff(starts["dead"], starts["live"]) <= 1, "{starts:?}");
    assert_eq!(rig.status("dead"), Status::Down);
}

#[test]
fn pausing_throws_a_look_away_and_resuming_looks_at_once() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "r");
    rig.until_look("a");
    rig.quiet();
    rig.command(Command::Pause(id("a")), 1);
    rig.ends("a", 'p');
    assert_eq!(
        rig.lines(),
        [
            "paused a true",
            "cancel #2",
            "change a down to paused: paused by the operator",
            "closed a down: refused (connect): saw r (closed: paused by the operator)",
            "reply 1 done",
        ]
    );
    rig.until(rig.ms + 60_000);
    rig.command(Command::Pause(id("a")), 2);
    assert_eq!(rig.lines(), ["reply 2 done"], "twice is harmless and nothing was looked at");
    rig.command(Command::Resume(id("a")), 3);
    let wanted = "change a paused to unknown: resumed, not looked at yet";
    assert_eq!(rig.lines(), ["paused a false", wanted, "reply 3 done", "start a #3 attempt 1"]);
}

#[test]
fn a_pause_outlives_a_look_that_is_asked_for() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "p");
    rig.command(Command::Pause(id("a")), 1);
    rig.quiet();
    rig.command(Command::TestNow(id("a")), 2);
    rig.ends("a", 'r');
    assert_eq!(rig.lines(), ["start a #2 attempt 1", "stored a fail paused after 1", "reply 2 observed a"]);
    assert_eq!((rig.status("a"), rig.state.next_wake()), (Status::Paused, None));
}

#[test]
fn who_asks_joins_the_look_under_way_and_the_cadence_stays() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "p");
    let due = rig.until_look("a");
    rig.quiet();
    rig.command(Command::TestNow(id("a")), 1);
    rig.command(Command::TestNow(id("b")), 2);
    rig.ends("a", 'p');
    let wanted = ["reply 2 there is no such target", "stored a pass up after 1", "reply 1 observed a"];
    assert_eq!(rig.lines(), wanted);
    rig.until(due + 4000);
    rig.command(Command::TestNow(id("a")), 3);
    for ticket in 4..=20 {
        rig.command(Command::TestNow(id("a")), ticket);
    }
    assert_eq!(rig.lines(), ["start a #3 attempt 1", "reply 19 busy, try again", "reply 20 busy, try again"]);
    rig.ends("a", 'p');
    assert_eq!(rig.until_look("a"), due + 10_000);
}

#[test]
fn doesnt_reload_unchanged() {
    let mut rig = Rig::new(&[target("a"), target("b")]);
    rig.rounds("a", "p");
    rig.until_look("b");
    rig.quiet();
    let (due, before) = (rig.state.next_wake(), rig.board());
    rig.load(&[target("b"), target("a")]);
    assert_eq!(rig.lines(), ["applied +[] ~[] -[]"], "the order changed and nothing else");
    assert_eq!(rig.state.next_wake(), due);
    let after = rig.board();
    assert!(Arc::ptr_eq(&before.targets[0], &after.targets[1]), "an entry that is the same is not made again");
    assert_eq!(after.index[&id("b")], 0);
}

#[test]
fn reload_changes_only_what_changed() {
    let mut rig = Rig::new(&[target("a"), target("b"), target("c")]);
    rig.rounds("a", "p");
    rig.rounds("b", "pp");
    rig.until_look("a");
    let c_looks = rig.look("c").is_some();
    if !c_looks {
        rig.until_look("c");
    }
    rig.until_look("b");
    rig.quiet();
    let b = rig.look("b").expect("under way").0;
    let faster = with("b", |t| t.interval = Duration::from_secs(5));
    rig.load(&[target("a"), faster, target("d")]);
    let c = rig.look("c").expect("under way").0;
    assert_eq!(
        rig.lines(),
        [
            format!("cancel #{c}"),
            "retired c".to_owned(),
            format!("cancel #{b}"),
            "seen d d".to_owned(),
            "applied +[d] ~[b] -[c]".to_owned(),
        ]
    );
    assert!(rig.look("a").is_some(), "the look of what did not change goes on");
    assert_eq!((rig.status("b"), rig.board().get(&id("b")).map(|t| t.beats.len())), (Status::Up, Some(2)));
    rig.until(rig.ms + 500);
    assert_eq!(rig.lines(), ["start d #7 attempt 1"], "b waits until its old look is back");
    rig.ends("b", 'r');
    assert_eq!(rig.lines(), ["start b #8 attempt 1"], "what the old look saw is thrown away");
}

#[test]
fn a_rename_keeps_status_beats_and_incident() {
    let mut rig = Rig::new(&[target("a"), target("b")]);
    rig.rounds("a", "r");
    rig.quiet();
    let renamed = target_at("a", "a.test", |t| (t.id, t.name) = (id("z"), "Zoo".to_owned()));
    rig.load(&[renamed, target("b")]);
    assert_eq!(rig.lines(), ["renamed a to z", "seen z Zoo", "applied +[z] ~[] -[a]"]);
    let board = rig.board();
    let z = board.get(&id("z")).expect("there");
    assert_eq!((z.state.status, z.beats.len()), (Status::Down, 1));
    assert_eq!(z.incident.as_ref().map(|i| i.target.clone()), Some(id("z")));
    assert!(board.get(&id("a")).is_none());
}

#[test]
fn two_that_could_be_meant_are_no_rename() {
    let same = |name: &str| target_at(name, "h.test", |t| t.address = target("x").address.clone());
    let mut rig = Rig::new(&[same("a"), same("b")]);
    rig.quiet();
    rig.load(&[same("c")]);
    assert_eq!(rig.lines(), ["retired a", "retired b", "seen c c", "applied +[c] ~[] -[a, b]"]);
}

#[test]
fn what_is_removed_leaves_nothing_open_and_comes_back_with_its_beats() {
    let mut rig = Rig::new(&[target("a"), target("b")]);
    rig.rounds("a", "r");
    rig.command(Command::Pause(id("b")), 1);
    rig.quiet();
    rig.load(&[]);
    assert_eq!(
        rig.lines().into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
        [
            "applied +[] ~[] -[a, b]",
            "change a down to unknown: removed from the configuration",
            "change b paused to unknown: removed from the configuration",
            "closed a down: refused (connect): saw r (closed: removed from the configuration)",
            "paused b false",
            "retired a",
            "retired b",
        ]
    );
    rig.load(&[target("a")]);
    assert_eq!((rig.status("a"), rig.board().targets[0].beats.len()), (Status::Unknown, 1));
    assert_eq!(rig.lines(), ["seen a a", "applied +[a] ~[] -[]"]);
}

#[test]
fn a_disabled_target_is_paused_and_an_enabled_one_begins() {
    let mut rig = Rig::new(&[with("a", |t| t.enabled = false)]);
    assert_eq!(rig.lines(), ["seen a a", "change a unknown to paused: paused by the operator", "applied +[a] ~[] -[]"]);
    rig.command(Command::Resume(id("a")), 1);
    assert_eq!(rig.lines(), ["reply 1 done"], "the configuration says no");
    rig.load(&[target("a")]);
    rig.until(100);
    let wanted = "change a paused to unknown: resumed, not looked at yet";
    assert_eq!(rig.lines(), [wanted, "applied +[] ~[a] -[]", "start a #1 attempt 1"]);
}

/// What the history knows of a target after a restart.
fn kept(spec: &Target, status: Status, paused: bool) -> Kept {
    let mut state = StatusState::unknown(EPOCH);
    (state.status, state.reason) = (status, "from before".to_owned());
    Kept {
        name: spec.name.clone(),
        fingerprint: fingerprint(spec),
        retired: false,
        state,
        blind: true,
        paused,
        beats: Vec::new(),
        incident: None,
        last: None,
    }
}

#[test]
fn after_a_restart_nobody_claims_to_know_and_the_incident_goes_on() {
    for (letter, wanted) in [
        ('p', vec!["change a unknown to up: ", "closed a down: old"]),
        ('r', vec!["change a unknown to down: refused (connect): saw r"]),
    ] {
        let a = target("a");
        let mut known = kept(&a, Status::Down, false);
        let opened_at = EPOCH.minus(Duration::from_secs(100));
        let (worst, cause) = (Status::Down, "old".to_owned());
        known.incident = Some(model::incident::Incident { target: id("a"), opened_at, closed_at: None, worst, cause });
        let mut rig = Rig::with(BTreeMap::from([(id("a"), known)]), &[a]);
        let blind = "change a down to unknown: StreamPulse was not running";
        assert_eq!(rig.lines(), [blind, "applied +[a] ~[] -[]"], "it is known by name and address");
        rig.rounds("a", &letter.to_string());
        assert_eq!(rig.lines()[2..], wanted, "{letter}");
    }
}

#[test]
fn a_restart_remembers_pauses_follows_renames_and_retires_what_is_gone() {
    let (a, b) = (target("a"), target("b"));
    let known = BTreeMap::from([
        (id("a"), kept(&a, Status::Paused, true)),
        (id("b"), kept(&b, Status::Up, false)),
        (id("c"), kept(&target("c"), Status::Up, false)),
    ]);
    let moved = target_at("b", "b.test", |t| t.id = id("bb"));
    let mut rig = Rig::with(known, &[a, moved]);
    let lines = rig.lines();
    for wanted in [
        "renamed b to bb",
        "change bb up to unknown: StreamPulse was not running",
        "change c up to unknown: removed from the configuration",
        "retired c",
    ] {
        assert!(lines.contains(&wanted.to_owned()), "{wanted}: {lines:#?}");
    }
    assert_eq!(lines.len(), 5, "and the configuration applied: {lines:#?}");
    rig.until(60_000);
    assert_eq!(rig.lines().len(), 1, "only bb is looked at");
}

#[test]
fn a_stream_that_changes_its_media_is_told() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "vvrvV");
    let media: Vec<_> = rig.lines().into_iter().filter(|l| l.starts_with("media")).collect();
    assert_eq!(media, ["media a: video size is 1280x720, was 640x360"]);
}

#[test]
fn a_jump_of_the_wall_clock_is_told_and_moves_no_look() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "p");
    rig.quiet();
    let due = rig.state.next_wake();
    for (jump, wanted) in [
        (3_600_000, vec!["unwell clock: the wall clock jumped forward by 3600.0 s"]),
        (-7_200_000, vec!["unwell clock: the wall clock jumped back by 7200.0 s"]),
        (1500, vec![]),
    ] {
        rig.jumped += jump;
        rig.ms += 1;
        rig.input(Input::Tick);
        assert_eq!(rig.lines(), wanted, "{jump}");
    }
    assert_eq!(rig.state.next_wake(), due);
    for _ in 0..7 {
        rig.rounds("a", "p");
    }
    assert!(rig.lines().contains(&"well clock".to_owned()));
}

#[test]
fn parts_are_unwell_until_they_are_well() {
    let mut rig = Rig::new(&[]);
    rig.quiet();
    let store = |ok: bool, reason: Option<&str>, lost_rows| {
        Input::Store(StoreNow { ok, reason: reason.map(str::to_owned), lost_rows })
    };
    rig.input(store(false, Some("the disk is full"), 0));
    rig.input(store(false, Some("the disk is full"), 0));
    rig.input(store(true, None, 0));
    assert_eq!(rig.lines(), ["unwell store: the disk is full", "well store"]);
    rig.input(store(true, None, 7));
    rig.input(store(true, None, 7));
    assert_eq!(rig.lines(), ["unwell store: 7 rows of history were lost so far"]);
    rig.until(61_000);
    assert_eq!(rig.lines(), ["well store"]);
    rig.input(Input::Panicked("a look at x: boom".to_owned()));
    rig.until(130_000);
    assert_eq!(rig.lines(), ["unwell engine: a panic was contained: a look at x: boom", "well engine"]);
}

#[test]
fn bad_file_changes_nothing() {
    let mut rig = Rig::new(&[target("a")]);
    rig.rounds("a", "p");
    rig.quiet();
    let (due, before) = (rig.state.next_wake(), rig.board());
    let problems = Arc::new(vec![Problem::new(None, "x", "wrong"), Problem::new(None, "y", "wrong too")]);
    rig.input(Input::ConfigRejected(Arc::clone(&problems)));
    rig.input(Input::ConfigRejected(Arc::clone(&problems)));
    assert_eq!(rig.lines(), ["unwell config: x: wrong (and 1 more)", "rejected 2"]);
    let after = rig.board();
    assert_eq!((rig.state.next_wake(), &after.config_hash), (due, &before.config_hash));
    assert!(Arc::ptr_eq(&before.targets[0], &after.targets[0]));
    assert_eq!(after.health.config_problems, problems);
    rig.load(&[target("a")]);
    assert_eq!(rig.lines(), ["well config"]);
    assert!(rig.board().health.config_problems.is_empty());
}

#[test]
fn black_holes_keep_nobody_waiting() {
    let mut targets: Vec<_> = (0..20).map(|i| target_at(&format!("hole{i}"), "shared.test", |_| ())).collect();
    targets.extend((0..20).map(|i| target_at(&format!("good{i}"), "shared.test", |_| ())));
    targets.push(target("alone"));
    let mut rig = Rig::new(&targets);
    let (mut begun, mut waits) = (BTreeMap::new(), Vec::new());
    while rig.ms < 100_000 {
        let next = rig.ms + 10;
        rig.until(next);
        for (look, target) in rig.flying.clone() {
            let since = *begun.entry(look).or_insert(rig.ms);
            let hole = target.id.as_str().starts_with("hole");
            if hole && rig.ms >= since + 8000 {
                rig.ends(target.id.as_str(), 't');
            } else if !hole {
                rig.ends(target.id.as_str(), 'p');
            }
        }
        if rig.ms.is_multiple_of(10_000) {
            waits.push(rig.state.punctuality().clone());
        }
    }
    let late = |a: usize, b: usize| waits[b].rounds - waits[a].rounds;
    assert!(late(4, 9) >= 5 * 21, "everybody is looked at: {}", late(4, 9));
    assert!((0..20).all(|i| rig.status(&format!("hole{i}")) == Status::Down));
    assert!((0..20).all(|i| rig.status(&format!("good{i}")) == Status::Up));
    let missed = waits[9].missed - waits[4].missed;
    assert_eq!(missed, 0, "8 s fit into 10 s");
}

#[test]
fn the_end_cancels_everything_and_answers_everybody() {
    let mut rig = Rig::new(&[target("a"), target("b")]);
    rig.until_look("a");
    rig.command(Command::TestNow(id("a")), 1);
    rig.quiet();
    rig.input(Input::Stop);
    let mut lines = rig.lines();
    lines.sort();
    let first = rig.look("a").expect("under way").0;
    assert!(lines.contains(&format!("cancel #{first}")) && lines.contains(&"reply 1 stopping".to_owned()), "{lines:?}");
    for name in ["a", "b"] {
        if rig.look(name).is_some() {
            rig.ends(name, 'p');
        }
    }
    rig.command(Command::TestNow(id("a")), 2);
    rig.load(&[target("c")]);
    rig.until(100_000);
    assert_eq!(rig.lines(), ["reply 2 stopping"], "no result, no new look, no new configuration");
    assert_eq!(rig.state.next_wake(), None);
}

#[test]
fn many_first_looks_are_spread_and_few_are_at_once() {
    for (count, within) in [(3, 30), (1000, 5000)] {
        let targets: Vec<_> = (0..count).map(|i| target(&format!("t{i}"))).collect();
        let mut new: NewConfig = config(&targets);
        new.probes_at_once = 5000;
        let mut rig = Rig::new(&[]);
        rig.input(Input::Config(Box::new(new)));
        rig.until(within / 2);
        let half = rig.flying.len();
        rig.until(within);
        assert_eq!(rig.flying.len(), count);
        assert!(count < 10 || (count * 2 / 5..count * 3 / 5).contains(&half), "{half} in the first half");
    }
}
