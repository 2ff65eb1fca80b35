//! Program specific information: sections put together from packets, and the two tables that lead to the streams.
//!
//! Never trusts a length: sections are bounded, their checksum must hold.

use crate::elementary::Codec;

/// Longest section of any table (ISO/IEC 13818-1, 2.4.4.11).
const MAX_SECTION_BYTES: usize = 4096;
/// Most programs and streams read from one table; broadcast multiplexes have under 60.
const MAX_ENTRIES: usize = 128;
const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;
/// Names of the services of this stream (EN 300 468, 5.2.3).
const SDT_TABLE: u8 = 0x42;
/// Longest name of a service that is kept, in octets.
const MAX_NAME_BYTES: usize = 80;
const SERVICE: u8 = 0x48;
/// What is said of sections that are no tables of the usual form.
pub(super) const NOT_LONG_FORM: &str = "not a table of the long form";
/// Descriptors that say what private data is.
const REGISTRATION: u8 = 0x05;
const TELETEXT: u8 = 0x56;
const SUBTITLING: u8 = 0x59;
const AC3: u8 = 0x6a;
const EAC3: u8 = 0x7a;
const EXTENSION: u8 = 0x7f;

/// Why a section cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unusable table: {what}")]
pub struct SectionError {
    /// What is wrong.
    pub what: &'static str,
}

/// A whole section whose checksum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// Which table.
    pub table: u8,
    /// Transport stream or program number.
    pub id: u16,
    /// Without header and checksum.
    pub body: &'a [u8],
}

/// Puts the sections of one PID together.
#[derive(Debug, Default)]
pub struct Sections {
    buffer: Vec<u8>,
    /// Whether `buffer` begins with a section.
    aligned: bool,
}

impl Sections {
    /// Takes a packet's payload and hands over every section that it completes.
    pub fn push(&mut self, start: bool, payload: &[u8], mut each: impl FnMut(Result<Section<'_>, SectionError>)) {
        if !start {
            if self.aligned {
                self.buffer.extend_from_slice(payload);
                self.take(&mut each);
            }
            return;
        }
        let Some((&pointer, rest)) = payload.split_first() else { return };
        let Some((end_of_last, begin)) = rest.split_at_checked(usize::from(pointer)) else {
            return each(Err(SectionError { what: "the pointer leads out of the packet" }));
        };
        if self.aligned {
            self.buffer.extend_from_slice(end_of_last);
            self.take(&mut each);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(begin);
        self.aligned = true;
        self.take(&mut each);
    }

    fn take(&mut self, each: &mut impl FnMut(Result<Section<'_>, SectionError>)) {
        let mut at = 0;
        while let Some(&[table, high, low]) = self.buffer.get(at..).and_then(<[u8]>::first_chunk::<3>) {
            // What fills the rest of a packet.
            if table == 0xff {
                at = self.buffer.len();
                break;
            }
            let length = 3 + usize::from(u16::from_be_bytes([high & 0x0f, low]));
            if length > MAX_SECTION_BYTES {
                each(Err(SectionError { what: "longer than a section may be" }));
                self.aligned = false;
                at = self.buffer.len();
                break;
            }
            let Some(section) = self.buffer.get(at..at + length) else { break };
            each(read_section(section));
            at += length;
        }
        self.buffer.drain(..at);
    }
}

fn read_section(bytes: &[u8]) -> Result<Section<'_>, SectionError> {
    let error = |what| Err(SectionError { what });
    // Table, length, id, version, number, last number, checksum.
    if bytes.len() < 12 || bytes[1] & 0x80 == 0 {
        return error(NOT_LONG_FORM);
    }
    if crc32(bytes) != 0 {
        return error("the checksum is wrong");
    }
    Ok(Section { table: bytes[0], id: u16::from_be_bytes([bytes[3], bytes[4]]), body: &bytes[8..bytes.len() - 4] })
}

/// The checksum of sections; 0 over a whole section that is intact.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &octet| {
        (0..8).fold(sum ^ u32::from(octet) << 24, |sum, _| {
            if sum & 0x8000_0000 != 0 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    })
}

/// Programs and the PIDs of their tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pat(pub Vec<(u16, u16)>);

/// Reads a program association table; `None` when the section is another table.
#[must_use]
pub fn parse_pat(section: &Section<'_>) -> Option<Pat> {
    let (entries, _) = section.body.as_chunks::<4>();
    let programs =
        entries.iter().map(|[a, b, c, d]| (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([c & 0x1f, *d])));
    // Program 0 is the network table.
    (section.table == PAT_TABLE).then(|| Pat(programs.filter(|(program, _)| *program != 0).take(MAX_ENTRIES).collect()))
}

/// One stream of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Where it is.
    pub pid: u16,
    /// The type as the table has it.
    pub stream_type: u8,
    /// What that and its descriptors mean.
    pub codec: Codec,
    /// Channels where a descriptor says so (Opus).
    pub channels: Option<u16>,
    /// Its samples are encrypted one by one (SAMPLE-AES of HLS).
    pub sample_encrypted: bool,
}

