//! The shell around the pure step: one task that owns the state, feeds it inputs and does what comes out. Owns the loop,
//! publishing, and putting the state together again after a panic. Decides nothing about targets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use model::board::Board;
use model::conf::Problem;
use model::event::{Event, Part, What};
use model::limits::{EVENT_BACKLOG, PROBES_AT_ONCE};
use model::observation::{Observation, Second};
use model::status::Status;
use model::target::{Target, TargetId};
use model::time::{Clock, Mono};
use net::task::{Tasks, panic_text};
use store::Store;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::input::{Answer, Command, CommandError, Effect, Input, Kept, LookId, NewConfig, Now, StoreNow, Ticket};
use crate::looker::{Looker, attempt, session};
use crate::state::{State, fingerprint};
use crate::step::step;

/// Shortest time between two Boards: 20 a second is more than an eye or a browser follows.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// Shortest time between two Boards that differ in nothing but live values: those of a target come once a second, and those of
/// all of them together.
const LIVE_EVERY: Duration = Duration::from_millis(500);
/// Results that are taken from the queue in one turn.
const RESULTS_AT_ONCE: usize = 256;
/// Questions that wait for the loop before callers wait themselves.
pub(crate) const ASK_QUEUE: usize = 256;
/// How long cancelled looks may take to come back before the state is put together without them.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a panic of the loop, so that one that panics at every turn does not take the processor.
const PANIC_PAUSE: Duration = Duration::from_secs(1);
/// How far ahead the loop sleeps when nothing is due: the clocks are compared at least this often.
const IDLE: Duration = Duration::from_secs(1);

/// What the loop is asked from outside.
pub(crate) enum Ask {
    /// A command; the answer goes back.
    Command(Command, oneshot::Sender<Answer>),
    /// A configuration shall take effect; told when the Board shows it.
    Config(Box<NewConfig>, oneshot::Sender<()>),
    /// A configuration was refused.
    Rejected(Arc<Vec<Problem>>),
    /// Why the newest file of services was refused, if it was.
    Services(Option<String>),
    /// These targets are in planned work now, and no others.
    Maintenance(Arc<BTreeSet<TargetId>>),
    /// These targets show what services make that are stopped on purpose, and no others.
    Resting(Arc<BTreeSet<TargetId>>),
    /// A task of the engine panicked and was contained.
    Panicked(String),
    /// How the store is.
    Store(StoreNow),
    /// How punctual the looks were.
    Punctuality(oneshot::Sender<crate::cadence::Punctuality>),
    /// End: told when no look is under way any more.
    Stop(oneshot::Sender<()>),
}

/// What a look or a session tells the loop.
enum Told {
    /// A second of a session.
    Live(LookId, Box<Observation>, Second),
    /// The end of an attempt or a session, with the words of its panic.
    Done(LookId, Box<Observation>, Option<String>),
}

/// The loop and what it holds.
pub(crate) struct Shell {
    state: State,
    clock: Arc<dyn Clock>,
    store: Store,
    looker: Arc<dyn Looker>,
    looks: Tasks,
    told_tx: mpsc::Sender<Told>,
    told_rx: mpsc::Receiver<Told>,
    asks: mpsc::Receiver<Ask>,
    board: watch::Sender<Arc<Board>>,
    events: broadcast::Sender<Arc<Event>>,
    cancels: HashMap<LookId, CancellationToken>,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    tickets: u64,
    /// Told after the Board that shows what they tell.
    untold: Vec<Arc<Event>>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    applied: Vec<oneshot::Sender<()>>,
    config: Option<NewConfig>,
    planned: Arc<BTreeSet<TargetId>>,
    resting: Arc<BTreeSet<TargetId>>,
    published: Instant,
    stopping: Option<oneshot::Sender<()>>,
}

/// The ends of the loop that others hold.
pub(crate) struct Ends {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) board: watch::Receiver<Arc<Board>>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
}

