//! A backend that a test directs: runs are begun, end and hang as it says. It outlives the engine, as real runs do. Tests only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::time::{Clock, UtcMs};
use model::unit::board::Usage;
use model::unit::spec::{Program, Stop};
use model::unit::{Exit, Identity, UnitId};
use supervise::backend::{Backend, BoxFuture, Ended, Found, Instance, Launch, Refusal};
use tokio::sync::watch;

/// What becomes of one unit.
#[derive(Clone)]
pub(crate) struct Script {
    /// Launches are refused with this.
    pub(crate) refuse: Option<Refusal>,
    /// Nobody answers to anything.
    pub(crate) hangs: bool,
    /// It does not end when it is told to, only when it is killed.
    pub(crate) deaf: bool,
    /// It ends by itself right after its launch.
    pub(crate) dies: Option<Exit>,
    /// It ends by itself with code 2 right after a launch that has this argument.
    pub(crate) dies_of: Option<&'static str>,
    /// What it uses.
    pub(crate) usage: Usage,
}

struct Life {
    script: Script,
    /// The run, and how it ended where it has.
    run: Option<(Identity, UtcMs, watch::Sender<Option<Ended>>)>,
    begun: u32,
    /// How it was launched last.
    argv: Vec<String>,
    masks: usize,
}

/// Runs nothing.
pub(crate) struct Stage {
    clock: Arc<dyn Clock>,
    lives: Mutex<BTreeMap<UnitId, Life>>,
    /// What happened, in order.
    log: Mutex<Vec<String>>,
}

impl Stage {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, lives: Mutex::default(), log: Mutex::default() })
    }

    fn lives(&self) -> MutexGuard<'_, BTreeMap<UnitId, Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: &UnitId, change: impl FnOnce(&mut Life) -> T) -> T {
        let usage = Usage { memory_bytes: 1 << 20, processes: 1, threads: 1, ..Usage::default() };
        let script = Script { refuse: None, hangs: false, deaf: false, dies: None, dies_of: None, usage };
        change(self.lives().entry(id.clone()).or_insert_with(|| Life {
            script,
            run: None,
            begun: 0,
            argv: Vec::new(),
            masks: 0,
        }))
    }

    fn note(&self, text: String) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Directs a unit.
    pub(crate) fn direct(&self, name: &str, change: impl FnOnce(&mut Script)) {
        self.with(&super::id(name), |life| change(&mut life.script));
    }

    /// What happened since it was last asked.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs that are under way.
    pub(crate) fn running(&self) -> Vec<String> {
        let lives = self.lives();
        let runs = |life: &Life| life.run.as_ref().is_some_and(|(.., end)| end.borrow().is_none());
        lives.iter().filter(|(_, life)| runs(life)).map(|(id, _)| id.to_string()).collect()
    }

    pub(crate) fn begun(&self, name: &str) -> u32 {
        self.with(&super::id(name), |life| life.begun)
    }

    /// Arguments of the newest launch, and how many texts are masked in its output.
    pub(crate) fn launched(&self, name: &str) -> (Vec<String>, usize) {
        self.with(&super::id(name), |life| (life.argv.clone(), life.masks))
    }

    /// Ends a run from outside.
    pub(crate) fn ends(&self, name: &str, exit: Exit) {
        let at = self.clock.utc();
        self.with(&super::id(name), |life| {
            let (_, started_at, end) = life.run.as_ref().expect("a run");
            end.send_replace(Some(Ended { exit, at, started_at: *started_at }));
        });
    }

    fn begin(self: &Arc<Self>, launch: &Launch) -> Result<Box<dyn Instance>, Refusal> {
        let (now, id) = (self.clock.utc(), &launch.id);
        let run = self.with(id, |life| {
            if let Some(refusal) = &life.script.refuse {
                return Err(refusal.clone());
            }
            let over = life.run.as_ref().is_none_or(|(.., end)| end.borrow().is_some());
            assert!(over, "two runs of {id}");
            life.begun += 1;
            life.masks = launch.masks.len();
            if let Program::Process(process) = &launch.program {
                life.argv.clone_from(&process.argv);
            }
            let identity = Identity { pid: life.begun, start_ticks: 1, boot_id: "b".to_owned(), container: None };
            let dies_of = life.script.dies_of.filter(|word| life.argv.iter().any(|argument| argument == word));
            let dies = life.script.dies.or(dies_of.map(|_| Exit::Code(2)));
            let end = dies.map(|exit| Ended { exit, at: now, started_at: now });
            let run = (identity, now, watch::Sender::new(end));
            life.run = Some(run.clone());
            Ok(run)
        })?;
        self.note(format!("+{id}"));
        Ok(Box::new(Played { stage: Arc::clone(self), id: id.clone(), run }))
    }
}

/// One run.
struct Played {
    stage: Arc<Stage>,
    id: UnitId,
    run: (Identity, UtcMs, watch::Sender<Option<Ended>>),
}

impl Played {
    async fn end(&self, kill: bool) -> Result<(), Refusal> {
        let script = self.stage.with(&self.id, |life| life.script.clone());
        if script.hangs {
            std::future::pending::<()>().await;
        }
        self.stage.note(format!("{}{}", if kill { '!' } else { '-' }, self.id));
        if kill || !script.deaf {
            let exit = if kill { Exit::Signal { number: 9, out_of_memory: false } } else { Exit::Code(0) };
            let ended = Ended { exit, at: self.stage.clock.utc(), started_at: self.run.1 };
            self.run.2.send_if_modified(|end| end.is_none() && end.replace(ended).is_none());
        }
        Ok(())
    }
}

impl Instance for Played {
    fn identity(&self) -> &Identity {
        &self.run.0
    }

    fn started_at(&self) -> UtcMs {
        self.run.1
    }

    fn ended(&self) -> BoxFuture<'_, Ended> {
        let mut end = self.run.2.subscribe();
        Box::pin(async move {
            let ended = end.wait_for(Option::is_some).await.expect("the sender is in the run").clone();
            ended.expect("an end")
        })
    }

    fn stop(&self, _: &Stop) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(self.end(false))
    }

    fn kill(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(self.end(true))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, Refusal>> {
        Box::pin(async move {
            let script = self.stage.with(&self.id, |life| life.script.clone());
            if script.hangs {
                std::future::pending::<()>().await;
            }
            Ok(Usage { at: self.stage.clock.utc(), ..script.usage })
        })
    }
}

/// The stage as a backend.
pub(crate) struct Staged(pub(crate) Arc<Stage>);

impl Backend for Staged {
    fn start<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Box<dyn Instance>, Refusal>> {
        Box::pin(async move {
            if self.0.with(&launch.id, |life| life.script.hangs) {
                std::future::pending::<()>().await;
            }
            self.0.begin(launch)
        })
    }

    fn adopt<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Found, Refusal>> {
        Box::pin(async move {
            let (hangs, run) = self.0.with(&launch.id, |life| (life.script.hangs, life.run.clone()));
            if hangs {
                std::future::pending::<()>().await;
            }
            let Some(run) = run else { return Ok(Found::Nothing) };
            let ended = run.2.borrow().clone();
            if let Some(ended) = ended {
                return Ok(Found::Ended(ended));
            }
            Ok(Found::Running(Box::new(Played { stage: Arc::clone(&self.0), id: launch.id.clone(), run })))
        })
    }
}
