//! What is read in recorded conversations of SRT: one line a datagram, media opened where the passphrase is known.

use std::fmt::Write;

use wire::srt::{Body, Control, Data, Handshake, KeyMaterial, Keys, Packet, Passphrase};

/// A recording as lines.
pub(crate) fn conversation(mut bytes: &[u8]) -> String {
    let (mut out, mut keys) = (String::new(), None);
    while let Some((head, rest)) = bytes.split_first_chunk::<2>() {
        let length = u16::from_be_bytes(*head);
        let (datagram, rest) = rest.split_at(usize::from(length & 0x7fff));
        bytes = rest;
        let who = if length >> 15 == 1 { "caller" } else { "listener" };
        let _ = writeln!(out, "{who}: {}", line(datagram, &mut keys));
    }
    out
}

fn line(datagram: &[u8], keys: &mut Option<Keys>) -> String {
    match Packet::parse(datagram) {
        Ok(Packet::Data(data)) => media(&data, keys.as_ref()),
        Ok(Packet::Control(Control { socket, body: Body::Handshake(body), .. })) => {
            format!("to {socket:08x} {}", handshake(body, keys))
        }
        Ok(Packet::Control(control)) => format!("to {:08x} {:?}", control.socket, control.body),
        Err(error) => error.to_string(),
    }
}

fn media(data: &Data<'_>, keys: Option<&Keys>) -> String {
    let mut payload = data.payload.to_vec();
    let opened = data.key == 0 || keys.is_some_and(|keys| keys.apply(data.key, data.seq, &mut payload));
    let whole = payload.len().is_multiple_of(188) && payload.chunks(188).all(|packet| packet[0] == 0x47);
    format!(
        "to {:08x} media {} at {} us, boundary {}, key {}, again {}, {} octets, {}",
        data.socket,
        data.seq.value(),
        data.time_us,
        data.boundary,
        data.key,
        data.again,
        payload.len(),
        if !opened {
            "closed"
        } else if whole {
            "whole transport packets"
        } else {
            "something"
        }
    )
}

fn handshake(body: &[u8], keys: &mut Option<Keys>) -> String {
    let read = match Handshake::parse(body) {
        Ok(read) => read,
        Err(error) => return error.to_string(),
    };
    let mut line = format!(
        "{:?} version {} encryption {} extension {:#06x} first {} socket {:08x} cookie {:08x}",
        read.kind,
        read.version,
        read.encryption,
        read.extension,
        read.first.value(),
        read.socket,
        read.cookie
    );
    if let Some(features) = read.hello.features {
        let _ = write!(
            line,
            ", SRT {} flags {:#x} receiver {:?} sender {:?}",
            features.version, features.flags, features.receiver, features.sender
        );
    }
    if let Some(id) = &read.hello.stream_id {
        let _ = write!(line, ", stream id {id:?}");
    }
    if let Some(congestion) = &read.hello.congestion {
        let _ = write!(line, ", congestion {congestion}");
    }
    if let Some(bytes) = &read.hello.keys {
        let mut opened = Keys::new(Passphrase::new("correcthorsebattery").expect("long enough"));
        let told = match KeyMaterial::parse(bytes) {
            Ok(material) if opened.take(&material) => format!("opened, {} bits", opened.bits()),
            Ok(_) => "of another passphrase".to_owned(),
            Err(error) => error.to_string(),
        };
        let _ = write!(line, ", keys {told}");
        *keys = Some(opened);
    }
    line
}
