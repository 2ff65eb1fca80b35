//! What the kernel says of processes (`proc(5)`). Reads; ends nothing.

use std::collections::BTreeMap;
use std::fs;

/// Ticks per second of the times in `/proc` (`USER_HZ`, 100 on every Linux that we run on).
pub(crate) const TICKS_PER_S: u64 = 100;

/// One process, from `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    /// `Z` is one that ended and was not waited for.
    pub(crate) state: char,
    /// Processor time of itself, in ticks.
    pub(crate) own_ticks: u64,
    /// Processor time of children that it waited for, in ticks.
    pub(crate) waited_ticks: u64,
    pub(crate) threads: u32,
    pub(crate) start_ticks: u64,
    /// Resident pages.
    pub(crate) resident_pages: u64,
}

impl Stat {
    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    /// Parses the line. The name stands in parentheses and may hold anything, parentheses too.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(' ')?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbers of proc(5), less the three that came before.
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        let count = |field: usize| u64::try_from(number(field)?).ok();
        Some(Self {
            pid: pid.parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(count(4)?).ok()?,
            session: u32::try_from(count(6)?).ok()?,
            own_ticks: count(14)? + count(15)?,
            waited_ticks: count(16)? + count(17)?,
            threads: u32::try_from(count(20)?).ok()?,
            start_ticks: count(22)?,
            resident_pages: count(24)?,
        })
    }
}

/// A process; `None` when there is none of this number.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether exactly this process still runs.
pub(crate) fn is(pid: u32, start_ticks: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.start_ticks == start_ticks && stat.is_alive())
}

/// The machine's boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// All processes by their number.
pub(crate) fn all() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

/// The processes that descend from `root`, itself left out.
pub(crate) fn descendants(root: u32, all: &BTreeMap<u32, Stat>) -> Vec<Stat> {
    let mut children: BTreeMap<u32, Vec<&Stat>> = BTreeMap::new();
    for stat in all.values() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(parent) = next.pop() {
        // Taken out, so that numbers that were given anew while we read cannot make a circle.
        for stat in children.remove(&parent).unwrap_or_default() {
            next.push(stat.pid);
            found.push(stat.clone());
        }
    }
    found
}

/// What a file of our control group says; nothing where it cannot be read.
fn of_group(file: &str) -> String {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else { return String::new() };
    fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).unwrap_or_default()
}

/// Whether no other process is in our control group, so that what happened in it happened to our unit.
pub(crate) fn is_alone_in_group() -> bool {
    of_group("cgroup.procs").trim() == std::process::id().to_string()
}

/// How often the kernel ended a process of our control group for want of memory; 0 where that cannot be read.
pub(crate) fn out_of_memory_kills() -> u64 {
    let events = of_group("memory.events");
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let line =
            "77 (a) b ( c) S 1 77 70 0 -1 4194560 5 6 0 0 11 12 13 14 20 0 3 0 9001 1000 250 18446744073709551615 1 1";
        let stat = Stat::parse(line).expect("a good line");
        assert_eq!((stat.pid, stat.parent, stat.session, stat.state, stat.threads), (77, 1, 70, 'S', 3));
        assert_eq!((stat.own_ticks, stat.waited_ticks, stat.start_ticks, stat.resident_pages), (23, 27, 9001, 250));
        assert_eq!(Stat::parse("77 (x"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_is_known_by_its_beginning() {
        let own = stat(std::process::id()).expect("we run");
        assert!(is(own.pid, own.start_ticks) && !is(own.pid, own.start_ticks + 1));
        assert!(!boot_id().is_empty());
    }

    #[test]
    fn descendants_are_found_and_circles_end() {
        let of = |pid, parent| {
            let line = format!("{pid} (x) S {parent} 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 {pid} 0 0");
            (pid, Stat::parse(&line).expect("a good line"))
        };
        let all = BTreeMap::from([of(2, 1), of(3, 2), of(4, 3), of(5, 1), of(8, 9), of(9, 8)]);
        let mut found: Vec<u32> = descendants(2, &all).iter().map(|stat| stat.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
        assert_eq!(descendants(8, &all).len(), 2);
    }
}
