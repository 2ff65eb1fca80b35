//! A container that runs, or ran: its end, stopping it, what it uses. Owns knowing one run of it from the next; starts none.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::time::{Clock, UtcMs};
use model::unit::board::Usage;
use model::unit::spec::Stop;
use model::unit::{Exit, Identity};
use net::task::Tasks;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::{Inspect, exit_of};
use super::engine::{self, Engine, Places};
use super::follow::Follower;
use super::local;
use super::stats::Sample;
use super::trouble::Trouble;
use crate::backend::{BoxFuture, Ended, Instance, Refusal};
use crate::proc;

/// From one asking to the next while an engine is away: the first pause and the longest.
const AWAY_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How long an engine may be away, with the process gone, until its end counts as unseen. A restart of an engine takes seconds.
const AWAY_FOR: Duration = Duration::from_secs(60);
/// The wait is begun anew after this time: an engine that hangs is found so.
const WAIT_ANEW: Duration = Duration::from_secs(60);
/// How long a refusal to stop is waited for; after it, stopping is under way.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// How long the log may take to come whole after the end.
pub(super) const LOG_WITHIN: Duration = Duration::from_secs(5);

/// What runs of containers share.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) places: Arc<Places>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
}

/// One run of a container.
pub(super) struct Contained {
    means: Means,
    engine: Arc<Mutex<Engine>>,
    socket: Option<PathBuf>,
    id: String,
    identity: Identity,
    started_at: UtcMs,
    /// Its start in the engine's words: two runs never share it.
    began: String,
    stop_signal: String,
    limit: Option<u64>,
    before: Mutex<Option<Sample>>,
    log: Follower,
}

/// What is known of a run besides what the engine tells.
pub(super) struct Of {
    pub(super) engine: Arc<Mutex<Engine>>,
    pub(super) socket: Option<PathBuf>,
    pub(super) log: Follower,
}

/// The identity of a run.
pub(super) fn identity(seen: &Inspect) -> Identity {
    let pid = seen.pid();
    Identity {
        pid: pid.unwrap_or(0),
        start_ticks: pid.and_then(|pid| local::start_ticks(pid, &seen.id)).unwrap_or(0),
        boot_id: proc::boot_id(),
        container: Some(seen.id.clone()),
    }
}

impl Contained {
    pub(super) fn new(means: Means, seen: &Inspect, of: Of) -> Self {
        let now = means.clock.utc();
        Self {
            means,
            engine: of.engine,
            socket: of.socket,
            id: seen.id.clone(),
            identity: identity(seen),
            started_at: seen.started_at().unwrap_or(now),
            began: seen.state.started_at.clone(),
            stop_signal: seen.stop_signal(),
            limit: u64::try_from(seen.host_config.memory).ok().filter(|bytes| *bytes > 0),
            before: Mutex::default(),
            log: of.log,
        }
    }

