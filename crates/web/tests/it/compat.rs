//! The routes of StreamPulse 2.x, shape by shape.

use serde_json::json;

use crate::rig::{PATIENCE, Rig, SERVER};

#[tokio::test]
async fn status_has_the_old_shape_and_real_statuses() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let all = admin.get("/api/status").await.json();
    let good = &all["Good"];
    assert_eq!((&good["status"], &good["latency"], &good["message"]), (&json!("ok"), &json!(12), &json!("ok")));
    let ts = good["ts"].as_str().expect("text");
    assert!(ts.len() == 25 && ts.ends_with("+00:00") && ts.as_bytes()[10] == b'T', "{ts}");
    assert_eq!(all["Bad"]["status"], "fail");
    assert!(all["Bad"]["message"].as_str().is_some_and(|m| m.contains("refused")), "{all}");
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(3), "streams are known by their names");
    let keys: Vec<_> = good.as_object().expect("object").keys().cloned().collect();
    assert_eq!(keys, ["latency", "message", "status", "ts"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_never_looked_at_says_so() {
    let text = format!("{SERVER}targets:\n  - {{name: Off, url: 'http://127.0.0.1:9/', enabled: false}}\n");
    let rig = Rig::with(&text, true).await;
    let admin = rig.admin().await;
    let all = admin.get("/api/status").await.json();
    assert_eq!(all["Off"], json!({ "ts": "", "status": "", "latency": null, "message": "no data yet" }));
    assert_eq!(admin.get("/history/Off").await.text(), "No history.");
    assert_eq!(admin.get("/history/Nobody").await.text(), "No history.");
    rig.stop().await;
}

#[tokio::test]
async fn history_is_lines_of_text_that_stay_text() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let reply = admin.get("/history/Bad").await;
    assert!(reply.header("content-type").is_some_and(|t| t.starts_with("text/html")));
    let text = reply.text();
    let parts: Vec<_> = text.lines().next().expect("a line").split(" | ").collect();
    assert_eq!((parts.len(), parts[1], parts[2]), (4, "fail", "12 ms"), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn exports_are_csv_without_formulas() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let reply = admin.get("/export/all.csv").await;
    assert!(reply.header("content-disposition").is_some_and(|d| d.contains("stream_logs.csv")));
    let text = reply.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "stream,ts,status,latency_ms,message");
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[1].starts_with("Good,") && lines[1].ends_with(",ok,12,ok"), "{text}");
    assert!(lines[3].starts_with("\"'=cmd|<b>\"\"x\"\", y\","), "a name is no formula: {text}");
    let own = admin.get("/api/v1/targets/bad/export.csv").await.text();
    assert!(own.starts_with("at,status,grade,took_ms,attempts,fault,phase,reason\n"), "{own}");
    assert!(own.contains(",down,fail,12,1,refused,connect,"), "{own}");
    rig.stop().await;
}

#[tokio::test]
async fn an_unknown_stream_has_no_preview() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let reply = admin.get("/preview/Nobody").await;
    assert_eq!((reply.status, reply.text().as_str()), (404, "Unknown stream"));
    rig.stop().await;
}

#[tokio::test]
async fn pictures_of_a_camera_are_shown() {
    let camera = testkit::mjpeg::camera(testkit::mjpeg::Camera::Good).await;
    let url = camera.url("http", "/video.mjpg");
    let text = format!("{SERVER}targets:\n  - {{name: Cam, id: cam, kind: mjpeg, url: '{url}', interval: 1h}}\n");
    let rig = Rig::with(&text, false).await;
    let admin = rig.admin().await;
    let still = admin.get("/api/v1/targets/cam/snapshot.jpg").await;
    assert_eq!((still.status, still.header("content-type")), (200, Some("image/jpeg")), "{}", still.text());
    assert!(still.body.starts_with(&[0xff, 0xd8]));
    let tag = still.header("etag").expect("a tag").to_owned();
    let same = admin.send_with("GET", "/api/v1/targets/cam/snapshot.jpg", &[("If-None-Match", tag)], None).await;
    assert!(matches!(same.status, 200 | 304));
    let moving = tokio::time::timeout(PATIENCE, admin.get("/preview/Cam")).await.expect("it ends by itself");
    assert_eq!(moving.header("content-type"), Some("multipart/x-mixed-replace; boundary=frame"));
    let frames = moving.body.windows(7).filter(|w| *w == b"--frame").count();
    assert!(frames >= 1, "{frames} frames");
    assert_eq!(admin.get("/api/v1/targets/none/snapshot.jpg").await.status, 404);
    rig.stop().await;
}
