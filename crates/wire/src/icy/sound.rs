//! Recognising the sound of a radio stream: MPEG audio and AAC by headers that follow each other, Ogg by its pages.
//!
//! A listener comes in the middle of a frame: what stands before the first whole one is passed over, up to a limit. One
//! header alone proves nothing, because its sync word may stand in any bytes.

use bytes::{Buf, BytesMut};

use crate::audio::AudioParams;
use crate::{aac, mpeg_audio, ogg};

/// Frames in a row that prove a stream of MPEG audio or AAC.
pub const WANTED_FRAMES: u64 = 3;
/// Pages of sound that prove a stream of Ogg: from the second on the bit rate is known.
pub const WANTED_PAGES: u64 = 2;
/// Most bytes searched for the first of them: several seconds of any radio stream.
pub const MAX_SEARCH_BYTES: usize = 256 * 1024;
/// Samples in a frame of AAC.
const AAC_SAMPLES: u32 = 1024;

/// What is known of the sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound {
    /// Codec, rate and channels.
    pub params: AudioParams,
    /// Frames (of Ogg: pages with sound) in a row.
    pub frames: u64,
    /// Bits per second over these frames; `None` while too few came to tell.
    pub bitrate_bps: Option<u64>,
}

/// One frame's header, whatever the codec.
#[derive(Clone, Copy)]
struct Frame {
    params: AudioParams,
    bytes: usize,
    samples: u32,
}

/// What the bytes turned out to be.
#[derive(Debug, Default)]
enum Form {
    #[default]
    Unknown,
    /// Frames of these parameters, one behind the other.
    Frames(AudioParams),
    /// Pages, with the serial number of the sound's stream.
    Ogg(Option<(AudioParams, u32)>),
}

/// Looks for sound in bytes as they come.
#[derive(Debug, Default)]
pub struct Scanner {
    form: Form,
    buffer: BytesMut,
    searched: usize,
    frames: u64,
    bytes: u64,
    samples: u64,
    /// Position of the last page that counted.
    granule: Option<i64>,
    broken: u64,
}

impl Scanner {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while self.step() {}
    }

    /// What was found; `None` before a codec was recognised.
    #[must_use]
    pub fn sound(&self) -> Option<Sound> {
        let params = match self.form {
            Form::Unknown | Form::Ogg(None) => return None,
            Form::Frames(params) | Form::Ogg(Some((params, _))) => params,
        };
        let rate = u64::from(params.sample_rate_hz);
        let bitrate_bps = (self.samples > 0).then(|| self.bytes * 8 * rate / self.samples);
        Some(Sound { params, frames: self.frames, bitrate_bps })
    }

    /// Whether enough came to prove the stream.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match self.form {
            Form::Unknown | Form::Ogg(None) => false,
            Form::Frames(_) => self.frames >= WANTED_FRAMES,
            Form::Ogg(Some(_)) => self.frames >= WANTED_PAGES,
        }
    }

    /// Whether the search for the first frame has gone on for too long.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.searched > MAX_SEARCH_BYTES
    }

    /// How often frames stopped following each other.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Goes one step on; false when more bytes are needed.
    fn step(&mut self) -> bool {
        match self.form {
            Form::Unknown => self.search(),
            Form::Frames(params) => self.next_frame(params),
            Form::Ogg(stream) => self.next_page(stream),
        }
    }

    /// Looks for a page, or for frames in a row, at the beginning of the buffer.
    fn search(&mut self) -> bool {
        let bytes = &self.buffer[..];
        let Some(at) = bytes.iter().position(|octet| matches!(octet, 0xff | b'O')) else {
            return self.pass(bytes.len());
        };
        if at > 0 {
            return self.pass(at);
        }
        if bytes[0] == b'O' {
            match ogg::parse_page(bytes) {
                Ok(Some(_)) => self.form = Form::Ogg(None),
                Ok(None) => return false,
                Err(_) => return self.pass(1),
            }
            return true;
        }
        match row(bytes) {
            Row::Found(params) => {
                self.form = Form::Frames(params);
                true
            }
            Row::NeedsMore => false,
            Row::None => self.pass(1),
        }
    }

    /// Passes over bytes that are no sound; false when there are none.
    fn pass(&mut self, count: usize) -> bool {
        self.buffer.advance(count);
        self.searched += count;
        count > 0
    }

    fn next_frame(&mut self, params: AudioParams) -> bool {
        match frame(&self.buffer) {
            Some(frame) if same(&frame.params, &params) => {
                if self.buffer.len() < frame.bytes {
                    return false;
                }
                self.count(frame.bytes, u64::from(frame.samples));
                self.buffer.advance(frame.bytes);
                true
            }
            _ if self.buffer.len() < 7 => false,
            _ => self.begin_anew(),
        }
    }

    fn next_page(&mut self, stream: Option<(AudioParams, u32)>) -> bool {
        let page = match ogg::parse_page(&self.buffer) {
            Ok(Some(page)) => page,
            Ok(None) => return false,
            Err(_) => return self.begin_anew(),
        };
        let (serial, granule, length) = (page.serial, page.granule, page.page_bytes);
        if page.begins {
            if let Some(params) = ogg::identify(page.body) {
                self.form = Form::Ogg(Some((params, serial)));
                self.granule = None;
            }
        } else if granule > 0 && !page.body.is_empty() && stream.is_some_and(|(_, known)| known == serial) {
            match self.granule {
                // The first page's beginning is unknown: it is sound, but no measure.
                None => self.frames += 1,
                Some(before) => self.count(length, u64::try_from(granule - before).unwrap_or(0)),
            }
            self.granule = Some(granule);
        } else if stream.is_none() {
            self.searched += length;
        }
        self.buffer.advance(length);
        true
    }

    fn count(&mut self, bytes: usize, samples: u64) {
        self.frames += 1;
        self.bytes += bytes as u64;
        self.samples += samples;
    }

    /// What was thought to be sound did not go on: the search begins again behind the next octet.
    fn begin_anew(&mut self) -> bool {
        self.broken += 1;
        (self.form, self.granule) = (Form::Unknown, None);
        (self.frames, self.bytes, self.samples) = (0, 0, 0);
        self.pass(1)
    }
}

