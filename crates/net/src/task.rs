//! Tasks with a name and an owner that joins them. Owns starting, cancelling and waiting; never restarts anything.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A group of tasks with one owner. Cheap to clone; all clones are the same group.
#[derive(Clone, Default)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tracker: TaskTracker,
    /// Asks the tasks to end.
    cancel: CancellationToken,
    /// Drops the tasks that did not end in time.
    kill: CancellationToken,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, String>>,
}

/// Takes the name off the list, however the task ends.
struct Entry {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Tasks {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task inside a span of its name. A panic is logged and reaches whoever awaits the handle; it ends this task
    /// and no other. Must be called inside a tokio runtime.
    pub fn spawn(&self, name: impl Into<String>, f: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let name = name.into();
        // At debug level: every line of every connection would begin with it, and say nothing that its words do not.
        let span = tracing::debug_span!("task", name = %name);
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).insert(number, name.clone());
        let entry = Entry { inner: Arc::clone(&self.inner), number };
        let kill = self.inner.kill.clone();
        let task = async move {
            let _entry = entry;
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = logging_panics(name, f) => {}
            }
        };
        self.inner.tracker.spawn(task.instrument(span))
    }

    /// The token that [`Tasks::stop`] cancels: long-running tasks end when they see it.
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        self.inner.cancel.clone()
    }

    /// Names of the tasks that have not ended, oldest first.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Asks all tasks to end and waits for at most `grace`; what is left then is dropped where it stands. Answers whether all
    /// ended by themselves. Tasks started later are not hindered, but nobody waits for them.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.inner.cancel.cancel();
        self.inner.tracker.close();
        if tokio::time::timeout(grace, self.inner.tracker.wait()).await.is_ok() {
            return true;
        }
        let left = self.names();
        tracing::warn!(tasks = ?left, "{} tasks did not end within {} ms and were dropped", left.len(), grace.as_millis());
        self.inner.kill.cancel();
        // Dropping happens at the next poll; a task that blocks its thread is not waited for.
        let _ = tokio::time::timeout(DROP_GRACE, self.inner.tracker.wait()).await;
        false
    }
}

/// How long dropped tasks may take to be gone: one poll each, so this only bounds tasks that block a thread.
const DROP_GRACE: Duration = Duration::from_millis(200);

async fn logging_panics(name: String, f: impl Future<Output = ()>) {
    let mut f = pin!(f);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| f.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(()),
        Err(panic) => {
            tracing::error!("the task {name:?} panicked: {}", panic_text(panic.as_ref()));
            std::panic::resume_unwind(panic)
        }
    })
    .await;
}

/// The words of a panic, where it has words.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    match (panic.downcast_ref::<&'static str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "no message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_ends_those_that_listen_and_names_are_gone() {
        let tasks = Tasks::new();
        let token = tasks.cancelled();
        tasks.spawn("listener", async move { token.cancelled().await });
        assert_eq!(tasks.names(), ["listener"]);
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert!(tasks.names().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deaf_task_is_dropped_after_the_grace() {
        let tasks = Tasks::new();
        let alive = Arc::new(());
        let inside = Arc::clone(&alive);
        tasks.spawn("deaf", async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        });
        assert!(!tasks.stop(Duration::from_secs(1)).await);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(tasks.names().is_empty());
    }

    #[tokio::test]
    async fn a_panic_reaches_the_handle_and_leaves_the_others() {
        let tasks = Tasks::new();
        let (tx, rx) = tokio::sync::oneshot::channel();
        let bad = tasks.spawn("bad", async { panic!("planned") });
        tasks.spawn("good", async move {
            let _ = tx.send(());
        });
        assert!(bad.await.is_err_and(|e| e.is_panic()));
        assert!(rx.await.is_ok());
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }
}
