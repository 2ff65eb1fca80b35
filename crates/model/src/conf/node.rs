//! The tree that a configuration file becomes. Scalars keep their text; the fields decide what it means.

use super::problem::Place;

/// A value with the place it stands at.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins; `None` for values that come from no file.
    pub place: Option<Place>,
}

impl Node {
    /// A value that comes from no file.
    #[must_use]
    pub fn bare(value: Value) -> Self {
        Self { value, place: None }
    }
}

/// A configuration value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing (`key:` or `~`).
    Null,
    /// `true` or `false`, nothing else.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Value {
    /// What it is, for messages.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Str(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Shows the shape and never the text: values may be secrets.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List(items) => f.debug_list().entries(items.iter().map(|n| &n.value)).finish(),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, n)| (k, &n.value))).finish(),
            other => f.write_str(other.type_name()),
        }
    }
}
