//! The bytes of a segment to tracks: tells the container, feeds the parser of it, and says when enough is known. Owns the
//! sentences for bytes that are no media. Opens no connection.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Media, Track};
use wire::audio::AudioParams;
use wire::elementary::{Codec, Elementary, id3_bytes, packed_audio};
use wire::mp4::{Fragments, Init, TrackSeen, looks_like_mp4, parse_init};
use wire::ts::{Inspector, PACKET_BYTES, StreamInfo, find_sync};
use wire::video::VideoParams;

/// Octets that are enough to tell a container: packets in a row, or a box.
const MIN_TELLING_BYTES: usize = 4 * PACKET_BYTES;
/// Octets after which bytes that no parser knows are called no media; frames of sound are found in fewer.
const MAX_TELLING_BYTES: usize = 64 * 1024;
/// Largest beginning of a segment that brings its own `moov`.
const MAX_OWN_INIT_BYTES: usize = 1024 * 1024;

/// A segment that is being read.
pub(in crate::kinds) struct Segment {
    name: String,
    init: Option<Init>,
    received: usize,
    state: State,
}

enum State {
    /// Which container is not known yet.
    Telling(Vec<u8>),
    Transport(Box<Inspector>),
    /// No initialization segment: the `moov` must come first.
    OwnInit(Vec<u8>),
    Fragmented(Box<Fragments>),
    Packed(Box<Elementary>),
    /// Subtitles.
    Text,
    Nothing(String),
}

/// What a segment turned out to be.
#[derive(Debug)]
pub(in crate::kinds) struct Seen {
    /// Container, or codec of packed audio.
    pub(in crate::kinds) format: &'static str,
    pub(in crate::kinds) tracks: Vec<Track>,
    /// Samples that cannot be read without a key, by what.
    pub(in crate::kinds) opaque: Option<String>,
    /// No picture of it stands alone.
    pub(in crate::kinds) lacks_key_frame: bool,
    /// How often transport packets did not follow one another.
    pub(in crate::kinds) sync_losses: u64,
}

impl Segment {
    pub(in crate::kinds) fn new(name: String) -> Self {
        Self { name, init: None, received: 0, state: State::Telling(Vec::new()) }
    }

    /// Takes the initialization segment (what `EXT-X-MAP` names), before the segment itself.
    pub(in crate::kinds) fn map(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if find_sync(bytes).is_some_and(|at| at < PACKET_BYTES) && !looks_like_mp4(bytes) {
            let mut inspector = Box::<Inspector>::default();
            inspector.push(bytes);
            self.state = State::Transport(inspector);
            return Ok(());
        }
        let wrong = |words: String| {
            Fault::protocol(Phase::Media, format!("the initialization of segment {}: {words}", self.name))
        };
        if bytes.trim_ascii_start().starts_with(b"WEBVTT") {
            return Ok(());
        }
        if bytes.trim_ascii_start().starts_with(b"<") {
            return Err(wrong("a page instead of an initialization segment".to_owned()));
        }
        self.init = Some(parse_init(bytes).map_err(|e| wrong(e.to_string()))?);
        Ok(())
    }

    pub(in crate::kinds) fn push(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        self.feed(bytes, false);
    }

    fn feed(&mut self, bytes: &[u8], last: bool) {
        match &mut self.state {
            State::Telling(buffer) => {
                buffer.extend_from_slice(bytes);
                if let Some(state) = tell(buffer, self.init.as_ref(), last) {
                    // A segment with its own beginning goes on at once.
                    let own = matches!(state, State::OwnInit(_));
                    self.state = state;
                    if own {
                        self.feed(&[], last);
                    }
                }
            }
            State::Transport(inspector) => inspector.push(bytes),
            State::OwnInit(buffer) => {
                buffer.extend_from_slice(bytes);
                match parse_init(buffer) {
                    Ok(init) => {
                        let mut fragments = Box::new(Fragments::new(&init));
                        fragments.push(buffer);
                        self.state = State::Fragmented(fragments);
                    }
                    Err(_) if !last && buffer.len() < MAX_OWN_INIT_BYTES => {}
                    Err(_) => {
                        self.state = State::Nothing("MP4 boxes without a moov, and nothing names one".to_owned());
                    }
                }
            }
            State::Fragmented(fragments) => fragments.push(bytes),
            State::Packed(_) | State::Text | State::Nothing(_) => {}
        }
    }

