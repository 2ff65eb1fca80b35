//! The bounds that a configuration sets for a machine, and the findings about what lies beyond them. Owns their keys.

use std::collections::BTreeMap;

use model::conf::{Field, Section, Type};
use model::reading::{Reading, Severity};

use super::counters::{InterfaceRates, Rates};
use super::gather::Seen;
use super::report;

const PERCENT: Type = Type::Number { min: 0.0, max: 100.0 };
const PERCENTS: Type = Type::MapOf(&PERCENT);
/// Load per processor: hundreds are seen where many programs wait for a disk that is gone.
const LOAD: Type = Type::Number { min: 0.0, max: 1000.0 };
const CELSIUS: Type = Type::Number { min: -60.0, max: 200.0 };
/// Up to 10 Tbit/s.
const RATES: Type = Type::MapOf(&Type::Number { min: 0.0, max: 1e10 });

/// Keys of bounds. `warn_` degrades, `fail_` fails; the ones of interfaces fail without a prefix.
pub(super) const FIELDS: [Field; 22] = [
    Field::new("warn_cpu", PERCENT, "Use of the processors from which on it is a warning, in percent."),
    Field::new("fail_cpu", PERCENT, "Use of the processors from which on it is a failure, in percent."),
    Field::new("warn_load", LOAD, "Load average of five minutes per processor from which on it is a warning."),
    Field::new("fail_load", LOAD, "Load average of five minutes per processor from which on it is a failure."),
    Field::new("warn_memory", PERCENT, "Use of memory from which on it is a warning, in percent.").default("95"),
    Field::new("fail_memory", PERCENT, "Use of memory from which on it is a failure, in percent."),
    Field::new("warn_swap", PERCENT, "Use of swap from which on it is a warning, in percent."),
    Field::new("fail_swap", PERCENT, "Use of swap from which on it is a failure, in percent."),
    Field::new(
        "warn_disk",
        PERCENT,
        "Use of a file system, in bytes or in files, from which on it is a warning, in percent.",
    )
    .default("90"),
    Field::new(
        "fail_disk",
        PERCENT,
        "Use of a file system, in bytes or in files, from which on it is a failure, in percent.",
    ),
    Field::new(
        "warn_disk_of",
        PERCENTS,
        "The same as `warn_disk` for single file systems, by the folder they are mounted on.",
    ),
    Field::new(
        "fail_disk_of",
        PERCENTS,
        "The same as `fail_disk` for single file systems, by the folder they are mounted on.",
    ),
    Field::new(
        "warn_temperature",
        CELSIUS,
        "Temperature of a sensor from which on it is a warning, in degrees Celsius. What the maker calls critical always is one.",
    ),
    Field::new(
        "fail_temperature",
        CELSIUS,
        "Temperature of a sensor from which on it is a failure, in degrees Celsius.",
    ),
    Field::new("min_in_kbps", RATES, "Least that must come in, in kbit/s, by interface; less is a failure."),
    Field::new("warn_min_in_kbps", RATES, "Least that should come in, in kbit/s, by interface; less is a warning."),
    Field::new("max_in_kbps", RATES, "Most that may come in, in kbit/s, by interface; more is a failure."),
    Field::new("warn_max_in_kbps", RATES, "Most that should come in, in kbit/s, by interface; more is a warning."),
    Field::new("min_out_kbps", RATES, "Least that must go out, in kbit/s, by interface; less is a failure."),
    Field::new("warn_min_out_kbps", RATES, "Least that should go out, in kbit/s, by interface; less is a warning."),
    Field::new("max_out_kbps", RATES, "Most that may go out, in kbit/s, by interface; more is a failure."),
    Field::new("warn_max_out_kbps", RATES, "Most that should go out, in kbit/s, by interface; more is a warning."),
];

/// A bound that warns and one that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bound {
    warn: Option<f64>,
    fail: Option<f64>,
}

impl Bound {
    fn read(options: &Section<'_>, warn: &'static str, fail: &'static str) -> Self {
        Self { warn: options.number(warn), fail: options.number(fail) }
    }

