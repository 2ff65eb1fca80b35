//! Two thousand targets: what the event stream and the list cost, and that they stay whole.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::rig::{Rig, SERVER};

#[tokio::test]
async fn two_thousand_targets_reach_a_client_whole_and_soon() {
    let mut text = format!("{SERVER}defaults: {{interval: 1h}}\ntargets:\n");
    for i in 0..2000 {
        writeln!(text, "  - {{name: Camera {i}, url: 'http://u:secret{i}@127.0.0.1:9/{i}'}}").expect("text");
    }
    let rig = Rig::with(&text, true).await;
    let admin = rig.admin().await;
    rig.looked().await;
    let began = tokio::time::Instant::now();
    let list = admin.get("/api/v1/targets").await;
    let took = began.elapsed();
    assert_eq!(list.json()["targets"].as_array().map(Vec::len), Some(2000));
    assert!(took < Duration::from_secs(3), "{took:?}");

    let began = tokio::time::Instant::now();
    let mut stream = admin.open("GET", "/api/v1/events HTTP/1.0\r\nX-Rest:", &[], "").await;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 256 * 1024];
    let end = loop {
        let n = stream.read(&mut chunk).await.expect("readable");
        assert!(n > 0, "the stream ended");
        bytes.extend_from_slice(&chunk[..n]);
        let from = bytes.windows(7).position(|w| w == b"\ndata: ");
        if let Some(from) = from
            && let Some(len) = bytes[from..].windows(2).position(|w| w == b"\n\n")
        {
            break from + 7..from + len;
        }
    };
    let took = began.elapsed();
    let board: Value = serde_json::from_slice(&bytes[end]).expect("whole JSON");
    assert_eq!(board["targets"].as_array().map(Vec::len), Some(2000));
    assert!(took < Duration::from_secs(3), "{took:?}");
    rig.stop().await;
}
