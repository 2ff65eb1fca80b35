//! What must hold for any input, as ordinary functions: the fuzz targets call them with bytes they find, the tests with
//! bytes from a fixed seed and with the recorded replies.
//!
//! Besides not panicking: a decoder sees the same messages however the bytes are cut, what we write we read back, and
//! nothing exceeds its limit.

mod broker;
mod containers;
mod mail;
mod plugin;
mod reach;
mod rtmp;
mod srt;
mod streaming;

pub use broker::{mqtt_packets, websocket_frames};
pub use containers::container_logs;
pub use mail::{mail_texts, smtp_replies};
pub use plugin::plugin_output;
pub use reach::icmp_messages;
pub use rtmp::{radio_replies, radio_sound, rtmp_chunks, rtmp_tags, rtmp_values};
pub use srt::{srt_conversations, srt_packets};
pub use streaming::{device_blocks, m3u8_playlists, mp4_fragments, mpd_manifests, ts_monitor, ts_streams};

use bytes::{Bytes, BytesMut};

use crate::rtp::Header;
use crate::rtsp::{DecodeError, Decoder, Message};
use crate::{aac, auth, h264, h265, jpeg, multipart, rtp, rtsp, sdp, tracks, video};

/// A body: takes any bytes, panics when something does not hold.
pub type Body = fn(&[u8]);

/// Every body by name.
pub const BODIES: [(&str, Body); 32] = [
    ("rtsp_decoder", rtsp_decoder),
    ("rtsp_values", rtsp_values),
    ("auth_challenge", auth_challenge),
    ("sdp_parse", sdp_parse),
    ("rtp_packets", rtp_packets),
    ("rtp_sequence", rtp_sequence),
    ("h264_depacketize", h264_depacketize),
    ("h265_depacketize", h265_depacketize),
    ("parameter_sets", parameter_sets),
    ("jpeg_frames", jpeg_frames),
    ("aac_config", aac_config),
    ("multipart_parts", multipart_parts),
    ("rtmp_chunks", rtmp_chunks),
    ("rtmp_values", rtmp_values),
    ("rtmp_tags", rtmp_tags),
    ("radio_sound", radio_sound),
    ("radio_replies", radio_replies),
    ("m3u8_playlists", m3u8_playlists),
    ("mpd_manifests", mpd_manifests),
    ("ts_streams", ts_streams),
    ("ts_monitor", ts_monitor),
    ("mp4_fragments", mp4_fragments),
    ("device_blocks", device_blocks),
    ("icmp_messages", icmp_messages),
    ("plugin_output", plugin_output),
    ("srt_packets", srt_packets),
    ("srt_conversations", srt_conversations),
    ("smtp_replies", smtp_replies),
    ("mail_texts", mail_texts),
    ("mqtt_packets", mqtt_packets),
    ("websocket_frames", websocket_frames),
    ("container_logs", container_logs),
];

/// Feeds `bytes` in pieces whose lengths the bytes themselves choose, or whole.
fn pieces(bytes: &[u8], whole: bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let &first = rest.first()?;
        let length = if whole { rest.len() } else { rest.len().min(1 + usize::from(first) % 61) };
        let (piece, next) = rest.split_at(length);
        rest = next;
        Some(piece)
    })
}

/// The RTSP decoder: cuts do not matter, nor does reading packets past it; written messages are read back.
pub fn rtsp_decoder(bytes: &[u8]) {
    let read = |whole, past| {
        let (mut decoder, mut buffer, mut messages) = (Decoder::new(), BytesMut::new(), Vec::new());
        for piece in pieces(bytes, whole) {
            buffer.extend_from_slice(piece);
            loop {
                if past && let Some(packet) = read_past(&mut decoder, &mut buffer) {
                    messages.push(packet);
                    continue;
                }
                match decoder.decode(&mut buffer) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error)),
                }
            }
            assert_eq!(decoder.offset() + buffer.len() as u64, {
                let given = piece.as_ptr() as usize - bytes.as_ptr() as usize + piece.len();
                given as u64
            });
        }
        let end = decoder.finish(&buffer);
        (messages, end)
    };
    let (whole, whole_end) = read(true, false);
    let (cut, cut_end) = read(false, false);
    assert_eq!(whole, cut);
    assert_eq!(whole, read(false, true).0);
    // Another protocol may show its first line in part when it is refused early.
    let same_kind = |a: &DecodeError, b: &DecodeError| std::mem::discriminant(a) == std::mem::discriminant(b);
    match (&whole_end, &cut_end) {
        (Ok(()), Ok(())) => {}
        (Err(one), Err(other)) => assert!(same_kind(one, other), "{one} / {other}"),
        other => panic!("cutting the bytes changed the end: {other:?}"),
    }
    for message in whole {
        read_back(&message);
    }
}

