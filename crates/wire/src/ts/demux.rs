//! From bytes to whole PES: finds packets, follows the tables, collects the streams that carry media.
//!
//! Owns the bounds of what is held. Never looks into a PES; data streams are left out.

use super::{
    Event::{Program, Unit},
    PACKET_BYTES, PAT_PID, Packet, PesHeader, Pmt, SYNC, SYNC_RUN, Sections, find_run, parse_packet, parse_pat,
    parse_pes, parse_pmt,
};

/// Octets searched for the first packet before bytes are called something else.
const MAX_SEARCH_BYTES: usize = 64 * 1024;
/// Largest PES collected: an intra picture in 2160p; what is longer is cut.
const MAX_PES_BYTES: usize = 4 * 1024 * 1024;
/// Octets held for all streams together.
const MAX_HELD_BYTES: usize = 12 * 1024 * 1024;
/// Most programs followed; HLS has one.
const MAX_PROGRAMS: usize = 16;
/// Most streams collected.
const MAX_STREAMS: usize = 32;

/// Something complete.
#[derive(Debug)]
pub enum Event<'a> {
    /// A program map table, at first and whenever it changes.
    Program(&'a Pmt),
    /// A PES.
    Unit(Pes<'a>),
}

/// A whole PES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pes<'a> {
    /// Which stream.
    pub pid: u16,
    /// Its header.
    pub header: PesHeader,
    /// What is inside.
    pub data: &'a [u8],
    /// It cannot be read without a key.
    pub scrambled: bool,
}

/// One stream that is being collected.
#[derive(Debug)]
struct Collected {
    pid: u16,
    bytes: Vec<u8>,
    scrambled: bool,
    open: bool,
}

/// Bytes of a transport stream to tables and PES.
#[derive(Debug, Default)]
pub struct Demuxer {
    buffer: Vec<u8>,
    synced: bool,
    searched: usize,
    packets: u64,
    sync_losses: u64,
    pat: Sections,
    programs: Vec<(u16, Sections, Option<Pmt>)>,
    streams: Vec<Collected>,
    held: usize,
}

impl Demuxer {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Packets read.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// How often packets did not follow one another.
    #[must_use]
    pub fn sync_losses(&self) -> u64 {
        self.sync_losses
    }

    /// Whether bytes enough came and no packet was in them.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.packets == 0 && self.searched > MAX_SEARCH_BYTES
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event<'_>)) {
        if self.is_hopeless() {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let used = self.walk(&buffer, false, each);
        self.buffer = buffer;
        self.buffer.drain(..used);
    }

