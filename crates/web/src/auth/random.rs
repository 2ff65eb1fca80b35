//! Randomness from the operating system, as text. The one place of this crate that asks for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness: then nothing here could be secure, and the request fails.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    getrandom::fill(&mut out).expect("the operating system gives random bytes");
    out
}

/// 256 random bits as 43 letters that need no escaping in URLs, cookies and headers.
#[must_use]
pub fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A short identity that is no secret: 64 random bits as 16 hexadecimal digits.
#[must_use]
pub fn id() -> String {
    hex(&bytes::<8>())
}

/// SHA-256 of a text in hexadecimal: how secrets of full strength are kept.
#[must_use]
pub fn sha256(text: &str) -> String {
    digest(text.as_bytes())
}

/// SHA-256 of bytes in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

/// Compares two texts in a time that depends on their lengths alone.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    use subtle::ConstantTimeEq;
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (a, b) = (secret(), secret());
        assert_eq!(a.len(), 43);
        assert_ne!(a, b);
        assert_eq!(id().len(), 16);
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(same("x", "x") && !same("x", "y") && !same("x", "xx"));
    }
}
