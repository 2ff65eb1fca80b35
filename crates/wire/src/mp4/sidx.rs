//! Segment indexes (`sidx`, ISO/IEC 14496-12, 8.16.3): where the parts of a file are that can be fetched by themselves.
//!
//! Never follows an index to another one.

use super::{Numbers, child, full};

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// It is an index itself and holds no media.
    pub is_index: bool,
    /// First octet, from the end of the index.
    pub offset: u64,
    /// Octets.
    pub length: u64,
    /// Duration in ticks.
    pub duration: u64,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidx {
    /// Ticks per second.
    pub timescale: u32,
    /// In order; at most 65,535, as the box counts them.
    pub references: Vec<Reference>,
}

/// Reads the first index among these boxes; `None` when there is none or it is cut short.
#[must_use]
pub fn parse_sidx(bytes: &[u8]) -> Option<Sidx> {
    let (version, _, rest) = full(child(bytes, b"sidx")?)?;
    let mut fields = Numbers(rest);
    fields.skip(4)?; // the track
    let timescale = fields.u32()?;
    let mut offset = if version == 0 {
        fields.skip(4)?; // earliest time
        u64::from(fields.u32()?)
    } else {
        fields.skip(8)?;
        u64::from(fields.u32()?) << 32 | u64::from(fields.u32()?)
    };
    // Two reserved octets before the count.
    let count = fields.u32()? & 0xffff;
    let mut references = Vec::new();
    for _ in 0..count {
        let (first, duration) = (fields.u32()?, fields.u32()?);
        fields.skip(4)?; // access points
        let length = u64::from(first & 0x7fff_ffff);
        references.push(Reference { is_index: first >> 31 == 1, offset, length, duration: u64::from(duration) });
        offset = offset.checked_add(length)?;
    }
    Some(Sidx { timescale, references })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidx(version: u8, references: &[(u32, u32)]) -> Vec<u8> {
        let mut body = vec![version, 0, 0, 0];
        let mut add = |numbers: &[u32]| body.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        add(&[1, 1_000]);
        add(if version == 0 { &[7, 5] } else { &[0, 7, 1, 5] });
        add(&[u32::try_from(references.len()).expect("few")]);
        references.iter().for_each(|&(size, duration)| add(&[size, duration, 0x9000_0000]));
        let length = u32::try_from(body.len() + 8).expect("short");
        [&length.to_be_bytes()[..], b"sidx", &body].concat()
    }

    #[test]
    fn references_follow_from_one_another() {
        let read = parse_sidx(&sidx(0, &[(100, 2_000), (0x8000_0032, 0)])).expect("an index");
        let brief: Vec<_> = read.references.iter().map(|r| (r.is_index, r.offset, r.length, r.duration)).collect();
        assert_eq!((read.timescale, brief), (1_000, vec![(false, 5, 100, 2_000), (true, 105, 50, 0)]));
        let far = parse_sidx(&sidx(1, &[(1, 1)])).expect("an index");
        assert_eq!(far.references[0].offset, (1 << 32) + 5);
    }

    #[test]
    fn cut_indexes_are_none() {
        let whole = sidx(0, &[(100, 2_000)]);
        for end in 0..whole.len() {
            assert_eq!(parse_sidx(&whole[..end]), None, "{end}");
        }
        let mut short = whole.clone();
        short[31] = 2; // one reference more than there are
        assert_eq!(parse_sidx(&short), None);
    }
}
