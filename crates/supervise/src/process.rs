//! Processes of this machine, each behind a shim: launching, finding again what runs since before us, ending and measuring.
//!
//! A lock file is held from before the shim begins until it has ended, so that two of us cannot run one unit twice. Nothing is
//! signalled by its number alone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::time::UtcMs;
use model::unit::board::Usage;
use model::unit::spec::{Process, Program, Stop};
use model::unit::{Exit, Identity, UnitId};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use crate::backend::{Backend, BoxFuture, Ended, Found, Instance, Launch, Refusal};
use crate::moment::now_ms;
use crate::record::{self, ExitRecord, LaunchRecord, Report, RunRecord};
use crate::sweep::sweep;
use crate::tree::{Scans, Spent, measure};
use crate::{folder, proc, shim};

/// Environment variable by which processes of a unit are known; its value is the unit's folder.
pub const MARK: &str = "STREAMPULSE_UNIT";
/// Longest wait for what the shim says of the launch.
const LAUNCHED_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a shim that another one of us had just begun.
const BEGUN_WITHIN: Duration = Duration::from_secs(10);
/// From one look at such a shim to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest report of a shim, in bytes.
const REPORT_BYTES: u64 = 64 * 1024;

/// Runs processes.
pub struct Processes {
    /// The program whose first argument can be [`shim::WORD`].
    shim: PathBuf,
    /// Folder in which every unit has one of its id.
    folder: PathBuf,
    scans: Arc<Scans>,
}

/// A unit's folder is locked, or by whom it is.
enum Lock {
    Ours(File),
    Held,
}

impl Processes {
    /// Runs units whose folders are in `folder`, behind shims that are `shim` (this program).
    #[must_use]
    pub fn new(shim: PathBuf, folder: PathBuf) -> Self {
        Self { shim, folder, scans: Arc::default() }
    }

