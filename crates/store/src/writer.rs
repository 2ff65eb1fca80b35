//! The one thread that writes. Owns the connection, the lock, batches, and what happens when the disk says no: rows are
//! kept (bounded), tried again with a growing pause, and what is wrong is said. Never blocks the callers of `record`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::time::{Clock, Mono, UtcMs};
use rusqlite::{Connection, TransactionBehavior};

use crate::apply::{self, Job, Memory};
use crate::connect;
use crate::error::{self, StoreError};
use crate::lock::Lock;
use crate::queue::{Numbered, Queue};
use crate::retain::Retention;
use crate::types::{Opened, Settings, StoreHealth, Write};

/// Rows per transaction: more than this many are not kept waiting for the clock.
const BATCH_ROWS: usize = 2_000;
/// `alive_at` is at most this old while the process runs.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// First pause after a failure; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause after failures: so soon it recovers by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Jobs waiting at once: people and their sessions, not looks.
const MOST_JOBS: usize = 1_000;
/// Longest wait for a job: SQLite's own waiting for a lock, a batch, and slow disks.
const JOB_WAIT: Duration = Duration::from_secs(15);

/// What the writer shares with the handle.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the writer.
    wake: Condvar,
    /// Wakes those who wait for the writer.
    settled: Condvar,
}

#[derive(Default)]
struct State {
    queue: Queue,
    jobs: VecDeque<Waiting>,
    /// Smallest number in the batch that is being written.
    in_flight: Option<u64>,
    /// Somebody asks for an attempt now, also while there is trouble.
    nudge: bool,
    /// Somebody waits for everything below this number.
    wanted: u64,
    stopping: bool,
    ended: bool,
    trouble: Option<(String, UtcMs)>,
    refused: u64,
    last_commit_at: Option<UtcMs>,
}

struct Waiting {
    job: Job,
    reply: SyncSender<Result<bool, StoreError>>,
    given_up: Arc<AtomicBool>,
}

impl State {
    fn oldest(&self) -> Option<u64> {
        [self.in_flight, self.queue.oldest()].into_iter().flatten().min()
    }

