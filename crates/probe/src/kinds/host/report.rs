//! What was seen of a machine, as facts. Owns which interfaces and sensors are worth a row; judges nothing.

use model::reading::{FactValue, Reading, Row, fact};

use super::counters::Rates;
use super::gather::Seen;

/// Writes the facts.
pub(super) fn report(seen: &Seen, rates: &Rates, named: &[String], reading: &mut Reading) {
    for (key, text) in [(fact::HOST_NAME, &seen.name), (fact::KERNEL, &seen.kernel)] {
        if !text.is_empty() {
            reading.text(key, text.as_str());
        }
    }
    reading.text(fact::SCOPE, scope(seen));
    reading.int(fact::CPUS, i64::from(seen.counters.cpus));
    int(reading, fact::UPTIME_S, seen.uptime_s);
    num(reading, fact::CPU_LIMIT, seen.limits.cpus);
    num(reading, fact::CPU_USED_RATIO, cpu_used(seen, rates));
    let shares = rates.cpu;
    for (key, share) in [
        (fact::CPU_USER_RATIO, shares.map(|s| s.user)),
        (fact::CPU_SYSTEM_RATIO, shares.map(|s| s.system)),
        (fact::CPU_IOWAIT_RATIO, shares.map(|s| s.iowait)),
        (fact::CPU_IRQ_RATIO, shares.map(|s| s.irq)),
        (fact::CPU_STEAL_RATIO, shares.map(|s| s.steal)),
        (fact::LOAD_1, seen.load.map(|load| load[0])),
        (fact::LOAD_5, seen.load.map(|load| load[1])),
        (fact::LOAD_15, seen.load.map(|load| load[2])),
        (fact::MEMORY_USED_RATIO, memory(seen).and_then(|(size, used)| ratio(used, size))),
        (fact::SWAP_USED_RATIO, seen.memory.and_then(|m| ratio(m.swap_used, m.swap_total))),
        (fact::OWN_CPUS, rates.own_cpu),
    ] {
        num(reading, key, share);
    }
    for (key, bytes) in [
        (fact::MEMORY_SIZE_BYTES, memory(seen).map(|(size, _)| size)),
        (fact::MEMORY_USED_BYTES, memory(seen).map(|(_, used)| used)),
        (fact::SWAP_SIZE_BYTES, seen.memory.map(|m| m.swap_total)),
        (fact::OWN_MEMORY_BYTES, seen.own.memory),
    ] {
        int(reading, key, bytes.map(signed));
    }
    int(reading, fact::OWN_THREADS, seen.own.threads);
    int(reading, fact::OWN_OPEN_FILES, seen.own.files);
    rows(seen, rates, named, reading);
}

fn rows(seen: &Seen, rates: &Rates, named: &[String], reading: &mut Reading) {
    let spaces = seen.mounts.iter().filter_map(|(mount, space)| Some((mount, space.as_ref().ok()?)));
    let spaces = spaces.map(|(mount, space)| {
        let row = Row::new(&mount.folder)
            .with(fact::SIZE_BYTES, FactValue::Int(signed(space.size)))
            .with(fact::FREE_BYTES, FactValue::Int(signed(space.free)))
            .with(fact::USED_RATIO, FactValue::Num(round(space.used_ratio)));
        match space.files_used_ratio {
            Some(files) => row.with(fact::FILES_USED_RATIO, FactValue::Num(round(files))),
            None => row,
        }
    });
    reading.rows(fact::FILE_SYSTEMS, spaces.collect());
    let disks = rates.disks.iter().map(|(name, disk)| {
        Row::new(name)
            .with(fact::READ_BYTES_PER_S, FactValue::Int(disk.read.round() as i64))
            .with(fact::WRITTEN_BYTES_PER_S, FactValue::Int(disk.written.round() as i64))
            .with(fact::BUSY_RATIO, FactValue::Num(round(disk.busy)))
    });
    reading.rows(fact::DISKS, disks.collect());
    let interfaces = rates.interfaces.iter().filter(|(name, _)| is_worth_a_row(name, seen, named));
    let interfaces = interfaces.map(|(name, interface)| {
        Row::new(name)
            .with(fact::IN_BPS, FactValue::Int(interface.in_bps.round() as i64))
            .with(fact::OUT_BPS, FactValue::Int(interface.out_bps.round() as i64))
            .with(fact::ERRORS_PER_S, FactValue::Num(round(interface.errors)))
            .with(fact::DROPS_PER_S, FactValue::Num(round(interface.drops)))
    });
    reading.rows(fact::INTERFACES, interfaces.collect());
    let temperatures = seen.temperatures.iter().map(|sensor| {
        let row = Row::new(&sensor.name).with(fact::TEMPERATURE_C, FactValue::Num(round(sensor.celsius)));
        match sensor.critical {
            Some(critical) => row.with(fact::CRITICAL_C, FactValue::Num(round(critical))),
            None => row,
        }
    });
    reading.rows(fact::TEMPERATURES, temperatures.collect());
}

/// Named interfaces; where none are named, all that carried something and are neither the machine's talk with itself nor the
/// near ends of containers, which come and go.
fn is_worth_a_row(name: &str, seen: &Seen, named: &[String]) -> bool {
    if !named.is_empty() {
        return named.iter().any(|wanted| wanted == name);
    }
    let is_unused = seen.counters.interfaces.get(name).is_none_or(super::counters::Interface::is_unused);
    name != "lo" && !name.starts_with("veth") && !is_unused
}

/// What the figures are about.
fn scope(seen: &Seen) -> String {
    let memory = seen.limits.memory.map(|(limit, _)| format!("{} MiB of memory", limit >> 20));
    let cpus = seen.limits.cpus.map(|cpus| format!("{cpus:.2} processors"));
    match (memory, cpus) {
        (None, None) => "the whole machine".to_owned(),
        (memory, cpus) => {
            let limits = memory.into_iter().chain(cpus).collect::<Vec<_>>().join(" and ");
            format!("a container with {limits}; load, states of the processors and disks are the machine's")
        }
    }
}

/// Size and use of memory: the container's where it has a limit.
pub(super) fn memory(seen: &Seen) -> Option<(u64, u64)> {
    seen.limits.memory.or(seen.memory.map(|memory| (memory.total, memory.used)))
}

/// Part of the processors in use, 0 to 1: of those that a container may use where it has a limit.
pub(super) fn cpu_used(seen: &Seen, rates: &Rates) -> Option<f64> {
    let limited = seen.limits.cpus.zip(rates.container_cpu).map(|(limit, used)| (used / limit).min(1.0));
    limited.or(rates.cpu.map(|shares| shares.used))
}

pub(super) fn ratio(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| super::counters::float(part) / super::counters::float(all))
}

fn num(reading: &mut Reading, key: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        reading.num(key, round(value));
    }
}

fn int(reading: &mut Reading, key: &'static str, value: Option<i64>) {
    if let Some(value) = value {
        reading.int(key, value);
    }
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
