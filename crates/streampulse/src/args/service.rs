//! Arguments of `streampulse service`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Places;

/// How a running instance is reached, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reach {
    /// Base URL of the instance; found from STREAMPULSE_LISTEN or the configuration file when left out.
    #[arg(long, env = "STREAMPULSE_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File with an API token. Without it the token is in STREAMPULSE_TOKEN; without both, whoever may read the state folder
    /// of an instance on this machine needs none.
    #[arg(long, env = "STREAMPULSE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Address of the instance, in place of the file's.
    #[arg(short, long, env = "STREAMPULSE_LISTEN", value_delimiter = ',', value_name = "ADDRESS:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    #[command(flatten)]
    pub(crate) places: Places,
    /// Print JSON as the API has it.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which services, and how long their change is waited for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Ids of the services.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Come back at once; without it the command comes back when it is seen what became of it.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait for that.
    #[arg(long, default_value = "60s", value_name = "DURATION", conflicts_with = "no_wait")]
    pub(crate) within: String,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What to print of a service's output.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// Id of the service.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// How many of the newest lines.
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) lines: u32,
    /// Go on with new lines as they come, until interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only lines that hold this text, upper and lower case alike.
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Only one of the two outputs.
    #[arg(long, value_name = "OUTPUT")]
    pub(crate) stream: Option<Output>,
    /// Print the text alone, without times.
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// One of the two outputs of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What to do with services. All of them ask a running instance. Exit code: 0 done, 1 it failed, 2 (status) it does not run,
/// 3 misuse, 4 there is no such service.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// List services and how they are.
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Show how a service is. Exit code: 0 it runs, 2 it does not.
    Status {
        /// Id of the service.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Start services. One that runs already is left as it is.
    Start(Which),
    /// End services. One that does not run is left as it is.
    Stop(Which),
    /// End services and start them anew.
    Restart(Which),
    /// Show the output of a service.
    Logs(LogArgs),
    /// Show what may be set of a service, with its values.
    Form {
        /// Id of the service.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Set values of a service; one that runs is restarted with them.
    Set {
        /// Id of the service.
        #[arg(value_name = "ID")]
        id: String,
        /// Keys with their new values; `KEY=-` reads a value, such as a secret, from standard input.
        #[arg(value_name = "KEY=VALUE", required_unless_present = "reset")]
        values: Vec<String>,
        /// Set a key back to its default.
        #[arg(long, value_name = "KEY")]
        reset: Vec<String>,
        #[command(flatten)]
        reach: Reach,
    },
}
