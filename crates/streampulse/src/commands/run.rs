//! `streampulse run`: starts everything in order, waits for a signal, and stops everything in the reverse order.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::config::{Config, ConfigFile, Overrides, ServicesFile, check_files, default_text, load};
use engine::{Engine, Handle, Start};
use model::time::Clock;
use net::clock::SystemClock;
use net::task::Tasks;
use sink::registry::Registry;
use store::{Settings, Store};

use crate::args::RunArgs;
use crate::commands::check::{commands_of, environment};
use crate::commands::services;
use crate::notify::Notify;
use crate::say;

/// How long looks, answers and rows may take to finish after the first signal.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command until a signal.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let commands = match commands_of(args.commands.as_deref(), &args.places.config) {
        Ok(commands) => commands,
        Err(refused) => {
            refused.lines().iter().for_each(|line| say::err(line));
            return Ok(ExitCode::FAILURE);
        }
    };
    let overrides = Overrides {
        listen: (!args.listen.is_empty()).then(|| args.listen.clone()),
        status_listen: args.status_listen,
        demo: false,
        commands: Some(Arc::new(commands)),
        services: Some(ServicesFile::new(args.services.as_deref(), &args.places.config)),
    };
    let file = ConfigFile::new(&args.places.config);
    if !file.path().exists() {
        if !args.init {
            say::err(&format!(
                "streampulse: there is no configuration file {}; write one, name another with --config, or start with --init",
                file.path().display()
            ));
            return Ok(ExitCode::FAILURE);
        }
        file.create(&default_text()).with_context(|| format!("{} was not written", file.path().display()))?;
        tracing::info!(file = %file.path().display(), "wrote a starter configuration");
    }
    let Some(config) = load_or_tell(&file, &overrides) else { return Ok(ExitCode::FAILURE) };
    let served = Served { file, overrides, config, database: args.places.database(), tasks: Tasks::new(), demo: false };
    serve(served, |_| ()).await
}

/// What [`serve`] needs.
pub(crate) struct Served {
    /// The configuration file to watch.
    pub(crate) file: ConfigFile,
    /// What the command line says.
    pub(crate) overrides: Overrides,
    /// What the file says now.
    pub(crate) config: Config,
    /// The history file.
    pub(crate) database: std::path::PathBuf,
    /// Owner of the tasks beside the engine's own.
    pub(crate) tasks: Tasks,
    /// Whether this is the demonstration.
    pub(crate) demo: bool,
}

