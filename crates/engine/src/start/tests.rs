//! The engine with the real probes against peers of its own on loopback, in real time. Tests only.

use std::path::Path;

use model::fault::FaultKind;
use model::status::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::testing::id;

const SECOND: Duration = Duration::from_secs(1);

/// A peer that answers every request with 200 and one byte, or accepts and never answers. Answers its port.
async fn peer(tasks: &Tasks, answers: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let owner = tasks.clone();
    tasks.spawn("peer", async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if !answers {
                held.push(stream);
                continue;
            }
            owner.spawn("connection", async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx").await;
            });
        }
    });
    port
}

async fn start(folder: &Path, text: &str) -> (Engine, Handle) {
    let file = folder.join("streampulse.yaml");
    std::fs::write(&file, text).expect("writable");
    let clock: Arc<dyn Clock> = Arc::new(net::clock::SystemClock::new());
    let store = crate::testing::store(folder, Arc::clone(&clock));
    let (env, overrides) = (Arc::new(|_: &str| None), Overrides::default());
    let start = Start {
        config_file: ConfigFile::new(&file),
        store,
        clock,
        env,
        overrides,
        sinks: Default::default(),
        supervision: None,
    };
    let (engine, handle, config) = Engine::start(start).await.expect("it starts");
    assert_eq!(config.targets.len(), handle.now().targets.len());
    (engine, handle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_looks_reach_the_board_and_the_history() {
    let (tasks, folder) = (Tasks::new(), tempfile::tempdir().expect("a folder"));
    let (good, hole) = (peer(&tasks, true).await, peer(&tasks, false).await);
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let text = format!(
        "defaults: {{ interval: 2s, timeout: 500ms, retries: 0 }}\ntargets:\n\
         \x20 - {{ name: good, url: \"http://127.0.0.1:{good}/\" }}\n\
         \x20 - {{ name: hole, url: \"http://planted:s3cr3t@127.0.0.1:{hole}/\" }}\n\
         \x20 - {{ name: closed, url: \"http://127.0.0.1:{closed}/\" }}\n"
    );
    let (engine, handle) = start(folder.path(), &text).await;
    let mut board = handle.board();
    let all = board.wait_for(|b| b.targets.iter().all(|t| !t.beats.is_empty()));
    let board = Arc::clone(&tokio::time::timeout(SECOND * 20, all).await.expect("in time").expect("it runs"));
    let of = |name: &str| {
        let t = board.get(&id(name)).expect("there");
        (t.state.status, t.last.as_ref().and_then(|o| o.look.fault.as_ref()).map(|f| f.kind))
    };
    assert_eq!(of("good"), (Status::Up, None));
    assert_eq!(of("hole"), (Status::Down, Some(FaultKind::TimedOut)));
    assert_eq!(of("closed"), (Status::Down, Some(FaultKind::Refused)));
    assert!(!format!("{board:?}").contains("s3cr3t"), "a password on the Board");

    let seen = handle.test_now(&id("good")).await.expect("looked");
    assert_eq!(seen.look.fault, None);
    handle.pause(&id("closed")).await.expect("paused");
    engine.stop(SECOND * 5).await;
    assert_eq!(handle.test_now(&id("good")).await.err(), Some(crate::handle::CommandError::Stopping));
    let changes = handle.store().changes(&id("closed"), model::time::UtcMs(0), model::time::UtcMs(i64::MAX), 10);
    let to: Vec<_> = changes.expect("readable").iter().map(|c| c.change.to).collect();
    assert!(to.contains(&Status::Down) && to.contains(&Status::Paused), "{to:?}");
    tasks.stop(Duration::ZERO).await;
}
