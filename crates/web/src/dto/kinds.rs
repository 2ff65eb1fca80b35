//! What a form for targets needs to know: sections, kinds and their keys.

use engine::config::SectionDoc;
use model::conf::words::duration_text;
use model::conf::{Field, Type};
use serde::Serialize;
use utoipa::ToSchema;

/// One key of a section.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldDto {
    /// The key as written in the file.
    pub key: &'static str,
    /// `text`, `secret`, `bool`, `integer`, `number`, `duration`, `size`, `choice`, `list`, `map`, `section`,
    /// `sections` or `any`.
    #[serde(rename = "type")]
    pub ty: &'static str,
    /// Type of the items of a list or map.
    pub of: Option<&'static str>,
    /// The accepted words of a choice.
    pub choices: Option<Vec<&'static str>>,
    /// Least value, as written in the file.
    pub min: Option<String>,
    /// Greatest value, as written in the file; most bytes of a text.
    pub max: Option<String>,
    /// Default as written in the file.
    pub default: Option<&'static str>,
    /// Whether it must be there.
    pub required: bool,
    /// One or two sentences for people.
    pub doc: &'static str,
    /// Keys of a section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub fields: Vec<FieldDto>,
}

impl From<&Field> for FieldDto {
    fn from(f: &Field) -> Self {
        let (min, max) = bounds(&f.ty);
        let (choices, of, fields) = inside(&f.ty);
        Self {
            key: f.key,
            ty: type_word(&f.ty),
            of,
            choices,
            min,
            max,
            default: f.default,
            required: f.required,
            doc: f.doc,
            fields,
        }
    }
}

fn type_word(ty: &Type) -> &'static str {
    match ty {
        Type::Text { .. } => "text",
        Type::Secret => "secret",
        Type::Bool => "bool",
        Type::Integer { .. } => "integer",
        Type::Number { .. } => "number",
        Type::Duration { .. } => "duration",
        Type::Size { .. } => "size",
        Type::Choice(_) => "choice",
        Type::List(_) => "list",
        Type::MapOf(_) => "map",
        Type::Section(_) => "section",
        Type::Sections(_) => "sections",
        Type::Any => "any",
    }
}

fn bounds(ty: &Type) -> (Option<String>, Option<String>) {
    match ty {
        Type::Text { max } => (None, Some(max.to_string())),
        Type::Integer { min, max } => (Some(min.to_string()), Some(max.to_string())),
        Type::Number { min, max } => (Some(min.to_string()), Some(max.to_string())),
        Type::Duration { min, max } => (Some(duration_text(*min)), Some(duration_text(*max))),
        Type::Size { min, max } => (Some(min.to_string()), Some(max.to_string())),
        _ => (None, None),
    }
}

fn inside(ty: &Type) -> (Option<Vec<&'static str>>, Option<&'static str>, Vec<FieldDto>) {
    match ty {
        Type::Choice(words) => (Some(words.to_vec()), None, Vec::new()),
        Type::List(inner) | Type::MapOf(inner) => {
            let (choices, _, fields) = inside(inner);
            (choices, Some(type_word(inner)), fields)
        }
        Type::Section(fields) | Type::Sections(fields) => (None, None, fields.iter().map(Into::into).collect()),
        _ => (None, None, Vec::new()),
    }
}

/// One kind of target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KindDto {
    /// The word of `kind`.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// URL schemes.
    pub schemes: Vec<&'static str>,
    /// Whether it carries media, so that `depth` and the media expectations apply.
    pub media: bool,
    /// Whether it can hold a session, so that `watch: continuous` applies.
    pub holds: bool,
    /// A target in YAML.
    pub example: Option<&'static str>,
    /// Its own keys.
    pub fields: Vec<FieldDto>,
}

/// The description of targets, for forms.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KindsDto {
    /// Keys of every target.
    pub common: Vec<FieldDto>,
    /// Keys of `expect`.
    pub expect: Vec<FieldDto>,
    /// The kinds with their own keys.
    pub kinds: Vec<KindDto>,
}

impl KindsDto {
    /// From the sections that the configuration describes.
    #[must_use]
    pub fn new(sections: &[SectionDoc]) -> Self {
        let fields = |name: &str| {
            let found = sections.iter().find(|s| s.name == name);
            found.map(|s| s.fields.iter().map(Into::into).collect()).unwrap_or_default()
        };
        let kind = |s: &SectionDoc| {
            Some(KindDto {
                name: s.name.strip_prefix("kind:")?.to_owned(),
                summary: s.summary.clone(),
                schemes: s.schemes.to_vec(),
                media: s.media,
                holds: s.holds,
                example: s.example,
                fields: s.fields.iter().map(Into::into).collect(),
            })
        };
        Self { common: fields("target"), expect: fields("expect"), kinds: sections.iter().filter_map(kind).collect() }
    }
}
