//! What the machine tells, at its boundary: statuses and time in, messages out.

mod noise;
pub(crate) mod rig;
mod simulation;
mod storm;
mod unrest;

use std::sync::Arc;
use std::time::Duration;

use model::alert::{Condition, Figure, Held, Level, Measure, Mute, ServiceLevel, ServiceTrouble, Side};
use model::event::Part;
use model::status::Status::{Degraded, Down, Up};
use model::time::UtcMs;
use model::unit::board::{QueueNow, UnitBoard, UnitNow};
use model::unit::{Cause, Health, State, Wanted};

use self::rig::{Rig, rule, settings};
use super::commands::Saying;
use crate::testing::id;

const S: fn(u64) -> Duration = Duration::from_secs;

fn simple() -> Rig {
    Rig::new(settings(vec![rule("down", |_| ())], |_| ()), &["a", "b", "c"])
}

#[test]
fn what_fails_is_told_once_and_its_end_once() {
    let mut rig = simple();
    rig.pass(2_000);
    rig.say("a", Down);
    rig.pass(60_000);
    rig.check(&["3.0 raised: a is down"]);
    rig.say("a", Up);
    rig.pass(60_000);
    rig.check(&["63.0 recovered: a has recovered"]);
    assert_eq!(rig.history.len(), 1);
    assert!(rig.history.values().all(|row| row.ended_at.is_some() && row.cause.contains("connection refused")));
}

#[test]
fn what_fails_together_is_told_together_and_each_end_is_told() {
    let mut rig = simple();
    for name in ["a", "b", "c"] {
        rig.say(name, Down);
        rig.pass(250);
    }
    rig.pass(5_000);
    rig.check(&["1.0 raised: 3 targets are down"]);
    rig.say("b", Up);
    rig.pass(5_000);
    rig.check(&["6.8 changed: b is over, 2 of 3 still last (down)"]);
    rig.say("a", Up);
    rig.say("c", Up);
    rig.pass(5_000);
    rig.check(&["11.8 recovered: 3 alerts are over (down)"]);
    assert_eq!(rig.docs.keys().filter(|k| k.starts_with("t:")).count(), 0);
}

#[test]
fn what_is_over_before_it_was_told_is_not_told() {
    let mut rig = simple();
    rig.say("a", Down);
    rig.pass(500);
    rig.say("a", Up);
    rig.pass(5_000);
    rig.check(&[]);
    assert_eq!(rig.history.len(), 1);
}

#[test]
fn nothing_is_written_and_nothing_wakes_when_nothing_happens() {
    let mut rig = simple();
    rig.turn();
    rig.ms += 1_000;
    let batch = rig.evaluate();
    assert_eq!((batch.changes.len(), batch.send.len(), batch.looks.len()), (0, 0, 0));
    assert!(batch.maintenance.is_none());
}

#[test]
fn a_restart_tells_nothing_twice_and_forgets_no_end() {
    for (after, wanted) in [(Down, vec![]), (Up, vec!["24.0 recovered: a has recovered"])] {
        let mut rig = simple();
        rig.say("a", Down);
        rig.pass(3_000);
        rig.check(&["1.0 raised: a is down"]);
        rig.restart(10_000);
        rig.pass(10_000);
        rig.say("a", after);
        rig.pass(10_000);
        rig.check(&wanted);
    }
}

#[test]
fn a_time_that_was_counted_goes_on_over_a_restart_and_over_jumps_of_the_clock() {
    let slow = || rule("down", |r| (r.lasts, r.clear_for) = (S(60), S(30)));
    for jump in [0, 3_600_000, -3_600_000] {
        let mut rig = Rig::new(settings(vec![slow()], |_| ()), &["a"]);
        rig.say("a", Down);
        rig.pass(20_000);
        rig.wall_off += jump;
        rig.pass(10_000);
        rig.restart(5_000);
        rig.pass(5_000);
        rig.say("a", Down);
        rig.pass(25_000);
        rig.check(&["61.0 raised: a is down"]);
        rig.say("a", Up);
        rig.pass(10_000);
        rig.wall_off -= jump;
        rig.pass(25_000);
        rig.check(&["96.0 recovered: a has recovered"]);
    }
}

#[test]
fn another_rule_closes_the_alerts_of_the_one_before() {
    let mut rig = simple();
    rig.say("a", Down);
    rig.pass(3_000);
    rig.check(&["1.0 raised: a is down"]);
    // Scope, channels and reminders make no other rule.
    rig.configure(settings(vec![rule("down", |r| r.remind = Some(S(3600)))], |_| ()));
    rig.pass(3_000);
    rig.check(&[]);
    rig.configure(settings(vec![rule("down", |r| r.clear_for = S(1))], |_| ()));
    rig.pass(3_000);
    rig.check(&["7.0 raised: a is down", "7.0 recovered: a: closed, the rule was changed"]);
    rig.configure(settings(vec![], |_| ()));
    rig.pass(3_000);
    rig.check(&["10.0 recovered: a: closed, the rule was removed"]);
    assert!(rig.history.values().any(|row| row.cause.ends_with("(closed: the rule was changed)")));
    assert!(rig.docs.keys().all(|k| k == "serial"), "{:?}", rig.docs);
}

