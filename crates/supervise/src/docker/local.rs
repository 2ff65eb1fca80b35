//! A container's processes as this machine sees them, where the engine runs on it. Owns telling whether a number that the engine
//! names is a process of that container here; never signals anything.

use std::fs;

/// Where cgroups are mounted: version 2, and the hierarchies of version 1 that engines fill.
const HIERARCHIES: [(&str, &str); 3] =
    [("", "/sys/fs/cgroup"), ("pids", "/sys/fs/cgroup/pids"), ("memory", "/sys/fs/cgroup/memory")];

/// The machine's boot; empty where it may not be read.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// When a process began, in ticks since the boot, if it is of this container: an engine elsewhere names numbers that here belong to
/// strangers, and one outside of our own container names numbers that we do not see.
pub(super) fn start_ticks(pid: u32, container: &str) -> Option<u64> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !cgroups.contains(container) {
        return None;
    }
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether the process that began then still runs.
pub(super) fn runs(pid: u32, start_ticks: u64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| ticks(&stat)) == Some(start_ticks)
}

/// Field 22. The second field is a name in brackets that may hold anything, brackets and spaces too.
fn ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
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
    let pages = pids.iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    });
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
    fn a_process_is_known_by_its_start_and_not_taken_for_a_containers() {
        assert_eq!(ticks("7 (a) b) S 1 7 7 0 -1 4 5 0 0 0 1 2 0 0 20 0 1 0 4711 99 1"), Some(4711));
        assert_eq!(ticks("7 (cut short) S 1"), None);
        let own = std::process::id();
        let began = ticks(&fs::read_to_string("/proc/self/stat").expect("/proc")).expect("field 22");
        assert!(runs(own, began) && !runs(own, began + 1));
        assert_eq!(start_ticks(own, "no-container-of-ours"), None);
        assert!(resident(&[own]) > 100_000 && descriptors(&[own]).is_some_and(|open| open > 2));
    }
}
