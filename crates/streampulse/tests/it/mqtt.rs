//! MQTT by the real binary and a Mosquitto of the test's own: what is published, what an edit of the file changes and what it
//! leaves alone, and that a password is seen nowhere.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{Instance, Place, testbed, wait_for};

const PASSWORD: &str = "pl4nted-mqtt-secret";
const WRONG: &str = "pl4nted-wrong-secret";

/// A broker that takes `viewer` with the password and nobody else.
struct Broker {
    child: Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let (users, config) = (folder.path().join("users"), folder.path().join("conf"));
        let made = Command::new("mosquitto_passwd")
            .env("PATH", &path)
            .args(["-c", "-b"])
            .arg(&users)
            .args(["viewer", PASSWORD])
            .status();
        assert!(made.is_ok_and(|s| s.success()), "mosquitto_passwd (Debian: mosquitto)");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let text = format!(
            "user root\npersistence false\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\n",
            users.display()
        );
        fs::write(&config, text).expect("written");
        let mut command = Command::new("mosquitto");
        command.env("PATH", path).arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("mosquitto starts (Debian: mosquitto)");
        wait_for("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, _folder: folder, port }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Mosquitto's own subscriber, on all topics.
struct Subscriber {
    child: Child,
    seen: Seen,
}

impl Subscriber {
    fn on(broker: &Broker) -> Self {
        let mut child = Command::new("stdbuf")
            .args(["-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", &broker.port.to_string()])
            .args(["-u", "viewer", "-P", PASSWORD, "-t", "#", "-F", "%t|%p"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub starts (Debian: mosquitto-clients)");
        let seen = Seen::default();
        let into = Arc::clone(&seen);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((topic, payload)) = line.split_once('|') {
                    into.lock().expect("nobody panics while holding it").push((topic.to_owned(), payload.to_owned()));
                }
            }
        });
        Self { child, seen }
    }

    /// The newest message on a topic.
    fn newest(&self, topic: &str) -> Option<String> {
        let seen = self.seen.lock().expect("nobody panics while holding it");
        seen.iter().rev().find(|(t, _)| t == topic).map(|(_, payload)| payload.clone())
    }

    fn wait(&self, topic: &str, word: &str) -> String {
        wait_for(&format!("{word} on {topic}"), || self.newest(topic).filter(|payload| payload.contains(word)))
    }

    fn everything(&self) -> String {
        format!("{:?}", self.seen.lock().expect("nobody panics while holding it"))
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn section(broker: &Broker) -> String {
    format!(
        "mqtt:\n  enabled: true\n  host: 127.0.0.1\n  port: {}\n  username: viewer\n  password: {PASSWORD} # of the broker\n  topic: cams/status\n  interval_seconds: 5\n  qos: 1\n  discovery: true\n",
        broker.port
    )
}

fn targets(site: &Site) -> String {
    format!(
        "targets:\n  - name: Gate\n    url: http://viewer:{PASSWORD}@{at}/a\n    interval: 1h\n  - name: Yard\n    url: http://{at}/b\n    interval: 1h\n",
        at = site.at
    )
}

fn sink(run: &Instance) -> Value {
    let all = run.get("/api/v1/sinks").json();
    all["sinks"].as_array().expect("a list").iter().find(|s| s["name"] == "mqtt").cloned().unwrap_or_default()
}

#[test]
fn mqtt_says_what_the_api_says_and_follows_the_file() {
    if testbed("mqtt_says_what_the_api_says_and_follows_the_file").is_none() {
        return;
    }
    let (site, one, other) = (Site::start(), Broker::start(), Broker::start());
    let (at_one, at_other) = (Subscriber::on(&one), Subscriber::on(&other));
    let place = Place::open(&format!("{}{}", section(&one), targets(&site)));
    let run = place.start_with(&[], &[("STREAMPULSE_LOG", "trace")]);
    run.wait_status("Gate", "up");
    run.wait_status("Yard", "up");
    wait_for("the status as a whole is that of the API", || {
        let published: Value = serde_json::from_str(&at_one.newest("cams/status")?).ok()?;
        (published == run.get("/api/status").json()).then_some(())
    });
    at_one.wait("streampulse/stream/gate", "\"up\"");
    at_one.wait("streampulse/events", "status_changed");
    at_one.wait("homeassistant/binary_sensor/streampulse_gate/connectivity/config", "streampulse/stream/gate");
    let sink_now = sink(&run);
    assert_eq!((&sink_now["ok"], &sink_now["failed"]), (&json!(true), &json!(0)), "{sink_now}");

    // The form: masked, tried, saved; another broker takes effect and nothing else is touched.
    let shown = run.get("/api/v1/sections/mqtt").json();
    assert_eq!((&shown["values"]["password"], &shown["values"]["username"]), (&json!("***"), &json!("viewer")));
    let mut values = shown["values"].clone();
    let test =
        |values: &Value| run.send("POST", "/api/v1/sinks/test", &json!({ "section": "mqtt", "values": values })).json();
    let tried = test(&values);
    assert!(tried["ok"] == true && tried["words"].as_str().is_some_and(|w| w.contains("streampulse/test")), "{tried}");
    at_one.wait("streampulse/test", "can publish");
    let mut wrong = values.clone();
    (wrong["password"], wrong["enabled"]) = (json!(WRONG), json!(false));
    let tried = test(&wrong);
    assert!(
        tried["ok"] == false && tried["words"].as_str().is_some_and(|w| w.contains("user name or password")),
        "{tried}"
    );
    let mut elsewhere = values.clone();
    elsewhere["host"] = json!("evil.example");
    assert_eq!(
        run.send("PUT", "/api/v1/sections/mqtt", &elsewhere).status,
        422,
        "a mask does not follow to another host"
    );
    let requests = site.requests();
    values["port"] = json!(other.port);
    assert_eq!(run.send("PUT", "/api/v1/sections/mqtt", &values).status, 200);
    assert!(fs::read_to_string(place.config()).expect("readable").contains("# of the broker"), "comments stay");
    at_other.wait("streampulse/stream/yard", "\"up\"");
    at_one.wait("streampulse/availability", "offline");
    assert_eq!(site.requests(), requests, "no stream was looked at because of it");

    // A stream that goes takes what was published with it.
    assert_eq!(run.send("DELETE", "/api/v1/targets/yard", &json!({})).status, 204);
    for topic in ["streampulse/stream/yard", "homeassistant/sensor/streampulse_yard/latency/config"] {
        wait_for(topic, || at_other.newest(topic).filter(String::is_empty));
    }
    let nowhere = format!(
        "{}{}{}{}{}{}",
        run.log(),
        at_one.everything(),
        at_other.everything(),
        run.get("/api/v1/config").text(),
        run.get("/api/v1/audit").text(),
        sink(&run)
    );
    assert!(!nowhere.contains("pl4nted"), "a password was shown");
    assert!(run.stop().success());
    at_other.wait("streampulse/availability", "offline");
}

#[test]
fn a_2_x_file_publishes_and_the_last_will_speaks_for_the_killed() {
    if testbed("a_2_x_file_publishes_and_the_last_will_speaks_for_the_killed").is_none() {
        return;
    }
    let (site, broker) = (Site::start(), Broker::start());
    let subscriber = Subscriber::on(&broker);
    let text = format!(
        "heartbeat_seconds: 3600\nstreams:\n- name: Gate\n  url: http://{}/a\nmqtt:\n  enabled: true\n  host: 127.0.0.1\n  port: {}\n  username: viewer\n  password: {PASSWORD}\n  interval_seconds: 2\n  api_status_url: http://localhost:7000/api/status\n",
        site.at, broker.port
    );
    let place = Place::with(&text);
    let run = place.start_with(&["--listen", "127.0.0.1:0"], &[]);
    let status = subscriber.wait("stream_monitor/status", "\"ok\"");
    assert_eq!(serde_json::from_str::<Value>(&status).expect("JSON")["Gate"]["status"], "ok");
    subscriber.wait("streampulse/availability", "online");
    assert!(run.log().contains("api_status_url has no effect") && !run.log().contains("pl4nted"));
    run.kill();
    subscriber.wait("streampulse/availability", "offline");
}
