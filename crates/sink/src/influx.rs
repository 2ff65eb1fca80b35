//! InfluxDB and what speaks its line protocol (VictoriaMetrics, Telegraf and others): writes looks, changes of status and how
//! StreamPulse itself is, in compressed batches.
//!
//! Owns one bounded queue and one write at a time. A server that is slow or dead costs nobody else anything: points wait within
//! their room, then the oldest are given up and counted. What a server will never take is given up at once, with its words.

mod line;
mod points;
mod queue;
mod reply;
mod request;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use model::board::Board;
use model::event::{Event, What};
use model::score::Scoring;
use model::time::{Clock, UtcMs};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use settings::{FIELDS, Place, Settings};

use crate::channel::BoxFuture;
use crate::registry::Registry;
use line::Line;
use points::{Own, Scribe};
use queue::Queue;
use reply::Outcome;
use request::Writer;

/// Name of the sink, in the registry and as the key of its section.
pub const NAME: &str = "influxdb";
/// Most bytes of one batch: what the servers advise (5,000 to 10,000 lines) at the size of our lines.
const BATCH_BYTES: usize = 1024 * 1024;
/// Pauses after failures: the first, doubled by each further one, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(60);
/// How long what waits may still be written when StreamPulse stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often the registry is told the counts.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long the figures of the engine may take; then the point is written without them.
const VITALS_WITHIN: Duration = Duration::from_millis(200);

/// Figures of the process that only who put it together knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    /// Rounds of looks that began by the cadence, since the start.
    pub rounds: u64,
    /// Times at which none began because the one before was not over.
    pub rounds_missed: u64,
    /// Lateness of rounds: the median.
    pub late_median: Duration,
    /// Lateness under which 99 of 100 rounds stayed.
    pub late_p99: Duration,
    /// The greatest lateness.
    pub late_worst: Duration,
    /// Whether the store's newest write succeeded.
    pub store_ok: bool,
    /// Rows waiting for the store.
    pub store_queue: u64,
    /// Rows that the store gave up.
    pub store_lost_rows: u64,
    /// Size of the history file in bytes.
    pub store_bytes: u64,
}

/// Where a sink has its news from.
pub struct Sources {
    /// The Board.
    pub board: watch::Receiver<Arc<Board>>,
    /// Begins to listen to events.
    pub events: Box<dyn Fn() -> broadcast::Receiver<Arc<Event>> + Send + Sync>,
    /// How scores are made now.
    pub scoring: Box<dyn Fn() -> Scoring + Send + Sync>,
    /// Figures of the process.
    pub vitals: Box<dyn Fn() -> BoxFuture<'static, Vitals> + Send + Sync>,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
    /// Where the sink says how it is.
    pub registry: Registry,
}

/// Keeps the sink as the settings say, until `stop`; without settings there is none. Points that wait survive a change of
/// the settings.
pub async fn keep(sources: Sources, mut wanted: watch::Receiver<Option<Arc<Settings>>>, stop: CancellationToken) {
    let mut sink: Option<Sink> = None;
    loop {
        let settings = wanted.borrow_and_update().clone();
        let Some(settings) = settings else {
            sink = None;
            sources.registry.remove(NAME);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
        };
        let sink = sink.get_or_insert_with(|| Sink::new(&sources, Arc::clone(&settings)));
        sink.scribe.set(Arc::clone(&settings));
        sink.queue.set_room(settings.buffer);
        let ended = tokio::select! {
            () = stop.cancelled() => true,
            changed = wanted.changed() => changed.is_err(),
            () = sink.work(&sources, &settings) => true,
        };
        if ended {
            sink.farewell(&sources, &settings).await;
            return;
        }
    }
}

