//! What is wrong with a transport stream that plays nevertheless, by the checks of ETSI TR 101 290. Owns names, severities and
//! sentences; the counts are `wire`'s.

use std::time::Duration;

use model::reading::{Reading, Severity};
use wire::ts::Clock;

use super::analysis::{Analysis, media_of};

/// Longest time between two time stamps of a stream (ISO/IEC 13818-1, 2.7.4).
const MAX_PTS_INTERVAL: Duration = Duration::from_millis(700);
/// Largest error of a program clock reference (ISO/IEC 13818-1, 2.4.2.2).
const MAX_PCR_ERROR_NS: f64 = 500.0;
/// A program clock that does not come for so long has stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// PIDs that a sentence names.
const MAX_NAMED: usize = 4;

/// Clocks of the programs that are looked at, by PID.
pub(super) fn clocks(analysis: &Analysis) -> impl Iterator<Item = (u16, &Clock)> {
    let mut pids: Vec<u16> = analysis.maps().map(|map| map.pcr_pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(|pid| Some((pid, analysis.monitor.pid(pid)?.clock.as_deref()?)))
}

/// Notes everything that is wrong.
pub(super) fn find(analysis: &Analysis, reading: &mut Reading) {
    packets(analysis, reading);
    tables(analysis, reading);
    clock(analysis, reading);
    times(analysis, reading);
    streams(analysis, reading);
}

fn packets(analysis: &Analysis, reading: &mut Reading) {
    let totals = analysis.monitor.totals();
    let mut warn = |name, text: String| reading.find(name, Severity::Warning, text);
    if analysis.framer.sync_losses() > 0 {
        let text = format!(
            "sync was lost {}, {} bytes belong to no packet",
            times_of(analysis.framer.sync_losses()),
            analysis.framer.skipped()
        );
        warn("sync_loss", text);
    } else if analysis.framer.sync_errors() > 0 {
        let text = format!("{} packets do not begin with the sync byte 0x47", analysis.framer.sync_errors());
        warn("sync_byte_error", text);
    }
    if totals.damaged > 0 {
        let text = format!("{} of {} packets are marked as damaged on the way", totals.damaged, totals.packets);
        warn("transport_errors", text);
    }
    if totals.continuity_errors > analysis.rules.continuity_errors {
        let mut worst: Vec<_> = analysis.monitor.pids().iter().filter(|pid| pid.continuity_errors > 0).collect();
        worst.sort_by_key(|pid| (std::cmp::Reverse(pid.continuity_errors), pid.pid));
        let named: Vec<_> =
            worst.iter().take(MAX_NAMED).map(|pid| format!("PID {}: {}", pid.pid, pid.continuity_errors)).collect();
        let text = format!(
            "the counters of packets do not go on {}, at least {} packets are missing ({})",
            times_of(totals.continuity_errors),
            totals.lost,
            named.join(", ")
        );
        warn("continuity_errors", text);
    }
    if totals.odd > 0 {
        let text = format!("{} packets have a header that contradicts itself", totals.odd);
        reading.find("packet_syntax", Severity::Note, text);
    }
}

fn tables(analysis: &Analysis, reading: &mut Reading) {
    let limit = analysis.rules.table_interval;
    let totals = analysis.monitor.totals();
    if totals.table_errors > 0 {
        let text = format!("{} tables have a wrong checksum or cannot be read", totals.table_errors);
        reading.find("table_crc", Severity::Warning, text);
    }
    let pat = analysis.monitor.longest(&analysis.monitor.pat_interval());
    if let Some(text) = too_rare("the program association table (PAT)", pat, limit) {
        reading.find("pat_interval", Severity::Warning, text);
    }
    for program in analysis.programs() {
        let what = format!("the map (PMT) of program {}", program.number);
        if let Some(text) = too_rare(&what, analysis.monitor.longest(&program.interval), limit) {
            reading.find("pmt_interval", Severity::Warning, text);
        }
    }
    let scrambled = analysis.selected().any(|stream| stream.scrambled > 0);
    if scrambled && !analysis.monitor.has_cat() {
        let text = "packets are scrambled and no conditional access table (CAT) came";
        reading.find("cat_missing", Severity::Warning, text);
    }
}

fn too_rare(what: &str, longest: Option<Duration>, limit: Duration) -> Option<String> {
    let longest = longest.filter(|longest| *longest > limit)?;
    Some(format!("{what} did not come for {} ms, more than {} ms", longest.as_millis(), limit.as_millis()))
}

/// Longest time between two references of a clock. Where bytes come as they are sent, the time since the last one counts when
/// the clock has stopped: less is the way here.
pub(super) fn pcr_interval(analysis: &Analysis, clock: &Clock) -> Option<Duration> {
    let open = Some(clock.silent_for(analysis.last()));
    let open = open.filter(|open| analysis.live && clock.count() > 1 && *open > STOPPED);
    clock.longest().max(open)
}

fn clock(analysis: &Analysis, reading: &mut Reading) {
    let limit = analysis.rules.pcr_interval;
    for (pid, clock) in clocks(analysis) {
        let what = format!("the program clock (PCR, PID {pid})");
        if let Some(text) = too_rare(&what, pcr_interval(analysis, clock), limit) {
            reading.find("pcr_interval", Severity::Warning, text);
        }
        if clock.jumps() > 0 {
            let text = format!("{what} jumped {}, last by {} ms", times_of(clock.jumps()), clock.last_jump_ms());
            reading.find("pcr_jump", Severity::Warning, text);
        }
        if let Some(worst) = clock.accuracy_ns().filter(|worst| *worst > MAX_PCR_ERROR_NS) {
            let text = format!("{what} is off by up to {worst:.0} ns, more than {MAX_PCR_ERROR_NS} ns");
            reading.find("pcr_accuracy", Severity::Note, text);
        }
    }
    for map in analysis.maps() {
        let has_clock = analysis.monitor.pid(map.pcr_pid).is_some_and(|pid| pid.clock.is_some());
        if !has_clock && analysis.covered() > limit {
            let text = format!("program {} has no program clock (PCR) on PID {}", map.program, map.pcr_pid);
            reading.find("pcr_missing", Severity::Warning, text);
        }
    }
}

fn times(analysis: &Analysis, reading: &mut Reading) {
    for stream in analysis.selected() {
        let Some(pid) = analysis.monitor.pid(stream.announced.pid) else { continue };
        let (times, media) = (pid.times, media_of(stream));
        if times.jumps > 0 {
            let text = format!(
                "the time stamps of the {media} (PID {}) jumped {}, last by {} ms",
                pid.pid,
                times_of(times.jumps),
                times.last_jump / 90
            );
            reading.find("pts_jump", Severity::Warning, text);
        }
        let longest = Duration::from_millis(times.longest / 90);
        if longest > MAX_PTS_INTERVAL {
            let text = format!(
                "{} ms lie between two time stamps of the {media} (PID {}), more than {} ms",
                longest.as_millis(),
                pid.pid,
                MAX_PTS_INTERVAL.as_millis()
            );
            reading.find("pts_interval", Severity::Note, text);
        }
    }
}

fn streams(analysis: &Analysis, reading: &mut Reading) {
    for stream in analysis.selected().filter(|stream| stream.announced.codec.is_video() && stream.scrambled == 0) {
        let (seen, pid) = (&stream.seen, stream.announced.pid);
        if seen.frames() > 0 && (seen.key_frames() == 0 || seen.video().is_none()) {
            let text = format!(
                "no key frame with its parameters came in {} pictures of PID {pid}: a player cannot begin",
                seen.frames()
            );
            reading.find("key_frame_missing", Severity::Warning, text);
        }
    }
    let strange: Vec<_> = analysis.monitor.unannounced().map(|pid| pid.pid.to_string()).collect();
    if !strange.is_empty() && analysis.is_described() && analysis.rules.program.is_none() {
        let more = if strange.len() > MAX_NAMED { ", ..." } else { "" };
        let named = strange.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let text = format!("packets travel under PIDs that no table announces: {named}{more}");
        reading.find("pid_unannounced", Severity::Note, text);
    }
}

/// `once`, `3 times`.
fn times_of(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
