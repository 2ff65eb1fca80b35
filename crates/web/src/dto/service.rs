//! Services: how they are now. What one is stands in [`spec`], what people may set of it in [`form`], what was in [`past`].

pub mod form;
pub mod past;
pub mod spec;

use model::secret::MASK;
use model::time::UtcMs;
use model::unit::Exit;
use model::unit::board::{QueueNow, RunEnd, UnitNow, Usage};
use model::unit::spec::{Budget, Program, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use crate::masks::hide_in_words;

/// Secrets shorter than this are not looked for in texts: they would be found in half of all words.
const LEAST_SECRET_BYTES: usize = 4;

/// All services.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServicesDto {
    /// When this was true.
    pub at: i64,
    /// Grows with every change.
    pub version: u64,
    /// The services, in the order of their file.
    pub services: Vec<ServiceDto>,
}

/// One service now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ServiceDto {
    /// Identity.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Group for people.
    pub group: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// `process` or `docker`.
    pub kind: &'static str,
    /// Whether its file lets it run at all.
    pub enabled: bool,
    /// What somebody asked for: `running` or `stopped`.
    pub wanted: &'static str,
    /// `stopped`, `starting`, `running`, `stopping`, `backing_off`, `failed` or `finished`.
    pub state: &'static str,
    /// Since when.
    pub since: i64,
    /// Why, in one sentence.
    pub reason: String,
    /// What caused that: `command`, `boot`, `adopted`, `reload`, `form`, `exit`, `launch`, `ready`, `health`, `target`,
    /// `stale`, `limit`, `needs` or `timer`.
    pub cause: &'static str,
    /// `unknown`, `starting`, `healthy` or `unhealthy`.
    pub health: &'static str,
    /// Why health is so, where it is bad.
    pub health_reason: Option<String>,
    /// Number of its first process, while it runs.
    pub pid: Option<u32>,
    /// When this run began.
    pub started_at: Option<i64>,
    /// How long this run lasts by now, in seconds.
    pub uptime_seconds: Option<f64>,
    /// Id of the container it runs in.
    pub container: Option<String>,
    /// Whether it runs as its fallback, because no container engine can be reached.
    pub on_fallback: bool,
    /// Starts that nobody commanded.
    pub restarts: u64,
    /// When it is started again, while it backs off.
    pub next_start: Option<i64>,
    /// Services it waits for before it starts.
    pub waits_for: Vec<String>,
    /// Services that must run before it does.
    pub needs: Vec<String>,
    /// Targets that show its output.
    pub targets: Vec<String>,
    /// Whether something of its file or form takes effect only at its next start.
    pub pending: bool,
    /// When its output last brought a line.
    pub last_output: Option<i64>,
    /// When its heartbeat file was last written.
    pub last_heartbeat: Option<i64>,
    /// What it uses; null until it was measured.
    pub usage: Option<UsageDto>,
    /// The newest count of its queue; null where none is declared.
    pub queue: Option<QueueDto>,
    /// How its newest run that is over ended.
    pub last_end: Option<RunEndDto>,
    /// Whether people may set something of it.
    pub has_form: bool,
    /// What it may use.
    pub budgets: Vec<BudgetDto>,
}

/// What a service uses, over all its processes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UsageDto {
    /// When it was measured.
    pub at: i64,
    /// Percent of one core; null at the first measurement.
    pub cpu_percent: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes it may use, where a limit is set.
    pub memory_limit: Option<u64>,
    /// Bytes read from storage since it started.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage since it started.
    pub written_bytes: Option<u64>,
    /// Threads.
    pub threads: u32,
    /// Open descriptors.
    pub descriptors: Option<u32>,
    /// Processes.
    pub processes: u32,
}

impl From<&Usage> for UsageDto {
    fn from(u: &Usage) -> Self {
        Self {
            at: u.at.0,
            cpu_percent: u.cpu_percent.map(tenths),
            memory_bytes: u.memory_bytes,
            memory_limit: u.memory_limit,
            read_bytes: u.read_bytes,
            written_bytes: u.written_bytes,
            threads: u.threads,
            descriptors: u.descriptors,
            processes: u.processes,
        }
    }
}

/// A percentage to one decimal: more would mean nothing.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A count of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct QueueDto {
    /// When it was counted.
    pub at: i64,
    /// Counts by state, in the order of their source.
    pub counts: Vec<CountDto>,
    /// Completed within the last hour.
    pub rate_per_hour: Option<f64>,
    /// When the oldest waiting one came.
    pub oldest_waiting: Option<i64>,
    /// In progress for too long.
    pub stuck: Option<u64>,
    /// Why it could not be counted; the counts are then the newest ones that could.
    pub error: Option<String>,
}

/// How many of a queue are in one state.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CountDto {
    /// The state, in the words of the queue.
    pub state: String,
    /// How many.
    pub count: u64,
}