/// Whether frames stand in a row at the beginning of some bytes.
enum Row {
    Found(AudioParams),
    NeedsMore,
    None,
}

fn row(bytes: &[u8]) -> Row {
    let mut rest = bytes;
    let mut params: Option<AudioParams> = None;
    for _ in 0..WANTED_FRAMES {
        // ADTS needs seven octets to be told from MPEG audio.
        if rest.len() < 7 {
            return Row::NeedsMore;
        }
        let Some(frame) = frame(rest) else { return Row::None };
        if params.is_some_and(|known| !same(&known, &frame.params)) {
            return Row::None;
        }
        params = Some(frame.params);
        let Some(next) = rest.get(frame.bytes..) else { return Row::NeedsMore };
        rest = next;
    }
    params.map_or(Row::None, Row::Found)
}

fn frame(bytes: &[u8]) -> Option<Frame> {
    if let Ok(header) = mpeg_audio::parse_header(bytes) {
        return Some(Frame { params: header.params, bytes: header.frame_bytes, samples: header.samples });
    }
    let adts = aac::parse_adts(bytes).ok()?;
    Some(Frame { params: adts.params, bytes: adts.frame_bytes, samples: AAC_SAMPLES })
}

/// Whether two frames may belong to one stream: joint stereo encoders change between one and two channels.
fn same(one: &AudioParams, other: &AudioParams) -> bool {
    one.codec == other.codec && one.sample_rate_hz == other.sample_rate_hz
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of 128 kbit/s, 44100 Hz.
    fn mp3() -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
        frame.resize(417, 0x55);
        frame
    }

    fn adts() -> Vec<u8> {
        let mut frame = vec![0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc];
        frame.resize(371, 0xff);
        frame
    }

    /// `codec rate channels frames bitrate, proven, lost`.
    fn check(bytes: &[u8], expected: &str) {
        for piece in [1, 100, bytes.len()] {
            let mut scanner = Scanner::new();
            bytes.chunks(piece).for_each(|part| scanner.push(part));
            let sound = scanner.sound().map_or("nothing".to_owned(), |s| {
                let p = s.params;
                format!("{} {} {} x{} {:?}", p.codec, p.sample_rate_hz, p.channels, s.frames, s.bitrate_bps)
            });
            let seen = format!("{sound}, {}, {}", scanner.is_proven(), scanner.is_lost());
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn frames_in_a_row_behind_the_end_of_another() {
        let middle = &mp3()[200..];
        check(&[middle, &mp3(), &mp3(), &mp3(), &mp3()[..50]].concat(), "mp3 44100 2 x3 Some(127706), true, false");
        check(&[middle, &mp3(), &mp3()].concat(), "nothing, false, false");
        check(
            &[&[0xff, 0xff, 0xf1], &adts()[..], &adts(), &adts(), &adts()].concat(),
            "aac 44100 2 x4 Some(127821), true, false",
        );
        // A header that nothing follows.
        check(&[&mp3()[..30], &adts(), &adts(), &adts()].concat(), "aac 44100 2 x3 Some(127821), true, false");
    }

    #[test]
    fn a_break_begins_anew() {
        let three = [mp3(), mp3(), mp3()].concat();
        check(&[&three[..], b"########", &adts()].concat(), "nothing, false, false");
        check(&[&three[..], b"########", &three, &mp3()].concat(), "mp3 44100 2 x4 Some(127706), true, false");
    }

    #[test]
    fn pages_of_ogg() {
        let pages = [
            ogg::test_page(2, 0, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"),
            ogg::test_page(0, 0, b"OpusTags\0"),
            ogg::test_page(0, 96_000, &[7; 100]),
            ogg::test_page(0, 144_000, &[7; 200]),
        ];
        check(&pages[..2].concat(), "opus 48000 2 x0 None, false, false");
        check(&pages.concat(), "opus 48000 2 x2 Some(1824), true, false");
        // Pages of something that is no sound.
        let strange = [ogg::test_page(2, 0, b"\x80theora"), ogg::test_page(0, 96_000, &[7; 100])].concat();
        check(&strange, "nothing, false, false");
    }

    #[test]
    fn the_search_has_an_end() {
        check(&vec![b'x'; MAX_SEARCH_BYTES], "nothing, false, false");
        check(&vec![0xff; MAX_SEARCH_BYTES + 10], "nothing, false, true");
    }
}
