//! Elementary streams: what the access units of a codec say of themselves, whichever container brought them.
//!
//! Owns the collecting of parameters, key frames and times until enough is known. Never decodes a picture or a sound.

use crate::aac;
use crate::ac3;
use crate::audio::AudioParams;
use crate::mpeg_audio;
use crate::mpeg2;
use crate::video::{VideoParams, nals};
use crate::{h264, h265};

/// Times kept to measure a frame rate; two seconds of 60 frames.
const MAX_TIMES: usize = 120;
/// Times from which a measured frame rate is believed.
const MIN_TIMES: usize = 6;
/// Octets searched for the first audio frame; a frame of any codec here is shorter.
const MAX_SEARCH_BYTES: usize = 8 * 1024;
/// Frames counted in one piece at most; the count has no meaning beyond "some".
const MAX_FRAMES: u64 = 10_000;
/// Wrap of the 33 bit clock of transport streams.
const CLOCK_WRAP: u64 = 1 << 33;
const CLOCK_HZ: f64 = 90_000.0;

/// The codecs that streams are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    Hevc,
    /// MPEG-1 and MPEG-2 video.
    Mpeg2Video,
    /// MPEG audio of any layer.
    MpegAudio,
    /// AAC in ADTS.
    Aac,
    /// AAC in LATM.
    AacLatm,
    /// AC-3.
    Ac3,
    /// Enhanced AC-3.
    Eac3,
    /// Opus.
    Opus,
    /// Neither picture nor sound, by the name that ffprobe prints.
    Data(&'static str),
}

impl Codec {
    /// The name that ffprobe prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Mpeg2Video => "mpeg2video",
            Self::MpegAudio => "mp3",
            Self::Aac => "aac",
            Self::AacLatm => "aac_latm",
            Self::Ac3 => "ac3",
            Self::Eac3 => "eac3",
            Self::Opus => "opus",
            Self::Data(name) => name,
        }
    }

    /// Whether it carries pictures.
    #[must_use]
    pub const fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Hevc | Self::Mpeg2Video)
    }

    /// Whether it carries neither pictures nor sound.
    #[must_use]
    pub const fn is_data(self) -> bool {
        matches!(self, Self::Data(_))
    }
}

/// What is known of one elementary stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Elementary {
    codec: Codec,
    video: Option<VideoParams>,
    audio: Option<AudioParams>,
    frames: u64,
    key_frames: u64,
    times: Vec<u64>,
}

impl Elementary {
    /// Nothing received yet.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec, video: None, audio: None, frames: 0, key_frames: 0, times: Vec::new() }
    }

    /// Its codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Parameters of its pictures, once they came.
    #[must_use]
    pub const fn video(&self) -> Option<&VideoParams> {
        self.video.as_ref()
    }

    /// Parameters of its sound, once they came.
    #[must_use]
    pub const fn audio(&self) -> Option<&AudioParams> {
        self.audio.as_ref()
    }

    /// Coded pictures or frames of sound seen.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Pictures from which a decoder may begin.
    #[must_use]
    pub const fn key_frames(&self) -> u64 {
        self.key_frames
    }

    /// Frames per second: what the stream declares, or else what its times measure.
    #[must_use]
    pub fn fps(&self) -> Option<f64> {
        self.video.as_ref().and_then(|video| video.fps).or_else(|| measured_fps(&self.times))
    }

    /// Whether more of the stream would tell nothing new.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self.codec {
            Codec::Data(_) => true,
            codec if codec.is_video() => {
                self.video.is_some() && self.key_frames > 0 && (self.fps().is_some() || self.times.len() >= MAX_TIMES)
            }
            // Their headers are not in every frame: frames are all that there is to see.
            Codec::AacLatm | Codec::Opus => self.frames > 0,
            _ => self.audio.is_some(),
        }
    }

    /// Takes a piece: a picture for video, one or more frames for sound. `time` is when to show it, in 1/90,000 s.
    pub fn push(&mut self, piece: &[u8], time: Option<u64>) {
        if self.codec.is_video()
            && let Some(time) = time.filter(|_| self.times.len() < MAX_TIMES)
        {
            self.times.push(time);
        }
        match self.codec {
            Codec::H264 => self.h264(piece),
            Codec::Hevc => self.hevc(piece),
            Codec::Mpeg2Video => self.mpeg2(piece),
            Codec::Aac => self.sound(piece, |frame| aac::parse_adts(frame).ok().map(|h| (h.params, h.frame_bytes))),
            Codec::MpegAudio => {
                self.sound(piece, |frame| mpeg_audio::parse_header(frame).ok().map(|h| (h.params, h.frame_bytes)));
            }
            Codec::Ac3 | Codec::Eac3 => {
                self.sound(piece, |frame| ac3::parse_header(frame).ok().map(|h| (h.params, h.frame_bytes)));
            }
            // The sync word of LATM, and of Opus in transport streams.
            Codec::AacLatm => self.frames += u64::from(matches!(piece, [0x56, second, ..] if second & 0xe0 == 0xe0)),
            Codec::Opus => self.frames += u64::from(matches!(piece, [0x7f, second, ..] if second & 0xe0 == 0xe0)),
            Codec::Data(_) => self.frames += u64::from(!piece.is_empty()),
        }
    }

    fn h264(&mut self, piece: &[u8]) {
        let (mut picture, mut key) = (false, false);
        for nal in nals(piece) {
            match nal[0] & 0x1f {
                1..=4 => picture = true,
                5 => (picture, key) = (true, true),
                7 if self.video.is_none() => self.video = h264::params_from_sps(nal).ok(),
                // A recovery point with a distance: how open groups of pictures begin.
                6 if nal.get(1) == Some(&6) => key = true,
                _ => {}
            }
            if picture && self.video.is_some() {
                break;
            }
        }
        self.note_picture(picture, key);
    }

    fn hevc(&mut self, piece: &[u8]) {
        let (mut picture, mut key) = (false, false);
        for nal in nals(piece) {
            match nal[0] >> 1 & 0x3f {
                kind @ 0..=31 => {
                    picture = true;
                    key |= (16..=21).contains(&kind);
                }
                33 if self.video.is_none() => self.video = h265::params_from_sps(nal).ok(),
                _ => {}
            }
            if picture && self.video.is_some() {
                break;
            }
        }
        self.note_picture(picture, key);
    }

    fn mpeg2(&mut self, piece: &[u8]) {
        let seen = mpeg2::inspect(piece);
        self.video = self.video.take().or(seen.params);
        self.note_picture(seen.picture, seen.intra);
    }

    fn note_picture(&mut self, picture: bool, key: bool) {
        self.frames += u64::from(picture);
        self.key_frames += u64::from(picture && key);
    }

    fn sound(&mut self, piece: &[u8], parse: impl Fn(&[u8]) -> Option<(AudioParams, usize)>) {
        let (params, frames) = sound_frames(piece, parse);
        self.audio = self.audio.or(params);
        self.frames += frames;
    }
}

