//! H.264: packets to access units (RFC 6184), parameter sets to picture parameters.
//!
//! Never handles interleaved packetisation (mode 2): no camera sends it and no server of ours offers it.

mod sps;

pub use sps::{coded_size, params_from_sps, profile_name};

use crate::rtp::Header;
use crate::video::{
    AccessUnit, Assembler, DepacketizeError, NalFacts, VideoParams, base64_nals, nals, without_start_code,
};

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Packets of one H.264 track to access units.
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
    /// When the payload is not H.264 as RFC 6184 packs it; later packets may still be used.
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
        let Some((&first, rest)) = payload.split_first() else {
            // Empty packets keep the path through a firewall open.
            return Ok(());
        };
        match first & 0x1f {
            1..=23 => self.whole(payload),
            STAP_A => self.aggregate(rest),
            FU_A => self.fragment(first, rest),
            0 => Err("NAL unit of type 0"),
            _ => Err("packetisation that is not supported"),
        }
    }

    fn whole(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        if self.assembler.nal(nal, facts(nal[0])) { Ok(()) } else { Err("access unit beyond the limit") }
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), &'static str> {
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (nal, next) = tail.split_at_checked(length).ok_or("aggregated NAL unit cut short")?;
            if !nal.is_empty() {
                self.whole(nal)?;
            }
            rest = next;
        }
        Ok(())
    }

    fn fragment(&mut self, indicator: u8, rest: &[u8]) -> Result<(), &'static str> {
        let (&fu, data) = rest.split_first().ok_or("fragment without a header")?;
        let nal_header = indicator & 0xe0 | fu & 0x1f;
        let fits = if fu & 0x80 != 0 {
            self.assembler.open_fragment(&[nal_header], data, facts(nal_header))
        } else {
            self.assembler.continue_fragment(data)
        };
        if fu & 0x40 != 0 {
            self.assembler.close_fragment();
        }
        if fits { Ok(()) } else { Err("access unit beyond the limit") }
    }
}

fn facts(nal_header: u8) -> NalFacts {
    let kind = nal_header & 0x1f;
    NalFacts { key_frame: kind == IDR, parameters: kind == SPS }
}

/// NAL units of the `sprop-parameter-sets` parameter; unreadable ones are left out.
#[must_use]
pub fn sprop(list: &str) -> Vec<Vec<u8>> {
    base64_nals(list)
}

/// Picture parameters from the first usable sequence parameter set among the NAL units of an access unit.
#[must_use]
pub fn params_in(annex_b: &[u8]) -> Option<VideoParams> {
    nals(annex_b).filter(|nal| nal[0] & 0x1f == SPS).find_map(|nal| params_from_sps(nal).ok())
}
