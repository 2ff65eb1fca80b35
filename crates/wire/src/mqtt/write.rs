//! Packets that a client sends, as bytes.

use bytes::{BufMut, BytesMut};

use super::{MAX_PACKET_BYTES, MAX_REMAINING, MAX_TEXT_BYTES, Qos, Version};

/// Property of version 5: the largest packet that we take (section 3.1.2.11.4).
const MAXIMUM_PACKET: u8 = 0x27;

/// A message that the broker publishes when we are gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Content.
    pub payload: &'a [u8],
    /// Quality.
    pub qos: Qos,
    /// Whether it is kept for who comes later.
    pub retain: bool,
}

/// The first packet of a connection. Every connection begins with nothing: no session is taken up again.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    /// Which protocol.
    pub version: Version,
    /// Name of the client, unique at the broker.
    pub client_id: &'a str,
    /// Within how many seconds each side hears of the other.
    pub keep_alive_s: u16,
    /// User name.
    pub username: Option<&'a str>,
    /// Password.
    pub password: Option<&'a str>,
    /// What is published when we are gone.
    pub will: Option<Will<'a>>,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Content.
    pub payload: &'a [u8],
    /// Quality.
    pub qos: Qos,
    /// Whether it is kept for who comes later.
    pub retain: bool,
    /// Whether it was sent before with the same number.
    pub again: bool,
    /// Its number; not written with quality 0.
    pub id: u16,
}

fn text_bytes(text: &str) -> usize {
    2 + text.len().min(MAX_TEXT_BYTES)
}

/// A text with its length. Longer ones are cut: who writes them checks before.
fn put_text(out: &mut BytesMut, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    let cut = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    out.put_u16(u16::try_from(cut.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(cut);
}

/// First octet and length.
fn put_head(out: &mut BytesMut, first: u8, mut length: usize) {
    out.put_u8(first);
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        out.put_u8(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

/// Writes the first packet of a connection.
pub fn connect(packet: &Connect<'_>, out: &mut BytesMut) {
    let v5 = packet.version == Version::V5;
    let mut flags = 0b10; // a clean session
    let mut body = BytesMut::with_capacity(256);
    put_text(&mut body, "MQTT");
    body.put_u8(if v5 { 5 } else { 4 });
    let at = body.len();
    body.put_u8(flags);
    body.put_u16(packet.keep_alive_s);
    if v5 {
        body.put_u8(5);
        body.put_u8(MAXIMUM_PACKET);
        body.put_u32(u32::try_from(MAX_PACKET_BYTES).unwrap_or(u32::MAX));
    }
    put_text(&mut body, packet.client_id);
    if let Some(will) = &packet.will {
        flags |= 0b100 | will.qos.number() << 3 | u8::from(will.retain) << 5;
        if v5 {
            body.put_u8(0);
        }
        put_text(&mut body, will.topic);
        put_bytes(&mut body, will.payload);
    }
    if let Some(name) = packet.username {
        flags |= 0x80;
        put_text(&mut body, name);
    }
    // Version 3.1.1 allows a password only beside a user name (section 3.1.2.9).
    if let Some(password) = packet.password.filter(|_| v5 || packet.username.is_some()) {
        flags |= 0x40;
        put_text(&mut body, password);
    }
    body[at] = flags;
    put_head(out, 0x10, body.len());
    out.extend_from_slice(&body);
}

/// Writes a message; answers whether it fits into a packet. Nothing is written when it does not.
#[must_use]
pub fn publish(version: Version, packet: &Publish<'_>, out: &mut BytesMut) -> bool {
    let numbered = packet.qos > Qos::AtMostOnce;
    let properties = usize::from(version == Version::V5);
    let length = text_bytes(packet.topic) + usize::from(numbered) * 2 + properties + packet.payload.len();
    if length > MAX_REMAINING || packet.topic.len() > MAX_TEXT_BYTES {
        return false;
    }
    out.reserve(length + 5);
    put_head(out, 0x30 | u8::from(packet.again) << 3 | packet.qos.number() << 1 | u8::from(packet.retain), length);
    put_text(out, packet.topic);
    if numbered {
        out.put_u16(packet.id);
    }
    if version == Version::V5 {
        out.put_u8(0);
    }
    out.extend_from_slice(packet.payload);
    true
}

/// Writes that the message of quality 2 with this number may be handed on.
pub fn release(id: u16, out: &mut BytesMut) {
    put_head(out, 0x62, 2);
    out.put_u16(id);
}

/// Asks for the messages of a topic, with quality 0.
pub fn subscribe(version: Version, id: u16, topic: &str, out: &mut BytesMut) {
    let properties = usize::from(version == Version::V5);
    put_head(out, 0x82, 2 + properties + text_bytes(topic) + 1);
    out.put_u16(id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    put_text(out, topic);
    out.put_u8(0);
}

/// Asks for them no more.
pub fn unsubscribe(version: Version, id: u16, topic: &str, out: &mut BytesMut) {
    let properties = usize::from(version == Version::V5);
    put_head(out, 0xa2, 2 + properties + text_bytes(topic));
    out.put_u16(id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    put_text(out, topic);
}

/// Asks whether the broker is there.
pub fn ping(out: &mut BytesMut) {
    put_head(out, 0xc0, 0);
}

/// Says farewell: the broker publishes no will.
pub fn disconnect(out: &mut BytesMut) {
    put_head(out, 0xe0, 0);
}
