//! Services through the real binary, as programs and people meet them: the API, the command line, and the routes with which the
//! DSA-110 pipeline controls its converter. The converter is a small real one that works through a queue in SQLite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Instance, Place, binary, wait_for};

/// Every planted secret contains this.
const PLANTED: &str = "pl4nted";

/// The converter in a folder of its own, with a StreamPulse that runs it.
struct Rig {
    place: Place,
    instance: Instance,
}

/// Where Python is; `None`, said loudly, where there is none.
fn python(test: &str) -> Option<PathBuf> {
    let found =
        ["/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from).into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED {test}: there is no python3 (./test installs it)");
    }
    found
}

/// The file of services, with the shape of the shipped example.
fn services(python: &Path, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/converter/converter.py");
    format!(
        "services:
  streaming:
    name: Streaming converter
    description: Converts each group of files.
    autostart: false
    process:
      argv: [{python}, {script}]
      env: {{PYTHONUNBUFFERED: '1'}}
      secret_env: {{UPLOAD_TOKEN: {PLANTED}-token}}
      pid_file: state/streaming.pid
    stop: {{signal: TERM, grace: 10s}}
    restart: {{policy: always, first: 100ms, longest: 1s, limit: 50, limit_within: 60s}}
    ready: [{{log: 'begins with'}}]
    queue:
      every: 1s
      sqlite:
        file: {folder}/ingest.sqlite3
        counts: SELECT state, COUNT(*) FROM ingest_queue GROUP BY state
        rate_per_hour: SELECT COUNT(*) FROM ingest_queue WHERE state = 'completed'
    form:
      file: state/streaming_config.json
      keys:
        input_dir: {{type: path, must: read_folder, default: {folder}/in, required: true, to: {{option: --input-dir}}}}
        output_dir: {{type: path, must: write_folder, default: {folder}/out, required: true, to: {{option: --output-dir}}}}
        queue_db: {{type: path, must: file_in_folder, default: {folder}/ingest.sqlite3, to: {{option: --queue-db}}}}
        log_level: {{enum: [DEBUG, INFO, WARNING, ERROR], default: INFO, to: {{option: --log-level}}}}
        max_workers: {{type: integer, min: 1, max: 64, default: 4, to: {{option: --max-workers}}}}
        monitoring: {{type: bool, default: true, to: {{option: --monitoring}}}}
        api_key: {{type: secret, to: {{env: API_KEY}}}}
  off:
    enabled: false
    process: {{argv: [/bin/sleep, '1000']}}
",
        python = python.display(),
        script = script.display(),
        folder = folder.display(),
    )
}

impl Rig {
    fn new(python: &Path) -> Self {
        let place = Place::open("");
        let folder = place.folder.path();
        for name in ["in", "out"] {
            fs::create_dir(folder.join(name)).expect("made");
        }
        fs::write(folder.join("services.yaml"), services(python, folder)).expect("written");
        let instance = place.start();
        Self { place, instance }
    }

    fn now(&self) -> Value {
        self.instance.get("/api/v1/services/streaming").json()
    }

