//! What the machine's files tell at one moment: memory, load, uptime, file systems, sensors, the limits of a container, this
//! program itself. Owns the parsing; judges nothing.

use std::path::Path;

use super::files::{Root, numbers, unescape};

/// Folders under which the limits of a container stand when the container sees its own as the root (cgroup v2, then v1).
const CGROUP: &str = "sys/fs/cgroup";
/// File systems that hold no files of people: always full, always empty, or made of something else.
const PSEUDO: [&str; 34] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "nullfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "rootfs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
];
/// File systems over a network: asking one whose server is gone waits for ever, so it is asked only where it is named.
const REMOTE: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "afs"];

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) swap_total: u64,
    pub(super) swap_used: u64,
}

/// Memory as `/proc/meminfo` tells it; used is what is not available to new programs.
pub(super) fn memory(root: &Root) -> Option<Memory> {
    let text = root.read("proc/meminfo").ok()?;
    let get = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
    };
    let total = get("MemTotal")?;
    // Before Linux 3.14 nobody said what is available.
    let available = get("MemAvailable").or_else(|| Some(get("MemFree")? + get("Buffers")? + get("Cached")?))?;
    let swap_total = get("SwapTotal").unwrap_or(0);
    Some(Memory {
        total,
        used: total.saturating_sub(available),
        swap_total,
        swap_used: swap_total.saturating_sub(get("SwapFree").unwrap_or(swap_total)),
    })
}

/// What a container may use, where that is less than what the machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Limit and use of memory, in bytes.
    pub(super) memory: Option<(u64, u64)>,
    /// Processors that may be kept busy.
    pub(super) cpus: Option<f64>,
}

/// The limits that stand at the root of the control groups. A machine's own root has none; a container sees its own group
/// there.
pub(super) fn limits(root: &Root, machine_bytes: u64) -> Limits {
    let get = |path: &str| root.number::<u64>(&format!("{CGROUP}/{path}"));
    let of_stat = |path: &str, key: &str| {
        let text = root.word(&format!("{CGROUP}/{path}"));
        text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let v2 = get("memory.max")
        .zip(get("memory.current"))
        .map(|(limit, used)| (limit, used.saturating_sub(of_stat("memory.stat", "inactive_file "))));
    let v1 = || {
        let (limit, used) = get("memory/memory.limit_in_bytes").zip(get("memory/memory.usage_in_bytes"))?;
        Some((limit, used.saturating_sub(of_stat("memory/memory.stat", "total_inactive_file "))))
    };
    let memory = v2.or_else(v1).filter(|(limit, _)| *limit < machine_bytes);
    let quota = root.word(&format!("{CGROUP}/cpu.max"));
    let v2 = quota.split_once(' ').and_then(|(quota, period)| Some((quota.parse().ok()?, period.parse().ok()?)));
    let v1 = || get("cpu/cpu.cfs_quota_us").zip(get("cpu/cpu.cfs_period_us"));
    let cpus = v2.or_else(v1).filter(|(_, period)| *period > 0);
    let cpus = cpus.map(|(quota, period): (u64, u64)| super::counters::float(quota) / super::counters::float(period));
    Limits { memory, cpus: cpus.filter(|cpus| *cpus > 0.0) }
}

/// Processor time of the container in microseconds.
pub(super) fn container_us(root: &Root) -> Option<u64> {
    let text = root.word(&format!("{CGROUP}/cpu.stat"));
    let v2 = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok());
    v2.or_else(|| root.number::<u64>(&format!("{CGROUP}/cpuacct/cpuacct.usage")).map(|ns| ns / 1000))
}

