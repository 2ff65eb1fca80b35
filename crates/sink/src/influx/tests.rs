//! The sink against a scripted server: what is written, what follows from each answer, and that nothing is lost or hangs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use net::clock::SystemClock;
use net::task::Tasks;
use testkit::http::{HttpPeer, Reply, Request};
use testkit::wait::wait_for;

use super::points::tests::{board, pass, seen, target};
use super::settings::tests::read;
use super::*;
use crate::registry::SinkNow;
use model::status::Status;

const SOON: Duration = Duration::from_secs(20);

/// A sink that runs, with the events that it is told of.
struct Rig {
    events: broadcast::Sender<Arc<Event>>,
    settings: watch::Sender<Option<Arc<Settings>>>,
    registry: Registry,
    tasks: Tasks,
    told: AtomicUsize,
}

fn settings(url: &str, more: &[(&str, &str)]) -> Settings {
    let usual = [("url", url), ("database", "d"), ("interval", "1s"), ("timeout", "1s")];
    let kept = usual.into_iter().filter(|(key, _)| !more.iter().any(|(other, _)| other == key));
    read(&kept.chain(more.iter().copied()).collect::<Vec<_>>()).expect("good")
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let (events, _) = broadcast::channel(1024);
        let (settings, wanted) = watch::channel(Some(Arc::new(settings)));
        let (_, board) = watch::channel(Arc::new(board(&[target("a", None, Status::Up)])));
        let (registry, tasks, sender) = (Registry::default(), Tasks::new(), events.clone());
        let sources = Sources {
            board,
            events: Box::new(move || sender.subscribe()),
            scoring: Box::new(Scoring::default),
            vitals: Box::new(|| Box::pin(async { Vitals::default() })),
            clock: Arc::new(SystemClock::new()),
            registry: registry.clone(),
        };
        tasks.spawn("influxdb", keep(sources, wanted, tasks.cancelled()));
        Self { events, settings, registry, tasks, told: AtomicUsize::new(0) }
    }

    /// Tells of so many looks.
    async fn look(&self, count: usize) {
        assert!(wait_for(SOON, || self.events.receiver_count() > 0).await);
        for _ in 0..count {
            let at = self.told.fetch_add(1, Ordering::SeqCst);
            let what = What::Observed(Arc::new(seen("a", 1_000_000 + at as i64)), Arc::new(pass()));
            self.events.send(Arc::new(Event { at: UtcMs(0), what })).expect("somebody listens");
        }
    }

    fn now(&self) -> SinkNow {
        self.registry.all().remove(NAME).unwrap_or_default()
    }

    async fn until(&self, what: &str, state: impl Fn(&SinkNow) -> bool) {
        assert!(wait_for(SOON, || state(&self.now())).await, "{what}: {:?}", self.now());
    }
}

/// The lines of all requests that were answered well.
type Kept = Arc<Mutex<Vec<String>>>;

fn unpacked(request: &Request) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    match request.header("Content-Encoding") {
        Some("gzip") => {
            flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).expect("gzip");
        }
        _ => text = String::from_utf8(request.body.clone()).expect("text"),
    }
    text
}

/// A server that answers the requests in turn by `script`, and all further ones with 204.
async fn server(script: Vec<Reply>) -> (HttpPeer, Kept) {
    let kept = Kept::default();
    let (turn, keep) = (AtomicUsize::new(0), Arc::clone(&kept));
    let peer = HttpPeer::with(move |request| {
        let reply =
            script.get(turn.fetch_add(1, Ordering::SeqCst)).cloned().unwrap_or(Reply::Whole(204, vec![], vec![]));
        if matches!(reply, Reply::Whole(204, ..)) {
            let text = unpacked(request);
            keep.lock().expect("no panic").extend(text.lines().map(str::to_owned));
        }
        reply
    })
    .await;
    (peer, kept)
}

/// Times of the looks among the lines.
fn looks(kept: &Kept) -> Vec<i64> {
    let lines = kept.lock().expect("no panic");
    let looks = lines.iter().filter(|line| line.starts_with("streampulse_look"));
    looks.map(|line| line.rsplit(' ').next().and_then(|t| t.parse().ok()).expect("a time")).collect()
}

fn all(count: i64) -> Vec<i64> {
    (1_000_000..1_000_000 + count).collect()
}

