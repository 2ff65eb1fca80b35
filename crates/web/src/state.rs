//! What every handler is given: the parts of the server, made once. Owns no rule of its own.

use std::ops::Deref;
use std::sync::Arc;

use engine::handle::Handle;
use model::board::{Board, TargetNow};
use model::target::TargetId;
use model::time::UtcMs;
use sink::registry::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::crew::Crew;
use crate::auth::local::LocalKey;
use crate::auth::rate::{CallLimiter, Limiter};
use crate::availability::Availability;
use crate::error::{ApiError, ApiResult};
use crate::hub::Hub;
use crate::metrics::legacy::Window;
use crate::metrics::serve::Press;
use crate::pulse::Pulse;

/// The parts of the server.
pub struct Parts {
    /// The engine.
    pub handle: Handle,
    /// Users, sessions, tokens and the set-up.
    pub crew: Crew,
    /// The key of the command line, where it has one.
    pub local_key: Option<LocalKey>,
    /// Attempts to sign in.
    pub limiter: Limiter,
    /// Calls of push targets.
    pub calls: CallLimiter,
    /// The event streams.
    pub hub: Hub,
    /// Whether the engine's loop turns.
    pub pulse: Pulse,
    /// Availability of all targets.
    pub availability: Availability,
    /// Looks of a window, for names of StreamPulse 2.1.1.
    pub window: Window,
    /// Where `/metrics` is written.
    pub press: Press,
    /// Looks of `/probe` that may still begin.
    pub probe_calls: Semaphore,
    /// How every sink and channel is.
    pub sinks: Registry,
    /// Whether people must sign in.
    pub login: bool,
    /// Whether this is the demonstration.
    pub demo: bool,
    /// CSRF token of everybody while login is switched off.
    pub open_csrf: String,
    /// Sinks and channels that may still be tried out.
    pub sink_tests: Semaphore,
    /// Event streams that may still be opened.
    pub event_clients: Arc<Semaphore>,
    /// Exports under way.
    pub exports: Arc<Semaphore>,
    /// Reads of services' output under way.
    pub log_reads: Arc<Semaphore>,
    /// Followers of services' output.
    pub log_followers: Arc<Semaphore>,
    /// Cancelled when the server stops: endless answers end.
    pub stopping: CancellationToken,
}

/// The state of every handler. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> UtcMs {
        self.handle.clock().utc()
    }

    /// A target of the board.
    ///
    /// # Errors
    /// `not_found`.
    pub fn target(&self, id: &TargetId) -> ApiResult<(Arc<Board>, Arc<TargetNow>)> {
        let board = self.handle.now();
        let target = board.get(id).cloned().ok_or_else(|| ApiError::not_found("target"))?;
        Ok((board, target))
    }

    /// A target by its name, as the routes of StreamPulse 2.x ask for it.
    #[must_use]
    pub fn target_named(&self, name: &str) -> Option<Arc<TargetNow>> {
        self.handle.now().targets.iter().find(|t| t.spec.name == name).cloned()
    }

    /// Asks the history something off the event loop.
    ///
    /// # Errors
    /// What the question answers with.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&store::Store) -> Result<T, store::StoreError> + Send + 'static,
    ) -> ApiResult<T> {
        let store = self.handle.store().clone();
        Ok(tokio::task::spawn_blocking(move || question(&store)).await??)
    }

    /// Writes a row of the audit log.
    pub async fn audit(&self, actor: &str, action: &str, subject: &str, detail: &str) {
        crate::auth::audit::note(self.handle.store(), self.now(), actor, action, subject, detail).await;
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