    fn is_due(&self) -> bool {
        let waited_for = self.queue.oldest().is_some_and(|oldest| oldest < self.wanted);
        let more = self.trouble.is_none() && (waited_for || self.queue.len() >= BATCH_ROWS);
        self.stopping || self.nudge || more || !self.jobs.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See `Store::record`.
    pub(crate) fn record(&self, write: Write) -> bool {
        let mut state = self.lock();
        if state.stopping {
            state.refused += 1;
            return false;
        }
        // What changes a status is rare and somebody looks for it at once; single looks can wait for their batch.
        let urgent = !matches!(write, Write::Observation(..) | Write::UnitSample(..) | Write::Alive(_));
        let kept = state.queue.push(write);
        state.nudge |= urgent;
        if urgent || state.queue.len() == BATCH_ROWS {
            self.wake.notify_one();
        }
        kept
    }

    /// Has the writer do a job and waits for it.
    pub(crate) fn job(&self, job: Job) -> Result<bool, StoreError> {
        let (reply, answer) = sync_channel(1);
        let given_up = Arc::new(AtomicBool::new(false));
        {
            let mut state = self.lock();
            if state.stopping || state.ended {
                return Err(StoreError::Closed);
            }
            if state.jobs.len() >= MOST_JOBS {
                return Err(StoreError::Busy("too many changes wait to be written"));
            }
            state.jobs.push_back(Waiting { job, reply, given_up: Arc::clone(&given_up) });
        }
        self.wake.notify_one();
        answer.recv_timeout(JOB_WAIT).unwrap_or_else(|_| {
            given_up.store(true, Ordering::Release);
            Err(StoreError::Busy("the writer did not answer in time"))
        })
    }

    /// See `Store::flush`.
    pub(crate) fn flush(&self, deadline: Duration) -> bool {
        let mut state = self.lock();
        let end = state.queue.next();
        let waits = |state: &State| state.oldest().is_some_and(|oldest| oldest < end);
        if waits(&state) {
            state.nudge = true;
            state.wanted = state.wanted.max(end);
            self.wake.notify_one();
        }
        let (state, _) = self
            .settled
            .wait_timeout_while(state, deadline, |state| waits(state) && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        !waits(&state)
    }

    /// Lets the writer write what waits and end. `true` when it ended in time with nothing left.
    pub(crate) fn close(&self, deadline: Duration) -> bool {
        let mut state = self.lock();
        state.stopping = true;
        self.wake.notify_one();
        let (state, _) = self
            .settled
            .wait_timeout_while(state, deadline, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended && state.oldest().is_none()
    }

    /// Whether the thread has nothing more to do.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Health without the size of the file.
    pub(crate) fn health(&self) -> StoreHealth {
        let state = self.lock();
        StoreHealth {
            ok: state.trouble.is_none(),
            reason: state.trouble.as_ref().map(|(reason, _)| reason.clone()),
            since: state.trouble.as_ref().map(|(_, since)| *since),
            lost_rows: state.queue.lost() + state.refused,
            queued: state.queue.len(),
            size_bytes: 0,
            last_commit_at: state.last_commit_at,
        }
    }
}

/// The thread's own state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    batch_every: Duration,
    clock: Arc<dyn Clock>,
    lock: Option<Lock>,
    db: Option<Connection>,
    file: Option<(u64, u64)>,
    full_sync: bool,
    opened: bool,
    /// Whether this process owns the file: holds the lock, says that it is alive, and clears old rows. A writer beside the
    /// owner only does jobs, under SQLite's own locking.
    owner: bool,
    memory: Memory,
    retention: Retention,
    alive_written: Option<Mono>,
    pause: Duration,
}

impl Writer {
    /// Opens the file. What only the environment is to blame for is no error: it is said in the health and retried.
    pub(crate) fn new(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        owner: bool,
    ) -> Result<(Self, Arc<Shared>, Opened), StoreError> {
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), settled: Condvar::new() });
        let mut writer = Self {
            shared: Arc::clone(&shared),
            path: settings.path.clone(),
            batch_every: settings.batch_every,
            retention: Retention::new(settings, clock.as_ref()),
            clock,
            lock: None,
            db: None,
            file: None,
            full_sync: false,
            opened: !owner,
            owner,
            memory: Memory::default(),
            alive_written: None,
            pause: FIRST_PAUSE,
        };
        let opened = match writer.connect() {
            Ok(opened) => opened,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Io { .. })) => {
                writer.trouble(words(&error));
                Opened::default()
            }
            Err(error) => return Err(error),
        };
        Ok((writer, shared, opened))
    }

    /// The life of the thread.
    pub(crate) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        loop {
            let (batch, jobs, stopping) = self.wait();
            let work = !batch.is_empty() || !jobs.is_empty() || stopping || self.alive_is_due();
            let ok = !work || self.attempt(batch, jobs);
            if stopping && (!ok || self.shared.lock().oldest().is_none()) {
                break;
            }
            if ok
                && self.owner
                && let Some(db) = &mut self.db
            {
                self.retention.tick(db, &mut self.memory, self.clock.as_ref());
            }
        }
        if let Some(db) = self.db.take().filter(|_| self.owner) {
            // Best effort: the next start would do it as well.
            let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        drop(self.lock.take());
    }

    /// Sleeps until there is something to do, then takes it.
    fn wait(&self) -> (Vec<Numbered>, VecDeque<Waiting>, bool) {
        let state = self.shared.lock();
        let pause = if state.trouble.is_some() { self.pause } else { self.batch_every };
        let (mut state, _) = self
            .shared
            .wake
            .wait_timeout_while(state, pause, |state| !state.is_due())
            .unwrap_or_else(PoisonError::into_inner);
        state.nudge = false;
        let batch = state.queue.take(BATCH_ROWS);
        state.in_flight = batch.first().map(|(number, _)| *number);
        (batch, std::mem::take(&mut state.jobs), state.stopping)
    }

    fn alive_is_due(&self) -> bool {
        self.owner && self.alive_written.is_none_or(|at| self.clock.mono().0.saturating_sub(at.0) >= ALIVE_EVERY)
    }

    /// Tries to write; whether it succeeded.
    fn attempt(&mut self, mut batch: Vec<Numbered>, jobs: VecDeque<Waiting>) -> bool {
        let jobs: Vec<_> = jobs.into_iter().filter(|w| !w.given_up.load(Ordering::Acquire)).collect();
        let result = self.connect().and_then(|_| {
            let wanted: Vec<_> = jobs.iter().map(|w| &w.job).collect();
            match self.commit(&batch, &wanted) {
                Err(error) if !error::may_pass(&error) => self.one_by_one(&mut batch, &wanted),
                other => other.map(|done| done.into_iter().map(Ok).collect()).map_err(|e| self.after_failure(&e)),
            }
        });
        match result {
            Ok(answers) => {
                self.settle();
                for (waiting, answer) in jobs.into_iter().zip(answers) {
                    let _ = waiting.reply.send(answer); // Whoever gave up waiting does not want the answer.
                }
                true
            }
            Err(error) => {
                let reason = words(&error);
                for waiting in jobs {
                    let _ = waiting.reply.send(Err(StoreError::Unavailable(reason.clone())));
                }
                {
                    let mut state = self.shared.lock();
                    state.queue.put_back(batch);
                    state.in_flight = None;
                }
                self.trouble(reason);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }

    /// One transaction for everything. The answers are those of the jobs.
    fn commit(&mut self, batch: &[Numbered], jobs: &[&Job]) -> rusqlite::Result<Vec<bool>> {
        let now = self.clock.utc();
        let Some(db) = &mut self.db else { return Ok(Vec::new()) };
        // Somebody waits for a job and relies on it: it must survive a power cut, rows need not.
        let full = !jobs.is_empty();
        if full != self.full_sync {
            db.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
            self.full_sync = full;
        }
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut fill = || -> rusqlite::Result<Vec<bool>> {
            if self.owner {
                apply::alive(&tx, now)?;
            }
            for (_, write) in batch {
                self.memory.apply(&tx, write, now)?;
            }
            let done = jobs.iter().map(|job| self.memory.job(&tx, job, now)).collect::<rusqlite::Result<_>>()?;
            self.memory.finish(&tx)?;
            Ok(done)
        };
        let done = fill().and_then(|done| tx.commit().map(|()| done));
        if done.is_err() {
            self.memory = Memory::default();
        }
        done
    }

    /// The file refused something for good: write each thing alone, give up and count what is refused. What is done
    /// leaves the batch, so that a failure midway writes nothing twice.
    fn one_by_one(
        &mut self,
        batch: &mut Vec<Numbered>,
        jobs: &[&Job],
    ) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        for (done, one) in batch.clone().into_iter().enumerate() {
            match self.commit(&[one], &[]) {
                Ok(_) => {}
                Err(error) if error::may_pass(&error) => {
                    batch.drain(..done);
                    return Err(self.after_failure(&error));
                }
                Err(error) => {
                    tracing::error!(%error, "the history refused a row");
                    self.shared.lock().refused += 1;
                }
            }
        }
        batch.clear();
        Ok(jobs
            .iter()
            .map(|job| self.commit(&[], &[*job]).map(|done| done.first() == Some(&true)).map_err(StoreError::from))
            .collect())
    }

    /// A lock or a full disk leaves the connection good; after anything else a new one is opened.
    fn after_failure(&mut self, error: &rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode as C;
        if !matches!(error.sqlite_error_code(), Some(C::DatabaseBusy | C::DatabaseLocked | C::DiskFull)) {
            self.db = None;
        }
        StoreError::Unavailable(error::in_words(error))
    }

    /// Takes the lock and opens the file where that is not done. The first time it notes since when nobody was looking.
    fn connect(&mut self) -> Result<Opened, StoreError> {
        if self.db.is_some() {
            if self.file == connect::file_id(&self.path) {
                return Ok(Opened::default());
            }
            tracing::warn!("the history file was removed or replaced; opening what is there now");
            (self.db, self.lock) = (None, None);
        }
        if self.owner && self.lock.is_none() {
            if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists()) {
                std::fs::create_dir_all(folder).map_err(|source| StoreError::Io {
                    doing: "create the folder",
                    path: folder.to_owned(),
                    source,
                })?;
            }
            self.lock = Some(Lock::take(&self.path)?);
        }
        let now = self.clock.utc();
        let (mut db, fresh) = connect::writer(&self.path, now)?;
        self.full_sync = false;
        self.memory = Memory::default();
        let mut opened = Opened::default();
        if !self.opened {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last_alive = UtcMs(tx.query_row("SELECT alive_at FROM life", [], |row| row.get(0))?);
            opened.blinded = self.memory.blind(&tx, last_alive)?;
            opened.last_alive = (!fresh).then_some(last_alive);
            apply::alive(&tx, now)?;
            tx.commit()?;
            self.opened = true;
        }
        self.file = connect::file_id(&self.path);
        self.db = Some(db);
        Ok(opened)
    }

    fn settle(&mut self) {
        self.alive_written = Some(self.clock.mono());
        self.pause = FIRST_PAUSE;
        let mut state = self.shared.lock();
        state.in_flight = None;
        state.last_commit_at = Some(self.clock.utc());
        if let Some((reason, _)) = state.trouble.take() {
            tracing::info!(was = reason, "the history can be written again");
        }
        self.shared.settled.notify_all();
    }

    fn trouble(&self, reason: String) {
        let mut state = self.shared.lock();
        let since = match &state.trouble {
            Some((before, since)) if *before == reason => *since,
            Some((_, since)) => *since,
            None => self.clock.utc(),
        };
        if state.trouble.as_ref().is_none_or(|(before, _)| *before != reason) {
            tracing::warn!(reason, "the history cannot be written; rows are kept and tried again");
        }
        state.trouble = Some((reason, since));
    }
}

