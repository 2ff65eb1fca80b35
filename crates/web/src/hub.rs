//! The event streams: one task turns boards into bytes once, however many clients listen. Owns the order in which a client
//! sees things: the whole board first, then every change after it.

mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use engine::handle::Handle;
use model::board::{Board, TargetNow};
use model::event::{Event, What};
use model::target::TargetId;
use net::task::Tasks;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::availability::Availability;
use crate::dto::alert::AlertsEvent;
use crate::dto::config::ConfigEvent;
use crate::dto::health::HealthDto;
use crate::dto::incident::IncidentDto;
use crate::dto::live::LiveEvent;
use crate::dto::problem::ProblemDto;
use crate::dto::target::{Availabilities, TargetDto};
use crate::health;
use crate::limits::{EVENT_BACKLOG, EVENT_EVERY, PING_EVERY, VIEW_TIME};
use crate::pulse::Pulse;
use services::Services;

/// Bytes for every client.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One or more whole events.
    pub bytes: Bytes,
    /// Whether it is only the sign of life.
    pub ping: bool,
}

/// A place in the audience: the board as it is now, and everything after.
pub struct Seat {
    /// The events `board` and `live`, in pieces that are shared by all clients.
    pub board: Vec<Bytes>,
    /// What follows.
    pub batches: broadcast::Receiver<Batch>,
}

/// The way to a seat.
#[derive(Clone)]
pub struct Hub {
    join: mpsc::Sender<oneshot::Sender<Seat>>,
}

/// Seats that may be asked for at once; more wait.
const JOINS: usize = 16;

impl Hub {
    /// Starts the task.
    #[must_use]
    pub fn start(handle: Handle, availability: Availability, pulse: Pulse, tasks: &Tasks) -> Self {
        let (join, joins) = mpsc::channel(JOINS);
        let cancelled = tasks.cancelled();
        let stage = Stage::new(handle, availability, pulse);
        tasks.spawn("event hub", async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = stage.run(joins) => {}
            }
        });
        Self { join }
    }

    /// Takes a seat; `None` when the server stops.
    pub async fn join(&self) -> Option<Seat> {
        let (tx, rx) = oneshot::channel();
        self.join.send(tx).await.ok()?;
        rx.await.ok()
    }
}

/// One target as it was last sent.
struct Shown {
    target: Arc<TargetNow>,
    availability: Availabilities,
    json: Bytes,
}

impl Shown {
    /// Whether it differs from `target` in nothing but live values, which its text does not have.
    fn is_like(&self, target: &TargetNow) -> bool {
        self.target.revision == target.revision && Arc::ptr_eq(&self.target.spec, &target.spec)
    }
}

struct Stage {
    handle: Handle,
    availability: Availability,
    pulse: Pulse,
    out: broadcast::Sender<Batch>,
    shown: BTreeMap<TargetId, Shown>,
    order: Vec<TargetId>,
    board: Arc<Board>,
    health: Option<HealthDto>,
    alerts: Option<AlertsEvent>,
    services: Services,
}

impl Stage {
    fn new(handle: Handle, availability: Availability, pulse: Pulse) -> Self {
        let board = handle.now();
        let out = broadcast::Sender::new(EVENT_BACKLOG);
        let services = Services::new(handle.units());
        Self {
            handle,
            availability,
            pulse,
            out,
            shown: BTreeMap::new(),
            order: Vec::new(),
            board,
            health: None,
            alerts: None,
            services,
        }
    }

