//! The configuration file, its problems, and requests to change it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ProblemDto;

/// The configuration file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConfigDto {
    /// Its text with every secret shown as `***`.
    pub text: String,
    /// SHA-256 of the file in hexadecimal; send it back as `expected_hash`.
    pub hash: String,
    /// SHA-256 of the configuration in effect; differs while the file has problems.
    pub in_effect_hash: String,
    /// Why the file is not in effect; empty when it is.
    pub problems: Vec<ProblemDto>,
    /// What is accepted but should be looked at.
    pub warnings: Vec<ProblemDto>,
}

/// A new text for the configuration file.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutConfig {
    /// The text; `***` stands for the secret that was at that place.
    pub text: String,
    /// The hash that was read; the change is refused when the file is another by now.
    pub expected_hash: String,
}

/// A change was applied.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AppliedDto {
    /// The new hash of the file.
    pub hash: String,
    /// What in the file takes effect only after a restart, one sentence each.
    pub notes: Vec<String>,
}

/// A text to be checked.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateConfig {
    /// The text; `***` stands for the secret that was at that place.
    pub text: String,
}

/// What was found in a text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ValidatedDto {
    /// Why it would be refused; empty when it would be accepted.
    pub problems: Vec<ProblemDto>,
    /// What would be accepted but should be looked at.
    pub warnings: Vec<ProblemDto>,
}

/// Settings that a form changes. Keys are paths in the file (`timezone`, `server.session`); null removes a key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct PatchSettings(pub serde_json::Map<String, serde_json::Value>);

/// Keys of a target as in the file. Null removes a key; `***` in a URL or a secret keeps what is stored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct TargetFields(pub serde_json::Map<String, serde_json::Value>);

/// The event `config`: another file took effect or was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConfigEvent {
    /// SHA-256 of the file in hexadecimal.
    pub hash: String,
    /// SHA-256 of the configuration in effect.
    pub in_effect_hash: String,
    /// Why the file is not in effect; empty when it is.
    pub problems: Vec<ProblemDto>,
}