/// The words of an error and of its cause.
fn words(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason.clone(),
        StoreError::Io { source, .. } => format!("{error}: {source}"),
        other => other.to_string(),
    }
}

/// Says that the writer ended, however it ended.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.jobs.clear();
        if !state.stopping {
            state.stopping = true;
            let since = state.last_commit_at.unwrap_or_default();
            state.trouble = Some(("the writer ended unexpectedly; restart streampulse".to_owned(), since));
        }
        self.0.settled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_trouble_only_a_person_or_the_clock_makes_it_try_again() {
        let mut state = State::default();
        assert!(!state.is_due());
        assert!((0..BATCH_ROWS as i64).all(|n| state.queue.push(Write::Alive(UtcMs(n)))));
        assert!(state.is_due(), "a full batch");
        state.trouble = Some((String::new(), UtcMs(0)));
        state.wanted = u64::MAX;
        assert!(!state.is_due(), "neither a full queue nor a flush that waits makes it try without a pause");
        state.nudge = true;
        assert!(state.is_due(), "the beginning of a flush does, once");
        (state.nudge, state.trouble) = (false, None);
        let _ = state.queue.take(BATCH_ROWS - 1);
        assert!(state.is_due(), "a flush waits for the rest of its rows");
        state.wanted = 0;
        assert!(!state.is_due());
    }
}
