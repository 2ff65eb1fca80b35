//! Checks a file without changing it: what SQLite can check, the shape, and the rules that this crate promises.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::connect;
use crate::error::StoreError;
use crate::upgrade;

/// Most problems listed: a damaged file has thousands of one kind.
const MOST: usize = 100;
/// Rows of the minutes that are compared with the observations they were made of.
const SAMPLE: i64 = 2_000;

/// Rules that hold in every good file: what is said of each row that breaks one, and the rows as text.
const RULES: &[(&str, &str)] = &[
    (
        "a status change that changes nothing",
        "SELECT target || ' at ' || at FROM (SELECT target, at, status,
           lag(status) OVER (PARTITION BY target ORDER BY at, n) AS before FROM changes) WHERE status = before",
    ),
    (
        "a status change without a meaning",
        "SELECT target || ' at ' || at FROM changes WHERE status NOT BETWEEN 0 AND 5 OR n < 0",
    ),
    (
        "an incident that ends before it begins",
        "SELECT target || ' at ' || opened_at FROM incidents WHERE closed_at < opened_at",
    ),
    (
        "more than one open incident",
        "SELECT 'target ' || target FROM incidents WHERE closed_at IS NULL GROUP BY target HAVING count(*) > 1",
    ),
    (
        "an observation without a meaning",
        "SELECT target || ' at ' || at FROM observations
         WHERE grade NOT BETWEEN 0 AND 2 OR status NOT BETWEEN 0 AND 5 OR took_us < 0 OR (fault IS NULL) <> (phase IS NULL)",
    ),
    (
        "an observation whose reason is missing",
        "SELECT target || ' at ' || at FROM observations
         WHERE typeof(reason) = 'integer' AND NOT EXISTS (SELECT 1 FROM texts WHERE id = reason)",
    ),
    ("an alert without a meaning", "SELECT alert || ' at ' || began_at FROM alerts WHERE severity NOT BETWEEN 0 AND 2"),
    (
        "an entry of a unit's timeline without a meaning",
        "SELECT unit || ' at ' || at FROM unit_changes
         WHERE state NOT BETWEEN 0 AND 6 OR cause NOT BETWEEN 0 AND 13 OR ended NOT BETWEEN 0 AND 3 OR n < 0",
    ),
    (
        "a minute of a unit without a meaning",
        "SELECT unit || ' at ' || at FROM unit_samples WHERE at % 60000 <> 0 OR memory_avg > memory_max OR cpu_avg > cpu_max + 0.001",
    ),
    (
        "an hour that is not the sum of its minutes",
        "SELECT h.target || ' at ' || h.at FROM (SELECT * FROM hours ORDER BY at DESC LIMIT 500) h
         WHERE h.at > (SELECT min(at) FROM minutes) AND h.ok + h.warn + h.fail <> (SELECT coalesce(sum(m.ok + m.warn + m.fail), 0)
           FROM minutes m WHERE m.at >= h.at AND m.at < h.at + 3600000 AND m.target = h.target)",
    ),
];

/// The problems of the file; empty means good.
pub(crate) fn file(path: &Path) -> Result<Vec<String>, StoreError> {
    if !path.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(StoreError::Io { doing: "open", path: path.to_owned(), source });
    }
    let db = match connect::reader(path).or_else(|error| connect::reader_of_still_file(path).map_err(|_| error)) {
        Ok(db) => db,
        Err(StoreError::Damaged(text)) => return Ok(vec![text]),
        Err(error) => return Err(error),
    };
    match check(&db, path) {
        Err(StoreError::Damaged(text)) => Ok(vec![text]),
        other => other,
    }
}

fn check(db: &Connection, path: &Path) -> Result<Vec<String>, StoreError> {
    let moment = db.unchecked_transaction()?;
    let mut problems = Vec::new();
    if let upgrade::Found::Ours(version) = upgrade::inspect(&moment, path)?
        && version < upgrade::NEWEST
    {
        return Ok(vec![format!(
            "the file has schema version {version}; run streampulse once to bring it to {}",
            upgrade::NEWEST
        )]);
    }
    list(&moment, "PRAGMA integrity_check", "", &mut problems)?;
    problems.retain(|line| line != "ok");
    shape(&moment, &mut problems)?;
    if !problems.is_empty() {
        return Ok(problems); // What follows relies on a whole file of the right shape.
    }
    let orphans = "SELECT \"table\" || ' row ' || coalesce(rowid, '?') FROM pragma_foreign_key_check";
    list(&moment, orphans, "a row of a target that is not there: ", &mut problems)?;
    for (what, sql) in RULES {
        list(&moment, sql, &format!("{what}: "), &mut problems)?;
    }
    minutes(&moment, &mut problems)?;
    problems.truncate(MOST);
    Ok(problems)
}

fn list(db: &Connection, sql: &str, head: &str, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let mut ask = db.prepare(sql)?;
    let mut rows = ask.query([])?;
    while let Some(row) = rows.next()? {
        if problems.len() >= MOST {
            break;
        }
        problems.push(format!("{head}{}", row.get_ref(0)?.as_str().unwrap_or("?")));
    }
    Ok(())
}

fn shape(db: &Connection, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let (found, wanted) = (upgrade::shape(db)?, upgrade::wanted_shape()?);
    for (name, sql) in &wanted {
        match found.iter().find(|(n, _)| n == name) {
            None => problems.push(format!("{name} is missing")),
            Some((_, other)) if other != sql => problems.push(format!("{name} has another shape than this version's")),
            Some(_) => {}
        }
    }
    let extra = found.iter().filter(|(n, _)| !wanted.iter().any(|(w, _)| w == n));
    problems.extend(extra.map(|(n, _)| format!("{n} is none of our tables")));
    Ok(())
}

/// Compares the newest minutes with the observations they were made of, where those are still kept whole.
fn minutes(db: &Connection, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let mut ask = db.prepare(
        "SELECT target, at, ok, warn, fail FROM minutes m
         WHERE at >= (SELECT min(o.at) FROM observations o WHERE o.target = m.target) ORDER BY at DESC LIMIT ?1",
    )?;
    let mut count = db.prepare(
        "SELECT count(*) FILTER (WHERE grade = 0), count(*) FILTER (WHERE grade = 1), count(*) FILTER (WHERE grade = 2)
         FROM observations WHERE target = ?1 AND at >= ?2 AND at < ?2 + 60000",
    )?;
    let mut rows = ask.query([SAMPLE])?;
    while let Some(row) = rows.next()? {
        let (target, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let sums: (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let counted =
            count.query_row([target, at], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?.unwrap_or_default();
        if sums != counted && problems.len() < MOST {
            problems.push(format!("minute {at} of target {target} says {sums:?} looks, there are {counted:?}"));
        }
    }
    Ok(())
}
