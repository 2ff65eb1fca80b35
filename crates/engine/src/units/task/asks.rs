//! What people ask of units: commands and forms. A part of [`super::Task`].

use model::unit::machine::{Input, Why};
use model::unit::{Cause, State, UnitId, Wanted};

use super::{Task, Wish};
use crate::units::{Taken, UnitAsk, UnitCommand, UnitError};

impl Task {
    pub(super) fn ask(&mut self, ask: UnitAsk) {
        match ask {
            UnitAsk::Command { id, command, actor, reply } => match self.command(&id, command, &actor) {
                Ok(taken) => {
                    let wanted = taken.wanted;
                    self.unanswered.push_back(Wish { id, wanted, taken, reply });
                }
                Err(error) => {
                    let _gone = reply.send(Err(error));
                }
            },
            UnitAsk::Form { id, reply } => self.ask_form(&id, reply),
            UnitAsk::SetForm { id, patch, actor, reply } => self.set_form(id, patch, actor, reply),
        }
    }

    /// Takes a command at once; it is answered when the wish is on the disk.
    fn command(&mut self, id: &UnitId, command: UnitCommand, actor: &str) -> Result<Taken, UnitError> {
        let entry = self.entries.get(id).ok_or(UnitError::NoSuchUnit)?;
        if !self.order.contains(id) {
            return Err(UnitError::NoSuchUnit);
        }
        let how = |entry: &super::Entry| (entry.machine.wanted(), entry.machine.state(), entry.machine.run());
        let before = how(entry);
        let (wanted, words) = match command {
            UnitCommand::Start => (Wanted::Running, "somebody asked to start it"),
            UnitCommand::Stop => (Wanted::Stopped, "somebody asked to stop it"),
            UnitCommand::Restart => (Wanted::Running, "somebody asked to restart it"),
        };
        if wanted == Wanted::Running && !entry.spec.enabled {
            let words = "the file of services says that it is disabled (enabled: false); change that there";
            return Err(UnitError::Refused(words.to_owned()));
        }
        let anew = command == UnitCommand::Restart;
        // Starting what runs forgives nothing and interrupts nothing.
        let is_running = before.0 == Wanted::Running && matches!(before.1, State::Running | State::Starting);
        if command == UnitCommand::Start && is_running {
            return Ok(Taken { wanted, changed: false });
        }
        let why = Why::new(Cause::Command, words).by(actor);
        self.input(id.clone(), Input::Wish { wanted, anew, why });
        let changed = self.entries.get(id).is_some_and(|entry| how(entry) != before);
        Ok(Taken { wanted, changed })
    }
}
