//! The command line: one definition from which parsing, help, completions and the man page come. Does nothing itself.

mod service;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use service::{LogArgs, Output, Reach, ServiceCommand, Which};

/// Keeps live streams alive and proves it.
///
/// Without a command it does what `run` does.
#[derive(Debug, Parser)]
#[command(name = "streampulse", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,probe=debug`.
    #[arg(long, global = true, env = "STREAMPULSE_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// How to log.
    #[arg(long, global = true, env = "STREAMPULSE_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Options of `run`, which is the default command.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the streams of a configuration file and serve the dashboard.
    Run(RunArgs),
    /// Show a dashboard with sample streams that are served from inside this process. Needs nothing else.
    Demo(DemoArgs),
    /// Look once at a URL. Exit code: 0 up, 1 degraded, 2 down, 3 unknown or misuse (as Nagios plugins do).
    Probe(ProbeArgs),
    /// Check a configuration file and the file of services beside it: every problem at once, with its place and a remedy.
    Check(CheckArgs),
    /// Turn a StreamPulse 2.x `config.yaml` into a `streampulse.yaml`, or take over the settings of a service.
    Import(ImportArgs),
    /// Manage who may sign in.
    #[command(subcommand)]
    User(UserCommand),
    /// Manage API tokens for programs.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look at the services of a running instance, start, end and restart them, and read their output.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Print a fresh token for a target of the kind `push`.
    PushToken,
    /// Copy the history to a file, consistently, also while StreamPulse runs.
    Backup(BackupArgs),
    /// Check the history file: structure and contents.
    Verify(VerifyArgs),
    /// Ask a running instance how it is. Exit code: 0 well, 1 not.
    Health(HealthArgs),
    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page (roff).
    Man,
}

/// Where the configuration and the history are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Places {
    /// Configuration file.
    #[arg(short, long, env = "STREAMPULSE_CONFIG", default_value = "streampulse.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder for the history (`streams.db`).
    #[arg(short, long, env = "STREAMPULSE_STATE", default_value = "state", value_name = "FOLDER")]
    pub(crate) state: PathBuf,
}

impl Places {
    /// The history file.
    pub(crate) fn database(&self) -> PathBuf {
        self.state.join(DATABASE)
    }
}

/// Name of the history file in the state folder (the name that StreamPulse 2.x used).
pub(crate) const DATABASE: &str = "streams.db";

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    /// Address of dashboard and API, in place of the file's; may be given more than once.
    #[arg(short, long, env = "STREAMPULSE_LISTEN", value_delimiter = ',', value_name = "ADDRESS:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Address of the read-only status without login, in place of the file's.
    #[arg(long, env = "STREAMPULSE_STATUS_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) status_listen: Option<SocketAddr>,
    /// File of the commands that targets of the kind `exec` may name; `commands.yaml` beside the configuration file, where it
    /// is there, when left out.
    #[arg(long, env = "STREAMPULSE_COMMANDS", value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// File that says which services are run; `services.yaml` beside the configuration file, where it is there, when left out.
    #[arg(long, env = "STREAMPULSE_SERVICES", value_name = "FILE")]
    pub(crate) services: Option<PathBuf>,
    /// Write a starter configuration file when there is none.
    #[arg(long)]
    pub(crate) init: bool,
}

/// Options of `demo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Address of the dashboard; port 0 picks a free one.
    #[arg(short, long, default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
}

