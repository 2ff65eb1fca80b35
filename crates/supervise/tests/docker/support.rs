//! What these tests share: the engine, units, and cleaning up.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use model::unit::spec::{Container, Create, LogRules, Program, Stop};
use model::unit::{Exit, UnitId};
use net::clock::SystemClock;
use net::http::Method;
use net::task::Tasks;
use net::unix::{Request, send};
use serde_json::Value;
use supervise::backend::{Backend, Ended, Found, Instance, Launch, Refusal};
use supervise::docker::{Docker, Places};

pub(crate) const IMAGE: &str = "testbed/busybox:1";
/// Longest wait for something that must happen soon; a container starts in a fraction of a second on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The socket of the testbed's engine; says loudly when there is none.
pub(crate) fn socket() -> Option<PathBuf> {
    let folder = std::env::var_os("STREAMPULSE_TESTBED").and_then(|_| std::env::var_os("TESTBED_DIR"));
    let socket = folder.map(|folder| PathBuf::from(folder).join("docker/docker.sock"))?;
    // One that was left behind is not an engine.
    std::os::unix::net::UnixStream::connect(&socket).ok().map(|_| socket)
}

/// A rig at the testbed's engine.
pub(crate) fn rig() -> Option<Rig> {
    let Some(socket) = socket() else {
        eprintln!("SKIPPED: no container engine in the testbed (testbed/testbed.sh up docker; needs root)");
        return None;
    };
    Some(Rig::at(&socket))
}

/// A folder, an engine, and a name that no other test has. Removes its containers.
pub(crate) struct Rig {
    pub(crate) socket: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) name: String,
}

impl Rig {
    pub(crate) fn at(socket: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { socket: socket.to_owned(), folder: tempfile::tempdir().expect("a folder"), name }
    }

    /// A StreamPulse that begins now; several of a rig are one that was restarted.
    pub(crate) fn docker(&self) -> Docker {
        let places =
            Places { host: None, sockets: vec![self.socket.clone()], command: None, inside: false, compose: None };
        self.docker_at(places)
    }

    pub(crate) fn docker_at(&self, places: Places) -> Docker {
        Docker::new(self.folder.path().to_owned(), places, Arc::new(SystemClock::new()), Tasks::new())
    }

    /// A unit that runs `argv` in a new container.
    pub(crate) fn unit(&self, argv: &[&str]) -> Launch {
        let create = Create {
            image: IMAGE.to_owned(),
            pull: false,
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            secret_env: Vec::new(),
            mounts: Vec::new(),
            ports: Vec::new(),
            user: None,
            cwd: None,
            network: Some("none".to_owned()),
            memory: None,
            millicpus: None,
            pids: None,
        };
        self.launch(Some(create))
    }

    /// A unit of the rig's name; without `create` it controls a container that is there.
    pub(crate) fn launch(&self, create: Option<Create>) -> Launch {
        Launch {
            id: UnitId::parse(&self.name).expect("a good id"),
            program: Program::Container(Container { name: self.name.clone(), socket: None, create }),
            stop: Stop { signal: "TERM", grace: Duration::from_secs(10) },
            logs: LogRules { file_bytes: 1 << 20, files: 3 },
            masks: Vec::new(),
        }
    }

    /// Asks the engine directly.
    pub(crate) async fn ask(&self, method: Method, path: &str, json: Option<Value>) -> (u16, Value) {
        let mut request = Request::new(method, path);
        request.json = json.map(|json| Bytes::from(json.to_string()));
        let mut reply = send(&self.socket, &request, SOON).await.expect("the engine answers");
        let body = reply.body.collect(1 << 20).await.expect("a whole answer");
        (reply.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn inspect(&self) -> Value {
        self.ask(Method::GET, &format!("/containers/{}/json", self.name), None).await.1
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let url = format!("http://localhost/containers/{}?force=1&v=1", self.name);
        let socket = self.socket.to_string_lossy().into_owned();
        let _ = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-X", "DELETE", "--unix-socket", &socket, &url])
            .status();
    }
}

/// What runs in the container of a launch.
pub(crate) fn create(launch: &mut Launch) -> &mut Create {
    match &mut launch.program {
        Program::Container(Container { create: Some(create), .. }) => create,
        _ => panic!("a unit that makes its container"),
    }
}

pub(crate) async fn start(docker: &Docker, launch: &Launch) -> Box<dyn Instance> {
    docker.start(launch).await.unwrap_or_else(|refusal| panic!("{refusal}"))
}

pub(crate) async fn refused(docker: &Docker, launch: &Launch) -> Refusal {
    match docker.start(launch).await {
        Ok(_) => panic!("it starts"),
        Err(refusal) => refusal,
    }
}

pub(crate) async fn ended(instance: &dyn Instance) -> Ended {
    tokio::time::timeout(SOON, instance.ended()).await.expect("it ends")
}

/// What adopting finds, in a word and with its end.
pub(crate) async fn found(docker: &Docker, launch: &Launch) -> (&'static str, Option<Exit>) {
    match docker.adopt(launch).await.unwrap_or_else(|refusal| panic!("{refusal}")) {
        Found::Nothing => ("nothing", None),
        Found::Running(_) => ("running", None),
        Found::Ended(ended) => ("ended", Some(ended.exit)),
    }
}

/// Waits until `state` holds, asking again and again.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + SOON;
    while !state().await {
        assert!(tokio::time::Instant::now() < end, "never came true: {what}");
        tokio::task::yield_now().await;
    }
}
