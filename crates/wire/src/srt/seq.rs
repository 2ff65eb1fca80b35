//! Sequence numbers of 31 bits. Owns their arithmetic.

/// One past the largest.
const MODULUS: u32 = 1 << 31;

/// Number of a packet of media; the largest is followed by 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seq(u32);

impl Seq {
    /// From the low 31 bits.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value & (MODULUS - 1))
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The number `count` later.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self::new(self.0.wrapping_add(count))
    }

    /// How many after `other`: negative when before it, never half the circle or more.
    #[must_use]
    pub const fn after(self, other: Self) -> i32 {
        // The shift moves the sign bit of 31 bits to that of 32.
        (self.0.wrapping_sub(other.0) << 1).cast_signed() >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_closes() {
        for (one, other, expected) in [
            (5, 3, 2),
            (3, 5, -2),
            (0, MODULUS - 1, 1),
            (MODULUS - 1, 0, -1),
            (MODULUS / 2 - 1, 0, (1 << 30) - 1),
            (MODULUS / 2, 0, -(1 << 30)),
        ] {
            assert_eq!(Seq::new(one).after(Seq::new(other)), expected, "{one} {other}");
        }
        assert_eq!(Seq::new(MODULUS - 1).plus(2), Seq::new(1));
    }
}
