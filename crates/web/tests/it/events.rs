//! The event stream: the whole first, then every change, and an end when the session ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::rig::{Client, PATIENCE, Rig};

pub(crate) struct Stream(Lines<BufReader<TcpStream>>);

impl Stream {
    pub(crate) async fn open(client: &Client) -> Self {
        Self::of(client, "/api/v1/events").await
    }

    pub(crate) async fn of(client: &Client, path: &str) -> Self {
        // HTTP/1.0 has no chunks: the lines come as they are.
        let stream = client.open("GET", &format!("{path} HTTP/1.0\r\nX-Rest:"), &[], "").await;
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next_line().await.expect("readable").expect("a line");
        assert!(status.contains("200"), "{status}");
        Self(lines)
    }

    /// The next event of a name; `None` when the stream ends.
    pub(crate) async fn next(&mut self, wanted: &str) -> Option<Value> {
        loop {
            let (name, data) = self.any().await?;
            if name == wanted {
                return Some(data);
            }
        }
    }

    /// The next event; `None` when the stream ends.
    pub(crate) async fn any(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.0.next_line()).await.expect("in time").expect("readable")?;
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
                return Some((name, data));
            }
        }
    }
}

#[tokio::test]
async fn a_client_sees_the_board_and_then_every_change() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let mut stream = Stream::open(&admin).await;
    let board = stream.next("board").await.expect("first");
    assert_eq!(board["targets"].as_array().map(Vec::len), Some(3));
    assert_eq!((&board["health"]["status"], &board["targets"][0]["id"]), (&json!("ok"), &json!("good")));

    admin.send("POST", "/api/v1/targets/good/pause", None).await;
    let target = stream.next("target").await.expect("a change");
    assert_eq!((&target["id"], &target["status"]), (&json!("good"), &json!("paused")));

    let mut second = Stream::open(&admin).await;
    assert_eq!(second.next("board").await.expect("first")["targets"][0]["status"], "paused");

    assert_eq!(admin.send("DELETE", "/api/v1/targets/bad", None).await.status, 204);
    for stream in [&mut stream, &mut second] {
        assert_eq!(stream.next("removed").await.expect("gone"), json!({ "id": "bad" }));
    }
    std::fs::write(rig.config_path(), "targets: [").expect("written");
    let refused = |c: &Value| c["problems"].as_array().is_some_and(|p| !p.is_empty());
    let mut config = stream.next("config").await.expect("applied");
    while !refused(&config) {
        config = stream.next("config").await.expect("refused");
    }
    assert_ne!(config["hash"], config["in_effect_hash"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_status_change_is_seen_within_a_fifth_of_a_second_of_its_look() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    rig.looked().await;
    let mut stream = Stream::open(&admin).await;
    stream.next("board").await.expect("first");
    let mut best = Duration::MAX;
    for action in ["pause", "resume", "pause", "resume"] {
        let began = tokio::time::Instant::now();
        admin.send("POST", &format!("/api/v1/targets/good/{action}"), None).await;
        stream.next("target").await.expect("a change");
        best = best.min(began.elapsed());
    }
    assert!(best < Duration::from_millis(200), "{best:?}");
    rig.stop().await;
}

#[tokio::test]
async fn the_stream_ends_with_the_server() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let mut stream = Stream::open(&admin).await;
    stream.next("board").await.expect("first");
    let stopped = tokio::time::timeout(PATIENCE, rig.stop());
    let (folder, end) = tokio::join!(stopped, stream.next("never"));
    assert!(end.is_none());
    folder.expect("it stops while somebody listens");
}

#[tokio::test]
async fn the_stream_of_an_ended_session_ends_at_the_next_sign_of_life() {
    let rig = Rig::new().await;
    let admin = rig.admin().await;
    let mut stream = Stream::open(&admin).await;
    stream.next("board").await.expect("first");
    assert_eq!(admin.send("DELETE", "/api/v1/session", None).await.status, 204);
    assert!(stream.next("ping").await.is_none());
    rig.stop().await;
}
