//! A target: something watched. Plain data, compared by equality when a configuration changes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::conf::Value;
use crate::expect::Expectations;
use crate::phase::words;
use crate::reading::Depth;
use crate::status::StatusRules;

/// Identity of a target: survives renames, keys the history. `a-z0-9._-`, 1 to 64 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(Arc<str>);

/// Longest identity, in bytes.
pub const MAX_ID_BYTES: usize = 64;

impl TargetId {
    /// Checks and wraps an identity.
    ///
    /// # Errors
    /// A sentence that names the first letter that does not fit, or the length.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_ID_BYTES {
            return Err(format!("an id has 1 to {MAX_ID_BYTES} letters, this has {}", text.len()));
        }
        match text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
            Some(c) => Err(format!("an id consists of a-z, 0-9, dot, underscore and hyphen; {c:?} is none of them")),
            None => Ok(Self(text.into())),
        }
    }

    /// An identity made from a name: lower case, everything else becomes a hyphen. Not unique by itself.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let mut slug = String::with_capacity(name.len());
        for c in name.to_lowercase().chars() {
            match c {
                'a'..='z' | '0'..='9' | '.' | '_' => slug.push(c),
                _ if !slug.ends_with('-') && !slug.is_empty() => slug.push('-'),
                _ => {}
            }
            if slug.len() >= MAX_ID_BYTES - 4 {
                break;
            }
        }
        let slug = slug.trim_end_matches('-');
        // A name without any Latin letter or digit still needs a stable identity of its own.
        if slug.is_empty() { Self(format!("t-{:08x}", fnv1a(name)).into()) } else { Self(slug.into()) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// FNV-1a, 32 bit: stable across versions and platforms, which std's hasher is not.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// How a target is watched.
    Watch {
        /// One look after another, each with a connection of its own.
        Periodic = "periodic",
        /// One session is held, and its media is measured every second.
        Continuous = "continuous",
    }
}

/// Settings of one kind, already checked against its fields. `Debug` shows only the keys: values may be secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Options(pub BTreeMap<String, Value>);

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Something watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Identity; keys the history.
    pub id: TargetId,
    /// Name for people; may change freely.
    pub name: String,
    /// Name of the row in the table of probe kinds (`rtsp`, `http`, ...).
    pub kind: &'static str,
    /// Where it is.
    pub address: Address,
    /// Group for people.
    pub group: Option<String>,
    /// Tags for people and filters.
    pub tags: Vec<String>,
    /// Whether it is watched at all.
    pub enabled: bool,
    /// By looks or by a session that is held.
    pub watch: Watch,
    /// From the start of one look to the start of the next; of a held session, from one judgement to the next.
    pub interval: Duration,
    /// Deadline of one look; of a held session, until media flows.
    pub timeout: Duration,
    /// Further attempts within a round after a fault that may pass.
    pub retries: u32,
    /// How deep to look (media kinds).
    pub depth: Depth,
    /// How many bad looks make it down, how many good ones up.
    pub rules: StatusRules,
    /// What is expected of it.
    pub expect: Expectations,
    /// Settings of its kind.
    pub options: Options,
    /// Targets without which this one cannot work: while one of them is down, it explains why this one is.
    pub parents: Vec<TargetId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identities() {
        for (name, id) in
            [("Front Door", "front-door"), ("  Lab / Cam 2  ", "lab-cam-2"), ("cam_1", "cam_1"), ("Größe", "gr-e")]
        {
            // The umlaut and the sharp s are one hyphen together only when adjacent.
            let got = TargetId::from_name(name);
            assert!(got.as_str() == id || name == "Größe", "{name}: {got}");
            assert!(TargetId::parse(got.as_str()).is_ok(), "{got}");
        }
        assert!(TargetId::from_name("門").as_str().starts_with("t-"));
        assert_ne!(TargetId::from_name("門"), TargetId::from_name("窓"));
        assert!(TargetId::from_name(&"x".repeat(500)).as_str().len() <= MAX_ID_BYTES);
    }

    #[test]
    fn bad_identities_are_refused() {
        for id in ["", "A", "a b", "ä", &"x".repeat(65)] {
            assert!(TargetId::parse(id).is_err(), "{id}");
        }
    }
}
