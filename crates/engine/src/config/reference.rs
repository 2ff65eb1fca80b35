//! The reference page, written from the same tables that the loader checks against.

/// The page `docs/reference/configuration.md`.
#[must_use]
pub fn reference_md() -> String {
    String::new()
}
