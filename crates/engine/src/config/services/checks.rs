//! What is asked of a running service: start checks, health, budgets, its queue.

use model::address::Address;
use model::conf::{Section, words};
use model::unit::UnitId;
use model::unit::spec::{Budget, HealthCheck, HealthSource, Measure, Queue, QueueQueries, QueueSource, ReadyCheck};
use probe::commands::{is_name, pattern};

use super::super::tree::Item;
use super::fields::{BUDGET, HEALTH, QUEUE, READY, SQLITE};
use super::part::Reader;

/// Kinds of start checks.
const READY_KEYS: &[&str] = &["stays", "tcp", "http", "log", "target"];
/// Kinds of health checks.
const HEALTH_KEYS: &[&str] = &["http", "tcp", "exec", "heartbeat", "output", "target", "container"];
/// Kinds of queues.
const QUEUE_KEYS: &[&str] = &["sqlite", "http", "command", "file"];

/// Reads `ready`.
pub(super) fn ready(reader: &mut Reader<'_>, unit: &Item, path: &str) -> Vec<ReadyCheck> {
    if unit.get("ready").is_none_or(Item::is_null) {
        return vec![ReadyCheck::Stays(std::time::Duration::from_secs(1))];
    }
    reader.sections(unit, path, "ready", &READY, |reader, section| {
        let key = reader.one_of(section, READY_KEYS)?;
        Some(match key {
            "stays" => ReadyCheck::Stays(section.duration(key)?),
            "tcp" => ReadyCheck::Tcp(tcp(reader, section)?),
            "http" => ReadyCheck::Http(http(reader, section)?),
            "log" => {
                let text = section.text(key)?;
                if let Err(why) = pattern(&text) {
                    reader.wrong(
                        section,
                        key,
                        format!("this is no regular expression: {why}"),
                        "such as `listening on port [0-9]+`",
                    );
                }
                ReadyCheck::Log(text)
            }
            _ => ReadyCheck::Target(id(reader, section, key)?),
        })
    })
}

/// Reads `health`.
pub(super) fn health(reader: &mut Reader<'_>, unit: &Item, path: &str, container: bool) -> Vec<HealthCheck> {
    reader.sections(unit, path, "health", &HEALTH, |reader, section| {
        let key = reader.one_of(section, HEALTH_KEYS)?;
        if section.node("max_age").is_some() && key != "heartbeat" {
            reader.wrong(section, "max_age", format!("max_age has no effect with {key}"), "it goes with heartbeat");
        }
        let what = match key {
            "http" => HealthSource::Http(http(reader, section)?),
            "tcp" => HealthSource::Tcp(tcp(reader, section)?),
            "exec" => HealthSource::Exec(command(reader, section, key)?),
            "heartbeat" => HealthSource::Heartbeat(reader.path_at(section, key)?, section.duration("max_age")?),
            "output" => HealthSource::Output(section.duration(key)?),
            "target" => HealthSource::Target(id(reader, section, key)?),
            _ => {
                if !container {
                    reader.wrong(
                        section,
                        key,
                        "a process has no health check of a container engine",
                        "take it away, or set `kind: docker`",
                    );
                }
                // `container: false` is as good as no check.
                section.bool(key).filter(|wanted| *wanted)?;
                HealthSource::Container
            }
        };
        let fails = section.integer("fails").and_then(|n| u32::try_from(n).ok())?;
        let (every, timeout) = (section.duration("every")?, section.duration("timeout")?);
        Some(HealthCheck { what, every, timeout, fails, start_period: section.duration("start_period")? })
    })
}