#[tokio::test]
async fn points_arrive_packed_once_and_in_order() {
    let (peer, kept) = server(Vec::new()).await;
    let rig = Rig::new(settings(&peer.url(""), &[("username", "u"), ("password", "pass-word")]));
    rig.look(100).await;
    rig.until("written", |now| now.sent >= 100).await;
    assert_eq!(looks(&kept), all(100));
    let request = peer.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/write?db=d&precision=ms"));
    assert_eq!(request.header("Content-Encoding"), Some("gzip"));
    assert_eq!(request.header("Authorization"), Some("Basic dTpwYXNzLXdvcmQ="));
    let now = rig.now();
    assert_eq!((now.ok, now.error, now.failed, now.dropped), (Some(true), None, 0, 0));
    assert!(now.last_sent.is_some() && now.kind == NAME);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_nothing_is_lost() {
    let later = |status| Reply::text(status, r#"{"error":"not now"}"#);
    let script = vec![later(503), later(429).with("Retry-After", "1"), later(500)];
    let (peer, kept) = server(script).await;
    let rig = Rig::new(settings(&peer.url(""), &[]));
    rig.look(10).await;
    rig.until("refused once", |now| now.ok == Some(false)).await;
    assert_eq!(rig.now().error.as_deref(), Some("the server answers 503: not now"));
    rig.until("written", |now| now.sent >= 10).await;
    let now = rig.now();
    assert_eq!((looks(&kept), now.failed, now.dropped, now.ok), (all(10), 3, 0, Some(true)));
}

#[tokio::test]
async fn what_cannot_pass_is_named_counted_and_not_repeated() {
    for (status, body, part) in [
        (
            401,
            r#"{"code":"unauthorized","message":"unauthorized access with hidden-token"}"#,
            "401: unauthorized access with ***",
        ),
        (404, r#"{"error":"database not found: \"d\""}"#, "404: database not found"),
        (400, r#"{"error":"unable to parse"}"#, "400: unable to parse"),
        (302, "", "302: it points elsewhere"),
    ] {
        let (peer, kept) = server(vec![Reply::text(status, body)]).await;
        let mut settings = settings(&peer.url(""), &[]);
        settings.place = Place::Bucket {
            org: None,
            bucket: "b".to_owned(),
            token: Some(model::secret::Secret::new("hidden-token")),
        };
        let rig = Rig::new(settings);
        rig.look(5).await;
        rig.until("refused", |now| now.dropped >= 5).await;
        let now = rig.now();
        assert!(now.ok == Some(false) && now.error.as_deref().is_some_and(|e| e.contains(part)), "{now:?}");
        // What comes afterwards is written when the server takes it.
        rig.look(3).await;
        rig.until("written", |now| now.sent >= 3).await;
        assert_eq!(looks(&kept), [1_000_005, 1_000_006, 1_000_007], "{status}");
    }
}

#[tokio::test]
async fn a_part_that_is_refused_is_counted_and_the_rest_is_written() {
    let body = r#"{"error":"partial write: field type conflict dropped=2"}"#;
    let (peer, _) = server(vec![Reply::text(400, body)]).await;
    let rig = Rig::new(settings(&peer.url(""), &[]));
    rig.look(9).await;
    rig.until("written", |now| now.sent + now.dropped >= 9).await;
    let now = rig.now();
    assert_eq!((now.dropped, now.failed), (2, 1), "{now:?}");
}

#[tokio::test]
async fn batches_shrink_until_the_server_takes_them() {
    let kept = Kept::default();
    let keep = Arc::clone(&kept);
    let peer = HttpPeer::with(move |request| {
        let text = unpacked(request);
        if text.lines().count() > 7 {
            return Reply::text(413, "");
        }
        keep.lock().expect("no panic").extend(text.lines().map(str::to_owned));
        Reply::Whole(204, vec![], vec![])
    })
    .await;
    let rig = Rig::new(settings(&peer.url(""), &[("gzip", "false")]));
    rig.look(100).await;
    rig.until("written", |now| now.sent >= 100).await;
    assert_eq!((looks(&kept), rig.now().dropped), (all(100), 0));
    // A server that takes nothing at all gets every point once and no more.
    let none = HttpPeer::with(|_| Reply::text(413, "")).await;
    let rig = Rig::new(settings(&none.url(""), &[]));
    rig.look(3).await;
    rig.until("given up", |now| now.dropped >= 1).await;
    assert!(rig.now().error.is_some_and(|e| e.contains("a single point is given up")));
}

#[tokio::test]
async fn silence_slowness_and_endless_answers_cost_no_point() {
    let (peer, kept) = server(vec![
        Reply::Stall(b"HTTP/1.1 204".into()),
        Reply::Endless(b"HTTP/1.1 503 No\r\n\r\n".into(), vec![b'x'; 10_000]),
        Reply::Endless(b"HTTP/1.1 200 OK\r\n".into(), format!("X-A: {}\r\n", "x".repeat(2000)).into()),
        Reply::Raw(b"nonsense\r\n\r\n".into()),
    ])
    .await;
    let rig = Rig::new(settings(&peer.url(""), &[("timeout", "300ms")]));
    rig.look(10).await;
    rig.until("four failures", |now| now.failed >= 4).await;
    rig.until("written", |now| now.sent >= 10).await;
    assert_eq!((looks(&kept), rig.now().dropped), (all(10), 0));
}

#[tokio::test]
async fn a_dead_server_costs_its_room_and_the_oldest_go() {
    let dead = testkit::bad::refused();
    let url = format!("http://{}", dead.address());
    let rig = Rig::new(settings(&url, &[("buffer", "64KiB"), ("interval", "1h")]));
    for _ in 0..10 {
        rig.look(100).await;
        tokio::task::yield_now().await;
    }
    rig.until("all are told of", |now| now.queued + now.dropped >= 1000).await;
    let now = rig.now();
    assert!(now.queued < 400 && now.queued > 200 && now.dropped == 1000 - now.queued, "{now:?}");
    // The server is found elsewhere: what waits goes there, the newest of all among it.
    let (peer, kept) = server(Vec::new()).await;
    rig.settings.send_replace(Some(Arc::new(settings(&peer.url(""), &[]))));
    rig.until("written", |now| now.queued == 0).await;
    let written = looks(&kept);
    assert_eq!((written.len() as u64, written.last()), (now.queued, Some(&1_000_999)));
}

#[tokio::test]
async fn what_waits_is_written_at_the_end_and_no_settings_are_no_sink() {
    let (peer, kept) = server(Vec::new()).await;
    let rig = Rig::new(settings(&peer.url(""), &[("interval", "1h")]));
    rig.look(4).await;
    rig.until("told of", |now| now.queued == 4).await;
    assert!(rig.tasks.stop(SOON).await);
    assert_eq!(looks(&kept), all(4));
    let rig = Rig::new(settings(&peer.url(""), &[]));
    rig.look(1).await;
    rig.until("it is there", |now| now.kind == NAME).await;
    rig.settings.send_replace(None);
    assert!(wait_for(SOON, || rig.registry.all().is_empty() && rig.events.receiver_count() == 0).await);
    // And it comes again.
    rig.settings.send_replace(Some(Arc::new(settings(&peer.url(""), &[]))));
    rig.look(1).await;
    rig.until("it is there again", |now| now.sent > 0).await;
}

#[tokio::test]
async fn the_test_button_says_what_the_server_says() {
    let (peer, kept) = server(vec![Reply::Whole(204, vec![], vec![]), Reply::text(401, "")]).await;
    let clock = SystemClock::new();
    let said = test(settings(&peer.url(""), &[]), &clock).await.expect("it is taken");
    assert!(said.contains("took a point of the measurement streampulse_test"), "{said}");
    assert!(kept.lock().expect("no panic")[0].starts_with("streampulse_test value=1i "));
    let why = test(settings(&peer.url(""), &[]), &clock).await.expect_err("refused");
    assert!(why.contains("401"), "{why}");
    let dead = testkit::bad::refused();
    let why = test(settings(&format!("http://{}", dead.address()), &[]), &clock).await.expect_err("dead");
    assert!(why.contains("refuses connections"), "{why}");
}

#[test]
fn pauses_double_to_a_cap() {
    for (failures, least, most) in
        [(1, 750, 1000), (2, 1500, 2000), (3, 3000, 4000), (7, 45_000, 60_000), (40, 45_000, 60_000)]
    {
        let pause = pause(failures).as_millis();
        assert!((least..=most).contains(&pause), "{failures}: {pause}");
    }
}
