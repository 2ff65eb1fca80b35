//! What runs: the sections `process` and `docker`. Whether a program or folder is there is asked and told as a warning: it
//! may come later, and who checks the file need not be who runs it.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use model::conf::Section;
use model::secret::Secret;
use model::unit::spec::{Container, Create, Limit, Mount, Owner, Port, Process};
use probe::commands::is_variable;

use super::super::tree::Item;
use super::fields::{CREATE, DOCKER, LIMITS, MOUNT, PORT, PROCESS, PROTOCOLS};
use super::part::Reader;

/// Permission bits of which one makes a file a program.
const ANY_EXECUTE: u32 = 0o111;
/// Greatest `umask`.
const MAX_UMASK: u32 = 0o777;

/// Reads the section `process`.
pub(super) fn process(reader: &mut Reader<'_>, unit: &Item, path: &str) -> Option<Process> {
    let item = unit.get("process").filter(|item| item.is_map())?;
    let here = format!("{path}.process");
    reader.section(unit, path, "process", &PROCESS, |reader, section| {
        let before = reader.problems.len();
        let argv = section.texts("argv");
        program(reader, section, &argv);
        let cwd = reader.path_at(section, "cwd");
        if let Some(cwd) = cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
            reader.warn(
                section,
                "cwd",
                format!("there is no folder {}", cwd.display()),
                "make it before the service starts",
            );
        }
        let (env, secret_env) = environment(reader, section);
        let user = owner(reader, section);
        let umask = umask(reader, section);
        let pid_file = section.node("pid_file").and_then(|_| reader.path_at(section, "pid_file"));
        let limits = limits(reader, item, &here);
        (reader.problems.len() == before)
            .then(|| Some(Process { argv, cwd: cwd?, env, secret_env, user, umask, limits, pid_file }))?
    })
}

fn program(reader: &mut Reader<'_>, section: &Section<'_>, argv: &[String]) {
    const REMEDY: &str = "write its whole path, such as /usr/local/bin/converter";
    let Some(program) = argv.first() else {
        if section.node("argv").is_some() {
            reader.wrong(section, "argv", "there is no program", REMEDY);
        }
        return;
    };
    if !program.starts_with('/') || program.contains(['{', '}']) {
        reader.wrong(section, "argv", format!("{program:?} is no whole path of a program"), REMEDY);
        return;
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        reader.wrong(section, "argv", "an argument holds a null character", "take it out");
    }
    if let Some(why) = not_a_program(Path::new(program)) {
        reader.warn(
            section,
            "argv",
            format!("{program} cannot be run: {why}"),
            "the service does not start before that is mended",
        );
    }
}

/// Why a file cannot be run, as far as can be said without being its user.
fn not_a_program(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(error.to_string()),
        Ok(data) if data.is_dir() => Some("it is a folder".to_owned()),
        Ok(data) if data.permissions().mode() & ANY_EXECUTE == 0 => Some("it is not executable".to_owned()),
        Ok(_) => None,
    }
}

/// Variables, and variables whose values are secret.
type Environment = (Vec<(String, String)>, Vec<(String, Secret)>);

