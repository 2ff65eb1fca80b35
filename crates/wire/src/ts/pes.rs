//! The header of a PES: what a stream's access units are wrapped in. Owns its times.
//!
//! Never reads what is inside.

/// What a PES header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PesHeader {
    /// What it carries, roughly.
    pub stream_id: u8,
    /// When to show it, in ticks of 90 kHz.
    pub pts: Option<u64>,
    /// When to decode it, in ticks of 90 kHz; the same as `pts` when it is not written.
    pub dts: Option<u64>,
    /// Octets of the header.
    pub header_bytes: usize,
}

/// Streams whose PES have no optional header: maps, padding, private stream 2 and control messages.
const BARE: [u8; 8] = [0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff];

/// Reads the header at the beginning of a PES; `None` when there is none or it is cut short.
#[must_use]
pub fn parse_pes(bytes: &[u8]) -> Option<PesHeader> {
    let [0, 0, 1, stream_id, _, _, rest @ ..] = bytes else { return None };
    if BARE.contains(stream_id) {
        return Some(PesHeader { stream_id: *stream_id, pts: None, dts: None, header_bytes: 6 });
    }
    let [mark, flags, length, fields @ ..] = rest else { return None };
    if mark & 0xc0 != 0x80 {
        return None;
    }
    let fields = fields.get(..usize::from(*length))?;
    let pts = fields.first_chunk::<5>().filter(|_| flags & 0x80 != 0).map(time);
    let dts = fields.get(5..).and_then(<[u8]>::first_chunk::<5>).filter(|_| flags & 0xc0 == 0xc0).map(time);
    Some(PesHeader { stream_id: *stream_id, pts, dts: dts.or(pts), header_bytes: 9 + usize::from(*length) })
}

/// 33 bits in five octets, a marker bit after each part.
fn time(octets: &[u8; 5]) -> u64 {
    let [a, b, c, d, e] = octets.map(u64::from);
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let bytes =
            [0, 0, 1, 0xe0, 0, 0, 0x84, 0xc0, 10, 0x31, 0x00, 0x07, 0xd8, 0x61, 0x11, 0x00, 0x07, 0xa9, 0x75, 9];
        let read = parse_pes(&bytes);
        assert_eq!(read, Some(PesHeader { stream_id: 0xe0, pts: Some(126_000), dts: Some(119_994), header_bytes: 19 }));
        let bytes = [0, 0, 1, 0xc0, 0, 0, 0x80, 0x80, 5, 0x2f, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(parse_pes(&bytes).and_then(|h| h.dts), Some((1 << 33) - 1));
        assert_eq!(parse_pes(&bytes[..13]), None);
        assert_eq!(parse_pes(&[0, 0, 1, 0xbe, 0, 9]).map(|h| h.header_bytes), Some(6));
        assert_eq!(parse_pes(&[0, 0, 2, 0xe0, 0, 0, 0x80, 0, 0]), None);
    }
}
