//! Movie fragments: which samples of which tracks are in a segment, and whether their bytes are what the codec says.
//!
//! Owns finding the first sample of each track and taking it apart. Never decodes one.

use super::{Init, InitTrack, Mp4Error, Numbers, child, children, first_box, full};
use crate::video::VideoParams;
use crate::{h264, h265};

/// Largest `moof` read; one of a segment of ten seconds has a few KiB.
const MAX_MOOF_BYTES: u64 = 4 * 1024 * 1024;
/// Most samples counted in one run: more than any segment has, and a bound for made-up counts without a table.
const MAX_SAMPLES: u32 = 1_000_000;

/// What came of one track.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackSeen {
    /// From the initialization segment.
    pub track: InitTrack,
    /// Samples that the fragments list.
    pub samples: u64,
    /// Their durations, in ticks.
    pub ticks: u64,
    /// Parameters of pictures: from the samples, or else from the initialization segment.
    pub video: Option<VideoParams>,
    /// Whether the bytes of a sample came and are what they should be.
    pub proven: bool,
    /// Whether the first sample is one from which a decoder may begin, where that can be told.
    pub key_frame: Option<bool>,
    /// What was wrong with a sample.
    pub trouble: Option<&'static str>,
    /// Where the first sample lies in the segment.
    first: Option<(u64, u64)>,
}

impl TrackSeen {
    fn new(track: &InitTrack) -> Self {
        Self {
            video: track.entry.video.clone(),
            track: track.clone(),
            samples: 0,
            ticks: 0,
            proven: false,
            key_frame: None,
            trouble: None,
            first: None,
        }
    }

    /// Samples per second by their durations.
    #[must_use]
    pub fn fps(&self) -> Option<f64> {
        let declared = self.video.as_ref().and_then(|video| video.fps);
        let seconds = self.ticks as f64 / f64::from(self.track.timescale);
        let measured = self.samples as f64 / seconds;
        declared
            .or_else(|| (self.samples >= 2 && measured.is_finite()).then_some((measured * 1_000.0).round() / 1_000.0))
    }

    /// Whether more bytes would tell nothing new.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.proven || self.trouble.is_some() || self.track.entry.protection.is_some()
    }
}

/// Looks into the fragments of a segment, as its bytes come.
#[derive(Debug)]
pub struct Fragments {
    buffer: Vec<u8>,
    /// Where the next box at the top begins in `buffer`; may lie behind its end.
    at: u64,
    tracks: Vec<TrackSeen>,
    fragments: u64,
    media_bytes: u64,
    /// Where the content of an `mdat` begins that goes on to the end.
    open_at: Option<u64>,
    error: Option<Mp4Error>,
}

impl Fragments {
    /// Nothing received yet of a segment of this presentation.
    #[must_use]
    pub fn new(init: &Init) -> Self {
        let tracks = init.tracks.iter().map(TrackSeen::new).collect();
        Self { buffer: Vec::new(), at: 0, tracks, fragments: 0, media_bytes: 0, open_at: None, error: None }
    }

