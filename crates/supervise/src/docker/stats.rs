//! What a container uses, as its engine counts it: cgroups of version 1 and 2, Docker and Podman, the socket and the command.
//! Owns reading the counters and what is computed of two of them; asks nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Counters of a container at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Processor time used, in nanoseconds.
    pub(super) cpu_ns: Option<u64>,
    /// Time of all processors together, in nanoseconds, and how many there are: the clock for `cpu_ns`.
    pub(super) system: Option<(u64, u32)>,
    /// When it was read, in nanoseconds since 1970; the clock where the engine has no other.
    pub(super) read_ns: Option<i128>,
    /// Percent of one core, where only that is told.
    pub(super) cpu_percent: Option<f64>,
    /// Memory without the page cache that can be dropped, in bytes.
    pub(super) memory: Option<u64>,
    /// Memory that it may use by what the engine says; that of the machine where no limit is set.
    pub(super) limit: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
    /// Tasks (threads).
    pub(super) pids: Option<u32>,
}

impl Sample {
    /// Percent of one core between two moments.
    pub(super) fn cpu_since(&self, before: &Self) -> Option<f64> {
        if self.cpu_percent.is_some() {
            return self.cpu_percent;
        }
        let used = self.cpu_ns?.checked_sub(before.cpu_ns?)?;
        let wall = match (self.system, before.system) {
            (Some((now, cores)), Some((then, _))) if cores > 0 && now > then => (now - then) as f64 / f64::from(cores),
            _ => (self.read_ns? - before.read_ns?) as f64,
        };
        (wall > 0.0).then(|| 100.0 * used as f64 / wall)
    }
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    read: String,
    cpu_stats: Cpu,
    #[serde(default)]
    memory_stats: Memory,
    #[serde(default)]
    blkio_stats: Option<Blkio>,
    #[serde(default)]
    pids_stats: Option<Pids>,
}

#[derive(Deserialize)]
struct Cpu {
    cpu_usage: CpuUsage,
    #[serde(default)]
    system_cpu_usage: Option<u64>,
    #[serde(default)]
    online_cpus: Option<u32>,
}

#[derive(Deserialize)]
struct CpuUsage {
    total_usage: u64,
    #[serde(default)]
    percpu_usage: Option<Vec<u64>>,
}

#[derive(Default, Deserialize)]
struct Memory {
    #[serde(default)]
    usage: Option<u64>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    stats: Option<BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
struct Blkio {
    #[serde(default)]
    io_service_bytes_recursive: Option<Vec<Moved>>,
}

#[derive(Deserialize)]
struct Moved {
    op: String,
    value: u64,
}

#[derive(Deserialize)]
struct Pids {
    #[serde(default)]
    current: Option<u64>,
}

/// Reads `GET /containers/NAME/stats?stream=false`.
pub(super) fn read(json: &[u8]) -> Result<Sample, serde_json::Error> {
    let stats: Stats = serde_json::from_slice(json)?;
    let cores = stats.cpu_stats.online_cpus.filter(|cores| *cores > 0).or_else(|| {
        // Engines before API 1.27 told of each processor instead.
        let each = stats.cpu_stats.cpu_usage.percpu_usage.as_ref()?.len();
        u32::try_from(each).ok().filter(|cores| *cores > 0)
    });
    let moved = stats.blkio_stats.and_then(|io| io.io_service_bytes_recursive);
    let sum = |op: &str| {
        let moved = moved.as_ref()?.iter().filter(|moved| moved.op.eq_ignore_ascii_case(op));
        Some(moved.fold(0_u64, |sum, moved| sum.saturating_add(moved.value)))
    };
    Ok(Sample {
        cpu_ns: Some(stats.cpu_stats.cpu_usage.total_usage),
        system: stats.cpu_stats.system_cpu_usage.zip(cores),
        read_ns: stats.read.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond),
        cpu_percent: None,
        memory: memory(&stats.memory_stats),
        limit: stats.memory_stats.limit.filter(|limit| *limit > 0),
        read_bytes: sum("read"),
        written_bytes: sum("write"),
        pids: stats.pids_stats.and_then(|pids| pids.current).and_then(|pids| u32::try_from(pids).ok()),
    })
}

/// Usage less the file cache that is given up first: `inactive_file` of cgroups 2, `total_inactive_file` of cgroups 1.
fn memory(memory: &Memory) -> Option<u64> {
    let usage = memory.usage.filter(|usage| *usage > 0)?;
    let stats = memory.stats.as_ref();
    let cache = stats.and_then(|stats| stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")));
    Some(usage.saturating_sub(cache.copied().unwrap_or(0)))
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "CPUPerc", alias = "CPU")]
    cpu: String,
    #[serde(rename = "MemUsage")]
    memory: String,
    #[serde(rename = "BlockIO", default)]
    blocks: String,
    #[serde(rename = "PIDs", default)]
    pids: String,
}

/// Reads a line of `docker stats --no-stream --format '{{json .}}'`.
pub(super) fn read_row(json: &[u8]) -> Result<Sample, serde_json::Error> {
    let row: Row = serde_json::from_slice(json)?;
    let (memory, limit) = pair(&row.memory);
    let (read_bytes, written_bytes) = pair(&row.blocks);
    Ok(Sample {
        cpu_percent: row.cpu.trim_end_matches('%').trim().parse().ok().filter(|cpu: &f64| cpu.is_finite()),
        memory,
        limit,
        read_bytes,
        written_bytes,
        pids: row.pids.trim().parse().ok(),
        ..Sample::default()
    })
}

/// `12.5MiB / 1.944GiB`.
fn pair(text: &str) -> (Option<u64>, Option<u64>) {
    let (one, other) = text.split_once('/').unwrap_or((text, ""));
    (size(one), size(other))
}

/// A size with its unit: binary ones for memory, decimal ones for blocks.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.trim().parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some((number * factor).round() as u64)
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