fn environment(reader: &mut Reader<'_>, section: &Section<'_>) -> Environment {
    let (env, secret_env) = (section.pairs("env"), section.pairs("secret_env"));
    for (key, pairs) in [("env", &env), ("secret_env", &secret_env)] {
        for (name, value) in pairs {
            if !is_variable(name) {
                reader.wrong(section, key, format!("{name:?} cannot name a variable"), "letters, digits and `_`");
            } else if value.contains('\0') {
                reader.wrong(section, key, format!("the value of {name} holds a null character"), "take it out");
            }
        }
    }
    for (name, _) in secret_env.iter().filter(|(name, _)| env.iter().any(|(other, _)| other == name)) {
        reader.wrong(section, "secret_env", format!("{name} stands in env too"), "keep it in secret_env alone");
    }
    (env, secret_env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

fn owner(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Owner> {
    let Some(user) = section.text("user") else {
        for key in ["run_group", "more_groups"].into_iter().filter(|key| section.node(key).is_some()) {
            reader.wrong(section, key, format!("{key} without user"), "give the user too");
        }
        return None;
    };
    let more = section.node("more_groups").map(|_| section.texts("more_groups"));
    match reader.names.owner(&user, section.text("run_group").as_deref(), more.as_deref()) {
        Ok(owner) => {
            // Who owns our own entry in /proc is who we are.
            let ours = fs::metadata("/proc/self").map_or(0, |data| data.uid());
            if ours != 0 && ours != owner.uid {
                let message = format!("only root may start a process as another user, and this is user {ours}");
                reader.warn(section, "user", message, "run StreamPulse as root, or as this user and take the key away");
            }
            Some(owner)
        }
        Err((key, message)) => {
            reader.wrong(section, key, message, "a name of /etc/passwd or /etc/group, or a number");
            None
        }
    }
}

fn umask(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<u32> {
    let text = section.text("umask")?;
    let umask = u32::from_str_radix(&text, 8).ok().filter(|mask| *mask <= MAX_UMASK);
    if umask.is_none() {
        reader.wrong(section, "umask", format!("{text:?} is no umask"), "octal digits, such as 027");
    }
    umask
}

fn limits(reader: &mut Reader<'_>, process: &Item, path: &str) -> Vec<(Limit, u64)> {
    reader.section(process, path, "limits", &LIMITS, |_, section| {
        let value = |limit: &Limit| {
            let key = limit.as_str();
            section.node(key)?;
            match limit {
                Limit::OpenFiles | Limit::Processes => section.integer(key).and_then(|n| u64::try_from(n).ok()),
                Limit::CpuTime => section.duration(key).map(|d| d.as_secs().max(1)),
                Limit::AddressSpace | Limit::Core | Limit::FileSize | Limit::LockedMemory => section.size(key),
            }
        };
        Limit::ALL.iter().filter_map(|limit| Some((*limit, value(limit)?))).collect()
    })
}

/// Reads the section `docker`.
pub(super) fn container(reader: &mut Reader<'_>, unit: &Item, path: &str) -> Option<Container> {
    let item = unit.get("docker").filter(|item| item.is_map())?;
    let here = format!("{path}.docker");
    reader.section(unit, path, "docker", &DOCKER, |reader, section| {
        let before = reader.problems.len();
        let name = section.text("container").unwrap_or_default();
        // What the engine accepts as a name; anything else would become part of a path of its API.
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if section.node("container").is_some()
            && !(name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(good))
        {
            reader.wrong(
                section,
                "container",
                format!("{name:?} cannot name a container"),
                "letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
            );
        }
        let socket = section.node("socket").and_then(|_| reader.path_at(section, "socket"));
        let create = item.get("create").filter(|create| create.is_map()).and_then(|create| {
            reader
                .section(item, &here, "create", &CREATE, |reader, section| self::create(reader, section, create, &here))
        });
        (reader.problems.len() == before).then_some(Container { name, socket, create })
    })
}

fn create(reader: &mut Reader<'_>, section: &Section<'_>, item: &Item, path: &str) -> Option<Create> {
    let path = format!("{path}.create");
    let (env, secret_env) = environment(reader, section);
    let mounts = reader.sections(item, &path, "mounts", &MOUNT, mount);
    let ports = reader.sections(item, &path, "ports", &PORT, port);
    let mut taken = HashMap::new();
    for (i, port) in ports.iter().enumerate() {
        if let Some(first) = taken.insert((port.ip, port.host, port.protocol), i) {
            let message = format!("port {} of {} stands at items {first} and {i}", port.host, port.ip);
            reader.wrong(section, "ports", message, "one port leads to one place");
        }
    }
    let image = section.text("image")?;
    if image.is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        reader.wrong(
            section,
            "image",
            format!("{image:?} cannot name an image"),
            "such as ghcr.io/observatory/converter:2.1",
        );
    }
    // Between 0.01 and 4096 processors, as the table says.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the table bounds it to 0.01 to 4096")]
    let millicpus = section.number("cpus").map(|cpus| (cpus * 1000.0).round() as u64);
    Some(Create {
        image,
        pull: section.bool("pull").unwrap_or(true),
        argv: section.texts("argv"),
        env,
        secret_env,
        mounts,
        ports,
        user: section.text("user"),
        cwd: section.text("cwd"),
        network: section.text("network"),
        memory: section.size("memory"),
        millicpus,
        pids: section.integer("pids").and_then(|n| u64::try_from(n).ok()),
    })
}

fn mount(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Mount> {
    let source = reader.path_at(section, "source")?;
    let target = section.text("target")?;
    if !target.starts_with('/') {
        reader.wrong(section, "target", format!("{target:?} is no whole path"), "a path that begins with a slash");
    }
    if !source.exists() {
        // Engines make a missing folder as root, which is never what was meant.
        reader.warn(
            section,
            "source",
            format!("there is no {}", source.display()),
            "make it before the service starts",
        );
    }
    Some(Mount { source, target, read_only: section.bool("read_only").unwrap_or_default() })
}

fn port(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Port> {
    let number = |key: &str| section.integer(key).and_then(|n| u16::try_from(n).ok());
    let host = number("host")?;
    let text = section.text("ip")?;
    let Ok(ip) = text.parse::<IpAddr>() else {
        reader.wrong(section, "ip", format!("{text:?} is no address"), "such as 127.0.0.1 or 0.0.0.0");
        return None;
    };
    let wanted = section.text("protocol")?;
    let protocol = PROTOCOLS.into_iter().find(|p| *p == wanted)?;
    Some(Port { ip, host, container: number("container").unwrap_or(host), protocol })
}
