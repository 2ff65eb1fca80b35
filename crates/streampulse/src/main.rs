//! The binary: arguments in, exit code out. Wires the crates together and owns nothing else.

mod args;
mod commands;
mod demo;
mod log;
mod notify;
mod say;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// Exit code for misuse of the command line: Nagios reads 3 as unknown (clap's own 2 would be "critical").
const MISUSE: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _gone = error.print();
            return if error.use_stderr() { ExitCode::from(MISUSE) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("streampulse: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    // A one-shot command speaks through its output; its log would only be in the way.
    let serves = matches!(cli.command, None | Some(Command::Run(_) | Command::Demo(_)));
    log::start(if serves || cli.log != "info" { &cli.log } else { "error" }, cli.log_format)?;
    match cli.command {
        None => runtime()?.block_on(commands::run::run(cli.run)),
        Some(Command::Run(args)) => runtime()?.block_on(commands::run::run(args)),
        Some(Command::Demo(args)) => runtime()?.block_on(commands::demo::demo(args)),
        Some(Command::Probe(args)) => probe_runtime()?.block_on(commands::probe::probe(&args)).or_else(|error| {
            say::err(&format!("streampulse probe: {error:#}"));
            Ok(ExitCode::from(commands::probe::UNKNOWN))
        }),
        Some(Command::Check(args)) => commands::check::check(&args),
        Some(Command::Import(args)) => commands::import::import(&args),
        Some(Command::User(command)) => commands::people::user(command),
        Some(Command::Token(command)) => commands::people::token(command),
        Some(Command::Backup(args)) => commands::history::backup(&args),
        Some(Command::Verify(args)) => commands::history::verify(&args),
        Some(Command::Health(args)) => probe_runtime()?.block_on(commands::health::health(&args)),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "streampulse", &mut text);
            say::out(String::from_utf8_lossy(&text).trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Man) => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut text)?;
            say::out(String::from_utf8_lossy(&text).trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// One thread does for one look.
fn probe_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
