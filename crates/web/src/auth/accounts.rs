//! Users: name, role and password hash. Rules and writing are plain functions of a store, which the command line uses
//! too; [`Users`] is what the server remembers of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::secret::Secret;
use model::time::UtcMs;
use serde::{Deserialize, Serialize};
use store::Store;

use super::docs::{self, off_loop};
use super::password::{self, Passwords};
use super::roles::Role;
use crate::error::{ApiError, ApiResult, Code};

/// Most users of one instance.
pub const MAX_USERS: usize = 200;
/// Longest name of a user, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// One user.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Name as it was first written; unique whatever its case.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Password hash in PHC format.
    hash: String,
    /// When it was made, UTC milliseconds.
    pub created_at: i64,
    /// When the password was last set, UTC milliseconds: sessions that began before are over.
    pub password_at: i64,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Which user shall be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name: letters, digits, dot, underscore, hyphen, @.
    pub name: String,
    /// Password of at least [`password::MIN_CHARS`] letters.
    pub password: Secret,
    /// What the user may do.
    pub role: Role,
    /// Refuse when there is any user already (the set-up).
    pub first: bool,
}

/// What shall change about a user.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new role.
    pub role: Option<Role>,
    /// The new password.
    pub password: Option<Secret>,
}

/// Every user, by name in lower case.
///
/// # Errors
/// When the store cannot be read.
pub fn load(store: &Store) -> ApiResult<BTreeMap<String, User>> {
    docs::load(store, docs::USERS)
}

/// Whether no user was ever kept here. A user that cannot be understood counts: it makes nobody else the first.
///
/// # Errors
/// When the store cannot be read.
pub fn is_untouched(store: &Store) -> ApiResult<bool> {
    Ok(store.list_docs(docs::USERS)?.is_empty())
}

/// Makes a user. Computes a password hash: slow on purpose.
///
/// # Errors
/// A bad name or password, a name that is taken, a first user who is not the first, or the store.
pub fn create(store: &Store, new: &NewUser, now: UtcMs) -> ApiResult<User> {
    check_name(&new.name)?;
    password::check(new.password.expose(), &new.name)?;
    let known = load(store)?;
    if new.first && !is_untouched(store)? {
        return Err(ApiError::new(Code::Conflict, "StreamPulse is set up already; sign in"));
    }
    if known.contains_key(&key(&new.name)) {
        return Err(ApiError::new(Code::Conflict, "there is a user of this name already"));
    }
    if known.len() >= MAX_USERS {
        return Err(ApiError::new(Code::Conflict, format!("there are {MAX_USERS} users, the most there may be")));
    }
    let hash = password::hash(new.password.expose())?;
    let user = User { name: new.name.clone(), role: new.role, hash, created_at: now.0, password_at: now.0 };
    docs::put(store, docs::USERS, &key(&user.name), &user)?;
    Ok(user)
}

/// Changes role, password, or both. A new password ends the user's sessions.
///
/// # Errors
/// An unknown user, a bad password, the last administrator losing the role, or the store.
pub fn change(store: &Store, name: &str, change: &Change, now: UtcMs) -> ApiResult<User> {
    let known = load(store)?;
    let mut user = known.get(&key(name)).cloned().ok_or_else(|| ApiError::not_found("user"))?;
    if let Some(role) = change.role {
        if role != Role::Administrator {
            check_not_last_administrator(&known, &user)?;
        }
        user.role = role;
    }
    if let Some(new) = &change.password {
        password::check(new.expose(), &user.name)?;
        user.hash = password::hash(new.expose())?;
        user.password_at = now.0;
    }
    docs::put(store, docs::USERS, &key(&user.name), &user)?;
    Ok(user)
}

/// Removes a user, and with the user what it made: tokens. Sessions of unknown users are over.
///
/// # Errors
/// An unknown user, the last administrator, or the store.
pub fn remove(store: &Store, name: &str) -> ApiResult<User> {
    let known = load(store)?;
    let user = known.get(&key(name)).cloned().ok_or_else(|| ApiError::not_found("user"))?;
    check_not_last_administrator(&known, &user)?;
    super::token::revoke_all_of(store, &user.name)?;
    store.delete_doc(docs::USERS, &key(name))?;
    Ok(user)
}

