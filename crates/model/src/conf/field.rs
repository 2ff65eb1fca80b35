//! Declared once per key: name, type, default, documentation. The loader checks against it; the JSON Schema, the
//! reference page and the form on the page are generated from it.

use std::time::Duration;

/// One key of a section.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key as written in the file.
    pub key: &'static str,
    /// What it may hold.
    pub ty: Type,
    /// Default as written in a file; `None` when there is none (the key is absent by default).
    pub default: Option<&'static str>,
    /// Whether the section is wrong without it.
    pub required: bool,
    /// One or two sentences for people; units included.
    pub doc: &'static str,
}

impl Field {
    /// An optional key without a default.
    #[must_use]
    pub const fn new(key: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { key, ty, default: None, required: false, doc }
    }

    /// The same key, required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same key with a default, written as in a file.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }
}

/// Joins field lists at compile time; `N` must be the sum of their lengths.
///
/// # Panics
/// At compile time when `N` is another number.
#[must_use]
pub const fn join_fields<const N: usize>(lists: &[&[Field]]) -> [Field; N] {
    let mut all = [Field::new("", Type::Any, ""); N];
    let (mut at, mut list) = (0, 0);
    while list < lists.len() {
        let mut i = 0;
        while i < lists[list].len() {
            all[at] = lists[list][i];
            at += 1;
            i += 1;
        }
        list += 1;
    }
    assert!(at == N, "the number of fields is not the sum of the lists");
    all
}

/// What a key may hold.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Text of at most this many bytes.
    Text {
        /// Most bytes.
        max: usize,
    },
    /// Text that is never shown again.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// Any number.
    Number {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// A duration in words: `500ms`, `10s`, `5m`, `2h`, `30d`.
    Duration {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// A size in words: `512KiB`, `4MiB`.
    Size {
        /// Least bytes.
        min: u64,
        /// Most bytes.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of the type; a single value is taken as a list of one.
    List(&'static Type),
    /// Free keys, each holding the type (HTTP headers).
    MapOf(&'static Type),
    /// A section of its own.
    Section(&'static [Field]),
    /// A list of sections.
    Sections(&'static [Field]),
    /// Checked by its owner.
    Any,
}