    /// The bound that `actual` has reached, and how grave that is.
    fn reached(&self, actual: f64) -> Option<(f64, Severity)> {
        let fail = self.fail.filter(|bound| actual >= *bound).map(|bound| (bound, Severity::Failure));
        fail.or_else(|| self.warn.filter(|bound| actual >= *bound).map(|bound| (bound, Severity::Warning)))
    }
}

/// A bound of an interface's traffic.
#[derive(Clone, Debug, PartialEq)]
struct Traffic {
    interface: String,
    inwards: bool,
    least: bool,
    kbps: f64,
    severity: Severity,
}

/// All bounds of a target.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    cpu: Bound,
    load: Bound,
    memory: Bound,
    swap: Bound,
    disk: Bound,
    disk_of: BTreeMap<String, Bound>,
    temperature: Bound,
    /// Failures first, so that a rate beyond both bounds is told once.
    traffic: Vec<Traffic>,
}

impl Bounds {
    pub(super) fn read(options: &Section<'_>) -> Self {
        let mut disk_of: BTreeMap<String, Bound> = BTreeMap::new();
        for (key, is_fail) in [("warn_disk_of", false), ("fail_disk_of", true)] {
            for (folder, percent) in options.pairs(key) {
                let bound = disk_of.entry(folder).or_default();
                *(if is_fail { &mut bound.fail } else { &mut bound.warn }) = percent.parse().ok();
            }
        }
        let mut traffic = Vec::new();
        for (key, severity, inwards, least) in [
            ("min_in_kbps", Severity::Failure, true, true),
            ("max_in_kbps", Severity::Failure, true, false),
            ("min_out_kbps", Severity::Failure, false, true),
            ("max_out_kbps", Severity::Failure, false, false),
            ("warn_min_in_kbps", Severity::Warning, true, true),
            ("warn_max_in_kbps", Severity::Warning, true, false),
            ("warn_min_out_kbps", Severity::Warning, false, true),
            ("warn_max_out_kbps", Severity::Warning, false, false),
        ] {
            let bounds = options.pairs(key).into_iter();
            traffic.extend(bounds.filter_map(|(interface, kbps)| {
                Some(Traffic { interface, inwards, least, kbps: kbps.parse().ok()?, severity })
            }));
        }
        Self {
            cpu: Bound::read(options, "warn_cpu", "fail_cpu"),
            load: Bound::read(options, "warn_load", "fail_load"),
            memory: Bound::read(options, "warn_memory", "fail_memory"),
            swap: Bound::read(options, "warn_swap", "fail_swap"),
            disk: Bound::read(options, "warn_disk", "fail_disk"),
            disk_of,
            temperature: Bound::read(options, "warn_temperature", "fail_temperature"),
            traffic,
        }
    }

