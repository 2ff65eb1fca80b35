//! The bytes of a transport stream to tracks, facts and findings, wherever they came from. Owns what counts as media of a
//! selected track; the counting is `wire`'s, the sentences of findings are in `findings.rs`. Opens nothing.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Media, Reading, Severity, Track, fact};
use wire::ts::{Framer, Inspector, Monitor, PACKET_BYTES, Pmt, Program, Role, Step, StreamInfo};

use super::findings;
use super::source::Piece;
use crate::kinds::hls::media::elementary;

/// Octets of a payload that the sentence about foreign bytes quotes.
const QUOTED: usize = 8;
/// Bytes from which packets show, if there are any: five of the longest.
const MIN_TELLING_BYTES: u64 = 5 * 208;
/// Time for which streams that may have changed are looked into.
const MAX_READING: Duration = Duration::from_secs(20);
/// PIDs whose bit rates are told one by one; the rest is summed up.
const MAX_TOLD_PIDS: usize = 8;

/// Which tracks must bring media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All that the tables announce.
    All,
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// What to look at, and where trouble begins.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The program; all of them when none is named.
    pub(crate) program: Option<u16>,
    pub(crate) tracks: Selection,
    /// Continuity errors that are accepted in one look.
    pub(crate) continuity_errors: u64,
    /// Longest time between two program clock references.
    pub(crate) pcr_interval: Duration,
    /// Longest time between two tables of a sort.
    pub(crate) table_interval: Duration,
    /// Steps of time stamps that are longer, or back by more, are jumps.
    pub(crate) pts_jump: Duration,
}

impl Rules {
    /// Those of these streams that are selected.
    fn selected<'s>(&self, streams: &'s [StreamInfo]) -> impl Iterator<Item = &'s StreamInfo> + use<'s> {
        let tracks = self.tracks;
        streams.iter().filter(move |stream| {
            let codec = stream.announced.codec;
            let wanted = match tracks {
                Selection::All => true,
                Selection::Video => codec.is_video(),
                Selection::Audio => !codec.is_video(),
            };
            wanted && !codec.is_data()
        })
    }
}

impl Default for Rules {
    /// The limits of TR 101 290 (PAT and PMT every 500 ms) and of ISO/IEC 13818-1 (PCR every 100 ms).
    fn default() -> Self {
        Self {
            program: None,
            tracks: Selection::All,
            continuity_errors: 0,
            pcr_interval: Duration::from_millis(100),
            table_interval: Duration::from_millis(500),
            pts_jump: Duration::from_secs(1),
        }
    }
}

/// A transport stream that is being looked at.
pub(crate) struct Analysis {
    pub(super) rules: Rules,
    pub(super) framer: Framer,
    pub(super) monitor: Monitor,
    inspector: Inspector,
    /// Enough is known of the streams.
    resting: bool,
    /// Since when the streams are being looked into again, and by whom.
    anew: Option<(Duration, Inspector)>,
    /// The beginning of what came, for the sentence about foreign bytes.
    beginning: Vec<u8>,
    bytes: u64,
    first: Option<Duration>,
    last: Duration,
    longest_gap: Duration,
    /// Whether the bytes come when they were sent, so that arrival tells something.
    pub(super) live: bool,
}

impl Analysis {
    /// Nothing received yet. `live`: the bytes come as they are sent, and are not kept back by a server.
    pub(crate) fn new(rules: Rules, live: bool) -> Self {
        let monitor = Monitor::new(rules.pts_jump);
        Self {
            rules,
            framer: Framer::new(),
            monitor,
            inspector: Inspector::new(),
            resting: false,
            anew: None,
            beginning: Vec::new(),
            bytes: 0,
            first: None,
            last: Duration::ZERO,
            longest_gap: Duration::ZERO,
            live,
        }
    }

    /// Takes a datagram that arrived at `now`, since any fixed moment.
    pub(crate) fn datagram(&mut self, bytes: &[u8], now: Duration) {
        self.take(Piece { bytes, datagram: true, lost: None }, now, &mut |_, _| {});
    }

