//! Programs that misbehave, behind the real shim: whatever they do, their end is known, their output is kept, and nothing of them
//! is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::secret::Secret;
use model::unit::spec::{Limit, LogRules, Process, Program, Stop};
use model::unit::{Exit, UnitId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervise::backend::{Backend as _, Ended, Found, Instance, Launch, Refusal};
use supervise::logs::{Logs, Wanted};
use supervise::process::{MARK, Processes};

/// Longest wait for anything here.
const SOON: Duration = Duration::from_secs(20);

/// A folder of units and the programs that run them.
struct Rig {
    folder: tempfile::TempDir,
    processes: Processes,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Self::of(folder.path());
        Self { folder, processes }
    }

    /// As if StreamPulse had been started again.
    fn of(folder: &Path) -> Processes {
        Processes::new(PathBuf::from(env!("CARGO_BIN_EXE_streampulse")), folder.to_owned())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.path().join(id)
    }

    async fn start(&self, launch: &Launch) -> Box<dyn Instance> {
        self.processes.start(launch).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// All of a unit's output, once a line is in it.
    async fn output(&self, id: &str, wanted: &str) -> Vec<String> {
        let began = Instant::now();
        loop {
            let lines = Logs::new(self.path(id)).newest(&Wanted::default(), 1000).expect("readable");
            let texts: Vec<String> = lines.into_iter().map(|line| line.text).collect();
            if texts.iter().any(|line| line.contains(wanted)) {
                return texts;
            }
            assert!(began.elapsed() < SOON, "{wanted:?} never came: {texts:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Number of a unit's shim.
    fn shim(&self, id: &str) -> i32 {
        let record = fs::read_to_string(self.path(id).join("run.json")).expect("it runs");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        record["shim_pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a number")
    }

    /// Processes that carry the mark of a unit, the shim aside.
    fn marked(&self, id: &str) -> BTreeSet<i32> {
        let mark = format!("{MARK}={}", self.path(id).display());
        let all = fs::read_dir("/proc")
            .expect("Linux")
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        all.filter(|pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
    }
}

fn child() -> String {
    let program =
        Path::new(env!("CARGO_BIN_EXE_streampulse")).parent().expect("a folder").join("examples/unruly_child");
    program.to_str().expect("a path of text").to_owned()
}

fn process(argv: &[&str]) -> Process {
    Process {
        argv: std::iter::once(child()).chain(argv.iter().map(|word| (*word).to_owned())).collect(),
        cwd: "/".into(),
        env: Vec::new(),
        secret_env: Vec::new(),
        user: None,
        umask: None,
        limits: Vec::new(),
        pid_file: None,
    }
}

fn launch(id: &str, process: Process) -> Launch {
    Launch {
        id: UnitId::parse(id).expect("a good id"),
        program: Program::Process(process),
        stop: Stop { signal: "TERM", grace: Duration::from_millis(300) },
        logs: LogRules { file_bytes: 1 << 20, files: 3 },
        masks: Vec::new(),
    }
}

async fn ended(run: &dyn Instance) -> Ended {
    tokio::time::timeout(SOON, run.ended()).await.expect("it ends")
}

fn signalled(number: i32) -> Exit {
    Exit::Signal { number, out_of_memory: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_known_with_the_last_words() {
    let rig = Rig::new();
    for (id, argv, exit) in [
        ("at-once", ["exit", "7"], Exit::Code(7)),
        ("well", ["exit", "0"], Exit::Code(0)),
        ("later", ["exit_after", "50"], Exit::Code(3)),
    ] {
        let run = rig.start(&launch(id, process(&argv))).await;
        let end = ended(run.as_ref()).await;
        assert_eq!((end.exit, end.started_at), (exit, run.started_at()), "{id}");
        assert!(end.at >= end.started_at);
    }
    let run = rig.start(&launch("half", process(&["half_utf8"]))).await;
    assert_eq!(ended(run.as_ref()).await.exit, Exit::Code(0));
    assert_eq!(rig.output("half", "half").await, ["half \u{fffd}"]);
    let words = rig.output("at-once", "the reason").await;
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), 2, "{words:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_says_why_and_leaves_nothing() {
    let rig = Rig::new();
    let with = |change: &dyn Fn(&mut Process)| {
        let mut process = process(&["hang"]);
        change(&mut process);
        launch("no", process)
    };
    let plain = rig.folder.path().join("plain");
    fs::write(&plain, "text").expect("writable");
    for (launch, words) in [
        (with(&|p| p.argv[0] = "/no/such/program".to_owned()), "/no/such/program cannot be run in /: No such file"),
        (with(&|p| p.argv[0] = plain.to_str().expect("text").to_owned()), "not executable"),
        (with(&|p| p.cwd = "/no/such/folder".into()), "its folder /no/such/folder cannot be entered"),
        (with(&|p| p.pid_file = Some("/no/such/folder/x.pid".into())), "/no/such/folder/x.pid"),
    ] {
        let refused: Refusal = rig.processes.start(&launch).await.err().expect("it cannot run");
        assert!(refused.words.contains(words), "{refused}");
        assert!(rig.marked("no").is_empty());
        assert!(matches!(rig.processes.adopt(&launch).await, Ok(Found::Nothing)));
        assert!(!rig.path("no").join("launch.json").exists(), "secrets stay nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_takes_everything_along() {
    let rig = Rig::new();
    for (id, argv, exit) in [
        ("polite", ["hang", ""], signalled(15)),
        ("deaf", ["ignore_term", ""], signalled(9)),
        ("parent", ["double_fork", "stay"], signalled(15)),
        ("silent", ["close_pipes", ""], signalled(15)),
        ("busy", ["spin", ""], signalled(15)),
        ("loud", ["flood", ""], signalled(15)),
        ("zombies", ["zombies", ""], signalled(15)),
    ] {
        let run = rig.start(&launch(id, process(&argv))).await;
        rig.output(id, if id == "loud" { "xxx" } else { "ready" }).await;
        assert!(!rig.marked(id).is_empty(), "{id}");
        run.stop(&Stop { signal: "TERM", grace: Duration::ZERO }).await.expect("its shim listens");
        assert_eq!(ended(run.as_ref()).await.exit, exit, "{id}");
        assert_eq!(rig.marked(id), BTreeSet::new(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_behind_ends_with_it() {
    let rig = Rig::new();
    let run = rig.start(&launch("daemon", process(&["double_fork"]))).await;
    assert_eq!(ended(run.as_ref()).await.exit, Exit::Code(0));
    assert_eq!(rig.marked("daemon"), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_found_again_and_never_doubled() {
    let rig = Rig::new();
    let wanted = launch("cam", process(&["count", "5"]));
    let first = rig.start(&wanted).await;
    let identity = first.identity().clone();
    drop(first);
    // StreamPulse is gone; another one comes.
    let second = Rig::of(rig.folder.path());
    let Ok(Found::Running(again)) = second.adopt(&wanted).await else { panic!("it runs") };
    assert_eq!(*again.identity(), identity);
    // Whoever would start it gets the run that is there.
    let third = second.start(&wanted).await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(*third.identity(), identity);
    assert_eq!(rig.marked("cam").len(), 1);
    kill(Pid::from_raw(identity.pid.cast_signed()), Signal::SIGKILL).expect("it runs");
    assert_eq!(ended(again.as_ref()).await.exit, signalled(9));
    let Ok(Found::Ended(end)) = second.adopt(&wanted).await else { panic!("nobody was told") };
    assert_eq!(end.exit, signalled(9));
    second.settle(&wanted.id).await;
    assert!(matches!(second.adopt(&wanted).await, Ok(Found::Nothing)));
    let lines = rig.output("cam", "line 0").await;
    let counted: Vec<String> = (0..lines.len()).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, counted, "no line is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_is_killed_takes_the_program_along() {
    let rig = Rig::new();
    let wanted = launch("cam", process(&["double_fork", "stay"]));
    let run = rig.start(&wanted).await;
    rig.output("cam", "ready").await;
    kill(Pid::from_raw(rig.shim("cam")), Signal::SIGKILL).expect("it runs");
    assert_eq!(ended(run.as_ref()).await.exit, Exit::Unseen);
    assert_eq!(rig.marked("cam"), BTreeSet::new());
    // And it can be started again.
    let run = rig.start(&wanted).await;
    run.kill().await.expect("its shim listens");
    ended(run.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_shim_left_is_ended_before_anything_is_launched_anew() {
    let rig = Rig::new();
    let wanted = launch("cam", process(&["double_fork", "stay"]));
    let run = rig.start(&wanted).await;
    rig.output("cam", "ready").await;
    let (before, first) = (rig.marked("cam"), run.identity().clone());
    assert_eq!(before.len(), 2, "the program and its orphan");
    kill(Pid::from_raw(rig.shim("cam")), Signal::SIGKILL).expect("it runs");
    drop(run);
    // Nobody asks what became of it.
    let second = Rig::of(rig.folder.path());
    let run = loop {
        match second.start(&wanted).await {
            Ok(run) if *run.identity() != first => break run,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    rig.output("cam", "ready").await;
    assert!(rig.marked("cam").is_disjoint(&before), "nothing of the first run is left");
    run.kill().await.expect("its shim listens");
    assert_eq!(ended(run.as_ref()).await.exit, signalled(9));
    assert_eq!(rig.marked("cam"), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_written_down_is_not_begun() {
    let rig = Rig::new();
    let mark = rig.folder.path().join("ran");
    let mut touch = process(&[]);
    touch.argv = vec!["/usr/bin/touch".to_owned(), mark.to_str().expect("text").to_owned()];
    touch.pid_file = Some("/no/such/folder/unit.pid".into());
    let wanted = launch("cam", touch);
    let refused: Refusal = rig.processes.start(&wanted).await.err().expect("it cannot be remembered");
    assert!(refused.words.contains("/no/such/folder"), "{refused}");
    assert!(!mark.exists(), "nothing of it ran");
    fs::create_dir(rig.path("cam").join("run.json.new")).expect("writable");
    let refused: Refusal = rig.processes.start(&wanted).await.err().expect("it cannot be remembered");
    assert!(refused.words.contains("cannot be written down"), "{refused}");
    assert!(!mark.exists(), "nothing of it ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_number_of_a_run_is_left_alone() {
    let rig = Rig::new();
    let wanted = launch("cam", process(&["hang"]));
    // It leads a session of its number, as a daemon does.
    let mut stranger =
        std::process::Command::new(child()).arg("orphan").stdout(std::process::Stdio::null()).spawn().expect("it runs");
    let leads = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let after = stat.rsplit_once(')').expect("a name").1.to_owned();
        after.split_whitespace().nth(3) == Some(&pid.to_string())
    };
    let began = Instant::now();
    while !leads(stranger.id()) {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::create_dir(rig.path("cam")).expect("writable");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    // As a run before us left it, whose numbers the kernel has given anew since.
    let run = serde_json::json!({
        "id": "cam", "boot_id": boot.trim(), "shim_pid": stranger.id(), "shim_start_ticks": 7,
        "pid": stranger.id(), "start_ticks": 9, "started_at_ms": 1000,
    });
    fs::write(rig.path("cam").join("run.json"), run.to_string()).expect("writable");
    let Ok(Found::Ended(end)) = rig.processes.adopt(&wanted).await else { panic!("that run is over") };
    assert_eq!(end.exit, Exit::Unseen);
    assert!(stranger.try_wait().expect("ours").is_none(), "the stranger lives");
    stranger.kill().expect("ours");
    let _ = stranger.wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_gets_what_its_file_says_and_nothing_else() {
    let rig = Rig::new();
    let cwd = rig.folder.path().canonicalize().expect("there");
    let mut process = process(&["environment", "a b; $(id)", "--"]);
    process.cwd.clone_from(&cwd);
    process.env = vec![
        ("NAME".to_owned(), "value".to_owned()),
        ("LANG".to_owned(), "de_CH".to_owned()),
        ("LD_BIND_NOW".to_owned(), "1".to_owned()),
        (MARK.to_owned(), "cannot be taken away".to_owned()),
    ];
    process.secret_env = vec![("PASSWORD".to_owned(), Secret::new("hunter2-secret"))];
    process.umask = Some(0o027);
    process.limits = vec![(Limit::OpenFiles, 77)];
    process.pid_file = Some(cwd.join("unit.pid"));
    let mut wanted = launch("env", process);
    wanted.masks = vec![Secret::new("value")];
    let run = rig.start(&wanted).await;
    assert_eq!(ended(run.as_ref()).await.exit, Exit::Code(0));
    let lines = rig.output("env", "arguments=").await;
    let names: BTreeSet<&str> = lines.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let expected =
        ["LANG", "LD_BIND_NOW", "NAME", "PASSWORD", "PATH", MARK, "umask", "uid", "files", "cwd", "arguments"];
    assert_eq!(names, BTreeSet::from(expected));
    for line in [
        "NAME=***",
        "LANG=de_CH",
        "LD_BIND_NOW=1",
        &format!("{MARK}={}", rig.path("env").display()),
        "PASSWORD=***",
        "umask=027",
        "files=Some(77)",
        &format!("cwd={}", cwd.display()),
        "arguments=[\"a b; $(id)\", \"--\"]",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
    }
    assert!(!cwd.join("unit.pid").exists(), "it goes with the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_unit_uses_is_measured_over_all_of_it() {
    let rig = Rig::new();
    let run = rig.start(&launch("busy", process(&["spin"]))).await;
    rig.output("busy", "ready").await;
    let began = Instant::now();
    let usage = loop {
        let usage = run.usage().await.expect("it runs");
        // The first has nothing to compare with, and readings are a second apart.
        if usage.cpu_percent.is_some_and(|percent| percent > 1.0) {
            break usage;
        }
        assert!(began.elapsed() < SOON, "{usage:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(usage.memory_bytes > 50_000 && usage.threads >= 1 && usage.processes == 1, "{usage:?}");
    run.kill().await.expect("its shim listens");
    ended(run.as_ref()).await;
    let run = rig.start(&launch("grows", process(&["leak"]))).await;
    let began = Instant::now();
    while run.usage().await.expect("it runs").memory_bytes < 30 << 20 {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.kill().await.expect("its shim listens");
    assert_eq!(ended(run.as_ref()).await.exit, signalled(9));
}
