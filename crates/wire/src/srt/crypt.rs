//! Encryption of media: passphrase to key (PBKDF2), key in its envelope (AES key wrap, RFC 3394), media under the key (AES-CTR).
//! Owns the key material's bytes (draft, 3.2.2 and 6). Makes no keys: randomness comes from its owner.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;

use super::packet::put;
use super::{PASSPHRASE_BYTES, Seq, SrtError};

/// Rounds of PBKDF2 (draft, 6.2.1).
const ROUNDS: NonZeroU32 = NonZeroU32::new(2048).expect("it is not zero");
/// Octets of key material before the salt.
const FIXED_BYTES: usize = 16;
/// Octets of a salt; the draft allows no other length for AES.
const SALT_BYTES: usize = 16;
/// What a wrapped key begins with once it is unwrapped (RFC 3394, 2.2.3.1).
const WRAP_MARK: u64 = 0xa6a6_a6a6_a6a6_a6a6;
/// AES in counter mode, and where the payload is a transport stream or anything else of SRT.
const CIPHER_CTR: u8 = 2;
const CIPHER_GCM: u8 = 3;

/// A passphrase; formatting it never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

impl Passphrase {
    /// Wraps a text; none when the protocol has no passphrases of its length.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        PASSPHRASE_BYTES.contains(&text.len()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A message that carries keys in their envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// Which keys: 1 the even, 2 the odd, 3 both in this order.
    which: u8,
    key_bytes: usize,
    salt: [u8; SALT_BYTES],
    wrapped: Vec<u8>,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMaterial").field("which", &self.which).field("key_bytes", &self.key_bytes).finish()
    }
}

impl KeyMaterial {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is cut, of another cipher, or its lengths are none of AES.
    pub fn parse(bytes: &[u8]) -> Result<Self, SrtError> {
        let cut = SrtError::Cut { part: "key material", bytes: bytes.len() };
        let (head, rest) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or(cut)?;
        let bad = |what, value: u32| Err(SrtError::Bad { what, value });
        let [first, sign_high, sign_low, flags, ..] = *head;
        let mark = u16::from_be_bytes([sign_high, sign_low]);
        if (first, mark) != (0x12, 0x2029) {
            return bad("the mark of key material", u32::from(mark));
        }
        let (cipher, salt_bytes, key_bytes) = (head[8], 4 * usize::from(head[14]), 4 * usize::from(head[15]));
        if cipher != CIPHER_CTR {
            return bad(if cipher == CIPHER_GCM { "the cipher AES-GCM" } else { "the cipher" }, cipher.into());
        }
        let which = flags & 3;
        if which == 0 || !matches!(key_bytes, 16 | 24 | 32) || salt_bytes != SALT_BYTES {
            return bad("the lengths of key material", u32::from_be_bytes([flags, 0, head[14], head[15]]));
        }
        let (salt, wrapped) = rest.split_first_chunk::<SALT_BYTES>().ok_or(cut)?;
        let keys = if which == 3 { 2 } else { 1 };
        if wrapped.len() != keys * key_bytes + 8 {
            return Err(cut);
        }
        Ok(Self { which, key_bytes, salt: *salt, wrapped: wrapped.to_vec() })
    }

    /// The message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0x12, 0x20, 0x29, self.which];
        put(&mut out, 0);
        out.extend_from_slice(&[CIPHER_CTR, 0, 2, 0, 0, 0, 4, u8::try_from(self.key_bytes / 4).unwrap_or_default()]);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.wrapped);
        out
    }

    /// Octets of a key.
    #[must_use]
    pub const fn key_bytes(&self) -> usize {
        self.key_bytes
    }
}

/// The keys of a connection, as far as they are known.
pub struct Keys {
    passphrase: Passphrase,
    key_bytes: usize,
    /// The even and the odd one.
    pair: [Option<Key>; 2],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("key_bytes", &self.key_bytes).finish_non_exhaustive()
    }
}

struct Key {
    cipher: DecryptingKey,
    salt: [u8; SALT_BYTES],
}

impl Keys {
    /// None yet, but what opens them.
    #[must_use]
    pub const fn new(passphrase: Passphrase) -> Self {
        Self { passphrase, key_bytes: 0, pair: [None, None] }
    }

    /// A key of our own as the even one, and the message that tells the peer; none when its length is none of AES.
    #[must_use]
    pub fn offer(passphrase: Passphrase, key: &[u8], salt: [u8; SALT_BYTES]) -> Option<(Self, KeyMaterial)> {
        let mut keys = Self::new(passphrase);
        let material = keys.change(1, key, salt)?;
        Some((keys, material))
    }

