//! What a service is, as its file says, for operators: what runs, when it is started again, when it is well. Secrets hidden.

use model::secret::{MASK, Secret};
use model::unit::spec::{Create, HealthSource, Process, Program, Queue, QueueSource, ReadyCheck, Restart, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use super::{BudgetDto, hide, kind, whole_ms};
use crate::masks::is_secret_key;

/// What a service is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SpecDto {
    /// Identity.
    pub id: String,
    /// `process` or `docker`.
    pub kind: &'static str,
    /// The process, of a service of the kind `process`.
    pub process: Option<ProcessDto>,
    /// The container, of a service of the kind `docker`.
    pub container: Option<ContainerDto>,
    /// What runs in place of the container where no container engine can be reached.
    pub fallback: Option<ProcessDto>,
    /// Whether it is wanted when StreamPulse meets it for the first time.
    pub autostart: bool,
    /// When it is started again.
    pub restart: RestartDto,
    /// What must be so before it counts as started, in words.
    pub ready: Vec<String>,
    /// Longest wait for that, in milliseconds.
    pub ready_within_ms: u64,
    /// First signal of a stop, without `SIG`.
    pub stop_signal: &'static str,
    /// Longest wait until all of it is killed, in milliseconds.
    pub stop_grace_ms: u64,
    /// What says that it is well.
    pub health: Vec<HealthCheckDto>,
    /// Whether bad health restarts it.
    pub heal_restart: bool,
    /// Least time between two such restarts, in milliseconds.
    pub heal_cool_down_ms: u64,
    /// Most such restarts in an hour.
    pub heal_per_hour: u32,
    /// What it may use.
    pub budgets: Vec<BudgetDto>,
    /// Size at which a file of its output is closed, in bytes.
    pub log_file_bytes: u64,
    /// Most files of its output.
    pub log_files: u32,
    /// Where its queue is counted, in words.
    pub queue: Option<String>,
}

/// One variable of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VariableDto {
    /// Name.
    pub name: String,
    /// Value; `***` for a secret.
    pub value: String,
    /// Whether its value is hidden.
    pub secret: bool,
}

/// A process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProcessDto {
    /// The program and its arguments; `{key}` stands for a value of the form.
    pub argv: Vec<String>,
    /// Folder in which it runs.
    pub cwd: String,
    /// Its environment.
    pub env: Vec<VariableDto>,
    /// Number of its user; null for that of StreamPulse.
    pub uid: Option<u32>,
    /// Number of its group.
    pub gid: Option<u32>,
    /// Permissions that new files do not get, in octal.
    pub umask: Option<String>,
    /// Limits that the kernel enforces.
    pub limits: Vec<LimitDto>,
    /// File to which its process number is written.
    pub pid_file: Option<String>,
}

/// A limit of the kernel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LimitDto {
    /// Which.
    pub limit: &'static str,
    /// Most.
    pub most: u64,
}

/// A container.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ContainerDto {
    /// Its name.
    pub name: String,
    /// Socket of the engine; null looks where engines usually listen.
    pub socket: Option<String>,
    /// Image it is made of; null for one that others made.
    pub image: Option<String>,
    /// Command in place of the image's.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: Vec<VariableDto>,
    /// Folders, as `source:target` or `source:target:ro`.
    pub mounts: Vec<String>,
    /// Ports, as `ip:host:container/protocol`.
    pub ports: Vec<String>,
    /// User within it.
    pub user: Option<String>,
    /// Folder in which it runs.
    pub cwd: Option<String>,
    /// Network of the engine.
    pub network: Option<String>,
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
    /// Processors, in thousandths of one.
    pub millicpus: Option<u64>,
    /// Most processes.
    pub pids: Option<u64>,
}

/// When a service is started again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RestartDto {
    /// `always`, `on_failure` or `never`.
    pub policy: &'static str,
    /// Exit codes beside 0 that are a success.
    pub success: Vec<i32>,
    /// Pause before the first start again, in milliseconds.
    pub first_ms: u64,
    /// Longest pause, in milliseconds.
    pub longest_ms: u64,
    /// What a pause is multiplied by for the next one.
    pub factor: f64,
    /// Part of a pause that is random.
    pub jitter: f64,
    /// Starts after which it is given up; 0 never gives up.
    pub limit: u32,
    /// Within which those starts count, in milliseconds.
    pub limit_within_ms: u64,
}

