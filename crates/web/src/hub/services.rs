//! Services on the event streams: which of them changed since they were last told, and when the next may be told. What
//! matters is told at once; values that are measured are told now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use engine::units::Units;
use model::time::UtcMs;
use model::unit::UnitId;
use model::unit::board::{UnitBoard, UnitNow};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{event, json};
use crate::dto::service::{ServiceDto, ServicesDto};
use crate::limits::SERVICE_VALUES_EVERY;

/// One unit as it was last told.
struct Told {
    unit: Arc<UnitNow>,
    at: Instant,
}

/// What clients know of the services.
pub(super) struct Services {
    board: watch::Receiver<Arc<UnitBoard>>,
    told: BTreeMap<UnitId, Told>,
    order: Vec<UnitId>,
    /// When values that were held back are due.
    due: Option<Instant>,
}

impl Services {
    pub(super) fn new(units: &Units) -> Self {
        Self { board: units.board(), told: BTreeMap::new(), order: Vec::new(), due: None }
    }

    /// Nobody listens any more: nothing is kept.
    pub(super) fn clear(&mut self) {
        self.told.clear();
        self.order.clear();
        self.due = None;
    }

    /// Comes back when there may be something to tell.
    pub(super) async fn changed(&mut self) {
        let later = async {
            match self.due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.board.changed() => if changed.is_err() {
                // Whoever publishes them has ended, and the engine with it.
                std::future::pending().await
            },
            () = later => {}
        }
    }

    /// Writes what changed since it was last told.
    pub(super) fn refresh(&mut self, out: &mut BytesMut, now: UtcMs) {
        let board = Arc::clone(&self.board.borrow_and_update());
        let order: Vec<UnitId> = board.units.iter().map(|unit| unit.spec.id.clone()).collect();
        let (at, whole) = (Instant::now(), order != self.order);
        self.due = None;
        if whole {
            self.order = order;
            self.told.retain(|id, _| board.get(id).is_some());
            event(out, "services", board.version, &json(&all(&board, now)));
        }
        for unit in &board.units {
            let known = self.told.get(&unit.spec.id);
            if known.is_some_and(|told| Arc::ptr_eq(&told.unit, unit)) {
                continue;
            }
            let held_until =
                known.filter(|told| same_but_values(&told.unit, unit)).map(|t| t.at + SERVICE_VALUES_EVERY);
            if let Some(until) = held_until.filter(|until| *until > at && !whole) {
                self.due = Some(self.due.map_or(until, |due: Instant| due.min(until)));
                continue;
            }
            if !whole {
                event(out, "service", board.version, &json(&ServiceDto::new(unit, now)));
            }
            self.told.insert(unit.spec.id.clone(), Told { unit: Arc::clone(unit), at });
        }
    }

    /// All services, for a client that begins.
    pub(super) fn whole(&self, out: &mut BytesMut, now: UtcMs) {
        let board = Arc::clone(&self.board.borrow());
        event(out, "services", board.version, &json(&all(&board, now)));
    }
}

fn all(board: &UnitBoard, now: UtcMs) -> ServicesDto {
    let services = board.units.iter().map(|unit| ServiceDto::new(unit, now)).collect();
    ServicesDto { at: now.0, version: board.version, services }
}

/// Whether two moments of a unit differ in measured values alone.
fn same_but_values(a: &UnitNow, b: &UnitNow) -> bool {
    let state = |u: &UnitNow| (u.wanted, u.state, u.since, u.cause, u.health, u.restarts, u.next_start);
    let flags = |u: &UnitNow| (u.on_fallback, u.pending);
    state(a) == state(b)
        && flags(a) == flags(b)
        && (Arc::ptr_eq(&a.spec, &b.spec) || a.spec == b.spec)
        && a.reason == b.reason
        && a.health_reason == b.health_reason
        && a.run == b.run
        && a.last_end == b.last_end
        && a.waits_for == b.waits_for
}