/// Options of `probe`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProbeArgs {
    /// What to look at.
    pub(crate) url: String,
    /// Kind of target, when the URL does not tell.
    #[arg(short, long)]
    pub(crate) kind: Option<String>,
    /// Deadline of the look.
    #[arg(short, long, default_value = "8s", value_name = "DURATION")]
    pub(crate) timeout: String,
    /// How deep to look: reach, describe or media.
    #[arg(short, long)]
    pub(crate) depth: Option<String>,
    /// Do not check the peer's certificate.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Accept certificates of this authority (PEM).
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// File of the commands that `exec://NAME` may name; `commands.yaml` beside the configuration file when left out.
    #[arg(long, env = "STREAMPULSE_COMMANDS", value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// A setting of the target as in the configuration file: `-o transport=udp`, `-o expect.min_fps=25`.
    #[arg(short = 'o', long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// Hold a session and print a line for each second of it, until interrupted (kinds that can be watched continuously).
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How long to follow; without it until interrupted. Exit code: 0 when media flows at the end, else 2.
    #[arg(long, value_name = "DURATION", requires = "follow")]
    pub(crate) r#for: Option<String>,
    /// Print one JSON object; with --follow one for each second.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `check`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// Configuration file.
    #[arg(env = "STREAMPULSE_CONFIG", default_value = "streampulse.yaml")]
    pub(crate) file: PathBuf,
    /// File of the commands that targets of the kind `exec` may name; `commands.yaml` beside the configuration file, where it
    /// is there, when left out.
    #[arg(long, env = "STREAMPULSE_COMMANDS", value_name = "FILE")]
    pub(crate) commands: Option<PathBuf>,
    /// File of services to check too; `services.yaml` beside the configuration file, where it is there, when left out.
    #[arg(long, env = "STREAMPULSE_SERVICES", value_name = "FILE")]
    pub(crate) services: Option<PathBuf>,
    /// Print the problems as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the JSON Schema of the configuration instead of checking a file.
    #[arg(long)]
    pub(crate) schema: bool,
    /// Print the JSON Schema of the file of services instead of checking a file.
    #[arg(long, conflicts_with = "schema")]
    pub(crate) services_schema: bool,
}

/// Options of `import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file to read: `config.yaml` of StreamPulse 2.x, or settings of a service as one JSON object (`streaming_config.json`).
    pub(crate) file: PathBuf,
    /// Where to write; standard output when left out. An existing file is not overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With settings of a service: the file of services that declares its form.
    #[arg(long, env = "STREAMPULSE_SERVICES", default_value = "services.yaml", value_name = "FILE")]
    pub(crate) services: PathBuf,
    /// With settings of a service: which one; the only one with a form when left out.
    #[arg(long, value_name = "ID")]
    pub(crate) service: Option<String>,
}

/// Only the state folder.
#[derive(Clone, Debug, Args)]
pub(crate) struct StateArgs {
    /// Folder of the history (`streams.db`).
    #[arg(short, long, env = "STREAMPULSE_STATE", default_value = "state", value_name = "FOLDER")]
    pub(crate) state: PathBuf,
}

/// What to do with users.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List users and their roles.
    List(StateArgs),
    /// Add a user; the password is read from standard input.
    Add {
        /// User name.
        name: String,
        /// viewer, operator or administrator.
        #[arg(short, long, default_value = "viewer")]
        role: String,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Set a user's password, read from standard input. Open sessions of the user end.
    Password {
        /// User name.
        name: String,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Set a user's role.
    Role {
        /// User name.
        name: String,
        /// viewer, operator or administrator.
        role: String,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Remove a user.
    Remove {
        /// User name.
        name: String,
        #[command(flatten)]
        state: StateArgs,
    },
}

/// What to do with API tokens.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List tokens.
    List(StateArgs),
    /// Make a token and print it; it is not shown again.
    Create {
        /// What it is for.
        name: String,
        /// viewer, operator or administrator.
        #[arg(short, long, default_value = "viewer")]
        role: String,
        #[command(flatten)]
        state: StateArgs,
    },
    /// Revoke a token by its id.
    Revoke {
        /// The id that `list` shows.
        id: String,
        #[command(flatten)]
        state: StateArgs,
    },
}

/// Options of `backup`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// File to write.
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Options of `verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// History file; that of the state folder when left out.
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Options of `health`.
#[derive(Clone, Debug, Args)]
pub(crate) struct HealthArgs {
    /// Base URL of the instance; found from STREAMPULSE_LISTEN or the configuration file when left out.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}
