//! One run of a command: a process group of its own with an environment of its own, its output with a bound, and an end for
//! all of it. Owns the process; dropping it ends everything that it started in its group.
//!
//! Nothing here goes through a shell, and nothing is inherited: neither environment, nor input, nor files.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::commands::{Filled, GUARD_INPUT};

/// Most bytes of each of the two outputs that are kept. Nagios itself reads 8 KiB; what is beyond is read and dropped, so
/// that the command does not block on it.
pub(super) const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// How long a command may take to end after it was asked to (SIGTERM), before it is killed.
const MANNERS: Duration = Duration::from_millis(500);
/// How long output may come after the command has ended: what stands in the pipe comes at once, and who left the group and
/// holds the pipe open is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Where programs that a command calls are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

/// A running command.
pub(super) struct Process {
    child: Child,
    /// The process group, until the leader is reaped: its number belongs to nobody else before that.
    group: Option<Pid>,
    /// Tells when the leader has ended, without reaping it; `None` where the kernel has no such thing.
    leader: Option<AsyncFd<OwnedFd>>,
    /// Held open for as long as this lives: the guard ends the command when it closes.
    lifeline: Option<ChildStdin>,
    /// What the command is still to be given.
    input: Option<Input>,
    stdout: Kept<ChildStdout>,
    stderr: Kept<ChildStderr>,
}

/// What goes to the standard input.
struct Input {
    rest: Vec<u8>,
    /// Whether closing it says that this was all: the guard knows that by the count, and its pipe stays open.
    ends: bool,
}

/// One output: the beginning is kept, all of it is read.
struct Kept<R> {
    from: Option<R>,
    bytes: Vec<u8>,
    cut: bool,
}

impl<R: AsyncRead + Unpin> Kept<R> {
    fn new(from: Option<R>) -> Self {
        Self { from, bytes: Vec::new(), cut: false }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// Reads once; after the end never again.
    async fn more(&mut self) {
        let Some(from) = &mut self.from else { return std::future::pending().await };
        let mut buffer = [0; 4096];
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => self.from = None,
            Ok(count) => {
                let room = MAX_OUTPUT_BYTES - self.bytes.len();
                self.cut |= count > room;
                self.bytes.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    }
}

impl Process {
    /// Starts what was filled in, behind the guard where there is one. `input` is what it reads on its standard input; without,
    /// there is nothing to read.
    pub(super) async fn start(filled: &Filled, guard: &[String], input: Option<&[u8]>) -> Result<Self, Fault> {
        let missing = |words: String| Fault::new(FaultKind::ToolMissing, Phase::Command, words);
        let Some(program) = filled.argv.first() else { return Err(missing("the command is empty".to_owned())) };
        check(program).await.map_err(|words| missing(format!("{program} {words}")))?;
        // The guard is told how much of its own input is the command's.
        let share = input.filter(|_| !guard.is_empty()).map(|input| format!("{GUARD_INPUT}{}", input.len()));
        let argv: Vec<&String> = guard.iter().chain(share.as_ref()).chain(&filled.argv).collect();
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).env_clear().env("PATH", PATH).env("LANG", "C").env("LC_ALL", "C");
        command.envs(&filled.env);
        for (name, value) in &filled.secret_env {
            command.env(name, value.expose());
        }
        let stdin = if guard.is_empty() && input.is_none() { Stdio::null() } else { Stdio::piped() };
        command.current_dir(&filled.cwd).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.process_group(0).kill_on_drop(true).spawn().map_err(|e| not_started(program, &filled.cwd, &e))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let leader = group.and_then(watched);
        let (stdout, stderr) = (Kept::new(child.stdout.take()), Kept::new(child.stderr.take()));
        let input = input.map(|input| Input { rest: input.to_vec(), ends: guard.is_empty() });
        Ok(Self { group, leader, lifeline: child.stdin.take(), input, stdout, stderr, child })
    }

    /// Reads all output and waits for the end. What is left of the group then is killed.
    pub(super) async fn finish(&mut self) -> Result<Ended, Fault> {
        loop {
            tokio::select! {
                () = give(&mut self.lifeline, &mut self.input), if self.input.is_some() => {}
                () = self.stdout.more() => {}
                () = self.stderr.more() => {}
                () = exited(self.leader.as_ref()), if self.leader.is_some() => break,
                // Linux before 5.3: once the leader is reaped, the number of the group may be somebody else's.
                _ = self.child.wait(), if self.leader.is_none() => {
                    self.group = None;
                    break;
                }
            }
        }
        self.kill(Signal::KILL);
        let status = self.reap().await.map_err(|e| {
            Fault::new(FaultKind::Internal, Phase::Command, format!("how the command ended is not known: {e}"))
        })?;
        let rest = async {
            while self.stdout.is_open() || self.stderr.is_open() {
                tokio::select! { () = self.stdout.more() => {} () = self.stderr.more() => {} }
            }
        };
        let _held_open_by_somebody = tokio::time::timeout(LAST_WORDS, rest).await;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Killed(signal.unwrap_or_default()),
        })
    }

    /// Ends a command that took too long: asks it, then kills it. Comes back when it is gone.
    pub(super) async fn end(&mut self) {
        self.kill(Signal::TERM);
        let closing = async {
            while self.stdout.is_open() || self.stderr.is_open() {
                tokio::select! { () = self.stdout.more() => {} () = self.stderr.more() => {} }
            }
        };
        let _ = tokio::time::timeout(MANNERS, closing).await;
        self.kill(Signal::KILL);
        let _ = tokio::time::timeout(LAST_WORDS, self.reap()).await;
    }

    /// What came on standard output.
    pub(super) fn output(&self) -> &[u8] {
        &self.stdout.bytes
    }

    /// What came on standard error.
    pub(super) fn errors(&self) -> &[u8] {
        &self.stderr.bytes
    }

    /// Whether some of the output was dropped.
    pub(super) fn cut(&self) -> bool {
        self.stdout.cut
    }

    fn kill(&self, signal: Signal) {
        if let Some(group) = self.group {
            // There is nobody left: that is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    async fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill(Signal::KILL);
    }
}

