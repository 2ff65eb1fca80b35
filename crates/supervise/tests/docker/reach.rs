//! Whether an engine can be reached: none there, none that we may ask, by the command, and restarted underneath.

use std::path::PathBuf;
use std::time::Duration;

use model::unit::Exit;
use model::unit::spec::Stop;
use rustix::process::Signal;
use supervise::backend::Backend as _;
use supervise::docker::Places;

use crate::engine::Engine;
use crate::support::{Rig, ended, found, refused, rig, start};

fn nowhere() -> Places {
    let none = PathBuf::from("/nonexistent/docker.sock");
    Places { host: None, sockets: vec![none], command: None, inside: false, compose: None }
}

#[tokio::test]
async fn where_no_engine_is_that_is_told_with_what_to_do() {
    let rig = Rig::at("/nonexistent/docker.sock".as_ref());
    let unit = rig.unit(&["sleep", "600"]);
    let inside = Places { inside: true, ..nowhere() };
    let compose = Places { compose: Some("/srv/compose.yaml".into()), ..nowhere() };
    let remote = Places { host: Some("tcp://192.0.2.1:2375".to_owned()), ..nowhere() };
    let broken = Places { command: Some("/bin/false".into()), ..nowhere() };
    for (places, words) in [
        (nowhere(), "name its socket"),
        (inside, "mount the engine's socket"),
        (compose, "/srv/compose.yaml lies here"),
        (remote, "left to the docker command"),
        (broken, "/bin/false"),
    ] {
        let refusal = refused(&rig.docker_at(places), &unit).await;
        assert!(refusal.no_engine && refusal.passing && refusal.words.contains(words), "{refusal}");
    }
    // A socket on which nobody listens: an engine that was killed, whose containers may still run.
    let left = rig.folder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    let refusal = refused(&rig.docker_at(Places { sockets: vec![left], ..nowhere() }), &unit).await;
    assert!(!refusal.no_engine && refusal.passing && refusal.words.contains("nobody listens"), "{refusal}");
}

#[tokio::test]
async fn the_command_serves_where_the_socket_does_not() {
    let Some(rig) = rig() else { return };
    let Some(program) = Places::usual(rig.folder.path()).command else {
        eprintln!("SKIPPED: no docker command");
        return;
    };
    // As people have it who may ask the engine by sudo only.
    let wrapper = rig.folder.path().join("docker");
    let text = format!("#!/bin/sh\nexec {} --host unix://{} \"$@\"\n", program.display(), rig.socket.display());
    std::fs::write(&wrapper, text).expect("our folder");
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("our file");
    let docker = rig.docker_at(Places { command: Some(wrapper), ..nowhere() });
    let mut unit = rig.unit(&["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"]);
    crate::support::create(&mut unit).secret_env = vec![("TOKEN".to_owned(), model::secret::Secret::new("hunter2"))];
    let run = start(&docker, &unit).await;
    assert!(rig.inspect().await["Config"]["Env"].to_string().contains("TOKEN=hunter2"));
    let usage = run.usage().await.expect("what the command prints");
    assert!(usage.memory_bytes > 10_000 && usage.processes >= 1 && usage.cpu_percent.is_some(), "{usage:?}");
    run.stop(&unit.stop).await.expect("it is asked");
    assert!(matches!(ended(&*run).await.exit, Exit::Code(5) | Exit::Signal { number: 15, .. }));
    docker.settle(&unit.id).await;
    assert_eq!(found(&docker, &unit).await, ("nothing", None));
    let unit = rig.launch(None);
    let run = start(&docker, &unit).await;
    run.kill().await.expect("it is killed");
    run.kill().await.expect("what is gone is no trouble");
    assert_eq!(ended(&*run).await.exit, Exit::Signal { number: 9, out_of_memory: false });
    let mut missing = rig.unit(&["true"]);
    crate::support::create(&mut missing).image = "testbed/nosuch:1".to_owned();
    let refusal = refused(&docker, &missing).await;
    assert!(refusal.words.contains("testbed/nosuch:1 is not there"), "{refusal}");
}

#[tokio::test]
async fn a_container_survives_its_engine_where_that_lets_it() {
    let Some(mut engine) = Engine::start(true).await else { return };
    let rig = Rig::at(&engine.socket());
    let docker = rig.docker();
    let unit = rig.unit(&["sleep", "600"]);
    let run = start(&docker, &unit).await;
    for signal in [Signal::TERM, Signal::KILL] {
        let mut end = Box::pin(run.ended());
        let restart = async {
            engine.end(signal).await;
            assert!(run.usage().await.is_err(), "nobody counts");
            engine.begin().await;
        };
        tokio::select! {
            end = &mut end => panic!("it runs on, but {end:?}"),
            () = restart => {}
        }
        assert!(run.usage().await.is_ok_and(|usage| usage.memory_bytes > 0));
    }
    run.stop(&Stop { signal: "TERM", grace: Duration::from_secs(1) }).await.expect("it is asked");
    assert_eq!(ended(&*run).await.exit, Exit::Signal { number: 9, out_of_memory: false });
}

#[tokio::test]
async fn a_container_that_ends_with_its_engine_is_seen_to_end() {
    let Some(mut engine) = Engine::start(false).await else { return };
    let rig = Rig::at(&engine.socket());
    let docker = rig.docker();
    let mut unit = rig.unit(&["sleep", "600"]);
    unit.stop.grace = Duration::from_secs(1);
    // Asked to end, it ends its containers in good order. Killed, it finds them when it comes back, and ends them then.
    for (signal, exits) in [
        (Signal::TERM, [Exit::Signal { number: 9, out_of_memory: false }; 2]),
        (Signal::KILL, [Exit::Signal { number: 9, out_of_memory: false }, Exit::Unseen]),
    ] {
        let run = start(&docker, &unit).await;
        let restart = async {
            engine.end(signal).await;
            engine.begin().await;
        };
        let (end, ()) = tokio::join!(ended(&*run), restart);
        assert!(exits.contains(&end.exit), "{:?}", end.exit);
        docker.settle(&unit.id).await;
        assert_eq!(found(&docker, &unit).await, ("nothing", None));
    }
}

/// What the test of the socket that may not be opened does as somebody else.
const AS_NOBODY: &str = "DOCKER_TEST_AS_NOBODY";

#[tokio::test]
async fn a_socket_that_may_not_be_opened_is_told_with_user_group_and_remedy() {
    if let Some(socket) = std::env::var_os(AS_NOBODY) {
        let rig = Rig::at(socket.as_ref());
        let refusal = refused(&rig.docker(), &rig.unit(&["sleep", "600"])).await;
        println!("{} {refusal}", refusal.no_engine);
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can try what others may not do");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660)).expect("our file");
    // This program where everybody can run it: folders above the repository may be closed.
    let program = folder.path().join("tests");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("our folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("our folder");
    let mut command = std::process::Command::new(&program);
    let name = "reach::a_socket_that_may_not_be_opened_is_told_with_user_group_and_remedy";
    command.args(["--exact", name, "--nocapture"]).env(AS_NOBODY, &socket).uid(65534).gid(65534);
    let said = command.current_dir("/").output().expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for part in ["false no container engine", "the user nobody may not open", "group root", "usermod -aG root nobody"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}