    /// Takes bytes as they come. They are kept: whoever calls bounds them.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while self.error.is_none() && self.step() {}
        for index in 0..self.tracks.len() {
            self.examine(index);
        }
    }

    /// All tracks of the initialization segment.
    #[must_use]
    pub fn tracks(&self) -> &[TrackSeen] {
        &self.tracks
    }

    /// `moof` boxes read.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.fragments
    }

    /// Octets of `mdat` boxes: announced, or received of one that goes on to the end.
    #[must_use]
    pub fn media_bytes(&self) -> u64 {
        let open = self.open_at.map_or(0, |at| (self.buffer.len() as u64).saturating_sub(at));
        self.media_bytes.saturating_add(open)
    }

    /// Why reading ended early.
    #[must_use]
    pub fn error(&self) -> Option<&Mp4Error> {
        self.error.as_ref()
    }

    /// Whether every track that the fragments so far name is known, and there is one.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        let mut named = self.tracks.iter().filter(|track| track.samples > 0).peekable();
        named.peek().is_some() && named.all(TrackSeen::is_known)
    }

    /// Reads one box at the top; `false` when it is not there yet.
    fn step(&mut self) -> bool {
        let Some(rest) = usize::try_from(self.at).ok().and_then(|at| self.buffer.get(at..)) else { return false };
        let Some(next) = first_box(rest) else {
            if rest.len() >= 16 {
                self.error = Some(Mp4Error { path: "at the top", what: "a length that cannot be" });
            }
            return false;
        };
        let length = next.length.unwrap_or(u64::MAX);
        match &next.kind {
            b"moof" if length > MAX_MOOF_BYTES => {
                self.error = Some(Mp4Error { path: "moof", what: "more than 4 MiB" });
                return false;
            }
            b"moof" => {
                if !next.is_whole() {
                    return false;
                }
                self.fragments += 1;
                let read = fragment(&mut self.tracks, next.body, self.at, length);
                if read.is_none() {
                    self.error = Some(Mp4Error { path: "moof", what: "missing or unreadable parts" });
                    return false;
                }
            }
            b"mdat" => match next.length {
                Some(announced) => {
                    self.media_bytes = self.media_bytes.saturating_add(announced - next.header_bytes as u64);
                }
                None => self.open_at = Some(self.at + next.header_bytes as u64),
            },
            _ => {}
        }
        self.at = self.at.saturating_add(length);
        true
    }

    /// Takes the first sample of a track apart, once its bytes are there.
    fn examine(&mut self, index: usize) {
        let track = &mut self.tracks[index];
        let Some((offset, size)) = track.first.filter(|_| !track.is_known()) else { return };
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(size)).ok());
        let Some(sample) = range.and_then(|(begin, end)| self.buffer.get(begin..end)) else { return };
        if sample.is_empty() {
            track.trouble = Some("the first sample is empty");
            return;
        }
        let codec = track.track.entry.codec.as_str();
        match (track.track.entry.nal_length_bytes, codec) {
            (Some(width), "h264" | "hevc") => match nal_units(sample, width, codec == "hevc") {
                Ok(units) => {
                    track.proven = units.picture;
                    track.key_frame = Some(units.key);
                    track.video = track.video.take().or(units.params);
                    if !units.picture {
                        track.trouble = Some("the first sample holds no picture");
                    }
                }
                Err(what) => track.trouble = Some(what),
            },
            _ => track.proven = true,
        }
    }
}

#[derive(Default)]
struct Units {
    picture: bool,
    key: bool,
    params: Option<VideoParams>,
}

/// The NAL units of a sample, each behind its length.
fn nal_units(mut sample: &[u8], width: usize, is_hevc: bool) -> Result<Units, &'static str> {
    let mut units = Units::default();
    while !sample.is_empty() {
        let (length, rest) = sample.split_at_checked(width).ok_or("a length of a NAL unit is cut short")?;
        let length = length.iter().fold(0usize, |sum, &octet| sum << 8 | usize::from(octet));
        let (nal, rest) = rest.split_at_checked(length).ok_or("a NAL unit is longer than its sample")?;
        sample = rest;
        let Some(&first) = nal.first() else { continue };
        if is_hevc {
            let kind = first >> 1 & 0x3f;
            units.picture |= kind < 32;
            units.key |= (16..=21).contains(&kind);
            if kind == 33 {
                units.params = units.params.or(h265::params_from_sps(nal).ok());
            }
        } else {
            let kind = first & 0x1f;
            units.picture |= (1..=5).contains(&kind);
            units.key |= kind == 5;
            if kind == 7 {
                units.params = units.params.or(h264::params_from_sps(nal).ok());
            }
        }
    }
    Ok(units)
}

