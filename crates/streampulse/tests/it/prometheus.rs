//! What is made for Prometheus: the dashboard and the rules of `deploy/` name metrics that exist, promtool has nothing to
//! complain of, and a real Prometheus scrapes the real program and answers what the dashboard asks.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use web::metrics::family::{FAMILIES, Names, Type};

use crate::http::{self, Answer};
use crate::support::{Instance, Place, cli, testbed, wait_for};

/// Names that Prometheus itself makes.
const FOREIGN: &[&str] = &["up"];

fn deploy(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path)
}

fn text_of(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).expect(path)
}

/// Every query of the dashboard, its variables among them, with the variables of Grafana filled in.
fn dashboard() -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                let own = ["expr", "definition"].iter().filter_map(|key| map.get(*key).and_then(Value::as_str));
                found.extend(own.map(str::to_owned));
                map.values().for_each(|v| walk(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let json: Value = serde_json::from_str(&text_of("grafana/streampulse.json")).expect("JSON");
    let mut found = Vec::new();
    walk(&json, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    let filled = |text: String| {
        text.replace("$__rate_interval", "1m")
            .replace("=~\"$instance\"", "=~\".*\"")
            .replace("=~\"$target\"", "=~\".*\"")
    };
    found.into_iter().map(filled).collect()
}

/// Expressions of the rules, and the names that they record.
fn rules() -> (Vec<String>, BTreeSet<String>) {
    let text = text_of("prometheus/streampulse.rules.yml");
    let (mut expressions, mut recorded) = (Vec::<String>::new(), BTreeSet::new());
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("- ").unwrap_or(line);
        if let Some(expr) = line.strip_prefix("expr: ") {
            inside = expr == ">-";
            expressions.push(if inside { String::new() } else { expr.to_owned() });
        } else if let Some(name) = line.strip_prefix("record: ") {
            recorded.insert(name.to_owned());
            inside = false;
        } else if ["alert:", "for:", "labels:", "annotations:", "name:"].iter().any(|key| line.starts_with(key)) {
            inside = false;
        } else if inside && let Some(last) = expressions.last_mut() {
            last.push(' ');
            last.push_str(line);
        }
    }
    assert!(expressions.len() >= 15 && recorded.len() >= 3, "{expressions:#?}");
    (expressions, recorded)
}

/// Metrics that an expression names, with the labels that it selects by.
fn named(expression: &str) -> Vec<(String, Vec<String>)> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| letters(c) || c == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|c| !letters(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        let is_metric = ["streampulse_", "process_"].iter().any(|p| word.starts_with(p))
            || word.contains(':')
            || (FOREIGN.contains(&word) && after.starts_with('{'));
        if is_metric {
            let selector = after.strip_prefix('{').and_then(|s| s.split_once('}')).map_or("", |(inside, _)| inside);
            let label = |part: &str| part.split(['=', '!']).next().unwrap_or_default().trim().to_owned();
            found.push((word.to_owned(), selector.split(',').filter(|p| !p.is_empty()).map(label).collect()));
        }
    }
    found
}

/// The family of the name of a sample.
fn family(name: &str) -> Option<&'static web::metrics::family::Family> {
    FAMILIES.iter().find(|f| {
        let ends = ["_bucket", "_sum", "_count"];
        f.name == name
            || (f.ty == Type::Histogram
                && ends.iter().any(|end| name.strip_suffix(end).is_some_and(|cut| cut == f.name)))
    })
}

