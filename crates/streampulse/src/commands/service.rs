//! `streampulse service`: what the pages of services do, for a shell: list, start, end, restart, output, values.

mod logs;
mod show;
mod values;
mod wait;

use std::process::ExitCode;

use net::http::Method;
use serde_json::Value;

use crate::args::{Reach, ServiceCommand, Which};
use crate::commands::caller::{Caller, Done, FAILED, Failed, MISUSE};
use crate::say;
use wait::Wanted;

/// Exit code of `status` when the service does not run.
const NOT_RUNNING: u8 = 2;

/// Runs `streampulse service`.
pub(crate) async fn service(command: ServiceCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        ServiceCommand::List { reach } => list(&reach).await,
        ServiceCommand::Status { id, reach } => status(&id, &reach).await,
        ServiceCommand::Start(which) => each(&which, Wanted::Started).await,
        ServiceCommand::Stop(which) => each(&which, Wanted::Stopped).await,
        ServiceCommand::Restart(which) => each(&which, Wanted::Restarted).await,
        ServiceCommand::Logs(args) => logs::logs(&args).await,
        ServiceCommand::Form { id, reach } => values::form(&id, &reach).await,
        ServiceCommand::Set { id, values, reset, reach } => values::set(&id, &values, &reset, &reach).await,
    };
    Ok(done.unwrap_or_else(|failed| {
        failed.words.lines().for_each(|line| say::err(&format!("streampulse service: {line}")));
        ExitCode::from(failed.code)
    }))
}

async fn list(reach: &Reach) -> Done<ExitCode> {
    let all = Caller::new(reach)?.call(Method::GET, "/api/v1/services", None).await?;
    if reach.json {
        print(&all);
    } else {
        show::table(&all).iter().for_each(|line| say::out(line));
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(id: &str, reach: &Reach) -> Done<ExitCode> {
    let one = Caller::new(reach)?.call(Method::GET, &path(id, "")?, None).await?;
    if reach.json {
        print(&one);
    } else {
        show::one(&one).iter().for_each(|line| say::out(line));
    }
    let runs = matches!(one["state"].as_str(), Some("running" | "starting"));
    Ok(if runs { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) })
}

/// Does the same to each service; all of them are tried, and the first failure counts.
async fn each(which: &Which, wanted: Wanted) -> Done<ExitCode> {
    let caller = Caller::new(&which.reach)?;
    let within =
        model::conf::words::duration(&which.within).map_err(|why| Failed::new(MISUSE, format!("--within: {why}")))?;
    let within = (!which.no_wait).then_some(within);
    let mut worst = None;
    for id in &which.ids {
        match wait::act(&caller, id, wanted, within).await {
            Ok(done) if which.reach.json => print(&done),
            Ok(done) => say::out(&format!("{id}: {}", show::in_a_line(&done))),
            Err(failed) => {
                failed.words.lines().for_each(|line| say::err(&format!("{id}: {line}")));
                worst.get_or_insert(failed.code);
            }
        }
    }
    Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from))
}

fn print(value: &Value) {
    say::out(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Path of a service in the API. An id holds no letter that would need escaping.
fn path(id: &str, rest: &str) -> Done<String> {
    match model::unit::UnitId::parse(id) {
        Ok(id) => Ok(format!("/api/v1/services/{id}{rest}")),
        Err(why) => Err(Failed::new(MISUSE, format!("{id:?} is no id of a service: {why}"))),
    }
}

/// A failure with the last lines of output that stand beside it.
fn with_last_lines(words: String, service: &Value) -> Failed {
    let lines = service["last_end"]["last_lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines = lines.iter().filter_map(Value::as_str).map(|line| format!("\n  | {}", show::plain(line)));
    Failed::new(FAILED, words + &lines.collect::<String>())
}
