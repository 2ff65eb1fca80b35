//! ICMP and ICMPv6 (RFC 792, RFC 4443): echo requests as bytes, and what comes back: replies, and the troubles that routers and
//! hosts report with the beginning of our own packet in them. Owns no socket and no waiting; believes nothing by itself: who
//! asked compares identifier, sequence and payload.

use std::fmt;
use std::net::Ipv4Addr;

/// Octets before the payload of an echo.
pub const HEADER_BYTES: usize = 8;
/// Octets of an IPv4 header without options.
const IPV4_BYTES: usize = 20;
/// Octets of an IPv6 header.
const IPV6_BYTES: usize = 40;
/// Numbers of the protocols in IP headers.
const IP_ICMP: u8 = 1;
const IP_ICMPV6: u8 = 58;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// ICMP over IPv4.
    V4,
    /// ICMPv6 over IPv6.
    V6,
}

/// What tells one echo from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whose echo it is.
    pub id: u16,
    /// Which of his.
    pub sequence: u16,
}

/// Why a packet did not arrive, in the words of whoever says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Destination unreachable, with the code of this protocol.
    Unreachable(Version, u8),
    /// The packet passed too many routers (code 0), or its pieces did not come together (code 1).
    TimeExceeded(u8),
    /// The packet is larger than the next network takes.
    TooBig,
    /// Somebody did not understand the packet's header.
    BadHeader,
}

impl Trouble {
    /// The trouble that a type and code stand for; `None` when they stand for something else.
    #[must_use]
    pub fn of(version: Version, kind: u8, code: u8) -> Option<Self> {
        Some(match (version, kind, code) {
            (Version::V4, 3, 4) | (Version::V6, 2, _) => Self::TooBig,
            (Version::V4, 3, _) | (Version::V6, 1, _) => Self::Unreachable(version, code),
            (Version::V4, 11, _) | (Version::V6, 3, _) => Self::TimeExceeded(code),
            (Version::V4, 12, _) | (Version::V6, 4, _) => Self::BadHeader,
            _ => return None,
        })
    }
}

