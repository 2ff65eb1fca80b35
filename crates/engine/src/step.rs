//! The pure step: the only mutation of engine state. Time and everything from outside come in as values, what is to be done
//! goes out as values. No I/O, no clock, no randomness: the same inputs give the same effects.

mod health;
pub(crate) mod hold;
mod judged;
mod looks;
pub(crate) mod media;
mod reconcile;
#[cfg(test)]
mod tests;
mod watch;

use crate::input::{Answer, Command, CommandError, Effect, Input, Now, Ticket};
use crate::state::State;

/// Pause between two attempts of a round: long enough for a server that restarts its listener, short against an interval.
pub const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
/// People who may wait for the same look; more are told that it is busy.
pub const MAX_ASKERS: usize = 16;

/// Moves `state` by one input; answers what is to be done, in order.
#[must_use]
pub fn step(state: &mut State, now: Now, input: Input) -> Vec<Effect> {
    state.check_clock(now);
    match input {
        Input::Tick => {}
        Input::LookDone { look, observation } => state.look_done(now, look, *observation),
        Input::Held { look, observation, second } => state.held(now, look, *observation, second),
        Input::Command(command, ticket) => state.command(now, &command, ticket),
        Input::Config(config) => state.configure(now, *config),
        Input::Services(refused) => state.services_file(now, refused),
        Input::ConfigRejected(problems) => state.config_rejected(now, problems),
        Input::Maintenance(targets) => state.plan(now, targets),
        Input::Store(store) => state.store_says(now, store),
        Input::Panicked(what) => state.panicked(now, &what),
        Input::Stop => state.stop(now),
    }
    state.tick(now);
    std::mem::take(&mut state.out)
}

impl State {
    fn command(&mut self, now: Now, command: &Command, ticket: Ticket) {
        let (Command::TestNow(id) | Command::Pause(id) | Command::Resume(id)) = command;
        let refused = match self.by_id.get(id) {
            _ if self.stopping => Some(CommandError::Stopping),
            None => Some(CommandError::NoSuchTarget),
            Some(&slot) => match command {
                Command::TestNow(_) => self.test_now(now, slot, ticket).err(),
                Command::Pause(_) | Command::Resume(_) => {
                    self.set_paused(now, slot, matches!(command, Command::Pause(_)));
                    self.out.push(Effect::Reply(ticket, Answer::Done));
                    None
                }
            },
        };
        if let Some(error) = refused {
            self.out.push(Effect::Reply(ticket, Answer::Refused(error)));
        }
    }
}
