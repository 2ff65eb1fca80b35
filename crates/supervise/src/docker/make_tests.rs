//! Tests of what an engine is told: all of a specification, and nothing of a secret where others see it.

use std::time::Duration;

use model::secret::Secret;
use model::unit::spec::{Mount, Port};

use super::*;

fn spec() -> (UnitId, Create, Stop) {
    let create = Create {
        image: "testbed/busybox:1".to_owned(),
        pull: false,
        argv: vec!["sleep".to_owned(), "9".to_owned()],
        env: vec![("A".to_owned(), "b=c".to_owned())],
        secret_env: vec![("TOKEN".to_owned(), Secret::new("hunter2"))],
        mounts: vec![Mount { source: "/srv/in".into(), target: "/in".to_owned(), read_only: true }],
        ports: vec![Port { ip: [127, 0, 0, 1].into(), host: 8080, container: 80, protocol: "tcp" }],
        user: Some("1000:1000".to_owned()),
        cwd: Some("/in".to_owned()),
        network: Some("none".to_owned()),
        memory: Some(64 << 20),
        millicpus: Some(1500),
        pids: Some(20),
    };
    (UnitId::parse("streaming").expect("an id"), create, Stop { signal: "INT", grace: Duration::from_secs(30) })
}

#[test]
fn the_engine_is_told_everything() {
    let (id, create, stop) = spec();
    let body = body(&id, &create, &stop);
    for (at, value) in [
        ("/Image", json!("testbed/busybox:1")),
        ("/Cmd", json!(["sleep", "9"])),
        ("/Env", json!(["A=b=c", "TOKEN=hunter2"])),
        ("/User", json!("1000:1000")),
        ("/WorkingDir", json!("/in")),
        ("/StopSignal", json!("SIGINT")),
        ("/StopTimeout", json!(30)),
        ("/Labels/streampulse.unit", json!("streaming")),
        ("/ExposedPorts", json!({"80/tcp": {}})),
        ("/HostConfig/PortBindings", json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]})),
        ("/HostConfig/RestartPolicy/Name", json!("no")),
        ("/HostConfig/Mounts", json!([{"Type": "bind", "Source": "/srv/in", "Target": "/in", "ReadOnly": true}])),
        ("/HostConfig/Memory", json!(67_108_864)),
        ("/HostConfig/MemorySwap", json!(67_108_864)),
        ("/HostConfig/NanoCpus", json!(1_500_000_000)),
        ("/HostConfig/PidsLimit", json!(20)),
        ("/HostConfig/NetworkMode", json!("none")),
    ] {
        assert_eq!(body.pointer(at), Some(&value), "{at}");
    }
    assert!(!body["Labels"].to_string().contains("hunter2"));
    let args = arguments("name", &id, &create, &stop).join(" ");
    for part in [
        "create --restart no --name name",
        "--env A=b=c --env TOKEN --",
        "--mount type=bind,source=/srv/in,target=/in,readonly",
        "--publish 127.0.0.1:8080:80/tcp",
        "--cpus 1.500",
        "--memory-swap 67108864",
        "testbed/busybox:1 sleep 9",
    ] {
        assert!(args.contains(part), "{part:?} in {args}");
    }
    assert!(!args.contains("hunter2"));
}

#[test]
fn a_changed_specification_is_seen_and_a_strangers_container_too() {
    let (id, create, stop) = spec();
    let seen = |body: &Value| -> Inspect {
        let config = json!({ "Labels": body["Labels"], "Env": body["Env"] });
        let state = json!({ "Running": false });
        serde_json::from_value(json!({ "Id": "c", "Image": "sha256:1", "State": state, "Config": config }))
            .expect("good")
    };
    let made = seen(&body(&id, &create, &stop));
    assert!(is_ours(&made, &id) && is_same(&made, &create, &stop, Some("sha256:1")));
    assert!(!is_same(&made, &create, &stop, Some("sha256:2")), "another image under the same name");
    let mut secret = create.clone();
    secret.secret_env = vec![("TOKEN".to_owned(), Secret::new("hunter3"))];
    assert_eq!(fingerprint(&create, &stop), fingerprint(&secret, &stop), "no secret is in the label");
    assert!(!is_same(&made, &secret, &stop, None));
    let changed: [fn(&mut Create); 4] =
        [|c| c.argv.push("x".to_owned()), |c| c.memory = None, |c| c.ports.clear(), |c| c.env.clear()];
    for change in changed {
        let mut other = create.clone();
        change(&mut other);
        assert!(!is_same(&made, &other, &stop, None));
    }
    assert!(!is_ours(&made, &UnitId::parse("other").expect("an id")));
    assert!(!is_ours(&seen(&json!({ "Labels": {}, "Env": null })), &id));
}
