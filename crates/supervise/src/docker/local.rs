//! A container's processes as this machine sees them, where the engine runs on it. Owns telling whether a number that the engine
//! names is a process of that container here; never signals anything.

use std::fs;

use crate::proc;

/// Where cgroups are mounted: version 2, and the hierarchies of version 1 that engines fill.
const HIERARCHIES: [(&str, &str); 3] =
    [("", "/sys/fs/cgroup"), ("pids", "/sys/fs/cgroup/pids"), ("memory", "/sys/fs/cgroup/memory")];

/// When a process began, in ticks since the boot, if it is of this container: an engine elsewhere names numbers that here belong to
/// strangers, and one outside of our own container names numbers that we do not see.
pub(super) fn start_ticks(pid: u32, container: &str) -> Option<u64> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !cgroups.contains(container) {
        return None;
    }
    Some(proc::stat(pid)?.start_ticks)
}

/// Processes of the container; `None` where this machine does not show them.
pub(super) fn processes(pid: u32, container: &str) -> Option<Vec<u32>> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let mount = HIERARCHIES.iter().find(|(name, _)| controllers.split(',').any(|c| c == *name));
        let (Some((_, mount)), true) = (mount, path.contains(container)) else { continue };
        if let Ok(list) = fs::read_to_string(format!("{mount}{path}/cgroup.procs")) {
            return Some(list.lines().filter_map(|line| line.parse().ok()).collect());
        }
    }
    None
}

/// Resident memory of processes, in bytes: where the engine counts none.
pub(super) fn resident(pids: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    let pages = pids.iter().filter_map(|pid| Some(proc::stat(*pid)?.resident_pages));
    pages.sum::<u64>().saturating_mul(page)
}

/// Open descriptors of processes; `None` where those of one may not be read.
pub(super) fn descriptors(pids: &[u32]) -> Option<u32> {
    let counts = pids.iter().map(|pid| Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()));
    u32::try_from(counts.sum::<Option<usize>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_others_is_not_taken_for_a_containers() {
        let own = std::process::id();
        assert_eq!(start_ticks(own, "no-container-of-ours"), None);
        assert!(resident(&[own]) > 100_000 && descriptors(&[own]).is_some_and(|open| open > 2));
    }
}
