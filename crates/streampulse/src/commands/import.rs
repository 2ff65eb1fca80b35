//! `streampulse import`: a StreamPulse 2.x configuration becomes a `streampulse.yaml`.

use std::process::ExitCode;

use anyhow::Context;
use engine::config::{ConfigFile, Overrides, import_legacy, load};

use crate::args::ImportArgs;
use crate::commands::check::environment;
use crate::say;

/// Runs the command. Nothing is written unless the result loads.
pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let (text, _) = ConfigFile::new(&args.file).read().map_err(|p| anyhow::anyhow!("{}: {p}", args.file.display()))?;
    let converted = match import_legacy(&text) {
        Ok(converted) => converted,
        Err(problems) => {
            for problem in problems {
                say::err(&format!("{}: {problem}", args.file.display()));
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let loaded = load(&converted, &environment, &Overrides::default())
        .map_err(|problems| anyhow::anyhow!("the converted file would be refused: {}", problems[0]))?;
    match &args.output {
        None => say::out(converted.trim_end()),
        Some(path) => {
            if path.exists() {
                anyhow::bail!("{} exists already and is not overwritten; name another file", path.display());
            }
            ConfigFile::new(path).create(&converted).with_context(|| format!("{} was not written", path.display()))?;
            say::out(&format!("{}: {} streams", path.display(), loaded.targets.len()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
