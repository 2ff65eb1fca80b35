//! Units that a test runs: a task behind the front of the units that does what the test wants, without a process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::units::{Backstage, FormView, Taken, UnitAsk, UnitCommand, UnitError, Units, front};
use model::conf::Problem;
use model::secret::Secret;
use model::time::{Clock, UtcMs};
use model::unit::board::{QueueNow, RunEnd, RunNow, UnitBoard, UnitNow, Usage};
use model::unit::form::{Form, Goes, Key, KeyType, Must, Value};
use model::unit::spec::{Heal, LogRules, Policy, Process, Program, Restart, Stop, Unit};
use model::unit::{Cause, Exit, Health, Identity, State, UnitId, Wanted};
use net::clock::SystemClock;
use net::task::Tasks;
use tokio::sync::watch;

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs.
    Runs,
    /// It ends after a moment.
    Dies,
    /// Nobody ever answers.
    Hangs,
}

/// The stage.
pub(crate) struct Staged {
    pub(crate) units: Units,
    pub(crate) board: watch::Sender<Arc<UnitBoard>>,
    pub(crate) fate: Arc<Mutex<Fate>>,
    /// What was asked, and by whom.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Lines written: no two of them have the same time.
    written: std::sync::atomic::AtomicU32,
    _folder: tempfile::TempDir,
}

pub(crate) fn id(text: &str) -> UnitId {
    UnitId::parse(text).expect("a valid id")
}

pub(crate) fn now() -> UtcMs {
    SystemClock::new().utc()
}

fn key(name: &str, ty: KeyType, default: Option<Value>) -> Key {
    let required = default.is_none() && ty != KeyType::Secret;
    let to = vec![Goes::Option(format!("--{name}"))];
    Key { name: name.into(), title: name.into(), description: format!("About {name}"), ty, default, required, to }
}

/// A form with a key of each sort.
pub(crate) fn form() -> Form {
    let text = |choices: &[&str]| KeyType::Text {
        max: 20,
        pattern: None,
        choices: choices.iter().map(|c| (*c).to_owned()).collect(),
    };
    Form {
        file: PathBuf::from("/nowhere/streaming_config.json"),
        keys: vec![
            key("input_dir", KeyType::Path { must: Must::ReadFolder }, None),
            key("log_level", text(&["INFO", "DEBUG"]), Some(Value::Text("INFO".into()))),
            key("max_workers", KeyType::Integer { min: 1, max: 32 }, Some(Value::Integer(4))),
            key("poll_interval", KeyType::Number { min: 0.1, max: 60.0 }, Some(Value::Number(5.0))),
            key("monitoring", KeyType::Bool, Some(Value::Bool(true))),
            key("api_token", KeyType::Secret, None),
        ],
    }
}

/// A unit that is stopped.
pub(crate) fn unit(name: &str, change: impl FnOnce(&mut Unit)) -> UnitNow {
    let s = Duration::from_secs;
    let process = Process {
        argv: ["/opt/convert", "--password", "pl4nted-argv", "--in={input_dir}", "--psk=pl4nted-psk"]
            .map(Into::into)
            .into(),
        cwd: PathBuf::from("/tmp"),
        env: vec![("OMP_NUM_THREADS".into(), "4".into()), ("DB_PASSWORD".into(), "pl4nted-env".into())],
        secret_env: vec![("CAMERA".into(), Secret::new("pl4nted-secret-env"))],
        user: None,
        umask: Some(0o27),
        limits: Vec::new(),
        pid_file: None,
    };
    let mut spec = Unit {
        id: id(name),
        name: name.to_owned(),
        description: format!("What {name} does"),
        group: None,
        tags: Vec::new(),
        autostart: false,
        enabled: true,
        program: Program::Process(process),
        fallback: None,
        needs: Vec::new(),
        targets: Vec::new(),
        restart: Restart {
            policy: Policy::Always,
            success: Vec::new(),
            first: s(1),
            longest: s(60),
            factor: 2.0,
            jitter: 0.0,
            steady: s(10),
            limit: 5,
            limit_within: s(600),
        },
        ready: Vec::new(),
        ready_within: s(10),
        stop: Stop { signal: "TERM", grace: s(2) },
        health: Vec::new(),
        heal: Heal { restart: true, cool_down: s(60), per_hour: 3 },
        budgets: Vec::new(),
        logs: LogRules { file_bytes: 1 << 20, files: 3 },
        queue: None,
        form: Some(form()),
    };
    change(&mut spec);
    UnitNow {
        spec: Arc::new(spec),
        wanted: Wanted::Stopped,
        state: State::Stopped,
        since: now(),
        reason: "never started".to_owned(),
        cause: Cause::Boot,
        run: None,
        last_end: None,
        health: Health::Unknown,
        health_reason: None,
        restarts: 0,
        next_start: None,
        waits_for: Vec::new(),
        usage: None,
        queue: None,
        last_output: None,
        last_heartbeat: None,
        on_fallback: false,
        pending: false,
    }
}

