//! Alerts and the outbox: what belongs together is written together, once, and survives being killed.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use model::alert::Severity;
use model::target::TargetId;
use model::time::UtcMs;
use store::{
    AlertChange, AlertRecord, Letter, LetterChange, LetterState, OutboxCount, Settings, Store, StoreError, Write,
};

use crate::common::{NOON, Place, SOON, TestClock, id, ms, seen};

const CHILD: &str = "STORE_ALERTS_CHILD";
/// How often the writer is killed.
const ROUNDS: usize = 12;

fn record(alert: &str, target: Option<&str>, began: i64, ended: Option<i64>) -> AlertRecord {
    AlertRecord {
        alert: alert.to_owned(),
        rule: "down".to_owned(),
        target: target.map(id),
        severity: Severity::Critical,
        began_at: ms(began),
        ended_at: ended.map(ms),
        cause: "connection refused".to_owned(),
        acked_by: None,
        note: None,
        flags: String::new(),
    }
}

fn keep(key: &str, json: &str) -> AlertChange {
    AlertChange::Keep { key: key.to_owned(), json: json.to_owned() }
}

fn letter(channel: &str, key: &str) -> Letter {
    Letter { channel: channel.to_owned(), key: key.to_owned(), json: format!("{{\"key\":\"{key}\"}}") }
}

#[test]
fn states_history_and_messages_come_back_and_doing_it_again_changes_nothing() {
    let place = Place::new();
    let (store, _) = place.open();
    store.record(seen("gate"));
    let all = || {
        let changes = vec![
            keep("down/gate", "{\"n\":1}"),
            keep("down/yard", "{}"),
            AlertChange::History(record("down/gate", Some("gate"), 0, None)),
            AlertChange::History(record("down/new", Some("never-seen"), 5, Some(3))),
            AlertChange::History(record("store", None, 10, Some(20))),
        ];
        (changes, vec![letter("mail", "a"), letter("mail", "b"), letter("chat", "a")])
    };
    for _ in 0..2 {
        let (changes, letters) = all();
        store.commit_alerts(changes, letters).unwrap();
    }
    let states = store.load_alerts().unwrap();
    assert_eq!(states, [("down/gate", "{\"n\":1}"), ("down/yard", "{}")].map(|(k, j)| (k.to_owned(), j.to_owned())));
    let page = |target: Option<&TargetId>, before| store.alert_history(target, (ms(0), ms(100)), before, 2).unwrap();
    let first = page(None, None);
    assert_eq!(first.iter().map(|r| r.record.alert.as_str()).collect::<Vec<_>>(), ["store", "down/new"]);
    assert_eq!(first[1].record.ended_at, Some(ms(5)), "nothing ends before it begins");
    let rest = page(None, Some(first[1].row));
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (rest[0].name.as_deref(), &rest[0].record),
        (Some("The gate"), &record("down/gate", Some("gate"), 0, None))
    );
    assert_eq!(page(Some(&id("gate")), None).len(), 1);
    assert!(
        store.alert_history(None, (ms(30), ms(100)), None, 10).unwrap().len() == 1,
        "what lasts touches every range"
    );

    let ended = AlertRecord {
        acked_by: Some("eva".into()),
        note: Some("cable".into()),
        ..record("down/gate", Some("gate"), 0, Some(50))
    };
    let changes = vec![AlertChange::Forget { key: "down/gate".into() }, AlertChange::History(ended.clone())];
    store.commit_alerts(changes, vec![letter("mail", "c")]).unwrap();
    assert_eq!(store.load_alerts().unwrap().len(), 1);
    assert_eq!(page(Some(&id("gate")), None)[0].record, ended);
    let waiting: Vec<_> = store.waiting_letters("mail", 10).unwrap().into_iter().map(|l| l.letter.key).collect();
    assert_eq!(waiting, ["a", "b", "c"]);
    assert_eq!(store.waiting_letters("chat", 10).unwrap()[0].letter, letter("chat", "a"));
    store.record(Write::TargetRenamed { from: id("gate"), to: id("door") });
    assert!(store.flush(SOON));
    assert_eq!(page(Some(&id("door")), None)[0].record.target, Some(id("door")), "history goes with the target");
    place.close(store);
}

