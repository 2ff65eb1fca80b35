//! Counts what ETSI TR 101 290 wants counted, packet by packet: continuity, tables and their intervals, clocks, time stamps.
//!
//! Never keeps a packet and never looks into a picture: that is the inspector's. Judges nothing. Bounded by
//! [`MAX_PIDS`] and the bounds of the tables.

use std::time::Duration;

use super::clock::Clock;
use super::{
    NULL_PID, PACKET_BYTES, PAT_PID, Packet, Pmt, Section, SectionError, Sections, parse_packet, parse_pat, parse_pes,
    parse_pmt, parse_sdt,
};

/// PID of the table that says how scrambled programs are opened.
const CAT_PID: u16 = 1;
/// PID of the table that names the services (EN 300 468).
const SDT_PID: u16 = 0x11;
/// PIDs below this one are tables of standards and nobody's streams.
const FIRST_FREE_PID: u16 = 0x20;
/// PIDs told apart; multiplexes have about a hundred. An index of one octet must do.
const MAX_PIDS: usize = 254;
/// Programs followed.
const MAX_PROGRAMS: usize = 64;
/// Wrap of time stamps, in ticks of 90 kHz.
const WRAP: u64 = 1 << 33;
/// Where a counter has not begun.
const NO_COUNT: u8 = 0xff;

/// What travels under a PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nobody announced it (yet).
    Unknown,
    /// The program association table.
    Pat,
    /// A program map table.
    Pmt,
    /// Another table: network, services, time, conditional access.
    Table,
    /// A stream of a program.
    Stream,
    /// Nothing: it only fills.
    Null,
}

/// What was seen under a PID.
#[derive(Debug, Clone)]
pub struct Pid {
    /// Which.
    pub pid: u16,
    /// What the tables say of it.
    pub role: Role,
    /// Packets.
    pub packets: u64,
    /// Octets of payload.
    pub payload_bytes: u64,
    /// Packets that cannot be read without a key.
    pub scrambled: u64,
    /// Times that the counter did not go on.
    pub continuity_errors: u64,
    /// Packets missing at least, by the counter: it cannot tell 16 from none.
    pub lost: u64,
    /// Program clock that travels here.
    pub clock: Option<Box<Clock>>,
    /// Time stamps of its PES.
    pub times: Times,
    counter: u8,
    repeated: bool,
}

/// Time stamps of one stream, by the decoding time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    last: Option<u64>,
    /// Time stamps seen.
    pub count: u64,
    /// Steps that were no jumps.
    pub steps: u64,
    /// Sum of all steps that were no jumps, in ticks of 90 kHz.
    pub elapsed: u64,
    /// Longest step that was no jump, in ticks of 90 kHz.
    pub longest: u64,
    /// Steps longer than the threshold, or back by more.
    pub jumps: u64,
    /// How far the last jump went, in ticks of 90 kHz; negative is back.
    pub last_jump: i64,
    /// Longest time between two places where a decoder may begin, in ticks of 90 kHz; 0 before the second.
    pub longest_key: u64,
    last_key: Option<u64>,
}

impl Times {
    fn renew(&mut self) {
        *self = Self { last: self.last, last_key: self.last_key, ..Self::default() };
    }

    fn push(&mut self, time: u64, threshold: u64, may_jump: bool, key: bool) {
        self.count += 1;
        if key && let Some(last) = self.last_key.replace(time) {
            let step = time.wrapping_sub(last) % WRAP;
            self.longest_key = self.longest_key.max(if step > WRAP / 2 { 0 } else { step });
        }
        let Some(last) = self.last.replace(time) else { return };
        let step = time.wrapping_sub(last) % WRAP;
        let back = step > WRAP / 2;
        let size = if back { WRAP - step } else { step };
        if size > threshold || may_jump {
            self.last_key = None;
            if !may_jump {
                self.jumps += 1;
                self.last_jump = if back { -size.cast_signed() } else { size.cast_signed() };
            }
        } else if !back {
            self.steps += 1;
            self.elapsed += step;
            self.longest = self.longest.max(step);
        } else {
            // Pictures out of order: the way back belongs to the way forth.
            self.steps += 1;
            self.elapsed = self.elapsed.saturating_sub(size);
        }
    }
}