    async fn run(mut self, mut joins: mpsc::Receiver<oneshot::Sender<Seat>>) {
        loop {
            // Nobody listens: nothing is turned into bytes and nothing is kept.
            self.shown.clear();
            self.order.clear();
            self.health = None;
            self.alerts = None;
            self.services.clear();
            let Some(first) = joins.recv().await else { return };
            let mut boards = self.handle.board();
            let mut alerts = self.handle.alerts().board();
            let mut events = self.handle.subscribe();
            self.seat(first).await;
            let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
            ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut not_before = Instant::now();
            let mut dirty = false;
            while self.out.receiver_count() > 0 {
                tokio::select! {
                    join = joins.recv() => match join {
                        Some(join) => self.seat(join).await,
                        None => return,
                    },
                    changed = boards.changed(), if !dirty => match changed {
                        Ok(()) => dirty = true,
                        Err(_) => return,
                    },
                    changed = alerts.changed(), if !dirty => match changed {
                        Ok(()) => dirty = true,
                        Err(_) => return,
                    },
                    () = self.availability.changed(), if !dirty => dirty = true,
                    () = self.services.changed(), if !dirty => dirty = true,
                    () = tokio::time::sleep_until(not_before), if dirty => {
                        boards.mark_unchanged();
                        alerts.mark_unchanged();
                        dirty = false;
                        not_before = Instant::now() + EVENT_EVERY;
                        self.refresh().await;
                    }
                    event = events.recv() => match event {
                        Ok(event) => self.tell(&event),
                        Err(broadcast::error::RecvError::Lagged(_)) => self.tell_whole_board(),
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    _ = ping.tick() => self.ping(),
                }
            }
        }
    }

    /// Brings what is shown up to date for everybody, then hands out the whole.
    async fn seat(&mut self, join: oneshot::Sender<Seat>) {
        self.refresh().await;
        let seat = Seat { board: self.whole_board(), batches: self.out.subscribe() };
        // A client that went away meanwhile needs no seat.
        let _ = join.send(seat);
    }

    async fn refresh(&mut self) {
        let board = self.handle.now();
        let table = self.availability.table();
        let scoring = self.handle.settings().borrow().score;
        let mut out = BytesMut::new();
        // Values that change every second are told apart from the rest, which is fifty times as long.
        let mut lives: Vec<&TargetNow> = Vec::new();
        for target in board.targets.iter() {
            let availability = table.get(&target.spec.id).copied().unwrap_or_default();
            let known = self.shown.get_mut(&target.spec.id);
            if known.as_ref().is_none_or(|s| !Arc::ptr_eq(&s.target, target)) {
                lives.push(target);
            }
            if let Some(known) = known.filter(|s| s.availability == availability && s.is_like(target)) {
                known.target = Arc::clone(target);
                continue;
            }
            let json = json(&TargetDto::new(target, availability, &scoring));
            event(&mut out, "target", board.version, &json);
            self.shown.insert(target.spec.id.clone(), Shown { target: Arc::clone(target), availability, json });
        }
        if let Some(told) = LiveEvent::of(board.at.0, lives) {
            event(&mut out, "live", board.version, &json(&told));
        }
        if !Arc::ptr_eq(&board.index, &self.board.index) || self.order.len() != board.targets.len() {
            self.order = board.targets.iter().map(|t| t.spec.id.clone()).collect();
            let gone: Vec<TargetId> = self.shown.keys().filter(|id| board.get(id).is_none()).cloned().collect();
            for id in gone {
                self.shown.remove(&id);
                event(&mut out, "removed", board.version, &json(&serde_json::json!({ "id": id.as_str() })));
            }
        }
        let health = health::of(&self.handle, &board, &self.pulse);
        if self.health.as_ref().is_none_or(|h| !health::same(h, &health)) {
            event(&mut out, "health", board.version, &json(&health));
            self.health = Some(health);
        }
        let alerts = AlertsEvent::from(self.handle.alerts().now().as_ref());
        if self.alerts.as_ref() != Some(&alerts) {
            event(&mut out, "alerts", board.version, &json(&alerts));
            self.alerts = Some(alerts);
        }
        self.services.refresh(&mut out, self.handle.clock().utc());
        let config = |b: &Board| (b.config_hash.clone(), Arc::clone(&b.health.config_problems));
        if config(&board) != config(&self.board) {
            let dto = self.config(&board).await;
            event(&mut out, "config", board.version, &json(&dto));
        }
        self.board = board;
        self.send(out, false);
    }

    async fn config(&self, board: &Board) -> ConfigEvent {
        let in_effect_hash = board.config_hash.clone();
        match tokio::time::timeout(VIEW_TIME, self.handle.config()).await {
            Ok(view) => {
                let problems = view.problems.iter().map(ProblemDto::from).collect();
                ConfigEvent { hash: view.hash, in_effect_hash, problems }
            }
            Err(_) => {
                let problems = board.health.config_problems.iter().map(ProblemDto::from).collect();
                ConfigEvent { hash: in_effect_hash.clone(), in_effect_hash, problems }
            }
        }
    }

    /// The event `board` in pieces, and the live values of all; a client that joins costs no new text but that of the values.
    fn whole_board(&self) -> Vec<Bytes> {
        let head = format!(
            "event: board\nid: {v}\ndata: {{\"version\":{v},\"at\":{at},\"targets\":[",
            v = self.board.version,
            at = self.handle.clock().utc().0
        );
        let mut out = Vec::with_capacity(self.order.len() * 2 + 2);
        out.push(Bytes::from(head));
        for (i, shown) in self.order.iter().filter_map(|id| self.shown.get(id)).enumerate() {
            if i > 0 {
                out.push(Bytes::from_static(b","));
            }
            out.push(shown.json.clone());
        }
        let health = self.health.as_ref().map_or(Bytes::from_static(b"null"), json);
        out.push(Bytes::from_static(b"],\"health\":"));
        out.push(health);
        out.push(Bytes::from_static(b"}\n\n"));
        if let Some(told) = LiveEvent::of(self.board.at.0, self.board.targets.iter().map(AsRef::as_ref)) {
            let mut live = BytesMut::new();
            event(&mut live, "live", self.board.version, &json(&told));
            out.push(live.freeze());
        }
        if let Some(alerts) = &self.alerts {
            let mut told = BytesMut::new();
            event(&mut told, "alerts", self.board.version, &json(alerts));
            out.push(told.freeze());
        }
        let mut services = BytesMut::new();
        self.services.whole(&mut services, self.handle.clock().utc());
        out.push(services.freeze());
        out
    }

    /// We missed events: everybody starts anew from the whole.
    fn tell_whole_board(&self) {
        self.send(self.whole_board().concat().as_slice().into(), false);
    }

    fn tell(&self, told: &Event) {
        let (What::IncidentOpened(i) | What::IncidentChanged(i) | What::IncidentClosed(i)) = &told.what else { return };
        let name = self.board.get(&i.target).map_or(i.target.as_str(), |t| t.spec.name.as_str());
        let mut out = BytesMut::new();
        event(&mut out, "incident", self.board.version, &json(&IncidentDto::new(None, name, i)));
        self.send(out, false);
    }

    fn ping(&self) {
        let mut out = BytesMut::new();
        let at = serde_json::json!({ "at": self.handle.clock().utc().0 });
        event(&mut out, "ping", self.board.version, &json(&at));
        self.send(out, true);
    }

    fn send(&self, bytes: BytesMut, ping: bool) {
        if !bytes.is_empty() {
            // Without listeners there is nobody to miss it.
            let _ = self.out.send(Batch { bytes: bytes.freeze(), ping });
        }
    }
}

/// One event. JSON has no line breaks, so its data is one line.
fn event(out: &mut BytesMut, name: &str, version: u64, data: &[u8]) {
    out.put_slice(format!("event: {name}\nid: {version}\ndata: ").as_bytes());
    out.put_slice(data);
    out.put_slice(b"\n\n");
}

fn json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("our shapes have text keys and finite numbers or null"))
}