    /// Takes what arrived at `now`, since any fixed moment, and hands over its packets and what they were.
    pub(crate) fn take(&mut self, piece: Piece<'_>, now: Duration, each: &mut dyn FnMut(&[u8; PACKET_BYTES], Step)) {
        let bytes = piece.bytes;
        if self.first.is_some() {
            self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last));
        }
        self.first.get_or_insert(now);
        self.last = now;
        self.bytes += bytes.len() as u64;
        if self.beginning.len() < QUOTED {
            self.beginning.extend(bytes.iter().take(QUOTED - self.beginning.len()));
        }
        let (monitor, inspector, program) = (&mut self.monitor, &mut self.inspector, self.rules.program);
        let mut looking = match &mut self.anew {
            Some((_, anew)) => Some(anew),
            None => Some(inspector).filter(|_| !self.resting),
        };
        let mut each = |packet: &[u8; PACKET_BYTES]| {
            let Some(step) = monitor.packet(packet, now) else { return };
            if let Some(inspector) = &mut looking
                && is_wanted(monitor, program, &step)
            {
                inspector.push(packet);
            }
            each(packet, step);
        };
        match piece.datagram {
            true => self.framer.datagram(bytes, &mut each),
            false => self.framer.push(bytes, &mut each),
        }
    }

    /// Everything is known: from here on only counts are kept.
    pub(super) fn rest(&mut self) {
        self.resting = true;
        self.inspector.rest();
    }

    /// Looks into the streams again, because they may have changed.
    pub(super) fn read_anew(&mut self) {
        self.anew = Some((self.last, Inspector::new()));
    }

    /// Whether they were looked into again and are known now. What could not be known in time stays as it was.
    pub(super) fn has_read_anew(&mut self) -> bool {
        let Some((since, anew)) = self.anew.take() else { return false };
        let known = {
            let mut streams = self.rules.selected(anew.streams()).peekable();
            streams.peek().is_some() && streams.all(|stream| stream.is_known() && has_media(stream))
        };
        if known {
            self.inspector = anew;
            self.inspector.rest();
        } else if self.last.saturating_sub(since) < MAX_READING {
            self.anew = Some((since, anew));
        }
        known
    }

    /// Begins to count anew.
    pub(super) fn renew(&mut self) {
        self.monitor.renew();
        self.framer.renew();
        (self.first, self.longest_gap) = (None, Duration::ZERO);
    }

    /// The track of a stream.
    pub(super) fn track(&self, pid: u16) -> Option<Track> {
        self.selected().find(|stream| stream.announced.pid == pid).map(track)
    }

    /// Octets received.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Time that what came covers: by its arrival, or by its own clock where a server sends faster than it plays.
    pub(crate) fn covered(&self) -> Duration {
        let by_arrival = self.last.saturating_sub(self.first.unwrap_or(self.last));
        match self.monitor.stream_time().filter(|_| !self.live) {
            Some(by_clock) => by_clock.max(by_arrival),
            None => by_arrival,
        }
    }

    /// When the last bytes came.
    pub(super) fn last(&self) -> Duration {
        self.last
    }

    /// Longest time in which nothing came.
    pub(super) fn longest_gap(&self) -> Duration {
        self.longest_gap
    }

    /// Whether bytes enough came and no packet was in them.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.framer.is_hopeless()
    }

    /// Whether the tables of the selected programs have come.
    pub(crate) fn is_described(&self) -> bool {
        let mut programs = self.programs().peekable();
        programs.peek().is_some() && programs.all(|program| program.map.is_some())
    }

    /// Whether every selected track brought media and says what it is.
    pub(crate) fn is_known(&self) -> bool {
        let mut tracks = self.selected().peekable();
        self.is_described() && tracks.peek().is_some() && tracks.all(|stream| stream.is_known() && has_media(stream))
    }

    /// Whether every selected track brought media, or cannot be read.
    pub(crate) fn is_proven(&self) -> bool {
        let mut tracks = self.selected().peekable();
        self.is_described() && tracks.peek().is_some() && tracks.all(has_media)
    }

    /// The programs that are looked at.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Program> {
        let wanted = self.rules.program;
        self.monitor.programs().iter().filter(move |program| wanted.is_none_or(|number| number == program.number))
    }

    /// The maps of the programs that are looked at.
    pub(super) fn maps(&self) -> impl Iterator<Item = &Pmt> {
        self.programs().filter_map(|program| program.map.as_ref())
    }

    /// The selected streams in the order of the tables.
    pub(in crate::kinds) fn selected(&self) -> impl Iterator<Item = &StreamInfo> {
        self.rules.selected(self.inspector.streams())
    }

    /// Notes what came: tracks, facts, findings, what is proven.
    pub(crate) fn note(&self, reading: &mut Reading) {
        if self.framer.packets() == 0 {
            return;
        }
        reading.proven = Some(Depth::Reach);
        reading.tracks = self.selected().map(track).collect();
        if self.is_described() {
            reading.proven = Some(Depth::Describe);
        }
        if self.is_proven() {
            let scrambled = self.selected().filter(|stream| stream.scrambled > 0).count();
            match scrambled {
                0 => reading.proven = Some(Depth::Media),
                _ => {
                    let text = format!("{scrambled} of the streams are scrambled: their media cannot be proven");
                    reading.find("encryption_unproven", Severity::Note, text);
                    reading.text(fact::ENCRYPTION, "scrambled packets");
                }
            }
        }
        self.note_measures(reading);
    }

    /// Notes what was counted and what is wrong.
    pub(super) fn note_measures(&self, reading: &mut Reading) {
        self.note_facts(reading);
        findings::find(self, reading);
    }

    fn note_facts(&self, reading: &mut Reading) {
        let totals = self.monitor.totals();
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let ms = |time: Duration| time.as_micros() as f64 / 1_000.0;
        reading.int(fact::PACKET_BYTES, self.framer.stride().unwrap_or(PACKET_BYTES) as i64);
        reading.int(fact::TS_PACKETS, count(totals.packets));
        reading.int(fact::CONTINUITY_ERRORS, count(totals.continuity_errors));
        reading.int(fact::SYNC_LOSSES, count(self.framer.sync_losses()));
        reading.int(fact::TRANSPORT_ERRORS, count(totals.damaged));
        reading.int(fact::TABLE_ERRORS, count(totals.table_errors));
        reading.int(fact::SCRAMBLED_PACKETS, count(totals.scrambled));
        reading.int(fact::PROGRAMS, self.monitor.programs().len() as i64);
        if let Some(longest) = self.monitor.longest(&self.monitor.pat_interval()) {
            reading.num(fact::PAT_INTERVAL_MS, ms(longest));
        }
        if let Some(longest) = self.programs().filter_map(|program| self.monitor.longest(&program.interval)).max() {
            reading.num(fact::PMT_INTERVAL_MS, ms(longest));
        }
        if let Some(longest) = findings::clocks(self).filter_map(|(_, clock)| findings::pcr_interval(self, clock)).max()
        {
            reading.num(fact::PCR_INTERVAL_MS, ms(longest));
        }
        if let Some(jitter) = findings::clocks(self).filter_map(|(_, clock)| clock.arrival_jitter()).max()
            && self.live
        {
            reading.num(fact::PCR_JITTER_MS, ms(jitter));
        }
        if let Some(worst) = findings::clocks(self).filter_map(|(_, clock)| clock.accuracy_ns()).reduce(f64::max) {
            reading.num(fact::PCR_ACCURACY_NS, worst.round());
        }
        let videos = self.selected().filter(|stream| stream.announced.codec.is_video());
        let key = videos.filter_map(|s| self.monitor.pid(s.announced.pid)).map(|pid| pid.times.longest_key).max();
        if let Some(key) = key.filter(|ticks| *ticks > 0) {
            reading.int(fact::KEYFRAME_INTERVAL_MS, count(key / 90));
        }
        let sent = totals.packets + totals.lost;
        reading.num(fact::LOSS_RATIO, totals.lost as f64 / sent.max(1) as f64);
        if let Some(service) = self.service() {
            reading.text(fact::STREAM_NAME, service);
        }
        self.note_rates(reading);
    }

    /// Name of the service that is looked at.
    fn service(&self) -> Option<&str> {
        let number = self.programs().next()?.number;
        self.monitor.services().iter().find(|(known, _)| *known == number).map(|(_, name)| name.as_str())
    }

    /// Bit rates: of everything, of the media, and PID by PID, the largest first.
    fn note_rates(&self, reading: &mut Reading) {
        let Some(rate) = self.monitor.packet_rate() else { return };
        let totals = self.monitor.totals();
        if totals.packets == 0 {
            return;
        }
        let seconds = totals.packets as f64 / rate;
        let bits = |bytes: u64| (bytes as f64 * 8.0 / seconds).round();
        reading.int(fact::TS_BITRATE_BPS, bits(totals.packets * PACKET_BYTES as u64) as i64);
        reading.num(fact::NULL_RATIO, (totals.null as f64 / totals.packets as f64 * 10_000.0).round() / 10_000.0);
        let media = self.selected().filter_map(|stream| self.monitor.pid(stream.announced.pid));
        reading.int(fact::MEASURED_BITRATE_BPS, bits(media.map(|pid| pid.payload_bytes).sum()) as i64);
        let video = self.selected().find(|stream| stream.announced.codec.is_video());
        let times = video.and_then(|stream| self.monitor.pid(stream.announced.pid)).map(|pid| pid.times);
        if let Some(times) = times.filter(|times| times.elapsed > 0 && times.jumps == 0) {
            let fps = times.steps as f64 * 90_000.0 / times.elapsed as f64;
            reading.num(fact::MEASURED_FPS, (fps * 100.0).round() / 100.0);
        }
        let mut pids: Vec<_> = self.monitor.pids().iter().filter(|pid| pid.packets > 0).collect();
        pids.sort_by_key(|pid| (std::cmp::Reverse(pid.packets), pid.pid));
        let told = pids.iter().take(MAX_TOLD_PIDS).map(|pid| {
            let kbps = bits(pid.packets * PACKET_BYTES as u64) / 1_000.0;
            format!("{} {} {kbps:.0}", pid.pid, self.what(pid.pid, pid.role))
        });
        let mut text = told.collect::<Vec<_>>().join(", ");
        if pids.len() > MAX_TOLD_PIDS {
            let rest: u64 = pids[MAX_TOLD_PIDS..].iter().map(|pid| pid.packets).sum();
            let kbps = bits(rest * PACKET_BYTES as u64) / 1_000.0;
            text += &format!(", {} more {kbps:.0}", pids.len() - MAX_TOLD_PIDS);
        }
        reading.text(fact::PID_BITRATES, text + " kbit/s");
    }

    /// What travels under a PID, in one word.
    fn what(&self, pid: u16, role: Role) -> &'static str {
        let announced = || {
            let maps = self.monitor.programs().iter().filter_map(|program| program.map.as_ref());
            maps.flat_map(|map| &map.streams).find(|stream| stream.pid == pid).map(|stream| stream.codec.as_str())
        };
        match role {
            Role::Pat => "pat",
            Role::Pmt => "pmt",
            Role::Table => "table",
            Role::Null => "null",
            Role::Stream => announced().unwrap_or("stream"),
            Role::Unknown => "unknown",
        }
    }

    /// Why there is no proof of media. `why` says until when it was waited for: "within 8 s".
    pub(crate) fn fault(&self, why: &str) -> Fault {
        let fault = |kind, words: String| Fault::new(kind, Phase::Media, words);
        if self.bytes == 0 {
            return fault(FaultKind::NoMedia, format!("not one byte came {why}"));
        }
        let packets = self.framer.packets();
        if packets == 0 && self.bytes < MIN_TELLING_BYTES {
            return fault(
                FaultKind::NoMedia,
                format!("{} bytes came {why}, too few for a transport stream", self.bytes),
            );
        }
        if packets == 0 {
            return self.foreign();
        }
        if self.monitor.pat_interval().count() == 0 {
            let words = format!("{packets} packets and no program association table (PAT) came {why}");
            return fault(FaultKind::NoMedia, words);
        }
        if let Some(number) = self.rules.program.filter(|_| self.programs().next().is_none()) {
            let known: Vec<_> = self.monitor.programs().iter().map(|program| program.number.to_string()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let words = format!("there is no program {number} in this stream, which has {known}");
            return fault(FaultKind::NotFound, words);
        }
        if self.programs().next().is_none() {
            return fault(FaultKind::NoMedia, "the program association table lists no program".to_owned());
        }
        if let Some(program) = self.programs().find(|program| program.map.is_none()) {
            let words = format!("no map (PMT, PID {}) of program {} came {why}", program.pid, program.number);
            return fault(FaultKind::NoMedia, words);
        }
        let Some(silent) = self.selected().find(|stream| !has_media(stream)) else {
            let what = match self.rules.tracks {
                Selection::All => "neither pictures nor sound",
                Selection::Video => "no pictures",
                Selection::Audio => "no sound",
            };
            return fault(FaultKind::NoMedia, format!("the tables announce {what}"));
        };
        let (codec, pid) = (silent.announced.codec.as_str(), silent.announced.pid);
        let came = self.monitor.pid(pid).map_or(0, |pid| pid.packets);
        let words = match came {
            0 => format!("{codec} is announced on PID {pid} and not one packet of it came {why}"),
            _ => format!("{came} packets came on PID {pid} {why} and not one frame of {codec} in them"),
        };
        fault(FaultKind::NoMedia, words)
    }

    /// The fault of bytes that are no transport stream.
    pub(crate) fn foreign(&self) -> Fault {
        let octets: Vec<String> = self.beginning.iter().map(|octet| format!("{octet:02x}")).collect();
        let text = self.beginning.trim_ascii_start();
        let what = match self.beginning.as_slice() {
            _ if text.starts_with(b"<") => "a page instead of a transport stream",
            _ if text.starts_with(b"#EXTM3U") => "an HLS playlist: the kind hls looks at those",
            _ => "no packets of a transport stream (sync byte 0x47 every 188, 192, 204 or 208 bytes)",
        };
        let words = format!("{what} in {} bytes (begins {})", self.bytes, octets.join(" "));
        Fault::protocol(Phase::Media, words)
    }
}

/// A stream as a track.
fn track(stream: &StreamInfo) -> Track {
    let mut track = elementary(&stream.seen, stream.announced.channels);
    track.proven = stream.seen.frames() > 0 && stream.scrambled == 0;
    track
}

/// Whether the stream brought media, or cannot be read at all.
fn has_media(stream: &StreamInfo) -> bool {
    stream.seen.frames() > 0 || stream.scrambled > 0
}

/// Whether a packet belongs to what is looked into: the tables that lead there and its streams.
fn is_wanted(monitor: &Monitor, program: Option<u16>, step: &Step) -> bool {
    let Some(number) = program else { return true };
    let mut programs = monitor.programs().iter().filter(|program| program.number == number);
    match monitor.pid(step.pid).map(|pid| pid.role) {
        Some(Role::Pat) => true,
        Some(Role::Pmt) => programs.any(|program| program.pid == step.pid),
        Some(Role::Stream) => programs
            .filter_map(|program| program.map.as_ref())
            .any(|map| map.streams.iter().any(|stream| stream.pid == step.pid)),
        _ => false,
    }
}

/// The medium of a stream.
pub(super) fn media_of(stream: &StreamInfo) -> Media {
    if stream.announced.codec.is_video() { Media::Video } else { Media::Audio }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
