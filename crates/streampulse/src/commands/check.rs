//! `streampulse check`: every problem of a configuration file at once.

use std::process::ExitCode;

use engine::config::{ConfigFile, Overrides, check_files, load, schema};
use model::conf::Problem;
use serde_json::json;

use crate::args::CheckArgs;
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
    let read = file.read().map_err(|p| vec![p]);
    let loaded = read.and_then(|(text, _)| load(&text, &environment, &Overrides::default()));
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
