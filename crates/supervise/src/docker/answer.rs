//! What an engine tells of a container, as far as it matters here. Owns reading it and what an end means; asks nothing.

use std::collections::BTreeMap;

use model::time::UtcMs;
use model::unit::Exit;
use serde::Deserialize;

/// Signals that end a program by default and that a container's status can name (128 and the number).
const ENDING: [i32; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25];
/// The kernel's own way of ending a program.
const SIGKILL: i32 = 9;
/// What an engine writes for a program that was gone when it came back and whose end it did not see.
const UNSEEN_CODE: i64 = 255;

/// A container, as `GET /containers/NAME/json` and `docker inspect` tell.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspect {
    pub(super) id: String,
    /// Id of its image.
    #[serde(default)]
    pub(super) image: String,
    pub(super) state: State,
    pub(super) config: Config,
    #[serde(default)]
    pub(super) host_config: HostConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) running: bool,
    #[serde(default)]
    pub(super) pid: i64,
    #[serde(default)]
    pub(super) exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    #[serde(default)]
    pub(super) started_at: String,
    #[serde(default)]
    pub(super) finished_at: String,
    #[serde(default, alias = "Healthcheck")]
    pub(super) health: Option<HealthNow>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthNow {
    #[serde(default)]
    pub(super) status: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) env: Option<Vec<String>>,
    #[serde(default)]
    pub(super) tty: bool,
    #[serde(default)]
    pub(super) stop_signal: Option<StopSignal>,
}

/// Docker writes a name, older Podman a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum StopSignal {
    Name(String),
    Number(i64),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    #[serde(default)]
    pub(super) memory: i64,
}

/// An image, as `GET /images/NAME/json` tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Image {
    pub(super) id: String,
}

impl Inspect {
    /// A label of the container.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// When this run began. Engines write UTC, whatever zone the machine is in.
    pub(super) fn started_at(&self) -> Option<UtcMs> {
        instant(&self.state.started_at)
    }

    /// When the newest run ended.
    pub(super) fn finished_at(&self) -> Option<UtcMs> {
        instant(&self.state.finished_at)
    }

    /// Number of its first process where it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        u32::try_from(self.state.pid).ok().filter(|pid| *pid > 0 && self.state.running)
    }

    /// Whether its own health check is content; `None` without one, and until it has said something.
    pub(super) fn healthy(&self) -> Option<bool> {
        match self.state.health.as_ref()?.status.as_str() {
            "healthy" => Some(true),
            "unhealthy" => Some(false),
            _ => None,
        }
    }

    /// The signal that its stopping begins with, without `SIG`.
    pub(super) fn stop_signal(&self) -> String {
        match &self.config.stop_signal {
            Some(StopSignal::Name(name)) if !name.is_empty() => name.trim_start_matches("SIG").to_owned(),
            Some(StopSignal::Number(number)) if *number != 15 => number.to_string(),
            _ => "TERM".to_owned(),
        }
    }

    /// How its newest run ended. `lost`: the engine was away when that happened.
    pub(super) fn exit(&self, lost: bool) -> Exit {
        if lost && self.state.exit_code == UNSEEN_CODE {
            return Exit::Unseen;
        }
        exit_of(self.state.exit_code, self.state.oom_killed)
    }
}

/// What a status of a container means. Engines write 128 and its number for a signal, as shells do.
pub(super) fn exit_of(code: i64, out_of_memory: bool) -> Exit {
    let code = i32::try_from(code).unwrap_or(i32::MAX);
    let signal = Some(code - 128).filter(|number| ENDING.contains(number));
    match (code, out_of_memory, signal) {
        // Something in it was killed for want of memory, and its first process ended well all the same.
        (0, ..) => Exit::Code(0),
        (_, true, signal) => Exit::Signal { number: signal.unwrap_or(SIGKILL), out_of_memory: true },
        (_, false, Some(number)) => Exit::Signal { number, out_of_memory: false },
        (code, false, None) => Exit::Code(code),
    }
}

/// A time of an engine; the year 1 stands for never.
pub(super) fn instant(text: &str) -> Option<UtcMs> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(UtcMs(stamp.as_millisecond())).filter(|at| at.0 > 0)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