impl Shell {
    /// A loop that watches nothing yet.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        store: Store,
        looker: Arc<dyn Looker>,
        looks: Tasks,
        kept: BTreeMap<TargetId, Kept>,
    ) -> (Self, Ends) {
        let now = Now { utc: clock.utc(), mono: clock.mono() };
        let mut state = State::new(now, now.utc, kept);
        let (told_tx, told_rx) = mpsc::channel(PROBES_AT_ONCE);
        let (ask_tx, asks) = mpsc::channel(ASK_QUEUE);
        let (board, board_rx) = watch::channel(state.board(now));
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let ends = Ends { asks: ask_tx, board: board_rx, events: events.clone() };
        let shell = Self {
            state,
            clock,
            store,
            looker,
            looks,
            told_tx,
            told_rx,
            asks,
            board,
            events,
            cancels: HashMap::new(),
            waiting: HashMap::new(),
            tickets: 0,
            untold: Vec::new(),
            answers: Vec::new(),
            applied: Vec::new(),
            config: None,
            planned: Arc::default(),
            resting: Arc::default(),
            published: Instant::now(),
            stopping: None,
        };
        (shell, ends)
    }

    /// Runs until asked to stop, through any panic of a turn.
    pub(crate) async fn run(mut self) {
        let mut results = Vec::with_capacity(RESULTS_AT_ONCE);
        while !self.is_over() {
            let wake = self.wake();
            let (due, ending) = (tokio::time::sleep_until(wake), self.stopping.is_some());
            tokio::select! {
                taken = self.told_rx.recv_many(&mut results, RESULTS_AT_ONCE) => debug_assert!(taken > 0),
                ask = self.asks.recv(), if !ending => {
                    // All handles are gone: nobody can ask for the end any more, so this is it.
                    let ask = ask.unwrap_or_else(|| Ask::Stop(oneshot::channel().0));
                    self.contained(|shell, now| shell.ask(now, ask)).await;
                }
                () = due => self.contained(|shell, now| shell.input(now, Input::Tick)).await,
            }
            for told in results.drain(..) {
                self.contained(|shell, now| shell.told(now, told)).await;
            }
            self.contained(Self::publish_when_due).await;
        }
        self.publish();
        if let Some(told) = self.stopping.take() {
            let _ = told.send(());
        }
    }

    fn is_over(&self) -> bool {
        self.stopping.is_some() && self.cancels.is_empty()
    }

    /// When there is something to do at the latest.
    fn wake(&self) -> Instant {
        let (now, mono) = (Instant::now(), self.clock.mono());
        let due = |at: Mono| now + at.0.saturating_sub(mono.0).min(IDLE);
        let wake = self.state.next_wake().map_or(now + IDLE, due);
        if self.state.is_dirty() {
            wake.min(self.published + PUBLISH_EVERY)
        } else if self.state.is_live() {
            wake.min(self.published + LIVE_EVERY)
        } else {
            wake
        }
    }

    /// One turn. A panic in it puts the state together again and is told; nothing else ends.
    async fn contained(&mut self, turn: impl FnOnce(&mut Self, Now)) {
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let now = Now { utc: self.clock.utc(), mono: self.clock.mono() };
            turn(self, now);
        }));
        let Err(panic) = turned else { return };
        let words = panic_text(panic.as_ref()).to_owned();
        tracing::error!("the engine panicked and starts anew from its last board: {words}");
        while let Err(again) = self.rebuild(&words).await {
            tracing::error!("the engine panicked while it started anew: {again}");
            tokio::time::sleep(PANIC_PAUSE).await;
        }
    }

    /// A new state from the last Board and the configuration in effect.
    async fn rebuild(&mut self, words: &str) -> Result<(), String> {
        for token in self.cancels.values() {
            token.cancel();
        }
        let deadline = Instant::now() + DRAIN;
        while !self.cancels.is_empty() {
            match tokio::time::timeout_at(deadline, self.told_rx.recv()).await {
                Ok(Some(Told::Done(look, ..))) => drop(self.cancels.remove(&look)),
                Ok(Some(Told::Live(..))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.cancels.clear();
        for (_, asker) in self.waiting.drain() {
            let _ = asker.send(Answer::Refused(CommandError::Busy));
        }
        let board = Arc::clone(&self.board.borrow());
        let anew = catch_unwind(AssertUnwindSafe(|| {
            let now = Now { utc: self.clock.utc(), mono: self.clock.mono() };
            let mut state = State::new(now, board.started_at, kept_from_board(&board));
            state.continue_from(self.state.last_look(), &board);
            self.state = state;
            if let Some(config) = self.config.clone() {
                self.input(now, Input::Config(Box::new(config)));
            }
            self.quiet(now);
            if !board.health.config_problems.is_empty() {
                self.input(now, Input::ConfigRejected(Arc::clone(&board.health.config_problems)));
            }
            if let Some((reason, _)) = board.health.unwell.get(&Part::Services) {
                self.input(now, Input::Services(Some(reason.clone())));
            }
            self.input(now, Input::Panicked(words.to_owned()));
            if self.stopping.is_some() {
                self.input(now, Input::Stop);
            }
        }));
        anew.map_err(|panic| panic_text(panic.as_ref()).to_owned())
    }

    fn ask(&mut self, now: Now, ask: Ask) {
        match ask {
            Ask::Command(command, asker) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, asker);
                self.input(now, Input::Command(command, ticket));
            }
            Ask::Config(config, told) => {
                self.config = Some((*config).clone());
                self.applied.push(told);
                self.input(now, Input::Config(config));
            }
            Ask::Services(refused) => self.input(now, Input::Services(refused)),
            Ask::Rejected(problems) => self.input(now, Input::ConfigRejected(problems)),
            Ask::Maintenance(targets) => {
                self.planned = targets;
                self.quiet(now);
            }
            Ask::Resting(targets) => {
                self.resting = targets;
                self.quiet(now);
            }
            Ask::Panicked(what) => self.input(now, Input::Panicked(what)),
            Ask::Store(says) => self.input(now, Input::Store(says)),
            Ask::Punctuality(asker) => {
                let _ = asker.send(self.state.punctuality().clone());
            }
            Ask::Stop(told) => {
                self.stopping = Some(told);
                self.input(now, Input::Stop);
            }
        }
    }

    /// Nobody is blamed for targets in planned work, nor for those of services that are stopped on purpose.
    fn quiet(&mut self, now: Now) {
        let targets = match (self.planned.is_empty(), self.resting.is_empty()) {
            (_, true) => Arc::clone(&self.planned),
            (true, _) => Arc::clone(&self.resting),
            _ => Arc::new(self.planned.union(&self.resting).cloned().collect()),
        };
        self.input(now, Input::Maintenance(targets));
    }

    fn told(&mut self, now: Now, told: Told) {
        let (look, observation, panic) = match told {
            Told::Live(look, observation, second) => {
                return self.input(now, Input::Held { look, observation, second });
            }
            Told::Done(look, observation, panic) => (look, observation, panic),
        };
        self.cancels.remove(&look);
        self.input(now, Input::LookDone { look, observation });
        if let Some(words) = panic {
            self.input(now, Input::Panicked(words));
        }
    }

    fn input(&mut self, now: Now, input: Input) {
        for effect in step(&mut self.state, now, input) {
            match effect {
                Effect::StartLook { look, target, .. } => self.start(look, target),
                Effect::StartSession { look, target } => self.hold(look, target),
                Effect::CancelLook(look) => {
                    if let Some(token) = self.cancels.get(&look) {
                        token.cancel();
                    }
                }
                Effect::Store(write) => {
                    // A full queue is counted by the store and comes back as its health.
                    let _ = self.store.record(write);
                }
                Effect::Emit(event) => self.untold.push(event),
                Effect::Reply(ticket, answer) => {
                    if let Some(asker) = self.waiting.remove(&ticket) {
                        self.answers.push((asker, answer));
                    }
                }
            }
        }
    }

    fn start(&mut self, look: LookId, target: Arc<Target>) {
        let token = CancellationToken::new();
        self.cancels.insert(look, token.clone());
        let told = self.told_tx.clone();
        let name = format!("look {}", target.id);
        let attempt = attempt(Arc::clone(&self.looker), Arc::clone(&self.clock), target, token);
        self.looks.spawn(name, async move {
            let (observation, panic) = attempt.await;
            let _ = told.send(Told::Done(look, Box::new(observation), panic)).await;
        });
    }

    fn hold(&mut self, look: LookId, target: Arc<Target>) {
        let token = CancellationToken::new();
        self.cancels.insert(look, token.clone());
        let told = self.told_tx.clone();
        let second = self.told_tx.clone();
        let tell = Box::new(move |seen: Observation, values: Second| {
            // A loop that is behind misses a second; the next one tells all that counts.
            let _ = second.try_send(Told::Live(look, Box::new(seen), values));
        });
        let name = format!("session {}", target.id);
        let session = session(Arc::clone(&self.looker), Arc::clone(&self.clock), target, token, tell);
        self.looks.spawn(name, async move {
            let (observation, panic) = session.await;
            let _ = told.send(Told::Done(look, Box::new(observation), panic)).await;
        });
    }

    /// Publishes at once when the last Board is old enough or somebody waits for an answer that the Board must show.
    fn publish_when_due(&mut self, _: Now) {
        let changed = self.state.is_dirty() || !self.untold.is_empty();
        let waited = !self.answers.is_empty() || !self.applied.is_empty();
        let age = self.published.elapsed();
        if waited || (changed && age >= PUBLISH_EVERY) || (self.state.is_live() && age >= LIVE_EVERY) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let now = Now { utc: self.clock.utc(), mono: self.clock.mono() };
        self.published = Instant::now();
        if self.state.is_dirty() || self.state.is_live() {
            self.board.send_replace(self.state.board(now));
        }
        for event in self.untold.drain(..) {
            log(&event.what);
            let _ = self.events.send(event); // nobody listens: that is fine
        }
        for (asker, answer) in self.answers.drain(..) {
            let _ = asker.send(answer);
        }
        for told in self.applied.drain(..) {
            let _ = told.send(());
        }
    }
}

/// What an operator wants to read in the log. A start alone is no news, and other parts log their own trouble.
fn log(what: &What) {
    match what {
        What::StatusChanged(id, change) if change.to.is_trouble() => {
            tracing::warn!("{id} is {}: {}", change.to, change.reason);
        }
        What::StatusChanged(id, change) if change.from != Status::Unknown => {
            tracing::info!("{id} is {}, was {}", change.to, change.from);
        }
        What::SessionEnded(id, why) => tracing::info!("the session of {id} ended: {why}"),
        What::Unwell(Part::Clock, reason) => tracing::warn!("{reason}"),
        _ => {}
    }
}

/// What the last Board knows of every target.
fn kept_from_board(board: &Board) -> BTreeMap<TargetId, Kept> {
    let kept = board.targets.iter().map(|t| {
        let kept = Kept {
            name: t.spec.name.clone(),
            fingerprint: fingerprint(&t.spec),
            retired: false,
            state: t.state.clone(),
            blind: false,
            paused: t.paused,
            beats: t.beats.to_vec(),
            incident: t.incident.clone(),
            last: t.last.clone().zip(t.verdict.clone()),
        };
        (t.spec.id.clone(), kept)
    });
    kept.collect()
}

#[cfg(test)]
mod tests;
