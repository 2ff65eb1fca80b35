//! Challenges: the `WWW-Authenticate` fields of a 401 to what can be answered and what cannot.
//!
//! Reads several challenges per field, quoted strings with escapes, and the missing commas of some cameras. Never fails:
//! what cannot be answered is listed with the reason.

/// Most challenges read from one reply.
const MAX_CHALLENGES: usize = 16;
/// Most parameters read of one challenge.
const MAX_PARAMETERS: usize = 32;
/// Longest field read; the rest of a longer one is ignored.
const MAX_FIELD_BYTES: usize = 8 * 1024;

/// Hash of a Digest challenge that we can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// MD5 with a session key.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256 with a session key.
    Sha256Sess,
}

impl Algorithm {
    const ALL: [Algorithm; 4] = [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];

    /// The word of RFC 7616.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    pub(super) fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    pub(super) fn is_sha256(self) -> bool {
        matches!(self, Algorithm::Sha256 | Algorithm::Sha256Sess)
    }
}

/// A Digest challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Realm, escapes resolved; empty when the server named none.
    pub realm: String,
    /// Nonce.
    pub nonce: String,
    /// To be sent back as it is.
    pub opaque: Option<String>,
    /// Hash; MD5 when the server named none.
    pub algorithm: Algorithm,
    /// The hash in the server's own spelling, to be repeated: some cameras refuse an answer that names it when they did
    /// not, or spells it otherwise.
    pub algorithm_word: Option<String>,
    /// Whether protection `auth` is offered; otherwise the answer is that of RFC 2069.
    pub qop_auth: bool,
    /// Whether the last answer failed only because its nonce was too old.
    pub stale: bool,
    /// Whether the server reads user names in UTF-8.
    pub utf8: bool,
}

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password, readable by everybody on the way.
    Basic {
        /// Realm; empty when the server named none.
        realm: String,
    },
    /// Proof of knowing the password.
    Digest(Digest),
}

impl Challenge {
    /// "Basic" or "Digest".
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Challenge::Basic { .. } => "Basic",
            Challenge::Digest(_) => "Digest",
        }
    }

    /// What the server calls the place that is locked.
    #[must_use]
    pub fn realm(&self) -> &str {
        match self {
            Challenge::Basic { realm } => realm,
            Challenge::Digest(digest) => &digest.realm,
        }
    }

    /// Whether the last answer failed only because its nonce was too old: answer again, the password may be right.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Challenge::Digest(digest) if digest.stale)
    }

    fn strength(&self) -> u8 {
        match self {
            Challenge::Basic { .. } => 0,
            Challenge::Digest(digest) => 1 + 2 * u8::from(digest.algorithm.is_sha256()) + u8::from(digest.qop_auth),
        }
    }
}

/// A challenge that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Scheme as sent.
    pub scheme: String,
    /// Why not.
    pub why: String,
}

/// Everything a 401 asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenges {
    /// What can be answered, in the server's order.
    pub usable: Vec<Challenge>,
    /// What cannot.
    pub refused: Vec<Refused>,
}

/// The strongest challenge: SHA-256 before MD5 before Basic; among equals the server's first.
#[must_use]
pub fn pick(challenges: &[Challenge]) -> Option<&Challenge> {
    // `max_by_key` would return the last of equals.
    challenges.iter().rev().max_by_key(|challenge| challenge.strength())
}

/// Reads all `WWW-Authenticate` fields of a reply.
#[must_use]
pub fn parse<'a>(fields: impl IntoIterator<Item = &'a str>) -> Challenges {
    let mut challenges = Challenges::default();
    for field in fields {
        let mut scanner = Scanner::new(field);
        while let Some(raw) = scanner.challenge() {
            if challenges.usable.len() + challenges.refused.len() == MAX_CHALLENGES {
                return challenges;
            }
            match raw.judge() {
                Ok(challenge) => challenges.usable.push(challenge),
                Err(why) => {
                    let scheme = raw.scheme.chars().take(40).collect();
                    challenges.refused.push(Refused { scheme, why });
                }
            }
        }
    }
    challenges
}

