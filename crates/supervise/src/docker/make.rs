//! How a container is made: what the engine is told, and whether one that is there is the one that was asked for. Owns the labels
//! by which ours are known; asks nothing.

use std::fmt::Write as _;

use model::unit::UnitId;
use model::unit::spec::{Create, Stop};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Inspect;

/// Says whose container it is. One without it, or with another unit's, is never removed.
pub(super) const UNIT_LABEL: &str = "streampulse.unit";
/// Says what it was made of, as a hash without the values of secrets.
pub(super) const SPEC_LABEL: &str = "streampulse.spec";

/// The body of `POST /containers/create`.
pub(super) fn body(id: &UnitId, create: &Create, stop: &Stop) -> Value {
    let mut body = without_secrets(create, stop);
    let env = environment(create);
    if let Some(body) = body.as_object_mut() {
        let labels = json!({ UNIT_LABEL: id.as_str(), SPEC_LABEL: fingerprint(create, stop) });
        body.insert("Labels".to_owned(), labels);
        body.insert("Env".to_owned(), json!(env));
    }
    body
}

/// All of its environment, values of secrets too.
pub(super) fn environment(create: &Create) -> Vec<String> {
    let open = create.env.iter().map(|(name, value)| format!("{name}={value}"));
    let secret = create.secret_env.iter().map(|(name, value)| format!("{name}={}", value.expose()));
    open.chain(secret).collect()
}

fn without_secrets(create: &Create, stop: &Stop) -> Value {
    let (mut exposed, mut bindings) = (Map::new(), Map::new());
    for port in &create.ports {
        let key = format!("{}/{}", port.container, port.protocol);
        exposed.insert(key.clone(), json!({}));
        let binding = json!({ "HostIp": port.ip.to_string(), "HostPort": port.host.to_string() });
        if let Some(list) = bindings.entry(key).or_insert_with(|| json!([])).as_array_mut() {
            list.push(binding);
        }
    }
    let mounts: Vec<Value> = create.mounts.iter().map(|mount| {
        json!({ "Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only })
    }).collect();
    let mut host = json!({
        // We start it again ourselves; two who do would not agree.
        "RestartPolicy": { "Name": "no" },
        "Mounts": mounts,
        "PortBindings": bindings,
        "Memory": create.memory.unwrap_or(0),
        "NanoCpus": create.millicpus.unwrap_or(0).saturating_mul(1_000_000),
    });
    if let (Some(host), Some(memory)) = (host.as_object_mut(), create.memory) {
        // Without it the engine allows as much swap again, and the limit limits nothing that matters.
        host.insert("MemorySwap".to_owned(), json!(memory));
    }
    if let (Some(host), Some(pids)) = (host.as_object_mut(), create.pids) {
        host.insert("PidsLimit".to_owned(), json!(pids));
    }
    if let (Some(host), Some(network)) = (host.as_object_mut(), &create.network) {
        host.insert("NetworkMode".to_owned(), json!(network));
    }
    let mut body = json!({
        "Image": create.image,
        "User": create.user.as_deref().unwrap_or_default(),
        "WorkingDir": create.cwd.as_deref().unwrap_or_default(),
        "StopSignal": format!("SIG{}", stop.signal),
        "StopTimeout": stop.grace.as_secs(),
        "ExposedPorts": exposed,
        "HostConfig": host,
    });
    if let (Some(body), false) = (body.as_object_mut(), create.argv.is_empty()) {
        body.insert("Cmd".to_owned(), json!(create.argv));
    }
    body
}

/// A hash of everything but the values of secrets: it stands in a label, which everybody sees who may ask the engine.
pub(super) fn fingerprint(create: &Create, stop: &Stop) -> String {
    let names: Vec<&str> = create.secret_env.iter().map(|(name, _)| name.as_str()).collect();
    let document = json!([without_secrets(create, stop), create.env, names]);
    let digest = Sha256::digest(document.to_string().as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the container is this unit's.
pub(super) fn is_ours(seen: &Inspect, id: &UnitId) -> bool {
    seen.label(UNIT_LABEL) == Some(id.as_str())
}

/// Whether the container is what is asked for: made of the same specification, of the same image (`None`: not known), and with
/// the same secrets in its environment.
pub(super) fn is_same(seen: &Inspect, create: &Create, stop: &Stop, image: Option<&str>) -> bool {
    let env = seen.config.env.as_deref().unwrap_or_default();
    seen.label(SPEC_LABEL) == Some(&fingerprint(create, stop))
        && image.is_none_or(|image| seen.image.is_empty() || seen.image == image)
        && environment(create).iter().all(|pair| env.contains(pair))
}

/// The arguments of `docker create`. Values of secrets are left out: they go by the environment of the command itself.
pub(super) fn arguments(name: &str, id: &UnitId, create: &Create, stop: &Stop) -> Vec<String> {
    let mut args: Vec<String> = ["create", "--restart", "no", "--name", name].map(str::to_owned).to_vec();
    let mut add = |option: &str, value: String| args.extend([option.to_owned(), value]);
    add("--label", format!("{UNIT_LABEL}={id}"));
    add("--label", format!("{SPEC_LABEL}={}", fingerprint(create, stop)));
    add("--stop-signal", format!("SIG{}", stop.signal));
    add("--stop-timeout", stop.grace.as_secs().to_string());
    for (name, value) in &create.env {
        add("--env", format!("{name}={value}"));
    }
    for (name, _) in &create.secret_env {
        add("--env", name.clone());
    }
    for mount in &create.mounts {
        let read_only = if mount.read_only { ",readonly" } else { "" };
        add("--mount", format!("type=bind,source={},target={}{read_only}", mount.source.display(), mount.target));
    }
    for port in &create.ports {
        let ip = if port.ip.is_ipv6() { format!("[{}]", port.ip) } else { port.ip.to_string() };
        add("--publish", format!("{ip}:{}:{}/{}", port.host, port.container, port.protocol));
    }
    let mut option =
        |option: &str, value: Option<String>| args.extend(value.into_iter().flat_map(|v| [option.to_owned(), v]));
    option("--user", create.user.clone());
    option("--workdir", create.cwd.clone());
    option("--network", create.network.clone());
    option("--memory", create.memory.map(|bytes| bytes.to_string()));
    option("--memory-swap", create.memory.map(|bytes| bytes.to_string()));
    option("--cpus", create.millicpus.map(|milli| format!("{}.{:03}", milli / 1000, milli % 1000)));
    option("--pids-limit", create.pids.map(|pids| pids.to_string()));
    args.push(create.image.clone());
    args.extend(create.argv.iter().cloned());
    args
}

#[cfg(test)]
#[path = "make_tests.rs"]
mod tests;