impl QueueDto {
    fn new(spec: &Unit, q: &QueueNow) -> Self {
        let count = |(state, count): &(String, u64)| CountDto { state: state.clone(), count: *count };
        Self {
            at: q.at.0,
            counts: q.counts.iter().map(count).collect(),
            rate_per_hour: q.rate_per_hour,
            oldest_waiting: q.oldest_waiting.map(|at| at.0),
            stuck: q.stuck,
            error: q.error.as_deref().map(|why| hide(spec, why)),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunEndDto {
    /// Exit code, where it ended by itself.
    pub exit_code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// The same in words.
    pub words: String,
    /// When.
    pub at: i64,
    /// How long it ran, in milliseconds.
    pub ran_ms: u64,
    /// The last lines of its output, oldest first.
    pub last_lines: Vec<String>,
}

impl RunEndDto {
    /// The end of a run of this unit.
    #[must_use]
    pub fn new(spec: &Unit, end: &RunEnd) -> Self {
        let (exit_code, signal, out_of_memory) = match end.exit {
            Exit::Code(code) => (Some(code), None, false),
            Exit::Signal { number, out_of_memory } => (None, Some(number), out_of_memory),
            Exit::Unseen => (None, None, false),
        };
        Self {
            exit_code,
            signal,
            out_of_memory,
            words: end.exit.to_string(),
            at: end.at.0,
            ran_ms: end.ran_ms,
            last_lines: end.last_lines.iter().map(|line| hide(spec, line)).collect(),
        }
    }
}

/// What a service may use.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BudgetDto {
    /// `cpu` (percent of one core), `memory` (bytes), `descriptors` or `threads`.
    pub measure: &'static str,
    /// Most, in the measure's unit.
    pub most: f64,
    /// For how long it must be exceeded without a break, in milliseconds.
    pub during_ms: u64,
    /// Whether it is restarted then; otherwise it is only told.
    pub restart: bool,
}

impl From<&Budget> for BudgetDto {
    fn from(b: &Budget) -> Self {
        Self { measure: b.measure.as_str(), most: b.most, during_ms: whole_ms(b.during), restart: b.restart }
    }
}

/// A duration as whole milliseconds.
pub(crate) fn whole_ms(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

impl ServiceDto {
    /// A unit of the board.
    #[must_use]
    pub fn new(unit: &UnitNow, now: UtcMs) -> Self {
        let spec = unit.spec.as_ref();
        let ids = |ids: &[model::unit::UnitId]| ids.iter().map(|id| id.as_str().to_owned()).collect();
        let run = unit.run.as_ref();
        Self {
            id: spec.id.as_str().to_owned(),
            name: spec.name.clone(),
            description: spec.description.clone(),
            group: spec.group.clone(),
            tags: spec.tags.clone(),
            kind: kind(&spec.program),
            enabled: spec.enabled,
            wanted: unit.wanted.as_str(),
            state: unit.state.as_str(),
            since: unit.since.0,
            reason: hide(spec, &unit.reason),
            cause: unit.cause.as_str(),
            health: unit.health.as_str(),
            health_reason: unit.health_reason.as_deref().map(|why| hide(spec, why)),
            pid: run.map(|run| run.identity.pid),
            started_at: run.map(|run| run.started_at.0),
            uptime_seconds: run.map(|run| now.since(run.started_at).as_secs_f64()),
            container: run.and_then(|run| run.identity.container.clone()),
            on_fallback: unit.on_fallback,
            restarts: unit.restarts,
            next_start: unit.next_start.map(|at| at.0),
            waits_for: ids(&unit.waits_for),
            needs: ids(&spec.needs),
            targets: ids(&spec.targets),
            pending: unit.pending,
            last_output: unit.last_output.map(|at| at.0),
            last_heartbeat: unit.last_heartbeat.map(|at| at.0),
            usage: unit.usage.as_ref().map(Into::into),
            queue: unit.queue.as_ref().map(|queue| QueueDto::new(spec, queue)),
            last_end: unit.last_end.as_ref().map(|end| RunEndDto::new(spec, end)),
            has_form: spec.form.is_some(),
            budgets: spec.budgets.iter().map(Into::into).collect(),
        }
    }
}

/// What was asked of a service is under way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TakenDto {
    /// What is wanted now: `running` or `stopped`.
    pub wanted: &'static str,
    /// Whether the request changed anything; starting what runs does not.
    pub changed: bool,
}

/// The word of what runs.
#[must_use]
pub const fn kind(program: &Program) -> &'static str {
    match program {
        Program::Process(_) => "process",
        Program::Container(_) => "docker",
    }
}

/// A text about a unit, or of its output, without the secrets that its file gives it. The engine masks them already where
/// they come in; this is the last door.
#[must_use]
pub fn hide(spec: &Unit, text: &str) -> String {
    let mut out = hide_in_words(text);
    for secret in secrets(spec).filter(|secret| secret.len() >= LEAST_SECRET_BYTES) {
        if out.contains(secret) {
            out = out.replace(secret, MASK);
        }
    }
    out
}

/// Values of a unit that its file declares to be secret.
fn secrets(spec: &Unit) -> impl Iterator<Item = &str> {
    let own = match &spec.program {
        Program::Process(process) => process.secret_env.as_slice(),
        Program::Container(container) => container.create.as_ref().map_or(&[][..], |c| c.secret_env.as_slice()),
    };
    let fallback = spec.fallback.as_ref().map_or(&[][..], |process| process.secret_env.as_slice());
    own.iter().chain(fallback).map(|(_, secret)| secret.expose())
}
