//! Sessions that are held: live values on the event stream and on their route, and that they stay apart from the rest.

use serde_json::{Value, json};

use crate::events::Stream;
use crate::rig::{Rig, SERVER};

const HELD: &str = "targets:
  - {name: Cam, id: cam, url: 'rtsp://u:hunter2@127.0.0.1:9/a', watch: continuous, interval: 1h}
  - {name: Dead, id: dead, url: 'rtsp://127.0.0.1:9/b', watch: continuous, interval: 1h}
  - {name: Page, id: page, url: 'http://127.0.0.1:9/c', interval: 1h}
";

async fn rig() -> Rig {
    let rig = Rig::with(&format!("{SERVER}{HELD}"), true).await;
    rig.looked().await;
    rig
}

#[tokio::test]
async fn values_come_every_second_and_no_target_with_them() {
    let rig = rig().await;
    let admin = rig.admin().await;
    let mut stream = Stream::open(&admin).await;
    let board = stream.next("board").await.expect("first");
    let cam = &board["targets"][0];
    assert_eq!((&cam["watch"], &cam["session"]["state"]), (&json!("continuous"), &json!("live")));
    assert_eq!(board["targets"][2]["session"], Value::Null);
    let (mut bits, mut whole) = (Vec::new(), 0);
    while bits.len() < 8 {
        let (name, data) = stream.any().await.expect("it goes on");
        whole += usize::from(name == "target" && data["id"] == "cam");
        if name == "live" {
            assert_eq!(
                data["targets"].as_object().map(|t| t.keys().cloned().collect::<Vec<_>>()),
                Some(vec!["cam".to_owned()])
            );
            bits.extend(data["targets"]["cam"][1][1].as_u64());
        }
    }
    assert!(bits.is_sorted() && bits[0] < bits[7], "{bits:?}");
    // Its availability is computed anew every few seconds at first.
    assert!(whole <= 2, "the target is told {whole} times though only its values changed");
    rig.stop().await;
}

#[tokio::test]
async fn a_session_has_a_route_of_its_own() {
    let rig = rig().await;
    let admin = rig.admin().await;
    let mut stream = Stream::open(&admin).await;
    while stream.next("live").await.expect("it goes on")["targets"]["cam"][1].is_null() {}
    let live = |id: &'static str| {
        let admin = &admin;
        async move { admin.send("GET", &format!("/api/v1/targets/{id}/live"), None).await.json() }
    };
    let cam = live("cam").await;
    assert_eq!(
        (&cam["id"], &cam["session"]["state"], &cam["session"]["reconnects"]),
        (&json!("cam"), &json!("live"), &json!(0))
    );
    assert_eq!(cam["now"]["tracks"][0]["codec"], "h264");
    let first = &cam["seconds"][0];
    assert_eq!((first.as_array().map(Vec::len), &first[4], &first[5]), (Some(8), &json!(0), &Value::Null), "{cam}");
    let dead = live("dead").await;
    let state = dead["session"]["state"].as_str();
    assert!(matches!(state, Some("waiting" | "connecting")) && dead["now"].is_null(), "{dead}");
    assert_eq!(state == Some("waiting"), dead["session"]["until"].is_i64(), "{dead}");
    assert_eq!(live("page").await["session"], Value::Null);

    admin.send("POST", "/api/v1/targets/cam/pause", None).await;
    assert_eq!(live("cam").await["session"], Value::Null);
    admin.send("POST", "/api/v1/targets/cam/resume", None).await;
    let tested = admin.send("POST", "/api/v1/targets/cam/test", None).await.json();
    assert_eq!(tested["grade"], "pass", "{tested}");
    rig.stop().await;
}

/// A dashboard that shows three hundred held streams is told each of their seconds, in little: one short event for all.
#[tokio::test]
async fn three_hundred_held_streams_cost_a_dashboard_little() {
    const STREAMS: usize = 300;
    let mut text = format!("{SERVER}probing: {{at_once_per_host: 300}}\ntargets:\n");
    for i in 0..STREAMS {
        text.push_str(&format!(
            "  - {{name: C{i}, id: cam-{i:03}, url: 'rtsp://127.0.0.1:9/a{i}', watch: continuous, interval: 1h}}\n"
        ));
    }
    let rig = Rig::with(&text, true).await;
    rig.looked().await;
    let admin = rig.admin().await;
    let mut stream = Stream::open(&admin).await;
    stream.next("board").await.expect("first");
    let began = tokio::time::Instant::now();
    let (mut events, mut bytes, mut told) = (0_u32, 0, std::collections::BTreeMap::<String, u32>::new());
    while began.elapsed() < std::time::Duration::from_secs(4) {
        let live = stream.next("live").await.expect("it goes on");
        (events, bytes) = (events + 1, bytes + live.to_string().len());
        for id in live["targets"].as_object().expect("values").keys() {
            *told.entry(id.clone()).or_default() += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(told.len(), STREAMS);
    // Scripted sessions tell ten times as often as real ones; a Board twice a second is what a dashboard gets of them.
    assert!(f64::from(events) <= seconds * 2.0 + 2.0, "{events} events in {seconds:.1} s");
    let each = bytes / usize::try_from(told.values().sum::<u32>()).expect("small");
    assert!(each < 120, "{each} bytes a value");
    rig.stop().await;
}
