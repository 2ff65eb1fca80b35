//! Packets against the examples and rules of the two standards, and against what Mosquitto sends.

use bytes::BytesMut;

use super::*;

fn read(version: Version, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    Decoder::new(version).decode(&mut BytesMut::from(bytes))
}

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

#[test]
fn connecting_says_what_it_should() {
    let will = Will { topic: "a/b", payload: b"offline", qos: Qos::AtLeastOnce, retain: true };
    let packet = Connect {
        version: Version::V311,
        client_id: "me",
        keep_alive_s: 30,
        username: Some("u"),
        password: Some("p"),
        will: Some(will),
    };
    assert_eq!(
        written(|out| connect(&packet, out)),
        b"\x10\x22\x00\x04MQTT\x04\xee\x00\x1e\x00\x02me\x00\x03a/b\x00\x07offline\x00\x01u\x00\x01p"
    );
    let packet = Connect { version: Version::V5, username: None, will: None, ..packet };
    assert_eq!(
        written(|out| connect(&packet, out)),
        b"\x10\x17\x00\x04MQTT\x05\x42\x00\x1e\x05\x27\x00\x40\x00\x00\x00\x02me\x00\x01p"
    );
    let packet = Connect { version: Version::V311, ..packet };
    assert_eq!(
        written(|out| connect(&packet, out)),
        b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02me",
        "no password alone"
    );
}

#[test]
fn messages_are_written_in_both_forms() {
    let packet = Publish { topic: "t", payload: b"xy", qos: Qos::AtMostOnce, retain: true, again: false, id: 7 };
    let both = |packet: &Publish<'_>| {
        [Version::V311, Version::V5].map(|version| written(|out| assert!(publish(version, packet, out))))
    };
    assert_eq!(both(&packet), [b"\x31\x05\x00\x01txy".to_vec(), b"\x31\x06\x00\x01t\x00xy".to_vec()]);
    let packet = Publish { qos: Qos::ExactlyOnce, retain: false, again: true, ..packet };
    assert_eq!(both(&packet), [b"\x3c\x07\x00\x01t\x00\x07xy".to_vec(), b"\x3c\x08\x00\x01t\x00\x07\x00xy".to_vec()]);
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let mut out = BytesMut::new();
    assert!(!publish(Version::V5, &Publish { topic: &long, ..packet }, &mut out) && out.is_empty());
    assert_eq!(written(|out| subscribe(Version::V311, 3, "t", out)), b"\x82\x06\x00\x03\x00\x01t\x00");
    assert_eq!(written(|out| unsubscribe(Version::V5, 3, "t", out)), b"\xa2\x06\x00\x03\x00\x00\x01t");
    assert_eq!(written(|out| release(0x0102, out)), b"\x62\x02\x01\x02");
}

#[test]
fn a_written_message_is_read_back_with_lengths_of_one_to_four_octets() {
    for version in [Version::V311, Version::V5] {
        for length in [0, 100, 127, 128, 16_380, 16_384, 2_097_152] {
            let payload = vec![b'x'; length];
            let message =
                Publish { topic: "a/ü", payload: &payload, qos: Qos::AtLeastOnce, retain: false, again: false, id: 9 };
            let bytes = written(|out| assert!(publish(version, &message, out)));
            let Ok(Some(Packet::Publish { topic, payload: got, .. })) = read(version, &bytes) else {
                panic!("{version:?} {length}")
            };
            assert_eq!((topic.as_str(), got.len()), ("a/ü", length));
        }
    }
}

