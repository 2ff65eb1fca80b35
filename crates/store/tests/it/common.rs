//! A clock under control, a store in a folder of its own, and short words for what is recorded.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::incident::Incident;
use model::observation::{Look, Observation};
use model::phase::Phase;
use model::status::{Status, StatusChange};
use model::target::TargetId;
use model::time::{Clock, Mono, UtcMs};
use model::verdict::{Grade, Reason, Verdict};
use store::{Opened, Settings, Store, StoreError, Write};

/// Longest wait for anything in these tests: generous, because the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// A Monday noon; tests count from here.
pub(crate) const NOON: i64 = 1_763_380_800_000;

/// Far more than a process needs from its start to becoming another program.
const LOCK_TRIES: u32 = 200_000;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    pub(crate) fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn utc(&self) -> UtcMs {
        UtcMs(self.0.load(Ordering::SeqCst))
    }

    fn mono(&self) -> Mono {
        Mono(Duration::ZERO)
    }
}

/// A store in a folder of its own, which goes away with it.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: TestClock::at(NOON) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { batch_every: Duration::from_millis(5), ..Settings::new(self.path()) }
    }

    /// Opens it. A test beside this one may just be starting a process, and until that has become another program it holds
    /// the descriptor of a lock that was already given back here: so a lock that is still held is asked for again.
    pub(crate) fn open(&self) -> (Store, Opened) {
        for _ in 0..LOCK_TRIES {
            match Store::open(self.settings(), self.clock.clone()) {
                Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                other => return other.unwrap(),
            }
        }
        panic!("the lock of {} is never given back", self.path().display());
    }

    /// Closes and checks the file.
    pub(crate) fn close(&self, store: Store) {
        assert!(store.close(SOON), "{:?}", store.health());
        drop(store);
        assert_eq!(Store::verify(&self.path()).unwrap(), Vec::<String>::new());
    }
}

pub(crate) fn id(text: &str) -> TargetId {
    TargetId::parse(text).unwrap()
}

pub(crate) fn ms(n: i64) -> UtcMs {
    UtcMs(NOON + n)
}

/// A look: grade by letter `p`, `w`, `f`; it took `took` milliseconds.
pub(crate) fn look(target: &str, at: UtcMs, letter: char, took: u64) -> Write {
    let mut look = Look::default();
    look.phases.add(Phase::Connect, Duration::from_millis(took / 2));
    let mut reasons = vec![];
    let grade = match letter {
        'p' => Grade::Pass,
        'w' => Grade::Warn,
        _ => Grade::Fail,
    };
    if grade == Grade::Warn {
        let text = format!("took {took} ms, expected at most 1 ms");
        reasons.push(Reason { grade, check: "warn_after", text });
    }
    if grade == Grade::Fail {
        let fault = Fault::new(FaultKind::Refused, Phase::Connect, "connection refused");
        reasons.push(Reason { grade, check: "fault", text: fault.to_string() });
        look.fault = Some(fault);
    }
    let seen = Observation { target: id(target), at, took: Duration::from_millis(took), attempts: 1, look };
    let status = if grade == Grade::Fail { Status::Down } else { Status::Up };
    Write::Observation(Arc::new(seen), Arc::new(Verdict { grade, reasons }), status)
}

pub(crate) fn change(target: &str, at: UtcMs, from: Status, to: Status) -> Write {
    Write::Change(id(target), StatusChange { from, to, at, reason: format!("became {to}") })
}

pub(crate) fn incident(target: &str, opened_at: UtcMs, closed_at: Option<UtcMs>) -> Incident {
    Incident { target: id(target), opened_at, closed_at, worst: Status::Down, cause: "refused".into() }
}

pub(crate) fn seen(target: &str) -> Write {
    Write::TargetSeen {
        id: id(target),
        name: format!("The {target}"),
        kind: "rtsp".into(),
        fingerprint: format!("rtsp://{target}/"),
    }
}