/// Load averages of 1, 5 and 15 minutes.
pub(super) fn load(root: &Root) -> Option<[f64; 3]> {
    let text = root.word("proc/loadavg");
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// Seconds since the machine started.
pub(super) fn uptime_s(root: &Root) -> Option<i64> {
    root.word("proc/uptime").split(['.', ' ']).next()?.parse().ok()
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mount {
    pub(super) folder: String,
    device: String,
    kind: String,
}

/// The file systems of `only`, or when that is empty all that hold files of people, each device once and none over a network;
/// those of `also` in any case.
pub(super) fn mounts(root: &Root, only: &[String], also: &[String]) -> Vec<Mount> {
    let text = match root.is_own() {
        true => root.read("proc/self/mounts"),
        false => root.read("proc/1/mounts").or_else(|_| root.read("proc/self/mounts")),
    };
    let mut found: Vec<Mount> = Vec::new();
    for line in text.unwrap_or_default().lines() {
        let mut words = line.split(' ').map(unescape);
        let (Some(device), Some(folder), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let is_named = only.iter().chain(also).any(|name| *name == folder);
        let is_plain = !PSEUDO.contains(&kind.as_str()) && !REMOTE.contains(&kind.as_str());
        // A device is mounted in many places where containers are; the first one is the oldest. A single file is no folder.
        let is_again = found.iter().any(|mount| mount.device == device && mount.folder != folder);
        if is_named || (only.is_empty() && is_plain && !is_again && !root.path(&folder).is_file()) {
            // The last one mounted on a folder hides the others.
            found.retain(|mount| mount.folder != folder);
            found.push(Mount { folder, device, kind });
        }
    }
    // In a container the root is an overlay, and what it may fill.
    if found.iter().all(|mount| mount.folder != "/") && only.is_empty() {
        found.insert(0, Mount { folder: "/".to_owned(), device: String::new(), kind: String::new() });
    }
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    found
}

/// Room of a file system, in bytes and in files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Space {
    pub(super) size: u64,
    pub(super) free: u64,
    /// Part of what programs without privileges may fill, 0 to 1, as `df` says it.
    pub(super) used_ratio: f64,
    /// The same of files; `None` where their number has no limit.
    pub(super) files_used_ratio: Option<f64>,
}

/// Asks a file system; waits for ever where it hangs.
pub(super) fn space(folder: &Path) -> std::io::Result<Space> {
    let found = rustix::fs::statvfs(folder)?;
    let part = |used: u64, free: u64| {
        let all = used.saturating_add(free);
        (all > 0).then(|| super::counters::float(used) / super::counters::float(all))
    };
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    Ok(Space {
        size: found.f_blocks.saturating_mul(found.f_frsize),
        free: found.f_bavail.saturating_mul(found.f_frsize),
        used_ratio: part(used, found.f_bavail).unwrap_or(0.0),
        files_used_ratio: part(found.f_files.saturating_sub(found.f_ffree), found.f_favail),
    })
}

/// One sensor, in degrees Celsius.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Temperature {
    pub(super) name: String,
    pub(super) celsius: f64,
    /// From where on the maker calls it critical.
    pub(super) critical: Option<f64>,
}

/// Coldest temperature that a sensor may tell, and hottest: others are of sensors that are not connected.
const PLAUSIBLE: std::ops::Range<f64> = -60.0..200.0;
/// Least temperature that can be meant as critical; some drivers write zero.
const LEAST_CRITICAL: f64 = 30.0;

/// Sensors of the machine: those of hwmon, or where there are none the zones of the thermal framework.
pub(super) fn temperatures(root: &Root) -> Vec<Temperature> {
    let mut found: Vec<Temperature> = Vec::new();
    let celsius = |path: String| root.number::<f64>(&path).map(|milli| milli / 1000.0);
    let mut note = |name: String, value: Option<f64>, critical: Option<f64>| {
        if let Some(celsius) = value.filter(|celsius| PLAUSIBLE.contains(celsius)) {
            let same = |t: &&Temperature| t.name == name || t.name.starts_with(&format!("{name} #"));
            let again = found.iter().filter(same).count();
            let name = if again == 0 { name } else { format!("{name} #{}", again + 1) };
            found.push(Temperature {
                name,
                celsius,
                critical: critical.filter(|c| (LEAST_CRITICAL..200.0).contains(c)),
            });
        }
    };
    for chip in root.names("sys/class/hwmon") {
        let folder = format!("sys/class/hwmon/{chip}");
        let chip = root.word(&format!("{folder}/name"));
        for file in root.names(&folder) {
            let Some(sensor) = file.strip_prefix("temp").and_then(|rest| rest.strip_suffix("_input")) else { continue };
            let label = root.word(&format!("{folder}/temp{sensor}_label"));
            let label = if label.is_empty() { format!("temp{sensor}") } else { label };
            let critical = celsius(format!("{folder}/temp{sensor}_crit"));
            note(format!("{chip} {label}").trim().to_owned(), celsius(format!("{folder}/{file}")), critical);
        }
    }
    if found.is_empty() {
        let mut note = |name: String, value: Option<f64>| {
            if let Some(celsius) = value.filter(|celsius| PLAUSIBLE.contains(celsius)) {
                found.push(Temperature { name, celsius, critical: None });
            }
        };
        for zone in root.names("sys/class/thermal").iter().filter(|name| name.starts_with("thermal_zone")) {
            let folder = format!("sys/class/thermal/{zone}");
            let kind = root.word(&format!("{folder}/type"));
            note(format!("{kind} {zone}").trim().to_owned(), celsius(format!("{folder}/temp")));
        }
    }
    found
}

/// This program.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Own {
    pub(super) memory: Option<u64>,
    pub(super) threads: Option<i64>,
    pub(super) files: Option<i64>,
}

pub(super) fn own(root: &Root) -> Own {
    let text = root.read("proc/self/status").unwrap_or_default();
    let get = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        numbers(line.split_whitespace()).first().copied()
    };
    Own {
        memory: get("VmRSS:").map(|kib| kib.saturating_mul(1024)),
        threads: get("Threads:").and_then(|n| i64::try_from(n).ok()),
        files: i64::try_from(root.names("proc/self/fd").len()).ok().filter(|n| *n > 0),
    }
}
