//! The configuration: from the text of a file to checked values, and from an edit to a new text.
//!
//! Owns the form of `streampulse.yaml`, the StreamPulse 2.x form, and the file itself ([`ConfigFile`]). Everything except
//! [`ConfigFile`] is a pure function of text and environment. Never starts or stops anything: that is reconciling.

mod alerts;
mod channels;
mod commands;
mod edit;
pub mod ends;
mod env;
mod family;
mod fields;
mod file;
mod influxdb;
mod legacy;
mod load;
mod maintenance;
mod mask;
mod metrics;
mod mqtt;
mod named_files;
mod parse;
mod probe_modules;
mod quote;
mod reference;
mod schema;
mod score;
mod server;
mod services;
mod splice;
mod starter;
mod syntax;
mod target;
mod targets;
mod tree;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::alert::AlertSettings;
use model::conf::Problem;
use model::score::Scoring;
use model::target::Target;
use probe::commands::Commands;

pub use channels::ChannelSpec;
pub use commands::{commands, commands_default, commands_of};
pub use edit::{Edit, edit, target_of};
pub use file::{ConfigFile, WriteError, hash};
pub use legacy::import_legacy;
pub use load::load;
pub use metrics::{Metrics, Network};
pub use named_files::check_files;
pub use probe_modules::ProbeModule;
pub use reference::{reference_md, services_reference_md};
pub use schema::{SectionDoc, describe, schema, services_schema};
pub use services::{Services, ServicesFile, check_services, services_default, services_of};
pub use starter::default_text;

/// Looks up an environment variable by name. The binary passes the process environment, tests a map.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A checked configuration. `Debug` shows no secret: addresses and options redact themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What is watched, in the order of the file. Ids and names are unique.
    pub targets: Vec<Target>,
    /// Where the dashboard and the API listen.
    pub server: Server,
    /// How long history is kept.
    pub store: StoreSettings,
    /// IANA name of the time zone in which times are shown. Stored times are UTC.
    pub timezone: String,
    /// How many looks may be under way at once.
    pub limits: Limits,
    /// Address of the dashboard for links in messages, without a slash at its end.
    pub base_url: Option<String>,
    /// Ways by which people are told of alerts, in the order of the file. Names are unique.
    pub channels: Vec<ChannelSpec>,
    /// How health scores are made.
    pub score: Scoring,
    /// What people are told of: rules, planned work, and how StreamPulse knows its own network.
    pub alerts: AlertSettings,
    /// Where looks are written to by the line protocol of InfluxDB.
    pub influxdb: Option<Arc<sink::influx::Settings>>,
    /// What `/metrics` answers, and to whom.
    pub metrics: Metrics,
    /// The broker that is told by MQTT; `None` when nothing is published.
    pub mqtt: Option<Arc<sink::mqtt::Settings>>,
    /// What is accepted but should be looked at, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Which form the file has.
    pub form: Form,
}

/// Where and how the dashboard and the API are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Dashboard and API. Never empty.
    pub listen: Vec<SocketAddr>,
    /// Read-only status without login; `None` when there is none.
    pub status_listen: Option<SocketAddr>,
    /// Whether people must sign in. False only while every address of `listen` is loopback.
    pub login: bool,
    /// Certificate and key for `listen`; `None` serves plain HTTP.
    pub tls: Option<Tls>,
    /// How long a sign-in lasts without use.
    pub session: Duration,
}

/// Files of the server's own certificate, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, the server's own first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// How long history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Single looks.
    pub keep_observations: Duration,
    /// Figures per minute.
    pub keep_minutes: Duration,
    /// Figures per hour.
    pub keep_hours: Duration,
    /// Figures per day.
    pub keep_days: Duration,
    /// Status changes and incidents.
    pub keep_changes: Duration,
}

/// Bounds on looks under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In the whole process.
    pub probes_at_once: usize,
    /// Towards one host and port.
    pub probes_per_host: usize,
}

/// Which form a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `streampulse.yaml`.
    Current,
    /// `config.yaml` of StreamPulse 2.x.
    Legacy2x,
}

/// What the command line and the environment say, which goes before the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of `server.listen`.
    pub listen: Option<Vec<SocketAddr>>,
    /// In place of `server.status_listen`.
    pub status_listen: Option<SocketAddr>,
    /// A demonstration: `server.login: false` is accepted on any address.
    pub demo: bool,
    /// What targets of the kind `exec` may name. `None` where that is not known: then nothing is said about it.
    pub commands: Option<Arc<Commands>>,
    /// The file that says what runs. `None` runs nothing.
    pub services: Option<ServicesFile>,
}

#[cfg(test)]
mod tests;
