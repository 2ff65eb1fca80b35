//! The life of a container: made, started, measured, ended in every way, and found again.

use std::time::Duration;

use model::secret::Secret;
use model::unit::Exit;
use net::clock::SystemClock;
use net::http::Method;
use serde_json::json;

use model::time::Clock as _;

use supervise::backend::Backend as _;

use crate::support::{create, ended, found, refused, rig, start, until};

const KILLED: Exit = Exit::Signal { number: 9, out_of_memory: false };

#[tokio::test]
async fn a_container_is_made_runs_and_stops_when_asked() {
    let Some(rig) = rig() else { return };
    let docker = rig.docker();
    let mut unit = rig.unit(&["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"]);
    create(&mut unit).env = vec![("A".to_owned(), "b".to_owned())];
    create(&mut unit).secret_env = vec![("TOKEN".to_owned(), Secret::new("hunter2"))];
    create(&mut unit).memory = Some(64 << 20);
    create(&mut unit).pids = Some(50);
    create(&mut unit).millicpus = Some(1500);
    assert_eq!(found(&docker, &unit).await, ("nothing", None));
    let run = start(&docker, &unit).await;
    let identity = run.identity().clone();
    assert!(identity.pid > 1 && identity.start_ticks > 0 && !identity.boot_id.is_empty(), "{identity:?}");
    let age = SystemClock::new().utc().since(run.started_at());
    assert!(age < Duration::from_secs(20), "it began now, whatever zone this machine is in: {age:?}");
    let seen = rig.inspect().await;
    assert_eq!(Some(&seen["Id"]), identity.container.map(|id| json!(id)).as_ref());
    assert_eq!(seen["Config"]["Labels"]["streampulse.unit"], json!(rig.name));
    assert!(!seen["Config"]["Labels"].to_string().contains("hunter2"));
    assert_eq!(seen["HostConfig"]["RestartPolicy"]["Name"], "no");
    let (first, id) = (run.usage().await.expect("counters"), seen["Id"].clone());
    assert_eq!((first.cpu_percent, first.memory_limit), (None, Some(64 << 20)));
    assert!(first.memory_bytes > 10_000 && first.threads >= 1 && first.processes >= 1, "{first:?}");
    // The trap is set once it says so; a shell without it dies of the signal.
    until("it is up", async || !rig.inspect().await["State"]["Pid"].is_null() && logged(&rig).await.contains("up"))
        .await;
    run.stop(&unit.stop).await.expect("it is asked");
    let end = ended(&*run).await;
    assert_eq!((end.exit, end.started_at), (Exit::Code(7), run.started_at()));
    assert!(end.at >= end.started_at);
    assert_eq!(found(&docker, &unit).await, ("ended", Some(Exit::Code(7))), "until that is written down");
    docker.settle(&unit.id).await;
    assert_eq!(found(&docker, &unit).await, ("nothing", None));
    // The same again is the same container; another specification is another.
    let run = start(&docker, &unit).await;
    assert_eq!(Some(&id), run.identity().container.clone().map(|id| json!(id)).as_ref());
    run.kill().await.expect("it is killed");
    assert_eq!(ended(&*run).await.exit, KILLED);
    run.kill().await.expect("what is gone is no trouble");
    create(&mut unit).secret_env = vec![("TOKEN".to_owned(), Secret::new("hunter3"))];
    let run = start(&docker, &unit).await;
    assert_ne!(Some(&id), run.identity().container.clone().map(|id| json!(id)).as_ref());
    assert!(rig.inspect().await["Config"]["Env"].to_string().contains("hunter3"));
}

