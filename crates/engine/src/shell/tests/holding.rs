//! The loop in paused time with sessions that are held: opened, cut, opened again, and ended with their targets. Tests only.

use std::sync::Arc;
use std::time::Duration;

use model::fault::FaultKind;
use model::live::Doing;
use model::status::Status;
use model::target::{Target, Watch};

use super::{PausedClock, SECOND, pass, run, run_with};
use crate::input::{Answer, Command};
use crate::testing::{id, target, target_at};

fn held(name: &str) -> Arc<Target> {
    target_at(name, &format!("{name}.test"), |t| t.watch = Watch::Continuous)
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_on_the_board_and_comes_back_after_a_cut() {
    let running = run(&[held("cam"), target("page")]).await;
    running.until("it is live", |b| b.targets[0].session.as_ref().is_some_and(|s| s.doing == Doing::Live)).await;
    pass(SECOND * 30).await;
    let before = running.board();
    let session = before.targets[0].session.as_ref().expect("held");
    assert!((28..=31).contains(&session.seconds.len()), "{}", session.seconds.len());
    assert!(before.targets[0].beats.len() <= 5, "an interval is 10 s: {}", before.targets[0].beats.len());
    pass(SECOND * 2).await;
    let live = |b: &model::board::Board| b.targets[0].session.as_ref().and_then(|s| s.live.clone()).expect("live");
    assert!(live(&running.board()).at.since(live(&before).at) >= SECOND, "values move every second");
    running.script.cut(true);
    running.until("a dead stream is down", |b| b.targets[0].state.status == Status::Down).await;
    running
        .until("nobody lets it in", |b| {
            matches!(b.targets[0].session.as_ref().map(|s| s.doing), Some(Doing::Waiting { .. }))
        })
        .await;
    running.script.cut(false);
    let back = running.until("it is back", |b| b.targets[0].state.status == Status::Up).await;
    assert_eq!(back.targets[0].session.as_ref().expect("held").reconnects, 1);
    let begun = running.script.begun("cam")[&id("cam")].len();
    assert!((3..=5).contains(&begun), "once, then at once after the cut, then after pauses: {begun}");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_their_targets() {
    let running = run(&[held("a"), held("b"), held("c")]).await;
    let all = |b: &model::board::Board| b.targets.iter().all(|t| t.state.status == Status::Up);
    running.until("all are live", all).await;
    assert!(matches!(running.command(Command::Pause(id("a"))).await, Answer::Done));
    running.load(&[held("a"), held("c")], 100).await;
    pass(SECOND).await;
    let under_way = |name| running.script.under_way(name);
    assert_eq!((under_way("a"), under_way("b"), under_way("c")), (0, 0, 1));
    assert_eq!(running.script.begun("c")[&id("c")].len(), 1, "a reload does not touch who stays");
    assert!(matches!(running.command(Command::Resume(id("a"))).await, Answer::Done));
    running.until("a is live again", |b| b.targets[0].state.status == Status::Up).await;
    let script = Arc::clone(&running.script);
    running.end().await;
    assert_eq!((script.under_way("a"), script.under_way("c")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_is_a_fault_and_the_next_one_waits() {
    let running = run(&[held("panics"), held("hole")]).await;
    pass(SECOND * 60).await;
    let board = running.board();
    let kinds: Vec<_> = board
        .targets
        .iter()
        .map(|t| t.last.as_ref().and_then(|o| o.look.fault.as_ref()).map(|f| f.kind).expect("a fault"))
        .collect();
    assert_eq!(kinds, [FaultKind::Internal, FaultKind::TimedOut]);
    let begun = running.script.begun("")[&id("panics")].len();
    assert!((6..=10).contains(&begun), "pauses grow to the interval: {begun} in 60 s");
    assert_eq!(running.status("panics"), Status::Unknown, "we failed, and it is not down because of that");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_live_session_is_answered_without_another_one() {
    let running = run(&[held("cam")]).await;
    running.until("it is live", |b| b.targets[0].state.status == Status::Up).await;
    pass(SECOND * 3).await;
    let beats = running.board().targets[0].beats.len();
    let Answer::Observed(seen) = running.command(Command::TestNow(id("cam"))).await else { panic!("an answer") };
    assert!(running.board().at.since(seen.at) <= SECOND);
    assert_eq!(running.board().targets[0].beats.len(), beats + 1);
    assert_eq!(running.script.begun("cam")[&id("cam")].len(), 1);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn live_values_of_many_make_few_boards() {
    let targets: Vec<_> = (0..300)
        .map(|i| {
            target_at(&format!("cam{i}"), "one.test", |t| {
                (t.watch, t.interval) = (Watch::Continuous, Duration::from_secs(3600));
            })
        })
        .collect();
    let running = run_with(PausedClock::new(), &targets, 100).await;
    let up = |b: &model::board::Board| b.targets.iter().all(|t| t.state.status == Status::Up);
    running.until("all three hundred are live on four permits", up).await;
    pass(SECOND * 2).await;
    let before = running.board().version;
    pass(SECOND * 10).await;
    let made = running.board().version - before;
    assert!((10..=21).contains(&made), "{made} boards in 10 s");
    let old = |t: &Arc<model::board::TargetNow>| {
        let live = t.session.as_ref().and_then(|s| s.live.as_ref()).expect("live");
        running.board().at.since(live.at) > SECOND * 2
    };
    assert_eq!(running.board().targets.iter().filter(|t| old(t)).count(), 0);
    running.end().await;
}
