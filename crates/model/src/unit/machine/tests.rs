//! The machine at its boundaries: pauses, limits, policies, commands in every state, adoption, health.

mod rig;
mod simulation;

use std::time::Duration;

use rig::{Rig, end, unit};

use super::*;
use crate::unit::Exit;
use crate::unit::spec::{Budget, HealthCheck, HealthSource, Measure, Policy, ReadyCheck};

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn pauses_grow_by_the_factor_up_to_the_longest_and_only_their_part_is_left_to_chance() {
    let mut rules = unit().restart;
    (rules.first, rules.longest, rules.factor, rules.jitter) = (S(1), S(30), 2.0, 0.0);
    let plain: Vec<u64> = (0..8).map(|n| pause(&rules, n, 0.9).as_secs()).collect();
    assert_eq!(plain, [1, 2, 4, 8, 16, 30, 30, 30]);
    rules.jitter = 0.5;
    assert_eq!(pause(&rules, 2, 0.0), S(2));
    assert_eq!(pause(&rules, 2, 1.0), S(4));
    assert_eq!(pause(&rules, u32::MAX, 1.0), S(30), "no overflow");
    (rules.factor, rules.first) = (0.1, Duration::ZERO);
    assert_eq!(
        pause(&rules, 3, 1.0),
        Duration::ZERO,
        "a factor below one does not shrink it, and nothing stays nothing"
    );
}

#[test]
fn policies_decide_what_follows_an_end() {
    for (policy, exit, state) in [
        (Policy::Always, Exit::Code(0), State::BackingOff),
        (Policy::Always, Exit::Code(1), State::BackingOff),
        (Policy::OnFailure, Exit::Code(0), State::Finished),
        (Policy::OnFailure, Exit::Code(7), State::Finished),
        (Policy::OnFailure, Exit::Code(1), State::BackingOff),
        (Policy::OnFailure, Exit::Signal { number: 9, out_of_memory: false }, State::BackingOff),
        (Policy::OnFailure, Exit::Unseen, State::BackingOff),
        (Policy::Never, Exit::Code(0), State::Finished),
        (Policy::Never, Exit::Code(1), State::Failed),
    ] {
        let mut rig = Rig::running(|unit| {
            unit.restart.policy = policy;
            unit.restart.success = vec![7];
        });
        rig.pass(S(2));
        rig.ends(exit);
        assert_eq!(rig.state(), state, "{policy} {exit}");
        assert!(rig.reason().contains(&exit.to_string()), "{}", rig.reason());
    }
}

#[test]
fn it_gives_up_after_the_limit_and_says_how_often_and_why_and_a_command_forgives() {
    let mut rig = Rig::running(|unit| {
        (unit.restart.limit, unit.restart.limit_within) = (3, S(60));
    });
    for _ in 0..2 {
        rig.pass(Duration::from_millis(300));
        rig.ends(Exit::Code(3));
        assert_eq!(rig.state(), State::BackingOff);
        rig.pass(S(10));
        assert_eq!(rig.state(), State::Running);
    }
    assert_eq!(rig.machine.restarts(), 2);
    rig.ends(Exit::Code(3));
    assert_eq!(rig.state(), State::Failed);
    assert_eq!(rig.reason(), "gave up after 3 starts within 60.0 s; the last: exit code 3 after 8.0 s");
    rig.pass(S(10_000));
    assert_eq!(rig.state(), State::Failed, "it stays so");
    rig.command(Wanted::Running, false);
    assert_eq!(rig.state(), State::Running);
    rig.ends(Exit::Code(3));
    assert_eq!(rig.state(), State::BackingOff, "it is counted anew");
}

#[test]
fn a_steady_run_makes_the_pause_the_first_again() {
    let mut rig = Rig::running(|unit| unit.restart.limit = 0);
    let mut pauses = Vec::new();
    for ran in [0, 0, 0, 59, 60, 0] {
        rig.pass(S(ran));
        rig.ends(Exit::Code(1));
        pauses.push(rig.machine.next_start().unwrap().0 - rig.now.mono.0);
        rig.pass(S(40));
        assert_eq!(rig.state(), State::Running);
        // What passed of the pause after the start is no part of the next run.
        rig.settle_age();
    }
    assert_eq!(pauses.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 1, 2]);
}

