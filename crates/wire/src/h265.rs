//! H.265: packets to access units (RFC 7798), parameter sets to picture parameters.
//!
//! Never handles decoding order numbers (`sprop-max-don-diff` above 0): no camera sends them.

mod sps;

pub use sps::{params_from_sps, profile_name};

use crate::sdp::Format;
use crate::video::{self, Content, NalFacts, Packing, VideoParams, base64_nals, nals};

const SPS: u8 = 33;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// Packets of one H.265 track to access units.
pub type Depacketizer = video::Depacketizer<Rfc7798, 2>;

/// How RFC 7798 packs NAL units.
#[derive(Debug)]
pub enum Rfc7798 {}

impl Packing<2> for Rfc7798 {
    fn content([first, _]: [u8; 2]) -> Result<Content, &'static str> {
        match kind(first) {
            0..=47 => Ok(Content::Whole),
            AGGREGATION => Ok(Content::Aggregate),
            FRAGMENTATION => Ok(Content::Fragment),
            _ => Err("packetisation that is not supported"),
        }
    }

    fn fragmented([first, second]: [u8; 2], part: u8) -> [u8; 2] {
        [first & 0x81 | (part & 0x3f) << 1, second]
    }

    fn facts(first: u8) -> NalFacts {
        NalFacts { key_frame: (16..=21).contains(&kind(first)), parameters: kind(first) == SPS }
    }
}

/// What the payload of one packet shows (RFC 7798) without its neighbours.
#[must_use]
pub fn glance(payload: &[u8]) -> video::Glance<'_> {
    video::Glance::of::<Rfc7798, 2>(payload)
}

fn kind(first: u8) -> u8 {
    first >> 1 & 0x3f
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
