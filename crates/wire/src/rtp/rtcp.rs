//! RTCP compound packets: which reports are inside and what identifies their source.
//!
//! Never reads reception blocks or descriptions.

use super::RtpError;

/// Most sources a BYE can name: its count has five bits.
const MAX_SOURCES: usize = 31;

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rtcp {
    /// Sender report.
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// Wall clock, NTP format: seconds since 1900 in the upper half.
        ntp: u64,
        /// The same instant in units of the payload's clock.
        rtp_timestamp: u32,
        /// Packets sent so far.
        packets: u32,
        /// Payload octets sent so far.
        octets: u32,
    },
    /// Receiver report.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
    },
    /// Source description.
    SourceDescription,
    /// The sources leave.
    Bye {
        /// Who leaves.
        ssrcs: Vec<u32>,
        /// Why, when said.
        reason: Option<String>,
    },
    /// Application-defined.
    App,
    /// Any other type.
    Other(u8),
}

/// The packets of a compound, in order; ends after the first error.
#[derive(Debug, Clone)]
pub struct RtcpPackets<'a> {
    whole: usize,
    rest: &'a [u8],
}

/// Reads a compound packet.
#[must_use]
pub fn rtcp(compound: &[u8]) -> RtcpPackets<'_> {
    RtcpPackets { whole: compound.len(), rest: compound }
}

impl Iterator for RtcpPackets<'_> {
    type Item = Result<Rtcp, RtpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.whole - self.rest.len();
        let read = self.packet().map_err(|what| RtpError { what, offset });
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

impl RtcpPackets<'_> {
    fn packet(&mut self) -> Result<Rtcp, &'static str> {
        let &[first, kind, high, low, ref body @ ..] = self.rest else {
            return Err("shorter than a report header");
        };
        if first >> 6 != 2 {
            return Err("version is not 2");
        }
        let length = usize::from(u16::from_be_bytes([high, low])) * 4;
        let (body, rest) = body.split_at_checked(length).ok_or("report cut short")?;
        self.rest = rest;
        let count = usize::from(first & 0x1f);
        let word = |index: usize| {
            let octets = body.get(index * 4..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*octets))
        };
        const SHORT: &str = "report shorter than its fields";
        Ok(match kind {
            200 => {
                let (ssrc, seconds, fraction) = (word(0), word(1), word(2));
                Rtcp::SenderReport {
                    ssrc: ssrc.ok_or(SHORT)?,
                    ntp: u64::from(seconds.ok_or(SHORT)?) << 32 | u64::from(fraction.ok_or(SHORT)?),
                    rtp_timestamp: word(3).ok_or(SHORT)?,
                    packets: word(4).ok_or(SHORT)?,
                    octets: word(5).ok_or(SHORT)?,
                }
            }
            201 => Rtcp::ReceiverReport { ssrc: word(0).ok_or(SHORT)? },
            202 => Rtcp::SourceDescription,
            203 => {
                let count = count.min(MAX_SOURCES);
                let ssrcs = (0..count).map(word).collect::<Option<Vec<_>>>().ok_or(SHORT)?;
                let reason = body.get(count * 4..).and_then(|tail| match tail {
                    [length, text @ ..] => text.get(..usize::from(*length)),
                    [] => None,
                });
                let reason = reason.map(|text| crate::text::excerpt(text, 255)).filter(|text| !text.is_empty());
                Rtcp::Bye { ssrcs, reason }
            }
            204 => Rtcp::App,
            other => Rtcp::Other(other),
        })
    }
}