    /// Whether more bytes would tell nothing new.
    pub(in crate::kinds) fn is_enough(&self) -> bool {
        match &self.state {
            State::Telling(_) | State::OwnInit(_) => false,
            State::Transport(inspector) => inspector.is_enough() || inspector.is_hopeless(),
            State::Fragmented(fragments) => fragments.is_enough() || fragments.error().is_some(),
            State::Packed(_) | State::Text | State::Nothing(_) => true,
        }
    }

    /// What it was. `whole` when its end was reached.
    pub(in crate::kinds) fn finish(mut self, whole: bool) -> Result<Seen, Fault> {
        self.feed(&[], true);
        let Self { name, received, state, .. } = self;
        let protocol = |words: String| Err(Fault::protocol(Phase::Media, format!("segment {name}: {words}")));
        if received == 0 {
            return Err(Fault::new(FaultKind::NoMedia, Phase::Media, format!("segment {name} is empty")));
        }
        let seen = match state {
            State::Transport(mut inspector) => {
                inspector.finish();
                transport(&inspector, whole)
            }
            State::Fragmented(fragments) => fragmented(&fragments),
            State::Packed(stream) => Ok(packed(&stream)),
            State::Text => Ok(Seen { format: "webvtt", ..Seen::nothing() }),
            State::Nothing(words) => return protocol(words),
            // After the last octet the state is another one.
            State::Telling(_) | State::OwnInit(_) => return protocol("no media".to_owned()),
        };
        seen.map_err(|(kind, words)| Fault::new(kind, Phase::Media, format!("segment {name}: {words}")))
    }
}

impl Seen {
    fn nothing() -> Self {
        Self { format: "", tracks: Vec::new(), opaque: None, lacks_key_frame: false, sync_losses: 0 }
    }
}

/// What bytes are; `None` while that cannot be told.
fn tell(bytes: &[u8], init: Option<&Init>, last: bool) -> Option<State> {
    if bytes.len() < MIN_TELLING_BYTES && !last {
        return None;
    }
    if let Some(init) = init {
        if !looks_like_mp4(bytes) {
            return Some(State::Nothing(format!("no MP4 box at its beginning ({})", begins(bytes))));
        }
        let mut fragments = Box::new(Fragments::new(init));
        fragments.push(bytes);
        return Some(State::Fragmented(fragments));
    }
    if find_sync(bytes).is_some_and(|at| at < PACKET_BYTES) {
        let mut inspector = Box::<Inspector>::default();
        inspector.push(bytes);
        return Some(State::Transport(inspector));
    }
    if looks_like_mp4(bytes) {
        return Some(State::OwnInit(bytes.to_vec()));
    }
    if bytes.starts_with(b"WEBVTT") || bytes.starts_with(b"\xef\xbb\xbfWEBVTT") {
        return Some(State::Text);
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return Some(State::Nothing(format!("a page instead of media ({})", begins(bytes))));
    }
    let sound = id3_bytes(bytes).and_then(|at| bytes.get(at..)).and_then(packed_audio);
    if let Some(stream) = sound {
        return Some(State::Packed(Box::new(stream)));
    }
    (last || bytes.len() >= MAX_TELLING_BYTES).then(|| {
        let count = bytes.len();
        let beginning = begins(bytes);
        State::Nothing(format!(
            "no MPEG-TS sync byte, no MP4 box and no frame of sound in its first {count} bytes ({beginning})"
        ))
    })
}

/// `begins 3f 2a 91 ...`.
fn begins(bytes: &[u8]) -> String {
    let octets: Vec<String> = bytes.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    format!("begins {}", octets.join(" "))
}

type Told = Result<Seen, (FaultKind, String)>;