fn http(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Address> {
    let text = section.text("http")?;
    match Address::parse(&text) {
        Ok(address) if matches!(address.scheme(), "http" | "https") => Some(address),
        Ok(_) => {
            reader.wrong(section, "http", "this is no http or https URL", "such as http://127.0.0.1:8080/health");
            None
        }
        Err(why) => {
            reader.wrong(section, "http", why, "such as http://127.0.0.1:8080/health");
            None
        }
    }
}

fn tcp(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.text("tcp")?;
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).map_or_else(
            || !host.is_empty() && !host.contains(|c: char| c == ':' || c == '/' || c.is_whitespace()),
            |v6| v6.parse::<std::net::Ipv6Addr>().is_ok(),
        );
        bare && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !good {
        reader.wrong(
            section,
            "tcp",
            format!("{text:?} is no host with a port"),
            "such as 127.0.0.1:8554 or [::1]:8554",
        );
    }
    good.then_some(text)
}

fn id(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<UnitId> {
    match UnitId::parse(&section.text(key)?) {
        Ok(id) => Some(id),
        Err(why) => {
            reader.wrong(section, key, why, "the id of a target");
            None
        }
    }
}

fn command(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<String> {
    let name = section.text(key)?;
    if !is_name(&name) {
        reader.wrong(
            section,
            key,
            format!("{name:?} cannot name a command"),
            "the name of a command of the file of commands",
        );
    }
    Some(name)
}

/// Reads `budgets`.
pub(super) fn budgets(reader: &mut Reader<'_>, unit: &Item, path: &str) -> Vec<Budget> {
    reader.sections(unit, path, "budgets", &BUDGET, |reader, section| {
        let measure = Measure::from_word(&section.text("measure")?)?;
        let text = section.text("most")?;
        let (most, remedy) = match measure {
            Measure::Memory => (words::size(&text).ok().map(as_number), "a size such as 8GiB"),
            Measure::Cpu => {
                (text.trim_end_matches('%').trim_end().parse::<f64>().ok(), "percent of one core, such as 150")
            }
            Measure::Descriptors | Measure::Threads => {
                (text.parse::<u32>().ok().map(f64::from), "a whole number such as 1000")
            }
        };
        let most = most.filter(|most| most.is_finite() && *most > 0.0);
        if most.is_none() {
            reader.wrong(section, "most", format!("{text:?} is no bound of {measure}"), remedy);
        }
        Some(Budget {
            measure,
            most: most?,
            during: section.duration("during")?,
            restart: section.bool("restart").unwrap_or_default(),
        })
    })
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes of memory")]
fn as_number(bytes: u64) -> f64 {
    bytes as f64
}

/// Reads `queue`.
pub(super) fn queue(reader: &mut Reader<'_>, unit: &Item, path: &str) -> Option<Queue> {
    let item = unit.get("queue").filter(|item| item.is_map())?;
    let here = format!("{path}.queue");
    reader.section(unit, path, "queue", &QUEUE, |reader, section| {
        let key = reader.one_of(section, QUEUE_KEYS)?;
        for (extra, with) in [("member", "http"), ("max_age", "file")] {
            if section.node(extra).is_some() && key != with {
                reader.wrong(
                    section,
                    extra,
                    format!("{extra} has no effect with {key}"),
                    &format!("it goes with {with}"),
                );
            }
        }
        let source = match key {
            "sqlite" => reader.section(item, &here, key, &SQLITE, sqlite)?,
            "http" => QueueSource::Http { address: http(reader, section)?, member: section.text("member")? },
            "command" => QueueSource::Command(command(reader, section, key)?),
            _ => QueueSource::File { file: reader.path_at(section, key)?, max_age: section.duration("max_age")? },
        };
        Some(Queue { source, every: section.duration("every")?, timeout: section.duration("timeout")? })
    })
}

fn sqlite(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<QueueSource> {
    let mut query = |key: &str| {
        let text = section.text(key)?;
        let first = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(first.as_str(), "select" | "with") {
            reader.wrong(section, key, "this is no query", "it begins with SELECT or WITH");
        }
        Some(text)
    };
    let counts = query("counts");
    let (rate_per_hour, oldest_waiting, stuck) = (query("rate_per_hour"), query("oldest_waiting"), query("stuck"));
    let queries = QueueQueries { counts: counts?, rate_per_hour, oldest_waiting, stuck };
    Some(QueueSource::Sqlite { file: reader.path_at(section, "file")?, queries })
}
