//! `streampulse backup` and `streampulse verify`: the history file from outside.

use std::process::ExitCode;

use anyhow::Context;
use store::Store;

use crate::args::{BackupArgs, DATABASE, VerifyArgs};
use crate::say;

/// Copies the history; safe while StreamPulse writes to it.
pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let from = args.state.state.join(DATABASE);
    Store::backup_file(&from, &args.to).with_context(|| format!("{} was not backed up", from.display()))?;
    let size = std::fs::metadata(&args.to).map_or(0, |m| m.len());
    say::out(&format!("{}: {size} bytes", args.to.display()));
    Ok(ExitCode::SUCCESS)
}

/// Checks the history.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.clone().unwrap_or_else(|| args.state.state.join(DATABASE));
    let problems = Store::verify(&file).with_context(|| format!("{} could not be checked", file.display()))?;
    for problem in &problems {
        say::err(&format!("{}: {problem}", file.display()));
    }
    if problems.is_empty() {
        say::out(&format!("{}: no problems", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
