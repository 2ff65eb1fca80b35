//! What must hold for any datagrams of SRT: what is written is read back, counters agree, nothing grows beyond its limit.
//!
//! Input is a recording: each datagram behind its length in two octets, whose highest bit says who spoke.

use std::time::Duration;

use crate::srt::{
    Body, Called, Caller, Control, Handshake, Heard, KeyMaterial, Link, Listener, MAX_STREAM_ID_BYTES, Packet,
    Receiver, Setup, access_fields,
};

/// Datagrams of a recording.
fn datagrams(mut bytes: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*head) & 0x7fff).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        bytes = rest;
        Some((head[0] & 0x80 != 0, datagram))
    })
}

/// Packets, handshakes, keys and stream ids: what is written is read back.
pub fn srt_packets(bytes: &[u8]) {
    for datagram in datagrams(bytes).map(|(_, datagram)| datagram).chain([bytes]) {
        match Packet::parse(datagram) {
            Ok(Packet::Data(data)) => assert_eq!(Packet::parse(&data.to_bytes()), Ok(Packet::Data(data))),
            Ok(Packet::Control(control)) => {
                let written = control.to_bytes();
                assert_eq!(Packet::parse(&written), Ok(Packet::Control(control.clone())));
                if let Body::Nak(ranges) = control.body {
                    assert!(ranges.count() <= datagram.len() / 4);
                }
                if let Body::Handshake(body) = control.body {
                    handshake(body);
                }
            }
            Err(_) => {}
        }
        handshake(datagram);
        if let Ok(material) = KeyMaterial::parse(datagram) {
            assert_eq!(KeyMaterial::parse(&material.to_bytes()), Ok(material));
        }
        let _ = access_fields(&crate::text::lossless(datagram));
    }
}

fn handshake(body: &[u8]) {
    let Ok(read) = Handshake::parse(body) else { return };
    let hello = &read.hello;
    let is_told = !hello.filter && !hello.group;
    let fits = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= MAX_STREAM_ID_BYTES);
    if is_told && fits(&hello.stream_id) && fits(&hello.congestion) {
        let written = read.to_bytes(1, 2, false);
        let Ok(Packet::Control(Control { body: Body::Handshake(again), .. })) = Packet::parse(&written) else {
            panic!("a handshake is a handshake")
        };
        assert_eq!(Handshake::parse(again), Ok(read));
    }
}

fn setup() -> Setup {
    Setup {
        socket: 7,
        seed: 0x7fff_fff0,
        key: [1; 32],
        salt: [2; 16],
        passphrase: None,
        key_bytes: None,
        stream_id: String::new(),
        latency: Duration::from_millis(20),
    }
}

/// A link as a handshake of our own halves makes it.
fn link() -> Link {
    let (mut caller, listener) = (Caller::new(setup()), Listener::new(setup()));
    loop {
        let (answer, link) = match listener.receive(b"a", 0, caller.words()) {
            Heard::Answer(words) => (words, None),
            Heard::Open(words, link) => (words, Some(link)),
            other => panic!("our halves understand each other: {other:?}"),
        };
        match caller.receive(&answer) {
            Ok(Called::Say) => {}
            Ok(Called::Open(_)) => return *link.expect("it opened on both sides"),
            other => panic!("our halves understand each other: {other:?}"),
        }
    }
}

/// Whole conversations: a caller, a listener and a receiver are told everything, in the time that the octets tell.
pub fn srt_conversations(bytes: &[u8]) {
    let (mut caller, listener) = (Caller::new(setup()), Listener::new(setup()));
    let mut receiver = Receiver::new(link(), Duration::ZERO);
    let (mut now, mut handed, mut lost) = (Duration::ZERO, 0u64, 0u64);
    let mut each = |delivery: crate::srt::Delivery<'_>| {
        handed += 1;
        lost += u64::from(delivery.lost);
    };
    for (ours, datagram) in datagrams(bytes) {
        let mut datagram = datagram.to_vec();
        now += Duration::from_millis(datagram.last().copied().unwrap_or_default().into());
        let heard = listener.receive(b"a", now.as_secs() / 60, &datagram);
        assert!(!matches!(heard, Heard::Open(..)) || !datagram.is_empty());
        // Half of all packets find their way to us.
        if ours && let Some(socket) = datagram.get_mut(12..16) {
            socket.copy_from_slice(&7u32.to_be_bytes());
        }
        if caller.receive(&datagram).is_err() {
            caller = Caller::new(setup());
        }
        let ended = receiver.receive(&mut datagram, now, &mut each).is_err();
        let late = receiver.next_timeout() <= now && receiver.timeout(now, &mut each).is_err();
        let mut waiting = 0;
        while let Some(packet) = receiver.pop_outgoing() {
            waiting += 1;
            assert!(
                Packet::parse(&packet).is_ok() && packet.len() <= crate::srt::MAX_DATAGRAM_BYTES.max(datagram.len())
            );
        }
        assert!(waiting <= 64 && (ended || late || receiver.next_timeout() > now));
        if ended || late {
            break;
        }
    }
    let stats = receiver.stats(now);
    assert!(handed <= stats.packets && stats.undecrypted <= stats.packets);
    assert!(lost <= stats.dropped + stats.undecrypted && stats.packets + stats.strangers <= bytes.len() as u64);
}
