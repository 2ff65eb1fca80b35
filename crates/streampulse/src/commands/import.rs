//! `streampulse import`: a StreamPulse 2.x configuration becomes a `streampulse.yaml`, and the settings of a service, as another
//! program kept them, the file of its form.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use engine::config::{ConfigFile, Overrides, ServicesFile, import_legacy, load};
use engine::units::forms;
use model::unit::spec::Unit;

use crate::args::ImportArgs;
use crate::commands::check::environment;
use crate::say;

/// Runs the command. Nothing is written unless the result loads.
pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let (text, _) = ConfigFile::new(&args.file).read().map_err(|p| anyhow::anyhow!("{}: {p}", args.file.display()))?;
    if is_settings(&text) {
        return settings(args, &text);
    }
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
    write(args.output.as_deref(), &converted, &format!("{} streams", loaded.targets.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what came of it where it is asked for.
fn write(output: Option<&Path>, text: &str, summary: &str) -> anyhow::Result<()> {
    let Some(path) = output else {
        say::out(text.trim_end());
        return Ok(());
    };
    if path.exists() {
        anyhow::bail!("{} exists already and is not overwritten; name another file", path.display());
    }
    ConfigFile::new(path).create(text).with_context(|| format!("{} was not written", path.display()))?;
    say::out(&format!("{}: {summary}", path.display()));
    Ok(())
}

/// Whether it is one JSON object and no configuration of streams.
fn is_settings(text: &str) -> bool {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
    object.is_ok_and(|object| !object.contains_key("streams"))
}

fn settings(args: &ImportArgs, text: &str) -> anyhow::Result<ExitCode> {
    let shown = args.file.display();
    let file = ServicesFile::new(Some(&args.services), &args.services);
    let services = match file.read(&environment) {
        Ok(services) => services,
        Err(problems) => {
            problems.iter().for_each(|problem| say::err(&format!("{}: {problem}", args.services.display())));
            say::err("settings of a service are read by its form: name the file that declares it with --services");
            return Ok(ExitCode::FAILURE);
        }
    };
    let with_form: Vec<&Arc<Unit>> = services.units.iter().filter(|unit| unit.form.is_some()).collect();
    let unit = match (&args.service, with_form.as_slice()) {
        (Some(id), all) => {
            all.iter().find(|unit| unit.id.as_str() == id).with_context(|| format!("no service {id} has a form"))?
        }
        (None, [one]) => one,
        (None, []) => anyhow::bail!("no service of {} has a form", args.services.display()),
        (None, _) => anyhow::bail!("several services have a form: name one with --service"),
    };
    let form = unit.form.as_ref().context("it has a form")?;
    match forms::import(form, text, &args.file) {
        Ok(imported) => {
            if !imported.others.is_empty() {
                say::err(&format!("{shown}: kept, and unknown to the form: {}", imported.others.join(", ")));
            }
            write(args.output.as_deref(), &imported.text, &format!("{} settings of {}", imported.values, unit.id))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| say::err(&format!("{shown}: {problem}")));
            Ok(ExitCode::FAILURE)
        }
    }
}
