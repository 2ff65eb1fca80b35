//! A transport stream that is held: packets are counted as they go by, and nothing is put together any more unless parameters
//! change. Owns which packet belongs to which track, and for how long findings are told. Opens nothing.

use std::time::Duration;

use model::reading::{Finding, Reading};
use model::time::Mono;
use wire::elementary::Codec;
use wire::ts::{PACKET_BYTES, Step, parse_packet, parse_pes};
use wire::video::nals;

use super::analysis::Analysis;
use super::source::{Piece, Source};
use crate::live::{Batch, Live, Packet};

/// How often facts and findings are written anew.
const REFRESH: Duration = Duration::from_secs(1);
/// Where time stamps begin to count: they may go back from the first.
const FIRST_TICK: u64 = 1 << 36;
/// Wrap of time stamps, in ticks of 90 kHz.
const WRAP: u64 = 1 << 33;
/// Longest parameter set that is remembered; real ones have under 100 bytes.
const MAX_SET_BYTES: usize = 160;
/// Packets of a datagram of the usual size: what is lost is lost in datagrams.
const PER_DATAGRAM: u32 = 7;
/// Most tracks that are followed: as many as are measured.
const MAX_LANES: usize = 64;
/// Shortest and longest time for which findings are told.
const PERIOD: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// One selected stream.
struct Lane {
    pid: u16,
    codec: Codec,
    /// Octets since it was last told of.
    bytes: usize,
    /// Something came since then.
    any: bool,
    /// A unit begins in it.
    start: bool,
    /// The unit that is coming is a key frame.
    key: bool,
    /// Time of that unit, as it stands in the stream and without wraps.
    time: Option<u64>,
    ticks: u64,
    /// The last sequence parameter set.
    set: Vec<u8>,
}

impl Lane {
    fn new(pid: u16, codec: Codec) -> Self {
        Self {
            pid,
            codec,
            bytes: 0,
            any: false,
            start: false,
            key: false,
            time: None,
            ticks: FIRST_TICK,
            set: Vec::new(),
        }
    }

    /// Takes note of a unit that begins; whether its parameters are others than before.
    fn begin(&mut self, packet: &[u8; PACKET_BYTES], step: &Step) -> bool {
        self.start = true;
        if let Some(time) = step.time {
            let ahead = time.wrapping_sub(self.time.unwrap_or(time)) % WRAP;
            let step = if ahead > WRAP / 2 { ahead.cast_signed() - WRAP.cast_signed() } else { ahead.cast_signed() };
            self.ticks = self.ticks.saturating_add_signed(step);
            self.time = Some(time);
        }
        if !self.codec.is_video() {
            return false;
        }
        let glance = glance(self.codec, packet);
        self.key = step.random_access || glance.key;
        let is_new = glance.set.is_some_and(|set| set.len() <= MAX_SET_BYTES && set != self.set);
        let had_one = !self.set.is_empty();
        if let Some(set) = glance.set.filter(|_| is_new) {
            self.set.clear();
            self.set.extend_from_slice(set);
        }
        is_new && had_one
    }

    /// Tells of what came.
    fn tell(&mut self, track: usize, at: Mono, lost: &mut u32, batch: &mut Batch<'_>) {
        if !std::mem::take(&mut self.any) {
            return;
        }
        batch.packet(Packet {
            track,
            bytes: std::mem::take(&mut self.bytes),
            at,
            timed: true,
            media_time: self.time.map(|_| Duration::from_nanos(self.ticks * 100_000 / 9)),
            frame: std::mem::take(&mut self.start),
            key: self.key,
            lost: Some(i32::try_from(std::mem::take(lost)).unwrap_or(i32::MAX)),
        });
    }
}

/// What the first packet of a picture shows.
struct Glance<'p> {
    key: bool,
    /// A sequence parameter set that is there whole.
    set: Option<&'p [u8]>,
}

fn glance(codec: Codec, packet: &[u8; PACKET_BYTES]) -> Glance<'_> {
    let payload = parse_packet(packet).map_or(&[][..], |packet| packet.payload);
    let unit = parse_pes(payload).and_then(|header| payload.get(header.header_bytes..)).unwrap_or_default();
    let mut glance = Glance { key: false, set: None };
    let mut units = nals(unit).peekable();
    while let Some(nal) = units.next() {
        let (key, is_set) = match (codec, nal[0]) {
            (Codec::H264, first) => (first & 0x1f == 5, first & 0x1f == 7),
            (Codec::Hevc, first) => ((16..=21).contains(&(first >> 1 & 0x3f)), first >> 1 & 0x3f == 33),
            (_, first) => (first == 0xb3, first == 0xb3),
        };
        glance.key |= key || is_set;
        // The last one may be cut.
        if is_set && units.peek().is_some() {
            glance.set = Some(nal);
        }
    }
    glance
}

/// Follows a stream that is known.
pub(super) struct Held<'l> {
    live: &'l Live,
    analysis: Analysis,
    lanes: Vec<Lane>,
    /// Lanes by the place of their PID in the monitor, plus one.
    by_slot: Vec<u8>,
    /// Packets missing since a track was last told of, in datagrams.
    lost: u32,
    period: Duration,
    period_began: Duration,
    written: Duration,
    /// Findings of the period before this one.
    before: Vec<Finding>,
    map_changes: u64,
}

