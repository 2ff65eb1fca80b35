//! An engine of containers, by whichever way it is reached. Owns finding it, and the words when none is found.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::unit::UnitId;
use model::unit::spec::{Create, Stop};
use net::unix::Failure;

use super::answer::Inspect;
use super::api::Api;
use super::command::Cli;
use super::stats::Sample;
use super::trouble::Trouble;
use crate::backend::Refusal;

/// Sockets on which engines usually listen: Docker, then Podman.
const USUAL_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];
/// Files that only the inside of a container has: of Docker, of Podman.
const MARKS_OF_CONTAINERS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// Names under which compose files are looked for.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Where engines are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// `DOCKER_HOST`, where it is set.
    pub host: Option<String>,
    /// Sockets, in the order in which they are tried where a unit names none and `host` names none.
    pub sockets: Vec<PathBuf>,
    /// The `docker` command.
    pub command: Option<PathBuf>,
    /// Whether StreamPulse itself runs in a container.
    pub inside: bool,
    /// A compose file that lies beside the configuration.
    pub compose: Option<PathBuf>,
}

impl Places {
    /// The usual ones of this machine. `folder` is that of the configuration.
    #[must_use]
    pub fn usual(folder: &Path) -> Self {
        let command = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path).map(|folder| folder.join("docker")).find(|file| file.is_file())
        });
        Self {
            host: std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()),
            sockets: USUAL_SOCKETS.map(PathBuf::from).to_vec(),
            command,
            inside: MARKS_OF_CONTAINERS.iter().any(|mark| Path::new(mark).exists()),
            compose: COMPOSE_FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file()),
        }
    }

    /// Sockets to try for a unit: the one that it names, else that of `DOCKER_HOST`, else the usual ones. None for an engine that
    /// is not on this machine.
    fn sockets_for(&self, explicit: Option<&Path>) -> Vec<PathBuf> {
        match (explicit, &self.host) {
            (Some(socket), _) => vec![socket.to_owned()],
            (None, Some(host)) => host.strip_prefix("unix://").map(PathBuf::from).into_iter().collect(),
            (None, None) => self.sockets.clone(),
        }
    }
}

/// An engine that answered.
#[derive(Clone, Debug)]
pub(super) enum Engine {
    Api(Api),
    Command(Cli),
}

/// Looks for an engine.
///
/// # Errors
/// None answers. `no_engine` only where nothing hints at one: one that is there and does not answer may have the container
/// running, and what runs must not run twice.
pub(super) async fn find(places: &Places, explicit: Option<&Path>) -> Result<Engine, Refusal> {
    let (mut tried, mut hint) = (Vec::new(), false);
    for socket in places.sockets_for(explicit) {
        match Api::find(&socket).await {
            Ok(api) => return Ok(Engine::Api(api)),
            Err(failure) => {
                hint |= failure != Failure::Absent;
                tried.push(words_of(&socket, &failure));
            }
        }
    }
    if let (None, Some(host)) = (explicit, places.host.as_ref().filter(|host| !host.starts_with("unix://"))) {
        tried.push(format!("DOCKER_HOST says {host}, which is left to the docker command"));
    }
    match &places.command {
        Some(program) => {
            let host = explicit.map(|socket| format!("unix://{}", socket.display()));
            match Cli::find(program, host).await {
                Ok(cli) => return Ok(Engine::Command(cli)),
                Err(trouble) => tried.push(format!("the command {}: {trouble}", program.display())),
            }
        }
        None => tried.push("there is no docker command".to_owned()),
    }
    Err(Refusal { passing: true, no_engine: !hint, words: none_found(places, &tried, hint) })
}

fn none_found(places: &Places, tried: &[String], hint: bool) -> String {
    let remedy = match (hint, places.inside, &places.compose) {
        (true, ..) => String::new(),
        (false, true, _) => "; StreamPulse itself runs in a container: mount the engine's socket into it \
                             (-v /var/run/docker.sock:/var/run/docker.sock)"
            .to_owned(),
        (false, false, Some(file)) => format!("; {} lies here: is Docker installed and started?", file.display()),
        (false, false, None) => "; start the engine, or name its socket (socket:)".to_owned(),
    };
    format!("no container engine can be reached: {}{remedy}", tried.join("; "))
}

