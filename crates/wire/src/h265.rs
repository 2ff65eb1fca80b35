//! H.265: packets to access units (RFC 7798), parameter sets to picture parameters.
//!
//! Never handles decoding order numbers (`sprop-max-don-diff` above 0): no camera sends them.

mod sps;

pub use sps::{params_from_sps, profile_name};

use crate::rtp::Header;
use crate::sdp::Format;
use crate::video::{
    AccessUnit, Assembler, DepacketizeError, NalFacts, VideoParams, base64_nals, nals, without_start_code,
};

const SPS: u8 = 33;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// Packets of one H.265 track to access units.
#[derive(Debug, Default)]
pub struct Depacketizer {
    assembler: Assembler,
}

impl Depacketizer {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet. Afterwards call [`Depacketizer::pop`] until it is empty.
    ///
    /// # Errors
    /// When the payload is not H.265 as RFC 7798 packs it; later packets may still be used.
    pub fn push(&mut self, header: &Header, payload: &[u8]) -> Result<(), DepacketizeError> {
        let result = if self.assembler.begin(header) { self.content(payload) } else { Ok(()) };
        self.assembler.end(header);
        result.map_err(|what| DepacketizeError { sequence: header.sequence, what })
    }

    /// The next finished access unit.
    pub fn pop(&mut self) -> Option<AccessUnit> {
        self.assembler.pop()
    }

    fn content(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let payload = without_start_code(payload);
        match payload {
            [] => Ok(()),
            [_] => Err("NAL unit without a whole header"),
            [first, second, rest @ ..] => match kind(*first) {
                0..=47 => self.whole(payload),
                AGGREGATION => self.aggregate(rest),
                FRAGMENTATION => self.fragment([*first, *second], rest),
                _ => Err("packetisation that is not supported"),
            },
        }
    }

    fn whole(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        if self.assembler.nal(nal, facts(nal[0])) { Ok(()) } else { Err("access unit beyond the limit") }
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), &'static str> {
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (nal, next) = tail.split_at_checked(length).ok_or("aggregated NAL unit cut short")?;
            if nal.len() >= 2 {
                self.whole(nal)?;
            }
            rest = next;
        }
        Ok(())
    }

    fn fragment(&mut self, header: [u8; 2], rest: &[u8]) -> Result<(), &'static str> {
        let (&fu, data) = rest.split_first().ok_or("fragment without a header")?;
        let first = header[0] & 0x81 | (fu & 0x3f) << 1;
        let fits = if fu & 0x80 != 0 {
            self.assembler.open_fragment(&[first, header[1]], data, facts(first))
        } else {
            self.assembler.continue_fragment(data)
        };
        if fu & 0x40 != 0 {
            self.assembler.close_fragment();
        }
        if fits { Ok(()) } else { Err("access unit beyond the limit") }
    }
}

fn kind(first: u8) -> u8 {
    first >> 1 & 0x3f
}

fn facts(first: u8) -> NalFacts {
    NalFacts { key_frame: (16..=21).contains(&kind(first)), parameters: kind(first) == SPS }
}

/// NAL units of the parameters `sprop-vps`, `sprop-sps` and `sprop-pps`, in this order.
#[must_use]
pub fn sprop(format: &Format) -> Vec<Vec<u8>> {
    ["sprop-vps", "sprop-sps", "sprop-pps"]
        .into_iter()
        .filter_map(|name| format.param(name))
        .flat_map(base64_nals)
        .collect()
}

/// Picture parameters from the first usable sequence parameter set among the NAL units of an access unit.
#[must_use]
pub fn params_in(annex_b: &[u8]) -> Option<VideoParams> {
    nals(annex_b).filter(|nal| kind(nal[0]) == SPS).find_map(|nal| params_from_sps(nal).ok())
}
