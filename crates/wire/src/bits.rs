//! Bit by bit reading for parameter sets and audio configurations, with the codes of H.264 and H.265.
//!
//! Never reads past the end: every read is an `Option`, and no value is trusted for a size.

/// Longest exponential code accepted: 31 leading zeros give the 32 bits a value may have.
const MAX_LEADING_ZEROS: u32 = 31;

/// A position in a slice of octets, most significant bit first.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        let octet = self.octets.get(self.at / 8)?;
        let bit = octet >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// The next `count` bits, at most 32.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32, "a caller asked for more than 32 bits");
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at.checked_add(count)?;
        (end <= self.octets.len() * 8).then(|| self.at = end)
    }

    pub(crate) fn left(&self) -> usize {
        (self.octets.len() * 8).saturating_sub(self.at)
    }

    /// Unsigned exponential code, at most `max`; `None` beyond it.
    pub(crate) fn ue(&mut self, max: u32) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > MAX_LEADING_ZEROS {
                return None;
            }
        }
        let value = (1u64 << zeros) - 1 + u64::from(self.bits(zeros)?);
        u32::try_from(value).ok().filter(|&value| value <= max)
    }

    /// Skips one exponential code, signed or unsigned.
    pub(crate) fn skip_code(&mut self) -> Option<()> {
        self.ue(u32::MAX).map(|_| ())
    }

    /// Signed exponential code.
    pub(crate) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue(u32::MAX)?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

/// The raw bits of a NAL unit: every 3 of a sequence 0 0 3 is left out.
pub(crate) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &octet in nal {
        if zeros >= 2 && octet == 3 {
            zeros = 0;
            continue;
        }
        zeros = if octet == 0 { zeros + 1 } else { 0 };
        raw.push(octet);
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        // 1, 010, 011, 00100, 00101: 0, 1, 2, 3, 4 unsigned.
        let octets = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&octets);
        let read: Vec<_> = (0..5).map(|_| bits.ue(100)).collect();
        assert_eq!(read, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let mut bits = Bits::new(&octets);
        let read: Vec<_> = (0..5).map(|_| bits.se()).collect();
        assert_eq!(read, [Some(0), Some(1), Some(-1), Some(2), Some(-2)]);
        assert_eq!(Bits::new(&octets[1..]).ue(0), None);
    }

    #[test]
    fn the_end_is_an_end() {
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0, 0]).ue(u32::MAX), None);
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff]).ue(u32::MAX), None);
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).ue(u32::MAX), Some(0xffff_fffe));
        assert_eq!(Bits::new(&[1]).bits(9), None);
        assert_eq!(Bits::new(&[1]).skip(usize::MAX), None);
        assert_eq!(Bits::new(&[1]).skip(8), Some(()));
    }

    #[test]
    fn escapes_go() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
    }
}
