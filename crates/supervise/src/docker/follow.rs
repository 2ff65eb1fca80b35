//! Follows the log that an engine keeps of a container into the unit's own log, across restarts of the engine and of ours. Owns
//! where to go on; the form of the unit's log and its rotation are in [`super::keep`].

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use model::unit::spec::{Container, Program};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::container_log::{Demux, Piece};

use super::answer::Inspect;
use super::engine::Engine;
use super::keep::Kept;
use super::run::Means;
use super::trouble::Trouble;
use crate::backend::Launch;

/// From one attempt to the next while the log cannot be read: the first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Read at once from the command.
const READ_BYTES: usize = 16 * 1024;
/// Most lines that are taken over of a run that we meet when it has long been under way.
const NEWEST_LINES: u32 = 10_000;
/// How far one output may be behind the other: the engine is asked again from so much earlier on.
const ASIDE: Duration = Duration::from_secs(10);

/// A line, or a part of one, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When the engine received it.
    pub(super) at: Timestamp,
    /// Whether it is of standard error.
    pub(super) stderr: bool,
    /// The text without its end of line; any bytes.
    pub(super) text: Vec<u8>,
    /// Whether its line ends here.
    pub(super) whole: bool,
}

/// A log that is followed as long as this lives.
pub(super) struct Follower {
    done: watch::Receiver<bool>,
    _cancel: DropGuard,
}

/// From where on an engine is asked for a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct From {
    /// Seconds and nanoseconds since 1970.
    pub(super) since: String,
    /// At most this many of the lines that are there.
    pub(super) newest: Option<u32>,
}

/// Up to where an output is kept already. Engines write down both outputs one beside the other, so that their times are in order
/// within one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    at: Option<Timestamp>,
    /// Records of that time that are kept.
    same: usize,
    /// Of those, how many the engine has not sent again since it was asked from that time on.
    again: usize,
}

impl Mark {
    /// Whether a record of this time is news.
    fn takes(&mut self, at: Timestamp) -> bool {
        match self.at {
            Some(last) if at < last => false,
            Some(last) if at == last && self.again > 0 => {
                self.again -= 1;
                false
            }
            Some(last) if at == last => {
                self.same += 1;
                true
            }
            _ => {
                *self = Self { at: Some(at), same: 1, again: 0 };
                true
            }
        }
    }
}

/// Both outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    out: Mark,
    err: Mark,
}

impl Marks {
    /// What is kept; without any record of the run it begins where the one before `ended`. Its own start would be too late:
    /// engines note it when its first lines are there already.
    fn new(last: impl Fn(bool) -> Option<(Timestamp, usize)>, ended: Option<Timestamp>) -> Self {
        let [out, err] =
            [false, true].map(|stderr| last(stderr).map(|(at, same)| Mark { at: Some(at), same, again: 0 }));
        let none = || Mark { at: ended.filter(|_| out.is_none() && err.is_none()), same: 0, again: 0 };
        Self { out: out.unwrap_or_else(none), err: err.unwrap_or_else(none) }
    }

    /// The log is about to be read again from the marks on.
    fn rewind(&mut self) {
        self.out.again = self.out.same;
        self.err.again = self.err.same;
    }

    fn takes(&mut self, record: &Record) -> bool {
        if record.stderr { self.err.takes(record.at) } else { self.out.takes(record.at) }
    }

    /// Where the engine is to begin.
    fn from(&self) -> From {
        let at = self.out.at.max(self.err.at).map_or(0, Timestamp::as_nanosecond);
        let kept = self.out.same + self.err.same > 0;
        let nanos = if kept { at.saturating_sub(ASIDE.as_nanos() as i128) } else { at }.max(0);
        let since = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        // The engine may have gigabytes of a run that we never saw.
        From { since, newest: (!kept).then_some(NEWEST_LINES) }
    }
}

struct Task {
    engine: Arc<Mutex<Engine>>,
    id: String,
    began: String,
    terminal: bool,
    marks: Marks,
    keep: Option<Kept>,
}

impl Follower {
    /// Follows the log of the run that `seen` tells of.
    pub(super) fn start(
        means: &Means,
        engine: &Arc<Mutex<Engine>>,
        seen: &Inspect,
        launch: &Launch,
        folder: &Path,
    ) -> Self {
        let (cancel, (tell, done)) = (CancellationToken::new(), watch::channel(false));
        let cancelled = cancel.clone();
        let follower = Self { done, _cancel: cancel.drop_guard() };
        let secrets: Vec<&str> = match &launch.program {
            Program::Container(Container { create: Some(create), .. }) => {
                create.secret_env.iter().map(|(_, value)| value.expose()).collect()
            }
            _ => Vec::new(),
        };
        let keep = match Kept::open(folder, launch, &secrets) {
            Ok(keep) => keep,
            // Without a log a unit is worse off, but it runs.
            Err(error) => {
                tracing::warn!("the log of {} cannot be opened: {error}", launch.id);
                return follower;
            }
        };
        let marks = Marks::new(|stderr| keep.last(stderr), seen.state.finished_at.parse().ok());
        let task = Task {
            engine: Arc::clone(engine),
            id: seen.id.clone(),
            began: seen.state.started_at.clone(),
            terminal: seen.config.tty,
            marks,
            keep: Some(keep),
        };
        means.tasks.spawn(format!("log of {}", launch.id), async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = task.run() => { let _ = tell.send(true); }
            }
        });
        follower
    }

    /// Waits until the log of a container that ended is whole.
    pub(super) async fn finish(&self, within: Duration) {
        let mut done = self.done.clone();
        // Nobody tells any more where nothing is followed.
        let _ = tokio::time::timeout(within, done.wait_for(|done| *done)).await;
    }
}

