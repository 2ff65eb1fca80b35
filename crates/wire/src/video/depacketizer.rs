//! Packets to access units: the way RFC 6184 and RFC 7798 share. Owns the order in which a packet is taken apart; what the
//! octets of a packet mean is said by the codec ([`Packing`]), and the bounds of a frame are the assembler's.

use std::marker::PhantomData;

use super::access_unit::{AccessUnit, Assembler, DepacketizeError, NalFacts};
use super::without_start_code;
use crate::rtp::Header;

/// First and last packet of a NAL unit in the header of a fragment (RFC 6184 section 5.8, RFC 7798 section 4.4.3).
const FIRST: u8 = 0x80;
const LAST: u8 = 0x40;

/// What the header of a payload says of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The payload is one NAL unit.
    Whole,
    /// NAL units follow, each behind its length in two octets.
    Aggregate,
    /// A part of a NAL unit follows, behind an octet about the part.
    Fragment,
}

/// How a codec packs its NAL units. `N` is the length of the header of a NAL unit in octets, and of the header of a payload,
/// which has the same form.
pub trait Packing<const N: usize> {
    /// What follows in a payload that begins with `header`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn content(header: [u8; N]) -> Result<Content, &'static str>;

    /// Header of the NAL unit that comes in fragments, from that of the payload and the octet about the part.
    fn fragmented(header: [u8; N], part: u8) -> [u8; N];

    /// What a NAL unit that begins with the octet `first` means for its access unit.
    fn facts(first: u8) -> NalFacts;
}

/// Packets of one track to access units.
#[derive(Debug)]
pub struct Depacketizer<P, const N: usize> {
    assembler: Assembler,
    packing: PhantomData<P>,
}

impl<P, const N: usize> Default for Depacketizer<P, N> {
    fn default() -> Self {
        Self { assembler: Assembler::default(), packing: PhantomData }
    }
}

impl<P: Packing<N>, const N: usize> Depacketizer<P, N> {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet. Afterwards call [`Depacketizer::pop`] until it is empty.
    ///
    /// # Errors
    /// When the payload is not packed as the codec's RFC says; later packets may still be used.
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
        if payload.is_empty() {
            // Empty packets keep the path through a firewall open.
            return Ok(());
        }
        let (&header, rest) = payload.split_first_chunk::<N>().ok_or("NAL unit without a whole header")?;
        match P::content(header)? {
            Content::Whole => self.whole(payload),
            Content::Aggregate => self.aggregate(rest),
            Content::Fragment => self.fragment(header, rest),
        }
    }

    fn whole(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        if self.assembler.nal(nal, P::facts(nal[0])) { Ok(()) } else { Err("access unit beyond the limit") }
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), &'static str> {
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (nal, next) = tail.split_at_checked(length).ok_or("aggregated NAL unit cut short")?;
            if nal.len() >= N {
                self.whole(nal)?;
            }
            rest = next;
        }
        Ok(())
    }

    fn fragment(&mut self, header: [u8; N], rest: &[u8]) -> Result<(), &'static str> {
        let (&part, data) = rest.split_first().ok_or("fragment without a header")?;
        let fits = if part & FIRST != 0 {
            let header = P::fragmented(header, part);
            self.assembler.open_fragment(&header, data, P::facts(header[0]))
        } else {
            self.assembler.continue_fragment(data)
        };
        if part & LAST != 0 {
            self.assembler.close_fragment();
        }
        if fits { Ok(()) } else { Err("access unit beyond the limit") }
    }
}