fn read_past(decoder: &mut Decoder, buffer: &mut BytesMut) -> Option<Message> {
    let (channel, packet) = rtsp::interleaved(buffer).filter(|_| decoder.is_between())?;
    let payload = Bytes::copy_from_slice(packet);
    let whole = rtsp::INTERLEAVED_BYTES + packet.len();
    decoder.pass(whole);
    drop(buffer.split_to(whole));
    Some(Message::Interleaved { channel, payload })
}

fn read_back(message: &Message) {
    let mut buffer = BytesMut::new();
    match message {
        Message::Response(response) => response.encode(&mut buffer),
        Message::Request(request) => request.encode(&mut buffer),
        Message::Interleaved { channel, payload } => {
            assert!(rtsp::encode_interleaved(*channel, payload, &mut buffer));
        }
    }
    // Fields we add may push a message at its limit over it; everything else must be the same.
    if let Ok(again) = Decoder::new().decode(&mut buffer) {
        match (message, again) {
            (Message::Response(one), Some(Message::Response(other))) => {
                assert_eq!((one.status, &one.body), (other.status, &other.body));
            }
            (Message::Request(one), Some(Message::Request(other))) => {
                assert_eq!((&one.method, one.cseq, &one.body), (&other.method, other.cseq, &other.body));
            }
            (one, other) => assert_eq!(Some(one), other.as_ref()),
        }
    }
}

/// Field values of RTSP: what we write we read back the same.
pub fn rtsp_values(bytes: &[u8]) {
    let text = crate::text::lossless(bytes);
    if let Ok(transport) = rtsp::Transport::parse(&text) {
        let written = transport.to_string();
        let again = rtsp::Transport::parse(&written);
        assert_eq!(again.map(|transport| transport.to_string()).as_ref(), Ok(&written));
    }
    if let Ok(session) = rtsp::SessionHeader::parse(&text) {
        assert!(!session.id.is_empty() && !session.id.contains(['\r', '\n', ';']));
    }
    for info in rtsp::RtpInfo::parse_list(&text) {
        assert!(info.url.len() <= text.len());
    }
}

/// Challenges: every usable one can be answered, and the answer stays in its line.
pub fn auth_challenge(bytes: &[u8]) {
    let text = crate::text::lossless(bytes);
    let challenges = auth::parse(text.split('\n'));
    assert_eq!(auth::pick(&challenges.usable).is_some(), !challenges.usable.is_empty());
    for challenge in &challenges.usable {
        let answer = auth::respond(challenge, "us\"er", "pass\nword", "DESCRIBE", "rtsp://cam/", 1, "cn");
        assert!(answer.starts_with(challenge.scheme()) && !answer.contains(['\r', '\n', '\0']));
    }
}

/// Session descriptions, the tracks in them, and where they point.
pub fn sdp_parse(bytes: &[u8]) {
    let Ok(session) = sdp::parse(bytes) else {
        return;
    };
    let facts = tracks::tracks(&session);
    assert_eq!(facts.len(), session.medias.len());
    for track in facts {
        assert!(track.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0));
        assert_ne!(track.width, Some(0));
        let url = sdp::resolve_control("rtsp://cam/a?b=c", track.control.as_deref());
        assert!(!url.is_empty());
        let mut headers = rtsp::Headers::new();
        headers.push("Content-Base", track.control.unwrap_or_default());
        assert!(!sdp::base_url("rtsp://cam/", &headers).is_empty());
    }
}

/// RTP headers and RTCP compounds.
pub fn rtp_packets(bytes: &[u8]) {
    if let Ok((header, payload)) = Header::parse(bytes) {
        assert!(payload.len() + 12 <= bytes.len() && header.payload_type < 128);
    }
    let count = rtp::rtcp(bytes).inspect(|packet| drop(format!("{packet:?}"))).count();
    assert!(count <= bytes.len() / 4 + 1);
    let _ = rtp::is_rtcp(bytes);
}

/// Loss and jitter: the counts always add up.
pub fn rtp_sequence(bytes: &[u8]) {
    let (mut tracker, mut jitter) = (rtp::SeqTracker::new(), rtp::Jitter::new(90_000));
    for pair in bytes.chunks_exact(2) {
        let number = u16::from_be_bytes([pair[0], pair[1]]);
        tracker.push(number);
        jitter.push(u32::from(number) * 3_000, std::time::Duration::from_millis(pair[1].into()));
        assert!(tracker.received() <= tracker.expected());
        assert_eq!(tracker.lost(), tracker.expected() - tracker.received());
        assert!(tracker.reordered() <= tracker.received());
        assert!(jitter.ms().is_finite() && jitter.ms() >= 0.0);
    }
}

