//! What the packets of a session that is held tell: loss, timestamps, pictures, key frames, and parameters that change on the
//! way. Reads the first bytes of a payload and puts no picture together; opens and sends nothing.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Track;
use model::time::Mono;
use wire::rtp::{self, Header, Rtcp, SeqTracker};
use wire::sdp::Media;
use wire::video::{Glance, VideoParams};
use wire::{h264, h265, jpeg, tracks};

use super::session::{Arrival, Description, Piece, Sink};
use super::{media, track};
use crate::live::{Batch, Live, Packet};

/// Clock of payloads whose description names none (RFC 3551 section 5).
const DEFAULT_CLOCK_HZ: u32 = 90_000;
/// Where timestamps begin to count: they may go back from the first.
const FIRST_TICK: u64 = 1 << 36;
/// Longest parameter set that is remembered; real ones have under 200 bytes.
const MAX_SET_BYTES: usize = 4 * 1024;

/// Takes the packets of a session and tells of them.
pub(super) struct Ear<'l> {
    live: &'l Live,
    lanes: Vec<Lane>,
}

/// What a track's payload is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Codec {
    H264,
    H265,
    Jpeg,
    /// One whose packets tell nothing but that they came.
    Other,
}

impl Codec {
    fn of(name: &str) -> Self {
        match name {
            "h264" => Self::H264,
            "hevc" => Self::H265,
            "mjpeg" => Self::Jpeg,
            _ => Self::Other,
        }
    }
}

/// One selected track.
struct Lane {
    /// Index in the description and in the reading.
    track: usize,
    /// The track in words.
    name: String,
    media: Media,
    /// Payload type that comes, its clock and codec; none before the first packet.
    format: Option<(u8, u32, Codec)>,
    source: Option<u32>,
    sequence: SeqTracker,
    /// Lost so far, as told.
    lost: u64,
    /// Number of the latest packet in order.
    number: u16,
    /// Its timestamp, as it came and without wraps.
    timestamp: u32,
    ticks: u64,
    /// The last sequence parameter set.
    parameters: Vec<u8>,
    /// The size that packets of JPEG told last.
    size: Option<(u32, u32)>,
    /// Pictures that are called key frames by their own unit were seen; until then a parameter set marks them.
    marks_keys: bool,
}

impl<'l> Ear<'l> {
    /// For these tracks of a description.
    pub(super) fn new(live: &'l Live, description: &Description, selected: &[usize]) -> Self {
        let medias = &description.session.medias;
        let lane = |&track: &usize| Lane {
            track,
            name: media::name(medias, selected, track),
            media: medias[track].clone(),
            format: None,
            source: None,
            sequence: SeqTracker::new(),
            lost: 0,
            number: 0,
            timestamp: 0,
            ticks: FIRST_TICK,
            parameters: Vec::new(),
            size: None,
            marks_keys: false,
        };
        Self { live, lanes: selected.iter().map(lane).collect() }
    }

    /// Takes what came while media of every track was waited for.
    pub(super) fn arrived(&mut self, arrival: &Arrival) -> Result<(), Fault> {
        let Arrival { track, bytes, report } = arrival;
        self.take(Duration::ZERO, &mut std::iter::once(Piece { track: *track, bytes, report: *report }))
    }
}

impl Sink for Ear<'_> {
    fn take<'b>(&mut self, age: Duration, pieces: &mut dyn Iterator<Item = Piece<'b>>) -> Result<(), Fault> {
        let mut next = pieces.next();
        if next.is_none() {
            return Ok(());
        }
        let at = Mono(self.live.now().0.saturating_sub(age));
        let mut batch = self.live.begin();
        let mut left = None;
        while let Some(piece) = next {
            next = pieces.next();
            let Some(lane) = self.lanes.iter_mut().find(|lane| lane.track == piece.track) else { continue };
            if piece.report || rtp::is_rtcp(piece.bytes) {
                if lane.is_left(piece.bytes) {
                    left = Some(lane.name.clone());
                }
            } else {
                lane.take(piece.bytes, (at, next.is_none()), &mut batch);
            }
        }
        let words = |name| format!("the server ended the {name} track (RTCP BYE)");
        left.map_or(Ok(()), |name| Err(Fault::new(FaultKind::NoMedia, Phase::Media, words(name))))
    }
}

impl Lane {
    /// Whether a report says that the source of this track leaves. One that cannot be read says nothing.
    fn is_left(&self, report: &[u8]) -> bool {
        rtp::rtcp(report).map_while(Result::ok).any(|part| match (part, self.source) {
            (Rtcp::Bye { ssrcs, .. }, Some(source)) => ssrcs.contains(&source),
            _ => false,
        })
    }