/// A program map table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pmt {
    /// Program number.
    pub program: u16,
    /// PID of the program clock.
    pub pcr_pid: u16,
    /// In order.
    pub streams: Vec<Stream>,
}

/// Reads a program map table; `None` when the section is another table or is cut short.
#[must_use]
pub fn parse_pmt(section: &Section<'_>) -> Option<Pmt> {
    let [clock_high, clock_low, length_high, length_low, rest @ ..] = section.body else { return None };
    if section.table != PMT_TABLE {
        return None;
    }
    let (_, mut rest) = rest.split_at_checked(length(*length_high, *length_low))?;
    let mut pmt =
        Pmt { program: section.id, pcr_pid: u16::from_be_bytes([clock_high & 0x1f, *clock_low]), streams: Vec::new() };
    while let [stream_type, pid_high, pid_low, length_high, length_low, tail @ ..] = rest {
        let (descriptors, next) = tail.split_at_checked(length(*length_high, *length_low))?;
        if pmt.streams.len() < MAX_ENTRIES {
            let pid = u16::from_be_bytes([pid_high & 0x1f, *pid_low]);
            pmt.streams.push(stream(pid, *stream_type, descriptors));
        }
        rest = next;
    }
    Some(pmt)
}

fn length(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high & 0x0f, low]))
}

fn stream(pid: u16, stream_type: u8, descriptors: &[u8]) -> Stream {
    let mut codec = match stream_type {
        0x01 | 0x02 => Codec::Mpeg2Video,
        0x03 | 0x04 => Codec::MpegAudio,
        0x0f | 0xcf => Codec::Aac,
        0x11 => Codec::AacLatm,
        0x15 => Codec::Data("timed_id3"),
        0x1b | 0xdb => Codec::H264,
        0x24 | 0x25 => Codec::Hevc,
        0x81 | 0xc1 => Codec::Ac3,
        0x84 | 0x87 | 0xc2 => Codec::Eac3,
        0x86 => Codec::Data("scte_35"),
        _ => Codec::Data("bin_data"),
    };
    let mut channels = None;
    for (tag, body) in descriptors_of(descriptors).filter(|_| stream_type == 0x06) {
        match (tag, body) {
            (AC3, _) | (REGISTRATION, b"AC-3") => codec = Codec::Ac3,
            (EAC3, _) | (REGISTRATION, b"EAC3") => codec = Codec::Eac3,
            (REGISTRATION, [b'H', b'E', b'V', b'C', ..]) => codec = Codec::Hevc,
            (REGISTRATION, b"Opus") => codec = Codec::Opus,
            (TELETEXT, _) => codec = Codec::Data("dvb_teletext"),
            (SUBTITLING, _) => codec = Codec::Data("dvb_subtitle"),
            // Of the Opus extension: one to eight channels in the usual order.
            (EXTENSION, [0x80, count @ 1..=8, ..]) => channels = Some(u16::from(*count)),
            _ => {}
        }
    }
    let sample_encrypted = matches!(stream_type, 0xcf | 0xdb | 0xc1 | 0xc2);
    Stream { pid, stream_type, codec, channels, sample_encrypted }
}

/// Reads a service description table: names by program number; `None` when the section is another table. Names in letters
/// other than Latin are left out.
#[must_use]
pub fn parse_sdt(section: &Section<'_>) -> Option<Vec<(u16, String)>> {
    let mut rest = section.body.get(3..)?;
    if section.table != SDT_TABLE {
        return None;
    }
    let mut names = Vec::new();
    while let [id_high, id_low, _, length_high, length_low, tail @ ..] = rest {
        let (descriptors, next) = tail.split_at_checked(length(*length_high, *length_low))?;
        let name = descriptors_of(descriptors).find(|(tag, _)| *tag == SERVICE).and_then(|(_, body)| service(body));
        if let Some(name) = name.filter(|_| names.len() < MAX_ENTRIES) {
            names.push((u16::from_be_bytes([*id_high, *id_low]), name));
        }
        rest = next;
    }
    Some(names)
}