/// When a table came, and the longest time between two of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    last: Option<(Duration, Duration)>,
    longest: Option<Duration>,
    count: u64,
}

impl Interval {
    /// `times` are those of the stream's clock and of the arrival: the lesser difference counts, because a burst moves the one and
    /// a jump the other.
    fn push(&mut self, times: (Duration, Duration)) {
        self.count += 1;
        if let Some(last) = self.last.replace(times) {
            let step = lesser(last, times);
            self.longest = Some(self.longest.map_or(step, |longest| longest.max(step)));
        }
    }

    fn renew(&mut self) {
        self.longest = None;
    }

    /// How often it came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Longest time between two; `None` before the second. [`Monitor::longest`] knows of the time since the last one, too.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.longest
    }
}

fn lesser(from: (Duration, Duration), to: (Duration, Duration)) -> Duration {
    to.0.saturating_sub(from.0).max(Duration::ZERO).min(to.1.saturating_sub(from.1))
}

/// A program that the association table lists.
#[derive(Debug)]
pub struct Program {
    /// Its number.
    pub number: u16,
    /// PID of its map.
    pub pid: u16,
    /// Its map, once it came.
    pub map: Option<Pmt>,
    /// How often the map comes.
    pub interval: Interval,
    sections: Sections,
}

/// Sums over the whole stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets.
    pub packets: u64,
    /// Packets that a sender or receiver on the way marked as damaged.
    pub damaged: u64,
    /// Packets that only fill.
    pub null: u64,
    /// Packets of streams that cannot be read without a key.
    pub scrambled: u64,
    /// Times that a counter did not go on.
    pub continuity_errors: u64,
    /// Packets missing at least.
    pub lost: u64,
    /// Tables whose checksum is wrong, or that cannot be read.
    pub table_errors: u64,
    /// Packets with a header that contradicts itself, and packets of more PIDs than are told apart.
    pub odd: u64,
}

/// What one packet was, for whoever follows a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which PID.
    pub pid: u16,
    /// Its place in [`Monitor::pids`].
    pub slot: usize,
    /// Octets of payload.
    pub payload: usize,
    /// An access unit begins.
    pub start: bool,
    /// A decoder may begin here.
    pub random_access: bool,
    /// When to decode what begins here, in ticks of 90 kHz.
    pub time: Option<u64>,
    /// Packets missing before this one, at least.
    pub lost: u32,
}

/// Watches packets go by.
#[derive(Debug)]
pub struct Monitor {
    index: Box<[u8; 1 << 13]>,
    pids: Vec<Pid>,
    pat: Sections,
    pat_interval: Interval,
    cat: bool,
    sdt: Sections,
    services: Vec<(u16, String)>,
    programs: Vec<Program>,
    totals: Totals,
    /// Packets before the one that is looked at, since the beginning: where clocks stand.
    place: u64,
    map_changes: u64,
    jump: u64,
    /// PID of the clock that tables are timed by.
    clock_pid: Option<u16>,
    first: Option<Duration>,
    last: Duration,
}

impl Monitor {
    /// Nothing seen yet. Steps of time stamps longer than `jump`, or back by more, are jumps.
    #[must_use]
    pub fn new(jump: Duration) -> Self {
        let jump = u64::try_from(jump.as_micros() * 9 / 100).unwrap_or(u64::MAX).min(WRAP / 2);
        Self {
            index: Box::new([0; 1 << 13]),
            pids: Vec::new(),
            pat: Sections::default(),
            pat_interval: Interval::default(),
            cat: false,
            sdt: Sections::default(),
            services: Vec::new(),
            programs: Vec::new(),
            totals: Totals::default(),
            place: 0,
            map_changes: 0,
            jump,
            clock_pid: None,
            first: None,
            last: Duration::ZERO,
        }
    }

