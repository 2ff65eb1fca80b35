//! The kind `exec` with real processes: what a plugin's end and output become, and that nothing of it stays behind.

#![allow(clippy::print_stderr, reason = "shared with tests that say when they are skipped")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::conf::{Node, Value};
use model::fault::FaultKind;
use model::observation::Observation;
use model::reading::{FactValue, Severity};
use model::secret::Secret;
use model::target::Target;
use net::clock::SystemClock;
use probe::commands::{Argument, Command, Commands};
use probe::gear::{COMMANDS_AT_ONCE, Gear};
use probe::kind;
use probe::run::Prober;
use testkit::wait::wait_for;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use support::outcome;

/// Longest wait for something that must happen soon.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that runs a script; `{arg}` comes as `$1`.
fn script(text: &str) -> Command {
    Command {
        description: String::new(),
        argv: ["/bin/sh", "-c", &text.replace('{', "{{").replace('}', "}}"), "plugin", "{arg}"]
            .map(str::to_owned)
            .to_vec(),
        args: BTreeMap::from([("arg".to_owned(), Argument { default: Some(String::new()), ..Argument::default() })]),
        env: BTreeMap::from([("FIXED".to_owned(), "here".to_owned())]),
        secret_env: BTreeMap::from([("KEY".to_owned(), Secret::new("pl4nted-fixed"))]),
        secrets: vec!["PW".to_owned()],
        cwd: "/".to_owned(),
    }
}

fn gear(command: Command) -> Gear {
    let by_name = BTreeMap::from([("it".to_owned(), command)]);
    Gear::new(Arc::new(Commands { by_name, guard: Vec::new() }))
}

fn map(pairs: &[(&str, &str)]) -> Value {
    let node = |value: &str| Node::bare(Value::Str(value.to_owned()));
    Value::Map(pairs.iter().map(|(key, value)| ((*key).to_owned(), node(value))).collect())
}

fn target(url: &str) -> Target {
    let mut target = support::target("tcp://127.0.0.1:1", &[]);
    (target.kind, target.timeout) = ("exec", PATIENCE);
    target.address = model::address::Address::parse(url).expect("a good URL");
    target
}

async fn look_at(target: &Target, gear: &Gear, cancel: &CancellationToken) -> Observation {
    let probe = kind::equipped(target, gear).map_err(|p| p[0].to_string()).expect("good options");
    Prober::new(Arc::new(SystemClock::new())).observe(target, &*probe, cancel).await
}

async fn run(command: Command) -> Observation {
    look_at(&target("exec://it"), &gear(command), &CancellationToken::new()).await
}

fn detail(seen: &Observation) -> &str {
    seen.look.fault.as_ref().map_or("", |f| f.detail.as_str())
}

fn text<'o>(seen: &'o Observation, key: &str) -> &'o str {
    match seen.look.reading.facts.get(key) {
        Some(FactValue::Text(text)) => text,
        _ => "",
    }
}

#[tokio::test]
async fn the_end_of_a_plugin_is_its_verdict() {
    for (text, expected, words) in [
        ("echo fine", "up", ""),
        ("echo so so; exit 1", "up", ""),
        ("echo 'all broken|a=1'; exit 2", "reported (command)", "all broken"),
        ("exit 2", "reported (command)", "it said nothing"),
        ("echo oops >&2; exit 2", "reported (command)", "on standard error: oops"),
        ("echo no idea; exit 3", "unclear (command)", "the command cannot tell: no idea"),
        ("echo x; exit 4", "unclear (command)", "exit code 4, which is none of a plugin (0 to 3): x"),
        ("no-such-program-anywhere", "tool_missing (command)", "exit code 127"),
        ("kill -SEGV $$", "unclear (command)", "the command was ended by signal 11 (SIGSEGV): it said nothing"),
        ("kill -KILL $$", "unclear (command)", "signal 9 (SIGKILL)"),
    ] {
        let seen = run(script(text)).await;
        assert_eq!(outcome(&seen), expected, "{text}: {:?}", seen.look);
        assert!(detail(&seen).contains(words), "{text}: {}", detail(&seen));
    }
    let warned = run(script("echo 'so so|x=1'; exit 1")).await;
    let found = &warned.look.reading.findings[0];
    assert_eq!((found.name, found.severity, found.text.as_str()), ("plugin_warning", Severity::Warning, "so so"));
    assert_eq!(warned.look.reading.facts.get("exit_code"), Some(&FactValue::Int(1)));
}