#[test]
fn a_target_that_goes_away_closes_its_alerts() {
    let mut rig = simple();
    rig.say("a", Down);
    rig.say("b", Down);
    rig.pass(3_000);
    rig.told();
    rig.configure_targets(&["b", "c"]);
    rig.status("b", model::status::Status::Paused);
    rig.pass(3_000);
    rig.check(&["4.0 recovered: 2 alerts are over (down)"]);
}

#[test]
fn readings_have_a_bound_for_each_way() {
    let measure = Measure::by_name("took_ms").expect("in the table");
    let level = Level { measure, side: Side::Above, raise: 100.0, clear: 50.0 };
    let rules = vec![rule("slow", |r| r.when = Condition::Reading(level))];
    let mut rig = Rig::new(settings(rules, |_| ()), &["a"]);
    let took = |rig: &mut Rig, ms: u64| {
        rig.say("a", Up);
        rig.change("a", |target, _| {
            let mut seen = (**target.last.as_ref().expect("seen")).clone();
            seen.took = Duration::from_millis(ms);
            target.last = Some(std::sync::Arc::new(seen));
        });
        rig.pass(5_000);
    };
    took(&mut rig, 100);
    rig.check(&[]);
    took(&mut rig, 101);
    rig.check(&["6.0 raised: a: duration of the look is 101 ms, above 100 ms"]);
    took(&mut rig, 51);
    rig.check(&[]);
    // A look that fails measures nothing.
    rig.say("a", Down);
    rig.pass(5_000);
    rig.check(&[]);
    took(&mut rig, 50);
    rig.check(&["21.0 recovered: a has recovered"]);
}

#[test]
fn parts_of_streampulse_and_sinks_are_told_of() {
    let rules = vec![
        rule("own", |r| r.when = Condition::Own(vec![])),
        rule("sinks", |r| {
            r.when = Condition::Sink(vec![]);
            r.channels = vec!["ops".to_owned(), "mail".to_owned()];
        }),
    ];
    let mut rig = Rig::new(settings(rules, |_| ()), &["a"]);
    rig.unwell(Part::Store, Some("the disk is full"));
    rig.pass(2_000);
    rig.check(&["1.0 raised: StreamPulse: store is unwell"]);
    rig.unwell(Part::Store, None);
    rig.sinks.insert("channel:mail".to_owned(), sink::registry::SinkNow { ok: Some(false), ..Default::default() });
    rig.pass(2_000);
    // A channel is not told that it does not work itself.
    rig.check(&["3.0 raised: channel:mail does not work", "3.0 recovered: StreamPulse: store has recovered"]);
    rig.sinks.clear();
    rig.pass(2_000);
    rig.check(&["5.0 recovered: channel:mail: closed, it is no longer configured"]);
}

/// A service in this state.
fn service(rig: &mut Rig, state: State, change: impl FnOnce(&mut UnitNow)) {
    let text = "services: {conv: {process: {argv: [/bin/true]}}}";
    let services = crate::config::services_of(text, std::path::Path::new("/"), &|_| None).expect("good");
    let at = rig.utc();
    let mut unit = UnitNow {
        spec: Arc::clone(&services.units[0]),
        wanted: Wanted::Running,
        state,
        since: at,
        reason: "gave up after 5 starts: exit code 3".to_owned(),
        cause: Cause::Exit,
        run: None,
        last_end: None,
        health: Health::Unknown,
        health_reason: None,
        restarts: 0,
        next_start: None,
        waits_for: vec![],
        usage: None,
        queue: None,
        last_output: None,
        last_heartbeat: None,
        on_fallback: false,
        pending: false,
    };
    change(&mut unit);
    rig.units = UnitBoard { version: rig.units.version + 1, units: vec![Arc::new(unit)] };
}

#[test]
fn services_in_trouble_are_told_of() {
    let words = vec![ServiceTrouble::Failed, ServiceTrouble::Unhealthy];
    let other = vec![id("other")];
    let rules = vec![
        rule("service", |r| r.when = Condition::Service(words.clone(), vec![])),
        rule("not this", |r| r.when = Condition::Service(words, other)),
    ];
    let mut rig = Rig::new(settings(rules, |_| ()), &["a"]);
    service(&mut rig, State::Running, |_| ());
    rig.pass(2_000);
    service(&mut rig, State::Failed, |_| ());
    rig.pass(2_000);
    rig.check(&["3.0 raised: service conv: gave up after 5 starts: exit code 3"]);
    // Being started is no recovery; another process finds the alert as it was, also before anybody told of services.
    service(&mut rig, State::Starting, |_| ());
    rig.units.version = 0;
    rig.restart(1_000);
    rig.pass(3_000);
    rig.check(&[]);
    service(&mut rig, State::Running, |_| ());
    rig.pass(2_000);
    let told = rig.log.last().expect("told").2.title.clone();
    assert_eq!(told, "service conv has recovered");
    service(&mut rig, State::Failed, |_| ());
    rig.pass(2_000);
    rig.units = UnitBoard { version: 99, units: vec![] };
    rig.pass(2_000);
    let told = rig.log.last().expect("told").2.title.clone();
    assert!(told.contains("the service was removed"), "{told}");
}

