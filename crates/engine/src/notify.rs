//! The outbox: who is to be told of what, kept on the disk until the receiver has taken it. A message is on the disk before
//! anybody tries to deliver it; each channel has a worker of its own that delivers in order and tries again, so that a slow or
//! dead channel delays no other and a restart loses nothing. Decides nothing about alerts and knows no service.

mod errands;
mod express;
mod pace;
mod post_office;
mod stored;
mod turn;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::alert::{Notification, Severity, Stage};
use model::time::{Clock, UtcMs};
use probe::commands::Commands;
use sink::channel::{Around, Channel, Failure, Gear, Runner};
use sink::mqtt;
use sink::registry::{Registry, SinkNow};
use store::{AlertChange, Letter, LetterChange, LetterRow, LetterState, OutboxCount, Store, StoreError};
use tokio::sync::watch;

use crate::config::{ChannelSpec, Config};

use errands::Errands;
pub(crate) use post_office::PostOffice;

/// Longest that one delivery may take, whatever the channel promises: beyond the longest deadline of any kind.
const HARD_DEADLINE: Duration = Duration::from_secs(150);
/// What a channel is called in the registry: this and its name.
pub const REGISTRY_PREFIX: &str = "channel:";

/// One channel and its outbox, for pages.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelNow {
    /// Its name.
    pub name: String,
    /// Name of its kind.
    pub kind: &'static str,
    /// Whether it is used.
    pub enabled: bool,
    /// How it is: last delivery, last error, counts since the start.
    pub now: SinkNow,
    /// Messages that wait for it.
    pub waiting: u64,
    /// Messages that were given up and are kept.
    pub dead: u64,
}

/// A message that was given up, or that waits.
#[derive(Clone, Debug)]
pub struct LetterNow {
    /// Its row, without the stored text.
    pub row: LetterRow,
    /// What it says; `None` when it cannot be read any more.
    pub notification: Option<Notification>,
}

/// Hands messages over and asks how they are. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    registry: Registry,
    settings: watch::Receiver<Arc<Config>>,
    /// Counts up when there may be something new in the outbox.
    bell: watch::Sender<u64>,
    maker: Maker,
    /// Where channels find the way to publish by MQTT.
    mqtt: Arc<OnceLock<mqtt::Handle>>,
}

/// Makes a channel of its specification.
type Maker = Box<dyn Fn(&ChannelSpec) -> Result<Arc<dyn Channel>, Failure> + Send + Sync>;

