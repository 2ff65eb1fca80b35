//! The task around the machine: feeds it, writes what it says in one transaction, asks for the looks that it wants, and
//! publishes the AlertBoard. Decides nothing about alerts and delivers nothing.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::alert::{About, AlertBoard, AlertNow, AlertPast, AlertPhase, Mute, Scope};
use model::board::Board;
use model::target::TargetId;
use model::time::{Clock, UtcMs};
use model::unit::board::UnitBoard;
use net::task::panic_text;
use sink::registry::Registry;
use store::{AlertChange, AlertRow, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calendar;
use super::commands::{AlertError, Saying};
use super::machine::{Batch, Machine, Outgoing, View, tick_of};
use super::words;
use crate::config::Config;
use crate::input::{Command, Now};
use crate::notify::Outbox;
use crate::shell::Ask;

/// Shortest time between two evaluations: Boards come twenty times a second, and a tenth of a second more is not felt in a message.
const EVERY: Duration = Duration::from_millis(100);
/// Longest time between two: sinks tell nobody when they change, and the clocks are compared.
const TICK: Duration = Duration::from_secs(1);
/// Pause after a batch that could not be written, and after a panic.
const PAUSE: Duration = Duration::from_secs(1);
/// What people say that waits for the task.
const SAYINGS: usize = 64;
/// How long the history may refuse to be written before messages go out without it: a disk that was slow once is no reason.
const EXPRESS_AFTER: Duration = Duration::from_secs(2);
/// Messages that go out without the history at once.
const EXPRESS_AT_ONCE: usize = 16;
/// Pause of such messages after one that a channel did not take.
const EXPRESS_PAUSE: Duration = Duration::from_secs(15);
/// Messages that wait for a store that cannot be written; older ones are given up.
const MAX_UNSENT: usize = 5_000;
/// How far back ended alerts are shown after a restart.
const PAST: Duration = Duration::from_secs(30 * 86_400);
/// How long the history may take to be readable at the start before alerts begin without it.
const RESTORE_WITHIN: Duration = Duration::from_secs(20);

/// A boxed future that may move between threads.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who keeps and delivers what the machine says.
pub(crate) trait Post: Send + Sync {
    /// Writes changes and messages in one transaction; doing it again does nothing twice.
    fn commit<'a>(&'a self, changes: Vec<AlertChange>, send: &'a [Outgoing]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Delivers a message without writing it anywhere; answers it with the channels that have not taken it.
    fn express(&self, out: Outgoing) -> BoxFuture<'_, Outgoing>;
}

impl Post for Outbox {
    fn commit<'a>(&'a self, changes: Vec<AlertChange>, send: &'a [Outgoing]) -> BoxFuture<'a, Result<(), StoreError>> {
        let letters = send.iter().flat_map(|out| self.letters(&out.notification, &out.channels)).collect();
        Box::pin(self.commit(changes, letters))
    }

    fn express(&self, out: Outgoing) -> BoxFuture<'_, Outgoing> {
        Box::pin(async move {
            let channels = Outbox::express(self, &out.notification, &out.channels).await;
            Outgoing { channels, ..out }
        })
    }
}

/// What the task needs.
pub(crate) struct Around {
    pub(crate) post: Arc<dyn Post>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Registry,
    pub(crate) engine: mpsc::Sender<Ask>,
    pub(crate) board: watch::Receiver<Arc<Board>>,
    pub(crate) settings: watch::Receiver<Arc<Config>>,
    pub(crate) units: watch::Receiver<Arc<UnitBoard>>,
}

type Said = (Saying, oneshot::Sender<Result<(), AlertError>>);

/// Alerts, for the layers above: how they are, and what people say of them. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    says: mpsc::Sender<Said>,
    board: watch::Receiver<Arc<AlertBoard>>,
    settings: watch::Receiver<Arc<Config>>,
    store: Store,
}

/// One time of planned work, for a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedWork {
    /// Name of the window.
    pub name: String,
    /// Whether somebody began it by hand.
    pub ad_hoc: bool,
    /// Beginning.
    pub from: UtcMs,
    /// End.
    pub until: UtcMs,
}

impl Alerts {
    /// The AlertBoard as it changes: at most ten a second, only the newest.
    #[must_use]
    pub fn board(&self) -> watch::Receiver<Arc<AlertBoard>> {
        self.board.clone()
    }

    /// The AlertBoard now.
    #[must_use]
    pub fn now(&self) -> Arc<AlertBoard> {
        Arc::clone(&self.board.borrow())
    }

