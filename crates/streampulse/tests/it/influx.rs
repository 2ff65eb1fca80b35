//! InfluxDB and VictoriaMetrics as they are: what is written is there, with the values of the history; servers that are
//! killed, stopped and started again cost no point.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http;
use crate::site::Site;
use crate::support::{Instance, Place, testbed, wait_for};

const INFLUX: &str = "127.0.0.1:18086";
const VICTORIA: &str = "127.0.0.1:18428";
const DATABASE: &str = "streams";

/// A name that no other run uses: the servers of the testbed remember.
fn run_name(run: &Place) -> String {
    let name = run.folder.path().file_name().expect("a name").to_string_lossy().into_owned();
    format!("run {}", name.trim_start_matches('.'))
}

fn config(site: &Site, influx: &str) -> String {
    format!(
        "server:\n  listen: 127.0.0.1:0\n  login: false\n{influx}targets:\n  - name: 'Page, \"one\"'\n    id: page\n    group: North hall\n    url: http://{}/\n    interval: 1s\n",
        site.at
    )
}

fn sink(run: &Instance) -> Value {
    run.get("/api/v1/sinks").json()["sinks"][0].clone()
}

/// Looks in the history: time and duration.
fn history(run: &Instance) -> BTreeMap<i64, f64> {
    let rows = run.get("/api/v1/targets/page/observations?limit=1000").json();
    let rows = rows["rows"].as_array().expect("rows").clone();
    rows.iter().map(|r| (r["at"].as_i64().expect("a time"), r["took_ms"].as_f64().expect("a duration"))).collect()
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Asks InfluxDB 1.x; answers the rows as values by column.
fn ask(at: SocketAddr, question: &str) -> Vec<BTreeMap<String, Value>> {
    let path = format!("/query?db={DATABASE}&epoch=ms&q={}", encode(question));
    let answer = http::request(at, "POST", &path, &[], Some("")).json();
    let series = &answer["results"][0]["series"][0];
    let names = series["columns"].as_array().cloned().unwrap_or_default();
    let rows = series["values"].as_array().cloned().unwrap_or_default();
    let row = |row: &Value| {
        let values = row.as_array().expect("a row").iter();
        names.iter().map(|n| n.as_str().expect("a name").to_owned()).zip(values.cloned()).collect()
    };
    rows.iter().map(row).collect()
}

/// Looks in InfluxDB: time and duration.
fn looks(at: SocketAddr, run: &str) -> BTreeMap<i64, f64> {
    let rows = ask(at, &format!("SELECT took_ms FROM streampulse_look WHERE run = '{run}'"));
    rows.iter().map(|r| (r["time"].as_i64().expect("a time"), r["took_ms"].as_f64().expect("a number"))).collect()
}

/// The history from the first look that the sink was told of is in the database, every look once and with its value.
fn is_whole(history: &BTreeMap<i64, f64>, found: &BTreeMap<i64, f64>) -> bool {
    let Some(first) = found.keys().next() else { return false };
    history.range(first..).count() >= 3
        && history.range(first..).all(|(at, took)| found.get(at).is_some_and(|seen| (seen - took).abs() < 0.001))
}

#[test]
fn what_is_written_to_both_servers_has_the_values_of_the_history() {
    if testbed("what_is_written_to_both_servers_has_the_values_of_the_history").is_none() {
        return;
    }
    let (influx, victoria): (SocketAddr, SocketAddr) = (INFLUX.parse().expect("good"), VICTORIA.parse().expect("good"));
    let site = Site::start();
    let place = Place::with("");
    let name = run_name(&place);
    let section =
        format!("influxdb:\n  url: http://{INFLUX}\n  database: {DATABASE}\n  interval: 1s\n  tags: {{run: {name}}}\n");
    fs::write(place.config(), config(&site, &section)).expect("written");
    let run = place.start();
    run.wait_status("Page, \"one\"", "up");
    wait_for("every look of the history is in InfluxDB", || {
        is_whole(&history(&run), &looks(influx, &name)).then_some(())
    });
    let status = sink(&run);
    assert_eq!((&status["name"], &status["ok"], &status["dropped"]), (&json!("influxdb"), &json!(true), &json!(0)));

    site.answer_with(500);
    run.wait_status("Page, \"one\"", "down");
    let change = wait_for("the change is written", || {
        let all = ask(influx, &format!("SELECT * FROM streampulse_status WHERE run = '{name}'"));
        all.into_iter().find(|r| r["to"] == "down")
    });
    assert_eq!(
        (&change["from"], &change["to_value"], &change["group"]),
        (&json!("up"), &json!(3), &json!("North hall"))
    );
    assert_eq!(change["name"], "Page, \"one\"");
    let changes = run.get("/api/v1/targets/page/changes").json();
    let change_at =
        changes["rows"].as_array().expect("a list").iter().find(|c| c["to"] == "down").expect("it is there")["at"]
            .clone();
    assert_eq!(change["time"], change_at, "{changes}");
    let bad = wait_for("a bad look is written", || {
        let all = ask(influx, &format!("SELECT * FROM streampulse_look WHERE run = '{name}' AND up = 0"));
        all.into_iter().next()
    });
    assert_eq!((&bad["status"], &bad["grade"], &bad["fault"]), (&json!("down"), &json!("fail"), &json!("protocol")));
    let own = wait_for("figures of its own are written", || {
        let all = ask(influx, &format!("SELECT * FROM streampulse_self WHERE run = '{name}'"));
        all.into_iter().find(|r| r["looks_per_s"].as_f64() > Some(0.0))
    });
    assert_eq!((&own["targets"], &own["store_ok"]), (&json!(1), &json!(1)));

    // Another server, another version, by an edit of the file alone.
    let section = format!(
        "influxdb:\n  url: http://{VICTORIA}/influx\n  version: 2\n  org: o\n  bucket: b\n  token: hidden-token\n  interval: 1s\n  tags: {{run: {name}}}\n"
    );
    fs::write(place.config(), config(&site, &section)).expect("written");
    wait_for("every look of the history is in VictoriaMetrics", || {
        http::request(victoria, "GET", "/internal/force_flush", &[], None);
        let query = encode(&format!("{{__name__=\"streampulse_look_took_ms\",run=\"{name}\"}}"));
        let text = http::request(victoria, "GET", &format!("/api/v1/export?match[]={query}"), &[], None).text();
        let json: Value = serde_json::from_str(text.lines().next()?).ok()?;
        let times = json["timestamps"].as_array()?.iter().filter_map(Value::as_i64);
        let found = times.zip(json["values"].as_array()?.iter().filter_map(Value::as_f64)).collect();
        is_whole(&history(&run), &found).then_some(())
    });
    assert!(!run.log().contains("hidden-token"));
    assert_eq!(run.get("/api/v1/config").text().matches("hidden-token").count(), 0);
    assert!(run.stop().success());
}

/// An InfluxDB of the test's own.
struct Influxd {
    child: Child,
    folder: tempfile::TempDir,
    at: SocketAddr,
}

impl Influxd {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (child, at) = Self::spawn(folder.path(), "127.0.0.1:0");
        let path = format!("/query?q={}", encode(&format!("CREATE DATABASE {DATABASE}")));
        assert_eq!(http::request(at, "POST", &path, &[], Some("")).status, 200);
        Self { child, folder, at }
    }

    fn spawn(folder: &std::path::Path, http: &str) -> (Child, SocketAddr) {
        let path = |part: &str| folder.join(part).display().to_string();
        let text = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\n  dir = {:?}\n[data]\n  dir = {:?}\n  wal-dir = {:?}\n[http]\n  bind-address = {http:?}\n  log-enabled = false\n",
            path("meta"),
            path("data"),
            path("wal")
        );
        fs::write(folder.join("influx.conf"), text).expect("written");
        let mut child = Command::new("influxd")
            .arg("-config")
            .arg(folder.join("influx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("influxd starts (Debian: influxdb)");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let at = lines
            .find(|line| line.contains("Listening on HTTP"))
            .and_then(|line| line.split("addr=").nth(1)?.split_whitespace().next()?.parse().ok())
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop)); // a full pipe would stop it
        (child, at)
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.is_ok_and(|s| s.success()), "kill -{name}");
    }

    fn kill(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    fn start_again(&mut self) {
        (self.child, _) = Self::spawn(self.folder.path(), &self.at.to_string());
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_server_that_is_killed_or_stopped_costs_no_point() {
    if testbed("a_server_that_is_killed_or_stopped_costs_no_point").is_none() {
        return;
    }
    let mut influxd = Influxd::start();
    let site = Site::start();
    let section = format!(
        "influxdb:\n  url: http://{}\n  database: {DATABASE}\n  interval: 1s\n  timeout: 1s\n  tags: {{run: x}}\n",
        influxd.at
    );
    let place = Place::with(&config(&site, &section));
    let run = place.start();
    let whole = |influxd: &Influxd, what: &str| {
        wait_for(what, || is_whole(&history(&run), &looks(influxd.at, "x")).then_some(()));
    };
    let fails = |word: &str| {
        wait_for(word, || {
            let sink = sink(&run);
            (sink["ok"] == false && sink["error"].as_str()?.contains(word)).then_some(())
        });
    };
    whole(&influxd, "points arrive");

    influxd.kill();
    fails("refuse");
    let (before, requests) = (history(&run).len(), site.requests());
    wait_for("the looks go on", || (site.requests() > requests + 2 && history(&run).len() > before + 1).then_some(()));
    influxd.start_again();
    whole(&influxd, "all looks are there after a kill");

    influxd.signal("STOP");
    fails("timed out");
    let requests = site.requests();
    wait_for("the looks go on", || (site.requests() > requests + 2).then_some(()));
    influxd.signal("CONT");
    whole(&influxd, "all looks are there after a stop");
    let last = sink(&run);
    assert_eq!(last["dropped"], json!(0), "{last}");
    assert!(last["failed"].as_u64() >= Some(2), "{last}");

    // A database that is not there is no reason to ask for ever.
    let other = section.replace(DATABASE, "nowhere");
    fs::write(place.config(), config(&site, &other)).expect("written");
    fails("404: database not found");
    wait_for("what cannot be written is counted", || (sink(&run)["dropped"].as_u64() > Some(0)).then_some(()));
    fs::write(place.config(), config(&site, "")).expect("written");
    wait_for("without its section there is no sink", || {
        (run.get("/api/v1/sinks").json()["sinks"] == json!([])).then_some(())
    });
    assert!(run.stop().success());
}