fn transport(inspector: &Inspector, whole: bool) -> Told {
    let streams: Vec<&StreamInfo> = inspector.streams().iter().filter(|s| !s.announced.codec.is_data()).collect();
    let packets = inspector.packets();
    if packets == 0 {
        return Err((FaultKind::Protocol, "no MPEG-TS packet in it".to_owned()));
    }
    if inspector.streams().is_empty() {
        let words = format!("{packets} MPEG-TS packets and no usable program tables among them");
        return Err((FaultKind::NoMedia, words));
    }
    if streams.is_empty() {
        return Err((FaultKind::NoMedia, "its tables announce neither picture nor sound".to_owned()));
    }
    let mut seen = Seen { format: "mpegts", sync_losses: inspector.sync_losses(), ..Seen::nothing() };
    for stream in streams {
        let mut track = elementary(&stream.seen, stream.announced.channels);
        if stream.announced.sample_encrypted {
            seen.opaque = Some("SAMPLE-AES".to_owned());
        } else if stream.scrambled > 0 {
            seen.opaque = Some("scrambled packets".to_owned());
        } else {
            track.proven = stream.seen.frames() > 0;
            let pictures = stream.announced.codec.is_video() && track.proven;
            seen.lacks_key_frame |= whole && pictures && stream.seen.key_frames() == 0;
        }
        seen.tracks.push(track);
    }
    all_there(seen)
}

fn fragmented(fragments: &Fragments) -> Told {
    if let Some(error) = fragments.error() {
        return Err((FaultKind::Protocol, error.to_string()));
    }
    if fragments.fragments() == 0 {
        return Err((FaultKind::NoMedia, "no movie fragment (moof) in it".to_owned()));
    }
    let mut seen = Seen { format: "fmp4", ..Seen::nothing() };
    for track in fragments.tracks() {
        let media = match &track.track.handler {
            b"vide" => Media::Video,
            b"soun" => Media::Audio,
            _ => continue,
        };
        if let Some(words) = track.trouble {
            return Err((FaultKind::Protocol, format!("the {} track {words}", track.track.entry.codec)));
        }
        if let Some(scheme) = &track.track.entry.protection {
            seen.opaque = Some(format!("samples encrypted by {scheme}"));
        }
        seen.lacks_key_frame |= track.key_frame == Some(false);
        seen.tracks.push(boxed(media, track));
    }
    if seen.tracks.is_empty() {
        return Err((FaultKind::NoMedia, "its tracks carry neither picture nor sound".to_owned()));
    }
    all_there(seen)
}

/// A track that is announced and does not come is missing, unless it cannot be read.
fn all_there(seen: Seen) -> Told {
    let missing = seen.tracks.iter().find(|track| !track.proven).filter(|_| seen.opaque.is_none());
    match missing {
        Some(track) => {
            Err((FaultKind::NoMedia, format!("it announces {} {} and brings none", track.codec, track.media)))
        }
        None => Ok(seen),
    }
}

fn packed(stream: &Elementary) -> Seen {
    let mut track = elementary(stream, None);
    track.proven = true;
    let format = match stream.codec() {
        Codec::Aac => "aac",
        Codec::Ac3 => "ac3",
        Codec::Eac3 => "eac3",
        _ => "mp3",
    };
    Seen { format, tracks: vec![track], ..Seen::nothing() }
}

/// A track with what an elementary stream says of itself.
pub(in crate::kinds) fn elementary(stream: &Elementary, channels: Option<u16>) -> Track {
    let media = if stream.codec().is_video() { Media::Video } else { Media::Audio };
    let mut track = Track::new(media, stream.codec().as_str());
    if let Some(video) = stream.video() {
        picture(&mut track, video);
    }
    if let Some(audio) = stream.audio() {
        sound(&mut track, audio);
    }
    if media == Media::Video {
        track.fps = stream.fps();
    }
    if stream.codec() == Codec::Opus {
        track.sample_rate_hz = Some(48_000);
    }
    track.channels = track.channels.or(channels.map(u32::from));
    track
}

fn boxed(media: Media, seen: &TrackSeen) -> Track {
    let mut track = Track::new(media, seen.track.entry.codec.as_str());
    match media {
        Media::Video => {
            if let Some(video) = &seen.video {
                picture(&mut track, video);
            }
            track.fps = seen.fps();
        }
        _ => {
            if let Some(audio) = &seen.track.entry.audio {
                sound(&mut track, audio);
            }
        }
    }
    track.proven = seen.proven && seen.track.entry.protection.is_none();
    track
}

fn picture(track: &mut Track, video: &VideoParams) {
    video.codec.clone_into(&mut track.codec);
    track.profile.clone_from(&video.profile);
    (track.width, track.height) = (Some(video.width), Some(video.height));
}

