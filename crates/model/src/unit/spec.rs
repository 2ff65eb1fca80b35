//! What a unit is, as its file says: what runs, when it is started again, when it is well, and what it may use. Checked values;
//! reading the file belongs to `engine`.

use std::path::PathBuf;
use std::time::Duration;

use super::UnitId;
use super::form::Form;
use crate::address::Address;
use crate::phase::words;
use crate::secret::Secret;
use crate::target::TargetId;

/// A unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Identity; keys its folder, its history and its wanted state.
    pub id: UnitId,
    /// Name for people.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Group for people.
    pub group: Option<String>,
    /// Tags for people and filters.
    pub tags: Vec<String>,
    /// Whether it is wanted when StreamPulse meets it for the first time; afterwards the persisted wish counts.
    pub autostart: bool,
    /// Whether it may run at all. A disabled unit is stopped and refuses to start.
    pub enabled: bool,
    /// What runs.
    pub program: Program,
    /// Runs in place of a container where no container engine can be reached.
    pub fallback: Option<Process>,
    /// Units that must run (start checks passed) before this one starts; it is stopped before they are.
    pub needs: Vec<UnitId>,
    /// Targets that show this unit's output: while it is stopped on purpose they are not blamed.
    pub targets: Vec<TargetId>,
    /// When it is started again.
    pub restart: Restart,
    /// When it counts as started; all must pass. Empty: as soon as it was launched.
    pub ready: Vec<ReadyCheck>,
    /// Longest wait for the start checks.
    pub ready_within: Duration,
    /// How it is ended.
    pub stop: Stop,
    /// What says that it is well.
    pub health: Vec<HealthCheck>,
    /// How often health may restart it.
    pub heal: Heal,
    /// What it may use.
    pub budgets: Vec<Budget>,
    /// How much of its output is kept.
    pub logs: LogRules,
    /// Where its queue is counted.
    pub queue: Option<Queue>,
    /// What people may set of it.
    pub form: Option<Form>,
}

/// What runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// A process on this machine.
    Process(Process),
    /// A container that exists, or is made of an image.
    Container(Container),
}

/// A process on this machine. No shell reads any of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// The program by its whole path, and its arguments.
    pub argv: Vec<String>,
    /// Folder in which it runs.
    pub cwd: PathBuf,
    /// Its environment beside `PATH`, `LANG` and `LC_ALL`.
    pub env: Vec<(String, String)>,
    /// Further variables, whose values are masked in its log and shown nowhere.
    pub secret_env: Vec<(String, Secret)>,
    /// User and group by number; `None` is that of StreamPulse.
    pub user: Option<Owner>,
    /// Permissions that new files do not get.
    pub umask: Option<u32>,
    /// Limits that the kernel enforces (`setrlimit`): soft and hard are the same.
    pub limits: Vec<(Limit, u64)>,
    /// File to which its process number is written while it runs.
    pub pid_file: Option<PathBuf>,
}

/// User and group of a process, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

words! {
    /// A limit of the kernel.
    Limit {
        /// Open files.
        OpenFiles = "open_files",
        /// Processes of its user.
        Processes = "processes",
        /// Address space of one process, in bytes.
        AddressSpace = "address_space",
        /// Size of a core dump, in bytes.
        Core = "core",
        /// Size of a file that it writes, in bytes.
        FileSize = "file_size",
        /// Locked memory, in bytes.
        LockedMemory = "locked_memory",
        /// Processor time of one process, in seconds.
        CpuTime = "cpu_time",
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Socket of the engine; `None` looks where engines usually listen.
    pub socket: Option<PathBuf>,
    /// What it is made of; `None` controls a container that others made.
    pub create: Option<Create>,
}

/// How a container is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// Image by name.
    pub image: String,
    /// Whether a missing image is pulled.
    pub pull: bool,
    /// Command in place of the image's; empty keeps that.
    pub argv: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Environment whose values are shown nowhere.
    pub secret_env: Vec<(String, Secret)>,
    /// Folders of this machine.
    pub mounts: Vec<Mount>,
    /// Ports on this machine.
    pub ports: Vec<Port>,
    /// User within the container (`1000:1000`).
    pub user: Option<String>,
    /// Folder in which it runs.
    pub cwd: Option<String>,
    /// Network of the engine; `None` is the engine's default.
    pub network: Option<String>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// Processors, in thousandths of one.
    pub millicpus: Option<u64>,
    /// Most processes.
    pub pids: Option<u64>,
}

/// A folder of this machine within a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// On this machine.
    pub source: PathBuf,
    /// Within the container.
    pub target: String,
    /// Whether the container may not write.
    pub read_only: bool,
}

/// A port of this machine that leads into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Address on this machine (loopback unless the file says otherwise).
    pub ip: std::net::IpAddr,
    /// Port on this machine.
    pub host: u16,
    /// Port within the container.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