#[test]
fn answers_of_brokers_are_understood() {
    let plain = |code| Ok(Some(Packet::ConnAck { code, words: None, bounds: Bounds::default() }));
    assert_eq!(read(Version::V311, b"\x20\x02\x00\x00"), plain(0));
    assert_eq!(read(Version::V311, b"\x20\x02\x00\x05"), plain(5));
    assert_eq!(read(Version::V5, b"\x20\x02\x00\x01"), plain(1), "a broker of 3.1.1 to a client of 5");
    // As Mosquitto 2.0 answers: alias maximum, receive maximum.
    let bounds = Bounds { receive_maximum: 20, ..Bounds::default() };
    let got = read(Version::V5, b"\x20\x09\x00\x00\x06\x22\x00\x0a\x21\x00\x14");
    assert_eq!(got, Ok(Some(Packet::ConnAck { code: 0, words: None, bounds })));
    let got = read(Version::V5, b"\x20\x0d\x00\x87\x0a\x1f\x00\x02no\x24\x00\x25\x00\x00");
    assert_eq!(got, Err(DecodeError::Malformed(2)), "properties end before their length says");
    let bounds = Bounds { maximum_qos: Qos::AtMostOnce, retain: false, ..Bounds::default() };
    let got = read(Version::V5, b"\x20\x0c\x00\x87\x09\x1f\x00\x02no\x24\x00\x25\x00");
    assert_eq!(got, Ok(Some(Packet::ConnAck { code: 0x87, words: Some("no".to_owned()), bounds })));
    assert_eq!(read(Version::V311, b"\x40\x02\x00\x07"), Ok(Some(Packet::PubAck(Outcome { id: 7, code: 0 }))));
    assert_eq!(read(Version::V5, b"\x50\x03\x00\x07\x97"), Ok(Some(Packet::PubRec(Outcome { id: 7, code: 0x97 }))));
    assert_eq!(read(Version::V5, b"\x90\x04\x00\x01\x00\x87"), Ok(Some(Packet::SubAck { id: 1, codes: vec![0x87] })));
    assert_eq!(read(Version::V5, b"\xe0\x01\x8e"), Ok(Some(Packet::Disconnect { code: 0x8e, words: None })));
    assert_eq!(read(Version::V311, b"\xd0\x00"), Ok(Some(Packet::PingResp)));
}

#[test]
fn what_no_broker_may_send_is_refused() {
    for (bytes, error) in [
        (&b"\xe0\x00"[..], DecodeError::Kind(14)),
        (b"\x10\x00", DecodeError::Kind(1)),
        (b"\x21\x02\x00\x00", DecodeError::Kind(2)),
        (b"\x20\x01\x00", DecodeError::Malformed(2)),
        (b"\x36\x03\x00\x01t", DecodeError::Malformed(3)),
        (b"\x30\x03\x00\x05t", DecodeError::Malformed(3)),
        (b"\x30\x03\x00\x01\xff", DecodeError::Malformed(3)),
        (b"\x90\x02\x00\x01", DecodeError::Malformed(9)),
        (b"\x20\xff\xff\xff\xff", DecodeError::Length),
        (b"\x20\xff\xff\xff\x7f", DecodeError::TooLarge(MAX_REMAINING)),
        (b"HTTP/1.1 400 Bad Request\r\n", DecodeError::Kind(4)),
    ] {
        let mut bytes = BytesMut::from(bytes);
        bytes.resize(bytes.len().max(90), 0);
        assert_eq!(Decoder::new(Version::V311).decode(&mut bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn a_message_too_large_is_passed_over() {
    let length = MAX_PACKET_BYTES + 1;
    let mut bytes = BytesMut::from(&b"\x30\x81\x80\x80\x02"[..]);
    bytes.resize(bytes.len() + length, 0xff);
    bytes.extend_from_slice(b"\xd0\x00");
    let mut decoder = Decoder::new(Version::V311);
    let mut buffer = BytesMut::new();
    let mut seen = Vec::new();
    for piece in bytes.chunks(100_000) {
        buffer.extend_from_slice(piece);
        while let Some(packet) = decoder.decode(&mut buffer).expect("nothing is wrong with it") {
            seen.push(packet);
        }
        assert!(buffer.len() < 100_000);
    }
    assert_eq!(seen, [Packet::PingResp]);
}