/// Packets made from bytes: one octet of length, one that moves number, time and marker, then the payload.
fn packets(bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    let (mut rest, mut sequence, mut timestamp) = (bytes, 0u16, 0u32);
    std::iter::from_fn(move || {
        let &[length, steer, ref tail @ ..] = rest else {
            return None;
        };
        let (payload, next) = tail.split_at(usize::from(length).min(tail.len()));
        rest = next;
        sequence = sequence.wrapping_add(if steer & 7 == 7 { u16::from(steer >> 4) } else { 1 });
        timestamp = timestamp.wrapping_add(u32::from(steer & 8) * 375);
        let marker = steer & 0x10 != 0;
        Some((Header { marker, payload_type: 96, sequence, timestamp, ssrc: 1 }, payload))
    })
}

fn check_unit(unit: &video::AccessUnit) {
    assert!(unit.annex_b.len() <= video::MAX_ACCESS_UNIT_BYTES);
    assert!(unit.annex_b.starts_with(&[0, 0, 0, 1]));
    assert!(video::nals(&unit.annex_b).all(|nal| !nal.is_empty()));
}

/// H.264 packets to access units.
pub fn h264_depacketize(bytes: &[u8]) {
    let mut depacketizer = h264::Depacketizer::new();
    for (header, payload) in packets(bytes) {
        check_glance(&h264::glance(payload), payload);
        let _ = depacketizer.push(&header, payload);
        while let Some(unit) = depacketizer.pop() {
            check_unit(&unit);
            let _ = h264::params_in(&unit.annex_b);
        }
    }
}

fn check_glance(glance: &video::Glance<'_>, payload: &[u8]) {
    assert!(glance.parameters.is_none_or(|set| !set.is_empty() && set.len() <= payload.len() && glance.has_parameters));
}

/// H.265 packets to access units.
pub fn h265_depacketize(bytes: &[u8]) {
    let mut depacketizer = h265::Depacketizer::new();
    for (header, payload) in packets(bytes) {
        check_glance(&h265::glance(payload), payload);
        let _ = depacketizer.push(&header, payload);
        while let Some(unit) = depacketizer.pop() {
            check_unit(&unit);
            let _ = h265::params_in(&unit.annex_b);
        }
    }
}

/// Parameter sets of both codecs.
pub fn parameter_sets(bytes: &[u8]) {
    for params in [h264::params_from_sps(bytes), h265::params_from_sps(bytes)].into_iter().flatten() {
        assert!((1..=video::MAX_SIDE).contains(&params.width) && (1..=video::MAX_SIDE).contains(&params.height));
        assert!(params.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0));
    }
    let _ = h264::sprop(&crate::text::lossless(bytes));
}

/// JPEG pictures, whole and from packets: what we assemble is a picture when its data is.
pub fn jpeg_frames(bytes: &[u8]) {
    match jpeg::inspect(bytes) {
        Ok(info) => {
            assert!(info.length <= bytes.len() && info.width > 0 && info.height > 0);
            assert_eq!(jpeg::inspect(&bytes[..info.length]), Ok(info));
            assert!(jpeg::inspect(&bytes[..info.length - 1]).is_err_and(|error| error.truncated));
        }
        Err(error) => assert!(error.offset <= bytes.len()),
    }
    let mut depacketizer = jpeg::Depacketizer::new().with_dimensions(Some((4_096, 2_160)));
    for (header, payload) in packets(bytes) {
        let _ = depacketizer.push(&header, payload);
        while let Some(frame) = depacketizer.pop() {
            assert!(frame.data.starts_with(&[0xff, 0xd8]) && frame.data.ends_with(&[0xff, 0xd9]));
            let _ = jpeg::inspect(&frame.data);
        }
    }
}

/// AAC configurations and headers.
pub fn aac_config(bytes: &[u8]) {
    let _ = aac::parse_config(bytes);
    let _ = aac::parse_latm_hex(&crate::text::to_hex(bytes));
    if let Ok(adts) = aac::parse_adts(bytes) {
        assert!(adts.frame_bytes >= 7 && adts.params.sample_rate_hz > 0);
    }
}

/// Multipart streams: cuts do not matter, limits hold.
pub fn multipart_parts(bytes: &[u8]) {
    let read = |content_type, whole| -> Vec<Bytes> {
        let mut parser =
            multipart::Parser::from_content_type(content_type).expect("the content types below are multipart");
        let (mut buffer, mut parts) = (BytesMut::new(), Vec::new());
        for piece in pieces(bytes, whole) {
            buffer.extend_from_slice(piece);
            loop {
                match parser.decode(&mut buffer) {
                    Ok(Some(part)) => parts.push(part.body),
                    Ok(None) => break,
                    Err(_) => return parts,
                }
            }
        }
        parts
    };
    for content_type in ["multipart/x-mixed-replace; boundary=ab", "multipart/mixed"] {
        let whole = read(content_type, true);
        assert_eq!(whole, read(content_type, false));
        assert!(whole.iter().all(|body| body.len() <= multipart::MAX_PART_BYTES));
    }
}
