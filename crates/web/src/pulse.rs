//! Whether the engine's loop turns: asked for over and over by one task, remembered for everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
}

impl Pulse {
    /// Starts the task that feels it.
    #[must_use]
    pub fn start(handle: Handle, tasks: &Tasks) -> Self {
        let this = Self { felt_at: Arc::new(AtomicU64::new(millis(&handle))), handle };
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
            // Any answer will do; a loop that ended gives none.
            if self.handle.punctuality().await.is_some() {
                self.felt_at.store(millis(&self.handle), Ordering::Relaxed);
            }
        }
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
