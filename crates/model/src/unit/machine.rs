//! The machine of one unit: what follows from a command, an end, a check, a measurement or the time. Pure: time, chance and
//! what is around it come in, effects come out. Owns every change of [`State`]; starts, ends and stores nothing itself.
//!
//! It works by levels: an input changes what is known, then `settle` brings what runs towards what is wanted. Whatever order
//! things happen in, at most one run is ever asked for.

mod backoff;
mod ends;
mod heal;
mod settle;
mod transitions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::board::{RunEnd, UnitChange, Usage};
use super::spec::Unit;
use super::{Cause, Health, State, UnitId, Wanted};
use crate::time::{Mono, UtcMs};

pub use backoff::pause;
pub use transitions::{TRANSITIONS, is_allowed};

/// Beyond the grace, until a run that has not ended is killed by us: who ends it kills by itself when the grace is over.
pub const KILL_AFTER: Duration = Duration::from_secs(5);
/// From one attempt to end something that does not end, or whose end is refused, to the next.
pub const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Until it is asked again whether something runs, after nobody could tell.
pub const ADOPT_AGAIN: Duration = Duration::from_secs(3);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// For people and the history.
    pub utc: UtcMs,
    /// For deadlines.
    pub mono: Mono,
}

/// What is around a unit while it is stepped.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// What its file says now.
    pub spec: &'a Unit,
    /// Units that it needs and that do not run.
    pub waits_for: Vec<UnitId>,
    /// A unit that it needs and that is about to be ended: this one goes first.
    pub leaving: Option<UnitId>,
    /// A unit that needs this one and still runs: this one is not ended yet.
    pub needed_by: Option<UnitId>,
    /// How long it is waited for those at most.
    pub hold: Duration,
    /// The moment.
    pub now: Moment,
    /// A number from 0 to 1 that nobody can foresee.
    pub chance: f64,
}

/// Why something happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// Sort of cause.
    pub cause: Cause,
    /// In words with the actual value.
    pub words: String,
    /// Who asked for it.
    pub by: Option<String>,
}

impl Why {
    /// A cause that nobody asked for.
    #[must_use]
    pub fn new(cause: Cause, words: impl Into<String>) -> Self {
        Self { cause, words: words.into(), by: None }
    }

    /// The same on behalf of somebody.
    #[must_use]
    pub fn by(self, who: impl Into<String>) -> Self {
        Self { by: Some(who.into()), ..self }
    }
}

/// What came of asking whether a unit runs already.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It does not.
    Nothing,
    /// It does.
    Running {
        /// In words, such as `process 17`.
        what: String,
        /// For how long.
        ran: Duration,
        /// Whether its start checks had passed.
        was_ready: bool,
    },
    /// It did, and ended while nobody watched.
    Ended(RunEnd),
    /// That cannot be told; it must not be started.
    Unclear(String),
}