#[tokio::test]
async fn performance_data_becomes_rows() {
    let seen = run(script("echo \"DISK OK | /=12MB;10;20:;0;100 'a b'=2%\"; echo more; echo 'and more | c=U'")).await;
    assert_eq!((text(&seen, "message"), text(&seen, "long_output")), ("DISK OK", "more / and more"));
    let Some(FactValue::Rows(rows)) = seen.look.reading.facts.get("perfdata") else { panic!("{:?}", seen.look) };
    let shown: Vec<String> = rows.iter().map(|r| format!("{} {:?}", r.name, r.cells)).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].starts_with("/ ") && shown[0].contains("\"value\": Num(12.0)"), "{shown:?}");
    for part in [
        "\"unit\": Text(\"MB\")",
        "\"warn\": Text(\"10\")",
        "\"crit\": Text(\"20:\")",
        "\"min\": Num(0.0)",
        "\"max\": Num(100.0)",
    ] {
        assert!(shown[0].contains(part), "{part}: {}", shown[0]);
    }
    assert_eq!((shown[1].as_str(), shown[2].as_str()), ("a b {\"unit\": Text(\"%\"), \"value\": Num(2.0)}", "c {}"));
}

#[tokio::test]
async fn what_cannot_be_run_is_no_fault_of_the_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\nexit 0\n").expect("written");
    let path = |p: &Path| p.to_string_lossy().into_owned();
    for (program, words) in [
        ("/no/such/plugin".to_owned(), "is not there"),
        (path(&plain), "is not executable"),
        ("/tmp".to_owned(), "is no file"),
    ] {
        let mut command = script("");
        command.argv = vec![program.clone()];
        let seen = run(command).await;
        assert_eq!(outcome(&seen), "tool_missing (command)");
        assert!(detail(&seen).contains(&program) && detail(&seen).contains(words), "{}", detail(&seen));
        assert!(seen.look.fault.as_ref().is_some_and(model::fault::Fault::is_ours));
    }
    let mut command = script("echo fine");
    command.cwd = "/no/such/folder".to_owned();
    let seen = run(command).await;
    assert_eq!(outcome(&seen), "tool_missing (command)", "{:?}", seen.look);
    let unknown = look_at(&target("exec://other"), &gear(script("")), &CancellationToken::new()).await;
    assert_eq!(outcome(&unknown), "tool_missing (check)");
    assert!(detail(&unknown).contains("there is no command \"other\""), "{}", detail(&unknown));
}

#[tokio::test]
async fn nothing_is_inherited_and_no_value_is_read_by_a_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let bait = folder.path().join("bait");
    let hostile = format!("$(touch {0}); touch {0} `touch {0}` && touch {0} | x", bait.display());
    let mut at = target("exec://it");
    at.options.0.insert("args".to_owned(), map(&[("arg", &hostile)]));
    let command = script(
        "read line; echo \"$#\" \"$FIXED\" \"$PATH\" \"$LANG\" \"[$HOME$CARGO_MANIFEST_DIR$USER]\" \"$line\"; printf '%s\\n' \"$1\"; env | wc -l",
    );
    let seen = look_at(&at, &gear(command), &CancellationToken::new()).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    let said = text(&seen, "message");
    assert_eq!(said, "1 here /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin C []");
    assert!(text(&seen, "long_output").starts_with("$(touch "), "{:?}", seen.look);
    assert!(!bait.exists(), "the value was run");
}

#[tokio::test]
async fn secrets_come_by_environment_and_out_nowhere() {
    let mut at = target("exec://it");
    at.options.0.insert("secrets".to_owned(), map(&[("PW", "pl4nted-option")]));
    let command = script(
        "echo \"$PW $KEY|$PW=1\"; echo \"$KEY $PW\"; echo \"$PW\" >&2; tr '\\0' ' ' </proc/$$/cmdline | grep -c pl[4]nted; exit 2",
    );
    let seen = look_at(&at, &gear(command), &CancellationToken::new()).await;
    assert_eq!(detail(&seen), "*** ***");
    assert_eq!(text(&seen, "long_output"), "*** *** / 0", "the arguments hold none");
    assert!(!format!("{seen:?} {at:?}").contains("pl4nted"), "{seen:?}");
    at.options.0.insert("secrets".to_owned(), map(&[("LD_PRELOAD", "x")]));
    let refused = look_at(&at, &gear(script("echo fine")), &CancellationToken::new()).await;
    assert_eq!(outcome(&refused), "tool_missing (check)");
}

