//! What the configuration says of one broker, and the names of topics that follow from it.

use std::time::Duration;

use model::secret::Secret;
use model::target::TargetId;
use net::trust::TlsOptions;
use wire::mqtt::{Qos, Version};

/// Topics begin with this unless the configuration says otherwise.
pub const DEFAULT_BASE: &str = "streampulse";

/// Checked settings of one broker. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Host name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How to speak TLS; `None` for a plain connection.
    pub tls: Option<TlsOptions>,
    /// Path of the WebSocket; `None` for a connection without one.
    pub websocket: Option<String>,
    /// Version of the protocol.
    pub version: Version,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Name of the client; one is made up when there is none.
    pub client_id: Option<String>,
    /// Within which time each side hears of the other; whole seconds.
    pub keep_alive: Duration,
    /// Topic of the status as a whole.
    pub topic: String,
    /// Quality of what is published.
    pub qos: Qos,
    /// Whether the broker keeps the status as a whole.
    pub retain: bool,
    /// From one status as a whole to the next.
    pub interval: Duration,
    /// What all other topics begin with.
    pub base: String,
    /// Topic of `online` and `offline`; made from the base when there is none.
    pub availability: Option<String>,
    /// Prefix of Home Assistant's discovery; `None` when it is off.
    pub discovery: Option<String>,
}

impl Settings {
    /// Plain settings for a host: what the configuration has when it names nothing else.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            websocket: None,
            version: Version::V311,
            username: None,
            password: None,
            client_id: None,
            keep_alive: Duration::from_secs(30),
            topic: format!("{DEFAULT_BASE}/status"),
            qos: Qos::AtMostOnce,
            retain: false,
            interval: Duration::from_secs(10),
            base: DEFAULT_BASE.to_owned(),
            availability: None,
            discovery: None,
        }
    }

    /// Topic of `online` and `offline`.
    #[must_use]
    pub fn availability_topic(&self) -> String {
        self.availability.clone().unwrap_or_else(|| self.below("availability"))
    }

    /// Topic of one stream.
    #[must_use]
    pub fn stream_topic(&self, id: &TargetId) -> String {
        format!("{}/stream/{id}", self.base)
    }

    /// A topic below the base.
    #[must_use]
    pub fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The broker in words: how it is reached, without user and password.
    #[must_use]
    pub fn broker(&self) -> String {
        let scheme = match (self.tls.is_some(), self.websocket.is_some()) {
            (false, false) => "mqtt",
            (true, false) => "mqtts",
            (false, true) => "ws",
            (true, true) => "wss",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}{}", self.port, self.websocket.as_deref().unwrap_or_default())
    }

    /// Takes out of foreign words what they must not show: a broker may answer with what it was sent.
    #[must_use]
    pub(super) fn wash(&self, words: &str) -> String {
        let clean: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
        match self.password.as_ref().filter(|p| !p.is_empty()) {
            Some(password) => clean.replace(password.expose(), model::secret::MASK),
            None => clean,
        }
    }
}

/// Longest words of a broker that are shown, in letters.
const MAX_WORDS: usize = 200;
