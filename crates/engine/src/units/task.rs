//! The task that owns all units: feeds their machines, has done what they say, writes what is to be remembered and publishes
//! the Board of units. Waits for nobody: whoever may hang is asked in a task of its own and tells what came of it. Units
//! outlive it: when it ends, nothing of them is ended.

mod asks;
mod forms;
mod reload;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::board::Board;
use model::event::{Event, What};
use model::target::TargetId;
use model::time::{Clock, Mono, UtcMs};
use model::unit::board::{QueueNow, RunEnd, UnitBoard, UnitChange, UnitNow};
use model::unit::machine::{Around as Surroundings, Effect, Finding, Input, KILL_AFTER, Moment};
use model::unit::spec::Unit;
use model::unit::{Cause, State, UnitId, Wanted};
use net::task::{Tasks, panic_text};
use probe::commands::Commands;
use store::{Store, UnitKnown, Write};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checks::{Checking, Shared};
use super::entry::Entry;
use super::form_desk::FormTold;
use super::measure::{self, Measured, Measuring};
use super::memory::{self, Wish, record};
use super::queue::{Counter, Counting};
use super::ready::{self, Asking};
use super::run::{Backends, Begun, Launched, Runner};
use super::{Backstage, Units, snapshot};
use crate::config::Services;
use crate::shell::Ask;

/// What tasks of units tell at once before they wait themselves.
const TOLD_QUEUE: usize = 1_024;
/// What is taken of it in one turn.
const TOLD_AT_ONCE: usize = 256;
/// Shortest time between two Boards that nobody waits for.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// How far ahead the task sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
/// Steps that one input may cause in other units before something is wrong with us.
const MOST_STEPS: usize = 100_000;

/// What the task needs.
pub(crate) struct Around {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: mpsc::Sender<Ask>,
    pub(crate) board: watch::Receiver<Arc<Board>>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) commands: Arc<Commands>,
    /// What the file of services says, as it changes.
    pub(crate) services: watch::Receiver<Arc<Services>>,
    pub(crate) backends: Backends,
    /// Who counts queues.
    pub(crate) counter: Option<Arc<dyn Counter>>,
    /// Owns the tasks of single units.
    pub(crate) tasks: Tasks,
}

/// What tasks of single units tell.
pub(super) enum Told {
    Adopted { id: UnitId, finding: Finding, begun: Option<Begun> },
    Launched { id: UnitId, run: u64, outcome: Launched },
    Ended { id: UnitId, run: u64, end: RunEnd },
    StopRefused { id: UnitId, run: u64, words: String },
    Ready { id: UnitId, run: u64, result: Result<(), String> },
    Checked { id: UnitId, run: u64, check: usize, result: Result<(), String> },
    Heartbeat { id: UnitId, at: UtcMs },
    Measured(Vec<Measured>),
    Counted { id: UnitId, queue: QueueNow },
    Form(FormTold),
}

/// The task of units behind their front.
pub(crate) fn task(
    around: Around,
    front: &Units,
    backstage: Backstage,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let (folder, recent) = (front.folder.clone(), front.recent.clone());
    async move {
        let Some(known) = memory::restore(&around.store, &*around.clock, &stop).await else { return };
        let (wishes, to_write) = mpsc::channel(memory::WISHES);
        around.tasks.spawn("wishes of services", memory::scribe(around.store.clone(), to_write));
        let mut task = Task::new(around, (folder, recent), backstage.board, known, wishes);
        task.run(backstage.asks, stop).await;
    }
}

pub(super) struct Task {
    around: Around,
    shared: Shared,
    runner: Runner,
    folder: PathBuf,
    recent: measure::Recent,
    entries: BTreeMap<UnitId, Entry>,
    /// In the order of the file; those that are in it no longer stand behind.
    order: Vec<UnitId>,
    /// Who needs a unit.
    needed_by: BTreeMap<UnitId, Vec<UnitId>>,
    known: BTreeMap<UnitId, UnitKnown>,
    machine_began: UtcMs,
    told: mpsc::Receiver<Told>,
    wishes: mpsc::Sender<Wish>,
    board: watch::Sender<Arc<UnitBoard>>,
    version: u64,
    published: Instant,
    /// Whether somebody waits for the next Board.
    is_urgent: bool,
    /// Told after the Board that shows what they tell.
    untold: Vec<Arc<Event>>,
    unanswered: VecDeque<Wish>,
    measuring: bool,
    /// Targets of units that are stopped on purpose, as the engine was told.
    resting: Arc<BTreeSet<TargetId>>,
    chance: std::hash::RandomState,
    drawn: u64,
}

