//! A held connection: every transport packet is counted to its track, parameters are looked at again from time to time, the
//! link's measures are noted each second. Owns which stream is which track; judges no silence.

use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading};
use model::time::Mono;
use tokio::time::Instant;
use wire::srt::Delivery;
use wire::ts::{PACKET_BYTES, SYNC, find_sync, parse_packet, parse_pes};

use super::flow::Flow;
use super::session::Session;
use crate::kinds::mpegts::analysis::Rules;
use crate::live::{Batch, Live, Packet};

/// Time between two notes of the link's measures.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Time between the beginnings of two looks at the parameters of the streams.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Wrap of the times in PES headers, and their ticks.
const TIME_WRAP: u64 = 1 << 33;
const TICKS_PER_S: u64 = 90_000;

/// One track of the held session.
struct Line {
    pid: u16,
    /// Octets that nobody was told of.
    bytes: usize,
    /// An access unit that began among them: its time, and whether a decoder may begin there.
    begun: Option<(Option<Duration>, bool)>,
    /// Its last time, and how often times have wrapped.
    last: u64,
    wraps: u64,
}

impl Line {
    fn new(pid: u16) -> Self {
        Self { pid, bytes: 0, begun: None, last: 0, wraps: 0 }
    }

    /// A time without wraps.
    fn unwrapped(&mut self, time: u64) -> Duration {
        if time + TIME_WRAP / 2 < self.last {
            self.wraps += 1;
        }
        // A time shortly before the wrap may come after one behind it.
        let wraps = if time > self.last + TIME_WRAP / 2 && self.wraps > 0 { self.wraps - 1 } else { self.wraps };
        if wraps == self.wraps {
            self.last = time;
        }
        let ticks = wraps * TIME_WRAP + time;
        Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / 10_000) / (TICKS_PER_S / 10_000))
    }
}

/// What a held connection brings.
pub(super) struct Pulse {
    lines: Vec<Line>,
    rules: Rules,
    flow: Flow,
    /// Whether the parameters are being looked at.
    looking: bool,
    /// The beginning of a transport packet that a datagram cut.
    rest: Vec<u8>,
    /// Packets of the connection that were lost since the last one told of.
    lost: u32,
}

impl Pulse {
    /// Goes on from a look at the stream's beginning.
    pub(super) fn new(flow: &Flow, rules: &Rules) -> Self {
        let lines = flow.streams().map(|stream| Line::new(stream.announced.pid)).collect();
        Self {
            lines,
            flow: Flow::new(rules, Depth::Media),
            rules: rules.clone(),
            looking: false,
            rest: Vec::new(),
            lost: 0,
        }
    }

    /// Reads until the connection ends.
    pub(super) async fn follow(mut self, session: &mut Session, live: &Live) -> Result<(), Fault> {
        let (mut noted, mut looked) = (Instant::now(), Instant::now());
        loop {
            session.ready().await?;
            let (here, elapsed) = (live.now().0, session.elapsed());
            let at = |now: Duration| Mono(here.saturating_sub(elapsed.saturating_sub(now)));
            let ended = live.batch(|batch| {
                let ended = session.take(&mut |delivery, now| self.push(delivery, now, at(now), batch));
                let now = Instant::now();
                if now.duration_since(noted) >= NOTE_EVERY {
                    noted = now;
                    session.note(batch.reading());
                }
                if self.looking && self.flow.is_enough() {
                    self.looking = false;
                    self.refresh(batch.reading());
                }
                if now.duration_since(looked) >= LOOK_EVERY {
                    looked = now;
                    self.looking = true;
                    self.flow = Flow::new(&self.rules, Depth::Media);
                }
                ended
            });
            if let Err(ended) = ended {
                live.reading(|reading| session.note(reading));
                let kind = if ended.silent { FaultKind::Stale } else { FaultKind::NoMedia };
                return Err(Fault::new(kind, Phase::Media, format!("media came until {}", ended.words)));
            }
        }
    }

    fn push(&mut self, delivery: Delivery<'_>, now: Duration, at: Mono, batch: &mut Batch<'_>) {
        if self.looking {
            self.flow.push(delivery, now);
        }
        self.lost = self.lost.saturating_add(delivery.lost);
        if self.rest.is_empty()
            && delivery.bytes.first() == Some(&SYNC)
            && delivery.bytes.len().is_multiple_of(PACKET_BYTES)
        {
            return self.packets(delivery.bytes, at, batch);
        }
        // Datagrams that do not begin with a packet; libsrt's tools send whole ones.
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(delivery.bytes);
        let begin = find_sync(&bytes).unwrap_or(bytes.len());
        let end = bytes.len() - (bytes.len() - begin) % PACKET_BYTES;
        self.packets(&bytes[begin..end], at, batch);
        self.rest = bytes.split_off(end);
    }

    /// Counts transport packets to their tracks: what belongs to one track is told as one, up to the next access unit.
    fn packets(&mut self, bytes: &[u8], at: Mono, batch: &mut Batch<'_>) {
        for packet in bytes.as_chunks::<PACKET_BYTES>().0 {
            let Some(packet) = parse_packet(packet).filter(|packet| !packet.payload.is_empty()) else { continue };
            let Some(track) = self.lines.iter().position(|line| line.pid == packet.pid) else { continue };
            if packet.start {
                self.tell(track, at, batch);
                let time = parse_pes(packet.payload).and_then(|header| header.dts);
                let line = &mut self.lines[track];
                line.begun = Some((time.map(|time| line.unwrapped(time)), packet.random_access));
            }
            self.lines[track].bytes += packet.payload.len();
        }
        (0..self.lines.len()).for_each(|track| self.tell(track, at, batch));
    }

    fn tell(&mut self, track: usize, at: Mono, batch: &mut Batch<'_>) {
        let line = &mut self.lines[track];
        let bytes = std::mem::take(&mut line.bytes);
        if bytes == 0 {
            return;
        }
        let begun = line.begun.take();
        let (media_time, key) = begun.unwrap_or((None, false));
        let lost = i32::try_from(std::mem::take(&mut self.lost)).unwrap_or(i32::MAX);
        batch.packet(Packet {
            track,
            bytes,
            at,
            timed: true,
            media_time,
            frame: begun.is_some(),
            key,
            lost: Some(lost),
        });
    }

    /// Takes the parameters that a new look found. A stream keeps its track; new ones get tracks of their own.
    fn refresh(&mut self, reading: &mut Reading) {
        let mut found = Reading::default();
        self.flow.note(&mut found);
        let pids: Vec<u16> = self.flow.streams().map(|stream| stream.announced.pid).collect();
        for (pid, track) in pids.into_iter().zip(found.tracks) {
            match self.lines.iter().position(|line| line.pid == pid) {
                Some(known) => reading.tracks[known] = track,
                None => {
                    self.lines.push(Line::new(pid));
                    reading.tracks.push(track);
                }
            }
        }
        reading.facts.extend(found.facts);
        reading.findings = found.findings;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_on_across_their_wrap() {
        let mut line = Line::new(1);
        let before = line.unwrapped(TIME_WRAP - 9_000);
        let after = line.unwrapped(9_000);
        assert_eq!((after - before).as_millis(), 200);
        assert_eq!(line.unwrapped(TIME_WRAP - 9_000), before, "what was shown later may come first");
        assert_eq!((line.unwrapped(99_000) - after).as_millis(), 1000);
    }
}
