//! Tests of questions to files of others: the queue of the streaming service, files that are locked, broken or huge, and questions
//! that mean harm.

use std::path::PathBuf;

use model::time::{Mono, UtcMs};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Goes on by a step whenever it is read.
#[derive(Default)]
struct Steps(std::sync::atomic::AtomicU64, u64);

impl Clock for Steps {
    fn utc(&self) -> UtcMs {
        UtcMs(0)
    }

    fn mono(&self) -> Mono {
        Mono(Duration::from_millis(self.0.fetch_add(self.1, Ordering::Relaxed)))
    }
}

fn clock(step_ms: u64) -> Arc<dyn Clock> {
    Arc::new(Steps(0.into(), step_ms))
}

/// The table of the streaming service, with groups in four states.
fn queue(folder: &Path, wal: bool) -> PathBuf {
    let path = folder.join("ingest.sqlite3");
    let db = Connection::open(&path).expect("our folder");
    if wal {
        db.pragma_update(None, "journal_mode", "WAL").expect("a new file");
    }
    db.execute_batch(
        "CREATE TABLE ingest_queue (group_id TEXT PRIMARY KEY, state TEXT, received_at REAL, last_update REAL,
           expected_subbands INTEGER, retry_count INTEGER, error TEXT, checkpoint_path TEXT, processing_stage TEXT,
           chunk_minutes REAL, has_calibrator INTEGER, calibrators TEXT);
         INSERT INTO ingest_queue (group_id, state, received_at, last_update) VALUES
           ('a', 'completed', 1000.5, 9000.25), ('b', 'completed', 1001, 2000), ('c', 'pending', 1002.75, 1003),
           ('d', 'in_progress', 1003, 1004), ('e', 'collecting', 1004, 1005);",
    )
    .expect("good SQL");
    path
}

fn ask(path: &Path, sql: &str) -> Result<Vec<Vec<Cell>>, ForeignError> {
    Foreign::open(path, SECOND, clock(0))?.rows(sql, 10)
}

#[test]
fn the_queue_of_the_streaming_service_is_counted() {
    for wal in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = queue(folder.path(), wal);
        let counts = "SELECT state, count(*) FROM ingest_queue GROUP BY state ORDER BY state";
        let pair = |state: &str, count| vec![Cell::Text(state.to_owned()), Cell::Int(count)];
        let all = [pair("collecting", 1), pair("completed", 2), pair("in_progress", 1), pair("pending", 1)];
        assert_eq!(ask(&path, counts).expect("an answer"), all);
        for (sql, answer) in [
            ("SELECT count(*) FROM ingest_queue WHERE state = 'completed' AND last_update > 9001 - 3600", Cell::Int(1)),
            ("SELECT min(received_at) FROM ingest_queue WHERE state IN ('pending', 'collecting')", Cell::Real(1002.75)),
            ("SELECT min(received_at) FROM ingest_queue WHERE state = 'nosuch';", Cell::Null),
            ("WITH x(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 5) SELECT sum(n) FROM x", Cell::Int(15)),
        ] {
            assert_eq!(ask(&path, sql), Ok(vec![vec![answer]]), "{sql}");
        }
        // Its owner goes on writing while it is open here.
        let open = Foreign::open(&path, SECOND, clock(0)).expect("a file");
        let owner = Connection::open(&path).expect("its own");
        owner.execute("UPDATE ingest_queue SET state = 'failed' WHERE group_id = 'd'", []).expect("no lock of ours");
        let failed = open.rows("SELECT count(*) FROM ingest_queue WHERE state = 'failed'", 1);
        assert_eq!(failed, Ok(vec![vec![Cell::Int(1)]]));
    }
}

