//! Waiting for a state with a deadline, in place of sleeping and hoping.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two looks at the state.
const STEP: Duration = Duration::from_millis(2);

/// Waits until `condition` holds and answers whether it did within `deadline`. Use as
/// `assert!(wait_for(deadline, || ...).await, "what did not happen")`.
pub async fn wait_for(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(STEP).await;
    }
}

/// The same for tests without a runtime; blocks the thread.
pub fn wait_for_blocking(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(STEP);
    }
}
