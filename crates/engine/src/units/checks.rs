//! Health checks of one run: a task for each, which asks on its interval and tells the task of units what it saw. Owns how each
//! source is asked, every time under a deadline; how many failures count is the machine's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::address::{Address, default_port};
use model::board::Board;
use model::fault::Fault;
use model::reading::Reading;
use model::status::Status;
use model::target::TargetId;
use model::time::{Clock, UtcMs};
use model::unit::UnitId;
use model::unit::spec::{HealthCheck, HealthSource};
use net::attempt::Attempt;
use net::http::{Method, Request};
use net::trust::TlsOptions;
use probe::commands::{Commands, Run};
use supervise::backend::Instance;
use supervise::folder::OUTPUT;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::output;
use super::task::Told;

/// Files that are asked at once when they were modified: a share that hangs holds this many threads and no more.
const FILES_AT_ONCE: usize = 16;
/// Commands that look at health at once.
const COMMANDS_AT_ONCE: usize = 8;
/// Shortest time from one check to the next.
const LEAST_EVERY: Duration = Duration::from_millis(200);

/// What all checks share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) commands: Arc<Commands>,
    pub(super) told: mpsc::Sender<Told>,
    files: Arc<Semaphore>,
    errands: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        board: watch::Receiver<Arc<Board>>,
        commands: Arc<Commands>,
        told: mpsc::Sender<Told>,
    ) -> Self {
        let (files, errands) = (Semaphore::new(FILES_AT_ONCE), Semaphore::new(COMMANDS_AT_ONCE));
        Self { clock, board, commands, told, files: Arc::new(files), errands: Arc::new(errands) }
    }
}

/// One check of one run.
pub(super) struct Checking {
    pub(super) shared: Shared,
    pub(super) id: UnitId,
    pub(super) run: u64,
    pub(super) index: usize,
    pub(super) rule: HealthCheck,
    pub(super) instance: Arc<dyn Instance>,
    /// Folder of the unit.
    pub(super) folder: PathBuf,
    pub(super) started_at: UtcMs,
}