    fn folder_of(&self, id: &UnitId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    async fn launch(&self, launch: &Launch) -> Result<Box<dyn Instance>, Refusal> {
        let Program::Process(process) = &launch.program else {
            return Err(lasting("a container cannot be run as a process"));
        };
        let folder = self.folder_of(&launch.id);
        let lock = match prepare(folder.clone(), launch.clone(), process.clone()).await? {
            Lock::Ours(lock) => lock,
            Lock::Held => {
                // Somebody began it a moment ago: another one of us that was killed, or a shim that is about to end.
                return match self.find(&launch.id).await? {
                    Found::Running(instance) => Ok(instance),
                    _ => Err(passing("another shim holds its lock and says nothing of a run")),
                };
            }
        };
        let mut command = Command::new(&self.shim);
        command.arg(shim::WORD).arg(&folder).env_clear().current_dir("/");
        command.stdin(Stdio::from(lock)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| passing(format!("{} cannot be started: {error}", self.shim.display())))?;
        drop(command); // and with it our hold of the lock
        let mut text = Vec::new();
        let said = child.stdout.take();
        let reading = async {
            if let Some(said) = said {
                let _ = said.take(REPORT_BYTES).read_to_end(&mut text).await;
            }
        };
        if tokio::time::timeout(LAUNCHED_WITHIN, reading).await.is_err() {
            let _ = child.kill().await;
            let words = format!("the program did not begin within {} s", LAUNCHED_WITHIN.as_secs());
            return Err(passing(words));
        }
        match serde_json::from_slice::<Report>(&text) {
            Ok(Report::Run(run)) => Ok(Box::new(self.running(run, folder, Some(child))?)),
            Ok(Report::Refused { passing, words }) => {
                let _ = child.wait().await;
                Err(Refusal { passing, no_engine: false, words })
            }
            Err(_) => {
                let _ = child.kill().await;
                Err(passing("the shim ended without a word"))
            }
        }
    }

    fn running(&self, run: RunRecord, folder: PathBuf, child: Option<Child>) -> Result<Run, Refusal> {
        let failed = |error: io::Error| passing(format!("the shim cannot be watched: {error}"));
        let pid = i32::try_from(run.shim_pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| lasting("the shim's number is none"))?;
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; what the warning fears cannot be: the handle is closed with this"
        )]
        let handle = AsyncFd::new(handle).map_err(failed)?;
        let identity =
            Identity { pid: run.pid, start_ticks: run.start_ticks, boot_id: run.boot_id.clone(), container: None };
        let scans = Arc::clone(&self.scans);
        Ok(Run { identity, record: run, folder, handle, child: Mutex::new(child), scans, spent: Mutex::default() })
    }

    async fn find(&self, id: &UnitId) -> Result<Found, Refusal> {
        let folder = self.folder_of(id);
        let until = tokio::time::Instant::now() + BEGUN_WITHIN;
        loop {
            let there = folder.clone();
            let seen = blocking(move || see(&there)).await??;
            match seen {
                Seen::Nothing => return Ok(Found::Nothing),
                Seen::Ended(ended) => return Ok(Found::Ended(ended)),
                Seen::Running(run) => {
                    let running = self.running(run.clone(), folder.clone(), None);
                    // The handle is of whoever has the number now; only then is it asked who that is.
                    if proc::is(run.shim_pid, run.shim_start_ticks) {
                        return Ok(Found::Running(Box::new(running?)));
                    }
                }
                Seen::Begins => {}
            }
            if tokio::time::Instant::now() >= until {
                return Err(passing("a shim holds the unit's lock and says nothing of a run"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Makes the folder, takes the lock and writes down what is to be launched.
async fn prepare(folder: PathBuf, launch: Launch, process: Process) -> Result<Lock, Refusal> {
    blocking(move || {
        let failed = |error: io::Error| Refusal {
            passing: true,
            no_engine: false,
            words: format!("its folder {} cannot be written: {error}", folder.display()),
        };
        folder::make(&folder).map_err(failed)?;
        let Some(lock) = lock(&folder).map_err(failed)? else { return Ok(Lock::Held) };
        nothing_is_left(&folder)?;
        let record = LaunchRecord::of(&launch, &process, &folder);
        record::write(&folder, folder::LAUNCH, &record).map_err(failed)?;
        Ok(Lock::Ours(lock))
    })
    .await?
}

/// Whoever launches has the lock, so that no shim lives; but one that was killed may have left processes behind.
fn nothing_is_left(folder: &Path) -> Result<(), Refusal> {
    let Some(run) = record::read::<RunRecord>(folder, folder::RUN) else { return Ok(()) };
    let exit = record::read::<ExitRecord>(folder, folder::EXIT).filter(|exit| exit.started_at_ms == run.started_at_ms);
    // A shim records the end when everything is gone; one that nobody saw says nothing of the rest.
    if exit.is_some_and(|exit| exit.exit() != Exit::Unseen) {
        return Ok(());
    }
    match sweep(&run, &folder.to_string_lossy()) {
        0 => Ok(()),
        left => Err(passing(format!(
            "{left} processes of its last run do not end, not even when killed: they wait for a disk or a device"
        ))),
    }
}

/// Takes a unit's lock; `None` when somebody else holds it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(folder::LOCK);
    let file = folder::private(&path).write(true).create(true).truncate(false).open(&path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file))
}

/// What a unit's folder and the kernel say of it.
enum Seen {
    Nothing,
    /// Its lock is held, and nothing is said of a run.
    Begins,
    Running(RunRecord),
    Ended(Ended),
}

/// Looks at what became of a unit. Whatever a shim that is gone left behind is killed first.
fn see(folder: &Path) -> Result<Seen, Refusal> {
    if !folder.exists() {
        return Ok(Seen::Nothing);
    }
    let run: Option<RunRecord> = record::read(folder, folder::RUN);
    let is_alive = |run: &RunRecord| run.boot_id == proc::boot_id() && proc::is(run.shim_pid, run.shim_start_ticks);
    if let Some(run) = run.clone().filter(is_alive) {
        return Ok(Seen::Running(run));
    }
    let held = lock(folder).map_err(|error| passing(format!("its lock cannot be looked at: {error}")))?;
    let Some(_ours) = held else { return Ok(Seen::Begins) };
    // Left by one of us that was killed before its shim had read it; it holds secrets.
    folder::remove(&folder.join(folder::LAUNCH))
        .map_err(|error| passing(format!("what was to be launched cannot be removed: {error}")))?;
    let Some(run) = run else { return Ok(Seen::Nothing) };
    Ok(end_of(folder, &run).map_or(Seen::Nothing, Seen::Ended))
}

/// How a run ended whose shim is gone; `None` when that was told before.
fn end_of(folder: &Path, run: &RunRecord) -> Option<Ended> {
    let recorded: Option<ExitRecord> = record::read(folder, folder::EXIT);
    let exit = recorded.filter(|exit| exit.started_at_ms == run.started_at_ms).unwrap_or_else(|| {
        let left = sweep(run, &folder.to_string_lossy());
        if left > 0 {
            tracing::error!(unit = %run.id, left, "processes of a unit whose shim is gone cannot be killed");
        }
        let exit = ExitRecord {
            started_at_ms: run.started_at_ms,
            at_ms: now_ms(),
            code: None,
            signal: None,
            out_of_memory: false,
            told: false,
        };
        if let Err(error) = record::write(folder, folder::EXIT, &exit) {
            tracing::warn!(unit = %run.id, %error, "the end of a run could not be recorded");
        }
        exit
    });
    (!exit.told).then(|| ended(&exit))
}

fn ended(exit: &ExitRecord) -> Ended {
    Ended { exit: exit.exit(), at: UtcMs(exit.at_ms), started_at: UtcMs(exit.started_at_ms) }
}

impl Backend for Processes {
    fn start<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Box<dyn Instance>, Refusal>> {
        Box::pin(self.launch(launch))
    }

    fn adopt<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Found, Refusal>> {
        Box::pin(self.find(&launch.id))
    }

    fn settle<'a>(&'a self, id: &'a UnitId) -> BoxFuture<'a, ()> {
        let folder = self.folder_of(id);
        Box::pin(async move {
            let settled = blocking(move || {
                let Some(exit) = record::read::<ExitRecord>(&folder, folder::EXIT).filter(|exit| !exit.told) else {
                    return;
                };
                let _ = record::write(&folder, folder::EXIT, &ExitRecord { told: true, ..exit });
            });
            let _ = settled.await;
        })
    }
}

/// A process behind its shim.
struct Run {
    identity: Identity,
    record: RunRecord,
    folder: PathBuf,
    /// Of the shim; readable once it has ended.
    handle: AsyncFd<OwnedFd>,
    /// Waited for so that it leaves no zombie, where it is ours; the runtime waits for it when this is dropped.
    child: Mutex<Option<Child>>,
    scans: Arc<Scans>,
    spent: Mutex<Option<Spent>>,
}

impl Run {
    fn tell(&self, signal: Signal) -> Result<(), Refusal> {
        match pidfd_send_signal(self.handle.as_fd(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(passing(format!("its shim (process {}) cannot be told: {error}", self.record.shim_pid))),
        }
    }
}

impl Instance for Run {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn started_at(&self) -> UtcMs {
        UtcMs(self.record.started_at_ms)
    }

    fn ended(&self) -> BoxFuture<'_, Ended> {
        Box::pin(async move {
            // It stays readable once the shim has ended; nothing is read from it.
            let _ = self.handle.readable().await;
            if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                let _ = child.try_wait();
            }
            let (folder, run) = (self.folder.clone(), self.record.clone());
            let end = blocking(move || {
                // Told or not: who asks here wants to know.
                let recorded: Option<ExitRecord> = record::read(&folder, folder::EXIT);
                if let Some(exit) = recorded.filter(|exit| exit.started_at_ms == run.started_at_ms) {
                    return Some(ended(&exit));
                }
                // Whoever launched it anew has looked after what this run left.
                let is_newest = record::read::<RunRecord>(&folder, folder::RUN).as_ref() == Some(&run);
                let _ours = lock(&folder).ok().flatten().filter(|_| is_newest)?;
                end_of(&folder, &run)
            });
            let unseen = Ended { exit: Exit::Unseen, at: UtcMs(now_ms()), started_at: self.started_at() };
            end.await.ok().flatten().filter(|end| end.started_at == unseen.started_at).unwrap_or(unseen)
        })
    }

    fn stop(&self, _rule: &Stop) -> BoxFuture<'_, Result<(), Refusal>> {
        // The shim knows the rule, so that it keeps it when we are gone.
        Box::pin(std::future::ready(self.tell(Signal::TERM)))
    }

    fn kill(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(self.tell(Signal::USR1)))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Refusal>> {
        Box::pin(async move {
            let before = self.spent.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (scans, shim, ticks) = (Arc::clone(&self.scans), self.record.shim_pid, self.record.shim_start_ticks);
            let measured = blocking(move || measure(shim, ticks, &scans, before)).await?;
            let (usage, spent) = measured.ok_or_else(|| passing("it has just ended"))?;
            *self.spent.lock().unwrap_or_else(PoisonError::into_inner) = Some(spent);
            Ok(usage)
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| passing("the process is ending"))
}

fn passing(words: impl Into<String>) -> Refusal {
    Refusal { passing: true, no_engine: false, words: words.into() }
}

fn lasting(words: impl Into<String>) -> Refusal {
    Refusal { passing: false, ..passing(words) }
}
