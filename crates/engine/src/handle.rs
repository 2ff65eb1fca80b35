//! How the layers above ask the engine: a cheap handle that any number of tasks may hold. Owns no state of targets; reads
//! the Board, sends commands to the loop and configuration questions to the desk.

use std::sync::Arc;
use std::time::Duration;

use model::board::Board;
use model::conf::Problem;
use model::event::Event;
use model::fault::{Fault, FaultKind};
use model::observation::Observation;
use model::phase::Phase;
use model::target::{Target, TargetId};
use model::time::Clock;
use model::verdict::{Verdict, judge};
use net::task::Tasks;
use probe::preview::Picture;
use probe::push::Call;
use store::Store;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::alerts::Alerts;
use crate::cadence::Punctuality;
use crate::config::{Config, Edit};
pub use crate::desk::{ApplyError, ConfigView};
use crate::desk::{DeskAsk, Rules, restart_notes};
pub use crate::input::CommandError;
use crate::input::{Answer, Command};
use crate::looker::{Looker, attempt};
use crate::notify::Outbox;
use crate::previews::Previews;
use crate::pushes::Pushes;
use crate::shell::Ask;
use crate::units::Units;

/// Looks at targets that are not saved yet, at once: people press that button, so few are enough.
pub const TRIES_AT_ONCE: usize = 8;
/// Longest wait for a place among [`TRIES_AT_ONCE`].
const TRY_WAIT: Duration = Duration::from_secs(10);
/// Longest wait until a pause is on the disk; one that is full does not keep the answer back.
const DURABLE_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for the answer to a command: longer than any round with its retries is reasonable to watch.
const ANSWER_WAIT: Duration = Duration::from_secs(300);

/// Asks a running engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
    units: Units,
}

struct Inner {
    parts: Parts,
    tries: Semaphore,
}

/// What a handle is made of.
pub(crate) struct Parts {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) board: watch::Receiver<Arc<Board>>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) desk: mpsc::Sender<DeskAsk>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) looker: Arc<dyn Looker>,
    pub(crate) rules: Rules,
    pub(crate) started: Arc<Config>,
    pub(crate) settings: watch::Receiver<Arc<Config>>,
    pub(crate) looks: Tasks,
    pub(crate) previews: Arc<Previews>,
    pub(crate) pushes: Pushes,
    pub(crate) outbox: Outbox,
    pub(crate) alerts: Alerts,
    pub(crate) units: Units,
}

