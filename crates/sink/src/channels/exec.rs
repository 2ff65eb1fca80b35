//! Kind `exec`: a command that the file of commands names is run, with the notification as JSON on its standard input and its
//! main parts in the environment. So a lamp, a siren, a GPIO pin or a service that is not spoken to here can be reached.
//!
//! Only a file on the disk can say what is run; a channel gives the arguments that the command declares. Nothing here starts
//! a process: that is the runner's.

use std::sync::Arc;
use std::time::Duration;

use model::alert::Notification;
use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Errand, Failure, Gear, Runner};
use crate::message;

/// Longest value of an argument, in bytes, as for targets of the kind `exec`.
const MAX_VALUE_BYTES: usize = 1024;
/// Most letters of a variable of the environment.
const MAX_VARIABLE: usize = 1_000;

static FIELDS: [Field; 4] = [
    Field::new("command", Type::Text { max: 64 }, "Name of a command in the file of commands.").required(),
    Field::new(
        "args",
        Type::MapOf(&Type::Text { max: MAX_VALUE_BYTES }),
        "Values of the arguments that the command declares, by name. Each stays one argument, whatever it holds.",
    ),
    Field::new(
        "secrets",
        Type::MapOf(&Type::Secret),
        "Values of the environment variables that the command leaves to others, by name. Never shown again.",
    ),
    Field::new(
        "timeout",
        Type::Duration { min: Duration::from_millis(100), max: Duration::from_secs(120) },
        "A command that takes longer is ended with all that it started.",
    )
    .default("10s"),
];

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "exec",
    summary: "A command that the file of commands names: the way to lamps, sirens and everything else",
    example: "\
name: siren
kind: exec
command: siren
args: {seconds: 5}
min_severity: critical
",
    fields: &FIELDS,
    build,
};

struct Exec {
    command: String,
    args: Vec<(String, String)>,
    secrets: Vec<(String, Secret)>,
    limit: Duration,
    runner: Option<Arc<dyn Runner>>,
}

fn build(section: &Section<'_>) -> Built {
    let command = section.text("command").unwrap_or_default();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if command.is_empty() || !command.bytes().all(fits) {
        let place = section.place_of("command");
        let problem = Problem::new(place, section.path_of("command"), format!("{command:?} cannot name a command"));
        return Err(vec![
            problem.with_remedy("write the name of a command of the file of commands, without arguments"),
        ]);
    }
    let secrets = section.pairs("secrets").into_iter().map(|(name, value)| (name, Secret::new(value)));
    Ok(Box::new(Exec {
        command,
        args: section.pairs("args"),
        secrets: secrets.collect(),
        limit: section.duration("timeout").unwrap_or(Duration::from_secs(10)),
        runner: None,
    }))
}

impl Exec {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let Some(runner) = &self.runner else { return Err(Failure::lasting("no commands can be run here")) };
        let errand = Errand {
            command: self.command.clone(),
            args: self.args.clone(),
            secrets: self.secrets.clone(),
            env: variables(n, around),
            input: message::document(n, around).to_string().into_bytes(),
            limit: self.limit,
        };
        runner.run(errand).await
    }
}

/// The main parts, for commands that do not read JSON. Each is one line.
fn variables(n: &Notification, around: &Around) -> Vec<(String, String)> {
    let targets: Vec<&str> = n.subjects.iter().map(|s| s.id.as_str()).collect();
    let all = [
        ("KEY", n.key.clone()),
        ("ALERT", n.alert.clone()),
        ("STAGE", n.stage.to_string()),
        ("SEVERITY", n.severity.to_string()),
        ("RULE", n.rule.clone()),
        ("TITLE", n.title.clone()),
        ("TARGETS", targets.join(" ")),
        ("URL", message::link(n, around).unwrap_or_default()),
    ];
    let variable = |(name, value): (&str, String)| {
        (format!("STREAMPULSE_{name}"), message::cut(&message::one_line(&value), MAX_VARIABLE))
    };
    all.into_iter().map(variable).collect()
}

impl Channel for Exec {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }

    fn equip(&mut self, gear: &Gear) {
        self.runner.clone_from(&gear.runner);
    }
}
