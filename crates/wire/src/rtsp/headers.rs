//! Header fields in the order they arrived: names without regard to case, repeated fields kept.
//!
//! Never shows a credential: `Debug` hides the values of the authorization fields.

use std::fmt;

/// Fields whose values are credentials.
const SECRET: [&str; 2] = ["authorization", "proxy-authorization"];

/// Header fields of one message or multipart part.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(Box<str>, String)>,
}

impl Headers {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field after those already there, repeated names included.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.into(), value.into()));
    }

    /// Continues the value of the last field (a folded line); `false` when there is no field to continue.
    pub(crate) fn fold(&mut self, more: &str) -> bool {
        let Some((_, value)) = self.fields.last_mut() else {
            return false;
        };
        if !value.is_empty() {
            value.push(' ');
        }
        value.push_str(more);
        true
    }

    /// The first value of the field `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of the field `name`, in order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields as sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            let secret = SECRET.iter().any(|field| name.eq_ignore_ascii_case(field));
            map.entry(&name, if secret { &"(hidden)" } else { &value });
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_repeat() {
        let mut headers = Headers::new();
        headers.push("WWW-Authenticate", "Digest a");
        headers.push("Www-authenticate", "Basic b");
        assert_eq!(headers.get("www-authenticate"), Some("Digest a"));
        assert_eq!(headers.get_all("WWW-AUTHENTICATE").collect::<Vec<_>>(), ["Digest a", "Basic b"]);
        assert_eq!(headers.get("Session"), None);
    }

    #[test]
    fn debug_hides_credentials() {
        let mut headers = Headers::new();
        headers.push("authorization", "Basic aHVudGVyMg==");
        headers.push("CSeq", "1");
        let shown = format!("{headers:?}");
        assert!(!shown.contains("aHVud"), "{shown}");
        assert!(shown.contains("CSeq"), "{shown}");
    }
}