impl Task {
    fn engine(&self) -> Engine {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            self.marks.rewind();
            let before = self.marks.from();
            let result = self.read().await;
            // A log that ends is that of a container that ended, or of an engine that did.
            if result.is_ok() && self.is_over().await {
                return;
            }
            if let Err(trouble) = &result {
                tracing::debug!("the log of a container breaks off: {trouble}");
            }
            pause = if before == self.marks.from() { (pause * 2).min(PAUSES.1) } else { PAUSES.0 };
            tokio::time::sleep(pause).await;
        }
    }

    async fn is_over(&self) -> bool {
        match self.engine().inspect(&self.id).await {
            Ok(Some(seen)) => !seen.state.running || seen.state.started_at != self.began,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    async fn read(&mut self) -> Result<(), Trouble> {
        let from = self.marks.from();
        match self.engine() {
            Engine::Api(api) => {
                let mut reply = api.logs(&self.id, &from).await?;
                let mut demux = Demux::new(self.terminal);
                let mut records = Vec::new();
                while let Some(chunk) = reply.body.next_chunk().await? {
                    let mut take = |piece: Piece<'_>| records.push(self.record(piece, None));
                    demux.push(&chunk, &mut take).map_err(|error| Trouble::Odd(error.to_string()))?;
                    self.news(std::mem::take(&mut records)).await?;
                }
                demux.finish(&mut |piece| records.push(self.record(piece, None)));
                self.news(records).await
            }
            Engine::Command(cli) => {
                let mut child = cli.logs(&self.id, &from)?;
                let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
                    return Err(Trouble::Odd("docker logs has no output".to_owned()));
                };
                // Two pipes, each with lines of its own; the command took the frames off.
                let (mut outs, mut errs) = (Demux::new(true), Demux::new(true));
                let (mut one, mut other) = ([0; READ_BYTES], [0; READ_BYTES]);
                let (mut more_out, mut more_err) = (true, true);
                while more_out || more_err {
                    let mut records = Vec::new();
                    let (stderr, read) = tokio::select! {
                        read = out.read(&mut one), if more_out => (false, read.unwrap_or(0)),
                        read = err.read(&mut other), if more_err => (true, read.unwrap_or(0)),
                    };
                    let (demux, bytes, more) =
                        if stderr { (&mut errs, &other, &mut more_err) } else { (&mut outs, &one, &mut more_out) };
                    let mut take = |piece: Piece<'_>| records.push(self.record(piece, Some(stderr)));
                    // Lines of a terminal are never malformed.
                    let _ = demux.push(&bytes[..read], &mut take);
                    if read == 0 {
                        demux.finish(&mut take);
                        *more = false;
                    }
                    self.news(records).await?;
                }
                Ok(())
            }
        }
    }

    fn record(&self, piece: Piece<'_>, stderr: Option<bool>) -> Record {
        let at = piece.stamp.and_then(|stamp| stamp.parse().ok()).or(self.marks.out.at.max(self.marks.err.at));
        Record {
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            stderr: stderr.unwrap_or(piece.stderr),
            text: piece.text.to_vec(),
            whole: piece.whole,
        }
    }

    /// Keeps what is new of `records`, off the threads that serve everybody: disks stall.
    async fn news(&mut self, mut records: Vec<Record>) -> Result<(), Trouble> {
        records.retain(|record| self.marks.takes(record));
        if records.is_empty() {
            return Ok(());
        }
        let Some(mut keep) = self.keep.take() else { return Ok(()) };
        let kept = tokio::task::spawn_blocking(move || {
            keep.keep(&records);
            keep
        });
        self.keep = Some(kept.await.map_err(|_| Trouble::Odd("writing the log broke down".to_owned()))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of standard output (times above 0) and of standard error (below), and which of them are taken.
    fn took(marks: &mut Marks, times: &[i64]) -> Vec<bool> {
        let record = |n: i64| Record { at: at(n.abs()), stderr: n < 0, text: Vec::new(), whole: true };
        times.iter().map(|n| marks.takes(&record(*n))).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(seconds, 5).expect("a time")
    }

    #[test]
    fn what_was_kept_is_not_kept_again() {
        // Nothing is kept: all since the end of the run before, but no more than so many lines.
        let mut marks = Marks::new(|_| None, Some(at(100)));
        assert_eq!(marks.from(), From { since: "100.000000005".to_owned(), newest: Some(NEWEST_LINES) });
        assert_eq!(took(&mut marks, &[99, 101, 102, 102, -101, -103]), [false, true, true, true, true, true]);
        assert_eq!(marks.from(), From { since: "93.000000005".to_owned(), newest: None });
        // The engine breaks off and is asked again; a third of the same time is new, and so is what was late.
        marks.rewind();
        assert_eq!(
            took(&mut marks, &[101, 102, 102, 102, -101, -103, -103]),
            [false, false, false, true, false, false, true]
        );
        // The same after a restart of ours, of what is in the file.
        let mut marks = Marks::new(|stderr| (!stderr).then_some((at(102), 3)), Some(at(100)));
        marks.rewind();
        assert_eq!(took(&mut marks, &[102, 102, 102, -95, 103]), [false, false, false, true, true]);
        assert_eq!(Marks::new(|_| None, None).from().since, "0.000000000");
    }
}
