//! The page of one service: its log as it grows, its form with good and bad values, and the seed's own service from end to end.

use std::fs;

use serde_json::Value;

use super::driver::Browser;
use super::heading;
use super::services::{Leftovers, fits, says, serve, speaker, wait_state};
use crate::support::{Place, wait_for};

#[test]
fn the_log_comes_live_holds_still_and_is_searched() {
    if !Browser::wanted("the_log_comes_live_holds_still_and_is_searched") {
        return;
    }
    let place = Place::open("");
    serve(&place, &format!("services:\n{}", speaker(&place)));
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    wait_state(&run, "speaker", "running");
    says(&place, "the first line\n");
    let page = Browser::start();
    page.go(&run.page("/services/speaker"));
    heading(&page, "Speaker");
    page.sees(".log", "the first line");
    page.sees(".logcard .conn.on", "live");
    says(&place, "\u{1b}[31mred\u{1b}[0m words\n");
    page.sees(".log", "red words");

    page.press("Pause");
    says(&place, "apple\npear\n");
    page.sees(".newer", "2 new lines");
    assert!(!page.text(".log").contains("pear"), "it holds still");
    page.click(".newer");
    page.sees(".log", "apple");
    page.sees(".log", "pear");
    page.gone(".newer");

    // Whoever reads further up is not carried away.
    says(&place, &(0..200).map(|n| format!("number {n}\n")).collect::<String>());
    page.sees(".log", "number 199");
    page.js("document.querySelector('.log').scrollTop = 0");
    page.until("the page has noticed", "document.querySelector('.log').scrollTop === 0");
    says(&place, "came later\n");
    page.sees(".newer", "1 new line");
    assert_eq!(page.js("return document.querySelector('.log').scrollTop"), 0);
    page.js("const l = document.querySelector('.log'); l.scrollTop = l.scrollHeight");
    page.sees(".log", "came later");
    page.gone(".newer");

    page.fill("[aria-label='Find in the log']", "PEAR");
    page.sees(".logwords", "1 line fits");
    assert!(page.text(".log").ends_with("pear"), "{}", page.text(".log"));
    says(&place, "another pear\nanother apple\n");
    page.sees(".log", "another pear");
    assert!(!page.text(".log").contains("another apple"), "new lines are searched too");
    page.fill("[aria-label='Find in the log']", "no such word");
    page.sees(".log", "No line fits");
    page.press("Errors");
    page.sees(".log", "No line fits");
    page.fill("[aria-label='Find in the log']", " ");
    page.press("Both");
    page.sees(".log", "another apple");
    page.press("Wrap");
    page.until("lines are as long as they are", "!document.querySelector('.log').classList.contains('wrapped')");
    fits(&page);
    let whole = page.js("return fetch(document.querySelector('.logcard a[download]').href).then((r) => r.text())");
    assert!(whole.as_str().is_some_and(|t| t.contains("the first line") && t.contains("another apple")), "{whole}");

    // No more lines on the page than it can bear, however many come.
    says(&place, &(0..6000).map(|n| format!("flood {n}\n")).collect::<String>());
    page.sees(".log .line:last-child", "flood 5999");
    let lines = page.js("return document.querySelectorAll('.log .line').length").as_u64();
    assert!(lines <= Some(2001), "{lines:?} lines on the page");
    page.is_clean("the log");
}

const FORM: &str = "    restart: {policy: on_failure, first: 100ms, longest: 1s, limit: 2, limit_within: 10m}
    form:
      file: form.json
      keys:
        word: {title: Word, description: What it says, type: text, default: hello, to: {env: WORD}}
        times: {title: Times, type: integer, min: 1, max: 5, default: 2, to: {env: TIMES}}
        token: {title: Token, type: secret, to: {env: TOKEN}}
        loud: {title: Loud, type: bool, default: false, to: {env: LOUD}}
";

