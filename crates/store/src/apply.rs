//! Puts one thing to write into the open transaction. Owns the rules by which rows stay consistent: unique times, changes
//! that alternate, one open incident. Never commits.

use std::collections::HashMap;

use model::incident::Incident;
use model::limits::MAX_REASON_BYTES;
use model::observation::Observation;
use model::status::{Status, StatusInput, StatusRules, StatusState, advance};
use model::target::TargetId;
use model::time::UtcMs;
use model::unit::{UnitId, Wanted};
use model::verdict::Verdict;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::alerts::{self, AlertChange};
use crate::codes;
use crate::outbox::{self, Letter, LetterChange};
use crate::reading_json;
use crate::rollup::{self, Pending};
use crate::types::{AuditRow, Write};
use crate::units;

/// Most different reasons that are stored once each; further ones stand in their rows. Reasons with a measured value in
/// them rarely repeat, those of faults do.
const MAX_TEXTS: usize = 10_000;
/// Looks of one target that may fall on one millisecond (a clock set back and running again) before one is given up.
const SAME_MS: i64 = 1_000;
/// Counters among the facts are written again after this long, in milliseconds, when nothing else changed.
const FACTS_EVERY_MS: u64 = 60_000;
/// One day in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// What the writer remembers so that it need not ask the file. Forgotten when a transaction fails, because what it was
/// told then is not in the file.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    uids: HashMap<TargetId, i64>,
    last: HashMap<i64, Option<Last>>,
    texts: HashMap<String, (i64, i64)>,
    texts_in_file: Option<usize>,
    shown: HashMap<i64, (u64, i64)>,
    pending: Pending,
}

/// The newest status change of a target.
#[derive(Clone, Copy, Debug)]
struct Last {
    status: Status,
    at: i64,
    n: i64,
}

/// A write that somebody waits for.
#[derive(Debug)]
pub(crate) enum Job {
    /// Write a document.
    Put { ns: String, key: String, value: String },
    /// Remove a document.
    Delete { ns: String, key: String },
    /// Append to the audit log.
    Audit(AuditRow),
    /// Pause or resume.
    Pause { id: TargetId, paused: bool },
    /// What is wanted of a unit.
    UnitWanted { id: UnitId, wanted: Wanted },
    /// What became of alerts, and the messages that follow from it.
    Alerts { changes: Vec<AlertChange>, letters: Vec<Letter> },
    /// What became of a message.
    Letter(LetterChange),
}

type Done = rusqlite::Result<()>;

impl Memory {
    /// Applies one write.
    pub(crate) fn apply(&mut self, tx: &Transaction<'_>, write: &Write, now: UtcMs) -> Done {
        match write {
            Write::Observation(seen, verdict, status) => self.observation(tx, seen, verdict, *status),
            Write::Change(id, change) => {
                let target = self.uid(tx, id, change.at)?;
                self.change(tx, target, change.to, change.at, &change.reason)
            }
            Write::IncidentOpened(incident) | Write::IncidentChanged(incident) | Write::IncidentClosed(incident) => {
                self.incident(tx, incident)
            }
            Write::TargetSeen { id, name, kind, fingerprint } => {
                let target = self.uid(tx, id, now)?;
                let sql = "UPDATE targets SET name = ?2, kind = ?3, fingerprint = ?4, retired_at = NULL WHERE uid = ?1";
                tx.prepare_cached(sql)?.execute(params![target, name, kind, fingerprint])?;
                Ok(())
            }
            Write::TargetRetired { id, at } => self.retire(tx, id, *at),
            Write::TargetRenamed { from, to } => self.rename(tx, from, to, now),
            Write::Paused { id, paused } => self.pause(tx, id, *paused, now),
            Write::UnitSeen { id, wanted } => units::seen(tx, id, *wanted, now),
            Write::UnitRetired { id, at } => units::retire(tx, id, *at),
            Write::UnitChanged(id, change) => units::change(tx, id, change),
            Write::UnitRestarts(id, restarts) => units::restarts(tx, id, *restarts),
            Write::UnitSample(id, sample) => units::sample(tx, id, sample),
            Write::Alive(at) => alive(tx, *at),
        }
    }

