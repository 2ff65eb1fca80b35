//! Start checks of one run: waits until all of them pass, or one can never pass. Owns how each is asked; the machine owns the
//! deadline of all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::address::Address;
use model::board::Board;
use model::status::Status;
use model::target::TargetId;
use model::time::{Clock, UtcMs};
use model::unit::spec::ReadyCheck;
use regex_lite::Regex;
use tokio::sync::{mpsc, oneshot, watch};

use super::checks::{http, tcp};
use super::output;
use crate::input::Command;
use crate::shell::Ask;

/// From one question to the next: a start is waited for by people.
const AGAIN: Duration = Duration::from_millis(250);
/// From one look at a target to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Deadline of one question.
const WITHIN: Duration = Duration::from_secs(5);

/// What start checks ask.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) engine: mpsc::Sender<Ask>,
    /// Folder of the unit.
    pub(super) folder: PathBuf,
    pub(super) started_at: UtcMs,
}

/// Comes back when all checks passed.
///
/// # Errors
/// Why one of them can never pass.
pub(super) async fn all(asking: Asking, checks: Vec<ReadyCheck>) -> Result<(), String> {
    futures_util::future::try_join_all(checks.iter().map(|check| one(&asking, check))).await.map(drop)
}

async fn one(asking: &Asking, check: &ReadyCheck) -> Result<(), String> {
    match check {
        ReadyCheck::Stays(time) => {
            let ran = asking.clock.utc().since(asking.started_at);
            tokio::time::sleep(time.saturating_sub(ran)).await;
            Ok(())
        }
        ReadyCheck::Tcp(peer) => {
            while tcp(&*asking.clock, peer, WITHIN).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            Ok(())
        }
        ReadyCheck::Http(address) => until_http(asking, address).await,
        ReadyCheck::Log(pattern) => {
            let pattern = Regex::new(pattern).map_err(|e| format!("{pattern:?} is no expression: {e}"))?;
            until_line(asking, pattern).await
        }
        ReadyCheck::Target(id) => until_up(asking, id).await,
    }
}

async fn until_http(asking: &Asking, address: &Address) -> Result<(), String> {
    while http(&*asking.clock, address, WITHIN).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

async fn until_up(asking: &Asking, id: &TargetId) -> Result<(), String> {
    let mut board = asking.board.clone();
    loop {
        let is_up = |board: &Arc<Board>| {
            let target = board.get(id)?;
            let seen = target.last.as_ref().map(|seen| seen.at).or(target.session.as_ref().map(|_| target.state.since));
            Some(target.state.status == Status::Up && seen.is_some_and(|at| at >= asking.started_at))
        };
        match is_up(&board.borrow_and_update()) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => return Err(format!("there is no target {id}")),
        }
        // A look now rather than when its time comes; one that is under way is joined.
        let (reply, _answer) = oneshot::channel();
        let _busy = asking.engine.try_send(Ask::Command(Command::TestNow(id.clone()), reply));
        let _later = tokio::time::timeout(LOOK_AGAIN, board.changed()).await;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Lines of earlier runs do not count: each line tells its time.
async fn until_line(asking: &Asking, pattern: Regex) -> Result<(), String> {
    let since = asking.started_at;
    let mut place = None;
    loop {
        let (folder, searched, from) = (asking.folder.clone(), pattern.clone(), place);
        let read = tokio::task::spawn_blocking(move || match from {
            Some(from) => output::search(&folder, from, &searched),
            None => output::first_search(&folder, since, &searched),
        });
        match tokio::time::timeout(WITHIN, read).await {
            Ok(Ok((true, _))) => return Ok(()),
            Ok(Ok((false, next))) => place = next.or(place),
            Ok(Err(_)) | Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}
