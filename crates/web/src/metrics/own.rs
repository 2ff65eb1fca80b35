//! Families about StreamPulse as a whole: parts, totals, looks by kind, punctuality, history, sinks.

use model::fault::FaultKind;
use model::status::Status;

use super::Seen;
use super::family::Id;
use super::sheet::Sheet;
use crate::health::VERSION;

/// Writes them.
pub(super) fn write(sheet: &mut Sheet, seen: &Seen) {
    sheet.put(Id::BuildInfo, &[("version", VERSION)], true);
    for (part, is) in &seen.health.parts {
        sheet.put(Id::PartUp, &[("part", part)], is.ok);
    }
    let counts = &seen.health.targets;
    for (status, count) in [
        (Status::Up, counts.up),
        (Status::Degraded, counts.degraded),
        (Status::Down, counts.down),
        (Status::Unknown, counts.unknown),
        (Status::Paused, counts.paused),
        (Status::Maintenance, counts.maintenance),
    ] {
        sheet.put(Id::Targets, &[("status", status.as_str())], count);
    }
    looks(sheet, seen);
    engine(sheet, seen);
    let store = &seen.store;
    sheet.put(Id::StoreQueue, &[], store.queued);
    sheet.put(Id::StoreLost, &[], store.lost_rows);
    sheet.put(Id::StoreSize, &[], store.size_bytes);
    sheet.maybe(Id::StoreCommit, &[], store.last_commit_at);
    sinks(sheet, seen);
    sheet.maybe(Id::WriteDuration, &[], seen.last_took_s);
}

fn looks(sheet: &mut Sheet, seen: &Seen) {
    let tally = &seen.board.tally;
    sheet.put(Id::IncidentsOpen, &[], seen.board.targets.iter().filter(|t| t.incident.is_some()).count());
    sheet.put(Id::Incidents, &[], tally.incidents);
    for (kind, of) in &tally.kinds {
        for (result, count) in [("pass", of.looks.pass), ("warn", of.looks.warn), ("fail", of.looks.fail)] {
            sheet.put(Id::Looks, &[("kind", kind), ("result", result)], count);
        }
        sheet.histogram(Id::LookDuration, &[("kind", kind)], &of.took);
        for (phase, took) in &of.phases {
            sheet.histogram(Id::PhaseDuration, &[("kind", kind), ("phase", phase.as_str())], took);
        }
    }
    // All of them from the start: what appears with its first event is not seen to grow.
    for (fault, count) in FaultKind::ALL.iter().zip(tally.faults) {
        sheet.put(Id::Faults, &[("fault", fault.as_str())], count);
    }
}

fn engine(sheet: &mut Sheet, seen: &Seen) {
    let late = &seen.punctuality;
    sheet.put(Id::Rounds, &[], late.rounds);
    sheet.put(Id::Missed, &[], late.missed);
    let mut buckets: Vec<(f64, u64)> = late.buckets().map(|(bound, count)| (bound.as_secs_f64(), count)).collect();
    // The last one has no bound.
    let (_, beyond) = buckets.pop().unwrap_or_default();
    sheet.buckets(Id::Lateness, &[], buckets.into_iter(), beyond, late.sum.as_secs_f64());
    sheet.put(Id::LatenessMax, &[], late.worst);
    sheet.put(Id::BoardAge, &[], seen.now.since(seen.board.at));
}

fn sinks(sheet: &mut Sheet, seen: &Seen) {
    for (name, sink) in &seen.sinks.all() {
        let labels = [("sink", name.as_str()), ("kind", sink.kind)];
        sheet.maybe(Id::SinkUp, &labels, sink.ok);
        sheet.put(Id::SinkSent, &labels, sink.sent);
        sheet.put(Id::SinkFailed, &labels, sink.failed);
        sheet.put(Id::SinkDropped, &labels, sink.dropped);
        sheet.put(Id::SinkQueue, &labels, sink.queued);
        sheet.maybe(Id::SinkLast, &labels, sink.last_sent);
    }
}
