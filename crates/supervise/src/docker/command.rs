//! The `docker` command in place of its socket: for engines elsewhere (contexts, SSH) and for machines where only a wrapper may
//! speak with the engine. Owns its arguments, its deadlines and what its words mean; knows no unit.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use model::unit::UnitId;
use model::unit::spec::{Create, Stop};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::answer::{Image, Inspect};
use super::follow::From;
use super::make;
use super::stats::{self, Sample};
use super::trouble::{Trouble, told};

/// Deadline of a question whose answer the engine knows.
const QUICK: Duration = Duration::from_secs(5);
/// Deadline of what makes the engine work: creating, starting, removing.
const WORK: Duration = Duration::from_secs(30);
/// How much longer than its grace a stop may take.
const AFTER_GRACE: Duration = Duration::from_secs(5);
/// Deadline of a measurement; the command takes two seconds for one.
const MEASURE: Duration = Duration::from_secs(10);
/// Deadline of pulling an image.
const PULL: Duration = Duration::from_secs(600);
/// Most that is read of one output of it.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;

/// A command that works.
#[derive(Clone, Debug)]
pub(super) struct Cli {
    program: PathBuf,
    /// Engine that it is told to ask; `None` leaves that to its own configuration.
    host: Option<String>,
}

struct Said {
    status: ExitStatus,
    output: Vec<u8>,
    words: String,
}

impl Cli {
    /// Asks the command for the version of its engine.
    pub(super) async fn find(program: &Path, host: Option<String>) -> Result<Self, Trouble> {
        let cli = Self { program: program.to_owned(), host };
        cli.done(&["version", "--format", "{{.Server.Version}}"], QUICK).await.map(|_| cli)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, mut command: Command, limit: Duration) -> Result<Said, Trouble> {
        let program = self.program.display();
        let mut child = command.spawn().map_err(|error| Trouble::Away(format!("{program} cannot be run: {error}")))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let whole = async { tokio::join!(read(out), read(err), child.wait()) };
        let (output, words, status) = tokio::time::timeout(limit, whole)
            .await
            .map_err(|_| Trouble::Late(format!("{program} is not done after {} s", limit.as_secs())))?;
        let status = status.map_err(|error| Trouble::Away(format!("{program}: {error}")))?;
        Ok(Said { status, output, words: String::from_utf8_lossy(&words).into_owned() })
    }

    /// Runs it and answers its output; a bad end is the trouble that its words tell of.
    async fn done(&self, args: &[&str], limit: Duration) -> Result<Vec<u8>, Trouble> {
        let said = self.run(self.command(args), limit).await?;
        if said.status.success() { Ok(said.output) } else { Err(meaning(&said.words)) }
    }

    async fn found<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<Option<T>, Trouble> {
        match self.done(args, QUICK).await {
            Ok(output) => serde_json::from_slice(&output).map(Some).map_err(|e| Trouble::Odd(e.to_string())),
            Err(Trouble::Said { words, .. }) if is_absence(&words) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// A container; `None` when there is none of this name or id.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Inspect>, Trouble> {
        self.found(&["inspect", "--type", "container", "--format", "{{json .}}", name]).await
    }

    /// Id of an image; `None` when it is not there.
    pub(super) async fn image(&self, name: &str) -> Result<Option<String>, Trouble> {
        let image = self.found::<Image>(&["image", "inspect", "--format", "{{json .}}", name]).await?;
        Ok(image.map(|image| image.id))
    }

    pub(super) async fn pull(&self, name: &str) -> Result<(), Trouble> {
        self.done(&["pull", "--quiet", name], PULL).await.map(|_| ())
    }

    /// Makes a container and answers its id. Secrets go by the environment of the command, which nobody else may read.
    pub(super) async fn create(
        &self,
        name: &str,
        id: &UnitId,
        create: &Create,
        stop: &Stop,
    ) -> Result<String, Trouble> {
        let args = make::arguments(name, id, create, stop);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.command(&args);
        for (name, value) in &create.secret_env {
            if name.starts_with("DOCKER_") || ["PATH", "HOME"].contains(&name.as_str()) {
                let words =
                    format!("a secret named {name} cannot be handed over by the docker command; use the socket");
                return Err(Trouble::said(0, &words));
            }
            command.env(name, value.expose());
        }
        let said = self.run(command, WORK).await?;
        if !said.status.success() {
            return Err(meaning(&said.words));
        }
        let id = String::from_utf8_lossy(&said.output).trim().to_owned();
        if id.is_empty() { Err(Trouble::Odd("it answers no id of the new container".to_owned())) } else { Ok(id) }
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), Trouble> {
        self.done(&["start", id], WORK).await.map(|_| ())
    }

    /// Ends it by its own signal, and kills it after the grace; comes back when it has ended.
    pub(super) async fn stop(&self, id: &str, grace: Duration) -> Result<(), Trouble> {
        self.done(&["stop", "-t", &grace.as_secs().to_string(), id], grace + AFTER_GRACE).await.map(|_| ())
    }

    pub(super) async fn kill(&self, id: &str, signal: &str) -> Result<(), Trouble> {
        match self.done(&["kill", "--signal", signal, id], QUICK).await {
            Err(Trouble::Said { words, .. }) if words.contains("is not running") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    pub(super) async fn remove(&self, id: &str) -> Result<(), Trouble> {
        self.done(&["rm", "--volumes", id], WORK).await.map(|_| ())
    }

    /// Waits until it does not run and answers its status.
    pub(super) async fn wait(&self, id: &str) -> Result<i64, Trouble> {
        let output = self.done(&["wait", id], Duration::from_secs(u64::from(u32::MAX))).await?;
        let code = String::from_utf8_lossy(&output).trim().parse();
        code.map_err(|_| Trouble::Odd("docker wait answers no number".to_owned()))
    }

    pub(super) async fn stats(&self, id: &str) -> Result<Sample, Trouble> {
        let output = self.done(&["stats", "--no-stream", "--format", "{{json .}}", id], MEASURE).await?;
        stats::read_row(&output).map_err(|error| Trouble::Odd(error.to_string()))
    }

    pub(super) async fn processes(&self, id: &str) -> Result<u32, Trouble> {
        let output = self.done(&["top", id], QUICK).await?;
        // The first line is the heading.
        let lines = output.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1);
        Ok(u32::try_from(lines).unwrap_or(u32::MAX))
    }

    /// The command that prints the log as it grows.
    pub(super) fn logs(&self, id: &str, from: &From) -> Result<Child, Trouble> {
        let newest = from.newest.map_or("all".to_owned(), |lines| lines.to_string());
        let args = ["logs", "--follow", "--timestamps", "--since", &from.since, "--tail", &newest, id];
        let mut command = self.command(&args);
        command.spawn().map_err(|error| Trouble::Away(format!("{} cannot be run: {error}", self.program.display())))
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(mut pipe) = pipe {
        // What could be read counts; the rest is thrown away, so that the writer does not block.
        let _ = (&mut pipe).take(MAX_OUTPUT_BYTES).read_to_end(&mut all).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    all
}

/// What the command means by its words on a bad end.
fn meaning(words: &str) -> Trouble {
    let away = ["Cannot connect to the Docker daemon", "permission denied", "error during connect", "dial unix"];
    if away.iter().any(|part| words.contains(part)) {
        return Trouble::Away(told(words));
    }
    let words = words.trim();
    let words = if words.is_empty() { "the docker command failed and printed nothing" } else { words };
    Trouble::said(0, words.strip_prefix("Error response from daemon: ").unwrap_or(words))
}

fn is_absence(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("no such container") || words.contains("no such image") || words.contains("no such object")
}