    /// Takes a key of our own as the even (1) or the odd one (2), and makes the message that tells the peer; none when its
    /// length is none of AES.
    pub fn change(&mut self, which: u8, key: &[u8], salt: [u8; SALT_BYTES]) -> Option<KeyMaterial> {
        let wrapped = wrap(&envelope(&self.passphrase, &salt, key.len())?, key)?;
        self.set(usize::from(which.wrapping_sub(1)), key, salt)?;
        Some(KeyMaterial { which, key_bytes: key.len(), salt, wrapped })
    }

    /// Takes keys that the peer sent; false when the passphrase does not open them.
    pub fn take(&mut self, material: &KeyMaterial) -> bool {
        let opened = envelope(&self.passphrase, &material.salt, material.key_bytes)
            .and_then(|envelope| unwrap(&envelope, &material.wrapped));
        let Some(opened) = opened else { return false };
        let mut parts = opened.chunks_exact(material.key_bytes);
        [0, 1]
            .into_iter()
            .filter(|index| material.which >> index & 1 == 1)
            .all(|index| parts.next().is_some_and(|key| self.set(index, key, material.salt).is_some()))
    }

    fn set(&mut self, index: usize, key: &[u8], salt: [u8; SALT_BYTES]) -> Option<()> {
        let unbound = UnboundCipherKey::new(algorithm(key.len())?, key).ok()?;
        *self.pair.get_mut(index)? = Some(Key { cipher: DecryptingKey::ctr(unbound).ok()?, salt });
        self.key_bytes = key.len();
        Some(())
    }

    /// Encrypts or decrypts the payload of a packet in place: with counters both are the same. False when the key (1 the
    /// even, 2 the odd) is not known.
    #[must_use]
    pub fn apply(&self, which: u8, seq: Seq, payload: &mut [u8]) -> bool {
        let index = usize::from(which.wrapping_sub(1));
        let Some(Some(key)) = self.pair.get(index) else { return false };
        let mut counter = [0; 16];
        counter[10..14].copy_from_slice(&seq.value().to_be_bytes());
        counter.iter_mut().zip(&key.salt[..14]).for_each(|(octet, salt)| *octet ^= salt);
        let context = DecryptionContext::Iv128(FixedLength::from(counter));
        key.cipher.decrypt(payload, context).is_ok()
    }

    /// Bits of a key; 0 while there is none.
    #[must_use]
    pub const fn bits(&self) -> usize {
        8 * self.key_bytes
    }
}

fn algorithm(key_bytes: usize) -> Option<&'static Algorithm> {
    match key_bytes {
        16 => Some(&AES_128),
        24 => Some(&AES_192),
        32 => Some(&AES_256),
        _ => None,
    }
}

/// The key that wraps keys: from the passphrase and the last half of the salt (draft, 6.2.1).
fn envelope(passphrase: &Passphrase, salt: &[u8; SALT_BYTES], key_bytes: usize) -> Option<Vec<u8>> {
    algorithm(key_bytes)?;
    let mut key = vec![0; key_bytes];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, &salt[SALT_BYTES / 2..], passphrase.0.as_bytes(), &mut key);
    Some(key)
}

/// The steps of RFC 3394: six rounds over the halves of the plain text, counted from one.
fn steps(halves: usize) -> impl DoubleEndedIterator<Item = (usize, u64)> {
    (0..6 * halves).map(move |step| (step % halves, step as u64 + 1))
}

fn wrap(envelope: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(algorithm(envelope.len())?, envelope).ok()?).ok()?;
    let mut halves: Vec<[u8; 8]> = plain.chunks_exact(8).filter_map(|half| half.try_into().ok()).collect();
    let mut mark = WRAP_MARK;
    for (index, count) in steps(halves.len()) {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&mark.to_be_bytes());
        block[8..].copy_from_slice(&halves[index]);
        cipher.encrypt(&mut block).ok()?;
        let (first, second) = split(&block);
        mark = u64::from_be_bytes(first) ^ count;
        halves[index] = second;
    }
    Some([mark.to_be_bytes()].into_iter().chain(halves).flatten().collect())
}