impl Staged {
    /// A stage with these units.
    pub(crate) fn new(units: Vec<UnitNow>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (front, Backstage { asks, board }) = front(folder.path().to_owned());
        board.send_replace(Arc::new(UnitBoard { version: 1, units: units.into_iter().map(Arc::new).collect() }));
        let fate = Arc::new(Mutex::new(Fate::Runs));
        let asked = Arc::default();
        let actor = Actor {
            tasks: Tasks::new(),
            board: board.clone(),
            fate: Arc::clone(&fate),
            asked: Arc::clone(&asked),
            values: default_values(),
        };
        actor.tasks.clone().spawn("units", actor.run(asks));
        Self { units: front, board, fate, asked, written: Default::default(), _folder: folder }
    }

    pub(crate) fn fate(&self, fate: Fate) {
        *self.fate.lock().expect("no panic") = fate;
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Appends lines to the output of a unit: stream, text.
    pub(crate) fn write(&self, name: &str, lines: &[(&str, &str)]) {
        use std::io::Write;
        let folder = self.units.folder(&id(name));
        std::fs::create_dir_all(&folder).expect("made");
        let mut file =
            std::fs::File::options().create(true).append(true).open(folder.join("output.log")).expect("opened");
        for (stream, text) in lines {
            let ns = 250_000_000 + self.written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            writeln!(file, "2026-11-20T19:05:01.{ns}Z {stream} F {text}").expect("written");
        }
    }

    /// Begins a new file of output, as a rotation does.
    pub(crate) fn rotate(&self, name: &str) {
        let folder = self.units.folder(&id(name));
        let _none_yet = std::fs::rename(folder.join("output.log.1"), folder.join("output.log.2"));
        std::fs::rename(folder.join("output.log"), folder.join("output.log.1")).expect("rotated");
        std::fs::File::create(folder.join("output.log")).expect("made");
    }

    /// Changes a unit of the board.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut UnitNow)) {
        edit(&self.board, &id(name), change);
    }
}

/// Changes a unit of a board.
fn edit(board: &watch::Sender<Arc<UnitBoard>>, id: &UnitId, change: impl FnOnce(&mut UnitNow)) {
    board.send_modify(|board| {
        let board = Arc::make_mut(board);
        board.version += 1;
        let unit = board.units.iter_mut().find(|unit| unit.spec.id == *id).expect("it is there");
        change(Arc::make_mut(unit));
    });
}

fn default_values() -> BTreeMap<String, Value> {
    let defaults = form().keys.into_iter().filter_map(|key| Some((key.name, key.default?)));
    defaults.chain([("input_dir".to_owned(), Value::Text("/data/in".into()))]).collect()
}

/// A run with this number.
pub(crate) fn run(pid: u32) -> RunNow {
    let boot_id = "00000000-0000-0000-0000-000000000000".to_owned();
    RunNow { identity: Identity { pid, start_ticks: u64::from(pid), boot_id, container: None }, started_at: now() }
}

/// A measurement.
pub(crate) fn usage() -> Usage {
    Usage {
        at: now(),
        cpu_percent: Some(12.34),
        memory_bytes: 64 * 1024 * 1024,
        threads: 3,
        processes: 2,
        ..Usage::default()
    }
}

/// A queue as the one of the seed counts.
pub(crate) fn queue() -> QueueNow {
    let counts = [("collecting", 1), ("pending", 3), ("in_progress", 2), ("completed", 40), ("failed", 5)];
    QueueNow {
        at: now(),
        counts: counts.map(|(state, n)| (state.to_owned(), n)).into(),
        rate_per_hour: Some(17.0),
        ..QueueNow::default()
    }
}

struct Actor {
    tasks: Tasks,
    board: watch::Sender<Arc<UnitBoard>>,
    fate: Arc<Mutex<Fate>>,
    asked: Arc<Mutex<Vec<String>>>,
    values: BTreeMap<String, Value>,
}

