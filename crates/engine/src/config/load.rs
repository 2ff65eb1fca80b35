//! From text to a checked [`Config`]. Collects every problem; one bad key hides no other.

use model::conf::Problem;

use super::{Config, Env, Overrides};

/// Reads and checks a configuration. Pure: no file is opened, no name resolved.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn load(text: &str, env: Env<'_>, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let _ = (text, env, overrides);
    Err(vec![Problem::new(None, "", "the loader is not there yet")])
}
