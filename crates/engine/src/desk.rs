//! The configuration desk: one task that watches the file, lets changes take effect, and writes the changes that people make
//! on the page. Everything that touches the file goes through here, one after another. Knows nothing of YAML.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::conf::Problem;
use model::target::TargetId;
use model::time::{Clock, Mono};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, ConfigFile, Edit, Overrides, WriteError};
use crate::input::NewConfig;
use crate::shell::Ask;
use crate::start::EnvFn;
use crate::watch::{DOUBT, Next, POLL, SETTLE, Seen, Watch};

/// Longest time without reading the file in full: some file systems do not move the time of a change.
const FULL_READ_EVERY: Duration = Duration::from_secs(5);
/// Questions that wait for the desk.
pub(crate) const DESK_QUEUE: usize = 32;

/// The environment and what goes before the file: what a text means depends on them.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Looks up an environment variable.
    pub(crate) env: EnvFn,
    /// What the command line says.
    pub(crate) overrides: Overrides,
}

impl Rules {
    /// What a text means.
    pub(crate) fn load(&self, text: &str) -> Result<Config, Vec<Problem>> {
        config::load(text, &*self.env, &self.overrides)
    }
}

/// The configuration as it is on the disk and in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigView {
    /// The text of the file, secrets included; empty when it cannot be read.
    pub text: String,
    /// SHA-256 of the text in hex; empty when it cannot be read.
    pub hash: String,
    /// SHA-256 of the text in effect.
    pub in_effect_hash: String,
    /// Why the file is not in effect, if it is not.
    pub problems: Vec<Problem>,
    /// What is accepted but should be looked at, and what takes effect only after a restart.
    pub warnings: Vec<Problem>,
}

/// Why a configuration did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not the one that the caller has seen.
    #[error("the configuration file has been changed by somebody else")]
    Changed {
        /// Hash of what is there.
        found: String,
    },
    /// The text has problems; nothing was written.
    #[error("the configuration has {} problems", .0.len())]
    Problems(Vec<Problem>),
    /// The file could not be read or written, or the engine is ending.
    #[error("{0}")]
    Io(String),
}

/// What the desk is asked.
pub(crate) enum DeskAsk {
    View(oneshot::Sender<ConfigView>),
    Apply { text: String, expected: String, reply: oneshot::Sender<Result<String, ApplyError>> },
    Edit { edits: Vec<Edit>, expected: Option<String>, reply: oneshot::Sender<Result<String, ApplyError>> },
}

/// The desk.
pub(crate) struct Desk {
    file: ConfigFile,
    rules: Rules,
    clock: Arc<dyn Clock>,
    engine: mpsc::Sender<Ask>,
    watch: Watch,
    in_effect: Config,
    /// Tells others of every configuration that took effect.
    settings: watch::Sender<Arc<Config>>,
    /// As at the start: what cannot change while running is compared with it.
    started: Config,
    /// The newest candidate that was loaded: what it is, and what became of it.
    loaded: Option<(Seen, Result<Config, Vec<Problem>>)>,
    mark: Option<Mark>,
    read_at: Mono,
}

/// What changes with a file, cheaply had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<std::time::SystemTime>,
    size: u64,
    file: u64,
}

impl Mark {
    fn of(file: &ConfigFile) -> Option<Self> {
        let data = std::fs::metadata(file.path()).ok()?;
        let inode = std::os::unix::fs::MetadataExt::ino(&data);
        Some(Self { modified: data.modified().ok(), size: data.len(), file: inode })
    }
}

impl Desk {
    /// A desk for a configuration that is in effect with this hash.
    pub(crate) fn new(
        file: ConfigFile,
        rules: Rules,
        clock: Arc<dyn Clock>,
        engine: mpsc::Sender<Ask>,
        config: Config,
        hash: String,
        settings: watch::Sender<Arc<Config>>,
    ) -> Self {
        Self {
            file,
            rules,
            read_at: clock.mono(),
            clock,
            engine,
            watch: Watch::new(hash),
            started: config.clone(),
            in_effect: config,
            settings,
            loaded: None,
            mark: None,
        }
    }

