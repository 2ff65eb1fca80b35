//! Alerts and the outbox by name: what engine asks and has written. Owns no SQL.

use model::target::TargetId;
use model::time::UtcMs;

use super::Store;
use crate::alerts::{self, AlertChange, AlertRow};
use crate::apply::Job;
use crate::ask;
use crate::error::StoreError;
use crate::outbox::{self, Letter, LetterChange, LetterRow, LetterState, OutboxCount};

/// Largest message, in bytes: it names a bounded number of targets.
const MAX_LETTER_BYTES: usize = 512 * 1024;

impl Store {
    /// Writes what became of alerts and the messages that follow from it, in one transaction; on the disk before it
    /// returns. Doing it again with the same arguments changes nothing, so a caller that is not sure asks again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be written now: then nothing of it happened. [`StoreError::Busy`] when
    /// the writer did not answer in time: then it may still happen. [`StoreError::TooLarge`].
    pub fn commit_alerts(&self, changes: Vec<AlertChange>, letters: Vec<Letter>) -> Result<(), StoreError> {
        let states = changes.iter().filter_map(|change| match change {
            AlertChange::Keep { json, .. } => Some(json.len()),
            AlertChange::Forget { .. } | AlertChange::History(_) => None,
        });
        let largest = letters.iter().map(|letter| letter.json.len()).chain(states).max().unwrap_or_default();
        if largest > MAX_LETTER_BYTES {
            return Err(StoreError::TooLarge { bytes: largest, most: MAX_LETTER_BYTES });
        }
        if changes.is_empty() && letters.is_empty() {
            return Ok(());
        }
        self.inner.shared.job(Job::Alerts { changes, letters }).map(drop)
    }

    /// The state documents of all alerts as (key, JSON), by key.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn load_alerts(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.pool.ask(alerts::states)
    }

    /// Alerts that touch `from..to`, newest first, of one target or of all. `before` is the cursor ([`AlertRow::row`]) of
    /// the row after which to go on.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn alert_history(
        &self,
        target: Option<&TargetId>,
        (from, to): (UtcMs, UtcMs),
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AlertRow>, StoreError> {
        self.inner.pool.ask(|db| {
            let uid = target.map(|id| ask::uid(db, id)).transpose()?;
            alerts::page(db, uid, (from, to), before, limit)
        })
    }

    /// Writes down what became of a message; on the disk before it returns. Whether there was one of which this could be
    /// said.
    ///
    /// # Errors
    /// As [`Store::commit_alerts`].
    pub fn change_letter(&self, change: LetterChange) -> Result<bool, StoreError> {
        self.inner.shared.job(Job::Letter(change))
    }

    /// What waits for a channel, oldest first.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn waiting_letters(&self, channel: &str, limit: usize) -> Result<Vec<LetterRow>, StoreError> {
        self.inner.pool.ask(|db| outbox::waiting(db, channel, limit))
    }

    /// How many messages wait for a channel.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn waiting_count(&self, channel: &str) -> Result<u64, StoreError> {
        self.inner.pool.ask(|db| outbox::waiting_count(db, channel))
    }

    /// Messages of one state or of all, newest first; `before` is the cursor ([`LetterRow::row`]) of the row after which
    /// to go on.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn letters(
        &self,
        state: Option<LetterState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LetterRow>, StoreError> {
        self.inner.pool.ask(|db| outbox::page(db, state, before, limit))
    }

    /// How the outbox of every channel is that has a message in it, by name of the channel.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn outbox_counts(&self) -> Result<Vec<(String, OutboxCount)>, StoreError> {
        self.inner.pool.ask(outbox::counts)
    }
}
