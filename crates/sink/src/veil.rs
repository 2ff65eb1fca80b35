//! Hides secrets in words that come from elsewhere: what a receiver echoes, what an error quotes. Owns the spellings in
//! which a secret may come back; keeps the secrets themselves out of every `Debug`.

use std::fmt;

use model::address::Address;
use model::secret::MASK;

/// Shorter ones are not looked for: masking a letter everywhere would hide the text and tell the secret's length.
const LEAST_BYTES: usize = 3;
/// Pieces of a secret URL that are shorter are words such as `hooks`, no secrets.
const LEAST_PIECE_BYTES: usize = 8;
/// Most letters of a foreign text that are quoted.
const MOST_QUOTED: usize = 200;

/// The secrets of one channel.
#[derive(Clone, Default)]
pub(crate) struct Veil {
    /// Every spelling, longest first.
    spellings: Vec<String>,
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Veil {
    /// Hides these.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut veil = Self::default();
        for secret in secrets {
            veil.add(secret);
        }
        veil
    }

    /// Hides this one too.
    pub(crate) fn add(&mut self, secret: &str) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let quoted = serde_json::Value::from(secret).to_string();
        let quoted = quoted.trim_matches('"').to_owned();
        for spelling in [
            secret.to_owned(),
            encoded.replace('+', "%20"),
            encoded,
            quoted.replace('/', "\\/"),
            quoted,
            secret.to_lowercase(),
        ] {
            if spelling.len() >= LEAST_BYTES && !self.spellings.contains(&spelling) {
                self.spellings.push(spelling);
            }
        }
        self.spellings.sort_by_key(|s| std::cmp::Reverse(s.len()));
    }

    /// Hides everything behind the host of an address, as a whole and piece by piece: the URLs of chat services are secrets.
    pub(crate) fn add_whole(&mut self, address: &Address) {
        let url = address.expose_url();
        self.add(url.as_str());
        self.add(&address.path_and_query());
        for piece in url.path_segments().into_iter().flatten().filter(|piece| piece.len() >= LEAST_PIECE_BYTES) {
            self.add(piece);
        }
        for (_, value) in url.query_pairs() {
            self.add(&value);
        }
    }

    /// The text without any of the secrets.
    pub(crate) fn wash(&self, text: &str) -> String {
        self.spellings.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// The beginning of what a receiver said, in one line and washed. `whole` says that nothing was cut off before.
    pub(crate) fn quote(&self, said: &[u8], whole: bool) -> String {
        // The end of a text that was cut could be the beginning of a secret, which nothing would recognise.
        let longest = self.spellings.first().map_or(0, String::len);
        let said = if whole { said } else { &said[..said.len().saturating_sub(longest)] };
        let text = self.wash(&String::from_utf8_lossy(said));
        let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        crate::message::cut(&line.collect::<Vec<_>>().join(" "), MOST_QUOTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_every_spelling_and_also_where_the_text_was_cut() {
        let veil = Veil::new(["Tok/en+1", "ab"]);
        assert_eq!(veil.wash("Tok/en+1 tok/en+1 Tok%2Fen%2B1 Tok\\/en+1 ab"), "*** *** *** *** ab");
        assert_eq!(veil.quote(b"a\r\n\x1b[0mTok/en+1\tb", true), "a [0m*** b");
        assert_eq!(veil.quote(b"0123456789012345 Tok/e", false), "0123456789");
        let mut veil = Veil::default();
        veil.add_whole(
            &Address::parse("https://hooks.example/services/T0/B00000000/s3cretpath?sig=abc%2Fd").expect("an address"),
        );
        let washed = veil
            .wash("no /services/T0/B00000000/s3cretpath?sig=abc%2Fd and B00000000, s3cretpath, abc/d at hooks.example");
        assert_eq!(washed, "no *** and ***, ***, *** at hooks.example");
        assert_eq!(format!("{veil:?}"), "***");
    }
}
