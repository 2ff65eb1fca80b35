//! What the processes of a unit use together. Reads `/proc`; one reading of all processes serves every unit that is measured
//! within a second.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::time::UtcMs;
use model::unit::board::Usage;

use crate::moment::{Moment, moment, now_ms};
use crate::proc::{self, Stat, TICKS_PER_S};

/// How old the reading of all processes may be.
const FRESH: Duration = Duration::from_secs(1);

/// All processes as they were read last.
#[derive(Default)]
pub(crate) struct Scans(Mutex<Option<Scan>>);

#[derive(Clone)]
struct Scan {
    at: Moment,
    all: Arc<BTreeMap<u32, Stat>>,
}

impl Scans {
    /// A reading that is fresh and holds this process, if there is one of this number.
    fn get(&self, pid: u32) -> Scan {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = moment();
        match &*kept {
            Some(scan) if now < scan.at + FRESH && scan.all.contains_key(&pid) => scan.clone(),
            _ => kept.insert(Scan { at: now, all: Arc::new(proc::all()) }).clone(),
        }
    }
}

/// How long a reading of a process's share of memory counts: the kernel walks all of its memory for one.
const SHARE_FOR: Duration = Duration::from_secs(60);

/// A tree at a moment, for the next measurement.
#[derive(Clone, Default)]
pub(crate) struct Spent {
    at: Moment,
    /// Processor time.
    ticks: u64,
    /// Of each process by its number and beginning.
    shares: BTreeMap<(u32, u64), Share>,
}

/// What a process was last seen to have of memory that it shares with others.
#[derive(Clone, Copy)]
struct Share {
    at: Moment,
    /// `None` where it may not be read.
    bytes: Option<u64>,
    resident: u64,
}

impl Share {
    fn read(pid: u32, resident: u64, now: Moment) -> Self {
        Self { at: now, bytes: share(pid), resident }
    }

    /// What it has, with what became resident since: what a program takes anew is its own.
    fn with(self, resident: u64) -> u64 {
        self.bytes.map_or(resident, |bytes| (bytes + resident).saturating_sub(self.resident))
    }
}

/// Measures what descends from the shim; the shim itself is ours and is left out. `None` when it is gone.
pub(crate) fn measure(
    shim: u32,
    shim_start_ticks: u64,
    scans: &Scans,
    before: Option<Spent>,
) -> Option<(Usage, Spent)> {
    let scan = scans.get(shim);
    let root = scan.all.get(&shim).filter(|stat| stat.start_ticks == shim_start_ticks)?;
    let tree = proc::descendants(shim, &scan.all);
    let mut usage = Usage { at: UtcMs(now_ms()), ..Usage::default() };
    // What ended was waited for by its parent or by the shim, and counts there.
    let ticks = tree.iter().map(|stat| stat.own_ticks + stat.waited_ticks).sum::<u64>() + root.waited_ticks;
    let mut spent = Spent { at: scan.at, ticks, shares: BTreeMap::new() };
    usage.cpu_percent = before.as_ref().and_then(|before| percent(before, &spent));
    let page = rustix::param::page_size() as u64;
    let (mut read, mut written, mut descriptors) = (storage(shim), Some(0), Some(0));
    written = written.and(read.map(|(_, written)| written));
    for stat in tree.iter().filter(|stat| stat.is_alive()) {
        usage.processes += 1;
        usage.threads += stat.threads;
        let (key, resident) = ((stat.pid, stat.start_ticks), stat.resident_pages * page);
        let known = before.as_ref().and_then(|before| before.shares.get(&key)).copied();
        let known = known.filter(|share| scan.at < share.at + SHARE_FOR);
        let share = known.unwrap_or_else(|| Share::read(stat.pid, resident, scan.at));
        usage.memory_bytes += share.with(resident);
        spent.shares.insert(key, share);
        descriptors = descriptors.zip(open(stat.pid)).map(|(all, more)| all + more);
        let more = storage(stat.pid);
        written = written.zip(more).map(|(all, (_, more))| all + more);
        read = read.zip(more).map(|((all, written), (more, _))| (all + more, written));
    }
    usage.read_bytes = read.map(|(read, _)| read);
    usage.written_bytes = written;
    usage.descriptors = descriptors;
    Some((usage, spent))
}

fn percent(before: &Spent, now: &Spent) -> Option<f64> {
    let elapsed = now.at.checked_sub(before.at).filter(|elapsed| !elapsed.is_zero())?;
    let ticks = now.ticks.saturating_sub(before.ticks);
    #[expect(clippy::cast_precision_loss, reason = "ticks of processor time are far below 2^52")]
    Some(ticks as f64 / TICKS_PER_S as f64 / elapsed.as_secs_f64() * 100.0)
}

/// Proportional share of memory; `None` where it may not be read.
fn share(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Bytes read from and written to storage.
fn storage(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    number("read_bytes:").zip(number("write_bytes:"))
}

/// Open descriptors; `None` where they may not be read.
fn open(pid: u32) -> Option<u32> {
    u32::try_from(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_a_part_of_one_core() {
        let at = |s: u64, ticks| Spent { at: Duration::from_secs(s), ticks, ..Spent::default() };
        for (before, now, expected) in [
            (at(10, 100), at(12, 200), Some(50.0)),
            (at(10, 100), at(11, 350), Some(250.0)),
            (at(10, 100), at(10, 100), None),
            (at(10, 100), at(11, 90), Some(0.0)),
        ] {
            assert_eq!(percent(&before, &now), expected);
        }
    }

    #[test]
    fn between_readings_a_share_follows_what_is_resident() {
        let share = |bytes| Share { at: Duration::ZERO, bytes, resident: 100 };
        for (bytes, resident, expected) in
            [(Some(40), 100, 40), (Some(40), 130, 70), (Some(40), 50, 0), (None, 130, 130)]
        {
            assert_eq!(share(bytes).with(resident), expected);
        }
    }

    #[test]
    fn own_figures_can_be_read() {
        let own = std::process::id();
        assert!(share(own).is_none_or(|bytes| bytes > 100_000));
        assert!(open(own).is_some_and(|count| count > 2));
    }
}