#[test]
fn a_stop_is_told_once_then_killed_after_grace_and_again_until_it_is_over() {
    let mut rig = Rig::running(|unit| unit.stop.grace = S(10));
    rig.deaf = true;
    rig.command(Wanted::Stopped, false);
    assert_eq!((rig.state(), rig.told.as_str()), (State::Stopping, "stop "));
    rig.pass(S(14));
    assert_eq!(rig.told, "stop ");
    rig.pass(S(1));
    assert_eq!(rig.told, "stop kill ");
    rig.pass(S(5));
    assert_eq!(rig.told, "stop kill kill ");
    rig.command(Wanted::Running, false);
    rig.ends(Exit::Signal { number: 9, out_of_memory: false });
    assert_eq!(rig.state(), State::Running, "a start while it ends waits for the end");
    assert_eq!(rig.launches, 2);
}

#[test]
fn a_stop_that_is_refused_is_tried_again_and_said() {
    let mut rig = Rig::running(|_| ());
    rig.deaf = true;
    rig.command(Wanted::Stopped, false);
    let run = rig.machine.run();
    rig.input(Input::StopRefused { run, words: "the engine does not answer".to_owned() });
    assert_eq!(rig.reason(), "it could not be told to end: the engine does not answer");
    rig.pass(S(5));
    assert_eq!(rig.told, "stop stop ");
}

#[test]
fn a_start_that_is_not_ready_in_time_is_ended_and_counts_as_a_failure() {
    let mut rig = Rig::new(Wanted::Running, |unit| {
        unit.ready = vec![ReadyCheck::Stays(S(5))];
        unit.ready_within = S(20);
    });
    rig.found(Finding::Nothing);
    assert_eq!(rig.state(), State::Starting);
    rig.pass(S(20));
    assert_eq!(rig.state(), State::BackingOff, "{}", rig.reason());
    assert!(rig.reason().starts_with("its start checks did not pass within 20.0 s; ended: "), "{}", rig.reason());
    rig.pass(S(2));
    let run = rig.machine.run();
    rig.input(Input::Ready { run: run - 1, result: Ok(()) });
    assert_eq!(rig.state(), State::Starting, "what comes late of an older run changes nothing");
    rig.pass(S(3));
    rig.input(Input::Ready { run, result: Ok(()) });
    assert_eq!(
        (rig.state(), rig.reason()),
        (State::Running, "started as process 1; its start checks passed after 4.0 s")
    );
}

#[test]
fn an_end_before_it_was_ready_is_a_failure_even_with_code_0() {
    let mut rig = Rig::new(Wanted::Running, |unit| {
        unit.ready = vec![ReadyCheck::Stays(S(5))];
        unit.restart.policy = Policy::Never;
    });
    rig.found(Finding::Nothing);
    rig.ends(Exit::Code(0));
    assert_eq!(rig.state(), State::Failed);
    assert!(rig.reason().contains("exit code 0 after 0 ms, before its start checks passed"), "{}", rig.reason());
}

#[test]
fn nothing_starts_while_nobody_can_tell_whether_it_runs() {
    let mut rig = Rig::new(Wanted::Running, |_| ());
    rig.found(Finding::Unclear("the engine does not answer".to_owned()));
    assert_eq!((rig.state(), rig.launches), (State::Starting, 0));
    assert!(rig.reason().contains("the engine does not answer"));
    rig.command(Wanted::Running, true);
    rig.pass(ADOPT_AGAIN);
    assert_eq!((rig.adoptions, rig.launches), (2, 0));
    rig.found(Finding::Nothing);
    assert_eq!((rig.state(), rig.launches), (State::Running, 1));
}

#[test]
fn what_runs_already_is_adopted_and_ended_where_nobody_wants_it() {
    let running = |was_ready| Finding::Running { what: "process 9".to_owned(), ran: S(30), was_ready };
    let mut rig = Rig::new(Wanted::Running, |unit| unit.ready = vec![ReadyCheck::Stays(S(5))]);
    rig.found(running(true));
    assert_eq!((rig.state(), rig.launches, rig.reason()), (State::Running, 0, "runs already as process 9, for 30.0 s"));
    let mut rig = Rig::new(Wanted::Running, |unit| unit.ready = vec![ReadyCheck::Stays(S(5))]);
    rig.found(running(false));
    assert_eq!((rig.state(), rig.launches), (State::Starting, 0));
    let mut rig = Rig::new(Wanted::Stopped, |_| ());
    rig.found(running(true));
    assert_eq!((rig.state(), rig.told.as_str()), (State::Stopped, "stop "));
    assert!(rig.entries.iter().any(|e| e.state == State::Stopping && e.cause == Cause::Adopted));
}

