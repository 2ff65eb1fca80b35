//! Formats of a media section: payload types, `rtpmap`, `fmtp`, and the static assignments of RFC 3551.
//!
//! Never judges whether a codec is known: that is `tracks`.

use crate::text::split_trim;

/// Most parameters read from one `fmtp` line.
const MAX_PARAMETERS: usize = 64;
/// Highest plausible clock rate in Hz, an eighth of a gigahertz; a wrong one would spoil jitter and time.
const MAX_CLOCK_RATE: u32 = 125_000_000;
/// Clock rate of all video and of MPEG sound, Hz (RFC 3551).
const VIDEO_CLOCK: u32 = 90_000;

/// One payload type and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name as sent or as assigned; empty when the description does not say.
    pub encoding: String,
    /// RTP clock in Hz; 0 when the description does not say.
    pub clock_rate: u32,
    /// Channels of sound, when said or assigned.
    pub channels: Option<u16>,
    /// Parameters of `fmtp` with their names in lower case; a value without a name has an empty name.
    pub fmtp: Vec<(String, String)>,
}

/// Static payload types: number, encoding, clock in Hz, channels.
const STATIC: [(u8, &str, u32, Option<u16>); 24] = [
    (0, "PCMU", 8_000, Some(1)),
    (3, "GSM", 8_000, Some(1)),
    (4, "G723", 8_000, Some(1)),
    (5, "DVI4", 8_000, Some(1)),
    (6, "DVI4", 16_000, Some(1)),
    (7, "LPC", 8_000, Some(1)),
    (8, "PCMA", 8_000, Some(1)),
    (9, "G722", 8_000, Some(1)),
    (10, "L16", 44_100, Some(2)),
    (11, "L16", 44_100, Some(1)),
    (12, "QCELP", 8_000, Some(1)),
    (13, "CN", 8_000, Some(1)),
    (14, "MPA", VIDEO_CLOCK, None),
    (15, "G728", 8_000, Some(1)),
    (16, "DVI4", 11_025, Some(1)),
    (17, "DVI4", 22_050, Some(1)),
    (18, "G729", 8_000, Some(1)),
    (25, "CelB", VIDEO_CLOCK, None),
    (26, "JPEG", VIDEO_CLOCK, None),
    (28, "nv", VIDEO_CLOCK, None),
    (31, "H261", VIDEO_CLOCK, None),
    (32, "MPV", VIDEO_CLOCK, None),
    (33, "MP2T", VIDEO_CLOCK, None),
    (34, "H263", VIDEO_CLOCK, None),
];

impl Format {
    /// The format a payload type means when no `rtpmap` speaks of it.
    pub(super) fn from_payload_type(payload_type: u8) -> Self {
        let assigned = STATIC.iter().find(|row| row.0 == payload_type);
        Self {
            payload_type,
            encoding: assigned.map(|row| row.1.to_owned()).unwrap_or_default(),
            clock_rate: assigned.map_or(0, |row| row.2),
            channels: assigned.and_then(|row| row.3),
            fmtp: Vec::new(),
        }
    }

    /// The `fmtp` parameter `name`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.fmtp.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the encoding has this name; case does not count.
    #[must_use]
    pub fn is(&self, encoding: &str) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding)
    }

    /// Takes `H264/90000` or `PCMU/8000/1`.
    pub(super) fn apply_rtpmap(&mut self, map: &str) {
        let mut parts = map.split('/').map(str::trim);
        if let Some(encoding) = parts.next().filter(|word| !word.is_empty()) {
            self.encoding = encoding.to_owned();
            self.channels = None;
        }
        let clock = parts.next().and_then(|word| word.parse().ok());
        self.clock_rate = clock.filter(|clock| (1..=MAX_CLOCK_RATE).contains(clock)).unwrap_or(self.clock_rate);
        self.channels = parts.next().and_then(|word| word.parse().ok()).filter(|&count| count > 0).or(self.channels);
    }

    /// Takes `packetization-mode=1;profile-level-id=...`.
    pub(super) fn apply_fmtp(&mut self, parameters: &str) {
        for part in parameters.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            if self.fmtp.len() == MAX_PARAMETERS {
                return;
            }
            // A value may hold `=` itself (base64), so only the first counts.
            self.fmtp.push(match split_trim(part, '=') {
                (name, Some(value)) => (name.to_ascii_lowercase(), value.to_owned()),
                (value, None) => (String::new(), value.to_owned()),
            });
        }
    }
}
