//! The bodies for RTMP and for what internet radio sends: chunk streams, AMF0, tags, frames and pages of sound.

use bytes::{Bytes, BytesMut};

use super::pieces;
use crate::rtmp::{self, AudioTrack, Content, Decoder, Message, VideoTrack};
use crate::{icy, mpeg_audio, ogg, video};

/// Chunk streams: cuts do not matter, limits hold, written messages are read back.
pub fn rtmp_chunks(bytes: &[u8]) {
    let read = |whole| {
        let (mut decoder, mut buffer, mut messages) = (Decoder::new(), BytesMut::new(), Vec::new());
        for piece in pieces(bytes, whole) {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
            let given = piece.as_ptr() as usize - bytes.as_ptr() as usize + piece.len();
            assert_eq!(decoder.offset() + buffer.len() as u64, given as u64);
        }
        (messages, None)
    };
    let (messages, end) = read(true);
    assert_eq!((messages.clone(), end), read(false));
    for message in messages {
        assert!(message.payload.len() <= rtmp::MAX_MESSAGE_BYTES);
        drop(message.content());
        let mut again = BytesMut::new();
        rtmp::encode(&message, &mut again);
        let back = Decoder::new().decode(&mut again).expect("what we write we read").expect("it is whole");
        let same = |m: &Message| (m.timestamp, m.kind, m.stream, m.payload.clone());
        assert_eq!(same(&back), same(&message));
    }
}

/// AMF0: what was read is written and read back the same; commands and metadata are found in it.
pub fn rtmp_values(bytes: &[u8]) {
    if let Ok(values) = rtmp::parse_values(bytes) {
        let mut once = BytesMut::new();
        rtmp::encode_values(&values, &mut once);
        let again = rtmp::parse_values(&once).expect("what we write we read");
        let mut twice = BytesMut::new();
        rtmp::encode_values(&again, &mut twice);
        assert_eq!(once, twice);
        if let Some(metadata) = rtmp::Metadata::parse(&values) {
            assert!(metadata.fps.is_none_or(|fps| fps.is_finite() && fps > 0.0));
        }
    }
    for kind in [rtmp::kind::COMMAND, rtmp::kind::DATA_AMF3, rtmp::kind::USER_CONTROL, rtmp::kind::WINDOW_SIZE] {
        let payload = Bytes::copy_from_slice(bytes);
        let message = Message { chunk_stream: 3, timestamp: 0, kind, stream: 0, payload };
        if let Ok(Content::Command(command)) = message.content() {
            let _ = command.status();
        }
    }
    let _ = rtmp::demand(&crate::text::lossless(bytes));
}

/// Audio and video messages of one stream each, and aggregates.
pub fn rtmp_tags(bytes: &[u8]) {
    let (mut pictures, mut sound) = (VideoTrack::new(), AudioTrack::new());
    let mut rest = bytes;
    while let [length, tail @ ..] = rest {
        let (body, next) = tail.split_at(usize::from(*length).min(tail.len()));
        let _ = pictures.push(body);
        let _ = sound.push(body);
        rest = next;
        if let Some(params) = pictures.params() {
            assert!((1..=video::MAX_SIDE).contains(&params.width) && (1..=video::MAX_SIDE).contains(&params.height));
        }
        assert!(pictures.frames() == 0 || pictures.codec().is_some());
        assert!(sound.frames() == 0 || sound.params().is_some());
    }
    let total: usize = rtmp::aggregate(Bytes::copy_from_slice(bytes)).map(|message| message.payload.len()).sum();
    assert!(total <= bytes.len());
    let _ = (rtmp::parse_avcc(bytes), rtmp::parse_hvcc(bytes));
}

/// Frames of MPEG audio and pages of Ogg.
pub fn radio_sound(bytes: &[u8]) {
    if let Ok(header) = mpeg_audio::parse_header(bytes) {
        assert!(header.frame_bytes >= 4 && header.params.sample_rate_hz > 0 && header.samples > 0);
    }
    if let Ok(Some(page)) = ogg::parse_page(bytes) {
        assert!(page.page_bytes <= bytes.len().min(ogg::MAX_PAGE_BYTES) && page.body.len() < page.page_bytes);
        let _ = ogg::identify(page.body);
    }
    let _ = ogg::identify(bytes);
    let mut whole = icy::Scanner::new();
    whole.push(bytes);
    let mut cut = icy::Scanner::new();
    pieces(bytes, false).for_each(|piece| cut.push(piece));
    assert_eq!((whole.sound(), whole.is_proven(), whole.broken()), (cut.sound(), cut.is_proven(), cut.broken()));
}

/// Replies of radio servers: heads, chunks, titles; cuts do not matter.
pub fn radio_replies(bytes: &[u8]) {
    if let Ok(Some((head, length))) = icy::parse_head(bytes) {
        assert!(length <= bytes.len().min(icy::MAX_HEAD_BYTES) && (100..1000).contains(&head.status));
        assert!(head.title_distance() != Some(0) && head.bitrate_bps() != Some(0));
    }
    let read = |whole| {
        let (mut chunks, mut titles) = (icy::Dechunker::new(), icy::Titles::new(Some(5)));
        let (mut input, mut middle, mut sound) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        for piece in pieces(bytes, whole) {
            input.extend_from_slice(piece);
            chunks.push(&mut input, &mut middle)?;
            titles.push(&mut middle, &mut sound);
        }
        Some((sound, titles.title().map(str::to_owned)))
    };
    assert_eq!(read(true), read(false));
}