fn check_not_last_administrator(known: &BTreeMap<String, User>, user: &User) -> ApiResult<()> {
    let others = |u: &&User| u.role == Role::Administrator && key(&u.name) != key(&user.name);
    if user.role == Role::Administrator && known.values().filter(others).count() == 0 {
        return Err(ApiError::new(Code::Conflict, "this is the last administrator; make another one first"));
    }
    Ok(())
}

fn key(name: &str) -> String {
    name.to_lowercase()
}

fn check_name(name: &str) -> ApiResult<()> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(letters) {
        let why =
            format!("a user's name has 1 to {MAX_NAME_BYTES} letters of a-z, A-Z, 0-9, dot, underscore, hyphen, @");
        return Err(ApiError::new(Code::Invalid, why));
    }
    Ok(())
}

/// What the server remembers of the users. The store is the truth: the command line may change it beside us.
pub struct Users {
    store: Store,
    passwords: Passwords,
    known: Mutex<BTreeMap<String, User>>,
    /// Held while reading or changing the store, so that what is remembered never goes back in time.
    changing: tokio::sync::Mutex<()>,
}

impl Users {
    /// Nobody is known until [`Users::refresh`] has read the store.
    #[must_use]
    pub fn unread(store: Store, passwords: Passwords) -> Self {
        Self { store, passwords, known: Mutex::default(), changing: tokio::sync::Mutex::new(()) }
    }

    /// See [`is_untouched`].
    ///
    /// # Errors
    /// See [`is_untouched`].
    pub async fn is_untouched(&self) -> ApiResult<bool> {
        let store = self.store.clone();
        off_loop(move || is_untouched(&store)).await
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
        let known = off_loop(move || load(&store)).await?;
        *self.lock() = known;
        Ok(())
    }

    /// Every user, by name.
    #[must_use]
    pub fn list(&self) -> Vec<User> {
        self.lock().values().cloned().collect()
    }

    /// The user of a name, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<User> {
        self.lock().get(&key(name)).cloned()
    }

    /// Whether there is none: then the set-up token makes the first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The user when the password is right. Takes the same time whether the name is known or not.
    ///
    /// # Errors
    /// `wrong_credentials`, or busy.
    pub async fn sign_in(&self, name: &str, password: Secret) -> ApiResult<User> {
        let user = self.get(name);
        let fits = self.passwords.verify(password, user.as_ref().map(|u| u.hash.clone())).await?;
        user.filter(|_| fits).ok_or_else(|| ApiError::new(Code::WrongCredentials, "user or password is wrong"))
    }

    /// See [`create`].
    ///
    /// # Errors
    /// See [`create`].
    pub async fn create(&self, new: NewUser, now: UtcMs) -> ApiResult<User> {
        let store = self.store.clone();
        self.write(move || create(&store, &new, now)).await
    }

    /// See [`change`].
    ///
    /// # Errors
    /// See [`change`].
    pub async fn change(&self, name: String, what: Change, now: UtcMs) -> ApiResult<User> {
        let store = self.store.clone();
        self.write(move || change(&store, &name, &what, now)).await
    }

    /// See [`remove`].
    ///
    /// # Errors
    /// See [`remove`].
    pub async fn remove(&self, name: String) -> ApiResult<User> {
        let store = self.store.clone();
        self.write(move || remove(&store, &name)).await
    }

    async fn write(&self, f: impl FnOnce() -> ApiResult<User> + Send + 'static) -> ApiResult<User> {
        let _turn = self.passwords.turn().await?;
        let _changing = self.changing.lock().await;
        let user = off_loop(f).await?;
        self.reload().await?;
        Ok(user)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, User>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (name, fine) in
            [("anna", true), ("a.b-c_d@e", true), ("", false), ("a b", false), ("a/b", false), ("ä", false)]
        {
            assert_eq!(check_name(name).is_ok(), fine, "{name}");
        }
        assert!(check_name(&"x".repeat(65)).is_err());
    }
}
