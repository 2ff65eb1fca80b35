//! Packets: what stands in a datagram (draft, 3). Owns their bytes, both ways. Looks into a handshake no further than to its
//! octets.

use super::Seq;

/// Octets before the payload or the control information.
pub(crate) const HEADER_BYTES: usize = 16;
/// Ranges of a loss report that fit a datagram.
const MAX_RANGES: usize = (super::MAX_DATAGRAM_BYTES - HEADER_BYTES) / 8;

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtError {
    /// Fewer octets than the part has.
    #[error("{part} is cut: {bytes} octets")]
    Cut {
        /// Which part.
        part: &'static str,
        /// How many octets there were.
        bytes: usize,
    },
    /// A control packet of a type that the draft does not have.
    #[error("control packets have no type {0}")]
    UnknownType(u16),
    /// A value that the draft forbids.
    #[error("{what} cannot be {value}")]
    Bad {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u32,
    },
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Media.
    Data(Data<'a>),
    /// Everything else.
    Control(Control<'a>),
}

/// A packet of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// Its number.
    pub seq: Seq,
    /// Whether it begins (2) and ends (1) a message: 3 in live streams.
    pub boundary: u8,
    /// Messages must be given in order.
    pub in_order: bool,
    /// With which key it is encrypted: 0 none, 1 even, 2 odd.
    pub key: u8,
    /// It was sent before.
    pub again: bool,
    /// Number of the message, 26 bits.
    pub message: u32,
    /// When it was sent, in microseconds since the sender's connection began.
    pub time_us: u32,
    /// Whose it is.
    pub socket: u32,
    /// Media, encrypted or not.
    pub payload: &'a [u8],
}

/// A packet that carries no media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control<'a> {
    /// When it was sent.
    pub time_us: u32,
    /// Whose it is; 0 while there is no connection.
    pub socket: u32,
    /// What it says.
    pub body: Body<'a>,
}

/// What a control packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// A handshake, see [`super::Handshake`].
    Handshake(&'a [u8]),
    /// I am still here.
    Keepalive,
    /// What arrived.
    Ack {
        /// Number of this acknowledgement; 0 for the short form.
        number: u32,
        /// All before this arrived.
        next: Seq,
        /// Measures, in the full form.
        full: Option<Ack>,
    },
    /// What is missing.
    Nak(NakRanges<'a>),
    /// Send slower.
    Congestion,
    /// Goodbye.
    Shutdown,
    /// An acknowledgement arrived.
    AckAck(u32),
    /// The sender gave these up.
    DropRequest {
        /// Number of the message; 0 when it is not known.
        message: u32,
        /// The first packet.
        first: Seq,
        /// The last packet.
        last: Seq,
    },
    /// The peer cannot go on.
    PeerError(u32),
    /// An extension: 3 is new key material, 4 the answer to it.
    Extension(u16, &'a [u8]),
}

/// Measures of a full acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ack {
    /// Time there and back, in microseconds.
    pub rtt_us: u32,
    /// How much that varies, in microseconds.
    pub variance_us: u32,
    /// Room of the receiver, in packets.
    pub room: u32,
    /// Packets received per second.
    pub packets_s: u32,
    /// Packets that the link could carry per second.
    pub capacity_s: u32,
    /// Octets received per second.
    pub bytes_s: u32,
}

/// The ranges of a loss report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NakRanges<'a>(&'a [u8]);

impl Iterator for NakRanges<'_> {
    type Item = (Seq, Seq);

    fn next(&mut self) -> Option<(Seq, Seq)> {
        let (first, rest) = split_word(self.0)?;
        self.0 = rest;
        if first >> 31 == 0 {
            return Some((Seq::new(first), Seq::new(first)));
        }
        let (last, rest) = split_word(rest)?;
        self.0 = rest;
        Some((Seq::new(first), Seq::new(last)))
    }
}

/// The octets of a loss report over these ranges; as many as fit a datagram.
#[must_use]
pub fn encode_ranges(ranges: impl IntoIterator<Item = (Seq, Seq)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (first, last) in ranges.into_iter().take(MAX_RANGES) {
        if first == last {
            put(&mut out, first.value());
        } else {
            put(&mut out, first.value() | 1 << 31);
            put(&mut out, last.value());
        }
    }
    out
}

fn split_word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word), rest))
}

pub(crate) fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

/// Word number `index` of `bytes`, in network order.
pub(crate) fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(4 * index..).and_then(split_word).map(|(word, _)| word)
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is too short for what it says to be, or of an unknown type.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SrtError> {
        let cut = SrtError::Cut { part: "the header", bytes: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(cut)?;
        let [first, second, time_us, socket] = [0, 1, 2, 3]
            .map(|i| u32::from_be_bytes([header[4 * i], header[4 * i + 1], header[4 * i + 2], header[4 * i + 3]]));
        if first >> 31 == 0 {
            let [high, ..] = second.to_be_bytes();
            return Ok(Self::Data(Data {
                seq: Seq::new(first),
                boundary: high >> 6,
                in_order: high & 0x20 != 0,
                key: high >> 3 & 3,
                again: high & 4 != 0,
                message: second & 0x03ff_ffff,
                time_us,
                socket,
                payload: rest,
            }));
        }
        let [kind_high, kind_low, sub_high, sub_low] = first.to_be_bytes();
        let kind = u16::from_be_bytes([kind_high & 0x7f, kind_low]);
        let subtype = u16::from_be_bytes([sub_high, sub_low]);
        Ok(Self::Control(Control { time_us, socket, body: body(kind, subtype, second, rest)? }))
    }
}