    fn engine(&self) -> Engine {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for the engine again: it may have another version, or be reached in another way.
    async fn find_again(&self) {
        if let Ok(found) = engine::find(&self.means.places, self.socket.as_deref()).await {
            *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    async fn until_ended(&self) -> Ended {
        let (mut lost, mut away) = (false, None);
        let mut pause = AWAY_PAUSES.0;
        loop {
            let engine = self.engine();
            let waited = match tokio::time::timeout(WAIT_ANEW, engine.wait(&self.id)).await {
                Ok(Ok(code)) => Some(code),
                Ok(Err(_)) | Err(_) => None,
            };
            match engine.inspect(&self.id).await {
                Ok(Some(seen)) if seen.state.running && seen.state.started_at == self.began => {
                    away = None;
                    if waited.is_none() {
                        continue;
                    }
                }
                Ok(Some(seen)) => return self.end_of(&seen, waited, lost),
                // A container that removes itself.
                Ok(None) => return self.end(waited.map_or(Exit::Unseen, |code| exit_of(code, false)), None),
                Err(_) => {
                    lost = true;
                    let since = *away.get_or_insert_with(Instant::now);
                    if since.elapsed() > AWAY_FOR && self.is_gone() {
                        return self.end(Exit::Unseen, None);
                    }
                    self.find_again().await;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AWAY_PAUSES.1);
        }
    }

    /// Whether this machine shows that the process is gone.
    fn is_gone(&self) -> bool {
        self.identity.start_ticks > 0 && !proc::is(self.identity.pid, self.identity.start_ticks)
    }

    fn end_of(&self, seen: &Inspect, waited: Option<i64>, lost: bool) -> Ended {
        if seen.state.started_at == self.began {
            return self.end(seen.exit(lost), seen.finished_at());
        }
        // Somebody started it again before we could look.
        self.end(waited.map_or(Exit::Unseen, |code| exit_of(code, false)), None)
    }

    fn end(&self, exit: Exit, at: Option<UtcMs>) -> Ended {
        let at = at.filter(|at| *at >= self.started_at).unwrap_or_else(|| self.means.clock.utc());
        Ended { exit, at, started_at: self.started_at }
    }

    async fn measured(&self) -> Result<Usage, Refusal> {
        let engine = self.engine();
        let refused = |trouble: Trouble| trouble.refusal("what the container uses cannot be measured");
        let sample = engine.stats(&self.id).await.map_err(refused)?;
        let local = (self.identity.start_ticks > 0).then(|| local::processes(self.identity.pid, &self.id)).flatten();
        let pids = local.as_deref();
        let memory = sample.memory.or_else(|| pids.map(local::resident).filter(|bytes| *bytes > 0));
        let Some(memory_bytes) = memory else {
            return Err(refused(Trouble::Odd("it tells no memory; the container may have ended".to_owned())));
        };
        let processes = match pids {
            Some(pids) => u32::try_from(pids.len()).unwrap_or(u32::MAX),
            None => engine.processes(&self.id).await.map_err(refused)?,
        };
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let cpu_percent = match before.as_ref() {
            Some(before) => sample.cpu_since(before),
            None => sample.cpu_percent,
        };
        let usage = Usage {
            at: self.means.clock.utc(),
            cpu_percent,
            memory_bytes,
            memory_limit: self.limit,
            read_bytes: sample.read_bytes,
            written_bytes: sample.written_bytes,
            threads: sample.pids.unwrap_or(processes),
            descriptors: pids.and_then(local::descriptors),
            processes,
        };
        *before = Some(sample);
        Ok(usage)
    }

    /// Has it ended in a task of its own: the engine answers when it has.
    async fn begin_stop(&self, rule: &Stop) -> Result<(), Refusal> {
        let (engine, id, rule) = (self.engine(), self.id.clone(), rule.clone());
        // An engine that takes no signal begins with the container's own.
        let plain = engine.stop_takes_signal() || self.stop_signal == rule.signal;
        let (tell, told) = oneshot::channel();
        self.means.tasks.spawn("container stop", async move {
            let result = if plain {
                engine.stop(&id, rule.signal, rule.grace).await
            } else {
                stop_by_hand(&engine, &id, &rule).await
            };
            // Nobody listens any more when it took its time.
            let _ = tell.send(result);
        });
        match tokio::time::timeout(UNDER_WAY, told).await {
            Ok(Ok(Err(Trouble::Said { status: 404, .. }))) => Ok(()),
            Ok(Ok(Err(trouble))) => Err(trouble.refusal("the container cannot be stopped")),
            _ => Ok(()),
        }
    }
}

/// Signal, grace, kill, one by one. This goes on only while we live; the engine's own way does without us.
async fn stop_by_hand(engine: &Engine, id: &str, rule: &Stop) -> Result<(), Trouble> {
    engine.kill(id, rule.signal).await?;
    if let Ok(Ok(_)) = tokio::time::timeout(rule.grace, engine.wait(id)).await {
        return Ok(());
    }
    engine.kill(id, "KILL").await
}

impl Instance for Contained {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn started_at(&self) -> UtcMs {
        self.started_at
    }

    fn ended(&self) -> BoxFuture<'_, Ended> {
        Box::pin(async {
            let ended = self.until_ended().await;
            self.log.finish(LOG_WITHIN).await;
            ended
        })
    }

    fn stop(&self, rule: &Stop) -> BoxFuture<'_, Result<(), Refusal>> {
        let rule = rule.clone();
        Box::pin(async move { self.begin_stop(&rule).await })
    }

    fn kill(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async {
            let killed = self.engine().kill(&self.id, "KILL").await;
            killed.map_err(|trouble| trouble.refusal("the container cannot be killed"))
        })
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Refusal>> {
        Box::pin(self.measured())
    }

    fn healthy(&self) -> BoxFuture<'_, Option<bool>> {
        Box::pin(async { self.engine().inspect(&self.id).await.ok().flatten()?.healthy() })
    }
}