#[test]
fn an_end_that_nobody_watched_is_told_and_followed_by_the_policy() {
    let mut rig = Rig::new(Wanted::Running, |_| ());
    rig.found(Finding::Ended(end(Exit::Code(4), 1_500)));
    assert_eq!(rig.state(), State::BackingOff);
    assert!(rig.reason().starts_with("exit code 4 after 1.5 s; started again in 1.0 s"), "{}", rig.reason());
    let mut rig = Rig::new(Wanted::Running, |unit| unit.restart.policy = Policy::OnFailure);
    rig.found(Finding::Ended(end(Exit::Code(0), 1_500)));
    assert_eq!(rig.state(), State::Finished);
}

#[test]
fn what_was_given_up_stays_so_until_somebody_asks() {
    let known = || Known { last: Some((State::Failed, Why::new(Cause::Exit, "gave up"))), restarts: 7, heals: vec![] };
    let mut rig = Rig::known(Wanted::Running, known(), |_| ());
    rig.found(Finding::Nothing);
    assert_eq!((rig.state(), rig.launches, rig.machine.restarts()), (State::Failed, 0, 7));
    rig.command(Wanted::Running, false);
    assert_eq!((rig.state(), rig.launches), (State::Running, 1));
    let mut rig = Rig::known(Wanted::Running, known(), |_| ());
    rig.command(Wanted::Running, false);
    rig.found(Finding::Nothing);
    assert_eq!(rig.state(), State::Running, "also before it is known whether it runs");
}

#[test]
fn a_lasting_refusal_fails_at_once_and_a_passing_one_backs_off_whatever_the_policy() {
    for (passing, state) in [(false, State::Failed), (true, State::BackingOff)] {
        let mut rig = Rig::new(Wanted::Running, |unit| unit.restart.policy = Policy::Never);
        rig.refuse = Some(passing);
        rig.found(Finding::Nothing);
        assert_eq!(rig.state(), state);
        assert!(rig.reason().starts_with("could not be started: no such file"), "{}", rig.reason());
    }
}

#[test]
fn it_waits_for_what_it_needs_and_leaves_before_it() {
    let needed = UnitId::parse("db").unwrap();
    let mut rig = Rig::new(Wanted::Running, |_| ());
    rig.waits_for = vec![needed.clone()];
    rig.found(Finding::Nothing);
    assert_eq!((rig.state(), rig.launches, rig.reason()), (State::Starting, 0, "waits for db"));
    rig.waits_for.clear();
    rig.look();
    assert_eq!((rig.state(), rig.launches), (State::Running, 1));
    (rig.waits_for, rig.leaving) = (vec![needed.clone()], Some(needed));
    rig.look();
    assert_eq!((rig.state(), rig.told.as_str()), (State::Starting, "stop "), "{}", rig.reason());
    (rig.waits_for, rig.leaving) = (vec![], None);
    rig.look();
    assert_eq!((rig.state(), rig.launches), (State::Running, 2));
    // One that is needed waits with its end until nobody needs it, but not for ever.
    rig.needed_by = UnitId::parse("web").ok();
    rig.told.clear();
    rig.command(Wanted::Stopped, false);
    assert_eq!((rig.state(), rig.told.as_str()), (State::Stopping, ""));
    rig.pass(S(60));
    assert_eq!((rig.state(), rig.told.as_str()), (State::Stopped, "stop "));
}

fn check(what: HealthSource) -> HealthCheck {
    HealthCheck { what, every: S(1), timeout: S(1), fails: 3, start_period: S(10) }
}

