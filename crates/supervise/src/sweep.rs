//! What is left of a run whose shim is gone: found by the shim's session and by a mark in the environment, and killed. Never
//! signals a process that merely has the number of one of ours.

use std::fs;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::process::Signal;

use crate::moment::moment;
use crate::proc;
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

fn leftovers(run: &RunRecord, folder: &str) -> Vec<proc::Stat> {
    let mark = format!("{MARK}={folder}");
    let own = std::process::id();
    let all = proc::all();
    let candidates =
        all.values().filter(|stat| stat.is_alive() && stat.pid != own && stat.start_ticks >= run.shim_start_ticks);
    let left = candidates.filter(|stat| {
        let is_program = stat.pid == run.pid && stat.start_ticks == run.start_ticks;
        is_program || stat.session == run.shim_pid || has_mark(stat.pid, mark.as_bytes())
    });
    left.cloned().collect()
}

fn has_mark(pid: u32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}
