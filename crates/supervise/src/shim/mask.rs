//! Secrets in output become `***` before anything is written. Works on whole pieces of lines; the caller keeps pieces long enough
//! that no secret is cut.

/// What stands in place of a secret.
const MASK: &[u8] = b"***";
/// Shorter secrets are not masked: they would tear holes into every word, and guessing them needs no log.
const SHORTEST: usize = 4;

/// Masks texts.
pub(crate) struct Masker {
    /// Longest first, so that a secret within another does not leave its rest.
    secrets: Vec<Vec<u8>>,
}

impl Masker {
    /// Masks these; a secret of several lines by its lines.
    pub(crate) fn new<S: AsRef<str>>(secrets: &[S]) -> Self {
        let lines = secrets.iter().flat_map(|secret| secret.as_ref().split(['\n', '\r']));
        let mut secrets: Vec<Vec<u8>> =
            lines.filter(|line| line.len() >= SHORTEST).map(|line| line.as_bytes().to_vec()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// Length of the longest secret, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.secrets.first().map_or(0, Vec::len)
    }

    /// Where a text may be cut near `at`: behind a secret that stands there.
    pub(crate) fn cut(&self, text: &[u8], at: usize) -> usize {
        let from = at.saturating_sub(self.longest());
        let mut place = from;
        while place < at {
            place += match self.secrets.iter().find(|secret| text[place..].starts_with(secret)) {
                Some(secret) => secret.len(),
                None => 1,
            };
        }
        place.max(at).min(text.len())
    }

    /// How many bytes at the end of a text may be the beginning of a secret whose rest has not come.
    pub(crate) fn begun(&self, text: &[u8]) -> usize {
        let most = self.longest().saturating_sub(1).min(text.len());
        let is_begun = |length: &usize| {
            let end = &text[text.len() - length..];
            self.secrets.iter().any(|secret| secret.len() > *length && secret.starts_with(end))
        };
        (1..=most).rev().find(is_begun).unwrap_or_default()
    }

    /// The text with every secret masked.
    pub(crate) fn mask(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            match self.secrets.iter().find(|secret| text[at..].starts_with(secret)) {
                Some(secret) => {
                    out.extend_from_slice(MASK);
                    at += secret.len();
                }
                None => {
                    out.push(text[at]);
                    at += 1;
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_the_longest_first() {
        let masker = Masker::new(&["hunter2", "hunter2-and-more", "abc", "", "two\nlines"]);
        for (text, masked) in [
            ("pass=hunter2!", "pass=***!"),
            ("hunter2-and-more", "***"),
            ("hunter2hunter2", "******"),
            ("hunter", "hunter"),
            ("abc", "abc"),
            ("lines", "***"),
            ("", ""),
        ] {
            assert_eq!(masker.mask(text.as_bytes()), masked.as_bytes(), "{text}");
        }
        assert_eq!(masker.longest(), 16);
        for (text, begun) in [("pass=hun", 3), ("hunter2", 7), ("hunter2-and-more", 0), ("x", 0), ("", 0)] {
            assert_eq!(masker.begun(text.as_bytes()), begun, "{text}");
        }
    }
}
