//! A few read-only connections, lent one question at a time. Owns how many there are and how long one waits.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::connect;
use crate::error::StoreError;

/// Connections at once: questions are short, and two cores serve them.
const READERS: usize = 4;
/// Longest wait for a free one.
const WAIT: Duration = Duration::from_secs(5);

/// The readers.
pub(crate) struct Pool {
    path: PathBuf,
    state: Mutex<State>,
    freed: Condvar,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// The file that the idle ones have open: another one under the same name makes them useless.
    file: Option<(u64, u64)>,
    lent: usize,
}

impl Pool {
    /// No connection is opened before the first question.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), freed: Condvar::new(), closed: AtomicBool::new(false) }
    }

    /// Asks a question of one consistent moment. A connection that failed is not used again.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (db, keep) = self.borrow()?;
        let lent = Lent { pool: self, db: Some(db), keep, file: connect::file_id(&self.path) };
        lent.run(question)
    }

    /// Closes what is idle; what is lent closes when it comes back.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock().idle.clear();
    }

    fn borrow(&self) -> Result<(Connection, bool), StoreError> {
        let state = self.lock();
        let (mut state, wait) = self
            .freed
            .wait_timeout_while(state, WAIT, |state| state.lent >= READERS)
            .unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if wait.timed_out() && state.lent >= READERS {
            return Err(StoreError::Busy("all readers are in use"));
        }
        state.lent += 1;
        let file = connect::file_id(&self.path);
        if state.file != file {
            state.idle.clear();
            state.file = file;
        }
        if let Some(db) = state.idle.pop() {
            return Ok((db, true));
        }
        drop(state);
        let opened = match connect::reader(&self.path) {
            Ok(db) => Ok((db, true)),
            Err(error) => connect::reader_of_still_file(&self.path).map(|db| (db, false)).map_err(|_| error),
        };
        opened.inspect_err(|_| self.give_back(None))
    }

    fn give_back(&self, db: Option<Connection>) {
        let mut state = self.lock();
        state.lent -= 1;
        if !self.closed.load(Ordering::Acquire) {
            state.idle.extend(db);
        }
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lent connection: it comes back also when the question panics.
struct Lent<'a> {
    pool: &'a Pool,
    db: Option<Connection>,
    keep: bool,
    file: Option<(u64, u64)>,
}

impl Lent<'_> {
    fn run<T>(mut self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db.as_ref().ok_or(StoreError::Closed)?;
        let answer = db.unchecked_transaction().map_err(StoreError::from).and_then(|moment| question(&moment));
        self.keep &= answer.is_ok();
        answer
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let same = self.file == connect::file_id(&self.pool.path);
        let db = self.db.take().filter(|_| self.keep && same && !std::thread::panicking());
        self.pool.give_back(db);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn as_many_as_allowed_and_the_next_waits_for_one_to_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.db");
        drop(connect::writer(&path, model::time::UtcMs(0)).unwrap());
        let pool = Pool::new(path);
        std::thread::scope(|scope| {
            let (inside, seen) = sync_channel(READERS + 1);
            let mut gates = Vec::new();
            for n in 0..READERS {
                let (open, gate) = sync_channel::<()>(1);
                gates.push(open);
                let (inside, pool) = (inside.clone(), &pool);
                scope.spawn(move || {
                    pool.ask(|_| {
                        inside.send(n).unwrap();
                        gate.recv().unwrap();
                        Ok(())
                    })
                });
            }
            for _ in 0..READERS {
                seen.recv().unwrap();
            }
            let pool = &pool;
            let late = scope.spawn(move || pool.ask(|_| Ok(())));
            assert!(!late.is_finished());
            gates.remove(0).send(()).unwrap();
            assert!(late.join().unwrap().is_ok());
            drop(gates.into_iter().map(|g| g.send(())).collect::<Vec<_>>());
        });
        pool.close();
        assert!(matches!(pool.ask(|_| Ok(())), Err(StoreError::Closed)));
    }
}