/// Gives the command a piece of its input; after the last, or when it does not want more, never again. Dropped at any point,
/// what was not taken is given later.
async fn give(pipe: &mut Option<ChildStdin>, input: &mut Option<Input>) {
    let (Some(to), Some(what)) = (pipe.as_mut(), input.as_mut()) else { return std::future::pending().await };
    let written = if what.rest.is_empty() { Ok(0) } else { to.write(&what.rest).await };
    match written {
        Ok(count) if count < what.rest.len() => drop(what.rest.drain(..count)),
        Ok(_) | Err(_) => {
            if what.ends {
                *pipe = None;
            }
            *input = None;
        }
    }
}

/// A handle on the process that becomes readable at its end.
#[allow(deprecated, reason = "the new form is unsafe code for types that may swap their file; an OwnedFd cannot")]
fn watched(process: Pid) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd_open(process, PidfdFlags::NONBLOCK).ok()?).ok()
}

/// Comes back when the process has ended; it stays a zombie, so its number stays its own.
async fn exited(leader: Option<&AsyncFd<OwnedFd>>) {
    let Some(leader) = leader else { return std::future::pending().await };
    let _ready = leader.readable().await;
}

/// Whether a file is a program, in words that follow its name.
async fn check(program: &str) -> Result<(), String> {
    match tokio::fs::metadata(program).await {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err("is not there".to_owned()),
        Err(e) => Err(format!("cannot be looked at: {e}")),
        Ok(data) if !data.is_file() => Err("is no file".to_owned()),
        Ok(data) if data.permissions().mode() & 0o111 == 0 => Err("is not executable".to_owned()),
        Ok(_) => Ok(()),
    }
}

fn not_started(program: &str, cwd: &str, error: &io::Error) -> Fault {
    use io::ErrorKind::{ExecutableFileBusy, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    let missing = [NotFound, PermissionDenied, NotADirectory, ExecutableFileBusy, InvalidInput].contains(&error.kind())
        || error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    let kind = if missing { FaultKind::ToolMissing } else { FaultKind::Internal };
    Fault::new(kind, Phase::Command, format!("{program} could not be started in {cwd}: {error}"))
}

/// The usual name of a signal, in brackets behind a blank; empty for the rare ones.
pub(super) fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        31 => " (SIGSYS)",
        _ => "",
    }
}