/// Type, provider and name of a service, each of the texts with its length in front.
fn service(body: &[u8]) -> Option<String> {
    let [_, provider, rest @ ..] = body else { return None };
    let (&name, rest) = rest.get(usize::from(*provider)..)?.split_first()?;
    let name = rest.get(..usize::from(name))?;
    // The first octet may choose another alphabet: 0x15 is UTF-8, others below a space are not Latin.
    let text = match name {
        [0x15, text @ ..] => std::str::from_utf8(text).ok()?.to_owned(),
        [first, ..] if *first < 0x20 => return None,
        text => text.iter().filter(|octet| **octet < 0x80).map(|octet| char::from(*octet)).collect(),
    };
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(MAX_NAME_BYTES / 4).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn descriptors_of(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, length, rest @ ..] = bytes else { return None };
        let (body, next) = rest.split_at_checked(usize::from(*length))?;
        bytes = next;
        Some((*tag, body))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A section with its checksum.
    pub(in super::super) fn section(table: u8, id: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 9).expect("the body is short") | 0xb000;
        let mut bytes = vec![table];
        bytes.extend(length.to_be_bytes());
        bytes.extend(id.to_be_bytes());
        bytes.extend([0xc1, 0, 0]);
        bytes.extend(body);
        bytes.extend(crc32(&bytes).to_be_bytes());
        bytes
    }

    fn whole(sections: &mut Sections, start: bool, payload: &[u8]) -> Vec<Result<(u8, u16, usize), &'static str>> {
        let mut seen = Vec::new();
        sections.push(start, payload, |s| {
            seen.push(s.map(|s| (s.table, s.id, s.body.len())).map_err(|e| e.what));
        });
        seen
    }

    #[test]
    fn sections_span_packets_and_share_them() {
        let (one, two) = (section(0, 7, &[0; 20]), section(2, 9, &[0; 400]));
        let mut first = vec![0];
        first.extend(&one);
        first.extend(&two[..100]);
        let mut sections = Sections::default();
        assert_eq!(whole(&mut sections, true, &first), [Ok((0, 7, 20))]);
        assert_eq!(whole(&mut sections, false, &two[100..200]), []);
        // The end of the second and the beginning of the first again in one packet, filled up.
        let mut last = vec![u8::try_from(two.len() - 200).unwrap_or(0)];
        assert_eq!(last[0], 212);
        last.extend(&two[200..]);
        last.extend(&one);
        last.extend([0xff; 9]);
        assert_eq!(whole(&mut sections, true, &last), [Ok((2, 9, 400)), Ok((0, 7, 20))]);
    }

    #[test]
    fn damage_is_told() {
        let mut bad = section(0, 7, &[0; 20]);
        bad[10] ^= 1;
        bad.insert(0, 0);
        assert_eq!(whole(&mut Sections::default(), true, &bad), [Err("the checksum is wrong")]);
        assert_eq!(whole(&mut Sections::default(), true, &[9, 0]), [Err("the pointer leads out of the packet")]);
        assert_eq!(whole(&mut Sections::default(), true, &[0, 0, 0x30, 0, 1]), [Err("not a table of the long form")]);
        assert_eq!(whole(&mut Sections::default(), true, &[0, 2, 0xbf, 1, 0, 0, 0, 0]), [], "it waits for the rest");
        assert_eq!(whole(&mut Sections::default(), false, &[0; 100]), [], "the middle of something");
    }

    #[test]
    fn tables() {
        let bytes = section(0, 1, &[0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0x00]);
        let pat = read_section(&bytes).ok().and_then(|s| parse_pat(&s));
        assert_eq!(pat, Some(Pat(vec![(1, 0x1000)])));
        let mut body = vec![0xe1, 0x00, 0xf0, 0x00];
        body.extend([0x1b, 0xe1, 0x00, 0xf0, 0x00, 0x0f, 0xe1, 0x01, 0xf0, 0x02, 0x0a, 0x00]);
        body.extend([0x06, 0xe1, 0x02, 0xf0, 0x0a, 0x05, 0x04, b'O', b'p', b'u', b's', 0x7f, 0x02, 0x80, 0x02]);
        body.extend([0xdb, 0xe1, 0x03, 0xf0, 0x00]);
        let bytes = section(2, 1, &body);
        let pmt = read_section(&bytes).ok().and_then(|s| parse_pmt(&s)).expect("a program");
        let streams: Vec<_> = pmt.streams.iter().map(|s| (s.pid, s.codec, s.channels, s.sample_encrypted)).collect();
        assert_eq!(
            streams,
            [
                (0x100, Codec::H264, None, false),
                (0x101, Codec::Aac, None, false),
                (0x102, Codec::Opus, Some(2), false),
                (0x103, Codec::H264, None, true)
            ]
        );
        assert_eq!((pmt.program, pmt.pcr_pid), (1, 0x100));
        assert_eq!(parse_pmt(&Section { table: 2, id: 1, body: &[0xe1, 0, 0xf0, 9] }), None);
    }
}
