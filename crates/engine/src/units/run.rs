//! What is asked of those who run units: adopt, launch, wait, end, each in a task of its own under a deadline, so that one that
//! hangs holds nobody else. Owns the words for what does not answer; decides nothing.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::time::{Clock, UtcMs};
use model::unit::UnitId;
use model::unit::board::{RunEnd, RunNow};
use model::unit::machine::Finding;
use model::unit::spec::{Program, Unit};
use net::task::Tasks;
use supervise::backend::{Backend, Ended, Found, Instance, Launch, Refusal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::form_desk::FormDesk;
use super::output;
use super::task::Told;
use crate::looker::contained;

/// Longest wait for the answer whether something runs.
const ADOPT_WITHIN: Duration = Duration::from_secs(20);
/// Longest launch of a process: the kernel answers in milliseconds, a disk that is busy later.
const LAUNCH_WITHIN: Duration = Duration::from_secs(30);
/// Longest launch of a container: its image may have to be fetched.
const CREATE_WITHIN: Duration = Duration::from_secs(900);
/// Longest wait until it is under way that something ends.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for the last lines of a run; its end is told without them then.
const LINES_WITHIN: Duration = Duration::from_secs(2);
/// How long a launch may still take when StreamPulse ends.
const STOPPING: Duration = Duration::from_secs(2);
/// Pause before the end of a run is waited for anew, after waiting for it failed by a mistake of ours.
const WAIT_AGAIN: Duration = Duration::from_secs(1);

/// Who runs what.
#[derive(Clone)]
pub struct Backends {
    /// Processes of this machine.
    pub processes: Arc<dyn Backend>,
    /// Containers.
    pub containers: Arc<dyn Backend>,
}

/// A run that was begun or found.
#[derive(Clone)]
pub(super) struct Begun {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) now: RunNow,
    /// Whether it is the fallback of a container.
    pub(super) on_fallback: bool,
    /// Whether it is of another sort than the file says.
    pub(super) is_other: bool,
}

impl Begun {
    fn new(instance: Box<dyn Instance>, on_fallback: bool, is_other: bool) -> Self {
        let instance: Arc<dyn Instance> = Arc::from(instance);
        let now = RunNow { identity: instance.identity().clone(), started_at: instance.started_at() };
        Self { instance, now, on_fallback, is_other }
    }

    /// What runs, for people.
    pub(super) fn words(&self) -> String {
        let identity = &self.now.identity;
        let fallback =
            if self.on_fallback { " (in place of the container: no container engine can be reached)" } else { "" };
        match &identity.container {
            Some(id) => format!("container {}, process {}", id.get(..12).unwrap_or(id), identity.pid),
            None => format!("process {}{fallback}", identity.pid),
        }
    }
}

/// What came of a launch.
pub(super) enum Launched {
    Begun(Begun),
    Refused(Refusal),
    Unsure(String),
}

/// Does for one unit what its machine says.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) backends: Backends,
    pub(super) tasks: Tasks,
    pub(super) told: mpsc::Sender<Told>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) folder: PathBuf,
}

impl Runner {
    /// Finds out whether a unit runs.
    pub(super) fn adopt(&self, unit: Arc<Unit>) {
        let (own, id) = (self.clone(), unit.id.clone());
        let name = format!("adopt {id}");
        self.tasks.spawn(name, async move {
            let asked = own.unless_stopping(contained(own.clone().find(unit)));
            let (finding, begun) = match tokio::time::timeout(ADOPT_WITHIN, asked).await {
                Ok(Ok(Ok(found))) => own.finding(&id, found).await,
                Ok(Ok(Err(refusal))) => (Finding::Unclear(refusal.words), None),
                Ok(Err(panic)) => (Finding::Unclear(format!("asking failed: {panic}")), None),
                Err(_) => (Finding::Unclear(format!("no answer within {} s", ADOPT_WITHIN.as_secs())), None),
            };
            own.tell(Told::Adopted { id, finding, begun }).await;
        });
    }