#[test]
fn health_restarts_it_after_enough_failures_within_its_bounds() {
    let mut rig = Rig::running(|unit| {
        unit.health = vec![check(HealthSource::Tcp("h:1".to_owned()))];
        (unit.heal.cool_down, unit.heal.per_hour) = (S(60), 2);
    });
    let bad = |rig: &mut Rig, times: u32| {
        for _ in 0..times {
            let run = rig.machine.run();
            rig.input(Input::Checked { run, check: 0, result: Err("refused".to_owned()) });
        }
    };
    bad(&mut rig, 5);
    assert_eq!(
        (rig.state(), rig.machine.health().0),
        (State::Running, Health::Starting),
        "the first 10 s do not count"
    );
    rig.pass(S(10));
    bad(&mut rig, 2);
    assert_eq!(rig.told, "");
    bad(&mut rig, 1);
    assert_eq!((rig.state(), rig.told.as_str(), rig.launches), (State::Running, "stop ", 2));
    let healed = rig.entries.iter().find(|e| e.state == State::Stopping).unwrap();
    assert_eq!((healed.cause, healed.reason.as_str()), (Cause::Health, "restarted: refused (3 times in a row)"));
    rig.pass(S(20));
    bad(&mut rig, 3);
    assert_eq!((rig.told.as_str(), rig.machine.health().0), ("stop ", Health::Unhealthy), "it cools down");
    rig.pass(S(40));
    bad(&mut rig, 1);
    assert_eq!(rig.told, "stop stop ");
    rig.pass(S(100));
    bad(&mut rig, 9);
    assert_eq!(rig.told, "stop stop ", "no more than twice within the hour");
    let said = rig.entries.iter().filter(|e| e.reason.contains("not restarted: that happened 2 times within the hour"));
    assert_eq!(said.count(), 1);
    let run = rig.machine.run();
    rig.input(Input::Checked { run, check: 0, result: Ok(()) });
    assert_eq!(rig.machine.health(), (Health::Healthy, None));
    rig.pass(S(3_600));
    bad(&mut rig, 3);
    assert_eq!(rig.told, "stop stop stop ");
}

#[test]
fn a_budget_acts_only_when_it_is_exceeded_for_a_while_without_a_break() {
    let budget = |restart| Budget { measure: Measure::Memory, most: 1048576.0, during: S(10), restart };
    for restart in [false, true] {
        let mut rig = Rig::running(|unit| unit.budgets = vec![budget(restart)]);
        let measure = |rig: &mut Rig, bytes: u64| {
            let (run, usage) = (rig.machine.run(), Usage { memory_bytes: bytes, ..Usage::default() });
            rig.input(Input::Measured { run, usage });
            rig.pass(S(5));
        };
        for bytes in [2 << 20, 2 << 20, 1 << 20, 2 << 20, 2 << 20] {
            measure(&mut rig, bytes);
        }
        assert_eq!(rig.told, "");
        measure(&mut rig, 2 << 20);
        measure(&mut rig, 2 << 20);
        assert_eq!(rig.told, if restart { "stop " } else { "" });
        let told = rig.entries.iter().filter(|e| e.reason == "memory 2.0 MiB is above 1.0 MiB for 10.0 s");
        assert_eq!(told.count(), 1, "{:?}", rig.entries);
    }
}

#[test]
fn a_unit_of_which_the_file_says_no_more_ends_and_one_that_is_back_starts() {
    let mut rig = Rig::running(|_| ());
    rig.deaf = true;
    rig.input(Input::Removed(Why::new(Cause::Reload, "it is in the file no longer")));
    assert_eq!(rig.state(), State::Stopping);
    rig.input(Input::Changed(Why::new(Cause::Reload, "it is in the file again")));
    rig.ends(Exit::Code(0));
    assert_eq!((rig.state(), rig.launches), (State::Running, 2));
    rig.input(Input::Removed(Why::new(Cause::Reload, "it is in the file no longer")));
    rig.ends(Exit::Code(0));
    assert!(rig.machine.is_gone());
    let mut rig = Rig::running(|_| ());
    rig.unit.enabled = false;
    rig.look();
    assert_eq!((rig.state(), rig.entries.iter().any(|e| e.reason.contains("disabled"))), (State::Stopped, true));
}

#[test]
fn a_command_says_who_gave_it() {
    let mut rig = Rig::running(|_| ());
    rig.command(Wanted::Stopped, false);
    let last = rig.entries.last().unwrap();
    assert_eq!((last.state, last.cause, last.actor.as_deref()), (State::Stopped, Cause::Command, Some("eva")));
    assert!(last.end.is_some());
}
