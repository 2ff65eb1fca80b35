//! What runs units: launches one, finds one that runs already, ends it, measures it. Retries, order and back-off belong to who
//! calls it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use model::secret::Secret;
use model::time::UtcMs;
use model::unit::board::Usage;
use model::unit::spec::{LogRules, Program, Stop};
use model::unit::{Exit, Identity, UnitId};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is launched: the specification with the values of its form filled in.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Whose run it is.
    pub id: UnitId,
    /// What runs.
    pub program: Program,
    /// How it is ended, also by the shim when it is told to end.
    pub stop: Stop,
    /// How much of its output is kept.
    pub logs: LogRules,
    /// Texts that are masked in its output, beside those of its environment.
    pub masks: Vec<Secret>,
}

/// Why something could not be done. The words name the thing and the actual value, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whether trying again can help without anybody changing anything.
    pub passing: bool,
    /// No container engine can be reached: a unit with a fallback may use it.
    pub no_engine: bool,
    /// What happened and what to do, in one or two sentences.
    pub words: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// When; for an end that nobody saw, when that was found.
    pub at: UtcMs,
    /// When the run had begun.
    pub started_at: UtcMs,
}

/// What was found of a unit when StreamPulse began.
pub enum Found {
    /// No run that nobody knows the end of.
    Nothing,
    /// It runs, and is ours again.
    Running(Box<dyn Instance>),
    /// It ended while nobody watched.
    Ended(Ended),
}

/// A run that is under way. Dropping it ends nothing.
pub trait Instance: Send + Sync {
    /// Which run it is.
    fn identity(&self) -> &Identity;

    /// When it was launched.
    fn started_at(&self) -> UtcMs;

    /// Comes back when the run is over: every process of it is gone and its output is in its log. May be dropped and asked again.
    fn ended(&self) -> BoxFuture<'_, Ended>;

    /// Asks it to end: the signal, and after the grace everything of it is killed, also when we are gone by then. Comes back as
    /// soon as that is under way; [`Instance::ended`] tells the end.
    fn stop(&self, rule: &Stop) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Kills everything of it at once.
    fn kill(&self) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Measures what it uses. Percent of processor is since the measurement before.
    fn usage(&self) -> BoxFuture<'_, Result<Usage, Refusal>>;

    /// What the engine of containers says of its health: `Some(true)` is healthy. `None` where it says nothing.
    fn healthy(&self) -> BoxFuture<'_, Option<bool>> {
        Box::pin(std::future::ready(None))
    }
}

/// Runs units of one kind.
pub trait Backend: Send + Sync {
    /// Launches a unit that does not run. Comes back when the kernel, or the engine of containers, has begun it.
    ///
    /// # Errors
    /// Why it could not be begun; nothing of it is left then.
    fn start<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Box<dyn Instance>, Refusal>>;

    /// Finds what became of a unit that may run since before we began.
    ///
    /// # Errors
    /// Why that cannot be told. The unit must not be started then.
    fn adopt<'a>(&'a self, launch: &'a Launch) -> BoxFuture<'a, Result<Found, Refusal>>;

    /// The end of its newest run was written down: [`Backend::adopt`] need not tell of it again.
    fn settle<'a>(&'a self, _id: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