    /// Takes a packet and when it arrived, since any fixed moment. `None` for one that cannot be used: damaged, contradictory.
    pub fn packet(&mut self, bytes: &[u8; PACKET_BYTES], arrival: Duration) -> Option<Step> {
        self.first.get_or_insert(arrival);
        self.last = arrival;
        self.totals.packets += 1;
        self.place += 1;
        let Some(packet) = parse_packet(bytes) else {
            self.totals.odd += 1;
            return None;
        };
        if packet.damaged {
            // Not even the PID can be believed.
            self.totals.damaged += 1;
            return None;
        }
        if packet.pid == NULL_PID {
            self.totals.null += 1;
        }
        let Some(slot) = self.slot(packet.pid) else {
            self.totals.odd += 1;
            return None;
        };
        let lost = self.count(slot, &packet);
        if let Some(ticks) = packet.pcr {
            let clock = self.pids[slot].clock.get_or_insert_default();
            clock.push(ticks, self.place - 1, arrival, packet.discontinuity);
            self.clock_pid.get_or_insert(packet.pid);
        }
        let mut step = Step {
            pid: packet.pid,
            slot,
            payload: packet.payload.len(),
            start: packet.start,
            random_access: packet.random_access,
            time: None,
            lost,
        };
        match self.pids[slot].role {
            Role::Stream if packet.start && !packet.scrambled => {
                step.time = parse_pes(packet.payload).and_then(|header| header.dts);
                if let Some(time) = step.time {
                    self.pids[slot].times.push(time, self.jump, packet.discontinuity, packet.random_access);
                }
            }
            Role::Pat | Role::Pmt | Role::Table if !packet.scrambled => self.table(&packet, arrival),
            _ => {}
        }
        Some(step)
    }

    /// Where the PID is kept; `None` when there are too many.
    fn slot(&mut self, pid: u16) -> Option<usize> {
        let entry = &mut self.index[usize::from(pid)];
        if *entry > 0 {
            return Some(usize::from(*entry) - 1);
        }
        if self.pids.len() >= MAX_PIDS {
            return None;
        }
        let role = match pid {
            PAT_PID => Role::Pat,
            NULL_PID => Role::Null,
            _ if pid < FIRST_FREE_PID => Role::Table,
            _ if self.programs.iter().any(|program| program.pid == pid) => Role::Pmt,
            _ if self.programs.iter().filter_map(|p| p.map.as_ref()).any(|map| announces(map, pid)) => Role::Stream,
            _ => Role::Unknown,
        };
        self.pids.push(Pid {
            pid,
            role,
            packets: 0,
            payload_bytes: 0,
            scrambled: 0,
            continuity_errors: 0,
            lost: 0,
            clock: None,
            times: Times::default(),
            counter: NO_COUNT,
            repeated: false,
        });
        *entry = u8::try_from(self.pids.len()).ok()?;
        Some(self.pids.len() - 1)
    }

    /// Counts a packet; how many are missing before it.
    fn count(&mut self, slot: usize, packet: &Packet<'_>) -> u32 {
        let pid = &mut self.pids[slot];
        pid.packets += 1;
        pid.payload_bytes += packet.payload.len() as u64;
        if packet.scrambled {
            pid.scrambled += 1;
            self.totals.scrambled += 1;
        }
        let last = std::mem::replace(&mut pid.counter, packet.continuity);
        if pid.pid == NULL_PID || last == NO_COUNT || packet.discontinuity {
            pid.repeated = false;
            return 0;
        }
        let ahead = packet.continuity.wrapping_sub(last) & 0x0f;
        // Without payload the counter stands still; with payload a packet may be sent twice, and no more.
        let (good, lost) = match (ahead, packet.payload.is_empty()) {
            (0, true) | (1, false) => (true, 0),
            (0, false) => (!pid.repeated, 0),
            (n, true) => (false, u32::from(n)),
            (n, false) => (false, u32::from(n) - 1),
        };
        pid.repeated = ahead == 0 && !packet.payload.is_empty();
        if !good {
            pid.continuity_errors += 1;
            pid.lost += u64::from(lost);
            self.totals.continuity_errors += 1;
            self.totals.lost += u64::from(lost);
        }
        lost
    }

