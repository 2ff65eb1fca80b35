//! Signing in.

use model::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::auth::roles::Role;

/// A password or token in a request: never shown again.
#[derive(Clone, Debug)]
pub struct SecretText(pub Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(from)?)))
    }
}

/// Who is signed in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionDto {
    /// Whether somebody is.
    pub signed_in: bool,
    /// Who.
    pub user: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// Value of the header `X-CSRF-Token` for requests that change something; null with a bearer token.
    pub csrf: Option<String>,
    /// Whether the first administrator is still to be made with the set-up token.
    pub setup_needed: bool,
    /// False when login is switched off on this machine.
    pub login_required: bool,
    /// Version of the program.
    pub version: &'static str,
    /// IANA name of the time zone for presentation.
    pub timezone: String,
    /// Whether this is the demonstration.
    pub demo: bool,
}

/// A request to sign in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Name.
    pub user: String,
    /// Password.
    #[schema(value_type = String)]
    pub password: SecretText,
}

/// A request to make the first administrator.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// The token that the program printed.
    #[schema(value_type = String)]
    pub token: SecretText,
    /// Name.
    pub user: String,
    /// Password.
    #[schema(value_type = String)]
    pub password: SecretText,
}