    /// Waits until the service is as `wanted` says.
    fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait_for(what, || {
            last = self.now();
            wanted(&last).then(|| last.clone())
        })
    }

    /// Posts to a route of streaming control.
    fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        let reply = self.instance.send("POST", &format!("/api/streaming/{what}"), body);
        (reply.status, reply.json())
    }

    fn get(&self, what: &str) -> Value {
        self.instance.get(&format!("/api/streaming/{what}")).json()
    }

    /// Runs `streampulse service` as somebody on this machine does.
    fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command.arg("service").args(args).stdin(Stdio::null());
        command.arg("--config").arg(self.place.config()).arg("--state").arg(self.place.state());
        command.arg("--listen").arg(self.instance.at.to_string());
        command
    }

    fn logs(&self) -> String {
        self.instance.get("/api/v1/services/streaming/logs/download").text()
    }

    /// Ends the service and StreamPulse.
    fn end(self) {
        self.instance.send("POST", "/api/v1/services/streaming/stop", &json!({}));
        self.wait("it is stopped", |s| s["pid"].is_null());
        assert!(self.instance.stop().success());
        assert!(!self.place.state().join("cli.key").exists(), "the key of the command line leaves with its instance");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(out: &Output) -> i32 {
    out.status.code().unwrap_or_else(|| panic!("killed: {}", text(&out.stderr)))
}

#[test]
fn streaming_control_drives_a_real_converter() {
    let Some(python) = python("streaming_control_drives_a_real_converter") else { return };
    let rig = Rig::new(&python);
    let idle = rig.get("status");
    assert_eq!(
        (&idle["running"], &idle["error"], &idle["config"]["max_workers"]),
        (&json!(false), &json!(null), &json!(4))
    );
    let (status, said) = rig.post("start", &json!({}));
    assert_eq!((status, &said["success"]), (200, &json!(true)), "{said}");
    let pid = said["pid"].as_u64().expect("a number");
    let running = rig.get("status");
    assert_eq!((&running["running"], &running["pid"]), (&json!(true), &json!(pid)));
    assert!(running["memory_mb"].is_number() && running["cpu_percent"].is_number(), "{running}");
    let written = fs::read_to_string(rig.place.state().join("streaming.pid")).expect("a pid file");
    assert_eq!(written.trim(), pid.to_string());
    assert_eq!(rig.post("start", &json!({})).0, 409);

    for n in 0..20 {
        fs::write(rig.place.folder.path().join(format!("in/2026-11-20T0{n:02}.hdf5")), "x").expect("written");
    }
    let metrics = wait_for("the queue is worked through", || {
        let metrics = rig.get("metrics");
        (metrics["queue_stats"]["completed"] == json!(20)).then_some(metrics)
    });
    assert_eq!(metrics["processing_rate_per_hour"], json!(20), "{metrics}");
    assert_eq!(rig.get("mosaic-queue")["completed_count"], json!(20));
    assert_eq!(fs::read_dir(rig.place.folder.path().join("out")).expect("readable").count(), 20);

    // A part of the values: it runs with it, and the rest stays.
    let (status, said) = rig.post("config", &json!({ "max_workers": 2 }));
    assert_eq!((status, &said["success"]), (200, &json!(true)), "{said}");
    assert_ne!(said["pid"], json!(pid), "it was restarted");
    assert!(rig.logs().contains("begins with workers=2 level=INFO"), "{}", rig.logs());
    let config = rig.get("config");
    assert_eq!((&config["max_workers"], &config["log_level"]), (&json!(2), &json!("INFO")));

    // Values that are wrong touch nothing.
    let before = rig.get("status")["pid"].clone();
    for (body, key) in [
        (json!({ "max_workers": 0 }), "max_workers"),
        (json!({ "input_dir": "/no/such/folder", "max_workers": 9 }), "input_dir"),
        (json!({ "log_level": "LOUD" }), "log_level"),
    ] {
        let (status, said) = rig.post("config", &body);
        assert_eq!((status, &said["detail"][0]["loc"]), (422, &json!(["body", key])), "{said}");
    }
    assert_eq!((&rig.get("status")["pid"], &rig.get("config")), (&before, &config));

    // Killed, it is back by itself, and everybody can see why.
    let pid = before.as_u64().expect("a number");
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().is_ok_and(|s| s.success()));
    let again = rig.wait("it runs again", |s| s["state"] == "running" && s["pid"] != json!(pid));
    assert_eq!((&again["restarts"], &again["last_end"]["signal"]), (&json!(1), &json!(9)), "{again}");
    let timeline = rig.instance.get("/api/v1/services/streaming/timeline").text();
    assert!(timeline.contains("signal 9"), "{timeline}");

    let (status, said) = rig.post("restart", &json!({}));
    assert_eq!((status, &said["success"]), (200, &json!(true)), "{said}");
    let (status, said) = rig.post("stop", &json!({}));
    assert_eq!((status, &said["message"]), (200, &json!("service stopped")), "{said}");
    assert_eq!(rig.post("stop", &json!({})).0, 409);
    assert!(rig.logs().contains("ends"), "it had its time to end");
    rig.end();
}

