//! The sign-in that Adobe's servers and those after them ask for (`authmod=adobe`): demands out of the words of a refusal,
//! and the answer. There is no standard; this is what their clients do.
//!
//! Never remembers a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// What the description of a refused connect asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Connect again and say who you are.
    Name,
    /// Connect again with the answer to this.
    Answer(Challenge),
    /// The user name or the password is wrong.
    Wrong,
    /// Another scheme than Adobe's.
    Foreign(String),
}

/// A challenge of the server's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    salt: String,
    challenge: String,
    opaque: String,
}

/// Reads the description of a refusal; `None` when it is not about signing in.
#[must_use]
pub fn demand(description: &str) -> Option<Demand> {
    let after = |word: &str| description.split_once(word).map(|(_, rest)| rest);
    let scheme = after("authmod=")?;
    let scheme = scheme.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    if scheme != "adobe" {
        return Some(Demand::Foreign(scheme.to_owned()));
    }
    if let Some(query) = after("?reason=needauth") {
        let query = query.split_whitespace().next().unwrap_or_default();
        let value = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.unwrap_or_default().to_owned()
        };
        return Some(Demand::Answer(Challenge {
            salt: value("salt"),
            challenge: value("challenge"),
            opaque: value("opaque"),
        }));
    }
    if description.contains("?reason=") {
        return Some(Demand::Wrong);
    }
    description.contains("need auth").then_some(Demand::Name)
}

/// The query that answers a challenge, to be put behind the application's name. `nonce` is eight digits of the caller's
/// choice.
#[must_use]
pub fn answer_adobe(challenge: &Challenge, user: &str, password: &str, nonce: &str) -> String {
    let hash = |parts: &[&str]| STANDARD.encode(Md5::digest(parts.concat()));
    let secret = hash(&[user, &challenge.salt, password]);
    let asked = if challenge.opaque.is_empty() { &challenge.challenge } else { &challenge.opaque };
    let response = hash(&[&secret, asked, nonce]);
    let mut answer = format!("?authmod=adobe&user={user}&challenge={nonce}&response={response}");
    if !challenge.opaque.is_empty() {
        answer.push_str("&opaque=");
        answer.push_str(&challenge.opaque);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let need = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        assert_eq!(demand(need), Some(Demand::Name));
        let asked =
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u&salt=S1&challenge=C1&opaque=O1";
        let challenge = Challenge { salt: "S1".to_owned(), challenge: "C1".to_owned(), opaque: "O1".to_owned() };
        assert_eq!(demand(asked), Some(Demand::Answer(challenge)));
        assert_eq!(demand("[ authmod=adobe ] : ?reason=authfailed&opaque=x"), Some(Demand::Wrong));
        assert_eq!(demand("code=403 need auth; authmod=llnw"), Some(Demand::Foreign("llnw".to_owned())));
        assert_eq!(demand("no such application"), None);
    }

    #[test]
    fn the_answer_to_a_challenge() {
        let challenge = Challenge { salt: "SAMPLE".to_owned(), challenge: "CHAL".to_owned(), opaque: String::new() };
        // base64(md5(base64(md5("userSAMPLEpass")) + "CHAL" + "00000001")).
        assert_eq!(
            answer_adobe(&challenge, "user", "pass", "00000001"),
            "?authmod=adobe&user=user&challenge=00000001&response=22D6F2XyQ0dgxU/gbrGeMQ=="
        );
        let challenge = Challenge { opaque: "OPAQ".to_owned(), ..challenge };
        assert_eq!(
            answer_adobe(&challenge, "user", "pass", "00000001"),
            "?authmod=adobe&user=user&challenge=00000001&response=jtgerlzByAO43xynpWyuWQ==&opaque=OPAQ"
        );
    }
}
