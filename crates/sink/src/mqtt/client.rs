//! The task that keeps a broker told: connects, connects again after a while, and begins anew when the settings change. Owns
//! the pace of attempts and what the registry says; a session owns the connection.

use std::sync::Arc;
use std::time::Duration;

use model::alert::Notification;
use model::board::Board;
use model::event::Event;
use model::time::{Clock, Mono};
use net::task::Tasks;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::NAME;
use super::desk::{Desk, StatusJson};
use super::documents::alert_json;
use super::link;
use super::session::{End, Session, failure};
use super::settings::Settings;
use crate::channel::Failure;
use crate::registry::Registry;

/// First wait after a failure, and the longest: a broker that restarts is found soon, one that is gone costs nothing.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A connection that lasted this long begins the waits anew.
const LASTED: Duration = Duration::from_secs(30);
/// Alerts that wait for their turn; more are refused, and whoever sends them tries again.
const ALERTS_WAITING: usize = 64;
/// Longest wait for the outcome of an alert.
const ALERT_WITHIN: Duration = Duration::from_secs(15);

/// What the task is given.
pub struct Feed {
    /// The settings in effect; `None` publishes nothing.
    pub settings: watch::Receiver<Option<Arc<Settings>>>,
    /// The Board as it changes.
    pub board: watch::Receiver<Arc<Board>>,
    /// What happens.
    pub events: broadcast::Receiver<Arc<Event>>,
    /// Makes the status as a whole.
    pub status: StatusJson,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where it is said how the broker is.
    pub registry: Registry,
}

/// An alert on its way.
pub(super) struct AlertAsk {
    pub(super) topic: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<(), Failure>>,
}

/// Sends alerts through the connection. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    alerts: mpsc::Sender<AlertAsk>,
}

impl Handle {
    /// Publishes a notification on `topic`, else on the topic of alerts, and waits until the broker has it. `base_url` is the
    /// address of the dashboard for links.
    ///
    /// # Errors
    /// There is no connection now, or the broker did not take it.
    pub async fn alert(
        &self,
        notification: &Notification,
        base_url: Option<&str>,
        topic: Option<String>,
    ) -> Result<(), Failure> {
        let (reply, outcome) = oneshot::channel();
        let ask = AlertAsk { topic, payload: alert_json(notification, base_url), reply };
        self.alerts.try_send(ask).map_err(|_| failure(true, "too many alerts wait for the broker, or it is ending"))?;
        match tokio::time::timeout(ALERT_WITHIN, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(failure(true, "publishing by MQTT was ended meanwhile")),
            Err(_) => Err(failure(true, &format!("the broker did not take it within {} s", ALERT_WITHIN.as_secs()))),
        }
    }
}

/// Starts the task. It ends when `tasks` are asked to stop, with a farewell to the broker.
#[must_use]
pub fn start(feed: Feed, tasks: &Tasks) -> Handle {
    let (sender, alerts) = mpsc::channel(ALERTS_WAITING);
    let Feed { settings, board, events, status, clock, registry } = feed;
    let stop = tasks.cancelled();
    let context = Context { settings, board, events: Some(events), alerts, status, clock, registry, stop };
    tasks.spawn(NAME, keep_told(context));
    Handle { alerts: sender }
}

/// What came from outside of the connection.
pub(super) enum Heard {
    /// It is noted at the desk.
    Noted,
    /// An alert to send.
    Alert(AlertAsk),
    /// The connection must end.
    End(End),
}

/// What the task holds over all connections.
pub(super) struct Context {
    settings: watch::Receiver<Option<Arc<Settings>>>,
    board: watch::Receiver<Arc<Board>>,
    /// `None` once nothing can happen any more.
    events: Option<broadcast::Receiver<Arc<Event>>>,
    alerts: mpsc::Receiver<AlertAsk>,
    status: StatusJson,
    clock: Arc<dyn Clock>,
    registry: Registry,
    stop: CancellationToken,
}

impl Context {
    pub(super) fn mono(&self) -> Mono {
        self.clock.mono()
    }

