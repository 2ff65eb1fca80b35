//! Pictures of targets for people: taken by `probe`, kept for a moment, shared by everybody who looks. Bounded in number and
//! bytes; one session per target, whoever asks. Never judges a target and touches no state of the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::target::{Target, TargetId};
use model::time::{Clock, Mono};
use net::task::Tasks;
use probe::preview::{self, Picture};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::looker::{BoxFuture, contained};

/// Previews at once: decoding a key frame takes a core for up to 90 ms, and a camera allows few sessions.
pub const PREVIEWS_AT_ONCE: usize = 4;
/// Longest wait for a place among them.
const PLACE_WAIT: Duration = Duration::from_secs(10);
/// Deadline of one picture: cameras send a key frame every 2 to 5 s.
const PICTURE_WITHIN: Duration = Duration::from_secs(10);
/// How long a moving preview runs before the page asks again.
pub const FRAMES_FOR: Duration = Duration::from_secs(5);
/// A picture this young is never taken again, whatever is asked for.
const ALWAYS_FRESH: Duration = Duration::from_secs(1);
/// A failure this young is told again instead of asking a peer that just failed.
const FAILURE_FRESH: Duration = Duration::from_secs(5);
/// Bytes of pictures that are kept: some 300 thumbnails of 100 KiB.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// Targets of which anything is kept (a failure has no bytes and still needs a bound).
const KEPT_TARGETS: usize = 1000;
/// Pictures on their way from the camera to its viewers.
const FRAME_QUEUE: usize = 4;
/// People who may watch the same moving preview.
const VIEWERS: usize = 32;

/// Takes pictures. The real one is [`Lens`]; tests bring scripted ones.
pub trait Camera: Send + Sync + 'static {
    /// One picture, within a bounded time.
    fn snapshot(&self, target: Arc<Target>) -> BoxFuture<Result<Picture, Fault>>;
    /// Pictures for a bounded time, or until `tx` is closed.
    fn frames(&self, target: Arc<Target>, tx: mpsc::Sender<Picture>) -> BoxFuture<Result<(), Fault>>;
}

/// Takes pictures with `probe`.
pub struct Lens {
    clock: Arc<dyn Clock>,
}

impl Lens {
    /// Takes pictures by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Camera for Lens {
    fn snapshot(&self, target: Arc<Target>) -> BoxFuture<Result<Picture, Fault>> {
        let clock = Arc::clone(&self.clock);
        Box::pin(async move { preview::snapshot(&target, &*clock, PICTURE_WITHIN).await })
    }

    fn frames(&self, target: Arc<Target>, tx: mpsc::Sender<Picture>) -> BoxFuture<Result<(), Fault>> {
        let clock = Arc::clone(&self.clock);
        Box::pin(async move { preview::frames(&target, &*clock, FRAMES_FOR, tx).await })
    }
}

/// The newest picture of a target.
struct Kept {
    spec: Arc<Target>,
    /// Held by whoever takes a picture: the others wait and share it.
    gate: Arc<tokio::sync::Mutex<()>>,
    taken: Option<(Mono, Result<Picture, Fault>)>,
}

/// A moving preview under way.
struct Session {
    viewers: Vec<mpsc::Sender<Picture>>,
    over: watch::Receiver<Option<Result<(), Fault>>>,
}

#[derive(Default)]
struct Inner {
    pictures: HashMap<TargetId, Kept>,
    sessions: HashMap<TargetId, Session>,
}

/// All previews of the process.
pub(crate) struct Previews {
    camera: Arc<dyn Camera>,
    clock: Arc<dyn Clock>,
    places: Semaphore,
    tasks: Tasks,
    inner: Mutex<Inner>,
}