#[test]
fn values_with_which_it_does_not_come_up_are_taken_back_and_said() {
    let Some(python) = python("values_with_which_it_does_not_come_up_are_taken_back_and_said") else { return };
    let rig = Rig::new(&python);
    assert_eq!(rig.post("start", &json!({})).0, 200);
    let (status, said) = rig.post("config", &json!({ "log_level": "ERROR", "max_workers": 7 }));
    assert_eq!((status, &said["success"]), (503, &json!(false)), "{said}");
    rig.wait("it runs with the last good values", |s| s["state"] == "running");
    let config = wait_for("the last good values are back", || {
        let config = rig.get("config");
        (config["log_level"] == "INFO").then_some(config)
    });
    assert_eq!(config["max_workers"], json!(4));
    let form = rig.instance.get("/api/v1/services/streaming/form").json();
    assert!(form["note"].as_str().is_some_and(|note| !note.is_empty()), "{form}");
    assert!(rig.logs().contains("ImportError"), "{}", rig.logs());
    rig.end();
}

#[test]
fn the_command_line_does_what_the_page_does() {
    let Some(python) = python("the_command_line_does_what_the_page_does") else { return };
    let rig = Rig::new(&python);
    let out = rig.cli(&["list"]);
    assert!(text(&out.stdout).contains("streaming") && text(&out.stdout).contains("(disabled)"), "{out:?}");
    assert_eq!(code(&rig.cli(&["status", "streaming"])), 2, "it does not run");
    let out = rig.cli(&["start", "streaming"]);
    assert_eq!(code(&out), 0, "{}", text(&out.stderr));
    assert!(text(&out.stdout).starts_with("streaming: running, process "), "{}", text(&out.stdout));
    assert_eq!(code(&rig.cli(&["start", "streaming"])), 0, "twice is harmless");
    let out = rig.cli(&["status", "streaming"]);
    assert_eq!(code(&out), 0);
    assert!(text(&out.stdout).contains("State         running, wanted running"), "{}", text(&out.stdout));
    let one: Value = serde_json::from_slice(&rig.cli(&["status", "streaming", "--json"]).stdout).expect("JSON");
    assert_eq!((&one["state"], &one["kind"]), (&json!("running"), &json!("process")));

    let out = rig.cli(&["logs", "streaming", "--plain", "--search", "BEGINS"]);
    assert_eq!(text(&out.stdout), "begins with workers=4 level=INFO token=***\n");
    let mut follower =
        rig.command(&["logs", "-f", "streaming", "--plain"]).stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(follower.stdout.take().expect("piped")));
    assert_eq!(lines.next().expect("a line").expect("text"), "begins with workers=4 level=INFO token=***");
    let before = rig.now()["pid"].clone();
    let out = rig.cli(&["set", "streaming", "max_workers=9"]);
    assert_eq!(code(&out), 0, "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("max_workers  9"), "{}", text(&out.stdout));
    assert_ne!(rig.now()["pid"], before);
    assert!(lines.any(|line| line.expect("text").contains("workers=9")), "the follower sees the next run");
    follower.kill().expect("ours");
    follower.wait().expect("ours");

    let out = rig.cli(&["set", "streaming", "max_workers=900"]);
    assert_eq!(code(&out), 1);
    assert!(text(&out.stderr).contains("max_workers: "), "{}", text(&out.stderr));
    let out = rig.cli(&["set", "streaming", "--reset", "max_workers"]);
    assert!(code(&out) == 0 && text(&out.stdout).contains("max_workers  4"), "{}", text(&out.stdout));
    let out = rig.cli(&["restart", "streaming"]);
    assert_eq!(code(&out), 0, "{}", text(&out.stderr));
    let out = rig.cli(&["stop", "streaming"]);
    assert!(code(&out) == 0 && text(&out.stdout).contains("streaming: stopped"), "{}", text(&out.stdout));
    assert_eq!(code(&rig.cli(&["stop", "streaming", "--no-wait"])), 0);

    for (args, wanted, words) in [
        (&["start", "off"][..], 1, "disabled"),
        (&["start", "none"], 4, "no such service"),
        (&["start", "../etc"], 3, "no id"),
        (&["status", "none"], 4, "no such service"),
        (&["form", "off"], 4, "no form"),
        (&["set", "streaming", "max_workers"], 3, "KEY=VALUE"),
        (&["start"], 3, "ID"),
        (&["frobnicate"], 3, "frobnicate"),
    ] {
        let out = rig.cli(args);
        let said = text(&out.stderr);
        assert_eq!((code(&out), said.contains(words)), (wanted, true), "{args:?}: {said}");
    }
    // A start that does not last fails, with the reason and the last lines.
    assert_eq!(code(&rig.cli(&["set", "streaming", "log_level=ERROR"])), 0, "it does not run, so nothing is tried");
    let out = rig.cli(&["start", "streaming"]);
    let said = text(&out.stderr);
    assert_eq!(code(&out), 1, "{said}");
    assert!(said.contains("exit code 3") && said.contains("| ImportError"), "{said}");
    rig.end();
}