    /// Asks everybody of whom it may be: a fallback, or what it was before its file changed, is a process.
    async fn find(self, unit: Arc<Unit>) -> Result<(Found, bool, bool), Refusal> {
        let launch = launch_of(&unit);
        let Program::Container(_) = &unit.program else {
            return Ok((self.backends.processes.adopt(&launch).await?, false, false));
        };
        let as_process = match &unit.fallback {
            Some(process) => Launch { program: Program::Process(process.clone()), ..launch.clone() },
            None => launch.clone(),
        };
        let has_fallback = unit.fallback.is_some();
        match self.backends.processes.adopt(&as_process).await? {
            Found::Nothing => {}
            found => return Ok((found, has_fallback, !has_fallback)),
        }
        match self.backends.containers.adopt(&launch).await {
            // Where there is no engine, none of its containers runs, and the fallback may.
            Err(refusal) if refusal.no_engine && has_fallback => Ok((Found::Nothing, false, false)),
            other => other.map(|found| (found, false, false)),
        }
    }

    async fn finding(&self, id: &UnitId, found: (Found, bool, bool)) -> (Finding, Option<Begun>) {
        let (found, on_fallback, is_other) = found;
        match found {
            Found::Nothing => (Finding::Nothing, None),
            Found::Ended(ended) => (Finding::Ended(self.end(id, ended).await), None),
            Found::Running(instance) => {
                let begun = Begun::new(instance, on_fallback, is_other);
                let ran = self.clock.utc().since(begun.now.started_at);
                (Finding::Running { what: begun.words(), ran, was_ready: false }, Some(begun))
            }
        }
    }

    /// The history has the end of the newest run: nobody need tell it again.
    pub(super) fn settle(&self, id: UnitId) {
        let backends = self.backends.clone();
        self.tasks.spawn(format!("settle {id}"), async move {
            let both = futures_util::future::join(backends.processes.settle(&id), backends.containers.settle(&id));
            let _later = tokio::time::timeout(STOP_WITHIN, both).await;
        });
    }

    /// Launches a unit.
    pub(super) fn launch(&self, unit: Arc<Unit>, form: Option<FormDesk>, run: u64) {
        let own = self.clone();
        let name = format!("launch {}", unit.id);
        self.tasks.spawn(name, async move {
            let id = unit.id.clone();
            let within = if matches!(unit.program, Program::Container(_)) { CREATE_WITHIN } else { LAUNCH_WITHIN };
            let started = own.unless_stopping(contained(own.clone().start(unit, form)));
            let outcome = match tokio::time::timeout(within, started).await {
                Ok(Ok(Ok(begun))) => Launched::Begun(begun),
                Ok(Ok(Err(refusal))) => Launched::Refused(refusal),
                Ok(Err(panic)) => Launched::Unsure(format!("the launch failed: {panic}")),
                Err(_) => Launched::Unsure(format!("no answer within {} s", within.as_secs())),
            };
            own.tell(Told::Launched { id, run, outcome }).await;
        });
    }

    async fn start(self, unit: Arc<Unit>, form: Option<FormDesk>) -> Result<Begun, Refusal> {
        let (unit, masks) = match form {
            Some(form) => form.fill(&unit).await?,
            None => (unit, Vec::new()),
        };
        let launch = Launch { masks, ..launch_of(&unit) };
        let Program::Container(_) = &unit.program else {
            return Ok(Begun::new(self.backends.processes.start(&launch).await?, false, false));
        };
        match (self.backends.containers.start(&launch).await, &unit.fallback) {
            (Err(refusal), Some(process)) if refusal.no_engine => {
                tracing::warn!(unit = %unit.id, "runs without a container: {refusal}");
                let launch = Launch { program: Program::Process(process.clone()), ..launch };
                Ok(Begun::new(self.backends.processes.start(&launch).await?, true, false))
            }
            (started, _) => Ok(Begun::new(started?, false, false)),
        }
    }