    /// Watches and answers until cancelled.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<DeskAsk>, cancel: CancellationToken) {
        let mut next = tokio::time::Instant::now() + POLL;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                () = tokio::time::sleep_until(next) => {
                    self.poll().await;
                    next = tokio::time::Instant::now() + if self.watch.is_pending() { SETTLE } else { POLL };
                }
            }
        }
    }

    async fn answer(&mut self, ask: DeskAsk) {
        match ask {
            DeskAsk::View(reply) => {
                let view = self.view().await;
                let _ = reply.send(view);
            }
            DeskAsk::Apply { text, expected, reply } => {
                let result = self.apply(text, expected).await;
                let _ = reply.send(result);
            }
            DeskAsk::Edit { edits, expected, reply } => {
                let result = self.edit(edits, expected).await;
                let _ = reply.send(result);
            }
        }
    }

    /// Runs something that reads the disk or takes long, off the event loop.
    async fn off<T: Send + 'static>(&self, f: impl FnOnce(&ConfigFile, &Rules) -> T + Send + 'static) -> Option<T> {
        let (file, rules) = (self.file.clone(), self.rules.clone());
        match tokio::task::spawn_blocking(move || f(&file, &rules)).await {
            Ok(value) => Some(value),
            Err(e) => {
                tracing::error!("reading the configuration panicked: {e}");
                None
            }
        }
    }

    /// Looks at the file once.
    pub(crate) async fn poll(&mut self) {
        let now = self.clock.mono();
        let full = self.watch.is_pending() || now.0.saturating_sub(self.read_at.0) >= FULL_READ_EVERY;
        let known = if full { None } else { self.mark };
        let read = self.off(move |file, _| {
            let mark = Mark::of(file);
            if mark.is_some() && mark == known { None } else { Some((mark, file.read())) }
        });
        let Some(Some((mark, read))) = read.await else { return };
        (self.mark, self.read_at) = (mark, now);
        let (seen, content) = match read {
            Ok((text, hash)) => (Seen::Text(hash), Ok(text)),
            Err(problem) => (Seen::Nothing(problem.to_string()), Err(problem)),
        };
        match self.watch.see(now, &seen) {
            Next::Nothing => {}
            Next::Recovered => {
                tracing::info!("the configuration file is as in effect again");
                self.put_in_effect(self.in_effect.clone(), self.watch.in_effect().to_owned()).await;
            }
            Next::New(age) => self.consider(seen, content, age).await,
        }
    }

    /// Something new is in the file for `age`: believes it when it lasted long enough.
    async fn consider(&mut self, seen: Seen, content: Result<String, Problem>, age: Duration) {
        if self.loaded.as_ref().is_none_or(|(known, _)| *known != seen) {
            let loaded = match content {
                Ok(text) => match self.off(move |_, rules| rules.load(&text)).await {
                    Some(loaded) => loaded,
                    None => Err(vec![Problem::new(None, "", "the configuration could not be checked")]),
                },
                Err(problem) => Err(vec![gone(problem, &self.file)]),
            };
            self.loaded = Some((seen.clone(), loaded));
        }
        let Some((_, loaded)) = &self.loaded else { return };
        let doubtful = loaded.as_ref().map_or(true, |config| takes_away(&self.in_effect, config));
        if age < if doubtful { DOUBT } else { SETTLE } {
            return;
        }
        let Some((_, loaded)) = self.loaded.take() else { return };
        match (loaded, seen) {
            (Ok(config), Seen::Text(hash)) => {
                tracing::info!(targets = config.targets.len(), "the configuration file changed");
                self.put_in_effect(config, hash).await;
            }
            (Ok(_), Seen::Nothing(_)) => {}
            (Err(problems), seen) => {
                for problem in &problems {
                    tracing::warn!("configuration refused: {problem}");
                }
                self.watch.refuse(seen);
                let _ = self.engine.send(Ask::Rejected(Arc::new(problems))).await;
            }
        }
    }

    /// Hands a configuration to the engine and waits until it is on the Board. Answers whether it is.
    async fn put_in_effect(&mut self, config: Config, hash: String) -> bool {
        let (told, applied) = oneshot::channel();
        let new = Box::new(new_config(&config, hash.clone()));
        let sent = self.engine.send(Ask::Config(new, told)).await.is_ok();
        if !(sent && applied.await.is_ok()) {
            return false;
        }
        self.watch.applied(hash);
        self.loaded = None;
        self.in_effect = config;
        self.settings.send_replace(Arc::new(self.in_effect.clone()));
        for note in restart_notes(&self.started, &self.in_effect) {
            tracing::warn!("{note}");
        }
        true
    }

    async fn view(&mut self) -> ConfigView {
        let in_effect_hash = self.watch.in_effect().to_owned();
        let mut warnings = self.in_effect.warnings.clone();
        warnings.extend(restart_notes(&self.started, &self.in_effect));
        let known = in_effect_hash.clone();
        let read = self.off(move |file, rules| {
            file.read().map(|(text, hash)| {
                let problems = if hash == known { Vec::new() } else { rules.load(&text).err().unwrap_or_default() };
                (text, hash, problems)
            })
        });
        match read.await {
            Some(Ok((text, hash, problems))) => ConfigView { text, hash, in_effect_hash, problems, warnings },
            Some(Err(problem)) => {
                let problems = vec![gone(problem, &self.file)];
                ConfigView { text: String::new(), hash: String::new(), in_effect_hash, problems, warnings }
            }
            None => {
                let problems = vec![Problem::new(None, "", "the configuration could not be read")];
                ConfigView { text: String::new(), hash: String::new(), in_effect_hash, problems, warnings }
            }
        }
    }

    /// Checks a text, writes it in place of the one with the expected hash, and lets it take effect.
    async fn apply(&mut self, text: String, expected: String) -> Result<String, ApplyError> {
        let panicked = || ApplyError::Io("the configuration could not be checked".to_owned());
        let loaded = self.off(move |file, rules| {
            let config = rules.load(&text).map_err(ApplyError::Problems)?;
            match file.write(&text, &expected) {
                Ok(hash) => Ok((config, hash)),
                Err(WriteError::Changed { found }) => Err(ApplyError::Changed { found }),
                Err(WriteError::Io(why)) => Err(ApplyError::Io(why)),
            }
        });
        let (config, hash) = loaded.await.ok_or_else(panicked)??;
        if !self.put_in_effect(config, hash.clone()).await {
            return Err(ApplyError::Io("the file was written; the engine is ending and does not follow".to_owned()));
        }
        Ok(hash)
    }

    async fn edit(&mut self, edits: Vec<Edit>, expected: Option<String>) -> Result<String, ApplyError> {
        let panicked = || ApplyError::Io("the configuration could not be edited".to_owned());
        let edited = self.off(move |file, rules| {
            let (text, hash) = file.read().map_err(|problem| ApplyError::Io(problem.to_string()))?;
            if expected.is_some_and(|expected| expected != hash) {
                return Err(ApplyError::Changed { found: hash });
            }
            let new = config::edit(&text, &edits, &*rules.env).map_err(ApplyError::Problems)?;
            Ok((new, hash))
        });
        let (new, hash) = edited.await.ok_or_else(panicked)??;
        self.apply(new, hash).await
    }
}

