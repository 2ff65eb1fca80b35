//! What the shim and we tell each other by files: JSON with names that never change, since a shim may be older than we are.

use std::path::{Path, PathBuf};

use model::secret::Secret;
use model::unit::Exit;
use model::unit::spec::{Limit, LogRules, Process, Stop};
use serde::{Deserialize, Serialize};

use crate::backend::Launch;
use crate::folder;

/// Largest record that is read, in bytes: an environment of the kernel's limit and then some.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// What the shim runs.
#[derive(Serialize, Deserialize)]
pub(crate) struct LaunchRecord {
    pub(crate) id: String,
    pub(crate) argv: Vec<String>,
    pub(crate) cwd: PathBuf,
    /// All of it, secrets included.
    pub(crate) env: Vec<(String, String)>,
    /// User, group, further groups.
    pub(crate) user: Option<(u32, u32, Vec<u32>)>,
    pub(crate) umask: Option<u32>,
    pub(crate) limits: Vec<(String, u64)>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) stop_signal: String,
    pub(crate) grace_ms: u64,
    pub(crate) file_bytes: u64,
    pub(crate) files: u32,
    pub(crate) masks: Vec<String>,
}

impl LaunchRecord {
    /// The record of a launch.
    pub(crate) fn of(launch: &Launch, process: &Process, folder: &Path) -> Self {
        let fixed = [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];
        let mut env: Vec<(String, String)> = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let own = process.env.iter().cloned();
        let secret = process.secret_env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        for (name, value) in own.chain(secret) {
            env.retain(|(other, _)| *other != name);
            env.push((name, value));
        }
        // Last: whoever could take it away would not be found again.
        env.retain(|(name, _)| name != crate::process::MARK);
        env.push((crate::process::MARK.to_owned(), folder.to_string_lossy().into_owned()));
        let masks = launch.masks.iter().chain(process.secret_env.iter().map(|(_, value)| value));
        let LogRules { file_bytes, files } = launch.logs;
        Self {
            id: launch.id.as_str().to_owned(),
            argv: process.argv.clone(),
            cwd: process.cwd.clone(),
            env,
            user: process.user.as_ref().map(|user| (user.uid, user.gid, user.groups.clone())),
            umask: process.umask,
            limits: process.limits.iter().map(|(limit, value)| (limit.as_str().to_owned(), *value)).collect(),
            pid_file: process.pid_file.clone(),
            stop_signal: launch.stop.signal.to_owned(),
            grace_ms: crate::millis(launch.stop.grace),
            file_bytes,
            files,
            masks: masks.map(Secret::expose).map(str::to_owned).collect(),
        }
    }

    /// The limits by their kind.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        self.limits.iter().filter_map(|(word, value)| Some((Limit::from_word(word)?, *value)))
    }
}

/// The run that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) id: String,
    pub(crate) boot_id: String,
    pub(crate) shim_pid: u32,
    pub(crate) shim_start_ticks: u64,
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    pub(crate) started_at_ms: i64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    pub(crate) started_at_ms: i64,
    pub(crate) at_ms: i64,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    #[serde(default)]
    pub(crate) out_of_memory: bool,
    /// Whether we have told of it.
    #[serde(default)]
    pub(crate) told: bool,
}

impl ExitRecord {
    pub(crate) fn exit(&self) -> Exit {
        match (self.code, self.signal) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(number)) => Exit::Signal { number, out_of_memory: self.out_of_memory },
            (None, None) => Exit::Unseen,
        }
    }
}

/// What the shim says once: the run, or why there is none.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    #[serde(rename = "run")]
    Run(RunRecord),
    #[serde(rename = "refused")]
    Refused {
        /// Whether trying again can help.
        passing: bool,
        words: String,
    },
}

/// How a unit is ended, from its record.
pub(crate) fn stop_of(record: &LaunchRecord) -> Stop {
    let signals = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];
    let signal = signals.into_iter().find(|name| *name == record.stop_signal).unwrap_or("TERM");
    Stop { signal, grace: std::time::Duration::from_millis(record.grace_ms) }
}

/// Reads a record; `None` when there is none or it is no such record.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(folder: &Path, name: &str) -> Option<T> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(folder.join(name)).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes a record. How a run ended must outlast a power cut; what is launched and what runs mean nothing after one, and a slow
/// disk must not hold a start back.
pub(crate) fn write<T: Serialize>(folder: &Path, name: &str, record: &T) -> std::io::Result<()> {
    folder::replace(folder, name, &serde_json::to_vec(record)?, name == folder::EXIT)
}
