//! `streampulse check`: every problem of a configuration file at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ::probe::commands::Commands;
use engine::config::{ConfigFile, Overrides, check_files, commands, commands_default, load, schema};
use model::conf::Problem;
use serde_json::json;

use crate::args::CheckArgs;
use crate::commands::guard;
use crate::say;

/// Exit code of a file that would be refused.
const REFUSED: u8 = 1;

/// Runs the command.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        say::out(&serde_json::to_string_pretty(&schema())?);
        return Ok(ExitCode::SUCCESS);
    }
    let file = ConfigFile::new(&args.file);
    let commands = match commands_of(args.commands.as_deref(), &args.file) {
        Ok(commands) => commands,
        Err(refused) => return Ok(refused.tell(args.json)),
    };
    let overrides = Overrides { commands: Some(Arc::new(commands)), ..Overrides::default() };
    let read = file.read().map_err(|p| vec![p]);
    let loaded = read.and_then(|(text, _)| load(&text, &environment, &overrides));
    let (problems, warnings, summary) = match loaded {
        Ok(config) => {
            let count = config.targets.len();
            let warnings = [config.warnings.clone(), check_files(&config)].concat();
            (Vec::new(), warnings, format!("{count} stream{}", if count == 1 { "" } else { "s" }))
        }
        Err(problems) => (problems, Vec::new(), String::new()),
    };
    if args.json {
        let list = |ps: &[Problem]| ps.iter().map(problem_json).collect::<Vec<_>>();
        let body = json!({ "file": args.file, "ok": problems.is_empty(), "problems": list(&problems), "warnings": list(&warnings) });
        say::out(&serde_json::to_string_pretty(&body)?);
    } else {
        for warning in &warnings {
            say::err(&format!("{}: warning: {warning}", args.file.display()));
        }
        for problem in &problems {
            say::err(&format!("{}: {problem}", args.file.display()));
        }
        if problems.is_empty() {
            say::out(&format!("{}: {summary}, no problems", args.file.display()));
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
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