#[test]
fn with_login_the_key_of_the_state_folder_opens_and_nothing_else_does() {
    let Some(python) = python("with_login_the_key_of_the_state_folder_opens_and_nothing_else_does") else { return };
    let place = Place::with("server:\n  listen: 127.0.0.1:0\n");
    for name in ["in", "out"] {
        fs::create_dir(place.folder.path().join(name)).expect("made");
    }
    fs::write(place.folder.path().join("services.yaml"), services(&python, place.folder.path())).expect("written");
    let rig = Rig { instance: place.start(), place };
    let key = rig.place.state().join("cli.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).expect("a key").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(code(&rig.cli(&["list"])), 0);
    let out = rig.cli(&["start", "streaming"]);
    assert_eq!(code(&out), 0, "{}", text(&out.stderr));
    assert_eq!(code(&rig.cli(&["stop", "streaming"])), 0);

    // Elsewhere the key is not sent, and a wrong token is no way in.
    let url = format!("http://{}", rig.instance.at);
    let out = rig.cli(&["list", "--url", &url]);
    assert_eq!(code(&out), 1);
    assert!(text(&out.stderr).contains("STREAMPULSE_TOKEN"), "{}", text(&out.stderr));
    let out = rig.command(&["list"]).env("STREAMPULSE_TOKEN", "sp_0_wrong").output().expect("starts");
    assert_eq!(code(&out), 1);
    let state = rig.place.state().display().to_string();
    let made = crate::support::cli(&["token", "create", "ops", "--role", "operator", "--state", &state]);
    let token = text(&made.stdout).trim().to_owned();
    wait_for("the token is known", || {
        let out = rig.command(&["list", "--url", &url]).env("STREAMPULSE_TOKEN", &token).output().expect("starts");
        (code(&out) == 0).then_some(())
    });
    let out =
        rig.command(&["set", "streaming", "max_workers=3"]).env("STREAMPULSE_TOKEN", &token).output().expect("starts");
    assert_eq!(code(&out), 1, "an operator changes no values");
    assert!(text(&out.stderr).contains("administrator"), "{}", text(&out.stderr));
    assert!(rig.instance.stop().success());
    assert!(!key.exists());
}

#[test]
fn no_answer_shows_a_planted_secret() {
    let Some(python) = python("no_answer_shows_a_planted_secret") else { return };
    let rig = Rig::new(&python);
    let form = json!({ "api_key": format!("{PLANTED}-form") });
    assert_eq!(rig.instance.send("PATCH", "/api/v1/services/streaming/form", &form).status, 200);
    assert_eq!(rig.post("start", &json!({})).0, 200);
    rig.wait("it wrote something", |s| !s["last_output"].is_null());
    let mut answers = Vec::new();
    for path in ["status", "health", "config", "metrics", "mosaic-queue"] {
        answers.push(rig.get(path).to_string());
    }
    for path in ["", "/spec", "/form", "/timeline", "/samples", "/logs", "/logs/download"] {
        answers.push(rig.instance.get(&format!("/api/v1/services/streaming{path}")).text());
    }
    for path in ["/api/v1/services", "/api/v1/config", "/api/v1/audit", "/metrics"] {
        answers.push(rig.instance.get(path).text());
    }
    for args in [&["list", "--json"][..], &["status", "streaming"], &["form", "streaming"], &["logs", "streaming"]] {
        let out = rig.cli(args);
        answers.push(text(&out.stdout) + &text(&out.stderr));
    }
    answers.push(rig.instance.log());
    for answer in &answers {
        assert!(!answer.contains(PLANTED), "{answer}");
    }
    assert!(answers.iter().any(|answer| answer.contains("token=***")), "the output is there, masked");
    let kept = fs::read_to_string(rig.place.state().join("services/streaming/output.log")).expect("output");
    assert!(!kept.contains(PLANTED), "{kept}");
    rig.end();
}
