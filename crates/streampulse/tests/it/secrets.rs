//! Planted passwords are looked for everywhere but in the configuration file.

use std::io::Read;

use serde_json::json;

use crate::http;
use crate::site::Site;
use crate::support::Place;

const PLANTED: [&str; 4] =
    ["pl4nted-url-secret", "pl4nted-query-secret", "pl4nted-header-secret", "pl4nted-option-secret"];

#[test]
fn no_password_leaves_the_configuration_file() {
    let site = Site::start();
    site.answer_with(401);
    let [url, query, header, option] = PLANTED;
    let place = Place::open(&format!(
        "targets:\n  - name: Cam\n    id: cam\n    url: rtsp://viewer:{url}@{at}/s?token={query}\n    interval: 1s\n    timeout: 1s\n  - name: Page\n    id: page\n    url: http://viewer:{url}@{at}/p?key={query}\n    secret_headers: {{Authorization: Bearer {header}}}\n    interval: 1s\n  - name: Other\n    id: other\n    url: http://{at}/q\n    user: viewer\n    password: {option}\n    interval: 1s\n",
        at = site.at
    ));
    let run = place.start_with(&[], &[("STREAMPULSE_LOG", "trace")]);
    for name in ["Cam", "Page", "Other"] {
        run.wait_status(name, "down");
    }
    let clean = |what: &str, text: &str| {
        for secret in PLANTED {
            assert!(!text.contains(secret), "{what} shows {secret}: {text}");
        }
    };
    for path in [
        "/",
        "/api/v1/session",
        "/api/v1/targets",
        "/api/v1/targets/cam",
        "/api/v1/targets/page",
        "/api/v1/targets/other",
        "/api/v1/config",
        "/api/v1/incidents",
        "/api/v1/health",
        "/api/v1/audit",
        "/api/v1/kinds",
        "/api/v1/targets/cam/observations",
        "/api/v1/targets/cam/export.csv",
        "/api/v1/targets/cam/changes",
        "/api/status",
        "/history/Cam",
        "/export/all.csv",
        "/api/cfg",
        "/healthz",
        "/readyz",
    ] {
        let answer = run.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        clean(path, &answer.text());
    }
    clean("a test", &run.send("POST", "/api/v1/targets/cam/test", &json!({})).text());
    clean(
        "a try",
        &run.send("POST", "/api/v1/try", &json!({ "url": format!("http://u:{url}@{}/", site.at), "kind": "http" }))
            .text(),
    );
    clean("a refused configuration", &run.send("POST", "/api/v1/config/validate", &json!({ "text": format!("targets:\n  - name: X\n    url: 'rtp://u:{url}@h/'\n    password: [{option}]\n") })).text());
    let mut events = http::open(run.at, "GET", "/api/v1/events", &[], None);
    let mut first = vec![0; 64 * 1024];
    let n = events.read(&mut first).expect("events come");
    clean("the events", &String::from_utf8_lossy(&first[..n]));
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", run.child.id())).expect("it runs");
    clean("the process list", &String::from_utf8_lossy(&cmdline));
    let log = run.log();
    run.stop();
    clean("the log", &log);
    for entry in std::fs::read_dir(place.state()).expect("there").map_while(Result::ok) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        for secret in PLANTED {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} holds {secret}", entry.path().display());
        }
    }
}
