//! A state with its time, effects as lines of text: what the tests of the step drive it with. Tests only.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::board::Board;
use model::event::What;
use model::observation::Second;
use model::status::Status;
use model::target::{Target, TargetId};
use store::Write;

use crate::input::{Answer, Command, Effect, Input, Kept, LookId, Now, Ticket};
use crate::state::State;
use crate::step::step;
use crate::testing::{EPOCH, at, config, id, seen};

/// A state with its time. Lines are what came out since they were read last.
pub(super) struct Rig {
    pub(super) state: State,
    pub(super) ms: u64,
    /// Milliseconds that the wall clock is ahead.
    pub(super) jumped: i64,
    pub(super) flying: BTreeMap<LookId, Arc<Target>>,
    lines: Vec<String>,
}

impl Rig {
    pub(super) fn with(kept: BTreeMap<TargetId, Kept>, targets: &[Arc<Target>]) -> Self {
        let state = State::new(at(0), EPOCH, kept);
        let mut rig = Self { state, ms: 0, jumped: 0, flying: BTreeMap::new(), lines: Vec::new() };
        rig.load(targets);
        rig
    }

    pub(super) fn new(targets: &[Arc<Target>]) -> Self {
        Self::with(BTreeMap::new(), targets)
    }

    pub(super) fn load(&mut self, targets: &[Arc<Target>]) {
        self.input(Input::Config(Box::new(config(targets))));
    }

    pub(super) fn now(&self) -> Now {
        let mut now = at(self.ms);
        now.utc.0 += self.jumped;
        now
    }

    pub(super) fn input(&mut self, input: Input) {
        let now = self.now();
        if let Input::LookDone { look, .. } = &input {
            self.flying.remove(look).expect("a look under way");
        }
        for effect in step(&mut self.state, now, input) {
            if let Effect::StartLook { look, target, .. } | Effect::StartSession { look, target } = &effect {
                self.flying.insert(*look, Arc::clone(target));
            }
            self.lines.extend(line(&effect));
        }
        self.state.check();
    }

    /// Lets time pass until `ms`, waking whenever the state wants to be woken.
    pub(super) fn until(&mut self, ms: u64) {
        while let Some(wake) = self.state.next_wake() {
            let wake = u64::try_from(wake.0.as_nanos().div_ceil(1_000_000)).expect("small");
            if wake > ms {
                break;
            }
            self.ms = self.ms.max(wake);
            self.input(Input::Tick);
        }
        self.ms = ms;
        self.input(Input::Tick);
    }

    /// Waits until a look at `name` is under way; answers when it began.
    pub(super) fn until_look(&mut self, name: &str) -> u64 {
        for _ in 0..1000 {
            if self.look(name).is_some() {
                return self.ms;
            }
            let wake = self.state.next_wake().expect("something to wait for");
            let wake = u64::try_from(wake.0.as_nanos().div_ceil(1_000_000)).expect("small");
            self.ms = self.ms.max(wake);
            self.input(Input::Tick);
        }
        panic!("no look at {name}");
    }

    pub(super) fn look(&self, name: &str) -> Option<LookId> {
        self.flying.iter().find(|(_, t)| t.id == id(name)).map(|(look, _)| *look)
    }

    /// The look at `name` ends; see [`seen`] for the letters.
    pub(super) fn ends(&mut self, name: &str, letter: char) {
        let look = self.look(name).expect("a look under way");
        let observation = Box::new(seen(&self.flying[&look], letter, self.now()));
        self.input(Input::LookDone { look, observation });
    }

    /// A second of the session of `name`; see [`seen`] for the letters.
    pub(super) fn lives(&mut self, name: &str, letter: char) {
        let look = self.look(name).expect("a session under way");
        let observation = Box::new(seen(&self.flying[&look], letter, self.now()));
        self.input(Input::Held { look, observation, second: Second { bits: 1000, ..Second::default() } });
    }

    /// Lets time pass until `ms` while the session of `name` tells a second of itself every second.
    pub(super) fn lives_until(&mut self, name: &str, ms: u64) {
        while self.ms + 1000 <= ms {
            self.until(self.ms + 1000);
            self.lives(name, 'v');
        }
        self.until(ms);
    }

    /// One round after another, each ending at once with the next letter.
    pub(super) fn rounds(&mut self, name: &str, letters: &str) {
        for letter in letters.chars() {
            self.until_look(name);
            self.ends(name, letter);
        }
    }

    pub(super) fn command(&mut self, command: Command, ticket: u64) {
        self.input(Input::Command(command, Ticket(ticket)));
    }

    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Forgets what came out so far.
    pub(super) fn quiet(&mut self) {
        self.lines.clear();
    }

    pub(super) fn board(&mut self) -> Arc<Board> {
        let now = self.now();
        self.state.board(now)
    }

    pub(super) fn status(&mut self, name: &str) -> Status {
        self.board().get(&id(name)).expect("a target").state.status
    }
}

/// One line per effect; what is told to listeners is shown only where the history is not told the same.
fn line(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::StartLook { look, target, attempt } => format!("start {} #{} attempt {attempt}", target.id, look.0),
        Effect::StartSession { look, target } => format!("hold {} #{}", target.id, look.0),
        Effect::CancelLook(look) => format!("cancel #{}", look.0),
        Effect::Store(write) => match write {
            Write::Observation(seen, verdict, status) => {
                format!("stored {} {} {status} after {}", seen.target, verdict.grade.as_str(), seen.attempts)
            }
            Write::Change(id, c) => format!("change {id} {} to {}: {}", c.from, c.to, c.reason),
            Write::IncidentOpened(i) => format!("opened {} {}", i.target, i.worst),
            Write::IncidentChanged(i) => format!("worse {} {}", i.target, i.worst),
            Write::IncidentClosed(i) => format!("closed {} {}: {}", i.target, i.worst, i.cause),
            Write::TargetSeen { id, name, .. } => format!("seen {id} {name}"),
            Write::TargetRetired { id, .. } => format!("retired {id}"),
            Write::TargetRenamed { from, to } => format!("renamed {from} to {to}"),
            Write::Paused { id, paused } => format!("paused {id} {paused}"),
            Write::UnitSeen { .. }
            | Write::UnitRetired { .. }
            | Write::UnitChanged(..)
            | Write::UnitRestarts(..)
            | Write::UnitSample(..) => panic!("the step knows no units"),
            Write::Alive(_) => panic!("the store says this by itself"),
        },
        Effect::Reply(ticket, answer) => match answer {
            Answer::Done => format!("reply {} done", ticket.0),
            Answer::Observed(seen) => format!("reply {} observed {}", ticket.0, seen.target),
            Answer::Refused(why) => format!("reply {} {why}", ticket.0),
        },
        Effect::Emit(event) => match &event.what {
            What::MediaChanged(id, text) => format!("media {id}: {text}"),
            What::SessionOpened(id) => format!("live {id}"),
            What::SessionEnded(id, why) => format!("over {id}: {why}"),
            What::ConfigApplied { added, changed, removed, .. } => {
                format!("applied +{added:?} ~{changed:?} -{removed:?}")
            }
            What::ConfigRejected(problems) => format!("rejected {}", problems.len()),
            What::Unwell(part, why) => format!("unwell {}: {why}", part.as_str()),
            What::Well(part) => format!("well {}", part.as_str()),
            _ => return None,
        },
    })
}
