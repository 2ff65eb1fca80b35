//! What is known of every target from before: what a start shows until the first look.

use model::board::Beat;
use model::fault::Fault;
use model::incident::Incident;
use model::limits::BEATS_ON_BOARD;
use model::observation::{Look, Observation};
use model::status::StatusChange;
use model::target::TargetId;
use model::time::UtcMs;
use model::verdict::{Grade, Reason, Verdict};
use rusqlite::{Connection, OptionalExtension};

use super::{incidents, observations};
use crate::error::StoreError;
use crate::reading_json::{self, Keys};
use crate::types::{Identity, ObservationRow, Restored};

/// The SQL of the newest beats: target, limit.
pub(crate) const BEATS: &str =
    "SELECT at, grade, status, took_us FROM observations WHERE target = ?1 ORDER BY at DESC LIMIT ?2";

struct Known {
    uid: i64,
    id: Option<TargetId>,
    name: String,
    kind: String,
    fingerprint: String,
    retired_at: Option<UtcMs>,
    paused: bool,
}

fn known(db: &Connection) -> Result<Vec<Known>, StoreError> {
    let sql = "SELECT uid, id, name, kind, fingerprint, retired_at, paused FROM targets ORDER BY uid";
    let mut ask = db.prepare_cached(sql)?;
    let rows = ask.query_map([], |row| {
        Ok(Known {
            uid: row.get(0)?,
            id: super::target_id(row, 1)?,
            name: row.get(2)?,
            kind: row.get(3)?,
            fingerprint: row.get(4)?,
            retired_at: row.get::<_, Option<i64>>(5)?.map(UtcMs),
            paused: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What recognises every target.
pub(crate) fn identities(db: &Connection) -> Result<Vec<Identity>, StoreError> {
    let all = known(db)?.into_iter().filter_map(|k| {
        Some(Identity { id: k.id?, name: k.name, fingerprint: k.fingerprint, retired_at: k.retired_at })
    });
    Ok(all.collect())
}

/// Everything that is known of every target.
pub(crate) fn all(db: &Connection, keys: &Keys) -> Result<Vec<Restored>, StoreError> {
    let mut restored = Vec::new();
    for target in known(db)? {
        let Some(id) = target.id else { continue };
        let beats = beats(db, target.uid)?;
        let last = if beats.is_empty() { None } else { newest(db, target.uid, &id, keys)? };
        restored.push(Restored {
            last_change: last_change(db, target.uid, &id)?,
            incident: open_incident(db, target.uid, &id)?,
            id,
            name: target.name,
            kind: target.kind,
            retired_at: target.retired_at,
            paused: target.paused,
            beats,
            last,
        });
    }
    Ok(restored)
}

fn last_change(db: &Connection, target: i64, id: &TargetId) -> Result<Option<StatusChange>, StoreError> {
    let newest = incidents::changes(db, target, id, UtcMs(i64::MIN), UtcMs(i64::MAX), 1)?;
    Ok(newest.into_iter().next().map(|row| row.change))
}

fn open_incident(db: &Connection, target: i64, id: &TargetId) -> Result<Option<Incident>, StoreError> {
    let sql =
        "SELECT opened_at, closed_at, worst, cause FROM incidents WHERE target = ?1 AND closed_at IS NULL LIMIT 1";
    let mut ask = db.prepare_cached(sql)?;
    Ok(ask.query_row([target], |row| incidents::read(row, 0, id.clone())).optional()?)
}

fn beats(db: &Connection, target: i64) -> Result<Vec<Beat>, StoreError> {
    use crate::codes;
    let mut ask = db.prepare_cached(BEATS)?;
    let rows = ask.query_map([target, BEATS_ON_BOARD as i64], |row| {
        let took_us: u64 = row.get(3)?;
        Ok(Beat {
            at: UtcMs(row.get(0)?),
            grade: codes::read(row, 1, codes::grade_of)?,
            status: codes::read(row, 2, codes::status_of)?,
            took_ms: u32::try_from(took_us / 1_000).unwrap_or(u32::MAX),
        })
    })?;
    let mut beats: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    beats.reverse();
    Ok(beats)
}

fn newest(
    db: &Connection,
    target: i64,
    id: &TargetId,
    keys: &Keys,
) -> Result<Option<(Observation, Verdict)>, StoreError> {
    let range =
        observations::Range { from: UtcMs(i64::MIN), to: UtcMs(i64::MAX), after: None, limit: 1, newest_first: true };
    let Some(row) = observations::page(db, target, id, range)?.into_iter().next() else { return Ok(None) };
    let json: Option<String> = db
        .prepare_cached("SELECT json FROM readings WHERE target = ?1")?
        .query_row([target], |row| row.get(0))
        .optional()?;
    let (reading, reasons) = json.map(|text| reading_json::parse(&text, keys)).unwrap_or_default();
    let verdict = verdict(&row, reasons);
    let fault = row.fault.map(|(kind, phase)| {
        // The reason of a fault is "kind (phase): detail".
        let head = Fault::new(kind, phase, "").to_string();
        Fault::new(kind, phase, row.reason.strip_prefix(&head).unwrap_or(&row.reason))
    });
    let look = Look { phases: row.phases, reading, fault };
    Ok(Some((Observation { target: row.target, at: row.at, took: row.took, attempts: row.attempts, look }, verdict)))
}

/// The verdict of the newest row: its grade and first reason are exact, the further reasons are those kept last.
fn verdict(row: &ObservationRow, kept: Vec<Reason>) -> Verdict {
    if row.grade == Grade::Pass {
        return Verdict { grade: Grade::Pass, reasons: Vec::new() };
    }
    let mut reasons = kept;
    match reasons.first_mut() {
        Some(first) if first.grade == row.grade => first.text.clone_from(&row.reason),
        _ => {
            let check = if row.fault.is_some() { "fault" } else { "" };
            reasons = vec![Reason { grade: row.grade, check, text: row.reason.clone() }];
        }
    }
    Verdict { grade: row.grade, reasons }
}
