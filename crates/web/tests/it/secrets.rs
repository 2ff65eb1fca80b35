//! Planted passwords: nowhere but in the configuration file.

use tokio::io::AsyncReadExt;

use crate::rig::{PATIENCE, Rig, SERVER};
use web::routes::Method;
use web::routes::table::ROUTES;

/// Every planted secret contains this.
const PLANTED: &str = "pl4nted";

#[tokio::test]
async fn no_route_and_no_file_shows_a_planted_secret() {
    let echo = testkit::bad::echo().await;
    let refused = testkit::bad::refused();
    let text = format!(
        "# old: rtsp://u:pl4nted0@cam/\n{SERVER}influxdb: {{url: 'http://127.0.0.1:9', bucket: b, token: pl4nted5}}
targets:
  - {{name: Echo, id: echo, url: 'http://u:pl4nted1@{echo}/x?token=pl4nted2', interval: 1h, retries: 0}}
  - {{name: Refused, id: refused, url: 'rtsp://u:pl4nted3@{refused}/y', interval: 1h, retries: 0}}
  - {{name: Nowhere, id: nowhere, url: 'rtsp://u:pl4nted4@no-such-host.invalid/z', interval: 1h, retries: 0}}
",
        echo = echo.address(),
        refused = refused.address(),
    );
    let rig = Rig::with(&text, false).await;
    let admin = rig.admin().await;
    rig.looked().await;
    for id in ["echo", "refused", "nowhere"] {
        admin.send("POST", &format!("/api/v1/targets/{id}/test"), None).await;
    }
    rig.looked().await;
    for route in ROUTES.iter().filter(|r| r.method == Method::Get && r.path != "/api/v1/events") {
        for (id, name) in [("echo", "Echo"), ("refused", "Refused"), ("nowhere", "Nowhere")] {
            let path = route.path.replace("{id}", id).replace("{name}", name).replace("{section}", "influxdb");
            let text = admin.get(&path).await.text();
            assert!(!text.contains(PLANTED), "{path}: {text}");
        }
    }
    for path in ["/api/status", "/api/v1/health", "/readyz"] {
        assert!(!rig.at_status().get(path).await.text().contains(PLANTED), "{path}");
    }
    let mut events = admin.open("GET", "/api/v1/events", &[], "").await;
    let mut bytes = vec![0; 64 * 1024];
    let mut seen = String::new();
    while !seen.contains("event: board") || !seen.ends_with("\n\n\r\n") {
        let n = tokio::time::timeout(PATIENCE, events.read(&mut bytes)).await.expect("in time").expect("readable");
        assert!(n > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    assert!(!seen.contains(PLANTED), "{seen}");
    drop(events);

    let folder = rig.stop().await;
    for entry in std::fs::read_dir(folder.path()).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() || path.extension().is_some_and(|e| e == "yaml") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let found = bytes.windows(PLANTED.len()).any(|w| w == PLANTED.as_bytes());
        assert!(!found, "{} holds a planted secret", path.display());
    }
}