    /// Takes note of the end: what is collected is complete.
    pub fn finish(&mut self, each: &mut dyn FnMut(Event<'_>)) {
        if !self.is_hopeless() {
            let buffer = std::mem::take(&mut self.buffer);
            self.walk(&buffer, true, each);
        }
        for index in 0..self.streams.len() {
            self.close(index, each);
        }
    }

    /// Reads the packets of `buffer`; how many octets were used.
    fn walk(&mut self, buffer: &[u8], last: bool, each: &mut dyn FnMut(Event<'_>)) -> usize {
        let mut at = 0;
        loop {
            let rest = &buffer[at..];
            if !self.synced {
                match self.search(rest, last) {
                    Ok(begin) => at += begin,
                    Err(skipped) => return at + skipped,
                }
                continue;
            }
            let Some(packet) = rest.first_chunk::<PACKET_BYTES>() else { return at };
            if packet[0] != SYNC {
                self.synced = false;
                self.sync_losses += 1;
                continue;
            }
            self.packets += 1;
            if let Some(packet) = parse_packet(packet).filter(|packet| !packet.damaged) {
                self.packet(&packet, each);
            }
            at += PACKET_BYTES;
        }
    }

    /// Where the packets begin in `rest`, or how many octets are certainly none.
    fn search(&mut self, rest: &[u8], last: bool) -> Result<usize, usize> {
        // Fewer than a run of packets only count when nothing can follow.
        let least = if last { 1 } else { SYNC_RUN };
        let keep = if last { 0 } else { SYNC_RUN * PACKET_BYTES - 1 };
        let found = find_run(rest, least);
        let passed = found.unwrap_or(rest.len().saturating_sub(keep));
        self.searched += passed;
        if self.is_hopeless() {
            return Err(rest.len());
        }
        self.synced = found.is_some();
        found.ok_or(passed)
    }

    fn packet(&mut self, packet: &Packet<'_>, each: &mut dyn FnMut(Event<'_>)) {
        if packet.payload.is_empty() {
            return;
        }
        if packet.pid == PAT_PID {
            let programs = &mut self.programs;
            self.pat.push(packet.start, packet.payload, |section| {
                let Some(pat) = section.ok().and_then(|section| parse_pat(&section)) else { return };
                for (_, pid) in pat.0 {
                    if programs.len() < MAX_PROGRAMS && !programs.iter().any(|(known, ..)| *known == pid) {
                        programs.push((pid, Sections::default(), None));
                    }
                }
            });
            return;
        }
        if let Some((_, sections, known)) = self.programs.iter_mut().find(|(pid, ..)| *pid == packet.pid) {
            let mut changed = false;
            sections.push(packet.start, packet.payload, |section| {
                let pmt = section.ok().and_then(|section| parse_pmt(&section));
                if pmt.is_some() && pmt != *known {
                    *known = pmt;
                    changed = true;
                }
            });
            if let Some(pmt) = known.as_ref().filter(|_| changed) {
                follow(&mut self.streams, pmt);
                each(Program(pmt));
            }
            return;
        }
        if let Some(index) = self.streams.iter().position(|stream| stream.pid == packet.pid) {
            self.collect(index, packet, each);
        }
    }

    fn collect(&mut self, index: usize, packet: &Packet<'_>, each: &mut dyn FnMut(Event<'_>)) {
        if packet.start {
            self.close(index, each);
            self.streams[index].open = true;
        }
        let stream = &mut self.streams[index];
        if !stream.open {
            return;
        }
        stream.scrambled |= packet.scrambled;
        let fits = stream.bytes.len() < MAX_PES_BYTES && self.held < MAX_HELD_BYTES;
        if fits {
            stream.bytes.extend_from_slice(packet.payload);
            self.held += packet.payload.len();
        }
        // A PES that says its length is complete when that has come; sound is, pictures often are not.
        let announced = match stream.bytes.as_slice() {
            [0, 0, 1, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        if announced > 0 && stream.bytes.len() >= 6 + announced {
            self.held -= stream.bytes.len() - (6 + announced);
            stream.bytes.truncate(6 + announced);
            self.close(index, each);
        }
    }

    fn close(&mut self, index: usize, each: &mut dyn FnMut(Event<'_>)) {
        let stream = &mut self.streams[index];
        self.held -= stream.bytes.len();
        if stream.open {
            let bare = PesHeader { stream_id: 0, pts: None, dts: None, header_bytes: 0 };
            // A scrambled header cannot be read, which is no reason not to tell of it.
            let header = parse_pes(&stream.bytes).or(stream.scrambled.then_some(bare));
            if let Some(header) = header
                && let Some(data) = stream.bytes.get(header.header_bytes..)
            {
                each(Unit(Pes { pid: stream.pid, header, data, scrambled: stream.scrambled }));
            }
        }
        stream.bytes.clear();
        stream.open = false;
        stream.scrambled = false;
    }
}

/// Begins to collect the streams of a program that carry media.
fn follow(streams: &mut Vec<Collected>, pmt: &Pmt) {
    for stream in pmt.streams.iter().filter(|stream| !stream.codec.is_data()) {
        if streams.len() < MAX_STREAMS && !streams.iter().any(|known| known.pid == stream.pid) {
            streams.push(Collected { pid: stream.pid, bytes: Vec::new(), scrambled: false, open: false });
        }
    }
}
