//! Whether the engine's loop turns, and how punctually: asked for over and over by one task, remembered for everybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::cadence::Punctuality;
use engine::handle::Handle;
use net::task::Tasks;

/// The loop is asked this often.
const EVERY: Duration = Duration::from_secs(1);
/// The loop answers in microseconds; one that has not for this long does not turn.
const LIMIT: Duration = Duration::from_secs(5);

/// When the loop last answered.
#[derive(Clone)]
pub struct Pulse {
    handle: Handle,
    /// Milliseconds of the monotonic clock.
    felt_at: Arc<AtomicU64>,
    /// What it answered.
    punctuality: Arc<Mutex<Punctuality>>,
}

impl Pulse {
    /// Starts the task that feels it.
    #[must_use]
    pub fn start(handle: Handle, tasks: &Tasks) -> Self {
        let felt_at = Arc::new(AtomicU64::new(millis(&handle)));
        let this = Self { handle, felt_at, punctuality: Arc::default() };
        let (own, cancelled) = (this.clone(), tasks.cancelled());
        tasks.spawn("pulse", async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = own.feel() => {}
            }
        });
        this
    }

    async fn feel(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // A loop that ended gives no answer.
            if let Some(punctuality) = self.handle.punctuality().await {
                *self.punctuality.lock().unwrap_or_else(PoisonError::into_inner) = punctuality;
                self.felt_at.store(millis(&self.handle), Ordering::Relaxed);
            }
        }
    }

    /// How punctual the looks were when the loop last answered.
    #[must_use]
    pub fn punctuality(&self) -> Punctuality {
        self.punctuality.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the loop answered lately.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        let age = millis(&self.handle).saturating_sub(self.felt_at.load(Ordering::Relaxed));
        Duration::from_millis(age) < LIMIT
    }
}

fn millis(handle: &Handle) -> u64 {
    u64::try_from(handle.clock().mono().0.as_millis()).unwrap_or(u64::MAX)
}
