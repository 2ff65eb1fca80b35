//! What the engine sees of a session that does what it is told.

use super::*;
use crate::kind::BoxFuture;
use crate::live::Packet;
use crate::run::tests::target;
use model::conf::Value;
use model::reading::{FactValue, Media, Track, fact};
use net::clock::SystemClock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, sleep};

/// A probe whose session does what it is told.
struct Scripted<F>(F);

impl<F> Probe for Scripted<F>
where
    F: for<'a> Fn(&'a mut Attempt<'_>, &'a Live) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
{
    fn look<'a>(&'a self, _: &'a mut Attempt<'_>, _: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { panic!("nobody looks") })
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        self.0(at, live)
    }
}

/// What came of a session: its live observations with the time of each, its last one, and the time of that.
struct Seen {
    live: Vec<(Duration, Observation, Second)>,
    last: Observation,
    ended: Duration,
}

impl Seen {
    fn fault(&self) -> (FaultKind, Phase, &str) {
        self.last.look.fault.as_ref().map(|f| (f.kind, f.phase, f.detail.as_str())).expect("a fault")
    }
}

async fn hold_as<F>(target: &Target, cancel: &CancellationToken, script: F) -> Seen
where
    F: for<'a> Fn(&'a mut Attempt<'_>, &'a Live) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
{
    let began = Instant::now();
    let mut live = Vec::new();
    let prober = Prober::new(Arc::new(SystemClock::new()));
    let mut each = |seen, second| live.push((began.elapsed(), seen, second));
    let last = prober.hold(target, &Scripted(script), cancel, &mut each).await;
    Seen { live, last, ended: began.elapsed() }
}

async fn hold<F>(script: F) -> Seen
where
    F: for<'a> Fn(&'a mut Attempt<'_>, &'a Live) -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
{
    hold_as(&target(), &CancellationToken::new(), script).await
}

/// Connects for 100 ms and plays so many pictures at 25 a second.
async fn play(at: &mut Attempt<'_>, live: &Live, pictures: u32) -> Result<(), Fault> {
    let connect = async {
        sleep(Duration::from_millis(100)).await;
        Ok(())
    };
    at.run(Phase::Connect, connect).await?;
    live.reading(|r| r.tracks = vec![Track::new(Media::Video, "h264 hunter2")]);
    for picture in 0..pictures {
        let media_time = Some(Duration::from_millis(40) * picture);
        live.packet(Packet {
            timed: true,
            track: 0,
            bytes: 1000,
            at: live.now(),
            media_time,
            frame: true,
            key: picture % 25 == 0,
            lost: Some(0),
        });
        if picture == 0 {
            live.opened(at);
        }
        sleep(Duration::from_millis(40)).await;
    }
    Ok(())
}

/// Says when it is dropped.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn each_second_is_told_and_silence_is_noticed_within_two() {
    let left = Arc::new(AtomicUsize::new(0));
    let seen = hold(|at, live| {
        let leaving = Leaving(Arc::clone(&left));
        Box::pin(async move {
            let _leaving = leaving;
            // Longer than the timeout of 3 s: opening has a deadline, holding has none.
            play(at, live, 250).await?;
            std::future::pending().await
        })
    })
    .await;
    let (kind, phase, words) = seen.fault();
    assert_eq!((kind, phase), (FaultKind::Stale, Phase::Media));
    assert_eq!(words, "the video track has been silent for 1.6 s, 1.5 s is accepted");
    let last_packet = Duration::from_millis(100 + 249 * 40);
    let noticed = seen.ended - last_packet;
    assert!(noticed >= Duration::from_millis(1500) && noticed < Duration::from_secs(2), "{noticed:?}");
    assert_eq!(left.load(Ordering::SeqCst), 1, "the session was dropped");
    // At once when it is open, and each second from then on.
    assert_eq!(seen.live.len(), 1 + 11, "{:?}", seen.live.iter().map(|(at, ..)| at).collect::<Vec<_>>());
    assert_eq!(seen.live[0].0, Duration::from_millis(100));
    let (_, observation, second) = &seen.live[8];
    assert_eq!((second.frames, second.bits, second.lost), (25, 200_000, Some(0)));
    assert_eq!(observation.look.fault, None);
    assert_eq!(observation.took, Duration::from_millis(100));
    assert_eq!(observation.look.phases.get(Phase::Connect), Some(Duration::from_millis(100)));
    assert_eq!(observation.look.reading.facts.get(fact::MEASURED_FPS), Some(&FactValue::Num(25.0)));
    assert_eq!(observation.look.reading.tracks[0].codec, "h264 ***", "texts are washed");
}