    /// Takes a packet, with when it came and whether that is its own time.
    fn take(&mut self, bytes: &[u8], (at, timed): (Mono, bool), batch: &mut Batch<'_>) {
        let Ok((header, payload)) = Header::parse(bytes) else { return };
        let Some((clock_hz, codec)) = self.format(header.payload_type, batch) else { return };
        if self.source != Some(header.ssrc) {
            (self.source, self.sequence, self.lost) = (Some(header.ssrc), SeqTracker::new(), 0);
            (self.number, self.timestamp) = (header.sequence.wrapping_sub(1), header.timestamp.wrapping_sub(1));
        }
        self.sequence.push(header.sequence);
        let lost = self.sequence.lost();
        let new_lost = i32::try_from(lost.cast_signed() - self.lost.cast_signed()).unwrap_or(0);
        self.lost = lost;
        let step = header.timestamp.wrapping_sub(self.timestamp).cast_signed();
        let ticks = self.ticks.saturating_add_signed(step.into());
        let is_next = header.sequence.wrapping_sub(self.number).cast_signed() > 0;
        if is_next {
            (self.number, self.timestamp, self.ticks) = (header.sequence, header.timestamp, ticks);
        }
        let key = match codec {
            Codec::H264 => self.glance(&h264::glance(payload), h264::params_from_sps, batch),
            Codec::H265 => self.glance(&h265::glance(payload), h265::params_from_sps, batch),
            Codec::Jpeg => {
                self.size(payload, batch);
                false
            }
            Codec::Other => false,
        };
        batch.packet(Packet {
            track: self.track,
            bytes: payload.len(),
            at,
            timed,
            media_time: Some(time(ticks, clock_hz)),
            frame: is_next && step != 0,
            key,
            lost: Some(new_lost),
        });
    }

    /// Clock and codec of a payload type; `None` for one that the track does not declare. When it is another one than
    /// before, the track is described anew.
    fn format(&mut self, payload_type: u8, batch: &mut Batch<'_>) -> Option<(u32, Codec)> {
        if let Some((known, clock_hz, codec)) = self.format
            && known == payload_type
        {
            return Some((clock_hz, codec));
        }
        let place = self.media.formats.iter().position(|format| format.payload_type == payload_type)?;
        let described = media::preferring(&self.media, place);
        let info = tracks::track(&described);
        let clock_hz = Some(described.formats[0].clock_rate).filter(|hz| *hz > 0).unwrap_or(DEFAULT_CLOCK_HZ);
        let is_change = self.format.is_some();
        self.format = Some((payload_type, clock_hz, Codec::of(&info.codec)));
        if is_change && let Some(known) = batch.reading().tracks.get_mut(self.track) {
            *known = Track { proven: true, ..track(&info) };
        }
        self.format.map(|(_, clock_hz, codec)| (clock_hz, codec))
    }

    /// Whether the packet belongs to a key frame. Parameters that are new are written down.
    fn glance<E>(
        &mut self,
        glance: &Glance<'_>,
        read: impl Fn(&[u8]) -> Result<VideoParams, E>,
        batch: &mut Batch<'_>,
    ) -> bool {
        if let Some(set) = glance.parameters.filter(|set| *set != self.parameters && set.len() <= MAX_SET_BYTES) {
            self.parameters.clear();
            self.parameters.extend_from_slice(set);
            if let (Ok(params), Some(track)) = (read(set), batch.reading().tracks.get_mut(self.track)) {
                (track.width, track.height) = (Some(params.width), Some(params.height));
                track.profile = params.profile.or(track.profile.take());
                track.fps = params.fps.or(track.fps);
            }
        }
        self.marks_keys |= glance.key_frame;
        glance.key_frame || (glance.has_parameters && !self.marks_keys)
    }

    /// Writes the size of the pictures down when it is another one (RFC 2435 section 3.1).
    fn size(&mut self, payload: &[u8], batch: &mut Batch<'_>) {
        let Some(size) = jpeg::size_told(payload).filter(|size| self.size != Some(*size)) else { return };
        self.size = Some(size);
        if let Some(track) = batch.reading().tracks.get_mut(self.track) {
            (track.width, track.height) = (Some(size.0), Some(size.1));
            track.profile.get_or_insert_with(|| "Baseline".to_owned());
        }
    }
}

/// The time of so many ticks of a clock.
fn time(ticks: u64, clock_hz: u32) -> Duration {
    let hz = u64::from(clock_hz);
    let nanos = ticks % hz * 1_000_000_000 / hz;
    Duration::new(ticks / hz, u32::try_from(nanos).unwrap_or(0))
}
