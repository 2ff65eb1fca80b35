//! What `wire` reads in recorded bytes, as text that a person can check.
//!
//! Owns no expectation: those are the `.expected` files.

use bytes::BytesMut;
use wire::rtsp::{Decoder, Headers, Message};
use wire::{auth, h264, h265, jpeg, multipart, rtp, rtsp, sdp, tracks};

/// Appends a line to a text.
macro_rules! line {
    ($text:expr, $($words:tt)*) => {{
        $text.push_str(&format!($($words)*));
        $text.push('\n');
    }};
}

const REQUEST_URI: &str = "rtsp://camera/live?a=1";

/// A whole RTSP connection.
pub(crate) fn rtsp(bytes: &[u8]) -> String {
    let (mut text, mut decoder, mut buffer) = (String::new(), Decoder::new(), BytesMut::from(bytes));
    loop {
        match decoder.decode(&mut buffer) {
            Ok(Some(message)) => message_lines(&message, &mut text),
            Ok(None) => break,
            Err(error) => {
                line!(text, "error: {error}");
                return text;
            }
        }
    }
    match decoder.finish(&buffer) {
        Ok(()) => text.push_str("end\n"),
        Err(error) => line!(text, "error: {error}"),
    }
    text
}

fn message_lines(message: &Message, text: &mut String) {
    match message {
        Message::Interleaved { channel, payload } => {
            line!(text, "interleaved {channel}: {} bytes", payload.len());
        }
        Message::Request(request) => {
            line!(text, "request {} {} cseq {}", request.method, request.uri, request.cseq);
            header_lines(&request.headers, text);
            line!(text, "  body {} bytes", request.body.len());
        }
        Message::Response(response) => {
            line!(text, "response {} \"{}\" cseq {:?}", response.status, response.reason, response.cseq());
            header_lines(&response.headers, text);
            value_lines(&response.headers, text);
            if !response.body.is_empty() {
                let base = sdp::base_url(REQUEST_URI, &response.headers);
                line!(text, "  base {base}");
                text.push_str(&description(&response.body, &base));
            }
        }
    }
}

fn header_lines(headers: &Headers, text: &mut String) {
    for (name, value) in headers.iter() {
        line!(text, "  {name}: {value}");
    }
}

fn value_lines(headers: &Headers, text: &mut String) {
    if let Some(field) = headers.get("Transport") {
        line!(text, "  = transport {:?}", rtsp::Transport::parse(field).map(|transport| transport.to_string()));
    }
    if let Some(field) = headers.get("Session") {
        line!(text, "  = {:?}", rtsp::SessionHeader::parse(field));
    }
    for info in headers.get_all("RTP-Info").flat_map(rtsp::RtpInfo::parse_list) {
        line!(text, "  = {info:?}");
    }
    let methods = rtsp::public_methods(headers);
    if !methods.is_empty() {
        line!(text, "  = methods {methods:?}");
    }
    if headers.get("WWW-Authenticate").is_some() {
        text.push_str(&challenges(headers.get_all("WWW-Authenticate")));
    }
}

fn challenges<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let (mut text, challenges) = (String::new(), auth::parse(fields));
    for challenge in &challenges.usable {
        line!(text, "  = {challenge:?}");
    }
    for refused in &challenges.refused {
        line!(text, "  = {refused:?}");
    }
    if let Some(challenge) = auth::pick(&challenges.usable) {
        let answer = auth::respond(challenge, "viewer", "s3cret", "DESCRIBE", "rtsp://camera/", 1, "0a1b2c3d");
        line!(text, "  = answer {answer}");
    }
    text
}

/// Fields of a 401.
pub(crate) fn auth(bytes: &[u8]) -> String {
    challenges(String::from_utf8_lossy(bytes).lines())
}

/// A body of DESCRIBE.
pub(crate) fn sdp(bytes: &[u8]) -> String {
    description(bytes, REQUEST_URI)
}

fn description(bytes: &[u8], base: &str) -> String {
    let session = match sdp::parse(bytes) {
        Ok(session) => session,
        Err(error) => return format!("  error: {error}\n"),
    };
    let mut text = String::new();
    line!(
        text,
        "  session {:?} control {:?} range {:?} bandwidth {:?}",
        session.name,
        session.control,
        session.range,
        session.bandwidth_bps
    );
    for (media, track) in session.medias.iter().zip(tracks::tracks(&session)) {
        line!(text, "  media {:?} {} {:?} line {}", media.kind, media.protocol, media.direction, media.line);
        line!(text, "    setup {}", sdp::resolve_control(base, media.control.as_deref()));
        line!(text, "    {track:?}");
    }
    text
}