impl From<&Restart> for RestartDto {
    fn from(r: &Restart) -> Self {
        Self {
            policy: r.policy.as_str(),
            success: r.success.clone(),
            first_ms: whole_ms(r.first),
            longest_ms: whole_ms(r.longest),
            factor: r.factor,
            jitter: r.jitter,
            limit: r.limit,
            limit_within_ms: whole_ms(r.limit_within),
        }
    }
}

/// Something that says whether a service is well.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HealthCheckDto {
    /// What is asked, in words.
    pub what: String,
    /// From one check to the next, in milliseconds.
    pub every_ms: u64,
    /// Deadline of one check, in milliseconds.
    pub timeout_ms: u64,
    /// How many in a row must fail.
    pub fails: u32,
    /// Failures within this time after the start do not count, in milliseconds.
    pub start_period_ms: u64,
}

impl SpecDto {
    /// What this unit is.
    #[must_use]
    pub fn new(spec: &Unit) -> Self {
        let (process, container) = match &spec.program {
            Program::Process(process) => (Some(ProcessDto::new(spec, process)), None),
            Program::Container(container) => (None, Some(ContainerDto::new(spec, container))),
        };
        Self {
            id: spec.id.as_str().to_owned(),
            kind: kind(&spec.program),
            process,
            container,
            fallback: spec.fallback.as_ref().map(|process| ProcessDto::new(spec, process)),
            autostart: spec.autostart,
            restart: (&spec.restart).into(),
            ready: spec.ready.iter().map(ready).collect(),
            ready_within_ms: whole_ms(spec.ready_within),
            stop_signal: spec.stop.signal,
            stop_grace_ms: whole_ms(spec.stop.grace),
            health: health(spec),
            heal_restart: spec.heal.restart,
            heal_cool_down_ms: whole_ms(spec.heal.cool_down),
            heal_per_hour: spec.heal.per_hour,
            budgets: spec.budgets.iter().map(Into::into).collect(),
            log_file_bytes: spec.logs.file_bytes,
            log_files: spec.logs.files,
            queue: spec.queue.as_ref().map(|queue| hide(spec, &source(queue))),
        }
    }
}

impl ProcessDto {
    fn new(spec: &Unit, process: &Process) -> Self {
        let limit = |(limit, most): &(model::unit::spec::Limit, u64)| LimitDto { limit: limit.as_str(), most: *most };
        Self {
            argv: arguments(spec, &process.argv),
            cwd: process.cwd.display().to_string(),
            env: variables(spec, &process.env, &process.secret_env),
            uid: process.user.as_ref().map(|user| user.uid),
            gid: process.user.as_ref().map(|user| user.gid),
            umask: process.umask.map(|umask| format!("{umask:04o}")),
            limits: process.limits.iter().map(limit).collect(),
            pid_file: process.pid_file.as_ref().map(|file| file.display().to_string()),
        }
    }
}

impl ContainerDto {
    fn new(spec: &Unit, container: &model::unit::spec::Container) -> Self {
        let create = container.create.as_ref();
        let of = |f: fn(&Create) -> Option<u64>| create.and_then(f);
        let mount = |m: &model::unit::spec::Mount| {
            format!("{}:{}{}", m.source.display(), m.target, if m.read_only { ":ro" } else { "" })
        };
        let port = |p: &model::unit::spec::Port| format!("{}:{}:{}/{}", p.ip, p.host, p.container, p.protocol);
        Self {
            name: container.name.clone(),
            socket: container.socket.as_ref().map(|socket| socket.display().to_string()),
            image: create.map(|c| c.image.clone()),
            argv: create.map(|c| arguments(spec, &c.argv)).unwrap_or_default(),
            env: create.map(|c| variables(spec, &c.env, &c.secret_env)).unwrap_or_default(),
            mounts: create.map(|c| c.mounts.iter().map(mount).collect()).unwrap_or_default(),
            ports: create.map(|c| c.ports.iter().map(port).collect()).unwrap_or_default(),
            user: create.and_then(|c| c.user.clone()),
            cwd: create.and_then(|c| c.cwd.clone()),
            network: create.and_then(|c| c.network.clone()),
            memory_bytes: of(|c| c.memory),
            millicpus: of(|c| c.millicpus),
            pids: of(|c| c.pids),
        }
    }
}

