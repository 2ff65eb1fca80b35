//! Attribute lists of tags (RFC 8216 section 4.2): names and values, variables replaced.
//!
//! Never fails: what is no attribute ends the list.

use std::borrow::Cow;

use super::variables::Variables;

/// The attributes of one tag.
#[derive(Debug)]
pub(super) struct Attributes<'a>(Vec<(&'a str, Cow<'a, str>)>);

/// Most attributes of one tag that are read; real ones have under 20.
const MAX_ATTRIBUTES: usize = 64;

impl<'a> Attributes<'a> {
    pub(super) fn parse(mut text: &'a str, variables: &mut Variables) -> Self {
        let mut all = Vec::new();
        while all.len() < MAX_ATTRIBUTES
            && let Some((name, rest)) = text.split_once('=')
        {
            let (value, rest) = match rest.strip_prefix('"') {
                // Without its closing quote the value is the whole rest: nothing can follow it.
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    (rest[..end].trim(), &rest[end..])
                }
            };
            all.push((name.trim(), variables.replace(value)));
            text = rest.trim_start().strip_prefix(',').unwrap_or_default();
        }
        Self(all)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn is_yes(&self, name: &str) -> bool {
        self.get(name) == Some("YES")
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// A plain decimal number that is not negative.
    pub(super) fn decimal(&self, name: &str) -> Option<f64> {
        decimal(self.get(name)?)
    }

    /// `1280x720`.
    pub(super) fn resolution(&self, name: &str) -> Option<(u32, u32)> {
        let (width, height) = self.get(name)?.split_once(['x', 'X'])?;
        Some((width.parse().ok()?, height.parse().ok()?))
    }
}

/// A plain decimal number that is not negative; no exponents, no words for infinity.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let mut none = Variables::default();
        let list = Attributes::parse("A=1, B=\"x,y=z\" ,C=YES,RES=640x360,F=29.970,E=,Q=\"open", &mut none);
        assert_eq!(list.number("A"), Some(1));
        assert_eq!(list.get("B"), Some("x,y=z"));
        assert!(list.is_yes("C") && !list.is_yes("A"));
        assert_eq!(list.resolution("RES"), Some((640, 360)));
        assert_eq!(list.decimal("F"), Some(29.97));
        assert_eq!(list.text("E"), None);
        assert_eq!(list.get("Q"), Some("open"));
        assert_eq!(list.get("Z"), None);
        assert_eq!(Attributes::parse(&"A=1,".repeat(1_000), &mut none).0.len(), MAX_ATTRIBUTES);
    }

    #[test]
    fn decimals_are_plain() {
        assert_eq!(decimal("2.000000"), Some(2.0));
        for wrong in ["", ".", "1e9", "inf", "NaN", "-1", "+1", "0x1", "1.2.3"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }
}
