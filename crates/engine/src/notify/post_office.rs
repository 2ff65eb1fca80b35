//! Has one worker at work per channel that is configured, and another one when the configuration says something else. Owns the
//! workers; a worker that is replaced first brings its delivery to an end, so that nothing is sent twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use net::task::Tasks;
use sink::channel::Channel;
use store::{LetterChange, LetterRow, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::worker::Worker;
use super::{Outbox, around, blocking, registered};
use crate::config::{ChannelSpec, Config};

/// Messages of a channel that is gone that are given up at once.
const GONE_PAGE: usize = 200;
/// Why they are.
const GONE: &str = "there is no such channel in the configuration any more, or it is disabled";

/// The workers.
pub(crate) struct PostOffice {
    outbox: Outbox,
    tasks: Tasks,
    running: BTreeMap<String, Running>,
}

/// What a worker was made of: another one is made when any of it changes.
#[derive(Clone, PartialEq)]
struct Made {
    spec: ChannelSpec,
    base_url: Option<String>,
    timezone: String,
}

struct Running {
    made: Made,
    retire: CancellationToken,
    task: JoinHandle<()>,
}

impl PostOffice {
    pub(crate) fn new(outbox: Outbox, tasks: Tasks) -> Self {
        Self { outbox, tasks, running: BTreeMap::new() }
    }

    /// Follows the configuration until cancelled; the workers end by the same token.
    pub(crate) async fn run(mut self) {
        let stop = self.tasks.cancelled();
        let mut settings: watch::Receiver<Arc<Config>> = self.outbox.inner.settings.clone();
        loop {
            let config = Arc::clone(&settings.borrow_and_update());
            self.follow(&config);
            self.give_up_gone(&config).await;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }

    fn follow(&mut self, config: &Config) {
        let wanted: BTreeMap<String, Made> = config
            .channels
            .iter()
            .filter(|spec| spec.enabled)
            .map(|spec| {
                let (base_url, timezone) = (config.base_url.clone(), config.timezone.clone());
                (spec.name.clone(), Made { spec: spec.clone(), base_url, timezone })
            })
            .collect();
        for name in self.running.keys().filter(|name| !wanted.contains_key(*name)) {
            self.outbox.inner.registry.remove(&registered(name));
        }
        let mut before = std::mem::take(&mut self.running);
        for (name, made) in wanted {
            let old = before.remove(&name);
            match old {
                Some(same) if same.made == made && !same.task.is_finished() => drop(self.running.insert(name, same)),
                other => {
                    let running = self.start(made, config, other);
                    self.running.insert(name, running);
                }
            }
        }
        for gone in before.into_values() {
            gone.retire.cancel();
        }
    }

    /// Starts a worker, which begins when the one before it has ended.
    fn start(&self, made: Made, config: &Config, before: Option<Running>) -> Running {
        let inner = &self.outbox.inner;
        let retire = CancellationToken::new();
        let channel: Result<Arc<dyn Channel>, _> = (inner.maker)(&made.spec);
        let name = made.spec.name.clone();
        let worker = channel.map(|channel| Worker {
            name: name.clone(),
            kind: made.spec.kind,
            registered: registered(&name),
            channel,
            around: Arc::new(around(config, &inner.clock)),
            store: inner.store.clone(),
            registry: inner.registry.clone(),
            clock: Arc::clone(&inner.clock),
            tasks: self.tasks.clone(),
            bell: inner.bell.subscribe(),
            retire: retire.clone(),
            stop: self.tasks.cancelled(),
        });
        if let Err(failure) = &worker {
            tracing::error!(channel = name, "{failure}");
            inner.registry.set(&registered(&name), made.spec.kind, inner.clock.utc(), Some(failure.words.clone()));
        }
        let work = async move {
            if let Some(before) = before {
                before.retire.cancel();
                let _ended_or_panicked = before.task.await;
            }
            if let Ok(worker) = worker {
                worker.run().await;
            }
        };
        Running { made, retire, task: self.tasks.spawn(format!("channel {name}"), work) }
    }

    /// What waits for channels that are gone waits for nobody: it is given up, where somebody sees it.
    async fn give_up_gone(&self, config: &Config) {
        let store = self.outbox.inner.store.clone();
        let known: Vec<String> = config.channels.iter().filter(|c| c.enabled).map(|c| c.name.clone()).collect();
        let at = self.outbox.inner.clock.utc();
        let swept = blocking(move || {
            let mut given_up = 0;
            for (channel, count) in store.outbox_counts()? {
                if count.waiting == 0 || known.contains(&channel) {
                    continue;
                }
                loop {
                    let letters: Vec<LetterRow> = store.waiting_letters(&channel, GONE_PAGE)?;
                    for letter in &letters {
                        let error = GONE.to_owned();
                        store.change_letter(LetterChange::Dead { row: letter.row, at, error, attempted: false })?;
                    }
                    given_up += letters.len();
                    if letters.len() < GONE_PAGE {
                        break;
                    }
                }
            }
            Ok::<usize, StoreError>(given_up)
        });
        match swept.await {
            Ok(0) | Err(StoreError::Closed) => {}
            Ok(count) => tracing::warn!(count, "messages were given up: {GONE}"),
            Err(error) => tracing::warn!(%error, "the outbox could not be looked through"),
        }
    }
}