/// Octets of the ID3 tags at the beginning of `bytes` (packed audio of HLS has one with its time); 0 without any, `None`
/// when more octets are needed to tell.
#[must_use]
pub fn id3_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        if rest.len() < 3 && b"ID3".starts_with(rest) {
            return None;
        }
        if !rest.starts_with(b"ID3") {
            return Some(at);
        }
        // Seven bits of the size in each octet, and a footer where the flags say so.
        let size = rest.get(6..10)?.iter().fold(0usize, |sum, &octet| sum << 7 | usize::from(octet & 0x7f));
        at += 10 + size + if rest[5] & 0x10 != 0 { 10 } else { 0 };
    }
}

/// Sound without a container: the codec whose frames `bytes` begin with, and what they say. At least two frames in a row
/// must be there, because a sync word alone comes about by chance.
#[must_use]
pub fn packed_audio(bytes: &[u8]) -> Option<Elementary> {
    [Codec::Aac, Codec::MpegAudio, Codec::Ac3, Codec::Eac3].into_iter().find_map(|codec| {
        let mut stream = Elementary::new(codec);
        stream.push(bytes, None);
        let named = stream.audio().is_some_and(|audio| audio.codec == codec.as_str() || codec == Codec::MpegAudio);
        (named && stream.frames() >= 2).then_some(stream)
    })
}

/// The first run of frames in `bytes`: their parameters and how many there are. One frame counts when another one, or the
/// end of the bytes, follows exactly where it says.
pub(crate) fn sound_frames(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Option<(AudioParams, usize)>,
) -> (Option<AudioParams>, u64) {
    for start in 0..bytes.len().min(MAX_SEARCH_BYTES) {
        let Some((params, length)) = parse(&bytes[start..]) else { continue };
        let next = start + length;
        let follows = |at: usize| at == bytes.len() || bytes.get(at..).is_some_and(|rest| parse(rest).is_some());
        if !follows(next) {
            continue;
        }
        let (mut at, mut frames) = (next, 1);
        while frames < MAX_FRAMES
            && let Some((_, length)) = bytes.get(at..).and_then(&parse)
        {
            at += length;
            // The last one may be cut: it goes on in the next piece.
            frames += u64::from(at <= bytes.len());
        }
        return (Some(params), frames);
    }
    (None, 0)
}

