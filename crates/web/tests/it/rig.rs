//! A server to talk to, and somebody who talks. Owns the folder; ends everything when dropped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::config::{Config, ConfigFile, Overrides};
use engine::handle::Handle;
use engine::looker::{BoxFuture, Looker, Tell};
use engine::units::Units;
use engine::{Engine, Start};
use model::fault::{Fault, FaultKind};
use model::observation::{Look, Observation, Second};
use model::phase::Phase;
use model::reading::{Media, Reading, Track, fact};
use model::target::Target;
use model::time::{Clock, UtcMs};
use net::clock::SystemClock;
use net::task::Tasks;
use serde_json::Value;
use store::{Settings, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses for a server under test.
pub(crate) const SERVER: &str = "server:\n  listen: [\"127.0.0.1:0\"]\n  status_listen: \"127.0.0.1:0\"\n";

/// Three targets: one that works, one that does not, one whose name is trouble.
pub(crate) const TARGETS: &str = "targets:
  - name: Good
    id: good
    url: http://u:hunter2good@127.0.0.1:9/a?token=hunter2token
    interval: 1h
  - name: Bad
    id: bad
    url: http://127.0.0.1:9/b
    interval: 1h
  - name: '=cmd|<b>\"x\", y'
    id: odd
    url: http://127.0.0.1:9/c
    interval: 1h
";

/// Looks without a network: the path `/b` fails, everything else works. Sessions tell ten seconds in each of the clock.
struct Script(SystemClock);

impl Script {
    fn seen(&self, target: &Target) -> Observation {
        let mut reading = Reading::default();
        reading.int(fact::STATUS_CODE, 200);
        reading.tracks.push(Track::new(Media::Video, "h264"));
        let bad = target.address.path_and_query().starts_with("/b");
        let fault = bad.then(|| Fault::new(FaultKind::Refused, Phase::Connect, "connection to 127.0.0.1:9 refused"));
        let look = Look { reading, fault, ..Look::default() };
        let (at, took) = (self.0.utc(), Duration::from_millis(12));
        Observation { target: target.id.clone(), at, took, attempts: 1, look }
    }
}

impl Looker for Script {
    fn look(&self, target: Arc<Target>, _: CancellationToken) -> BoxFuture<Observation> {
        let seen = self.seen(&target);
        Box::pin(async move { seen })
    }

    fn hold(&self, target: Arc<Target>, cancel: CancellationToken, tell: Tell) -> BoxFuture<Observation> {
        let this = Self(self.0);
        Box::pin(async move {
            let mut every = tokio::time::interval(Duration::from_millis(100));
            for second in 0.. {
                let seen = this.seen(&target);
                tokio::select! {
                    _ = every.tick() => {}
                    () = cancel.cancelled() => break,
                }
                if seen.look.fault.is_some() {
                    return seen;
                }
                tell(seen, Second { bits: 1000 * second, frames: 25, lost: Some(0), ..Second::default() });
            }
            let mut seen = this.seen(&target);
            seen.look.fault = Some(Fault::new(FaultKind::Internal, Phase::Media, "cancelled"));
            seen
        })
    }
}

/// A running server.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) handle: Handle,
    pub(crate) listening: web::Listening,
    tasks: Tasks,
    engine: Option<Engine>,
    store: Store,
}

impl Rig {
    /// A server with the usual targets and scripted looks.
    pub(crate) async fn new() -> Self {
        Self::with(&format!("{SERVER}{TARGETS}"), true).await
    }