/// Arguments. What follows an option whose name is that of a secret is hidden: files should use `secret_env`, some do not.
fn arguments(spec: &Unit, argv: &[String]) -> Vec<String> {
    let mut after_secret = false;
    let mut shown = Vec::with_capacity(argv.len());
    for argument in argv {
        let hidden = std::mem::replace(&mut after_secret, false);
        let is_option = argument.starts_with('-');
        let is_placeholder = argument.starts_with('{') && argument.ends_with('}');
        shown.push(match argument.split_once('=') {
            _ if hidden && !is_option && !is_placeholder => MASK.to_owned(),
            Some((name, value)) if is_secret_option(name) && !value.starts_with('{') => format!("{name}={MASK}"),
            Some(_) => hide(spec, argument),
            None => {
                after_secret = is_option && is_secret_option(argument);
                hide(spec, argument)
            }
        });
    }
    shown
}

/// `--api-key` is named as the key `api_key`.
fn is_secret_option(option: &str) -> bool {
    is_secret_key(&option.trim_start_matches('-').replace('-', "_"))
}

fn variables(spec: &Unit, env: &[(String, String)], secret: &[(String, Secret)]) -> Vec<VariableDto> {
    let plain = env.iter().map(|(name, value)| {
        let secret = is_secret_key(name);
        let value = if secret { MASK.to_owned() } else { hide(spec, value) };
        VariableDto { name: name.clone(), value, secret }
    });
    let hidden =
        secret.iter().map(|(name, _)| VariableDto { name: name.clone(), value: MASK.to_owned(), secret: true });
    plain.chain(hidden).collect()
}

fn ready(check: &ReadyCheck) -> String {
    match check {
        ReadyCheck::Stays(time) => format!("it still runs after {time:?}"),
        ReadyCheck::Tcp(address) => format!("{address} accepts connections"),
        ReadyCheck::Http(address) => format!("{address} answers"),
        ReadyCheck::Log(pattern) => format!("its output has a line that matches {pattern}"),
        ReadyCheck::Target(id) => format!("the target {id} is up"),
    }
}

fn health(spec: &Unit) -> Vec<HealthCheckDto> {
    let what = |source: &HealthSource| match source {
        HealthSource::Http(address) => format!("{address} answers"),
        HealthSource::Tcp(address) => format!("{address} accepts connections"),
        HealthSource::Exec(command) => format!("the command {command} ends well"),
        HealthSource::Heartbeat(file, age) => format!("{} is younger than {age:?}", file.display()),
        HealthSource::Output(age) => format!("its output brought a line within {age:?}"),
        HealthSource::Target(id) => format!("the target {id} is not down"),
        HealthSource::Container => "the container engine calls it healthy".to_owned(),
    };
    let check = |check: &model::unit::spec::HealthCheck| HealthCheckDto {
        what: hide(spec, &what(&check.what)),
        every_ms: whole_ms(check.every),
        timeout_ms: whole_ms(check.timeout),
        fails: check.fails,
        start_period_ms: whole_ms(check.start_period),
    };
    spec.health.iter().map(check).collect()
}

fn source(queue: &Queue) -> String {
    match &queue.source {
        QueueSource::Sqlite { file, .. } => format!("the SQLite file {}", file.display()),
        QueueSource::Http { address, member } if member.is_empty() => address.to_string(),
        QueueSource::Http { address, member } => format!("{member} of {address}"),
        QueueSource::Command(name) => format!("the command {name}"),
        QueueSource::File { file, .. } => format!("the file {}", file.display()),
    }
}
