//! Names that other programs answered `/metrics` with: StreamPulse 2.1.1 and RTMP_HMonitor. Answered with where the section
//! `metrics` says so. Nothing new is ever added to this file.

use std::sync::Arc;
use std::time::Duration;

use engine::config::Config;
use model::board::TargetNow;
use model::expect::{BITRATE, LATENCY, LOSS};
use model::fault::FaultKind;
use model::score::{self, latency};
use model::time::Clock;
use model::verdict::Grade;
use net::task::Tasks;
use store::Store;
use tokio::sync::watch;

use super::Seen;
use super::family::Id;
use super::sheet::Sheet;
use crate::health::VERSION;
use crate::limits::SAMPLES_EVERY;

const DAY: Duration = Duration::from_secs(86_400);
/// Age of a stream that was never looked at, as StreamPulse 2.1.1 told it.
const NEVER_S: f64 = 999_999.0;
/// The kind whose figures RTMP_HMonitor had names of their own for.
const PING: &str = "ping";

/// Looks of a window: those that did not fail, and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Those that did not fail.
    pub ok: u64,
    /// All.
    pub all: u64,
}

/// Counts the looks of the window now and then, while the names of StreamPulse 2.1.1 are answered with. Requests read the
/// newest count and never wait.
#[derive(Clone)]
pub struct Window {
    newest: watch::Receiver<Option<Samples>>,
}

impl Window {
    /// Starts the task.
    #[must_use]
    pub fn start(store: Store, clock: Arc<dyn Clock>, settings: watch::Receiver<Arc<Config>>, tasks: &Tasks) -> Self {
        let (tx, newest) = watch::channel(None);
        let cancelled = tasks.cancelled();
        tasks.spawn("samples of the window", async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = keep(store, clock, settings, tx) => {}
            }
        });
        Self { newest }
    }

    /// The newest count; `None` before the first one.
    #[must_use]
    pub fn newest(&self) -> Option<Samples> {
        *self.newest.borrow()
    }
}

async fn keep(
    store: Store,
    clock: Arc<dyn Clock>,
    mut settings: watch::Receiver<Arc<Config>>,
    tx: watch::Sender<Option<Samples>>,
) {
    loop {
        let metrics = settings.borrow_and_update().metrics.clone();
        if metrics.streampulse_2_1 {
            // The day of today is the last one of the window.
            let from = clock.utc().minus(DAY * metrics.sla_window_days.saturating_sub(1));
            let asked = store.clone();
            match tokio::task::spawn_blocking(move || asked.looks_since(from)).await {
                Ok(Ok((ok, failed))) => drop(tx.send_replace(Some(Samples { ok, all: ok + failed }))),
                Ok(Err(error)) => tracing::debug!("looks could not be counted: {error}"),
                Err(error) => tracing::error!("counting looks failed: {error}"),
            }
        }
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(SAMPLES_EVERY), if metrics.streampulse_2_1 => {}
        }
    }
}

/// Writes those that are wanted.
pub(super) fn write(sheet: &mut Sheet, seen: &Seen) {
    if seen.settings.metrics.streampulse_2_1 {
        streampulse(sheet, seen);
    }
    if seen.settings.metrics.rtmp_hmonitor {
        sheet.put(Id::HealthInfo, &[("version", VERSION)], true);
        for target in seen.board.targets.iter() {
            hmonitor(sheet, seen, target);
        }
    }
}

/// Whether the newest look was no failure; the beat is what is known after a restart.
fn works(target: &TargetNow) -> Option<bool> {
    let grade = target.verdict.as_ref().map(|v| v.grade).or_else(|| target.beats.last().map(|beat| beat.grade))?;
    Some(grade != Grade::Fail)
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^53
fn streampulse(sheet: &mut Sheet, seen: &Seen) {
    let mut ok = 0_usize;
    for target in seen.board.targets.iter() {
        let labels = [("stream", target.spec.name.as_str())];
        let up = works(target).unwrap_or(false);
        ok += usize::from(up);
        sheet.put(Id::OldUp, &labels, up);
        let newest = target.beats.last();
        sheet.maybe(Id::OldLatency, &labels, newest.map(|beat| u64::from(beat.took_ms)));
        let age = newest.map_or(NEVER_S, |beat| seen.now.since(beat.at).as_secs_f64());
        sheet.put(Id::OldAge, &labels, age);
        let streak = match target.state.status.counts_as() {
            Some(true) => seen.now.since(target.state.since),
            _ => Duration::ZERO,
        };
        sheet.put(Id::OldStreak, &labels, streak.as_secs_f64());
    }
    let all = seen.board.targets.len();
    sheet.put(Id::OldTotal, &[], all);
    sheet.put(Id::OldOk, &[], ok);
    sheet.put(Id::OldFail, &[], all - ok);
    sheet.put(Id::OldSystem, &[], all > 0 && ok == all);
    if let Some(samples) = seen.samples {
        sheet.put(Id::OldOkSamples, &[], samples.ok);
        sheet.put(Id::OldSamples, &[], samples.all);
        let ratio = if samples.all == 0 { 0.0 } else { samples.ok as f64 / samples.all as f64 };
        sheet.put(Id::OldRatio, &[], ratio);
    }
}

fn hmonitor(sheet: &mut Sheet, seen: &Seen, target: &TargetNow) {
    let name = target.spec.name.as_str();
    let newest = target.newest();
    let reading = newest.map(|n| &n.look.reading);
    let loss = reading.and_then(|r| LOSS.read(r)).map(|ratio| ratio * 100.0);
    if target.spec.kind == PING {
        sheet.maybe(Id::HealthPing, &[("target", name)], reading.and_then(|r| LATENCY.read(r)));
        sheet.maybe(Id::HealthPingLoss, &[("target", name)], loss);
        return;
    }
    let labels = [("stream_name", name), ("stream_type", target.spec.kind)];
    sheet.put(Id::HealthStatus, &labels, target.state.status.counts_as() == Some(true));
    sheet.maybe(Id::HealthBitrate, &labels, reading.and_then(|r| BITRATE.read(r)));
    sheet.maybe(Id::HealthScore, &labels, score::of(&seen.settings.score, target).map(|s| s.value));
    sheet.maybe(Id::HealthLoss, &labels, loss);
    sheet.maybe(Id::HealthLatency, &labels, newest.and_then(latency));
    for (fault, count) in FaultKind::ALL.iter().zip(target.counts.faults).filter(|(_, count)| *count > 0) {
        sheet.put(Id::HealthErrors, &[labels[0], labels[1], ("error_type", fault.as_str())], count);
    }
}