/// Writes one point of the measurement `test`, to see whether the server takes it. Answers what to tell people.
///
/// # Errors
/// Why not, in words without secrets.
pub async fn test(settings: Settings, clock: &dyn Clock) -> Result<String, String> {
    let settings = Arc::new(settings);
    let mut line = Line::new(&format!("{}test", settings.prefix));
    settings.tags.iter().for_each(|(key, value)| line.tag(key, value));
    line.integer("value", 1);
    let text = line.at(clock.utc().0).unwrap_or_default();
    let writer = Writer::new(Arc::clone(&settings))?;
    match writer.write(clock, text.into()).await {
        (Outcome::Written, took) => Ok(format!(
            "{} took a point of the measurement {}test within {} ms",
            settings.url,
            settings.prefix,
            took.as_millis()
        )),
        (
            Outcome::Partly { words, .. }
            | Outcome::Refused(words)
            | Outcome::TooLarge(words)
            | Outcome::Later { words, .. },
            _,
        ) => Err(words),
    }
}

/// What outlives a change of the settings.
struct Sink {
    events: broadcast::Receiver<Arc<Event>>,
    scribe: Scribe,
    queue: Queue,
    own: Own,
}

impl Sink {
    fn new(sources: &Sources, settings: Arc<Settings>) -> Self {
        let queue = Queue::new(settings.buffer);
        Self { events: (sources.events)(), scribe: Scribe::new(settings), queue, own: Own::default() }
    }

    /// Collects and writes; ends when no more events will come.
    async fn work(&mut self, sources: &Sources, settings: &Arc<Settings>) {
        let queue = &self.queue;
        let (events, scribe, own) = (&mut self.events, &mut self.scribe, &mut self.own);
        tokio::select! {
            () = collect(sources, settings, queue, events, scribe, own) => {}
            () = deliver(sources, settings, queue) => {}
            () = tell(sources, queue) => {}
        }
    }

