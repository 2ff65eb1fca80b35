//! The shim: one small process per unit that outlives us. It owns the program's pipes, writes its output, waits for its end and
//! records it. Decides nothing but how what it was told to end is ended.
//!
//! It is a child subreaper, so that whatever the program leaves behind comes to it and ends with the run. SIGTERM ends the unit by
//! its rule, SIGUSR1 kills all of it at once. Should the shim be killed itself, the kernel kills the program, and whoever
//! launches next finds what is left by its session and its mark.

mod exec;
mod grave;
mod mask;
mod output;
mod writer;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as Watched};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, setsid, waitpid};

use self::grave::Grave;
use self::output::Output;
use crate::folder;
use crate::moment::{Moment, moment, now_ms};
use crate::proc;
use crate::record::{self, ExitRecord, LaunchRecord, Report, RunRecord};

pub use exec::exec;
pub(crate) use grave::signal_exactly;
pub(crate) use mask::Masker;
pub(crate) use writer::LogWriter;

/// The argument by which a shim is started. Two dashes and a name that no person types.
pub const WORD: &str = "--shim-of-a-unit";
/// The argument by which a shim starts its program.
pub const EXEC_WORD: &str = "--program-of-a-unit";

/// Longest wait for the program's pipes to close once all of its processes are gone: somebody else may hold them.
const DRAIN: Duration = Duration::from_secs(1);
/// Pause before a record that the disk refused is tried again.
const AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Longest words of a program that cannot be started, in bytes.
const MOST_WORDS: u64 = 16 * 1024;
/// How often those that are to be killed are looked for, until none is left.
const KILL_EVERY: Duration = Duration::from_millis(20);

/// Why there is no run.
struct Refused {
    passing: bool,
    words: String,
}

fn refused(words: impl Into<String>) -> Refused {
    Refused { passing: false, words: words.into() }
}

/// Runs the unit of a folder until it has ended; says on standard output once what became of the launch.
pub fn shim(folder: &OsStr) -> ExitCode {
    let folder = Path::new(folder);
    let begun = begin(folder);
    let report = match &begun {
        Ok(run) => Report::Run(run.record.clone()),
        Err(Refused { passing, words }) => Report::Refused { passing: *passing, words: words.clone() },
    };
    let told = serde_json::to_vec(&report).unwrap_or_default();
    let _ = io::stdout().write_all(&told).and_then(|()| io::stdout().flush());
    // Whoever launched us waits for the end of this pipe.
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    match begun {
        Ok(run) => {
            run.serve();
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

struct Run<'a> {
    folder: &'a Path,
    launch: LaunchRecord,
    record: RunRecord,
    signals: SignalFd,
    output: Output,
    grave: Grave,
    oom_kills: u64,
    _child: Child,
}

fn begin(folder: &Path) -> Result<Run<'_>, Refused> {
    let in_words = |what: &str, error: io::Error| Refused {
        passing: error.kind() == io::ErrorKind::StorageFull,
        words: format!("{what} in {}: {error}", folder.display()),
    };
    // Standard input is the unit's lock, taken before we began; it is ours for as long as we live.
    flock(rustix::stdio::stdin(), FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| refused("the lock of the unit was not handed over"))?;
    let launch: LaunchRecord =
        record::read(folder, folder::LAUNCH).ok_or_else(|| refused("the shim found nothing to launch"))?;
    folder::remove(&folder.join(folder::LAUNCH))
        .map_err(|error| in_words("what was launched cannot be removed", error))?;
    for old in [folder::EXIT, folder::RUN] {
        folder::remove(&folder.join(old))
            .map_err(|error| in_words("the record of the last run cannot be removed", error))?;
    }
    let _ = setsid();
    set_child_subreaper(Some(rustix::process::getpid())).map_err(|error| in_words("no subreaper", error.into()))?;
    let mut watched = SigSet::empty();
    for signal in [Watched::SIGCHLD, Watched::SIGTERM, Watched::SIGINT, Watched::SIGHUP, Watched::SIGUSR1] {
        watched.add(signal);
    }
    watched.thread_block().map_err(|error| refused(format!("signals cannot be held back: {error}")))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|error| refused(format!("signals cannot be read: {error}")))?;
    let writer = LogWriter::open(folder, launch.file_bytes, launch.files)
        .map_err(|error| in_words("its output cannot be written", error))?;
    let oom_kills = proc::out_of_memory_kills();
    let mut program = spawn(&launch)?;
    let pid = program.child.id();
    let record = RunRecord {
        id: launch.id.clone(),
        boot_id: proc::boot_id(),
        shim_pid: std::process::id(),
        shim_start_ticks: proc::stat(std::process::id()).map(|stat| stat.start_ticks).unwrap_or_default(),
        pid,
        start_ticks: proc::stat(pid).map(|stat| stat.start_ticks).unwrap_or_default(),
        started_at_ms: now_ms(),
    };
    // Nothing of the program has run yet: what cannot be remembered is not begun.
    let written = record::write(folder, folder::RUN, &record).and_then(|()| write_pid_file(&launch, pid));
    let begun = match written {
        Ok(()) => program.go(),
        Err(error) => {
            program.drop_it();
            Err(in_words("that it runs cannot be written down", error))
        }
    };
    if let Err(why) = begun {
        remove_pid_file(&launch, pid);
        let _ = folder::remove(&folder.join(folder::RUN));
        return Err(why);
    }
    let Program { child, pipes, .. } = program;
    let output = Output::new(pipes, writer, Masker::new(&launch.masks));
    let grave = Grave::new(pid, &record::stop_of(&launch));
    Ok(Run { folder, launch, record, signals, output, grave, oom_kills, _child: child })
}