    /// Waits for the end of a run and tells it with its last lines.
    pub(super) fn wait(&self, id: UnitId, run: u64, instance: Arc<dyn Instance>, over: CancellationToken) {
        let own = self.clone();
        self.tasks.spawn(format!("end of {id}"), async move {
            let ended = loop {
                let waited = tokio::select! {
                    () = over.cancelled() => return,
                    waited = contained(instance.ended()) => waited,
                };
                match waited {
                    Ok(ended) => break ended,
                    Err(panic) => tracing::error!(unit = %id, "waiting for its end failed: {panic}"),
                }
                tokio::time::sleep(WAIT_AGAIN).await;
            };
            let end = own.end(&id, ended).await;
            own.tell(Told::Ended { id, run, end }).await;
        });
    }

    async fn end(&self, id: &UnitId, ended: Ended) -> RunEnd {
        let (folder, started_at) = (self.folder.join(id.as_str()), ended.started_at);
        let read = tokio::task::spawn_blocking(move || output::last_lines(&folder, started_at));
        let last_lines = match tokio::time::timeout(LINES_WITHIN, read).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(_)) | Err(_) => vec!["(the output could not be read)".to_owned()],
        };
        let ran = ended.at.since(ended.started_at);
        RunEnd {
            exit: ended.exit,
            at: ended.at,
            ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
            last_lines,
        }
    }

    /// Tells a run to end, or kills it.
    pub(super) fn end_run(&self, unit: &Arc<Unit>, run: u64, instance: Arc<dyn Instance>, kill: bool) {
        let (own, unit) = (self.clone(), Arc::clone(unit));
        self.tasks.spawn(format!("end {}", unit.id), async move {
            let told = contained(async { if kill { instance.kill().await } else { instance.stop(&unit.stop).await } });
            let words = match tokio::time::timeout(STOP_WITHIN, told).await {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(refusal))) => refusal.words,
                Ok(Err(panic)) => format!("telling it failed: {panic}"),
                Err(_) => format!("no answer within {} s", STOP_WITHIN.as_secs()),
            };
            own.tell(Told::StopRefused { id: unit.id.clone(), run, words }).await;
        });
    }

    /// Waits for an answer, but not much longer than StreamPulse runs: what became of it is found at the next start.
    async fn unless_stopping<T>(&self, answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let stopping = async {
            self.tasks.cancelled().cancelled().await;
            tokio::time::sleep(STOPPING).await;
        };
        tokio::select! {
            answer = answer => answer,
            () = stopping => Err("stopping".to_owned()),
        }
    }

    /// Tells the task; when it has ended, nobody wants to know.
    async fn tell(&self, told: Told) {
        let _ended = self.told.send(told).await;
    }
}

/// What is launched of a unit.
fn launch_of(unit: &Unit) -> Launch {
    Launch {
        id: unit.id.clone(),
        program: unit.program.clone(),
        stop: unit.stop.clone(),
        logs: unit.logs.clone(),
        masks: Vec::new(),
    }
}

/// Whether what was launched by one specification would be launched otherwise by another.
pub(super) fn is_launched_alike(a: &Unit, b: &Unit) -> bool {
    is_same_program(a, b) && a.stop == b.stop && a.logs == b.logs && a.form == b.form
}

/// Whether it is another program.
pub(super) fn is_same_program(a: &Unit, b: &Unit) -> bool {
    a.program == b.program && a.fallback == b.fallback
}

/// Whether the start checks of a run that was found had passed: when it was last known to run, this run had begun.
pub(super) fn was_ready(last: Option<(model::unit::State, UtcMs)>, started_at: UtcMs) -> bool {
    last.is_some_and(|(state, at)| state == model::unit::State::Running && at >= started_at)
}
