//! What must hold for any bytes of an MQTT broker, on a socket of its own or inside WebSocket frames.

use bytes::BytesMut;

use super::pieces;
use crate::mqtt::{self, Decoder, Packet, Publish, Qos, Version};
use crate::websocket;

/// Packets of a broker: cuts do not matter, nothing exceeds its limit, what is written again is read the same.
pub fn mqtt_packets(bytes: &[u8]) {
    for version in [Version::V311, Version::V5] {
        let read = |whole| {
            let (mut decoder, mut buffer, mut packets) = (Decoder::new(version), BytesMut::new(), Vec::new());
            for piece in pieces(bytes, whole) {
                buffer.extend_from_slice(piece);
                loop {
                    match decoder.decode(&mut buffer) {
                        Ok(Some(packet)) => packets.push(packet),
                        Ok(None) => break,
                        Err(error) => return (packets, Some(error)),
                    }
                }
            }
            (packets, None)
        };
        let (packets, error) = read(true);
        assert_eq!((&packets, error), (&read(false).0, read(false).1));
        for packet in packets {
            let Packet::Publish { topic, retain, payload, .. } = packet else { continue };
            let mut out = BytesMut::new();
            let message =
                Publish { topic: &topic, payload: &payload, qos: Qos::AtMostOnce, retain, again: false, id: 0 };
            assert!(mqtt::publish(version, &message, &mut out));
            let again = Packet::Publish { qos: Qos::AtMostOnce, topic, retain, payload };
            assert_eq!(Decoder::new(version).decode(&mut out), Ok(Some(again)));
        }
    }
}

/// WebSocket: the answer to the request, then frames; what is in them is what was put in.
pub fn websocket_frames(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let _ = websocket::answered(&mut buffer, "mqtt", [7; 16]);
    let mut buffer = BytesMut::from(bytes);
    let before = buffer.len();
    let mut inside = 0;
    while let Ok(Some(message)) = websocket::decode(&mut buffer) {
        if let websocket::Message::Data(data) = message {
            inside += data.len();
        }
    }
    assert!(inside + buffer.len() <= before);
    let mut out = BytesMut::new();
    websocket::frame(websocket::Kind::Binary, bytes, [1, 2, 3, 4], &mut out);
    let content = out.split_off(out.len() - bytes.len());
    assert!(content.iter().zip(bytes).enumerate().all(|(i, (x, y))| x ^ [1, 2, 3, 4][i % 4] == *y));
}
