//! A command that is run once, to tell people something or to be asked something: no look, no verdict. It reads a message on its
//! standard input, says by its exit code whether all went well, and on its standard output what was asked.

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::time::Clock;
use net::attempt::Attempt;

use super::process::{self, Ended, Process};
use crate::commands::{Commands, MAX_INPUT_BYTES, Run};

/// Most letters of what a command printed that are told.
const MOST_TOLD: usize = 300;

/// What a command printed that ended well.
pub(crate) struct Printed {
    /// Its standard output.
    pub(crate) bytes: Vec<u8>,
    /// Whether some of it was dropped.
    pub(crate) cut: bool,
}

/// Runs it and waits for its end, at most as long as asked for.
pub(crate) async fn run(commands: &Commands, run: &Run<'_>, clock: &dyn Clock) -> Result<Printed, Fault> {
    let missing = |words: String| Fault::new(FaultKind::ToolMissing, Phase::Check, words);
    let command = commands.get(run.name).map_err(missing)?;
    let mut filled = command.fill(run.args, run.secrets).map_err(|wrong| {
        missing(wrong.iter().map(|(key, words)| format!("{key}: {words}")).collect::<Vec<_>>().join("; "))
    })?;
    if run.input.len() > MAX_INPUT_BYTES {
        let words = format!("the input has {} bytes, at most {MAX_INPUT_BYTES} are given", run.input.len());
        return Err(Fault::new(FaultKind::TooLarge, Phase::Check, words));
    }
    // What the command's own file says goes before what comes from elsewhere.
    for (name, value) in run.env {
        filled.env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let mut at = Attempt::new(clock, run.limit);
    let mut process = at.run(Phase::Command, Process::start(&filled, &commands.guard, Some(run.input))).await?;
    let ended = at.run(Phase::Command, process.finish()).await;
    let said = {
        let errors = process.errors();
        let text = super::masked(if errors.is_empty() { process.output() } else { errors }, &filled);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        let end = line.char_indices().nth(MOST_TOLD).map_or(line.len(), |(at, _)| at);
        if line.is_empty() { "it said nothing".to_owned() } else { line[..end].to_owned() }
    };
    match ended {
        Ok(Ended::Exited(0)) => Ok(Printed { bytes: process.output().to_vec(), cut: process.cut() }),
        Ok(Ended::Exited(code @ (126 | 127))) => {
            let words = format!("the command could not be run (exit code {code}): {said}");
            Err(Fault::new(FaultKind::ToolMissing, Phase::Command, words))
        }
        Ok(Ended::Exited(code)) => {
            Err(Fault::new(FaultKind::Reported, Phase::Command, format!("the command ended with code {code}: {said}")))
        }
        Ok(Ended::Killed(signal)) => {
            let name = process::signal_name(signal);
            let words = format!("the command was ended by signal {signal}{name}: {said}");
            Err(Fault::new(FaultKind::Unclear, Phase::Command, words))
        }
        Err(fault) => {
            process.end().await;
            Err(fault)
        }
    }
}
