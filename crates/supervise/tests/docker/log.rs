//! What a container prints arrives once, in order, whatever is restarted meanwhile.

use std::time::Duration;

use rustix::process::Signal;
use supervise::logs::{Logs, Wanted};

use crate::engine::Engine;
use crate::support::{Rig, create, ended, found, rig, start, until};

/// Lines of the unit's own log.
fn lines(rig: &Rig, stderr: bool) -> Vec<String> {
    let wanted = Wanted { stderr: Some(stderr), ..Wanted::default() };
    let newest = Logs::new(rig.folder.path().join(&rig.name)).newest(&wanted, 1000).expect("readable");
    newest.into_iter().map(|line| line.text).collect()
}

#[tokio::test]
async fn both_outputs_are_kept_and_go_on_after_a_restart_of_ours() {
    let Some(rig) = rig() else { return };
    let docker = rig.docker();
    // Each line in one write; one is longer than the engine's own pieces.
    let script = "i=0; while [ $i -lt 20 ]; do echo $i; echo e$i >&2; i=$((i+1)); done; seq -s, 1 8000; \
                  echo pass=$TOKEN; while [ ! -f /tmp/go ]; do sleep 0.05; done; echo last";
    let mut unit = rig.unit(&["sh", "-c", script]);
    create(&mut unit).secret_env = vec![("TOKEN".to_owned(), model::secret::Secret::new("hunter2"))];
    let run = start(&docker, &unit).await;
    until("all of it", async || lines(&rig, false).len() == 22 && lines(&rig, true).len() == 20).await;
    // StreamPulse is gone and comes back; nothing comes twice.
    drop((run, docker));
    let docker = rig.docker();
    assert_eq!(found(&docker, &unit).await.0, "running");
    let supervise::backend::Found::Running(run) =
        supervise::backend::Backend::adopt(&docker, &unit).await.expect("an answer")
    else {
        panic!("it runs")
    };
    run.kill().await.expect("it is killed");
    ended(&*run).await;
    let mut expected: Vec<String> = (0..20).map(|n| format!("e{n}")).collect();
    assert_eq!(lines(&rig, true), expected);
    expected = (0..20).map(|n| n.to_string()).collect();
    // One long line, which the engine hands over in parts.
    expected.push((1..=8000).map(|n: u32| n.to_string()).collect::<Vec<_>>().join(","));
    expected.push("pass=***".to_owned());
    assert_eq!(lines(&rig, false), expected);
}

#[tokio::test]
async fn a_log_goes_on_after_a_restart_of_the_engine_and_is_whole_at_the_end() {
    let Some(mut engine) = Engine::start(true).await else { return };
    let rig = Rig::at(&engine.socket());
    let docker = rig.docker();
    let unit = rig.unit(&["sh", "-c", "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.05; done; exit 4"]);
    let run = start(&docker, &unit).await;
    until("it prints", async || lines(&rig, false).len() > 3).await;
    engine.end(Signal::TERM).await;
    engine.begin().await;
    let end = tokio::time::timeout(Duration::from_secs(60), run.ended()).await.expect("it ends");
    assert_eq!(end.exit, model::unit::Exit::Code(4));
    assert_eq!(lines(&rig, false), (0..60).map(|n| n.to_string()).collect::<Vec<_>>());
}
