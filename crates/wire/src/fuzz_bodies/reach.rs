//! What must hold for any packet that says whether a host is reached.

use crate::icmp::{self, Version};

/// ICMP: what we write we read back, and what others quote lies within what they sent.
pub fn icmp_messages(bytes: &[u8]) {
    for version in [Version::V4, Version::V6] {
        for part in [bytes, icmp::after_ipv4(bytes).map_or(&[][..], |(_, rest)| rest)] {
            match icmp::parse(version, part) {
                Some(icmp::Message::Reply(_, payload)) => assert_eq!(payload.len() + icmp::HEADER_BYTES, part.len()),
                Some(icmp::Message::Trouble(trouble, _, payload)) => {
                    assert!(payload.len() + 2 * icmp::HEADER_BYTES < part.len());
                    assert!(!trouble.to_string().is_empty());
                }
                None => {}
            }
        }
        let echo = icmp::Echo { id: 7, sequence: u16::try_from(bytes.len() % 0x1_0000).unwrap_or(0) };
        let sent = icmp::request(version, echo, bytes);
        assert_eq!(icmp::quoted_echo(version, &sent), Some((echo, bytes)));
    }
}
