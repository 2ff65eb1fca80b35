//! `streampulse check`: every problem of a configuration file at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ::probe::commands::Commands;
use engine::config::{
    Config, ConfigFile, Overrides, ServicesFile, check_files, check_services, commands, commands_default, load, schema,
    services_schema,
};
use model::conf::Problem;
use serde_json::json;

use crate::args::CheckArgs;
use crate::commands::guard;
use crate::say;

/// Exit code of a file that would be refused.
const REFUSED: u8 = 1;

/// Runs the command.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema || args.services_schema {
        let schema = if args.schema { schema() } else { services_schema() };
        say::out(&serde_json::to_string_pretty(&schema)?);
        return Ok(ExitCode::SUCCESS);
    }
    let file = ConfigFile::new(&args.file);
    let commands = match commands_of(args.commands.as_deref(), &args.file) {
        Ok(commands) => Arc::new(commands),
        Err(refused) => return Ok(refused.tell(args.json)),
    };
    let overrides = Overrides { commands: Some(Arc::clone(&commands)), ..Overrides::default() };
    let read = file.read().map_err(|p| vec![p]);
    let loaded = read.and_then(|(text, _)| load(&text, &environment, &overrides));
    let services = services(args, loaded.as_ref().ok(), &commands);
    let (problems, warnings, summary) = match loaded {
        Ok(config) => {
            let warnings = [config.warnings.clone(), check_files(&config)].concat();
            (Vec::new(), warnings, count(config.targets.len(), "stream"))
        }
        Err(problems) => (problems, Vec::new(), String::new()),
    };
    let config = Checked { file: args.file.clone(), problems, warnings, summary };
    let ok = config.problems.is_empty() && services.as_ref().is_none_or(|services| services.problems.is_empty());
    if args.json {
        let mut body = config.json();
        body["ok"] = json!(ok);
        if let Some(services) = &services {
            body["services"] = services.json();
        }
        say::out(&serde_json::to_string_pretty(&body)?);
    } else {
        config.tell();
        services.iter().for_each(Checked::tell);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// What a file is like.
struct Checked {
    file: PathBuf,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    summary: String,
}

impl Checked {
    fn json(&self) -> serde_json::Value {
        let list = |ps: &[Problem]| ps.iter().map(problem_json).collect::<Vec<_>>();
        json!({
            "file": self.file,
            "ok": self.problems.is_empty(),
            "problems": list(&self.problems),
            "warnings": list(&self.warnings),
        })
    }

    fn tell(&self) {
        let file = self.file.display();
        self.warnings.iter().for_each(|warning| say::err(&format!("{file}: warning: {warning}")));
        self.problems.iter().for_each(|problem| say::err(&format!("{file}: {problem}")));
        if self.problems.is_empty() {
            say::out(&format!("{file}: {}, no problems", self.summary));
        }
    }
}

/// The file of services, where there is one. `config` is what it is compared with, where that could be read.
fn services(args: &CheckArgs, config: Option<&Config>, commands: &Commands) -> Option<Checked> {
    let file = ServicesFile::new(args.services.as_deref(), &args.file);
    if !file.named && !file.path.exists() {
        return None;
    }
    let (problems, warnings, summary) = match file.read(&environment) {
        Ok(services) => {
            let others = config.map(|config| check_services(&services, config, Some(commands))).unwrap_or_default();
            let summary = count(services.units.len(), "service");
            (Vec::new(), [services.warnings, others].concat(), summary)
        }
        Err(problems) => (problems, Vec::new(), String::new()),
    };
    Some(Checked { file: file.path, problems, warnings, summary })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A file of commands that was refused.
pub(crate) struct Refused {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Refused {
    /// Each problem, with the file's name in front.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.problems.iter().map(|problem| format!("{}: {problem}", self.file.display())).collect()
    }

    fn tell(&self, json: bool) -> ExitCode {
        self.lines().iter().for_each(|line| say::err(line));
        if json {
            let list: Vec<_> = self.problems.iter().map(problem_json).collect();
            say::out(&json!({ "file": self.file, "ok": false, "problems": list, "warnings": [] }).to_string());
        }
        ExitCode::from(REFUSED)
    }
}

/// The commands of the file that was named, else of the one beside the configuration, with the guard of this program.
pub(crate) fn commands_of(named: Option<&Path>, config: &Path) -> Result<Commands, Refused> {
    let file = named.map_or_else(|| commands_default(config), Path::to_path_buf);
    match commands(&file, named.is_some(), &environment) {
        Ok(commands) => Ok(Commands { guard: guard::command_line(), ..commands }),
        Err(problems) => Err(Refused { file, problems }),
    }
}

/// The process environment, as the loader wants it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn problem_json(p: &Problem) -> serde_json::Value {
    json!({
        "line": p.place.map(|x| x.line),
        "column": p.place.map(|x| x.column),
        "path": p.path,
        "message": p.message,
        "remedy": p.remedy,
    })
}