fn sound(track: &mut Track, audio: &AudioParams) {
    audio.codec.clone_into(&mut track.codec);
    track.profile = audio.profile.map(str::to_owned);
    track.sample_rate_hz = Some(audio.sample_rate_hz).filter(|&rate| rate > 0);
    track.channels = Some(u32::from(audio.channels)).filter(|&count| count > 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: &[u8] = include_bytes!("../../../../wire/testdata/ts/ffmpeg_h264_aac.bin");
    const MP4: &[u8] = include_bytes!("../../../../wire/testdata/mp4/ffmpeg_h264_aac.bin");

    fn read(map: Option<&[u8]>, bytes: &[u8]) -> Result<Seen, String> {
        let mut segment = Segment::new("s1".to_owned());
        if let Some(map) = map {
            segment.map(map).map_err(|f| f.detail)?;
        }
        for piece in bytes.chunks(100) {
            segment.push(piece);
        }
        segment.finish(true).map_err(|f| f.to_string())
    }

    fn words(seen: Result<Seen, String>) -> String {
        let seen = match seen {
            Ok(seen) => seen,
            Err(words) => return words,
        };
        let tracks: Vec<_> = seen
            .tracks
            .iter()
            .map(|t| format!("{} {:?} {:?} {:?} {}", t.codec, t.width, t.fps, t.sample_rate_hz, t.proven))
            .collect();
        format!("{}: {} opaque {:?}", seen.format, tracks.join(", "), seen.opaque)
    }

    #[test]
    fn containers_are_told_apart() {
        let both = "h264 Some(64) Some(10.0) None true, aac None None Some(48000) true opaque None";
        assert_eq!(words(read(None, TS)), format!("mpegts: {both}"));
        assert_eq!(words(read(Some(MP4), MP4)), format!("fmp4: {both}"));
        assert_eq!(words(read(None, MP4)), format!("fmp4: {both}"), "it brings its own moov");
        assert_eq!(words(read(Some(&TS[..3 * PACKET_BYTES]), TS)), format!("mpegts: {both}"));
        let mut frame = [0; 32];
        frame[..7].copy_from_slice(&[0xff, 0xf1, 0x4c, 0x80, 0x04, 0x1f, 0xfc]);
        let sound = [b"ID3\x04\0\0\0\0\0\x02ab".to_vec(), frame.repeat(30)].concat();
        assert_eq!(words(read(None, &sound)), "aac: aac None None Some(48000) true opaque None");
        assert_eq!(words(read(None, b"WEBVTT\n\n")), "webvtt:  opaque None");
    }

    #[test]
    fn what_is_no_media_says_what_it_is() {
        let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
        let words = |bytes: &[u8]| words(read(None, bytes));
        assert!(words(&noise).contains("protocol (media): segment s1: no MPEG-TS sync byte"), "{}", words(&noise));
        assert!(words(b"<html>not found</html>").contains("a page instead of media (begins 3c 68"));
        assert_eq!(words(b""), "no media (media): segment s1 is empty");
        let fill = [&[0x47, 0x1f, 0xff, 0x10][..], &[0xff; 184]].concat().repeat(10);
        assert!(words(&fill).contains("no media (media): segment s1: 10 MPEG-TS packets and no usable program tables"));
        let boxes = [&[0, 0, 0, 8][..], b"styp"].concat();
        assert!(words(&boxes).contains("MP4 boxes without a moov"));
        assert!(words(&TS[..8 * PACKET_BYTES]).contains("and brings none"), "{}", words(&TS[..8 * PACKET_BYTES]));
        assert!(read(Some(b"<html>"), TS).is_err_and(|w| w.contains("a page instead of an initialization")));
    }

    #[test]
    fn reading_ends_early() {
        let mut segment = Segment::new("s1".to_owned());
        let mut used = 0;
        for piece in TS.chunks(PACKET_BYTES) {
            if segment.is_enough() {
                break;
            }
            used += piece.len();
            segment.push(piece);
        }
        assert!(used < TS.len() / 2, "{used} of {}", TS.len());
        assert_eq!(segment.finish(false).map(|seen| seen.tracks.len()).ok(), Some(2));
    }
}
