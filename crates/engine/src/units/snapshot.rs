//! The Board of units: what one unit is now, as everybody sees it. Makes values and decides nothing.

use std::sync::Arc;

use model::time::{Clock, Mono, UtcMs};
use model::unit::UnitId;
use model::unit::board::UnitNow;

use super::entry::Entry;
use super::run::is_launched_alike;

/// A unit now.
pub(super) fn of(entry: &Entry, waits_for: Vec<UnitId>, clock: &dyn Clock) -> Arc<UnitNow> {
    let machine = &entry.machine;
    let (health, health_reason) = machine.health();
    let why = machine.why();
    let in_utc = |at: Mono| clock.utc().plus(at.0.saturating_sub(clock.mono().0));
    let next_start: Option<UtcMs> = machine.next_start().map(in_utc);
    Arc::new(UnitNow {
        spec: Arc::clone(&entry.spec),
        wanted: machine.wanted(),
        state: machine.state(),
        since: machine.since(),
        reason: why.words.clone(),
        cause: why.cause,
        run: entry.begun.as_ref().map(|begun| begun.now.clone()),
        last_end: entry.last_end.clone(),
        health,
        health_reason: health_reason.map(str::to_owned),
        restarts: machine.restarts(),
        next_start,
        waits_for,
        usage: entry.usage.clone(),
        queue: entry.queue.clone(),
        last_output: entry.last_output,
        last_heartbeat: entry.last_heartbeat,
        on_fallback: entry.begun.as_ref().is_some_and(|begun| begun.on_fallback),
        pending: entry.launched.as_ref().is_some_and(|launched| !is_launched_alike(launched, &entry.spec)),
    })
}
