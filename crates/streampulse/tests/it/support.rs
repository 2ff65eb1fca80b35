//! Runs the real binary in a folder of its own and talks to it as a user would.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Answer};

/// Longest wait for any state. Generous: the machine may be busy; a state that is reached ends the wait at once.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// The binary under test.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streampulse"));
    for name in [
        "STREAMPULSE_CONFIG",
        "STREAMPULSE_STATE",
        "STREAMPULSE_LISTEN",
        "STREAMPULSE_STATUS_LISTEN",
        "STREAMPULSE_TOKEN",
        "STREAMPULSE_TOKEN_FILE",
        "STREAMPULSE_URL",
        "STREAMPULSE_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the binary to its end.
pub(crate) fn cli(args: &[&str]) -> Output {
    binary().args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

/// The state folder of the testbed, when its servers run. Says loudly when a test is skipped for lack of them.
pub(crate) fn testbed(test: &str) -> Option<PathBuf> {
    let on = std::env::var_os("STREAMPULSE_TESTBED").is_some_and(|v| v != "0");
    let folder = std::env::var_os("TESTBED_DIR").map(PathBuf::from);
    match (on, folder) {
        (true, Some(folder)) => Some(folder),
        _ => {
            eprintln!("SKIPPED {test}: the testbed does not run (./test starts it)");
            None
        }
    }
}

/// Waits until `state` answers something, polling; panics with `what` when it never does.
pub(crate) fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    let pause = Arc::new((Mutex::new(()), std::sync::Condvar::new()));
    loop {
        if let Some(found) = state() {
            return found;
        }
        assert!(Instant::now() < end, "never came true: {what}");
        // A poll interval, not a guess at how long something takes.
        let guard = pause.0.lock().expect("nobody panics while holding it");
        drop(pause.1.wait_timeout(guard, Duration::from_millis(25)));
    }
}

/// A running instance.
pub(crate) struct Instance {
    pub(crate) child: Child,
    pub(crate) at: SocketAddr,
    pub(crate) status_at: Option<SocketAddr>,
    pub(crate) setup_token: Option<String>,
    log: Arc<Mutex<String>>,
    folder: PathBuf,
}

/// A folder with a configuration, removed at the end.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// A folder whose configuration has `login: false`, listens on a free port and goes on with `rest`.
    pub(crate) fn open(rest: &str) -> Self {
        Self::with(&format!("server:\n  listen: 127.0.0.1:0\n  login: false\n{rest}"))
    }

    pub(crate) fn with(text: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::write(place.config(), text).expect("written");
        place
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("streampulse.yaml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state().join("streams.db")
    }

    pub(crate) fn start(&self) -> Instance {
        self.start_with(&[], &[])
    }

    pub(crate) fn start_with(&self, args: &[&str], env: &[(&str, &str)]) -> Instance {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        Instance::spawn(command, self.folder.path())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command.arg("run").arg("--config").arg(self.config()).arg("--state").arg(self.state()).args(args);
        command
    }
}

impl Instance {
    /// Starts a process that serves and waits until it says where.
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let log = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("nobody panics while holding it");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let text = || log.lock().expect("nobody panics while holding it").clone();
        let at = wait_for("the instance says where it listens", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("it ended with {status}: {}", text());
            }
            address_after(&text(), "dashboard and API on ")
        });
        let status_at =
            text().contains("read-only status on").then(|| address_after(&text(), "read-only status on ")).flatten();
        let setup_token =
            text().split("set-up token there: ").nth(1).and_then(|t| t.split_whitespace().next()).map(str::to_owned);
        Self { child, at, status_at, setup_token, log, folder: folder.to_owned() }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics while holding it").clone()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        http::request(self.at, "GET", path, &[], None)
    }

    /// A changing request as the page sends it while login is off.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let csrf = self.get("/api/v1/session").json()["csrf"].as_str().unwrap_or_default().to_owned();
        http::request(self.at, method, path, &[("X-CSRF-Token", &csrf)], Some(&body.to_string()))
    }

    /// The target of a name, as the API shows it.
    pub(crate) fn target(&self, name: &str) -> Option<Value> {
        let all = self.get("/api/v1/targets").json();
        all["targets"].as_array().expect("a list").iter().find(|t| t["name"] == name).cloned()
    }

    /// Waits until the target has this status.
    pub(crate) fn wait_status(&self, name: &str, status: &str) -> Value {
        let mut last = Value::Null;
        wait_for(&format!("{name} is {status}"), || {
            last = self.target(name).unwrap_or(Value::Null);
            (last["status"] == status).then(|| last.clone())
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.is_ok_and(|s| s.success()), "kill -{name}");
    }

    /// Ends it as systemd would and waits for the exit.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the process ends", || self.child.try_wait().expect("our child"))
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the instance in {}\n{}", self.folder.display(), self.log());
        }
    }
}

fn address_after(log: &str, words: &str) -> Option<SocketAddr> {
    let rest = log.split(words).nth(1)?;
    let url = rest.split_whitespace().next()?;
    url.split("://").nth(1)?.parse().ok()
}
