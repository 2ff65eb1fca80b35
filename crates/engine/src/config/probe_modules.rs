//! The key `metrics.probe_modules`: what `GET /probe` may look at, and how. A module names its kind and the addresses that it
//! is meant for; what it does not name, nobody can make StreamPulse reach.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use model::address::{Address, default_port};
use model::conf::{Field, Problem, Section, Type};
use model::target::{Target, TargetId};
use probe::kinds;

use super::metrics::Network;
use super::target;
use super::targets::only;
use super::tree::{Body, Item};

const NAME: Type = Type::Text { max: 64 };
const PATTERN: Type = Type::Text { max: 300 };
/// Most modules, and most patterns of one: what one looks over.
const MOST: usize = 100;

/// Kinds that a module may have: those that open connections to what the URL names and do nothing else. Each with an address
/// that a module of that kind is checked with.
const KINDS: &[(&str, &str)] = &[
    ("dash", "http://probe.invalid/live.mpd"),
    ("hls", "http://probe.invalid/live.m3u8"),
    ("http", "http://probe.invalid/"),
    ("icecast", "http://probe.invalid/live"),
    ("mjpeg", "http://probe.invalid/"),
    ("ping", "ping://probe.invalid"),
    ("rtmp", "rtmp://probe.invalid/live/name"),
    ("rtsp", "rtsp://probe.invalid/live"),
    ("tcp", "tcp://probe.invalid:9"),
];
/// Keys of a target that a module cannot have: they name one target, or say how it is watched.
const NOT_IN_MODULES: [&str; 13] = [
    "id",
    "name",
    "url",
    "kind",
    "template",
    "group",
    "tags",
    "enabled",
    "watch",
    "interval",
    "retries",
    "fail_after",
    "recover_after",
];

/// Keys of a module.
pub(super) static MODULE: [Field; 4] = [
    Field::new("name", NAME, "Name of the module, the value of `module` in `/probe?module=`.").required(),
    Field::new("kind", NAME, "How to look: `dash`, `hls`, `http`, `icecast`, `mjpeg`, `ping`, `rtmp`, `rtsp` or `tcp`.").required(),
    Field::new(
        "allow",
        Type::List(&PATTERN),
        "What may be looked at, as `scheme://host` or `scheme://host:port`. The host is a name, `*.example.net` for all names below one, an address, or a network such as `10.0.0.0/8`; the port is a number or `*`, and the scheme's own when absent. What a look is redirected to, and what a playlist names, must have a host of this list too. Addresses that are not public may be reached only within addresses and networks of this list.",
    )
    .required(),
    Field::new(
        "target",
        Type::Any,
        "Keys of a target and of its kind, as in a template: `timeout`, `depth`, `expect` and so on. No credentials.",
    ),
];

/// A module of `/probe`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeModule {
    /// Its name.
    pub name: String,
    /// What may be looked at.
    allow: Vec<Pattern>,
    /// A target whose address is put in for each look.
    base: Arc<Target>,
}

/// What a URL may be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    scheme: String,
    host: Host,
    /// `None` allows all.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// This name.
    Name(String),
    /// All names below this one.
    Below(String),
    /// Addresses.
    Net(Network),
}

impl Host {
    fn is(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Name(name) => host == *name,
            Self::Below(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|below| below.ends_with('.') && below.len() > 1)
            }
            Self::Net(network) => host.parse().is_ok_and(|address: IpAddr| network.holds(address)),
        }
    }
}