async fn logged(rig: &crate::support::Rig) -> String {
    let path = format!("/containers/{}/logs?stdout=1&stderr=1", rig.name);
    let request = net::unix::Request::new(Method::GET, path);
    let mut reply = net::unix::send(&rig.socket, &request, crate::support::SOON).await.expect("the engine answers");
    let (bytes, _) = reply.body.read_up_to(1 << 16).await.expect("a log");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn what_ignores_the_signal_is_killed_after_the_grace() {
    let Some(rig) = rig() else { return };
    let docker = rig.docker();
    let mut unit = rig.unit(&["sh", "-c", "trap '' TERM INT; while :; do sleep 0.1; done"]);
    for (signal, grace) in [("TERM", 1), ("INT", 2)] {
        unit.stop.signal = signal;
        unit.stop.grace = Duration::from_secs(grace);
        let run = start(&docker, &unit).await;
        let asked = tokio::time::Instant::now();
        run.stop(&unit.stop).await.expect("it is asked");
        assert!(asked.elapsed() < Duration::from_secs(grace), "asking does not wait for the end");
        assert_eq!(ended(&*run).await.exit, KILLED);
        assert!(asked.elapsed() >= Duration::from_secs(grace), "it had its grace");
    }
    // A signal that is not the container's own, at an engine whose stop takes none or does.
    let other = model::unit::spec::Stop { signal: "HUP", grace: Duration::from_secs(20) };
    let run = start(&docker, &unit).await;
    run.stop(&other).await.expect("it is asked");
    // Nobody ignores it, but the first process of a container only gets what it handles.
    run.kill().await.expect("it is killed");
    assert_eq!(ended(&*run).await.exit, KILLED);
}

#[tokio::test]
async fn ends_are_known_also_when_nobody_watched() {
    let Some(rig) = rig() else { return };
    let unit = rig.unit(&["sh", "-c", "sleep 0.3; exit 3"]);
    // StreamPulse is gone as soon as the container runs.
    drop(start(&rig.docker(), &unit).await);
    until("it ended", async || rig.inspect().await["State"]["Running"] == false).await;
    let docker = rig.docker();
    assert_eq!(found(&docker, &unit).await, ("ended", Some(Exit::Code(3))));
    assert_eq!(found(&rig.docker(), &unit).await, ("ended", Some(Exit::Code(3))), "until it is settled");
    docker.settle(&unit.id).await;
    assert_eq!(found(&rig.docker(), &unit).await, ("nothing", None));
    // One that still runs is ours again, and its end is seen.
    let unit = rig.unit(&["sleep", "600"]);
    let before = start(&docker, &unit).await.identity().clone();
    let docker = rig.docker();
    let supervise::backend::Found::Running(run) =
        supervise::backend::Backend::adopt(&docker, &unit).await.expect("an answer")
    else {
        panic!("it runs")
    };
    assert_eq!(*run.identity(), before);
    rig.ask(Method::POST, &format!("/containers/{}/kill", rig.name), None).await;
    assert_eq!(ended(&*run).await.exit, KILLED);
    // Removed by somebody while nobody watched.
    drop(start(&docker, &unit).await);
    rig.ask(Method::DELETE, &format!("/containers/{}?force=1", rig.name), None).await;
    assert_eq!(found(&rig.docker(), &unit).await, ("ended", Some(Exit::Unseen)));
    docker.settle(&unit.id).await;
    assert_eq!(found(&rig.docker(), &unit).await, ("nothing", None));
}

#[tokio::test]
async fn want_of_memory_is_told_as_such() {
    let Some(rig) = rig() else { return };
    let mut unit = rig.unit(&["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]);
    create(&mut unit).memory = Some(16 << 20);
    let run = start(&rig.docker(), &unit).await;
    assert_eq!(ended(&*run).await.exit, Exit::Signal { number: 9, out_of_memory: true });
}

#[tokio::test]
async fn processor_time_is_percent_of_one_core() {
    let Some(rig) = rig() else { return };
    let run = start(&rig.docker(), &rig.unit(&["sh", "-c", "while :; do :; done"])).await;
    run.usage().await.expect("counters");
    let mut percent = 0.0;
    let end = tokio::time::Instant::now() + crate::support::SOON;
    while percent < 5.0 && tokio::time::Instant::now() < end {
        percent = run.usage().await.expect("counters").cpu_percent.unwrap_or(0.0);
    }
    // One loop can have one core at most; other tests take their share.
    assert!((5.0..130.0).contains(&percent), "{percent}");
}

#[tokio::test]
async fn a_container_of_others_is_controlled_and_its_health_told() {
    let Some(rig) = rig() else { return };
    let (docker, unit) = (rig.docker(), rig.launch(None));
    let refusal = refused(&docker, &unit).await;
    assert!(refusal.words.contains(&format!("there is no container {}", rig.name)), "{refusal}");
    let second = 1_000_000_000_u64;
    let health =
        json!({ "Test": ["CMD-SHELL", "test ! -f /tmp/sick"], "Interval": second, "Timeout": second, "Retries": 1 });
    let body = json!({ "Image": crate::support::IMAGE, "Healthcheck": health, "HostConfig": { "NetworkMode": "none" },
        "Cmd": ["sh", "-c", "trap 'touch /tmp/sick' USR1; while :; do sleep 0.1; done"] });
    let (status, made) = rig.ask(Method::POST, &format!("/containers/create?name={}", rig.name), Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let run = start(&docker, &unit).await;
    assert_eq!(run.identity().container.as_deref(), made["Id"].as_str());
    until("it is healthy", async || run.healthy().await == Some(true)).await;
    rig.ask(Method::POST, &format!("/containers/{}/kill?signal=USR1", rig.name), None).await;
    until("it is unhealthy", async || run.healthy().await == Some(false)).await;
    run.kill().await.expect("it is killed");
    ended(&*run).await;
    assert_eq!(run.healthy().await, Some(false), "what the engine said last");
    assert_eq!(rig.inspect().await["Id"], made["Id"], "it is never removed");
}
