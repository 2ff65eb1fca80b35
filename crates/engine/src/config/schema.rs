//! What the tables of fields say, as plain structs for forms.

use model::conf::Field;

/// One section of the configuration, for forms and references.
#[derive(Clone, Debug)]
pub struct SectionDoc {
    /// `target` (keys of every target), `expect`, `kind:rtsp` (further keys of a kind), `server`, `store`, `probing`.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// A target in YAML, for kinds.
    pub example: Option<&'static str>,
    /// URL schemes, for kinds.
    pub schemes: &'static [&'static str],
    /// Whether the kind carries media, so that `depth` and the media expectations apply.
    pub media: bool,
    /// The keys, in the order in which a form shows them.
    pub fields: Vec<Field>,
}

/// Every section, for forms.
#[must_use]
pub fn describe() -> Vec<SectionDoc> {
    Vec::new()
}

/// JSON Schema (draft 2020-12) of `streampulse.yaml`.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}
