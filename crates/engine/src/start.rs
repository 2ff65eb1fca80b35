//! Starting and stopping the engine, in order and in the reverse order. Owns the wiring; decides nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use model::status::StatusState;
use model::target::TargetId;
use model::time::Clock;
use model::verdict::Grade;
use net::task::Tasks;
use probe::gear::Gear;
use probe::push::Inbox;
use sink::registry::Registry;
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alerts::{self, Around};
use crate::config::{self, Config, ConfigFile, Overrides};
use crate::desk::{DESK_QUEUE, Desk, Rules, new_config};
use crate::handle::{Handle, Parts};
use crate::input::{Kept, StoreNow};
use crate::looker::{Looker, Probes};
use crate::notify::{Outbox, PostOffice};
use crate::previews::{Lens, Previews};
use crate::pushes::{Pushes, courier};
use crate::services::{self, ServicesWatch};
use crate::shell::{Ask, Ends, Shell};
use crate::units::{self, Backends, Counter, Counts};

/// How often the store is asked how it is.
const STORE_CHECK: Duration = Duration::from_secs(1);

/// Looks up an environment variable by name.
pub type EnvFn = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the engine needs to start.
pub struct Start {
    /// The configuration.
    pub config_file: ConfigFile,
    /// The history, opened.
    pub store: Store,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
    /// Looks up an environment variable.
    pub env: EnvFn,
    /// What the command line says.
    pub overrides: Overrides,
    /// Where it is said how channels are.
    pub sinks: Registry,
    /// What is run; `None` runs nothing.
    pub supervision: Option<Supervision>,
}

/// What is run, and who runs it.
pub struct Supervision {
    /// What is run in place of what the file of services says.
    pub units: Option<watch::Receiver<Arc<config::Services>>>,
    /// Folder in which every unit has one of its id.
    pub folder: PathBuf,
    /// Who runs them.
    pub backends: Backends,
    /// Who counts their queues, in place of the engine's own way.
    pub counter: Option<Arc<dyn Counter>>,
}

/// A running engine.
pub struct Engine {
    /// Loop, desk, store check.
    tasks: Tasks,
    /// One task per look.
    looks: Tasks,
    asks: mpsc::Sender<Ask>,
    store: Store,
}

impl Engine {
    /// Reads the configuration and the history, and begins to watch. Comes back when the first Board shows every target;
    /// no look is waited for.
    ///
    /// # Errors
    /// When the configuration cannot be read or has problems: all of them, one per line.
    pub async fn start(start: Start) -> anyhow::Result<(Self, Handle, Config)> {
        let gear = Gear::new(start.overrides.commands.clone().unwrap_or_default());
        let inbox = Arc::clone(&gear.inbox);
        let looker = Arc::new(Probes::new(Arc::clone(&start.clock), gear));
        Self::begin(start, looker, inbox).await
    }

    /// The same with another way to look.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_with(start: Start, looker: Arc<dyn Looker>) -> anyhow::Result<(Self, Handle, Config)> {
        Self::begin(start, looker, Arc::default()).await
    }

    async fn begin(start: Start, looker: Arc<dyn Looker>, inbox: Arc<Inbox>) -> anyhow::Result<(Self, Handle, Config)> {
        let Start { config_file, store, clock, env, overrides, sinks, supervision } = start;
        let commands = overrides.commands.clone().unwrap_or_default();
        let rules = Rules { env, overrides };
        let (config, hash) = load(&config_file, &rules).await?;
        let (services, services_hash) = services::first(&rules).await?;
        let kept = restore(&store, &*clock).await;
        recall(&inbox, &kept, &*clock);

        let (tasks, looks) = (Tasks::new(), Tasks::new());
        let (shell, ends) = Shell::new(Arc::clone(&clock), store.clone(), Arc::clone(&looker), looks.clone(), kept);
        tasks.spawn("engine", shell.run());
        let (told, applied) = oneshot::channel();
        let first = Ask::Config(Box::new(new_config(&config, hash.clone())), told);
        ends.asks.send(first).await.ok().context("the engine ended before it began")?;
        applied.await.context("the engine ended before its first board")?;

        let started = Arc::new(config.clone());
        let (told_settings, settings) = watch::channel(Arc::clone(&started));
        let (desk_tx, desk_rx) = mpsc::channel(DESK_QUEUE);
        let desk = Desk::new(
            config_file,
            rules.clone(),
            Arc::clone(&clock),
            ends.asks.clone(),
            config.clone(),
            hash,
            told_settings,
        );
        tasks.spawn("configuration desk", desk.run(desk_rx, tasks.cancelled()));
        let (told_services, services) = watch::channel(Arc::new(services));
        if let Some(file) = rules.overrides.services.clone() {
            let (rules, clock, settings) = (rules.clone(), Arc::clone(&clock), settings.clone());
            let told = (told_services, services_hash);
            let watch = ServicesWatch::new(file, rules, clock, ends.asks.clone(), settings, told);
            tasks.spawn("services file", watch.run(tasks.cancelled()));
        }
        let courier = courier(Arc::clone(&inbox), ends.asks.clone(), Arc::clone(&clock), tasks.cancelled());
        tasks.spawn("calls", courier);
        tasks.spawn("store check", check_store(store.clone(), ends.asks.clone(), tasks.clone()));

        let outbox =
            Outbox::new(store.clone(), Arc::clone(&clock), sinks.clone(), settings.clone(), Arc::clone(&commands));
        tasks.spawn("outbox", PostOffice::new(outbox.clone(), tasks.clone()).run());

        let Ends { asks, board, events } = ends;
        let running = supervision.map(|supervision| {
            let (front, backstage) = units::front(supervision.folder);
            let around = units::Around {
                store: store.clone(),
                clock: Arc::clone(&clock),
                engine: asks.clone(),
                board: board.clone(),
                events: events.clone(),
                counter: supervision.counter.or_else(|| Some(Counts::shared(&commands, &clock))),
                commands,
                services: supervision.units.unwrap_or(services),
                backends: supervision.backends,
                tasks: tasks.clone(),
            };
            tasks.spawn("services", units::task(around, &front, backstage, tasks.cancelled()));
            front
        });
        let units = running.unwrap_or_else(crate::units::none);
        let around = Around {
            post: Arc::new(outbox.clone()),
            store: store.clone(),
            clock: Arc::clone(&clock),
            registry: sinks,
            engine: asks.clone(),
            board: board.clone(),
            settings: settings.clone(),
            units: units.board(),
        };
        let (task, alerts) = alerts::task(around, tasks.cancelled());
        tasks.spawn("alerts", task);
        let engine = Self { tasks, looks: looks.clone(), asks: asks.clone(), store: store.clone() };
        let camera = Arc::new(Lens::new(Arc::clone(&clock)));
        let previews = Previews::new(camera, Arc::clone(&clock), looks.clone());
        let handle = Handle::new(Parts {
            asks,
            board,
            events,
            desk: desk_tx,
            store,
            clock,
            looker,
            rules,
            started,
            settings,
            looks,
            previews,
            pushes: Pushes::new(inbox),
            outbox,
            alerts,
            units,
        });
        Ok((engine, handle, config))
    }

    /// Takes no more work, cancels what is under way and waits for it, ends the tasks, and writes what is left of the
    /// history; all of it within `grace`. What has not ended then is dropped.
    pub async fn stop(self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
        let (told, over) = oneshot::channel();
        let asked = tokio::time::timeout_at(deadline, self.asks.send(Ask::Stop(told))).await;
        if matches!(asked, Ok(Ok(()))) && tokio::time::timeout_at(deadline, over).await.is_err() {
            tracing::warn!("looks did not end within the grace period");
        }
        if !self.tasks.stop(left()).await {
            tracing::warn!("tasks of the engine were dropped");
        }
        self.looks.stop(left()).await;
        let (store, rest) = (self.store, left());
        let flushed = tokio::task::spawn_blocking(move || store.flush(rest)).await;
        if !matches!(flushed, Ok(true)) {
            tracing::warn!("the newest rows of history were not written within the grace period");
        }
    }
}