#[tokio::test]
async fn output_without_end_is_bounded() {
    let mut at = target("exec://it");
    at.timeout = Duration::from_millis(700);
    let began = Instant::now();
    let seen =
        look_at(&at, &gear(script("echo first; while :; do echo flood flood flood; done")), &CancellationToken::new())
            .await;
    assert_eq!(outcome(&seen), "timed_out (command)");
    assert!(detail(&seen).contains("was ended; it had said: first"), "{}", detail(&seen));
    assert!(began.elapsed() < PATIENCE);
    let seen =
        run(script("echo 'ok'; i=0; while [ $i -lt 20000 ]; do echo 'line of text'; i=$((i+1)); done; exit 0")).await;
    assert_eq!(outcome(&seen), "up", "a command that prints much is read to its end");
    assert!(seen.look.reading.findings.iter().any(|f| f.name == "output_cut"), "{:?}", seen.look.reading.findings);
}

/// Whether a process is there and not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().is_empty() && !rest.trim_start().starts_with('Z'))
}

/// A script that has children which ignore SIGTERM, writes down who they are, and goes on with `rest`.
fn family(file: &Path, rest: &str) -> Command {
    script(&format!(
        "trap '' TERM; sleep 300 & first=$!; (trap '' TERM; sleep 300; :) & echo $$ $first $! > {}; {rest}",
        file.display()
    ))
}

async fn all_gone(file: &Path) -> bool {
    let pids = std::fs::read_to_string(file).expect("the command wrote it");
    assert!(pids.split_whitespace().count() >= 3, "{pids}");
    wait_for(PATIENCE, || pids.split_whitespace().all(|pid| !lives(pid))).await
}

#[tokio::test]
async fn nothing_that_a_command_started_outlives_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its own end.
    let file = folder.path().join("ended");
    let seen = run(family(&file, "echo done; exit 0")).await;
    assert_eq!((outcome(&seen).as_str(), text(&seen, "message")), ("up", "done"));
    assert!(all_gone(&file).await, "after its end");
    // The deadline.
    let file = folder.path().join("late");
    let mut at = target("exec://it");
    at.timeout = Duration::from_secs(1);
    let began = Instant::now();
    let seen = look_at(&at, &gear(family(&file, "echo waiting; wait")), &CancellationToken::new()).await;
    assert_eq!(outcome(&seen), "timed_out (command)");
    assert!(began.elapsed() < at.timeout + probe::run::LEAVE + Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(all_gone(&file).await, "after the deadline");
    // Cancelled.
    let file = folder.path().join("cancelled");
    let cancel = CancellationToken::new();
    let (at, gear) = (target("exec://it"), gear(family(&file, "wait")));
    let cancelling = async {
        assert!(wait_for(PATIENCE, || std::fs::read_to_string(&file).is_ok_and(|t| t.ends_with('\n'))).await);
        cancel.cancel();
    };
    let (seen, ()) = tokio::join!(look_at(&at, &gear, &cancel), cancelling);
    assert_eq!(seen.look.fault.as_ref().map(|f| f.kind), Some(FaultKind::Internal));
    assert!(all_gone(&file).await, "after it was cancelled");
}

#[tokio::test]
async fn a_polite_command_may_say_goodbye() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("goodbye");
    let mut at = target("exec://it");
    at.timeout = Duration::from_millis(600);
    let polite = script(&format!("trap 'echo asked > {}; exit 0' TERM; while :; do sleep 0.05; done", file.display()));
    let seen = look_at(&at, &gear(polite), &CancellationToken::new()).await;
    assert_eq!(outcome(&seen), "timed_out (command)");
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), "asked\n", "SIGTERM came first");
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let gear = gear(script("mkdir \"$1\"; ls -d \"${1%/*}\"/run-* | wc -l; sleep 0.2; rmdir \"$1\""));
    let mut looks = JoinSet::new();
    for i in 0..2 * COMMANDS_AT_ONCE {
        let (gear, mut at) = (gear.clone(), target("exec://it"));
        let place = folder.path().join(format!("run-{i}"));
        at.options.0.insert("args".to_owned(), map(&[("arg", &place.to_string_lossy())]));
        looks.spawn(async move { look_at(&at, &gear, &CancellationToken::new()).await });
    }
    for seen in looks.join_all().await {
        assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
        let running: usize = text(&seen, "message").trim().parse().expect("a count");
        assert!(running <= COMMANDS_AT_ONCE, "{running} ran at once");
    }
}