/// Reads a `moof` that begins at `begin` and is `length` octets long.
fn fragment(tracks: &mut [TrackSeen], moof: &[u8], begin: u64, length: u64) -> Option<()> {
    // Where samples lie when nothing says so: behind the header of the `mdat` that follows.
    let mut behind = begin.checked_add(length)?.checked_add(8)?;
    for traf in children(moof).filter(|found| found.kind == *b"traf") {
        let (_, flags, rest) = full(child(traf.body, b"tfhd")?)?;
        let mut fields = Numbers(rest);
        let id = fields.u32()?;
        let mut base = begin;
        if flags & 0x01 != 0 {
            let high = fields.u32()?;
            base = u64::from(high) << 32 | u64::from(fields.u32()?);
        }
        if flags & 0x02 != 0 {
            fields.skip(4)?; // sample description
        }
        let duration = if flags & 0x08 != 0 { Some(fields.u32()?) } else { None };
        let size = if flags & 0x10 != 0 { Some(fields.u32()?) } else { None };
        let mut unknown = None;
        let track = match tracks.iter_mut().find(|track| track.track.id == id) {
            Some(track) => track,
            // The runs of a track that nobody announced still move those behind them.
            None => unknown.get_or_insert_with(|| TrackSeen::new(&nameless(id))),
        };
        let defaults = (duration.unwrap_or(track.track.default_duration), size.unwrap_or(track.track.default_size));
        for trun in children(traf.body).filter(|found| found.kind == *b"trun") {
            behind = run(track, trun.body, base, behind, defaults)?;
        }
    }
    Some(())
}

fn nameless(id: u32) -> InitTrack {
    let entry =
        super::SampleEntry { codec: String::new(), video: None, audio: None, nal_length_bytes: None, protection: None };
    InitTrack { id, handler: *b"    ", timescale: 1, entry, default_duration: 0, default_size: 0 }
}

/// Reads one run of samples; where the next one lies when it does not say so.
fn run(track: &mut TrackSeen, trun: &[u8], base: u64, behind: u64, defaults: (u32, u32)) -> Option<u64> {
    let (_, flags, rest) = full(trun)?;
    let mut fields = Numbers(rest);
    let count = fields.u32()?.min(MAX_SAMPLES);
    let mut begin = behind;
    if flags & 0x01 != 0 {
        // Signed by the standard.
        begin = base.checked_add_signed(i64::from(fields.u32()?.cast_signed()))?;
    }
    if flags & 0x04 != 0 {
        fields.skip(4)?; // flags of the first sample
    }
    let has = |bit: u32| flags & bit != 0;
    let (mut ticks, mut octets, mut first_size) = (0u64, 0u64, None);
    for _ in 0..count {
        let duration = if has(0x100) { fields.u32()? } else { defaults.0 };
        let size = if has(0x200) { fields.u32()? } else { defaults.1 };
        if has(0x400) {
            fields.skip(4)?;
        }
        if has(0x800) {
            fields.skip(4)?;
        }
        ticks += u64::from(duration);
        octets += u64::from(size);
        first_size.get_or_insert(u64::from(size));
    }
    track.samples += u64::from(count);
    track.ticks = track.ticks.saturating_add(ticks);
    if track.first.is_none() {
        track.first = first_size.map(|size| (begin, size));
    }
    begin.checked_add(octets)
}

#[cfg(test)]
mod tests {
    use super::super::tests::make;
    use super::super::{InitTrack, SampleEntry};
    use super::*;

    fn init(nal_length_bytes: Option<usize>) -> Init {
        let entry = SampleEntry { codec: "h264".into(), video: None, audio: None, nal_length_bytes, protection: None };
        let track =
            InitTrack { id: 1, handler: *b"vide", timescale: 1_000, entry, default_duration: 40, default_size: 0 };
        Init { tracks: vec![track] }
    }