    /// Interfaces that have bounds.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &String> {
        self.traffic.iter().map(|traffic| &traffic.interface)
    }

    /// Folders that have bounds of their own.
    pub(super) fn folders(&self) -> impl Iterator<Item = &String> {
        self.disk_of.keys()
    }

    /// Notes what lies beyond the bounds. `interfaces` are those that must be there.
    pub(super) fn check(&self, seen: &Seen, rates: &Rates, interfaces: &[String], reading: &mut Reading) {
        let mut percent = |name, what: &str, bound: &Bound, ratio: Option<f64>| {
            let actual = ratio.unwrap_or(0.0) * 100.0;
            if let Some((limit, severity)) = bound.reached(actual).filter(|_| ratio.is_some()) {
                reading.find(name, severity, format!("{what} {actual:.0} %, the bound is {limit} %"));
            }
        };
        percent("cpu_high", "the processors are in use by", &self.cpu, report::cpu_used(seen, rates));
        let memory = report::memory(seen).and_then(|(size, used)| report::ratio(used, size));
        percent("memory_high", "memory is in use by", &self.memory, memory);
        let swap = seen.memory.and_then(|memory| report::ratio(memory.swap_used, memory.swap_total));
        percent("swap_high", "swap is in use by", &self.swap, swap);
        let load = seen.load.map(|load| load[1] / f64::from(seen.counters.cpus));
        if let Some((load, (limit, severity))) = load.and_then(|load| Some((load, self.load.reached(load)?))) {
            let text = format!("the load of five minutes is {load:.2} per processor, the bound is {limit}");
            reading.find("load_high", severity, text);
        }
        self.check_disks(seen, reading);
        self.check_temperatures(seen, reading);
        self.check_interfaces(seen, rates, interfaces, reading);
    }

    fn check_disks(&self, seen: &Seen, reading: &mut Reading) {
        for (mount, space) in &seen.mounts {
            let folder = &mount.folder;
            let space = match space {
                Ok(space) => space,
                Err(error) => {
                    let text = format!("the file system {folder} cannot be asked: {error}");
                    reading.find("mount_unreadable", Severity::Note, text);
                    continue;
                }
            };
            let own = self.disk_of.get(folder).copied().unwrap_or_default();
            let bound = Bound { warn: own.warn.or(self.disk.warn), fail: own.fail.or(self.disk.fail) };
            let percent = space.used_ratio * 100.0;
            if let Some((limit, severity)) = bound.reached(percent) {
                let text = format!("{folder} is {percent:.0} % full, the bound is {limit} %");
                reading.find("disk_full", severity, text);
            }
            let percent = space.files_used_ratio.unwrap_or(0.0) * 100.0;
            if let Some((limit, severity)) = bound.reached(percent).filter(|_| space.files_used_ratio.is_some()) {
                let text = format!("{folder} has {percent:.0} % of its files (inodes) in use, the bound is {limit} %");
                reading.find("files_full", severity, text);
            }
        }
    }

    fn check_temperatures(&self, seen: &Seen, reading: &mut Reading) {
        for sensor in &seen.temperatures {
            let (name, celsius) = (&sensor.name, sensor.celsius);
            let critical = sensor.critical.filter(|critical| celsius >= *critical);
            if let Some((limit, severity)) = self.temperature.reached(celsius) {
                let text = format!("the sensor {name} is at {celsius:.1} °C, the bound is {limit} °C");
                reading.find("temperature_high", severity, text);
            } else if let Some(critical) = critical {
                let text =
                    format!("the sensor {name} is at {celsius:.1} °C, which its maker calls critical ({critical} °C)");
                reading.find("temperature_critical", Severity::Warning, text);
            }
        }
    }

    fn check_interfaces(&self, seen: &Seen, rates: &Rates, wanted: &[String], reading: &mut Reading) {
        for name in wanted {
            if !seen.counters.interfaces.contains_key(name) {
                reading.find("interface_missing", Severity::Failure, format!("there is no interface {name}"));
            } else if seen.down.contains(name) {
                reading.find("interface_down", Severity::Failure, format!("the interface {name} is down"));
            }
        }
        let mut told: Vec<&Traffic> = Vec::new();
        for bound in &self.traffic {
            let Some(rate) = rates.interfaces.get(&bound.interface) else { continue };
            let actual = bound.actual_kbps(rate);
            let is_good = if bound.least { actual >= bound.kbps } else { actual <= bound.kbps };
            if is_good || told.iter().any(|other| other.is_graver_than(bound)) {
                continue;
            }
            let way = if bound.inwards { "comes in" } else { "goes out" };
            let (name, side) = if bound.least { ("traffic_low", "least") } else { ("traffic_high", "most") };
            let text =
                format!("{actual:.0} kbit/s {way} on {}, expected at {side} {} kbit/s", bound.interface, bound.kbps);
            reading.find(name, bound.severity, text);
            told.push(bound);
        }
    }
}

impl Traffic {
    fn actual_kbps(&self, rate: &InterfaceRates) -> f64 {
        (if self.inwards { rate.in_bps } else { rate.out_bps }) / 1000.0
    }

    fn is_graver_than(&self, other: &Self) -> bool {
        (&self.interface, self.inwards, self.least) == (&other.interface, other.inwards, other.least)
    }
}