    /// A server with this configuration; `scripted` looks need no network.
    pub(crate) async fn with(text: &str, scripted: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("streampulse.yaml"), text).expect("written");
        Self::in_folder(folder, scripted).await
    }

    /// A server with the usual targets, and with units that the test runs.
    pub(crate) async fn with_units(units: Units) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("streampulse.yaml"), format!("{SERVER}{TARGETS}")).expect("written");
        Self::begin(folder, true, Some(units)).await
    }

    /// A server on what a folder holds.
    pub(crate) async fn in_folder(folder: tempfile::TempDir, scripted: bool) -> Self {
        Self::begin(folder, scripted, None).await
    }

    async fn begin(folder: tempfile::TempDir, scripted: bool, units: Option<Units>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let settings = Settings::new(folder.path().join("history.db"));
        let (store, _) = Store::open(settings, Arc::clone(&clock)).expect("the history opens");
        let start = Start {
            config_file: ConfigFile::new(folder.path().join("streampulse.yaml")),
            store: store.clone(),
            clock: Arc::clone(&clock),
            env: Arc::new(|_| None),
            overrides: Overrides::default(),
            sinks: Default::default(),
            supervision: None,
        };
        let started = if scripted {
            Engine::start_with(start, Arc::new(Script(SystemClock::new()))).await
        } else {
            Engine::start(start).await
        };
        let (engine, handle, config): (Engine, Handle, Config) = started.expect("the engine starts");
        let handle = match units {
            Some(units) => handle.with_units(units),
            None => handle,
        };
        let tasks = Tasks::new();
        let listening = web::serve(handle.clone(), &config, &tasks, web::Options::default()).await.expect("serves");
        Self { folder, handle, listening, tasks, engine: Some(engine), store }
    }

    /// Ends the server and hands its folder out, for another one on the same history.
    pub(crate) async fn stop(mut self) -> tempfile::TempDir {
        self.tasks.stop(Duration::from_secs(5)).await;
        if let Some(engine) = self.engine.take() {
            engine.stop(Duration::from_secs(5)).await;
        }
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.close(Duration::from_secs(5))).await.expect("closes");
        self.folder
    }

    /// Ends the engine and leaves the server: what a mistake in the loop would look like.
    pub(crate) async fn stop_engine(&mut self) {
        self.engine.take().expect("it runs").stop(Duration::from_secs(5)).await;
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("streampulse.yaml")
    }

    pub(crate) fn config_text(&self) -> String {
        std::fs::read_to_string(self.config_path()).expect("readable")
    }

    /// Somebody who has shown nothing yet.
    pub(crate) fn stranger(&self) -> Client {
        Client { addr: self.listening.addrs[0], cookie: None, csrf: None, bearer: None, host: None }
    }

    /// Somebody at the status listener.
    pub(crate) fn at_status(&self) -> Client {
        Client { addr: self.listening.status.expect("configured"), ..self.stranger() }
    }

    /// The first administrator, made with the set-up token.
    pub(crate) async fn admin(&self) -> Client {
        let mut client = self.stranger();
        let token = self.listening.setup_token().expect("no user yet");
        let body = serde_json::json!({ "token": token, "user": "root", "password": PASSWORD });
        let reply = client.send("POST", "/api/v1/setup", Some(body)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        client.keep(&reply);
        client
    }

    /// A program with a token of this role, made by `admin`.
    pub(crate) async fn program(&self, admin: &Client, role: &str, read_only: bool) -> Client {
        let body = serde_json::json!({ "name": format!("test {role}"), "role": role, "read_only": read_only });
        let reply = admin.send("POST", "/api/v1/tokens", Some(body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let token = reply.json()["token"].as_str().expect("text").to_owned();
        Client { bearer: Some(token), ..self.stranger() }
    }

    /// Waits until every target was looked at.
    pub(crate) async fn looked(&self) {
        let done = self.handle.board().wait_for(|b| b.targets.iter().all(|t| t.last.is_some())).await.map(|_| ());
        tokio::time::timeout(PATIENCE, async { done.expect("the engine runs") }).await.expect("in time");
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.flush(PATIENCE)).await.expect("flushes");
    }

    pub(crate) fn now(&self) -> UtcMs {
        self.handle.clock().utc()
    }
}

/// A password that is accepted.
pub(crate) const PASSWORD: &str = "a long enough password";

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) addr: SocketAddr,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
    pub(crate) bearer: Option<String>,
    pub(crate) host: Option<String>,
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    /// Sends what a well-behaved client sends.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let mut headers = Vec::new();
        if let Some(csrf) = self.csrf.as_ref().filter(|_| method != "GET") {
            headers.push(("X-CSRF-Token", csrf.clone()));
        }
        self.send_with(method, path, &headers, body).await
    }

    /// Sends exactly these headers beside the ones that show who it is.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<Value>,
    ) -> Reply {
        let mut all = headers.to_vec();
        let text = body.map(|b| b.to_string());
        if text.is_some() {
            all.push(("Content-Type", "application/json".to_owned()));
        }
        let mut stream = self.open(method, path, &all, text.as_deref().unwrap_or("")).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("an answer in time").expect("an answer");
        Reply::parse(&bytes)
    }

    /// Opens a connection and sends a request; the answer is left to read.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.expect("connects");
        let host = self.host.clone().unwrap_or_else(|| self.addr.to_string());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: {cookie}\r\n"));
        }
        if let Some(token) = &self.bearer {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(body);
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    }

    /// Keeps the session and CSRF token of an answer, as a browser and the page do.
    pub(crate) fn keep(&mut self, reply: &Reply) {
        let cookie = reply.header("set-cookie").expect("a session");
        self.cookie = cookie.split(';').next().map(str::to_owned);
        self.csrf = reply.json()["csrf"].as_str().map(str::to_owned);
    }

    /// Signs in.
    pub(crate) async fn sign_in(&mut self, user: &str, password: &str) -> Reply {
        let body = serde_json::json!({ "user": user, "password": password });
        let reply = self.send("POST", "/api/v1/session", Some(body)).await;
        if reply.status == 200 {
            self.keep(&reply);
        }
        reply
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status");
        let pair = |l: &str| l.split_once(": ").map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned()));
        let headers: Vec<_> = lines.filter_map(pair).collect();
        let mut reply = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunk(&reply.body);
        }
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The stable word of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().expect("an error").to_owned()
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).ok().and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
        let Some(size) = size.filter(|s| *s > 0 && line + 2 + *s <= rest.len()) else { break };
        out.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[(line + 4 + size).min(rest.len())..];
    }
    out
}
