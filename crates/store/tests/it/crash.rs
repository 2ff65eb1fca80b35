//! Killed without warning, again and again, while writing: the file is whole and at most the last second is missing.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::status::Status;
use model::time::{Clock, Mono, UtcMs};
use store::{Settings, Store, Write};

use crate::common::{SOON, change, id, incident, look};

const CHILD: &str = "STORE_TEST_CHILD";
const ROUNDS: u64 = 50;
/// Every so many rounds the writer is slow, so that it commits by the clock and not because a batch is full.
const SLOW_EVERY: u64 = 10;
const TARGETS: i64 = 5;
/// Row n is a look at this time plus n milliseconds: in the future, which retention leaves alone.
const EPOCH: i64 = 4_000_000_000_000;

struct RealClock;

impl Clock for RealClock {
    fn utc(&self) -> UtcMs {
        UtcMs(now())
    }

    fn mono(&self) -> Mono {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Mono(Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32))
    }
}

fn now() -> i64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    t.tv_sec * 1000 + t.tv_nsec / 1_000_000
}

fn open(path: &Path) -> Store {
    Store::open(Settings::new(path), Arc::new(RealClock)).unwrap().0
}

fn target(n: i64) -> String {
    format!("t{}", n % TARGETS)
}

/// The writer. Says `row n` when it has handed row n over, `safe n` when a flush or a document
/// promised everything up to n. With `slow` it waits for a word before each row. It never ends by itself.
fn child(path: &Path, first: i64, slow: bool) -> ! {
    let store = open(path);
    let mut out = std::io::stdout();
    let mut words = std::io::stdin().lines();
    let mut up = false;
    for n in first.. {
        if slow && words.next().is_none() {
            std::process::exit(1);
        }
        let target = target(n);
        assert!(store.record(look(&target, UtcMs(EPOCH + n), if n % 7 == 0 { 'f' } else { 'p' }, 3)));
        if n % 10 == 0 {
            let (from, to) = if up { (Status::Up, Status::Down) } else { (Status::Down, Status::Up) };
            up = !up;
            store.record(change(&target, UtcMs(now()), from, to));
            let closed = up.then_some(UtcMs(EPOCH + n));
            let event = incident(&target, UtcMs(EPOCH + n / 20 * 20), closed);
            store.record(if up { Write::IncidentClosed(event) } else { Write::IncidentOpened(event) });
        }
        writeln!(out, "row {n}").unwrap();
        if !slow && n % 97 == 0 {
            store.put_doc("crash", "newest", &n.to_string()).unwrap();
            assert!(store.flush(SOON));
            writeln!(out, "safe {n}").unwrap();
        }
    }
    unreachable!("there are enough numbers")
}

fn start(path: &Path, first: i64, slow: bool) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::killed_while_writing", "--nocapture"])
        .env(CHILD, format!("{first} {slow} {}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, input, BufReader::new(output))
}

/// What a writer promised before it died: rows up to `least` must be there; it handed over rows up to `most`.
struct Promise {
    least: i64,
    most: i64,
}

fn number(line: &str, word: &str) -> Option<i64> {
    line.strip_prefix(word)?.trim().parse().ok()
}

fn fast_round(path: &Path, first: i64, lines: u64) -> Promise {
    let (mut child, _input, output) = start(path, first, false);
    let mut promise = Promise { least: first - 1, most: first - 1 };
    let mut note = |line: &str| {
        promise.most = number(line, "row").unwrap_or(promise.most);
        promise.least = number(line, "safe").unwrap_or(promise.least);
    };
    let mut output = output.lines().map_while(Result::ok);
    output
        .by_ref()
        .filter(|l| l.starts_with("row") || l.starts_with("safe"))
        .take(lines as usize)
        .for_each(|l| note(&l));
    child.kill().unwrap();
    output.for_each(|line| note(&line)); // What it still said before it died.
    child.wait().unwrap();
    promise
}

/// Rows come one by one while this process checks the file that is being written. After some seconds the writer is
/// killed: every row that was handed over a second before must be there.
fn slow_round(path: &Path, first: i64) -> Promise {
    let (mut child, mut input, output) = start(path, first, true);
    let mut rows: Vec<(i64, i64)> = Vec::new();
    let mut output = output.lines().map_while(Result::ok).filter_map(|l| number(&l, "row"));
    let begin = now();
    while now() < begin + 1_600 {
        input.write_all(b"go\n").unwrap();
        rows.push((output.next().unwrap(), now()));
        assert_eq!(Store::verify(path).unwrap(), Vec::<String>::new(), "also while it is written");
    }
    let end = now();
    child.kill().unwrap();
    child.wait().unwrap();
    let least = rows.iter().filter(|(_, at)| *at <= end - 1_000).map(|(n, _)| *n).max();
    assert!(least.is_some(), "{} rows in {} ms", rows.len(), end - begin);
    Promise { least: least.unwrap_or_default(), most: rows.last().map_or(0, |(n, _)| *n) }
}

#[test]
fn killed_while_writing() {
    if let Some(order) = std::env::var_os(CHILD) {
        let order = order.into_string().unwrap();
        let [first, slow, path] = order.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{order}") };
        child(Path::new(path), first.parse().unwrap(), slow == "true");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut first = 1;
    for round in 1..=ROUNDS {
        let promise = if round % SLOW_EVERY == 0 {
            slow_round(&path, first)
        } else {
            fast_round(&path, first, round * round * 7919 % 3_000)
        };
        assert_eq!(Store::verify(&path).unwrap(), Vec::<String>::new(), "round {round}");
        let store = open(&path);
        let mut found: Vec<i64> = Vec::new();
        for n in 0..TARGETS.min(promise.most) {
            let name = id(&target(n));
            let known = store.identities().unwrap().iter().any(|i| i.id == name);
            if known {
                store
                    .export(Some(&name), UtcMs(EPOCH + first), UtcMs(i64::MAX), &mut |row| {
                        found.push(row.at.0 - EPOCH);
                        true
                    })
                    .unwrap();
            }
        }
        found.sort_unstable();
        let last = first + found.len() as i64 - 1;
        assert!((first..).zip(&found).all(|(n, at)| n == *at), "round {round}: a gap or something twice");
        let Promise { least, most } = promise;
        assert!((least..=most).contains(&last), "round {round}: {last} is not in {least}..={most}");
        let newest = store.get_doc("crash", "newest").unwrap().map_or(0, |text| text.parse::<i64>().unwrap());
        assert!(newest <= last + 97 && newest >= least / 97 * 97 - 97, "round {round}: document {newest}");
        assert!(store.close(SOON));
        first = most + 1;
    }
}
