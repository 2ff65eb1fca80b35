//! Tests of counting: every way, with answers that are good, wrong and hostile.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use net::clock::SystemClock;
use probe::commands::Command;
use testkit::http::{HttpPeer, Reply};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn counts(commands: Commands) -> Counts {
    Counts::new(Arc::new(commands), Arc::new(SystemClock::new()))
}

async fn ask(counts: &Counts, source: QueueSource) -> Result<QueueNow, String> {
    let queue = Queue { source, every: SECOND, timeout: 5 * SECOND };
    counts.count(&queue).await
}

fn states(now: &QueueNow) -> String {
    now.counts.iter().map(|(state, count)| format!("{state}={count}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn documents_say_counts_and_what_stands_beside_them() {
    let seed = br#"{"service_running": true, "uptime_seconds": 5.5, "processing_rate_per_hour": 12, "oldest_waiting": 1000.5, "stuck": 1,
        "queue_stats": {"pending": 3, "completed": 100, "in_progress": 1}}"#;
    let now = document(seed, "queue_stats").expect("the seed's metrics");
    assert_eq!(states(&now), "completed=100 in_progress=1 pending=3");
    assert_eq!((now.rate_per_hour, now.oldest_waiting, now.stuck), (Some(12.0), Some(UtcMs(1_000_500)), Some(1)));
    for (text, member, expected) in [
        (r#"{"a": {"b": {"waiting": 2}}, "rate_per_hour": 7}"#, "a.b", Ok("waiting=2")),
        (r#"{"waiting": 2, "rate_per_hour": 7, "name": "x"}"#, "", Ok("waiting=2")),
        (r#"{"queue": {}}"#, "queue", Ok("")),
        ("{}", "", Ok("")),
        (r#"{"waiting": 1e30}"#, "", Ok("waiting=18446744073709551615")),
        (r#"{"error": "locked"}"#, "", Err("no counts by state")),
        (r#"{"queue": {"a": -1}}"#, "queue", Err("a is no count")),
        (r#"{"queue": {"a": "1"}}"#, "queue", Err("a is no count")),
        (r#"{"queue": [1]}"#, "queue", Err("queue is no object")),
        ("[1, 2]", "", Err("the document is no object")),
        (r#"{"a": 1}"#, "b.c", Err("no member b.c")),
        ("<html>", "", Err("no JSON")),
        ("", "", Err("no JSON")),
    ] {
        match (document(text.as_bytes(), member), expected) {
            (Ok(now), Ok(good)) => assert_eq!(states(&now), good, "{text}"),
            (Err(words), Err(part)) => assert!(words.contains(part), "{part:?} in {words:?}"),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }
    let many: BTreeMap<String, u32> = (0..60).map(|n| (format!("s{n}"), n)).collect();
    assert!(document(serde_json::json!(many).to_string().as_bytes(), "").expect_err("many").contains("60 states"));
}

#[tokio::test]
async fn an_sqlite_file_is_counted_with_all_its_queries() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ingest.sqlite3");
    let db = rusqlite::Connection::open(&file).expect("our folder");
    db.execute_batch(
        "CREATE TABLE ingest_queue (group_id TEXT PRIMARY KEY, state TEXT, received_at REAL, last_update REAL);
         INSERT INTO ingest_queue VALUES ('a', 'completed', 5, unixepoch() - 60), ('b', 'completed', 6, 7),
           ('c', 'pending', 1000.25, 9), ('d', 'in_progress', 8, 9);",
    )
    .expect("good SQL");
    let queries = QueueQueries {
        counts: "SELECT state, count(*) FROM ingest_queue GROUP BY state ORDER BY count(*) DESC, state".to_owned(),
        rate_per_hour: Some(
            "SELECT count(*) FROM ingest_queue WHERE state = 'completed' AND last_update > unixepoch() - 3600"
                .to_owned(),
        ),
        oldest_waiting: Some("SELECT min(received_at) FROM ingest_queue WHERE state = 'pending'".to_owned()),
        stuck: Some(
            "SELECT count(*) FROM ingest_queue WHERE state = 'in_progress' AND last_update < unixepoch() - 3600"
                .to_owned(),
        ),
    };
    let source = |queries: &QueueQueries| QueueSource::Sqlite { file: file.clone(), queries: queries.clone() };
    let counter = counts(Commands::default());
    let now = ask(&counter, source(&queries)).await.expect("an answer");
    assert_eq!(states(&now), "completed=2 in_progress=1 pending=1", "in the order of the query");
    assert_eq!((now.rate_per_hour, now.oldest_waiting, now.stuck), (Some(1.0), Some(UtcMs(1_000_250)), Some(1)));
    db.execute("DELETE FROM ingest_queue", []).expect("good SQL");
    let now = ask(&counter, source(&queries)).await.expect("an empty queue");
    assert_eq!((now.counts.len(), now.rate_per_hour, now.oldest_waiting, now.stuck), (0, Some(0.0), None, Some(0)));
    for (counts, words) in [
        ("SELECT state FROM ingest_queue UNION SELECT 'x'", "one column"),
        ("SELECT 'x', 'y'", "that of x is none"),
        ("SELECT 'x', -1", "that of x is none"),
        (
            "SELECT value, 1 FROM json_each('[' || substr(replace(hex(zeroblob(60)), '0', ',1'), 2) || ']')",
            "more than 50 rows",
        ),
        ("DELETE FROM ingest_queue", "only a SELECT"),
    ] {
        let queries = QueueQueries { counts: counts.to_owned(), ..queries.clone() };
        let refused = ask(&counter, source(&queries)).await.expect_err(counts);
        assert!(refused.contains(words) && refused.contains("ingest.sqlite3"), "{words:?} in {refused:?}");
    }
    db.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    assert!(ask(&counter, source(&queries)).await.expect_err("locked").contains("holds the file locked"));
}

#[tokio::test]
async fn http_is_asked_with_credentials_and_caps() {
    let peer = HttpPeer::with(|request| match request.target.as_str() {
        "/metrics" if request.header("authorization") == Some("Basic dXNlcjpwYXNz") => {
            Reply::text(200, r#"{"queue_stats": {"pending": 3}}"#)
        }
        "/big" => Reply::text(200, vec![b' '; MAX_DOCUMENT_BYTES + 1]),
        _ => Reply::text(401, "no"),
    })
    .await;
    let counter = counts(Commands::default());
    let at = |path: &str, user: &str| QueueSource::Http {
        address: Address::parse(&peer.url(path).replace("//", &format!("//{user}"))).expect("a good URL"),
        member: "queue_stats".to_owned(),
    };
    let now = ask(&counter, at("/metrics", "user:pass@")).await.expect("an answer");
    assert_eq!(states(&now), "pending=3");
    for (source, words) in [(at("/metrics", "user:wrong@"), "status 401"), (at("/big", ""), "larger than")] {
        let refused = ask(&counter, source).await.expect_err(words);
        assert!(refused.contains(words) && !refused.contains("wrong"), "{refused}");
    }
}

#[tokio::test]
async fn a_command_is_asked_and_a_file_is_read_while_it_is_young() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("count");
    std::fs::write(
        &script,
        "#!/bin/sh\nif [ \"$1\" = good ]; then echo '{\"pending\": 4}'; else echo no >&2; exit 3; fi\n",
    )
    .expect("our folder");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("our file");
    let command = |arg: &str| Command {
        description: String::new(),
        argv: vec![script.to_string_lossy().into_owned(), arg.to_owned()],
        args: BTreeMap::new(),
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        secrets: Vec::new(),
        cwd: "/".to_owned(),
    };
    let by_name = BTreeMap::from([("good".to_owned(), command("good")), ("bad".to_owned(), command("bad"))]);
    let counter = counts(Commands { by_name, guard: Vec::new() });
    let now = ask(&counter, QueueSource::Command("good".to_owned())).await.expect("an answer");
    assert_eq!(states(&now), "pending=4");
    for (name, words) in [("bad", "code 3: no"), ("nosuch", "no command \"nosuch\"")] {
        let refused = ask(&counter, QueueSource::Command(name.to_owned())).await.expect_err(words);
        assert!(refused.contains(words), "{refused}");
    }
    let file = folder.path().join("status.json");
    std::fs::write(&file, r#"{"pending": 5}"#).expect("our folder");
    let source = |path: &str| QueueSource::File { file: folder.path().join(path), max_age: 120 * SECOND };
    assert_eq!(states(&ask(&counter, source("status.json")).await.expect("a young file")), "pending=5");
    let old = std::time::SystemTime::UNIX_EPOCH + 1_000_000 * SECOND;
    std::fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(old)).expect("our file");
    // A gigabyte is looked at, and not read.
    let huge = std::fs::File::create(folder.path().join("huge.json")).expect("our folder");
    huge.set_len(1 << 30).expect("a sparse file");
    for (path, words) in [
        ("status.json", "allowed are 120 s"),
        ("huge.json", "larger than 256 KiB"),
        ("nosuch.json", "No such file"),
        (".", "this is no file"),
    ] {
        let refused = ask(&counter, source(path)).await.expect_err(words);
        assert!(refused.contains(words), "{refused}");
    }
}
