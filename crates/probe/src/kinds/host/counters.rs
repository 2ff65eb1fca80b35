//! Counters that only grow: processor time, bytes of disks and interfaces. Two readings of them make rates. Owns the parsing
//! of `/proc/stat`, `/proc/diskstats`, `/proc/net/dev`; judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::files::{Root, numbers};

/// Ticks per second in `/proc`: `USER_HZ`, which is 100 on every platform that Linux tells programs about.
const TICKS_PER_S: f64 = 100.0;
/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own is.
const SECTOR_BYTES: u64 = 512;

/// Time of all processors together, in ticks, by what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cpu {
    pub(super) user: u64,
    pub(super) system: u64,
    pub(super) idle: u64,
    pub(super) iowait: u64,
    pub(super) irq: u64,
    pub(super) steal: u64,
}

impl Cpu {
    fn total(&self) -> u64 {
        self.user + self.system + self.idle + self.iowait + self.irq + self.steal
    }
}

/// Counters of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Disk {
    read_bytes: u64,
    written_bytes: u64,
    busy_ms: u64,
}

/// Counters of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interface {
    in_bytes: u64,
    out_bytes: u64,
    errors: u64,
    drops: u64,
}

/// One reading.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub(super) at: Instant,
    pub(super) cpu: Cpu,
    pub(super) cpus: u32,
    pub(super) disks: BTreeMap<String, Disk>,
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// Processor time of this program, in ticks.
    own_ticks: Option<u64>,
    /// Processor time of the container, in microseconds.
    container_us: Option<u64>,
}

impl Counters {
    /// Reads them all.
    ///
    /// # Errors
    /// What the system says of `/proc/stat`; nothing else is always there.
    pub(super) fn read(root: &Root) -> std::io::Result<Self> {
        let stat = root.read("proc/stat")?;
        let is_cpu = |line: &&str| line.starts_with("cpu") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
        Ok(Self {
            at: Instant::now(),
            cpu: cpu_of(&stat).unwrap_or_default(),
            cpus: u32::try_from(stat.lines().filter(is_cpu).count()).unwrap_or(u32::MAX).max(1),
            disks: disks(root),
            interfaces: interfaces(root),
            own_ticks: own_ticks(&root.word("proc/self/stat")),
            container_us: super::state::container_us(root),
        })
    }

    /// Rates between an earlier reading and this one.
    pub(super) fn since(&self, before: &Self) -> Rates {
        let elapsed = self.at.saturating_duration_since(before.at);
        let span = (!elapsed.is_zero()).then_some(elapsed);
        let disk = |name: &String, now: &Disk| {
            let old = before.disks.get(name)?;
            Some(DiskRates {
                read: per_second(old.read_bytes, now.read_bytes, span?)?,
                written: per_second(old.written_bytes, now.written_bytes, span?)?,
                busy: (per_second(old.busy_ms, now.busy_ms, span?)? / 1000.0).min(1.0),
            })
        };
        let interface = |name: &String, now: &Interface| {
            let old = before.interfaces.get(name)?;
            Some(InterfaceRates {
                in_bps: per_second(old.in_bytes, now.in_bytes, span?)? * 8.0,
                out_bps: per_second(old.out_bytes, now.out_bytes, span?)? * 8.0,
                errors: per_second(old.errors, now.errors, span?)?,
                drops: per_second(old.drops, now.drops, span?)?,
            })
        };
        Rates {
            cpu: shares(&before.cpu, &self.cpu),
            disks: self.disks.iter().filter_map(|(name, now)| Some((name.clone(), disk(name, now)?))).collect(),
            interfaces: self
                .interfaces
                .iter()
                .filter_map(|(name, now)| Some((name.clone(), interface(name, now)?)))
                .collect(),
            own_cpu: rate(before.own_ticks, self.own_ticks, span).map(|ticks| ticks / TICKS_PER_S),
            container_cpu: rate(before.container_us, self.container_us, span).map(|us| us / 1e6),
        }
    }
}

fn rate(before: Option<u64>, now: Option<u64>, span: Option<Duration>) -> Option<f64> {
    per_second(before?, now?, span?)
}

/// `None` for a counter that went back: it began anew, and how much it had counted nobody knows.
fn per_second(before: u64, now: u64, elapsed: Duration) -> Option<f64> {
    now.checked_sub(before).map(|grown| float(grown) / elapsed.as_secs_f64())
}

/// Parts of the processors' time between two readings, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    pub(super) used: f64,
    pub(super) user: f64,
    pub(super) system: f64,
    pub(super) iowait: f64,
    pub(super) irq: f64,
    pub(super) steal: f64,
}

fn shares(before: &Cpu, now: &Cpu) -> Option<Shares> {
    let total = now.total().checked_sub(before.total()).filter(|total| *total > 0)?;
    // Waiting for disks goes back a little now and then (proc(5)).
    let part = |get: fn(&Cpu) -> u64| float(get(now).saturating_sub(get(before))) / float(total);
    Some(Shares {
        used: (1.0 - part(|c| c.idle) - part(|c| c.iowait)).clamp(0.0, 1.0),
        user: part(|c| c.user),
        system: part(|c| c.system),
        iowait: part(|c| c.iowait),
        irq: part(|c| c.irq),
        steal: part(|c| c.steal),
    })
}

/// What two readings make.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) cpu: Option<Shares>,
    pub(super) disks: BTreeMap<String, DiskRates>,
    pub(super) interfaces: BTreeMap<String, InterfaceRates>,
    /// Processors that this program kept busy.
    pub(super) own_cpu: Option<f64>,
    /// Processors that the container kept busy.
    pub(super) container_cpu: Option<f64>,
}

