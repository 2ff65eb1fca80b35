//! Kind `exec`: a monitoring plugin, by the convention of Nagios and the Monitoring Plugins: exit code 0, 1, 2 or 3 is the
//! verdict, the first line the message, and behind a bar stands performance data.
//!
//! Runs only commands that the file of commands names; a target gives their arguments and nothing else. Never a shell: each
//! argument is one argument, the environment is made here, and what the command started is ended with it.

use std::sync::Arc;
use std::time::Duration;

use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{FactValue, Reading, Row, Severity, fact};
use model::secret::{MASK, Secret};
use model::target::Target;
use net::attempt::Attempt;
use tokio::sync::Semaphore;
use wire::plugin::{self, Output};

use crate::commands::{Commands, Filled, MAX_VALUE_BYTES, is_name};
use crate::gear::{COMMANDS_AT_ONCE, Gear};
use crate::kind::{BoxFuture, Kind, Probe, options_node};

pub(crate) mod errand;
mod process;

use process::{Ended, Process};

/// Secrets shorter than this are not masked, as in all texts.
const MIN_MASKED_BYTES: usize = 3;

static FIELDS: [Field; 2] = [
    Field::new(
        "args",
        Type::MapOf(&Type::Text { max: MAX_VALUE_BYTES }),
        "Values of the arguments that the command declares, by name. Each stays one argument, whatever it holds.",
    ),
    Field::new(
        "secrets",
        Type::MapOf(&Type::Secret),
        "Values of the environment variables that the command leaves to targets, by name. Never shown again.",
    ),
];

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "exec",
    schemes: &["exec"],
    summary: "Monitoring plugin: a command that the file of commands names says whether all is well",
    example: "\
name: Disk of the recorder
url: exec://disk
kind: exec
args:
  path: /recordings
  warn: 20%
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Exec::new(target)?)),
    guess: |address| u8::from(address.scheme() == "exec"),
};

/// What is wrong with how a target names a command.
#[must_use]
pub(crate) fn problems(target: &Target, commands: &Commands) -> Vec<Problem> {
    let Ok(exec) = Exec::new(target) else { return Vec::new() }; // told already
    match commands.get(&exec.name) {
        Err(message) => {
            vec![Problem::new(None, "url", message).with_remedy("only the file of commands can define one")]
        }
        Ok(command) => {
            let wrong = command.fill(&exec.args, &exec.secrets).err().unwrap_or_default();
            wrong.into_iter().map(|(key, message)| Problem::new(None, key, message)).collect()
        }
    }
}

/// A target of this kind, ready to be looked at once it is equipped.
struct Exec {
    /// Name of the command.
    name: String,
    args: Vec<(String, String)>,
    secrets: Vec<(String, Secret)>,
    /// What to run, or why nothing can be.
    filled: Result<Filled, String>,
    guard: Vec<String>,
    places: Arc<Semaphore>,
}

impl Exec {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let name = target.address.host().to_owned();
        let address = &target.address;
        let bare = address.path_and_query() == "/" && address.port().is_none() && address.credentials().is_none();
        if !is_name(&name) || !bare {
            let problem = Problem::new(None, "url", "the URL of a command is exec:// and its name, and nothing else");
            problems.push(problem.with_remedy("as in exec://disk, with a name of lower case letters and digits"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let secrets = options.pairs("secrets").into_iter().map(|(name, value)| (name, Secret::new(value)));
        Ok(Self {
            name,
            args: options.pairs("args"),
            secrets: secrets.collect(),
            filled: Err("no commands are known here".to_owned()),
            guard: Vec::new(),
            places: Arc::new(Semaphore::new(1)),
        })
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let missing = |words: &String| Fault::new(FaultKind::ToolMissing, Phase::Check, words.clone());
        let filled = self.filled.as_ref().map_err(missing)?;
        let read = |bytes: &[u8]| plugin::parse(masked(bytes, filled).as_bytes());
        let place = tokio::time::timeout_at(at.deadline(), self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            let words = format!("all {COMMANDS_AT_ONCE} places for commands were taken for {:?}", at.limit());
            return Err(Fault::new(FaultKind::Internal, Phase::Check, words));
        };
        let mut process = at.run(Phase::Command, Process::start(filled, &self.guard, None)).await?;
        let ended = at.run(Phase::Command, process.finish()).await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(fault) => {
                process.end().await;
                let printed = read(process.output());
                tell(&printed, reading);
                return Err(late(fault, &printed.message, at.limit()));
            }
        };
        let printed = read(process.output());
        tell(&printed, reading);
        if process.cut() {
            let words = format!(
                "the command printed more than {} KiB; the rest was not read",
                process::MAX_OUTPUT_BYTES / 1024
            );
            reading.find("output_cut", Severity::Note, words);
        }
        judge(ended, message(printed, || read(process.errors())), reading)
    }
}

/// What was printed, without the values of secret variables: plugins like to print the command that they call.
fn masked(bytes: &[u8], filled: &Filled) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for secret in filled.secret_env.values().filter(|s| s.expose().len() >= MIN_MASKED_BYTES) {
        text = text.replace(secret.expose(), MASK);
    }
    text
}

