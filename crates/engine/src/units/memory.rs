//! What is remembered of units over a restart: read at the beginning, written by one task in order. Owns when what was known
//! still counts; the rows are the store's.

use std::collections::BTreeMap;
use std::time::Duration;

use model::time::{Clock, UtcMs};
use model::unit::machine::{Known, Why};
use model::unit::{State, UnitId, Wanted};
use store::{Store, StoreError, UnitKnown};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Taken, UnitError};

/// How long the history may take to be readable at the start before units begin without it.
const RESTORE_WITHIN: Duration = Duration::from_secs(20);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How far back restarts by health count.
const HOUR: Duration = Duration::from_secs(3_600);
/// Wishes that wait to be written.
pub(super) const WISHES: usize = 64;

/// What is known of all units; nothing where the history cannot be read, which its health tells.
pub(super) async fn restore(
    store: &Store,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> Option<BTreeMap<UnitId, UnitKnown>> {
    let deadline = Instant::now() + RESTORE_WITHIN;
    loop {
        let (asked, since) = (store.clone(), clock.utc().minus(HOUR));
        let read = tokio::task::spawn_blocking(move || asked.units(since));
        match read.await.unwrap_or(Err(StoreError::Closed)) {
            Ok(known) => return Some(known.into_iter().map(|unit| (unit.id.clone(), unit)).collect()),
            Err(error) if Instant::now() >= deadline => {
                tracing::error!("services begin without what was wanted of them before: {error}");
                return Some(BTreeMap::new());
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// When this machine began, by the wall clock. A unit that was given up before that gets another chance.
pub(super) fn machine_began(clock: &dyn Clock) -> UtcMs {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0);
    clock.utc().minus(Duration::from_secs(seconds))
}

/// What of it the machine goes on with.
pub(super) fn known_of(unit: &UnitKnown, machine_began: UtcMs, now: UtcMs) -> Known {
    let last = unit.last.as_ref().filter(|last| {
        matches!(last.state, State::Failed | State::Finished) && last.at >= machine_began && unit.retired_at.is_none()
    });
    Known {
        last: last.map(|last| (last.state, Why::new(last.cause, last.reason.clone()))),
        restarts: unit.restarts,
        heals: unit.healed.iter().map(|at| now.since(*at)).collect(),
    }
}

/// A wish to be written before somebody is told that it was taken.
pub(super) struct Wish {
    pub(super) id: UnitId,
    pub(super) wanted: Wanted,
    pub(super) taken: Taken,
    pub(super) reply: oneshot::Sender<Result<Taken, UnitError>>,
}

/// Writes wishes in order. A disk that refuses is no reason not to stop a service: it is said, and the wish counts until
/// StreamPulse ends.
pub(super) async fn scribe(store: Store, mut wishes: mpsc::Receiver<Wish>) {
    while let Some(Wish { id, wanted, taken, reply }) = wishes.recv().await {
        let (store, unit) = (store.clone(), id.clone());
        let write = tokio::task::spawn_blocking(move || store.set_unit_wanted(&unit, wanted));
        if let Err(error) = write.await.unwrap_or(Err(StoreError::Closed)) {
            tracing::error!(unit = %id, "that it is wanted {wanted} could not be written and is forgotten at the next start: {error}");
        }
        let _gone = reply.send(Ok(taken));
    }
}

/// Something for the history; a full queue is counted by the store and comes back as its health.
pub(super) fn record(store: &Store, write: store::Write) {
    let _counted = store.record(write);
}
