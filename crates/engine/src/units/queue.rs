//! Counting queues of units: one task for each unit that has one, whether it runs or not. Owns the cadence; who counts knows
//! how.

use std::sync::Arc;
use std::time::Duration;

use model::time::Clock;
use model::unit::UnitId;
use model::unit::board::QueueNow;
use model::unit::spec::Queue;
use supervise::backend::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::task::Told;

/// Shortest time from one count to the next.
const LEAST_EVERY: Duration = Duration::from_millis(500);

/// Counts a queue once.
pub trait Counter: Send + Sync {
    /// The counts; the time is set by who asks.
    ///
    /// # Errors
    /// Why it could not be counted, in words.
    fn count<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, Result<QueueNow, String>>;
}

/// One queue that is counted until it is not any more.
pub(super) struct Counting {
    pub(super) id: UnitId,
    pub(super) queue: Queue,
    pub(super) counter: Arc<dyn Counter>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) told: mpsc::Sender<Told>,
}

impl Counting {
    /// Counts on its interval. What could not be counted keeps the counts before it and says why.
    pub(super) async fn run(self, over: CancellationToken) {
        let mut tick = tokio::time::interval(self.queue.every.max(LEAST_EVERY));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut newest = QueueNow::default();
        loop {
            tokio::select! {
                () = over.cancelled() => return,
                _ = tick.tick() => {}
            }
            let asked = tokio::time::timeout(self.queue.timeout, self.counter.count(&self.queue));
            let counted = tokio::select! {
                () = over.cancelled() => return,
                counted = asked => counted,
            };
            match counted {
                Ok(Ok(queue)) => newest = QueueNow { at: self.clock.utc(), error: None, ..queue },
                Ok(Err(words)) => newest.error = Some(words),
                Err(_) => newest.error = Some(format!("no answer within {} ms", self.queue.timeout.as_millis())),
            }
            let told = Told::Counted { id: self.id.clone(), queue: newest.clone() };
            if self.told.send(told).await.is_err() {
                return;
            }
        }
    }
}