/// The deadline passed: what the command had said until then helps.
fn late(fault: Fault, said: &str, limit: Duration) -> Fault {
    if fault.kind != FaultKind::TimedOut {
        return fault;
    }
    let said = if said.is_empty() { "without a word".to_owned() } else { format!("it had said: {said}") };
    let words = format!("the command did not end {} and was ended; {said}", crate::kind::within(limit));
    Fault::new(FaultKind::TimedOut, fault.phase, words)
}

/// The first line, else the first line of the errors.
fn message(printed: Output, errors: impl FnOnce() -> Output) -> String {
    if !printed.message.is_empty() {
        return printed.message;
    }
    match errors().message {
        error if error.is_empty() => "it said nothing".to_owned(),
        error => format!("on standard error: {error}"),
    }
}

/// Writes down what was printed.
fn tell(printed: &Output, reading: &mut Reading) {
    if !printed.message.is_empty() {
        reading.text(fact::MESSAGE, printed.message.clone());
    }
    if !printed.long.is_empty() {
        reading.text(fact::LONG_OUTPUT, printed.long.replace('\n', " / "));
    }
    reading.rows(fact::PERFDATA, printed.values.iter().map(row).collect());
    if printed.left_out > 0 {
        let words = format!("{} words of the performance data are no values", printed.left_out);
        reading.find("perfdata_malformed", Severity::Note, words);
    }
}

fn row(value: &plugin::Value) -> Row {
    let mut row = Row::new(value.label.clone());
    let mut number = |key, number: Option<f64>| {
        if let Some(number) = number {
            row.cells.insert(key, FactValue::Num(number));
        }
    };
    number("value", value.value);
    number("min", value.min);
    number("max", value.max);
    let unit = (!value.unit.is_empty()).then(|| value.unit.clone());
    let texts =
        [("unit", unit), ("warn", value.warn.map(|r| r.to_string())), ("crit", value.crit.map(|r| r.to_string()))];
    row.cells.extend(texts.into_iter().filter_map(|(key, text)| Some((key, FactValue::Text(text?)))));
    row
}

/// From the end of the command to the end of the look.
fn judge(ended: Ended, said: String, reading: &mut Reading) -> Result<(), Fault> {
    let fault = |kind, words: String| Err(Fault::new(kind, Phase::Command, words));
    let code = match ended {
        Ended::Exited(code) => code,
        Ended::Killed(signal) => {
            let name = process::signal_name(signal);
            return fault(FaultKind::Unclear, format!("the command was ended by signal {signal}{name}: {said}"));
        }
    };
    reading.int(fact::EXIT_CODE, code.into());
    match code {
        0 => Ok(()),
        1 => {
            reading.find("plugin_warning", Severity::Warning, said);
            Ok(())
        }
        2 => fault(FaultKind::Reported, said),
        3 => fault(FaultKind::Unclear, format!("the command cannot tell: {said}")),
        // As shells and Nagios have it.
        126 | 127 => fault(FaultKind::ToolMissing, format!("the command could not be run (exit code {code}): {said}")),
        _ => fault(FaultKind::Unclear, format!("exit code {code}, which is none of a plugin (0 to 3): {said}")),
    }
}

impl Probe for Exec {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn equip(&mut self, gear: &Gear) {
        let filled = |command: &crate::commands::Command| {
            command.fill(&self.args, &self.secrets).map_err(|wrong| format!("{}: {}", wrong[0].0, wrong[0].1))
        };
        self.filled = gear.commands.get(&self.name).and_then(filled);
        self.guard.clone_from(&gear.commands.guard);
        self.places = Arc::clone(&gear.places);
    }
}