/// What happens to a unit. Numbers are those of runs: what comes late of an older run changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// It is wanted, or not, from now on. `anew` ends a run that is under way first.
    Wish {
        /// What is wanted.
        wanted: Wanted,
        /// Whether a run is ended and begun anew.
        anew: bool,
        /// Why and by whom.
        why: Why,
    },
    /// What its file or form says changed in what is run: a run under way is ended and begun anew, and one that was given up
    /// gets another chance.
    Changed(Why),
    /// It is in the file no longer: it is ended, and nothing else happens to it.
    Removed(Why),
    /// The answer to [`Effect::Adopt`].
    Found(Finding),
    /// The launch began it.
    Launched {
        /// Which run.
        run: u64,
        /// In words, such as `process 17`.
        what: String,
    },
    /// The launch did not begin it.
    Refused {
        /// Which run.
        run: u64,
        /// Whether trying again can help.
        passing: bool,
        /// Why, in words.
        words: String,
    },
    /// Nobody knows what came of a launch: it is asked whether it runs.
    Unsure {
        /// Which run.
        run: u64,
        /// Why, in words.
        words: String,
    },
    /// A run is over.
    Ended {
        /// Which run.
        run: u64,
        /// How.
        end: RunEnd,
    },
    /// It could not be told to end.
    StopRefused {
        /// Which run.
        run: u64,
        /// Why, in words.
        words: String,
    },
    /// All start checks passed, or one can never pass.
    Ready {
        /// Which run.
        run: u64,
        /// What is wrong, where something is.
        result: Result<(), String>,
    },
    /// A health check was made.
    Checked {
        /// Which run.
        run: u64,
        /// Which of the file's checks.
        check: usize,
        /// What is wrong, where something is.
        result: Result<(), String>,
    },
    /// It was measured.
    Measured {
        /// Which run.
        run: u64,
        /// What it uses.
        usage: Usage,
    },
    /// Time passed, or something around it changed.
    Look,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Find out whether it runs; answered by [`Input::Found`].
    Adopt,
    /// Launch it; answered by [`Input::Launched`], [`Input::Refused`] or [`Input::Unsure`].
    Launch(u64),
    /// Tell it to end.
    Stop(u64),
    /// Kill it.
    Kill(u64),
    /// An entry of its timeline.
    Changed(Arc<UnitChange>),
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq)]
enum Run {
    /// Whether it runs is asked, or is to be asked when it is due. The words of a launch of which nobody knows what came.
    Unsure { asking: bool, launch: Option<String> },
    /// There is none.
    None,
    /// Is being launched.
    Launching,
    /// Runs.
    Up(Up),
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq)]
struct Up {
    began: Mono,
    what: String,
    told: Told,
}

/// Whether a run was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
    Kill,
}

/// What follows when a run that is being ended is over, if it is wanted then.
#[derive(Clone, Debug, PartialEq)]
enum After {
    /// It starts.
    Start(Why),
    /// That counts as a failure.
    Fail(Why),
}

/// The state of one unit.
#[derive(Clone, Debug)]
pub struct Machine {
    wanted: Wanted,
    state: State,
    since: UtcMs,
    why: Why,
    run: Run,
    runs: u64,
    /// Why it is to be started next.
    next: Why,
    after: Option<After>,
    /// When the state has a deadline.
    due: Option<Mono>,
    /// Until when its end waits for others.
    hold: Option<Mono>,
    stop_began: Mono,
    failures: u32,
    starts: VecDeque<Mono>,
    restarts: u64,
    removed: bool,
    health: heal::Checks,
    out: Vec<Effect>,
}

/// What is known of a unit from before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// How it was, where that still counts: it had finished, or it had been given up.
    pub last: Option<(State, Why)>,
    /// Starts that nobody commanded.
    pub restarts: u64,
    /// How long ago health, targets, staleness or budgets restarted it within the last hour.
    pub heals: Vec<Duration>,
}

impl Machine {
    /// A unit of which nobody has asked yet whether it runs.
    #[must_use]
    pub fn new(wanted: Wanted, known: Known, now: Moment) -> Self {
        let begun = Why::new(Cause::Boot, "StreamPulse began");
        let (state, why) = match known.last {
            Some((state @ (State::Failed | State::Finished), why)) if wanted == Wanted::Running => (state, why),
            _ => (State::Stopped, begun.clone()),
        };
        let mut heals: Vec<Mono> = known.heals.iter().map(|ago| Mono(now.mono.0.saturating_sub(*ago))).collect();
        heals.sort();
        Self {
            wanted,
            state,
            since: now.utc,
            why,
            run: Run::Unsure { asking: false, launch: None },
            runs: 0,
            next: Why::new(Cause::Boot, "StreamPulse began, and it is wanted"),
            after: None,
            due: None,
            hold: None,
            stop_began: now.mono,
            failures: 0,
            starts: VecDeque::new(),
            restarts: known.restarts,
            removed: false,
            health: heal::Checks::new(heals),
            out: Vec::new(),
        }
    }

    /// What is wanted of it.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it is so.
    #[must_use]
    pub fn since(&self) -> UtcMs {
        self.since
    }

    /// Why it is so.
    #[must_use]
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// What its checks say, and why where that is bad.
    #[must_use]
    pub fn health(&self) -> (Health, Option<&str>) {
        self.health.now()
    }

