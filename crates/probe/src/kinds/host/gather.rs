//! Reading a machine on a thread of its own, because a file system that hangs holds whoever asks it. Owns that only one reading
//! of a target is under way, and the words for one that does not come back.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::counters::Counters;
use super::files::Root;
use super::state::{self, Limits, Memory, Mount, Own, Space, Temperature};

/// Time before the deadline at which a reading is given up, so that what hangs is told and not the deadline.
const MARGIN: Duration = Duration::from_millis(20);

/// Everything that one reading saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) counters: Counters,
    pub(super) memory: Option<Memory>,
    pub(super) limits: Limits,
    pub(super) load: Option<[f64; 3]>,
    pub(super) uptime_s: Option<i64>,
    pub(super) name: String,
    pub(super) kernel: String,
    /// File systems with their room, or why they could not be asked.
    pub(super) mounts: Vec<(Mount, io::Result<Space>)>,
    pub(super) temperatures: Vec<Temperature>,
    /// Interfaces that the system says are down.
    pub(super) down: Vec<String>,
    pub(super) own: Own,
}

/// Whoever reads.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    root: Root,
    only: Arc<[String]>,
    also: Arc<[String]>,
    turn: Arc<Semaphore>,
    /// What is being asked at this moment.
    place: Arc<Mutex<String>>,
}

impl Reader {
    /// Asks the file systems of `only`, or all with people's files when that is empty; those of `also` in any case.
    pub(super) fn new(root: Root, only: &[String], also: &[String]) -> Self {
        Self { root, only: only.into(), also: also.into(), turn: Arc::new(Semaphore::new(1)), place: Arc::default() }
    }

    /// Reads the counters alone.
    ///
    /// # Errors
    /// As [`Self::everything`].
    pub(super) async fn counters(&self, deadline: Instant) -> Result<Counters, Fault> {
        self.on_a_thread(deadline, Self::read_counters).await
    }

    /// Reads everything.
    ///
    /// # Errors
    /// A missing permission where `/proc/stat` cannot be read; timed out, with what was being asked, when a reading hangs.
    pub(super) async fn everything(&self, deadline: Instant) -> Result<Seen, Fault> {
        self.on_a_thread(deadline, Self::read).await
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        deadline: Instant,
        read: fn(&Self) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let reading = async {
            // The turn goes with the thread, not with whoever waits: giving up must not start another thread.
            let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
                return Err(Fault::new(FaultKind::Internal, Phase::Transfer, "the reader of the machine is closed"));
            };
            let own = self.clone();
            let job = tokio::task::spawn_blocking(move || {
                let seen = read(&own);
                drop(turn);
                seen
            });
            match job.await {
                Ok(Ok(seen)) => Ok(seen),
                Ok(Err(error)) => Err(self.unreadable(&error)),
                Err(_) => Err(Fault::new(FaultKind::Internal, Phase::Transfer, "the reading itself failed")),
            }
        };
        tokio::select! {
            seen = reading => seen,
            () = sleep_until(deadline.checked_sub(MARGIN).unwrap_or(deadline)) => {
                let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(Fault::new(FaultKind::TimedOut, Phase::Transfer, format!("no answer from {place}: it hangs")))
            }
        }
    }

    fn unreadable(&self, error: &io::Error) -> Fault {
        let path = self.root.path("proc/stat");
        let detail = format!(
            "{} cannot be read: {error}; units of systemd with ProcSubset=pid hide it, and only Linux has it",
            path.display()
        );
        Fault::new(FaultKind::ToolMissing, Phase::Transfer, detail)
    }

    fn note(&self, place: &str) {
        place.clone_into(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read_counters(&self) -> io::Result<Counters> {
        self.note("the files in /proc");
        Counters::read(&self.root)
    }

    fn read(&self) -> io::Result<Seen> {
        let root = &self.root;
        let counters = self.read_counters()?;
        let memory = state::memory(root);
        let limits = state::limits(root, memory.map_or(u64::MAX, |memory| memory.total));
        self.note("the sensors in /sys");
        let temperatures = state::temperatures(root);
        let is_down = |name: &&String| root.word(&format!("sys/class/net/{name}/operstate")) == "down";
        let down = counters.interfaces.keys().filter(is_down).cloned().collect();
        let ask = |mount: Mount| {
            self.note(&format!("the file system {}", mount.folder));
            let space = state::space(Path::new(&root.path(&mount.folder)));
            (mount, space)
        };
        let mounts = state::mounts(root, &self.only, &self.also).into_iter().map(ask).collect();
        Ok(Seen {
            memory,
            limits,
            load: state::load(root),
            uptime_s: state::uptime_s(root),
            name: root.word("proc/sys/kernel/hostname"),
            kernel: root.word("proc/sys/kernel/osrelease"),
            mounts,
            temperatures,
            down,
            own: state::own(root),
            counters,
        })
    }
}
