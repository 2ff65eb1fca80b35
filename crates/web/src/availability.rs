//! Availability of all targets over the last day, week and month: computed now and then off the event loop, whether
//! somebody looks or not (the first look must not see old figures), read by everybody. Requests never wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::target::TargetId;
use model::time::Clock;
use net::task::Tasks;
use store::{Store, StoreError};
use tokio::sync::watch;

use crate::dto::target::Availabilities;
use crate::limits::{AVAILABILITY_EVERY, AVAILABILITY_YOUNG};

const DAY: Duration = Duration::from_secs(86_400);
/// Rounds after the start that come quickly: whoever has just started it wants to see figures.
const YOUNG_ROUNDS: u64 = 20;

/// Availability by target.
pub type Table = HashMap<TargetId, Availabilities>;

/// The newest table.
#[derive(Clone)]
pub struct Availability {
    newest: watch::Receiver<Arc<Table>>,
}

impl Availability {
    /// Starts the task that keeps it fresh.
    #[must_use]
    pub fn start(store: Store, clock: Arc<dyn Clock>, tasks: &Tasks) -> Self {
        let (tx, newest) = watch::channel(Arc::new(Table::new()));
        let this = Self { newest };
        let cancelled = tasks.cancelled();
        tasks.spawn("availability", async move {
            for round in 0_u64.. {
                let (store, clock) = (store.clone(), Arc::clone(&clock));
                let computed = tokio::task::spawn_blocking(move || compute(&store, clock.as_ref())).await;
                match computed {
                    Ok(Ok(table)) => drop(tx.send_replace(Arc::new(table))),
                    Ok(Err(error)) => tracing::debug!("availability could not be computed: {error}"),
                    Err(error) => tracing::error!("computing availability failed: {error}"),
                }
                tokio::select! {
                    () = cancelled.cancelled() => return,
                    () = tokio::time::sleep(if round < YOUNG_ROUNDS { AVAILABILITY_YOUNG } else { AVAILABILITY_EVERY }) => {}
                }
            }
        });
        this
    }

    /// The newest table, at most [`AVAILABILITY_EVERY`] old.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.newest.borrow())
    }

    /// Waits for a newer table.
    pub async fn changed(&mut self) {
        if self.newest.changed().await.is_err() {
            // The task has ended with the server; there will be no newer one.
            std::future::pending::<()>().await;
        }
    }
}

fn compute(store: &Store, clock: &dyn Clock) -> Result<Table, StoreError> {
    let now = clock.utc();
    let mut table = Table::new();
    type Field = fn(&mut Availabilities) -> &mut Option<f64>;
    let windows: [(Duration, Field); 3] = [(DAY, |a| &mut a.h24), (DAY * 7, |a| &mut a.d7), (DAY * 30, |a| &mut a.d30)];
    for (window, field) in windows {
        for (id, spent) in store.availability_all(now.minus(window), now)? {
            *field(table.entry(id).or_default()) = spent.ratio().map(rounded);
        }
    }
    Ok(table)
}

/// Rounded down to a thousandth of a percent: a target with any outage never reads as 100 %, and a healthy one's figure
/// does not change with every second.
fn rounded(ratio: f64) -> f64 {
    (ratio * 1e5).floor() / 1e5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_never_rounds_away() {
        for (ratio, wanted) in [(1.0, 1.0), (0.999_999_9, 0.99999), (0.0, 0.0), (0.5, 0.5)] {
            assert!((rounded(ratio) - wanted).abs() < 1e-12, "{ratio}");
        }
    }
}
