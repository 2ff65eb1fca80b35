//! What the tests of MQTT share: Boards made by hand, a broker of one's own, and Mosquitto's own subscriber as the witness.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::address::Address;
use model::board::{Board, Health, TargetNow};
use model::event::Event;
use model::expect::Expectations;
use model::observation::{Look, Observation};
use model::reading::{Depth, Media, Track, fact};
use model::status::{Status, StatusRules, StatusState};
use model::target::{Options, Target, TargetId, Watch};
use model::time::UtcMs;
use net::clock::SystemClock;
use net::task::Tasks;
use sink::mqtt::{Feed, Handle, Settings};
use sink::registry::{Registry, SinkNow};
use testkit::wait::wait_for;
use tokio::sync::{broadcast, watch};

/// Longest wait for anything; a healthy run takes a fraction.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Whether Mosquitto is there. Says so when it is not.
#[allow(clippy::print_stderr, reason = "a skipped test is told of loudly")]
pub(crate) fn has_testbed() -> bool {
    let there = std::env::var_os("STREAMPULSE_TESTBED").is_some_and(|v| v != "0");
    if !there {
        eprintln!("SKIPPED: no testbed (set STREAMPULSE_TESTBED=1 and TESTBED_DIR; see testbed/README.md)");
    }
    there
}

/// A file of the testbed's certificates.
pub(crate) fn certificate(name: &str) -> std::path::PathBuf {
    let folder = std::env::var_os("TESTBED_DIR").expect("TESTBED_DIR goes with STREAMPULSE_TESTBED");
    std::path::Path::new(&folder).join("ca").join(name)
}

/// A stream of a Board.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: &'static str,
    pub(crate) status: Status,
    pub(crate) reason: &'static str,
    pub(crate) took_ms: u64,
    pub(crate) revision: u64,
}

pub(crate) fn stream(id: &'static str) -> Stream {
    Stream { id, status: Status::Up, reason: "", took_ms: 42, revision: 1 }
}

/// A Board of these streams.
pub(crate) fn board(streams: &[Stream]) -> Arc<Board> {
    let targets: Vec<Arc<TargetNow>> = streams.iter().map(|s| Arc::new(target(s))).collect();
    let index: BTreeMap<TargetId, usize> =
        targets.iter().enumerate().map(|(i, now)| (now.spec.id.clone(), i)).collect();
    Arc::new(Board {
        at: UtcMs(1_700_000_000_000),
        started_at: UtcMs(1_700_000_000_000),
        version: 1,
        targets: targets.into(),
        index: Arc::new(index),
        health: Health::default(),
        config_hash: String::new(),
        timezone: "UTC".to_owned(),
        tally: Default::default(),
    })
}

fn target(s: &Stream) -> TargetNow {
    let id = TargetId::parse(s.id).expect("a good id");
    let spec = Target {
        id: id.clone(),
        name: s.id.to_uppercase(),
        kind: "rtsp",
        address: Address::parse(&format!("rtsp://viewer:planted-pw@{}.invalid/1", s.id)).expect("a good address"),
        group: None,
        tags: Vec::new(),
        enabled: true,
        watch: Watch::Periodic,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(8),
        retries: 0,
        depth: Depth::Media,
        rules: StatusRules::default(),
        expect: Expectations::default(),
        options: Options::default(),
        parents: Vec::new(),
    };
    let mut look = Look::default();
    let video = Track {
        width: Some(1280),
        height: Some(720),
        fps: Some(25.0),
        proven: true,
        ..Track::new(Media::Video, "h264")
    };
    look.reading.tracks.push(video);
    look.reading.int(fact::MEASURED_BITRATE_BPS, 2_345_678);
    let last = Observation {
        target: id,
        at: UtcMs(1_700_000_000_000),
        took: Duration::from_millis(s.took_ms),
        attempts: 1,
        look,
    };
    let since = UtcMs(1_700_000_000_000);
    let state = StatusState { status: s.status, since, reason: s.reason.to_owned(), ..StatusState::unknown(since) };
    TargetNow {
        spec: Arc::new(spec),
        state,
        paused: false,
        last: Some(Arc::new(last)),
        verdict: None,
        beats: Vec::new().into(),
        incident: None,
        next_due: None,
        session: None,
        revision: s.revision,
        counts: Default::default(),
    }
}

/// The client under test with all that feeds it.
pub(crate) struct Rig {
    pub(crate) settings: watch::Sender<Option<Arc<Settings>>>,
    pub(crate) board: watch::Sender<Arc<Board>>,
    pub(crate) events: broadcast::Sender<Arc<Event>>,
    pub(crate) registry: Registry,
    pub(crate) handle: Handle,
    pub(crate) tasks: Tasks,
}

