//! API tokens for programs: `sp_<id>_<secret>`, kept as a hash, with a role of their own, revocable, with the time of
//! last use.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::secret::Secret;
use model::time::UtcMs;
use serde::{Deserialize, Serialize};
use store::Store;

use super::docs::{self, off_loop};
use super::random;
use super::roles::Role;
use crate::error::{ApiError, ApiResult, Code};

/// Most tokens of one instance.
pub const MAX_TOKENS: usize = 200;
/// Longest name of a token, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// The time of last use is written to disk at most this often.
const USED_EVERY: Duration = Duration::from_secs(60);

/// One token as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Name for people.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Whether it may only read.
    pub read_only: bool,
    /// SHA-256 of its secret.
    hash: String,
    /// User who made it, whose role bounds the token's; `None` for one made on the command line.
    pub owner: Option<String>,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
    /// When it ends by itself, UTC milliseconds.
    pub expires_at: Option<i64>,
    /// When it was last used, UTC milliseconds.
    pub last_used_at: Option<i64>,
}

/// What a new token shall be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Name for people.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Whether it may only read.
    pub read_only: bool,
    /// Who makes it.
    pub owner: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<UtcMs>,
}

/// Every token by id.
///
/// # Errors
/// When the store cannot be read.
pub fn load(store: &Store) -> ApiResult<BTreeMap<String, Token>> {
    let mut known: BTreeMap<String, Token> = docs::load(store, docs::TOKENS)?;
    for (id, at) in docs::load::<i64>(store, docs::TOKENS_USED)? {
        if let Some(token) = known.get_mut(&id) {
            token.last_used_at = Some(at);
        }
    }
    Ok(known)
}

/// Makes a token; answers its id and its text, which is shown this once.
///
/// # Errors
/// A bad name, too many tokens, or the store.
pub fn create(store: &Store, new: &NewToken, now: UtcMs) -> ApiResult<(String, Secret)> {
    if new.name.trim().is_empty() || new.name.len() > MAX_NAME_BYTES || new.name.chars().any(char::is_control) {
        let why = format!("a token's name has 1 to {MAX_NAME_BYTES} bytes of printable text");
        return Err(ApiError::new(Code::Invalid, why));
    }
    if load(store)?.len() >= MAX_TOKENS {
        return Err(ApiError::new(Code::Conflict, format!("there are {MAX_TOKENS} tokens, the most there may be")));
    }
    let (id, secret) = (random::id(), random::secret());
    let token = Token {
        name: new.name.clone(),
        role: new.role,
        read_only: new.read_only,
        hash: random::sha256(&secret),
        owner: new.owner.clone(),
        created_at: now.0,
        expires_at: new.expires_at.map(|at| at.0),
        last_used_at: None,
    };
    docs::put(store, docs::TOKENS, &id, &token)?;
    let text = Secret::new(format!("sp_{id}_{secret}"));
    Ok((id, text))
}

/// Revokes a token.
///
/// # Errors
/// An unknown id, or the store.
pub fn revoke(store: &Store, id: &str) -> ApiResult<Token> {
    let token = load(store)?.remove(id).ok_or_else(|| ApiError::not_found("token"))?;
    store.delete_doc(docs::TOKENS, id)?;
    store.delete_doc(docs::TOKENS_USED, id)?;
    Ok(token)
}

/// Revokes all tokens that a user made.
///
/// # Errors
/// When the store cannot be written.
pub fn revoke_all_of(store: &Store, user: &str) -> ApiResult<()> {
    let mine = |t: &Token| t.owner.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(user));
    for (id, _) in load(store)?.into_iter().filter(|(_, t)| mine(t)) {
        revoke(store, &id)?;
    }
    Ok(())
}

/// What the server remembers of the tokens. The store is the truth: the command line may change it beside us.
pub struct Tokens {
    store: Store,
    known: Mutex<BTreeMap<String, Token>>,
    /// Held while reading or changing the store, so that what is remembered never goes back in time.
    changing: tokio::sync::Mutex<()>,
}

impl Tokens {
    /// None is known until [`Tokens::refresh`] has read the store.
    #[must_use]
    pub fn unread(store: Store) -> Self {
        Self { store, known: Mutex::default(), changing: tokio::sync::Mutex::new(()) }
    }

    /// Reads the store again.
    ///
    /// # Errors
    /// When the store cannot be read; what was known stays.
    pub async fn refresh(&self) -> ApiResult<()> {
        let _changing = self.changing.lock().await;
        self.reload().await
    }

    async fn reload(&self) -> ApiResult<()> {
        let store = self.store.clone();
        let mut fresh = off_loop(move || load(&store)).await?;
        let mut known = self.lock();
        for (id, token) in &mut fresh {
            token.last_used_at = token.last_used_at.max(known.get(id).and_then(|t| t.last_used_at));
        }
        *known = fresh;
        Ok(())
    }

    /// Every token with its id, by id.
    #[must_use]
    pub fn list(&self) -> Vec<(String, Token)> {
        self.lock().iter().map(|(id, token)| (id.clone(), token.clone())).collect()
    }

    /// See [`create`].
    ///
    /// # Errors
    /// See [`create`].
    pub async fn create(&self, new: NewToken, now: UtcMs) -> ApiResult<(String, Secret)> {
        let store = self.store.clone();
        self.write(move || create(&store, &new, now)).await
    }

    /// See [`revoke`].
    ///
    /// # Errors
    /// See [`revoke`].
    pub async fn revoke(&self, id: String) -> ApiResult<Token> {
        let store = self.store.clone();
        self.write(move || revoke(&store, &id)).await
    }

    /// The token of a text as it stands in a header, with its id; notes that it was used.
    #[must_use]
    pub fn find(&self, text: &str, now: UtcMs) -> Option<(String, Token)> {
        let (id, secret) = text.strip_prefix("sp_")?.split_once('_')?;
        let mut known = self.lock();
        let token = known.get_mut(id)?;
        if !random::same(&random::sha256(secret), &token.hash) || token.expires_at.is_some_and(|end| now.0 >= end) {
            return None;
        }
        if token.last_used_at.is_none_or(|at| now.since(UtcMs(at)) >= USED_EVERY) {
            token.last_used_at = Some(now.0);
            docs::note_later(&self.store, docs::TOKENS_USED, id, now.0);
        }
        Some((id.to_owned(), token.clone()))
    }

    async fn write<T: Send + 'static>(&self, f: impl FnOnce() -> ApiResult<T> + Send + 'static) -> ApiResult<T> {
        let _changing = self.changing.lock().await;
        let answer = off_loop(f).await?;
        self.reload().await?;
        Ok(answer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Token>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
