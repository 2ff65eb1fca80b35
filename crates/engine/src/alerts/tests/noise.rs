//! Noise: parents, the network, flapping, limits, planned work.

use std::time::Duration;

use model::alert::{AlertSettings, Flapping, Held, MonthDay, Schedule, Scope, Span, Window};
use model::status::Status::{Degraded, Down, Maintenance, Unknown, Up};
use model::time::UtcMs;

use super::S;
use super::rig::{Rig, rule, settings};
use crate::alerts::commands::Saying;
use crate::testing::{EPOCH, id};

fn family() -> Rig {
    Rig::new(settings(vec![rule("down", |_| ())], |_| ()), &["router", "switch<router", "a<switch", "b<switch", "c"])
}

#[test]
fn a_parent_explains_its_children_in_one_message() {
    let mut rig = family();
    rig.pass(1_000);
    for name in ["router", "switch", "a", "b"] {
        rig.say(name, Down);
    }
    rig.pass(60_000);
    let told: Vec<_> = rig.log.iter().map(|(_, _, n)| n.clone()).collect();
    rig.check(&["2.0 raised: router is down"]);
    let mut explained: Vec<_> = told[0].explains.iter().map(|s| s.name.as_str()).collect();
    explained.sort_unstable();
    assert_eq!(explained, ["a", "b", "switch"]);
    assert!(told[0].text.contains("It explains 3 other targets"), "{}", told[0].text);
    let board = rig.alerts();
    let a = board.alerts.iter().find(|a| a.name == "a").expect("an alert");
    assert_eq!(a.held, Some(Held::Explained(id("router"))));
    let router = board.alerts.iter().find(|a| a.name == "router").expect("an alert");
    assert_eq!(router.explains.len(), 3);
    // All recover: one message.
    for name in ["router", "switch", "a", "b"] {
        rig.say(name, Up);
    }
    rig.pass(60_000);
    rig.check(&["62.0 recovered: router has recovered"]);
}

#[test]
fn a_child_that_fails_first_waits_for_its_parents() {
    let mut rig = family();
    rig.say("router", Up);
    rig.say("switch", Up);
    rig.pass(1_000);
    rig.say("a", Down);
    rig.pass(1_000);
    rig.check(&[]);
    assert_eq!(rig.looks, [id("switch"), id("router")]);
    // The look at the switch fails, so it is looked at again, and then it is down. The router is well.
    rig.look("router", Up, false);
    rig.look("switch", Up, true);
    rig.pass(1_000);
    assert_eq!(rig.looks, [id("switch"), id("router"), id("switch")]);
    rig.look("switch", Down, true);
    rig.pass(10_000);
    rig.check(&["4.0 raised: switch is down"]);
}

#[test]
fn a_child_is_told_of_when_its_parents_are_well_or_do_not_answer_in_time() {
    let mut rig = family();
    rig.pass(1_000);
    rig.say("a", Down);
    rig.pass(500);
    rig.say("router", Up);
    rig.say("switch", Degraded);
    rig.pass(3_000);
    rig.check(&["2.5 raised: a is down"]);
    // Nobody answers: five seconds, and the window.
    rig.say("b", Down);
    rig.pass(20_000);
    rig.check(&["10.5 raised: b is down"]);
    // A look at the parent that began after the trouble did says enough without another one.
    let mut rig = family();
    rig.look("b", Up, true);
    rig.pass(1_000);
    rig.say("router", Up);
    rig.say("switch", Up);
    rig.pass(4_000);
    rig.say("b", Down);
    rig.pass(3_000);
    rig.check(&["6.0 raised: b is down"]);
    assert_eq!(rig.looks, []);
}

#[test]
fn a_child_that_does_not_recover_with_its_parent_is_told_after_its_rounds() {
    let mut rig = family();
    for name in ["switch", "a", "b"] {
        rig.say(name, Down);
    }
    rig.say("router", Up);
    rig.pass(10_000);
    rig.check(&["1.0 raised: switch is down"]);
    rig.say("switch", Up);
    rig.pass(5_000);
    rig.check(&["11.0 recovered: switch has recovered"]);
    // fail_after is 2, so it has three looks.
    for _ in 0..2 {
        rig.say("a", Down);
        rig.say("b", Up);
        rig.pass(10_000);
        rig.check(&[]);
    }
    rig.say("router", Up);
    rig.say("switch", Up);
    rig.say("a", Down);
    rig.pass(10_000);
    rig.check(&["36.0 raised: a is down"]);
}

