//! Initialization segments: the tracks that fragments refer to, with what the sample descriptions say of them.
//!
//! Never looks at samples.

use super::entry::{SampleEntry, sample_entry};
use super::{Mp4Error, child, children, full};

/// Most tracks read; streaming has under 10.
const MAX_TRACKS: usize = 32;

/// One track.
#[derive(Debug, Clone, PartialEq)]
pub struct InitTrack {
    /// What fragments call it.
    pub id: u32,
    /// `vide`, `soun`, or what else the handler says.
    pub handler: [u8; 4],
    /// Ticks per second.
    pub timescale: u32,
    /// The first sample description.
    pub entry: SampleEntry,
    /// Duration of a sample, in ticks, where fragments do not say.
    pub default_duration: u32,
    /// Size of a sample, in octets, where fragments do not say.
    pub default_size: u32,
}

/// An initialization segment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Init {
    /// In order.
    pub tracks: Vec<InitTrack>,
}

/// Reads an initialization segment.
///
/// # Errors
/// When there is no whole `moov` in it or no track that can be read.
pub fn parse_init(bytes: &[u8]) -> Result<Init, Mp4Error> {
    let error = |path, what| Mp4Error { path, what };
    let moov = child(bytes, b"moov").ok_or(error("moov", "missing or cut short"))?;
    let mut init = Init::default();
    for trak in children(moov).filter(|found| found.kind == *b"trak").take(MAX_TRACKS) {
        init.tracks.push(track(trak.body).ok_or(error("trak", "missing or unreadable parts"))?);
    }
    if init.tracks.is_empty() {
        return Err(error("moov", "no track"));
    }
    let defaults = child(moov, b"mvex").into_iter().flat_map(children).filter(|found| found.kind == *b"trex");
    for (id, duration, size) in defaults.filter_map(|trex| trex_values(trex.body)) {
        if let Some(track) = init.tracks.iter_mut().find(|track| track.id == id) {
            (track.default_duration, track.default_size) = (duration, size);
        }
    }
    Ok(init)
}

fn track(trak: &[u8]) -> Option<InitTrack> {
    let (version, _, header) = full(child(trak, b"tkhd")?)?;
    // Two times of creation stand before the number.
    let id = number(header, if version == 1 { 16 } else { 8 })?;
    let mdia = child(trak, b"mdia")?;
    let (version, _, header) = full(child(mdia, b"mdhd")?)?;
    let timescale = number(header, if version == 1 { 16 } else { 8 })?;
    let handler = *child(mdia, b"hdlr")?.get(8..)?.first_chunk::<4>()?;
    let descriptions = child(child(child(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let entry = children(descriptions.get(8..)?).next()?;
    Some(InitTrack {
        id,
        handler,
        timescale,
        entry: sample_entry(&handler, entry.kind, entry.body),
        default_duration: 0,
        default_size: 0,
    })
}

fn trex_values(body: &[u8]) -> Option<(u32, u32, u32)> {
    let (_, _, rest) = full(body)?;
    Some((number(rest, 0)?, number(rest, 8)?, number(rest, 12)?))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))
}