fn words_of(socket: &Path, failure: &Failure) -> String {
    let path = socket.display();
    if *failure != Failure::Forbidden {
        return format!("{path}: {failure}");
    }
    let (user, group) = (user_name(), group_of(socket));
    let remedy = match &group {
        Some(group) => {
            format!("add the user to the group {group} (usermod -aG {group} {user}) and start StreamPulse again")
        }
        None => "give the user access to it".to_owned(),
    };
    let owned = group.as_ref().map_or(String::new(), |group| format!(", which belongs to the group {group}"));
    format!("{path}: the user {user} may not open this socket{owned}; {remedy}")
}

/// Our user by name, else by number.
fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    name_in("/etc/passwd", uid).unwrap_or_else(|| uid.to_string())
}

fn group_of(socket: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let gid = std::fs::metadata(socket).ok()?.gid();
    Some(name_in("/etc/group", gid).unwrap_or_else(|| gid.to_string()))
}

/// Name of a number in a file of the form `name:password:number:...`.
fn name_in(file: &str, number: u32) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let number = number.to_string();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&number))?;
    line.split(':').next().map(str::to_owned)
}

/// The questions, whichever way they go.
impl Engine {
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Inspect>, Trouble> {
        match self {
            Self::Api(api) => api.inspect(name).await,
            Self::Command(cli) => cli.inspect(name).await,
        }
    }

    pub(super) async fn image(&self, name: &str) -> Result<Option<String>, Trouble> {
        match self {
            Self::Api(api) => api.image(name).await,
            Self::Command(cli) => cli.image(name).await,
        }
    }

    pub(super) async fn pull(&self, name: &str) -> Result<(), Trouble> {
        match self {
            Self::Api(api) => api.pull(name).await,
            Self::Command(cli) => cli.pull(name).await,
        }
    }

    pub(super) async fn create(
        &self,
        name: &str,
        id: &UnitId,
        create: &Create,
        stop: &Stop,
    ) -> Result<String, Trouble> {
        match self {
            Self::Api(api) => api.create(name, id, create, stop).await,
            Self::Command(cli) => cli.create(name, id, create, stop).await,
        }
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), Trouble> {
        match self {
            Self::Api(api) => api.start(id).await,
            Self::Command(cli) => cli.start(id).await,
        }
    }

    pub(super) async fn stop(&self, id: &str, signal: &str, grace: Duration) -> Result<(), Trouble> {
        match self {
            Self::Api(api) => api.stop(id, signal, grace).await,
            Self::Command(cli) => cli.stop(id, grace).await,
        }
    }

    /// Whether its `stop` takes a signal; otherwise it begins with that of the container.
    pub(super) fn stop_takes_signal(&self) -> bool {
        match self {
            Self::Api(api) => api.stop_takes_signal(),
            Self::Command(_) => false,
        }
    }

    pub(super) async fn kill(&self, id: &str, signal: &str) -> Result<(), Trouble> {
        match self {
            Self::Api(api) => api.kill(id, signal).await,
            Self::Command(cli) => cli.kill(id, signal).await,
        }
    }

    pub(super) async fn remove(&self, id: &str) -> Result<(), Trouble> {
        match self {
            Self::Api(api) => api.remove(id).await,
            Self::Command(cli) => cli.remove(id).await,
        }
    }

    pub(super) async fn wait(&self, id: &str) -> Result<i64, Trouble> {
        match self {
            Self::Api(api) => api.wait(id).await,
            Self::Command(cli) => cli.wait(id).await,
        }
    }

    pub(super) async fn stats(&self, id: &str) -> Result<Sample, Trouble> {
        match self {
            Self::Api(api) => api.stats(id).await,
            Self::Command(cli) => cli.stats(id).await,
        }
    }

    pub(super) async fn processes(&self, id: &str) -> Result<u32, Trouble> {
        match self {
            Self::Api(api) => api.processes(id).await,
            Self::Command(cli) => cli.processes(id).await,
        }
    }
}
