//! `streampulse probe --follow URL`: holds one session and prints a line for each of its seconds, until somebody interrupts
//! it. Opens the session again when it ended, with the pauses of the engine. Judges nothing.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::cadence::{GOOD_FOR, backoff};
use model::fault::Fault;
use model::observation::{Observation, Second};
use model::reading::{FactValue, fact};
use model::target::Target;
use model::time::Clock;
use net::clock::SystemClock;
use probe::kind::Probe;
use probe::run::Prober;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{fact_json, track_json, track_text};
use crate::say;

/// Lines after which the heads of the columns are printed again: less than a screen.
const HEAD_EVERY: u64 = 20;
/// Exit code when no media flowed at the end.
const DOWN: u8 = 2;

/// What was followed so far.
#[derive(Default)]
struct Log {
    json: bool,
    /// Seconds in which media flowed.
    seconds: u64,
    opened: u64,
    bits: u64,
    packets: u64,
    lost: Option<u64>,
    /// Lines since the heads of the columns were printed.
    lines: u64,
    live: bool,
}

/// Follows `target` for `limit`, or until interrupted.
pub(super) async fn follow(
    target: &Target,
    probe: &dyn Probe,
    json: bool,
    limit: Option<Duration>,
) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cancel = CancellationToken::new();
    let mut log = Log { json, ..Log::default() };
    let end = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = cancel.cancelled() => {} // nobody reads any more
            () = async { match limit { Some(limit) => tokio::time::sleep(limit).await, None => std::future::pending().await } } => {}
        }
    };
    tokio::select! {
        () = sessions(target, probe, &clock, &cancel, &mut log) => {}
        () = end => {}
    }
    if !cancel.is_cancelled() && !json {
        say::out(&log.summary());
    }
    Ok(if log.live { ExitCode::SUCCESS } else { ExitCode::from(DOWN) })
}

