//! The handle that the rest of the program holds. Owns nothing but the parts; every question has a name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::availability::Availability;
use model::target::TargetId;
use model::time::{Clock, UtcMs};

use crate::error::StoreError;
use crate::types::{
    AuditRow, Identity, IncidentRow, ObservationRow, Opened, Resolution, Restored, Rollup, Settings, StatusChangeRow,
    StoreHealth, Write,
};

/// The history. Cheap to clone; the last clone that goes away closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Settings>,
}

#[allow(clippy::missing_errors_doc, unused_variables)]
impl Store {
    /// Opens or creates the history.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<(Self, Opened), StoreError> {
        Ok((Self { inner: Arc::new(settings) }, Opened::default()))
    }

    /// Hands over one thing to write. Never blocks; `false` when it was dropped (and counted).
    pub fn record(&self, write: Write) -> bool {
        false
    }

    /// Waits until everything recorded before is committed; `false` when the deadline passed first.
    pub fn flush(&self, deadline: Duration) -> bool {
        false
    }

    /// Writes what waits, ends the writer and lets the file go; `false` when rows were left or the deadline passed.
    pub fn close(&self, deadline: Duration) -> bool {
        false
    }

    /// How the store is.
    pub fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    /// Observations of one target in `from..to`. `before` is the cursor ([`ObservationRow::row`]) after which to go on in the order asked for.
    pub fn observations(
        &self,
        target: &TargetId,
        from: UtcMs,
        to: UtcMs,
        before: Option<i64>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Vec<ObservationRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// All observations in `from..to`, target by target, oldest first, until `each` says `false`.
    pub fn export(
        &self,
        target: Option<&TargetId>,
        from: UtcMs,
        to: UtcMs,
        each: &mut dyn FnMut(ObservationRow) -> bool,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// How one target spent `from..to`.
    pub fn availability(&self, target: &TargetId, from: UtcMs, to: UtcMs) -> Result<Availability, StoreError> {
        Err(StoreError::Closed)
    }

    /// How every known target spent `from..to`.
    pub fn availability_all(&self, from: UtcMs, to: UtcMs) -> Result<BTreeMap<TargetId, Availability>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Roll-ups of one target that begin in `from..to`, oldest first.
    pub fn rollups(
        &self,
        target: &TargetId,
        resolution: Resolution,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<Rollup>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Incidents that touch `from..to`, newest first.
    pub fn incidents(
        &self,
        target: Option<&TargetId>,
        from: UtcMs,
        to: UtcMs,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Status changes of one target in `from..to`, newest first.
    pub fn changes(
        &self,
        target: &TargetId,
        from: UtcMs,
        to: UtcMs,
        limit: usize,
    ) -> Result<Vec<StatusChangeRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// What is known of every target from before.
    pub fn restore(&self) -> Result<Vec<Restored>, StoreError> {
        Err(StoreError::Closed)
    }

    /// What recognises every known target.
    pub fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Pauses or resumes a target; committed before it returns.
    pub fn set_paused(&self, target: &TargetId, paused: bool) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// One document.
    pub fn get_doc(&self, ns: &str, key: &str) -> Result<Option<String>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Writes one document; on the disk before it returns.
    pub fn put_doc(&self, ns: &str, key: &str, value: &str) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Removes one document; on the disk before it returns. Whether it was there.
    pub fn delete_doc(&self, ns: &str, key: &str) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    /// All documents of a name space as (key, value), by key.
    pub fn list_docs(&self, ns: &str) -> Result<Vec<(String, String)>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Appends to the audit log; on the disk before it returns.
    pub fn append_audit(&self, row: AuditRow) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// The audit log as (cursor, row), newest first; `before` is the cursor after which to go on.
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Vec<(i64, AuditRow)>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Makes a consistent copy while running: a temporary file beside `to`, synced, then renamed.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Checks a file without changing it. The answer lists problems; empty means good.
    pub fn verify(path: &Path) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Closed)
    }
}
