//! Forms of units: what people set is written, tried, and kept or taken back. A part of [`super::Task`].

use std::collections::BTreeMap;

use model::unit::form::Value;
use model::unit::machine::{Input, Why};
use model::unit::{Cause, State, UnitId, Wanted};

use super::{Task, Told};
use crate::units::UnitError;
use crate::units::form_desk::{FormReply, FormTold, Trial};

impl Task {
    /// The error of a unit that is not there, or has no form.
    fn no_form(&self, id: &UnitId) -> UnitError {
        if self.entries.contains_key(id) { UnitError::NoForm } else { UnitError::NoSuchUnit }
    }

    pub(super) fn ask_form(&mut self, id: &UnitId, reply: FormReply) {
        let Some(form) = self.entries.get(id).and_then(|entry| entry.form.clone()) else {
            let _gone = reply.send(Err(self.no_form(id)));
            return;
        };
        self.around.tasks.spawn(format!("form of {id}"), async move {
            let _gone = reply.send(form.view().await);
        });
    }

    /// A unit that runs tries the change. One that stands still, or could not run with what was, just has it.
    pub(super) fn set_form(
        &mut self,
        id: UnitId,
        patch: BTreeMap<String, Option<Value>>,
        actor: String,
        reply: FormReply,
    ) {
        let Some((form, entry)) = self.entries.get(&id).and_then(|entry| Some((entry.form.clone()?, entry))) else {
            let _gone = reply.send(Err(self.no_form(&id)));
            return;
        };
        let is_up = matches!(entry.machine.state(), State::Running | State::Starting | State::Stopping);
        let on_trial = is_up && entry.machine.wanted() == Wanted::Running;
        let told = self.shared.told.clone();
        self.around.tasks.spawn(format!("form of {id}"), async move {
            match form.set(patch, on_trial).await {
                Ok((changed, view)) => {
                    let view = Box::new(view);
                    let _ended =
                        told.send(Told::Form(FormTold::Set { id, changed, on_trial, actor, view, reply })).await;
                }
                Err(error) => {
                    let _gone = reply.send(Err(error));
                }
            }
        });
    }

    /// Looks whether an earlier process left a change on trial.
    pub(super) fn look_for_trial(&mut self, id: &UnitId) {
        let Some(form) = self.entries.get(id).and_then(|entry| entry.form.clone()) else { return };
        let (id, told) = (id.clone(), self.shared.told.clone());
        self.around.tasks.spawn(format!("form of {id}"), async move {
            if form.is_on_trial().await {
                let _ended = told.send(Told::Form(FormTold::OnTrial { id })).await;
            }
        });
    }

    pub(super) fn hear_form(&mut self, told: FormTold) {
        match told {
            FormTold::Set { id, changed, on_trial, actor, view, reply } => {
                if let Some(entry) = self.entries.get_mut(&id).filter(|_| changed) {
                    let run = entry.machine.run();
                    entry.trial = on_trial.then_some(Trial { after: Some(run) });
                    if entry.machine.wanted() == Wanted::Running {
                        let why = Why::new(Cause::Form, "somebody changed its form").by(actor);
                        self.input(id, Input::Changed(why));
                    }
                }
                let _gone = reply.send(Ok(*view));
            }
            FormTold::OnTrial { id } => {
                if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.trial.is_none()) {
                    entry.trial = Some(Trial { after: None });
                    self.settle_trial(&id);
                }
            }
            FormTold::TakenBack { id, why } => {
                let words = format!("it did not come up with its new values, and the last good ones are back: {why}");
                self.input(id, Input::Changed(Why::new(Cause::Form, words)));
            }
        }
    }

    /// Keeps or takes back a change on trial when the unit's state says what it is good for.
    pub(super) fn settle_trial(&mut self, id: &UnitId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let (Some(trial), Some(form)) = (entry.trial, entry.form.clone()) else { return };
        if trial.after.is_some_and(|run| entry.machine.run() <= run) {
            return; // the run before the change is still being ended
        }
        let good = match entry.machine.state() {
            State::Running | State::Finished => true,
            State::BackingOff | State::Failed => false,
            // Stopped on purpose: the next start tells.
            State::Starting | State::Stopping | State::Stopped => return,
        };
        entry.trial = None;
        let why = entry.machine.why().words.clone();
        let (id, told) = (id.clone(), self.shared.told.clone());
        self.around.tasks.spawn(format!("form of {id}"), async move {
            let settled = if good { form.commit().await } else { form.roll_back(why.clone()).await };
            if let Err(error) = settled {
                tracing::warn!(unit = %id, "the trial of its form: {error}");
            }
            if !good {
                let _ended = told.send(Told::Form(FormTold::TakenBack { id, why })).await;
            }
        });
    }
}