/// A program that stands ready: all of it is set up, and nothing of it has run.
struct Program {
    child: Child,
    /// Where a failure is said; closes when the program runs.
    words: io::PipeReader,
    pipes: [OwnedFd; 2],
}

/// Prepares the program through [`exec()`], and waits until it stands ready or it is known why not.
fn spawn(launch: &LaunchRecord) -> Result<Program, Refused> {
    let failed = |error: io::Error| Refused {
        // Too many processes or too little memory: that passes.
        passing: matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory),
        words: format!("the program cannot be started: {error}"),
    };
    let (words, report) = io::pipe().map_err(failed)?;
    let (out, out_end) = io::pipe().map_err(failed)?;
    let (err, err_end) = io::pipe().map_err(failed)?;
    let rest = serde_json::to_string(&exec::Order::of(launch)).map_err(|error| failed(error.into()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(EXEC_WORD).arg(rest).args(&launch.argv);
    command.env_clear().envs(exec::harmless(&launch.env));
    command.stdin(report).stdout(out_end).stderr(err_end).process_group(0).current_dir("/");
    let child = command.spawn().map_err(failed)?;
    drop(command); // its ends of the pipes
    let program = Program { child, words, pipes: [out.into(), err.into()] };
    match waitpid(program.pid(), WaitOptions::UNTRACED) {
        Ok(Some((_, status))) if status.stopped() => Ok(program),
        _ => Err(program.why()),
    }
}

impl Program {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Lets it run, and waits until the kernel does.
    fn go(&mut self) -> Result<(), Refused> {
        let told = self.pid().map(|pid| kill_process(pid, Signal::CONT));
        if !matches!(told, Some(Ok(()))) {
            return Err(refused("the program ended before it began"));
        }
        let mut why = String::new();
        let _ = (&mut self.words).take(MOST_WORDS).read_to_string(&mut why);
        if why.is_empty() {
            return Ok(());
        }
        let _ = self.child.wait();
        Err(refused(why))
    }

    /// It is not to run after all.
    fn drop_it(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It did not stand ready.
    fn why(mut self) -> Refused {
        let mut why = String::new();
        let _ = (&mut self.words).take(MOST_WORDS).read_to_string(&mut why);
        refused(if why.is_empty() { "the program ended before it began".to_owned() } else { why })
    }
}

fn write_pid_file(launch: &LaunchRecord, pid: u32) -> io::Result<()> {
    let Some(path) = &launch.pid_file else { return Ok(()) };
    let in_words = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let text = format!("{pid}\n");
    let new = path.with_extension("pid.new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).map_err(in_words)
}

/// Removes the file if it speaks of this run; a stranger's stays.
fn remove_pid_file(launch: &LaunchRecord, pid: u32) {
    if let Some(path) = &launch.pid_file
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim() == pid.to_string())
    {
        let _ = folder::remove(path);
    }
}

impl Run<'_> {
    fn serve(mut self) {
        while !self.grave.is_over() {
            self.wait(self.grave.wake());
            self.take_signals();
            self.grave.reap();
            self.grave.act(moment());
        }
        let until = moment() + DRAIN;
        while self.output.is_open() && moment() < until {
            self.wait(Some(until));
        }
        self.output.end();
        self.bury();
    }

    /// Waits for a signal, output or the time, and takes the output.
    fn wait(&mut self, until: Option<Moment>) {
        let (signals, [out, err]) = (self.signals.as_fd(), self.output.pipes());
        let mut watched: Vec<PollFd<'_>> = vec![PollFd::from_borrowed_fd(signals, PollFlags::IN)];
        for pipe in [out, err].into_iter().flatten() {
            watched.push(PollFd::from_borrowed_fd(pipe, PollFlags::IN));
        }
        let until = [until, self.output.flush_at()].into_iter().flatten().min();
        let left = until.map(|until| until.saturating_sub(moment()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let _ = poll(&mut watched, timeout.as_ref());
        drop(watched);
        self.output.take();
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match i32::try_from(info.ssi_signo).map(Watched::try_from) {
                Ok(Ok(Watched::SIGTERM | Watched::SIGINT)) => self.grave.end(moment()),
                Ok(Ok(Watched::SIGUSR1)) => self.grave.kill(moment()),
                _ => {} // a child, or a hang-up that is none of ours
            }
        }
    }

    /// Everything of the unit is gone, its output is written: the end is recorded, and then we end.
    fn bury(mut self) {
        let (code, signal) = self.grave.how();
        let killed = signal == Some(Signal::KILL.as_raw()) && !self.grave.was_asked();
        let exit = ExitRecord {
            started_at_ms: self.record.started_at_ms,
            at_ms: now_ms(),
            code,
            signal,
            // In a group that others share, nobody can tell whom the kernel ended.
            out_of_memory: killed && proc::is_alone_in_group() && proc::out_of_memory_kills() > self.oom_kills,
            told: false,
        };
        remove_pid_file(&self.launch, self.record.pid);
        // A full disk must not make the end unknown for ever: it is tried for as long as nobody needs the unit again.
        let until = moment() + Duration::from_secs(10);
        while let Err(error) = record::write(self.folder, folder::EXIT, &exit) {
            if moment() >= until {
                self.output.say(&format!("the end could not be recorded: {error}"));
                break;
            }
            let _ = poll(&mut [], Some(&AGAIN));
        }
    }
}