/// A challenge before anybody asked what it means.
struct Raw<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Raw<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn judge(&self) -> Result<Challenge, String> {
        let realm = self.get("realm").unwrap_or_default().to_owned();
        if self.scheme.eq_ignore_ascii_case("Basic") {
            return Ok(Challenge::Basic { realm });
        }
        if !self.scheme.eq_ignore_ascii_case("Digest") {
            return Err("scheme not supported".to_owned());
        }
        let nonce = self.get("nonce").ok_or("no nonce")?.to_owned();
        let named = self.get("algorithm");
        let algorithm = match named {
            None => Algorithm::Md5,
            Some(word) => Algorithm::ALL
                .into_iter()
                .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(word))
                .ok_or_else(|| format!("algorithm {} not supported", word.chars().take(40).collect::<String>()))?,
        };
        let qop = self.get("qop").map(str::trim).filter(|list| !list.is_empty());
        let qop_auth =
            qop.is_some_and(|list| list.split([',', ' ']).any(|word| word.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some() && !qop_auth {
            return Err("only integrity protection (auth-int) is offered, which is not supported".to_owned());
        }
        let says = |name: &str, word: &str| self.get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        Ok(Challenge::Digest(Digest {
            realm,
            nonce,
            opaque: self.get("opaque").map(str::to_owned),
            algorithm,
            algorithm_word: named.map(str::to_owned),
            qop_auth,
            stale: says("stale", "true"),
            utf8: says("charset", "UTF-8"),
        }))
    }
}

