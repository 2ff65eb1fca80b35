//! Secrets in the text of a configuration: hides them for the page and puts them back when the text returns.
//!
//! The page must never see a password, yet it edits the file that holds them. So every secret is shown as `***`, and a
//! `***` that comes back stands for the secret that was at the same place: same target, same key, same host. This
//! module works on text alone: it knows YAML as far as places go and never judges whether a configuration is valid.

mod find;
mod restore;
mod sections;
mod tree;
mod urls;

pub use find::hide;
pub use model::secret::MASK;
pub use restore::{Which, restore, restore_fields};
pub use sections::{Spot, restore_section, section_of, section_trial};
pub use tree::{fields_of, trial};

use model::address::is_secret_name;

/// Whether a configuration key holds a secret by its name alone. Numbers and file names such as `session_hours` and
/// `client_key` are none: the file a key lies in is no secret, its content is.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "api_key",
        "stream_key",
        "streamid",
        "credential",
        "webhook_url",
        "user_key",
        "routing_key",
    ];
    matches!(key.as_str(), "pw" | "pass" | "bearer" | "psk") || named.iter().any(|word| key.contains(word))
}

/// Whether an HTTP header usually carries credentials.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    name.eq_ignore_ascii_case("cookie") || is_secret_name(name)
}

/// Hides whatever looks like a secret in words of unknown origin: URLs with passwords. The last line of defence for
/// messages that were written elsewhere.
#[must_use]
pub fn hide_in_words(text: &str) -> String {
    let found = urls::secrets(text);
    if found.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for secret in found {
        out.push_str(&text[at..secret.range.start]);
        out.push_str(MASK);
        at = secret.range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A sentence for those who did not sign in: URLs, addresses and file names are left out.
#[must_use]
pub fn without_places(text: &str) -> String {
    let is_place = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/' && c != '[');
        let dotted = bare.split(':').next().unwrap_or_default().split('.').filter(|p| !p.is_empty()).count() > 1;
        let address = dotted && bare.len() > 3 && bare.parse::<f64>().is_err(); // 12.5 is a number, 10.0.0.1 is none
        bare.contains("://") || bare.starts_with('/') || bare.starts_with('[') || address
    };
    let words = hide_in_words(text)
        .split(' ')
        .map(|w| if is_place(w) { "…".to_owned() } else { w.to_owned() })
        .collect::<Vec<_>>();
    words.join(" ")
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