#[test]
fn what_becomes_of_a_message() {
    let place = Place::new();
    let (store, _) = place.open();
    store.commit_alerts(vec![], ["a", "b", "c"].map(|key| letter("mail", key)).into()).unwrap();
    let rows: Vec<i64> = store.waiting_letters("mail", 10).unwrap().iter().map(|l| l.row).collect();
    let change = |change| store.change_letter(change).unwrap();
    assert!(change(LetterChange::Later { row: rows[0], next_at: ms(500), error: "refused".into() }));
    let first = store.waiting_letters("mail", 1).unwrap().remove(0);
    assert_eq!((first.attempts, first.next_at, first.last_error.as_deref()), (1, ms(500), Some("refused")));
    assert!(change(LetterChange::Sent { row: rows[0], at: ms(600) }));
    assert!(change(LetterChange::Dead {
        row: rows[1],
        at: ms(700),
        error: "unknown recipient".into(),
        attempted: true
    }));
    assert!(
        !change(LetterChange::Later { row: rows[1], next_at: ms(0), error: String::new() }),
        "a dead one does not wait"
    );
    assert!(!change(LetterChange::Forget { row: rows[0] }), "only dead ones are forgotten");
    let counts = store.outbox_counts().unwrap();
    assert_eq!(counts, [("mail".to_owned(), OutboxCount { waiting: 1, dead: 1, last_sent: Some(ms(600)) })]);
    let dead = store.letters(Some(LetterState::Dead), None, 10).unwrap();
    assert_eq!((dead.len(), dead[0].done_at, dead[0].attempts), (1, Some(ms(700)), 1));
    assert!(change(LetterChange::PutBack { row: rows[1], at: ms(800) }));
    let waiting = store.waiting_letters("mail", 10).unwrap();
    assert_eq!(waiting.iter().map(|l| l.row).collect::<Vec<_>>(), rows[1..], "in the order in which they came");
    assert_eq!((waiting[0].attempts, waiting[0].created_at), (0, ms(800)));
    assert!(change(LetterChange::Dead { row: rows[2], at: ms(900), error: "no channel".into(), attempted: false }));
    assert!(change(LetterChange::Forget { row: rows[2] }));
    assert_eq!(store.letters(None, None, 10).unwrap().len(), 2);
    place.close(store);
}

#[test]
fn a_channel_that_is_dead_for_days_keeps_the_newest() {
    let place = Place::new();
    let (store, _) = place.open();
    for hundred in 0..21 {
        let letters = (0..100).map(|n| letter("mail", &format!("{hundred}.{n}"))).collect();
        store.commit_alerts(vec![], letters).unwrap();
    }
    let waiting = store.waiting_letters("mail", 10_000).unwrap();
    assert_eq!((waiting.len(), waiting[0].letter.key.as_str()), (2_000, "1.0"));
    let dead = store.letters(Some(LetterState::Dead), None, 1_000).unwrap();
    assert_eq!(dead.len(), 100);
    assert!(dead[0].last_error.as_deref().is_some_and(|e| e.contains("newer messages")));
    let huge = Letter { json: "x".repeat(600 * 1024), ..letter("mail", "huge") };
    assert!(matches!(store.commit_alerts(vec![], vec![huge]), Err(StoreError::TooLarge { .. })));
    place.close(store);
}

/// The writer: commit n keeps the state of alert n, forgets that of n - 1, writes its history and two messages.
fn child(path: &Path, first: i64) -> ! {
    let store = Store::open(Settings::new(path), TestClock::at(NOON)).unwrap().0;
    let mut out = std::io::stdout();
    for n in first.. {
        let changes = vec![
            keep(&format!("alert {n}"), "{}"),
            AlertChange::Forget { key: format!("alert {}", n - 1) },
            AlertChange::History(record(&format!("alert {n}"), None, n, None)),
        ];
        let letters = vec![letter("mail", &n.to_string()), letter("chat", &n.to_string())];
        writeln!(out, "try {n}").unwrap();
        store.commit_alerts(changes, letters).unwrap();
        writeln!(out, "done {n}").unwrap();
        let mail = store.waiting_letters("mail", 1).unwrap();
        for letter in mail {
            store.change_letter(LetterChange::Sent { row: letter.row, at: ms(n) }).unwrap();
        }
    }
    unreachable!("there are enough numbers")
}

#[test]
fn killed_between_an_alert_and_its_messages() {
    if let Some(order) = std::env::var_os(CHILD) {
        let order = order.into_string().unwrap();
        let (first, path) = order.split_once(' ').unwrap();
        child(Path::new(path), first.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut next = 1;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "alerts::killed_between_an_alert_and_its_messages", "--nocapture"])
            .env(CHILD, format!("{next} {}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut tried, mut done) = (next - 1, next - 1);
        let mut note = |line: &str| {
            let number = |word: &str| line.strip_prefix(word).and_then(|n| n.trim().parse::<i64>().ok());
            tried = number("try").unwrap_or(tried);
            done = number("done").unwrap_or(done);
        };
        let begun = |l: &String| l.starts_with("try") || l.starts_with("done");
        lines.by_ref().filter(begun).take(round * 7 % 23 + 1).for_each(|l| note(&l));
        child.kill().unwrap();
        lines.for_each(|l| note(&l));
        child.wait().unwrap();
        assert_eq!(Store::verify(&path).unwrap(), Vec::<String>::new(), "round {round}");
        let store = Store::open(Settings::new(&path), TestClock::at(NOON)).unwrap().0;
        let history = store.alert_history(None, (UtcMs(0), UtcMs(i64::MAX)), None, 10_000).unwrap();
        let last = history.len() as i64;
        assert!((done..=tried).contains(&last), "round {round}: {last} is not in {done}..={tried}");
        let states: Vec<_> = store.load_alerts().unwrap().into_iter().map(|(key, _)| key).collect();
        let wanted = if last == 0 { vec![] } else { vec![format!("alert {last}")] };
        assert_eq!(states, wanted, "round {round}: the state is that of the newest alert in the history");
        for channel in ["mail", "chat"] {
            let count = |l: &&store::LetterRow| l.letter.channel == channel;
            let letters = store.letters(None, None, 10_000).unwrap().iter().filter(count).count() as i64;
            assert_eq!(letters, last, "round {round}: an alert has its message for {channel}, once");
        }
        assert!(store.close(SOON));
        next = last + 1;
    }
}
