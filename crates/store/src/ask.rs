//! Questions to the history by name. Each is a function of a connection; each answer is bounded.

pub(crate) mod availability;
pub(crate) mod documents;
pub(crate) mod incidents;
pub(crate) mod observations;
pub(crate) mod restore;
pub(crate) mod rollups;

use model::target::TargetId;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::StoreError;

/// Most rows of one answer, whatever the caller asks for.
pub(crate) const MOST_ROWS: usize = 10_000;

/// What is asked for, within what is allowed, as SQLite wants it.
pub(crate) fn capped(limit: usize) -> i64 {
    limit.min(MOST_ROWS) as i64
}

/// The number of a target.
pub(crate) fn uid(db: &Connection, target: &TargetId) -> Result<i64, StoreError> {
    db.prepare_cached("SELECT uid FROM targets WHERE id = ?1")?
        .query_row([target.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::NoSuchTarget(target.to_string()))
}

/// The identity in a column; `None` for history whose identity was taken over by another target.
pub(crate) fn target_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TargetId>> {
    Ok(TargetId::parse(row.get_ref(column)?.as_str()?).ok())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::types::Resolution;
    use crate::upgrade::SCHEMA;

    /// Every question about history finds its rows by key: no table is read from end to end.
    #[test]
    fn questions_use_keys() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let mut questions = vec![
            availability::BEFORE.to_owned(),
            availability::WITHIN.to_owned(),
            incidents::CHANGES.to_owned(),
            restore::BEATS.to_owned(),
            rollups::LOOKS_SINCE.to_owned(),
        ];
        questions.extend([true, false].map(observations::page_sql));
        questions.extend([true, false].map(incidents::page_sql));
        questions.extend([true, false].map(crate::alerts::page_sql));
        questions.push(crate::outbox::waiting_sql());
        questions.extend([crate::units::changes_sql(), crate::units::last_end_sql(), crate::units::SAMPLES.to_owned()]);
        for &resolution in Resolution::ALL {
            questions.extend([rollups::row_sql(resolution), rollups::edges_sql(resolution)]);
        }
        for sql in questions {
            let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let unbound = vec![rusqlite::types::Null; explain.parameter_count()];
            let plan: Vec<String> = explain
                .query_map(rusqlite::params_from_iter(unbound), |row| row.get(3))
                .unwrap()
                .collect::<rusqlite::Result<_>>()
                .unwrap();
            // A scan of the one row that a sub-select makes is none of a table.
            let scans = plan.iter().filter(|line| line.starts_with("SCAN") && !line.contains("CONSTANT ROW"));
            let sorts = plan.iter().filter(|line| line.contains("TEMP B-TREE"));
            assert_eq!(scans.chain(sorts).count(), 0, "{sql}: {plan:#?}");
        }
    }
}
