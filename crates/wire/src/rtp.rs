//! RTP and RTCP packets (RFC 3550): headers, enough of the reports to identify them, loss and jitter.
//!
//! Keeps no packets but those that wait for one before them ([`Reorder`]).

mod reorder;
mod rtcp;
mod sequence;

pub use reorder::Reorder;
pub use rtcp::{Rtcp, RtcpPackets, rtcp};
pub use sequence::{Jitter, SeqTracker};

/// Length of the fixed header.
const FIXED_BYTES: usize = 12;

/// Why a packet is not RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} of the packet")]
pub struct RtpError {
    /// What is wrong.
    pub what: &'static str,
    /// Where in the packet.
    pub offset: usize,
}

/// The header of an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Marker; the last packet of a frame in video.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Time in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Splits a packet into its header and payload; contributing sources, extension and padding are left out.
    ///
    /// # Errors
    /// When the version is not 2, or the packet is shorter than its own lengths say.
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), RtpError> {
        let error = |what, offset| RtpError { what, offset };
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_BYTES>() else {
            return Err(error("shorter than a header", packet.len()));
        };
        if fixed[0] >> 6 != 2 {
            return Err(error("version is not 2", 0));
        }
        let sources = usize::from(fixed[0] & 0x0f) * 4;
        let mut payload = rest.get(sources..).ok_or(error("contributing sources cut short", packet.len()))?;
        if fixed[0] & 0x10 != 0 {
            let &[_, _, high, low, ref tail @ ..] = payload else {
                return Err(error("header extension cut short", packet.len()));
            };
            let words = usize::from(u16::from_be_bytes([high, low]));
            payload = tail.get(words * 4..).ok_or(error("header extension cut short", packet.len()))?;
        }
        if fixed[0] & 0x20 != 0 {
            let padding = payload.last().copied().map_or(0, usize::from);
            let end = payload.len().checked_sub(padding).filter(|_| padding > 0);
            payload = &payload[..end.ok_or(error("padding longer than the payload", packet.len()))?];
        }
        let header = Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok((header, payload))
    }
}

/// Whether a packet on a shared port is RTCP by its type (RFC 5761, section 4).
#[must_use]
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}
