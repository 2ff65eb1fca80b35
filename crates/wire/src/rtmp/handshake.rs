//! The plain handshake (RTMP 1.0, 5.2): a version octet and 1536 octets each way, and their echo.
//!
//! Never signs anything: servers that speak to players without Flash ask for no digest.

/// Length of C0 with C1, and of S0 with S1.
pub const HELLO_BYTES: usize = 1 + BLOCK_BYTES;
/// Length of C1, S1, C2 and S2.
const BLOCK_BYTES: usize = 1536;
/// The version of plain RTMP.
const VERSION: u8 = 3;
/// Versions of encrypted RTMP.
const ENCRYPTED: [u8; 3] = [6, 8, 9];

/// A first octet that is not RTMP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The server insists on encryption of Adobe's own making.
    #[error("the server speaks encrypted RTMP (version {0}), which is not RTMPS")]
    Encrypted(u8),
    /// Something else altogether.
    #[error("the server does not speak RTMP: it begins with octet {0:#04x} instead of version 3")]
    Foreign(u8),
}

/// C0 and C1: version, zero time, zero version of the player (which asks for the plain handshake), then `filler`, repeated.
#[must_use]
pub fn hello(filler: u64) -> [u8; HELLO_BYTES] {
    let mut hello = [0; HELLO_BYTES];
    hello[0] = VERSION;
    for (i, part) in hello[9..].chunks_mut(8).enumerate() {
        // Every eight octets differ: some servers refuse what looks like padding.
        let octets = filler.wrapping_mul(i as u64 * 2 + 1).to_be_bytes();
        part.copy_from_slice(&octets[..part.len()]);
    }
    hello
}

/// Looks at S0.
///
/// # Errors
/// When it is not the version of plain RTMP.
pub fn check_version(first: u8) -> Result<(), HandshakeError> {
    match first {
        VERSION => Ok(()),
        other if ENCRYPTED.contains(&other) => Err(HandshakeError::Encrypted(other)),
        other => Err(HandshakeError::Foreign(other)),
    }
}

/// C2: the echo of S1, out of S0 and S1.
#[must_use]
pub fn echo(hello: &[u8; HELLO_BYTES]) -> &[u8] {
    &hello[1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_and_its_echo() {
        let hello = hello(0x0123_4567_89ab_cdef);
        assert_eq!((hello[0], &hello[1..9]), (3, [0; 8].as_slice()));
        assert_ne!(hello[9..17], hello[17..25]);
        assert_eq!(echo(&hello).len(), 1536);
    }

    #[test]
    fn versions() {
        assert_eq!(check_version(3), Ok(()));
        assert_eq!(check_version(6), Err(HandshakeError::Encrypted(6)));
        assert_eq!(check_version(b'H'), Err(HandshakeError::Foreign(b'H')));
    }
}
