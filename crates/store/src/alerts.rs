//! Alerts in the file: what is remembered of each over a restart, and their history. Owns their rows and nothing of their
//! meaning: state documents are texts of engine, and only `model` knows what grave means.

use model::alert::Severity;
use model::target::TargetId;
use model::time::UtcMs;
use rusqlite::{Connection, Row, Transaction, params};

use crate::ask;
use crate::codes;
use crate::error::StoreError;

/// State documents that are read at once; loading goes on until all are read.
const STATES_PAGE: usize = 2_000;

/// One change of what is known of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// The state document of an alert is this from now on.
    Keep {
        /// Names the alert.
        key: String,
        /// What is to be remembered.
        json: String,
    },
    /// There is nothing to remember of an alert any more.
    Forget {
        /// Names the alert.
        key: String,
    },
    /// The row of the history becomes what this says; it is found by alert and beginning.
    History(AlertRecord),
}

/// One alert in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRecord {
    /// Names the alert: the same in all its messages, and when it begins again.
    pub alert: String,
    /// Name of the rule.
    pub rule: String,
    /// What it is about; `None` when it is about several targets, or about StreamPulse itself.
    pub target: Option<TargetId>,
    /// How grave it was at worst.
    pub severity: Severity,
    /// When it began.
    pub began_at: UtcMs,
    /// When it ended; `None` while it lasts.
    pub ended_at: Option<UtcMs>,
    /// Why, in words; no secret.
    pub cause: String,
    /// Who acknowledged it.
    pub acked_by: Option<String>,
    /// What they noted.
    pub note: Option<String>,
    /// Words of engine (flapping, suppressed, ...).
    pub flags: String,
}

/// An alert of the history with its cursor for paging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Cursor for paging.
    pub row: i64,
    /// Name of the target for people, as last seen.
    pub name: Option<String>,
    /// The alert.
    pub record: AlertRecord,
}

/// Writes one change; `uid` is that of the record's target.
pub(crate) fn apply(tx: &Transaction<'_>, change: &AlertChange, uid: Option<i64>) -> rusqlite::Result<()> {
    match change {
        AlertChange::Keep { key, json } => {
            let sql = "INSERT INTO alert_states (key, json) VALUES (?1, ?2)
                       ON CONFLICT (key) DO UPDATE SET json = excluded.json";
            tx.prepare_cached(sql)?.execute([key, json])?;
        }
        AlertChange::Forget { key } => {
            tx.prepare_cached("DELETE FROM alert_states WHERE key = ?1")?.execute([key])?;
        }
        AlertChange::History(record) => {
            tx.prepare_cached(
                "INSERT INTO alerts (alert, rule, target, severity, began_at, ended_at, cause, acked_by, note, flags)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (alert, began_at) DO UPDATE
                 SET rule = excluded.rule, target = excluded.target, severity = excluded.severity,
                     ended_at = excluded.ended_at, cause = excluded.cause, acked_by = excluded.acked_by,
                     note = excluded.note, flags = excluded.flags",
            )?
            .execute(params![
                record.alert,
                record.rule,
                uid,
                codes::severity_code(record.severity),
                record.began_at.0,
                record.ended_at.map(|at| at.max(record.began_at).0),
                record.cause,
                record.acked_by,
                record.note,
                record.flags,
            ])?;
        }
    }
    Ok(())
}

/// Every state document, by key.
pub(crate) fn states(db: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut ask = db.prepare_cached("SELECT key, json FROM alert_states WHERE key > ?1 ORDER BY key LIMIT ?2")?;
    let mut all: Vec<(String, String)> = Vec::new();
    loop {
        let after = all.last().map_or("", |(key, _)| key.as_str()).to_owned();
        let before = all.len();
        for row in ask.query_map(params![after, STATES_PAGE as i64], |row| Ok((row.get(0)?, row.get(1)?)))? {
            all.push(row?);
        }
        if all.len() < before + STATES_PAGE {
            return Ok(all);
        }
    }
}

/// The SQL of a page of the history: from, to, cursor, limit, and the target where one is asked for.
pub(crate) fn page_sql(of_one: bool) -> String {
    let one = if of_one { "a.target = ?5 AND" } else { "" };
    format!(
        "SELECT a.row, a.alert, a.rule, t.id, a.severity, a.began_at, a.ended_at, a.cause, a.acked_by, a.note, a.flags, t.name
         FROM alerts a LEFT JOIN targets t ON t.uid = a.target
         WHERE {one} a.began_at < ?2 AND (a.ended_at IS NULL OR a.ended_at > ?1 OR a.began_at >= ?1)
         AND (a.began_at, a.row) < (coalesce((SELECT began_at FROM alerts WHERE row = ?3), ?2), ?3)
         ORDER BY a.began_at DESC, a.row DESC LIMIT ?4"
    )
}

/// Alerts that touch `from..to`, newest first. The cursor is the row where the page before ended.
pub(crate) fn page(
    db: &Connection,
    target: Option<i64>,
    (from, to): (UtcMs, UtcMs),
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AlertRow>, StoreError> {
    let mut question = db.prepare_cached(&page_sql(target.is_some()))?;
    let (cursor, limit) = (before.unwrap_or(i64::MAX), ask::capped(limit));
    let rows = match target {
        Some(uid) => question.query_map(params![from.0, to.0, cursor, limit, uid], row)?.collect(),
        None => question.query_map(params![from.0, to.0, cursor, limit], row)?.collect::<rusqlite::Result<_>>(),
    };
    Ok(rows?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<AlertRow> {
    // An identity that another target took over is none that anybody could ask for.
    let target = row.get::<_, Option<String>>(3)?.and_then(|id| TargetId::parse(&id).ok());
    let record = AlertRecord {
        alert: row.get(1)?,
        rule: row.get(2)?,
        target,
        severity: codes::read(row, 4, codes::severity_of)?,
        began_at: UtcMs(row.get(5)?),
        ended_at: row.get::<_, Option<i64>>(6)?.map(UtcMs),
        cause: row.get(7)?,
        acked_by: row.get(8)?,
        note: row.get(9)?,
        flags: row.get(10)?,
    };
    Ok(AlertRow { row: row.get(0)?, name: row.get(11)?, record })
}
