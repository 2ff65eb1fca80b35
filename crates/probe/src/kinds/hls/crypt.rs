//! AES-128 of whole segments (RFC 8216 section 5.2): CBC with PKCS #7 padding, octets as they come. Owns no key beyond the
//! part that it opens; asks for nothing.

use aws_lc_rs::cipher::{AES_128, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Octets of a key, of a vector and of a block.
pub(super) const BLOCK_BYTES: usize = 16;

/// Opens one part.
pub(super) struct Opener(StreamingDecryptingKey);

impl Opener {
    /// For a part encrypted with this key and vector; `None` when the key is none.
    pub(super) fn new(key: &[u8], vector: [u8; BLOCK_BYTES]) -> Option<Self> {
        let key = UnboundCipherKey::new(&AES_128, key).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(vector));
        StreamingDecryptingKey::cbc_pkcs7(key, context).ok().map(Self)
    }

    /// What the next octets are in clear, as far as that is known.
    pub(super) fn update(&mut self, secret: &[u8]) -> Vec<u8> {
        let mut clear = vec![0; secret.len() + BLOCK_BYTES];
        // It fails for lengths that no chunk has; an empty answer leads to "no media" then.
        let written = self.0.update(secret, &mut clear).map_or(0, |update| update.written().len());
        clear.truncate(written);
        clear
    }

    /// The end of it; `None` when the padding is wrong, which is what a wrong key looks like.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let mut clear = vec![0; BLOCK_BYTES];
        let written = self.0.finish(&mut clear).ok()?.written().len();
        clear.truncate(written);
        Some(clear)
    }
}

/// The vector of a segment whose key has none: its number.
pub(super) fn vector_of(number: u64) -> [u8; BLOCK_BYTES] {
    u128::from(number).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl enc -aes-128-cbc -K 000102..0f -iv 00..07` of 40 letters.
    const SECRET: [u8; 48] = [
        0x90, 0xb9, 0x1b, 0x87, 0x6a, 0xd8, 0x94, 0xea, 0x06, 0xc8, 0x05, 0xb1, 0x3f, 0x7d, 0x88, 0x54, 0x89, 0x11,
        0x49, 0xfa, 0x6f, 0x9e, 0x52, 0xc9, 0x1c, 0x11, 0xe8, 0x87, 0xb5, 0x46, 0x02, 0xd4, 0x24, 0x2e, 0x48, 0x4c,
        0xc9, 0xa1, 0x71, 0x3e, 0x0c, 0x81, 0x62, 0xe7, 0x0d, 0xb6, 0xcc, 0xc4,
    ];

    #[test]
    fn cuts_do_not_matter_and_a_wrong_key_shows() {
        let key: Vec<u8> = (0..16).collect();
        for size in [1, 7, 16, 33, 48] {
            let mut opener = Opener::new(&key, vector_of(7)).expect("a key of 16 octets");
            let mut clear: Vec<u8> = SECRET.chunks(size).flat_map(|chunk| opener.update(chunk)).collect();
            clear.extend(opener.finish().expect("the padding is right"));
            assert_eq!(clear, b"0123456789012345678901234567890123456789");
        }
        let mut wrong = Opener::new(&[9; 16], vector_of(7)).expect("a key of 16 octets");
        wrong.update(&SECRET);
        assert_eq!(wrong.finish(), None);
        assert!(Opener::new(&[9; 15], vector_of(7)).is_none());
    }
}