impl Checking {
    /// Asks until the run is over.
    pub(super) async fn run(self, over: CancellationToken) {
        let mut tick = tokio::time::interval(self.rule.every.max(LEAST_EVERY));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await; // A run that has just begun says nothing yet.
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                _ = tick.tick() => {}
            }
            let asked = tokio::time::timeout(self.rule.timeout, self.ask());
            let result = tokio::select! {
                () = over.cancelled() => return,
                asked = asked => asked,
            };
            let result = match result {
                Ok(Some(result)) => result,
                Ok(None) => continue,
                Err(_) => Err(format!("no answer within {} ms", self.rule.timeout.as_millis())),
            };
            let result = result.map_err(|words| format!("{}: {words}", self.what()));
            let told = Told::Checked { id: self.id.clone(), run: self.run, check: self.index, result };
            if self.shared.told.send(told).await.is_err() {
                return;
            }
        }
    }

    /// What is asked, for people.
    fn what(&self) -> String {
        match &self.rule.what {
            HealthSource::Http(address) => address.to_string(),
            HealthSource::Tcp(peer) => peer.clone(),
            HealthSource::Exec(name) => format!("command {name}"),
            HealthSource::Heartbeat(path, _) => path.display().to_string(),
            HealthSource::Output(_) => "output".to_owned(),
            HealthSource::Target(id) => format!("target {id}"),
            HealthSource::Container => "container".to_owned(),
        }
    }

    /// Asks once; `None` where nothing can be said yet.
    async fn ask(&self) -> Option<Result<(), String>> {
        let (clock, within) = (&*self.shared.clock, self.rule.timeout);
        match &self.rule.what {
            HealthSource::Http(address) => Some(http(clock, address, within).await),
            HealthSource::Tcp(peer) => Some(tcp(clock, peer, within).await),
            HealthSource::Exec(name) => Some(self.exec(name).await),
            HealthSource::Heartbeat(path, within) => Some(self.age(path.clone(), *within, true).await),
            HealthSource::Output(within) => Some(self.age(self.folder.join(OUTPUT), *within, false).await),
            HealthSource::Target(id) => self.target(id),
            HealthSource::Container => {
                let healthy = self.instance.healthy().await?;
                Some(if healthy { Ok(()) } else { Err("the engine says that it is unhealthy".to_owned()) })
            }
        }
    }

    async fn exec(&self, name: &str) -> Result<(), String> {
        let Ok(_place) = self.shared.errands.acquire().await else { return Err("stopping".to_owned()) };
        let run = Run { name, args: &[], secrets: &[], env: &[], input: &[], limit: self.rule.timeout };
        self.shared.commands.run(&run, &*self.shared.clock).await.map_err(|fault| fault.to_string())
    }

    /// Whether a file was modified lately. What it was before this run began says nothing of it.
    async fn age(&self, path: PathBuf, within: Duration, is_heartbeat: bool) -> Result<(), String> {
        let Ok(place) = Arc::clone(&self.shared.files).acquire_owned().await else { return Err("stopping".to_owned()) };
        let read = tokio::task::spawn_blocking(move || {
            let _place = place; // Given back when the disk has answered, also when nobody waits any more.
            output::modified(&path)
        });
        let modified = read.await.unwrap_or_else(|_| Err(std::io::Error::other("the question failed")));
        if is_heartbeat && let Ok(at) = modified {
            let _ended = self.shared.told.send(Told::Heartbeat { id: self.id.clone(), at }).await;
        }
        let since = modified.as_ref().map_or(self.started_at, |at| (*at).max(self.started_at));
        let age = self.shared.clock.utc().since(since);
        match modified {
            _ if age <= within => Ok(()),
            Ok(_) => Err(format!("nothing for {} s, allowed are {} s", age.as_secs(), within.as_secs())),
            Err(error) => Err(format!("{error}, {} s after the start", age.as_secs())),
        }
    }

    /// A target that was not looked at since this run began says nothing of it.
    fn target(&self, id: &TargetId) -> Option<Result<(), String>> {
        let board = self.shared.board.borrow();
        let Some(target) = board.get(id) else { return Some(Err("there is no such target".to_owned())) };
        let seen = target.last.as_ref().map(|seen| seen.at).or(target.session.as_ref().map(|_| target.state.since))?;
        if seen < self.started_at {
            return None;
        }
        match target.state.status {
            Status::Down => Some(Err(format!("down: {}", target.state.reason))),
            Status::Up | Status::Degraded => Some(Ok(())),
            Status::Unknown | Status::Paused | Status::Maintenance => None,
        }
    }
}

/// Whether HTTP answers with a status below 400.
pub(super) async fn http(clock: &dyn Clock, address: &Address, within: Duration) -> Result<(), String> {
    let mut attempt = Attempt::new(clock, within);
    let request = Request::new(Method::GET, address.clone());
    let tls = (address.scheme() == "https").then(TlsOptions::default);
    match net::http::send(&mut attempt, &request, tls.as_ref(), &mut Reading::default()).await {
        Ok(reply) if reply.status < 400 => Ok(()),
        Ok(reply) => Err(format!("answered with status {}", reply.status)),
        Err(fault) => Err(words(&fault)),
    }
}

/// Whether a TCP port accepts.
pub(super) async fn tcp(clock: &dyn Clock, peer: &str, within: Duration) -> Result<(), String> {
    let address = Address::parse(&format!("tcp://{peer}"))?;
    if address.port().or(default_port(address.scheme())).is_none() {
        return Err(format!("{peer} names no port"));
    }
    let mut attempt = Attempt::new(clock, within);
    let mut reading = Reading::default();
    let opened = net::dial::connect(&mut attempt, &address, None, &mut reading).await;
    opened.map(drop).map_err(|fault| words(&fault))
}

fn words(fault: &Fault) -> String {
    fault.to_string()
}
