//! What a channel is: delivers one notification once. Retries, order and the outbox belong to who calls it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use model::alert::Notification;
pub use model::conf::join_fields;
use model::conf::{Field, Problem, Section};
use model::secret::Secret;
use model::time::Clock;

use crate::mqtt;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A channel, or everything that is wrong with its options.
pub type Built = Result<Box<dyn Channel>, Vec<Problem>>;

/// Why a notification was not delivered. The words name what the receiver said and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether trying again can help: not for a refused password or an unknown recipient.
    pub passing: bool,
    /// Not before this many seconds, where the receiver said so (`Retry-After`).
    pub retry_after_s: Option<u64>,
    /// What happened.
    pub words: String,
}

impl Failure {
    /// A failure that another attempt may not meet.
    #[must_use]
    pub fn passing(words: impl Into<String>) -> Self {
        Self { passing: true, retry_after_s: None, words: words.into() }
    }

    /// A failure that every attempt will meet until somebody changes something.
    #[must_use]
    pub fn lasting(words: impl Into<String>) -> Self {
        Self { passing: false, retry_after_s: None, words: words.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// What is around every delivery, whatever the channel.
#[derive(Clone)]
pub struct Around {
    /// Address of the dashboard for links, where one is configured.
    pub base_url: Option<String>,
    /// The zone in which people read times.
    pub zone: TimeZone,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
}

/// Delivers notifications.
pub trait Channel: Send + Sync {
    /// Delivers one notification. Bounded by a deadline of its own, never retries. Dropping the future gives up.
    fn deliver<'a>(&'a self, notification: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>>;

    /// Takes what it needs of the gear; once, before the first delivery.
    fn equip(&mut self, _gear: &Gear) {}
}

/// What some channels need beside their options. Made by whoever delivers.
#[derive(Clone, Default)]
pub struct Gear {
    /// Runs commands; `None` where nothing can be run.
    pub runner: Option<Arc<dyn Runner>>,
    /// Publishes by MQTT, once that has begun.
    pub mqtt: Arc<OnceLock<mqtt::Handle>>,
}

/// A command to run once.
pub struct Errand {
    /// Its name in the file of commands.
    pub command: String,
    /// Arguments that the command declares, by name.
    pub args: Vec<(String, String)>,
    /// Secret variables that the command declares, by name.
    pub secrets: Vec<(String, Secret)>,
    /// Further variables of its environment.
    pub env: Vec<(String, String)>,
    /// What it reads on its standard input.
    pub input: Vec<u8>,
    /// When it is ended.
    pub limit: Duration,
}

/// Runs commands that a file on the disk names, and no others.
pub trait Runner: Send + Sync {
    /// Runs one and waits for its end; 0 is success.
    fn run<'a>(&'a self, errand: Errand) -> BoxFuture<'a, Result<(), Failure>>;
}

/// One row of the table of channels.
pub struct ChannelKind {
    /// The word in the configuration (`kind: email`).
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// A channel as it stands in the configuration file: documentation and test at once.
    pub example: &'static str,
    /// Keys that only this kind knows.
    pub fields: &'static [Field],
    /// Makes the channel of checked options, or says everything that is wrong with them.
    pub build: fn(&Section<'_>) -> Built,
}
