//! Watches the file of services while StreamPulse runs: what took effect is told to whoever runs services, what was refused is
//! told to people. A bad file changes nothing that runs. Starts and ends no service, and writes no file.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use model::conf::Problem;
use model::time::{Clock, Mono};
use model::unit::UnitId;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Services, ServicesFile, check_services};
use crate::desk::Rules;
use crate::shell::Ask;
use crate::watch::{DOUBT, Next, POLL, SETTLE, Seen, Watch};

/// Longest time without reading the file in full: some file systems do not move the time of a change.
const FULL_READ_EVERY: Duration = Duration::from_secs(5);

/// Reads the services at the start; none where no file is named.
///
/// # Errors
/// The file has problems: all of them, one per line.
pub(crate) async fn first(rules: &Rules) -> anyhow::Result<(Services, String)> {
    let Some(file) = rules.overrides.services.clone() else { return Ok(Default::default()) };
    let (path, rules) = (file.path.clone(), rules.clone());
    let read = tokio::task::spawn_blocking(move || {
        let (text, hash) = file.text().map_err(|problem| vec![problem])?;
        let services = text.map_or_else(|| Ok(Services::default()), |text| file.load(&text, &*rules.env))?;
        Ok::<_, Vec<Problem>>((services, hash))
    });
    read.await.context("the file of services could not be checked")?.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", path.display())).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// What a file is without reading it. The time of the change of its entry moves with its permissions too.
type Mark = (u64, u64, u32, i64, i64);

fn mark(file: &ServicesFile) -> Option<Mark> {
    let data = std::fs::metadata(&file.path).ok()?;
    Some((data.ino(), data.size(), data.mode(), data.ctime(), data.ctime_nsec()))
}

/// What reading the file gave: what to compare it by, and its text.
type Read = (Option<Mark>, Seen, Result<String, Problem>);

/// Reads the file. Where it is not there, that is as in effect if it was not there when this began, and no decision to end
/// everything if it was.
fn read(file: &ServicesFile, in_effect: &str) -> Read {
    let mark = mark(file);
    let gone = || Problem::new(None, "", "the file of services is gone; what ran goes on").with_remedy("put it back");
    match file.text() {
        Ok((Some(text), hash)) => (mark, Seen::Text(hash), Ok(text)),
        Ok((None, hash)) if hash == in_effect => (mark, Seen::Text(hash), Ok(String::new())),
        Err(problem) if file.path.exists() => (mark, Seen::Nothing(problem.to_string()), Err(problem)),
        Ok((None, _)) | Err(_) => (mark, Seen::Nothing("gone".to_owned()), Err(gone())),
    }
}

/// The watcher.
pub(crate) struct ServicesWatch {
    file: ServicesFile,
    rules: Rules,
    clock: Arc<dyn Clock>,
    engine: mpsc::Sender<Ask>,
    settings: watch::Receiver<Arc<Config>>,
    told: watch::Sender<Arc<Services>>,
    watch: Watch,
    /// The newest candidate: what it is, and what became of it.
    loaded: Option<(Seen, Result<Services, Vec<Problem>>)>,
    mark: Option<Mark>,
    read_at: Mono,
}

impl ServicesWatch {
    /// A watcher of the file whose content of this hash is in effect.
    pub(crate) fn new(
        file: ServicesFile,
        rules: Rules,
        clock: Arc<dyn Clock>,
        engine: mpsc::Sender<Ask>,
        settings: watch::Receiver<Arc<Config>>,
        (told, hash): (watch::Sender<Arc<Services>>, String),
    ) -> Self {
        let (read_at, watch) = (clock.mono(), Watch::new(hash));
        Self { file, rules, clock, engine, settings, told, watch, loaded: None, mark: None, read_at }
    }

    /// Watches until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        self.warn(&self.told.borrow().clone());
        loop {
            let pause = if self.watch.is_pending() { SETTLE } else { POLL };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => self.poll().await,
            }
        }
    }

    async fn poll(&mut self) {
        let now = self.clock.mono();
        let full = self.watch.is_pending() || now.0.saturating_sub(self.read_at.0) >= FULL_READ_EVERY;
        let (file, known) = (self.file.clone(), if full { None } else { self.mark });
        let in_effect = self.watch.in_effect().to_owned();
        let look = tokio::task::spawn_blocking(move || {
            if known.is_some() && mark(&file) == known { None } else { Some(read(&file, &in_effect)) }
        });
        let (mark, seen, content) = match look.await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(e) => {
                tracing::error!("reading the file of services panicked: {e}");
                return;
            }
        };
        (self.mark, self.read_at) = (mark, now);
        match self.watch.see(now, &seen) {
            Next::Nothing => {}
            Next::Recovered => {
                tracing::info!("the file of services is as in effect again");
                self.say(None).await;
            }
            Next::New(age) => self.consider(seen, content, age).await,
        }
    }

    /// Something new is in the file for `age`: believes it when it lasted long enough.
    async fn consider(&mut self, seen: Seen, content: Result<String, Problem>, age: Duration) {
        if self.loaded.as_ref().is_none_or(|(known, _)| *known != seen) {
            let loaded = match content {
                Ok(text) => self.load(text).await,
                Err(problem) => Err(vec![problem]),
            };
            self.loaded = Some((seen.clone(), loaded));
        }
        let Some((_, loaded)) = &self.loaded else { return };
        let doubtful = loaded.as_ref().map_or(true, |new| takes_away(&self.told.borrow(), new));
        if age < if doubtful { DOUBT } else { SETTLE } {
            return;
        }
        let Some((_, loaded)) = self.loaded.take() else { return };
        match (loaded, seen) {
            (Ok(services), Seen::Text(hash)) => {
                tracing::info!(services = services.units.len(), "the file of services changed");
                self.warn(&services);
                self.watch.applied(hash);
                self.told.send_replace(Arc::new(services));
                self.say(None).await;
            }
            (Ok(_), Seen::Nothing(_)) => {}
            (Err(problems), seen) => {
                for problem in &problems {
                    tracing::warn!("{}: refused: {problem}", self.file.path.display());
                }
                self.watch.refuse(seen);
                let more = problems.len().saturating_sub(1);
                let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
                let first = problems.first().map_or_else(|| "it was refused".to_owned(), ToString::to_string);
                self.say(Some(format!("{}: {first}{more}", self.file.path.display()))).await;
            }
        }
    }

    /// What a text says. An empty one is half-written: taking it for "run nothing" would be the worst reading of it.
    async fn load(&self, text: String) -> Result<Services, Vec<Problem>> {
        if text.trim().is_empty() && !self.told.borrow().units.is_empty() {
            let problem = Problem::new(None, "", "the file is empty; it may be half-written");
            return Err(vec![problem.with_remedy("write `services: {}` to run nothing")]);
        }
        let (file, env) = (self.file.clone(), Arc::clone(&self.rules.env));
        let loaded = tokio::task::spawn_blocking(move || file.load(&text, &*env)).await;
        loaded.unwrap_or_else(|_| Err(vec![Problem::new(None, "", "the file of services could not be checked")]))
    }

    fn warn(&self, services: &Services) {
        let others = check_services(services, &self.settings.borrow(), self.rules.overrides.commands.as_deref());
        for warning in services.warnings.iter().chain(&others) {
            tracing::warn!("{}: {warning}", self.file.path.display());
        }
    }

    /// Tells the engine why the file is refused, if it is.
    async fn say(&self, refused: Option<String>) {
        let _ = self.engine.send(Ask::Services(refused)).await;
    }
}

/// Whether a service would be no longer.
fn takes_away(old: &Services, new: &Services) -> bool {
    let stay: HashSet<&UnitId> = new.units.iter().map(|unit| &unit.id).collect();
    old.units.iter().any(|unit| !stay.contains(&unit.id))
}

#[cfg(test)]
mod tests;
