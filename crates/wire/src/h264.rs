//! H.264: packets to access units (RFC 6184), parameter sets to picture parameters.
//!
//! Never handles interleaved packetisation (mode 2): no camera sends it and no server of ours offers it.

mod sps;

pub use sps::{coded_size, params_from_sps, profile_name};

use crate::video::{self, Content, NalFacts, Packing, VideoParams, base64_nals, nals};

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Packets of one H.264 track to access units.
pub type Depacketizer = video::Depacketizer<Rfc6184, 1>;

/// How RFC 6184 packs NAL units.
#[derive(Debug)]
pub enum Rfc6184 {}

impl Packing<1> for Rfc6184 {
    fn content([header]: [u8; 1]) -> Result<Content, &'static str> {
        match kind(header) {
            1..=23 => Ok(Content::Whole),
            STAP_A => Ok(Content::Aggregate),
            FU_A => Ok(Content::Fragment),
            0 => Err("NAL unit of type 0"),
            _ => Err("packetisation that is not supported"),
        }
    }

    fn fragmented([header]: [u8; 1], part: u8) -> [u8; 1] {
        [header & 0xe0 | kind(part)]
    }

    fn facts(first: u8) -> NalFacts {
        NalFacts { key_frame: kind(first) == IDR, parameters: kind(first) == SPS }
    }
}

/// What the payload of one packet shows (RFC 6184) without its neighbours.
#[must_use]
pub fn glance(payload: &[u8]) -> video::Glance<'_> {
    video::Glance::of::<Rfc6184, 1>(payload)
}

fn kind(header: u8) -> u8 {
    header & 0x1f
}

/// NAL units of the `sprop-parameter-sets` parameter; unreadable ones are left out.
#[must_use]
pub fn sprop(list: &str) -> Vec<Vec<u8>> {
    base64_nals(list)
}

/// Picture parameters from the first usable sequence parameter set among the NAL units of an access unit.
#[must_use]
pub fn params_in(annex_b: &[u8]) -> Option<VideoParams> {
    nals(annex_b).filter(|nal| kind(nal[0]) == SPS).find_map(|nal| params_from_sps(nal).ok())
}