    fn table(&mut self, packet: &Packet<'_>, arrival: Duration) {
        let now = (self.stream_time().unwrap_or(arrival), arrival);
        match packet.pid {
            PAT_PID => self.associate(packet, now),
            CAT_PID => self.cat = true,
            SDT_PID => {
                let services = &mut self.services;
                let errors = &mut self.totals.table_errors;
                self.sdt.push(packet.start, packet.payload, |section| match section {
                    Ok(section) => {
                        if let Some(found) = parse_sdt(&section) {
                            *services = found;
                        }
                    }
                    Err(error) => *errors += u64::from(is_damage(error)),
                });
            }
            _ => self.map(packet, now),
        }
    }

    fn associate(&mut self, packet: &Packet<'_>, now: (Duration, Duration)) {
        let mut found = None;
        let (errors, interval) = (&mut self.totals.table_errors, &mut self.pat_interval);
        self.pat.push(packet.start, packet.payload, |section| match section.map(|section| parse_pat(&section)) {
            Ok(Some(pat)) => {
                interval.push(now);
                found = Some(pat);
            }
            // Another table has no business here, and a damaged one is an error.
            Ok(None) | Err(_) => *errors += 1,
        });
        for (number, pid) in found.into_iter().flat_map(|pat| pat.0) {
            let known = self.programs.iter().any(|program| program.pid == pid && program.number == number);
            if !known && self.programs.len() < MAX_PROGRAMS {
                let sections = Sections::default();
                self.programs.push(Program { number, pid, map: None, interval: Interval::default(), sections });
                self.set_role(pid, Role::Pmt);
            }
        }
    }

