//! Packets to access units: the part of depacketising that H.264 and H.265 share.
//!
//! Owns the order of packets, the bounds of a frame and its size limit. A gap spoils the frames it touches; nothing is
//! reordered, since a look at a stream is over before a jitter buffer would have filled.

use std::collections::VecDeque;

use crate::rtp::Header;

/// Largest access unit assembled; an intra picture in 2160p at a high rate has under 4 MiB.
pub const MAX_ACCESS_UNIT_BYTES: usize = 8 * 1024 * 1024;
/// Finished units that wait to be taken; the oldest goes first.
const MAX_WAITING: usize = 4;

/// One picture's worth of NAL units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// RTP time.
    pub timestamp: u32,
    /// NAL units with four-octet start codes.
    pub annex_b: Vec<u8>,
    /// Whether a decoder may begin here (IDR, or any IRAP picture of H.265).
    pub key_frame: bool,
    /// Whether a sequence parameter set is inside.
    pub has_parameters: bool,
    /// Whether packets of it are missing.
    pub damaged: bool,
}

/// Why a packet was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} in the packet with sequence number {sequence}")]
pub struct DepacketizeError {
    /// Sequence number of the packet.
    pub sequence: u16,
    /// What is wrong.
    pub what: &'static str,
}

/// Collects NAL units and fragments of them.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    current: Option<AccessUnit>,
    waiting: VecDeque<AccessUnit>,
    last_sequence: Option<u16>,
    /// Where the NAL unit that is arriving in fragments begins.
    fragment_at: Option<usize>,
}

/// What a NAL unit means for the access unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct NalFacts {
    /// A decoder may begin here.
    pub key_frame: bool,
    /// It is a sequence parameter set.
    pub parameters: bool,
}

impl Assembler {
    /// Takes note of a packet before its content; `false` when it came before and is to be skipped.
    pub(crate) fn begin(&mut self, header: &Header) -> bool {
        let gap = match self.last_sequence {
            Some(last) if last == header.sequence => return false,
            Some(last) => last.wrapping_add(1) != header.sequence,
            None => false,
        };
        self.last_sequence = Some(header.sequence);
        if gap {
            self.damage();
        }
        if self.current.as_ref().is_some_and(|unit| unit.timestamp != header.timestamp) {
            self.finish();
        }
        let unit = self.current.get_or_insert_with(|| AccessUnit {
            timestamp: header.timestamp,
            annex_b: Vec::new(),
            key_frame: false,
            has_parameters: false,
            damaged: false,
        });
        unit.damaged |= gap;
        true
    }

    /// Takes note of the end of a packet.
    pub(crate) fn end(&mut self, header: &Header) {
        if header.marker {
            self.finish();
        }
    }

    /// Adds a whole NAL unit; `false` when the access unit would exceed its limit.
    pub(crate) fn nal(&mut self, nal: &[u8], facts: NalFacts) -> bool {
        self.drop_fragment();
        self.append(&[0, 0, 0, 1], facts) && self.append(nal, facts)
    }

    /// Begins a NAL unit that comes in fragments.
    pub(crate) fn open_fragment(&mut self, header: &[u8], first: &[u8], facts: NalFacts) -> bool {
        self.drop_fragment();
        self.fragment_at = self.current.as_ref().map(|unit| unit.annex_b.len());
        self.append(&[0, 0, 0, 1], facts) && self.append(header, facts) && self.append(first, facts)
    }

    /// Goes on with it; a fragment without a beginning damages the unit and is left out.
    pub(crate) fn continue_fragment(&mut self, more: &[u8]) -> bool {
        if self.fragment_at.is_none() {
            if let Some(unit) = &mut self.current {
                unit.damaged = true;
            }
            return true;
        }
        self.append(more, NalFacts::default())
    }

    /// Ends it.
    pub(crate) fn close_fragment(&mut self) {
        self.fragment_at = None;
    }

    pub(crate) fn pop(&mut self) -> Option<AccessUnit> {
        self.waiting.pop_front()
    }

    fn append(&mut self, octets: &[u8], facts: NalFacts) -> bool {
        let Some(unit) = &mut self.current else {
            return true;
        };
        if unit.annex_b.len() + octets.len() > MAX_ACCESS_UNIT_BYTES {
            self.current = None;
            self.fragment_at = None;
            return false;
        }
        unit.annex_b.extend_from_slice(octets);
        unit.key_frame |= facts.key_frame;
        unit.has_parameters |= facts.parameters;
        true
    }

    fn damage(&mut self) {
        self.drop_fragment();
        if let Some(unit) = &mut self.current {
            unit.damaged = true;
        }
    }

    /// Takes an unfinished NAL unit back out.
    fn drop_fragment(&mut self) {
        if let (Some(at), Some(unit)) = (self.fragment_at.take(), &mut self.current) {
            unit.annex_b.truncate(at);
            unit.damaged = true;
        }
    }

    fn finish(&mut self) {
        self.drop_fragment();
        if let Some(unit) = self.current.take().filter(|unit| !unit.annex_b.is_empty()) {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(unit);
        }
    }
}
