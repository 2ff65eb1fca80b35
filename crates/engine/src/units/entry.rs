//! One unit as the task holds it: its machine and what belongs to the run that is under way.

use std::sync::Arc;

use model::time::UtcMs;
use model::unit::State;
use model::unit::board::{QueueNow, RunEnd, UnitNow, Usage};
use model::unit::machine::Machine;
use model::unit::spec::Unit;
use tokio_util::sync::CancellationToken;

use super::form_desk::{FormDesk, Trial};
use super::measure::Minute;
use super::run::Begun;

/// One unit.
pub(super) struct Entry {
    pub(super) spec: Arc<Unit>,
    pub(super) machine: Machine,
    pub(super) begun: Option<Begun>,
    /// By what the run that is under way was launched; `None` where that is not known.
    pub(super) launched: Option<Arc<Unit>>,
    pub(super) last_end: Option<RunEnd>,
    pub(super) usage: Option<Usage>,
    pub(super) queue: Option<QueueNow>,
    pub(super) last_output: Option<UtcMs>,
    pub(super) last_heartbeat: Option<UtcMs>,
    /// The newest entry of its timeline before this process began, until it is known whether it runs.
    pub(super) before: Option<(State, UtcMs)>,
    /// What people set of it, where its file declares a form.
    pub(super) form: Option<FormDesk>,
    /// A change of its form that is on trial.
    pub(super) trial: Option<Trial>,
    pub(super) restarts_written: u64,
    pub(super) minute: Minute,
    /// Ends what belongs to the run: waiting and checks.
    pub(super) over: CancellationToken,
    /// Ends the checks alone, which begin anew when their rules change.
    pub(super) checks: CancellationToken,
    /// Ends the counting of its queue.
    pub(super) counting: CancellationToken,
    /// How it is shown.
    pub(super) shown: Option<Arc<UnitNow>>,
    pub(super) is_dirty: bool,
    /// Whether the file has it no longer.
    pub(super) is_removed: bool,
}

impl Entry {
    pub(super) fn new(spec: Arc<Unit>, machine: Machine) -> Self {
        let restarts_written = machine.restarts();
        Self {
            form: FormDesk::of(&spec),
            trial: None,
            spec,
            machine,
            begun: None,
            launched: None,
            last_end: None,
            usage: None,
            queue: None,
            last_output: None,
            last_heartbeat: None,
            before: None,
            restarts_written,
            minute: Minute::default(),
            over: CancellationToken::new(),
            checks: CancellationToken::new(),
            counting: CancellationToken::new(),
            shown: None,
            is_dirty: true,
            is_removed: false,
        }
    }

    /// A run is under way.
    pub(super) fn begin(&mut self, begun: Begun, launched: Option<Arc<Unit>>) {
        self.over = CancellationToken::new();
        self.begun = Some(begun);
        self.launched = launched;
        (self.usage, self.last_heartbeat) = (None, None);
        self.minute.begin();
    }

    /// The run is over: nothing of it is asked any more.
    pub(super) fn finish(&mut self) {
        self.over.cancel();
        self.checks.cancel();
        self.begun = None;
        self.launched = None;
        self.usage = None;
    }
}
