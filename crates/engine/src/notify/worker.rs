//! The worker of one channel: takes the message whose turn it is, delivers it, writes down what came of it, and only then
//! goes on. Owns order and pauses of its channel; never gives a message to anybody else.
//!
//! A message whose delivery was answered is never sent again by this process: while the disk refuses to note it, the worker
//! waits for the disk. Killed between the answer and the note, it is sent once more, under the same key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::time::Clock;
use net::task::Tasks;
use sink::channel::{Around, Channel, Failure};
use sink::registry::Registry;
use store::{LetterChange, LetterRow, Store, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pace::{self, LONGEST_ASKED};
use super::turn::{PAGE, turn};
use super::{HARD_DEADLINE, blocking, stored};

/// How often the outbox is looked at when nobody rang: a message that was put there by hand is found, too.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Pause after the store could not be read or written.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long a delivery that is under way may go on after the end was asked for.
const LAST_DELIVERY: Duration = Duration::from_secs(2);
/// Longest error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 500;

/// One channel at work.
pub(super) struct Worker {
    /// Its name.
    pub(super) name: String,
    /// Name of its kind.
    pub(super) kind: &'static str,
    /// Its name in the registry.
    pub(super) registered: String,
    pub(super) channel: Arc<dyn Channel>,
    pub(super) around: Arc<Around>,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    pub(super) bell: watch::Receiver<u64>,
    /// Told when another configuration takes effect: the delivery under way is brought to its end.
    pub(super) retire: CancellationToken,
    /// Told when the process ends.
    pub(super) stop: CancellationToken,
}

/// When messages are due, by the clock that does not jump: by row, with the attempts after which this was so.
#[derive(Default)]
struct Due(BTreeMap<i64, (u32, Instant)>);

impl Due {
    /// Learns of messages that were not seen before, and forgets those that are gone.
    fn follow(&mut self, letters: &[LetterRow], clock: &dyn Clock) {
        let before = std::mem::take(&mut self.0);
        for letter in letters {
            let known = before.get(&letter.row).filter(|(attempts, _)| *attempts == letter.attempts).copied();
            let read = || Instant::now() + letter.next_at.since(clock.utc()).min(LONGEST_ASKED);
            self.0.insert(letter.row, known.unwrap_or_else(|| (letter.attempts, read())));
        }
    }

    fn left(&self, letter: &LetterRow) -> Duration {
        let at = self.0.get(&letter.row).map(|(_, at)| at.saturating_duration_since(Instant::now()));
        at.unwrap_or_default()
    }
}

impl Worker {
    /// Works until retired or stopped.
    pub(super) async fn run(mut self) {
        let mut due = Due::default();
        while !self.is_over() {
            self.bell.mark_unchanged();
            let letters = match self.waiting().await {
                Ok(letters) => letters,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::debug!(channel = self.name, %error, "the outbox cannot be read");
                    self.rest(STORE_PAUSE).await;
                    continue;
                }
            };
            due.follow(&letters, &*self.clock);
            let Some((letter, left)) = turn(&letters, |letter| due.left(letter)) else {
                self.rest(LOOK_EVERY).await;
                continue;
            };
            if left > Duration::ZERO {
                self.rest(left).await;
                continue;
            }
            let Some(change) = self.deliver(letter).await else { return };
            if let LetterChange::Later { .. } = change {
                let pause = pace_of(&change, &self.clock);
                due.0.insert(letter.row, (letter.attempts + 1, Instant::now() + pause));
            }
            self.note(change).await;
        }
    }

    fn is_over(&self) -> bool {
        self.retire.is_cancelled() || self.stop.is_cancelled()
    }

    /// The oldest messages; how many wait is told to the registry on the way.
    async fn waiting(&self) -> Result<Vec<LetterRow>, StoreError> {
        let (store, name) = (self.store.clone(), self.name.clone());
        let ask = move || Ok((store.waiting_letters(&name, PAGE)?, store.waiting_count(&name)?));
        let (letters, count) = blocking(ask).await?;
        self.registry.update(&self.registered, |now| (now.kind, now.queued) = (self.kind, count));
        Ok(letters)
    }

    /// Waits for a time, for somebody to ring, or for the end.
    async fn rest(&mut self, time: Duration) {
        tokio::select! {
            () = self.retire.cancelled() => {}
            () = self.stop.cancelled() => {}
            () = rung(&mut self.bell) => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Delivers one message. What is to be noted; `None` when the process ends before that is known.
    async fn deliver(&self, letter: &LetterRow) -> Option<LetterChange> {
        let row = letter.row;
        let notification = match stored::read(&letter.letter.json) {
            Ok(notification) => notification,
            Err(error) => return Some(LetterChange::Dead { row, at: self.clock.utc(), error, attempted: false }),
        };
        let (channel, around) = (Arc::clone(&self.channel), Arc::clone(&self.around));
        let (told, answer) = tokio::sync::oneshot::channel();
        let delivery = async move {
            let sent = tokio::time::timeout(HARD_DEADLINE, channel.deliver(&notification, &around)).await;
            let late = |_| Err(Failure::passing("the channel did not come back in time"));
            let _ = told.send(sent.unwrap_or_else(late));
        };
        // In a task of its own: what panics there ends one attempt and nothing else.
        let task = self.tasks.spawn(format!("delivery by {}", self.name), delivery);
        let ending = async {
            self.stop.cancelled().await;
            tokio::time::sleep(LAST_DELIVERY).await;
        };
        let sent = tokio::select! {
            sent = answer => sent.unwrap_or_else(|_| Err(Failure::passing("the channel failed by a mistake of ours"))),
            () = ending => {
                task.abort();
                return None;
            }
        };
        Some(self.outcome(letter, sent))
    }

    /// What follows from an attempt, told to the registry and the log.
    fn outcome(&self, letter: &LetterRow, sent: Result<(), Failure>) -> LetterChange {
        let (row, at, attempts) = (letter.row, self.clock.utc(), letter.attempts + 1);
        let error = sent.as_ref().err().map(|failure| shortened(&failure.words));
        self.registry.set(&self.registered, self.kind, at, error.clone());
        let Err(failure) = sent else {
            self.registry.update(&self.registered, |now| {
                now.sent += 1;
                now.last_sent = Some(at);
            });
            return LetterChange::Sent { row, at };
        };
        let error = error.unwrap_or_default();
        let over = !failure.passing || pace::is_over(attempts, at.since(letter.created_at));
        self.registry.update(&self.registered, |now| {
            now.failed += 1;
            now.dropped += u64::from(over);
        });
        if over {
            tracing::error!(channel = self.name, key = letter.letter.key, "a message was given up: {error}");
            return LetterChange::Dead { row, at, error, attempted: true };
        }
        tracing::warn!(channel = self.name, key = letter.letter.key, attempts, "a message was not delivered: {error}");
        let next_at = at.plus(pace::pause(attempts, failure.retry_after_s, row));
        LetterChange::Later { row, next_at, error }
    }

    /// Writes down what became of a message, however long the disk refuses.
    async fn note(&mut self, change: LetterChange) {
        loop {
            let (store, change) = (self.store.clone(), change.clone());
            match blocking(move || store.change_letter(change)).await {
                Ok(_) | Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(channel = self.name, %error, "what became of a message could not be noted");
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                    }
                }
            }
        }
    }
}

/// The pause that a change asks for.
fn pace_of(change: &LetterChange, clock: &Arc<dyn Clock>) -> Duration {
    match change {
        LetterChange::Later { next_at, .. } => next_at.since(clock.utc()),
        _ => Duration::ZERO,
    }
}

/// Waits for somebody to ring. When the outbox is gone, nobody does any more.
async fn rung(bell: &mut watch::Receiver<u64>) {
    if bell.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn shortened(words: &str) -> String {
    words[..words.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}