impl<'l> Held<'l> {
    /// Findings are told for `period` at least.
    pub(super) fn new(live: &'l Live, mut analysis: Analysis, period: Duration) -> Self {
        let now = live.now().0;
        analysis.rest();
        let mut held = Self {
            live,
            map_changes: analysis.monitor.map_changes(),
            analysis,
            lanes: Vec::new(),
            by_slot: Vec::new(),
            lost: 0,
            period: period.clamp(PERIOD.0, PERIOD.1),
            period_began: now,
            written: now,
            before: Vec::new(),
        };
        held.follow();
        held
    }

    /// Gives every selected stream a lane. One that was there keeps its place; one that is new takes the place of one of the
    /// same sort that has gone, because it is the same track to whoever watches.
    fn follow(&mut self) {
        let wanted: Vec<(u16, Codec)> =
            self.analysis.selected().map(|stream| (stream.announced.pid, stream.announced.codec)).collect();
        for &(pid, codec) in &wanted {
            let same = self.lanes.iter().position(|lane| lane.pid == pid);
            let gone = |lane: &Lane| !wanted.iter().any(|(pid, _)| *pid == lane.pid);
            let sort = codec.is_video();
            let heir = || self.lanes.iter().position(|lane| gone(lane) && lane.codec.is_video() == sort);
            match same.or_else(heir) {
                Some(at) if self.lanes[at].pid == pid && self.lanes[at].codec == codec => {}
                Some(at) => self.lanes[at] = Lane::new(pid, codec),
                None if self.lanes.len() < MAX_LANES => self.lanes.push(Lane::new(pid, codec)),
                None => {}
            }
        }
        self.by_slot.clear();
        for (lane, number) in self.lanes.iter().zip(1u8..) {
            let Some(slot) = self.analysis.monitor.slot_of(lane.pid) else { continue };
            if self.by_slot.len() <= slot {
                self.by_slot.resize(slot + 1, 0);
            }
            self.by_slot[slot] = number;
        }
        let tracks = self.lanes.iter().map(|lane| (lane.pid, self.analysis.track(lane.pid))).collect::<Vec<_>>();
        self.live.reading(|known| {
            for (at, (_, track)) in tracks.into_iter().enumerate() {
                match (track, known.tracks.get_mut(at)) {
                    (Some(track), Some(place)) => *place = track,
                    (Some(track), None) => known.tracks.push(track),
                    (None, _) => {}
                }
            }
        });
    }

    /// Takes what arrived at `now`.
    pub(super) fn take(&mut self, piece: Piece<'_>, now: Duration) {
        let Self { live, analysis, lanes, by_slot, lost, .. } = self;
        let (at, mut batch) = (Mono(now), live.begin());
        let (mut gaps, mut is_new) = (0, false);
        let counted = piece.lost;
        *lost += counted.unwrap_or(0);
        analysis.take(piece, now, &mut |packet, step| {
            let number = by_slot.get(step.slot).copied().unwrap_or(0);
            let Some(track) = usize::from(number).checked_sub(1) else { return };
            let lane = &mut lanes[track];
            gaps += step.lost;
            if step.start {
                lane.tell(track, at, lost, &mut batch);
                is_new |= lane.begin(packet, &step);
            }
            lane.bytes += step.payload;
            lane.any = true;
        });
        if counted.is_none() {
            *lost += gaps.div_ceil(PER_DATAGRAM);
        }
        for (track, lane) in lanes.iter_mut().enumerate() {
            lane.tell(track, at, lost, &mut batch);
        }
        drop(batch);
        if is_new {
            self.analysis.read_anew();
        }
    }

    /// What is to be done between arrivals: parameters that have changed, facts and findings.
    pub(super) fn attend(&mut self, source: &mut Source, now: Duration) {
        self.notice();
        if now.saturating_sub(self.written) >= REFRESH {
            self.written = now;
            self.write(source, now);
        }
    }

    /// Reads tables and parameters anew when they have changed.
    fn notice(&mut self) {
        if self.analysis.monitor.map_changes() != self.map_changes {
            self.map_changes = self.analysis.monitor.map_changes();
            self.analysis.read_anew();
        }
        if self.analysis.has_read_anew() {
            self.follow();
        }
    }

    fn write(&mut self, source: &mut Source, now: Duration) {
        let mut reading = Reading::default();
        self.analysis.note_measures(&mut reading);
        source.note(&mut reading);
        let mut findings = reading.findings;
        if now.saturating_sub(self.period_began) >= self.period {
            self.period_began = now;
            self.analysis.renew();
            source.renew();
            self.before.clone_from(&findings);
        } else {
            let old = self.before.iter().filter(|old| findings.iter().all(|new| new.name != old.name));
            let old: Vec<Finding> = old.cloned().collect();
            findings.extend(old);
        }
        self.live.reading(|known| {
            known.facts.extend(reading.facts);
            known.findings = findings;
        });
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
