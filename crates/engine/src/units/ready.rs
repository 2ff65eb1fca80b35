//! Start checks of one run: waits until all of them pass, or one can never pass. Owns how each is asked; the machine owns the
//! deadline of all of them.

use std::path::{Path, PathBuf};
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
/// Most of a file of output that is searched at once.
const CHUNK: u64 = 1024 * 1024;

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
    let path = asking.folder.join(output::OUTPUT);
    let since = asking.started_at;
    let mut from = 0;
    loop {
        let (path, searched) = (path.clone(), pattern.clone());
        let read = tokio::task::spawn_blocking(move || search(&path, from, since, &searched));
        match tokio::time::timeout(WITHIN, read).await {
            Ok(Ok((true, _))) => return Ok(()),
            Ok(Ok((false, next))) => from = next,
            Ok(Err(_)) | Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Whether a line since that time matches, and where to go on.
fn search(path: &Path, from: u64, since: UtcMs, pattern: &Regex) -> (bool, u64) {
    use std::io::{Read, Seek, SeekFrom};
    let Ok(mut file) = std::fs::File::open(path) else { return (false, 0) };
    let size = file.metadata().map_or(0, |data| data.len());
    // A file that is shorter is a new one; of a long one the beginning is of earlier runs.
    let from = if size < from { 0 } else { from.max(size.saturating_sub(CHUNK)) };
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(from)).is_err() || file.take(CHUNK).read_to_end(&mut bytes).is_err() {
        return (false, from);
    }
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let matches = |line: &str| {
        let mut parts = line.splitn(4, ' ');
        let at = parts.next().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let words = parts.nth(2).unwrap_or_default();
        at.is_some_and(|at| at.as_millisecond() >= since.0) && pattern.is_match(words)
    };
    (text.lines().any(matches), from + whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_since_the_start_count_and_it_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(output::OUTPUT);
        let ready = Regex::new("^ready on port [0-9]+$").unwrap();
        let since = UtcMs(1_700_000_000_000); // 2023-11-14T22:13:20Z
        assert_eq!(search(&path, 0, since, &ready), (false, 0));
        let old = "2023-11-14T22:13:19.000000000Z stdout F ready on port 80\n";
        std::fs::write(&path, old).unwrap();
        assert_eq!(search(&path, 0, since, &ready), (false, old.len() as u64));
        let half = format!("{old}2023-11-14T22:13:20.5Z stderr F ready on port 81");
        std::fs::write(&path, &half).unwrap();
        assert_eq!(
            search(&path, old.len() as u64, since, &ready),
            (false, old.len() as u64),
            "a line that is not whole"
        );
        std::fs::write(&path, format!("{half}\n")).unwrap();
        assert!(search(&path, old.len() as u64, since, &ready).0);
        std::fs::write(&path, "2023-11-14T22:13:21Z stdout F ready on port 82\n").unwrap();
        assert!(search(&path, 5_000, since, &ready).0, "a new file is read from its beginning");
    }
}
