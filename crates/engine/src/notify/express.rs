//! Delivery past the outbox, for the one case in which there is none: the history cannot be written, say because the disk is
//! full. People must hear of that, and of their streams meanwhile. Nothing is kept: what a channel does not take now goes into
//! the outbox when there is one again.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use model::alert::Notification;
use sink::channel::Failure;

use super::{Outbox, around, registered};

/// Longest that a channel may take: alerts wait for it, and one that works answers sooner.
const WITHIN: Duration = Duration::from_secs(8);

impl Outbox {
    /// Delivers a message by these channels at once. Those that have not taken it and still should; channels that would not
    /// be told anyway (not configured, disabled, for graver alerts) are left out, as in [`Outbox::letters`].
    pub(crate) async fn express(&self, notification: &Notification, channels: &[String]) -> Vec<String> {
        let inner = &self.inner;
        let config = inner.settings.borrow().clone();
        let around = around(&config, &inner.clock);
        let takes =
            config.channels.iter().filter(|spec| channels.contains(&spec.name) && spec.takes(notification.severity));
        let deliveries = takes.map(|spec| {
            let around = &around;
            async move {
                let sent = match (inner.maker)(spec) {
                    Ok(channel) => {
                        let delivery = tokio::time::timeout(WITHIN, channel.deliver(notification, around));
                        match AssertUnwindSafe(delivery).catch_unwind().await {
                            Ok(Ok(sent)) => sent,
                            Ok(Err(_)) => Err(Failure::passing("the channel did not come back in time")),
                            Err(_) => Err(Failure::passing("the channel failed by a mistake of ours")),
                        }
                    }
                    Err(failure) => Err(failure),
                };
                let (name, at) = (registered(&spec.name), inner.clock.utc());
                inner.registry.set(&name, spec.kind, at, sent.as_ref().err().map(|failure| failure.words.clone()));
                inner.registry.update(&name, |now| match &sent {
                    Ok(()) => (now.sent, now.last_sent) = (now.sent + 1, Some(at)),
                    Err(_) => now.failed += 1,
                });
                sent.is_err().then(|| spec.name.clone())
            }
        });
        join_all(deliveries).await.into_iter().flatten().collect()
    }
}