impl Handle {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { units: parts.units.clone(), inner: Arc::new(Inner { parts, tries: Semaphore::new(TRIES_AT_ONCE) }) }
    }

    /// The Board as it changes: at most 20 a second, only the newest.
    #[must_use]
    pub fn board(&self) -> watch::Receiver<Arc<Board>> {
        self.inner.parts.board.clone()
    }

    /// The Board now.
    #[must_use]
    pub fn now(&self) -> Arc<Board> {
        Arc::clone(&self.inner.parts.board.borrow())
    }

    /// What happens from here on. An event comes after the Board that shows it was published. Who falls
    /// [`model::limits::EVENT_BACKLOG`] behind is told so and starts anew from the Board.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.inner.parts.events.subscribe()
    }

    /// The configuration in effect, as it changes. It comes after the Board that shows its targets was published.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Arc<Config>> {
        self.inner.parts.settings.clone()
    }

    /// Messages to people: hands them over, and says how channels are.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.inner.parts.outbox
    }

    /// The history.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// The process's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.parts.clock
    }

    /// Alerts: how they are, and what people say of them.
    #[must_use]
    pub fn alerts(&self) -> &Alerts {
        &self.inner.parts.alerts
    }

    /// Units: how they are, and what people ask of them.
    #[must_use]
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// The same engine with units that somebody else runs.
    #[must_use]
    pub fn with_units(self, units: Units) -> Self {
        Self { units, ..self }
    }

    /// How punctual the looks were since the start; `None` when the engine is ending.
    pub async fn punctuality(&self) -> Option<Punctuality> {
        let (asker, answer) = oneshot::channel();
        self.inner.parts.asks.send(Ask::Punctuality(asker)).await.ok()?;
        answer.await.ok()
    }

    async fn command(&self, command: Command) -> Result<Answer, CommandError> {
        let (asker, answer) = oneshot::channel();
        let asked = async {
            self.inner.parts.asks.send(Ask::Command(command, asker)).await.map_err(|_| CommandError::Stopping)?;
            answer.await.map_err(|_| CommandError::Stopping)
        };
        match tokio::time::timeout(ANSWER_WAIT, asked).await {
            Ok(Ok(Answer::Refused(error))) | Ok(Err(error)) => Err(error),
            Ok(Ok(answer)) => Ok(answer),
            Err(_) => Err(CommandError::Busy),
        }
    }

    /// Looks at a target at once, outside its cadence; counts like any other look. Joins a look that is under way.
    ///
    /// # Errors
    /// No such target, too many ask, or the engine is ending.
    pub async fn test_now(&self, id: &TargetId) -> Result<Arc<Observation>, CommandError> {
        match self.command(Command::TestNow(id.clone())).await? {
            Answer::Observed(seen) => Ok(seen),
            Answer::Done | Answer::Refused(_) => Err(CommandError::Busy),
        }
    }

    /// The target of the kind `push` that is called by this token. Takes no time that tells anything about a wrong one.
    #[must_use]
    pub fn target_of_token(&self, token: &str) -> Option<TargetId> {
        self.inner.parts.pushes.find(&self.now(), token)
    }

    /// A call came for a target of the kind `push`. A look sees it at once; nobody waits for it here.
    pub fn push(&self, id: &TargetId, call: Call) {
        let parts = &self.inner.parts;
        parts.pushes.inbox.note(id, call, parts.clock.utc(), parts.clock.mono());
    }

    /// Stops watching a target until resumed, also over restarts. Twice is harmless.
    ///
    /// # Errors
    /// No such target, or the engine is ending.
    pub async fn pause(&self, id: &TargetId) -> Result<(), CommandError> {
        self.set_paused(id, true).await
    }

    /// Watches a target again. Twice is harmless.
    ///
    /// # Errors
    /// No such target, or the engine is ending.
    pub async fn resume(&self, id: &TargetId) -> Result<(), CommandError> {
        self.set_paused(id, false).await
    }

    async fn set_paused(&self, id: &TargetId, paused: bool) -> Result<(), CommandError> {
        let command = if paused { Command::Pause(id.clone()) } else { Command::Resume(id.clone()) };
        self.command(command).await?;
        // The loop wrote it into a batch; somebody who was told "paused" must find it so after a power cut.
        let store = self.inner.parts.store.clone();
        let durable = tokio::task::spawn_blocking(move || store.flush(DURABLE_WITHIN)).await;
        if !matches!(durable, Ok(true)) {
            tracing::warn!(target_id = %id, "that a target is paused or not could not be written at once");
        }
        Ok(())
    }

    /// Looks once at a target that need not be in the configuration, and judges it. Nothing is stored.
    ///
    /// # Errors
    /// Busy when [`TRIES_AT_ONCE`] others are looking and none ends soon; stopping when the engine is.
    pub async fn try_target(&self, target: Target) -> Result<(Observation, Verdict), CommandError> {
        let parts = &self.inner.parts;
        let permit = tokio::time::timeout(TRY_WAIT, self.inner.tries.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(CommandError::Busy) };
        if parts.asks.is_closed() {
            return Err(CommandError::Stopping);
        }
        let (cancel, target) = (CancellationToken::new(), Arc::new(target));
        // Who asked may go away; then the look ends too.
        let _guard = cancel.clone().drop_guard();
        let look = attempt(Arc::clone(&parts.looker), Arc::clone(&parts.clock), Arc::clone(&target), cancel);
        let ended = parts.looks.cancelled();
        let (seen, panic) = tokio::select! {
            done = look => done,
            () = ended.cancelled() => return Err(CommandError::Stopping),
        };
        if let Some(words) = panic {
            tracing::error!("{words}");
        }
        let verdict = judge(&target.expect, &seen);
        Ok((seen, verdict))
    }

    /// A picture of a target of at most this age. Viewers share pictures; few are taken at once.
    ///
    /// # Errors
    /// As `probe::preview::snapshot`; not found when there is no such target; timed out when too many others ask.
    pub async fn snapshot(&self, id: &TargetId, max_age: Duration) -> Result<Picture, Fault> {
        let spec = self.spec(id)?;
        self.inner.parts.previews.snapshot(&spec, max_age).await
    }

    /// Sends pictures of a target for up to [`crate::previews::FRAMES_FOR`], or until `tx` is closed. Viewers of the same
    /// target share one session: who joins late gets what is left of it.
    ///
    /// # Errors
    /// As [`Handle::snapshot`].
    pub async fn frames(&self, id: &TargetId, tx: mpsc::Sender<Picture>) -> Result<(), Fault> {
        let spec = self.spec(id)?;
        self.inner.parts.previews.frames(spec, tx).await
    }

    fn spec(&self, id: &TargetId) -> Result<Arc<Target>, Fault> {
        let none = || Fault::new(FaultKind::NotFound, Phase::Check, "there is no such target");
        self.now().get(id).map(|t| Arc::clone(&t.spec)).ok_or_else(none)
    }

    /// The configuration on the disk and in effect. Empty when the engine is ending.
    pub async fn config(&self) -> ConfigView {
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.parts.desk.send(DeskAsk::View(reply)).await.is_ok();
        if sent && let Ok(view) = answer.await {
            return view;
        }
        let problems = vec![Problem::new(None, "", "stopping")];
        let in_effect_hash = self.now().config_hash.clone();
        ConfigView { text: String::new(), hash: String::new(), in_effect_hash, problems, warnings: Vec::new() }
    }

    /// Checks a text without applying it; answers what should be looked at, and what would take effect only after a restart.
    ///
    /// # Errors
    /// Every problem.
    pub fn validate(&self, text: &str) -> Result<Vec<Problem>, Vec<Problem>> {
        let config = self.inner.parts.rules.load(text)?;
        let mut warnings = restart_notes(&self.inner.parts.started, &config);
        warnings.splice(0..0, config.warnings);
        Ok(warnings)
    }

    /// What of a text takes effect only after a restart; nothing for a text with problems.
    #[must_use]
    pub fn restart_notes(&self, text: &str) -> Vec<Problem> {
        let loaded = self.inner.parts.rules.load(text);
        loaded.map(|config| restart_notes(&self.inner.parts.started, &config)).unwrap_or_default()
    }

    /// What a text means, by the same rules as the file.
    ///
    /// # Errors
    /// Every problem.
    pub fn load(&self, text: &str) -> Result<Config, Vec<Problem>> {
        self.inner.parts.rules.load(text)
    }

    /// Checks a text, writes it in place of the file with the expected hash, and comes back when it is in effect. Answers
    /// the new hash.
    ///
    /// # Errors
    /// The file changed meanwhile, the text has problems, or the disk refused.
    pub async fn apply_config(&self, text: String, expected_hash: &str) -> Result<String, ApplyError> {
        let expected = expected_hash.to_owned();
        self.desk(|reply| DeskAsk::Apply { text, expected, reply }).await
    }

    /// Edits the file, keeping comments and order, and comes back when it is in effect. Answers the new hash. Without an
    /// expected hash the edits apply to whatever the file holds.
    ///
    /// # Errors
    /// The file changed meanwhile, the edits make no good configuration, or the disk refused.
    pub async fn edit_config(&self, edits: Vec<Edit>, expected_hash: Option<&str>) -> Result<String, ApplyError> {
        let expected = expected_hash.map(str::to_owned);
        self.desk(|reply| DeskAsk::Edit { edits, expected, reply }).await
    }

    async fn desk(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<String, ApplyError>>) -> DeskAsk,
    ) -> Result<String, ApplyError> {
        let stopping = || ApplyError::Io("stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.inner.parts.desk.send(ask(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}
