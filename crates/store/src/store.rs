//! The handle that the rest of the program holds. Owns the parts and the names of the questions, no SQL.

mod alerting;
mod running;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::availability::Availability;
use model::target::TargetId;
use model::time::{Clock, UtcMs};

use crate::apply::Job;
use crate::ask::{self, availability, documents, incidents, observations, restore, rollups};
use crate::error::StoreError;
use crate::lock::beside;
use crate::pool::Pool;
use crate::reading_json::Keys;
use crate::types::{
    AuditRow, Identity, IncidentRow, ObservationRow, Opened, Resolution, Restored, Rollup, Settings, StatusChangeRow,
    StoreHealth, Write,
};
use crate::writer::{Shared, Writer};
use crate::{backup, connect, upgrade, verify};

/// Rows that an export holds in memory at once.
const EXPORT_PAGE: usize = 1_000;
/// Largest document, in bytes: they are settings and sessions, not files.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// The history. Cheap to clone; the last clone that goes away writes what waits and closes the file.
///
/// Questions block for as long as the disk takes: call them where blocking is allowed. A row that was recorded is seen
/// by questions after the next commit, half a second later by default. Every answer has at most 10,000 rows.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    pool: Pool,
    keys: Keys,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Every question fails with [`StoreError::Unavailable`] while the file cannot be read, with [`StoreError::Busy`] when