#[test]
fn figures_of_services_have_bounds() {
    let level = |name: &str, side, raise, clear| {
        let figure = Figure::by_name(name).expect("a figure");
        Condition::ServiceReading(ServiceLevel { figure, side, raise, clear }, vec![])
    };
    let rules = vec![
        rule("restarts", |r| r.when = level("restarts_per_hour", Side::Above, 3.0, 3.0)),
        rule("queue", |r| r.when = level("queue_pending", Side::Above, 30.0, 20.0)),
    ];
    let mut rig = Rig::new(settings(rules, |_| ()), &["a"]);
    let queue = |pending: u64| QueueNow { counts: vec![("pending".to_owned(), pending)], ..QueueNow::default() };
    service(&mut rig, State::Running, |u| (u.restarts, u.queue) = (7, Some(queue(30))));
    rig.pass(2_000);
    rig.check(&[]);
    service(&mut rig, State::Running, |u| (u.restarts, u.queue) = (11, Some(queue(31))));
    rig.pass(2_000);
    let mut told: Vec<String> = rig.log.iter().map(|(.., n)| n.title.clone()).collect();
    told.sort();
    let wanted = [
        "service conv: 31 items of its queue are pending, above 30",
        "service conv: it was started again 4 times within an hour, above 3",
    ];
    assert_eq!(told, wanted);
    // A queue that cannot be counted changes nothing.
    let error = QueueNow { error: Some("the file is locked".to_owned()), ..QueueNow::default() };
    service(&mut rig, State::Running, |u| (u.restarts, u.queue) = (11, Some(error)));
    rig.pass(60_000);
    assert_eq!(rig.log.len(), 2);
    service(&mut rig, State::Running, |u| (u.restarts, u.queue) = (11, Some(queue(3))));
    rig.pass(3_600_000);
    assert_eq!(rig.log.len(), 4, "both are over");
}

#[test]
fn a_degraded_target_that_goes_down_is_told_by_the_rule_for_that() {
    let rules = vec![rule("degraded", |r| r.when = Condition::Status(vec![Degraded])), rule("down", |_| ())];
    let mut rig = Rig::new(settings(rules, |_| ()), &["a"]);
    rig.say("a", Degraded);
    rig.pass(2_000);
    rig.say("a", Down);
    rig.pass(2_000);
    rig.say("a", Up);
    rig.pass(2_000);
    rig.check(&[
        "1.0 raised: a is degraded",
        "3.0 raised: a is down",
        "5.0 recovered: a has recovered",
        "5.0 recovered: a has recovered",
    ]);
}

#[test]
fn reminders_come_until_somebody_acknowledges() {
    let mut rig = Rig::new(settings(vec![rule("down", |r| r.remind = Some(S(60)))], |_| ()), &["a"]);
    rig.say("a", Down);
    rig.pass(130_000);
    rig.check(&["1.0 raised: a is down", "61.0 reminder: Still: a", "121.0 reminder: Still: a"]);
    rig.restart(10_000);
    rig.pass(5_000);
    rig.say("a", Down);
    rig.pass(37_000);
    rig.check(&["181.0 reminder: Still: a"]);
    let key = rig.alerts().alerts[0].key.clone();
    let (by, note) = ("eva".to_owned(), "on it".to_owned());
    let now = rig.now();
    rig.machine.say(Saying::Acknowledge { key: key.clone(), by, note }, now).expect("it is there");
    rig.pass(200_000);
    rig.check(&[]);
    rig.restart(1_000);
    rig.pass(1_000);
    assert_eq!(rig.alerts().alerts[0].ack.as_ref().map(|a| a.note.as_str()), Some("on it"));
    rig.say("a", Up);
    rig.pass(5_000);
    assert_eq!(rig.log[0].2.note.as_deref(), Some("on it"));
    assert!(rig.history.values().all(|row| row.acked_by.as_deref() == Some("eva")));
    let now = rig.now();
    assert!(rig.machine.say(Saying::Unacknowledge { key }, now).is_err(), "it is over");
}

#[test]
fn what_is_muted_is_told_when_the_mute_ends_and_it_still_lasts() {
    let mut rig = simple();
    let until = Some(UtcMs(rig.utc().0 + 60_000));
    let target = Some(crate::testing::id("a"));
    let (by, note) = ("eva".to_owned(), String::new());
    let now = rig.now();
    rig.machine.say(Saying::Mute(Mute { target, rule: None, until, by, note }), now).expect("taken");
    rig.say("a", Down);
    rig.pass(20_000);
    assert_eq!(rig.alerts().alerts[0].held, Some(Held::Muted(until)));
    rig.restart(5_000);
    rig.pass(5_000);
    rig.say("a", Down);
    rig.pass(35_000);
    rig.check(&["61.0 raised: a is down"]);
}