    /// Does one job. `true` when something was there to be done.
    pub(crate) fn job(&mut self, tx: &Transaction<'_>, job: &Job, now: UtcMs) -> rusqlite::Result<bool> {
        let rows = match job {
            Job::Put { ns, key, value } => tx
                .prepare_cached(
                    "INSERT INTO documents (ns, key, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (ns, key) DO UPDATE SET value = excluded.value",
                )?
                .execute(params![ns, key, value])?,
            Job::Delete { ns, key } => {
                tx.prepare_cached("DELETE FROM documents WHERE ns = ?1 AND key = ?2")?.execute(params![ns, key])?
            }
            Job::Audit(row) => tx
                .prepare_cached("INSERT INTO audit (at, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![row.at.0, row.actor, row.action, row.subject, row.detail])?,
            Job::Pause { id, paused } => {
                self.pause(tx, id, *paused, now)?;
                1
            }
            Job::UnitWanted { id, wanted } => {
                units::want(tx, id, *wanted, now)?;
                1
            }
            Job::Alerts { changes, letters } => {
                self.alerts(tx, changes, now)?;
                letters.iter().try_for_each(|letter| outbox::put(tx, letter, now))?;
                changes.len() + letters.len()
            }
            Job::Letter(change) => return outbox::change(tx, change),
        };
        Ok(rows > 0)
    }

    fn alerts(&mut self, tx: &Transaction<'_>, changes: &[AlertChange], now: UtcMs) -> Done {
        for change in changes {
            let target = match change {
                AlertChange::History(record) => record.target.as_ref(),
                AlertChange::Keep { .. } | AlertChange::Forget { .. } => None,
            };
            let uid = target.map(|id| self.uid(tx, id, now)).transpose()?;
            alerts::apply(tx, change, uid)?;
        }
        Ok(())
    }

    /// Writes what was summed up. To be called once, before the commit.
    pub(crate) fn finish(&mut self, tx: &Transaction<'_>) -> Done {
        self.pending.write(tx)
    }

    fn observation(&mut self, tx: &Transaction<'_>, seen: &Observation, verdict: &Verdict, status: Status) -> Done {
        let target = self.uid(tx, &seen.target, seen.at)?;
        let fault = seen.look.fault.as_ref();
        let reason = self.reason(tx, verdict.headline(), seen.at)?;
        let phases = codes::pack_phases(&seen.look.phases);
        let mut insert = tx.prepare_cached(
            "INSERT INTO observations (target, at, took_us, attempts, grade, status, fault, phase, reason, phases)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (target, at) DO NOTHING",
        )?;
        for at in seen.at.0..seen.at.0.saturating_add(SAME_MS) {
            let rows = insert.execute(params![
                target,
                at,
                rollup::micros(seen.took),
                seen.attempts,
                codes::grade_code(verdict.grade),
                codes::status_code(status),
                fault.map(|f| codes::fault_code(f.kind)),
                fault.map(|f| codes::phase_code(f.phase)),
                reason,
                phases,
            ])?;
            if rows == 1 {
                self.pending.add(target, at, verdict.grade, seen.took, &seen.look.phases);
                return self.show(tx, target, seen, verdict);
            }
        }
        Ok(())
    }

    /// Keeps tracks and facts when they changed, or counters after a while.
    fn show(&mut self, tx: &Transaction<'_>, target: i64, seen: &Observation, verdict: &Verdict) -> Done {
        let essence = reading_json::essence(&seen.look.reading, verdict);
        if let Some((before, at)) = self.shown.get(&target)
            && *before == essence
            && at.abs_diff(seen.at.0) < FACTS_EVERY_MS
        {
            return Ok(());
        }
        tx.prepare_cached(
            "INSERT INTO readings (target, at, json) VALUES (?1, ?2, ?3)
             ON CONFLICT (target) DO UPDATE SET at = excluded.at, json = excluded.json",
        )?
        .execute(params![target, seen.at.0, reading_json::text(&seen.look.reading, verdict)])?;
        self.shown.insert(target, (essence, seen.at.0));
        Ok(())
    }

    /// The number of a text, or the text itself when there are too many.
    fn reason(&mut self, tx: &Transaction<'_>, text: &str, at: UtcMs) -> rusqlite::Result<rusqlite::types::Value> {
        use rusqlite::types::Value;
        let text = capped(text);
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let today = at.0.div_euclid(DAY_MS);
        if let Some((id, used_on)) = self.texts.get(text)
            && *used_on >= today
        {
            return Ok(Value::Integer(*id));
        }
        let touch = "UPDATE texts SET used_on = max(used_on, ?2) WHERE text = ?1 RETURNING id";
        let mut found = tx.prepare_cached(touch)?.query_row(params![text, today], |row| row.get(0)).optional()?;
        if found.is_none() {
            let count = match self.texts_in_file {
                Some(count) => count,
                None => tx.query_row("SELECT count(*) FROM texts", [], |row| row.get(0))?,
            };
            self.texts_in_file = Some(count);
            if count >= MAX_TEXTS {
                return Ok(Value::Text(text.to_owned()));
            }
            let add = "INSERT INTO texts (text, used_on) VALUES (?1, ?2)";
            tx.prepare_cached(add)?.execute(params![text, today])?;
            self.texts_in_file = Some(count + 1);
            found = Some(tx.last_insert_rowid());
        }
        let id = found.unwrap_or_default();
        if self.texts.len() >= MAX_TEXTS {
            self.texts.clear();
        }
        self.texts.insert(text.to_owned(), (id, today));
        Ok(Value::Integer(id))
    }

    /// Retention removed texts: what is remembered of them is void.
    pub(crate) fn forget_texts(&mut self) {
        self.texts.clear();
        self.texts_in_file = None;
    }

    /// Appends a change unless it changes nothing. Time never falls within a target.
    pub(crate) fn change(&mut self, tx: &Transaction<'_>, target: i64, to: Status, at: UtcMs, reason: &str) -> Done {
        let last = self.last(tx, target)?;
        let (at, n) = match last {
            Some(last) if last.status == to => return Ok(()),
            Some(last) if last.at >= at.0 => (last.at, last.n + 1),
            _ => (at.0, 0),
        };
        tx.prepare_cached("INSERT INTO changes (target, at, n, status, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![target, at, n, codes::status_code(to), capped(reason)])?;
        self.last.insert(target, Some(Last { status: to, at, n }));
        Ok(())
    }

    /// Says that nobody was looking since `at`: every target whose status counts becomes unknown. How many did.
    pub(crate) fn blind(&mut self, tx: &Transaction<'_>, at: UtcMs) -> rusqlite::Result<usize> {
        let targets: Vec<i64> =
            tx.prepare("SELECT uid FROM targets")?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut blinded = 0;
        for target in targets {
            let Some(last) = self.last(tx, target)? else { continue };
            let mut state = StatusState { status: last.status, ..StatusState::unknown(UtcMs(last.at)) };
            let since = at.max(state.since);
            if let Some(change) = advance(&mut state, StatusRules::default(), &StatusInput::Blind, since) {
                self.change(tx, target, change.to, change.at, &change.reason)?;
                blinded += 1;
            }
        }
        Ok(blinded)
    }

    fn last(&mut self, tx: &Transaction<'_>, target: i64) -> rusqlite::Result<Option<Last>> {
        if let Some(last) = self.last.get(&target) {
            return Ok(*last);
        }
        let last = tx
            .prepare_cached("SELECT status, at, n FROM changes WHERE target = ?1 ORDER BY at DESC, n DESC LIMIT 1")?
            .query_row([target], |row| {
                Ok(Last { status: codes::read(row, 0, codes::status_of)?, at: row.get(1)?, n: row.get(2)? })
            })
            .optional()?;
        self.last.insert(target, last);
        Ok(last)
    }

    /// Opened, changed or closed: the row becomes what the incident says. Another one that is still open ends first.
    fn incident(&mut self, tx: &Transaction<'_>, incident: &Incident) -> Done {
        let target = self.uid(tx, &incident.target, incident.opened_at)?;
        let closed = incident.closed_at.map(|at| at.max(incident.opened_at).0);
        if closed.is_none() {
            tx.prepare_cached(
                "UPDATE incidents SET closed_at = max(opened_at, ?2)
                 WHERE target = ?1 AND closed_at IS NULL AND opened_at <> ?2",
            )?
            .execute([target, incident.opened_at.0])?;
        }
        tx.prepare_cached(
            "INSERT INTO incidents (target, opened_at, closed_at, worst, cause) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (target, opened_at) DO UPDATE
             SET closed_at = coalesce(excluded.closed_at, closed_at), worst = excluded.worst, cause = excluded.cause",
        )?
        .execute(params![
            target,
            incident.opened_at.0,
            closed,
            codes::status_code(incident.worst),
            capped(&incident.cause)
        ])?;
        Ok(())
    }

    fn retire(&mut self, tx: &Transaction<'_>, id: &TargetId, at: UtcMs) -> Done {
        let Some(target) = self.known(tx, id)? else { return Ok(()) };
        tx.prepare_cached("UPDATE targets SET retired_at = coalesce(retired_at, ?2) WHERE uid = ?1")?
            .execute([target, at.0])?;
        if self.last(tx, target)?.is_some_and(|last| last.status.counts_as().is_some()) {
            self.change(tx, target, Status::Unknown, at, "removed from the configuration")?;
        }
        tx.prepare_cached(
            "UPDATE incidents SET closed_at = max(opened_at, ?2) WHERE target = ?1 AND closed_at IS NULL",
        )?
        .execute([target, at.0])?;
        Ok(())
    }

    /// Moves the identity. Whoever had the new one before keeps its history under an id that nobody can have.
    fn rename(&mut self, tx: &Transaction<'_>, from: &TargetId, to: &TargetId, now: UtcMs) -> Done {
        let Some(target) = self.known(tx, from)? else { return Ok(()) };
        if from == to {
            return Ok(());
        }
        if let Some(other) = self.known(tx, to)? {
            self.retire(tx, to, now)?;
            tx.execute("UPDATE targets SET id = id || '~' || uid WHERE uid = ?1", [other])?;
        }
        tx.execute("UPDATE targets SET id = ?2, retired_at = NULL WHERE uid = ?1", params![target, to.as_str()])?;
        self.uids.remove(from);
        self.uids.insert(to.clone(), target);
        Ok(())
    }

    fn pause(&mut self, tx: &Transaction<'_>, id: &TargetId, paused: bool, now: UtcMs) -> Done {
        let target = self.uid(tx, id, now)?;
        tx.prepare_cached("UPDATE targets SET paused = ?2 WHERE uid = ?1")?.execute(params![target, paused])?;
        Ok(())
    }

    /// The row of a target, made when it is new.
    fn uid(&mut self, tx: &Transaction<'_>, id: &TargetId, now: UtcMs) -> rusqlite::Result<i64> {
        if let Some(uid) = self.known(tx, id)? {
            return Ok(uid);
        }
        tx.execute(
            "INSERT INTO targets (id, name, kind, fingerprint, first_seen, paused) VALUES (?1, ?1, '', '', ?2, 0)",
            params![id.as_str(), now.0],
        )?;
        let uid = tx.last_insert_rowid();
        self.uids.insert(id.clone(), uid);
        Ok(uid)
    }

    fn known(&mut self, tx: &Transaction<'_>, id: &TargetId) -> rusqlite::Result<Option<i64>> {
        if let Some(uid) = self.uids.get(id) {
            return Ok(Some(*uid));
        }
        let found = tx
            .prepare_cached("SELECT uid FROM targets WHERE id = ?1")?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(uid) = found {
            self.uids.insert(id.clone(), uid);
        }
        Ok(found)
    }

    /// Retention removed targets: what is remembered of them is void.
    pub(crate) fn forget_targets(&mut self) {
        self.uids.clear();
        self.last.clear();
        self.shown.clear();
    }
}

/// Says that somebody was looking at this time.
pub(crate) fn alive(tx: &Transaction<'_>, at: UtcMs) -> Done {
    tx.prepare_cached("UPDATE life SET alive_at = ?1")?.execute([at.0])?;
    Ok(())
}

/// At most [`MAX_REASON_BYTES`], cut between letters.
fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REASON_BYTES)]
}