    /// Writes what waits, in one attempt.
    async fn farewell(&self, sources: &Sources, settings: &Arc<Settings>) {
        let Ok(writer) = Writer::new(Arc::clone(settings)) else { return };
        let flush = async {
            while let Some(batch) = self.queue.batch(BATCH_BYTES) {
                match writer.write(sources.clock.as_ref(), batch.text.clone()).await.0 {
                    Outcome::Written => self.queue.done(&batch, 0),
                    Outcome::Partly { refused, .. } => self.queue.done(&batch, refused),
                    _ => break,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, flush).await;
        let left = self.queue.counts().queued;
        if left > 0 {
            tracing::warn!(points = left, "InfluxDB did not take what was waiting; it is given up");
        }
    }
}

/// Turns events into lines, and adds a point about ourselves every interval.
async fn collect(
    sources: &Sources,
    settings: &Arc<Settings>,
    queue: &Queue,
    events: &mut broadcast::Receiver<Arc<Event>>,
    scribe: &mut Scribe,
    own: &mut Own,
) {
    let mut tick = tokio::time::interval_at(Instant::now() + settings.interval, settings.interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut counted, mut since) = (own.looks, Instant::now());
    let batch = BATCH_BYTES.min(settings.buffer / 2);
    let push = |line: Option<Box<str>>| line.into_iter().for_each(|line| queue.push(line, batch));
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tick.tick() => {
                let vitals = tokio::time::timeout(VITALS_WITHIN, (sources.vitals)()).await.unwrap_or_default();
                let counts = queue.counts();
                own.per_s = (own.looks - counted) as f64 / since.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
                (counted, since) = (own.looks, Instant::now());
                (own.queued, own.dropped) = (counts.queued, counts.dropped);
                let board = Arc::clone(&sources.board.borrow());
                push(scribe.own(sources.clock.utc(), &board, own, &vitals));
                continue;
            }
        };
        match event {
            Ok(event) => {
                let board = Arc::clone(&sources.board.borrow());
                match &event.what {
                    What::Observed(seen, verdict) => {
                        own.looks += 1;
                        push(
                            board
                                .get(&seen.target)
                                .and_then(|now| scribe.look(now, seen, verdict, &(sources.scoring)())),
                        );
                    }
                    What::StatusChanged(id, change) => {
                        push(board.get(id).and_then(|now| scribe.change(now, change)));
                    }
                    What::ConfigApplied { .. } => scribe.forget(&board),
                    _ => {}
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                own.missed += missed;
                tracing::warn!(missed, "events came faster than they could be written down for InfluxDB");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Writes what waits, for ever: one batch at a time, and not before the pause that the last answer asks for.
async fn deliver(sources: &Sources, settings: &Arc<Settings>, queue: &Queue) {
    let clock = sources.clock.as_ref();
    let writer = match Writer::new(Arc::clone(settings)) {
        Ok(writer) => writer,
        Err(words) => {
            sources.registry.set(NAME, NAME, clock.utc(), Some(words));
            return std::future::pending().await;
        }
    };
    let (mut failures, mut most) = (0, BATCH_BYTES);
    loop {
        queue.ripe(settings.interval).await;
        while let Some(batch) = queue.batch(most) {
            let (outcome, _) = writer.write(clock, batch.text.clone()).await;
            let pause = settle(&sources.registry, clock.utc(), queue, &batch, &outcome, &mut most, &mut failures);
            tokio::time::sleep(pause).await;
        }
    }
}

/// What follows from an answer: where the lines go, what the registry is told, how long to wait.
fn settle(
    registry: &Registry,
    now: UtcMs,
    queue: &Queue,
    batch: &queue::Batch,
    outcome: &Outcome,
    most: &mut usize,
    failures: &mut u32,
) -> Duration {
    let (error, asked) = match outcome {
        Outcome::Written => {
            queue.done(batch, 0);
            (None, None)
        }
        Outcome::Partly { refused, words } => {
            queue.done(batch, *refused);
            (Some(format!("{words} ({refused} of {} points are given up)", batch.lines)), Some(Duration::ZERO))
        }
        Outcome::Refused(words) => {
            queue.done(batch, batch.lines);
            (Some(format!("{words} ({} points are given up)", batch.lines)), None)
        }
        Outcome::TooLarge(words) if batch.lines == 1 => {
            queue.done(batch, 1);
            (Some(format!("{words} (a single point is given up)")), None)
        }
        Outcome::TooLarge(words) => {
            queue.back();
            *most = batch.text.len() / 2;
            (Some(format!("{words}; smaller batches follow")), Some(Duration::ZERO))
        }
        Outcome::Later { words, after } => {
            queue.back();
            (Some(words.clone()), *after)
        }
    };
    let was_bad = registry.all().get(NAME).is_some_and(|sink| sink.ok == Some(false));
    match &error {
        None if was_bad => tracing::info!("InfluxDB takes points again"),
        Some(words) if !was_bad => tracing::warn!("InfluxDB: {words}"),
        _ => {}
    }
    let good = error.is_none();
    registry.set(NAME, NAME, now, error);
    let counts = queue.counts();
    registry.update(NAME, |sink| {
        (sink.sent, sink.dropped, sink.queued) = (counts.sent, counts.dropped, counts.queued);
        if !good {
            sink.failed += 1;
        }
        if good || matches!(outcome, Outcome::Partly { .. }) {
            sink.last_sent = Some(now);
        }
    });
    if good {
        *failures = 0;
        return Duration::ZERO;
    }
    if asked.is_none() {
        *failures += 1;
    }
    asked.unwrap_or_else(|| pause(*failures))
}

/// The pause after so many failures in a row. A quarter is up to chance, so that many of us do not come back in one moment.
fn pause(failures: u32) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MOST);
    // Without randomness the full pause does as well.
    let share = getrandom::u32().unwrap_or(0);
    full - (full / 4).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// Keeps the counts of the registry fresh while nothing is written.
async fn tell(sources: &Sources, queue: &Queue) {
    let mut tick = tokio::time::interval(TELL_EVERY);
    let mut told = None;
    loop {
        tick.tick().await;
        let counts = queue.counts();
        if told != Some(counts) {
            told = Some(counts);
            sources.registry.update(NAME, |sink| {
                sink.kind = NAME;
                (sink.sent, sink.dropped, sink.queued) = (counts.sent, counts.dropped, counts.queued);
            });
        }
    }
}

#[cfg(test)]
#[path = "influx/tests.rs"]
mod tests;
