//! Tells systemd how we are (sd_notify(3)): ready, alive, stopping. Silent where nobody asked.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The socket that systemd named, if it did.
pub(crate) struct Notify {
    socket: Option<(UnixDatagram, OsString)>,
    /// How often systemd wants to hear that we are alive: half of what it grants.
    pub(crate) every: Option<Duration>,
}

impl Notify {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub(crate) fn from_environment() -> Self {
        let path = std::env::var_os("NOTIFY_SOCKET").filter(|p| !p.is_empty());
        let socket = path.and_then(|p| Some((UnixDatagram::unbound().ok()?, p)));
        let usec = std::env::var("WATCHDOG_USEC").ok().and_then(|t| t.parse::<u64>().ok()).filter(|n| *n > 0);
        Self { socket, every: usec.map(|n| Duration::from_micros(n) / 2) }
    }

    /// Sends one message (`READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`). A socket that is gone costs nothing.
    pub(crate) fn send(&self, message: &str) {
        let Some((socket, path)) = &self.socket else { return };
        let sent = match path.to_str().and_then(|p| p.strip_prefix('@')) {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| socket.send_to_addr(message.as_bytes(), &address))
            }
            None => socket.send_to(message.as_bytes(), path),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "systemd does not listen");
        }
    }
}