#[test]
fn a_url_is_a_name_and_nothing_else() {
    for url in ["exec://it/path", "exec://it?x=1", "exec://IT", "exec://u:p@it", "exec://it:80"] {
        let problems = kind::build(&target(url)).err().expect(url);
        assert!(problems[0].message.contains("exec:// and its name"), "{url}: {problems:?}");
    }
    assert!(kind::build(&target("exec://check_disk.v2")).is_ok());
}

/// The files that may start a process: the kind, and the guard that it starts its commands with; what runs units, its shim and the
/// shim's last step; and the client of container engines where there is no socket.
const STARTERS: [&str; 6] = [
    "probe/src/kinds/exec/process.rs",
    "streampulse/src/commands/guard.rs",
    "supervise/src/process.rs",
    "supervise/src/shim.rs",
    "supervise/src/shim/exec.rs",
    "supervise/src/docker/command.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder").map(|e| e.expect("readable").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") && !entry.ends_with("tests.rs") {
            found.push(entry);
        }
    }
}

#[test]
fn processes_are_started_in_few_places() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in ["model", "wire", "net", "probe", "sink", "supervise", "store", "engine", "web", "streampulse"] {
        sources(&crates.join(name).join("src"), &mut files);
    }
    let starts = |file: &PathBuf| std::fs::read_to_string(file).expect("a source").contains("process::Command");
    let imports = |file: &PathBuf| std::fs::read_to_string(file).expect("a source").contains("process::{C");
    let found: Vec<_> = files.iter().filter(|file| starts(file) || imports(file)).collect();
    let known = |file: &PathBuf| STARTERS.iter().any(|name| file.ends_with(name));
    assert!(found.iter().all(|file| known(file)), "nobody else runs anything: {found:?}");
    assert_eq!(found.len(), STARTERS.len(), "{found:?}");
}

/// Runs a script once with something to read.
async fn errand(text: &str, input: &[u8], limit: Duration) -> Result<(), model::fault::Fault> {
    use probe::commands::Run;
    let commands = Commands { by_name: BTreeMap::from([("it".to_owned(), script(text))]), guard: Vec::new() };
    let env = [("STREAMPULSE_TITLE".to_owned(), "Gate; rm -rf /".to_owned()), ("FIXED".to_owned(), "over".to_owned())];
    let args = [("arg".to_owned(), "$(id)".to_owned())];
    let secrets = [("PW".to_owned(), Secret::new("pl4nted-own"))];
    let run = Run { name: "it", args: &args, secrets: &secrets, env: &env, input, limit };
    commands.run(&run, &SystemClock::new()).await
}

#[tokio::test]
async fn an_errand_is_given_its_input_and_says_how_it_went() {
    let wide = "x".repeat(900 * 1024);
    for (text, input, words) in [
        (
            r#"test "$(cat)" = hello && test "$STREAMPULSE_TITLE" = 'Gate; rm -rf /' && test "$1" = '$(id)' && test "$FIXED" = here"#,
            "hello",
            None,
        ),
        // What reads nothing of its input delays nobody, and what reads all of it gets all.
        ("exit 0", wide.as_str(), None),
        ("test $(wc -c) = 921600", wide.as_str(), None),
        ("cat >/dev/null; echo trouble $PW $KEY >&2; exit 3", "x", Some("code 3: trouble *** ***")),
        ("kill -9 $$", "", Some("SIGKILL")),
    ] {
        let ended = errand(text, input.as_bytes(), PATIENCE).await;
        match (ended, words) {
            (Ok(()), None) => {}
            (Err(fault), Some(words)) => assert!(fault.detail.contains(words), "{text}: {fault}"),
            (ended, _) => panic!("{text}: {ended:?}"),
        }
    }
    let began = Instant::now();
    let late = errand("sleep 600 & sleep 600", b"x", Duration::from_millis(300)).await.expect_err("too long");
    assert_eq!(late.kind, FaultKind::TimedOut);
    assert!(began.elapsed() < PATIENCE);
}
