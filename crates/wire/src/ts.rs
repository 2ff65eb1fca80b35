//! MPEG transport streams (ISO/IEC 13818-1): packets, program tables, PES, and what the streams inside say of themselves.
//!
//! Owns finding the packets in bytes, taking them apart, and counting what a monitor counts ([`Monitor`]). Never decodes a
//! picture or a sound, never judges.

mod clock;
mod demux;
mod framer;
mod inspect;
mod monitor;
mod pes;
mod psi;

pub use clock::Clock;
pub use demux::{Demuxer, Event, Pes};
pub use framer::Framer;
pub use inspect::{Inspector, StreamInfo};
pub use monitor::{Interval, Monitor, Pid, Program, Role, Step, Times, Totals};
pub use pes::{PesHeader, parse_pes};
pub use psi::{Pat, Pmt, Section, SectionError, Sections, Stream, crc32, parse_pat, parse_pmt, parse_sdt};

/// Octets of a packet.
pub const PACKET_BYTES: usize = 188;
/// The first octet of every packet.
pub const SYNC: u8 = 0x47;
/// PID of the program association table.
pub const PAT_PID: u16 = 0;
/// PID of packets that only fill.
pub const NULL_PID: u16 = 0x1fff;
/// Packets in a row that must begin with the sync octet before bytes count as a transport stream.
pub(crate) const SYNC_RUN: usize = 3;

/// One packet, its parts borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Which stream.
    pub pid: u16,
    /// A section or PES begins in the payload.
    pub start: bool,
    /// The sender or a receiver on the way marked it as damaged.
    pub damaged: bool,
    /// The payload is encrypted.
    pub scrambled: bool,
    /// Counts packets with payload of this PID, modulo 16.
    pub continuity: u8,
    /// The sender says that counters and clocks may jump here.
    pub discontinuity: bool,
    /// A decoder may begin here.
    pub random_access: bool,
    /// Program clock in ticks of 27 MHz.
    pub pcr: Option<u64>,
    /// Payload; empty when there is none.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` when it does not begin with the sync octet or its adaptation field is longer than it.
#[must_use]
pub fn parse_packet(bytes: &[u8; PACKET_BYTES]) -> Option<Packet<'_>> {
    let [SYNC, first, second, third, rest @ ..] = bytes.as_slice() else { return None };
    let mut packet = Packet {
        pid: u16::from_be_bytes([first & 0x1f, *second]),
        start: first & 0x40 != 0,
        damaged: first & 0x80 != 0,
        scrambled: third & 0xc0 != 0,
        continuity: third & 0x0f,
        discontinuity: false,
        random_access: false,
        pcr: None,
        payload: &[],
    };
    let mut payload = rest;
    if third & 0x20 != 0 {
        let (&length, tail) = rest.split_first()?;
        let (field, after) = tail.split_at_checked(usize::from(length))?;
        payload = after;
        if let Some((&flags, clock)) = field.split_first() {
            packet.discontinuity = flags & 0x80 != 0;
            packet.random_access = flags & 0x40 != 0;
            packet.pcr = clock.first_chunk::<6>().filter(|_| flags & 0x10 != 0).map(pcr);
        }
    }
    if third & 0x10 != 0 {
        packet.payload = payload;
    }
    Some(packet)
}

fn pcr(octets: &[u8; 6]) -> u64 {
    let all = octets.iter().fold(0u64, |sum, &octet| sum << 8 | u64::from(octet));
    (all >> 15) * 300 + (all & 0x1ff)
}

/// Where the packets begin in `bytes`: the first octet from which [`SYNC_RUN`] packets in a row begin well, or all that
/// there are when there are fewer, at least one whole.
#[must_use]
pub fn find_sync(bytes: &[u8]) -> Option<usize> {
    find_run(bytes, 1)
}

/// The same where at least `least` packets must be there whole.
pub(crate) fn find_run(bytes: &[u8], least: usize) -> Option<usize> {
    let candidates = bytes.iter().enumerate().filter(|(_, octet)| **octet == SYNC).map(|(at, _)| at);
    candidates
        .take_while(|at| at + least * PACKET_BYTES <= bytes.len())
        .find(|at| bytes[*at..].iter().step_by(PACKET_BYTES).take(SYNC_RUN).all(|octet| *octet == SYNC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_BYTES] {
        let mut bytes = [0xff; PACKET_BYTES];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn headers() {
        let bytes = packet(&[SYNC, 0x41, 0x00, 0x1a]);
        let read = parse_packet(&bytes).expect("a packet");
        assert_eq!((read.pid, read.start, read.continuity, read.payload.len()), (0x100, true, 10, 184));
        // Adaptation field of seven octets: discontinuity, random access, a clock of 2 * 300 + 1.
        let bytes = packet(&[SYNC, 0x01, 0x00, 0x30, 7, 0xd0, 0, 0, 0, 1, 0x7e, 1]);
        let read = parse_packet(&bytes).expect("a packet");
        assert_eq!((read.discontinuity, read.random_access, read.pcr), (true, true, Some(601)));
        assert_eq!(read.payload.len(), 176);
        let bytes = packet(&[SYNC, 0, 0, 0x20, 183]);
        assert_eq!(parse_packet(&bytes).map(|p| p.payload.len()), Some(0));
        assert_eq!(parse_packet(&packet(&[SYNC, 0, 0, 0x20, 184])), None);
        assert_eq!(parse_packet(&packet(&[0x46])), None);
        assert!(parse_packet(&packet(&[SYNC, 0x80, 0, 0xd0])).is_some_and(|p| p.damaged && p.scrambled));
    }

    #[test]
    fn the_beginning_is_found_behind_noise() {
        let mut bytes = vec![SYNC, 1, 2, SYNC];
        assert_eq!(find_sync(&bytes), None);
        for _ in 0..4 {
            bytes.extend(packet(&[SYNC, 0, 0, 0x10]));
        }
        assert_eq!(find_sync(&bytes), Some(4));
        assert_eq!(find_sync(&bytes[4..4 + PACKET_BYTES]), Some(0));
        assert_eq!(find_sync(&bytes[4..4 + PACKET_BYTES - 1]), None);
        bytes[4 + PACKET_BYTES] = 0;
        assert_eq!(find_sync(&bytes), Some(4 + 2 * PACKET_BYTES));
    }
}