impl Previews {
    pub(crate) fn new(camera: Arc<dyn Camera>, clock: Arc<dyn Clock>, tasks: Tasks) -> Arc<Self> {
        let places = Semaphore::new(PREVIEWS_AT_ONCE);
        Arc::new(Self { camera, clock, places, tasks, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A picture of at most this age. Who asks while one is being taken shares it.
    pub(crate) async fn snapshot(&self, target: &Arc<Target>, max_age: Duration) -> Result<Picture, Fault> {
        let asked = self.clock.mono();
        if let Some(result) = self.fresh(target, asked, max_age) {
            return result;
        }
        let gate = self.gate(target);
        let _turn = gate.lock().await;
        // One that was taken while this one waited is as new as it can be.
        let waited = self.clock.mono().0.saturating_sub(asked.0);
        if let Some(result) = self.fresh(target, self.clock.mono(), max_age.max(waited)) {
            return result;
        }
        let result = self.take(self.camera.snapshot(Arc::clone(target))).await;
        self.keep(target, result.clone());
        result
    }

    /// Takes something in one of the places, contained.
    async fn take<T>(&self, work: BoxFuture<Result<T, Fault>>) -> Result<T, Fault> {
        let Ok(Ok(_place)) = tokio::time::timeout(PLACE_WAIT, self.places.acquire()).await else {
            let detail = format!("{PREVIEWS_AT_ONCE} other previews are being taken");
            return Err(Fault::new(FaultKind::TimedOut, Phase::Media, detail));
        };
        contained(work).await.unwrap_or_else(|words| {
            tracing::error!("a preview panicked: {words}");
            Err(Fault::new(FaultKind::Internal, Phase::Check, "the preview itself failed"))
        })
    }

    fn fresh(&self, target: &Arc<Target>, now: Mono, max_age: Duration) -> Option<Result<Picture, Fault>> {
        let inner = self.lock();
        let kept = inner.pictures.get(&target.id).filter(|kept| *kept.spec == **target)?;
        let (at, result) = kept.taken.as_ref()?;
        let least = if result.is_ok() { ALWAYS_FRESH } else { FAILURE_FRESH };
        (now.0.saturating_sub(at.0) <= max_age.max(least)).then(|| result.clone())
    }

    fn gate(&self, target: &Arc<Target>) -> Arc<tokio::sync::Mutex<()>> {
        let mut inner = self.lock();
        let kept = inner.pictures.entry(target.id.clone()).or_insert_with(|| Kept {
            spec: Arc::clone(target),
            gate: Arc::default(),
            taken: None,
        });
        if *kept.spec != **target {
            (kept.spec, kept.taken) = (Arc::clone(target), None);
        }
        Arc::clone(&kept.gate)
    }

    fn keep(&self, target: &Arc<Target>, result: Result<Picture, Fault>) {
        let mut inner = self.lock();
        if let Some(kept) = inner.pictures.get_mut(&target.id).filter(|kept| *kept.spec == **target) {
            kept.taken = Some((self.clock.mono(), result));
        }
        let size = |kept: &Kept| match &kept.taken {
            Some((_, Ok(Picture::Jpeg { bytes, .. }))) => bytes.len(),
            _ => 0,
        };
        let mut bytes: usize = inner.pictures.values().map(size).sum();
        while bytes > KEPT_BYTES || inner.pictures.len() > KEPT_TARGETS {
            // Those that somebody waits for have no time yet and stay.
            let age = |(_, kept): &(&TargetId, &Kept)| kept.taken.as_ref().map_or(Mono(Duration::MAX), |(at, _)| *at);
            let others = inner.pictures.iter().filter(|(id, kept)| **id != target.id && kept.taken.is_some());
            let Some(oldest) = others.min_by_key(age).map(|(id, _)| id.clone()) else { break };
            bytes -= inner.pictures.remove(&oldest).map_or(0, |kept| size(&kept));
        }
    }

    /// Sends pictures to `viewer` for up to [`FRAMES_FOR`]. Who comes while they are already being taken joins.
    pub(crate) async fn frames(
        self: &Arc<Self>,
        target: Arc<Target>,
        viewer: mpsc::Sender<Picture>,
    ) -> Result<(), Fault> {
        let mut over = {
            let mut inner = self.lock();
            match inner.sessions.get_mut(&target.id) {
                Some(session) if session.viewers.len() < VIEWERS => {
                    session.viewers.push(viewer);
                    session.over.clone()
                }
                Some(_) => {
                    let detail = format!("{VIEWERS} others watch this preview");
                    return Err(Fault::new(FaultKind::TooLarge, Phase::Media, detail));
                }
                None => {
                    let (told, over) = watch::channel(None);
                    let session = Session { viewers: vec![viewer], over: over.clone() };
                    inner.sessions.insert(target.id.clone(), session);
                    let (this, name) = (Arc::clone(self), format!("preview {}", target.id));
                    self.tasks.spawn(name, async move { this.session(target, told).await });
                    over
                }
            }
        };
        let ended = over.wait_for(Option::is_some).await;
        ended.ok().and_then(|result| result.clone()).unwrap_or(Ok(()))
    }

    async fn session(self: Arc<Self>, target: Arc<Target>, told: watch::Sender<Option<Result<(), Fault>>>) {
        let id = target.id.clone();
        // However this ends, the next viewer must be able to begin anew.
        let _end = Ending { previews: Arc::clone(&self), id: id.clone() };
        let (tx, mut rx) = mpsc::channel(FRAME_QUEUE);
        let work = self.take(self.camera.frames(target, tx));
        let share = async {
            while let Some(picture) = rx.recv().await {
                if !self.share(&id, &picture) {
                    break;
                }
            }
            rx.close(); // nobody looks: the camera is let go
        };
        let cancelled = self.tasks.cancelled();
        let result = tokio::select! {
            (result, ()) = async { tokio::join!(work, share) } => result,
            () = cancelled.cancelled() => Ok(()),
        };
        drop(_end);
        told.send_replace(Some(result));
    }

    /// Hands a picture to every viewer; one that is slow misses it. Answers whether anybody is left.
    fn share(&self, id: &TargetId, picture: &Picture) -> bool {
        let mut inner = self.lock();
        let Some(session) = inner.sessions.get_mut(id) else { return false };
        session
            .viewers
            .retain(|viewer| !matches!(viewer.try_send(picture.clone()), Err(mpsc::error::TrySendError::Closed(_))));
        !session.viewers.is_empty()
    }
}

/// Takes a session off the list, whatever ended it.
struct Ending {
    previews: Arc<Previews>,
    id: TargetId,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.previews.lock().sessions.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use net::clock::SystemClock;

    use super::*;
    use crate::testing::target;

    /// Counts sessions; a picture takes 100 ms, a moving preview sends one every 100 ms for 1 s.
    #[derive(Default)]
    struct Scripted {
        taken: AtomicUsize,
        at_once: AtomicUsize,
        most: AtomicUsize,
        fails: bool,
    }

    fn picture(n: usize) -> Picture {
        Picture::Jpeg { bytes: bytes::Bytes::from(vec![0; 1000]), width: u32::try_from(n).expect("small"), height: 1 }
    }

    struct Shared(Arc<Scripted>);

    impl Camera for Shared {
        fn snapshot(&self, _: Arc<Target>) -> BoxFuture<Result<Picture, Fault>> {
            let script = Arc::clone(&self.0);
            Box::pin(async move {
                let now = script.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                script.most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                script.at_once.fetch_sub(1, Ordering::SeqCst);
                let n = script.taken.fetch_add(1, Ordering::SeqCst) + 1;
                if script.fails {
                    Err(Fault::new(FaultKind::Refused, Phase::Connect, format!("refused {n}")))
                } else {
                    Ok(picture(n))
                }
            })
        }

        fn frames(&self, _: Arc<Target>, tx: mpsc::Sender<Picture>) -> BoxFuture<Result<(), Fault>> {
            let script = Arc::clone(&self.0);
            Box::pin(async move {
                script.taken.fetch_add(1, Ordering::SeqCst);
                for n in 0..10 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if tx.send(picture(n)).await.is_err() {
                        break;
                    }
                }
                Ok(())
            })
        }
    }

    fn previews(fails: bool) -> (Arc<Previews>, Arc<Scripted>) {
        let script = Arc::new(Scripted { fails, ..Scripted::default() });
        let camera = Arc::new(Shared(Arc::clone(&script)));
        (Previews::new(camera, Arc::new(SystemClock::new()), Tasks::new()), script)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_picture_is_shared_and_kept_for_a_while() {
        let (previews, script) = previews(false);
        let t = target("a");
        let both = tokio::join!(previews.snapshot(&t, SECOND), previews.snapshot(&t, SECOND));
        assert_eq!(both, (Ok(picture(1)), Ok(picture(1))));
        tokio::time::advance(SECOND * 3).await;
        assert_eq!(previews.snapshot(&t, SECOND * 5).await, Ok(picture(1)));
        assert_eq!(previews.snapshot(&t, SECOND).await, Ok(picture(2)));
        assert_eq!(script.taken.load(Ordering::SeqCst), 2);
        let mut moved = (*t).clone();
        moved.address = target("b").address.clone();
        assert_eq!(previews.snapshot(&Arc::new(moved), SECOND * 60).await, Ok(picture(3)), "another place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_again_and_not_repeated_at_once() {
        let (previews, script) = previews(true);
        let t = target("a");
        for (advance, wanted) in [(0, "refused 1"), (2, "refused 1"), (9, "refused 2")] {
            tokio::time::advance(SECOND * advance).await;
            assert_eq!(previews.snapshot(&t, Duration::ZERO).await.map_err(|f| f.detail), Err(wanted.to_owned()));
        }
        assert_eq!(script.taken.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_taken_at_once() {
        let (previews, script) = previews(false);
        let tasks = Tasks::new();
        for i in 0..20 {
            let previews = Arc::clone(&previews);
            tasks.spawn("viewer", async move {
                assert!(previews.snapshot(&target(&format!("t{i}")), SECOND).await.is_ok());
            });
        }
        assert!(tasks.stop(SECOND * 60).await);
        assert_eq!((script.taken.load(Ordering::SeqCst), script.most.load(Ordering::SeqCst)), (20, PREVIEWS_AT_ONCE));
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_share_a_session_and_an_unwatched_one_ends() {
        let (previews, script) = previews(false);
        let t = target("a");
        let view = |n: usize| {
            let (previews, t) = (Arc::clone(&previews), Arc::clone(&t));
            async move {
                let (tx, mut rx) = mpsc::channel(4);
                let frames = previews.frames(t, tx);
                let count = async {
                    let mut seen = 0;
                    while seen < n && rx.recv().await.is_some() {
                        seen += 1;
                    }
                    drop(rx);
                    seen
                };
                let (result, seen) = tokio::join!(frames, count);
                result.map(|()| seen)
            }
        };
        assert_eq!(tokio::join!(view(100), view(100), view(3)), (Ok(10), Ok(10), Ok(3)));
        assert_eq!(script.taken.load(Ordering::SeqCst), 1);
        let began = tokio::time::Instant::now();
        assert_eq!(view(2).await, Ok(2));
        assert!(began.elapsed() < Duration::from_millis(600), "nobody looks: it ends");
        assert_eq!(script.taken.load(Ordering::SeqCst), 2);
    }
}