/// Reads the grammar of RFC 7235, one challenge at a time.
struct Scanner<'a> {
    field: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(field: &'a str) -> Self {
        let mut end = field.len().min(MAX_FIELD_BYTES);
        while !field.is_char_boundary(end) {
            end -= 1;
        }
        Self { field: &field[..end], at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.field.as_bytes().get(self.at).copied()
    }

    /// Skips octets while `wanted`, and returns them.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let begin = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        // Both ends are at ASCII octets or at the end: the callers' classes contain no part of a longer character
        // without containing all octets above 127.
        self.field.get(begin..self.at).unwrap_or_default()
    }

    fn token(&mut self) -> &'a str {
        self.run(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&octet) || octet > 127)
    }

    fn skip_separators(&mut self) {
        self.run(|octet| matches!(octet, b' ' | b'\t' | b',' | b';'));
    }

    fn challenge(&mut self) -> Option<Raw<'a>> {
        let scheme = loop {
            self.skip_separators();
            self.peek()?;
            let token = self.token();
            if token.is_empty() {
                self.skip_junk();
            } else {
                break token;
            }
        };
        let mut parameters = Vec::new();
        self.skip_token68();
        loop {
            self.skip_separators();
            let begin = self.at;
            let name = self.token();
            self.run(|octet| matches!(octet, b' ' | b'\t'));
            if name.is_empty() {
                if self.peek().is_none() {
                    break;
                }
                self.skip_junk();
            } else if self.peek() == Some(b'=') {
                self.at += 1;
                let value = self.value();
                if parameters.len() < MAX_PARAMETERS {
                    parameters.push((name, value));
                }
            } else {
                // A word without a value begins the next challenge.
                self.at = begin;
                break;
            }
        }
        Some(Raw { scheme, parameters })
    }

    /// Takes what no rule wants: one character, or a quoted string that belongs to nothing.
    fn skip_junk(&mut self) {
        if self.peek() == Some(b'"') {
            self.value();
        } else {
            self.at += 1;
            while !self.field.is_char_boundary(self.at) {
                self.at += 1;
            }
        }
    }

    /// Skips the single value of schemes such as Negotiate: one word, `=` only at its end, then a comma or the end.
    fn skip_token68(&mut self) {
        let begin = self.at;
        self.run(|octet| octet == b' ');
        let word = self.token();
        let padding = self.run(|octet| octet == b'=');
        self.run(|octet| matches!(octet, b' ' | b'\t'));
        let ends = self.peek().is_none_or(|octet| octet == b',');
        if word.is_empty() || !ends || (padding.is_empty() && self.next_is_parameter()) {
            self.at = begin;
        }
    }

    /// Whether what follows the comma is `name=`; then the word before it was a scheme of its own.
    fn next_is_parameter(&self) -> bool {
        let mut ahead = Scanner { field: self.field, at: self.at };
        ahead.skip_separators();
        let named = !ahead.token().is_empty();
        ahead.run(|octet| matches!(octet, b' ' | b'\t'));
        named && ahead.peek() == Some(b'=')
    }

    fn value(&mut self) -> String {
        self.run(|octet| matches!(octet, b' ' | b'\t'));
        if self.peek() != Some(b'"') {
            return self.run(|octet| !matches!(octet, b' ' | b'\t' | b',' | b';')).to_owned();
        }
        let mut value = String::new();
        let mut escaped = false;
        let start = self.at + 1;
        for (index, character) in self.field[start..].char_indices() {
            match character {
                _ if escaped => {
                    value.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at = start + index + 1;
                    return value;
                }
                _ => value.push(character),
            }
        }
        self.at = self.field.len();
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per challenge: what is understood.
    fn check(fields: &[&str], understood: &[&str]) {
        let challenges = parse(fields.iter().copied());
        let usable = challenges.usable.iter().map(|challenge| match challenge {
            Challenge::Basic { realm } => format!("basic {realm}"),
            Challenge::Digest(d) => format!(
                "digest {}|{}|{}|{}|qop={}|stale={}|utf8={}",
                d.realm,
                d.nonce,
                d.opaque.as_deref().unwrap_or("-"),
                d.algorithm.as_str(),
                d.qop_auth,
                d.stale,
                d.utf8
            ),
        });
        let refused = challenges.refused.iter().map(|refused| format!("refused {}: {}", refused.scheme, refused.why));
        assert_eq!(usable.chain(refused).collect::<Vec<_>>(), understood, "{fields:?}");
    }

    #[test]
    fn one_challenge_per_field() {
        check(
            &["Digest realm=\"IP Camera(12345)\", nonce=\"abc\", stale=\"FALSE\"", "Basic realm=\"IP Camera(12345)\""],
            &["digest IP Camera(12345)|abc|-|MD5|qop=false|stale=false|utf8=false", "basic IP Camera(12345)"],
        );
    }

    #[test]
    fn several_challenges_in_a_field() {
        check(
            &["Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\""],
            &["basic simple", "refused Newauth: scheme not supported"],
        );
        check(
            &[
                "Negotiate abc==, NTLM, Basic realm=x, Digest realm=\"y\", nonce=n, algorithm=SHA-256, qop=\"auth,auth-int\", charset=UTF-8, opaque=\"o\"",
            ],
            &[
                "basic x",
                "digest y|n|o|SHA-256|qop=true|stale=false|utf8=true",
                "refused Negotiate: scheme not supported",
                "refused NTLM: scheme not supported",
            ],
        );
    }

    #[test]
    fn habits_of_cameras() {
        check(&["Digest realm=\"a\" nonce=\"b\" stale=true"], &["digest a|b|-|MD5|qop=false|stale=true|utf8=false"]);
        check(
            &["digest REALM = \"a\" , Nonce = \"b\",algorithm=\"md5\",qop=\"\""],
            &["digest a|b|-|MD5|qop=false|stale=false|utf8=false"],
        );
        check(
            &["Digest realm=\"a, b=\\\"c\\\"\", nonce=\"\""],
            &["digest a, b=\"c\"||-|MD5|qop=false|stale=false|utf8=false"],
        );
        check(
            &["Digest realm=\"Kamera Tür\", nonce=\"unfinished"],
            &["digest Kamera Tür|unfinished|-|MD5|qop=false|stale=false|utf8=false"],
        );
        check(&["Basic"], &["basic "]);
        check(&["Basic, Digest nonce=x"], &["basic ", "digest |x|-|MD5|qop=false|stale=false|utf8=false"]);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        check(
            &["Digest realm=a, nonce=b, algorithm=SHA-512-256, qop=\"auth\""],
            &["refused Digest: algorithm SHA-512-256 not supported"],
        );
        check(
            &["Digest realm=a, nonce=b, qop=\"auth-int\""],
            &["refused Digest: only integrity protection (auth-int) is offered, which is not supported"],
        );
        check(&["Digest realm=a"], &["refused Digest: no nonce"]);
        check(&["", " , ,", "=\"x\""], &[]);
    }

    #[test]
    fn the_strongest_is_picked() {
        let picked = |field| {
            let challenges = parse([field]);
            pick(&challenges.usable).map(|challenge| match challenge {
                Challenge::Basic { .. } => "Basic",
                Challenge::Digest(digest) => digest.algorithm.as_str(),
            })
        };
        assert_eq!(picked("Basic realm=a, Digest realm=a, nonce=b"), Some("MD5"));
        assert_eq!(
            picked(
                "Digest nonce=b, qop=auth, algorithm=MD5, Digest nonce=b, qop=auth, algorithm=SHA-256, Basic realm=a"
            ),
            Some("SHA-256")
        );
        assert_eq!(picked("Digest nonce=b, algorithm=MD5-sess, qop=auth, Digest nonce=b, qop=auth"), Some("MD5-sess"));
        assert_eq!(picked("Bearer realm=a"), None);
    }
}
