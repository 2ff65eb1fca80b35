//! Waiting, for a bounded time, until it is seen what became of a command: the clients of these routes show one answer and
//! listen to no events.

use std::sync::Arc;
use std::time::Duration;

use model::unit::State;
use model::unit::board::{RunNow, UnitBoard, UnitNow};
use tokio::time::Instant;

use super::answers::with_last_lines;
use crate::dto::service::hide;
use crate::state::App;

/// Longest wait for a start; what takes longer goes on and is told as such.
const UP_WITHIN: Duration = Duration::from_secs(10);
/// A program that ends within this time after its start has failed to start (the original looked after one second).
const STAYS: Duration = Duration::from_secs(1);
/// Room beside the grace of a stop.
const STOP_ROOM: Duration = Duration::from_secs(5);
/// Longest wait for a stop, whatever its grace (the original waited thirty seconds).
const STOP_WITHIN: Duration = Duration::from_secs(40);

/// What became of a start.
pub(super) enum Outcome {
    /// It runs, with this process.
    Up(Option<u32>),
    /// It is on its way, in words.
    Slow(String, Option<u32>),
    /// It did not come up, in words.
    Failed(String),
}

/// Waits until a unit runs anew and stays so for a moment. `before` is the unit when the command was given.
pub(super) async fn up(app: &App, before: &UnitNow) -> Outcome {
    let (id, ran) = (&before.spec.id, before.run.as_ref());
    let room = if ran.is_some() { before.spec.stop.grace.min(STOP_WITHIN) } else { Duration::ZERO };
    let (mut board, end) = (app.handle.units().board(), Instant::now() + UP_WITHIN + room);
    let mut runs: Option<(RunNow, Instant)> = None;
    loop {
        let unit = board.borrow_and_update().get(id).cloned();
        let Some(unit) = unit else { return Outcome::Failed("the service was taken out of its file".to_owned()) };
        let (pid, reason) = (unit.run.as_ref().map(|run| run.identity.pid), hide(&unit.spec, &unit.reason));
        if failed(before, &unit, runs.is_some()) {
            return Outcome::Failed(with_last_lines(&unit, format!("the service did not stay up: {reason}")));
        }
        let anew = unit.run.clone().filter(|run| Some(run) != ran);
        match (anew, unit.state) {
            (Some(run), State::Running) if runs.as_ref().is_none_or(|(known, _)| *known != run) => {
                runs = Some((run, Instant::now() + STAYS));
            }
            (_, State::Finished) if runs.is_some() => return Outcome::Up(pid),
            _ => {}
        }
        let until = runs.as_ref().map_or(end, |(_, until)| *until);
        let changed = tokio::select! {
            changed = tokio::time::timeout_at(until, board.changed()) => changed,
            () = app.stopping.cancelled() => {
                return Outcome::Slow("StreamPulse is stopping; the service goes on".to_owned(), pid);
            }
        };
        match (changed, runs) {
            (Ok(Ok(())), still) => runs = still,
            (_, Some(_)) => return Outcome::Up(pid),
            (_, None) => return Outcome::Slow(format!("the service is {}: {reason}", unit.state), pid),
        }
    }
}

/// Whether it has come to nothing since the command: what it had come to before does not count.
fn failed(before: &UnitNow, unit: &UnitNow, ran: bool) -> bool {
    let bad = matches!(unit.state, State::BackingOff | State::Failed) || (unit.state == State::Stopped && ran);
    bad && (ran || (unit.state, unit.since, &unit.last_end) != (before.state, before.since, &before.last_end))
}

/// Waits until a unit is no more; says whether it is.
pub(super) async fn ended(app: &App, before: &UnitNow) -> bool {
    let within = (before.spec.stop.grace + STOP_ROOM).min(STOP_WITHIN);
    let mut board = app.handle.units().board();
    let over = |board: &Arc<UnitBoard>| {
        let unit = board.get(&before.spec.id);
        unit.is_none_or(|u| u.run.is_none() && !matches!(u.state, State::Stopping | State::Starting))
    };
    tokio::time::timeout(within, board.wait_for(over)).await.is_ok()
}