async fn load(file: &ConfigFile, rules: &Rules) -> anyhow::Result<(Config, String)> {
    let (file, rules) = (file.clone(), rules.clone());
    let read = tokio::task::spawn_blocking(move || {
        let (text, hash) = file.read().map_err(|problem| vec![problem])?;
        rules.load(&text).map(|config| (config, hash))
    });
    read.await.context("the configuration could not be checked")?.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// Calls that came before this process count for those who wait for calls.
fn recall(inbox: &Inbox, kept: &BTreeMap<TargetId, Kept>, clock: &dyn Clock) {
    for (seen, verdict) in kept.values().filter_map(|kept| kept.last.as_ref()) {
        inbox.restore(seen, verdict.grade == Grade::Warn, clock.mono());
    }
}

/// What the history knows; nothing when it cannot be read, which its health tells.
async fn restore(store: &Store, clock: &dyn Clock) -> BTreeMap<TargetId, Kept> {
    let store = store.clone();
    let read = tokio::task::spawn_blocking(move || {
        let prints: BTreeMap<TargetId, String> =
            store.identities()?.into_iter().map(|i| (i.id, i.fingerprint)).collect();
        Ok::<_, store::StoreError>((store.restore()?, prints))
    });
    let (restored, mut prints) = match read.await {
        Ok(Ok(known)) => known,
        Ok(Err(e)) => {
            tracing::warn!("what was known before is not: {e}");
            return BTreeMap::new();
        }
        Err(e) => {
            tracing::error!("reading the history panicked: {e}");
            return BTreeMap::new();
        }
    };
    let now = clock.utc();
    let kept = restored.into_iter().map(|r| {
        let mut state = StatusState::unknown(now);
        if let Some(change) = r.last_change {
            (state.status, state.since, state.reason) = (change.to, change.at, change.reason);
        }
        let kept = Kept {
            name: r.name,
            fingerprint: prints.remove(&r.id).unwrap_or_default(),
            retired: r.retired_at.is_some(),
            state,
            blind: true,
            paused: r.paused,
            beats: r.beats,
            incident: r.incident,
            last: r.last.map(|(seen, verdict)| (Arc::new(seen), Arc::new(verdict))),
        };
        (r.id, kept)
    });
    kept.collect()
}

/// Tells the engine how the store is, whenever that changed.
async fn check_store(store: Store, asks: mpsc::Sender<Ask>, tasks: Tasks) {
    let cancelled = tasks.cancelled();
    let mut told = None;
    loop {
        let store = store.clone();
        let Ok(health) = tokio::task::spawn_blocking(move || store.health()).await else { return };
        let says = StoreNow { ok: health.ok, reason: health.reason, lost_rows: health.lost_rows };
        if told.as_ref() != Some(&says) {
            told = Some(says.clone());
            if asks.send(Ask::Store(says)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = tokio::time::sleep(STORE_CHECK) => {}
        }
    }
}

#[cfg(test)]
mod tests;
