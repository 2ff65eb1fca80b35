//! Fragmented MP4 (ISO/IEC 14496-12 and its relatives): boxes, initialization segments, movie fragments.
//!
//! Owns walking the boxes within their bounds. Never decodes a sample; whole files with an index at their end are not its
//! business, only what streaming uses.

mod entry;
mod fragment;
mod init;
mod sidx;

pub use entry::SampleEntry;
pub use fragment::{Fragments, TrackSeen};
pub use init::{Init, InitTrack, parse_init};
pub use sidx::{Reference, Sidx, parse_sidx};

/// Why boxes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unusable MP4: {what} in the box {path}")]
pub struct Mp4Error {
    /// The innermost box that is known.
    pub path: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

/// One box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mp4Box<'a> {
    /// Its type.
    pub kind: [u8; 4],
    /// Octets of the header.
    pub header_bytes: usize,
    /// Octets of all of it as announced; `None` when it goes on to the end.
    pub length: Option<u64>,
    /// What is there of its content.
    pub body: &'a [u8],
}

impl Mp4Box<'_> {
    /// Whether all of it is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.length.is_some_and(|length| length == (self.header_bytes + self.body.len()) as u64)
    }
}

/// The first box of `bytes`; `None` when not even its header is there or the header makes no sense.
#[must_use]
pub fn first_box(bytes: &[u8]) -> Option<Mp4Box<'_>> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [a, b, c, d, kind @ ..] = *head;
    let (header_bytes, length) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, None),
        1 => (16, Some(u64::from_be_bytes(*rest.first_chunk::<8>()?))),
        length => (8, Some(u64::from(length))),
    };
    if length.is_some_and(|length| length < header_bytes as u64) {
        return None;
    }
    let available = bytes.get(header_bytes..)?;
    let end = length.map_or(available.len(), |length| {
        usize::try_from(length - header_bytes as u64).unwrap_or(usize::MAX).min(available.len())
    });
    Some(Mp4Box { kind, header_bytes, length, body: &available[..end] })
}

/// The boxes of a container, as far as they are whole.
pub(crate) fn children(mut bytes: &[u8]) -> impl Iterator<Item = Mp4Box<'_>> {
    std::iter::from_fn(move || {
        let next = first_box(bytes)?;
        bytes = &bytes[next.header_bytes + next.body.len()..];
        (next.is_whole() || next.length.is_none()).then_some(next)
    })
}

/// The first child of this type.
pub(crate) fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(bytes).find(|found| found.kind == *kind).map(|found| found.body)
}

/// Version and flags of a full box, and the rest.
pub(crate) fn full(body: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (&[version, a, b, c], rest) = body.split_first_chunk::<4>()?;
    Some((version, u32::from_be_bytes([0, a, b, c]), rest))
}

/// Reads numbers one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers<'a>(pub(crate) &'a [u8]);

impl Numbers<'_> {
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(crate) fn skip(&mut self, octets: usize) -> Option<()> {
        self.0 = self.0.get(octets..)?;
        Some(())
    }
}

/// Whether bytes begin with a box that streaming segments begin with.
#[must_use]
pub fn looks_like_mp4(bytes: &[u8]) -> bool {
    const FIRST: [&[u8; 4]; 9] = [b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg", b"prft", b"free", b"mdat"];
    first_box(bytes).is_some_and(|first| FIRST.contains(&&first.kind))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A box around `body`.
    pub(crate) fn make(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len() + 8).expect("short").to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn boxes_keep_within_their_bounds() {
        let bytes = make(b"moov", &[1, 2, 3]);
        let read = first_box(&bytes).expect("a box");
        assert_eq!((read.kind, read.body, read.is_whole()), (*b"moov", [1u8, 2, 3].as_slice(), true));
        let cut = first_box(&bytes[..9]).expect("its header is there");
        assert!(!cut.is_whole() && cut.body == [1]);
        assert_eq!(first_box(&[0, 0, 0, 7, b'm', b'o', b'o', b'v']), None);
        let long = [0, 0, 0, 1, b'm', b'd', b'a', b't', 0, 0, 0, 0, 0, 0, 0, 18, 7, 8, 9];
        assert_eq!(first_box(&long).map(|b| (b.body, b.is_whole())), Some(([7u8, 8].as_slice(), true)));
        let huge = [0, 0, 0, 1, b'm', b'd', b'a', b't', 255, 255, 255, 255, 255, 255, 255, 255, 7];
        assert_eq!(first_box(&huge).map(|b| (b.body.len(), b.is_whole())), Some((1, false)));
        assert_eq!(first_box(&[0, 0, 0, 0, b'm', b'd', b'a', b't', 7]).map(|b| b.length), Some(None));
        let two = [make(b"free", &[]), make(b"trak", &[5])].concat();
        assert_eq!(child(&two, b"trak"), Some([5u8].as_slice()));
        assert_eq!(child(&two[..two.len() - 1], b"trak"), None);
    }

    #[test]
    fn beginnings() {
        assert!(looks_like_mp4(&make(b"styp", b"msdh")));
        assert!(!looks_like_mp4(b"<html><body>"));
        assert!(!looks_like_mp4(b"G\0\0\0"));
    }
}
