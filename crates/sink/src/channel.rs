//! What a channel is: delivers one notification once. Retries, order and the outbox belong to who calls it.

use std::future::Future;
use std::pin::Pin;

use model::alert::Notification;
use model::conf::{Field, Problem, Section};

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

/// Delivers notifications.
pub trait Channel: Send + Sync {
    /// Delivers one notification. Bounded by a deadline of its own, never retries; `base_url` is the address of the
    /// dashboard for links, where one is configured.
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
        base_url: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Failure>>;
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
