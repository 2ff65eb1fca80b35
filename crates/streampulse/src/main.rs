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
/// How long blocking work may go on after everything else has ended.
const LEFTOVERS: std::time::Duration = std::time::Duration::from_secs(1);

fn main() -> ExitCode {
    // Before anything else: a guard is started for every look of the kind `exec`, and is to cost little.
    // A shim stays for the life of a unit, and is to stay small.
    let mut args = std::env::args_os().skip(1);
    let first = args.next().unwrap_or_default();
    if first == commands::guard::WORD {
        return commands::guard::guard(args);
    }
    if first == supervise::shim::WORD {
        return supervise::shim::shim(&args.next().unwrap_or_default());
    }
    if first == supervise::shim::EXEC_WORD {
        return supervise::shim::exec(args);
    }
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
    if serves {
        raise_file_limit();
    }
    log::start(if serves || cli.log != "info" { &cli.log } else { "error" }, cli.log_format)?;
    match cli.command {
        None => on_runtime(commands::run::run(cli.run)),
        Some(Command::Run(args)) => on_runtime(commands::run::run(args)),
        Some(Command::Demo(args)) => on_runtime(commands::demo::demo(args)),
        Some(Command::Probe(args)) => on_one_thread(commands::probe::probe(&args)).or_else(|error| {
            say::err(&format!("streampulse probe: {error:#}"));
            Ok(ExitCode::from(commands::probe::UNKNOWN))
        }),
        Some(Command::Check(args)) => commands::check::check(&args),
        Some(Command::Import(args)) => commands::import::import(&args),
        Some(Command::User(command)) => commands::people::user(command),
        Some(Command::Token(command)) => commands::people::token(command),
        Some(Command::Service(command)) => on_one_thread(commands::service::service(command)),
        Some(Command::PushToken) => {
            say::out(&web::auth::random::secret());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Backup(args)) => commands::history::backup(&args),
        Some(Command::Verify(args)) => commands::history::verify(&args),
        Some(Command::Health(args)) => on_one_thread(commands::health::health(&args)),
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

/// Sockets for every look, browser and preview at once, with room for the rest. The limit of 1024 that shells and
/// containers start with is for old programs; strangers' connections alone would use it up and every look would fail.
const FILES: u64 = 65_536;

fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES, |most| most.min(FILES));
    if current.is_some_and(|now| now < wanted) {
        // What cannot be raised stays; the looks say so when it does not suffice.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Runs on all cores. Work that blocks (a name lookup, a slow expression) may outlast the end only for a moment.
fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(work);
    runtime.shutdown_timeout(LEFTOVERS);
    code
}

/// One thread does for one look. What still waits for a name or a file system that hangs is left behind.
fn on_one_thread(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(work);
    runtime.shutdown_background();
    code
}
