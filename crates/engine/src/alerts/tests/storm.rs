//! A thousand streams behind one router die at once, through the whole engine: one message, every event stored, no look late.
//! And what people say while it runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::alert::{Held, Stage};
use model::observation::Observation;
use model::status::Status;
use model::target::Target;
use model::time::{Clock, UtcMs};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigFile, Overrides};
use crate::input::Now;
use crate::looker::{BoxFuture, Looker, Tell};
use crate::testing::{PausedClock, id, seen};
use crate::{Engine, Handle, Start};

/// Everything answers within 20 ms until the power is off; then nothing is there.
struct Power {
    off: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl Looker for Power {
    fn look(&self, target: Arc<Target>, cancel: CancellationToken) -> BoxFuture<Observation> {
        let letter = if self.off.load(Ordering::Acquire) { 'r' } else { 'p' };
        let clock = Arc::clone(&self.clock);
        Box::pin(async move {
            let at = clock.utc();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                () = cancel.cancelled() => {}
            }
            seen(&target, letter, Now { utc: at, mono: clock.mono() })
        })
    }

    fn hold(&self, target: Arc<Target>, cancel: CancellationToken, _: Tell) -> BoxFuture<Observation> {
        self.look(target, cancel)
    }
}

async fn start(folder: &Path, text: &str) -> (Engine, Handle, Arc<Power>) {
    let file = folder.join("streampulse.yaml");
    std::fs::write(&file, text).expect("writable");
    let clock: Arc<dyn Clock> = PausedClock::new();
    let store = crate::testing::store(folder, Arc::clone(&clock));
    let power = Arc::new(Power { off: AtomicBool::new(false), clock: Arc::clone(&clock) });
    let (env, overrides) = (Arc::new(|_: &str| None), Overrides::default());
    let start = Start {
        config_file: ConfigFile::new(&file),
        store,
        clock,
        env,
        overrides,
        sinks: Default::default(),
        supervision: None,
    };
    let (engine, handle, _) =
        Engine::start_with(start, Arc::clone(&power) as Arc<dyn Looker>).await.expect("it starts");
    (engine, handle, power)
}

/// A receiver that nobody listens at: what is handed over stays where it can be counted.
const CHANNELS: &str = "channels: [{name: ops, kind: ntfy, topic_secret: t, url: 'http://127.0.0.1:1'}]\n";
const STREAMS: usize = 1_000;

async fn messages(handle: &Handle) -> Vec<model::alert::Notification> {
    let letters = handle.outbox().messages(None, None, 1_000).await.expect("readable");
    letters.into_iter().rev().filter_map(|letter| letter.notification).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_behind_one_router_are_one_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text =
        format!("{CHANNELS}defaults: {{interval: 5s}}\ntargets:\n  - {{name: router, url: 'http://router.test/'}}\n");
    for i in 0..STREAMS {
        text.push_str(&format!("  - {{name: s{i}, url: 'http://s{i}.test/', parents: [router]}}\n"));
    }
    let (engine, handle, power) = start(folder.path(), &text).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    power.off.store(true, Ordering::Release);
    tokio::time::sleep(Duration::from_secs(60)).await;

    let told = messages(&handle).await;
    let titles: Vec<_> = told.iter().map(|n| (n.stage, n.title.as_str())).collect();
    assert_eq!(titles, [(Stage::Raised, "router is down")]);
    assert!(!told[0].explains.is_empty(), "{}", told[0].text);
    let board = handle.alerts().now();
    assert_eq!(board.alerts.len(), STREAMS + 1);
    let router = board.alerts.iter().find(|a| a.name == "router").expect("an alert");
    assert_eq!(router.explains.len(), STREAMS);
    let explained = Some(Held::Explained(id("router")));
    assert!(board.alerts.iter().all(|a| a.name == "router" || a.held == explained));

    power.off.store(false, Ordering::Release);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told = messages(&handle).await;
    let titles: Vec<_> = told.iter().skip(1).map(|n| (n.stage, n.title.as_str())).collect();
    assert_eq!(titles, [(Stage::Recovered, "router has recovered")]);
    assert_eq!(told[0].alert, told[1].alert);
    let punctuality = handle.punctuality().await.expect("it runs");
    assert_eq!(punctuality.missed, 0);
    assert!(punctuality.worst <= Duration::from_millis(5), "{punctuality:?}");

    engine.stop(Duration::from_secs(5)).await;
    let (store, all) = (handle.store(), (UtcMs(0), UtcMs(i64::MAX)));
    for name in (0..STREAMS).map(|i| format!("s{i}")).chain(["router".to_owned()]) {
        let changes = store.changes(&id(&name), all.0, all.1, 100).expect("readable");
        let to: Vec<_> = changes.iter().rev().map(|c| c.change.to).collect();
        assert_eq!(to, [Status::Up, Status::Down, Status::Up], "{name}");
    }
    assert_eq!(store.incidents(None, all.0, all.1, None, 10_000).expect("readable").len(), STREAMS + 1);
    assert_eq!(store.alert_history(None, all, None, 10_000).expect("readable").len(), STREAMS + 1);
}
