//! Units: what StreamPulse runs (services and jobs), what is wanted of them and how they are. Values only; who runs them is
//! in `supervise`, who decides in `engine`.

use std::fmt;

use crate::phase::words;

pub mod board;
pub mod form;
pub mod machine;
pub mod spec;

pub use crate::target::TargetId as UnitId;

words! {
    /// What somebody asked for. Persisted; only a command changes it.
    Wanted {
        /// It should run.
        Running = "running",
        /// It should not run.
        Stopped = "stopped",
    }
}

words! {
    /// How a unit is. Only the machine of units changes it.
    State {
        /// Does not run, and nobody wants it to.
        Stopped = "stopped",
        /// Is on its way: waits for units that it needs, is launched, or its start checks have not passed.
        Starting = "starting",
        /// Runs, and its start checks passed.
        Running = "running",
        /// Was told to end and has not ended.
        Stopping = "stopping",
        /// Ended or could not start; will be started again at a known time.
        BackingOff = "backing_off",
        /// Ended or could not start, and will not be started again by itself. The reason says why.
        Failed = "failed",
        /// Ended by itself with success, and its restart policy leaves it so.
        Finished = "finished",
    }
}

words! {
    /// What the health checks of a running unit say.
    Health {
        /// It has no checks, or does not run.
        Unknown = "unknown",
        /// Checks have not passed since it started.
        Starting = "starting",
        /// The newest checks passed.
        Healthy = "healthy",
        /// As many checks failed in a row as it takes.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// Who or what caused a change of a unit.
    Cause {
        /// A person or a program asked for it.
        Command = "command",
        /// StreamPulse began and it was wanted.
        Boot = "boot",
        /// It ran already when StreamPulse began.
        Adopted = "adopted",
        /// The file of services changed.
        Reload = "reload",
        /// Its form was changed.
        Form = "form",
        /// It ended by itself.
        Exit = "exit",
        /// It could not be launched.
        Launch = "launch",
        /// Start checks passed or did not pass in time.
        Ready = "ready",
        /// A health check.
        Health = "health",
        /// A watched target is down.
        Target = "target",
        /// No log line or heartbeat for too long.
        Stale = "stale",
        /// A limit of resources was exceeded for long enough.
        Limit = "limit",
        /// Another unit that it needs.
        Needs = "needs",
        /// A timer: back-off or grace is over.
        Timer = "timer",
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal of this number; whether the memory limit was the reason, where that is known.
    Signal {
        /// Number of the signal.
        number: i32,
        /// The kernel ended it for want of memory.
        out_of_memory: bool,
    },
    /// It is gone and nobody saw how: its shim was killed too, or the machine was restarted.
    Unseen,
}

impl Exit {
    /// Whether it ended with status 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, out_of_memory: true } => write!(f, "ended by signal {number}: out of memory"),
            Self::Signal { number, .. } => write!(f, "ended by signal {number}"),
            Self::Unseen => f.write_str("gone, and nobody saw how it ended"),
        }
    }
}

/// What one run of a unit is, beyond doubt: a number of a process is given anew, this triple is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the program's first process; of a container, its first process as the machine sees it.
    pub pid: u32,
    /// When that process began, in clock ticks since the machine did (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// The machine's boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Id of the container; `None` for a process.
    pub container: Option<String>,
}