/// no reader becomes free within seconds, and with [`StoreError::Closed`] after [`Store::close`]. Questions about a target
/// that was never seen answer [`StoreError::NoSuchTarget`].
impl Store {
    /// Opens or creates the history and starts its writer. A disk that is full or read-only is no error: the health says
    /// so, rows are kept, and the file is opened as soon as it can be.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::TooNew`], [`StoreError::NotAStore`],
    /// [`StoreError::Damaged`].
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Self, Opened), StoreError> {
        Self::with(settings, clock, true)
    }

    /// Opens the history beside the process that owns it, for documents and the audit log only: SQLite's own locking
    /// keeps the two apart. Rows that are recorded here are not meant to be; retention and roll-ups stay with the owner.
    ///
    /// # Errors
    /// [`StoreError::Io`] when there is no such file; otherwise as [`Store::open`], never [`StoreError::Locked`].
    pub fn open_beside(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        exists(path)?;
        Self::with(Settings::new(path), clock, false).map(|(store, _)| store)
    }

    /// Copies a history that another process may be writing. See [`Store::backup`].
    ///
    /// # Errors
    /// [`StoreError::Io`] when there is no such file or the copy cannot be written; [`StoreError::NotAStore`] and
    /// [`StoreError::TooNew`] for a file that is not ours.
    pub fn backup_file(from: &Path, to: &Path) -> Result<(), StoreError> {
        exists(from)?;
        let db = connect::reader(from)?;
        upgrade::inspect(&db, from)?;
        backup::make(&db, to)
    }

    fn with(settings: Settings, clock: Arc<dyn Clock>, owner: bool) -> Result<(Self, Opened), StoreError> {
        let (writer, shared, opened) = Writer::new(&settings, Arc::clone(&clock), owner)?;
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| StoreError::Io { doing: "start the writer of", path: settings.path.clone(), source })?;
        let pool = Pool::new(settings.path.clone());
        let thread = Mutex::new(Some(thread));
        let inner = Inner { settings, clock, shared, pool, keys: Keys::default(), thread };
        Ok((Self { inner: Arc::new(inner) }, opened))
    }

    /// Hands over one thing to write. Never blocks; `false` when it was dropped (and counted).
    pub fn record(&self, write: Write) -> bool {
        self.inner.shared.record(write)
    }

    /// Waits until everything recorded before is committed; `false` when the deadline passed first.
    pub fn flush(&self, deadline: Duration) -> bool {
        self.inner.shared.flush(deadline)
    }

    /// Writes what waits, ends the writer and lets the file go; `false` when rows were left or the deadline passed.
    pub fn close(&self, deadline: Duration) -> bool {
        self.inner.pool.close();
        self.inner.shared.close(deadline)
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        let size = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
        let path = &self.inner.settings.path;
        StoreHealth { size_bytes: size(path) + size(&beside(path, "-wal")), ..self.inner.shared.health() }
    }

    /// Observations of one target in `from..to`. `before` is the cursor ([`ObservationRow::row`]) of the row after which
    /// to go on, in the order asked for.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn observations(
        &self,
        target: &TargetId,
        from: UtcMs,
        to: UtcMs,
        before: Option<i64>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Vec<ObservationRow>, StoreError> {
        let range = observations::Range { from, to, after: before, limit, newest_first };
        self.inner.pool.ask(|db| observations::page(db, ask::uid(db, target)?, target, range))
    }

    /// All observations in `from..to`, target by target, oldest first, until `each` says `false`. Between pages no
    /// transaction is held, so that a slow consumer costs the writer nothing; rows recorded meanwhile may be in it.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn export(
        &self,
        target: Option<&TargetId>,
        from: UtcMs,
        to: UtcMs,
        each: &mut dyn FnMut(ObservationRow) -> bool,
    ) -> Result<(), StoreError> {
        for (uid, id) in self.inner.pool.ask(|db| observations::targets(db, target))? {
            let mut after = None;
            loop {
                let range = observations::Range { from, to, after, limit: EXPORT_PAGE, newest_first: false };
                let rows = self.inner.pool.ask(|db| observations::page(db, uid, &id, range))?;
                let full = rows.len() == EXPORT_PAGE;
                after = rows.last().map(|row| row.row);
                for row in rows {
                    if !each(row) {
                        return Ok(());
                    }
                }
                if !full {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How one target spent `from..to`, from its status changes. Time before the first change and after now is uncounted.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn availability(&self, target: &TargetId, from: UtcMs, to: UtcMs) -> Result<Availability, StoreError> {
        let now = self.inner.clock.utc();
        self.inner.pool.ask(|db| availability::of(db, ask::uid(db, target)?, from, to, now))
    }

    /// How every known target spent `from..to`.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn availability_all(&self, from: UtcMs, to: UtcMs) -> Result<BTreeMap<TargetId, Availability>, StoreError> {
        let now = self.inner.clock.utc();
        self.inner.pool.ask(|db| availability::of_all(db, from, to, now))
    }

    /// Roll-ups of one target that begin in `from..to`, oldest first. Times without a look have none.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn rollups(
        &self,
        target: &TargetId,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<Rollup>, StoreError> {
        let now = self.inner.clock.utc();
        self.inner.pool.ask(|db| rollups::of(db, ask::uid(db, target)?, resolution, from, to, now))
    }

    /// Looks of all targets since the beginning of the UTC day of `from`: those that did not fail, and those that did.
    /// Counted from the roll-ups by day, so that it costs a row per target and day.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn looks_since(&self, from: UtcMs) -> Result<(u64, u64), StoreError> {
        self.inner.pool.ask(|db| rollups::looks_since(db, from))
    }

    /// Incidents that touch `from..to`, newest first. `before` is the cursor ([`IncidentRow::row`]) of the row after
    /// which to go on.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn incidents(
        &self,
        target: Option<&TargetId>,
        from: UtcMs,
        to: UtcMs,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        self.inner.pool.ask(|db| {
            let uid = target.map(|id| ask::uid(db, id)).transpose()?;
            incidents::page(db, uid, from, to, before, limit)
        })
    }

    /// Status changes of one target in `from..to`, newest first.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn changes(
        &self,
        target: &TargetId,
        from: UtcMs,
        to: UtcMs,
        limit: usize,
    ) -> Result<Vec<StatusChangeRow>, StoreError> {
        self.inner.pool.ask(|db| incidents::changes(db, ask::uid(db, target)?, target, from, to, limit))
    }

    /// What is known of every target from before, retired ones included.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn restore(&self) -> Result<Vec<Restored>, StoreError> {
        self.inner.pool.ask(|db| restore::all(db, &self.inner.keys))
    }

    /// What recognises every known target, retired ones included.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        self.inner.pool.ask(restore::identities)
    }

    /// Pauses or resumes a target; on the disk before it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then it did not happen.
    pub fn set_paused(&self, target: &TargetId, paused: bool) -> Result<(), StoreError> {
        self.inner.shared.job(Job::Pause { id: target.clone(), paused }).map(drop)
    }

    /// One document.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn get_doc(&self, ns: &str, key: &str) -> Result<Option<String>, StoreError> {
        self.inner.pool.ask(|db| documents::get(db, ns, key))
    }

    /// Writes one document; on the disk before it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then it did not happen. [`StoreError::TooLarge`].
    pub fn put_doc(&self, ns: &str, key: &str, value: &str) -> Result<(), StoreError> {
        if value.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge { bytes: value.len(), most: MAX_DOCUMENT_BYTES });
        }
        let job = Job::Put { ns: ns.to_owned(), key: key.to_owned(), value: value.to_owned() };
        self.inner.shared.job(job).map(drop)
    }

    /// Removes one document; on the disk before it returns. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then it did not happen.
    pub fn delete_doc(&self, ns: &str, key: &str) -> Result<bool, StoreError> {
        self.inner.shared.job(Job::Delete { ns: ns.to_owned(), key: key.to_owned() })
    }

    /// All documents of a name space as (key, value), by key.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn list_docs(&self, ns: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.pool.ask(|db| documents::list(db, ns))
    }

    /// Appends to the audit log; on the disk before it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then it did not happen.
    pub fn append_audit(&self, row: AuditRow) -> Result<(), StoreError> {
        self.inner.shared.job(Job::Audit(row)).map(drop)
    }

    /// The audit log as (cursor, row), newest first; `before` is the cursor of the row after which to go on.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Vec<(i64, AuditRow)>, StoreError> {
        self.inner.pool.ask(|db| documents::audit(db, before, limit))
    }

    /// Makes a consistent copy of one moment while running: a temporary file beside `to`, synced, then renamed. What was
    /// recorded and is not yet committed is not in it: [`Store::flush`] first where that matters.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the copy cannot be written; then nothing is left of it.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.inner.pool.ask(|db| backup::make(db, to))
    }

    /// Checks a file without changing it. The answer lists problems; empty means good. The file may be in use.
    ///
    /// # Errors
    /// When there is no such file, it is not ours or too new, or it cannot be read. Damage is an answer, not an error.
    pub fn verify(path: &Path) -> Result<Vec<String>, StoreError> {
        verify::file(path)
    }
}

/// Opening for writing would make the file; asking about one that is not there must not.
fn exists(path: &Path) -> Result<(), StoreError> {
    std::fs::metadata(path).map(drop).map_err(|source| StoreError::Io { doing: "find", path: path.to_owned(), source })
}

/// How long the last clone waits for what is not written yet, when nobody called [`Store::close`].
const LAST_WAIT: Duration = Duration::from_secs(5);

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close(LAST_WAIT);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|_| self.shared.has_ended()) {
            let _ = thread.join(); // It has ended; a panic was reported when it happened.
        }
    }
}
