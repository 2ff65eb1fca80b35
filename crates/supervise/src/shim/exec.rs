//! The last step before the program: who it is, what it may, and where it runs. Becomes the program, or says why not.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use model::unit::spec::Limit;
use nix::sys::signal::SigSet;
use rustix::fs::Mode;
use rustix::process::{
    Gid, Resource, Rlimit, Signal, Uid, getpid, getppid, kill_process, set_parent_process_death_signal, setrlimit,
    umask,
};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use serde::{Deserialize, Serialize};

use crate::record::LaunchRecord;

/// Exit code for "found, but cannot be run", as shells have it. Nobody sees it: the words do.
const NOT_RUN: u8 = 126;

/// What is changed before the program begins. Holds no secret: it stands on a command line.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    cwd: PathBuf,
    user: Option<(u32, u32, Vec<u32>)>,
    umask: Option<u32>,
    limits: Vec<(String, u64)>,
    /// Variables that are for the program alone.
    loader: Vec<(String, String)>,
    /// Number of the shim.
    shim: u32,
}

/// Whether a variable changes how any program is loaded: that is for the program, not for this step, which is not yet its user.
fn is_of_loader(name: &str) -> bool {
    name.starts_with("LD_") || name == "GLIBC_TUNABLES"
}

/// The environment in which this step itself may run.
pub(super) fn harmless(env: &[(String, String)]) -> impl Iterator<Item = (&String, &String)> {
    env.iter().filter(|(name, _)| !is_of_loader(name)).map(|(name, value)| (name, value))
}

impl Order {
    pub(super) fn of(launch: &LaunchRecord) -> Self {
        let limits = launch.limits().map(|(limit, value)| (limit.as_str().to_owned(), value)).collect();
        let loader = launch.env.iter().filter(|(name, _)| is_of_loader(name)).cloned().collect();
        let (cwd, user, umask) = (launch.cwd.clone(), launch.user.clone(), launch.umask);
        Self { cwd, user, umask, limits, loader, shim: std::process::id() }
    }
}

/// Becomes the program. Its arguments are the order, the program and the program's arguments; its standard input is where a
/// failure is said, and closes when the program runs.
pub fn exec(mut argv: impl Iterator<Item = OsString>) -> ExitCode {
    let report = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    let words = match prepare(&mut argv) {
        Ok((program, order)) => {
            let mut command = Command::new(&program);
            command.args(argv).stdin(Stdio::null()).envs(order.loader);
            // Until it was written down that we run.
            let _ = kill_process(getpid(), Signal::STOP);
            let error = command.exec();
            words_of(&program.to_string_lossy(), &order.cwd, &error)
        }
        Err(words) => words,
    };
    if let Ok(report) = report {
        let _ = std::fs::File::from(report).write_all(words.as_bytes());
    }
    ExitCode::from(NOT_RUN)
}

fn prepare(argv: &mut impl Iterator<Item = OsString>) -> Result<(OsString, Order), String> {
    let order = argv.next().and_then(|text| text.into_string().ok());
    let order: Order =
        order.and_then(|text| serde_json::from_str(&text).ok()).ok_or("the shim gave no order that can be read")?;
    let program = argv.next().ok_or("no program is named")?;
    for (limit, value) in order.limits.iter().filter_map(|(word, value)| Some((Limit::from_word(word)?, *value))) {
        let both = Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(resource(limit), both)
            .map_err(|error| format!("the limit {} cannot be set to {value}: {error}", limit.as_str()))?;
    }
    if let Some(mask) = order.umask {
        umask(Mode::from_raw_mode(mask));
    }
    if let Some((uid, gid, groups)) = &order.user {
        // This process has one thread, so that the calls for a thread are calls for all of it.
        let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
        set_thread_groups(&groups)
            .and_then(|()| set_thread_gid(Gid::from_raw(*gid)))
            .and_then(|()| set_thread_uid(Uid::from_raw(*uid)))
            .map_err(|error| {
                format!("it cannot run as user {uid}, group {gid}: {error}; only root can change users")
            })?;
    }
    std::env::set_current_dir(&order.cwd)
        .map_err(|error| format!("its folder {} cannot be entered: {error}", order.cwd.display()))?;
    // The shim holds signals back to read them; that is inherited, and no program expects it.
    SigSet::all().thread_unblock().map_err(|error| format!("signals cannot be let through: {error}"))?;
    // After the change of users, which forgets it. Should the shim be killed, the program is not left alone.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("its life cannot be tied to the shim's: {error}"))?;
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get().cast_unsigned() != order.shim) {
        return Err("the shim is gone".to_owned());
    }
    Ok((program, order))
}

fn words_of(program: &str, cwd: &std::path::Path, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => ": there is no such program, or what its first line names is missing",
        std::io::ErrorKind::PermissionDenied => ": it is not executable for this user, or its file system forbids it",
        _ => "",
    };
    format!("{program} cannot be run in {}: {error}{hint}", cwd.display())
}

const fn resource(limit: Limit) -> Resource {
    match limit {
        Limit::OpenFiles => Resource::Nofile,
        Limit::Processes => Resource::Nproc,
        Limit::AddressSpace => Resource::As,
        Limit::Core => Resource::Core,
        Limit::FileSize => Resource::Fsize,
        Limit::LockedMemory => Resource::Memlock,
        Limit::CpuTime => Resource::Cpu,
    }
}