#[test]
fn questions_that_mean_harm_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = queue(folder.path(), false);
    let before = std::fs::read(&path).expect("our file");
    let other = folder.path().join("other");
    for sql in [
        "DELETE FROM ingest_queue".to_owned(),
        "SELECT 1; DELETE FROM ingest_queue".to_owned(),
        "DELETE FROM ingest_queue RETURNING group_id, 1".to_owned(),
        "PRAGMA query_only = OFF".to_owned(),
        "PRAGMA writable_schema = ON".to_owned(),
        format!("ATTACH '{}' AS x", other.display()),
        format!("VACUUM INTO '{}'", other.display()),
        "CREATE TEMP TABLE x (y)".to_owned(),
        "BEGIN EXCLUSIVE".to_owned(),
        "SELECT load_extension('/lib/x.so')".to_owned(),
        "SELECT hex(zeroblob(1000000000))".to_owned(),
        "SELECT replace(hex(zeroblob(30000)), '0', '00000000')".to_owned(),
        String::new(),
        "-- nothing".to_owned(),
        format!("SELECT 1 {}", " ".repeat(20_000)),
    ] {
        assert!(ask(&path, &sql).is_err(), "{sql}");
    }
    assert_eq!(
        ask(&path, "SELECT 1; SELECT 2"),
        Err(ForeignError::NoQuestion("only one statement may be asked".to_owned()))
    );
    assert_eq!(std::fs::read(&path).expect("our file"), before);
    assert!(!other.exists());
}

#[test]
fn what_takes_too_long_or_answers_too_much_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = queue(folder.path(), false);
    let endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT";
    let open = Foreign::open(&path, SECOND, clock(10)).expect("a file");
    assert_eq!(open.rows(&format!("{endless} max(n) FROM x"), 10), Err(ForeignError::TooLong(SECOND)));
    assert_eq!(ask(&path, &format!("{endless} n FROM x")), Err(ForeignError::TooMany(10)));
    assert_eq!(ask(&path, "SELECT group_id FROM ingest_queue").map(|rows| rows.len()), Ok(5));
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = queue(folder.path(), false);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("text"), "this is no database, however long it goes on".repeat(100)).expect("our folder");
    std::fs::write(at("empty"), "").expect("our folder");
    for (file, sql, words) in [
        (at("nosuch"), "SELECT 1", "cannot be read: No such file"),
        (folder.path().to_owned(), "SELECT 1", "is no file"),
        (at("text"), "SELECT count(*) FROM ingest_queue", "no SQLite database"),
        (at("empty"), "SELECT count(*) FROM ingest_queue", "no such table: ingest_queue"),
        (path.clone(), "SELECT count(*) FROM ingest_quue", "no such table: ingest_quue"),
        (path.clone(), "SELECT stat FROM ingest_queue", "no such column: stat"),
        (path.clone(), "SELEC 1", "syntax error"),
    ] {
        let error = ask(&file, sql).expect_err(words).to_string();
        assert!(error.contains(words), "{words:?} in {error:?}");
    }
}

#[test]
fn a_locked_file_is_told_as_such_and_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = queue(folder.path(), false);
    let owner = Connection::open(&path).expect("its own");
    owner.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    assert_eq!(ask(&path, "SELECT count(*) FROM ingest_queue"), Err(ForeignError::Locked));
    owner.execute_batch("COMMIT").expect("no lock");
    assert_eq!(ask(&path, "SELECT count(*) FROM ingest_queue"), Ok(vec![vec![Cell::Int(5)]]));
}

#[test]
fn a_huge_file_is_not_read_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = queue(folder.path(), false);
    // A gigabyte that SQLite knows nothing of, and one that takes no room.
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("our file");
    file.set_len(1 << 30).expect("a sparse file");
    let read = || -> u64 {
        let io = std::fs::read_to_string("/proc/thread-self/io").expect("of Linux");
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a count").parse().expect("a number")
    };
    let before = read();
    assert_eq!(ask(&path, "SELECT count(*) FROM ingest_queue"), Ok(vec![vec![Cell::Int(5)]]));
    let taken = read() - before;
    assert!(taken < 1 << 20, "{taken} bytes were read");
}
