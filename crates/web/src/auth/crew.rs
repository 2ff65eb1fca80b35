//! Users, sessions, tokens and the set-up together: read from the store once it can be read, and kept fresh. Until then
//! nobody is known and the set-up is closed: that users cannot be read never means that there are none.

use std::sync::atomic::{AtomicBool, Ordering};

use store::Store;

use super::accounts::Users;
use super::session::Sessions;
use super::setup::Setup;
use super::token::Tokens;
use crate::error::{ApiError, ApiResult, Code};
use crate::masks::without_places;

/// After so many seconds a sign-in may be tried again.
const RETRY_S: u64 = 5;

/// Who may come in.
pub struct Crew {
    /// Users.
    pub users: Users,
    /// Sessions.
    pub sessions: Sessions,
    /// API tokens.
    pub tokens: Tokens,
    /// The first run.
    pub setup: Setup,
    store: Store,
    /// Whether people must sign in at all.
    login: bool,
    read: AtomicBool,
}

impl Crew {
    /// Nobody is known yet.
    #[must_use]
    pub fn unread(store: Store, users: Users, sessions: Sessions, login: bool) -> Self {
        let (tokens, setup) = (Tokens::unread(store.clone()), Setup::closed());
        Self { users, sessions, tokens, setup, store, login, read: AtomicBool::new(false) }
    }

    /// Reads everything the first time, and what the command line may have changed beside us later.
    ///
    /// # Errors
    /// When the store cannot be read; what was known stays.
    pub async fn refresh(&self) -> ApiResult<()> {
        self.users.refresh().await?;
        self.tokens.refresh().await?;
        if self.read.load(Ordering::Acquire) {
            return Ok(());
        }
        self.sessions.read().await?;
        if self.login && self.users.is_untouched().await? {
            self.setup.open();
        }
        self.read.store(true, Ordering::Release);
        Ok(())
    }

    /// Refuses until everything was read once: nobody can be told from anybody before.
    ///
    /// # Errors
    /// `unavailable`, with the reason in words for everybody.
    pub fn check_read(&self) -> ApiResult<()> {
        if self.read.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = self.store.health().reason.unwrap_or_else(|| "the history cannot be used".to_owned());
        let why = format!("users cannot be read now: {}", without_places(&why));
        Err(ApiError::new(Code::Unavailable, why).retry_after(RETRY_S))
    }

    /// Whether the first administrator is still to be made.
    #[must_use]
    pub fn needs_setup(&self) -> bool {
        self.setup.is_open() && self.users.is_empty()
    }
}
