//! Roles and what a route asks for. The table of routes names an [`Access`] for each; nothing else decides.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do. Ordered: a greater role may do all that a smaller one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything that is no secret.
    Viewer,
    /// Also pauses, resumes and tests targets.
    Operator,
    /// Also changes the configuration, users and tokens.
    Administrator,
}

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Administrator];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == word)
    }
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: signing in, health, the pages themselves.
    Public,
    /// Somebody signed in with at least this role.
    Role(Role),
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name for the audit log: a user, or `token:<name>`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may only read, whatever the role.
    pub read_only: bool,
    /// How it showed who it is.
    pub by: Proof,
}

/// How somebody showed who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A session cookie; holds the hash under which the session is kept.
    Session(String),
    /// An API token; holds its id.
    Token(String),
    /// Login is switched off on this machine.
    NoLogin,
}

impl Identity {
    /// Whether a request that reads (`reads`) or changes something is allowed.
    #[must_use]
    pub fn may(&self, access: Access, reads: bool) -> bool {
        match access {
            Access::Public => true,
            Access::Role(least) => self.role >= least && (reads || !self.read_only),
        }
    }
}