    /// Waits for one thing that happens outside of the connection and notes it. Alerts are heard when `alerts` says so.
    /// Losing the wait loses nothing.
    pub(super) async fn hear(&mut self, desk: &mut Desk, alerts: bool) -> Heard {
        let event = async {
            match &mut self.events {
                Some(events) => events.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => return Heard::End(End::Stopped),
            changed = self.settings.changed() => {
                return Heard::End(if changed.is_ok() { End::Changed } else { End::Stopped });
            }
            Some(ask) = self.alerts.recv(), if alerts => return Heard::Alert(ask),
            changed = self.board.changed() => match changed {
                Ok(()) => desk.update(Arc::clone(&self.board.borrow_and_update())),
                Err(_) => return Heard::End(End::Stopped),
            },
            event = event => match event {
                Ok(event) => desk.event(&event),
                Err(RecvError::Lagged(missed)) => desk.missed(missed),
                Err(RecvError::Closed) => self.events = None,
            },
        }
        Heard::Noted
    }

    /// Counts messages that arrived.
    pub(super) fn sent(&self, count: u64) {
        let now = self.clock.utc();
        self.registry.update(NAME, |sink| {
            sink.sent += count;
            sink.last_sent = Some(now);
        });
    }

    /// Counts a message that the broker refused. The connection stands, so the sink works; the words are kept.
    pub(super) fn refused(&self, why: &str) {
        self.registry.update(NAME, |sink| {
            sink.failed += 1;
            sink.error = Some(format!("the broker refused a message: {why}"));
        });
    }

    /// Says how much waits, and counts what gave way.
    pub(super) fn waits(&self, queued: usize, dropped: u64) {
        self.registry.update(NAME, |sink| {
            sink.queued = queued as u64;
            sink.dropped += dropped;
        });
    }

    fn says(&self, error: Option<&str>) {
        let failed = error.is_some();
        self.registry.set(NAME, NAME, self.clock.utc(), error.map(str::to_owned));
        self.registry.update(NAME, |sink| sink.failed += u64::from(failed));
    }
}

async fn keep_told(mut context: Context) {
    loop {
        let settings = context.settings.borrow_and_update().clone();
        let end = match settings {
            Some(settings) => published(&mut context, settings).await,
            None => nothing(&mut context).await,
        };
        if end {
            return;
        }
    }
}

/// Publishes nothing until the settings change; `true` when it is time to stop.
async fn nothing(context: &mut Context) -> bool {
    context.registry.remove(NAME);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return true,
            changed = context.settings.changed() => return changed.is_err(),
            Some(ask) = context.alerts.recv() => {
                let _ = ask.reply.send(Err(failure(true, "publishing by MQTT is not switched on")));
            }
        }
    }
}

/// Keeps the broker of these settings told until they change; `true` when it is time to stop.
async fn published(context: &mut Context, settings: Arc<Settings>) -> bool {
    context.registry.update(NAME, |sink| {
        // What was said of another broker says nothing of this one.
        (sink.kind, sink.ok, sink.since, sink.error) = (NAME, None, None, None);
    });
    let board = Arc::clone(&context.board.borrow_and_update());
    let mut desk = Desk::new(Arc::clone(&settings), Arc::clone(&context.status), board);
    let client_id = settings.client_id.clone().unwrap_or_else(link::made_up_id);
    let will = settings.availability_topic();
    let (mut attempt, mut last) = (0_u32, "no attempt was made yet".to_owned());
    loop {
        let clock = Arc::clone(&context.clock);
        let opening = link::open(&settings, &*clock, &client_id, Some(&will));
        let began = Instant::now();
        let lost = match meanwhile(context, &mut desk, &last, opening).await {
            Err(end) => return matches!(end, End::Stopped),
            Ok(Err(why)) => why,
            Ok(Ok(link)) => {
                tracing::info!(broker = settings.broker(), "publishing by MQTT");
                context.says(None);
                match Session::new(link, &mut desk).run(context).await {
                    End::Lost(why) => why,
                    end => return matches!(end, End::Stopped),
                }
            }
        };
        if began.elapsed() >= LASTED {
            attempt = 0;
        }
        if attempt == 0 {
            tracing::warn!(broker = settings.broker(), "MQTT: {lost}; it is tried again");
        }
        context.says(Some(&lost));
        last = lost;
        let wait = pause(attempt, getrandom::u32().unwrap_or(u32::MAX / 2));
        attempt = attempt.saturating_add(1);
        if let Err(end) = meanwhile(context, &mut desk, &last, tokio::time::sleep(wait)).await {
            return matches!(end, End::Stopped);
        }
    }
}

/// Runs something that needs no connection, and notes meanwhile what happens.
async fn meanwhile<T>(
    context: &mut Context,
    desk: &mut Desk,
    last: &str,
    work: impl Future<Output = T>,
) -> Result<T, End> {
    let mut work = std::pin::pin!(work);
    loop {
        context.waits(desk.waiting(), desk.take_dropped());
        let heard = tokio::select! {
            done = &mut work => return Ok(done),
            heard = context.hear(desk, true) => heard,
        };
        let ask = match heard {
            Heard::Noted => continue,
            Heard::End(end) => return Err(end),
            Heard::Alert(ask) => ask,
        };
        let _ = ask.reply.send(Err(failure(true, &format!("the broker is not connected: {last}"))));
    }
}

/// How long to wait before the attempt after `attempt` others that failed: twice as long each time up to a cap, and
/// between half and all of that, so that many clients do not come at once. `chance` is random.
fn pause(attempt: u32, chance: u32) -> Duration {
    let whole = FIRST_WAIT.saturating_mul(1 << attempt.min(16)).min(LONGEST_WAIT);
    whole.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_cap_and_scatter() {
        let ms = |attempt, chance| pause(attempt, chance).as_millis();
        assert_eq!((ms(0, 0), ms(0, u32::MAX), ms(3, u32::MAX), ms(5, 0)), (500, 1000, 8000, 16_000));
        assert_eq!((ms(6, u32::MAX), ms(u32::MAX, u32::MAX), ms(u32::MAX, 0)), (60_000, 60_000, 30_000));
    }
}