    fn map(&mut self, packet: &Packet<'_>, now: (Duration, Duration)) {
        let mut changed = None;
        let errors = &mut self.totals.table_errors;
        // Several programs may share a PID.
        for (index, program) in self.programs.iter_mut().enumerate().filter(|(_, p)| p.pid == packet.pid) {
            let (number, map, interval) = (program.number, &mut program.map, &mut program.interval);
            program.sections.push(packet.start, packet.payload, |section: Result<Section<'_>, SectionError>| {
                match section.map(|section| parse_pmt(&section)) {
                    Ok(Some(read)) if read.program == number => {
                        interval.push(now);
                        if map.as_ref() != Some(&read) {
                            *map = Some(read);
                            changed = Some(index);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => *errors += u64::from(is_damage(error)),
                }
            });
        }
        let Some(map) = changed.and_then(|index| self.programs[index].map.clone()) else { return };
        self.map_changes += 1;
        for stream in &map.streams {
            self.set_role(stream.pid, Role::Stream);
        }
        if self.clock_pid.is_none_or(|pid| self.role(pid) != Some(Role::Stream)) {
            self.clock_pid = Some(map.pcr_pid).filter(|pid| self.pid(*pid).is_some()).or(self.clock_pid);
        }
    }

    fn set_role(&mut self, pid: u16, role: Role) {
        let entry = usize::from(self.index[usize::from(pid & 0x1fff)]);
        if let Some(known) = entry.checked_sub(1).and_then(|slot| self.pids.get_mut(slot))
            && !matches!(known.role, Role::Pat | Role::Null)
        {
            known.role = role;
        }
    }

    fn role(&self, pid: u16) -> Option<Role> {
        self.pid(pid).map(|pid| pid.role)
    }

    /// What was seen under a PID.
    #[must_use]
    pub fn pid(&self, pid: u16) -> Option<&Pid> {
        let entry = usize::from(*self.index.get(usize::from(pid))?);
        entry.checked_sub(1).and_then(|slot| self.pids.get(slot))
    }

    /// The place of a PID in [`Monitor::pids`].
    #[must_use]
    pub fn slot_of(&self, pid: u16) -> Option<usize> {
        usize::from(*self.index.get(usize::from(pid))?).checked_sub(1)
    }

    /// How often a map came that is another one than before.
    #[must_use]
    pub fn map_changes(&self) -> u64 {
        self.map_changes
    }

    /// Begins to count anew. What the tables say stays known, and where counters and clocks stand.
    pub fn renew(&mut self) {
        self.totals = Totals::default();
        self.first = None;
        self.pat_interval.renew();
        self.programs.iter_mut().for_each(|program| program.interval.renew());
        for pid in &mut self.pids {
            (pid.packets, pid.payload_bytes, pid.scrambled, pid.continuity_errors, pid.lost) = (0, 0, 0, 0, 0);
            pid.times.renew();
            if let Some(clock) = &mut pid.clock {
                clock.renew();
            }
        }
    }

    /// Longest time between two tables of a sort, the time since the last one included.
    #[must_use]
    pub fn longest(&self, interval: &Interval) -> Option<Duration> {
        let now = (self.stream_time().unwrap_or(self.last), self.last);
        let open = interval.last.map(|last| lesser(last, now));
        interval.longest.max(open.filter(|_| interval.count > 0 || interval.longest.is_some()))
    }

    /// Everything seen, in the order of appearance.
    #[must_use]
    pub fn pids(&self) -> &[Pid] {
        &self.pids
    }

    /// Programs in the order of the association table.
    #[must_use]
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Names of services by program number.
    #[must_use]
    pub fn services(&self) -> &[(u16, String)] {
        &self.services
    }

    /// Sums.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How often the program association table comes.
    #[must_use]
    pub fn pat_interval(&self) -> Interval {
        self.pat_interval
    }

    /// Whether the table of conditional access was seen.
    #[must_use]
    pub fn has_cat(&self) -> bool {
        self.cat
    }

    /// PIDs that carry packets, are no table of a standard, and that no table announces.
    pub fn unannounced(&self) -> impl Iterator<Item = &Pid> {
        let clocks = |pid: u16| self.programs.iter().any(|p| p.map.as_ref().is_some_and(|map| map.pcr_pid == pid));
        self.pids.iter().filter(move |pid| pid.role == Role::Unknown && pid.packets > 0 && !clocks(pid.pid))
    }

    /// Time between the first and the last packet by their arrival.
    #[must_use]
    pub fn arrival_span(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| self.last.saturating_sub(first))
    }

    /// Time that passed by the program clock; `None` without one.
    #[must_use]
    pub fn stream_time(&self) -> Option<Duration> {
        self.main_clock().map(Clock::time)
    }

    /// The program clock that everything is timed by.
    #[must_use]
    pub fn main_clock(&self) -> Option<&Clock> {
        self.clock_pid.and_then(|pid| self.pid(pid)).and_then(|pid| pid.clock.as_deref())
    }

    /// Packets per second: by the program clock, or by the arrival where there is none.
    #[must_use]
    pub fn packet_rate(&self) -> Option<f64> {
        let by_arrival = || {
            let span = self.arrival_span().as_secs_f64();
            (span > 0.0).then(|| self.totals.packets as f64 / span)
        };
        self.main_clock().and_then(Clock::packet_rate).or_else(by_arrival)
    }
}

fn announces(map: &Pmt, pid: u16) -> bool {
    map.streams.iter().any(|stream| stream.pid == pid)
}

/// Tables of the short form are none of ours and no damage.
fn is_damage(error: SectionError) -> bool {
    error.what != super::psi::NOT_LONG_FORM
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
