//! From bytes of a live stream to packets of 188 octets: finds where they begin, how far apart they are, and counts what does
//! not fit.
//!
//! Packets stand 188 octets apart, or more where something rides along: 192 with the arrival time of a recorder in front, 204
//! and 208 with a checksum behind. Never looks into a packet beyond its first octet.

use super::{PACKET_BYTES, SYNC};

/// Distances at which packets stand (ISO/IEC 13818-1 and BDAV, EN 300 429, ATSC A/53).
const STRIDES: [usize; 4] = [PACKET_BYTES, 192, 204, 208];
/// Packets in a row that must begin well before bytes are believed (TR 101 290, 5.2.1: sync is gained after five).
const GAIN: usize = 5;
/// Packets in a row that must begin badly before sync is lost (TR 101 290, 5.2.1: after two or more).
const LOSE: u32 = 2;
/// Octets without a packet after which bytes are called something else.
const MAX_SEARCH_BYTES: u64 = 64 * 1024;

/// Bytes to packets.
#[derive(Debug, Default)]
pub struct Framer {
    /// What is left of the bytes before: a part of a packet, or where it is searched for one.
    carry: Vec<u8>,
    /// Distance of packets; 0 while it is not known.
    stride: usize,
    /// Octets between the last packet and the next that are still to come.
    skip: usize,
    /// Packets in a row that began badly.
    bad: u32,
    packets: u64,
    sync_errors: u64,
    sync_losses: u64,
    skipped: u64,
}

impl Framer {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to count anew.
    pub fn renew(&mut self) {
        (self.packets, self.sync_errors, self.sync_losses, self.skipped) = (0, 0, 0, 0);
    }

    /// Packets handed over.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets whose first octet was not the sync octet.
    #[must_use]
    pub fn sync_errors(&self) -> u64 {
        self.sync_errors
    }

    /// How often packets had to be searched for anew.
    #[must_use]
    pub fn sync_losses(&self) -> u64 {
        self.sync_losses
    }

    /// Octets that belong to no packet, those between packets left out.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Distance of packets; `None` while none was found.
    #[must_use]
    pub fn stride(&self) -> Option<usize> {
        (self.stride > 0).then_some(self.stride)
    }

    /// Whether bytes enough came and no packet was in them.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.packets == 0 && self.skipped > MAX_SEARCH_BYTES
    }

    /// Takes a datagram: one that begins with a packet ends a packet that was cut before it.
    pub fn datagram(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8; PACKET_BYTES])) {
        let open = self.stride > 0 && (!self.carry.is_empty() || self.skip > 0);
        if open && bytes.first() == Some(&SYNC) {
            let expected = if self.carry.is_empty() { self.skip } else { self.stride - self.carry.len() };
            if bytes.get(expected).is_none_or(|octet| *octet != SYNC) {
                self.sync_errors += u64::from(!self.carry.is_empty());
                self.skipped += self.carry.len() as u64;
                self.carry.clear();
                self.skip = 0;
            }
        }
        self.push(bytes, each);
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8; PACKET_BYTES])) {
        if self.carry.is_empty() {
            let used = self.walk(bytes, each);
            self.carry.extend_from_slice(&bytes[used..]);
            return;
        }
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(bytes);
        let used = self.walk(&carry, each);
        carry.drain(..used);
        self.carry = carry;
    }

    /// Hands over the packets of `bytes`; how many octets were used.
    fn walk(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8; PACKET_BYTES])) -> usize {
        let mut at = 0;
        loop {
            let between = self.skip.min(bytes.len() - at);
            self.skip -= between;
            at += between;
            let rest = &bytes[at..];
            if self.stride == 0 {
                match search(rest) {
                    Ok((begin, stride)) => {
                        self.stride = stride;
                        self.skipped += begin as u64;
                        at += begin;
                        continue;
                    }
                    Err(none) => {
                        self.skipped += none as u64;
                        return at + none;
                    }
                }
            }
            let Some(packet) = rest.first_chunk::<PACKET_BYTES>() else { return at };
            if packet[0] == SYNC {
                self.bad = 0;
                self.packets += 1;
                each(packet);
            } else {
                self.sync_errors += 1;
                self.skipped += PACKET_BYTES as u64;
                self.bad += 1;
                if self.bad >= LOSE {
                    self.sync_losses += 1;
                    (self.bad, self.stride) = (0, 0);
                    self.skipped -= PACKET_BYTES as u64;
                    continue;
                }
            }
            at += PACKET_BYTES;
            self.skip = self.stride - PACKET_BYTES;
        }
    }
}