words! {
    /// When a unit that ended by itself is started again.
    Policy {
        /// Whatever its end was.
        Always = "always",
        /// Unless it ended with success.
        OnFailure = "on_failure",
        /// Never.
        Never = "never",
    }
}

/// When a unit is started again.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// After which ends.
    pub policy: Policy,
    /// Exit codes beside 0 that are a success.
    pub success: Vec<i32>,
    /// Pause before the first start again.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
    /// What a pause is multiplied by for the next one, at least 1.
    pub factor: f64,
    /// Part of a pause that is random, 0 to 1: many units that fail together do not start together.
    pub jitter: f64,
    /// A run of this length makes the next pause the first again.
    pub steady: Duration,
    /// Starts within `limit_within` after which it is given up; 0 never gives up.
    pub limit: u32,
    /// See `limit`.
    pub limit_within: Duration,
}

/// One thing that must be so before a unit counts as started.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadyCheck {
    /// It still runs after this long.
    Stays(Duration),
    /// A TCP port accepts.
    Tcp(String),
    /// HTTP answers with a status below 400.
    Http(Address),
    /// A line of its output matches this expression.
    Log(String),
    /// A target is up, by a look that began after the start.
    Target(TargetId),
}

/// How a unit is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Name of the first signal without `SIG` (`TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2`).
    pub signal: &'static str,
    /// Longest wait until the whole group is killed.
    pub grace: Duration,
}

/// Something that says whether a unit is well.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// What is asked.
    pub what: HealthSource,
    /// From one check to the next.
    pub every: Duration,
    /// Deadline of one check.
    pub timeout: Duration,
    /// How many in a row must fail.
    pub fails: u32,
    /// Failures within this time after the start do not count.
    pub start_period: Duration,
}

/// What is asked whether a unit is well.
#[derive(Clone, Debug, PartialEq)]
pub enum HealthSource {
    /// HTTP answers with a status below 400.
    Http(Address),
    /// A TCP port (`host:port`) accepts.
    Tcp(String),
    /// A command of the file of commands ends with 0.
    Exec(String),
    /// A file was modified within this time.
    Heartbeat(PathBuf, Duration),
    /// A line of output came within this time.
    Output(Duration),
    /// A target is not down.
    Target(TargetId),
    /// What the container engine says of the container's own health check.
    Container,
}

/// How often health, targets, staleness and budgets may restart a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heal {
    /// Whether they restart it at all; otherwise they are only told.
    pub restart: bool,
    /// Least time between two such restarts.
    pub cool_down: Duration,
    /// Most such restarts in an hour.
    pub per_hour: u32,
}

words! {
    /// Something that is measured of a running unit, over all its processes.
    Measure {
        /// Processor, in percent of one core.
        Cpu = "cpu",
        /// Memory (proportional share where readable, else resident), in bytes.
        Memory = "memory",
        /// Open descriptors.
        Descriptors = "descriptors",
        /// Threads.
        Threads = "threads",
    }
}

/// What a unit may use. Acts only when exceeded for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// What is measured.
    pub measure: Measure,
    /// Most, in the measure's unit.
    pub most: f64,
    /// For how long it must be exceeded without a break.
    pub during: Duration,
    /// Whether it is restarted then (within the bounds of [`Heal`]); otherwise it is only told.
    pub restart: bool,
}

/// How much output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRules {
    /// Size at which a file is closed and the next begun, in bytes.
    pub file_bytes: u64,
    /// Most files, the newest included.
    pub files: u32,
}

/// Where a unit's queue is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Where the counts come from.
    pub source: QueueSource,
    /// From one count to the next.
    pub every: Duration,
    /// Deadline of one count.
    pub timeout: Duration,
}

/// Where the counts of a queue come from.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueSource {
    /// Queries on an SQLite file, which is only read.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What is asked.
        queries: QueueQueries,
    },
    /// JSON by HTTP; the member (dots go deeper) holds an object of counts by state.
    Http {
        /// Where.
        address: Address,
        /// Path of members to the object; empty is the document itself.
        member: String,
    },
    /// A command of the file of commands that prints such JSON.
    Command(String),
    /// A file with such JSON, and how old it may be.
    File {
        /// The file.
        file: PathBuf,
        /// Oldest that counts.
        max_age: Duration,
    },
}

/// Queries on a queue. Times in the tables are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueQueries {
    /// Two columns: state, count.
    pub counts: String,
    /// One number: how many were completed in the last hour.
    pub rate_per_hour: Option<String>,
    /// One number: when the oldest waiting one came.
    pub oldest_waiting: Option<String>,
    /// One number: how many are in progress for too long.
    pub stuck: Option<String>,
}
