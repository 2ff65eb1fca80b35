//! The section `metrics`: who may read `/metrics`, and names that other programs are used to.

use std::net::IpAddr;
use std::sync::Arc;

use model::conf::{Field, Problem, Section, Type};

use super::probe_modules::{MODULE, ProbeModule, probe_modules};
use super::tree::Item;

/// An address, or a network with its prefix length.
const NETWORK: Type = Type::Text { max: 64 };
/// Names of other programs that can be answered with.
const LEGACY: Type = Type::Choice(&["streampulse_2_1", "rtmp_hmonitor"]);
/// Most networks: what one looks over.
const MAX_NETWORKS: usize = 64;

/// Keys of `metrics`.
pub(super) static METRICS: [Field; 4] = [
    Field::new(
        "open_to",
        Type::List(&NETWORK),
        "Addresses or networks (`10.0.0.0/8`) that may read `/metrics` at `server.status_listen` without a token. Nobody unless given; with a token of the role viewer it can always be read, there and at `server.listen`.",
    ),
    Field::new(
        "legacy",
        Type::List(&LEGACY),
        "Also answers with the names of StreamPulse 2.1.1 (`stream_up`, `system_*`) or of RTMP_HMonitor (`stream_health_*`).",
    ),
    Field::new(
        "sla_window_days",
        Type::Integer { min: 1, max: 365 },
        "Days of the three names of StreamPulse 2.1.1 that count looks over a window, such as `system_sla_ratio_30d`.",
    )
    .default("30"),
    Field::new(
        "probe_modules",
        Type::Sections(&MODULE),
        "What `GET /probe?target=URL&module=NAME` may look at, in the manner of blackbox_exporter. Nothing unless given.",
    ),
];

/// What `/metrics` answers, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Who may read it at the status listener without a token.
    pub open_to: Vec<Network>,
    /// Whether the names of StreamPulse 2.1.1 are answered with.
    pub streampulse_2_1: bool,
    /// Whether the names of RTMP_HMonitor are answered with.
    pub rtmp_hmonitor: bool,
    /// Days of the window of `system_sla_ratio_<N>d`.
    pub sla_window_days: u32,
    /// What `/probe` may look at.
    pub probe_modules: Vec<Arc<ProbeModule>>,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.7`, `10.0.0.0/8`, `::1` or `fd00::/8`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| format!("{text:?} is no address and no network"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::trim) {
            None => most,
            Some(bits) => bits
                .parse::<u8>()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(|| format!("the prefix of {text:?} is no number from 0 to {most}"))?,
        };
        let network = Self { address, bits };
        if network.masked(address) == bits_of(address) {
            return Ok(network);
        }
        Err(format!("{text:?} has bits behind its prefix of {bits}"))
    }

    /// Whether an address belongs to it. IPv4 inside of IPv6 counts as what it is.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == bits_of(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        // All addresses are held from the top bit downwards, so that one mask serves both families.
        let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
        bits_of(address) & mask
    }
}

/// The bits of an address from the top downwards.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Checks the section.
pub(super) fn metrics(item: &Item, problems: &mut Vec<Problem>) -> Metrics {
    let node = item.node_of(&METRICS);
    let section = Section::check(&node, &METRICS, "metrics", problems);
    let mut open_to = Vec::new();
    for text in section.texts("open_to") {
        match Network::parse(&text) {
            Ok(network) => open_to.push(network),
            Err(message) => {
                let problem = Problem::new(section.place_of("open_to"), "metrics.open_to", message);
                problems.push(problem.with_remedy("write addresses or networks such as 127.0.0.1 or 10.0.0.0/8"));
            }
        }
    }
    if open_to.len() > MAX_NETWORKS {
        let message = format!("{} networks, at most {MAX_NETWORKS} are accepted", open_to.len());
        problems.push(Problem::new(section.place_of("open_to"), "metrics.open_to", message));
    }
    let legacy = section.texts("legacy");
    let has = |word: &str| legacy.iter().any(|name| name == word);
    Metrics {
        open_to,
        streampulse_2_1: has("streampulse_2_1"),
        rtmp_hmonitor: has("rtmp_hmonitor"),
        sla_window_days: section.integer("sla_window_days").and_then(|n| u32::try_from(n).ok()).unwrap_or(30),
        probe_modules: probe_modules(item, problems),
    }
}

/// What is so when the file does not say.
pub(super) fn default_metrics() -> Metrics {
    metrics(&Item::empty_map(), &mut Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_say() {
        for (network, address, held) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fdab::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::1", "::1", true),
        ] {
            let holds = Network::parse(network).expect(network).holds(address.parse().expect(address));
            assert_eq!(holds, held, "{network} {address}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "::/129", "all", "10.0.0.0/-1", "1.2.3"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
