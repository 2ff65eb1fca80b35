//! Sessions that are held: each in a task, with what it tells.

use std::sync::Arc;
use std::time::Duration;

use model::observation::{Observation, Second};
use model::target::Target;
use net::clock::SystemClock;
use probe::run::Prober;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Longest wait for the next second of a session, or for its end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds of a session that may wait to be looked at.
const WAITING: usize = 256;

/// A session that is being held.
pub(crate) struct Session {
    told: mpsc::Receiver<(Observation, Second)>,
    task: JoinHandle<Observation>,
    cancel: CancellationToken,
}

/// A session that has ended.
pub(crate) struct Held {
    /// Its live observations.
    pub(crate) live: Vec<(Observation, Second)>,
    /// Its last one, with the fault.
    pub(crate) last: Observation,
    /// When it ended.
    pub(crate) ended: Instant,
}

impl Held {
    /// When the last packet came, by what the last observation says of the silence since then.
    pub(crate) fn last_packet(&self) -> Instant {
        match self.last.look.reading.facts.get(model::reading::fact::ARRIVAL_GAP_MS) {
            Some(model::reading::FactValue::Num(ms)) => self.ended - Duration::from_secs_f64(ms / 1000.0),
            other => panic!("no silence: {other:?}"),
        }
    }
}

impl Session {
    /// Begins one.
    pub(crate) fn start(target: &Target) -> Self {
        let (tell, told) = mpsc::channel(WAITING);
        let (target, cancel) = (target.clone(), CancellationToken::new());
        let until = cancel.clone();
        #[expect(clippy::disallowed_methods, reason = "a test owns and joins it")]
        let task = tokio::spawn(async move {
            let probe = probe::kind::build(&target).expect("good options");
            let mut each = |seen: Observation, second: Second| drop(tell.try_send((seen, second)));
            Prober::new(Arc::new(SystemClock::new())).hold(&target, &*probe, &until, &mut each).await
        });
        Self { told, task, cancel }
    }

    /// The live observation after so many more of them.
    pub(crate) async fn after(&mut self, more: usize) -> (Observation, Second) {
        let mut last = None;
        for _ in 0..=more {
            last = timeout(PATIENCE, self.told.recv()).await.expect("in time");
            if last.is_none() {
                let end = (&mut self.task).await.expect("no panic");
                panic!("the session ended: {:?}", end.look.fault);
            }
        }
        last.expect("at least one")
    }

    /// Ends it; answers with its last observation.
    pub(crate) async fn cancel(self) -> Observation {
        self.cancel.cancel();
        timeout(PATIENCE, self.task).await.expect("at once").expect("no panic")
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(mut self) -> Held {
        let last = timeout(PATIENCE, &mut self.task).await.expect("in time").expect("no panic");
        let ended = Instant::now();
        let mut live = Vec::new();
        while let Ok(told) = self.told.try_recv() {
            live.push(told);
        }
        Held { live, last, ended }
    }
}

/// Holds a session of a target until it ends.
pub(crate) async fn hold(target: &Target) -> Held {
    Session::start(target).end().await
}