fn body(kind: u16, subtype: u16, info: u32, rest: &[u8]) -> Result<Body<'_>, SrtError> {
    let need = |part, index| word(rest, index).ok_or(SrtError::Cut { part, bytes: rest.len() });
    Ok(match kind {
        0 => Body::Handshake(rest),
        1 => Body::Keepalive,
        2 => {
            let next = Seq::new(need("an acknowledgement", 0)?);
            let full = rest.len() >= 16;
            let at = |index| word(rest, index).unwrap_or_default();
            let measures = Ack {
                rtt_us: at(1),
                variance_us: at(2),
                room: at(3),
                packets_s: at(4),
                capacity_s: at(5),
                bytes_s: at(6),
            };
            Body::Ack { number: info, next, full: full.then_some(measures) }
        }
        3 => Body::Nak(NakRanges(rest)),
        4 => Body::Congestion,
        5 => Body::Shutdown,
        6 => Body::AckAck(info),
        7 => Body::DropRequest {
            message: info,
            first: Seq::new(need("a drop request", 0)?),
            last: Seq::new(need("a drop request", 1)?),
        },
        8 => Body::PeerError(info),
        0x7fff => Body::Extension(subtype, rest),
        other => return Err(SrtError::UnknownType(other)),
    })
}

impl Data<'_> {
    /// The datagram.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.payload.len());
        let high = self.boundary << 6 | u8::from(self.in_order) << 5 | (self.key & 3) << 3 | u8::from(self.again) << 2;
        put(&mut out, self.seq.value());
        put(&mut out, u32::from(high) << 24 | self.message & 0x03ff_ffff);
        put(&mut out, self.time_us);
        put(&mut out, self.socket);
        out.extend_from_slice(self.payload);
        out
    }
}

impl Control<'_> {
    /// The datagram.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, subtype, info): (u16, u16, u32) = match self.body {
            Body::Handshake(_) => (0, 0, 0),
            Body::Keepalive => (1, 0, 0),
            Body::Ack { number, .. } => (2, 0, number),
            Body::Nak(_) => (3, 0, 0),
            Body::Congestion => (4, 0, 0),
            Body::Shutdown => (5, 0, 0),
            Body::AckAck(number) => (6, 0, number),
            Body::DropRequest { message, .. } => (7, 0, message),
            Body::PeerError(code) => (8, 0, code),
            Body::Extension(subtype, _) => (0x7fff, subtype, 0),
        };
        let mut out = Vec::with_capacity(HEADER_BYTES + 28);
        put(&mut out, 1 << 31 | u32::from(kind) << 16 | u32::from(subtype));
        put(&mut out, info);
        put(&mut out, self.time_us);
        put(&mut out, self.socket);
        match self.body {
            Body::Handshake(bytes) | Body::Nak(NakRanges(bytes)) | Body::Extension(_, bytes) => {
                out.extend_from_slice(bytes);
            }
            Body::Ack { next, full, .. } => {
                put(&mut out, next.value());
                if let Some(ack) = full {
                    let words = [ack.rtt_us, ack.variance_us, ack.room, ack.packets_s, ack.capacity_s, ack.bytes_s];
                    words.into_iter().for_each(|value| put(&mut out, value));
                }
            }
            Body::DropRequest { first, last, .. } => {
                put(&mut out, first.value());
                put(&mut out, last.value());
            }
            // libsrt sends one empty word where there is nothing to say, and old peers expect it.
            _ => put(&mut out, 0),
        }
        out
    }
}

impl<'a> NakRanges<'a> {
    /// The ranges that stand in `bytes`, as [`encode_ranges`] writes them.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let ranges = [(Seq::new(7), Seq::new(7)), (Seq::new(0x7fff_ffff), Seq::new(2))];
        let list = encode_ranges(ranges);
        assert_eq!(NakRanges::new(&list).collect::<Vec<_>>(), ranges);
        let full = Ack { rtt_us: 1, variance_us: 2, room: 3, packets_s: 4, capacity_s: 5, bytes_s: 6 };
        for body in [
            Body::Handshake(b"1234"),
            Body::Keepalive,
            Body::Ack { number: 0, next: Seq::new(9), full: None },
            Body::Ack { number: 8, next: Seq::new(9), full: Some(full) },
            Body::Nak(NakRanges::new(&list)),
            Body::Congestion,
            Body::Shutdown,
            Body::AckAck(77),
            Body::DropRequest { message: 3, first: Seq::new(1), last: Seq::new(2) },
            Body::PeerError(4000),
            Body::Extension(3, b"abcd"),
        ] {
            let control = Control { time_us: 5, socket: 6, body };
            assert_eq!(Packet::parse(&control.to_bytes()), Ok(Packet::Control(control)));
        }
        let data = Data {
            seq: Seq::new(1 << 30),
            boundary: 3,
            in_order: true,
            key: 2,
            again: true,
            message: 0x03ff_fffe,
            time_us: 1,
            socket: 2,
            payload: b"media",
        };
        assert_eq!(Packet::parse(&data.to_bytes()), Ok(Packet::Data(data)));
    }

    #[test]
    fn what_is_no_packet_is_told() {
        for (bytes, words) in [
            (vec![0; 15], "the header is cut: 15 octets"),
            ([&[0x80, 2][..], &[0; 14]].concat(), "an acknowledgement is cut: 0 octets"),
            ([&[0x80, 7][..], &[0; 18]].concat(), "a drop request is cut: 4 octets"),
            ([&[0x80, 9][..], &[0; 14]].concat(), "control packets have no type 9"),
        ] {
            let error = Packet::parse(&bytes).expect_err(words);
            assert_eq!(error.to_string(), words);
        }
    }
}