fn unwrap(envelope: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let cipher = DecryptingKey::ecb(UnboundCipherKey::new(algorithm(envelope.len())?, envelope).ok()?).ok()?;
    let (mark, rest) = wrapped.split_first_chunk::<8>()?;
    let mut halves: Vec<[u8; 8]> = rest.chunks_exact(8).filter_map(|half| half.try_into().ok()).collect();
    let mut mark = u64::from_be_bytes(*mark);
    for (index, count) in steps(halves.len()).rev() {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&(mark ^ count).to_be_bytes());
        block[8..].copy_from_slice(&halves[index]);
        cipher.decrypt(&mut block, DecryptionContext::None).ok()?;
        let (first, second) = split(&block);
        mark = u64::from_be_bytes(first);
        halves[index] = second;
    }
    (mark == WRAP_MARK).then(|| halves.into_iter().flatten().collect())
}

fn split(block: &[u8; 16]) -> ([u8; 8], [u8; 8]) {
    let (mut first, mut second) = ([0; 8], [0; 8]);
    first.copy_from_slice(&block[..8]);
    second.copy_from_slice(&block[8..]);
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::from_hex;

    fn hex(text: &str) -> Vec<u8> {
        from_hex(text, 256).expect("hexadecimal")
    }

    /// Vectors of RFC 3394, 4.1, 4.2 and 4.6 without the first key lengths that AES-192 and AES-256 share.
    #[test]
    fn keys_are_wrapped_as_the_standard_says() {
        for (envelope, plain, wrapped) in [
            (
                "000102030405060708090a0b0c0d0e0f",
                "00112233445566778899aabbccddeeff",
                "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
            ),
            (
                "000102030405060708090a0b0c0d0e0f1011121314151617",
                "00112233445566778899aabbccddeeff0001020304050607",
                "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2",
            ),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
                "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
            ),
        ] {
            assert_eq!(wrap(&hex(envelope), &hex(plain)), Some(hex(wrapped)));
            assert_eq!(unwrap(&hex(envelope), &hex(wrapped)), Some(hex(plain)));
            let mut broken = hex(wrapped);
            broken[9] ^= 1;
            assert_eq!(unwrap(&hex(envelope), &broken), None);
        }
    }

    #[test]
    fn what_we_offer_we_can_take() {
        let passphrase = Passphrase::new("correct horse").expect("long enough");
        for key_bytes in [16, 24, 32] {
            let (ours, material) = Keys::offer(passphrase.clone(), &vec![7; key_bytes], [9; 16]).expect("a key");
            let read = KeyMaterial::parse(&material.to_bytes()).expect("it is whole");
            assert_eq!(read, material);
            let mut theirs = Keys::new(passphrase.clone());
            assert!(theirs.take(&read));
            assert_eq!((ours.bits(), theirs.bits()), (8 * key_bytes, 8 * key_bytes));
            let mut payload = *b"media media media media";
            assert!(ours.apply(1, Seq::new(5), &mut payload));
            assert_ne!(&payload, b"media media media media");
            assert!(!theirs.apply(2, Seq::new(5), &mut payload), "the odd key is not known");
            assert!(theirs.apply(1, Seq::new(5), &mut payload));
            assert_eq!(&payload, b"media media media media");
            let mut wrong = Keys::new(Passphrase::new("wrong horse").expect("long enough"));
            assert!(!wrong.take(&read));
        }
        assert!(Keys::offer(passphrase, &[7; 17], [9; 16]).is_none());
    }

    #[test]
    fn material_that_is_cut_or_of_another_cipher_is_told() {
        let passphrase = Passphrase::new("correct horse").expect("long enough");
        let (_, material) = Keys::offer(passphrase, &[7; 16], [9; 16]).expect("a key");
        let whole = material.to_bytes();
        let with = |index: usize, value: u8| {
            let mut bytes = whole.clone();
            bytes[index] = value;
            bytes
        };
        for (bytes, words) in [
            (whole[..55].to_vec(), "key material is cut: 55 octets"),
            (with(0, 0x13), "the mark of key material cannot be 8233"),
            (with(8, 3), "the cipher AES-GCM cannot be 3"),
            (with(3, 0), "the lengths of key material cannot be 1028"),
            (with(3, 3), "key material is cut: 56 octets"),
            (with(15, 5), "the lengths of key material cannot be 16778245"),
        ] {
            assert_eq!(KeyMaterial::parse(&bytes).expect_err(words).to_string(), words);
        }
    }

    #[test]
    fn passphrases_are_not_shown() {
        assert!(Passphrase::new("too short").is_none() && Passphrase::new(&"x".repeat(80)).is_none());
        let passphrase = Passphrase::new("correct horse").expect("long enough");
        let (keys, material) = Keys::offer(passphrase.clone(), b"sixteen octets!!", [9; 16]).expect("a key");
        let shown = format!("{passphrase:?} {keys:?} {material:?}");
        assert!(!shown.contains("horse") && !shown.contains("115, 105"), "{shown}");
    }
}