impl Rig {
    pub(crate) fn start(settings: Settings, streams: &[Stream]) -> Self {
        let (settings, settings_rx) = watch::channel(Some(Arc::new(settings)));
        let (board, board_rx) = watch::channel(board(streams));
        let (events, events_rx) = broadcast::channel(64);
        let (registry, tasks) = (Registry::default(), Tasks::new());
        let feed = Feed {
            settings: settings_rx,
            board: board_rx,
            events: events_rx,
            status: Arc::new(|board| format!("{{\"streams\":{}}}", board.targets.len()).into_bytes()),
            clock: Arc::new(SystemClock::new()),
            registry: registry.clone(),
        };
        let handle = sink::mqtt::start(feed, &tasks);
        Self { settings, board, events, registry, handle, tasks }
    }

    pub(crate) fn now(&self) -> SinkNow {
        self.registry.all().remove("mqtt").unwrap_or_default()
    }

    pub(crate) async fn connected(&self) {
        assert!(wait_for(LONG, || self.now().ok == Some(true)).await, "not connected: {:?}", self.now());
    }

    /// Waits until the registry says that it does not work, and answers why.
    pub(crate) async fn fails(&self) -> String {
        assert!(wait_for(LONG, || self.now().ok == Some(false)).await, "it works: {:?}", self.now());
        self.now().error.unwrap_or_default()
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A Mosquitto of one's own, that may be stopped and killed. Keeps nothing over a restart.
pub(crate) struct Broker {
    pub(crate) port: u16,
    config: tempfile::NamedTempFile,
    child: Child,
}

impl Broker {
    pub(crate) async fn start(more: &str) -> Self {
        let port = free_port();
        let mut config = tempfile::NamedTempFile::new().expect("a file");
        writeln!(config, "user root\npersistence false\nlistener {port} 127.0.0.1\nallow_anonymous true\n{more}")
            .expect("written");
        let child = spawn(&config);
        let mut broker = Self { port, config, child };
        broker.ready().await;
        broker
    }

    async fn ready(&mut self) {
        let port = self.port;
        let open = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(wait_for(LONG, open).await, "mosquitto does not listen");
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.expect("kill is there").success());
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.config);
        self.ready().await;
    }
}

fn spawn(config: &tempfile::NamedTempFile) -> Child {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut command = Command::new("mosquitto");
    command.env("PATH", path).arg("-c").arg(config.path()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("mosquitto is installed")
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Killing works on stopped ones too.
        self.kill();
    }
}

/// One message as a subscriber saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) retained: bool,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// `mosquitto_sub` on all topics.
pub(crate) struct Witness {
    child: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Witness {
    pub(crate) async fn on(port: u16, topic: &str) -> Self {
        Self::with(&["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic]).await
    }

    pub(crate) async fn with(args: &[&str]) -> Self {
        // Into a pipe it would keep its lines until there are many.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub"])
            .args(args)
            .args(["-d", "-F", "M|%r|%t|%p"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub is installed");
        let (seen, subscribed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
        let (into, flag) = (Arc::clone(&seen), Arc::clone(&subscribed));
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let parts: Vec<&str> = line.splitn(4, '|').collect();
                if let ["M", retained, topic, payload] = parts[..] {
                    let one = Seen { retained: retained == "1", topic: topic.to_owned(), payload: payload.to_owned() };
                    into.lock().expect("nobody panics with it").push(one);
                } else if line.contains("Subscribed") || line.contains("SUBACK") {
                    *flag.lock().expect("nobody panics with it") = true;
                }
            }
        });
        let done = || *subscribed.lock().expect("nobody panics with it");
        assert!(wait_for(LONG, done).await, "mosquitto_sub did not subscribe");
        Self { child, seen }
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn newest(&self, topic: &str) -> Option<Seen> {
        self.all().into_iter().rev().find(|s| s.topic == topic)
    }

    /// Waits for a message.
    pub(crate) async fn wait(&self, what: &str, mut fits: impl FnMut(&Seen) -> bool) -> Seen {
        let mut found = None;
        let done = wait_for(LONG, || {
            found = self.all().into_iter().find(|s| fits(s));
            found.is_some()
        });
        assert!(done.await, "{what} did not come; there were {:?}", self.all());
        found.expect("it was found")
    }

    pub(crate) async fn wait_for(&self, topic: &str, payload: &str) -> Seen {
        self.wait(&format!("{topic} {payload}"), |s| s.topic == topic && s.payload.contains(payload)).await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