    /// Starts that nobody commanded.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Number of the newest run.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.runs
    }

    /// Whether something of it runs, or may.
    #[must_use]
    pub fn has_run(&self) -> bool {
        matches!(self.run, Run::Launching | Run::Up(_))
    }

    /// Whether it is being ended because somebody wants that, not because it failed.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.state == State::Stopping && !matches!(self.after, Some(After::Fail(_)))
    }

    /// Whether it is in no file any more and nothing of it runs.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.removed && self.run == Run::None
    }

    /// When it is started again, while it backs off.
    #[must_use]
    pub fn next_start(&self) -> Option<Mono> {
        self.due.filter(|_| self.state == State::BackingOff && self.run == Run::None)
    }

    /// When it is to be stepped at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        [self.due, self.hold].into_iter().flatten().min()
    }

    /// One step. The answer is in order.
    #[must_use]
    pub fn step(&mut self, around: &Around<'_>, input: Input) -> Vec<Effect> {
        self.take(around, input);
        self.settle(around);
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, around: &Around<'_>, input: Input) {
        let newest = self.runs;
        match input {
            Input::Wish { wanted, anew, why } => self.wish(around, wanted, anew, why),
            Input::Changed(why) => self.changed(around, why),
            Input::Removed(why) => {
                self.removed = true;
                self.after = None;
                self.next = why;
            }
            Input::Found(finding) => self.found(around, finding),
            Input::Launched { run, what } if run == newest && self.run == Run::Launching => self.launched(around, what),
            Input::Refused { run, passing, words } if run == newest && self.run == Run::Launching => {
                self.refused(around, passing, &words);
            }
            Input::Unsure { run, words } if run == newest && self.run == Run::Launching => {
                self.note(around, Why::new(Cause::Launch, format!("nobody knows whether it was launched: {words}")));
                self.run = Run::Unsure { asking: false, launch: Some(words) };
                self.due = None;
            }
            Input::Ended { run, end } if run == newest => self.ended(around, end),
            Input::StopRefused { run, words } if run == newest => self.stop_refused(around, &words),
            Input::Ready { run, result } if run == newest => self.ready(around, result),
            Input::Checked { run, check, result } if run == newest => self.checked(around, check, result),
            Input::Measured { run, usage } if run == newest => self.measured(around, &usage),
            Input::Launched { .. }
            | Input::Refused { .. }
            | Input::Unsure { .. }
            | Input::Ended { .. }
            | Input::StopRefused { .. }
            | Input::Ready { .. }
            | Input::Checked { .. }
            | Input::Measured { .. }
            | Input::Look => {}
        }
    }

    /// Whether it is to run.
    fn is_due_to_run(&self, around: &Around<'_>) -> bool {
        self.wanted == Wanted::Running && around.spec.enabled && !self.removed
    }

    /// Why it is not to run.
    fn unwanted(&self, around: &Around<'_>) -> Why {
        if around.spec.enabled || self.removed || self.wanted == Wanted::Stopped {
            self.next.clone()
        } else {
            Why::new(Cause::Reload, "its file says that it is disabled")
        }
    }

    /// Ends a run that is under way.
    fn end_run(&mut self, around: &Around<'_>, why: Why, after: Option<After>) {
        self.after = after;
        self.due = None;
        self.stop_began = around.now.mono;
        self.go(around, State::Stopping, why, None);
    }

    /// Changes the state. The only place where it changes; the same state for another reason is an entry alone.
    fn go(&mut self, around: &Around<'_>, to: State, why: Why, end: Option<RunEnd>) {
        if self.state != to {
            debug_assert!(is_allowed(self.state, to), "{} to {to}: {}", self.state, why.words);
            self.state = to;
            self.since = around.now.utc;
        }
        self.why = why.clone();
        self.entry(around, why, end);
    }

    /// An entry of the timeline that changes no state.
    fn note(&mut self, around: &Around<'_>, why: Why) {
        self.entry(around, why, None);
    }

    fn entry(&mut self, around: &Around<'_>, why: Why, end: Option<RunEnd>) {
        let change = UnitChange {
            at: around.now.utc,
            state: self.state,
            cause: why.cause,
            reason: why.words,
            actor: why.by,
            end,
        };
        self.out.push(Effect::Changed(Arc::new(change)));
    }
}

#[cfg(test)]
mod tests;
