//! Pages of Ogg (RFC 3533) and the first packets of the codecs that internet radio sends in them: Opus (RFC 7845),
//! Vorbis, FLAC and Speex.
//!
//! Never joins packets over pages: identification headers stand alone on theirs.

use crate::audio::AudioParams;

/// Longest page: header, 255 lacing values, 255 times 255 octets.
pub const MAX_PAGE_BYTES: usize = 27 + 255 + 255 * 255;
const HEADER_BYTES: usize = 27;

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Whether a logical stream begins here.
    pub begins: bool,
    /// Whether a logical stream ends here.
    pub ends: bool,
    /// Position at the end of the page in the codec's units; -1 when no packet ends here.
    pub granule: i64,
    /// Which logical stream.
    pub serial: u32,
    /// Number of the page in it.
    pub sequence: u32,
    /// What it carries.
    pub body: &'a [u8],
    /// Length of the whole page.
    pub page_bytes: usize,
}

/// Bytes that are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable Ogg page: {what}")]
pub struct OggError {
    /// What is wrong.
    pub what: &'static str,
}

/// Reads the page at the beginning of `bytes`; `None` when more bytes are needed.
///
/// # Errors
/// When the capture pattern is missing, the version is unknown, or the checksum is wrong.
pub fn parse_page(bytes: &[u8]) -> Result<Option<Page<'_>>, OggError> {
    let error = |what| OggError { what };
    let seen = bytes.len().min(4);
    if bytes[..seen] != b"OggS"[..seen] {
        return Err(error("no capture pattern"));
    }
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    if head[4] != 0 {
        return Err(error("unknown version"));
    }
    let body_at = HEADER_BYTES + usize::from(head[26]);
    let Some(lacing) = bytes.get(HEADER_BYTES..body_at) else { return Ok(None) };
    let page_bytes = body_at + lacing.iter().map(|octets| usize::from(*octets)).sum::<usize>();
    let Some(page) = bytes.get(..page_bytes) else { return Ok(None) };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if checksum(page) != word(22) {
        return Err(error("wrong checksum"));
    }
    let granule = u64::from(word(10)) << 32 | u64::from(word(6));
    Ok(Some(Page {
        begins: head[5] & 2 != 0,
        ends: head[5] & 4 != 0,
        granule: granule.cast_signed(),
        serial: word(14),
        sequence: word(18),
        body: &page[body_at..],
        page_bytes,
    }))
}

/// The checksum of a page, its own four octets taken as zero: polynomial 0x04c11db7, nothing reflected or inverted.
fn checksum(page: &[u8]) -> u32 {
    page.iter().enumerate().fold(0u32, |crc, (at, octet)| {
        let octet = if (22..26).contains(&at) { 0 } else { *octet };
        crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ octet)]
    })
}

