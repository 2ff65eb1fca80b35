//! What is seen in a recorded RTMP connection, one line per message, in replies of radio servers, and in blocks of encoders.

use bytes::BytesMut;
use wire::icy::{Dechunker, Scanner, Titles, parse_head};
use wire::rtmp::{AudioTrack, Content, Decoder, Metadata, VideoTrack};

/// Messages of a server behind its handshake.
pub(crate) fn server(bytes: &[u8]) -> String {
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::from(bytes));
    let (mut video, mut audio, mut out) = (VideoTrack::new(), AudioTrack::new(), String::new());
    loop {
        let message = match decoder.decode(&mut buffer) {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(error) => {
                out.push_str(&format!("error: {error}\n"));
                return out;
            }
        };
        out.push_str(&format!("{} ms, stream {}: ", message.timestamp, message.stream));
        let line = match message.content() {
            Ok(Content::Command(command)) => match command.status() {
                Some(status) => format!("{} {} {:?}", command.name, status.code, status.description),
                None => format!("{} {:?}", command.name, command.values),
            },
            Ok(Content::Data(values)) => match Metadata::parse(&values) {
                Some(metadata) => format!("{metadata:?}"),
                None => format!("data {values:?}"),
            },
            Ok(Content::Video(body)) => format!("video {:?}, {} bytes", video.push(&body), body.len()),
            Ok(Content::Audio(body)) => format!("audio {:?}, {} bytes", audio.push(&body), body.len()),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{error}"),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out.push_str(&format!("{} bytes left over\n", buffer.len()));
    if let Some(params) = video.params() {
        out.push_str(&format!("{params:?}\n"));
    }
    if let Some(params) = audio.params() {
        out.push_str(&format!("{params:?}\n"));
    }
    out
}

/// The reply of a radio server: head, title, sound.
pub(crate) fn radio(bytes: &[u8]) -> String {
    let (head, length) = match parse_head(bytes) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return "a head that is not whole\n".to_owned(),
        Err(error) => return format!("error: {error}\n"),
    };
    let line = if head.icy { "ICY" } else { "HTTP" };
    let mut out = format!("{line} {} {}\n", head.status, head.reason);
    for name in ["content-type", "icy-name", "icy-genre"] {
        out.push_str(&format!("{name}: {:?}\n", head.text(name)));
    }
    out.push_str(&format!("declared {:?} bps, title every {:?} bytes\n", head.bitrate_bps(), head.title_distance()));
    let (mut body, mut sound) = (BytesMut::from(&bytes[length..]), BytesMut::new());
    if head.is_chunked() {
        let mut content = BytesMut::new();
        let whole = Dechunker::new().push(&mut body, &mut content);
        out.push_str(&format!("chunks: {whole:?}\n"));
        body = content;
    }
    let (mut titles, mut scanner) = (Titles::new(head.title_distance()), Scanner::new());
    titles.push(&mut body, &mut sound);
    scanner.push(&sound);
    out.push_str(&format!("title {:?}, awaited: {}\n", titles.title(), titles.awaits()));
    out.push_str(&format!("{:?}, proven: {}, broken: {}\n", scanner.sound(), scanner.is_proven(), scanner.broken()));
    out
}

/// Blocks of a streaming encoder.
pub(crate) fn device(bytes: &[u8]) -> String {
    let (mut decoder, mut out) = (wire::blocks::Decoder::new(), String::new());
    decoder.push(bytes);
    loop {
        match decoder.decode() {
            Ok(Some(block)) => {
                out.push_str(&format!("{}\n", block.header()));
                for (key, value) in block.pairs() {
                    out.push_str(&format!("  {key} = {value}\n"));
                }
            }
            Ok(None) => return out,
            Err(error) => return format!("{out}error: {error}\n"),
        }
    }
}