#[test]
fn a_parent_that_no_rule_tells_of_explains_nothing() {
    let only = rule("down", |r| r.scope = Scope { except_targets: vec![id("router")], ..Scope::default() });
    let mut rig = Rig::new(settings(vec![only], |_| ()), &["router", "a<router"]);
    rig.say("router", Down);
    rig.say("a", Down);
    rig.pass(10_000);
    rig.check(&["1.0 raised: a is down"]);
}

#[test]
fn without_a_network_nobody_is_blamed() {
    let references = |s: &mut AlertSettings| s.references = vec![id("dns1"), id("dns2")];
    let mut rig =
        Rig::new(settings(vec![rule("down", |_| ())], references), &["dns1", "dns2", "a", "b", "mine@127.0.0.1"]);
    rig.pass(1_000);
    rig.say("a", Down);
    rig.pass(500);
    assert_eq!(rig.looks, [id("dns1"), id("dns2")]);
    rig.look("dns1", Up, true);
    rig.look("dns2", Up, true);
    rig.pass(500);
    for name in ["dns1", "dns2", "b", "mine"] {
        rig.say(name, Down);
    }
    rig.pass(30_000);
    // The network's rule sorts among the others by its hash: both come at the same time.
    let mut told = rig.told();
    told.sort();
    assert_eq!(told, ["3.0 raised: StreamPulse has no network", "3.0 raised: mine is down"]);
    assert!(rig.alerts().no_network_since.is_some());
    let held: Vec<_> = rig.alerts().alerts.iter().filter(|a| a.held == Some(Held::NoNetwork)).cloned().collect();
    assert_eq!(held.len(), 4);
    for name in ["dns1", "dns2", "a", "b", "mine"] {
        rig.say(name, Up);
    }
    rig.pass(10_000);
    let mut told = rig.told();
    told.sort();
    assert_eq!(told, ["33.0 recovered: StreamPulse has a network again", "33.0 recovered: mine has recovered"]);
    // One reference that answers is a network, and then the target is to blame.
    rig.say("a", Down);
    rig.say("dns1", Down);
    rig.pass(500);
    rig.say("dns2", Up);
    rig.pass(5_000);
    // It waited for the word of the other one, and that came within the window of the first.
    rig.check(&["43.0 raised: 2 targets are down"]);
}

#[test]
fn flapping_is_told_once_and_its_end_too() {
    let flapping = Flapping { changes: 4, within: S(600), quiet: S(120) };
    let mut rig = Rig::new(settings(vec![rule("down", |_| ())], |s| s.flapping = flapping), &["a"]);
    for _ in 0..6 {
        rig.say("a", Down);
        rig.pass(10_000);
        rig.say("a", Up);
        rig.pass(10_000);
    }
    rig.check(&[
        "1.0 raised: a is down",
        "11.0 recovered: a has recovered",
        "21.0 raised: a is down",
        "30.0 changed: a is flapping",
    ]);
    assert!(rig.alerts().alerts[0].flapping);
    rig.restart(1_000);
    rig.pass(1_000);
    rig.say("a", Up);
    rig.pass(200_000);
    rig.check(&["231.0 recovered: a has recovered"]);
    // And one that is bad at the end goes on as an alert like any other.
    for _ in 0..2 {
        rig.say("a", Down);
        rig.pass(10_000);
        rig.say("a", Up);
        rig.pass(10_000);
    }
    rig.say("a", Down);
    rig.told();
    rig.pass(130_000);
    rig.check(&["482.0 changed: a is no longer flapping, and still bad"]);
    rig.say("a", Up);
    rig.pass(10_000);
    assert_eq!(rig.told().len(), 1);
}

