//! Families about each service. One pass over the Board of units; a service that left its file leaves nothing, and what is
//! measured of a run is absent while none is under way.

use std::collections::BTreeMap;

use model::unit::board::{QueueNow, UnitNow, Usage};
use model::unit::spec::Program;
use model::unit::{Health, State, Wanted};

use super::Seen;
use super::family::Id;
use super::sheet::Sheet;

/// Most states of a queue that stand in labels.
const MAX_STATES: usize = 32;
/// Longest state of a queue that stands in a label, in bytes.
const MAX_STATE_BYTES: usize = 64;
/// Where all other states of a queue are counted: somebody else's table must not make as many series as it likes.
const OTHER: &str = "other";

/// Writes them.
pub(super) fn write(sheet: &mut Sheet, seen: &Seen) {
    for unit in &seen.units.units {
        let id = unit.spec.id.as_str();
        state(sheet, unit, id);
        if let Some(run) = &unit.run {
            sheet.put(Id::ServiceStart, &[("service", id)], run.started_at);
            sheet.put(Id::ServiceUptime, &[("service", id)], seen.now.since(run.started_at));
        }
        if let Some(usage) = unit.usage.as_ref().filter(|_| unit.run.is_some()) {
            self::usage(sheet, usage, id);
        }
        if let Some(queue) = &unit.queue {
            self::queue(sheet, queue, id);
        }
    }
}

fn state(sheet: &mut Sheet, unit: &UnitNow, id: &str) {
    let spec = &unit.spec;
    let kind = match spec.program {
        Program::Process(_) => "process",
        Program::Container(_) => "docker",
    };
    let group = spec.group.as_deref().unwrap_or_default();
    sheet.put(Id::ServiceInfo, &[("service", id), ("name", &spec.name), ("kind", kind), ("group", group)], true);
    let labels = [("service", id)];
    sheet.put(Id::ServiceUp, &labels, unit.state == State::Running && unit.health != Health::Unhealthy);
    for state in State::ALL {
        sheet.put(Id::ServiceState, &[("service", id), ("state", state.as_str())], unit.state == *state);
    }
    sheet.put(Id::ServiceSince, &labels, unit.since);
    sheet.put(Id::ServiceWanted, &labels, unit.wanted == Wanted::Running);
    let healthy = match unit.health {
        Health::Healthy => Some(true),
        Health::Unhealthy => Some(false),
        Health::Unknown | Health::Starting => None,
    };
    sheet.maybe(Id::ServiceHealthy, &labels, healthy);
    sheet.put(Id::ServiceRestarts, &labels, unit.restarts);
    sheet.maybe(Id::ServiceNextStart, &labels, unit.next_start);
    sheet.maybe(Id::ServiceOutput, &labels, unit.last_output);
    sheet.maybe(Id::ServiceHeartbeat, &labels, unit.last_heartbeat);
}

fn usage(sheet: &mut Sheet, usage: &Usage, id: &str) {
    let labels = [("service", id)];
    sheet.maybe(Id::ServiceCpu, &labels, usage.cpu_percent.map(|percent| percent / 100.0));
    sheet.put(Id::ServiceMemory, &labels, usage.memory_bytes);
    sheet.maybe(Id::ServiceMemoryLimit, &labels, usage.memory_limit);
    sheet.maybe(Id::ServiceRead, &labels, usage.read_bytes);
    sheet.maybe(Id::ServiceWritten, &labels, usage.written_bytes);
    sheet.put(Id::ServiceThreads, &labels, u64::from(usage.threads));
    sheet.maybe(Id::ServiceFds, &labels, usage.descriptors.map(u64::from));
    sheet.put(Id::ServiceProcesses, &labels, u64::from(usage.processes));
}

fn queue(sheet: &mut Sheet, queue: &QueueNow, id: &str) {
    let labels = [("service", id)];
    let counted = queue.error.is_none();
    sheet.put(Id::ServiceQueueUp, &labels, counted);
    if !counted {
        return; // old counts would be taken for new ones
    }
    for (state, count) in by_label(&queue.counts) {
        sheet.put(Id::ServiceQueue, &[("service", id), ("state", state)], count);
    }
    sheet.maybe(Id::ServiceQueueRate, &labels, queue.rate_per_hour);
    sheet.maybe(Id::ServiceQueueOldest, &labels, queue.oldest_waiting);
    sheet.maybe(Id::ServiceQueueStuck, &labels, queue.stuck);
    sheet.put(Id::ServiceQueueCounted, &labels, queue.at);
}

/// The counts by what may stand in a label: plain words as they are, all else together.
fn by_label(counts: &[(String, u64)]) -> BTreeMap<&str, u64> {
    let plain = |state: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ');
        !state.is_empty() && state.len() <= MAX_STATE_BYTES && state.bytes().all(good)
    };
    let mut by_label = BTreeMap::new();
    for (state, count) in counts {
        let is_known = by_label.contains_key(state.as_str());
        let label = if plain(state) && (is_known || by_label.len() < MAX_STATES) { state.as_str() } else { OTHER };
        let sum: &mut u64 = by_label.entry(label).or_default();
        *sum = sum.saturating_add(*count);
    }
    by_label
}

#[cfg(test)]
mod tests {
    use model::time::UtcMs;

    use super::*;

    #[test]
    fn foreign_words_make_no_series() {
        let mut counts: Vec<(String, u64)> = (0..40).map(|i| (format!("s{i:02}"), 1)).collect();
        counts.extend([("s00".to_owned(), 5), ("a\"}\n".to_owned(), 7), (String::new(), 2), ("x".repeat(65), 3)]);
        let labels = by_label(&counts);
        assert_eq!(labels.len(), MAX_STATES + 1);
        assert_eq!((labels["s00"], labels[OTHER]), (6, 8 + 7 + 2 + 3));
        assert_eq!(by_label(&[("in_progress".to_owned(), 3)]), BTreeMap::from([("in_progress", 3)]));
    }

    #[test]
    fn a_service_is_told_whole_and_what_nobody_knows_is_absent() {
        let text = |seen: &[(&str, u64)]| {
            let queue = QueueNow {
                at: UtcMs(5_000),
                counts: seen.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect(),
                ..QueueNow::default()
            };
            let mut sheet = Sheet::new(30, &[]);
            self::queue(&mut sheet, &queue, "a");
            self::usage(&mut sheet, &Usage { memory_bytes: 7, cpu_percent: Some(150.0), ..Usage::default() }, "a");
            sheet.finish(super::super::Format::accepted("")).concat()
        };
        let text = text(&[("pending", 3)]);
        for line in [
            "streampulse_service_queue_items{service=\"a\",state=\"pending\"} 3",
            "streampulse_service_queue_up{service=\"a\"} 1",
            "streampulse_service_cpu_ratio{service=\"a\"} 1.5",
            "streampulse_service_memory_bytes{service=\"a\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("open_fds") && !text.contains("queue_stuck"), "{text}");
    }
}
