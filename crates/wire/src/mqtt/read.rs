//! Packets that a broker sends, from bytes.

use bytes::{Buf, Bytes, BytesMut};

use super::{Bounds, DecodeError, MAX_PACKET_BYTES, Outcome, Packet, Qos, Version};

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBCOMP: u8 = 7;
const SUBACK: u8 = 9;
const UNSUBACK: u8 = 11;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// Reads packets from bytes as they come, however they are cut.
#[derive(Debug, Default)]
pub struct Decoder {
    version: Version,
    /// Bytes of a message too large for us that are still to come.
    passing: usize,
}

impl Decoder {
    /// A decoder for one connection.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self { version, passing: 0 }
    }

    /// The next packet; `None` when more bytes are needed. Messages larger than [`MAX_PACKET_BYTES`] are passed over.
    ///
    /// # Errors
    /// What comes is no MQTT; nothing after it can be read.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        loop {
            let passed = self.passing.min(buffer.len());
            buffer.advance(passed);
            self.passing -= passed;
            let Some((first, head, length)) = head(buffer)? else { return Ok(None) };
            if length > MAX_PACKET_BYTES {
                if first >> 4 != PUBLISH {
                    return Err(DecodeError::TooLarge(length));
                }
                buffer.advance(head);
                self.passing = length;
                continue;
            }
            if buffer.len() < head + length {
                return Ok(None);
            }
            buffer.advance(head);
            let body = buffer.split_to(length).freeze();
            return self.packet(first, body).map(Some);
        }
    }

    fn packet(&self, first: u8, body: Bytes) -> Result<Packet, DecodeError> {
        let kind = first >> 4;
        if kind != PUBLISH && first & 0x0f != 0 {
            return Err(DecodeError::Kind(kind));
        }
        let mut body = Body(body);
        let read = match kind {
            CONNACK => self.conn_ack(&mut body),
            PUBLISH => self.publish(first, &mut body),
            PUBACK => body.outcome().map(Packet::PubAck),
            PUBREC => body.outcome().map(Packet::PubRec),
            PUBCOMP => body.outcome().map(Packet::PubComp),
            SUBACK => self.sub_ack(&mut body),
            UNSUBACK => body.u16().map(Packet::UnsubAck),
            PINGRESP => Some(Packet::PingResp),
            DISCONNECT if self.version == Version::V5 => disconnect(&mut body),
            _ => return Err(DecodeError::Kind(kind)),
        };
        read.ok_or(DecodeError::Malformed(kind))
    }

    fn conn_ack(&self, body: &mut Body) -> Option<Packet> {
        let _session = body.u8()?;
        let code = body.u8()?;
        let (mut bounds, mut words) = (Bounds::default(), None);
        // A broker of 3.1.1 refuses version 5 in its own form, without properties.
        if self.version == Version::V5 && !body.0.is_empty() {
            for property in body.properties()? {
                match property {
                    Property::Word(0x21, number) => bounds.receive_maximum = number.max(1),
                    Property::Word(0x13, seconds) => bounds.keep_alive_s = Some(seconds),
                    Property::Byte(0x24, number) => bounds.maximum_qos = Qos::of(number)?,
                    Property::Byte(0x25, number) => bounds.retain = number != 0,
                    Property::Double(0x27, number) => bounds.maximum_packet = number,
                    Property::Text(0x1f, text) => words = Some(text),
                    _ => {}
                }
            }
        }
        Some(Packet::ConnAck { code, words, bounds })
    }

    fn publish(&self, first: u8, body: &mut Body) -> Option<Packet> {
        let qos = Qos::of(first >> 1 & 0b11)?;
        let topic = body.text()?;
        if qos > Qos::AtMostOnce {
            body.u16()?;
        }
        if self.version == Version::V5 {
            body.properties()?;
        }
        let payload = std::mem::take(&mut body.0);
        Some(Packet::Publish { topic, qos, retain: first & 1 != 0, payload })
    }

    fn sub_ack(&self, body: &mut Body) -> Option<Packet> {
        let id = body.u16()?;
        if self.version == Version::V5 {
            body.properties()?;
        }
        (!body.0.is_empty()).then(|| Packet::SubAck { id, codes: body.0.to_vec() })
    }
}

fn disconnect(body: &mut Body) -> Option<Packet> {
    if body.0.is_empty() {
        return Some(Packet::Disconnect { code: 0, words: None });
    }
    let code = body.u8()?;
    let properties = if body.0.is_empty() { Vec::new() } else { body.properties()? };
    let words = properties.into_iter().find_map(|p| match p {
        Property::Text(0x1f, text) => Some(text),
        _ => None,
    });
    Some(Packet::Disconnect { code, words })
}

/// First octet, how long the head is, and the length of what follows; `None` when more bytes are needed.
fn head(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0;
    for (i, &octet) in rest.iter().take(4).enumerate() {
        length |= usize::from(octet & 0x7f) << (7 * i);
        if octet & 0x80 == 0 {
            return Ok(Some((first, i + 2, length)));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(DecodeError::Length) }
}

/// A property of version 5 with its number. Others than those that are asked about are only walked over.
enum Property {
    Byte(u8, u8),
    Word(u8, u16),
    Double(u8, u32),
    Text(u8, String),
    Other,
}

struct Body(Bytes);

impl Body {
    fn u8(&mut self) -> Option<u8> {
        self.0.has_remaining().then(|| self.0.get_u8())
    }

    fn u16(&mut self) -> Option<u16> {
        (self.0.remaining() >= 2).then(|| self.0.get_u16())
    }

    fn u32(&mut self) -> Option<u32> {
        (self.0.remaining() >= 4).then(|| self.0.get_u32())
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::from(self.u16()?);
        (self.0.len() >= length).then(|| self.0.split_to(length))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// A number of up to four octets of seven bits.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for i in 0..4 {
            let octet = self.u8()?;
            number |= usize::from(octet & 0x7f) << (7 * i);
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Number of a message; version 5 may add a code and properties.
    fn outcome(&mut self) -> Option<Outcome> {
        let id = self.u16()?;
        let code = if self.0.is_empty() { 0 } else { self.u8()? };
        Some(Outcome { id, code })
    }

    fn properties(&mut self) -> Option<Vec<Property>> {
        let length = self.number()?;
        if self.0.len() < length {
            return None;
        }
        let mut own = Self(self.0.split_to(length));
        let mut found = Vec::new();
        while !own.0.is_empty() {
            found.push(own.property()?);
        }
        Some(found)
    }

    /// Section 2.2.2.2: the number says what follows.
    fn property(&mut self) -> Option<Property> {
        let number = self.u8()?;
        Some(match number {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => Property::Byte(number, self.u8()?),
            0x13 | 0x21 | 0x22 | 0x23 => Property::Word(number, self.u16()?),
            0x02 | 0x11 | 0x18 | 0x27 => Property::Double(number, self.u32()?),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Property::Text(number, self.text()?),
            0x0b => {
                self.number()?;
                Property::Other
            }
            0x09 | 0x16 => {
                self.bytes()?;
                Property::Other
            }
            0x26 => {
                self.bytes()?;
                self.bytes()?;
                Property::Other
            }
            _ => return None,
        })
    }
}
