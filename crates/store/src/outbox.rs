//! Messages to people in the file, one row per channel: what waits, what was sent, what was given up. Owns their rows; who
//! delivers them, when, and what is in them is engine's.

use model::time::UtcMs;
use rusqlite::{Connection, Row, Transaction, params};

use crate::ask;
use crate::error::StoreError;

/// Most messages that wait for one channel. What is older is given up when more come: a channel that is dead for days must
/// not fill the disk, and the newest state is worth more.
const MOST_WAITING: i64 = 2_000;
/// What is said of a message that was given up because of [`MOST_WAITING`].
const CROWDED: &str = "too many newer messages wait for this channel";

/// A message to hand over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Name of the channel.
    pub channel: String,
    /// Names the message: a second one of the same key for the same channel is the same message and changes nothing.
    pub key: String,
    /// The message.
    pub json: String,
}

/// How a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterState {
    /// To be delivered.
    Waiting,
    /// The receiver took it.
    Sent,
    /// Given up.
    Dead,
}

/// A message in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Its number: channels are served in this order. Cursor for paging.
    pub row: i64,
    /// The message.
    pub letter: Letter,
    /// How it is.
    pub state: LetterState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it may be tried next, while it waits.
    pub next_at: UtcMs,
    /// What the newest failure was; no secret.
    pub last_error: Option<String>,
    /// When it was handed over, or put back after it was dead.
    pub created_at: UtcMs,
    /// When it was sent or given up.
    pub done_at: Option<UtcMs>,
}

/// What became of a message. None of these makes a message that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterChange {
    /// The receiver took it.
    Sent {
        /// Which.
        row: i64,
        /// When.
        at: UtcMs,
    },
    /// It failed and is tried again.
    Later {
        /// Which.
        row: i64,
        /// Not before this.
        next_at: UtcMs,
        /// Why it failed.
        error: String,
    },
    /// It is given up. `attempted` says whether this was after an attempt.
    Dead {
        /// Which.
        row: i64,
        /// When.
        at: UtcMs,
        /// Why.
        error: String,
        /// Whether an attempt is to be counted.
        attempted: bool,
    },
    /// Somebody wants a dead one to be delivered after all.
    PutBack {
        /// Which.
        row: i64,
        /// When.
        at: UtcMs,
    },
    /// Somebody does not want to see a dead one any more.
    Forget {
        /// Which.
        row: i64,
    },
}

/// How the outbox of one channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxCount {
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that were given up and are kept.
    pub dead: u64,
    /// When a message was last sent.
    pub last_sent: Option<UtcMs>,
}

/// Hands a message over; nothing happens when the channel has it already.
pub(crate) fn put(tx: &Transaction<'_>, letter: &Letter, now: UtcMs) -> rusqlite::Result<()> {
    let rows = tx
        .prepare_cached(
            "INSERT INTO outbox (channel, key, json, state, attempts, next_at, created_at)
             VALUES (?1, ?2, ?3, 0, 0, ?4, ?4) ON CONFLICT (channel, key) DO NOTHING",
        )?
        .execute(params![letter.channel, letter.key, letter.json, now.0])?;
    if rows > 0 {
        tx.prepare_cached(
            "UPDATE outbox SET state = 2, done_at = ?2, last_error = ?3 WHERE row IN
             (SELECT row FROM outbox WHERE channel = ?1 AND state = 0 ORDER BY row DESC LIMIT -1 OFFSET ?4)",
        )?
        .execute(params![letter.channel, now.0, CROWDED, MOST_WAITING])?;
    }
    Ok(())
}