    /// Somebody knows of an alert: nobody is reminded of it any more. It is told when it is over all the same.
    ///
    /// # Errors
    /// No such alert, a note that is too long, or it could not be written down.
    pub async fn acknowledge(&self, key: &str, by: &str, note: &str) -> Result<(), AlertError> {
        let (key, by, note) = (key.to_owned(), by.to_owned(), note.to_owned());
        self.say(Saying::Acknowledge { key, by, note }).await
    }

    /// Takes an acknowledgement back.
    ///
    /// # Errors
    /// As [`Alerts::acknowledge`].
    pub async fn unacknowledge(&self, key: &str) -> Result<(), AlertError> {
        self.say(Saying::Unacknowledge { key: key.to_owned() }).await
    }

    /// Tells nobody of a target, of a rule, or of a rule about a target, until a time. In place of an earlier one of the same.
    ///
    /// # Errors
    /// A mute about nothing or in the past, too many, or it could not be written down.
    pub async fn mute(&self, mute: Mute) -> Result<(), AlertError> {
        self.say(Saying::Mute(mute)).await
    }

    /// Ends a mute. What still lasts is told then.
    ///
    /// # Errors
    /// Nothing of this is muted, or it could not be written down.
    pub async fn unmute(&self, target: Option<TargetId>, rule: Option<String>) -> Result<(), AlertError> {
        self.say(Saying::Unmute { target, rule }).await
    }

    /// Begins planned work by hand, now or later. In place of an earlier one of the same name.
    ///
    /// # Errors
    /// It ends before it begins, has no name, there are too many, or it could not be written down.
    pub async fn maintain(
        &self,
        name: &str,
        scope: Scope,
        (from, until): (UtcMs, UtcMs),
        by: &str,
    ) -> Result<(), AlertError> {
        let (name, by) = (name.to_owned(), by.to_owned());
        self.say(Saying::Maintain { name, scope, from, until, by }).await
    }

    /// Ends planned work that was begun by hand.
    ///
    /// # Errors
    /// There is none of this name, or it could not be written down.
    pub async fn end_maintenance(&self, name: &str) -> Result<(), AlertError> {
        self.say(Saying::EndMaintenance { name: name.to_owned() }).await
    }

    async fn say(&self, saying: Saying) -> Result<(), AlertError> {
        let (reply, answer) = oneshot::channel();
        self.says.send((saying, reply)).await.map_err(|_| AlertError::Stopping)?;
        answer.await.map_err(|_| AlertError::Stopping)?
    }

    /// Every time of planned work within `from..to`, in order of their beginning, at most `most` of each window.
    #[must_use]
    pub fn calendar(&self, from: UtcMs, to: UtcMs, most: usize) -> Vec<PlannedWork> {
        let config = Arc::clone(&self.settings.borrow());
        let mut all = Vec::new();
        for window in &config.alerts.maintenance {
            let of = |o: calendar::Occurrence| PlannedWork {
                name: window.name.clone(),
                ad_hoc: false,
                from: o.from,
                until: o.until,
            };
            all.extend(calendar::occurrences(window, from, to, most).into_iter().map(of));
        }
        let by_hand = self.now();
        for window in by_hand.windows.iter().filter(|w| w.ad_hoc) {
            if let (Some(begins), Some(until)) = (window.from, window.until)
                && begins < to
                && until > from
            {
                all.push(PlannedWork { name: window.name.clone(), ad_hoc: true, from: begins, until });
            }
        }
        all.sort_by(|a, b| (a.from, &a.name).cmp(&(b.from, &b.name)));
        all
    }

    /// Alerts that touch `from..to`, newest first; `before` is the cursor of the row after which to go on.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn history(
        &self,
        target: Option<TargetId>,
        range: (UtcMs, UtcMs),
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let store = self.store.clone();
        let read = move || store.alert_history(target.as_ref(), range, before, limit);
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Makes the task and what the layers above hold of it.
pub(crate) fn task(around: Around, stop: CancellationToken) -> (impl Future<Output = ()> + Send, Alerts) {
    let (says, said) = mpsc::channel(SAYINGS);
    let (told, board) = watch::channel(Arc::new(AlertBoard::default()));
    let (settings, store) = (around.settings.clone(), around.store.clone());
    (run(around, said, told, stop), Alerts { says, board, settings, store })
}

async fn run(
    around: Around,
    mut said: mpsc::Receiver<Said>,
    told: watch::Sender<Arc<AlertBoard>>,
    stop: CancellationToken,
) {
    let Some(machine) = restored(&around, &stop).await else { return };
    let mut task = Task {
        around,
        machine,
        told,
        changes: Vec::new(),
        unsent: VecDeque::new(),
        retry: None,
        refused: None,
        express: None,
    };
    let (mut board, mut settings) = (task.around.board.clone(), task.around.settings.clone());
    loop {
        task.turn().await;
        let earliest = Instant::now() + EVERY;
        let latest = task.wakes_at();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(latest.max(earliest)) => {}
            changed = board.changed() => {
                if changed.is_err() {
                    break;
                }
                tokio::time::sleep_until(earliest).await;
            }
            changed = settings.changed() => {
                if changed.is_err() {
                    break;
                }
                let config = Arc::clone(&settings.borrow_and_update());
                task.machine.configure(Arc::new(config.alerts.clone()), config.score);
            }
            saying = said.recv() => {
                let Some((saying, reply)) = saying else { break };
                let answer = task.say(saying).await;
                let _nobody_waits = reply.send(answer);
            }
        }
        board.mark_unchanged();
    }
    task.write().await;
}

