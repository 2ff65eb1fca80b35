//! How every sink and channel is: one shared list that sinks write and pages, metrics and alert rules read. Holds values,
//! no connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::time::UtcMs;

/// One sink or channel now. Texts hold no secret: who writes them redacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkNow {
    /// Name of its kind (`mqtt`, `influxdb`, `email`).
    pub kind: &'static str,
    /// Whether it works as far as is known: connected, or the last delivery succeeded. `None` before the first attempt.
    pub ok: Option<bool>,
    /// Since when it has been so.
    pub since: Option<UtcMs>,
    /// Why it does not work, in words; the last error stays after a recovery until the next success of its kind.
    pub error: Option<String>,
    /// Last successful delivery.
    pub last_sent: Option<UtcMs>,
    /// Messages, points or notifications that were delivered.
    pub sent: u64,
    /// Deliveries that failed and were or are tried again.
    pub failed: u64,
    /// What was given up or replaced by something newer, because a queue was full or retries ended.
    pub dropped: u64,
    /// What waits.
    pub queued: u64,
}

/// The list. Cheap to clone; one short lock per call.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    inner: Arc<Mutex<BTreeMap<String, SinkNow>>>,
}

impl Registry {
    /// Changes what is said of one sink, which appears with the first call. Keep `change` short: it runs under the lock.
    pub fn update(&self, name: &str, change: impl FnOnce(&mut SinkNow)) {
        let mut all = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(name) {
            change(known);
            return;
        }
        change(all.entry(name.to_owned()).or_default());
    }

    /// Says whether a sink works; `error` says why it does not. The time moves only when the answer changes.
    pub fn set(&self, name: &str, kind: &'static str, now: UtcMs, error: Option<String>) {
        self.update(name, |sink| {
            let ok = error.is_none();
            sink.kind = kind;
            if sink.ok != Some(ok) {
                (sink.ok, sink.since) = (Some(ok), Some(now));
            }
            if error.is_some() {
                sink.error = error;
            }
        });
    }

    /// Forgets a sink that is no longer configured.
    pub fn remove(&self, name: &str) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Every sink by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, SinkNow> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_when_the_answer_changes_and_the_last_error_stays() {
        let registry = Registry::default();
        for (at, error, ok, since, said) in [
            (1, None, true, 1, None),
            (2, None, true, 1, None),
            (3, Some("refused"), false, 3, Some("refused")),
            (4, Some("timed out"), false, 3, Some("timed out")),
            (5, None, true, 5, Some("timed out")),
        ] {
            registry.set("mqtt", "mqtt", UtcMs(at), error.map(str::to_owned));
            let now = registry.all().remove("mqtt").expect("it was told of");
            assert_eq!((now.ok, now.since), (Some(ok), Some(UtcMs(since))), "{at}");
            assert_eq!(now.error.as_deref(), said, "{at}");
        }
        registry.remove("mqtt");
        assert!(registry.all().is_empty());
    }
}