#[test]
fn a_form_is_changed_refused_and_rolled_back() {
    if !Browser::wanted("a_form_is_changed_refused_and_rolled_back") {
        return;
    }
    let place = Place::open("");
    let script = "echo \"says $WORD $TIMES times\"; test \"$WORD\" != broken || exit 4; exec cat /dev/zero > /dev/null";
    let script = script.replace("exec cat /dev/zero > /dev/null", "exec tail -f /dev/null");
    serve(
        &place,
        &format!("services:\n  teller:\n    name: Teller\n    process:\n      argv: [/bin/sh, -c, '{script}']\n{FORM}"),
    );
    let _leftovers = Leftovers::of(&place);
    let run = place.start();
    wait_state(&run, "teller", "running");
    let page = Browser::start();
    page.go(&run.page("/services/teller"));
    page.sees(".log", "says hello 2 times");
    page.sees("[aria-label=Configuration] .facts", "hello");
    let kept = || fs::read_to_string(place.folder.path().join("form.json")).unwrap_or_default();

    page.click(".head .actions button");
    page.sees("dialog.configure", "1 to 5");
    page.fill("dialog input[name=times]", "99");
    page.press("Save & apply");
    page.sees("dialog .field.wrong .problem", "5");
    page.sees("dialog .notice.bad", "Nothing was changed");
    assert!(!kept().contains("99"), "{}", kept());
    assert!(!page.text(".log").contains("99 times"), "nothing was touched");

    page.fill("dialog input[name=times]", "3");
    page.fill("dialog input[name=word]", "good day");
    page.fill("dialog input[name=token]", "s3cret-t0ken");
    page.press("Save & apply");
    page.sees("dialog .notice.good", "");
    page.sees(".log", "says good day 3 times");
    let values: Value = serde_json::from_str(&kept()).expect("JSON");
    assert_eq!((&values["times"], &values["word"]), (&Value::from(3), &Value::from("good day")));
    assert_eq!(page.js("return document.querySelector('dialog input[name=token]').value"), "");
    page.sees("dialog", "It is set. Leave it empty to keep it.");
    assert!(!page.js("return document.documentElement.innerHTML").to_string().contains("s3cret"));
    fits(&page);

    // Values with which it does not come up are taken back, and the page says so.
    page.fill("dialog input[name=word]", "broken");
    page.press("Save & apply");
    page.sees("dialog .notice.bad", "exit code 4");
    assert_eq!(page.js("return document.querySelector('dialog input[name=word]').value"), "good day");
    wait_state(&run, "teller", "running");
    assert!(kept().contains("good day") && kept().contains("s3cret-t0ken"), "{}", kept());
    page.press("Close");
    page.sees("[aria-label=Configuration] .facts", "good day");
    page.sees("[aria-label=Configuration] .facts", "set");

    // An empty field takes the default again; the rest stays.
    page.click(".head .actions button");
    page.fill("dialog input[name=word]", " ");
    page.press("Save & apply");
    page.sees(".log", "says hello 3 times");
    page.is_clean_but("the form", "/form");
}

/// The converter of the seed in small: its argument names, its queue, one group a moment.
const CONVERTER: &str = r#"import argparse, pathlib, sqlite3, time
p = argparse.ArgumentParser()
for name in ("input-dir", "output-dir", "queue-db", "registry-db", "scratch-dir", "log-level", "tmpfs-path"):
    p.add_argument("--" + name)
for name in ("expected-subbands", "max-workers"):
    p.add_argument("--" + name, type=int)
for name in ("chunk-duration", "monitor-interval", "poll-interval", "worker-poll-interval"):
    p.add_argument("--" + name, type=float)
for name in ("use-subprocess", "monitoring", "stage-to-tmpfs"):
    p.add_argument("--" + name, action="store_true")
a = p.parse_args()
db = sqlite3.connect(a.queue_db)
db.execute("PRAGMA journal_mode=WAL")
db.execute("CREATE TABLE IF NOT EXISTS ingest_queue (group_id TEXT PRIMARY KEY, state TEXT, received_at REAL, last_update REAL)")
print("converter with", a.max_workers, "workers", flush=True)
while True:
    for file in sorted(pathlib.Path(a.input_dir).glob("*.group")):
        state = "failed" if "bad" in file.name else "pending" if "late" in file.name else "completed"
        now = time.time()
        with db:
            db.execute("INSERT OR IGNORE INTO ingest_queue VALUES (?, ?, ?, ?)", (file.stem, state, now - 60, now))
        (pathlib.Path(a.output_dir) / file.stem).write_text(state)
        file.unlink()
        print("group", file.stem, state, flush=True)
    time.sleep(0.1)
"#;

