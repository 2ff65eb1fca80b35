//! Sections of the configuration beside the targets, for forms.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::kinds::{FieldDto, KindDto};

/// What a form needs to know of a section.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SectionDto {
    /// Keys from the top, joined by dots (`influxdb`, `alerts.rules`).
    pub name: &'static str,
    /// One sentence.
    pub summary: String,
    /// Whether it is a list of items that have names.
    pub list: bool,
    /// The keys of the section, or of every item.
    pub fields: Vec<FieldDto>,
    /// Further keys of an item by its `kind`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindDto>,
    /// What the file has, secrets as `***`: an object, or a list of objects; null when it has nothing or was not asked for.
    pub values: Option<Value>,
    /// SHA-256 of the file; null when it was not asked for.
    pub hash: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SectionsDto {
    /// Without their values.
    pub sections: Vec<SectionDto>,
}

/// Keys of a section or item. Keys that are absent or null are taken out; `***` keeps the secret that is in the file.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct SectionValues(pub Map<String, Value>);
