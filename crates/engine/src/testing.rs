//! What the tests of this crate share: targets, observations and configurations made of a few words. Tests only.

pub(crate) mod backend;

use std::sync::Arc;
use std::time::Duration;

use model::address::Address;
use model::expect::Expectations;
use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation, Second};
use model::phase::Phase;
use model::reading::{Depth, Media, Track};
use model::status::StatusRules;
use model::target::{Options, Target, TargetId, Watch};
use model::time::{Mono, UtcMs};

use crate::input::{NewConfig, Now};

/// The wall clock of tests at monotonic zero.
pub(crate) const EPOCH: UtcMs = UtcMs(1_700_000_000_000);

pub(crate) fn id(text: &str) -> TargetId {
    TargetId::parse(text).expect("a valid id")
}

/// Both clocks `ms` milliseconds after the start.
pub(crate) fn at(ms: u64) -> Now {
    let passed = Duration::from_millis(ms);
    Now { utc: EPOCH.plus(passed), mono: Mono(passed) }
}

/// A target at `http://<host>/<id>` with an interval of 10 s, changed by `change`.
pub(crate) fn target_at(name: &str, host: &str, change: impl FnOnce(&mut Target)) -> Arc<Target> {
    let mut target = Target {
        id: id(name),
        name: name.to_owned(),
        kind: "http",
        address: Address::parse(&format!("http://{host}/{name}")).expect("a valid address"),
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules { fail_after: 2, recover_after: 1 },
        expect: Expectations::default(),
        options: Options::default(),
        parents: Vec::new(),
    };
    change(&mut target);
    Arc::new(target)
}

/// A target on a host of its own.
pub(crate) fn target(name: &str) -> Arc<Target> {
    target_at(name, &format!("{name}.test"), |_| ())
}

/// A configuration of these targets. Its hash is that of the debug text, so equal configurations have equal hashes.
pub(crate) fn config(targets: &[Arc<Target>]) -> NewConfig {
    NewConfig {
        targets: targets.to_vec(),
        hash: crate::config::hash(&format!("{targets:?}")),
        timezone: "UTC".to_owned(),
        probes_at_once: 100,
        probes_per_host: 4,
    }
}

/// What a look saw, by a letter: `p` passes, `v` passes with a video track of 640x360, `V` with one of 1280x720, `t` timed
/// out, `r` refused, `a` wants a password, `s` silent, `e` ended by the peer.
pub(crate) fn seen(target: &Target, letter: char, now: Now) -> Observation {
    let fault = |kind| Some(Fault::new(kind, Phase::Connect, format!("saw {letter}")));
    let mut look = Look::default();
    match letter {
        't' => look.fault = fault(FaultKind::TimedOut),
        'r' => look.fault = fault(FaultKind::Refused),
        's' => look.fault = Some(Fault::new(FaultKind::Stale, Phase::Media, "saw s")),
        'e' => look.fault = fault(FaultKind::NoMedia),
        'a' => look.fault = fault(FaultKind::AuthRequired),
        'v' | 'V' => {
            let mut track = Track::new(Media::Video, "h264");
            (track.width, track.height) = if letter == 'v' { (Some(640), Some(360)) } else { (Some(1280), Some(720)) };
            look.reading.tracks.push(track);
        }
        _ => {}
    }
    let took = if letter == 't' { target.timeout } else { Duration::from_millis(20) };
    Observation { target: target.id.clone(), at: now.utc, took, attempts: 1, look }
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}

/// A clock that follows the (pausable) time of the runtime, wall clock included.
pub(crate) struct PausedClock {
    started: tokio::time::Instant,
}

impl PausedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { started: tokio::time::Instant::now() })
    }
}

impl model::time::Clock for PausedClock {
    fn utc(&self) -> UtcMs {
        EPOCH.plus(self.started.elapsed())
    }

    fn mono(&self) -> Mono {
        Mono(self.started.elapsed())
    }
}

/// Looks by the name of the target: `hole...` times out, `refused...` is refused, `panics...` panics, `slow...` takes a
/// second; everything else passes after 20 ms. Sessions begin in the same way; those of `flaps...` end after 2 s, all others
/// last while [`Scripted::cut`] does not cut them. Notes when each look began and how many were under way.
pub(crate) struct Scripted {
    clock: Arc<dyn model::time::Clock>,
    begun: std::sync::Mutex<Vec<(TargetId, Mono)>>,
    under_way: Arc<std::sync::Mutex<std::collections::BTreeMap<TargetId, usize>>>,
    /// While true, nobody sends media and nobody lets anybody in.
    cut: tokio::sync::watch::Sender<bool>,
}