#[test]
fn a_limit_holds_back_and_tells_in_a_digest() {
    let limit = |s: &mut AlertSettings| s.limits = [("ops".to_owned(), Some(4))].into();
    let names: Vec<String> = (0..12).map(|i| format!("t{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::new(settings(vec![rule("down", |_| ())], limit), &names);
    for name in &names[..5] {
        rig.say(name, Down);
        rig.pass(10_000);
    }
    // Half of what an hour allows at once, the rest as time goes by.
    rig.check(&["1.0 raised: t00 is down", "11.0 raised: t01 is down"]);
    assert_eq!(rig.alerts().held_back.get("ops"), Some(&3));
    // The end of what was told is told; what was held back and is over is in the digest.
    rig.say("t00", Up);
    rig.say("t02", Up);
    rig.pass(10_000);
    rig.check(&["51.0 recovered: t00 has recovered"]);
    rig.restart(1_000);
    for name in &names {
        rig.say(name, if ["t01", "t03", "t04"].contains(name) { Down } else { Up });
    }
    rig.pass(3_600_000);
    let digests: Vec<_> = rig.log.iter().map(|(_, _, n)| n.text.clone()).collect();
    let told = rig.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("digest: 3 messages were held back: 2 last, 1 are over"), "{told:?}");
    assert!(digests[0].contains("t03 (down), t04 (down)") && digests[0].contains("Over meanwhile: t02"), "{digests:?}");
    // Who was told of in a digest is told of at its end.
    rig.say("t03", Up);
    rig.pass(10_000);
    assert!(rig.told()[0].contains("recovered: t03 has recovered"));
}

fn nightly() -> Window {
    // EPOCH is 2023-11-14 22:13:20 UTC.
    let span = Span { from_min: 22 * 60 + 15, until_min: 22 * 60 + 20 };
    let schedule = Schedule::Monthly { day: MonthDay::Day(14), span };
    Window { name: "night".to_owned(), zone: "UTC".to_owned(), schedule, scope: Scope::default() }
}

#[test]
fn planned_work_holds_messages_and_what_still_lasts_is_told_after() {
    let mut rig = Rig::new(settings(vec![rule("down", |_| ())], |s| s.maintenance = vec![nightly()]), &["a", "b"]);
    assert_eq!(EPOCH, UtcMs(1_700_000_000_000));
    rig.say("b", Down);
    rig.pass(100_000);
    rig.check(&["1.0 raised: b is down"]);
    assert_eq!(rig.in_maintenance.len(), 2);
    rig.status("a", Maintenance);
    rig.status("b", Maintenance);
    rig.pass(100_000);
    assert!(rig.alerts().windows[0].active);
    rig.restart(1_000);
    rig.pass(205_000);
    assert!(rig.in_maintenance.is_empty());
    rig.check(&[]);
    // 22:20:00 is 400 s after the beginning.
    rig.status("a", Unknown);
    rig.status("b", Unknown);
    rig.pass(4_000);
    rig.say("a", Down);
    rig.say("b", Up);
    rig.pass(10_000);
    rig.check(&["411.0 raised: a is down", "411.0 recovered: b has recovered"]);
}

#[test]
fn planned_work_can_be_begun_by_hand() {
    let mut rig = Rig::new(settings(vec![rule("down", |_| ())], |_| ()), &["a", "b"]);
    rig.pass(1_000);
    let scope = Scope { targets: vec![id("a")], ..Scope::default() };
    let (from, until) = (rig.utc(), rig.utc().plus(Duration::from_secs(60)));
    let saying = Saying::Maintain { name: "now".to_owned(), scope, from, until, by: "eva".to_owned() };
    let now = rig.now();
    rig.machine.say(saying, now).expect("taken");
    rig.say("a", Down);
    rig.say("b", Down);
    rig.pass(30_000);
    rig.check(&["2.0 raised: b is down"]);
    rig.restart(1_000);
    rig.pass(1_000);
    assert_eq!(rig.in_maintenance, [id("a")].into());
    rig.say("a", Down);
    rig.say("b", Down);
    rig.pass(30_000);
    rig.check(&["62.0 raised: a is down"]);
    let now = rig.now();
    assert!(rig.machine.say(Saying::EndMaintenance { name: "now".to_owned() }, now).is_err(), "it has ended");
}
