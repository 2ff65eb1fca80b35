//! What is left of a run whose shim is gone: found by a mark in the environment, by descent and by the shim's session, and
//! killed. Never signals a process that merely has the number of one of ours.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::process::Signal;

use crate::moment::moment;
use crate::proc::{self, Stat};
use crate::process::MARK;
use crate::record::RunRecord;
use crate::shim::signal_exactly;

/// Longest search: a process in a wait that nothing interrupts (a dead network disk) is left, and said.
const WITHIN: Duration = Duration::from_secs(5);
/// From one search to the next.
const EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Kills what is left of a run in `folder`; answers how many would not go.
pub(crate) fn sweep(run: &RunRecord, folder: &str) -> usize {
    if run.boot_id != proc::boot_id() {
        return 0;
    }
    let until = moment() + WITHIN;
    loop {
        let left = leftovers(run, folder);
        if left.is_empty() || moment() >= until {
            return left.len();
        }
        for stat in &left {
            signal_exactly(stat.pid, stat.start_ticks, Signal::KILL);
        }
        let _ = poll(&mut [], Some(&EVERY));
    }
}

fn leftovers(run: &RunRecord, folder: &str) -> Vec<Stat> {
    let mark = format!("{MARK}={folder}");
    let own = std::process::id();
    let mut all = proc::all();
    all.retain(|pid, stat| stat.is_alive() && *pid != own && stat.start_ticks >= run.shim_start_ticks);
    ours(run, &all, |pid| has_mark(pid, mark.as_bytes()))
}

/// Those that are ours beyond doubt. The number of a session alone proves nothing: once the shim and all of its session are
/// gone, a stranger may lead another one of the same number. While one that is ours is in it, it is the shim's.
fn ours(run: &RunRecord, all: &BTreeMap<u32, Stat>, has_mark: impl Fn(u32) -> bool) -> Vec<Stat> {
    let is_program = |stat: &Stat| stat.pid == run.pid && stat.start_ticks == run.start_ticks;
    let proven: Vec<&Stat> = all.values().filter(|stat| is_program(stat) || has_mark(stat.pid)).collect();
    let session = proven.iter().any(|stat| stat.session == run.shim_pid);
    let mut found: BTreeMap<u32, Stat> = proven.iter().map(|stat| (stat.pid, (*stat).clone())).collect();
    for stat in &proven {
        found.extend(proc::descendants(stat.pid, all).into_iter().map(|stat| (stat.pid, stat)));
    }
    let members = all.values().filter(|stat| session && stat.session == run.shim_pid);
    found.extend(members.map(|stat| (stat.pid, stat.clone())));
    found.into_values().collect()
}

fn has_mark(pid: u32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, session: u32, start: u64) -> (u32, Stat) {
        let line = format!("{pid} (x) S {parent} {pid} {session} 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 {start} 0 0");
        (pid, Stat::parse(&line).expect("a good line"))
    }

    #[test]
    fn a_session_is_ours_only_while_one_that_is_proven_is_in_it() {
        let run = RunRecord {
            id: "cam".to_owned(),
            boot_id: String::new(),
            shim_pid: 50,
            shim_start_ticks: 5,
            pid: 51,
            start_ticks: 6,
            started_at_ms: 0,
        };
        let pids = |all: &[(u32, Stat)], marked: &[u32]| -> Vec<u32> {
            let all = all.iter().cloned().collect();
            ours(&run, &all, |pid| marked.contains(&pid)).iter().map(|stat| stat.pid).collect()
        };
        // The numbers were given anew: to a daemon that leads a session, and to its child.
        assert!(pids(&[stat(50, 1, 50, 90), stat(51, 50, 50, 91)], &[]).is_empty());
        // The program lives, a child of it that cleaned its environment, and one of both that was left to nobody.
        let tree = [stat(51, 1, 50, 6), stat(52, 51, 52, 7), stat(53, 1, 50, 8), stat(60, 1, 60, 9)];
        assert_eq!(pids(&tree, &[]), [51, 52, 53]);
        assert!(pids(&tree[1..], &[]).is_empty());
        assert_eq!(pids(&tree[1..], &[60]), [60]);
    }
}