impl Pattern {
    /// # Errors
    /// What is wrong, in words.
    fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no pattern");
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(form)?;
        // The prefix length of a network stands before the port.
        let (rest, bits) = match rest.split_once('/') {
            Some((address, after)) => {
                let (bits, port) = after.split_once(':').map_or((after, None), |(bits, port)| (bits, Some(port)));
                (port.map_or_else(|| address.to_owned(), |port| format!("{address}:{port}")), Some(bits))
            }
            None => (rest.to_owned(), None),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => rest.rsplit_once(':').map_or((rest.as_str(), None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None => Some(default_port(scheme).unwrap_or(0)), // ping has none
            Some("*") => None,
            Some(port) => Some(port.parse().map_err(|_| format!("the port of {text:?} is no number and no *"))?),
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let name = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let fine = !name.is_empty() && !name.starts_with('.') && name.chars().all(fits);
            fine.then(|| name.to_owned()).ok_or_else(|| format!("the host of {text:?} is no name, address or network"))
        };
        let host = match (host.parse::<IpAddr>(), bits, host.strip_prefix("*.")) {
            (Ok(_), Some(bits), _) => Host::Net(Network::parse(&format!("{host}/{bits}"))?),
            (Ok(_), None, _) => Host::Net(Network::parse(&host)?),
            (Err(_), Some(_), _) => return Err(form()),
            (Err(_), None, Some(below)) => Host::Below(name(below)?),
            (Err(_), None, None) => Host::Name(name(&host)?),
        };
        Ok(Self { scheme: scheme.to_ascii_lowercase(), host, port })
    }

    fn allows(&self, address: &Address) -> bool {
        self.scheme == address.scheme()
            && self.host.is(address.host())
            && self.port.is_none_or(|port| port == address.port().unwrap_or(0))
    }
}

impl ProbeModule {
    /// The target of one look.
    ///
    /// # Errors
    /// Why this URL may not be looked at, in words that may be shown.
    pub fn target(&self, url: &str) -> Result<Target, String> {
        let address = Address::parse(url)?;
        if address.credentials().is_some() {
            return Err("a URL to probe must not have a user or a password in it".to_owned());
        }
        if !self.allow.iter().any(|pattern| pattern.allows(&address)) {
            return Err(format!("the module {} does not allow this target", self.name));
        }
        // What a kind remembers between looks goes by id: each URL has its own, and hardly one that a target of the file has.
        let mut hasher = DefaultHasher::new();
        (&self.name, url).hash(&mut hasher);
        let id = TargetId::from_name(&format!("_probe_{:016x}", hasher.finish()));
        Ok(Target { id, address, ..(*self.base).clone() })
    }

    /// Whether a look of this module may go to a host at an address: every host that it is led to has to be one of those that
    /// are allowed, and an address that is not public one of those that are.
    #[must_use]
    pub fn may_reach(&self, host: &str, address: IpAddr) -> bool {
        let inside = |pattern: &Pattern| matches!(&pattern.host, Host::Net(network) if network.holds(address));
        self.allow.iter().any(|pattern| pattern.host.is(host)) && (is_public(address) || self.allow.iter().any(inside))
    }
}

/// Whether an address belongs to the public Internet (IANA's registries of special-purpose addresses say which do not).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let bench = a == 198 && (b == 18 || b == 19);
    !(special || shared || protocol || bench || a == 0 || a >= 224)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let inner = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        return inner(g, h); // NAT64
    }
    if a == 0x2002 {
        return inner(b, c); // 6to4
    }
    // Global unicast without Teredo, benchmarks, ORCHID and documentation.
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && (a, b & 0xf000) != (0x3fff, 0)
}

/// Checks the modules.
pub(super) fn probe_modules(item: &Item, problems: &mut Vec<Problem>) -> Vec<Arc<ProbeModule>> {
    let items = item.get("probe_modules").map(Item::items).unwrap_or_default();
    if items.len() > MOST {
        let message = format!("{} modules, at most {MOST} are accepted", items.len());
        problems.push(Problem::new(Some(item.place), "metrics.probe_modules", message));
        return Vec::new();
    }
    let mut found: Vec<Arc<ProbeModule>> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("metrics.probe_modules[{i}]");
        let Some(module) = module(item, &path, problems) else { continue };
        if found.iter().any(|known| known.name == module.name) {
            let message = format!("there are two modules of the name {}", module.name);
            problems.push(Problem::new(Some(item.place), format!("{path}.name"), message));
        }
        found.push(Arc::new(module));
    }
    found
}

fn module(item: &Item, path: &str, problems: &mut Vec<Problem>) -> Option<ProbeModule> {
    let before = problems.len();
    let node = item.node_of(&MODULE);
    let section = Section::check(&node, &MODULE, path, problems);
    let problem = |key: &str, message: String| Problem::new(section.place_of(key), section.path_of(key), message);
    let patterns = section.texts("allow");
    if patterns.len() > MOST {
        problems.push(problem("allow", format!("{} patterns, at most {MOST} are accepted", patterns.len())));
        return None;
    }
    let kind = section.text("kind")?;
    let Some((kind, sample)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let known = KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let problem = problem("kind", format!("{kind:?} is no kind that a module may have"));
        problems.push(problem.with_remedy(format!("kinds of modules: {known}")));
        return None;
    };
    let schemes = kinds::by_name(kind).map_or(&[][..], |kind| kind.schemes);
    let mut allow = Vec::new();
    for text in &patterns {
        match Pattern::parse(text) {
            Ok(pattern) if schemes.contains(&pattern.scheme.as_str()) => allow.push(pattern),
            Ok(pattern) => {
                let message = format!("the kind {kind} cannot look at {}:// addresses", pattern.scheme);
                problems.push(problem("allow", message).with_remedy(format!("it knows {}", schemes.join(", "))));
            }
            Err(message) => problems.push(
                problem("allow", message)
                    .with_remedy("write rtsp://*.example.net, http://10.0.0.0/8 or tcp://door.lan:*"),
            ),
        }
    }
    if patterns.is_empty() && section.node("allow").is_some() {
        problems.push(problem("allow", "nothing is allowed".to_owned()));
    }
    let name = section.text("name")?;
    let base = base(item, (kind, sample), &name, path, problems)?;
    (problems.len() == before).then(|| ProbeModule { name, allow, base: Arc::new(base) })
}