/// Remainders of every octet.
static TABLE: [u32; 256] = {
    let (mut table, mut i) = ([0; 256], 0);
    while i < 256 {
        let (mut crc, mut bit) = ((i as u32) << 24, 0);
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// What the first packet of a logical stream says; `None` for codecs that are not known.
#[must_use]
pub fn identify(packet: &[u8]) -> Option<AudioParams> {
    opus_head(packet).or_else(|| vorbis_head(packet)).or_else(|| flac_head(packet)).or_else(|| speex_head(packet))
}

/// The `OpusHead` packet (RFC 7845, 5.1). The sampling frequency is that of every Opus decoder.
#[must_use]
pub fn opus_head(packet: &[u8]) -> Option<AudioParams> {
    let rest = packet.strip_prefix(b"OpusHead")?;
    let &[version, channels, ..] = rest else { return None };
    let whole = rest.len() >= 11 && version < 16 && channels > 0;
    whole.then(|| params("opus", 48_000, channels))
}

/// The identification header of Vorbis I (4.2.2).
fn vorbis_head(packet: &[u8]) -> Option<AudioParams> {
    let rest = packet.strip_prefix(b"\x01vorbis\0\0\0\0")?;
    let &[channels, a, b, c, d, ..] = rest else { return None };
    let rate = u32::from_le_bytes([a, b, c, d]);
    (channels > 0 && rate > 0).then(|| params("vorbis", rate, channels))
}

/// The first packet of FLAC in Ogg: a mark, versions and counts, then STREAMINFO.
fn flac_head(packet: &[u8]) -> Option<AudioParams> {
    flac_info(packet.strip_prefix(b"\x7fFLAC")?.get(4..)?)
}

/// Rate and channels of a STREAMINFO block with the mark of FLAC before it.
pub(crate) fn flac_info(marked: &[u8]) -> Option<AudioParams> {
    let info = marked.strip_prefix(b"fLaC")?.get(4 + 10..)?.first_chunk::<3>()?;
    let word = u32::from(info[0]) << 16 | u32::from(info[1]) << 8 | u32::from(info[2]);
    Some(params("flac", word >> 4, (word >> 1 & 7) as u8 + 1))
}

/// The header of Speex: 28 octets of name and version, then numbers.
fn speex_head(packet: &[u8]) -> Option<AudioParams> {
    let numbers = packet.strip_prefix(b"Speex   ")?.get(20..)?;
    let word = |i: usize| numbers.get(4 * i..).and_then(|o| o.first_chunk::<4>()).map(|o| u32::from_le_bytes(*o));
    Some(params("speex", word(2)?, u8::try_from(word(5)?).ok()?))
}

fn params(codec: &'static str, sample_rate_hz: u32, channels: u8) -> AudioParams {
    AudioParams { codec, profile: None, sample_rate_hz, channels: channels.into() }
}

/// A page around a packet, with the right checksum.
#[cfg(test)]
pub(crate) fn test_page(flags: u8, granule: i64, packet: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(7u32.to_le_bytes());
    page.extend([0; 8]);
    page.push(1);
    page.push(u8::try_from(packet.len()).expect("short"));
    page.extend(packet);
    let sum = checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let bytes = test_page(2, 0, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
        let read = parse_page(&bytes).expect("a good page").expect("whole");
        assert_eq!((read.begins, read.ends, read.serial, read.granule), (true, false, 7, 0));
        assert_eq!(read.page_bytes, bytes.len());
        assert_eq!(identify(read.body), Some(params("opus", 48_000, 2)));
        for cut in 0..bytes.len() {
            assert_eq!(parse_page(&bytes[..cut]), Ok(None));
        }
        let mut damaged = bytes.clone();
        damaged[40] ^= 1;
        assert_eq!(parse_page(&damaged).map_err(|e| e.what), Err("wrong checksum"));
        damaged[4] = 1;
        assert_eq!(parse_page(&damaged).map_err(|e| e.what), Err("unknown version"));
        assert_eq!(parse_page(b"ID3").map_err(|e| e.what), Err("no capture pattern"));
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The polynomial's check value for "123456789" without reflection and inversion.
        assert_eq!(
            b"123456789".iter().fold(0u32, |crc, o| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ o)]),
            0x89a1_897f
        );
    }

    #[test]
    fn first_packets() {
        let vorbis = b"\x01vorbis\0\0\0\0\x02\x44\xac\0\0\0\0\0\0";
        assert_eq!(identify(vorbis), Some(params("vorbis", 44_100, 2)));
        let flac = b"\x7fFLAC\x01\0\0\x01fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0b\xb8\x02\xf0";
        assert_eq!(identify(flac), Some(params("flac", 48_000, 2)));
        let mut speex = b"Speex   1.2.0".to_vec();
        speex.resize(28, 0);
        speex.extend([1, 80, 16_000, 1, 4, 1].iter().flat_map(|n: &u32| n.to_le_bytes()));
        assert_eq!(identify(&speex), Some(params("speex", 16_000, 1)));
        for odd in [b"".as_slice(), b"OpusHead", b"\x80theora", b"\x01vorbis\0\0\0\0\x02", b"Speex   "] {
            assert_eq!(identify(odd), None);
        }
    }
}
