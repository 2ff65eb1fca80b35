//! Units by name: what engine asks and has written. Owns no SQL.

use model::time::UtcMs;
use model::unit::board::UnitChange;
use model::unit::{UnitId, Wanted};

use super::Store;
use crate::apply::Job;
use crate::error::StoreError;
use crate::units::{self, UnitKnown, UnitSample};

impl Store {
    /// Writes what is wanted of a unit; on the disk before it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then it did not happen.
    pub fn set_unit_wanted(&self, id: &UnitId, wanted: Wanted) -> Result<(), StoreError> {
        self.inner.shared.job(Job::UnitWanted { id: id.clone(), wanted }).map(drop)
    }

    /// What is known of every unit from before, retired ones included. `healed_since` is how far back restarts by health
    /// are asked for.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn units(&self, healed_since: UtcMs) -> Result<Vec<UnitKnown>, StoreError> {
        self.inner.pool.ask(|db| units::known(db, healed_since))
    }

    /// Entries of a unit's timeline in `from..to`, newest first; none for a unit that was never seen.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn unit_changes(
        &self,
        id: &UnitId,
        range: (UtcMs, UtcMs),
        limit: usize,
    ) -> Result<Vec<UnitChange>, StoreError> {
        self.inner.pool.ask(|db| match units::find(db, id)? {
            Some(uid) => units::page(db, uid, range, limit),
            None => Ok(Vec::new()),
        })
    }

    /// What a unit used in `from..to`, oldest first, in steps of so many milliseconds, a minute at least; none for a unit
    /// that was never seen.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn unit_samples(
        &self,
        id: &UnitId,
        range: (UtcMs, UtcMs),
        step_ms: i64,
    ) -> Result<Vec<UnitSample>, StoreError> {
        self.inner.pool.ask(|db| match units::find(db, id)? {
            Some(uid) => units::samples(db, uid, range, step_ms),
            None => Ok(Vec::new()),
        })
    }
}
