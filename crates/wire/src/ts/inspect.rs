//! What a transport stream carries, found out from as few bytes as will do.
//!
//! Owns the tie between tables and elementary streams. Never judges what is missing.

use super::{Demuxer, Event, Stream};
use crate::elementary::Elementary;

/// One stream as the tables announce it and as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamInfo {
    /// From the program map table.
    pub announced: Stream,
    /// What came of it.
    pub seen: Elementary,
    /// Units that could not be read without a key.
    pub scrambled: u64,
}

impl StreamInfo {
    /// Whether more bytes would tell nothing new.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.seen.is_known() || self.scrambled > 0 || self.announced.sample_encrypted
    }
}

/// Looks into the bytes of a transport stream.
#[derive(Debug, Default)]
pub struct Inspector {
    demuxer: Demuxer,
    streams: Vec<StreamInfo>,
}

impl Inspector {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        let streams = &mut self.streams;
        self.demuxer.push(bytes, &mut |event| take(streams, &event));
    }

    /// Takes note of the end.
    pub fn finish(&mut self) {
        let streams = &mut self.streams;
        self.demuxer.finish(&mut |event| take(streams, &event));
    }

    /// Forgets what is being collected; what is known of the streams stays.
    pub fn rest(&mut self) {
        self.demuxer = Demuxer::default();
    }

    /// Streams of all programs, in the order of the tables.
    #[must_use]
    pub fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    /// Packets read.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.demuxer.packets()
    }

    /// How often packets did not follow one another.
    #[must_use]
    pub fn sync_losses(&self) -> u64 {
        self.demuxer.sync_losses()
    }

    /// Whether every stream is known, and there is one.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(StreamInfo::is_known)
    }

    /// Whether these bytes are no transport stream.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.demuxer.is_hopeless()
    }
}

fn take(streams: &mut Vec<StreamInfo>, event: &Event<'_>) {
    match event {
        Event::Program(pmt) => {
            for stream in &pmt.streams {
                match streams.iter_mut().find(|known| known.announced.pid == stream.pid) {
                    Some(known) if known.announced == *stream => {}
                    Some(known) => *known = info(stream),
                    None => streams.push(info(stream)),
                }
            }
        }
        Event::Unit(pes) => {
            let Some(stream) = streams.iter_mut().find(|known| known.announced.pid == pes.pid) else { return };
            if pes.scrambled {
                stream.scrambled += 1;
            } else if !stream.announced.sample_encrypted {
                stream.seen.push(pes.data, pes.header.pts);
            }
        }
    }
}

fn info(stream: &Stream) -> StreamInfo {
    StreamInfo { announced: stream.clone(), seen: Elementary::new(stream.codec), scrambled: 0 }
}
