//! The guard of a command: a process between this program and a command that it runs, which ends the command when this
//! program dies, however it dies. Not for people: it is started by the kind `exec` alone.
//!
//! It stands at the head of the command's process group. Its standard input is a pipe that brings what the command is to
//! read, where there is anything, and nothing after that: when it closes, the program that held it is gone, and the whole group is killed, the guard included.

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use probe::commands::{GUARD_INPUT, MAX_INPUT_BYTES};
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, kill_process_group, setrlimit};

use crate::say;

/// The argument by which the guard is started. Two dashes and a name that no person types.
pub(crate) const WORD: &str = "--guard-of-a-command";
/// Exit code for "found, but cannot be run", as shells have it.
const NOT_RUN: u8 = 126;
/// Added to a signal's number for an exit code, as shells do, where the signal cannot be passed on.
const SIGNALLED: i32 = 128;

/// The guard's command line for [`probe::commands::Commands::guard`]; empty where this program does not know its own file.
pub(crate) fn command_line() -> Vec<String> {
    let text = own_program().and_then(|path| path.into_os_string().into_string().ok());
    text.map(|text| vec![text, WORD.to_owned()]).unwrap_or_default()
}

/// This program's own file, to be run once more.
pub(crate) fn own_program() -> Option<PathBuf> {
    // The link stays good when the file is replaced by an update.
    let own = Path::new("/proc/self/exe");
    if own.exists() { Some(own.to_path_buf()) } else { std::env::current_exe().ok() }
}

/// Runs the command and ends as it ends.
pub(crate) fn guard(mut argv: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(mut program) = argv.next() else { return ExitCode::from(NOT_RUN) };
    let share = program.to_str().and_then(|word| word.strip_prefix(GUARD_INPUT)?.parse::<usize>().ok());
    let mut input = Vec::new();
    if let Some(share) = share {
        let Some(next) = argv.next() else { return ExitCode::from(NOT_RUN) };
        program = next;
        // All of it comes first; an owner that dies before that wanted nothing to be run.
        let read = std::io::stdin().lock().take(share.min(MAX_INPUT_BYTES) as u64).read_to_end(&mut input);
        if read.is_err() || input.len() < share {
            return ExitCode::from(NOT_RUN);
        }
    }
    let stdin = if share.is_some() { Stdio::piped() } else { Stdio::null() };
    let started = Command::new(&program).args(argv).stdin(stdin).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            say::err(&format!("{} could not be started: {error}", program.to_string_lossy()));
            return ExitCode::from(NOT_RUN);
        }
    };
    if let Some(mut pipe) = child.stdin.take() {
        // A command that reads nothing keeps this thread and nobody else.
        std::thread::spawn(move || pipe.write_all(&input));
    }
    std::thread::spawn(end_with_the_owner);
    match child.wait() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(NOT_RUN)),
            (None, signal) => end_by(signal.unwrap_or_default()),
        },
        Err(_) => ExitCode::from(NOT_RUN),
    }
}

/// Waits until nobody holds the other end of standard input any more, and kills the group.
fn end_with_the_owner() {
    let mut input = std::io::stdin().lock();
    let mut byte = [0];
    while matches!(input.read(&mut byte), Ok(count) if count > 0) {}
    let _nobody_left = kill_process_group(getpid(), Signal::KILL);
}

/// Ends as the command did: by the same signal, and without leaving a core of our own.
fn end_by(signal: i32) -> ExitCode {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Some(signal) = Signal::from_named_raw(signal) {
        let own: Pid = getpid();
        let _ = kill_process(own, signal);
    }
    ExitCode::from(u8::try_from(SIGNALLED + signal).unwrap_or(NOT_RUN))
}