impl Actor {
    async fn run(mut self, mut asks: tokio::sync::mpsc::Receiver<UnitAsk>) {
        let (mut pid, mut unanswered) = (100, Vec::new());
        while let Some(ask) = asks.recv().await {
            let fate = *self.fate.lock().expect("no panic");
            match ask {
                UnitAsk::Command { id, command, actor, reply } => {
                    self.note(format!("{command:?} {id} by {actor}"));
                    if fate == Fate::Hangs {
                        unanswered.push(reply);
                        continue;
                    }
                    pid += 1;
                    let _ = reply.send(self.command(&id, &command, pid, fate));
                }
                UnitAsk::Form { id, reply } => {
                    let _ = reply.send(self.unit(&id).and_then(|unit| self.view(&unit)));
                }
                UnitAsk::SetForm { id, patch, actor, reply } => {
                    self.note(format!(
                        "SetForm {id} {} by {actor}",
                        patch.keys().cloned().collect::<Vec<_>>().join(",")
                    ));
                    pid += 1;
                    let _ = reply.send(self.set_form(&id, patch, pid, fate));
                }
            }
        }
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("no panic").push(what);
    }

    fn unit(&self, id: &UnitId) -> Result<Arc<UnitNow>, UnitError> {
        self.board.borrow().get(id).cloned().ok_or(UnitError::NoSuchUnit)
    }

    fn command(&self, id: &UnitId, command: &UnitCommand, pid: u32, fate: Fate) -> Result<Taken, UnitError> {
        let unit = self.unit(id)?;
        if *command != UnitCommand::Stop && !unit.spec.enabled {
            return Err(UnitError::Refused("this service is disabled in its file".to_owned()));
        }
        let runs = unit.run.is_some();
        let wanted = if *command == UnitCommand::Stop { Wanted::Stopped } else { Wanted::Running };
        let changed = *command == UnitCommand::Restart || unit.wanted != wanted;
        if *command == UnitCommand::Stop && runs {
            edit(&self.board, id, |u| (u.state, u.run, u.wanted) = (State::Stopped, None, wanted));
        } else if changed && *command != UnitCommand::Stop {
            self.launch(id, pid, fate);
        }
        Ok(Taken { wanted, changed })
    }

    fn launch(&self, id: &UnitId, pid: u32, fate: Fate) {
        edit(&self.board, id, |u| {
            (u.state, u.run, u.wanted, u.since) = (State::Running, Some(run(pid)), Wanted::Running, now());
            (u.usage, u.reason, u.pending) = (Some(usage()), "started".to_owned(), false);
        });
        if fate == Fate::Dies {
            let (board, id) = (self.board.clone(), id.clone());
            self.tasks.spawn("end", async move {
                tokio::task::yield_now().await;
                edit(&board, &id, |u| {
                    (u.state, u.run, u.cause) = (State::BackingOff, None, Cause::Exit);
                    u.reason = "it ended after 3 ms: exit code 3".to_owned();
                    let last_lines = vec!["ImportError: no module named casa, token pl4nted-secret-env".to_owned()];
                    u.last_end = Some(RunEnd { exit: Exit::Code(3), at: now(), ran_ms: 3, last_lines });
                    u.next_start = Some(now().plus(Duration::from_secs(2)));
                });
            });
        }
    }

    fn view(&self, unit: &UnitNow) -> Result<FormView, UnitError> {
        let Some(_) = &unit.spec.form else { return Err(UnitError::NoForm) };
        let mut values = self.values.clone();
        let secret = values.remove("api_token").is_some();
        let secrets_set = if secret { vec!["api_token".to_owned()] } else { Vec::new() };
        Ok(FormView { values, secrets_set, pending: unit.pending, note: None })
    }

    fn set_form(
        &mut self,
        id: &UnitId,
        patch: BTreeMap<String, Option<Value>>,
        pid: u32,
        fate: Fate,
    ) -> Result<FormView, UnitError> {
        let unit = self.unit(id)?;
        let form = unit.spec.form.as_ref().ok_or(UnitError::NoForm)?;
        let mut problems = Vec::new();
        for (name, value) in &patch {
            match (form.keys.iter().find(|key| key.name == *name).map(|key| &key.ty), value) {
                (None, _) => problems.push(Problem::new(None, name.as_str(), "unknown key")),
                (Some(KeyType::Integer { min, max }), Some(Value::Integer(n))) if (min..=max).contains(&n) => {}
                (Some(KeyType::Integer { min, max }), Some(_)) => {
                    problems.push(Problem::new(None, name.as_str(), format!("must be from {min} to {max}")));
                }
                _ => {}
            }
        }
        if !problems.is_empty() {
            return Err(UnitError::Invalid(problems));
        }
        let before = self.values.clone();
        for (name, value) in patch {
            match value.or_else(|| default_values().remove(&name)) {
                Some(value) => drop(self.values.insert(name, value)),
                None => drop(self.values.remove(&name)),
            }
        }
        if unit.run.is_some() && before != self.values {
            self.launch(id, pid, fate);
        }
        let unit = self.unit(id)?;
        self.view(&unit)
    }
}
