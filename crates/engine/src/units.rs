//! Units as the layers above see them: the snapshot, the commands, their output, forms and history. The decisions are made by
//! the machine of units (`model::unit::machine`), which is pure; the task around it (`task.rs`) feeds it and does what it says;
//! what runs is in `supervise`.

mod checks;
mod counts;
mod entry;
mod form_desk;
mod measure;
mod memory;
mod output;
mod queue;
mod ready;
mod run;
mod snapshot;
mod task;

pub mod forms;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::conf::Problem;
use model::unit::board::{UnitBoard, Usage};
use model::unit::form::Value;
use model::unit::{UnitId, Wanted};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use counts::Counts;
use measure::Recent;
pub use queue::Counter;
pub use run::Backends;
pub(crate) use task::{Around, task};

/// Most units: each is written by hand, and each has a process that watches it.
pub const MAX_UNITS: usize = 1_000;

/// What somebody asks of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitCommand {
    /// It is wanted from now on.
    Start,
    /// It is not wanted from now on.
    Stop,
    /// It is ended and begun anew; wanted from now on.
    Restart,
}

/// That a command was taken; what follows comes with the Board and the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What is wanted now.
    pub wanted: Wanted,
    /// Whether the command changed anything: starting what runs does not.
    pub changed: bool,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// No unit has this id.
    #[error("there is no such service")]
    NoSuchUnit,
    /// The unit is disabled in its file, or something else forbids it; the words say what.
    #[error("{0}")]
    Refused(String),
    /// The unit has no form.
    #[error("this service declares no form")]
    NoForm,
    /// The values are not good; nothing was touched. Paths are keys of the form.
    #[error("the values are not good")]
    Invalid(Vec<Problem>),
    /// The disk refused, in words.
    #[error("{0}")]
    Io(String),
    /// The process is ending.
    #[error("stopping")]
    Stopping,
}

/// The form of a unit with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct FormView {
    /// Values in effect, defaults filled in, secrets left out.
    pub values: BTreeMap<String, Value>,
    /// Secrets that have a value.
    pub secrets_set: Vec<String>,
    /// Whether a run that is under way was launched with other values.
    pub pending: bool,
    /// What happened to the newest change: it came up, or it did not and the last good values are back (and why).
    pub note: Option<String>,
}

/// A question to the task that owns the units.
pub enum UnitAsk {
    /// Start, stop or restart.
    Command {
        /// Of which unit.
        id: UnitId,
        /// What.
        command: UnitCommand,
        /// Who asks.
        actor: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Taken, UnitError>>,
    },
    /// The form with its values.
    Form {
        /// Of which unit.
        id: UnitId,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<FormView, UnitError>>,
    },
    /// Keys with values are set, keys without are reset to their defaults, others stay.
    SetForm {
        /// Of which unit.
        id: UnitId,
        /// The keys.
        patch: BTreeMap<String, Option<Value>>,
        /// Who asks.
        actor: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<FormView, UnitError>>,
    },
}

/// Asks the task that owns the units. Cheap to clone.
#[derive(Clone)]
pub struct Units {
    pub(crate) asks: mpsc::Sender<UnitAsk>,
    pub(crate) board: watch::Receiver<Arc<UnitBoard>>,
    /// Folder in which every unit has one of its id.
    pub(crate) folder: PathBuf,
    /// What was measured within the last hour.
    pub(crate) recent: Recent,
}

impl Units {
    /// How units are, as it changes.
    #[must_use]
    pub fn board(&self) -> watch::Receiver<Arc<UnitBoard>> {
        self.board.clone()
    }

    /// How units are now.
    #[must_use]
    pub fn now(&self) -> Arc<UnitBoard> {
        Arc::clone(&self.board.borrow())
    }

    /// Folder of a unit's run and output.
    #[must_use]
    pub fn folder(&self, id: &UnitId) -> PathBuf {
        Path::new(&self.folder).join(id.as_str())
    }

    /// What was measured of a unit within the last hour, oldest first; empty for one that does not run.
    #[must_use]
    pub fn recent(&self, id: &UnitId) -> Vec<Usage> {
        self.recent.of(id)
    }

    /// Starts, ends or restarts a unit. Comes back as soon as that is under way and the wish is on the disk.
    ///
    /// # Errors
    /// No such unit, it may not run, or the process is ending.
    pub async fn command(&self, id: &UnitId, command: UnitCommand, actor: &str) -> Result<Taken, UnitError> {
        let (id, actor) = (id.clone(), actor.to_owned());
        self.ask(|reply| UnitAsk::Command { id, command, actor, reply }).await
    }

    /// The form of a unit with its values.
    ///
    /// # Errors
    /// No such unit, no form, or the process is ending.
    pub async fn form(&self, id: &UnitId) -> Result<FormView, UnitError> {
        let id = id.clone();
        self.ask(|reply| UnitAsk::Form { id, reply }).await
    }

    /// Sets keys of a form (a value), resets keys to their defaults (`None`) and keeps all others. Everything is checked before
    /// anything is touched. A unit that runs is restarted with the new values, and has its last good ones back when it does
    /// not come up.
    ///
    /// # Errors
    /// No such unit, no form, bad values, the disk refused, or the process is ending.
    pub async fn set_form(
        &self,
        id: &UnitId,
        patch: BTreeMap<String, Option<Value>>,
        actor: &str,
    ) -> Result<FormView, UnitError> {
        let (id, actor) = (id.clone(), actor.to_owned());
        self.ask(|reply| UnitAsk::SetForm { id, patch, actor, reply }).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<Result<T, UnitError>>) -> UnitAsk) -> Result<T, UnitError> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| UnitError::Stopping)?;
        answer.await.map_err(|_| UnitError::Stopping)?
    }
}

/// The ends that belong to the task: what is asked, and where the snapshot is published.
pub struct Backstage {
    /// Questions.
    pub asks: mpsc::Receiver<UnitAsk>,
    /// The snapshot.
    pub board: watch::Sender<Arc<UnitBoard>>,
}

/// Questions that may wait for the task.
const ASKS: usize = 32;

/// A front, and the ends of the task that stands behind it.
#[must_use]
pub fn front(folder: PathBuf) -> (Units, Backstage) {
    let (tell, board) = watch::channel(Arc::default());
    let (asks, asked) = mpsc::channel(ASKS);
    (Units { asks, board, folder, recent: Recent::default() }, Backstage { asks: asked, board: tell })
}

/// No units, and nobody behind the front.
pub(crate) fn none() -> Units {
    front(PathBuf::new()).0
}

#[cfg(test)]
mod tests;