impl Scripted {
    pub(crate) fn new(clock: Arc<dyn model::time::Clock>) -> Arc<Self> {
        let cut = tokio::sync::watch::Sender::new(false);
        Arc::new(Self { clock, begun: std::sync::Mutex::default(), under_way: Arc::default(), cut })
    }

    /// Ends every session, and lets nobody in until `cut` is false again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }

    /// Looks and sessions of a target that are under way.
    pub(crate) fn under_way(&self, name: &str) -> usize {
        self.under_way.lock().expect("no panic while locked").get(&id(name)).copied().unwrap_or_default()
    }

    fn counter(&self) -> impl Fn(&TargetId, bool) + Send + 'static {
        let under_way = Arc::clone(&self.under_way);
        move |id: &TargetId, begins: bool| {
            let mut under_way = under_way.lock().expect("no panic while locked");
            let count = under_way.entry(id.clone()).or_default();
            *count = if begins { *count + 1 } else { *count - 1 };
            assert!(*count <= 1, "two looks of {id}");
        }
    }

    /// Beginnings of all looks at targets whose id begins so, by target.
    pub(crate) fn begun(&self, prefix: &str) -> std::collections::BTreeMap<TargetId, Vec<Mono>> {
        let mut by_id = std::collections::BTreeMap::<_, Vec<Mono>>::new();
        for (id, at) in self.begun.lock().expect("no panic while locked").iter() {
            if id.as_str().starts_with(prefix) {
                by_id.entry(id.clone()).or_default().push(*at);
            }
        }
        by_id
    }

    pub(crate) fn clock_now(&self) -> Mono {
        self.clock.mono()
    }

    pub(crate) fn forget(&self) {
        self.begun.lock().expect("no panic while locked").clear();
    }
}

impl crate::looker::Looker for Scripted {
    fn look(
        &self,
        target: Arc<Target>,
        cancel: tokio_util::sync::CancellationToken,
    ) -> crate::looker::BoxFuture<Observation> {
        self.begun.lock().expect("no panic while locked").push((target.id.clone(), self.clock.mono()));
        let (count, clock) = (self.counter(), Arc::clone(&self.clock));
        Box::pin(async move {
            let name = target.id.as_str();
            assert!(!name.starts_with("panics"), "planned panic of {name}");
            let (letter, took) = manner(&target);
            count(&target.id, true);
            let at = clock.utc();
            tokio::select! {
                () = tokio::time::sleep(took) => {}
                () = cancel.cancelled() => {}
            }
            count(&target.id, false);
            let now = Now { utc: at, mono: clock.mono() };
            seen(&target, letter, now)
        })
    }

    fn hold(
        &self,
        target: Arc<Target>,
        cancel: tokio_util::sync::CancellationToken,
        tell: crate::looker::Tell,
    ) -> crate::looker::BoxFuture<Observation> {
        self.begun.lock().expect("no panic while locked").push((target.id.clone(), self.clock.mono()));
        let (count, clock, mut cut) = (self.counter(), Arc::clone(&self.clock), self.cut.subscribe());
        Box::pin(async move {
            let name = target.id.as_str();
            assert!(!name.starts_with("panics"), "planned panic of {name}");
            count(&target.id, true);
            let now = || Now { utc: clock.utc(), mono: clock.mono() };
            let (mut letter, took) = manner(&target);
            let session = async {
                tokio::time::sleep(took).await;
                if letter != 'p' || *cut.borrow() {
                    return if letter == 'p' { 'r' } else { letter };
                }
                let mut every = tokio::time::interval(Duration::from_secs(1));
                for second in 0_u32.. {
                    tokio::select! {
                        _ = every.tick() => {}
                        _ = cut.wait_for(|cut| *cut) => return 's',
                    }
                    if name.starts_with("flaps") && second == 2 {
                        return 'e';
                    }
                    let bits = if second == 0 { 0 } else { 1000 };
                    tell(seen(&target, 'v', now()), Second { bits, ..Second::default() });
                }
                's'
            };
            tokio::select! {
                ended = session => letter = ended,
                () = cancel.cancelled() => {}
            }
            count(&target.id, false);
            seen(&target, letter, now())
        })
    }
}

/// What comes of a look at a target, and when.
fn manner(target: &Target) -> (char, Duration) {
    match target.id.as_str() {
        n if n.starts_with("hole") => ('t', target.timeout),
        n if n.starts_with("refused") => ('r', Duration::from_millis(1)),
        n if n.starts_with("slow") => ('p', Duration::from_secs(1)),
        _ => ('p', Duration::from_millis(20)),
    }
}

/// A history in a folder of its own.
pub(crate) fn store(folder: &std::path::Path, clock: Arc<dyn model::time::Clock>) -> store::Store {
    let settings = store::Settings::new(folder.join("history.db"));
    store::Store::open(settings, clock).expect("a new history").0
}