#[test]
fn the_seeds_service_is_configured_started_seen_and_stopped() {
    if !Browser::wanted("the_seeds_service_is_configured_started_seen_and_stopped") {
        return;
    }
    let place = Place::open("");
    let root = place.folder.path();
    let module = root.join("home/dsa110_contimg/conversion/streaming");
    for folder in [&module, &root.join("in"), &root.join("out"), &root.join("other"), &root.join("db")] {
        fs::create_dir_all(folder).expect("made");
    }
    fs::write(module.join("streaming_converter.py"), CONVERTER).expect("written");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/services.example.yaml");
    let example = fs::read_to_string(example).expect("the example is there");
    // A machine that runs tests may itself be a container: only the compose file decides, and there is none.
    serve(&place, &example.replace("/.dockerenv, ", "").replace("every: 15s", "every: 1s"));
    let path = |name: &str| root.join(name).display().to_string();
    let _leftovers = Leftovers::of(&place);
    let run = place.start_with(
        &[],
        &[
            ("CASA6_PYTHON", "/usr/bin/python3"),
            ("CONTIMG_HOME", &path("home")),
            ("PIPELINE_STATE_DIR", &path("kept")),
            ("CONTIMG_QUEUE_DB", &path("db/ingest.sqlite3")),
            ("CONTIMG_REGISTRY_DB", &path("db/registry.sqlite3")),
            ("CONTIMG_SCRATCH_DIR", &path("other")),
            ("CONTIMG_INPUT_DIR", &path("in")),
            ("CONTIMG_OUTPUT_DIR", &path("other")),
        ],
    );
    let page = Browser::start();
    page.go(&run.page("/services"));
    page.sees(".svc .pill.state", "Stopped");
    page.click(".svc a.name");
    heading(&page, "Streaming converter");

    // A folder that does not exist is told beside its field, and one that does is taken.
    page.press("Configure");
    page.fill("dialog input[name=max_workers]", "2");
    page.fill("dialog input[name=output_dir]", &path("nowhere"));
    page.press("Save & apply");
    page.sees("dialog .field.wrong .problem", "nowhere");
    page.fill("dialog input[name=output_dir]", &path("out"));
    page.choose("dialog select[name=log_level]", "DEBUG");
    page.press("Save & apply");
    page.sees("dialog .notice.good", "when the service is started");
    page.press("Close");
    let config = fs::read_to_string(root.join("kept/streaming_config.json")).expect("kept");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!((&config["max_workers"], &config["log_level"]), (&Value::from(2), &Value::from("DEBUG")));

    page.click(".head button[data-act=start]");
    page.sees(".head .pill.state", "Running");
    page.sees(".log", "converter with 2 workers");
    page.sees("[aria-label=Status] .facts", "PID");
    let pid = fs::read_to_string(root.join("kept/streaming.pid")).expect("the PID file of the seed");
    page.sees("[aria-label=Status] .facts", pid.trim());
    page.sees("[aria-label=Resources] .meters", "MiB");
    for name in ["a.group", "b.group", "bad.group", "late.group"] {
        fs::write(root.join("in").join(name), "").expect("written");
    }
    page.sees("[aria-label=Queue] .table", "completed 2");
    page.sees("[aria-label=Queue] .table", "failed 1");
    page.sees("[aria-label=Queue] .stats", "2 per hour");
    let waiting = page.text("[aria-label=Queue] .stat:first-child");
    assert!(waiting.ends_with("\n1"), "completed and failed groups wait no more: {waiting}");
    page.sees(".log", "group late pending");
    page.until("a chart of CPU", "document.querySelector('[data-chart=cpu] svg path')");
    fits(&page);

    page.click(".head button[data-act=restart]");
    page.click("dialog .btn.primary");
    wait_for("another process", || {
        let now = fs::read_to_string(root.join("kept/streaming.pid")).ok()?;
        (now != pid && !now.is_empty()).then_some(())
    });
    page.sees(".head .pill.state", "Running");
    page.click(".head button[data-act=stop]");
    page.click("dialog .btn.danger");
    page.sees(".head .pill.state", "Stopped");
    page.sees(".timeline", "asked for");
    page.is_clean_but("the seed's page", "/form");
    assert!(!root.join("kept/streaming.pid").exists(), "a stopped service leaves no PID file");
}
