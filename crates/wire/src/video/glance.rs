//! One look into the payload of a packet: whether it belongs to a key frame, and the parameter set that it carries. Owns
//! nothing and copies nothing: for sessions that are held, where access units are of no use.

use super::without_start_code;
use super::{Content, Packing};

/// First packet of a NAL unit in the header of a fragment (RFC 6184 section 5.8, RFC 7798 section 4.4.3).
const FIRST: u8 = 0x80;

/// What a packet shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glance<'p> {
    /// It has a part of a picture where a decoder may begin.
    pub key_frame: bool,
    /// A whole sequence parameter set in it.
    pub parameters: Option<&'p [u8]>,
    /// It has a sequence parameter set, whole or in part.
    pub has_parameters: bool,
}

impl<'p> Glance<'p> {
    /// Reads the payload of a packet. What cannot be read shows nothing.
    pub(crate) fn of<P: Packing<N>, const N: usize>(payload: &'p [u8]) -> Self {
        let mut glance = Self::default();
        let payload = without_start_code(payload);
        let Some((&header, rest)) = payload.split_first_chunk::<N>() else { return glance };
        match P::content(header) {
            Ok(Content::Whole) => glance.whole::<P, N>(payload),
            Ok(Content::Aggregate) => {
                let mut rest = rest;
                while let [high, low, tail @ ..] = rest {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    let Some((nal, next)) = tail.split_at_checked(length) else { break };
                    glance.whole::<P, N>(nal);
                    rest = next;
                }
            }
            Ok(Content::Fragment) => {
                if let Some(&part) = rest.first() {
                    let facts = P::facts(P::fragmented(header, part)[0]);
                    glance.key_frame = facts.key_frame;
                    glance.has_parameters = facts.parameters && part & FIRST != 0;
                }
            }
            Err(_) => {}
        }
        glance
    }

    fn whole<P: Packing<N>, const N: usize>(&mut self, nal: &'p [u8]) {
        if nal.len() >= N {
            let facts = P::facts(nal[0]);
            self.key_frame |= facts.key_frame;
            if facts.parameters {
                self.has_parameters = true;
                self.parameters.get_or_insert(nal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::video::Glance;
    use crate::{h264, h265};

    fn is(glance: Glance<'_>, key_frame: bool, parameters: Option<&[u8]>, has_parameters: bool) {
        assert_eq!(glance, Glance { key_frame, parameters, has_parameters });
    }

    #[test]
    fn packets_of_h264() {
        let sps: &[u8] = &[0x67, 0x42, 0xc0, 0x1e];
        is(h264::glance(&[0x65, 1, 2]), true, None, false);
        is(h264::glance(&[0x41, 1, 2]), false, None, false);
        is(h264::glance(sps), false, Some(sps), true);
        is(h264::glance(&[0, 0, 0, 1, 0x65, 1]), true, None, false);
        let all = [&[0x78, 0, 4], sps, &[0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88]].concat();
        is(h264::glance(&all), true, Some(sps), true);
        is(h264::glance(&all[..all.len() - 1]), false, Some(sps), true);
        is(h264::glance(&[0x7c, 0x85, 9]), true, None, false);
        is(h264::glance(&[0x7c, 0x05, 9]), true, None, false);
        is(h264::glance(&[0x7c, 0x41, 9]), false, None, false);
        is(h264::glance(&[0x7c, 0x87, 9]), false, None, true);
        for nothing in [&[][..], &[0x7c], &[0x78, 0], &[0x78, 0, 9, 0x65], &[0x00, 1], &[0x78, 0, 0, 0, 0]] {
            is(h264::glance(nothing), false, None, false);
        }
    }

    #[test]
    fn packets_of_h265() {
        let sps: &[u8] = &[0x42, 1, 2, 3];
        is(h265::glance(&[0x26, 1, 2]), true, None, false);
        is(h265::glance(&[0x02, 1, 2]), false, None, false);
        is(h265::glance(&[&[0x60, 1, 0, 4], sps, &[0, 3, 0x2a, 1, 7]].concat()), true, Some(sps), true);
        is(h265::glance(&[0x62, 1, 0x93, 7]), true, None, false);
        is(h265::glance(&[0x62, 1, 0x81, 7]), false, None, false);
        is(h265::glance(&[0x26]), false, None, false);
    }
}
