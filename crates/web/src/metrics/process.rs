//! Families about this process, from `/proc/self`, under the names that client libraries of Prometheus agree on. What cannot
//! be read is absent.

use std::fs;

use model::time::UtcMs;

use super::family::Id;
use super::sheet::Sheet;

/// Ticks per second in `/proc`: `USER_HZ`, which is 100 on every platform that Linux tells programs about.
const TICKS_PER_S: f64 = 100.0;

/// What is known of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Process {
    cpu_s: Option<f64>,
    threads: Option<u64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    open_files: Option<usize>,
    max_files: Option<u64>,
}

/// Writes them.
pub(super) fn write(sheet: &mut Sheet, started: UtcMs) {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let mut process = Process::of(&read("stat"), &read("status"), &read("limits"));
    // The folder itself is open while it is counted.
    process.open_files = fs::read_dir("/proc/self/fd").ok().map(|folder| folder.count().saturating_sub(1));
    sheet.maybe(Id::ProcessCpu, &[], process.cpu_s);
    sheet.put(Id::ProcessStart, &[], started);
    sheet.maybe(Id::ProcessResident, &[], process.resident_bytes);
    sheet.maybe(Id::ProcessVirtual, &[], process.virtual_bytes);
    sheet.maybe(Id::ProcessFds, &[], process.open_files);
    sheet.maybe(Id::ProcessMaxFds, &[], process.max_files);
    sheet.maybe(Id::ProcessThreads, &[], process.threads);
}

impl Process {
    /// From the texts of `stat`, `status` and `limits`.
    fn of(stat: &str, status: &str, limits: &str) -> Self {
        // Behind the name, which may hold anything: fields 14 and 15 of proc(5) are the 12th and 13th from there.
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11);
        let mut ticks = || fields.next()?.parse::<u32>().ok().map(f64::from);
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
        };
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            cpu_s: ticks().zip(ticks()).map(|(user, system)| (user + system) / TICKS_PER_S),
            threads,
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            open_files: None,
            max_files: files.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        let stat = "77 (stream) pulse) S 1 77 77 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 100 1 2";
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t    12 kB\nThreads:\t9\n";
        let limits =
            "Limit    Soft Limit   Hard Limit  Units\nMax open files            1024                 4096      files\n";
        let wanted = Process {
            cpu_s: Some(3.0),
            threads: Some(9),
            resident_bytes: Some(12 * 1024),
            virtual_bytes: Some(2048 * 1024),
            open_files: None,
            max_files: Some(1024),
        };
        assert_eq!(Process::of(stat, status, limits), wanted);
        assert_eq!(Process::of("", "", "Max open files  unlimited  unlimited"), Process::default());
    }
}
