//! Variables of playlists (`EXT-X-DEFINE`, second edition of RFC 8216): where they come from and how they are replaced.
//!
//! Never lets a small playlist become a large text: values and replacements are bounded.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest value of a variable, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;
/// Most variables of one playlist.
const MAX_VARIABLES: usize = 64;
/// Most bytes that all replacements in one playlist may produce: twice the largest playlist that a client would take.
const MAX_REPLACED_BYTES: usize = 4 * 1024 * 1024;

/// What a playlist may take variables from.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Variables of the multivariant playlist, for `IMPORT`.
    pub imported: BTreeMap<String, String>,
    /// Parameters of the playlist's own URL, for `QUERYPARAM`.
    pub query: Vec<(String, String)>,
}

/// The variables that hold at a line.
#[derive(Debug, Default)]
pub struct Variables {
    known: BTreeMap<String, String>,
    replaced_bytes: usize,
}

impl Variables {
    /// Takes a definition by its attributes; `false` when it defines nothing.
    pub(super) fn define(&mut self, get: impl Fn(&str) -> Option<String>, context: &Context) -> bool {
        let found = if let Some(name) = get("NAME") {
            Some((name, get("VALUE").unwrap_or_default()))
        } else if let Some(name) = get("IMPORT") {
            context.imported.get(&name).cloned().map(|value| (name, value))
        } else if let Some(name) = get("QUERYPARAM") {
            let value = context.query.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            value.map(|value| (name, value))
        } else {
            None
        };
        let Some((name, value)) = found else { return false };
        let fits = value.len() <= MAX_VALUE_BYTES && name.len() <= MAX_VALUE_BYTES && self.known.len() < MAX_VARIABLES;
        if fits {
            self.known.insert(name, value);
        }
        fits
    }

    /// `text` with every `{$name}` that is known replaced.
    pub(super) fn replace<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if self.known.is_empty() || !text.contains("{$") {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{$") {
            out.push_str(before);
            let known = after.split_once('}').and_then(|(name, tail)| Some((self.known.get(name)?, tail)));
            match known {
                Some((value, tail)) => {
                    out.push_str(value);
                    rest = tail;
                }
                None => {
                    out.push_str("{$");
                    rest = after;
                }
            }
            if self.replaced_bytes + out.len() > MAX_REPLACED_BYTES {
                // Spent for good, so that many such lines cost no more than one.
                self.replaced_bytes = MAX_REPLACED_BYTES;
                return Cow::Borrowed(text);
            }
        }
        out.push_str(rest);
        self.replaced_bytes += out.len();
        Cow::Owned(out)
    }

    /// Names and values.
    pub(super) fn into_inner(self) -> BTreeMap<String, String> {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_and_the_rest_stays() {
        let mut all = Variables::default();
        let name = |key: &str| match key {
            "NAME" => Some("host".to_owned()),
            "VALUE" => Some("cdn.example".to_owned()),
            _ => None,
        };
        assert!(all.define(name, &Context::default()));
        assert_eq!(all.replace("http://{$host}/{$other}/{$host"), "http://cdn.example/{$other}/{$host");
        assert_eq!(all.replace("plain"), "plain");
        assert!(!all.define(|key| (key == "IMPORT").then(|| "x".to_owned()), &Context::default()));
        let context = Context { imported: BTreeMap::new(), query: vec![("t".into(), "42".into())] };
        assert!(all.define(|key| (key == "QUERYPARAM").then(|| "t".to_owned()), &context));
        assert_eq!(all.replace("a?t={$t}"), "a?t=42");
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let mut all = Variables::default();
        let long = "x".repeat(MAX_VALUE_BYTES);
        let value = |key: &str| match key {
            "NAME" => Some("a".to_owned()),
            _ => Some(long.clone()),
        };
        assert!(all.define(value, &Context::default()));
        let bomb = "{$a}".repeat(100_000);
        assert_eq!(all.replace(&bomb), bomb);
        let total: usize = (0..10_000).map(|_| all.replace("{$a}{$a}").len()).sum();
        assert!(total < MAX_REPLACED_BYTES + 10_000 * 8, "{total}");
    }
}
