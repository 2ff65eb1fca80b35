//! The configuration as people without full rights may see it: secrets masked.

use model::conf::Value;
use model::target::TargetId;

/// The text with every secret replaced by `***`. Comments are masked too where they look like keys with secrets or URLs.
#[must_use]
pub fn masked_text(text: &str) -> String {
    let _ = text;
    String::new()
}

/// The keys that the section of a target itself holds, in the order of the file, secrets masked; `None` when there is no such target.
#[must_use]
pub fn target_fields(text: &str, id: &TargetId) -> Option<Vec<(String, Value)>> {
    let _ = (text, id);
    None
}
