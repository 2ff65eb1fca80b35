//! The output of services over the API, and what was of them.

use model::unit::board::{RunEnd, UnitChange};
use model::unit::{Cause, Exit, State};
use serde_json::{Value, json};
use store::{UnitSample, Write};

use crate::events::Stream;
use crate::rig::{Client, PATIENCE, Rig};
use crate::staged::{Staged, id, now, unit};

async fn served() -> (Staged, Rig, Client) {
    let staged = Staged::new(vec![unit("streaming", |_| ())]);
    let rig = Rig::with_units(staged.units.clone()).await;
    let admin = rig.admin().await;
    (staged, rig, admin)
}

fn texts(log: &Value) -> Vec<String> {
    let lines = log["lines"].as_array().expect("lines");
    lines.iter().map(|line| line["text"].as_str().expect("text").to_owned()).collect()
}

const LOGS: &str = "/api/v1/services/streaming/logs";

#[tokio::test]
async fn the_newest_lines_come_across_files_and_a_search_finds_older_ones() {
    let (staged, rig, admin) = served().await;
    let empty = admin.get(LOGS).await.json();
    assert_eq!((&empty["lines"], &empty["more"]), (&json!([]), &json!(false)));
    for n in 0..30 {
        staged.write("streaming", &[("stdout", &format!("line {n}")), ("stderr", &format!("Trouble {n}"))]);
        if n % 10 == 9 {
            staged.rotate("streaming");
        }
    }
    staged.write("streaming", &[("stdout", "token=pl4nted-secret-env rtsp://u:pl4nted@cam/"), ("stdout", "the end")]);
    let log = admin.get(&format!("{LOGS}?lines=4")).await.json();
    assert_eq!(texts(&log), ["line 29", "Trouble 29", "token=*** rtsp://u:***@cam/", "the end"]);
    assert_eq!((&log["more"], &log["lines"][1]["stream"]), (&json!(true), &json!("stderr")));
    assert_eq!(log["lines"][0]["at"], json!(1_795_201_501_250_i64));
    let found = admin.get(&format!("{LOGS}?search=TROUBLE%202&stream=stderr&lines=3")).await.json();
    assert_eq!(texts(&found), ["Trouble 27", "Trouble 28", "Trouble 29"]);
    let none = admin.get(&format!("{LOGS}?search=nowhere")).await.json();
    assert_eq!((texts(&none).len(), &none["more"]), (0, &json!(false)));
    let all = admin.get(&format!("{LOGS}/download")).await;
    assert!(all.header("content-disposition").is_some_and(|d| d.contains("streaming.log")));
    let text = all.text();
    assert_eq!((text.lines().count(), text.contains("pl4nted")), (42, false), "two files and the newest: {text}");
    assert!(text.ends_with("Z stdout F the end\n"), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let (_staged, rig, admin) = served().await;
    let long = "x".repeat(300);
    for query in ["lines=0", "lines=5001", "lines=-1", "stream=both", &format!("search={long}"), "form=1", "cursor=1-1"]
    {
        let reply = admin.get(&format!("{LOGS}?{query}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{query}");
    }
    for query in ["cursor=x", "cursor=../../etc/passwd", "cursor=fffffffffffffffff-1", "lines=5"] {
        let reply = admin.get(&format!("{LOGS}/stream?{query}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{query}");
    }
    for id in ["none", "..", "%2e%2e", "a%2Fb"] {
        for rest in ["", "/stream", "/download"] {
            let reply = admin.get(&format!("/api/v1/services/{id}/logs{rest}")).await;
            assert_eq!(reply.status, 404, "{id}{rest}");
        }
    }
    for query in ["samples?step=1000", "samples?from=5&to=1", "timeline?limit=0", "samples?from=0&step=60000"] {
        assert_eq!(admin.get(&format!("/api/v1/services/streaming/{query}")).await.status, 400, "{query}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn output_is_followed_over_rotation_without_loss_and_without_secrets() {
    let (staged, rig, admin) = served().await;
    let cursor = admin.get(LOGS).await.json()["cursor"].as_str().expect("text").to_owned();
    // Before there is any output at all, and two hundred lines a piece.
    let mut stream = Stream::of(&admin, &format!("{LOGS}/stream?cursor={cursor}")).await;
    let mut seen = Vec::new();
    for n in 0..500 {
        staged.write("streaming", &[("stdout", &format!("line {n} pl4nted-secret-env"))]);
        if n % 120 == 119 {
            staged.rotate("streaming");
            while seen.len() <= n {
                seen.extend(texts(&stream.next("lines").await.expect("more lines")));
            }
        }
    }
    while seen.len() < 500 {
        seen.extend(texts(&stream.next("lines").await.expect("more lines")));
    }
    assert_eq!(seen, (0..500).map(|n| format!("line {n} ***")).collect::<Vec<_>>());
    // From a place in the middle, filtered.
    let middle = admin.get(&format!("{LOGS}?lines=3")).await.json()["lines"][0]["cursor"].clone();
    let middle = middle.as_str().expect("text");
    let mut stream = Stream::of(&admin, &format!("{LOGS}/stream?cursor={middle}&search=499")).await;
    assert_eq!(texts(&stream.next("lines").await.expect("one line")), ["line 499 ***"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_follower_that_goes_leaves_its_place_and_all_places_taken_is_busy() {
    let (staged, rig, admin) = served().await;
    staged.write("streaming", &[("stdout", "x")]);
    let mut open = Vec::new();
    for _ in 0..web::limits::LOG_FOLLOWERS {
        open.push(Stream::of(&admin, &format!("{LOGS}/stream")).await);
    }
    let reply = admin.get(&format!("{LOGS}/stream")).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"));
    drop(open);
    // A line makes the server notice that nobody reads any more.
    let freed = async {
        loop {
            staged.write("streaming", &[("stdout", "y")]);
            let mut stream = admin.open("GET", &format!("{LOGS}/stream"), &[], "").await;
            let mut head = [0; 12];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head).await.expect("an answer");
            if head.ends_with(b"200") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("places are free again");
    rig.stop().await;
}

#[tokio::test]
async fn a_follower_ends_with_the_service_and_with_its_session() {
    let (staged, rig, admin) = served().await;
    staged.write("streaming", &[("stdout", "x")]);
    let mut stream = Stream::of(&admin, &format!("{LOGS}/stream")).await;
    staged.board.send_modify(|board| std::sync::Arc::make_mut(board).units.clear());
    assert!(stream.any().await.is_none());
    rig.stop().await;
}

#[tokio::test]
async fn timelines_and_samples_come_from_the_history() {
    let (_staged, rig, admin) = served().await;
    let begin = model::time::UtcMs(now().0 / 60_000 * 60_000 - 600_000);
    let at = |minute: u64| begin.plus(std::time::Duration::from_secs(60 * minute));
    let end =
        RunEnd { exit: Exit::Code(3), at: at(1), ran_ms: 60_000, last_lines: vec!["pl4nted-secret-env".to_owned()] };
    let change = |minute, state, cause, end| UnitChange {
        at: at(minute),
        state,
        cause,
        reason: "because of pl4nted-secret-env".to_owned(),
        actor: Some("root".to_owned()),
        end,
    };
    let streaming = || id("streaming");
    let sample = |minute, memory| UnitSample {
        at: at(minute),
        cpu_avg: Some(10.0),
        cpu_max: Some(20.0 + minute as f64),
        memory_avg: memory,
        memory_max: memory,
        queue: vec![("pending".to_owned(), minute)],
        ..UnitSample::default()
    };
    let store = rig.handle.store();
    let rows = vec![
        Write::UnitChanged(streaming(), std::sync::Arc::new(change(0, State::Running, Cause::Ready, None))),
        Write::UnitChanged(streaming(), std::sync::Arc::new(change(1, State::BackingOff, Cause::Exit, Some(end)))),
        Write::UnitSample(streaming(), sample(0, 100)),
        Write::UnitSample(streaming(), sample(1, 300)),
    ];
    rows.into_iter().for_each(|row| assert!(store.record(row)));
    let flushed = store.clone();
    tokio::task::spawn_blocking(move || flushed.flush(PATIENCE)).await.expect("flushes");
    let reply = admin.get("/api/v1/services/streaming/timeline").await;
    assert!(!reply.text().contains("pl4nted"), "{}", reply.text());
    let rows = &reply.json()["rows"];
    assert_eq!((&rows[0]["state"], &rows[0]["end"]["exit_code"]), (&json!("backing_off"), &json!(3)));
    assert_eq!(
        (&rows[1]["cause"], &rows[1]["actor"], &rows[1]["end"]),
        (&json!("ready"), &json!("root"), &json!(null))
    );
    let one = admin.get("/api/v1/services/streaming/timeline?limit=1").await.json();
    assert_eq!(one["rows"].as_array().map(Vec::len), Some(1));
    let samples = admin.get("/api/v1/services/streaming/samples").await.json();
    assert_eq!((&samples["step_ms"], samples["rows"].as_array().map(Vec::len)), (&json!(null), Some(2)), "{samples}");
    assert_eq!(samples["rows"][1]["queue"], json!([{ "state": "pending", "count": 1 }]));
    let from = begin.0 - begin.0.rem_euclid(3_600_000);
    let hours = admin.get(&format!("/api/v1/services/streaming/samples?step=3600000&from={from}")).await.json();
    assert_eq!(hours["step_ms"], json!(3_600_000));
    assert!(hours["rows"].as_array().is_some_and(|rows| !rows.is_empty() && rows.len() <= 2), "{hours}");
    rig.stop().await;
}