/// Where packets begin in `bytes` and how far apart they are, or how many octets certainly begin none. A place that may yet
/// begin a run is waited for, so that it does not matter how the bytes are cut.
fn search(bytes: &[u8]) -> Result<(usize, usize), usize> {
    for (begin, _) in bytes.iter().enumerate().filter(|(_, octet)| **octet == SYNC) {
        let mut open = false;
        for stride in STRIDES {
            let run = || bytes[begin..].iter().step_by(stride).take(GAIN);
            if run().all(|octet| *octet == SYNC) {
                if run().len() == GAIN {
                    return Ok((begin, stride));
                }
                open = true;
            }
        }
        if open {
            return Err(begin);
        }
    }
    Err(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` packets, numbered in their second octet, `stride` octets apart.
    fn stream(count: u8, stride: usize) -> Vec<u8> {
        let packet = |n: u8| {
            let mut bytes = vec![0xff; stride];
            (bytes[0], bytes[1]) = (SYNC, n);
            bytes
        };
        (0..count).flat_map(packet).collect()
    }

    fn numbers(framer: &mut Framer, bytes: &[u8]) -> Vec<u8> {
        let mut seen = Vec::new();
        framer.push(bytes, &mut |packet| seen.push(packet[1]));
        seen
    }

    #[test]
    fn every_distance_is_recognised_however_the_bytes_are_cut() {
        for stride in STRIDES {
            for cut in [1, 7, 100, 188, 1316, 5000] {
                let bytes = [vec![1, 2, SYNC, 4], stream(12, stride)].concat();
                let (mut framer, mut seen) = (Framer::new(), Vec::new());
                for piece in bytes.chunks(cut) {
                    seen.extend(numbers(&mut framer, piece));
                }
                assert_eq!(seen, (0..12).collect::<Vec<_>>(), "{stride} octets apart, cut by {cut}");
                assert_eq!((framer.stride(), framer.skipped(), framer.sync_errors()), (Some(stride), 4, 0));
            }
        }
    }

    #[test]
    fn one_bad_packet_is_an_error_and_two_are_a_loss() {
        let mut bytes = stream(20, 188);
        bytes[8 * 188] = 0;
        let mut framer = Framer::new();
        assert_eq!(numbers(&mut framer, &bytes).len(), 19);
        assert_eq!((framer.sync_errors(), framer.sync_losses()), (1, 0));
        bytes[9 * 188] = 0;
        let mut framer = Framer::new();
        assert_eq!(numbers(&mut framer, &bytes).len(), 18);
        assert_eq!((framer.sync_errors(), framer.sync_losses(), framer.skipped()), (2, 1, 376));
        // A hole moves everything behind it.
        let mut bytes = stream(20, 188);
        bytes.drain(2000..2100);
        let mut framer = Framer::new();
        let seen = numbers(&mut framer, &bytes);
        assert_eq!((seen.len(), seen.last(), framer.sync_losses()), (18, Some(&19), 1));
    }

    #[test]
    fn a_cut_datagram_costs_nothing_but_its_last_packet() {
        let bytes = stream(14, 188);
        let mut framer = Framer::new();
        let mut seen = Vec::new();
        for datagram in [&bytes[..1316], &bytes[1316..1400], &bytes[1316..]] {
            framer.datagram(datagram, &mut |packet| seen.push(packet[1]));
        }
        assert_eq!(seen, (0..14).collect::<Vec<_>>());
        assert_eq!((framer.sync_errors(), framer.sync_losses()), (1, 0));
        // Datagrams that do not end with packets are no error.
        let mut framer = Framer::new();
        let mut seen = 0;
        bytes.chunks(1000).for_each(|datagram| framer.datagram(datagram, &mut |_| seen += 1));
        assert_eq!((seen, framer.sync_errors()), (14, 0));
    }

    #[test]
    fn noise_is_hopeless() {
        let mut framer = Framer::new();
        let noise: Vec<u8> = (0..70_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(numbers(&mut framer, &noise[..60_000]), []);
        assert!(!framer.is_hopeless());
        assert_eq!(numbers(&mut framer, &noise[..10_000]), []);
        assert!(framer.is_hopeless());
    }
}