/// What the engine needs of a configuration.
pub(crate) fn new_config(config: &Config, hash: String) -> NewConfig {
    NewConfig {
        targets: config.targets.iter().cloned().map(Arc::new).collect(),
        hash,
        timezone: config.timezone.clone(),
        probes_at_once: config.limits.probes_at_once,
        probes_per_host: config.limits.probes_per_host,
    }
}

/// The problem of a file that cannot be read, with what it means.
fn gone(problem: Problem, file: &ConfigFile) -> Problem {
    if file.path().exists() {
        return problem;
    }
    Problem::new(None, "", "configuration file is gone; what ran goes on").with_remedy("put it back")
}

/// Whether a target that is watched would be no longer.
fn takes_away(old: &Config, new: &Config) -> bool {
    let stay: HashSet<&TargetId> = new.targets.iter().map(|t| &t.id).collect();
    old.targets.iter().any(|t| !stay.contains(&t.id))
}

/// What differs from the start and cannot change while running.
pub(crate) fn restart_notes(started: &Config, now: &Config) -> Vec<Problem> {
    let mut notes = Vec::new();
    let mut note = |differs: bool, path: &str| {
        if differs {
            notes.push(Problem::new(None, path, "this change takes effect after a restart"));
        }
    };
    let (a, b) = (&started.server, &now.server);
    note(a.listen != b.listen, "server.listen");
    note(a.status_listen != b.status_listen, "server.status_listen");
    note(a.login != b.login, "server.login");
    note(a.tls != b.tls, "server.tls");
    note(a.session != b.session, "server.session");
    note(started.store != now.store, "store");
    notes
}

#[cfg(test)]
mod tests;