impl Outbox {
    pub(crate) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        registry: Registry,
        settings: watch::Receiver<Arc<Config>>,
        commands: Arc<Commands>,
    ) -> Self {
        let runner: Arc<dyn Runner> = Arc::new(Errands::new(commands, Arc::clone(&clock)));
        let gear = Gear { runner: Some(runner), mqtt: Arc::default() };
        let mqtt = Arc::clone(&gear.mqtt);
        Self::with(store, clock, registry, settings, Box::new(move |spec| make(spec, &gear)), mqtt)
    }

    /// The same with another way to make channels.
    fn with(
        store: Store,
        clock: Arc<dyn Clock>,
        registry: Registry,
        settings: watch::Receiver<Arc<Config>>,
        maker: Maker,
        mqtt: Arc<OnceLock<mqtt::Handle>>,
    ) -> Self {
        let (bell, _) = watch::channel(0);
        Self { inner: Arc::new(Inner { store, clock, registry, settings, bell, maker, mqtt }) }
    }

    /// Lets channels of the kind `mqtt` publish by this from now on. Once; what comes later is not taken.
    pub fn publish_by(&self, handle: mqtt::Handle) {
        let _known = self.inner.mqtt.set(handle);
    }

    /// Hands a message over to channels by name: it is on the disk when this comes back, and delivered at least once after.
    /// The same key is handed over once, however often it is submitted. Channels that are not configured, are disabled or
    /// take only graver alerts are left out.
    ///
    /// # Errors
    /// When it could not be written, or may not have been: then submit it again.
    pub async fn submit(&self, notification: &Notification, channels: &[String]) -> Result<(), StoreError> {
        let letters = self.letters(notification, channels);
        self.commit(Vec::new(), letters).await
    }

    /// Writes what became of alerts, and hands over the messages that follow from it (see [`Outbox::letters`]), in one
    /// transaction.
    ///
    /// # Errors
    /// As [`Outbox::submit`]; doing it again does nothing twice.
    pub async fn commit(&self, changes: Vec<AlertChange>, letters: Vec<Letter>) -> Result<(), StoreError> {
        let (any, store) = (!letters.is_empty(), self.inner.store.clone());
        blocking(move || store.commit_alerts(changes, letters)).await?;
        if any {
            self.ring();
        }
        Ok(())
    }

    /// The message as it is kept, once for each of these channels that takes it.
    #[must_use]
    pub fn letters(&self, notification: &Notification, channels: &[String]) -> Vec<Letter> {
        let config = Arc::clone(&self.inner.settings.borrow());
        let takes = |spec: &ChannelSpec| channels.contains(&spec.name) && spec.takes(notification.severity);
        let json = stored::write(notification);
        let letter = |spec: &ChannelSpec| Letter {
            channel: spec.name.clone(),
            key: notification.key.clone(),
            json: json.clone(),
        };
        config.channels.iter().filter(|spec| takes(spec)).map(letter).collect()
    }

    /// Delivers a test message at once, past the outbox, and says what came of it: the time that it took, or the failure.
    ///
    /// # Errors
    /// What the channel answers, or that there is no such channel.
    pub async fn test(&self, channel: &str) -> Result<Duration, Failure> {
        let config = Arc::clone(&self.inner.settings.borrow());
        let spec = config.channels.iter().find(|spec| spec.name == channel);
        let spec = spec.ok_or_else(|| Failure::lasting(format!("there is no channel {channel:?}")))?;
        let (made, around) = ((self.inner.maker)(spec)?, around(&config, &self.inner.clock));
        let (now, began) = (self.inner.clock.utc(), tokio::time::Instant::now());
        let sent = tokio::time::timeout(HARD_DEADLINE, made.deliver(&test_message(channel, now), &around)).await;
        let sent = sent.unwrap_or_else(|_| Err(Failure::passing("the channel did not come back in time")));
        let error = sent.as_ref().err().map(|failure| failure.words.clone());
        self.inner.registry.set(&registered(channel), spec.kind, self.inner.clock.utc(), error);
        sent.map(|()| began.elapsed())
    }

    /// How every configured channel is, in the order of the configuration.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn state(&self) -> Result<Vec<ChannelNow>, StoreError> {
        let store = self.inner.store.clone();
        let counts: BTreeMap<String, OutboxCount> =
            blocking(move || store.outbox_counts()).await?.into_iter().collect();
        let (config, known) = (Arc::clone(&self.inner.settings.borrow()), self.inner.registry.all());
        let state = |spec: &ChannelSpec| {
            let count = counts.get(&spec.name).cloned().unwrap_or_default();
            let mut now = known.get(&registered(&spec.name)).cloned().unwrap_or_default();
            now.kind = spec.kind;
            now.last_sent = now.last_sent.or(count.last_sent);
            let (name, enabled) = (spec.name.clone(), spec.enabled);
            ChannelNow { name, kind: spec.kind, enabled, now, waiting: count.waiting, dead: count.dead }
        };
        Ok(config.channels.iter().map(state).collect())
    }

    /// Messages of one state or of all, newest first; `before` is the row after which to go on.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn messages(
        &self,
        state: Option<LetterState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LetterNow>, StoreError> {
        let store = self.inner.store.clone();
        let rows = blocking(move || store.letters(state, before, limit)).await?;
        let told = |mut row: LetterRow| {
            let notification = stored::read(&std::mem::take(&mut row.letter.json)).ok();
            LetterNow { row, notification }
        };
        Ok(rows.into_iter().map(told).collect())
    }

    /// Tries a message again that was given up. Whether there was one.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn put_back(&self, row: i64) -> Result<bool, StoreError> {
        let (store, at) = (self.inner.store.clone(), self.inner.clock.utc());
        let was = blocking(move || store.change_letter(LetterChange::PutBack { row, at })).await?;
        self.ring();
        Ok(was)
    }

    /// Forgets a message that was given up. Whether there was one.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn forget(&self, row: i64) -> Result<bool, StoreError> {
        let store = self.inner.store.clone();
        blocking(move || store.change_letter(LetterChange::Forget { row })).await
    }

    /// Wakes the workers.
    fn ring(&self) {
        self.inner.bell.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Asks the store where blocking is allowed.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(ask).await.unwrap_or(Err(StoreError::Closed))
}

/// Makes a channel of a specification that was loaded.
fn make(spec: &ChannelSpec, gear: &Gear) -> Result<Arc<dyn Channel>, Failure> {
    let words = |problems: Vec<model::conf::Problem>| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::lasting(format!("the channel cannot be made: {}", texts.join("; ")))
    };
    let mut channel = spec.build().map_err(words)?;
    channel.equip(gear);
    Ok(Arc::from(channel))
}

/// What is around every delivery.
fn around(config: &Config, clock: &Arc<dyn Clock>) -> Around {
    let zone = TimeZoneDatabase::bundled().get(&config.timezone).unwrap_or(TimeZone::UTC);
    Around { base_url: config.base_url.clone(), zone, clock: Arc::clone(clock) }
}

/// The name of a channel in the registry.
fn registered(channel: &str) -> String {
    format!("{REGISTRY_PREFIX}{channel}")
}

fn test_message(channel: &str, now: UtcMs) -> Notification {
    Notification {
        key: format!("test/{channel}/{}", now.0),
        alert: format!("test/{channel}"),
        at: now,
        began_at: now,
        stage: Stage::Test,
        severity: Severity::Info,
        rule: "test".to_owned(),
        title: format!("Test of the channel {channel}"),
        text: "Somebody pressed the test button. Alerts will come this way.".to_owned(),
        subjects: Vec::new(),
        explains: Vec::new(),
        more: 0,
        path: String::new(),
        note: None,
    }
}

#[cfg(test)]
mod tests;