/// Per second; busy is a part, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DiskRates {
    pub(super) read: f64,
    pub(super) written: f64,
    pub(super) busy: f64,
}

/// Bits, errors and dropped packets per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InterfaceRates {
    pub(super) in_bps: f64,
    pub(super) out_bps: f64,
    pub(super) errors: f64,
    pub(super) drops: f64,
}

fn cpu_of(stat: &str) -> Option<Cpu> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // Time of guests is counted in user and nice already.
    match numbers(line.split_whitespace())[..] {
        [user, nice, system, idle, iowait, irq, softirq, steal, ..] => {
            Some(Cpu { user: user + nice, system, idle, iowait, irq: irq + softirq, steal })
        }
        _ => None,
    }
}

/// Whole disks that did something since the start, without memory that poses as a disk.
fn disks(root: &Root) -> BTreeMap<String, Disk> {
    let whole = root.names("sys/block");
    let text = root.read("proc/diskstats").unwrap_or_default();
    let disk = |line: &str| {
        let mut words = line.split_whitespace().skip(2);
        let name = words.next()?;
        let posed = ["loop", "ram", "zram"].iter().any(|prefix| name.starts_with(prefix));
        let counts = numbers(words);
        let [_, _, read, _, _, _, written, _, _, busy_ms, ..] = counts[..] else { return None };
        let known = whole.iter().any(|whole| whole == name) && !posed && (read, written) != (0, 0);
        let (read_bytes, written_bytes) = (read.saturating_mul(SECTOR_BYTES), written.saturating_mul(SECTOR_BYTES));
        known.then(|| (name.to_owned(), Disk { read_bytes, written_bytes, busy_ms }))
    };
    text.lines().filter_map(disk).collect()
}

/// Every interface of the machine.
fn interfaces(root: &Root) -> BTreeMap<String, Interface> {
    // A process sees the interfaces of its own network; those of another machine's root are its first process's.
    let text = match root.is_own() {
        true => root.read("proc/net/dev"),
        false => root.read("proc/1/net/dev").or_else(|_| root.read("proc/net/dev")),
    };
    let interface = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let [in_bytes, _, in_errors, in_drops, _, _, _, _, out_bytes, _, out_errors, out_drops, ..] =
            numbers(counts.split_whitespace())[..]
        else {
            return None;
        };
        let (errors, drops) = (in_errors.saturating_add(out_errors), in_drops.saturating_add(out_drops));
        Some((name.trim().to_owned(), Interface { in_bytes, out_bytes, errors, drops }))
    };
    text.unwrap_or_default().lines().filter_map(interface).collect()
}

impl Interface {
    /// Whether nothing ever went through it.
    pub(super) fn is_unused(&self) -> bool {
        self.in_bytes == 0 && self.out_bytes == 0
    }
}

/// User and system time of a process. Its name stands in brackets and may hold anything, brackets too.
fn own_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let counts = numbers(rest.split_whitespace());
    Some(counts.get(11)?.saturating_add(*counts.get(12)?))
}

/// A count as a number; beyond 2^53 the last digits do not matter.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(at: Instant, read_bytes: u64, in_bytes: u64, ticks: u64) -> Counters {
        let disk = Disk { read_bytes, written_bytes: 512, busy_ms: read_bytes };
        let interface = Interface { in_bytes, out_bytes: 100, errors: in_bytes / 100, drops: 3 };
        Counters {
            at,
            cpu: Cpu { user: ticks, idle: ticks, ..Cpu::default() },
            cpus: 1,
            disks: [("sda".to_owned(), disk)].into(),
            interfaces: [("eth0".to_owned(), interface)].into(),
            own_ticks: Some(ticks),
            container_us: Some(ticks * 10_000),
        }
    }

    #[test]
    fn rates_are_by_the_second() {
        let began = Instant::now();
        let before = counters(began, 1000, 1000, 100);
        let rates = counters(began + Duration::from_secs(10), 6000, 2000, 1100).since(&before);
        assert_eq!(rates.disks["sda"], DiskRates { read: 500.0, written: 0.0, busy: 0.5 });
        assert_eq!(rates.interfaces["eth0"], InterfaceRates { in_bps: 800.0, out_bps: 0.0, errors: 1.0, drops: 0.0 });
        assert_eq!((rates.own_cpu, rates.container_cpu), (Some(1.0), Some(1.0)));
        assert_eq!(rates.cpu.map(|shares| (shares.used, shares.user)), Some((0.5, 0.5)));
    }

    #[test]
    fn a_counter_that_began_anew_has_no_rate_and_no_time_makes_none() {
        let began = Instant::now();
        let before = counters(began, 1000, 1000, 100);
        let rates = counters(began + Duration::from_secs(10), 10, 10, 10).since(&before);
        assert!(rates.disks.is_empty() && rates.interfaces.is_empty(), "{rates:?}");
        assert_eq!((rates.own_cpu, rates.cpu), (None, None));
        let rates = counters(began, 2000, 2000, 200).since(&before);
        assert!(rates.disks.is_empty() && rates.own_cpu.is_none(), "{rates:?}");
        let mut new = counters(began + Duration::from_secs(1), 2000, 2000, 200);
        new.interfaces = [("eth9".to_owned(), Interface::default())].into();
        assert!(new.since(&before).interfaces.is_empty(), "an interface that just came has no rate yet");
    }
}
