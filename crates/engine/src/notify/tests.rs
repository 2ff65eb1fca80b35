//! The outbox with channels that do as they are told, in time that is made up; and once with a process that is killed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use model::time::Mono;
use net::task::Tasks;
use sink::channel::BoxFuture;
use store::Settings;
use testkit::http::{HttpPeer, Reply};
use tokio::time::Instant;

use super::*;
use crate::config::{Overrides, load};

/// Wall clock and monotonic clock both follow the time of the test.
struct TestClock(Instant);

impl Clock for TestClock {
    fn utc(&self) -> UtcMs {
        crate::testing::EPOCH.plus(self.0.elapsed())
    }

    fn mono(&self) -> Mono {
        Mono(self.0.elapsed())
    }
}

/// What a channel does with the next message.
#[derive(Clone)]
enum Does {
    Take,
    Fail(Failure),
    /// Takes the message after a while.
    Slow(Duration),
    Panic,
}

/// What channels are to do and what they were given, by name.
#[derive(Default)]
struct World {
    plans: Mutex<BTreeMap<String, VecDeque<Does>>>,
    taken: Mutex<Vec<(String, String, Duration)>>,
    began: Mutex<Option<Instant>>,
}

struct Scripted {
    name: String,
    world: Arc<World>,
}

impl Channel for Scripted {
    fn deliver<'a>(&'a self, n: &'a Notification, _around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        let plan = self.world.plans.lock().unwrap().get_mut(&self.name).and_then(VecDeque::pop_front);
        Box::pin(async move {
            match plan.unwrap_or(Does::Take) {
                Does::Take => {}
                Does::Fail(failure) => return Err(failure),
                Does::Slow(time) => tokio::time::sleep(time).await,
                Does::Panic => panic!("a mistake"),
            }
            let began = self.world.began.lock().unwrap_or_else(PoisonError::into_inner).expect("it was set");
            self.world.taken.lock().unwrap().push((self.name.clone(), n.key.clone(), began.elapsed()));
            Ok(())
        })
    }
}

struct Rig {
    outbox: Outbox,
    tasks: Tasks,
    settings: watch::Sender<Arc<Config>>,
    world: Arc<World>,
    registry: Registry,
    store: Store,
    folder: tempfile::TempDir,
}

fn config(channels: &str) -> Arc<Config> {
    let list: String = channels
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| {
            let (name, more) = name.split_once('+').unwrap_or((name, ""));
            format!("  - {{name: {name}, kind: webhook, url: 'http://{name}/'{}}}\n", more.replace(':', ": "))
        })
        .collect();
    let text = format!("targets: []\nchannels:\n{list}");
    Arc::new(load(&text, &|_| None, &Overrides::default()).unwrap_or_else(|p| panic!("{p:?}")))
}

impl Rig {
    fn new(channels: &str) -> Self {
        Self::on(tempfile::tempdir().unwrap(), channels, Arc::default())
    }