/// Starts the parts in order, tells `ready` where the dashboard is, and stops them in the reverse order.
pub(crate) async fn serve(served: Served, ready: impl FnOnce(&web::Listening)) -> anyhow::Result<ExitCode> {
    let Served { file, overrides, config, database, tasks, demo } = served;
    let mut signals = Signals::new()?;
    let notify = Notify::from_environment();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    if let Some(folder) = database.parent() {
        make_private(folder);
    }
    let local_key = database.parent().filter(|_| !demo).map(|folder| folder.join(web::auth::local::FILE));
    if let Some(aside) = Store::set_aside_2x(&database)? {
        tracing::warn!(old = %aside.display(), "the history of StreamPulse 2.x was set aside; a new one begins");
    }
    let (store, opened) =
        Store::open(store_settings(&config, &database), Arc::clone(&clock)).map_err(|e| anyhow::anyhow!("{e}"))?;
    if opened.blinded > 0 {
        tracing::info!(targets = opened.blinded, "time in which StreamPulse did not run counts as unknown");
    }
    let sinks = Registry::default();
    let (env, registry) = (Arc::new(environment), sinks.clone());
    let supervision = services::supervision(&database, file.path(), &clock, &tasks);
    let start = Start { config_file: file, store: store.clone(), clock, env, overrides, sinks: registry, supervision };
    let (engine, handle, config) = Engine::start(start).await?;
    handle.outbox().publish_by(crate::commands::sinks::start(&handle, &sinks, &tasks));
    let options = web::Options { demo, sinks, local_key };
    let listening = match web::serve(handle.clone(), &config, &tasks, options).await {
        Ok(listening) => listening,
        Err(error) => {
            engine.stop(GRACE).await;
            store.close(GRACE);
            return Err(error.into());
        }
    };
    announce(&listening, &tasks);
    ready(&listening);
    notify.send("READY=1");
    tasks.spawn("watchdog", watchdog(notify, handle, tasks.cancelled()));

    signals.first().await;
    tracing::info!("stopping; a second signal ends at once");
    let graceful = async {
        let served = tasks.stop(GRACE).await;
        engine.stop(GRACE).await;
        let kept = tokio::task::spawn_blocking(move || store.close(GRACE)).await.unwrap_or(false);
        (served, kept)
    };
    tokio::select! {
        (served, kept) = graceful => {
            tracing::info!(all_connections_ended = served, history_flushed = kept, "stopped");
            Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        () = signals.first() => {
            tracing::warn!("second signal: ending now");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn load_or_tell(file: &ConfigFile, overrides: &Overrides) -> Option<Config> {
    let loaded = file.read().map_err(|p| vec![p]).and_then(|(text, _)| load(&text, &environment, overrides));
    match loaded {
        Ok(config) => {
            for warning in config.warnings.iter().chain(&check_files(&config)) {
                tracing::warn!("{}: {warning}", file.path().display());
            }
            Some(config)
        }
        Err(problems) => {
            for problem in problems {
                say::err(&format!("{}: {problem}", file.path().display()));
            }
            None
        }
    }
}

fn store_settings(config: &Config, database: &Path) -> Settings {
    let keep = &config.store;
    Settings {
        keep_observations: keep.keep_observations,
        keep_minutes: keep.keep_minutes,
        keep_hours: keep.keep_hours,
        keep_days: keep.keep_days,
        keep_changes: keep.keep_changes,
        ..Settings::new(database)
    }
}

/// Makes the state folder, readable by its owner only. Failing is no reason not to watch: the store says what is wrong.
fn make_private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    if let Err(error) = made {
        tracing::error!(folder = %folder.display(), %error, "the state folder could not be made");
    }
}

fn announce(listening: &web::Listening, tasks: &Tasks) {
    for address in &listening.addrs {
        tracing::info!("dashboard and API on {}://{address}", listening.scheme);
    }
    if let Some(status) = listening.status {
        tracing::info!("read-only status on http://{status}");
    }
    let Some(first) = listening.addrs.first() else { return };
    let page = format!("{}://{first}/setup", listening.scheme);
    if let Some(token) = listening.setup_token() {
        invite(&page, &token);
        return;
    }
    // The users may not have been readable yet: when it turns out that there are none, the token comes then.
    let (mut token, stop) = (listening.setup.clone(), tasks.cancelled());
    tasks.spawn("set-up token", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            found = token.wait_for(Option::is_some) => {
                if let Ok(Some(token)) = found.as_deref() {
                    invite(&page, token.expose());
                }
            }
        }
    });
}

/// Not through the log: logs are shipped elsewhere, a one-time token is for whoever started the process.
fn invite(page: &str, token: &str) {
    say::err(&format!("\nFirst start: open {page}#token={token}\nor enter this set-up token there: {token}\n"));
}

/// Tells systemd that we are alive for as long as the engine's loop really turns.
async fn watchdog(notify: Notify, handle: Handle, stop: tokio_util::sync::CancellationToken) {
    let every = notify.every.unwrap_or(Duration::from_secs(10));
    let mut tick = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => {
                notify.send("STOPPING=1");
                return;
            }
        }
        // A question that only the turning loop answers.
        if matches!(tokio::time::timeout(every, handle.punctuality()).await, Ok(Some(_))) {
            notify.send("WATCHDOG=1");
        }
    }
}

/// Interrupt and terminate, each as often as it comes.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