/// The target of a module, with an address of no meaning.
fn base(
    item: &Item,
    (kind, sample): (&str, &str),
    name: &str,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Target> {
    let path = format!("{path}.target");
    let keys = item.get("target").filter(|t| !t.is_null());
    if let Some(other) = keys.filter(|t| !t.is_map()) {
        problems.push(Problem::new(Some(other.place), path, "expected a mapping with keys of a target"));
        return None;
    }
    let secret = |key: &str| {
        let own = kinds::by_name(kind).map_or(&[][..], |kind| kind.fields);
        key == "user" || own.iter().any(|f| f.key == key && matches!(f.ty, Type::Secret))
    };
    for entry in keys.into_iter().flat_map(Item::entries) {
        let (key, place) = (entry.key.as_str(), Some(entry.key_place));
        let at = format!("{path}.{key}");
        if NOT_IN_MODULES.contains(&key) {
            problems.push(Problem::new(place, at, format!("{key} has no place in a module")));
        } else if secret(key) {
            let problem = Problem::new(place, at, format!("{key}: credentials have no place in a module"));
            problems.push(problem.with_remedy("make what needs them a target"));
        }
    }
    let none = Item::empty_map();
    let keys = keys.unwrap_or(&none);
    let kept = only(keys, |key| !NOT_IN_MODULES.contains(&key) && !secret(key));
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // A name is made up: the module's own may be any text.
    let made = format!("{{name: probe, kind: {}, url: {}}}", quoted(kind), quoted(sample));
    let (Some(mut whole), _) = super::parse::read(&made) else { return None };
    if let (Body::Map { entries, .. }, Body::Map { entries: own, .. }) = (&mut whole.body, kept.body) {
        entries.extend(own);
    }
    let whole = whole.at(item);
    let own = |key: &str| keys.get(key).is_some();
    let source =
        target::Source { item: &whole, own: &own, own_expect: keys.get("expect"), path: &path, commands: None };
    let target = target::target(&source, problems, &mut Vec::new()).target?;
    Some(Target { name: name.to_owned(), ..target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_allow_what_they_say_and_nothing_else() {
        for (pattern, url, allowed) in [
            ("rtsp://cam.example.net", "rtsp://cam.example.net/live", true),
            ("rtsp://cam.example.net", "rtsp://CAM.example.net.:554/live", true),
            ("rtsp://cam.example.net", "rtsp://cam.example.net:8554/live", false),
            ("rtsp://cam.example.net:*", "rtsp://cam.example.net:8554/live", true),
            ("rtsp://cam.example.net", "rtsps://cam.example.net/live", false),
            ("rtsp://cam.example.net", "rtsp://cam.example.net.evil.example/", false),
            ("http://*.example.net", "http://a.b.example.net/x", true),
            ("http://*.example.net", "http://example.net/x", false),
            ("http://*.example.net", "http://evilexample.net/x", false),
            ("http://10.0.0.0/8", "http://10.1.2.3/", true),
            ("http://10.0.0.0/8", "http://11.1.2.3/", false),
            ("http://10.0.0.0/8:8080", "http://10.1.2.3:8080/", true),
            ("http://10.0.0.0/8:8080", "http://10.1.2.3/", false),
            ("http://10.0.0.0/8", "http://10.1.2.3.example.net/", false),
            ("tcp://[fd00::/8]:*", "tcp://[fd00::1]:22", false),
            ("tcp://[fd00::]/8:*", "tcp://[fd00::1]:22", true),
            ("ping://127.0.0.1", "ping://127.0.0.1", true),
            ("http://127.0.0.1:80", "http://2130706433/", true), // another way to write the same address
            ("http://door.lan", "http://door.lan@evil.example/", false),
        ] {
            let address = Address::parse(url).expect(url);
            let allows = Pattern::parse(pattern).is_ok_and(|p| p.allows(&address));
            assert_eq!(allows, allowed, "{pattern} {url} {address:?}");
        }
        for pattern in [
            "",
            "cam",
            "http://",
            "http://*",
            "http://*.",
            "http://a b",
            "http://a:b",
            "http://a/8",
            "http://10.0.0.1/8",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn public_addresses_are_those_that_are_no_others() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::10.0.0.1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::8.8.8.8", true),
            ("2002:a00:1::", false),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("2606:4700:4700::1111", true),
        ] {
            assert_eq!(is_public(address.parse().expect(address)), public, "{address}");
        }
    }
}