impl fmt::Display for Trouble {
    /// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; RFC 4443 section 3.1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Unreachable(Version::V4, code) => match code {
                0 => "the network is unreachable",
                1 => "the host is unreachable",
                2 => "the host does not know this protocol",
                3 => "the port is unreachable",
                6 => "the network is unknown",
                7 => "the host is unknown",
                9 | 10 | 13 => "a rule forbids the way there",
                11 | 12 => "the destination cannot be reached with this type of service",
                _ => return write!(f, "the destination is unreachable (code {code})"),
            },
            Self::Unreachable(Version::V6, code) => match code {
                0 => "there is no route to the destination",
                1 | 5 | 6 => "a rule forbids the way there",
                2 => "the destination is beyond the scope of our address",
                3 => "the address is unreachable",
                4 => "the port is unreachable",
                _ => return write!(f, "the destination is unreachable (code {code})"),
            },
            Self::TimeExceeded(1) => "the pieces of the packet did not come together in time",
            Self::TimeExceeded(_) => "the packet passed as many routers as it may (time to live exceeded)",
            Self::TooBig => "the packet is larger than a network on the way takes",
            Self::BadHeader => "the header of the packet was not understood",
        };
        f.write_str(words)
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// An answer to an echo, with the payload sent back.
    Reply(Echo, &'a [u8]),
    /// An echo did not get there; with what is quoted of its payload, often nothing.
    Trouble(Trouble, Echo, &'a [u8]),
}

/// An echo request as it goes to the socket. The checksum is filled in for IPv4; that of ICMPv6 covers addresses that only the
/// system knows, and the system fills it in.
#[must_use]
pub fn request(version: Version, echo: Echo, payload: &[u8]) -> Vec<u8> {
    let kind = match version {
        Version::V4 => 8,
        Version::V6 => 128,
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&echo.id.to_be_bytes());
    out.extend_from_slice(&echo.sequence.to_be_bytes());
    out.extend_from_slice(payload);
    if version == Version::V4 {
        let sum = checksum(&out);
        out[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    out
}

/// Reads a message that begins at its ICMP header; `None` for everything that is neither a reply to an echo nor a trouble
/// with one.
#[must_use]
pub fn parse(version: Version, bytes: &[u8]) -> Option<Message<'_>> {
    let (&[kind, code, ..], rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let is_reply = matches!((version, kind, code), (Version::V4, 0, 0) | (Version::V6, 129, 0));
    if is_reply {
        return Some(Message::Reply(echo_of(bytes)?, rest));
    }
    let trouble = Trouble::of(version, kind, code)?;
    let quoted = match version {
        Version::V4 => after_ipv4(rest)?.1,
        Version::V6 => after_ipv6(rest)?,
    };
    quoted_echo(version, quoted).map(|(echo, payload)| Message::Trouble(trouble, echo, payload))
}

/// Reads the echo request that somebody quotes, from its ICMP header on; `None` when it is something else.
#[must_use]
pub fn quoted_echo(version: Version, bytes: &[u8]) -> Option<(Echo, &[u8])> {
    let is_request = matches!((version, bytes.first()), (Version::V4, Some(8)) | (Version::V6, Some(128)));
    let echo = echo_of(bytes).filter(|_| is_request)?;
    Some((echo, bytes.get(HEADER_BYTES..).unwrap_or_default()))
}

fn echo_of(bytes: &[u8]) -> Option<Echo> {
    let &[_, _, _, _, id_high, id_low, high, low] = bytes.first_chunk::<HEADER_BYTES>()?;
    Some(Echo { id: u16::from_be_bytes([id_high, id_low]), sequence: u16::from_be_bytes([high, low]) })
}

/// What stands in an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Who sent the packet.
    pub source: Ipv4Addr,
    /// How many routers it might still have passed.
    pub ttl: u8,
}

/// The header of an IPv4 packet that carries ICMP, and what follows it; `None` for anything else.
#[must_use]
pub fn after_ipv4(bytes: &[u8]) -> Option<(Ipv4, &[u8])> {
    let header = bytes.first_chunk::<IPV4_BYTES>()?;
    let length = usize::from(header[0] & 0x0f) * 4;
    // Later fragments begin in the middle of a message.
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if header[0] >> 4 != 4 || length < IPV4_BYTES || offset != 0 || header[9] != IP_ICMP {
        return None;
    }
    let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    Some((Ipv4 { source, ttl: header[8] }, bytes.get(length..)?))
}

/// What follows an IPv6 header that carries ICMPv6. Packets with extension headers are none of ours: we send none.
fn after_ipv6(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_first_chunk::<IPV6_BYTES>()?;
    (header[0] >> 4 == 6 && header[6] == IP_ICMPV6).then_some(rest)
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum = words.fold(0_u32, |sum, word| sum.wrapping_add(word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { id: 0x1234, sequence: 7 };

    /// An IPv4 packet with four octets of options around `icmp`.
    fn ipv4(protocol: u8, icmp: &[u8]) -> Vec<u8> {
        let header = [0x46, 0, 0, 0, 0, 0, 0x40, 0, 61, protocol, 0, 0, 192, 0, 2, 9, 10, 0, 0, 1, 1, 1, 1, 1];
        [&header, icmp].concat()
    }

    fn ipv6(next: u8, icmp: &[u8]) -> Vec<u8> {
        let mut header = [0; 40];
        (header[0], header[6], header[7]) = (0x60, next, 61);
        [&header, icmp].concat()
    }

    fn message(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0, 0, 0, 0, 0], body].concat()
    }

    #[test]
    fn a_request_is_written_as_the_standard_says() {
        // The checksum was worked out by another program.
        let sent = request(Version::V4, Echo { id: 0xbeef, sequence: 1 }, b"abcdefghi");
        assert_eq!(sent[..8], [8, 0, 0x3e, 0x79, 0xbe, 0xef, 0, 1], "{sent:02x?}");
        // Whoever sums up a packet with its checksum gets zero.
        assert_eq!(checksum(&sent), 0);
        let sent = request(Version::V6, ECHO, b"x");
        assert_eq!(sent, [128, 0, 0, 0, 0x12, 0x34, 0, 7, b'x']);
    }

    #[test]
    fn replies_are_read_back_and_requests_are_not_replies() {
        for (version, reply) in [(Version::V4, 0), (Version::V6, 129)] {
            let mut bytes = request(version, ECHO, b"token");
            assert_eq!(parse(version, &bytes), None, "our own request, as loopback shows it");
            assert_eq!(quoted_echo(version, &bytes), Some((ECHO, &b"token"[..])));
            bytes[0] = reply;
            assert_eq!(parse(version, &bytes), Some(Message::Reply(ECHO, b"token")));
            assert_eq!(parse(version, &bytes[..7]), None);
            bytes[1] = 1;
            assert_eq!(parse(version, &bytes), None, "no reply has a code");
        }
    }

    #[test]
    fn troubles_name_the_echo_they_are_about() {
        let (v4, v6) = (request(Version::V4, ECHO, b"to"), request(Version::V6, ECHO, b"to"));
        for (version, kind, code, body, words) in [
            (Version::V4, 3, 1, ipv4(1, &v4), "the host is unreachable"),
            (Version::V4, 3, 13, ipv4(1, &v4), "a rule forbids"),
            (Version::V4, 3, 4, ipv4(1, &v4), "larger than"),
            (Version::V4, 3, 200, ipv4(1, &v4), "(code 200)"),
            (Version::V4, 11, 0, ipv4(1, &v4), "time to live"),
            (Version::V4, 12, 0, ipv4(1, &v4), "not understood"),
            (Version::V6, 1, 0, ipv6(58, &v6), "no route"),
            (Version::V6, 1, 3, ipv6(58, &v6), "the address is unreachable"),
            (Version::V6, 2, 0, ipv6(58, &v6), "larger than"),
            (Version::V6, 3, 0, ipv6(58, &v6), "time to live"),
        ] {
            let bytes = message(kind, code, &body);
            let Some(Message::Trouble(trouble, echo, payload)) = parse(version, &bytes) else {
                panic!("{version:?} {kind} {code} is a trouble")
            };
            assert_eq!((echo, payload), (ECHO, &b"to"[..]));
            assert!(trouble.to_string().contains(words), "{trouble}");
        }
    }

    #[test]
    fn what_is_about_others_is_left_out() {
        let sent = request(Version::V4, ECHO, b"");
        let reply = message(0, 0, b"");
        let mut fragment = ipv4(1, &sent);
        fragment[7] = 9;
        for body in [
            ipv4(17, &sent),
            ipv4(1, &reply),
            ipv4(1, &sent[..7]),
            ipv6(58, &sent),
            fragment,
            Vec::new(),
            vec![0x4f; 24],
            vec![0x41; 40],
        ] {
            assert_eq!(parse(Version::V4, &message(3, 1, &body)), None, "{body:02x?}");
        }
        let sent = request(Version::V6, ECHO, b"");
        for body in [ipv6(17, &sent), ipv4(1, &sent), ipv6(58, &sent[..7])] {
            assert_eq!(parse(Version::V6, &message(1, 0, &body)), None, "{body:02x?}");
        }
        // Neighbours are discovered by ICMPv6 too; redirects and timestamps are ICMP.
        assert_eq!(parse(Version::V6, &message(135, 0, &[0; 24])), None);
        assert_eq!(parse(Version::V4, &message(5, 0, &ipv4(1, &request(Version::V4, ECHO, b"")))), None);
    }

    #[test]
    fn the_header_of_ipv4_tells_who_sent_it() {
        let packet = ipv4(1, b"rest");
        let (header, rest) = after_ipv4(&packet).expect("ICMP over IPv4");
        assert_eq!(header, Ipv4 { source: Ipv4Addr::new(192, 0, 2, 9), ttl: 61 });
        assert_eq!(rest, b"rest");
        assert_eq!(after_ipv4(&ipv4(1, b"")[..23]), None);
    }
}
