//! Users and tokens without a server: for the command line. Same rules, same store, same audit log; a server that runs
//! beside sees the change within a second. Everything here blocks.

use model::secret::Secret;
use model::time::{Clock, UtcMs};
use net::clock::SystemClock;
use store::{AuditRow, Store};

use crate::auth::accounts::{self, Change, NewUser};
use crate::auth::roles::Role;
use crate::auth::token::{self, NewToken};
use crate::error::{ApiError, ApiResult, Code};

/// Name of the command line in the audit log.
const ACTOR: &str = "command line";

fn now() -> UtcMs {
    SystemClock::new().utc()
}

fn note(store: &Store, action: &str, subject: &str, detail: &str) -> ApiResult<()> {
    let text = str::to_owned;
    let row =
        AuditRow { at: now(), actor: text(ACTOR), action: text(action), subject: text(subject), detail: text(detail) };
    Ok(store.append_audit(row)?)
}

fn role_of(word: &str) -> ApiResult<Role> {
    let words = Role::ALL.map(Role::as_str).join(", ");
    Role::from_word(word).ok_or_else(|| ApiError::new(Code::Invalid, format!("{word:?} is no role, accepted: {words}")))
}

/// Every user: name, word of the role, and when it was made.
///
/// # Errors
/// When the store cannot be read.
pub fn users(store: &Store) -> ApiResult<Vec<(String, String, UtcMs)>> {
    let row = |u: accounts::User| (u.name, u.role.as_str().to_owned(), UtcMs(u.created_at));
    Ok(accounts::load(store)?.into_values().map(row).collect())
}

/// Makes a user.
///
/// # Errors
/// A bad name, password or role, a name that is taken, or the store; in a sentence.
pub fn add_user(store: &Store, name: &str, role: &str, password: &str) -> ApiResult<()> {
    let role = role_of(role)?;
    let new = NewUser { name: name.to_owned(), password: Secret::new(password), role, first: false };
    let user = accounts::create(store, &new, now())?;
    note(store, "made a user", &user.name, role.as_str())
}

/// Sets a password; ends the user's sessions.
///
/// # Errors
/// An unknown user, a bad password, or the store.
pub fn set_password(store: &Store, name: &str, password: &str) -> ApiResult<()> {
    let change = Change { password: Some(Secret::new(password)), ..Change::default() };
    let user = accounts::change(store, name, &change, now())?;
    note(store, "changed a user", &user.name, "password")
}

/// Sets a role.
///
/// # Errors
/// An unknown user or role, the last administrator losing the role, or the store.
pub fn set_role(store: &Store, name: &str, role: &str) -> ApiResult<()> {
    let change = Change { role: Some(role_of(role)?), ..Change::default() };
    let user = accounts::change(store, name, &change, now())?;
    note(store, "changed a user", &user.name, "role")
}

/// Removes a user with the user's tokens and sessions.
///
/// # Errors
/// An unknown user, the last administrator, or the store.
pub fn remove_user(store: &Store, name: &str) -> ApiResult<()> {
    let user = accounts::remove(store, name)?;
    note(store, "removed a user", &user.name, "")
}

/// One token as the command line lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Identity, to revoke it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Word of the role.
    pub role: String,
    /// When it was made.
    pub created_at: UtcMs,
    /// When it was last used.
    pub last_used_at: Option<UtcMs>,
}

/// Every token.
///
/// # Errors
/// When the store cannot be read.
pub fn tokens(store: &Store) -> ApiResult<Vec<TokenRow>> {
    let row = |(id, t): (String, token::Token)| TokenRow {
        id,
        name: t.name,
        role: t.role.as_str().to_owned(),
        created_at: UtcMs(t.created_at),
        last_used_at: t.last_used_at.map(UtcMs),
    };
    Ok(token::load(store)?.into_iter().map(row).collect())
}

/// Makes a token and answers its text, which nobody can see again.
///
/// # Errors
/// A bad name or role, too many tokens, or the store.
pub fn create_token(store: &Store, name: &str, role: &str) -> ApiResult<String> {
    let new = NewToken { name: name.to_owned(), role: role_of(role)?, read_only: false, owner: None, expires_at: None };
    let (id, text) = token::create(store, &new, now())?;
    note(store, "made a token", name, &id)?;
    Ok(text.expose().to_owned())
}

/// Revokes a token.
///
/// # Errors
/// An unknown id, or the store.
pub fn revoke_token(store: &Store, id: &str) -> ApiResult<()> {
    let token = token::revoke(store, id)?;
    note(store, "revoked a token", &token.name, id)
}
