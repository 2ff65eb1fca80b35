//! Small text helpers shared by the parsers: octets to text, numbers, hexadecimal, quoted strings.
//!
//! Never fails: what cannot be read is `None`.

use std::borrow::Cow;

/// Octets as text: UTF-8 where it is valid, otherwise every octet as the Latin-1 character of the same number, so that
/// nothing a device sent is lost. Old cameras send realms and reasons in Latin-1.
#[must_use]
pub fn lossless(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(octets.iter().map(|&octet| char::from(octet)).collect()),
    }
}

/// Lower-case hexadecimal of `octets`.
#[must_use]
pub fn to_hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(octets.len() * 2);
    for octet in octets {
        hex.push(char::from(DIGITS[usize::from(octet >> 4)]));
        hex.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
    hex
}

/// Octets of a hexadecimal string of at most `max` octets; `None` when a digit is wrong, one is missing, or it is longer.
#[must_use]
pub fn from_hex(hex: &str, max: usize) -> Option<Vec<u8>> {
    let digits = hex.trim().as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() / 2 > max {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn digit(ascii: u8) -> Option<u8> {
    char::from(ascii).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Splits `text` at the first `separator`, both sides trimmed; the second is `None` when there is no separator.
pub(crate) fn split_trim(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((left, right)) => (left.trim(), Some(right.trim())),
        None => (text.trim(), None),
    }
}

/// Takes one pair of double quotes off; devices quote where they need not and the other way round.
pub(crate) fn unquote(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// At most `max` characters of `text` with control characters replaced, for use in error messages.
pub(crate) fn excerpt(octets: &[u8], max: usize) -> String {
    lossless(&octets[..octets.len().min(max)])
        .chars()
        .map(|character| if character.is_control() { '.' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_is_kept() {
        assert_eq!(lossless(b"Kamera T\xfcr"), "Kamera Tür");
        assert_eq!(lossless("Tür".as_bytes()), "Tür");
    }

    #[test]
    fn hex_both_ways() {
        assert_eq!(to_hex(&[0x11, 0x90, 0xff]), "1190ff");
        assert_eq!(from_hex(" 1190FF ", 3), Some(vec![0x11, 0x90, 0xff]));
        assert_eq!(from_hex("119", 3), None);
        assert_eq!(from_hex("11zz", 3), None);
        assert_eq!(from_hex("11901190", 3), None);
    }

    #[test]
    fn quotes_come_off_in_pairs() {
        assert_eq!(unquote(" \"a\" "), "a");
        assert_eq!(unquote("\"a"), "\"a");
        assert_eq!(unquote("\""), "\"");
    }
}
