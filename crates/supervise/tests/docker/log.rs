//! What a container prints arrives once, in order, whatever is restarted meanwhile.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use supervise::backend::Launch;
use supervise::docker::{Docker, Keep, Keeper, Record};

use crate::engine::Engine;
use crate::support::{Rig, ended, found, rig, start, until};

/// A log in memory that outlives the StreamPulse that writes it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Record>>>);

impl Keep for Log {
    fn last(&self, stderr: bool) -> Option<(Timestamp, usize)> {
        let records = self.0.lock().expect("no panic");
        let mut newest = records.iter().rev().filter(|record| record.stderr == stderr);
        let at = newest.next()?.at;
        Some((at, 1 + newest.take_while(|record| record.at == at).count()))
    }

    fn keep(&mut self, records: &[Record]) -> std::io::Result<()> {
        self.0.lock().expect("no panic").extend_from_slice(records);
        Ok(())
    }
}

impl Log {
    fn of(&self, docker: Docker) -> Docker {
        let log = self.clone();
        let keeper: Keeper = Arc::new(move |_: &Launch, _: &Path| Ok(Box::new(log.clone())));
        docker.keeping(keeper)
    }

    fn lines(&self) -> Vec<String> {
        let text = |record: &Record| String::from_utf8_lossy(&record.text).into_owned();
        self.0.lock().expect("no panic").iter().map(text).collect()
    }
}

#[tokio::test]
async fn both_outputs_are_kept_and_go_on_after_a_restart_of_ours() {
    let Some(rig) = rig() else { return };
    let log = Log::default();
    let docker = log.of(rig.docker());
    // Each line in one write; one is longer than the engine's own pieces.
    let script = "i=0; while [ $i -lt 20 ]; do echo $i; echo e$i >&2; i=$((i+1)); done; seq -s, 1 8000; \
                  while [ ! -f /tmp/go ]; do sleep 0.05; done; echo last";
    let unit = rig.unit(&["sh", "-c", script]);
    let run = start(&docker, &unit).await;
    until("the long line is there", async || log.0.lock().expect("no panic").iter().any(|r| !r.whole)).await;
    until("all of it", async || log.lines().iter().any(|line| line.ends_with(",8000"))).await;
    // StreamPulse is gone and comes back; nothing comes twice.
    drop((run, docker));
    let docker = log.of(rig.docker());
    assert_eq!(found(&docker, &unit).await.0, "running");
    let supervise::backend::Found::Running(run) =
        supervise::backend::Backend::adopt(&docker, &unit).await.expect("an answer")
    else {
        panic!("it runs")
    };
    run.kill().await.expect("it is killed");
    ended(&*run).await;
    let records = log.0.lock().expect("no panic").clone();
    let of = |stderr: bool| {
        let some = records.iter().filter(move |record| record.stderr == stderr);
        some.map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(true), (0..20).map(|n| format!("e{n}")).collect::<Vec<_>>());
    let out = of(false);
    assert_eq!(out[..20], (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    let long: Vec<String> = (1..=8000).map(|n: u32| n.to_string()).collect();
    assert_eq!(out[20..].concat(), long.join(","));
}

#[tokio::test]
async fn a_log_goes_on_after_a_restart_of_the_engine_and_is_whole_at_the_end() {
    let Some(mut engine) = Engine::start(true).await else { return };
    let rig = Rig::at(&engine.socket());
    let log = Log::default();
    let docker = log.of(rig.docker());
    let unit = rig.unit(&["sh", "-c", "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.05; done; exit 4"]);
    let run = start(&docker, &unit).await;
    until("it prints", async || log.lines().len() > 3).await;
    engine.end(Signal::TERM).await;
    engine.begin().await;
    let end = tokio::time::timeout(Duration::from_secs(60), run.ended()).await.expect("it ends");
    assert_eq!(end.exit, model::unit::Exit::Code(4));
    assert_eq!(log.lines(), (0..60).map(|n| n.to_string()).collect::<Vec<_>>());
}