impl Task {
    fn new(
        around: Around,
        (folder, recent): (PathBuf, measure::Recent),
        board: watch::Sender<Arc<UnitBoard>>,
        known: BTreeMap<UnitId, UnitKnown>,
        wishes: mpsc::Sender<Wish>,
    ) -> Self {
        let (tell, told) = mpsc::channel(TOLD_QUEUE);
        let shared =
            Shared::new(Arc::clone(&around.clock), around.board.clone(), Arc::clone(&around.commands), tell.clone());
        let runner = Runner {
            backends: around.backends.clone(),
            tasks: around.tasks.clone(),
            told: tell,
            clock: Arc::clone(&around.clock),
            folder: folder.clone(),
        };
        let machine_began = memory::machine_began(&*around.clock);
        Self {
            around,
            shared,
            runner,
            folder,
            recent,
            entries: BTreeMap::new(),
            order: Vec::new(),
            needed_by: BTreeMap::new(),
            known,
            machine_began,
            told,
            wishes,
            board,
            version: 0,
            published: Instant::now(),
            is_urgent: false,
            untold: Vec::new(),
            unanswered: VecDeque::new(),
            measuring: false,
            resting: Arc::default(),
            chance: std::hash::RandomState::new(),
            drawn: 0,
        }
    }

    async fn run(&mut self, mut asks: mpsc::Receiver<super::UnitAsk>, stop: CancellationToken) {
        let mut services = self.around.services.clone();
        let first = Arc::clone(&services.borrow_and_update());
        self.contained(|task| task.reload(&first.units, true));
        let mut measure = tokio::time::interval(measure::EVERY);
        measure.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = Vec::with_capacity(TOLD_AT_ONCE);
        let (mut has_services, mut has_asks) = (true, true);
        loop {
            self.contained(Self::publish_when_due);
            self.answer();
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => break,
                _ = self.told.recv_many(&mut told, TOLD_AT_ONCE) => {}
                ask = asks.recv(), if has_asks => match ask {
                    Some(ask) => self.contained(|task| task.ask(ask)),
                    None => has_asks = false,
                },
                changed = services.changed(), if has_services => match changed {
                    Ok(()) => {
                        let now = Arc::clone(&services.borrow_and_update());
                        self.contained(|task| task.reload(&now.units, false));
                    }
                    Err(_) => has_services = false,
                },
                _ = measure.tick() => self.measure(),
                () = tokio::time::sleep_until(wake) => self.contained(Self::look_at_due),
            }
            for one in told.drain(..) {
                self.contained(|task| task.hear(one));
            }
        }
        self.contained(Self::publish);
        for entry in self.entries.values_mut() {
            entry.over.cancel();
            entry.checks.cancel();
            entry.counting.cancel();
        }
    }

    /// One turn. A panic in it is told and ends nothing: the next turn goes on with what is known.
    fn contained(&mut self, turn: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| turn(self))) {
            let words = panic_text(panic.as_ref());
            tracing::error!("the task of services panicked and goes on: {words}");
            let _full = self.around.engine.try_send(Ask::Panicked(format!("services: {words}")));
        }
    }

    fn now(&self) -> Moment {
        Moment { utc: self.around.clock.utc(), mono: self.around.clock.mono() }
    }

    /// When there is something to do at the latest.
    fn wake(&self) -> Instant {
        let (now, mono) = (Instant::now(), self.around.clock.mono());
        let due = |at: Mono| now + at.0.saturating_sub(mono.0).min(IDLE);
        let next = self.entries.values().filter_map(|entry| entry.machine.next_wake()).min();
        let wake = next.map_or(now + IDLE, due);
        if self.is_dirty() { wake.min(self.published + PUBLISH_EVERY) } else { wake }
    }

    fn look_at_due(&mut self) {
        let mono = self.around.clock.mono();
        let due = |entry: &Entry| entry.machine.next_wake().is_some_and(|at| at <= mono);
        let ids: Vec<UnitId> = self.entries.iter().filter(|(_, entry)| due(entry)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.input(id, Input::Look);
        }
    }

    /// A number from 0 to 1 that nobody can foresee.
    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        let bits = self.chance.hash_one(self.drawn) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let part = bits as f64 / (1_u64 << 53) as f64;
        part
    }

    /// Steps a unit, and every unit for which that changes something.
    fn input(&mut self, id: UnitId, input: Input) {
        let mut queue = VecDeque::from([(id, input)]);
        for _ in 0..MOST_STEPS {
            let Some((id, input)) = queue.pop_front() else { return };
            let Some(entry) = self.entries.get(&id) else { continue };
            let how = |entry: &Entry| (entry.machine.state(), entry.machine.has_run(), entry.machine.is_leaving());
            let (before, spec) = (how(entry), Arc::clone(&entry.spec));
            let surroundings = self.surroundings(&spec);
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let effects = entry.machine.step(&surroundings, input);
            entry.is_dirty = true;
            let changed = how(entry) != before;
            for effect in effects {
                self.act(&id, effect);
            }
            if changed {
                let near = self.needed_by.get(&id).into_iter().flatten().chain(&spec.needs);
                queue.extend(near.map(|near| (near.clone(), Input::Look)));
            }
        }
        tracing::error!("units changed one another without end");
    }

    /// Units that a unit needs and that do not run. A job that finished is what was needed of it.
    fn waits_for(&self, spec: &Unit) -> Vec<UnitId> {
        let state = |id: &UnitId| self.entries.get(id).map(|entry| entry.machine.state());
        let met = |id: &UnitId| matches!(state(id), Some(State::Running | State::Finished));
        spec.needs.iter().filter(|id| !met(id)).cloned().collect()
    }

    fn surroundings<'a>(&mut self, spec: &'a Unit) -> Surroundings<'a> {
        let chance = self.draw();
        let of = |id: &UnitId| self.entries.get(id).map(|entry| &entry.machine);
        let waits_for = self.waits_for(spec);
        let leaving = spec.needs.iter().find(|id| of(id).is_some_and(|m| m.is_leaving())).cloned();
        let dependants = || self.needed_by.get(&spec.id).into_iter().flatten();
        let needed_by = dependants().find(|id| of(id).is_some_and(|m| m.has_run())).cloned();
        let graces = dependants().filter_map(|id| self.entries.get(id)).map(|entry| entry.spec.stop.grace);
        let hold = graces.max().unwrap_or_default() + KILL_AFTER + KILL_AFTER;
        Surroundings { spec, waits_for, leaving, needed_by, hold, now: self.now(), chance }
    }

    /// Has done what a machine says.
    fn act(&mut self, id: &UnitId, effect: Effect) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        match effect {
            Effect::Adopt => self.runner.adopt(Arc::clone(&entry.spec)),
            Effect::Launch(run) => {
                entry.launched = Some(Arc::clone(&entry.spec));
                self.runner.launch(Arc::clone(&entry.spec), entry.form.clone(), run);
            }
            Effect::Stop(run) | Effect::Kill(run) => {
                if let Some(begun) = &entry.begun {
                    let kill = matches!(effect, Effect::Kill(_));
                    self.runner.end_run(&entry.spec, run, Arc::clone(&begun.instance), kill);
                }
            }
            Effect::Changed(change) => self.changed(id, &change),
        }
    }

    fn changed(&mut self, id: &UnitId, change: &Arc<UnitChange>) {
        log(id, change);
        let Some(entry) = self.entries.get_mut(id) else { return };
        if let Some(end) = &change.end {
            entry.last_end = Some(end.clone());
        }
        record(&self.around.store, Write::UnitChanged(id.clone(), Arc::clone(change)));
        let restarts = entry.machine.restarts();
        if restarts != entry.restarts_written {
            entry.restarts_written = restarts;
            record(&self.around.store, Write::UnitRestarts(id.clone(), restarts));
        }
        let what = What::UnitChanged(id.clone(), Arc::clone(change));
        self.untold.push(Arc::new(Event { at: change.at, what }));
        self.settle_trial(id);
    }

    /// Begins what belongs to a run: waiting for its end, start checks, health checks.
    fn attend(&mut self, id: &UnitId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(begun) = entry.begun.clone() else { return };
        let run = entry.machine.run();
        self.runner.wait(id.clone(), run, Arc::clone(&begun.instance), entry.over.clone());
        if entry.machine.state() == State::Starting && !entry.spec.ready.is_empty() {
            let asking = Asking {
                clock: Arc::clone(&self.around.clock),
                board: self.around.board.clone(),
                engine: self.around.engine.clone(),
                folder: self.folder.join(id.as_str()),
                started_at: begun.now.started_at,
            };
            let (checks, over, told) = (entry.spec.ready.clone(), entry.over.clone(), self.shared.told.clone());
            let id = id.clone();
            self.around.tasks.spawn(format!("start checks of {id}"), async move {
                let result = tokio::select! {
                    () = over.cancelled() => return,
                    result = ready::all(asking, checks) => result,
                };
                let _ended = told.send(Told::Ready { id, run, result }).await;
            });
        }
        self.attend_checks(id);
    }

    /// Begins the health checks of a run, in place of those that were.
    fn attend_checks(&mut self, id: &UnitId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(begun) = &entry.begun else { return };
        entry.checks.cancel();
        entry.checks = entry.over.child_token();
        for (index, rule) in entry.spec.health.iter().enumerate() {
            let checking = Checking {
                shared: self.shared.clone(),
                id: id.clone(),
                run: entry.machine.run(),
                index,
                rule: rule.clone(),
                instance: Arc::clone(&begun.instance),
                folder: self.folder.join(id.as_str()),
                started_at: begun.now.started_at,
            };
            self.around.tasks.spawn(format!("health of {id}"), checking.run(entry.checks.clone()));
        }
    }

    /// Begins to count the queue of a unit, in place of counting it as it was.
    fn count_queue(&mut self, id: &UnitId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.counting.cancel();
        entry.counting = CancellationToken::new();
        let (Some(queue), Some(counter)) = (&entry.spec.queue, &self.around.counter) else {
            entry.queue = None;
            return;
        };
        let counting = Counting {
            id: id.clone(),
            queue: queue.clone(),
            counter: Arc::clone(counter),
            clock: Arc::clone(&self.around.clock),
            told: self.shared.told.clone(),
        };
        self.around.tasks.spawn(format!("queue of {id}"), counting.run(entry.counting.clone()));
    }

    /// Begins a pass of measuring, unless one is under way.
    fn measure(&mut self) {
        if std::mem::replace(&mut self.measuring, true) {
            return;
        }
        let running = |(id, entry): (&UnitId, &Entry)| {
            let instance = Arc::clone(&entry.begun.as_ref()?.instance);
            Some(Measuring { id: id.clone(), run: entry.machine.run(), instance })
        };
        let units = self.entries.iter().filter_map(running).collect();
        let (told, folder) = (self.shared.told.clone(), self.folder.clone());
        self.around.tasks.spawn("use of services", async move {
            let measured = measure::pass(units, folder).await;
            let _ended = told.send(Told::Measured(measured)).await;
        });
    }

    fn is_dirty(&self) -> bool {
        self.is_urgent || !self.untold.is_empty() || self.entries.values().any(|entry| entry.is_dirty)
    }

    fn publish_when_due(&mut self) {
        let waited = self.is_urgent || !self.unanswered.is_empty();
        if self.is_dirty() && (waited || self.published.elapsed() >= PUBLISH_EVERY) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        (self.published, self.is_urgent) = (Instant::now(), false);
        let mut units = Vec::with_capacity(self.order.len());
        for id in &self.order {
            let waits_for = match self.entries.get(id) {
                Some(entry) if entry.machine.state() == State::Starting => self.waits_for(&entry.spec),
                _ => Vec::new(),
            };
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if std::mem::take(&mut entry.is_dirty) || entry.shown.is_none() {
                entry.shown = Some(snapshot::of(entry, waits_for, &*self.around.clock));
            }
            units.extend(entry.shown.clone());
        }
        self.tell_resting(&units);
        self.version += 1;
        self.board.send_replace(Arc::new(UnitBoard { version: self.version, units }));
        for event in self.untold.drain(..) {
            let _nobody_listens = self.around.events.send(event);
        }
    }

    /// Targets that show what a unit makes are not blamed while it is stopped on purpose. An engine that is busy is told with
    /// the next Board.
    fn tell_resting(&mut self, units: &[Arc<UnitNow>]) {
        let by_somebody = |cause| matches!(cause, Cause::Command | Cause::Reload | Cause::Form);
        let rests = |unit: &&Arc<UnitNow>| match unit.state {
            State::Stopped => unit.wanted == Wanted::Stopped || !unit.spec.enabled,
            State::Stopping => by_somebody(unit.cause),
            _ => false,
        };
        let targets: BTreeSet<TargetId> =
            units.iter().filter(rests).flat_map(|unit| unit.spec.targets.iter().cloned()).collect();
        if targets != *self.resting {
            let targets = Arc::new(targets);
            if self.around.engine.try_send(Ask::Resting(Arc::clone(&targets))).is_ok() {
                self.resting = targets;
            }
        }
    }

    /// Hands wishes over to be written and answered. A full queue keeps them here: they were done already.
    fn answer(&mut self) {
        while let Some(wish) = self.unanswered.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(wish)) = self.wishes.try_send(wish) {
                self.unanswered.push_front(wish);
                return;
            }
        }
    }
}

/// What an operator wants to read in the log.
fn log(id: &UnitId, change: &UnitChange) {
    let UnitChange { state, cause, reason, actor, .. } = change;
    let by = actor.as_deref().map(|who| format!(" (by {who})")).unwrap_or_default();
    match state {
        State::Failed => tracing::error!(unit = %id, %cause, "{id} has failed: {reason}{by}"),
        State::BackingOff => tracing::warn!(unit = %id, %cause, "{id} is {state}: {reason}{by}"),
        _ => tracing::info!(unit = %id, %cause, "{id} is {state}: {reason}{by}"),
    }
}