    fn on(folder: tempfile::TempDir, channels: &str, world: Arc<World>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TestClock(Instant::now()));
        world.began.lock().unwrap().get_or_insert(Instant::now());
        let (store, _) = Store::open(Settings::new(folder.path().join("h.db")), Arc::clone(&clock)).unwrap();
        let (sender, settings) = watch::channel(config(channels));
        let (registry, tasks) = (Registry::default(), Tasks::new());
        let maker = {
            let world = Arc::clone(&world);
            move |spec: &ChannelSpec| -> Result<Arc<dyn Channel>, Failure> {
                Ok(Arc::new(Scripted { name: spec.name.clone(), world: Arc::clone(&world) }))
            }
        };
        let outbox = Outbox::with(store.clone(), clock, registry.clone(), settings, Box::new(maker), Arc::default());
        tasks.spawn("outbox", PostOffice::new(outbox.clone(), tasks.clone()).run());
        Self { outbox, tasks, settings: sender, world, registry, store, folder }
    }

    fn plan(&self, channel: &str, does: impl IntoIterator<Item = Does>) {
        self.world.plans.lock().unwrap().entry(channel.to_owned()).or_default().extend(does);
    }

    async fn submit(&self, key: &str, channels: &[&str]) {
        let channels: Vec<String> = channels.iter().map(|name| (*name).to_owned()).collect();
        let n = Notification { key: key.to_owned(), ..test_message("x", UtcMs(5)) };
        self.outbox.submit(&n, &channels).await.expect("it is written");
    }

    /// What a channel has taken.
    fn taken(&self, channel: &str) -> Vec<String> {
        let taken = self.world.taken.lock().unwrap();
        taken.iter().filter(|(name, ..)| name == channel).map(|(_, key, _)| key.clone()).collect()
    }

    /// Waits until a channel has nothing waiting.
    async fn settled(&self, channel: &str) {
        let waiting = || async {
            let (store, name) = (self.store.clone(), channel.to_owned());
            blocking(move || store.waiting_count(&name)).await.unwrap()
        };
        let settled = async {
            let mut pause = Duration::from_millis(10);
            while waiting().await > 0 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(300));
            }
        };
        tokio::time::timeout(Duration::from_secs(40 * 3600), settled).await.expect("nothing waits in the end");
    }

    async fn stop(self) -> (tempfile::TempDir, Arc<World>) {
        assert!(self.tasks.stop(Duration::from_secs(10)).await, "all end: {:?}", self.tasks.names());
        let store = self.store.clone();
        assert!(tokio::task::spawn_blocking(move || store.close(Duration::from_secs(10))).await.unwrap());
        (self.folder, self.world)
    }
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_through_failures_and_once() {
    let rig = Rig::new("mail chat");
    let failure = |after| Does::Fail(Failure { retry_after_s: after, ..Failure::passing("the receiver answers 503") });
    rig.plan("mail", [failure(None), Does::Panic, failure(Some(120)), Does::Take]);
    for key in ["a", "b", "a", "c"] {
        rig.submit(key, &["mail", "chat", "nobody"]).await;
    }
    rig.settled("chat").await;
    assert_eq!((rig.taken("chat"), rig.taken("mail")), (vec!["a".into(), "b".into(), "c".into()], vec![]));
    rig.settled("mail").await;
    assert_eq!(rig.taken("mail"), ["a", "b", "c"]);
    let at = rig.world.taken.lock().unwrap().iter().find(|(name, ..)| name == "mail").map(|(.., at)| at.as_secs());
    // Pauses of 5 s and 10 s, a quarter more or less, and the two minutes that were asked for.
    assert!(at.is_some_and(|s| (131..=140).contains(&s)), "{at:?}");
    let state = rig.outbox.state().await.unwrap();
    let mail = state.iter().find(|c| c.name == "mail").unwrap();
    assert_eq!((mail.now.sent, mail.now.failed, mail.now.ok, mail.waiting, mail.dead), (3, 3, Some(true), 0, 0));
    assert_eq!(mail.now.error.as_deref(), Some("the receiver answers 503"), "the last error stays to be seen");
    assert!(mail.now.last_sent.is_some());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_again_and_again_does_not_keep_back_the_others() {
    let rig = Rig::new("mail");
    rig.plan("mail", std::iter::repeat_n(Does::Fail(Failure::passing("500 for this text")), 5));
    for (key, alert) in [("a", "one"), ("a2", "one"), ("b", "two")] {
        let n = Notification { key: key.to_owned(), alert: alert.to_owned(), ..test_message("x", UtcMs(5)) };
        rig.outbox.submit(&n, &["mail".to_owned()]).await.expect("it is written");
    }
    rig.settled("mail").await;
    assert_eq!(rig.taken("mail"), ["b", "a", "a2"], "another alert passes, the same one stays in order");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_channel_delays_no_other_and_a_hanging_one_is_ended() {
    let rig = Rig::new("slow quick");
    rig.plan("slow", [Does::Slow(Duration::from_secs(100_000))]);
    for key in ["a", "b"] {
        rig.submit(key, &["slow", "quick"]).await;
    }
    rig.settled("quick").await;
    assert!(rig.world.began.lock().unwrap().unwrap().elapsed() < Duration::from_secs(1));
    assert!(rig.taken("slow").is_empty());
    rig.settled("slow").await;
    assert_eq!(rig.taken("slow"), ["a", "b"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_is_kept_and_seen() {
    let rig = Rig::new("mail");
    let always = std::iter::repeat_n(Does::Fail(Failure::passing("refused")), 1000);
    rig.plan("mail", [Does::Fail(Failure::lasting("unknown recipient"))].into_iter().chain(always));
    rig.submit("a", &["mail"]).await;
    rig.submit("b", &["mail"]).await;
    rig.settled("mail").await;
    let hours = rig.world.began.lock().unwrap().unwrap().elapsed().as_secs() / 3600;
    assert_eq!(hours, 24, "the second is tried for a day, the first not at all again");
    let dead = rig.outbox.messages(Some(LetterState::Dead), None, 10).await.unwrap();
    let told: Vec<_> = dead.iter().map(|l| (l.row.letter.key.as_str(), l.row.last_error.as_deref())).collect();
    assert_eq!(told, [("b", Some("refused")), ("a", Some("unknown recipient"))]);
    assert_eq!(dead[1].row.attempts, 1);
    assert!(dead[0].row.attempts > 200 && dead[0].row.attempts < 400, "{}", dead[0].row.attempts);
    assert_eq!(dead[0].notification.as_ref().map(|n| n.key.as_str()), Some("b"));
    assert_eq!(rig.registry.all()["channel:mail"].dropped, 2);
    rig.world.plans.lock().unwrap().clear();
    assert!(rig.outbox.forget(dead[1].row.row).await.unwrap());
    assert!(rig.outbox.put_back(dead[0].row.row).await.unwrap());
    assert!(!rig.outbox.put_back(dead[1].row.row).await.unwrap());
    rig.settled("mail").await;
    assert_eq!(rig.taken("mail"), ["b"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let rig = Rig::new("mail");
    rig.plan("mail", [Does::Take, Does::Fail(Failure::passing("refused")), Does::Slow(Duration::from_secs(60))]);
    for key in ["a", "b", "c"] {
        rig.submit(key, &["mail"]).await;
    }
    let failed = || rig.registry.all().get("channel:mail").is_some_and(|now| now.failed == 1);
    while !failed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await; // the second attempt is under way now
    let (folder, world) = rig.stop().await;
    assert_eq!(world.taken.lock().unwrap().len(), 1);
    let rig = Rig::on(folder, "mail", world);
    rig.settled("mail").await;
    assert_eq!(rig.taken("mail"), ["a", "b", "c"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_configuration_changes_what_it_says_and_sends_nothing_twice() {
    let rig = Rig::new("mail chat old");
    rig.plan("mail", [Does::Slow(Duration::from_secs(5))]);
    let gone = std::iter::repeat_n(Does::Fail(Failure::passing("refused")), 100);
    rig.plan("old", gone);
    rig.submit("a", &["mail", "old"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Another one of the same name, while it delivers; one is gone; one takes only what is grave; one is new.
    rig.settings.send_replace(config("mail+,method:PUT chat+,min_severity:critical new off+,enabled:false"));
    rig.submit("b", &["mail", "chat", "old", "new", "off"]).await;
    rig.settled("mail").await;
    rig.settled("new").await;
    rig.settled("old").await;
    assert_eq!((rig.taken("mail"), rig.taken("new")), (vec!["a".into(), "b".into()], vec!["b".into()]));
    assert_eq!((rig.taken("chat"), rig.taken("off")), (vec![], vec![]));
    let dead = rig.outbox.messages(Some(LetterState::Dead), None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].row.last_error.as_deref().is_some_and(|e| e.contains("no such channel")));
    let names: Vec<String> = rig.outbox.state().await.unwrap().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["mail", "chat", "new", "off"]);
    assert!(!rig.registry.all().contains_key("channel:old"));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_says_what_came_of_it_at_once() {
    let rig = Rig::new("mail off+,enabled:false,min_severity:critical");
    rig.plan("mail", [Does::Fail(Failure::lasting("535 wrong password")), Does::Slow(Duration::from_millis(300))]);
    assert_eq!(rig.outbox.test("mail").await.unwrap_err().words, "535 wrong password");
    assert_eq!(rig.registry.all()["channel:mail"].ok, Some(false));
    assert!(rig.outbox.test("mail").await.unwrap() >= Duration::from_millis(300));
    assert!(rig.outbox.test("off").await.is_ok(), "also before it is used");
    assert!(rig.outbox.test("mial").await.unwrap_err().words.contains("no channel"));
    assert!(rig.outbox.messages(None, None, 10).await.unwrap().is_empty(), "a test waits in no outbox");
    rig.stop().await;
}

const CHILD: &str = "OUTBOX_TEST_CHILD";
/// How often the process is killed.
const ROUNDS: usize = 8;

/// Submits `n`, says so, and goes on. It never ends by itself.
async fn child(order: &str) -> ! {
    let (first, rest) = order.split_once(' ').unwrap();
    let (url, path) = rest.split_once(' ').unwrap();
    let clock: Arc<dyn Clock> = Arc::new(net::clock::SystemClock::new());
    let (store, _) = Store::open(Settings::new(path), Arc::clone(&clock)).unwrap();
    let text = format!("targets: []\nchannels: [{{name: hook, kind: webhook, url: '{url}'}}]\n");
    let (_settings, receiver) = watch::channel(Arc::new(load(&text, &|_| None, &Overrides::default()).unwrap()));
    let (outbox, tasks) = (Outbox::new(store, clock, Registry::default(), receiver, Arc::default()), Tasks::new());
    tasks.spawn("outbox", PostOffice::new(outbox.clone(), tasks.clone()).run());
    for n in first.parse::<u64>().unwrap().. {
        let message = Notification { key: n.to_string(), ..test_message("x", UtcMs(5)) };
        outbox.submit(&message, &["hook".to_owned()]).await.unwrap();
        println!("submitted {n}");
    }
    unreachable!("there are enough numbers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_without_warning_no_message_is_lost() {
    if let Ok(order) = std::env::var(CHILD) {
        child(&order).await;
    }
    let peer = HttpPeer::with(|_| Reply::text(200, "")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let mut submitted = 0;
    for round in 0..ROUNDS {
        let order = format!("{} {} {}", submitted + 1, peer.url("/hook"), path.display());
        let lines = round * 13 % 29 + 1;
        let run = tokio::task::spawn_blocking(move || {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "notify::tests::killed_without_warning_no_message_is_lost", "--nocapture"])
                .env(CHILD, order)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let number = |line: String| line.rsplit_once("submitted ").and_then(|(_, n)| n.trim().parse::<u64>().ok());
            let mut last: Vec<u64> = out.by_ref().filter_map(number).take(lines).collect();
            child.kill().unwrap();
            last.extend(out.filter_map(number));
            child.wait().unwrap();
            last
        });
        submitted = run.await.unwrap().last().copied().unwrap_or(submitted);
    }
    // One more that is not killed until everything came.
    let clock: Arc<dyn Clock> = Arc::new(net::clock::SystemClock::new());
    let (store, _) = Store::open(Settings::new(&path), Arc::clone(&clock)).unwrap();
    let text = format!("targets: []\nchannels: [{{name: hook, kind: webhook, url: '{}'}}]\n", peer.url("/hook"));
    let (_settings, receiver) = watch::channel(Arc::new(load(&text, &|_| None, &Overrides::default()).unwrap()));
    let (outbox, tasks) =
        (Outbox::new(store.clone(), clock, Registry::default(), receiver, Arc::default()), Tasks::new());
    tasks.spawn("outbox", PostOffice::new(outbox, tasks.clone()).run());
    let empty = || store.waiting_count("hook").unwrap() == 0;
    assert!(testkit::wait::wait_for(Duration::from_secs(30), empty).await, "something waits");
    assert!(tasks.stop(Duration::from_secs(5)).await);
    let keys: Vec<u64> =
        peer.requests().iter().map(|r| r.header("idempotency-key").unwrap().parse().unwrap()).collect();
    let mut different = keys.clone();
    different.dedup();
    assert!(keys.windows(2).all(|pair| pair[0] <= pair[1]), "in order: {keys:?}");
    assert!((1..).zip(&different).all(|(n, key)| n == *key), "none is missing: {keys:?}");
    assert!(different.last().is_some_and(|last| *last >= submitted), "{submitted}: {keys:?}");
    assert!(keys.len() - different.len() <= ROUNDS, "at most the one under way comes twice: {keys:?}");
    assert!(different.len() > ROUNDS, "{keys:?}");
}
