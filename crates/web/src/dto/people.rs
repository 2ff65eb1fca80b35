//! Users, tokens and the audit log.

use serde::{Deserialize, Serialize};
use store::AuditRow;
use utoipa::ToSchema;

use super::session::SecretText;
use crate::auth::accounts::User;
use crate::auth::roles::Role;
use crate::auth::token::Token;

/// One user.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserDto {
    /// Name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// When it was made.
    pub created_at: i64,
    /// When the password was last set.
    pub password_at: i64,
}

impl From<&User> for UserDto {
    fn from(u: &User) -> Self {
        Self { name: u.name.clone(), role: u.role, created_at: u.created_at, password_at: u.password_at }
    }
}

/// All users.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UsersDto {
    /// By name.
    pub users: Vec<UserDto>,
}

/// A new user.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Name: letters, digits, dot, underscore, hyphen, @.
    pub name: String,
    /// Password of at least 10 letters.
    #[schema(value_type = String)]
    pub password: SecretText,
    /// What the user may do.
    pub role: Role,
}

/// A change of a user. Administrators change anybody; everybody changes their own password.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    /// The new role.
    pub role: Option<Role>,
    /// The new password.
    #[schema(value_type = Option<String>)]
    pub password: Option<SecretText>,
    /// The present password; needed by those who are no administrators.
    #[schema(value_type = Option<String>)]
    pub current_password: Option<SecretText>,
}

/// One token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenDto {
    /// Identity.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Whether it may only read.
    pub read_only: bool,
    /// Who made it.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<i64>,
}

impl TokenDto {
    /// The token kept under `id`.
    #[must_use]
    pub fn new(id: &str, t: &Token) -> Self {
        Self {
            id: id.to_owned(),
            name: t.name.clone(),
            role: t.role,
            read_only: t.read_only,
            owner: t.owner.clone(),
            created_at: t.created_at,
            expires_at: t.expires_at,
            last_used_at: t.last_used_at,
        }
    }
}

/// All tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokensDto {
    /// By id.
    pub tokens: Vec<TokenDto>,
}

/// A new token.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Name for people.
    pub name: String,
    /// What it may do at most; never more than who makes it.
    pub role: Role,
    /// Whether it may only read.
    #[serde(default)]
    pub read_only: bool,
    /// When it ends by itself, UTC milliseconds.
    pub expires_at: Option<i64>,
}

/// A token that was just made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NewTokenDto {
    /// Identity, to revoke it.
    pub id: String,
    /// The token itself; shown this once.
    pub token: String,
}

/// One line of the audit log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditRowDto {
    /// Cursor for paging.
    pub row: i64,
    /// When.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More.
    pub detail: String,
}

impl From<&(i64, AuditRow)> for AuditRowDto {
    fn from((row, a): &(i64, AuditRow)) -> Self {
        Self {
            row: *row,
            at: a.at.0,
            actor: a.actor.clone(),
            action: a.action.clone(),
            subject: a.subject.clone(),
            detail: a.detail.clone(),
        }
    }
}

/// A page of the audit log, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditDto {
    /// The lines.
    pub rows: Vec<AuditRowDto>,
    /// Value of `before` for the next page; null when this is the last.
    pub next: Option<i64>,
}
