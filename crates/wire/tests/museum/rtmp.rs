//! What is seen in a recorded RTMP connection, as text: one line per message.

use bytes::BytesMut;
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