#[test]
fn the_dashboard_and_the_rules_name_metrics_and_labels_that_exist() {
    let (expressions, recorded) = rules();
    let mut wrong = Vec::new();
    for expression in expressions.iter().chain(&dashboard()) {
        for (name, labels) in named(expression) {
            if FOREIGN.contains(&name.as_str()) || recorded.contains(&name) {
                continue;
            }
            let Some(family) = family(&name).filter(|f| f.names == Names::Own) else {
                wrong.push(format!("{name} in {expression}"));
                continue;
            };
            let known = |label: &String| label == "instance" || family.labels.contains(&label.as_str());
            wrong.extend(labels.into_iter().filter(|l| !known(l)).map(|l| format!("{name}{{{l}}} in {expression}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Runs promtool on a text; answers what it says when it finds fault.
fn promtool(args: &[&str], input: &str) -> Result<(), String> {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (./test installs the package prometheus)");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let done = child.wait_with_output().expect("it ends");
    let words = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if done.status.success() { Ok(()) } else { Err(words) }
}

/// A Prometheus of our own, ended when dropped.
struct Prometheus {
    child: Child,
    at: SocketAddr,
}

impl Prometheus {
    /// Scrapes `at` every second with a bearer token, and evaluates the rules of `deploy/` as often.
    fn start(folder: &std::path::Path, at: SocketAddr, token: &str) -> Self {
        std::fs::write(folder.join("token"), token).expect("written");
        let rules = deploy("prometheus/streampulse.rules.yml").canonicalize().expect("there");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: streampulse\n    authorization: {{credentials_file: token}}\n    static_configs: [{{targets: ['{at}']}}]\n",
            rules.display()
        );
        std::fs::write(folder.join("prometheus.yml"), config).expect("written");
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus is installed (./test installs the package)");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let at = lines.find_map(|line| {
            let address = line.split("\"Listening on\" address=").nth(1)?;
            address.split_whitespace().next()?.parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let this = Self { child, at: at.expect("it says where it listens") };
        let ready = || http::request(this.at, "GET", "/-/ready", &[], None).status;
        wait_for("prometheus is ready", || (ready() == 200).then_some(()));
        this
    }

    fn ask(&self, path: &str, query: &str) -> Answer {
        let escaped: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        http::request(self.at, "GET", &format!("/api/v1/{path}{escaped}"), &[], None)
    }

    /// How many series answer a query.
    fn series(&self, query: &str) -> usize {
        let answer = self.ask("query?query=", query).json();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().map_or(0, Vec::len)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Targets that make every family appear.
fn everything(testbed: &std::path::Path) -> String {
    let ca = testbed.join("ca/ca.pem").display().to_string();
    format!(
        "targets:
  - {{name: Held, url: 'rtsp://127.0.0.1:18554/h264', watch: continuous, interval: 2s}}
  - {{name: Live, url: 'http://127.0.0.1:18080/hls/cam.m3u8', interval: 2s}}
  - {{name: Manifest, url: 'http://127.0.0.1:18080/live/ffdash/manifest.mpd', interval: 2s}}
  - {{name: Page, url: 'https://localhost:18443/', ca_file: '{ca}', interval: 2s}}
  - {{name: Radio, url: 'http://127.0.0.1:18000/tone.mp3', kind: icecast, interval: 2s}}
  - {{name: Neighbour, url: 'ping://127.0.0.1', interval: 2s}}
  - {{name: 'Gone \"quoted\"', url: 'tcp://127.0.0.1:18599', interval: 2s}}
influxdb: {{url: 'http://127.0.0.1:18599', database: streams}}
"
    )
}

fn scrape(run: &Instance, token: &str, accept: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    http::request(run.at, "GET", "/metrics", &[("Authorization", &bearer), ("Accept", accept)], None)
}

#[test]
fn a_real_prometheus_scrapes_it_and_answers_what_the_dashboard_asks() {
    let Some(folder) = testbed("a_real_prometheus_scrapes_it_and_answers_what_the_dashboard_asks") else { return };
    let place = Place::with(&format!("server: {{listen: '127.0.0.1:0'}}\n{}", everything(&folder)));
    let run = place.start();
    let made = cli(&["token", "create", "prometheus", "--state", &place.state().display().to_string()]);
    let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    wait_for("the token works", || (scrape(&run, &token, "*/*").status == 200).then_some(()));

    promtool(&["check", "rules", &deploy("prometheus/streampulse.rules.yml").display().to_string()], "")
        .unwrap_or_else(|words| panic!("{words}"));
    let prometheus = Prometheus::start(place.folder.path(), run.at, &token);
    // What the table has and the dashboard names: every metric has a series in the end.
    let (expressions, recorded) = rules();
    let asked = dashboard();
    let names: BTreeSet<String> =
        expressions.iter().chain(&asked).flat_map(|e| named(e)).map(|(name, _)| name).collect();
    for name in &names {
        wait_for(&format!("{name} has a series"), || (prometheus.series(name) > 0).then_some(()));
    }
    assert!(recorded.iter().all(|name| names.contains(name) || prometheus.series(name) > 0), "{recorded:?}");
    for query in asked.iter().filter(|q| !q.starts_with("label_values")) {
        prometheus.series(query);
    }
    wait_for("the alert fires", || {
        let firing =
            prometheus.series("ALERTS{alertname=\"StreamDown\",alertstate=\"firing\",name=\"Gone \\\"quoted\\\"\"}");
        (firing == 1).then_some(())
    });

    let text = scrape(&run, &token, "text/plain;version=0.0.4").text();
    promtool(&["check", "metrics"], &text).unwrap_or_else(|words| panic!("{words}\n{text}"));
    let scraped = prometheus.ask("targets?state=", "active").json();
    let target = &scraped["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&Value::from("up"), &Value::from("")), "{scraped}");
    assert!(!text.contains("://") && !text.contains("127.0.0.1"), "{text}");
    drop(prometheus);
    assert!(run.stop().success());
}