    /// A fragment of samples of 9 octets each: a picture of 5 octets behind its length.
    fn segment(samples: u32, nal: [u8; 9]) -> Vec<u8> {
        let sizes: Vec<u8> = (0..samples).flat_map(|_| 9u32.to_be_bytes()).collect();
        let mut trun = vec![0, 0, 2, 1];
        trun.extend(samples.to_be_bytes());
        let offset_at = trun.len();
        trun.extend([0; 4]);
        trun.extend(sizes);
        let tfhd = make(b"tfhd", &[0, 2, 0, 0, 0, 0, 0, 1]);
        let whole = |trun: &[u8]| make(b"moof", &make(b"traf", &[tfhd.clone(), make(b"trun", trun)].concat()));
        let offset = u32::try_from(whole(&trun).len() + 8).expect("short");
        trun[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
        [make(b"styp", b"msdh"), whole(&trun), make(b"mdat", &nal.repeat(samples as usize))].concat()
    }

    const IDR: [u8; 9] = [0, 0, 0, 5, 0x65, 1, 2, 3, 4];

    #[test]
    fn samples_are_counted_and_the_first_is_examined() {
        let bytes = segment(50, IDR);
        let mut seen = Fragments::new(&init(Some(4)));
        for octet in &bytes {
            assert!(!seen.is_enough() || seen.tracks()[0].proven);
            seen.push(std::slice::from_ref(octet));
        }
        let track = &seen.tracks()[0];
        assert_eq!((track.samples, track.ticks, track.fps()), (50, 2_000, Some(25.0)));
        assert_eq!((track.proven, track.key_frame, track.trouble), (true, Some(true), None));
        assert_eq!((seen.fragments(), seen.media_bytes()), (1, 450));
    }

    #[test]
    fn reading_may_stop_behind_the_first_sample() {
        let bytes = segment(50, IDR);
        let mut seen = Fragments::new(&init(Some(4)));
        seen.push(&bytes[..bytes.len() - 450 + 8]);
        assert!(!seen.is_enough(), "one octet is missing");
        seen.push(&bytes[bytes.len() - 450 + 8..][..1]);
        assert!(seen.is_enough());
    }

    #[test]
    fn an_mdat_may_go_on_to_the_end() {
        let mut bytes = segment(3, IDR);
        let at = bytes.len() - 27 - 8;
        bytes[at..at + 4].copy_from_slice(&[0; 4]);
        let mut seen = Fragments::new(&init(Some(4)));
        bytes.chunks(5).for_each(|piece| seen.push(piece));
        assert_eq!((seen.media_bytes(), seen.tracks()[0].proven), (27, true));
    }

    #[test]
    fn bytes_that_are_no_samples_are_told() {
        let trouble = |nal| {
            let mut seen = Fragments::new(&init(Some(4)));
            seen.push(&segment(2, nal));
            seen.tracks()[0].trouble
        };
        assert_eq!(trouble([0, 0, 0, 6, 0x65, 1, 2, 3, 4]), Some("a NAL unit is longer than its sample"));
        assert_eq!(trouble([0, 0, 0, 5, 0x06, 1, 2, 3, 4]), Some("the first sample holds no picture"));
        assert_eq!(trouble([0x93; 9]), Some("a NAL unit is longer than its sample"));
        let mut cut = Fragments::new(&init(Some(4)));
        cut.push(&make(b"moof", &make(b"traf", &make(b"tfhd", &[0, 0]))));
        assert_eq!(cut.error().map(|e| e.path), Some("moof"));
        let mut odd = Fragments::new(&init(Some(4)));
        odd.push(&[0, 0, 0, 2, b'x', b'x', b'x', b'x', 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(odd.error().is_some());
        let mut huge = Fragments::new(&init(Some(4)));
        huge.push(&[0xff, 0, 0, 0, b'm', b'o', b'o', b'f', 0]);
        assert_eq!(huge.error().map(|e| e.what), Some("more than 4 MiB"));
    }
}
