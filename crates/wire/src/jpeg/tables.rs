//! The tables that RTP leaves out: quantisation by quality (RFC 2435, appendix A) and the Huffman codes of the standard
//! (ITU-T T.81, annex K), and the headers made from them.
//!
//! Never invents a table: an unknown quality has none.

/// Quantisation of luminance at quality 50, in zigzag order (T.81, table K.1).
const LUMINANCE: [u8; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];
/// The same of chrominance (table K.2).
const CHROMINANCE: [u8; 64] = [
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// A Huffman table: class and number, codes per length from 1 to 16, symbols.
struct Huffman {
    class_and_number: u8,
    lengths: [u8; 16],
    symbols: &'static [u8],
}

const HUFFMAN: [Huffman; 4] = [
    Huffman {
        class_and_number: 0x00,
        lengths: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    },
    Huffman {
        class_and_number: 0x10,
        lengths: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
        symbols: &LUMINANCE_AC,
    },
    Huffman {
        class_and_number: 0x01,
        lengths: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    },
    Huffman {
        class_and_number: 0x11,
        lengths: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
        symbols: &CHROMINANCE_AC,
    },
];

/// Symbols of table K.5.
const LUMINANCE_AC: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14,
    0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
    0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
    0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65,
    0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
    0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
    0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca,
    0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea,
    0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
/// Symbols of table K.6.
const CHROMINANCE_AC: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32,
    0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16,
    0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64,
    0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86,
    0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
    0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9,
    0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// Both quantisation tables, 64 octets each, of a quality from 1 to 99.
pub(super) fn quantisation(quality: u8) -> Option<Vec<u8>> {
    let quality = u32::from(quality);
    let scale = match quality {
        1..=49 => 5_000 / quality,
        50..=99 => 200 - quality * 2,
        _ => return None,
    };
    let scaled = |&entry: &u8| u8::try_from(((u32::from(entry) * scale + 50) / 100).clamp(1, 255)).unwrap_or(u8::MAX);
    Some(LUMINANCE.iter().chain(&CHROMINANCE).map(scaled).collect())
}

/// What a picture's headers are made of.
pub(super) struct Picture<'a> {
    /// Multiples of 8.
    pub(super) width: u16,
    /// Multiples of 8.
    pub(super) height: u16,
    /// Whether chrominance is halved in height as well as in width.
    pub(super) halved_height: bool,
    /// Units between restart markers; 0 is none.
    pub(super) restart_interval: u16,
    /// Tables of 64 octets each, or of 128 where the precision bit of their number is set.
    pub(super) quantisation: &'a [u8],
    /// Bit n: table n has 16-bit entries.
    pub(super) precision: u8,
}

/// Appends everything before the picture's data; `false` when the tables have another length than they say.
pub(super) fn write_headers(picture: &Picture<'_>, out: &mut Vec<u8>) -> bool {
    out.extend([0xff, 0xd8]);
    let mut rest = picture.quantisation;
    let mut tables = 0u8;
    while !rest.is_empty() && tables < 4 {
        let wide = picture.precision >> tables & 1;
        let Some((table, next)) = rest.split_at_checked(64 << wide) else {
            return false;
        };
        out.extend([0xff, 0xdb, 0, 67 + 64 * wide, wide << 4 | tables]);
        out.extend_from_slice(table);
        rest = next;
        tables += 1;
    }
    if tables == 0 || !rest.is_empty() {
        return false;
    }
    if picture.restart_interval > 0 {
        let [high, low] = picture.restart_interval.to_be_bytes();
        out.extend([0xff, 0xdd, 0, 4, high, low]);
    }
    let chroma_table = u8::from(tables > 1);
    let ([h1, h0], [w1, w0]) = (picture.height.to_be_bytes(), picture.width.to_be_bytes());
    let luma_sampling = if picture.halved_height { 0x22 } else { 0x21 };
    out.extend([0xff, 0xc0, 0, 17, 8, h1, h0, w1, w0, 3, 1, luma_sampling, 0]);
    out.extend([2, 0x11, chroma_table, 3, 0x11, chroma_table]);
    for table in &HUFFMAN {
        let length = 19 + table.symbols.len();
        out.extend([0xff, 0xc4, 0, length as u8, table.class_and_number]);
        out.extend_from_slice(&table.lengths);
        out.extend_from_slice(table.symbols);
    }
    out.extend([0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huffman_tables_are_whole() {
        for table in &HUFFMAN {
            let codes: usize = table.lengths.iter().map(|&count| usize::from(count)).sum();
            assert_eq!(codes, table.symbols.len(), "{:#x}", table.class_and_number);
            let mut symbols = table.symbols.to_vec();
            symbols.sort_unstable();
            symbols.dedup();
            assert_eq!(symbols.len(), codes, "a symbol is there twice in {:#x}", table.class_and_number);
            assert!(19 + codes < 256);
        }
    }

    #[test]
    fn quality_scales_the_tables() {
        assert_eq!(quantisation(50).map(|tables| (tables[0], tables[64])), Some((16, 17)));
        assert_eq!(quantisation(99).map(|tables| (tables[0], tables[2])), Some((1, 1)));
        assert_eq!(quantisation(25).map(|tables| tables[0]), Some(32));
        // 16 by 98 per cent is 15.68, which is rounded.
        assert_eq!(quantisation(51).map(|tables| tables[0]), Some(16));
        assert_eq!(quantisation(1).map(|tables| tables[0]), Some(255));
        assert_eq!(quantisation(0), None);
        assert_eq!(quantisation(100), None);
    }
}