/// The machine as it was before, as soon as the history can be read.
async fn restored(around: &Around, stop: &CancellationToken) -> Option<Machine> {
    let deadline = Instant::now() + RESTORE_WITHIN;
    loop {
        let now = Now { utc: around.clock.utc(), mono: around.clock.mono() };
        let store = around.store.clone();
        let range = (now.utc.minus(PAST), now.utc.plus(Duration::from_secs(1)));
        let read = move || Ok((store.load_alerts()?, store.alert_history(None, range, None, model::alert::MAX_PAST)?));
        let read = tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed));
        let config = Arc::clone(&around.settings.borrow());
        let mut machine = Machine::new(Arc::new(config.alerts.clone()), config.score, now);
        match read {
            Ok((documents, rows)) => {
                for key in machine.restore(documents) {
                    tracing::warn!("what was remembered of an alert cannot be read: {key}");
                }
                machine.remember_past(rows.into_iter().filter_map(past).collect());
                return Some(machine);
            }
            Err(error) if Instant::now() >= deadline => {
                tracing::error!("alerts begin without what was known of them before: {error}");
                return Some(machine);
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// An ended alert of the history, as the AlertBoard shows it.
fn past(row: AlertRow) -> Option<Arc<AlertPast>> {
    let record = row.record;
    let ended_at = record.ended_at?;
    let (cause, how) = match record.cause.rsplit_once("(closed: ") {
        Some((cause, how)) => (cause.trim_end().to_owned(), how.trim_end_matches(')').to_owned()),
        None => (record.cause, words::RECOVERED.to_owned()),
    };
    let about = match (record.target, record.alert.splitn(3, ':').collect::<Vec<_>>().as_slice()) {
        (Some(id), _) => About::Target(id),
        (None, [_, "s", name]) => About::Sink((*name).to_owned()),
        (None, [_, "u", id]) => About::Service(TargetId::parse(id).ok()?),
        (None, [.., name]) => About::Own((*name).to_owned()),
        (None, []) => return None,
    };
    let name = row.name.unwrap_or_else(|| words::face_of(&about, record.began_at).name);
    let ack = record.acked_by.map(|by| {
        let note = record.note.unwrap_or_default();
        model::alert::Ack { by, at: record.began_at, note }
    });
    let alert = AlertNow {
        key: record.alert,
        rule: record.rule,
        severity: record.severity,
        about,
        name,
        group: None,
        phase: AlertPhase::Over,
        began_at: record.began_at,
        cause,
        told_at: None,
        told: Vec::new(),
        held: None,
        ack,
        flapping: record.flags.contains("flapping"),
        explains: Vec::new(),
    };
    Some(Arc::new(AlertPast { alert: Arc::new(alert), ended_at, how }))
}

struct Task {
    around: Around,
    machine: Machine,
    told: watch::Sender<Arc<AlertBoard>>,
    /// What could not be written yet, in order; of a document only the newest.
    changes: Vec<AlertChange>,
    unsent: VecDeque<Outgoing>,
    /// When it is tried again.
    retry: Option<Instant>,
    /// Since when the history refuses.
    refused: Option<Instant>,
    /// When messages may go out without it again, after one that was not taken.
    express: Option<Instant>,
}

impl Task {
    /// Evaluates, writes, asks, publishes.
    async fn turn(&mut self) {
        let board = Arc::clone(&self.around.board.borrow());
        let sinks = self.around.registry.all();
        let units = Arc::clone(&self.around.units.borrow());
        let now = self.now();
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let batch = self.machine.evaluate(&View { board: &board, sinks: &sinks, units: &units }, now);
            let shown = self.machine.is_changed().then(|| self.machine.board());
            (batch, shown)
        }));
        match turned {
            Ok((batch, shown)) => {
                self.take(batch).await;
                if self.retry.is_none_or(|at| Instant::now() >= at) {
                    self.write().await;
                    self.go_without().await;
                }
                if let Some(shown) = shown {
                    self.told.send_replace(Arc::new(shown));
                }
            }
            Err(panic) => self.contained(panic_text(panic.as_ref())).await,
        }
    }

    fn now(&self) -> Now {
        Now { utc: self.around.clock.utc(), mono: self.around.clock.mono() }
    }

    fn wakes_at(&self) -> Instant {
        let mut wake = TICK;
        if let Some(at) = self.machine.next_wake() {
            let left = at.saturating_sub(tick_of(self.now()));
            wake = wake.min(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
        }
        Instant::now() + wake
    }

    /// Somebody says something: it is on the disk before they are answered.
    async fn say(&mut self, saying: Saying) -> Result<(), AlertError> {
        self.machine.say(saying, self.now())?;
        self.turn().await;
        if self.changes.is_empty() { Ok(()) } else { Err(AlertError::NotKept) }
    }

    /// Takes over what a batch says, and passes on what needs no writing.
    async fn take(&mut self, batch: Batch) {
        if self.changes.is_empty() {
            self.changes = batch.changes;
        } else {
            for change in batch.changes {
                self.changes.retain(|known| !replaces(&change, known));
                self.changes.push(change);
            }
        }
        self.unsent.extend(batch.send);
        while self.unsent.len() > MAX_UNSENT {
            if let Some(lost) = self.unsent.pop_front() {
                tracing::error!(
                    "a message was given up, because the history cannot be written: {}",
                    lost.notification.title
                );
            }
        }
        if let Some(targets) = batch.maintenance {
            let _ending = self.around.engine.send(Ask::Maintenance(Arc::new(targets))).await;
        }
        for id in batch.looks {
            // An engine that has no room for one more question is asked again later.
            let (nobody, _) = oneshot::channel();
            let _busy = self.around.engine.try_send(Ask::Command(Command::TestNow(id), nobody));
        }
    }

    /// Writes what is to be written, in one transaction.
    async fn write(&mut self) {
        if self.changes.is_empty() && self.unsent.is_empty() {
            return;
        }
        let send: Vec<Outgoing> = self.unsent.iter().cloned().collect();
        match self.around.post.commit(self.changes.clone(), &send).await {
            Ok(()) => {
                self.changes.clear();
                self.unsent.clear();
                (self.retry, self.refused, self.express) = (None, None, None);
            }
            Err(error) => {
                if self.retry.is_none() {
                    tracing::error!("alerts cannot be written down, and are tried again: {error}");
                }
                self.retry = Some(Instant::now() + PAUSE);
                self.refused.get_or_insert_with(Instant::now);
            }
        }
    }

    /// While nothing can be written, people are told all the same. What every channel has taken is not handed over again;
    /// killed before the history is well, it may be told once more, under the same key.
    async fn go_without(&mut self) {
        let refuses = self.refused.is_some_and(|at| at.elapsed() >= EXPRESS_AFTER);
        if !refuses || self.express.is_some_and(|at| Instant::now() < at) {
            return;
        }
        // Of one alert the oldest alone: nobody is told of its end before its beginning.
        let (mut now, mut later, mut alerts) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        for out in self.unsent.drain(..) {
            match alerts.insert(out.notification.alert.clone()) && now.len() < EXPRESS_AT_ONCE {
                true => now.push(out),
                false => later.push_back(out),
            }
        }
        let sent = join_all(now.into_iter().map(|out| self.around.post.express(out))).await;
        for out in sent.into_iter().rev() {
            if out.channels.is_empty() {
                tracing::warn!("told without being written down: {}", out.notification.title);
            } else {
                later.push_front(out);
                self.express = Some(Instant::now() + EXPRESS_PAUSE);
            }
        }
        self.unsent = later;
    }

    /// A panic of the machine: it starts anew from what was written.
    async fn contained(&mut self, words: &str) {
        tracing::error!("alerts panicked and start anew from what was written: {words}");
        let _ending = self.around.engine.send(Ask::Panicked(format!("alerts: {words}"))).await;
        tokio::time::sleep(PAUSE).await;
        self.write().await;
        if let Some(machine) = restored(&self.around, &CancellationToken::new()).await {
            self.machine = machine;
        }
    }
}

/// Whether a change makes an earlier one needless.
fn replaces(new: &AlertChange, old: &AlertChange) -> bool {
    use AlertChange::{Forget, History, Keep};
    match (new, old) {
        (Keep { key, .. } | Forget { key }, Keep { key: known, .. } | Forget { key: known }) => key == known,
        (History(new), History(old)) => new.alert == old.alert && new.began_at == old.began_at,
        _ => false,
    }
}