#[tokio::test(start_paused = true)]
async fn the_configuration_says_how_long_silence_may_last() {
    let mut target = target();
    target.options.0.insert("silence".to_owned(), Value::Str("20s".to_owned()));
    let seen = hold_as(&target, &CancellationToken::new(), |at, live| {
        Box::pin(async move {
            play(at, live, 100).await?;
            std::future::pending().await
        })
    })
    .await;
    assert_eq!(seen.fault().2, "the video track has been silent for 20.1 s, 20 s is accepted");
}

#[tokio::test(start_paused = true)]
async fn opening_has_a_deadline_and_its_fault_is_the_last_word() {
    let seen = hold(|_, _| Box::pin(std::future::pending())).await;
    assert_eq!((seen.fault().0, seen.ended), (FaultKind::TimedOut, target().timeout + LEAVE));
    let seen = hold(|at, live| {
        Box::pin(async move {
            live.reading(|r| r.int(fact::STATUS_CODE, 200));
            at.run(Phase::Describe, std::future::pending()).await
        })
    })
    .await;
    assert_eq!((seen.fault().0, seen.fault().1, seen.live.len()), (FaultKind::TimedOut, Phase::Describe, 0));
    assert_eq!(seen.last.look.reading.facts.len(), 1, "what was learned stays");
    assert_eq!(seen.ended, target().timeout);
}

#[tokio::test(start_paused = true)]
async fn the_fault_of_the_peer_ends_it_with_what_was_measured() {
    let seen = hold(|at, live| {
        Box::pin(async move {
            play(at, live, 50).await?;
            Err(Fault::new(FaultKind::NoMedia, Phase::Media, "the server closed the connection to hunter2"))
        })
    })
    .await;
    assert_eq!(seen.fault(), (FaultKind::NoMedia, Phase::Media, "the server closed the connection to ***"));
    assert_eq!(seen.last.look.reading.facts.get(fact::PACKETS), Some(&FactValue::Int(50)));
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_session_without_a_reason_are_our_fault() {
    let seen = hold(|at, live| {
        Box::pin(async move {
            play(at, live, 50).await?;
            panic!("lost my mind over {}", "hunter2")
        })
    })
    .await;
    assert_eq!(seen.fault().2, "the check itself failed: lost my mind over ***");
    let seen = hold(|at, live| Box::pin(play(at, live, 50))).await;
    assert_eq!(seen.fault(), (FaultKind::Internal, Phase::Media, "the session ended without a reason"));
}

#[tokio::test(start_paused = true)]
async fn cancelling_drops_the_session_at_once() {
    let (left, cancel) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let target = target();
    let held = hold_as(&target, &cancel, |at, live| {
        let leaving = Leaving(Arc::clone(&left));
        Box::pin(async move {
            let _leaving = leaving;
            play(at, live, 1_000_000).await
        })
    });
    let cancelled = async {
        sleep(Duration::from_millis(4_321)).await;
        cancel.cancel();
    };
    let (seen, ()) = tokio::join!(held, cancelled);
    assert_eq!((seen.fault().2, seen.ended), ("cancelled", Duration::from_millis(4_321)));
    assert_eq!(left.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_cannot_hold_says_so() {
    struct Plain;
    impl Probe for Plain {
        fn look<'a>(&'a self, _: &'a mut Attempt<'_>, _: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
            Box::pin(async { Ok(()) })
        }
    }
    let prober = Prober::new(Arc::new(SystemClock::new()));
    let seen = prober.hold(&target(), &Plain, &CancellationToken::new(), &mut |_, _| panic!("nothing is live")).await;
    assert_eq!(seen.look.fault.map(|f| f.detail).as_deref(), Some("this kind cannot hold a session"));
}
