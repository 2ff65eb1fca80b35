//! Brings a file to the newest shape. Owns the order of the steps; each runs in one transaction of its own, so that a
//! crash leaves the file at a version, never between two. Never guesses: a newer file and a foreign file are refused.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::StoreError;

/// The newest shape, for new files.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// `SPLS` in the header of the file: says whose database it is, also to the `file` command.
pub(crate) const APPLICATION_ID: i64 = 0x5350_4c53;

/// One step: brings a file from the version before it to its own.
pub(crate) struct Step {
    /// The version after it.
    pub(crate) to: i64,
    /// What it does.
    pub(crate) run: fn(&Transaction<'_>) -> rusqlite::Result<()>,
}

/// Every step, in order. The last one leads to what `schema.sql` says.
pub(crate) const STEPS: &[Step] = &[
    Step { to: 1, run: |tx| tx.execute_batch(include_str!("upgrade/v1.sql")) },
    Step { to: 2, run: |tx| tx.execute_batch(include_str!("upgrade/v2.sql")) },
    Step { to: 3, run: |tx| tx.execute_batch(include_str!("upgrade/v3.sql")) },
];

/// The version of `schema.sql`.
pub(crate) const NEWEST: i64 = STEPS.len() as i64;

/// What a file is, before anything in it is changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing in it yet.
    Empty,
    /// One of ours, of this version.
    Ours(i64),
}