/// What follows PLAY: packets per channel, loss, frames.
pub(crate) fn interleaved(bytes: &[u8], name: &str) -> String {
    let (mut decoder, mut buffer, mut text) = (Decoder::new(), BytesMut::from(bytes), String::new());
    let mut channels: Vec<Channel> = (0..4).map(|_| Channel::default()).collect();
    let (mut h264, mut h265) = (h264::Depacketizer::new(), h265::Depacketizer::new());
    let mut jpeg = jpeg::Depacketizer::new();
    while let Some(message) = decoder.decode(&mut buffer).expect("the recording is RTSP") {
        let Message::Interleaved { channel, payload } = message else {
            continue;
        };
        let own = &mut channels[usize::from(channel)];
        own.packets += 1;
        if rtp::is_rtcp(&payload) {
            own.reports.extend(rtp::rtcp(&payload).map(|report| format!("{report:?}")));
            continue;
        }
        let (header, payload) = rtp::Header::parse(&payload).expect("the recording is RTP");
        own.sequence.push(header.sequence);
        own.types.insert(header.payload_type);
        match (channel, name) {
            (0, _) if name.contains("h265") => h265.push(&header, payload).expect("the recording is H.265"),
            (0, _) if name.contains("jpeg") => jpeg.push(&header, payload).expect("the recording is JPEG"),
            (0, _) if !name.contains("pcmu") => h264.push(&header, payload).expect("the recording is H.264"),
            _ => {}
        }
        for (unit, params) in std::iter::from_fn(|| h264.pop())
            .map(|unit| (h264::params_in(&unit.annex_b), unit))
            .chain(std::iter::from_fn(|| h265.pop()).map(|unit| (h265::params_in(&unit.annex_b), unit)))
            .map(|(params, unit)| (unit, params))
        {
            let nals = wire::video::nals(&unit.annex_b).count();
            let (key, damaged, bytes) = (unit.key_frame, unit.damaged, unit.annex_b.len());
            line!(text, "unit {bytes} bytes, {nals} nals, key {key}, damaged {damaged}, {params:?}");
        }
        while let Some(frame) = jpeg.pop() {
            line!(text, "jpeg {:?}", wire::jpeg::inspect(&frame.data));
        }
    }
    for (number, channel) in channels.iter().enumerate().filter(|(_, channel)| channel.packets > 0) {
        let s = &channel.sequence;
        line!(
            text,
            "channel {number}: {} packets of types {:?}, expected {}, lost {}, late {}",
            channel.packets,
            channel.types,
            s.expected(),
            s.lost(),
            s.reordered()
        );
        for report in &channel.reports {
            line!(text, "  {report}");
        }
    }
    line!(text, "{:?}", decoder.finish(&buffer));
    text
}

#[derive(Default)]
struct Channel {
    packets: usize,
    types: std::collections::BTreeSet<u8>,
    sequence: rtp::SeqTracker,
    reports: Vec<String>,
}

/// A `Content-Type` field, a blank line, and a stream.
pub(crate) fn multipart(bytes: &[u8]) -> String {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the file begins with its type");
    let field = std::str::from_utf8(&bytes[..head]).expect("the type is text");
    let content_type = field.strip_prefix("Content-Type: ").expect("the file begins with its type");
    let mut parser = match multipart::Parser::from_content_type(content_type) {
        Ok(parser) => parser,
        Err(error) => return format!("error: {error}\n"),
    };
    let (mut text, mut buffer) = (String::new(), BytesMut::from(&bytes[head + 4..]));
    loop {
        match parser.decode(&mut buffer) {
            Ok(Some(part)) => {
                let shown = String::from_utf8_lossy(&part.body[..part.body.len().min(40)]).escape_debug().to_string();
                match jpeg::inspect(&part.body) {
                    Ok(info) => line!(text, "part {} bytes {:?}", part.body.len(), info),
                    Err(_) => line!(text, "part {} bytes \"{shown}\"", part.body.len()),
                }
                header_lines(&part.headers, &mut text);
            }
            Ok(None) => break,
            Err(error) => {
                line!(text, "error: {error}");
                break;
            }
        }
    }
    line!(text, "ended {}, {} bytes left", parser.is_ended(), buffer.len());
    text
}
