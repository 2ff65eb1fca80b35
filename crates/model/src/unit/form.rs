//! What people may set of a unit: declared once in its file, checked here, turned into arguments, environment or a file at
//! launch. Pure; persistence belongs to `engine`.

use std::path::PathBuf;

/// The form of a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Where the values are kept, as one JSON object.
    pub file: PathBuf,
    /// The keys, in the order of the file of services.
    pub keys: Vec<Key>,
}

/// One key of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its name in the JSON object.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// What it means, units included.
    pub description: String,
    /// What it may hold.
    pub ty: KeyType,
    /// Its value where nobody set one.
    pub default: Option<Value>,
    /// Whether the unit cannot start without it.
    pub required: bool,
    /// Where its value goes at launch.
    pub to: Vec<Goes>,
}

/// What a key may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyType {
    /// Text of at most `max` bytes; one of `choices` where there are any.
    Text {
        /// Most bytes.
        max: usize,
        /// Regular expression that the whole text must match.
        pattern: Option<String>,
        /// The only values; empty allows any.
        choices: Vec<String>,
    },
    /// Text that is never shown again.
    Secret,
    /// A whole number.
    Integer {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// A number.
    Number {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// Yes or no.
    Bool,
    /// A folder or file by its whole path.
    Path {
        /// What must be so before anything is touched.
        must: Must,
    },
}

/// What must be so of a path before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// Nothing.
    Nothing,
    /// It is a folder that can be read.
    ReadFolder,
    /// It is a folder that can be written to.
    WriteFolder,
    /// Its folder exists; the file may be made there.
    FileInFolder,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, secrets and paths.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
}

/// Where a value goes at launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// Two arguments at the end: the option, the value. A yes is the option alone, a no is nothing.
    Option(String),
    /// In place of `{name}` in an argument.
    Placeholder,
    /// An environment variable.
    Env(String),
}
