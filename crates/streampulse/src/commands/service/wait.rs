//! Commands on a service, and waiting until it is seen what became of them.

use std::time::Duration;

use net::http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::{path, with_last_lines};
use crate::commands::caller::{Caller, Done, FAILED, Failed};

/// How often it is looked. The instance is on this machine, or few commands wait at once.
const EVERY: Duration = Duration::from_millis(200);
/// What ends within this time after its start has failed to start.
const STAYS: Duration = Duration::from_secs(1);

/// What a command is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It runs.
    Started,
    /// It does not run.
    Stopped,
    /// It runs, and not as it did.
    Restarted,
}

impl Wanted {
    const fn word(self) -> &'static str {
        match self {
            Self::Started => "start",
            Self::Stopped => "stop",
            Self::Restarted => "restart",
        }
    }
}

/// Commands a service and answers how it is then; with `within`, once it is seen what became of it.
pub(super) async fn act(caller: &Caller, id: &str, wanted: Wanted, within: Option<Duration>) -> Done<Value> {
    let show = path(id, "")?;
    let before = caller.call(Method::GET, &show, None).await?;
    let taken = caller.call(Method::POST, &path(id, &format!("/{}", wanted.word()))?, None).await?;
    let Some(within) = within else { return caller.call(Method::GET, &show, None).await };
    let anew = taken["changed"] == Value::Bool(true) || before["state"] != "running";
    settle(caller, &show, &before, wanted, anew, within).await
}

/// Waits for what a command is after. `anew` says that a run begins with it.
pub(super) async fn settle(
    caller: &Caller,
    show: &str,
    before: &Value,
    wanted: Wanted,
    anew: bool,
    within: Duration,
) -> Done<Value> {
    let (begun, mut every) = (Instant::now(), tokio::time::interval(EVERY));
    let mut ran: Option<(Value, Instant)> = None;
    loop {
        every.tick().await;
        let now = caller.call(Method::GET, show, None).await?;
        let state = now["state"].as_str().unwrap_or_default();
        let is_new = (&now["pid"], &now["started_at"]) != (&before["pid"], &before["started_at"]);
        match (wanted, state) {
            (Wanted::Stopped, "stopped" | "failed" | "finished") => return Ok(now),
            (Wanted::Stopped, _) => {}
            (Wanted::Started, "running") if !anew => return Ok(now),
            (_, "running") if is_new || wanted == Wanted::Started => {
                let since = match &ran {
                    Some((run, since)) if *run == now["started_at"] => *since,
                    _ => Instant::now(),
                };
                if since.elapsed() >= STAYS {
                    return Ok(now);
                }
                ran = Some((now["started_at"].clone(), since));
            }
            (_, "finished") if ended_since(before, &now) => return Ok(now),
            (_, "failed" | "backing_off" | "stopped") if ran.is_some() || ended_since(before, &now) => {
                let why = now["reason"].as_str().unwrap_or_default();
                return Err(with_last_lines(format!("it did not stay up: {why}"), &now));
            }
            _ => {}
        }
        if begun.elapsed() >= within {
            let why = now["reason"].as_str().unwrap_or_default();
            return Err(Failed::new(FAILED, format!("it is {state} after {within:?} ({why}); it goes on")));
        }
    }
}

/// Whether its state is another than before the command.
fn ended_since(before: &Value, now: &Value) -> bool {
    ["state", "since", "last_end"].iter().any(|key| before[key] != now[key])
}
