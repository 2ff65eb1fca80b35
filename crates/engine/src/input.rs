//! What goes into the step and what comes out of it, as two closed lists of values. Owns no behaviour.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::board::Beat;
use model::conf::Problem;
use model::event::Event;
use model::incident::Incident;
use model::observation::{Observation, Second};
use model::status::StatusState;
use model::target::{Target, TargetId};
use model::time::{Mono, UtcMs};
use model::verdict::Verdict;
use store::Write;

/// The two clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock; it may jump.
    pub utc: UtcMs,
    /// Monotonic clock; the cadence follows this one alone.
    pub mono: Mono,
}

/// Number of one attempt at one target. Never used twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookId(pub u64);

/// Number of a question whose answer somebody waits for; the shell knows who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A configuration that was checked and shall take effect.
#[derive(Clone, Debug)]
pub struct NewConfig {
    /// What is watched, in the order of the file; ids are unique.
    pub targets: Vec<Arc<Target>>,
    /// SHA-256 of the file in hex.
    pub hash: String,
    /// IANA name of the time zone for presentation.
    pub timezone: String,
    /// Looks under way at once in the whole process.
    pub probes_at_once: usize,
    /// Looks under way at once towards one host and port that answers.
    pub probes_per_host: usize,
}

/// What is known of a target from before: from the history at start-up, or from the last Board after a panic of the loop.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Name as last seen.
    pub name: String,
    /// Kind and redacted address as last seen; recognises the target under a new id.
    pub fingerprint: String,
    /// When it left the configuration; `None` while it is in it.
    pub retired: bool,
    /// Status, since when and why.
    pub state: StatusState,
    /// Nobody was looking since that status was stored.
    pub blind: bool,
    /// Paused by an operator.
    pub paused: bool,
    /// Newest beats, oldest first.
    pub beats: Vec<Beat>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// The newest observation with its verdict.
    pub last: Option<(Arc<Observation>, Arc<Verdict>)>,
}

/// How the store says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreNow {
    /// Whether it can write.
    pub ok: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Rows lost since the start.
    pub lost_rows: u64,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Look at once, outside the cadence.
    TestNow(TargetId),
    /// Stop watching until resumed.
    Pause(TargetId),
    /// Watch again.
    Resume(TargetId),
}

/// What moves the state.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// An attempt ended, or a session. One input per started look or session, cancelled ones included.
    LookDone {
        /// Which.
        look: LookId,
        /// What it saw. Thrown away when the look was cancelled.
        observation: Box<Observation>,
    },
    /// A second of a session in which media flows. The first one of a look says that its session is open.
    Held {
        /// Which.
        look: LookId,
        /// What is seen and measured now.
        observation: Box<Observation>,
        /// What the last second brought.
        second: Second,
    },
    /// Somebody asks.
    Command(Command, Ticket),
    /// A configuration shall take effect: at start-up and at every reload.
    Config(Box<NewConfig>),
    /// The newest configuration file was refused, or is gone. What runs goes on.
    ConfigRejected(Arc<Vec<Problem>>),
    /// Why the newest file of services was refused, if it was. What runs goes on.
    Services(Option<String>),
    /// These targets are in planned work now, and no others.
    Maintenance(Arc<BTreeSet<TargetId>>),
    /// The store says how it is.
    Store(StoreNow),
    /// A task or the loop itself panicked and was contained: what it was, in words.
    Panicked(String),
    /// No new work from now on; what is under way is cancelled.
    Stop,
}

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No target has this id.
    #[error("there is no such target")]
    NoSuchTarget,
    /// Too many ask at once, or the target was paused or changed while it was looked at.
    #[error("busy, try again")]
    Busy,
    /// The process is ending.
    #[error("stopping")]
    Stopping,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Done.
    Done,
    /// Looked: what was seen.
    Observed(Arc<Observation>),
    /// Not done.
    Refused(CommandError),
}

/// What the shell shall do, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Start one attempt.
    StartLook {
        /// Its number, to come back in [`Input::LookDone`].
        look: LookId,
        /// What to look at.
        target: Arc<Target>,
        /// Attempt within the round, from 1.
        attempt: u32,
    },
    /// Open a session and hold it. It counts as a look until it ends.
    StartSession {
        /// Its number, to come back in [`Input::Held`] every second and in [`Input::LookDone`] at the end.
        look: LookId,
        /// What to hold.
        target: Arc<Target>,
    },
    /// Cancel an attempt or a session; its [`Input::LookDone`] still has to come.
    CancelLook(LookId),
    /// Write to the history.
    Store(Write),
    /// Tell whoever listens.
    Emit(Arc<Event>),
    /// Answer a command.
    Reply(Ticket, Answer),
}