/// Looks at the header and refuses what is not ours or too new.
pub(crate) fn inspect(db: &Connection, path: &Path) -> Result<Found, StoreError> {
    let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let foreign = |why: String| StoreError::NotAStore { path: path.to_owned(), why };
    let tables = match number("SELECT count(*) FROM sqlite_schema") {
        Ok(tables) => tables,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(foreign("it is no SQLite database".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    match (tables, application) {
        (0, 0) => Ok(Found::Empty),
        (_, APPLICATION_ID) if version > NEWEST => {
            Err(StoreError::TooNew { path: path.to_owned(), found: version, known: NEWEST })
        }
        (_, APPLICATION_ID) => Ok(Found::Ours(version)),
        _ => Err(foreign("it holds the tables of another program; name another file".to_owned())),
    }
}

/// Creates or upgrades. `now_ms` is when a new file was created.
pub(crate) fn bring_up(db: &mut Connection, found: &Found, now_ms: i64) -> rusqlite::Result<()> {
    match *found {
        Found::Empty => {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute_batch(SCHEMA)?;
            tx.execute("INSERT INTO life (id, created_at, alive_at) VALUES (1, ?1, ?1)", [now_ms])?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", NEWEST)?;
            tx.commit()
        }
        Found::Ours(version) => climb(db, version, STEPS),
    }
}

/// Runs the steps above `version`, each in its own transaction together with its version number.
fn climb(db: &mut Connection, version: i64, steps: &[Step]) -> rusqlite::Result<()> {
    for step in steps.iter().filter(|step| step.to > version) {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        (step.run)(&tx)?;
        tx.pragma_update(None, "user_version", step.to)?;
        tx.commit()?;
        tracing::info!(version = step.to, "history upgraded");
    }
    Ok(())
}

/// The shape of a database: every table and index with its SQL, white space and comments taken out, in order of name.
pub(crate) fn shape(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut ask = db.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")?;
    let mut shape = ask
        .query_map([], |row| Ok((row.get(0)?, normal(&row.get::<_, String>(1)?))))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    shape.sort();
    Ok(shape)
}

/// SQL without comments, quotes of names and superfluous white space (ALTER TABLE writes it differently than a person).
fn normal(sql: &str) -> String {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").replace('"', "");
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if matches!(c, ',' | '(' | ')') {
            out.truncate(out.trim_end().len());
            out.push(c);
        } else if c != ' ' || !out.ends_with([',', '(', ')']) {
            out.push(c);
        }
    }
    out
}

/// The shape that `schema.sql` gives.
pub(crate) fn wanted_shape() -> rusqlite::Result<Vec<(String, String)>> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(SCHEMA)?;
    shape(&db)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory")
    }

    #[test]
    fn upgraded_from_nothing_equals_fresh() {
        let mut db = memory();
        climb(&mut db, 0, STEPS).expect("steps run");
        assert_eq!(shape(&db).unwrap(), wanted_shape().unwrap());
        assert!(STEPS.iter().zip(1..).all(|(step, n)| step.to == n), "versions count up by one");
    }

    #[test]
    fn a_file_of_version_1_keeps_what_is_in_it() {
        let mut db = memory();
        climb(&mut db, 0, &STEPS[..1]).expect("the first step runs");
        db.execute_batch(
            "INSERT INTO targets VALUES (7, 'gate', 'Gate', 'rtsp', 'x', 1, NULL, 0);
             INSERT INTO changes VALUES (7, 5, 0, 2, 'refused');
             INSERT INTO documents VALUES ('users', 'eva', '{}')",
        )
        .unwrap();
        climb(&mut db, 1, STEPS).expect("the others run");
        assert_eq!(shape(&db).unwrap(), wanted_shape().unwrap());
        let kept = "SELECT count(*) FROM targets, changes, documents WHERE uid = target AND key = 'eva'";
        assert_eq!(db.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        let empty = "SELECT (SELECT count(*) FROM alert_states) + (SELECT count(*) FROM alerts) + (SELECT count(*) FROM outbox)";
        assert_eq!(db.query_row(empty, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn a_file_of_version_2_keeps_what_is_in_it() {
        let mut db = memory();
        climb(&mut db, 0, &STEPS[..2]).expect("the first steps run");
        db.execute_batch(
            "INSERT INTO targets VALUES (7, 'gate', 'Gate', 'rtsp', 'x', 1, NULL, 0);
             INSERT INTO alert_states VALUES ('down/gate', '{}');
             INSERT INTO alerts VALUES (NULL, 'down/gate', 'down', 7, 1, 5, NULL, 'refused', NULL, NULL, '');
             INSERT INTO outbox VALUES (NULL, 'mail', 'a', '{}', 0, 0, 0, NULL, 5, NULL)",
        )
        .unwrap();
        climb(&mut db, 2, STEPS).expect("the last one runs");
        assert_eq!(shape(&db).unwrap(), wanted_shape().unwrap());
        let kept = "SELECT count(*) FROM targets, alert_states, alerts, outbox WHERE uid = alerts.target";
        assert_eq!(db.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        let empty = "SELECT (SELECT count(*) FROM units) + (SELECT count(*) FROM unit_changes) + (SELECT count(*) FROM unit_samples)";
        assert_eq!(db.query_row(empty, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn steps_run_once_in_order_and_a_failing_one_leaves_the_version_before_it() {
        const OLD: &str = "CREATE TABLE looks (at INTEGER, ok INTEGER); INSERT INTO looks VALUES (1, 1), (2, 0)";
        const NEW: &str = "CREATE TABLE looks (at INTEGER, ok INTEGER, /* */ grade INTEGER NOT NULL DEFAULT 0)";
        let grade = Step {
            to: 1,
            run: |tx| {
                tx.execute_batch("ALTER TABLE looks ADD COLUMN grade INTEGER NOT NULL DEFAULT 0")?;
                tx.execute_batch("UPDATE looks SET grade = 2 * (1 - ok)")
            },
        };
        let broken =
            Step { to: 2, run: |tx| tx.execute_batch("CREATE TABLE half (x); SELECT no_such_column FROM looks") };
        let mut db = memory();
        db.execute_batch(OLD).unwrap();
        let steps = [grade, broken];
        climb(&mut db, 0, &steps).expect_err("the second step is broken");
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(version(&db), 1);
        let fresh = memory();
        fresh.execute_batch(&NEW.replace("/* */", "-- why\n")).unwrap();
        assert_eq!(shape(&db).unwrap(), shape(&fresh).unwrap(), "nothing of the broken step is left");
        let sum: i64 = db.query_row("SELECT sum(grade) FROM looks", [], |r| r.get(0)).unwrap();
        assert_eq!(sum, 2, "data was carried over");
        climb(&mut db, 1, &steps[..1]).expect("nothing to do");
        assert_eq!(version(&db), 1);
    }

    #[test]
    fn foreign_and_newer_files_are_refused() {
        let path = Path::new("x.db");
        let db = memory();
        assert_eq!(inspect(&db, path).unwrap(), Found::Empty);
        db.execute_batch("CREATE TABLE streams (name TEXT)").unwrap();
        assert!(inspect(&db, path).unwrap_err().to_string().contains("another program"));
        let mut db = memory();
        bring_up(&mut db, &Found::Empty, 5).unwrap();
        assert_eq!(inspect(&db, path).unwrap(), Found::Ours(NEWEST));
        db.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        let text = inspect(&db, path).unwrap_err().to_string();
        assert_eq!(
            text,
            format!(
                "x.db has schema version {}, this program knows up to {NEWEST}; use a newer streampulse",
                NEWEST + 1
            )
        );
    }
}