/// Writes down what became of a message. Whether there was one of which this could be said.
pub(crate) fn change(tx: &Transaction<'_>, change: &LetterChange) -> rusqlite::Result<bool> {
    let rows = match change {
        // Also of one that was given up meanwhile: it did arrive.
        LetterChange::Sent { row, at } => tx
            .prepare_cached(
                "UPDATE outbox SET state = 1, attempts = attempts + 1, last_error = NULL, done_at = ?2 WHERE row = ?1",
            )?
            .execute([*row, at.0])?,
        LetterChange::Later { row, next_at, error } => tx
            .prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, next_at = ?2, last_error = ?3 WHERE row = ?1 AND state = 0",
            )?
            .execute(params![row, next_at.0, error])?,
        LetterChange::Dead { row, at, error, attempted } => tx
            .prepare_cached(
                "UPDATE outbox SET state = 2, attempts = attempts + ?4, last_error = ?3, done_at = ?2
                 WHERE row = ?1 AND state = 0",
            )?
            .execute(params![row, at.0, error, attempted])?,
        LetterChange::PutBack { row, at } => tx
            .prepare_cached(
                "UPDATE outbox SET state = 0, attempts = 0, next_at = ?2, created_at = ?2, done_at = NULL
                 WHERE row = ?1 AND state = 2",
            )?
            .execute([*row, at.0])?,
        LetterChange::Forget { row } => {
            tx.prepare_cached("DELETE FROM outbox WHERE row = ?1 AND state = 2")?.execute([*row])?
        }
    };
    Ok(rows > 0)
}

const COLUMNS: &str = "row, channel, key, json, state, attempts, next_at, last_error, created_at, done_at";

/// The SQL of what waits for a channel, oldest first: channel, limit.
pub(crate) fn waiting_sql() -> String {
    format!("SELECT {COLUMNS} FROM outbox WHERE channel = ?1 AND state = 0 ORDER BY row LIMIT ?2")
}

/// What waits for a channel, oldest first.
pub(crate) fn waiting(db: &Connection, channel: &str, limit: usize) -> Result<Vec<LetterRow>, StoreError> {
    let mut question = db.prepare_cached(&waiting_sql())?;
    let rows = question.query_map(params![channel, ask::capped(limit)], row)?.collect::<rusqlite::Result<_>>();
    Ok(rows?)
}

/// How many wait for a channel.
pub(crate) fn waiting_count(db: &Connection, channel: &str) -> Result<u64, StoreError> {
    let mut question = db.prepare_cached("SELECT count(*) FROM outbox WHERE channel = ?1 AND state = 0")?;
    Ok(question.query_row([channel], |row| row.get(0))?)
}

/// Messages in any state, newest first; `before` is the number of the row after which to go on.
pub(crate) fn page(
    db: &Connection,
    state: Option<LetterState>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<LetterRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE row < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY row DESC LIMIT ?3"
    );
    let mut question = db.prepare_cached(&sql)?;
    let wanted = params![before.unwrap_or(i64::MAX), state.map(code), ask::capped(limit)];
    let rows = question.query_map(wanted, row)?.collect::<rusqlite::Result<_>>();
    Ok(rows?)
}

/// How the outbox of every channel is that has a message in it.
pub(crate) fn counts(db: &Connection) -> Result<Vec<(String, OutboxCount)>, StoreError> {
    let mut question = db.prepare_cached(
        "SELECT channel, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 2),
         max(done_at) FILTER (WHERE state = 1) FROM outbox GROUP BY channel ORDER BY channel LIMIT ?1",
    )?;
    let rows = question.query_map([ask::MOST_ROWS as i64], |row| {
        let last_sent = row.get::<_, Option<i64>>(3)?.map(UtcMs);
        Ok((row.get(0)?, OutboxCount { waiting: row.get(1)?, dead: row.get(2)?, last_sent }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const fn code(state: LetterState) -> u8 {
    match state {
        LetterState::Waiting => 0,
        LetterState::Sent => 1,
        LetterState::Dead => 2,
    }
}

const fn state_of(code: u8) -> Option<LetterState> {
    match code {
        0 => Some(LetterState::Waiting),
        1 => Some(LetterState::Sent),
        2 => Some(LetterState::Dead),
        _ => None,
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<LetterRow> {
    Ok(LetterRow {
        row: row.get(0)?,
        letter: Letter { channel: row.get(1)?, key: row.get(2)?, json: row.get(3)? },
        state: crate::codes::read(row, 4, state_of)?,
        attempts: row.get(5)?,
        next_at: UtcMs(row.get(6)?),
        last_error: row.get(7)?,
        created_at: UtcMs(row.get(8)?),
        done_at: row.get::<_, Option<i64>>(9)?.map(UtcMs),
    })
}