/// One session after another, for ever.
async fn sessions(target: &Target, probe: &dyn Probe, clock: &Arc<dyn Clock>, gone: &CancellationToken, log: &mut Log) {
    let (prober, never) = (Prober::new(Arc::clone(clock)), CancellationToken::new());
    let mut failures = 0_u32;
    loop {
        let mut opened = None;
        let reader = AtomicBool::new(true);
        let ended = {
            let each = &mut |seen: Observation, second: Second| {
                let text = if opened.is_none() { log.opens(target, &seen) } else { log.second(&seen, second) };
                opened.get_or_insert(clock.mono());
                if !say::line(&text) {
                    reader.store(false, Ordering::Relaxed);
                    gone.cancel();
                }
            };
            prober.hold(target, probe, &never, each).await
        };
        let good = opened.is_some_and(|at| clock.mono().0.saturating_sub(at.0) >= GOOD_FOR);
        failures = if good { 0 } else { failures.saturating_add(1) };
        let pause = backoff(&target.id, failures);
        let Some(fault) = &ended.look.fault else { return };
        if !reader.load(Ordering::Relaxed) || !say::line(&log.ends(&ended, fault, opened.is_some(), pause)) {
            gone.cancel();
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

impl Log {
    /// The lines with which a session begins.
    fn opens(&mut self, target: &Target, seen: &Observation) -> String {
        (self.live, self.lines) = (true, 0);
        self.opened += 1;
        if self.json {
            let tracks: Vec<Value> = seen.look.reading.tracks.iter().map(track_json).collect();
            let words = json!({
                "at": seen.at.0, "state": "live", "target": target.address.to_string(), "took_ms": super::ms(seen.took), "tracks": tracks,
            });
            return words.to_string();
        }
        let tracks: Vec<String> = seen.look.reading.tracks.iter().map(track_text).collect();
        let took = super::ms(seen.took);
        format!("{} {}: opened in {took:.1} ms: {}", clock_text(seen), target.address, tracks.join(", "))
    }

    /// The line of one second.
    fn second(&mut self, seen: &Observation, second: Second) -> String {
        self.seconds += 1;
        self.bits += second.bits;
        self.packets += u64::from(second.packets);
        if let Some(lost) = second.lost {
            *self.lost.get_or_insert(0) += u64::from(lost);
        }
        if self.json {
            let measures: Map<String, Value> =
                seen.look.reading.facts.iter().map(|(k, v)| ((*k).to_owned(), fact_json(v))).collect();
            let second = json!({
                "bits": second.bits, "packets": second.packets, "frames": second.frames, "lost": second.lost,
                "jitter_ms": second.jitter_ms, "timestamp_gap_ms": second.timestamp_gap_ms, "arrival_gap_ms": second.arrival_gap_ms,
            });
            return json!({ "at": seen.at.0, "state": "live", "second": second, "facts": measures }).to_string();
        }
        let mut text = String::new();
        if self.lines.is_multiple_of(HEAD_EVERY) {
            text.push_str("time      bit rate      pictures  packets  lost  jitter   time step  silence  key frame\n");
        }
        self.lines += 1;
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.1} ms"));
        let lost = second.lost.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let key = match seen.look.reading.facts.get(fact::KEYFRAME_INTERVAL_MS) {
            #[allow(clippy::cast_precision_loss)] // milliseconds far below 2^53
            Some(FactValue::Int(n)) => format!("{:.1} s", *n as f64 / 1000.0),
            _ => "-".to_owned(),
        };
        let silence = format!("{:.0} ms", second.arrival_gap_ms);
        let step = second.timestamp_gap_ms.map_or_else(|| "-".to_owned(), |v| format!("{v:.0} ms"));
        let _infallible = write!(
            text,
            "{}  {:<12}  {:>8}  {:>7}  {lost:>4}  {:<7}  {step:<9}  {silence:<7}  {key}",
            clock_text(seen),
            rate_text(second.bits),
            second.frames,
            second.packets,
            ms(second.jitter_ms),
        );
        text
    }

    /// The line with which a session ends, or could not begin.
    fn ends(&mut self, ended: &Observation, fault: &Fault, was_live: bool, pause: Duration) -> String {
        self.live = false;
        if self.json {
            let fault = json!({ "kind": fault.kind.as_str(), "phase": fault.phase.as_str(), "detail": fault.detail });
            let next = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            return json!({ "at": ended.at.0, "state": "waiting", "fault": fault, "next_ms": next }).to_string();
        }
        let what = if was_live { "ended" } else { "not opened" };
        let next = if pause.is_zero() { "at once".to_owned() } else { format!("in {:.1} s", pause.as_secs_f64()) };
        format!("{} {what}: {fault}; next attempt {next}", clock_text(ended))
    }

    fn summary(&self) -> String {
        let lost = self.lost.map_or(String::new(), |lost| {
            let all = self.packets.saturating_add(lost);
            format!(", {lost} of {all} packets lost")
        });
        let again = match self.opened.saturating_sub(1) {
            0 => String::new(),
            1 => ", opened again once".to_owned(),
            n => format!(", opened again {n} times"),
        };
        let rate = rate_text(self.bits.checked_div(self.seconds).unwrap_or_default());
        format!("{} s of media, {rate} on average{lost}{again}", self.seconds)
    }
}

/// Time of day in the system's zone.
fn clock_text(seen: &Observation) -> String {
    let zone = jiff::tz::TimeZone::system();
    let at = jiff::Timestamp::from_millisecond(seen.at.0).unwrap_or_default();
    at.to_zoned(zone).strftime("%H:%M:%S").to_string()
}

/// `1.52 Mbit/s`, `640 kbit/s`.
fn rate_text(bits: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // a rate is far below 2^53
    let bits = bits as f64;
    if bits >= 1e6 { format!("{:.2} Mbit/s", bits / 1e6) } else { format!("{:.0} kbit/s", bits / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_followed() {
        let mut log = Log { seconds: 10, bits: 15_200_000, packets: 990, opened: 1, ..Log::default() };
        assert_eq!(log.summary(), "10 s of media, 1.52 Mbit/s on average");
        (log.lost, log.opened) = (Some(10), 3);
        assert_eq!(
            log.summary(),
            "10 s of media, 1.52 Mbit/s on average, 10 of 1000 packets lost, opened again 2 times"
        );
        assert_eq!(Log::default().summary(), "0 s of media, 0 kbit/s on average");
    }
}
