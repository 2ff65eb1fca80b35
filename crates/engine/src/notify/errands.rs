//! Runs the commands of channels: what the file of commands names, behind the same guard as looks of the kind `exec`, a few at
//! a time. Owns their places and what an end means for another attempt.

use std::sync::Arc;

use model::fault::FaultKind;
use model::time::Clock;
use probe::commands::{Commands, Run};
use sink::channel::{BoxFuture, Errand, Failure, Runner};
use tokio::sync::Semaphore;

/// Commands of channels at once: each channel runs one, and few channels are commands.
const ERRANDS_AT_ONCE: usize = 8;

/// The runner of this process.
pub(crate) struct Errands {
    commands: Arc<Commands>,
    clock: Arc<dyn Clock>,
    places: Semaphore,
}

impl Errands {
    pub(crate) fn new(commands: Arc<Commands>, clock: Arc<dyn Clock>) -> Self {
        Self { commands, clock, places: Semaphore::new(ERRANDS_AT_ONCE) }
    }

    async fn run(&self, errand: Errand) -> Result<(), Failure> {
        let place = tokio::time::timeout(errand.limit, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(Failure::passing(format!("all {ERRANDS_AT_ONCE} places for commands of channels were taken")));
        };
        let Errand { command, args, secrets, env, input, limit } = errand;
        let run = Run { name: &command, args: &args, secrets: &secrets, env: &env, input: &input, limit };
        self.commands.run(&run, &*self.clock).await.map_err(|fault| {
            // A command that is not there comes with another file of commands, and that takes a restart.
            let lasting = matches!(fault.kind, FaultKind::ToolMissing | FaultKind::TooLarge);
            Failure { passing: !lasting, retry_after_s: None, words: fault.to_string() }
        })
    }
}

impl Runner for Errands {
    fn run<'a>(&'a self, errand: Errand) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.run(errand))
    }
}