/// The frame rate of times that come in the order of decoding: the usual distance between neighbours.
fn measured_fps(times: &[u64]) -> Option<f64> {
    if times.len() < MIN_TIMES {
        return None;
    }
    let first = times[0];
    // As distances from the first, so that the wrap of the clock does not matter; a little before the first is allowed.
    let half = CLOCK_WRAP / 2;
    let mut sorted: Vec<u64> =
        times.iter().map(|time| time.wrapping_sub(first).wrapping_add(half) % CLOCK_WRAP).collect();
    sorted.sort_unstable();
    let mut steps: Vec<u64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let usual = *steps.get(steps.len() / 2)?;
    // Clocks that count coarsely alternate between neighbours of the true distance.
    let near: Vec<u64> = steps.into_iter().filter(|step| step.abs_diff(usual) <= usual / 5).collect();
    let mean = near.iter().sum::<u64>() as f64 / near.len() as f64;
    let fps = CLOCK_HZ / mean;
    let fps = (fps * 1_000.0).round() / 1_000.0;
    // Pictures that are hours apart have no rate worth a name.
    (fps.is_finite() && fps > 0.0).then_some(fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_measured_whatever_the_order() {
        let times = |list: &[u64]| measured_fps(list);
        let hours: Vec<u64> = (0..12).map(|n| n * 300_000_000).collect();
        assert_eq!(times(&hours), None, "no rate is none, and never zero");
        let steady: Vec<u64> = (0..20).map(|n| 900 + n * 3_600).collect();
        assert_eq!(times(&steady), Some(25.0));
        let shuffled: Vec<u64> = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8].iter().map(|n| n * 3_003).collect();
        assert_eq!(times(&shuffled), Some(29.97));
        let wrapping: Vec<u64> = (0..10).map(|n| (CLOCK_WRAP - 4 * 1_800 + n * 1_800) % CLOCK_WRAP).collect();
        assert_eq!(times(&wrapping), Some(50.0));
        let coarse: Vec<u64> = (0..20).map(|n| (n * 3_003) / 2).collect();
        assert!(times(&coarse).is_some_and(|fps| (fps - 59.94).abs() < 0.05));
        assert_eq!(times(&steady[..5]), None);
        assert_eq!(times(&[7; 10]), None);
    }

    fn adts(length: usize) -> Vec<u8> {
        let mut frame = vec![0; length];
        let bits = u32::try_from(length).expect("short") << 13 | 0x1fff;
        frame[..7].copy_from_slice(&[
            0xff,
            0xf1,
            0x4c,
            0x80 | (bits >> 24) as u8,
            (bits >> 16) as u8,
            (bits >> 8) as u8,
            0xfc,
        ]);
        frame
    }

    #[test]
    fn sound_is_believed_when_frame_follows_frame() {
        let mut stream = Elementary::new(Codec::Aac);
        let mut piece = vec![0xff, 0xf1, 0x00];
        piece.extend(adts(40));
        piece.extend(adts(60));
        piece.extend(&adts(70)[..50]);
        stream.push(&piece, None);
        let params = stream.audio().expect("two frames in a row");
        assert_eq!((params.profile, params.sample_rate_hz, params.channels), (Some("LC"), 48_000, 2));
        assert_eq!((stream.frames(), stream.is_known()), (2, true));
        let mut stream = Elementary::new(Codec::Aac);
        stream.push(&adts(40)[..39], None);
        assert_eq!((stream.frames(), stream.audio()), (0, None));
        stream.push(&adts(40), None);
        assert_eq!(stream.frames(), 1);
    }

    #[test]
    fn sound_without_a_container() {
        let tag = |size: u8| [b"ID3".as_slice(), &[4, 0, 0, 0, 0, 0, size], &vec![0xff; usize::from(size)]].concat();
        let bytes = [tag(20), tag(3), adts(40), adts(50), adts(60)].concat();
        assert_eq!(id3_bytes(&bytes), Some(43));
        assert_eq!((id3_bytes(b"ID"), id3_bytes(b"ID3"), id3_bytes(b"x")), (None, None, Some(0)));
        assert_eq!(id3_bytes(&bytes[..25]), None);
        let found = packed_audio(&bytes[43..]).expect("three frames");
        assert_eq!((found.codec(), found.frames()), (Codec::Aac, 3));
        assert_eq!(packed_audio(&adts(40)), None);
        assert_eq!(packed_audio(&[0x93; 4_000]), None);
    }

    #[test]
    fn pictures_tell_their_size_and_where_to_begin() {
        let sps = "000001 6742c00ad9047b011000000300100000030140f1226480".replace(' ', "");
        let mut picture = crate::text::from_hex(&sps, 64).expect("hexadecimal");
        picture.extend([0, 0, 1, 0x65, 1, 2, 3]);
        let mut stream = Elementary::new(Codec::H264);
        stream.push(&picture, Some(0));
        assert_eq!(stream.video().map(|v| (v.width, v.height)), Some((64, 48)));
        assert_eq!((stream.frames(), stream.key_frames()), (1, 1));
        let mut stream = Elementary::new(Codec::H264);
        stream.push(&[0, 0, 1, 0x41, 1, 2, 3], Some(0));
        assert_eq!((stream.frames(), stream.key_frames(), stream.is_known()), (1, 0, false));
        let mut stream = Elementary::new(Codec::Hevc);
        stream.push(&[0, 0, 1, 0x26, 1, 2, 3], Some(0));
        assert_eq!((stream.frames(), stream.key_frames()), (1, 1));
    }
}
